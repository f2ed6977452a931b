//! The reference grid: a real small grid on loopback, or on a simulated network.
//!
//! `core` is a grid without a socket or a clock; `room` is what it does for its visitors, one
//! room for each area; `shell` feeds the core from sockets and carries out what it says.

#[cfg(test)]
mod bench;
mod config;
mod core;
mod fault;
mod inventory;
mod misbehaviour;
mod room;
mod shell;

pub use config::{Account, GridConfig, RegionConfig};
pub use fault::Faults;
pub use inventory::StoreError;
pub use misbehaviour::Misbehaviour;
pub use room::{events, granted, misbehaviours};

use self::core::{Beginning, Core, Place, Routes};
use crate::net::{Network, tap};
use crate::proto::id::AgentId;
use crate::proto::template::Template;
use inventory::{Inventories, Store};
use shell::Shared;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
pub struct Grid {
    /// Where to log in.
    pub login_uri: String,
    /// The regions, with the ports they got.
    pub regions: Vec<tap::Region>,
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// How many times faster than the protocol's figures its timers run.
    pub time_factor: u32,
    network: Network,
    shared: Shared,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Grid {
    /// Binds every socket and starts serving.
    ///
    /// # Errors
    /// An address is in use, or the inventories cannot be opened: in words.
    pub async fn start(config: GridConfig) -> std::io::Result<Self> {
        let routes = Routes::new(room::ROOMS, Template::shipped()).map_err(other)?;
        let store = config.data.as_deref().map(Store::open).transpose().map_err(other)?;
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
        let ip = match host {
            std::net::IpAddr::V4(ip) => ip,
            std::net::IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
        };
        let (mut ports, mut regions, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for region in &config.regions {
            let port = config.network.bind(SocketAddr::new(http.ip(), region.port)).await?;
            let udp_port = port.address()?.port();
            let (name, closed) = (region.name.clone(), region.closed);
            let (x, y, address) = (region.x, region.y, SocketAddrV4::new(ip, udp_port));
            places.push(Place { name: name.clone(), x, y, address, closed });
            regions.push(tap::Region { name, x, y, udp_port, closed });
            ports.push(port);
        }
        let chance = config.network.chance();
        let (accounts, time_factor) = (config.accounts.clone(), config.time_factor);
        let network = config.network.clone();
        let shared = Shared::new(Core::new(Beginning {
            login_uri: login_uri.clone(),
            places,
            inventories: Inventories::new(store.clone(), config.faults.clone(), chance.clone()),
            routes,
            chance,
            started: network.now(),
            config,
        }));
        let (stop, stopped) = watch::channel(false);
        let tasks = shell::start(&shared, ports, listener, store, &stopped);
        Ok(Self { login_uri, regions, accounts, time_factor, network, shared, stop, tasks })
    }

    /// The network it is on.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What went wrong in it that is nobody's fault but this program's: handlers that panicked,
    /// messages that could not be written.
    pub fn mistakes(&self) -> Vec<String> {
        self.shared.core().notices.mistakes()
    }

    /// How many avatars are logged in.
    pub fn population(&self) -> usize {
        self.shared.core().world.population()
    }

    /// The names of those who may log in, by their agent ids.
    pub fn names(&self) -> BTreeMap<AgentId, String> {
        self.shared.core().world.names().collect()
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

impl std::fmt::Debug for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grid").field("login_uri", &self.login_uri).finish_non_exhaustive()
    }
}

fn other(error: impl std::fmt::Display) -> std::io::Error {
    std::io::Error::other(error.to_string())
}
