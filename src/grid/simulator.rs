//! A region's task: datagrams in, orders from outside, timers; each to whoever handles it.

use super::region::{Order, Region};
use super::{Policy, handshake, inworld, messages};
use crate::proto::message::{Decoder, MAX_DATAGRAM};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

impl Region {
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
        let packet = match decoder.decode(&template, bytes) {
            Ok(packet) => packet,
            Err(_) if self.faults(Policy::DiesOfGarbage) => return self.circuits.disable(from),
            Err(_) => return,
        };
        if !self.circuits.knows(from) {
            if packet.name() == "UseCircuitCode" {
                handshake::use_circuit_code(self, &packet, from);
            } else if self.faults(Policy::AnswersStrangers) {
                self.circuits.open(from, Uuid::nil(), Uuid::nil(), 0);
                self.circuits.handle(from, &packet);
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

    fn faults(&self, policy: Policy) -> bool {
        self.shared.config.faults.has(policy)
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
}
