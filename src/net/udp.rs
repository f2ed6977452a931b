//! One client circuit on a UDP socket: the hand on it, what it is told and what it saw.

mod driver;

use super::tap::Teller;
use super::{CircuitName, Undecodable};
use super::{Impairments, Network};
use crate::proto::circuit::{Circuit, Config, SendOptions};
use crate::proto::id::{AgentId, Sequence, SessionId};
use crate::proto::message::{EncodeError, Header, Message};
use crate::proto::template::Template;
use crate::tamper::Tamper;
use driver::Driver;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// What a link saw.
#[derive(Clone, Debug)]
pub enum CircuitEvent {
    /// A message, new to the circuit.
    Message {
        /// The message.
        message: Message,
        /// Flags and sequence number.
        header: Header,
        /// The size of the datagram.
        size: usize,
        /// A reliable message seen before.
        duplicate: bool,
        /// The bytes after the number, for comparing resends.
        body: Vec<u8>,
        /// The length of the extra header.
        extra: usize,
        /// Its zero-coded part has a run of no zeros, which nobody should send.
        empty_run: bool,
        /// How many bytes stand behind its last block, of no block that is known.
        trailing: usize,
    },
    /// These of our numbers were acknowledged, by a `PacketAck`, a trailer or both.
    Acks(Vec<Sequence>),
    /// A message of ours was given up.
    ResendsExhausted(Sequence),
    /// A datagram of this number that does not decode, and how.
    Bad(Sequence, Undecodable),
    /// The peer was silent for too long.
    TimedOut,
}

/// What a link is told to do.
enum Command {
    Send(Box<Message>, SendOptions, oneshot::Sender<Result<Sequence, SendError>>),
    Raw(Vec<u8>),
    NextSequence(Option<Sequence>, oneshot::Sender<Sequence>),
    Configure(Box<dyn FnOnce(&mut Circuit) + Send>),
    Repair,
    Close,
}

/// A hand on a running circuit. Dropping it closes the circuit.
#[derive(Debug)]
pub struct CircuitHandle {
    commands: mpsc::UnboundedSender<Command>,
    local: SocketAddr,
    remote: SocketAddr,
    name: CircuitName,
    muted: Arc<AtomicBool>,
    signs: Arc<Signs>,
}

/// What shows that a peer is there.
#[derive(Debug, Default)]
struct Signs {
    /// Datagrams that arrived.
    heard: AtomicU64,
    /// One of them was more than acks.
    spoken: AtomicBool,
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It cannot be written.
    #[error(transparent)]
    Unwritten(#[from] EncodeError),
    /// The circuit has ended.
    #[error("the circuit is closed")]
    Closed,
}

/// How a link is opened.
pub struct CircuitOptions {
    /// The network it is on.
    pub network: Network,
    /// The simulator's address.
    pub remote: SocketAddr,
    /// The circuit's figures.
    pub config: Config,
    /// The messages.
    pub template: Arc<Template>,
    /// Faults on the wire.
    pub tamper: Option<Tamper>,
    /// What they did, and who made up for it.
    pub impairments: Impairments,
    /// Answer RegionHandshake by itself, as this agent in this session.
    pub handshake: Option<(AgentId, SessionId)>,
    /// What passes is told by it,
    pub teller: Teller,
    /// as passing on the circuit of this name.
    pub name: CircuitName,
}

impl CircuitHandle {
    /// Binds a port and starts the circuit; `seen` is called for everything that arrives.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn open(
        options: CircuitOptions,
        seen: impl Fn(CircuitEvent) + Send + 'static,
    ) -> std::io::Result<Self> {
        let any: SocketAddr = match options.remote.ip().is_loopback() {
            true => ([127, 0, 0, 1], 0).into(),
            false => ([0, 0, 0, 0], 0).into(),
        };
        let port = options.network.bind(any).await?;
        let local = port.address()?;
        let (remote, name) = (options.remote, options.name.clone());
        let (commands, receiver) = mpsc::unbounded_channel();
        let muted = Arc::new(AtomicBool::new(false));
        let silent = muted.clone();
        let signs = Arc::<Signs>::default();
        let seen = move |what| {
            if !silent.load(Ordering::Relaxed) {
                seen(what);
            }
        };
        let driver = Driver::new(port, options, signs.clone(), muted.clone(), Box::new(seen));
        tokio::spawn(driver.run(receiver));
        Ok(Self { commands, local, remote, name, muted, signs })
    }

    /// Whether nothing more is told of what arrives.
    pub fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// How many datagrams have arrived.
    pub fn heard(&self) -> u64 {
        self.signs.heard.load(Ordering::Relaxed)
    }

    /// Whether the simulator has said more than acks.
    pub fn has_spoken(&self) -> bool {
        self.signs.spoken.load(Ordering::Relaxed)
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The simulator's end.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// What it is called: whoever changes that changes it everywhere.
    pub fn name(&self) -> &CircuitName {
        &self.name
    }

    /// Sends a message and tells its number.
    ///
    /// # Errors
    /// The message cannot be written, or the circuit has ended.
    pub async fn send(
        &self,
        message: Message,
        options: SendOptions,
    ) -> Result<Sequence, SendError> {
        let (reply, answer) = oneshot::channel();
        let _ = self.commands.send(Command::Send(Box::new(message), options, reply));
        answer.await.unwrap_or(Err(SendError::Closed))
    }

    /// Puts bytes on the wire as they are.
    pub fn raw(&self, bytes: Vec<u8>) {
        let _ = self.commands.send(Command::Raw(bytes));
    }

    /// The number the next message gets; set first, if one is given.
    pub async fn next_sequence(&self, set: Option<Sequence>) -> Sequence {
        let (reply, answer) = oneshot::channel();
        let _ = self.commands.send(Command::NextSequence(set, reply));
        answer.await.unwrap_or_default()
    }

    /// Changes the circuit while it runs.
    pub fn configure(&self, change: impl FnOnce(&mut Circuit) + Send + 'static) {
        let _ = self.commands.send(Command::Configure(Box::new(change)));
    }

    /// From now on nothing is done to what passes.
    pub fn repair(&self) {
        let _ = self.commands.send(Command::Repair);
    }

    /// Stops the circuit and closes the port.
    pub fn close(&self) {
        let _ = self.commands.send(Command::Close);
    }

    /// Waits until the circuit has stopped: from then on nothing of it is sent any more.
    pub async fn stopped(&self) {
        self.commands.closed().await;
    }

    /// Somebody who says things on it for as long as it runs.
    pub fn speaker(&self) -> Speaker {
        Speaker(self.commands.downgrade())
    }

    /// Whether the circuit still runs.
    pub fn is_open(&self) -> bool {
        !self.commands.is_closed()
    }
}

/// Says things on a circuit without keeping it open.
#[derive(Clone, Debug)]
pub struct Speaker(mpsc::WeakUnboundedSender<Command>);

impl Speaker {
    /// Sends a message, whatever becomes of it; false once the circuit has ended.
    pub fn say(&self, message: Message, options: SendOptions) -> bool {
        let Some(commands) = self.0.upgrade() else { return false };
        let (reply, _) = oneshot::channel();
        commands.send(Command::Send(Box::new(message), options, reply)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// On real sockets: a simulated network hands datagrams out one by one.
    #[tokio::test]
    async fn nothing_of_a_burst_is_lost() {
        const MANY: u32 = 200;
        let network = Network::System;
        let any = ([127, 0, 0, 1], 0).into();
        let simulator = network.bind(any).await.unwrap();
        let template = Template::shipped();
        let options = CircuitOptions {
            network,
            remote: simulator.address().unwrap(),
            config: Config::viewer(),
            template: template.clone(),
            tamper: None,
            impairments: Impairments::default(),
            handshake: None,
            teller: Teller::new(super::super::tap::Tap::default(), "jane"),
            name: CircuitName::new("root"),
        };
        let (told, mut heard) = mpsc::unbounded_channel();
        let link = CircuitHandle::open(options, move |event| {
            if let CircuitEvent::Message { header, .. } = event {
                let _ = told.send(header.sequence);
            }
        });
        let link = link.await.unwrap();
        let mut peer = Circuit::new(Config::simulator(), template.clone(), Duration::ZERO);
        let pong = Message::named(template, "CompletePingCheck");
        for _ in 0..MANY {
            peer.send(Duration::ZERO, &pong, SendOptions::UNRELIABLE).unwrap();
            let sent = peer.poll_transmit().unwrap();
            simulator.send(&sent.bytes, link.local()).await;
        }
        for number in 1..=MANY {
            let next = tokio::time::timeout(Duration::from_secs(10), heard.recv()).await;
            assert_eq!(next, Ok(Some(Sequence(number))));
        }
    }
}
