//! The gate: the one place where faults and tap see whatever comes in and goes out.

use super::circuits::{Circuits, Sent};
use super::effect::Sender;
use super::queue::Open;
use super::reply::{Body, Reply};
use super::{Core, Output, Own, RequestId, odd};
use crate::grid::fault::{self, Spoilt};
use crate::net::server::Answer;
use crate::net::tap::{self, Passed, RegionIndex, Said, is_odd};
use crate::proto::id::{AgentId, CircuitCode, Sequence, SessionId};
use crate::proto::llsd;
use crate::proto::message::{
    Datagram, Decoder, Field, Flags, HEADER_LEN, MIN_DATAGRAM, Message, Packet, zero_coded,
};
use crate::proto::template::Template;
use crate::proto::xmlrpc::{self, Document, RpcValue};
use crate::tamper::{Channel, Direction};
use crate::value::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// Messages that concern the circuit alone, which has heeded them.
const OF_CIRCUITS: [&str; 3] = ["PacketAck", "StartPingCheck", "CompletePingCheck"];

/// No PacketAck has more numbers.
const MOST_ACKS: usize = 255;

impl Core {
    /// A datagram. What does not decode, or comes from nobody we know, leaves no trace.
    pub(super) fn receive(&mut self, region: RegionIndex, from: SocketAddr, bytes: &[u8]) {
        self.tap_received(region, from, bytes);
        // What it decodes is lent from it.
        let mut decoder = std::mem::replace(&mut self.decoder, Decoder::tolerant());
        self.receive_with(&mut decoder, region, from, bytes);
        self.decoder = decoder;
    }

    fn receive_with(
        &mut self,
        decoder: &mut Decoder,
        region: RegionIndex,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let template = self.template.clone();
        let read_on;
        let packet = match decoder.decode(&template, bytes) {
            Ok(packet) => packet,
            Err(_) => {
                read_on = self.garbage(region, bytes, from);
                let read_on = read_on.as_ref();
                match read_on.and_then(|bytes| decoder.decode(&template, bytes).ok()) {
                    Some(packet) => packet,
                    None => return,
                }
            }
        };
        if self.faults.is_deaf_to(packet.name()) || self.is_picky(&packet) {
            return;
        }
        if !packet.extra.is_empty() && self.breaks(Own::DiesOfExtra) {
            return self.circuits[region.0].disable(self.now, from);
        }
        // Where a circuit is only waiting for its last acks, the port may have a new owner.
        let code = packet.name() == "UseCircuitCode";
        let circuits = &mut self.circuits[region.0];
        if !circuits.knows(from) || (code && circuits.is_closing(from)) {
            if code {
                self.use_circuit_code(region, &packet, from);
            } else if self.faults.breaks(Own::AnswersStrangers) {
                circuits.open(self.now, from, AgentId::NIL, SessionId::default(), CircuitCode(0));
                circuits.handle(self.now, from, &packet);
            }
            return;
        }
        // Ids that are not the circuit's: neither processed nor acknowledged, ever.
        if !circuits.owns(from, &packet) || !circuits.handle(self.now, from, &packet) {
            return;
        }
        let message = packet.to_message();
        let Some(sender) = circuits.sender(from, packet.header.sequence) else { return };
        match packet.def.trusted {
            true => self.trusted(&sender, &message),
            false => self.dispatch(&sender, &message),
        }
    }

    /// A message of a visitor, to the room that handles it. What has no handler is acknowledged and
    /// otherwise ignored.
    fn dispatch(&mut self, from: &Sender, message: &Message) {
        match self.routes.message(message.name()) {
            Some(handle) => handle(self, from, message),
            None if OF_CIRCUITS.contains(&message.name()) => {}
            None => self.notices.unserved(message.name()),
        }
    }

    fn tap_received(&mut self, region: RegionIndex, from: SocketAddr, bytes: &[u8]) {
        if !self.tap.is_open() {
            return;
        }
        let circuits = &self.circuits[region.0];
        let circuit =
            circuits.sender(from, Sequence(0)).map(|client| (client.agent, client.session));
        let (known, closing) = (circuit.is_some(), circuits.is_closing(from));
        let datagram = (from, bytes);
        let heard = tap::received(&self.template, &mut self.decoder, datagram, known, closing);
        self.tap.received(self.now, region, circuit, heard);
    }

    /// What does not decode is passed over, but for faults: the bytes a faulty grid reads instead.
    fn garbage(&mut self, region: RegionIndex, bytes: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        let circuits = &mut self.circuits[region.0];
        let known = circuits.knows(from);
        if known && self.faults.breaks(Own::DiesOfGarbage) {
            circuits.disable(self.now, from);
        }
        if let (true, [flags, a, b, c, d, ..]) = (known, bytes)
            && flags & Flags::RELIABLE.0 != 0
            && self.faults.breaks(Own::AcksGarbage)
        {
            circuits.acknowledge(self.now, from, Sequence::from_be_bytes([*a, *b, *c, *d]));
        }
        // Where the trailer makes no sense, the same bytes without it.
        if let ([flags, ..], true) = (bytes, known)
            && flags & Flags::ACK.0 != 0
            && self.faults.breaks(Own::LooseTrailer)
        {
            let mut bytes = bytes[..bytes.len() - 1].to_vec();
            bytes[0] &= !Flags::ACK.0;
            return Some(bytes);
        }
        let reads_on = known && self.faults.breaks(Own::ReadsPastTheEnd);
        reads_on.then(|| [bytes, &[0; 2048]].concat())
    }

    /// Whether a faulty grid takes offence at what it should pass over.
    fn is_picky(&self, packet: &Packet<'_>) -> bool {
        let flags = packet.header.flags;
        let empty = flags.has(Flags::ACK) && packet.acks.is_empty();
        (packet.trailing > 0 && self.breaks(Own::RefusesTrailingBytes))
            || (flags.0 & 0x0F != 0 && self.breaks(Own::RefusesReservedBits))
            || (empty && self.breaks(Own::RefusesEmptyTrailer))
    }

    /// A message that only simulators may send to each other: passed over, but for faults.
    fn trusted(&mut self, from: &Sender, message: &Message) {
        if self.breaks(Own::DiesOfTrusted) {
            self.circuits[from.region.0].disable(self.now, from.address);
        }
        if self.breaks(Own::ObeysTrusted) {
            let all = self.circuits[from.region.0].agents();
            self.send_those(from.region, &all, message, true);
        }
    }

    /// Answers a request, with what is wrong with this grid's answers: late, or never.
    pub(crate) fn answer(&mut self, id: RequestId, mut reply: Reply) {
        let members = match &mut reply.body {
            Body::Llsd(members) | Body::Rpc(members) => Some(members),
            _ => None,
        };
        if let Some(members) = &members {
            let said = || Said::Llsd((**members).clone());
            self.tap.meant(self.now, reply.channel, reply.name, said);
        }
        let spoilt = self.faults.answer(reply.channel, reply.name, reply.status, members);
        let delay = spoilt.delay;
        let deliver = move |core: &mut Self| core.deliver_answer(id, reply, &spoilt);
        match delay.is_zero() {
            true => deliver(self),
            false => drop(self.after(delay, "a late answer", deliver)),
        }
    }

    fn deliver_answer(&mut self, id: RequestId, mut reply: Reply, spoilt: &Spoilt) {
        if spoilt.dropped {
            // The connection ends with the grid, or when the client gives up.
            let visitor = reply.visitor.filter(|_| reply.channel == Channel::Login);
            self.requests.insert(id, Open::Never(visitor));
            return;
        }
        if let (Some(queue), Some(visitor)) = (reply.queue.take(), reply.visitor) {
            let status = spoilt.status.unwrap_or(reply.status);
            let body = match &reply.body {
                Body::Llsd(body) if !spoilt.empty => Some(body.clone()),
                _ => None,
            };
            self.tap.tell(self.now, visitor, || Passed::PollAnswered(queue, status, body));
        }
        let (content_type, body) = self.written(&reply);
        let mut answer = Answer::ok(spoilt.content_type.as_deref().unwrap_or(content_type), body);
        answer.status = spoilt.status.unwrap_or(reply.status);
        answer.headers = reply.headers;
        if spoilt.empty {
            answer.body.clear();
        }
        self.out.push_back(Output::Answer(id, answer));
    }

    fn written(&self, reply: &Reply) -> (&'static str, Vec<u8>) {
        match &reply.body {
            Body::None => ("", Vec::new()),
            Body::Plain(content_type, bytes) => (content_type, bytes.clone()),
            Body::Llsd(members) => {
                let mut text = llsd::to_xml(members);
                let odd = is_odd(members);
                if reply.channel == Channel::Events && odd && self.breaks(Own::TerseXml) {
                    text = odd::terse(&text);
                }
                if reply.channel != Channel::Login && self.breaks(Own::Keyless) {
                    text = text.replacen("<map>", "<map><array />", 1);
                }
                (llsd::CONTENT_TYPE, text.into_bytes())
            }
            Body::Rpc(members) => {
                let document = Document::Response(RpcValue::from_llsd(members));
                ("text/xml", xmlrpc::to_xml(&document).into_bytes())
            }
            Body::RpcFault(code, message) => {
                let document = Document::Fault { code: *code, message: message.clone() };
                ("text/xml", xmlrpc::to_xml(&document).into_bytes())
            }
        }
    }
}

impl Circuits {
    /// What becomes of a client's datagrams on a wire with faults.
    pub(super) fn spoil(&mut self, now: Duration, sent: Vec<Sent>) -> Vec<Sent> {
        if self.faults.is_empty() && !self.tap.is_open() {
            return sent;
        }
        let mut out = Vec::new();
        let read = self.tap.is_open() || self.faults.has_rules_of_datagrams();
        for (to, bytes) in sent {
            let Some(mut bytes) = self.rewrite_acks(to, bytes) else { continue };
            let decoded = read.then(|| Datagram::decode(&self.template, &bytes).ok()).flatten();
            let mut said = Value::Undef;
            let mut name = if read { String::new() } else { name_of(&self.template, &bytes) };
            if let Some(mut datagram) = decoded {
                name = datagram.message.name().to_owned();
                said = fault::said(&datagram.message, &bytes);
                let meant = || Said::Message(datagram.message.clone());
                self.tap.meant(now, Channel::Udp, &name, meant);
                if let Some((changed, met)) = self.faults.send(&datagram.message, &said) {
                    datagram.message = changed;
                    // What cannot be encoded is no change.
                    if let Ok(changed) = datagram.encode() {
                        bytes = changed;
                        met.into_iter().for_each(|rule| self.faults.note_rule(rule));
                    }
                }
            }
            self.deform(&name, &mut bytes);
            let wire = self.clients.get_mut(&to).and_then(|client| client.wire.as_mut());
            let Some(wire) = wire else {
                out.push((to, bytes));
                continue;
            };
            for (delay, bytes) in wire.pass_saying(Direction::In, &name, &said, bytes) {
                match delay.is_zero() {
                    true => out.push((to, bytes)),
                    false => {
                        self.late_count += 1;
                        let due = now + delay / self.factor;
                        self.late.insert((due, self.late_count), (to, bytes));
                    }
                }
            }
            self.faults.note_wire(wire);
        }
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= now) {
            out.push(entry.remove());
        }
        out
    }

    /// The acks of a datagram without those that are withheld, and as many as a faulty grid sends;
    /// nothing if it has nothing more to say.
    fn rewrite_acks(&self, to: SocketAddr, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let withheld = self.clients.get(&to).map(|client| &client.withheld);
        let withheld = withheld.filter(|withheld| !withheld.is_empty());
        let padded = self.faults.has(Own::AcksByTheHundred);
        if withheld.is_none() && !padded {
            return Some(bytes);
        }
        let Ok(mut datagram) = Datagram::decode(&self.template, &bytes) else { return Some(bytes) };
        let told = |number: Sequence| withheld.is_none_or(|withheld| !withheld.contains(&number));
        datagram.acks.retain(|number| told(*number));
        datagram.header.flags = datagram.header.flags.without(Flags::ACK);
        if datagram.message.name() == "PacketAck" {
            let rows = datagram.message.rows("Packets").map(|row| row.int("ID"));
            let mut numbers: Vec<u32> = rows.filter(|number| told(Sequence(*number))).collect();
            let first = *numbers.first()?;
            if padded {
                // In front, so that whoever reads only the first ones is found out.
                let again = std::iter::repeat_n(first, MOST_ACKS.saturating_sub(numbers.len()));
                numbers.splice(0..0, again.collect::<Vec<_>>());
            }
            let empty = Message::named(&self.template, "PacketAck");
            datagram.message = numbers.into_iter().fold(empty, |message, number| {
                message.with_block("Packets").with("Packets", "ID", Field::U32(number))
            });
        }
        // What cannot be encoded is no change.
        Some(datagram.encode().unwrap_or(bytes))
    }

    /// Datagrams of a shape that no simulator should send.
    fn deform(&self, name: &str, bytes: &mut Vec<u8>) {
        let flags = Flags(bytes.first().copied().unwrap_or_default());
        // The extra header stands behind the number, which is one byte for pings.
        let ping = name.ends_with("PingCheck") && bytes.len() > MIN_DATAGRAM;
        if ping && self.faults.breaks(Own::ExtraHeader) {
            bytes[HEADER_LEN - 1] = 4;
            bytes.splice(MIN_DATAGRAM..MIN_DATAGRAM, [0xDE, 0xAD, 0xBE, 0xEF]);
        }
        if ping && !flags.has(Flags::ACK) && self.faults.breaks(Own::TrailingBytes) {
            bytes.extend([0, 0, 0, 1, 1]);
        }
        let places = name == "CoarseLocationUpdate" && !flags.has(Flags::ACK);
        if places && self.faults.breaks(Own::CutLocations) {
            bytes.pop();
        }
        if places && !flags.has(Flags::ZEROCODED) && self.faults.breaks(Own::CodedTrailer) {
            bytes[0] |= Flags::ZEROCODED.with(Flags::ACK).0;
            bytes.extend([0, 0, 0, 1, 1]);
            let plain = bytes.split_off(HEADER_LEN);
            bytes.extend(zero_coded(&plain));
        }
        let coded = flags.has(Flags::ZEROCODED) && !flags.has(Flags::ACK);
        if coded && self.faults.breaks(Own::EmptyRuns) {
            // 257 zeros behind the last block, which readers pass over.
            bytes.extend([0, 0, 1]);
        }
    }
}

/// What a datagram is called; nothing if it does not decode.
pub(super) fn name_of(template: &Template, bytes: &[u8]) -> String {
    let packet = Decoder::tolerant().decode(template, bytes).map(|p| p.name().to_owned());
    packet.unwrap_or_default()
}
