//! A region's task: datagrams in, orders from outside, timers; each to whoever handles it.

use super::notices::panic_text;
use super::region::{Order, Region};
use super::{Policy, handshake, inworld, messages, witness};
use crate::proto::message::{Decoder, Flags, Message, Packet};
use crate::proto::template::Template;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
        let mut decoder = Decoder::tolerant();
        loop {
            self.survive(|| "walking".into(), Self::walk);
            self.survive(|| "the scene".into(), Self::tell_scene);
            self.flush().await;
            let due = self.circuits.next_due().into_iter().chain(self.next_step);
            let due = due.chain(self.scene_due()).min();
            let due = due.unwrap_or(Duration::from_secs(3600 * 24));
            let due = self.circuits.clock.instant(due);
            // However much arrives, what others ask and what is due has its turn.
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                order = orders.recv() => match order {
                    Some(order) => self.survive(|| "an order".into(), |region| region.obey(order)),
                    None => return,
                },
                () = tokio::time::sleep_until(due) => {
                    self.survive(|| "timers".into(), |region| region.circuits.handle_timeouts());
                }
                received = self.port.receive() => {
                    if let Ok((bytes, from)) = received {
                        let template = self.shared.template.clone();
                        let name = || name_of(&template, &bytes);
                        self.survive(name, |region| region.arrive(&mut decoder, &bytes, from));
                    }
                }
            }
        }
    }

    /// A handler that panics takes nobody else along: the region lives on, and says so.
    fn survive(&mut self, what: impl Fn() -> String, handle: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| handle(self))) {
            let text = panic_text(&*panic);
            self.shared.notices.mistake(&format!("the handler of {} panicked ({text})", what()));
        }
    }

    /// A datagram. What does not decode, or comes from nobody we know, leaves no trace.
    fn arrive(&mut self, decoder: &mut Decoder, bytes: &[u8], from: SocketAddr) {
        let template = self.shared.template.clone();
        if self.shared.ear.is_open() {
            let circuit = self.circuits.client(from).map(|client| (client.agent, client.session));
            let closing = self.circuits.is_closing(from);
            let datagram = (from, bytes);
            let known = circuit.is_some();
            let heard = witness::received(&template, decoder, datagram, known, closing);
            self.shared.ear.received(self.index, circuit, heard);
        }
        let read_on;
        let packet = match decoder.decode(&template, bytes) {
            Ok(packet) => packet,
            Err(_) => {
                read_on = self.garbage(bytes, from);
                match read_on.as_ref().and_then(|bytes| decoder.decode(&template, bytes).ok()) {
                    Some(packet) => packet,
                    None => return,
                }
            }
        };
        if self.shared.config.faults.is_deaf_to(packet.name()) || self.is_picky(&packet) {
            return;
        }
        if !packet.extra.is_empty() && self.breaks(Policy::DiesOfExtra) {
            return self.circuits.disable(from);
        }
        // Where a circuit is only waiting for its last acks, the port may have a new owner.
        let code = packet.name() == "UseCircuitCode";
        if !self.circuits.knows(from) || (code && self.circuits.is_closing(from)) {
            if code {
                handshake::use_circuit_code(self, &packet, from);
            } else if self.breaks(Policy::AnswersStrangers) {
                self.circuits.open(from, Uuid::nil(), Uuid::nil(), 0);
                self.circuits.handle(from, &packet);
            }
            return;
        }
        // Ids that are not the circuit's: neither processed nor acknowledged, ever.
        if !self.circuits.owns(from, &packet) || !self.circuits.handle(from, &packet) {
            return;
        }
        let message = packet.to_message();
        if packet.def.trusted {
            return self.trusted(from, &message);
        }
        let sequence = packet.header.sequence;
        if !handshake::dispatch(self, from, &message) {
            inworld::dispatch(self, from, &message, sequence);
        }
    }

    /// What does not decode is passed over, but for faults: the bytes a faulty grid reads instead.
    fn garbage(&mut self, bytes: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        let known = self.circuits.knows(from);
        if known && self.breaks(Policy::DiesOfGarbage) {
            self.circuits.disable(from);
        }
        if let (true, [flags, a, b, c, d, ..]) = (known, bytes)
            && flags & Flags::RELIABLE.0 != 0
            && self.breaks(Policy::AcksGarbage)
        {
            self.circuits.acknowledge(from, u32::from_be_bytes([*a, *b, *c, *d]));
        }
        // Where the trailer makes no sense, the same bytes without it.
        if let ([flags, ..], true) = (bytes, known)
            && flags & Flags::ACK.0 != 0
            && self.breaks(Policy::LooseTrailer)
        {
            let mut bytes = bytes[..bytes.len() - 1].to_vec();
            bytes[0] &= !Flags::ACK.0;
            return Some(bytes);
        }
        let reads_on = known && self.breaks(Policy::ReadsPastTheEnd);
        reads_on.then(|| [bytes, &[0; 2048]].concat())
    }

    /// Whether a faulty grid takes offence at what it should pass over.
    fn is_picky(&self, packet: &Packet<'_>) -> bool {
        let flags = packet.header.flags;
        let empty = flags.has(Flags::ACK) && packet.acks.is_empty();
        (packet.trailing > 0 && self.breaks(Policy::RefusesTrailingBytes))
            || (flags.0 & 0x0F != 0 && self.breaks(Policy::RefusesReservedBits))
            || (empty && self.breaks(Policy::RefusesEmptyTrailer))
    }

    /// A message that only simulators may send to each other: passed over, but for faults.
    fn trusted(&mut self, from: SocketAddr, message: &Message) {
        if self.breaks(Policy::DiesOfTrusted) {
            self.circuits.disable(from);
        }
        if self.breaks(Policy::ObeysTrusted) {
            for agent in self.circuits.agents() {
                if let Some((to, _)) = self.circuits.of(agent) {
                    self.circuits.send(to, message, true);
                }
            }
        }
    }

    fn breaks(&self, policy: Policy) -> bool {
        self.shared.config.faults.breaks(policy)
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
            Order::Depart(agent) => self.leave(agent),
            Order::Disable(agent) => {
                if let Some((from, _)) = self.circuits.of(agent) {
                    self.circuits.disable(from);
                }
            }
            Order::ShowWorld(agent) => self.show_world(agent),
            Order::Deliver(agent, message) => {
                if let Some((from, _)) = self.circuits.of(agent) {
                    self.circuits.send(from, &message, true);
                }
            }
        }
    }
}

/// What a datagram is called; nothing if it does not decode.
fn name_of(template: &Template, bytes: &[u8]) -> String {
    let packet = Decoder::tolerant().decode(template, bytes).map(|p| p.name().to_owned());
    packet.unwrap_or_default()
}
