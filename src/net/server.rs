//! The HTTP server's shell: it reads whole requests, bounded, and writes whole answers.

use super::simulation::Simulation;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Request bodies beyond this are refused with 413.
const MAX_BODY: usize = 8 << 20;

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// What follows `?`.
    pub query: String,
    /// The content type as sent, if any.
    pub content_type: Option<String>,
    /// Every header, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Who asks.
    pub peer: SocketAddr,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether the body is said to be of this type, whatever its parameters.
    pub fn is_of_type(&self, content_type: &str) -> bool {
        let said = self.content_type.as_deref().unwrap_or_default();
        said.split(';').next().unwrap_or_default().trim() == content_type
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The content type, none if empty.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self { status, content_type: String::new(), headers: Vec::new(), body: Vec::new() }
    }

    /// 200 with a body.
    pub fn ok(content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { content_type: content_type.into(), body: body.into(), ..Self::status(200) }
    }
}

/// The future of an answer.
pub type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request) -> Answering;
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// Of the system.
    System(TcpListener),
    /// Of a simulated network.
    Simulated(Arc<Simulation>, SocketAddr),
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// The listener is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        match self {
            Self::System(listener) => listener.local_addr(),
            Self::Simulated(_, address) => Ok(*address),
        }
    }
}

/// Serves until `stop` says so. Who asks before this is first polled waits, and is answered then.
pub fn serve(
    listener: Listener,
    handler: Arc<dyn Handler>,
    stop: watch::Receiver<bool>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    match listener {
        Listener::System(listener) => Box::pin(accept(listener, handler, stop)),
        Listener::Simulated(simulation, address) => {
            simulation.add_server(address, handler, stop.clone());
            Box::pin(async move { simulation.serve(address, stop).await })
        }
    }
}

async fn accept(listener: TcpListener, handler: Arc<dyn Handler>, stop: watch::Receiver<bool>) {
    let mut stopped = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, peer)) = accepted else { continue };
        let handler = handler.clone();
        let mut stop = stop.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(handler.clone(), request, peer));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}

async fn respond(
    handler: Arc<dyn Handler>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let headers: Vec<(String, String)> = headers.collect();
    let answer = match Limited::new(body, MAX_BODY).collect().await {
        Err(_) => Answer::status(413),
        Ok(body) => {
            let request = Request {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                content_type: None,
                headers,
                body: body.to_bytes().to_vec(),
                peer,
            };
            answer(&*handler, request).await
        }
    };
    let mut response = hyper::Response::builder().status(answer.status);
    if !answer.content_type.is_empty() {
        response = response.header("content-type", answer.content_type);
    }
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let built = response.body(Full::new(Bytes::from(answer.body)));
    Ok(built.unwrap_or_else(|_| hyper::Response::new(Full::default())))
}

/// What a handler answers to a request as it came.
pub(super) async fn answer(handler: &dyn Handler, mut request: Request) -> Answer {
    request.content_type = request.header("content-type").map(str::to_owned);
    if request.body.len() > MAX_BODY {
        return Answer::status(413);
    }
    let encoding = request.header("content-encoding").map(str::to_owned);
    match inflate(std::mem::take(&mut request.body), encoding) {
        None => Answer::status(400),
        Some(body) => handler.answer(Request { body, ..request }).await,
    }
}

/// A gzip body unpacked, within the same bound.
fn inflate(body: Vec<u8>, encoding: Option<String>) -> Option<Vec<u8>> {
    use std::io::Read;
    if !encoding.is_some_and(|e| e.eq_ignore_ascii_case("gzip")) {
        return Some(body);
    }
    let mut plain = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(body.as_slice()).take(MAX_BODY as u64 + 1);
    reader.read_to_end(&mut plain).ok().filter(|n| *n <= MAX_BODY)?;
    Some(plain)
}
