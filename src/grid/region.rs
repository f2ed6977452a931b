//! One region's task: its UDP port, its circuits, and what it is told from outside.

use super::circuits::Circuits;
use super::{Shared, handshake, inworld, messages};
use crate::net::udp::Port;
use crate::proto::circuit::Event;
use crate::proto::message::{Decoder, MAX_DATAGRAM, Message};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
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
    /// Send a message to an agent here.
    Deliver(Uuid, Box<Message>),
}

/// A region.
pub(super) struct Region {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub circuits: Circuits,
    port: Port,
}

impl Region {
    pub fn new(index: usize, port: Port, shared: Arc<Shared>) -> Self {
        let circuits = Circuits::new(shared.template.clone(), shared.config.time_factor);
        Self { index, shared, circuits, port }
    }

    /// Serves until told to stop.
    pub async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut decoder = Decoder::tolerant();
        loop {
            self.flush().await;
            let due = self.circuits.next_due().unwrap_or(Duration::from_secs(3600 * 24));
            let due = self.circuits.clock.instant(due);
            tokio::select! {
                received = self.port.receive(&mut buffer) => {
                    if let Ok((len, from)) = received {
                        self.arrive(&mut decoder, &buffer[..len], from);
                    }
                }
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                () = tokio::time::sleep_until(due) => self.circuits.handle_timeouts(),
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// A datagram. What does not decode, or comes from nobody we know, leaves no trace.
    fn arrive(&mut self, decoder: &mut Decoder, bytes: &[u8], from: SocketAddr) {
        let template = self.shared.template.clone();
        let Ok(packet) = decoder.decode(&template, bytes) else { return };
        if !self.circuits.knows(from) {
            if packet.name() == "UseCircuitCode" {
                handshake::use_circuit_code(self, &packet, from);
            }
            return;
        }
        // Ids that are not the circuit's: neither processed nor acknowledged, ever.
        if !self.circuits.owns(from, &packet) || !self.circuits.handle(from, &packet) {
            return;
        }
        if packet.def.trusted {
            return;
        }
        let message = packet.to_message();
        let sequence = packet.header.sequence;
        if !handshake::dispatch(self, from, &message) {
            inworld::dispatch(self, from, &message, sequence);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Kick(agent, reason) => {
                if let Some((from, session)) = self.circuits.of(agent) {
                    let template = &self.shared.template;
                    let kick = messages::kick(template, agent, session, &reason);
                    self.circuits.send(from, &kick, true);
                    self.leave(agent);
                    self.circuits.disable(from);
                }
            }
            Order::Close(agent) => {
                if let Some((from, _)) = self.circuits.of(agent) {
                    self.leave(agent);
                    self.circuits.disable(from);
                }
            }
            Order::ShowWorld(agent) => inworld::show_world(self, agent),
            Order::Deliver(agent, message) => {
                if let Some((from, _)) = self.circuits.of(agent) {
                    self.circuits.send(from, &message, true);
                }
            }
        }
    }

    /// Tells the others that an avatar is gone.
    pub fn leave(&mut self, agent: Uuid) {
        let kill = messages::kill(&self.shared.template, agent);
        for other in self.circuits.agents().into_iter().filter(|other| *other != agent) {
            if let Some((to, _)) = self.circuits.of(other) {
                self.circuits.send(to, &kill, true);
            }
        }
    }

    async fn flush(&mut self) {
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
            self.shared.log(&format!("an avatar was silent for too long in region {}", self.index));
            self.leave(agent);
        }
        for region in regions.into_iter().filter(|r| *r != self.index) {
            self.shared.order(region, Order::Close(agent));
        }
    }
}
