//! How a client uses the seed and the event queue.

use super::Check;
use crate::judge::check_result::{CheckResult, Checked, never, rule, within};
use crate::judge::visit::Visit;
use crate::net::tap::{Fact, Passed, RegionIndex, UNKNOWN_EVENT, is_odd};
use crate::proto::event_queue::PollRequest;
use crate::proto::llsd::{CONTENT_TYPE, Llsd};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[
    ("SEED-CLIENT-ASKED-1", asks_the_seed),
    ("SEED-CLIENT-TYPE-1", seed_type),
    ("SEED-CLIENT-BODY-1", seed_body),
    ("SEED-RESPONSE-TYPE-ANY-1", uses_the_seed),
    ("EQ-CLIENT-POLLS-1", polls_the_queue),
    ("EQ-CLIENT-BODY-1", poll_body),
    ("EQ-ACK-UNDEF-FIRST-1", |visit| first_poll(visit, |poll| poll.ack.is_none(), "`ack` undef")),
    ("EQ-ACK-UNDEF-FIRST-2", |visit| first_poll(visit, |poll| !poll.done, "`done` false")),
    ("EQ-ACK-ECHO-1", echoes),
    ("EV-LLSD-NO-PROLOG-1", |visit| reads(visit, Kind::Terse)),
    ("INVUDP-BULK-EQ-ENDTAG-SPACE-1", |visit| reads(visit, Kind::Terse)),
    ("EV-UNKNOWN-MESSAGE-1", |visit| reads(visit, Kind::Unknown)),
    ("EV-UNKNOWN-MESSAGE-2", heeds_the_others),
    ("EQ-NO-EVENTS-IMMEDIATE-REPOLL-1", polls_again),
    ("EQ-FAST-502-BACKS-OFF-1", backs_off),
    ("EQ-404-STOPS-1", stops),
    ("EQ-MISSING-ID-1", polls_on),
    ("INVHTTP-FALLBACK-UDP-1", fetches_by_udp),
];

/// A poll: where, when and in which region, what it said, and how it was answered.
struct Poll<'v> {
    index: usize,
    at: Duration,
    region: RegionIndex,
    queue: &'v str,
    said: Option<&'v PollRequest>,
    answer: Option<Answer<'v>>,
}

/// The answer of a poll.
struct Answer<'v> {
    index: usize,
    at: Duration,
    status: u16,
    body: Option<&'v Llsd>,
}

/// Every poll, and until when more of them were to be expected.
struct Polls<'v> {
    all: Vec<Poll<'v>>,
    /// When the visitor spoke last in each region.
    spoke: HashMap<RegionIndex, Duration>,
    /// Where and when it was sent elsewhere.
    sent: Vec<(usize, Duration)>,
    present: Duration,
}

impl<'v> Polls<'v> {
    fn of(visit: &'v Visit) -> Self {
        let mut all: Vec<Poll<'_>> = Vec::new();
        for (index, heard) in visit.events.iter().enumerate() {
            let (at, region) = (heard.at, heard.region);
            match &heard.what {
                Passed::Polled(queue, said) => {
                    let said = said.as_ref();
                    all.push(Poll { index, at, region, queue, said, answer: None });
                }
                Passed::PollAnswered(queue, status, body) => {
                    // One is open at a time, or two: it is among the last.
                    let open = all.iter_mut().rev().take(8);
                    let open = open.filter(|p| p.queue == queue && p.answer.is_none()).last();
                    if let Some(open) = open {
                        let (status, body) = (*status, body.as_ref());
                        open.answer = Some(Answer { index, at, status, body });
                    }
                }
                _ => {}
            }
        }
        let spoke = visit.received().map(|came| (came.region, came.at)).collect();
        let sent = visit.destinations();
        let sent = sent.iter().map(|to| (to.index, to.at)).collect();
        Self { all, spoke, sent, present: visit.present() }
    }

    /// The poll that follows an answer on its queue.
    fn next(&self, poll: &Poll<'_>, answer: &Answer<'_>) -> Option<&Poll<'v>> {
        let later = self.all.partition_point(|later| later.index <= answer.index);
        self.all[later..].iter().find(|later| later.queue == poll.queue)
    }

    /// Until when a further poll of the same queue was to be expected: while the visitor spoke
    /// there and was not called elsewhere.
    fn watched(&self, poll: &Poll<'_>) -> Duration {
        let spoke = self.spoke.get(&poll.region).copied().unwrap_or_default();
        let away = self.sent.iter().find(|(index, _)| *index > poll.index);
        spoke.min(away.map_or(Duration::MAX, |(_, at)| *at)).min(self.present)
    }

    /// Another poll follows an answer in time.
    fn go_on(&self, poll: &Poll<'_>, answer: &Answer<'_>, limit: Duration) -> Checked {
        let following = self.next(poll, answer).map(|poll| poll.at);
        within(limit, answer.at, following, self.watched(poll), answer.index, "the next poll")
    }

    /// Polls that were answered with this status.
    fn answered(&self, status: u16) -> impl Iterator<Item = (&Poll<'v>, &Answer<'v>)> {
        self.all.iter().filter_map(move |poll| {
            let answer = poll.answer.as_ref().filter(|answer| answer.status == status)?;
            Some((poll, answer))
        })
    }
}

fn id_of(body: &Llsd) -> Option<i32> {
    body.get("id").and_then(Llsd::as_i32)
}

fn has_unknown(body: &Llsd) -> bool {
    let events = body.get("events").and_then(Llsd::as_array).unwrap_or_default();
    events.iter().any(|event| event.get("message").and_then(Llsd::as_str) == Some(UNKNOWN_EVENT))
}

/// A request to the seed: where, when and in which region, of what type and for what names.
struct Seed<'v> {
    index: usize,
    at: Duration,
    region: RegionIndex,
    kind: Option<&'v str>,
    names: Option<&'v [String]>,
}

fn seeds(visit: &Visit) -> impl Iterator<Item = Seed<'_>> {
    visit.events.iter().enumerate().filter_map(|(index, heard)| match &heard.what {
        Passed::Seed(kind, names) => {
            let (at, region) = (heard.at, heard.region);
            Some(Seed { index, at, region, kind: kind.as_deref(), names: names.as_deref() })
        }
        _ => None,
    })
}

const NO_SEED: &str = "it asked no seed capability";
const NO_POLL: &str = "it did not poll its event queue so";

fn asks_the_seed(visit: &Visit) -> CheckResult {
    let arrival = visit.arrived().map(|at| {
        let asked = seeds(visit).next().map(|seed| seed.at.max(at));
        let index = visit.events.iter().position(|heard| heard.at >= at).unwrap_or(0);
        let limit = Duration::from_secs(30);
        within(limit, at, asked, visit.seen(), index, "a request to the seed capability")
    });
    CheckResult::of("it did not come so far", arrival)
}

fn seed_type(visit: &Visit) -> CheckResult {
    let seen = seeds(visit).map(|seed| {
        let received = || seed.kind.unwrap_or("no content type").to_owned();
        let expected = || format!("content type {CONTENT_TYPE}");
        rule(seed.kind == Some(CONTENT_TYPE), seed.index, expected, received)
    });
    CheckResult::of(NO_SEED, seen)
}

fn seed_body(visit: &Visit) -> CheckResult {
    let seen = seeds(visit).map(|seed| {
        let expected = || "an LLSD array of names".into();
        rule(seed.names.is_some(), seed.index, expected, || "another body".into())
    });
    CheckResult::of(NO_SEED, seen)
}

fn uses_the_seed(visit: &Visit) -> CheckResult {
    // Neighbours' seeds need not be used.
    let seen = seeds(visit).take(1).map(|seed| {
        let used = visit.events.iter().find(|heard| {
            let uses = matches!(heard.what, Passed::Polled(..) | Passed::Asked(_));
            uses && heard.at > seed.at && heard.region == seed.region
        });
        let (limit, used) = (Duration::from_secs(20), used.map(|heard| heard.at));
        let what = "use of a capability that it was granted";
        within(limit, seed.at, used, visit.seen(), seed.index, what)
    });
    CheckResult::of(NO_SEED, seen)
}

/// Whoever asks for the event queue is told there what it needs: where it is sent, for one.
fn polls_the_queue(visit: &Visit) -> CheckResult {
    let asked = seeds(visit).find(|seed| {
        seed.names.is_some_and(|names| names.iter().any(|name| name == "EventQueueGet"))
    });
    let begins = asked.map(|seed| {
        let polls = |heard: &&Fact| matches!(heard.what, Passed::Polled(..)) && heard.at >= seed.at;
        let polled = visit.events.iter().find(polls).map(|heard| heard.at);
        let (limit, what) =
            (Duration::from_secs(10), "a poll of the event queue that it asked for");
        within(limit, seed.at, polled, visit.seen(), seed.index, what)
    });
    // Who ends at a reply of one kind, and at no other, cannot read it.
    let echoes = echoes_of(visit);
    let goes_on = echoes.all.iter().filter(|echo| !echoes.leaves_unread(echo.kind));
    let goes_on = goes_on.map(|echo| if echo.came { Some(Ok(())) } else { echo.names.clone() });
    let seen = begins.into_iter().chain(goes_on);
    CheckResult::of("it did not ask for EventQueueGet and stay", seen)
}

fn poll_body(visit: &Visit) -> CheckResult {
    let polls = Polls::of(visit);
    let seen = polls.all.iter().map(|poll| {
        let expected = || "an LLSD map of `ack` and `done`".into();
        rule(poll.said.is_some(), poll.index, expected, || "another body".into())
    });
    CheckResult::of(NO_POLL, seen)
}

fn first_poll(visit: &Visit, holds: fn(&PollRequest) -> bool, what: &'static str) -> CheckResult {
    let polls = Polls::of(visit);
    let mut queues = HashSet::new();
    let seen = polls.all.iter().filter(|poll| queues.insert(poll.queue)).map(|poll| {
        let said = poll.said?;
        let received = || match said.ack {
            Some(ack) => format!("`ack` {ack}, `done` {}", said.done),
            None => format!("`done` {}", said.done),
        };
        rule(holds(said), poll.index, || format!("{what} in the first poll"), received)
    });
    CheckResult::of(NO_POLL, seen)
}

/// What a quiet trial did to a reply.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Terse,
    Unknown,
}

impl Kind {
    fn of(body: &Llsd) -> Self {
        match body {
            body if is_odd(body) => Self::Terse,
            body if has_unknown(body) => Self::Unknown,
            _ => Self::Plain,
        }
    }
}

/// What the poll after a reply says of it.
struct Echo {
    kind: Kind,
    /// Whether it names the reply's id; a poll that does not come in time names nothing.
    names: Checked,
    came: bool,
}

/// Every reply with an id.
struct Echoes {
    all: Vec<Echo>,
}

impl Echoes {
    fn named(&self, kind: Kind) -> bool {
        self.all.iter().any(|echo| echo.kind == kind && echo.names == Some(Ok(())))
    }

    fn any(&self) -> bool {
        self.all.iter().any(|echo| echo.names == Some(Ok(())))
    }

    /// Whether of all kinds but this one some are named: it is the kind that is not read, which
    /// has a requirement of its own.
    fn leaves_unread(&self, kind: Kind) -> bool {
        kind != Kind::Plain && self.any() && !self.named(kind)
    }
}

fn echoes_of(visit: &Visit) -> Echoes {
    let polls = Polls::of(visit);
    let all = polls.answered(200).filter_map(|(poll, answer)| {
        let body = answer.body?;
        let (id, kind) = (id_of(body)?, Kind::of(body));
        let Some(following) = polls.next(poll, answer) else {
            let (limit, watched) = (Duration::from_secs(10), polls.watched(poll));
            let what = format!("a poll that names {id}");
            let names = within(limit, answer.at, None, watched, answer.index, &what);
            return Some(Echo { kind, names, came: false });
        };
        let said = following.said?;
        let received = || said.ack.map_or("`ack` undef".into(), |ack| format!("`ack` {ack}"));
        let expected = || format!("`ack` {id}, the id of the reply before");
        let names = rule(said.ack == Some(id), following.index, expected, received);
        Some(Echo { kind, names, came: true })
    });
    Echoes { all: all.collect() }
}

/// The poll after a reply names its id.
fn echoes(visit: &Visit) -> CheckResult {
    let echoes = echoes_of(visit);
    let seen = echoes.all.iter().filter(|echo| echo.came && !echoes.leaves_unread(echo.kind));
    CheckResult::of("it got no reply with an `id`", seen.map(|echo| echo.names.clone()))
}

/// Replies of a kind are read like the others: they too are acknowledged.
fn reads(visit: &Visit, kind: Kind) -> CheckResult {
    let echoes = echoes_of(visit);
    if !echoes.any() {
        return CheckResult::NotObserved(
            "it acknowledged no reply, so that none shows what it read",
        );
    }
    // Whoever has read one reads them, and forgets to say so of others.
    let read = echoes.named(kind);
    let of_kind = echoes.all.iter().filter(|echo| echo.kind == kind);
    let seen = of_kind.filter(|echo| !read || echo.names == Some(Ok(())));
    CheckResult::of("it got no reply of that kind", seen.map(|echo| echo.names.clone()))
}

fn heeds_the_others(visit: &Visit) -> CheckResult {
    let odd = |index: usize| match visit.events.get(index).map(|heard| &heard.what) {
        Some(Passed::PollAnswered(_, _, Some(body))) => has_unknown(body),
        _ => false,
    };
    let sent = visit.destinations();
    // Whoever follows none, or has not yet arrived where it was sent before, shows nothing.
    let follows = sent.iter().any(|to| !odd(to.index) && visit.moved(to).is_some());
    let hung = |index: usize| {
        let mut before = sent.iter().filter(|to| to.index < index);
        before.any(|to| visit.moved(to).is_none())
    };
    let seen = sent.iter().filter(|to| odd(to.index) && !hung(to.index)).map(|to| {
        let (limit, came) = (Duration::from_secs(20), visit.moved(to));
        let what = "the move that an event beside it tells";
        match within(limit, to.at, came, visit.seen(), to.index, what) {
            Some(Err(_)) if !follows => None,
            seen => seen,
        }
    });
    CheckResult::of("nowhere was it told to go both beside an unknown event and without", seen)
}

fn polls_again(visit: &Visit) -> CheckResult {
    let polls = Polls::of(visit);
    let held = |(poll, answer): &(&Poll<'_>, &Answer<'_>)| {
        answer.at.saturating_sub(poll.at) >= Duration::from_secs(10)
    };
    let answered = polls.answered(502).filter(held);
    let seen = answered.map(|(poll, answer)| polls.go_on(poll, answer, Duration::from_secs(2)));
    CheckResult::of("no poll of it ended without events after 10 s or more", seen)
}

fn backs_off(visit: &Visit) -> CheckResult {
    const PAUSE: Duration = Duration::from_secs(15);
    let polls = Polls::of(visit);
    let hasty = |(poll, answer): &(&Poll<'_>, &Answer<'_>)| {
        answer.at.saturating_sub(poll.at) < Duration::from_secs(1)
    };
    let seen = polls.answered(502).filter(hasty).map(|(poll, answer)| {
        let early = polls.next(poll, answer).filter(|next| next.at < answer.at + PAUSE);
        let early = early.map(|next| (answer.index, next.at));
        never(PAUSE, answer.at, early, polls.present, "poll for 15 s")
    });
    CheckResult::of("no poll of it was answered 502 at once", seen)
}

fn stops(visit: &Visit) -> CheckResult {
    let polls = Polls::of(visit);
    let seen = polls.answered(404).map(|(poll, answer)| {
        let more = polls.next(poll, answer).map(|poll| (poll.index, poll.at));
        let what = "poll of a queue that is gone";
        never(Duration::from_secs(20), answer.at, more, visit.until, what)
    });
    CheckResult::of("no poll of it was answered 404 while it was watched", seen)
}

fn polls_on(visit: &Visit) -> CheckResult {
    let polls = Polls::of(visit);
    let nameless = |(_, answer): &(&Poll<'_>, &Answer<'_>)| {
        answer.body.is_some_and(|body| body.get("id").is_none())
    };
    let answered = polls.answered(200).filter(nameless);
    let seen = answered.map(|(poll, answer)| polls.go_on(poll, answer, Duration::from_secs(30)));
    CheckResult::of("it got no reply without `id`", seen)
}

fn fetches_by_udp(visit: &Visit) -> CheckResult {
    const LIMIT: Duration = Duration::from_secs(30);
    // Who asks for no such capability may want no inventory.
    let wants = |seed: &Seed<'_>| {
        seed.names.is_some_and(|names| names.iter().any(|n| n == "FetchInventoryDescendents2"))
    };
    let fetch = visit.received_named("FetchInventoryDescendents").next().map(|came| came.at);
    let seen = seeds(visit).find(wants).map(|seed| {
        let fetch = fetch.map(|fetch| fetch.max(seed.at));
        let what = "FetchInventoryDescendents by UDP";
        within(LIMIT, seed.at, fetch, visit.seen(), seed.index, what)
    });
    CheckResult::of("it wanted no inventory, or did not stay for half a minute", seen)
}
