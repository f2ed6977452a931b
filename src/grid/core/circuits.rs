//! The circuits of one region, by address and by agent.

use super::Own;
use super::effect::Sender;
use super::figures::{OF_CIRCUITS, figures};
use super::notices::Notices;
use crate::grid::GridConfig;
use crate::grid::fault::Faults;
use crate::net::tap::{RegionIndex, Tap, Visitor};
use crate::proto::circuit::{Circuit, Config, Encoded, Event, Handled, SendOptions};
use crate::proto::id::{AgentId, CircuitCode, Sequence, SessionId};
use crate::proto::message::{Acks, Field, Flags, Message, Packet};
use crate::proto::template::Template;
use crate::tamper::Tamper;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The messages of a client that may be sent again and again without harm: one of them goes
/// unacknowledged where acks are withheld.
const IDEMPOTENT_MESSAGES: [&str; 8] = [
    "AgentUpdate",
    "AgentThrottle",
    "AgentHeightWidth",
    "AgentFOV",
    "AgentAnimation",
    "SetAlwaysRun",
    "MuteListRequest",
    "MoneyBalanceRequest",
];

/// A client that owes this many acks is not told whole folders until it has caught up.
const MOST_UNACKED: usize = 4096;

/// A datagram, and where it goes.
pub(in crate::grid) type Sent = (SocketAddr, Vec<u8>);

/// One agent's circuit.
pub(in crate::grid) struct Client {
    pub agent: AgentId,
    pub session: SessionId,
    pub code: CircuitCode,
    /// The highest number it sent.
    highest: Sequence,
    /// The number of the last AgentUpdate that counted.
    pub last_update: Option<Sequence>,
    circuit: Circuit,
    /// It has set its throttle.
    throttled: bool,
    /// Packets of it that are never acknowledged.
    pub(super) withheld: BTreeSet<Sequence>,
    /// What is wrong with its wire.
    pub(super) wire: Option<Tamper>,
    /// When it ended: nothing is taken any more; what was sent may still be acknowledged.
    left: Option<Duration>,
    /// The batch that is to be on the disk before it is told anything more.
    batch: u64,
    /// What waits for that, and for which batch.
    waiting: VecDeque<(u64, Vec<u8>)>,
    /// When its circuit is due next, as the table of timers has it.
    due: Option<Duration>,
}

impl Client {
    fn is_closing(&self) -> bool {
        self.left.is_some()
    }
}

/// All circuits of a region.
pub(in crate::grid) struct Circuits {
    pub(super) template: Arc<Template>,
    config: Config,
    pub(super) clients: BTreeMap<SocketAddr, Client>,
    /// When which circuit is due next.
    timers: BTreeSet<(Duration, SocketAddr)>,
    /// Circuits that may have something to send, or another due time.
    touched: BTreeSet<SocketAddr>,
    by_agent: BTreeMap<AgentId, SocketAddr>,
    lost: Vec<(AgentId, SessionId)>,
    pub(super) faults: Faults,
    pub(super) tap: Tap,
    notices: Notices,
    region: RegionIndex,
    /// The last batch that is on the disk.
    kept: u64,
    pub(super) factor: u32,
    /// Datagrams that a fault holds back, by when they go on.
    pub(super) late: BTreeMap<(Duration, u64), (SocketAddr, Vec<u8>)>,
    pub(super) late_count: u64,
}

impl Circuits {
    pub(crate) fn new(
        region: RegionIndex,
        grid: &GridConfig,
        template: Arc<Template>,
        notices: Notices,
    ) -> Self {
        Self {
            template,
            notices,
            config: figures(&grid.faults, Config::simulator().faster(grid.time_factor)),
            late: BTreeMap::new(),
            late_count: 0,
            faults: grid.faults.clone(),
            tap: grid.tap.clone(),
            region,
            kept: 0,
            factor: grid.time_factor.max(1),
            clients: BTreeMap::new(),
            timers: BTreeSet::new(),
            touched: BTreeSet::new(),
            by_agent: BTreeMap::new(),
            lost: Vec::new(),
        }
    }

    pub(crate) fn knows(&self, from: SocketAddr) -> bool {
        self.clients.contains_key(&from)
    }

    /// Whether a circuit has ended but for the acks it waits for.
    pub(crate) fn is_closing(&self, from: SocketAddr) -> bool {
        self.clients.get(&from).is_some_and(Client::is_closing)
    }

    /// Whether a circuit of an agent has ended, no longer ago than some time, but for the acks it
    /// waits for.
    pub(crate) fn is_leaving(&self, agent: AgentId, now: Duration, within: Duration) -> bool {
        let waits = |left: Duration| now < left + within;
        self.clients.values().any(|client| client.agent == agent && client.left.is_some_and(waits))
    }

    /// Opens a circuit; one of the same agent from elsewhere is disabled.
    pub(crate) fn open(
        &mut self,
        now: Duration,
        from: SocketAddr,
        agent: AgentId,
        session: SessionId,
        code: CircuitCode,
    ) {
        if let Some((old, _)) = self.of(agent)
            && !self.faults.breaks(Own::KeepsOldPort)
        {
            self.disable(now, old);
        }
        let circuit = Circuit::new(self.config.clone(), self.template.clone(), now);
        // From now on its figures make a difference.
        self.faults.note_all(&OF_CIRCUITS);
        let wire = self.faults.wire();
        let client = Client {
            agent,
            session,
            code,
            highest: Sequence(0),
            last_update: None,
            circuit,
            wire,
            throttled: false,
            withheld: BTreeSet::new(),
            left: None,
            batch: 0,
            waiting: VecDeque::new(),
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
    pub(crate) fn of(&self, agent: AgentId) -> Option<(SocketAddr, SessionId)> {
        let from = *self.by_agent.get(&agent)?;
        self.clients.get(&from).map(|client| (from, client.session))
    }

    /// The client at an address.
    pub(crate) fn client(&mut self, from: SocketAddr) -> Option<&mut Client> {
        self.clients.get_mut(&from)
    }

    /// Every agent with a live circuit.
    pub(crate) fn agents(&self) -> Vec<AgentId> {
        self.by_agent.keys().copied().collect()
    }

    /// Whose packet of this number it is that comes from an address.
    pub(crate) fn sender(&self, from: SocketAddr, sequence: Sequence) -> Option<Sender> {
        let client = self.clients.get(&from)?;
        Some(Sender {
            region: self.region,
            address: from,
            agent: client.agent,
            session: client.session,
            circuit_code: client.code,
            sequence,
        })
    }

    /// The client at an address, to do something with its circuit.
    fn touch(&mut self, from: SocketAddr) -> Option<&mut Client> {
        let client = self.clients.get_mut(&from)?;
        self.touched.insert(from);
        Some(client)
    }

    /// Whether the ids in a message are those of the circuit; a message without ids is anybody's.
    pub(crate) fn owns(&self, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let Some(client) = self.clients.get(&from) else { return false };
        let agent = packet.uuid("AgentData", "AgentID").map(AgentId);
        let session = packet.uuid("AgentData", "SessionID").map(SessionId);
        match (agent, session) {
            (Some(agent), Some(session)) => {
                (agent == client.agent && session == client.session)
                    || self.faults.breaks(Own::ForeignIds)
            }
            _ => true,
        }
    }

    /// Hands a packet to its circuit; whether it is new and to be processed.
    pub(crate) fn handle(&mut self, now: Duration, from: SocketAddr, packet: &Packet<'_>) -> bool {
        if packet.header.flags.has(Flags::RESENT) && self.faults.breaks(Own::IgnoresResent) {
            return false;
        }
        let Some(client) = self.clients.get_mut(&from) else { return false };
        self.touched.insert(from);
        let number = packet.header.sequence;
        client.highest = client.highest.max(number);
        if client.highest.0 - number.0 > 1 << 20 && self.faults.breaks(Own::NeverWraps) {
            return false;
        }
        let strange = |sequence: &Sequence| !client.circuit.awaits_ack(*sequence);
        // One alone may be an ack that crossed a resend.
        let strange = packet.acknowledged().filter(strange).count() > 1;
        let again = packet.header.flags.has(Flags::RELIABLE) && client.circuit.has_seen(number);
        if again && self.faults.has(Own::AcksOnce) {
            return false;
        }
        let heedless = self.faults.has(Own::IgnoresAcks);
        let mut packet = *packet;
        if heedless {
            packet.acks = Acks::default();
        }
        let acks_alone = heedless && packet.name() == "PacketAck";
        let handled = match acks_alone {
            true => Handled::Deliver,
            false => client.circuit.handle(now, &packet),
        };
        let processed = handled == Handled::Deliver
            || (handled == Handled::Duplicate && self.faults.has(Own::ProcessesDuplicates));
        let new = processed && !client.is_closing();
        let harmless = packet.header.flags.has(Flags::RELIABLE)
            && IDEMPOTENT_MESSAGES.contains(&packet.name());
        if harmless && client.withheld.is_empty() && self.faults.breaks(Own::WithholdsAck) {
            client.withheld.insert(number);
        }
        if strange && self.faults.breaks(Own::DiesOfAcks) {
            self.disable(now, from);
        }
        new
    }

    /// Whether so much waits for a client's acks that it gets no more long answers for now.
    pub(crate) fn is_behind(&self, from: SocketAddr) -> bool {
        self.clients.get(&from).is_some_and(|client| client.circuit.unacked() > MOST_UNACKED)
    }

    /// Answers no pings any more, from the second time on.
    pub(crate) fn throttle(&mut self, from: SocketAddr) {
        if let Some(client) = self.touch(from) {
            let again = std::mem::replace(&mut client.throttled, true);
            client.circuit.config_mut().pongs = !again;
        }
    }

    /// Answers the pings of this one client only.
    pub(crate) fn choke_others(&mut self, but: SocketAddr) {
        for (_, client) in self.clients.iter_mut().filter(|(from, _)| **from != but) {
            client.circuit.config_mut().pongs = false;
        }
    }

    /// A packet is never acknowledged.
    pub(crate) fn withhold(&mut self, from: SocketAddr, sequence: Sequence) {
        if let Some(client) = self.clients.get_mut(&from) {
            client.withheld.insert(sequence);
        }
    }

    /// Acknowledges a number, whatever it belongs to.
    pub(crate) fn acknowledge(&mut self, now: Duration, from: SocketAddr, sequence: Sequence) {
        let ack = Message::named(&self.template, "PacketAck").with_block("Packets").with(
            "Packets",
            "ID",
            Field::U32(sequence.0),
        );
        self.send_all(now, [from], &ack, false);
    }

    /// Sends the same to many, encoded once.
    pub(crate) fn send_all(
        &mut self,
        now: Duration,
        all: impl IntoIterator<Item = SocketAddr>,
        message: &Message,
        reliable: bool,
    ) {
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
    pub(crate) fn flush_acks(&mut self, now: Duration, from: SocketAddr) {
        if let Some(client) = self.touch(from) {
            client.circuit.flush_acks(now);
        }
    }

    /// Acknowledges at once what is owed, and no more after that: the client is leaving.
    pub(crate) fn close(&mut self, now: Duration, from: SocketAddr) {
        let Some(client) = self.touch(from) else { return };
        client.circuit.flush_acks(now);
        let config = client.circuit.config_mut();
        (config.acks, config.pings, config.pongs) = (false, false, false);
        client.left = Some(now);
        let agent = client.agent;
        if self.by_agent.get(&agent) == Some(&from) {
            self.by_agent.remove(&agent);
        }
    }

    /// Says DisableSimulator and closes.
    pub(crate) fn disable(&mut self, now: Duration, from: SocketAddr) {
        let disable = Message::named(&self.template, "DisableSimulator");
        self.send_all(now, [from], &disable, true);
        self.close(now, from);
    }

    /// Patience with a client that said it would pause, in seconds of real time.
    pub(crate) fn set_patience(&mut self, now: Duration, from: SocketAddr, seconds: u64) {
        let factor = self.factor;
        if let Some(client) = self.touch(from) {
            let limit = Duration::from_secs(seconds) / factor;
            client.circuit.config_mut().idle_timeout = Some(limit);
            if seconds <= 60 {
                client.circuit.ping(now);
            }
        }
    }

    /// What an agent is told from now on waits until the batch of this number is on the disk: the
    /// address of its circuit.
    pub(crate) fn hold(&mut self, agent: AgentId, batch: u64) -> Option<SocketAddr> {
        let (from, _) = self.of(agent)?;
        self.touch(from)?.batch = batch;
        Some(from)
    }

    /// A batch is on the disk, and all before it: what has waited for it goes out.
    pub(crate) fn release(&mut self, from: SocketAddr, batch: u64) {
        self.kept = batch;
        self.touch(from);
    }

    pub(crate) fn next_due(&self) -> Option<Duration> {
        let circuit = self.timers.first().map(|(due, _)| *due);
        circuit.into_iter().chain(self.late.keys().next().map(|(at, _)| *at)).min()
    }

    pub(crate) fn handle_timeouts(&mut self, now: Duration) {
        while let Some((_, from)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            if let Some(client) = self.touch(from) {
                client.due = None;
                client.circuit.handle_timeout(now);
            }
            self.timers.pop_first();
        }
        if !self.faults.breaks(Own::DiesUnpinged) {
            return;
        }
        let unpinged = self
            .clients
            .iter()
            .filter(|(_, c)| !c.is_closing() && c.circuit.unanswered_pings() > 8);
        let unpinged: Vec<SocketAddr> = unpinged.map(|(from, _)| *from).collect();
        for from in unpinged {
            if let Some(client) = self.clients.get(&from) {
                self.lost.push((client.agent, client.session));
                self.disable(now, from);
            }
        }
    }

    /// What goes out, and whose circuit has ended in silence, by agent and session; circuits that
    /// have nothing left to say are forgotten.
    pub(crate) fn outgoing(&mut self, now: Duration) -> (Vec<Sent>, Vec<(AgentId, SessionId)>) {
        let mut out = Vec::new();
        let touched = std::mem::take(&mut self.touched);
        for to in &touched {
            let Some(client) = self.clients.get_mut(to) else { continue };
            let ready = client.waiting.iter().take_while(|(batch, _)| *batch <= self.kept).count();
            out.extend(client.waiting.drain(..ready).map(|(_, bytes)| (*to, bytes)));
            let waits = client.batch > self.kept || !client.waiting.is_empty();
            while let Some(transmit) = client.circuit.poll_transmit() {
                match waits {
                    true => client.waiting.push_back((client.batch, transmit.bytes)),
                    false => out.push((*to, transmit.bytes)),
                }
            }
            while let Some(event) = client.circuit.poll_event() {
                if event == Event::TimedOut && !client.is_closing() {
                    self.lost.push((client.agent, client.session));
                    // The circuit is closed; this goes past it, once.
                    let disable = Message::named(&self.template, "DisableSimulator");
                    if let Ok(bytes) = client.circuit.encode_after_close(&disable) {
                        out.push((*to, bytes));
                    }
                }
            }
        }
        let out = self.spoil(now, out);
        let heard = if self.tap.is_open() { &out[..] } else { &[] };
        for (to, bytes) in heard {
            if let Some(client) = self.clients.get(to) {
                let (agent, session) = (client.agent, Some(client.session));
                let visitor = Visitor { agent, session, region: self.region };
                self.tap.sent(now, &self.template, visitor, *to, bytes);
            }
        }
        touched.into_iter().for_each(|from| self.settle(from));
        (out, std::mem::take(&mut self.lost))
    }

    /// Forgets a circuit that has nothing left to say, and notes when another is due.
    fn settle(&mut self, from: SocketAddr) {
        let Some(client) = self.clients.get_mut(&from) else { return };
        let over =
            client.circuit.is_closed() || (client.is_closing() && client.circuit.is_settled());
        let gone = over && client.waiting.is_empty();
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
}
