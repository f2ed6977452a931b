//! The network that a client or a grid is on: the system's, or one in memory.

use super::http::{HttpError, Reply, Request};
use super::port::Socket;
use super::server::Listener;
use super::simulation::Simulation;
use super::{Chance, reach};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// A network, with the clock and the chances of whoever is on it. Clones are the same network.
#[derive(Clone, Debug, Default)]
pub enum Network {
    /// The system's sockets, the system's clock.
    #[default]
    System,
    /// Datagrams and requests in memory, and a clock that jumps when nobody has work.
    Simulated(Arc<Simulation>),
}

impl Network {
    /// Whether nothing of it is real.
    pub fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }

    /// The time of day there.
    pub fn now(&self) -> jiff::Timestamp {
        match self {
            Self::System => jiff::Timestamp::now(),
            Self::Simulated(simulation) => simulation.now(),
        }
    }

    /// Where ids and random numbers come from there.
    pub fn chance(&self) -> Chance {
        match self {
            Self::System => Chance::default(),
            Self::Simulated(simulation) => simulation.chance(),
        }
    }

    /// Binds a UDP socket; port 0 is a free one.
    ///
    /// # Errors
    /// The address is taken, or not this machine's.
    pub async fn bind(&self, address: SocketAddr) -> std::io::Result<Socket> {
        match self {
            Self::System => Socket::bind(address).await,
            Self::Simulated(simulation) => Socket::simulated(simulation, address),
        }
    }

    /// Binds an HTTP listener; port 0 is a free one.
    ///
    /// # Errors
    /// The address is taken, or not this machine's.
    pub async fn listen(&self, address: SocketAddr) -> std::io::Result<Listener> {
        match self {
            Self::System => TcpListener::bind(address).await.map(Listener::System),
            Self::Simulated(simulation) => {
                let address = simulation.free(address)?;
                Ok(Listener::Simulated(simulation.clone(), address))
            }
        }
    }

    /// Whether nobody listens on a UDP port, as far as can be told.
    pub async fn is_closed(&self, port: SocketAddr) -> bool {
        match self {
            Self::System => reach::is_closed(port).await,
            Self::Simulated(simulation) => !simulation.is_bound(port),
        }
    }

    /// Whether a TCP connection to `host:port` is accepted.
    ///
    /// # Errors
    /// In words why not.
    pub async fn accepts(&self, authority: &str, within: Duration) -> Result<(), String> {
        match self {
            Self::System => reach::accepts(authority, within).await,
            Self::Simulated(simulation) => match simulation.is_served(authority) {
                true => Ok(()),
                false => Err(REFUSED.into()),
            },
        }
    }
}

/// What a system says where nobody listens.
const REFUSED: &str = "Connection refused (os error 111)";

/// Asks a simulated server.
pub(super) async fn ask(simulation: &Simulation, request: Request) -> Result<Reply, HttpError> {
    simulation.ask(request).await.unwrap_or_else(|| Err(HttpError::Connect(REFUSED.into())))
}
