//! One end of a circuit: sequence numbers, acknowledging, resending, duplicate suppression, pings
//! and closing. Both ends, viewer and simulator, are the same machine with other figures.

mod ack;
mod config;
mod resend;
#[cfg(test)]
mod tests;

pub use config::Config;

use super::message::{
    EncodeError, Encoder, Field, Flags, Header, MIN_DATAGRAM, Message, Packet, append_acks,
};
use super::template::Template;
use crate::proto::id::Sequence;
use ack::{DuplicateFilter, PendingAcks};
use resend::{Unacked, numbered};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A point in time, as a duration since whenever the caller's clock started.
pub type Instant = Duration;

/// How a message is sent.
#[derive(Clone, Debug, Default)]
pub struct SendOptions {
    /// Ask for an acknowledgement and resend until it comes.
    pub reliable: bool,
    /// Use this number instead of the next one, and do not resend.
    pub sequence: Option<Sequence>,
    /// Further flag bits: for probes.
    pub flags: u8,
    /// Acks to append, besides those owed: for probes.
    pub acks: Vec<Sequence>,
}

impl SendOptions {
    /// Reliable, with the next number.
    pub const RELIABLE: Self = Self { reliable: true, sequence: None, flags: 0, acks: Vec::new() };
    /// Unreliable, with the next number.
    pub const UNRELIABLE: Self =
        Self { reliable: false, sequence: None, flags: 0, acks: Vec::new() };
}

/// What became of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// New: the application should see it.
    Deliver,
    /// A reliable packet seen before: acknowledged again, not to be processed.
    Duplicate,
    /// The circuit is closed; nothing was done.
    Closed,
}

/// What the application should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A reliable packet was acknowledged, after this time and this many resends.
    Acked(Sequence, Duration, u32),
    /// A reliable packet was never acknowledged; it will not be sent again.
    ResendsExhausted(Sequence),
    /// The peer was silent for too long; the circuit is closed.
    TimedOut,
}

/// A datagram to put on the wire.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The sequence number in them.
    pub sequence: Sequence,
}

/// The timers a circuit keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// The oldest owed ack has waited long enough for company.
    Ack,
    /// The next unacknowledged packet is due.
    Resend,
    /// It is time to ping.
    Ping,
    /// The peer has been silent for as long as we bear.
    Silence,
}

/// One end of a circuit.
///
/// Call [`handle`](Self::handle) for every decoded datagram of the peer and
/// [`send`](Self::send) for every message of one's own; after either, and whenever
/// [`poll_timeout`](Self::poll_timeout) falls due and [`handle_timeout`](Self::handle_timeout) was
/// called, drain [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event).
#[derive(Debug)]
pub struct Circuit {
    config: Config,
    template: Arc<Template>,
    encoder: Encoder,
    next: Sequence,
    last_sent: Sequence,
    unacked: Unacked,
    owed: PendingAcks,
    seen: DuplicateFilter,
    ping_due: Instant,
    ping_id: u8,
    pings: VecDeque<(u8, Instant)>,
    round_trip: Option<Duration>,
    heard: Instant,
    closed: bool,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Circuit {
    /// A new circuit, as of `now`.
    pub fn new(config: Config, template: Arc<Template>, now: Instant) -> Self {
        Self {
            next: config.first_sequence,
            last_sent: Sequence(0),
            unacked: Unacked::default(),
            owed: PendingAcks::default(),
            seen: DuplicateFilter::new(config.dedup_window),
            ping_due: now + config.ping_interval,
            // As Linden's library counts (llcircuit.h nextPingID).
            ping_id: 1,
            pings: VecDeque::new(),
            round_trip: None,
            heard: now,
            closed: false,
            out: VecDeque::new(),
            events: VecDeque::new(),
            encoder: Encoder::new(),
            config,
            template,
        }
    }

    /// Queues a message and says which number it got.
    ///
    /// # Errors
    /// The message cannot be written.
    pub fn send(
        &mut self,
        now: Instant,
        message: &Message,
        options: SendOptions,
    ) -> Result<Sequence, EncodeError> {
        let encoded = Encoded::with(&mut self.encoder, message)?;
        Ok(self.send_encoded(now, &encoded, options))
    }

    /// The same of a message that was encoded before: once for many circuits.
    pub fn send_encoded(
        &mut self,
        now: Instant,
        encoded: &Encoded,
        options: SendOptions,
    ) -> Sequence {
        let sequence = options.sequence.unwrap_or(self.next);
        let mut flags = Flags(encoded.bytes[0] | options.flags & !Flags::ACK.0);
        if options.reliable {
            flags = flags.with(Flags::RELIABLE);
        }
        if options.sequence.is_none() {
            self.advance();
        }
        self.last_sent = sequence;
        if options.reliable && !self.closed {
            let sent = (flags, sequence, encoded.bytes.clone());
            self.unacked.insert(sent, now, self.config.resend_first);
        }
        let bytes = numbered(&encoded.bytes, flags, sequence);
        match options.acks.is_empty() {
            true => self.transmit(bytes, sequence, !encoded.is_ack),
            false => {
                self.out.push_back(Transmit { bytes: trailed(bytes, &options.acks), sequence })
            }
        }
        sequence
    }

    /// The number the next message will get.
    pub fn next_sequence(&self) -> Sequence {
        self.next
    }

    fn advance(&mut self) {
        self.next = Sequence((self.next.0 + 1) & self.config.sequence_mask);
    }

    /// Goes on from another number.
    pub fn set_next_sequence(&mut self, next: Sequence) {
        self.next = Sequence(next.0 & self.config.sequence_mask);
    }

    /// Takes a decoded datagram of the peer: notes acks, owes one, answers pings.
    pub fn handle(&mut self, now: Instant, packet: &Packet<'_>) -> Handled {
        if self.closed {
            return Handled::Closed;
        }
        self.heard = now;
        for sequence in packet.acknowledged() {
            self.acked(now, sequence);
        }
        if packet.header.flags.has(Flags::RELIABLE) {
            let new = self.seen.insert(packet.header.sequence);
            if self.config.acks {
                self.owed.push(packet.header.sequence, now);
            }
            if !new {
                return Handled::Duplicate;
            }
        }
        match packet.name() {
            "StartPingCheck" if self.config.pongs => self.pong(now, packet),
            "CompletePingCheck" => self.pinged(now, packet),
            _ => {}
        }
        Handled::Deliver
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        if self.due(Timer::Silence).is_some_and(|due| due <= now) {
            self.close();
            self.events.push_back(Event::TimedOut);
            return;
        }
        while let Some((sequence, next)) = self.unacked.due(now, &self.config) {
            match next {
                Some(bytes) => self.transmit(bytes, sequence, true),
                None => self.events.push_back(Event::ResendsExhausted(sequence)),
            }
        }
        if self.due(Timer::Ping).is_some_and(|due| due <= now) {
            self.ping(now);
        }
        if self.due(Timer::Ack).is_some_and(|due| due <= now) {
            self.flush_acks(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [Timer::Ack, Timer::Resend, Timer::Ping, Timer::Silence]
            .into_iter()
            .filter_map(|timer| self.due(timer))
            .min()
    }

    /// The next datagram for the wire.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends every owed ack at once.
    pub fn flush_acks(&mut self, now: Instant) {
        while !self.owed.is_empty() {
            let mut message = Message::named(&self.template, "PacketAck");
            for sequence in self.owed.take(self.config.acks_per_packet) {
                message =
                    message.with_block("Packets").with("Packets", "ID", Field::U32(sequence.0));
            }
            // A message of our own making always fits its definition.
            let _ = self.send(now, &message, SendOptions::UNRELIABLE);
        }
    }

    /// Whether a reliable packet of this number has come before.
    pub fn has_seen(&self, sequence: Sequence) -> bool {
        self.seen.has(sequence)
    }

    /// Pings now, besides the regular pings.
    pub fn ping(&mut self, now: Instant) {
        self.ping_due = now + self.config.ping_interval;
        self.pings.push_back((self.ping_id, now));
        if self.pings.len() > 16 {
            self.pings.pop_front();
        }
        let oldest = self.unacked.oldest().unwrap_or(self.last_sent);
        let message = Message::named(&self.template, "StartPingCheck")
            .with("PingID", "PingID", Field::U8(self.ping_id))
            .with("PingID", "OldestUnacked", Field::U32(oldest.0));
        self.ping_id = self.ping_id.wrapping_add(1);
        let _ = self.send(now, &message, SendOptions::UNRELIABLE);
    }

    /// The bytes of one more message of a closed circuit, to be sent past it.
    ///
    /// # Errors
    /// The message cannot be written.
    pub fn encode_after_close(&mut self, message: &Message) -> Result<Vec<u8>, EncodeError> {
        let header = Header { flags: Flags::default(), sequence: self.next };
        self.advance();
        Ok(message.encode(&mut self.encoder, header, &[], true)?.to_vec())
    }

    /// Stops: nothing is sent, resent or acknowledged any more.
    pub fn close(&mut self) {
        self.closed = true;
        self.unacked.clear();
        self.owed.clear();
    }

    /// Whether the circuit is closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many of the last sixteen pings were not answered.
    pub fn unanswered_pings(&self) -> usize {
        self.pings.len()
    }

    /// Whether a packet of this number waits for its acknowledgement.
    pub fn awaits_ack(&self, sequence: Sequence) -> bool {
        self.unacked.has(sequence)
    }

    /// How many reliable packets wait for their ack.
    pub fn unacked(&self) -> usize {
        self.unacked.len()
    }

    /// Whether every reliable packet was acknowledged.
    pub fn is_settled(&self) -> bool {
        self.unacked.oldest().is_none()
    }

    /// The last measured round trip of a ping.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The figures, to be changed while the circuit runs.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn due(&self, timer: Timer) -> Option<Instant> {
        if self.closed {
            return None;
        }
        match timer {
            Timer::Ack => self.owed.since().map(|since| since + self.config.ack_delay),
            Timer::Resend => self.unacked.next_due(),
            Timer::Ping => self.config.pings.then_some(self.ping_due),
            Timer::Silence => self.config.idle_timeout.map(|limit| self.heard + limit),
        }
    }

    fn acked(&mut self, now: Instant, sequence: Sequence) {
        if let Some((since, resends)) = self.unacked.remove(sequence) {
            self.events.push_back(Event::Acked(sequence, now.saturating_sub(since), resends));
        }
    }

    fn pong(&mut self, now: Instant, packet: &Packet<'_>) {
        let id = ping_id(packet);
        let message = Message::named(&self.template, "CompletePingCheck").with(
            "PingID",
            "PingID",
            Field::U8(id),
        );
        let _ = self.send(now, &message, SendOptions::UNRELIABLE);
    }

    fn pinged(&mut self, now: Instant, packet: &Packet<'_>) {
        let id = ping_id(packet);
        if let Some(at) = self.pings.iter().position(|(sent, _)| *sent == id) {
            self.round_trip = self.pings.remove(at).map(|(_, sent)| now.saturating_sub(sent));
        }
    }

    /// Puts bytes on the wire, with as many owed acks as fit behind them.
    fn transmit(&mut self, mut bytes: Vec<u8>, sequence: Sequence, acks: bool) {
        if self.closed {
            return;
        }
        let room = self.config.datagram_target.saturating_sub(bytes.len() + 1) / 4;
        if acks && room > 0 && !self.owed.is_empty() && bytes.len() >= MIN_DATAGRAM {
            let acks = self.owed.take(room.min(self.config.acks_per_packet));
            bytes = trailed(bytes, &acks);
        }
        self.out.push_back(Transmit { bytes, sequence });
    }
}

/// A message as it goes on the wire, but for its number and whether it is reliable.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Arc<[u8]>,
    is_ack: bool,
}

impl Encoded {
    /// Encodes a message.
    ///
    /// # Errors
    /// A field is too long, or a block has too many instances.
    pub fn new(message: &Message) -> Result<Self, EncodeError> {
        Self::with(&mut Encoder::new(), message)
    }

    fn with(encoder: &mut Encoder, message: &Message) -> Result<Self, EncodeError> {
        let mut flags = Flags::default();
        if message.def.zerocoded {
            flags = flags.with(Flags::ZEROCODED);
        }
        let header = Header { flags, sequence: Sequence(0) };
        let bytes = message.encode(encoder, header, &[], true)?.into();
        Ok(Self { bytes, is_ack: message.name() == "PacketAck" })
    }

    /// How many bytes the datagram has.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// A datagram with acks appended: big-endian, their count last.
fn trailed(mut bytes: Vec<u8>, acks: &[Sequence]) -> Vec<u8> {
    let acks = &acks[..acks.len().min(255)];
    if let Some(flags) = bytes.first_mut() {
        *flags |= Flags::ACK.0;
    }
    append_acks(acks, &mut bytes);
    bytes
}

/// The number of a ping.
fn ping_id(packet: &Packet<'_>) -> u8 {
    packet.u32("PingID", "PingID").and_then(|id| id.try_into().ok()).unwrap_or_default()
}
