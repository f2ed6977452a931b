//! Sockets and HTTP: the only room that opens any.

mod chance;
mod circuit_name;
pub mod clock;
pub mod http;
pub mod impairments;
mod network;
pub mod port;
pub mod reach;
pub mod server;
mod simulation;
pub mod tap;
pub mod timeline;
pub mod udp;
mod undecodable;

pub use chance::Chance;
pub use circuit_name::CircuitName;
pub use clock::Clock;
pub use impairments::{Impairment, Impairments};
pub use network::Network;
pub use simulation::{Path, Simulation, simulate};
pub use timeline::{Channel, Entry, Timeline};
pub use undecodable::Undecodable;
