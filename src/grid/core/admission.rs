//! Who is let in: UseCircuitCode opens a circuit where code, session and agent belong together.

use super::effect::{Happened, Sender};
use super::{Core, Own};
use crate::proto::message::{Field, Packet};
use std::net::SocketAddr;
use uuid::Uuid;

/// The code, session and agent that a UseCircuitCode carries.
fn circuit_code(packet: &Packet<'_>) -> Option<(u32, Uuid, Uuid)> {
    let Some(Field::U32(code)) = packet.field("CircuitCode", "Code") else { return None };
    let session = packet.uuid("CircuitCode", "SessionID")?;
    Some((code, session, packet.uuid("CircuitCode", "ID")?))
}

impl Core {
    /// Opens a circuit, if the code, the session and the agent belong together here. If not:
    /// silence.
    pub(super) fn use_circuit_code(
        &mut self,
        region: usize,
        packet: &Packet<'_>,
        address: SocketAddr,
    ) {
        let Some((code, session, agent)) = circuit_code(packet) else { return };
        let sequence = packet.header.sequence;
        if !self.world.admits(region, agent, session, code) {
            if self.world.presence(agent).is_none() && self.breaks(Own::GreetsStrangers) {
                self.circuits[region].open(self.now, address, agent, session, code);
                let (circuit_code, sequence) = (code, 0);
                let sender = Sender { region, address, agent, session, circuit_code, sequence };
                self.happened(&Happened::CircuitOpened(sender, true));
            }
            return;
        }
        let elsewhere = self.circuits[region].of(agent).is_some_and(|(old, _)| old != address);
        if elsewhere && self.breaks(Own::RefusesNewPort) {
            return;
        }
        let Some(presence) = self.world.presence(agent) else { return };
        // The session's own values: what came was compared with them just above.
        let (circuit_code, session) = (presence.circuit_code, presence.session_id);
        let expected = presence.transit.as_ref().is_some_and(|t| t.to == region);
        let child = presence.root != Some(region) && !expected;
        let circuits = &mut self.circuits[region];
        circuits.open(self.now, address, agent, session, circuit_code);
        circuits.handle(self.now, address, packet);
        circuits.flush_acks(self.now, address);
        let sender = Sender { region, address, agent, session, circuit_code, sequence };
        self.happened(&Happened::CircuitOpened(sender, child));
    }
}
