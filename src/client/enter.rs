//! Circuits, and the whole way from a login reply to an avatar in the world.

use super::place::Signs;
use super::{LoginError, ROOT, Source, Viewer, What};
use crate::net::CircuitName;
use crate::net::udp::{CircuitEvent, CircuitHandle, CircuitOptions};
use crate::proto::circuit::{Config, SendOptions};
use crate::proto::id::Sequence;
use crate::proto::llsd::Llsd;
use crate::proto::login::Session;
use crate::proto::message::{Field, FieldValue, Message};
use crate::proto::template::Template;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Where entering the world stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EnterError {
    /// The login did not lead to a session.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The seed did not answer as it should.
    #[error("seed capability: {0}")]
    Seed(String),
    /// A socket could not be opened.
    #[error("opening the circuit: {0}")]
    Socket(String),
    /// Something awaited did not come.
    #[error("waiting for {0}")]
    Silence(&'static str),
}

/// A message whose first block carries agent and session.
pub fn agent_message(template: &Template, name: &str, session: &Session) -> Message {
    Message::named(template, name)
        .with("AgentData", "AgentID", Field::Uuid(session.agent_id.0))
        .with("AgentData", "SessionID", Field::Uuid(session.session_id.0))
}

/// UseCircuitCode with a session's own values.
pub(super) fn use_circuit_code(template: &Template, session: &Session) -> Message {
    Message::named(template, "UseCircuitCode")
        .with("CircuitCode", "Code", Field::U32(session.circuit_code.0))
        .with("CircuitCode", "SessionID", Field::Uuid(session.session_id.0))
        .with("CircuitCode", "ID", Field::Uuid(session.agent_id.0))
}

impl Viewer {
    /// Opens a circuit under a name; one of that name is closed.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn open(
        &mut self,
        name: &str,
        remote: SocketAddr,
        config: Config,
        handshake: bool,
    ) -> std::io::Result<()> {
        let ids = self.session().map(|s| (s.agent_id, s.session_id));
        let called = CircuitName::new(name);
        let options = CircuitOptions {
            config,
            tamper: self.common.tamper(&self.impair, &self.impaired),
            impairments: self.impairments.clone(),
            handshake: ids.filter(|_| handshake),
            ..self.common.circuit(remote, called.clone(), &self.teller)
        };
        let mailbox = self.mailbox.clone();
        let source = Source::Circuit(name.to_owned());
        // What an earlier circuit of this name said must not answer for this one.
        if let Some(old) = self.take_link(name) {
            old.mute(true);
            old.close();
        }
        self.mailbox.forget_source(&source);
        let new = Signs::of(&self.presence);
        let place = self.place_named(name);
        place.signs = new;
        (place.may_end, place.out_of_view) = (false, false);
        let (signs, session) = (place.signs.clone(), ids.map(|(_, session)| session));
        if let SocketAddr::V4(address) = remote {
            self.neighbours.note_own(address, signs.clone());
        }
        let link = CircuitHandle::open(options, move |seen| {
            signs.observe(&seen, session);
            mailbox.post(Source::Circuit(called.text()), What::Udp(Box::new(seen)));
        })
        .await?;
        let updates = self.common.updates();
        let place = self.place_named(name);
        match handshake {
            true => place.runs(link, updates),
            false => place.runs_quietly(link),
        }
        Ok(())
    }

    /// Waits for a message on a circuit without taking it from later steps.
    pub async fn wait_for(&self, circuit: &str, name: &str, within: Duration) -> Option<Message> {
        self.wait_for_since(None, circuit, name, within).await
    }

    /// The same, of what was heard since some time only.
    pub async fn wait_for_since(
        &self,
        since: Option<Instant>,
        circuit: &str,
        name: &str,
        within: Duration,
    ) -> Option<Message> {
        let deadline = Instant::now() + within;
        let source = Source::Circuit(circuit.to_owned());
        let found = self.mailbox.wait(deadline, |heard| {
            let late = heard.iter().rev().take_while(|o| since.is_none_or(|since| o.at >= since));
            late.into_iter().find_map(|o| match &o.what {
                What::Udp(seen) if o.source == source => match &**seen {
                    CircuitEvent::Message { message, duplicate: false, .. }
                        if message.name() == name =>
                    {
                        Some(message.clone())
                    }
                    _ => None,
                },
                _ => None,
            })
        });
        found.await
    }

    /// Waits until a number of ours is acknowledged.
    pub async fn acked(&self, circuit: &str, sequence: Sequence, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let source = Source::Circuit(circuit.to_owned());
        let found = self.mailbox.wait(deadline, |heard| {
            let acked = heard.iter().any(|o| {
                o.source == source
                    && matches!(&o.what, What::Udp(s) if matches!(&**s, CircuitEvent::Acks(acks) if acks.contains(&sequence)))
            });
            acked.then_some(())
        });
        found.await.is_some()
    }

    /// UseCircuitCode with the session's own values.
    pub fn use_circuit_code(&self, session: &Session) -> Message {
        use_circuit_code(&self.common.template, session)
    }

    /// CompleteAgentMovement with the session's own values.
    pub(super) fn complete_movement(&self, session: &Session) -> Message {
        let message = agent_message(&self.common.template, "CompleteAgentMovement", session);
        message.with("AgentData", "CircuitCode", Field::U32(session.circuit_code.0))
    }

    /// The whole way: login, seed, circuit, movement, handshake, event queue.
    ///
    /// # Errors
    /// How far it came, and what was missing there.
    pub async fn enter(&mut self, start: &str, within: Duration) -> Result<Llsd, EnterError> {
        let members = self.log_in(start, within).await?;
        let seed = self.ask_seed_for_all(within).await;
        let seed = seed.map_err(|error| EnterError::Seed(error.to_string()))?;
        if seed.status != 200 {
            return Err(EnterError::Seed(format!("status {}", seed.status)));
        }
        self.arrive(within).await?;
        self.start_events();
        self.state.enter();
        Ok(members)
    }

    /// From a session to an avatar in its region: circuit, movement, handshake.
    ///
    /// # Errors
    /// What was missing on the way.
    pub async fn arrive(&mut self, within: Duration) -> Result<(), EnterError> {
        let Some(session) = self.session().cloned() else {
            return Err(EnterError::Silence("a session"));
        };
        let config = self.common.circuit_config();
        let opened = self.open(ROOT, session.simulator.into(), config, true).await;
        opened.map_err(|error| EnterError::Socket(error.to_string()))?;
        let code = self.use_circuit_code(&session);
        let movement = self.complete_movement(&session);
        let first = self.send(ROOT, code, true).await;
        if !self.acked(ROOT, first, within).await {
            return Err(EnterError::Silence("the ack of UseCircuitCode"));
        }
        self.send(ROOT, movement, true).await;
        if self.wait_for(ROOT, "RegionHandshake", within).await.is_none() {
            return Err(EnterError::Silence("RegionHandshake"));
        }
        if self.wait_for(ROOT, "AgentMovementComplete", within).await.is_none() {
            return Err(EnterError::Silence("AgentMovementComplete"));
        }
        self.root = ROOT.to_owned();
        self.settle(ROOT, &session).await;
        Ok(())
    }

    /// What a viewer says as soon as its avatar stands in a region.
    pub(super) async fn settle(&self, circuit: &str, session: &Session) {
        let template = &self.common.template;
        let throttle = agent_message(template, "AgentThrottle", session)
            .with("AgentData", "CircuitCode", Field::U32(session.circuit_code.0))
            .with("Throttle", "Throttles", Field::Variable(throttles()));
        self.send(circuit, throttle, true).await;
        self.send(circuit, agent_update(template, session), true).await;
    }

    /// Sends on a circuit; its number, 0 if the circuit is gone.
    pub async fn send(&self, circuit: &str, message: Message, reliable: bool) -> Sequence {
        self.saying(&message);
        let options = if reliable { SendOptions::RELIABLE } else { SendOptions::UNRELIABLE };
        match self.link(circuit) {
            Some(link) => link.send(message, options).await.unwrap_or_default(),
            None => Sequence(0),
        }
    }
}

/// Resend, land, wind, cloud, task, texture, asset in bits per second, as at 1.5 Mbit/s.
pub(super) fn throttles() -> Vec<u8> {
    let rates = [207_360.0f32, 165_376.0, 33_075.2, 33_075.2, 682_700.75, 682_700.75, 269_312.0];
    rates.iter().flat_map(|rate| rate.to_le_bytes()).collect()
}

/// An avatar that stands still and looks 128 metres far.
pub(super) fn agent_update(template: &Template, session: &Session) -> Message {
    let far: FieldValue = Field::F32(128.0);
    agent_message(template, "AgentUpdate", session)
        .with("AgentData", "CameraCenter", Field::Vector3([128.0, 128.0, 26.0]))
        .with("AgentData", "CameraAtAxis", Field::Vector3([1.0, 0.0, 0.0]))
        .with("AgentData", "CameraLeftAxis", Field::Vector3([0.0, 1.0, 0.0]))
        .with("AgentData", "CameraUpAxis", Field::Vector3([0.0, 0.0, 1.0]))
        .with("AgentData", "Far", far)
}
