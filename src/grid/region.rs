//! A region: its UDP port, its circuits, and who else is there.

use super::Shared;
use super::circuits::Circuits;
use super::scene::Scene;
use super::witness::{Visitor, What};
use crate::net::port::Port;
use crate::proto::circuit::Event;
use crate::proto::message::Message;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What other parts of the grid ask of a region.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// End the agent's circuit with a reason.
    Kick(Uuid, String),
    /// End the agent's circuit.
    Close(Uuid),
    /// The gate is open: show the world to this agent and this agent to the world.
    ShowWorld(Uuid),
    /// The avatar has gone to another region; the agent stays.
    Depart(Uuid),
    /// End the circuit of an agent that is not in view any more.
    Disable(Uuid),
    /// Send a message to an agent here.
    Deliver(Uuid, Box<Message>),
}

/// A region.
pub(super) struct Region {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub circuits: Circuits,
    pub port: Port,
    /// When those who walk are moved on, if anybody walks.
    pub next_step: Option<Duration>,
    pub scene: Scene,
}

impl Region {
    pub fn new(index: usize, port: Port, shared: Arc<Shared>) -> Self {
        let circuits = Circuits::new(index, &shared);
        Self { index, shared, circuits, port, next_step: None, scene: Scene::default() }
    }

    pub async fn flush(&mut self) {
        for (to, bytes) in self.circuits.outgoing() {
            self.port.send(&bytes, to).await;
        }
        for (agent, session, event) in self.circuits.events() {
            if event == Event::Silent {
                self.lost(agent, session);
            }
        }
        for (to, bytes) in self.circuits.outgoing() {
            self.port.send(&bytes, to).await;
        }
    }

    /// A silent agent: a root takes the whole session with it, a child only itself.
    fn lost(&mut self, agent: Uuid, session: Uuid) {
        let mut world = self.shared.world();
        let root = world
            .presence(agent)
            .filter(|p| p.session_id == session)
            .is_some_and(|p| p.root == self.index);
        let regions = if root { world.end(agent) } else { Vec::new() };
        drop(world);
        if root {
            let visitor = Visitor { agent, session: Some(session), region: self.index };
            self.shared.ear.hear(visitor, || What::Silent);
            tracing::info!("an avatar was silent for too long in region {}", self.index);
            self.leave(agent);
        }
        for region in regions.into_iter().filter(|r| *r != self.index) {
            self.shared.order(region, Order::Close(agent));
        }
    }
}
