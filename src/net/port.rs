//! A UDP socket.

use super::simulation::{SimulatedPort, Simulation};
use crate::proto::message::MAX_DATAGRAM;
use socket2::SockRef;
use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;

/// A bound UDP socket.
#[derive(Debug)]
pub struct Socket(Kind);

#[derive(Debug)]
enum Kind {
    System(UdpSocket),
    Simulated(SimulatedPort),
}

fn received(socket: &UdpSocket) -> std::io::Result<(Vec<u8>, SocketAddr)> {
    thread_local! {
        /// Room for the largest datagram; one for each thread, not one for each socket.
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_DATAGRAM]);
    }
    BUFFER.with_borrow_mut(|buffer| {
        let (len, from) = socket.try_recv_from(buffer)?;
        Ok((buffer[..len].to_vec(), from))
    })
}

/// What a socket may hold before it is read, in bytes; the system may allow less. Its usual room
/// is for some 160 small datagrams, which a region full of avatars sends while a machine is busy.
const ROOM: usize = 4 << 20;

impl Socket {
    /// Binds a socket of the system.
    pub(super) async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        // With less room more is lost, as a wire would lose it: no reason to give up.
        let _ = SockRef::from(&socket).set_recv_buffer_size(ROOM);
        Ok(Self(Kind::System(socket)))
    }

    /// Binds a socket of a simulated network.
    pub(super) fn simulated(
        simulation: &Arc<Simulation>,
        address: SocketAddr,
    ) -> std::io::Result<Self> {
        SimulatedPort::bind(simulation, address).map(|port| Self(Kind::Simulated(port)))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        match &self.0 {
            Kind::System(socket) => socket.local_addr(),
            Kind::Simulated(port) => Ok(port.address()),
        }
    }

    /// The next datagram and its sender.
    ///
    /// # Errors
    /// The socket failed.
    pub async fn receive(&self) -> std::io::Result<(Vec<u8>, SocketAddr)> {
        let socket = match &self.0 {
            Kind::System(socket) => socket,
            Kind::Simulated(port) => return Ok(port.receive().await),
        };
        loop {
            socket.readable().await?;
            match received(socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                received => return received,
            }
        }
    }

    /// A datagram that has arrived already, if one has. On a simulated network each is received by
    /// itself, in its time.
    pub(super) fn received(&self) -> Option<(Vec<u8>, SocketAddr)> {
        match &self.0 {
            Kind::System(socket) => received(socket).ok(),
            Kind::Simulated(_) => None,
        }
    }

    /// Sends a datagram. A full buffer or a vanished peer loses it, as a wire would.
    pub async fn send(&self, bytes: &[u8], to: SocketAddr) {
        match &self.0 {
            Kind::System(socket) => drop(socket.send_to(bytes, to).await),
            Kind::Simulated(port) => port.send(bytes, to),
        }
    }
}
