//! A network in memory: datagrams and HTTP requests as values, delays and losses from a seed, and
//! time that jumps to the next timer when nobody has work.

use super::http::{HttpError, MAX_BODY, Reply, Request};
use super::server::{self, Answer, Handler};
use super::{Chance, Network};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How things pass on a simulated network.
#[derive(Clone, Debug, Default)]
pub struct Path {
    /// How long a datagram or a request is under way, each way, in microseconds. What two ports
    /// say to each other keeps its order.
    pub delay: Range<u64>,
}

/// The network itself.
#[derive(Debug)]
pub struct Simulation {
    began: Instant,
    chance: Chance,
    path: Path,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Of delays alone: how often anybody asks for an id must not change the wire.
    random: Pcg64,
    next_port: u16,
    ports: BTreeMap<SocketAddr, Arc<Inbox>>,
    servers: BTreeMap<SocketAddr, Server>,
    /// When the last datagram between two ports arrives.
    last: BTreeMap<(SocketAddr, SocketAddr), Instant>,
}

#[derive(Clone)]
struct Server {
    handler: Arc<dyn Handler>,
    stop: watch::Receiver<bool>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

/// Where free ports begin.
const FIRST_PORT: u16 = 10_000;

/// What a socket may hold before it is read, in datagrams; more is lost.
const ROOM: usize = 40_000;

/// 2026-01-01T00:00:00Z, when every simulation begins, in seconds.
const EPOCH: i64 = 1_767_225_600;

/// Runs a world on a simulated network, from its beginning to its end. The same seed and path give
/// the same world, to the byte. Nothing in it may block or wait for what is outside.
///
/// # Errors
/// The runtime cannot be started.
pub fn simulate<F: Future>(
    seed: u64,
    path: Path,
    world: impl FnOnce(Network) -> F,
) -> std::io::Result<F::Output> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(async {
        let simulation = Simulation::new(seed, path);
        world(Network::Simulated(Arc::new(simulation))).await
    }))
}

impl Simulation {
    fn new(seed: u64, path: Path) -> Self {
        let state = State {
            random: Pcg64::seed_from_u64(!seed),
            next_port: FIRST_PORT,
            ports: BTreeMap::new(),
            servers: BTreeMap::new(),
            last: BTreeMap::new(),
        };
        let state = Mutex::new(state);
        Self { began: Instant::now(), chance: Chance::seeded(seed), path, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn chance(&self) -> Chance {
        self.chance.clone()
    }

    pub(super) fn now(&self) -> jiff::Timestamp {
        let began = jiff::Timestamp::from_second(EPOCH).unwrap_or_default();
        let passed = jiff::SignedDuration::try_from(self.began.elapsed());
        passed.map_or(began, |passed| began.saturating_add(passed).unwrap_or(began))
    }

    /// An address with a port that nobody has; the one asked for, if it is free.
    pub(super) fn free(&self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let mut state = self.state();
        let taken = |state: &State, address: &SocketAddr| {
            state.ports.contains_key(address) || state.servers.contains_key(address)
        };
        if address.port() != 0 {
            return match taken(&state, &address) {
                true => Err(std::io::ErrorKind::AddrInUse.into()),
                false => Ok(address),
            };
        }
        for _ in FIRST_PORT..u16::MAX {
            let address = SocketAddr::new(address.ip(), state.next_port);
            state.next_port = state.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if !taken(&state, &address) {
                return Ok(address);
            }
        }
        Err(std::io::ErrorKind::AddrInUse.into())
    }

    pub(super) fn is_bound(&self, port: SocketAddr) -> bool {
        self.state().ports.contains_key(&port)
    }

    pub(super) fn is_served(&self, authority: &str) -> bool {
        authority.parse().is_ok_and(|address| self.state().servers.contains_key(&address))
    }

    /// How long the next thing is under way.
    fn delay(&self) -> Duration {
        match self.path.delay.is_empty() {
            true => Duration::ZERO,
            false => {
                Duration::from_micros(self.state().random.random_range(self.path.delay.clone()))
            }
        }
    }

    /// From now on requests to an address are answered, until `stop` says so.
    pub(super) fn add_server(
        &self,
        address: SocketAddr,
        handler: Arc<dyn Handler>,
        stop: watch::Receiver<bool>,
    ) {
        self.state().servers.insert(address, Server { handler, stop });
    }

    /// Waits until an address is not served any more.
    pub(super) async fn serve(&self, address: SocketAddr, mut stop: watch::Receiver<bool>) {
        let _ = stop.wait_for(|stop| *stop).await;
        self.state().servers.remove(&address);
    }

    /// Asks a server; nothing if there is none.
    pub(super) async fn ask(&self, request: Request) -> Option<Result<Reply, HttpError>> {
        let (address, asked) = match request.into_server() {
            Ok(asked) => asked,
            Err(error) => return Some(Err(error)),
        };
        let Server { handler, mut stop } = self.state().servers.get(&address)?.clone();
        self.pass().await;
        let answer = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {
                return Some(Err(HttpError::Broken("the connection was closed".into())));
            }
            answer = server::answer(&*handler, asked) => answer,
        };
        self.pass().await;
        Some(received(answer))
    }

    async fn pass(&self) {
        let delay = self.delay();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// An answer as the client sees it.
fn received(answer: Answer) -> Result<Reply, HttpError> {
    if answer.body.len() > MAX_BODY {
        return Err(HttpError::TooLarge);
    }
    let mut headers = Vec::new();
    if !answer.content_type.is_empty() {
        headers.push(("content-type".to_owned(), answer.content_type));
    }
    headers.extend(answer.headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
    headers.push(("content-length".to_owned(), answer.body.len().to_string()));
    Ok(Reply { status: answer.status, headers, body: answer.body, elapsed: Duration::ZERO })
}

/// What waits to be read from a socket.
#[derive(Debug, Default)]
struct Inbox {
    waiting: Mutex<VecDeque<(Instant, Vec<u8>, SocketAddr)>>,
    bell: Notify,
}

/// A socket of a simulated network.
#[derive(Debug)]
pub(super) struct SimulatedPort {
    simulation: Arc<Simulation>,
    address: SocketAddr,
    inbox: Arc<Inbox>,
}

impl SimulatedPort {
    pub(super) fn bind(simulation: &Arc<Simulation>, address: SocketAddr) -> std::io::Result<Self> {
        let address = simulation.free(address)?;
        let inbox = Arc::<Inbox>::default();
        simulation.state().ports.insert(address, inbox.clone());
        Ok(Self { simulation: simulation.clone(), address, inbox })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn send(&self, bytes: &[u8], to: SocketAddr) {
        let arrives = Instant::now() + self.simulation.delay();
        let mut state = self.simulation.state();
        let Some(inbox) = state.ports.get(&to).cloned() else { return };
        let last = state.last.entry((self.address, to)).or_insert(arrives);
        *last = arrives.max(*last);
        let arrives = *last;
        drop(state);
        let mut waiting = inbox.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < ROOM {
            // From several senders they come by their times, of equal times in the order sent.
            let at = waiting.partition_point(|(due, ..)| *due <= arrives);
            waiting.insert(at, (arrives, bytes.to_vec(), self.address));
        }
        drop(waiting);
        inbox.bell.notify_one();
    }

    pub(super) async fn receive(&self) -> (Vec<u8>, SocketAddr) {
        loop {
            let next = {
                let mut waiting = self.inbox.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                match waiting.front().map(|(due, ..)| *due) {
                    Some(due) if due <= Instant::now() => {
                        let first = waiting.pop_front();
                        return first
                            .map(|(_, bytes, from)| (bytes, from))
                            .unwrap_or((Vec::new(), self.address));
                    }
                    next => next,
                }
            };
            match next {
                None => self.inbox.bell.notified().await,
                Some(due) => tokio::select! {
                    biased;
                    () = self.inbox.bell.notified() => {}
                    () = tokio::time::sleep_until(due) => {}
                },
            }
        }
    }
}

impl Drop for SimulatedPort {
    fn drop(&mut self) {
        self.simulation.state().ports.remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn datagrams_keep_their_order_and_take_their_time() {
        let path = Path { delay: 1000..20_000 };
        let told = simulate(3, path, async |network: Network| {
            let (one, other) = (network.bind(at(0)).await, network.bind(at(0)).await);
            let (one, other) = (one.unwrap(), other.unwrap());
            let (from, to) = (one.address().unwrap(), other.address().unwrap());
            assert_ne!(from, to);
            let began = Instant::now();
            for n in 0..50u8 {
                one.send(&[n], to).await;
            }
            let mut told = Vec::new();
            for _ in 0..50 {
                let (bytes, sender) = other.receive().await.unwrap();
                assert_eq!(sender, from);
                told.extend(bytes);
            }
            (told, began.elapsed())
        });
        let (told, time) = told.unwrap();
        assert_eq!(told, (0..50).collect::<Vec<u8>>());
        assert!((Duration::from_millis(1)..=Duration::from_millis(20)).contains(&time), "{time:?}");
    }

    #[test]
    fn who_has_gone_hears_nothing_and_its_port_is_free_again() {
        let heard = simulate(3, Path::default(), async |network: Network| {
            let one = network.bind(at(4000)).await.unwrap();
            assert!(network.bind(at(4000)).await.is_err());
            let other = network.bind(at(0)).await.unwrap();
            drop(one);
            assert!(network.is_closed(at(4000)).await);
            other.send(b"lost", at(4000)).await;
            let again = network.bind(at(4000)).await.unwrap();
            tokio::time::timeout(Duration::from_secs(60), again.receive()).await.is_ok()
        });
        assert!(!heard.unwrap());
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let run = |seed| {
            let path = Path { delay: 0..1_000_000 };
            let times = simulate(seed, path, async |network: Network| {
                let one = network.bind(at(0)).await.unwrap();
                let to = one.address().unwrap();
                let began = Instant::now();
                let mut times = Vec::new();
                for _ in 0..5 {
                    one.send(b"x", to).await;
                    one.receive().await.unwrap();
                    times.push(began.elapsed());
                }
                times
            });
            times.unwrap()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
