//! The driver that runs one client circuit on a UDP socket.

use super::port::Socket;
use super::tap::{Passed, Teller};
use super::{CircuitName, Undecodable};
use super::{Clock, Impairments, Network};
use crate::proto::circuit::{Circuit, Config, Event, Handled, SendOptions};
use crate::proto::handshake;
use crate::proto::id::{AgentId, Sequence, SessionId};
use crate::proto::message::{Decoder, EncodeError, Flags, Header, Message};
use crate::proto::template::Template;
use crate::tamper::{Direction, Tamper};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
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
        let remote = options.remote;
        let (commands, receiver) = mpsc::unbounded_channel();
        let muted = Arc::new(AtomicBool::new(false));
        let silent = muted.clone();
        let signs = Arc::<Signs>::default();
        let clock = Clock::start();
        let circuit = Circuit::new(options.config.clone(), options.template.clone(), clock.now());
        let driver = Driver {
            port,
            clock,
            circuit,
            decoder: Decoder::tolerant(),
            late: BTreeMap::new(),
            late_count: 0,
            options,
            signs: signs.clone(),
            muted: muted.clone(),
            seen: Box::new(move |what| {
                if !silent.load(Ordering::Relaxed) {
                    seen(what);
                }
            }),
        };
        tokio::spawn(driver.run(receiver));
        Ok(Self { commands, local, remote, muted, signs })
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

    /// Whether the circuit still runs.
    pub fn is_open(&self) -> bool {
        !self.commands.is_closed()
    }
}

/// So many datagrams are taken before anything else has its turn.
const BURST: usize = 16;

/// How long a port is kept, in first resend times: these double five times.
const LINGER: u32 = 64;

struct Driver {
    port: Socket,
    clock: Clock,
    circuit: Circuit,
    decoder: Decoder,
    /// Datagrams that a rule holds back, by when they go on.
    late: BTreeMap<(Duration, u64), (Direction, Vec<u8>)>,
    late_count: u64,
    options: CircuitOptions,
    signs: Arc<Signs>,
    muted: Arc<AtomicBool>,
    seen: Box<dyn Fn(CircuitEvent) + Send>,
}

impl Driver {
    /// Runs the circuit; when it has ended, keeps its port for as long as the simulator may still
    /// send to it: what is meant for this circuit must not reach the next one.
    async fn run(mut self, commands: mpsc::UnboundedReceiver<Command>) {
        self.drive(commands).await;
        let linger = self.options.config.resend_first * LINGER;
        let port = self.into_port();
        tokio::time::sleep(linger).await;
        drop(port);
    }

    /// The port alone: everything else of the circuit is over.
    fn into_port(self) -> Socket {
        self.port
    }

    async fn drive(&mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            self.flush().await;
            if self.circuit.is_closed() {
                return;
            }
            let late = self.late.keys().next().map(|(at, _)| *at);
            let due = self.circuit.poll_timeout().into_iter().chain(late).min();
            let due = due.unwrap_or(self.clock.now() + Duration::from_secs(3600));
            // However much arrives, what is asked and what is due has its turn.
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Close) | None => {
                        // What came last is acknowledged too: a simulator may keep the session
                        // until it knows that its LogoutReply was read.
                        self.circuit.flush_acks(self.clock.now());
                        self.flush().await;
                        return;
                    }
                    Some(command) => self.handle_command(command).await,
                },
                () = tokio::time::sleep_until(self.clock.instant(due)) => {
                    self.circuit.handle_timeout(self.clock.now());
                    self.deliver_late().await;
                }
                received = self.port.receive() => self.arrive_all(received.ok()).await,
            }
        }
    }

    async fn handle_command(&mut self, command: Command) {
        match command {
            Command::Send(message, options, reply) => {
                let sent = self.circuit.send(self.clock.now(), &message, options);
                let _ = reply.send(sent.map_err(SendError::from));
            }
            Command::Raw(bytes) => {
                self.options.teller.tell(|| Passed::Raw(bytes.len(), self.options.name.get()));
                self.port.send(&bytes, self.options.remote).await;
            }
            Command::NextSequence(set, reply) => {
                if let Some(next) = set {
                    self.circuit.set_next_sequence(next);
                }
                let _ = reply.send(self.circuit.next_sequence());
            }
            Command::Configure(change) => change(&mut self.circuit),
            Command::Repair => self.options.tamper = None,
            Command::Close => {}
        }
    }

    /// Sends what the circuit has to send, tells what it has to tell.
    async fn flush(&mut self) {
        while let Some(transmit) = self.circuit.poll_transmit() {
            self.log(&transmit.bytes, Direction::Out);
            match &mut self.options.tamper {
                None => self.port.send(&transmit.bytes, self.options.remote).await,
                Some(tamper) => {
                    let name = name(&mut self.decoder, &self.options.template, &transmit.bytes);
                    let number = sequence(&transmit.bytes);
                    let out = tamper.pass(Direction::Out, &name, transmit.bytes);
                    self.note_faults(&out, (&name, number), Direction::Out);
                    self.schedule(Direction::Out, out).await;
                }
            }
        }
        while let Some(event) = self.circuit.poll_event() {
            match event {
                // Every ack is told as it arrives, tracked or not.
                Event::Acked(..) => {}
                Event::ResendsExhausted(sequence) => {
                    self.options.teller.tell(|| Passed::ResendsExhausted(sequence));
                    (self.seen)(CircuitEvent::ResendsExhausted(sequence));
                }
                Event::TimedOut => {
                    self.options.teller.tell(|| Passed::Closed);
                    (self.seen)(CircuitEvent::TimedOut);
                }
            }
        }
    }

    /// Takes what has arrived, and what has come behind it, as much as may be taken at once.
    async fn arrive_all(&mut self, first: Option<(Vec<u8>, SocketAddr)>) {
        // None is received that has no turn any more: it would be lost.
        let more = std::iter::from_fn(|| self.port.received()).take(BURST - 1);
        let all: Vec<_> = first.into_iter().chain(more).collect();
        for (bytes, from) in all {
            if from == self.options.remote {
                self.arrive(&bytes).await;
            }
        }
    }

    async fn arrive(&mut self, bytes: &[u8]) {
        if self.options.tamper.is_none() {
            return self.take(bytes);
        }
        let name = name(&mut self.decoder, &self.options.template, bytes);
        if let Some(tamper) = &mut self.options.tamper {
            let out = tamper.pass(Direction::In, &name, bytes.to_vec());
            self.note_faults(&out, (&name, sequence(bytes)), Direction::In);
            self.schedule(Direction::In, out).await;
        }
    }

    fn note_faults(
        &self,
        out: &[(Duration, Vec<u8>)],
        message: (&str, Sequence),
        direction: Direction,
    ) {
        let tamper = self.options.tamper.as_ref();
        for action in tamper.into_iter().flat_map(Tamper::done) {
            self.options.impairments.met(message, direction, action, self.clock.now());
        }
        let name = message.0;
        let how = match out {
            [] => "held back or dropped",
            [(delay, _)] if delay.is_zero() => return,
            [_] => "delayed",
            _ => "doubled or reordered",
        };
        self.options.teller.tell(|| Passed::Impaired(direction, format!("{name} {how}")));
    }

    async fn schedule(&mut self, direction: Direction, out: Vec<(Duration, Vec<u8>)>) {
        for (delay, bytes) in out {
            if delay.is_zero() {
                self.pass_on(direction, &bytes).await;
            } else {
                self.late_count += 1;
                self.late.insert((self.clock.now() + delay, self.late_count), (direction, bytes));
            }
        }
    }

    async fn deliver_late(&mut self) {
        while let Some(entry) = self.late.first_entry() {
            if entry.key().0 > self.clock.now() {
                return;
            }
            let (direction, bytes) = entry.remove();
            self.pass_on(direction, &bytes).await;
        }
    }

    async fn pass_on(&mut self, direction: Direction, bytes: &[u8]) {
        let resent = bytes.first().is_some_and(|flags| Flags(*flags).has(Flags::RESENT));
        self.options.impairments.passed(sequence(bytes), direction, resent, self.clock.now());
        match direction {
            Direction::Out => self.port.send(bytes, self.options.remote).await,
            Direction::In => self.take(bytes),
        }
    }

    /// A datagram has arrived for good.
    fn take(&mut self, bytes: &[u8]) {
        self.log(bytes, Direction::In);
        self.signs.heard.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now();
        let packet = match self.decoder.decode(&self.options.template, bytes) {
            Ok(packet) => packet,
            Err(error) => {
                let how = Undecodable::of(error, bytes, &mut self.decoder, &self.options.template);
                return (self.seen)(CircuitEvent::Bad(sequence(bytes), how));
            }
        };
        if packet.name() != "PacketAck" {
            self.signs.spoken.store(true, Ordering::Relaxed);
        }
        let handled = self.circuit.handle(now, &packet);
        let acks: Vec<Sequence> = packet.acknowledged().collect();
        if !acks.is_empty() {
            (self.seen)(CircuitEvent::Acks(acks));
        }
        if let (Some((agent, session)), "RegionHandshake") = (self.options.handshake, packet.name())
            && handled == Handled::Deliver
        {
            let reply = handshake::reply(&self.options.template, agent, session);
            let _ = self.circuit.send(now, &reply, SendOptions::RELIABLE);
        }
        // Whoever hears nothing needs no message: in a crowd that is most of the work.
        if self.muted.load(Ordering::Relaxed) {
            return;
        }
        let message = packet.to_message();
        (self.seen)(CircuitEvent::Message {
            header: packet.header,
            size: bytes.len(),
            duplicate: handled == Handled::Duplicate,
            body: packet.body().to_vec(),
            extra: packet.extra.len(),
            empty_run: packet.has_empty_run(bytes),
            trailing: packet.unexplained(),
            message,
        });
    }

    fn log(&mut self, bytes: &[u8], direction: Direction) {
        let Self { options, decoder, .. } = self;
        options.teller.tell(|| {
            let read = match decoder.decode(&options.template, bytes) {
                Ok(packet) => {
                    let acks = packet.acknowledged().collect();
                    Ok((packet.header, packet.name().to_owned(), acks))
                }
                Err(error) => Err(format!("undecodable, {} bytes: {error}", bytes.len())),
            };
            Passed::Datagram(direction, options.name.get(), read)
        });
    }
}

/// The number of a datagram; 0 if it is too short to have one.
fn sequence(bytes: &[u8]) -> Sequence {
    let number = bytes.get(1..).and_then(|rest| rest.first_chunk());
    number.map_or(Sequence(0), |number| Sequence::from_be_bytes(*number))
}

/// The name of the message in a datagram; empty if it does not decode.
fn name(decoder: &mut Decoder, template: &Template, bytes: &[u8]) -> String {
    decoder.decode(template, bytes).map(|packet| packet.name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
