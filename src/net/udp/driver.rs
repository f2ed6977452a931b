//! Runs one circuit on its port until it has ended.

use super::{CircuitEvent, CircuitOptions, Command, SendError, Signs};
use crate::net::Clock;
use crate::net::Undecodable;
use crate::net::port::Socket;
use crate::net::tap::Passed;
use crate::proto::circuit::{Circuit, Event, Handled, SendOptions};
use crate::proto::handshake;
use crate::proto::id::Sequence;
use crate::proto::message::{Decoder, Flags};
use crate::proto::template::Template;
use crate::tamper::{Direction, Tamper};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// So many datagrams are taken before anything else has its turn.
const BURST: usize = 16;

/// How long a port is kept, in first resend times: these double five times.
const LINGER: u32 = 64;

/// A circuit that runs.
pub(super) struct Driver {
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
    /// Starts a circuit on a port.
    pub(super) fn new(
        port: Socket,
        options: CircuitOptions,
        signs: Arc<Signs>,
        muted: Arc<AtomicBool>,
        seen: Box<dyn Fn(CircuitEvent) + Send>,
    ) -> Self {
        let clock = Clock::start();
        let circuit = Circuit::new(options.config.clone(), options.template.clone(), clock.now());
        let (decoder, late) = (Decoder::tolerant(), BTreeMap::new());
        Self { port, clock, circuit, decoder, late, late_count: 0, options, signs, muted, seen }
    }

    /// Runs the circuit; when it has ended, keeps its port for as long as the simulator may still
    /// send to it: what is meant for this circuit must not reach the next one.
    pub(super) async fn run(mut self, commands: mpsc::UnboundedReceiver<Command>) {
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
