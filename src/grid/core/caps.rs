//! Capabilities: the seed, the event queue, and the dispatch to the rooms that answer the others.

use super::capability::{Owner, Purpose};
use super::effect::Happened;
use super::queue::{Open, Poll};
use super::reply::{Body, Reply};
use super::route::Asked;
use super::{Core, Own, RequestId, odd};
use crate::net::server::Request;
use crate::net::tap::{Passed, RegionIndex, Said, Visitor};
use crate::proto::event_queue::Event;
use crate::proto::event_queue::{PollReply, PollRequest};
use crate::proto::id::AgentId;
use crate::proto::llsd::Llsd;
use crate::proto::seed;
use crate::tamper::Channel;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The event queue's name.
pub(crate) const EVENT_QUEUE: &str = "EventQueueGet";

/// How long an empty event queue holds a poll, as Second Life does.
const HOLD: Duration = Duration::from_secs(25);

impl Core {
    /// Answers a request to the capability of that id; `path` is what follows its URL.
    pub(super) fn capability(
        &mut self,
        request_id: RequestId,
        id: &str,
        path: &str,
        request: &Request,
    ) -> Option<Reply> {
        let Some(cap) = self.world.caps.get(id) else { return Some(self.gone(request)) };
        let (agent, region) = (cap.owner.agent(), cap.owner.region().unwrap_or_default());
        let visitor = self.tap.is_open().then(|| {
            let session = self.world.presence(agent).map(|presence| presence.session_id);
            Visitor { agent, session, region }
        });
        let hear = |what: &dyn Fn() -> Passed| {
            if let Some(visitor) = visitor {
                self.tap.tell(self.now, visitor, what);
            }
        };
        let words = || {
            let text = String::from_utf8_lossy(&request.body);
            ["<boolean>true", "<boolean>false"].iter().any(|word| text.contains(word))
        };
        if self.faults.has(Own::WantsDigits) && words() && self.breaks(Own::WantsDigits) {
            return Some(Reply::status(Channel::Caps, "", 400));
        }
        match cap.purpose {
            // Nothing is beneath a seed.
            Purpose::Seed if !path.is_empty() => Some(self.gone(request)),
            Purpose::Seed => {
                let names = || seed::parse_request(&request.body).ok();
                hear(&|| Passed::Seed(request.content_type.clone(), names()));
                Some(self.seed(agent, region, request))
            }
            Purpose::Named(EVENT_QUEUE) => {
                let poll = || PollRequest::parse(&request.body).ok();
                hear(&|| Passed::Polled(id.to_owned(), poll()));
                self.poll(request_id, cap.owner, request, visitor.map(|v| (v, id.to_owned())))
            }
            Purpose::Named(name) => {
                hear(&|| Passed::Asked(name));
                let asked = Asked { id, agent, path, request };
                let answer = self.routes.cap(name).map_or(Err(404), |handle| handle(self, &asked));
                let (status, body) = answer.unwrap_or_else(|status| (status, Body::None));
                Some(Reply { status, ..Reply::new(Channel::Caps, name, body) })
            }
        }
    }

    /// Answers for a capability that there is not, or not any more.
    fn gone(&self, request: &Request) -> Reply {
        let names = seed::parse_request(&request.body).ok().filter(|names| !names.is_empty());
        if let Some(names) = names
            && self.breaks(Own::AnySeed)
        {
            let granted = names.iter().map(|name| (name.clone(), self.world.url(name)));
            return Reply::new(Channel::Http, "", Body::Llsd(seed::reply(granted)));
        }
        if self.breaks(Own::GoneIsAPage) {
            let page = b"<html><body>There is nothing here.</body></html>";
            return Reply::new(Channel::Http, "", Body::Plain("text/html", page.to_vec()));
        }
        Reply::status(Channel::Http, "", 404)
    }

    fn seed(&mut self, agent: AgentId, region: RegionIndex, request: &Request) -> Reply {
        let status = |status| Reply::status(Channel::Seed, "", status);
        if request.method != "POST" {
            return status(405);
        }
        if !request.is_of_type(seed::CONTENT_TYPE) {
            return status(415);
        }
        if request.peer.ip() != IpAddr::from(Ipv4Addr::LOCALHOST)
            && self.breaks(Own::SeedForOneAddress)
        {
            return status(403);
        }
        let Ok(names) = seed::parse_request(&request.body) else { return status(400) };
        let without = &self.config.without;
        let all = self.routes.granted().iter().copied();
        let wanted: Vec<&'static str> = all
            .filter(|name| names.iter().any(|n| n == name) && without.iter().all(|n| n != name))
            .collect();
        let often = |name: &str| names.iter().filter(|n| *n == name).count() > 1;
        let dropped = |name: &&str| often(name) && self.breaks(Own::DropsRepeated);
        let wanted: Vec<&str> = wanted.into_iter().filter(|name| !dropped(name)).collect();
        let vain = names.iter().filter(|name| !wanted.contains(&name.as_str()));
        self.notices.ungranted(vain.map(String::as_str));
        if names.is_empty() && self.breaks(Own::IgnoresEmptySeed) {
            return Reply::new(Channel::Seed, "", Body::Llsd(seed::reply(Vec::new())));
        }
        self.world.grant(agent, region, &[]);
        let owner = match self.breaks(Own::ForeignCaps) {
            true => self.world.bystander(agent),
            false => agent,
        };
        let mut granted = self.world.grant(owner, region, &wanted);
        let served = self.routes.granted();
        let unknown = names.iter().filter(|name| !served.contains(&name.as_str()));
        if self.breaks(Own::GrantsAnything) {
            granted.extend(unknown.clone().map(|name| (name.clone(), self.world.url(name))));
        }
        if self.breaks(Own::GrantsEmpty) {
            granted.extend(unknown.map(|name| (name.clone(), String::new())));
        }
        if self.world.start_scene(agent, region) {
            self.happened(&Happened::SceneOpen(agent, region));
        }
        Reply::new(Channel::Seed, "", Body::Llsd(seed::reply(granted)))
    }

    /// Holds a poll until something happens, at most as long as the grid holds polls.
    fn poll(
        &mut self,
        id: RequestId,
        owner: Owner,
        request: &Request,
        witnessed: Option<(Visitor, String)>,
    ) -> Option<Reply> {
        let reply = |reply| told_to(witnessed.clone(), reply);
        if request.method != "POST" {
            return Some(reply(Reply::status(Channel::Events, "", 405)));
        }
        if self.world.queues.stumbles(owner) {
            return Some(reply(idle()));
        }
        if let Some(events) = self.take_events(owner) {
            return Some(reply(Reply::new(Channel::Events, "", Body::Llsd(events))));
        }
        if self.breaks(Own::NeverHolds) {
            return Some(reply(idle()));
        }
        let end = move |core: &mut Self| core.end_poll(id, idle());
        let limit = self.after(HOLD, "a poll", end);
        if !self.world.queues.hold(owner, Poll { request: id, limit }) {
            self.timers.cancel(limit);
            return Some(reply(Reply::status(Channel::Events, "", 404)));
        }
        self.requests.insert(id, Open::Poll(owner, witnessed));
        None
    }

    /// Answers a poll that was held.
    fn end_poll(&mut self, id: RequestId, reply: Reply) {
        let Some(Open::Poll(owner, witnessed)) = self.requests.remove(&id) else { return };
        if let Some(poll) = self.world.queues.let_go(owner, id) {
            self.timers.cancel(poll.limit);
        }
        self.answer(id, told_to(witnessed, reply));
    }

    /// Answers the polls that have something to tell, and those whose queue is gone.
    pub(super) fn serve_polls(&mut self) {
        while let Some((owner, id)) = self.world.queues.woken() {
            if let Some(events) = self.take_events(owner) {
                self.end_poll(id, Reply::new(Channel::Events, "", Body::Llsd(events)));
            }
        }
        for poll in self.world.queues.take_orphans() {
            self.timers.cancel(poll.limit);
            self.end_poll(poll.request, Reply::status(Channel::Events, "", 404));
        }
    }

    /// What a queue has to tell, with what is wrong with this grid's events, and those that were
    /// held back before; none if nothing is left.
    fn take_events(&mut self, owner: Owner) -> Option<Llsd> {
        let (PollReply { id, events }, late) = self.world.queues.take(owner)?;
        for event in &events {
            let said = || Said::Llsd(event.body.clone());
            self.tap.meant(self.now, Channel::Events, &event.message, said);
        }
        let (mut events, held) = self.faults.events(events);
        for (delay, event) in held {
            let tell = move |core: &mut Self| core.world.queues.tell_late(owner, event);
            self.after(delay, "a late event", tell);
        }
        events.extend(late);
        if !events.is_empty() {
            let odd: Vec<Event> = odd::events(self, owner.agent(), id, &events);
            events.splice(0..0, odd);
        }
        (!events.is_empty()).then(|| PollReply { id, events }.to_llsd())
    }
}

/// Nothing has happened while a poll was held.
fn idle() -> Reply {
    let body = Body::Plain("text/plain", b"Upstream error: ".to_vec());
    Reply { status: 502, ..Reply::new(Channel::Events, "", body) }
}

/// An answer of which whoever listens is told, with the id of its queue.
fn told_to(witnessed: Option<(Visitor, String)>, reply: Reply) -> Reply {
    match witnessed {
        Some((visitor, queue)) => Reply { visitor: Some(visitor), queue: Some(queue), ..reply },
        None => reply,
    }
}

#[cfg(test)]
mod tests {
    use crate::grid::bench::Bench;
    use crate::net::tap::RegionIndex;
    use std::time::Duration;

    #[test]
    fn a_poll_is_held_until_something_happens_or_it_is_time() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let seed = bench.viewers[jane].seed.clone();
        let queue = bench.caps(&seed, &["EventQueueGet"])["EventQueueGet"].clone();
        assert_eq!(bench.events(&queue), ["EnableSimulator", "EstablishAgentCommunication"]);
        let poll = |bench: &mut Bench| bench.ask("POST", &queue, "application/llsd+xml", b"");
        let held = poll(&mut bench);
        bench.pass(Duration::from_secs(24));
        assert_eq!(bench.answer(held), None);
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.answer(held).unwrap().0, 502);
        // Whoever gives up takes nothing along.
        let given_up = poll(&mut bench);
        bench.abort_transfer(given_up);
        let agent = bench.viewers[jane].agent;
        let event = crate::proto::event_queue::Event {
            message: "EnableSimulator".into(),
            body: crate::proto::llsd::Llsd::Undef,
        };
        bench.core.tell(agent, RegionIndex(0), event);
        assert_eq!(bench.events(&queue), ["EnableSimulator"]);
        // A queue that is gone lets its poll go.
        let held = poll(&mut bench);
        let out = bench.message(jane, "LogoutRequest");
        bench.say(jane, 0, &out);
        assert_eq!(bench.answer(held).unwrap().0, 404);
    }
}
