//! The HTTP client: bounded bodies, bounded times, no redirects followed behind one's back.

use super::{Network, network, server};
use reqwest::header::{HeaderName, HeaderValue};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Bodies beyond this are cut off: what grids send stays far below.
pub const MAX_BODY: usize = 16 << 20;

/// Reading more than this takes so long that others would wait for it.
const LARGE: usize = 64 << 10;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// From sending to the last byte.
    pub elapsed: Duration,
}

impl Reply {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// What the body says. A large one is read away from the threads that keep circuits alive,
    /// and one at a time: read, it takes many times its size.
    pub async fn read<T: Send + 'static>(
        &self,
        parse: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> T {
        if self.body.len() < LARGE {
            return parse(&self.body);
        }
        static TURN: Semaphore = Semaphore::const_new(1);
        let _turn = TURN.acquire().await;
        let body = self.body.clone();
        let parsed = tokio::task::spawn_blocking(move || parse(&body)).await;
        parsed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not a URL this client can ask.
    #[error("not an http(s) URL")]
    Url,
    /// Nothing accepted the connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No complete answer in time.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// The body is larger than we take.
    #[error("the body exceeds {MAX_BODY} bytes")]
    TooLarge,
    /// The connection broke, or what came is not HTTP.
    #[error("{0}")]
    Broken(String),
}

/// A request.
#[derive(Clone, Default)]
pub struct Request {
    /// The method; `POST` if there is a body and none is named, else `GET`.
    pub method: Option<String>,
    /// The URL.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Ask from [`ELSEWHERE`], not from the address that everything else comes from.
    pub elsewhere: bool,
    /// Ask on a connection of its own: one that was kept may be closed at the other end, and what
    /// must not be asked twice cannot be asked again then.
    pub alone: bool,
}

/// A second address of this machine, for grids on loopback.
pub const ELSEWHERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

/// Without URL and body: capabilities and passwords are secrets.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = self.body.as_ref().map(Vec::len);
        f.debug_struct("Request").field("bytes", &size).finish_non_exhaustive()
    }
}

impl Request {
    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// A POST.
    pub fn post(url: impl Into<String>, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".into(), content_type.into())];
        Self { url: url.into(), headers, body: Some(body.into()), ..Self::default() }
    }
}

impl Request {
    /// As it is written.
    fn build(self) -> Result<reqwest::Request, HttpError> {
        let url = reqwest::Url::parse(&self.url).map_err(|_| HttpError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(HttpError::Url);
        }
        let default = if self.body.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(default);
        let method = reqwest::Method::from_bytes(method.as_bytes())
            .map_err(|_| HttpError::Broken(format!("`{method}` is not an HTTP method")))?;
        let mut built = reqwest::Request::new(method, url);
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name);
            let name = name.map_err(|error| HttpError::Broken(error.to_string()))?;
            let value = HeaderValue::try_from(value);
            let value = value.map_err(|error| HttpError::Broken(error.to_string()))?;
            built.headers_mut().append(name, value);
        }
        *built.body_mut() = self.body.map(reqwest::Body::from);
        Ok(built)
    }

    /// As a server reads it, and which server.
    pub(super) fn into_server(self) -> Result<(SocketAddr, server::Request), HttpError> {
        let ip = if self.elsewhere { ELSEWHERE } else { Ipv4Addr::LOCALHOST.into() };
        let built = self.build()?;
        let address = authority(built.url().as_str()).and_then(|text| text.parse().ok());
        let unknown = || HttpError::Connect("no such host on a simulated network".into());
        let address = address.ok_or_else(unknown)?;
        let headers = built.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let request = server::Request {
            method: built.method().to_string(),
            path: built.url().path().to_owned(),
            query: built.url().query().unwrap_or_default().to_owned(),
            content_type: None,
            headers: headers.collect(),
            body: built.body().and_then(|body| body.as_bytes()).unwrap_or_default().to_vec(),
            peer: SocketAddr::new(ip, 0),
        };
        Ok((address, request))
    }
}

/// Host and port of a URL.
pub fn authority(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// A client; clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    network: Network,
    keeping: reqwest::Client,
    alone: reqwest::Client,
}

impl Client {
    /// A client of its own on a network.
    pub fn new(network: Network) -> Self {
        // Made once where nothing is to be sent by them: they take longer than a simulated run.
        static IDLE: OnceLock<reqwest::Client> = OnceLock::new();
        let idle = network.is_simulated().then(|| IDLE.get_or_init(|| client(None, 0)).clone());
        let keeping = idle.clone().unwrap_or_else(|| client(None, usize::MAX));
        let alone = idle.unwrap_or_else(|| client(None, 0));
        Self { network, keeping, alone }
    }

    /// The network it is on.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    /// No answer came in time, none that can be read, or one that is too large.
    pub async fn ask(&self, request: Request, within: Duration) -> Result<Reply, HttpError> {
        let start = Instant::now();
        let exchange = async {
            match &self.network {
                Network::System => self.exchange(request).await,
                Network::Simulated(simulation) => network::ask(simulation, request).await,
            }
        };
        match tokio::time::timeout(within, exchange).await {
            Ok(reply) => Ok(Reply { elapsed: start.elapsed(), ..reply? }),
            Err(_) => Err(HttpError::Timeout(within)),
        }
    }

    async fn exchange(&self, request: Request) -> Result<Reply, HttpError> {
        let client = match (request.elsewhere, request.alone) {
            (true, _) => client(Some(ELSEWHERE), 0),
            (false, true) => self.alone.clone(),
            (false, false) => self.keeping.clone(),
        };
        let built = request.build()?;
        let mut response = client.execute(built).await.map_err(explain)?;
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let headers = headers.collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body, elapsed: Duration::ZERO })
    }
}

fn client(address: Option<std::net::IpAddr>, kept: usize) -> reqwest::Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .local_address(address)
        .pool_idle_timeout(Duration::from_secs(5))
        .pool_max_idle_per_host(kept)
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("gridproof/", env!("CARGO_PKG_VERSION")))
        .build();
    client.expect("the TLS provider was installed just above")
}

/// The innermost cause says what happened; the outer ones repeat the URL, which is a secret.
fn explain(error: reqwest::Error) -> HttpError {
    let connect = error.is_connect();
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match connect {
        true => HttpError::Connect(cause.to_string()),
        false => HttpError::Broken(cause.to_string()),
    }
}
