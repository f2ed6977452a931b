//! Who is let in: UseCircuitCode opens a circuit where code, session and agent belong together.

use super::effect::{Happened, Sender};
use super::{Core, Own};
use crate::net::tap::RegionIndex;
use crate::proto::id::{AgentId, CircuitCode, Sequence, SessionId};
use crate::proto::message::{Field, Packet};
use std::net::SocketAddr;

/// The code, session and agent that a UseCircuitCode carries.
fn circuit_code(packet: &Packet<'_>) -> Option<(CircuitCode, SessionId, AgentId)> {
    let Some(Field::U32(code)) = packet.field("CircuitCode", "Code") else { return None };
    let session = packet.uuid("CircuitCode", "SessionID")?;
    let agent = packet.uuid("CircuitCode", "ID")?;
    Some((CircuitCode(code), SessionId(session), AgentId(agent)))
}

impl Core {
    /// Opens a circuit, if the code, the session and the agent belong together here. If not:
    /// silence.
    pub(super) fn use_circuit_code(
        &mut self,
        region: RegionIndex,
        packet: &Packet<'_>,
        address: SocketAddr,
    ) {
        let Some((code, session, agent)) = circuit_code(packet) else { return };
        let sequence = packet.header.sequence;
        if !self.world.admits(region, agent, session, code) {
            if self.world.presence(agent).is_none() && self.breaks(Own::GreetsStrangers) {
                self.circuits[region.0].open(self.now, address, agent, session, code);
                let (circuit_code, sequence) = (code, Sequence(0));
                let sender = Sender { region, address, agent, session, circuit_code, sequence };
                self.happened(&Happened::CircuitOpened(sender, true));
            }
            return;
        }
        let elsewhere = self.circuits[region.0].of(agent).is_some_and(|(old, _)| old != address);
        if elsewhere && self.breaks(Own::RefusesNewPort) {
            return;
        }
        let Some(presence) = self.world.presence(agent) else { return };
        // The session's own values: what came was compared with them just above.
        let (circuit_code, session) = (presence.circuit_code, presence.session_id);
        let expected = presence.transit.as_ref().is_some_and(|t| t.to == region);
        let child = presence.root != Some(region) && !expected;
        let circuits = &mut self.circuits[region.0];
        circuits.open(self.now, address, agent, session, circuit_code);
        circuits.handle(self.now, address, packet);
        circuits.flush_acks(self.now, address);
        let sender = Sender { region, address, agent, session, circuit_code, sequence };
        self.happened(&Happened::CircuitOpened(sender, child));
    }
}
