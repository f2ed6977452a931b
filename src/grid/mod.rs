//! The reference grid: a real small grid on loopback.
//!
//! `world` is a pure model of who is where; the shells around it are the HTTP side, `web`, and one
//! UDP task per region.

mod capability;
mod caps;
mod circuits;
mod config;
mod fault;
mod features;
mod handshake;
mod inventory;
mod inworld;
mod login;
mod messages;
mod notices;
mod oddity;
mod policy;
mod presence;
mod region;
mod reply;
mod scene;
mod simulator;
mod teleport;
mod travel;
mod walking;
mod web;
mod witness;
mod world;

pub use caps::{EVENTS, GRANTED};
pub use config::{Account, GridConfig, RegionConfig};
pub use fault::{Faults, Said, Tap};
pub use inventory::StoreError;
pub use oddity::{UNKNOWN_EVENT, is_odd};
pub use policy::Policy;
pub use witness::{Heard, Received, What, Witness};

use crate::net::{Network, server};
use crate::proto::template::Template;
use inventory::Inventories;
use notices::Notices;
use region::Order;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;
use witness::Ear;
use world::World;

/// Messages that circuits, viewer and simulator build by themselves: a template without one of
/// them cannot carry a session.
pub const NEEDED_MESSAGES: &[&str] = &[
    "PacketAck",
    "StartPingCheck",
    "CompletePingCheck",
    "UseCircuitCode",
    "CompleteAgentMovement",
    "RegionHandshakeReply",
    "AgentThrottle",
    "AgentUpdate",
    "LogoutRequest",
];

/// A running grid. Dropping it stops it.
#[derive(Debug)]
pub struct Grid {
    /// Where to log in.
    pub login_uri: String,
    /// The regions, with the ports they got.
    pub regions: Vec<RunningRegion>,
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// How many times faster than the protocol's figures its timers run.
    pub time_factor: u32,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// A region as it runs.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RunningRegion {
    /// Its name.
    pub name: String,
    /// Grid coordinate, in regions of 256 metres.
    pub x: u32,
    /// Grid coordinate, in regions of 256 metres.
    pub y: u32,
    /// Where it listens on UDP.
    pub udp_port: u16,
    /// Nobody is let in who comes from another region.
    pub closed: bool,
}

/// What all shells share.
pub(crate) struct Shared {
    world: Mutex<World>,
    inventories: Mutex<Inventories>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    template: Arc<Template>,
    config: GridConfig,
    login_uri: String,
    ear: Ear,
    notices: Notices,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("login_uri", &self.login_uri).finish_non_exhaustive()
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inventories(&self) -> MutexGuard<'_, Inventories> {
        self.inventories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a region lets nobody in.
    fn is_closed(&self, region: usize) -> bool {
        let closed = self.config.regions.get(region).is_some_and(|region| region.closed);
        closed && !self.config.faults.breaks(Policy::NothingClosed)
    }

    /// Tells a region to do something.
    fn order(&self, region: usize, order: Order) {
        if let Some(orders) = self.orders.get(region) {
            let _ = orders.send(order);
        }
    }
}

impl Grid {
    /// Binds every socket and starts serving.
    pub async fn start(config: GridConfig) -> std::io::Result<Self> {
        let inventories = Inventories::open(
            config.data.as_deref(),
            config.faults.clone(),
            config.network.clone(),
        );
        let inventories = inventories.map_err(std::io::Error::other)?;
        let busy = |error: std::io::Error| {
            std::io::Error::new(error.kind(), format!("{} cannot be used: {error}", config.http))
        };
        let listener = config.network.listen(config.http).await.map_err(busy)?;
        let http = listener.address()?;
        let host = match http.ip() {
            ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            ip => ip,
        };
        let login_uri = format!("http://{}/", SocketAddr::new(host, http.port()));
        let mut ports = Vec::new();
        let mut regions = Vec::new();
        for region in &config.regions {
            let port = config.network.bind(SocketAddr::new(http.ip(), region.port)).await?;
            let udp_port = port.address()?.port();
            regions.push(RunningRegion {
                name: region.name.clone(),
                x: region.x,
                y: region.y,
                udp_port,
                closed: region.closed,
            });
            ports.push(port);
        }
        let ip = match host {
            std::net::IpAddr::V4(ip) => ip,
            std::net::IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
        };
        let places = regions.iter().map(|r| world::Place {
            name: r.name.clone(),
            x: r.x,
            y: r.y,
            address: SocketAddrV4::new(ip, r.udp_port),
            closed: r.closed,
        });
        let world = World::new(
            config.accounts.clone(),
            places.collect(),
            login_uri.clone(),
            config.faults.clone(),
            config.network.chance(),
        );
        let (orders, receivers): (Vec<_>, Vec<_>) =
            ports.iter().map(|_| mpsc::unbounded_channel()).unzip();
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            inventories: Mutex::new(inventories),
            orders,
            template: Template::shipped().clone(),
            login_uri: login_uri.clone(),
            ear: Ear::new(config.witness.clone()),
            notices: Notices::default(),
            config,
        });
        let mut tasks = Vec::new();
        for (index, (port, orders)) in ports.into_iter().zip(receivers).enumerate() {
            let region = region::Region::new(index, port, shared.clone());
            tasks.push(tokio::spawn(region.run(orders, stopped.clone())));
        }
        let web = Arc::new(web::Web(shared.clone()));
        tasks.push(tokio::spawn(server::serve(listener, web, stopped)));
        Ok(Self {
            login_uri,
            regions,
            accounts: shared.config.accounts.clone(),
            time_factor: shared.config.time_factor,
            shared,
            stop,
            tasks,
        })
    }

    /// The network it is on.
    pub fn network(&self) -> &Network {
        &self.shared.config.network
    }

    /// What went wrong in it that is nobody's fault but this program's: handlers that panicked,
    /// messages that could not be written.
    pub fn mistakes(&self) -> Vec<String> {
        self.shared.notices.mistakes()
    }

    /// How many avatars are logged in.
    pub fn population(&self) -> usize {
        self.shared.world().population()
    }

    /// The name of the account that has this agent id.
    pub fn name_of(&self, agent: Uuid) -> Option<String> {
        self.shared.world().name_of(agent).map(|(first, last)| format!("{first} {last}"))
    }

    /// Stops serving and waits until every task has ended.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}
