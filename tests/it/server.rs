//! Scripted bad servers: an HTTP server that stands between a viewer and a good grid and answers
//! some requests by itself, and a relay that does the same to circuits.

#![allow(dead_code)]

use gridproof::net::http;
use std::future::Future;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Login,
    Seed,
    Events,
    Other,
}

type Done = Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;

/// Answers a connection by itself, down to the bytes.
pub(crate) type Script = Arc<dyn Fn(TcpStream) -> Done + Send + Sync>;

pub(crate) fn script<F>(play: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Script
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    Arc::new(move |stream| Box::pin(play(stream)))
}

/// A head and a body, and the end of the connection.
pub(crate) fn says(head: &str, body: Vec<u8>) -> Script {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    let body = Arc::new(body);
    script(move |mut stream| {
        let (head, body) = (head.clone(), body.clone());
        async move {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.shutdown().await
        }
    })
}

/// A head, and then the same bytes again and again, with a pause between.
pub(crate) fn forever(head: &str, piece: Vec<u8>, pause: Duration) -> Script {
    let head = head.to_owned();
    script(move |mut stream| {
        let (head, piece) = (head.clone(), piece.clone());
        async move {
            stream.write_all(format!("HTTP/1.1 {head}\r\n").as_bytes()).await?;
            loop {
                stream.write_all(&piece).await?;
                match pause.is_zero() {
                    true => tokio::task::yield_now().await,
                    false => tokio::time::sleep(pause).await,
                }
            }
        }
    })
}

/// Says nothing until the other side goes.
pub(crate) fn silence() -> Script {
    script(|mut stream| async move { stream.read(&mut [0; 64]).await.map(drop) })
}

/// So many bytes of one kind, packed.
pub(crate) fn gzip(byte: u8, megabytes: usize) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let piece = vec![byte; 1 << 20];
    for _ in 0..megabytes {
        packer.write_all(&piece).expect("memory takes it");
    }
    packer.finish().expect("memory takes it")
}

/// Reads what was packed: for checking that a bomb is one.
pub(crate) fn unpacked(bytes: &[u8]) -> u64 {
    let mut reader = flate2::read::GzDecoder::new(bytes);
    std::io::copy(&mut reader.by_ref(), &mut std::io::sink()).expect("it is gzip")
}

/// A port that counts who comes, and says nothing.
pub(crate) async fn trap() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let visits = Arc::new(AtomicUsize::new(0));
    let count = visits.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (address, visits)
}

/// What stands between.
pub(crate) struct Middle {
    /// Where the good grid's HTTP is.
    pub grid: String,
    /// Which requests are answered by a script.
    pub attack: Vec<(Asked, Script)>,
    /// What is done to circuits, if anything.
    pub wire: Option<Wire>,
    /// How many requests a script has answered.
    pub attacks: AtomicUsize,
    seeds: Mutex<Vec<String>>,
}

impl Middle {
    pub(crate) fn new(grid: &str, attack: Vec<(Asked, Script)>, wire: Option<Wire>) -> Arc<Self> {
        let grid = grid.trim_end_matches('/').to_owned();
        let attacks = AtomicUsize::new(0);
        Arc::new(Self { grid, attack, wire, attacks, seeds: Mutex::default() })
    }

    /// Starts listening; the login URI to give to the tool.
    pub(crate) async fn start(self: Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = format!("http://{}", listener.local_addr().expect("it is bound"));
        let uri = format!("{own}/");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (me, own) = (self.clone(), own.clone());
                // A viewer that hangs up is no error of ours.
                tokio::spawn(async move { drop(me.serve(stream, own).await) });
            }
        });
        uri
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream, own: String) -> std::io::Result<()> {
        let mut request = Vec::new();
        let head = loop {
            if let Some(at) = request.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&request[..head]).into_owned();
        let header = |name: &str| {
            text.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length: usize = header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        while request.len() < head + length {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let body = request.split_off(head);
        let mut words = text.split_whitespace();
        let (method, path) = (words.next().unwrap_or("GET"), words.next().unwrap_or("/"));
        let asked = self.asked(method, path, &body);
        if let Some((_, script)) = self.attack.iter().find(|(what, _)| *what == asked) {
            self.attacks.fetch_add(1, Ordering::Relaxed);
            return script(stream).await;
        }
        let request = http::Request {
            method: Some(method.to_owned()),
            url: format!("{}{path}", self.grid),
            headers: header("content-type")
                .map(|t| ("content-type".into(), t))
                .into_iter()
                .collect(),
            body: (!body.is_empty()).then_some(body),
            ..http::Request::default()
        };
        let reply = http::Client::new(gridproof::net::Network::System)
            .ask(request, Duration::from_secs(120))
            .await;
        let Ok(reply) = reply else { return Ok(()) };
        let body = String::from_utf8_lossy(&reply.body).replace(&self.grid, &own);
        let body = self.reroute(asked, body).await;
        let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.status);
        if let Some(value) = reply.header("content-type") {
            head += &format!("content-type: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    }

    fn asked(&self, method: &str, path: &str, body: &[u8]) -> Asked {
        let text = String::from_utf8_lossy(body);
        if self.seeds.lock().expect("nobody panics").iter().any(|seed| seed == path) {
            Asked::Seed
        } else if text.contains("<key>ack</key>") {
            Asked::Events
        } else if method == "POST"
            && (text.contains("login_to_simulator") || text.contains("<key>passwd</key>"))
        {
            Asked::Login
        } else {
            Asked::Other
        }
    }

    /// Keeps the seed of a login reply in mind, and puts our relay in place of the simulator.
    async fn reroute(&self, asked: Asked, body: String) -> String {
        if asked != Asked::Login {
            return body;
        }
        let seed =
            regex::Regex::new(r"<name>seed_capability</name><value><string>http://[^/]+(/[^<]*)<")
                .expect("a regex");
        if let Some(found) = seed.captures(&body) {
            self.seeds.lock().expect("nobody panics").push(found[1].to_owned());
        }
        let Some(wire) = &self.wire else { return body };
        let port = regex::Regex::new(r"(<name>sim_port</name><value><(?:int|i4)>)(\d+)<")
            .expect("a regex");
        let Some(found) = port.captures(&body) else { return body };
        let simulator: u16 = found[2].parse().expect("a port");
        let ours = wire.clone().start(([127, 0, 0, 1], simulator).into()).await;
        port.replace(&body, format!("${{1}}{ours}<")).into_owned()
    }
}

/// What is done to a circuit: called with a socket that viewers take for the simulator, and the
/// viewer's address, once the viewer has said its first word.
#[derive(Clone)]
pub(crate) struct Wire {
    pub play: Arc<dyn Fn(Arc<UdpSocket>, SocketAddr) -> Done + Send + Sync>,
    pub attacks: Arc<AtomicUsize>,
    /// Once this is true, nobody listens any more.
    dead: watch::Receiver<bool>,
}

impl Wire {
    pub(crate) fn new<F>(
        play: impl Fn(Arc<UdpSocket>, SocketAddr) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let dead = watch::channel(false).1;
        Self { play: Arc::new(move |s, a| Box::pin(play(s, a))), attacks: Arc::default(), dead }
    }

    /// A relay that does nothing, and is gone from a moment on.
    pub(crate) fn mortal(dead: watch::Receiver<bool>) -> Self {
        Self { dead, ..Self::new(|_, _| async { Ok(()) }) }
    }

    /// A relay to a simulator; its port.
    async fn start(self, simulator: SocketAddr) -> u16 {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
        let port = front.local_addr().expect("it is bound").port();
        let mut dead = self.dead.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = self.relay(front, simulator) => {}
                // A channel whose sender is gone says nothing any more.
                Ok(_) = dead.wait_for(|dead| *dead) => {}
            }
        });
        port
    }

    async fn relay(self, front: Arc<UdpSocket>, simulator: SocketAddr) {
        let mut behind: Vec<(SocketAddr, Arc<UdpSocket>)> = Vec::new();
        // They end with the relay.
        let mut tasks = JoinSet::new();
        let mut buffer = vec![0; 65_536];
        while let Ok((size, viewer)) = front.recv_from(&mut buffer).await {
            let known = behind.iter().find(|(address, _)| *address == viewer);
            let back = match known {
                Some((_, back)) => back.clone(),
                None => {
                    let back = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
                    let back = Arc::new(back);
                    behind.push((viewer, back.clone()));
                    tasks.spawn(pump(back.clone(), front.clone(), viewer));
                    self.attacks.fetch_add(1, Ordering::Relaxed);
                    let play = (self.play)(front.clone(), viewer);
                    tasks.spawn(async move { drop(play.await) });
                    back
                }
            };
            let _ = back.send_to(&buffer[..size], simulator).await;
        }
    }
}

async fn pump(from: Arc<UdpSocket>, to: Arc<UdpSocket>, viewer: SocketAddr) {
    let mut buffer = vec![0; 65_536];
    while let Ok((size, _)) = from.recv_from(&mut buffer).await {
        let _ = to.send_to(&buffer[..size], viewer).await;
    }
}
