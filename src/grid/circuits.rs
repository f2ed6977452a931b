//! The circuits of one region, by address and by agent.

use super::Shared;
use super::fault::{self, Faults, Said, Tap};
use super::notices::Notices;
use super::oddity::HARMLESS;
use super::policy::Policy;
use super::witness::{Ear, Visitor};
use crate::net::Clock;
use crate::proto::circuit::{Circuit, Config, Encoded, Event, Handled, SendOptions};
use crate::proto::message::{Datagram, Field, Flags, HEADER_LEN, MIN_DATAGRAM, Message, Packet};
use crate::proto::template::Template;
use crate::tamper::{Channel, Direction, Tamper};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A client that owes this many acks is not told whole folders until it has caught up.
const MOST_UNACKED: usize = 4096;

/// One agent's circuit.
pub(super) struct Client {
    pub agent: Uuid,
    pub session: Uuid,
    pub code: u32,
    /// The highest number it sent.
    highest: u32,
    /// The number of the last AgentUpdate that counted.
    pub last_update: Option<u32>,
    circuit: Circuit,
    /// It has set its throttle.
    throttled: bool,
    /// The packet of it that is never acknowledged.
    withheld: Option<u32>,
    /// What is wrong with its wire.
    wire: Option<Tamper>,
    /// Nothing is taken any more; what was sent may still be acknowledged.
    closing: bool,
    /// When its circuit is due next, as the table of timers has it.
    due: Option<Duration>,
}

/// All circuits of a region.
pub(super) struct Circuits {
    pub clock: Clock,
    template: Arc<Template>,
    config: Config,
    clients: BTreeMap<SocketAddr, Client>,
    /// When which circuit is due next.
    timers: BTreeSet<(Duration, SocketAddr)>,
    /// Circuits that may have something to send, or another due time.
    touched: BTreeSet<SocketAddr>,
    by_agent: BTreeMap<Uuid, SocketAddr>,
    lost: Vec<(Uuid, Uuid, Event)>,
    faults: Faults,
    tap: Option<Tap>,
    ear: Ear,
    notices: Notices,
    region: usize,
    factor: u32,
    /// Datagrams that a fault holds back, by when they go on.
    late: BTreeMap<(Duration, u64), (SocketAddr, Vec<u8>)>,
    late_count: u64,
}

impl Circuits {
    pub fn new(region: usize, shared: &Shared) -> Self {
        let grid = &shared.config;
        Self {
            clock: Clock::start(),
            template: shared.template.clone(),
            notices: shared.notices.clone(),
            config: grid.faults.circuit(Config::simulator().faster(grid.time_factor)),
            late: BTreeMap::new(),
            late_count: 0,
            faults: grid.faults.clone(),
            tap: grid.tap.clone(),
            ear: shared.ear.clone(),
            region,
            factor: grid.time_factor.max(1),
            clients: BTreeMap::new(),
            timers: BTreeSet::new(),
            touched: BTreeSet::new(),
            by_agent: BTreeMap::new(),
            lost: Vec::new(),
        }
    }

    pub fn knows(&self, from: SocketAddr) -> bool {
        self.clients.contains_key(&from)
    }

    /// Whether a circuit has ended but for the acks it waits for.
    pub fn is_closing(&self, from: SocketAddr) -> bool {
        self.clients.get(&from).is_some_and(|client| client.closing)
    }

    /// Opens a circuit; one of the same agent from elsewhere is disabled.
    pub fn open(&mut self, from: SocketAddr, agent: Uuid, session: Uuid, code: u32) {
        if let Some((old, _)) = self.of(agent)
            && !self.faults.breaks(Policy::KeepsOldPort)
        {
            self.disable(old);
        }
        let circuit = Circuit::new(self.config.clone(), self.template.clone(), self.clock.now());
        self.faults.circuit_opened();
        let wire = self.faults.wire();
        let client = Client {
            agent,
            session,
            code,
            highest: 0,
            last_update: None,
            circuit,
            wire,
            throttled: false,
            withheld: None,
            closing: false,
            due: None,
        };
        // One that stood at this address before goes with its timer.
        if let Some(due) = self.clients.insert(from, client).and_then(|old| old.due) {
            self.timers.remove(&(due, from));
        }
        self.touched.insert(from);
        self.by_agent.insert(agent, from);
    }

    /// The address and session of an agent's live circuit.
    pub fn of(&self, agent: Uuid) -> Option<(SocketAddr, Uuid)> {
        let from = *self.by_agent.get(&agent)?;
        self.clients.get(&from).map(|client| (from, client.session))
    }

    /// The client at an address.
    pub fn client(&mut self, from: SocketAddr) -> Option<&mut Client> {
        self.clients.get_mut(&from)
    }

    /// Every agent with a live circuit.
    pub fn agents(&self) -> Vec<Uuid> {
        self.by_agent.keys().copied().collect()
    }

    /// The client at an address, to do something with its circuit.
    fn touch(&mut self, from: SocketAddr) -> Option<&mut Client> {
        let client = self.clients.get_mut(&from)?;
        self.touched.insert(from);
        Some(client)
    }

    /// Whether the ids in a message are those of the circuit; a message without ids is anybody's.
    pub fn owns(&self, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let Some(client) = self.clients.get(&from) else { return false };
        let agent = packet.uuid("AgentData", "AgentID");
        let session = packet.uuid("AgentData", "SessionID");
        match (agent, session) {
            (Some(agent), Some(session)) => {
                (agent == client.agent && session == client.session)
                    || self.faults.breaks(Policy::ForeignIds)
            }
            _ => true,
        }
    }

    /// Hands a packet to its circuit; whether it is new and to be processed.
    pub fn handle(&mut self, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let now = self.clock.now();
        if packet.header.flags.has(Flags::RESENT) && self.faults.breaks(Policy::IgnoresResent) {
            return false;
        }
        let Some(client) = self.clients.get_mut(&from) else { return false };
        self.touched.insert(from);
        let number = packet.header.sequence;
        client.highest = client.highest.max(number);
        if client.highest - number > 1 << 20 && self.faults.breaks(Policy::NeverWraps) {
            return false;
        }
        let strange = |sequence: &u32| !client.circuit.awaits_ack(*sequence);
        // One alone may be an ack that crossed a resend.
        let strange = packet.acknowledged().filter(strange).count() > 1;
        let new = client.circuit.handle(now, packet) == Handled::Deliver && !client.closing;
        let harmless =
            packet.header.flags.has(Flags::RELIABLE) && HARMLESS.contains(&packet.name());
        if harmless && self.faults.breaks(Policy::WithholdsAck) {
            client.withheld.get_or_insert(number);
        }
        if let Some(withheld) = client.withheld {
            client.circuit.forget_ack(withheld);
        }
        if strange && self.faults.breaks(Policy::DiesOfAcks) {
            self.disable(from);
        }
        new
    }

    /// Whether so much waits for a client's acks that it gets no more long answers for now.
    pub fn is_behind(&self, from: SocketAddr) -> bool {
        self.clients.get(&from).is_some_and(|client| client.circuit.unacked() > MOST_UNACKED)
    }

    /// Answers no pings any more, from the second time on.
    pub fn choke(&mut self, from: SocketAddr) {
        if let Some(client) = self.touch(from) {
            let again = std::mem::replace(&mut client.throttled, true);
            client.circuit.config_mut().pongs = !again;
        }
    }

    /// Answers the pings of this one client only.
    pub fn choke_others(&mut self, but: SocketAddr) {
        for (_, client) in self.clients.iter_mut().filter(|(from, _)| **from != but) {
            client.circuit.config_mut().pongs = false;
        }
    }

    /// Forgets the acks it owes.
    pub fn forget_acks(&mut self, from: SocketAddr) {
        if let Some(client) = self.touch(from) {
            client.circuit.forget_acks();
        }
    }

    /// Acknowledges a number, whatever it belongs to.
    pub fn acknowledge(&mut self, from: SocketAddr, sequence: u32) {
        let ack = Message::named(&self.template, "PacketAck").with_block("Packets").with(
            "Packets",
            "ID",
            Field::U32(sequence),
        );
        self.send(from, &ack, false);
    }

    pub fn send(&mut self, to: SocketAddr, message: &Message, reliable: bool) {
        self.send_all([to], message, reliable);
    }

    /// Sends the same to many, encoded once.
    pub fn send_all(
        &mut self,
        all: impl IntoIterator<Item = SocketAddr>,
        message: &Message,
        reliable: bool,
    ) {
        let now = self.clock.now();
        let encoded = match Encoded::new(message) {
            Ok(encoded) => encoded,
            Err(error) => {
                let name = message.name();
                return self.notices.mistake(&format!("{name} cannot be written: {error}"));
            }
        };
        for to in all {
            let options = if reliable { SendOptions::RELIABLE } else { SendOptions::UNRELIABLE };
            if let Some(client) = self.touch(to) {
                client.circuit.send_encoded(now, &encoded, options);
            }
        }
    }

    /// Acknowledges at once what is owed.
    pub fn flush_acks(&mut self, from: SocketAddr) {
        let now = self.clock.now();
        if let Some(client) = self.touch(from) {
            client.circuit.flush_acks(now);
        }
    }

    /// Acknowledges at once what is owed, and no more after that: the client is leaving.
    pub fn close(&mut self, from: SocketAddr) {
        let now = self.clock.now();
        let Some(client) = self.touch(from) else { return };
        client.circuit.flush_acks(now);
        let config = client.circuit.config_mut();
        (config.acks, config.pings, config.pongs) = (false, false, false);
        client.closing = true;
        let agent = client.agent;
        if self.by_agent.get(&agent) == Some(&from) {
            self.by_agent.remove(&agent);
        }
    }

    /// Says DisableSimulator and closes.
    pub fn disable(&mut self, from: SocketAddr) {
        let disable = Message::named(&self.template, "DisableSimulator");
        self.send(from, &disable, true);
        self.close(from);
    }

    /// Patience with a client that said it would pause, in seconds of real time.
    pub fn set_patience(&mut self, from: SocketAddr, seconds: u64, factor: u32) {
        let now = self.clock.now();
        if let Some(client) = self.touch(from) {
            let limit = Duration::from_secs(seconds) / factor.max(1);
            client.circuit.config_mut().silence_limit = Some(limit);
            if seconds <= 60 {
                client.circuit.ping(now);
            }
        }
    }

    pub fn next_due(&self) -> Option<Duration> {
        let circuit = self.timers.first().map(|(due, _)| *due);
        circuit.into_iter().chain(self.late.keys().next().map(|(at, _)| *at)).min()
    }

    pub fn handle_timeouts(&mut self) {
        let now = self.clock.now();
        while let Some((_, from)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            if let Some(client) = self.touch(from) {
                client.due = None;
                client.circuit.handle_timeout(now);
            }
            self.timers.pop_first();
        }
        if !self.faults.breaks(Policy::DiesUnpinged) {
            return;
        }
        let unpinged =
            self.clients.iter().filter(|(_, c)| !c.closing && c.circuit.unanswered_pings() > 8);
        let unpinged: Vec<SocketAddr> = unpinged.map(|(from, _)| *from).collect();
        for from in unpinged {
            if let Some(client) = self.clients.get(&from) {
                self.lost.push((client.agent, client.session, Event::Silent));
                self.disable(from);
            }
        }
    }

    /// What goes out; circuits that have nothing left to say are forgotten.
    pub fn outgoing(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = Vec::new();
        let touched = std::mem::take(&mut self.touched);
        for to in &touched {
            let Some(client) = self.clients.get_mut(to) else { continue };
            while let Some(transmit) = client.circuit.poll_transmit() {
                out.push((*to, transmit.bytes));
            }
            while let Some(event) = client.circuit.poll_event() {
                if event == Event::Silent && !client.closing {
                    self.lost.push((client.agent, client.session, event));
                    // The circuit is closed; this goes past it, once.
                    let disable = Message::named(&self.template, "DisableSimulator");
                    if let Ok(bytes) = client.circuit.last_word(&disable) {
                        out.push((*to, bytes));
                    }
                }
            }
        }
        let out = self.spoil(out);
        let heard = if self.ear.is_open() { &out[..] } else { &[] };
        for (to, bytes) in heard {
            if let Some(client) = self.clients.get(to) {
                let (agent, session) = (client.agent, Some(client.session));
                let visitor = Visitor { agent, session, region: self.region };
                self.ear.sent(&self.template, visitor, *to, bytes);
            }
        }
        touched.into_iter().for_each(|from| self.settle(from));
        out
    }

    /// Forgets a circuit that has nothing left to say, and notes when another is due.
    fn settle(&mut self, from: SocketAddr) {
        let Some(client) = self.clients.get_mut(&from) else { return };
        let gone = client.circuit.is_closed() || (client.closing && client.circuit.is_settled());
        let due = client.circuit.poll_timeout().filter(|_| !gone);
        if let Some(due) = std::mem::replace(&mut client.due, due).filter(|old| due != Some(*old)) {
            self.timers.remove(&(due, from));
        }
        self.timers.extend(due.map(|due| (due, from)));
        let agent = client.agent;
        if gone {
            self.clients.remove(&from);
            if self.by_agent.get(&agent) == Some(&from) {
                self.by_agent.remove(&agent);
            }
        }
    }

    /// What becomes of a client's datagrams on a wire with faults.
    fn spoil(&mut self, sent: Vec<(SocketAddr, Vec<u8>)>) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.faults.is_empty() && self.tap.is_none() {
            return sent;
        }
        let now = self.clock.now();
        let mut out = Vec::new();
        for (to, mut bytes) in sent {
            let decoded = Datagram::decode(&self.template, &bytes).ok();
            let (mut name, mut said) = (String::new(), Value::Undef);
            if let Some(mut datagram) = decoded {
                name = datagram.message.name().to_owned();
                said = fault::said(&datagram.message, &bytes);
                if let Some(tap) = &self.tap {
                    tap(Channel::Udp, &name, Said::Message(&datagram.message));
                }
                if let Some((changed, met)) = self.faults.send(&datagram.message, &said) {
                    datagram.message = changed;
                    // What cannot be encoded is no change.
                    if let Ok(changed) = datagram.encode() {
                        bytes = changed;
                        met.into_iter().for_each(|rule| self.faults.note_rule(rule));
                    }
                }
            }
            self.deform(&name, &mut bytes);
            let wire = self.clients.get_mut(&to).and_then(|client| client.wire.as_mut());
            let Some(wire) = wire else {
                out.push((to, bytes));
                continue;
            };
            for (delay, bytes) in wire.pass_saying(Direction::In, &name, &said, bytes) {
                match delay.is_zero() {
                    true => out.push((to, bytes)),
                    false => {
                        self.late_count += 1;
                        let due = now + delay / self.factor;
                        self.late.insert((due, self.late_count), (to, bytes));
                    }
                }
            }
            self.faults.note_wire(wire);
        }
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= now) {
            out.push(entry.remove());
        }
        out
    }

    /// Datagrams of a shape that no simulator should send.
    fn deform(&self, name: &str, bytes: &mut Vec<u8>) {
        let flags = Flags(bytes.first().copied().unwrap_or_default());
        // The extra header stands behind the number, which is one byte for pings.
        let ping = name.ends_with("PingCheck") && bytes.len() > MIN_DATAGRAM;
        if ping && self.faults.breaks(Policy::ExtraHeader) {
            bytes[HEADER_LEN - 1] = 4;
            bytes.splice(MIN_DATAGRAM..MIN_DATAGRAM, [0xDE, 0xAD, 0xBE, 0xEF]);
        }
        let coded = flags.has(Flags::ZEROCODED) && !flags.has(Flags::ACK);
        if coded && self.faults.breaks(Policy::EmptyRuns) {
            // 257 zeros behind the last block, which readers pass over.
            bytes.extend([0, 0, 1]);
        }
    }

    /// What happened since.
    pub fn events(&mut self) -> Vec<(Uuid, Uuid, Event)> {
        std::mem::take(&mut self.lost)
    }
}

/// The ids and code a UseCircuitCode carries.
pub(super) fn circuit_code(packet: &Packet<'_>) -> Option<(u32, Uuid, Uuid)> {
    let Some(Field::U32(code)) = packet.field("CircuitCode", "Code") else { return None };
    let session = packet.uuid("CircuitCode", "SessionID")?;
    Some((code, session, packet.uuid("CircuitCode", "ID")?))
}
