//! Following an avatar to another region, by teleport or on foot.

use super::enter::EnterError;
use super::{State, Viewer};
use crate::proto::llsd::Llsd;
use crate::proto::login::Session;
use crate::proto::message::Message;
use crate::proto::teleport::{CrossedRegion, Destination, TeleportFinish, corner};
use std::time::Duration;
use tokio::time::Instant;

/// In metres.
const REGION_SIZE: u32 = 256;

/// Where an event sends the agent, and whether its circuit there is open already.
#[derive(Clone, Debug)]
pub enum Journey {
    /// By teleport: a new circuit.
    Teleport(Destination),
    /// Over a border, to a region that was announced before.
    Crossing(Destination),
}

impl Journey {
    /// From an event's body; none if it is for another agent, or not one of these events.
    pub fn parse(body: &Llsd, viewer: &Viewer) -> Option<Self> {
        let session = viewer.session()?;
        if let Some(finish) = TeleportFinish::parse(body) {
            let own = finish.to.agent_id == session.agent_id;
            return own.then_some(Self::Teleport(finish.to));
        }
        let crossed = CrossedRegion::parse(body)?;
        let own =
            crossed.to.agent_id == session.agent_id && crossed.session_id == session.session_id;
        own.then_some(Self::Crossing(crossed.to))
    }
}

impl Viewer {
    /// Goes where an event sends the agent: opens the circuit if it is not open, completes the
    /// movement, asks the new seed and polls the new event queue. From then on the avatar stands
    /// on that circuit.
    ///
    /// # Errors
    /// How far it came, and what was missing there.
    pub async fn follow(
        &mut self,
        journey: Journey,
        circuit: &str,
        within: Duration,
    ) -> Result<Message, EnterError> {
        let Some(session) = self.session().cloned() else {
            return Err(EnterError::Silence("a session"));
        };
        let (to, new) = match journey {
            Journey::Teleport(to) => (to, true),
            Journey::Crossing(to) => (to, false),
        };
        self.learn("seed_capability", &*to.seed);
        let open = self.adopt(to.address, circuit) || self.resume(to.address, circuit);
        if !open {
            let config = self.common.circuit_config();
            let opened = self.open(circuit, to.address.into(), config, true).await;
            opened.map_err(|error| EnterError::Socket(error.to_string()))?;
        }
        if new || !open {
            // Viewers say it on a circuit that is open already too, and do not wait for its ack.
            let code = self.use_circuit_code(&session);
            self.send(circuit, code, true).await;
        }
        let movement = self.complete_movement(&session);
        // Whoever walks back has arrived here before: only what comes from now on counts.
        let since = Some(Instant::now());
        let (from, here) = (session.region, corner(to.handle));
        let beside = from.0.abs_diff(here.0).max(from.1.abs_diff(here.1)) <= REGION_SIZE;
        let left = self.here();
        left.out_of_view = !beside;
        left.may_end |= !beside;
        let moved =
            Session { simulator: to.address, seed: to.seed, region: here, ..session.clone() };
        self.state = State::Between(moved, session.simulator);
        self.root = circuit.to_owned();
        self.presence.leave();
        self.send(circuit, movement, true).await;
        let seed = self.ask_seed_for_all(within).await;
        let seed = seed.map_err(|error| EnterError::Seed(error.to_string()))?;
        if seed.status != 200 {
            return Err(EnterError::Seed(format!("status {}", seed.status)));
        }
        let arrived = self.wait_for_since(since, circuit, "AgentMovementComplete", within).await;
        let arrived = arrived.ok_or(EnterError::Silence("AgentMovementComplete"))?;
        self.state.enter();
        self.start_events();
        self.settle(circuit, &session).await;
        self.teller.remark("arrived in another region");
        Ok(arrived)
    }
}
