//! The circuits of one region, by address and by agent.

use super::config::GridConfig;
use super::fault::{Faults, Policy};
use crate::net::Clock;
use crate::proto::circuit::{Circuit, Config, Event, Handled, SendOptions};
use crate::proto::message::{Datagram, Field, Message, Packet};
use crate::proto::template::Template;
use crate::tamper::{Direction, Tamper};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// One agent's circuit.
pub(super) struct Client {
    pub agent: Uuid,
    pub session: Uuid,
    pub code: u32,
    /// The number of the last AgentUpdate that counted.
    pub last_update: Option<u32>,
    circuit: Circuit,
    /// Nothing is taken any more; what was sent may still be acknowledged.
    closing: bool,
}

/// All circuits of a region.
pub(super) struct Circuits {
    pub clock: Clock,
    template: Arc<Template>,
    config: Config,
    clients: HashMap<SocketAddr, Client>,
    by_agent: HashMap<Uuid, SocketAddr>,
    lost: Vec<(Uuid, Uuid, Event)>,
    faults: Faults,
    wire: Tamper,
    /// Datagrams that a fault holds back, by when they go on.
    late: BTreeMap<(Duration, usize), (SocketAddr, Vec<u8>)>,
}

impl Circuits {
    pub fn new(template: Arc<Template>, grid: &GridConfig) -> Self {
        Self {
            clock: Clock::start(),
            template,
            config: grid.faults.circuit(Config::simulator().faster(grid.time_factor)),
            wire: Tamper::new(grid.faults.wire.clone(), 1),
            late: BTreeMap::new(),
            faults: grid.faults.clone(),
            clients: HashMap::new(),
            by_agent: HashMap::new(),
            lost: Vec::new(),
        }
    }

    pub fn knows(&self, from: SocketAddr) -> bool {
        self.clients.contains_key(&from)
    }

    /// Opens a circuit; one of the same agent from elsewhere is disabled.
    pub fn open(&mut self, from: SocketAddr, agent: Uuid, session: Uuid, code: u32) {
        if let Some((old, _)) = self.of(agent) {
            self.disable(old);
        }
        let circuit = Circuit::new(self.config.clone(), self.template.clone(), self.clock.now());
        let client = Client { agent, session, code, last_update: None, circuit, closing: false };
        self.clients.insert(from, client);
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

    /// Whether the ids in a message are those of the circuit; a message without ids is anybody's.
    pub fn owns(&self, from: SocketAddr, packet: &Packet<'_>) -> bool {
        if self.faults.has(Policy::ForeignIds) {
            return true;
        }
        let Some(client) = self.clients.get(&from) else { return false };
        let agent = packet.uuid("AgentData", "AgentID");
        let session = packet.uuid("AgentData", "SessionID");
        match (agent, session) {
            (Some(agent), Some(session)) => agent == client.agent && session == client.session,
            _ => true,
        }
    }

    /// Hands a packet to its circuit; whether it is new and to be processed.
    pub fn handle(&mut self, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let now = self.clock.now();
        let Some(client) = self.clients.get_mut(&from) else { return false };
        client.circuit.handle(now, packet) == Handled::Deliver && !client.closing
    }

    pub fn send(&mut self, to: SocketAddr, message: &Message, reliable: bool) {
        let now = self.clock.now();
        let options = if reliable { SendOptions::RELIABLE } else { SendOptions::UNRELIABLE };
        let changed = self.faults.send(message);
        let message = changed.as_ref().unwrap_or(message);
        if let Some(client) = self.clients.get_mut(&to) {
            // What the grid builds fits its definition; a text too long for its field does not go.
            let _ = client.circuit.send(now, message, options);
        }
    }

    /// Acknowledges at once what is owed.
    pub fn flush_acks(&mut self, from: SocketAddr) {
        let now = self.clock.now();
        if let Some(client) = self.clients.get_mut(&from) {
            client.circuit.flush_acks(now);
        }
    }

    /// Acknowledges at once what is owed, and no more after that: the client is leaving.
    pub fn close(&mut self, from: SocketAddr) {
        let now = self.clock.now();
        let Some(client) = self.clients.get_mut(&from) else { return };
        client.circuit.flush_acks(now);
        let config = client.circuit.config_mut();
        (config.acks, config.pings, config.pongs) = (false, false, false);
        client.closing = true;
        if self.by_agent.get(&client.agent) == Some(&from) {
            self.by_agent.remove(&client.agent);
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
        if let Some(client) = self.clients.get_mut(&from) {
            let limit = Duration::from_secs(seconds) / factor.max(1);
            client.circuit.config_mut().silence_limit = Some(limit);
            if seconds <= 60 {
                client.circuit.ping(now);
            }
        }
    }

    pub fn next_due(&self) -> Option<Duration> {
        let timers = self.clients.values().filter_map(|client| client.circuit.poll_timeout());
        timers.chain(self.late.keys().next().map(|(at, _)| *at)).min()
    }

    pub fn handle_timeouts(&mut self) {
        let now = self.clock.now();
        for client in self.clients.values_mut() {
            if client.circuit.poll_timeout().is_some_and(|due| due <= now) {
                client.circuit.handle_timeout(now);
            }
        }
    }

    /// What goes out; circuits that have nothing left to say are forgotten.
    pub fn outgoing(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = Vec::new();
        for (to, client) in &mut self.clients {
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
        let gone = |client: &Client| {
            client.circuit.is_closed() || (client.closing && client.circuit.is_settled())
        };
        let by_agent = &mut self.by_agent;
        self.clients.retain(|from, client| {
            let stays = !gone(client);
            if !stays && by_agent.get(&client.agent) == Some(from) {
                by_agent.remove(&client.agent);
            }
            stays
        });
        self.spoil(out)
    }

    /// What becomes of datagrams on a wire with faults.
    fn spoil(&mut self, sent: Vec<(SocketAddr, Vec<u8>)>) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.faults.wire.is_empty() {
            return sent;
        }
        let now = self.clock.now();
        let mut out = Vec::new();
        for (to, bytes) in sent {
            let decoded = Datagram::decode(&self.template, &bytes);
            let name = decoded.map(|d| d.message.name().to_owned()).unwrap_or_default();
            for (delay, bytes) in self.wire.pass(Direction::In, &name, bytes) {
                match delay.is_zero() {
                    true => out.push((to, bytes)),
                    false => {
                        self.late.insert((now + delay, self.late.len()), (to, bytes));
                    }
                }
            }
        }
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= now) {
            out.push(entry.remove());
        }
        out
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
