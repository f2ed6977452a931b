//! The protocol core: bytes to meaning and back, and state machines.
//!
//! Nothing here touches a socket, a clock, a thread, a file or a random source: `now` and bytes
//! come in; bytes, events and deadlines go out. Both peers, client and grid, use the same code.

pub mod circuit;
pub mod event_queue;
pub mod handshake;
pub mod id;
pub mod inventory;
pub mod llsd;
pub mod login;
pub mod message;
pub mod names;
pub(crate) mod number;
pub mod seed;
pub mod teleport;
pub mod template;
mod xml;
pub mod xmlrpc;
