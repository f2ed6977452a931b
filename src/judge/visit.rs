//! A visit: everything that passed between one visitor and the grid, from a login on.

use crate::net::tap::{Fact, Passed, Received, Region, RegionIndex};
use crate::proto::id::{AgentId, CircuitCode, Sequence, SessionId};
use crate::proto::llsd::Llsd;
use crate::proto::message::{Datagram, Flags, Message};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A visit.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// Who.
    pub agent: AgentId,
    /// Its session id and circuit code, once it is logged in.
    pub session: Option<(SessionId, CircuitCode)>,
    /// What passed, in order.
    pub events: Vec<Fact>,
    /// How long it was watched.
    pub until: Duration,
    /// When the same agent logged in again.
    pub next: Option<Duration>,
    /// The regions there are.
    pub regions: Vec<Region>,
}

/// A datagram that came: where it stands, when and in which region.
#[derive(Clone, Copy)]
pub(super) struct FromClient<'v> {
    pub index: usize,
    pub at: Duration,
    pub region: RegionIndex,
    pub received: &'v Received,
}

/// A datagram that was sent.
#[derive(Clone, Copy)]
pub(super) struct ToClient<'v> {
    pub index: usize,
    pub at: Duration,
    pub region: RegionIndex,
    pub datagram: &'v Datagram,
}

/// An event that the visitor was told.
pub(super) struct DeliveredEvent<'v> {
    pub index: usize,
    pub at: Duration,
    pub body: &'v Llsd,
}

impl<'v> FromClient<'v> {
    pub(super) fn message(&self) -> Option<&'v Message> {
        self.received.message.as_ref().ok()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.message().is_some_and(|message| message.name() == name)
    }

    pub(super) fn number(&self) -> Sequence {
        self.received.header.sequence
    }

    pub(super) fn has(&self, flag: Flags) -> bool {
        self.received.header.flags.has(flag)
    }

    /// Whether it says something, and does not only acknowledge or answer.
    pub(super) fn speaks(&self) -> bool {
        !self.is("PacketAck") && !self.is("CompletePingCheck")
    }
}

impl ToClient<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.datagram.message.name() == name
    }

    pub(super) fn number(&self) -> Sequence {
        self.datagram.header.sequence
    }

    pub(super) fn has(&self, flag: Flags) -> bool {
        self.datagram.header.flags.has(flag)
    }

    /// Whether it is the first of its kind, of this name.
    fn is_new(&self, name: &str) -> bool {
        self.is(name) && !self.has(Flags::RESENT)
    }
}

/// So long what a network doubles or delays may be under way.
pub(super) const LATE: Duration = Duration::from_secs(5);

/// One circuit of a visit: what came and what was sent, from the UseCircuitCode that opened it.
pub(super) struct Circuit<'v> {
    pub received: Vec<FromClient<'v>>,
    pub sent: Vec<ToClient<'v>>,
    /// When something came last.
    pub alive: Duration,
    /// Until when an answer was to be expected: while something came, and the visitor was there.
    pub watched: Duration,
}

impl<'v> Circuit<'v> {
    fn opened(by: FromClient<'v>) -> Self {
        let zero = Duration::ZERO;
        Self { received: vec![by], sent: Vec::new(), alive: zero, watched: zero }
    }

    /// What came of this name, resends left out.
    pub(super) fn received_named(&self, name: &str) -> impl Iterator<Item = &FromClient<'v>> {
        self.received.iter().filter(move |came| came.is(name) && !came.has(Flags::RESENT))
    }

    /// What was sent of this name, resends left out.
    pub(super) fn sent_named(&self, name: &str) -> impl Iterator<Item = &ToClient<'v>> {
        self.sent.iter().filter(move |went| went.is_new(name))
    }
}

impl Visit {
    /// The visit of somebody who is about to log in.
    pub(super) fn new(agent: AgentId) -> Self {
        let (events, regions) = (Vec::new(), Vec::new());
        Self { agent, session: None, events, until: Duration::ZERO, next: None, regions }
    }

    pub(super) fn received(&self) -> impl Iterator<Item = FromClient<'_>> {
        self.events.iter().enumerate().filter_map(|(index, heard)| match &heard.what {
            Passed::Received(received) => {
                Some(FromClient { index, at: heard.at, region: heard.region, received })
            }
            _ => None,
        })
    }

    /// What came that can be read.
    pub(super) fn messages(&self) -> impl Iterator<Item = (FromClient<'_>, &Message)> {
        self.received().filter_map(|came| Some((came, came.message()?)))
    }

    pub(super) fn sent(&self) -> impl Iterator<Item = ToClient<'_>> {
        self.events.iter().enumerate().filter_map(|(index, heard)| match &heard.what {
            Passed::Sent(_, datagram) => {
                Some(ToClient { index, at: heard.at, region: heard.region, datagram })
            }
            _ => None,
        })
    }

    /// What came of this name, each once: neither what came again nor what a network doubled.
    pub(super) fn received_named<'v>(
        &'v self,
        name: &'v str,
    ) -> impl Iterator<Item = FromClient<'v>> {
        let mut last = HashMap::new();
        let of_name = self.received().filter(move |came| came.is(name));
        of_name.filter(move |came| {
            let number = (came.region, came.received.from, came.number());
            let before = last.insert(number, came.at);
            // A number that is given to another message is another fault: this one came too.
            before.is_none_or(|before| !came.has(Flags::RESENT) && came.at > before + LATE)
        })
    }

    /// What was sent of this name, resends left out.
    pub(super) fn sent_named<'v>(&'v self, name: &'v str) -> impl Iterator<Item = ToClient<'v>> {
        self.sent().filter(move |went| went.is_new(name))
    }

    /// The circuits, in the order they were opened.
    pub(super) fn circuits(&self) -> Vec<Circuit<'_>> {
        let mut circuits: Vec<((RegionIndex, SocketAddr), Circuit<'_>)> = Vec::new();
        for (index, heard) in self.events.iter().enumerate() {
            let (at, region) = (heard.at, heard.region);
            match &heard.what {
                Passed::Received(received) => {
                    let (came, ends) =
                        (FromClient { index, at, region, received }, (region, received.from));
                    let open = circuits.iter_mut().rfind(|(of, _)| *of == ends);
                    if !received.on_circuit && came.is("UseCircuitCode") {
                        circuits.push((ends, Circuit::opened(came)));
                    } else if let (Some((_, circuit)), true) = (open, received.on_circuit) {
                        circuit.received.push(came);
                    }
                }
                Passed::Sent(to, datagram) => {
                    if let Some((_, circuit)) =
                        circuits.iter_mut().rfind(|(of, _)| *of == (region, *to))
                    {
                        circuit.sent.push(ToClient { index, at, region, datagram });
                    }
                }
                _ => {}
            }
        }
        let present = self.present();
        let mut circuits: Vec<Circuit<'_>> =
            circuits.into_iter().map(|(_, circuit)| circuit).collect();
        for circuit in &mut circuits {
            circuit.alive = circuit.received.last().map_or(Duration::ZERO, |came| came.at);
            circuit.watched = circuit.alive.min(present);
        }
        circuits
    }

    /// Every event of this name that the visitor was told, in whatever region.
    pub(super) fn delivered<'v>(
        &'v self,
        name: &'v str,
    ) -> impl Iterator<Item = DeliveredEvent<'v>> {
        let answers =
            self.events.iter().enumerate().filter_map(|(index, heard)| match &heard.what {
                Passed::PollAnswered(_, 200, Some(body)) => Some((index, heard, body)),
                _ => None,
            });
        answers.flat_map(move |(index, heard, body)| {
            let events = body.get("events").and_then(Llsd::as_array).unwrap_or_default();
            events.iter().filter_map(move |event| {
                let message = event.get("message").and_then(Llsd::as_str)?;
                let body = event.get("body").filter(|_| message == name)?;
                Some(DeliveredEvent { index, at: heard.at, body })
            })
        })
    }

    /// The region with this UDP port.
    pub(super) fn region(&self, port: u16) -> Option<RegionIndex> {
        self.regions.iter().position(|region| region.udp_port == port).map(RegionIndex)
    }

    /// When the visitor said that it would go, or was sent away: by a kick, by its own region, or by
    /// another login of its agent.
    pub(super) fn left(&self) -> Option<Duration> {
        let request = self.received_named("LogoutRequest").next().map(|came| came.at);
        let kicked = self.sent_named("KickUser").next().map(|went| went.at);
        let closed = self.closed(true).first().map(|closed| closed.at);
        [request, kicked, closed, self.next].into_iter().flatten().min()
    }

    /// Until when it was to do what it must: until it left, or as long as it was watched.
    pub(super) fn present(&self) -> Duration {
        self.left().unwrap_or(self.until)
    }

    /// Until when it was seen: whoever is gone without a word does nothing any more.
    pub(super) fn seen(&self) -> Duration {
        let last = self.received().last().map_or(Duration::ZERO, |came| came.at);
        self.present().min(last)
    }

    /// What it was told last before it fell silent at this time.
    pub(super) fn told_before(&self, silent: Duration) -> Option<&str> {
        /// What is told over and over.
        const TALK: [&str; 4] =
            ["PacketAck", "StartPingCheck", "CompletePingCheck", "CoarseLocationUpdate"];
        /// What silenced it may have come after the last that it said.
        const AFTER: Duration = Duration::from_secs(1);
        let before = self.events.iter().rev().skip_while(|heard| heard.at > silent + AFTER);
        before.into_iter().find_map(|heard| match &heard.what {
            Passed::Sent(_, datagram) => {
                Some(datagram.message.name()).filter(|name| !TALK.contains(name))
            }
            Passed::PollAnswered(_, 200, Some(body)) => {
                body.get("events")?.as_array()?.last()?.get("message")?.as_str()
            }
            _ => None,
        })
    }

    /// When the avatar first stood in the world.
    pub(super) fn arrived(&self) -> Option<Duration> {
        self.sent_named("AgentMovementComplete").next().map(|went| went.at)
    }
}
