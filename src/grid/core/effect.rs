//! What rooms have done: messages to one or several, events, circuits ended; and what they tell
//! each other has happened.

use super::Core;
use crate::net::tap::{Passed, RegionIndex, Visitor};
use crate::proto::event_queue::Event;
use crate::proto::id::{AgentId, CircuitCode, Sequence, SessionId};
use crate::proto::message::Message;
use std::net::SocketAddr;
use std::sync::Arc;

/// Whose message it is that is handled.
#[derive(Clone, Copy, Debug)]
pub(in crate::grid) struct Sender {
    /// The region that it was sent to.
    pub region: RegionIndex,
    /// Where it came from.
    pub address: SocketAddr,
    pub agent: AgentId,
    pub session: SessionId,
    pub circuit_code: CircuitCode,
    /// The number of the packet.
    pub sequence: Sequence,
}

/// What has happened, for every room to hear.
#[derive(Clone, Debug)]
pub(in crate::grid) enum Happened {
    /// An agent has opened its circuit; whether it is a child, which has no avatar there.
    CircuitOpened(Sender, bool),
    /// An avatar has arrived in a region; whether it came from another.
    Arrived(AgentId, RegionIndex, bool),
    /// The gate of an agent is open: it sees the world there.
    SceneOpen(AgentId, RegionIndex),
    /// An avatar is gone from a region.
    Left(AgentId, RegionIndex),
    /// A session has ended.
    Ended(AgentId),
}

impl Core {
    /// Tells every room.
    pub(crate) fn happened(&mut self, what: &Happened) {
        let routes = Arc::clone(&self.routes);
        routes.happened.iter().for_each(|hear| hear(self, what));
    }

    /// Sends a message to whoever sent one.
    pub(crate) fn reply(&mut self, to: &Sender, message: &Message) {
        self.send(to.region, [to.address], message, true);
    }

    /// Sends the same from a region to some addresses.
    pub(crate) fn send(
        &mut self,
        region: RegionIndex,
        to: impl IntoIterator<Item = SocketAddr>,
        message: &Message,
        reliable: bool,
    ) {
        self.circuits[region.0].send_all(self.now, to, message, reliable);
    }

    /// Sends a message to an agent that has a circuit in a region.
    pub(crate) fn send_to(&mut self, region: RegionIndex, agent: AgentId, message: &Message) {
        self.send_those(region, &[agent], message, true);
    }

    /// Sends the same to those of some agents that have a circuit in a region.
    pub(crate) fn send_those(
        &mut self,
        region: RegionIndex,
        to: &[AgentId],
        message: &Message,
        reliable: bool,
    ) {
        let circuits = &self.circuits[region.0];
        let found = to.iter().filter_map(|agent| circuits.of(*agent));
        let to: Vec<SocketAddr> = found.map(|(to, _)| to).collect();
        self.send(region, to, message, reliable);
    }

    /// Sends a message to an avatar, wherever it is; false if it is nowhere.
    pub(crate) fn deliver(&mut self, agent: AgentId, message: &Message) -> bool {
        let root = self.world.presence(agent).and_then(|presence| presence.root);
        root.inspect(|root| self.send_to(*root, agent, message)).is_some()
    }

    /// Every agent with a circuit in a region but this one whose gate there is open.
    pub(crate) fn onlookers(&self, region: RegionIndex, but: AgentId) -> Vec<AgentId> {
        let open = |other: &AgentId| {
            let here = self.world.presence(*other).and_then(|p| p.agents.get(&region));
            here.is_some_and(|here| here.world_open)
        };
        let others = self.circuits[region.0].agents().into_iter().filter(|other| *other != but);
        others.filter(open).collect()
    }

    /// Tells something of an avatar to every other agent in a region whose gate is open.
    pub(crate) fn send_others(&mut self, region: RegionIndex, but: AgentId, message: &Message) {
        let others = self.onlookers(region, but);
        self.send_those(region, &others, message, true);
    }

    /// Puts an event on the queue of an agent in a region.
    pub(crate) fn tell(&mut self, agent: AgentId, region: RegionIndex, event: Event) {
        self.world.tell(agent, region, event);
    }

    /// Says DisableSimulator to an agent in a region, and ends its circuit there.
    pub(crate) fn disable(&mut self, region: RegionIndex, agent: AgentId) {
        if let Some((from, _)) = self.circuits[region.0].of(agent) {
            self.circuits[region.0].disable(self.now, from);
        }
    }

    /// Ends an agent's circuit in a region; those there are told that it is gone.
    pub(crate) fn close(&mut self, region: RegionIndex, agent: AgentId) {
        if self.circuits[region.0].of(agent).is_some() {
            self.happened(&Happened::Left(agent, region));
            self.disable(region, agent);
        }
    }

    /// Ends a session: the regions where it had agents, whose circuits are the caller's to close.
    pub(crate) fn end(&mut self, agent: AgentId) -> Vec<RegionIndex> {
        let regions = self.world.end(agent);
        if !regions.is_empty() {
            self.happened(&Happened::Ended(agent));
        }
        regions
    }

    /// Ends a session and every circuit of it.
    pub(crate) fn end_and_close(&mut self, agent: AgentId) {
        self.end(agent).into_iter().for_each(|region| self.close(region, agent));
    }

    /// A silent agent: a root takes the whole session with it, a child only itself.
    pub(super) fn lost(&mut self, region: RegionIndex, agent: AgentId, session: SessionId) {
        let own = self.world.presence(agent).filter(|p| p.session_id == session);
        if own.is_none_or(|presence| presence.root != Some(region)) {
            return;
        }
        let regions = self.end(agent);
        let visitor = Visitor { agent, session: Some(session), region };
        self.tap.tell(self.now, visitor, || Passed::Silent);
        tracing::info!("an avatar was silent for too long in region {region}");
        self.happened(&Happened::Left(agent, region));
        for other in regions.into_iter().filter(|other| *other != region) {
            self.close(other, agent);
        }
    }
}
