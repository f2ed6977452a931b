//! Sockets and HTTP: the only room that opens any.

pub mod clock;
pub mod http;
pub mod mending;
pub mod port;
pub mod reach;
pub mod server;
pub mod timeline;
pub mod udp;

pub use clock::Clock;
pub use mending::{Mended, Mending};
pub use timeline::{Channel, Entry, Timeline};
