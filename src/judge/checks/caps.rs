//! How a client uses the seed and the event queue.

use super::Check;
use crate::grid::{UNKNOWN_EVENT, What};
use crate::judge::ruling::{Break, Ruling, never, rule, within};
use crate::judge::visit::Visit;
use crate::proto::event_queue::PollRequest;
use crate::proto::llsd::{CONTENT_TYPE, Llsd};
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[
    ("SEED-CLIENT-ASKED-1", asks_the_seed),
    ("SEED-CLIENT-TYPE-1", seed_type),
    ("SEED-CLIENT-BODY-1", seed_body),
    ("SEED-RESPONSE-TYPE-ANY-1", uses_the_seed),
    ("EQ-CLIENT-BODY-1", poll_body),
    ("EQ-ACK-UNDEF-FIRST-1", |visit| first_poll(visit, |poll| poll.ack.is_none(), "`ack` undef")),
    ("EQ-ACK-UNDEF-FIRST-2", |visit| first_poll(visit, |poll| !poll.done, "`done` false")),
    ("EQ-ACK-ECHO-1", |visit| echoes(visit, |_| true)),
    ("EV-LLSD-NO-PROLOG-1", |visit| {
        echoes(visit, |body| id_of(body).is_some_and(|id| id % 2 == 1))
    }),
    ("INVUDP-BULK-EQ-ENDTAG-SPACE-1", |visit| {
        echoes(visit, |body| id_of(body).is_some_and(|id| id % 2 == 1))
    }),
    ("EV-UNKNOWN-MESSAGE-1", |visit| echoes(visit, has_unknown)),
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
    region: usize,
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

fn polls(visit: &Visit) -> Vec<Poll<'_>> {
    let mut polls: Vec<Poll<'_>> = Vec::new();
    for (index, heard) in visit.events.iter().enumerate() {
        let (at, region) = (heard.at, heard.region);
        match &heard.what {
            What::Polled(said) => {
                polls.push(Poll { index, at, region, said: said.as_ref(), answer: None });
            }
            What::PollAnswered(status, body) => {
                let open = polls.iter_mut().find(|p| p.region == region && p.answer.is_none());
                if let Some(open) = open {
                    let (status, body) = (*status, body.as_ref());
                    open.answer = Some(Answer { index, at, status, body });
                }
            }
            _ => {}
        }
    }
    polls
}

/// The poll that follows another in its region.
fn next<'p, 'v>(polls: &'p [Poll<'v>], answer: &Answer<'_>, region: usize) -> Option<&'p Poll<'v>> {
    polls.iter().find(|poll| poll.region == region && poll.index > answer.index)
}

fn id_of(body: &Llsd) -> Option<i32> {
    body.get("id").and_then(Llsd::as_i32)
}

fn has_unknown(body: &Llsd) -> bool {
    let events = body.get("events").and_then(Llsd::as_array).unwrap_or_default();
    events.iter().any(|event| event.get("message").and_then(Llsd::as_str) == Some(UNKNOWN_EVENT))
}

/// Requests to the seed.
fn seeds(
    visit: &Visit,
) -> impl Iterator<Item = (usize, Duration, usize, &Option<String>, &Option<Vec<String>>)> {
    visit.events.iter().enumerate().filter_map(|(index, heard)| match &heard.what {
        What::Seed(kind, names) => Some((index, heard.at, heard.region, kind, names)),
        _ => None,
    })
}

const NO_SEED: &str = "it asked no seed capability";
const NO_POLL: &str = "it did not poll its event queue so";

fn asks_the_seed(visit: &Visit) -> Ruling {
    let arrival = visit.arrived().map(|at| {
        let asked = seeds(visit).next().map(|(_, asked, ..)| asked.max(at));
        let index = visit.events.iter().position(|heard| heard.at >= at).unwrap_or(0);
        let limit = Duration::from_secs(30);
        within(limit, at, asked, visit.present(), index, "a request to the seed capability")
    });
    Ruling::of("it did not come so far", arrival)
}

fn seed_type(visit: &Visit) -> Ruling {
    let seen = seeds(visit).map(|(index, _, _, kind, _)| {
        let right = kind.as_deref() == Some(CONTENT_TYPE);
        let received = || kind.clone().unwrap_or_else(|| "no content type".into());
        rule(right, index, || format!("content type {CONTENT_TYPE}"), received)
    });
    Ruling::of(NO_SEED, seen)
}

fn seed_body(visit: &Visit) -> Ruling {
    let seen = seeds(visit).map(|(index, _, _, _, names)| {
        let expected = || "an LLSD array of names".into();
        rule(names.is_some(), index, expected, || "another body".into())
    });
    Ruling::of(NO_SEED, seen)
}

fn uses_the_seed(visit: &Visit) -> Ruling {
    let seen = seeds(visit).map(|(index, at, region, ..)| {
        let used = visit.events.iter().find(|heard| {
            let uses = matches!(heard.what, What::Polled(_) | What::Asked(_));
            uses && heard.at > at && heard.region == region
        });
        let used = used.map(|heard| heard.at);
        let limit = Duration::from_secs(20);
        within(limit, at, used, visit.present(), index, "use of a capability that it was granted")
    });
    // Neighbours' seeds need not be used.
    Ruling::of(NO_SEED, seen.take(1))
}

fn poll_body(visit: &Visit) -> Ruling {
    let polls = polls(visit);
    let seen = polls.iter().map(|poll| {
        let expected = || "an LLSD map of `ack` and `done`".into();
        rule(poll.said.is_some(), poll.index, expected, || "another body".into())
    });
    Ruling::of(NO_POLL, seen)
}

fn first_poll(visit: &Visit, holds: fn(&PollRequest) -> bool, what: &'static str) -> Ruling {
    let polls = polls(visit);
    let first = |poll: &&Poll<'_>| {
        polls.iter().find(|p| p.region == poll.region).is_some_and(|p| p.index == poll.index)
    };
    let seen = polls.iter().filter(first).map(|poll| {
        let said = poll.said?;
        let received = || match said.ack {
            Some(ack) => format!("`ack` {ack}, `done` {}", said.done),
            None => format!("`done` {}", said.done),
        };
        rule(holds(said), poll.index, || format!("{what} in the first poll"), received)
    });
    Ruling::of(NO_POLL, seen)
}

/// The poll after a reply of some kind names its id.
fn echoes(visit: &Visit, kind: fn(&Llsd) -> bool) -> Ruling {
    let polls = polls(visit);
    let mut seen = Vec::new();
    for poll in &polls {
        let Some(answer) = poll.answer.as_ref().filter(|answer| answer.status == 200) else {
            continue;
        };
        let Some(body) = answer.body.filter(|body| kind(body)) else { continue };
        let Some(id) = id_of(body) else { continue };
        let following = next(&polls, answer, poll.region);
        let Some(said) = following.and_then(|poll| Some((poll, poll.said?))) else {
            if following.is_none() {
                let (limit, watched) = (Duration::from_secs(10), watched(visit, poll.region));
                let what = format!("a poll that names {id}");
                seen.push(within(limit, answer.at, None, watched, answer.index, &what));
            }
            continue;
        };
        let received = || said.1.ack.map_or("`ack` undef".into(), |ack| format!("`ack` {ack}"));
        let expected = || format!("`ack` {id}, the id of the reply before");
        seen.push(rule(said.1.ack == Some(id), said.0.index, expected, received));
    }
    Ruling::of("it got no reply of that kind", seen)
}

/// Until when a poll of a region was to be expected: while the visitor spoke there.
fn watched(visit: &Visit, region: usize) -> Duration {
    let spoke = visit.came().filter(|came| came.region == region);
    spoke.last().map_or(Duration::ZERO, |came| came.at).min(visit.present())
}

fn heeds_the_others(visit: &Visit) -> Ruling {
    let odd = |index: usize| match visit.events.get(index).map(|heard| &heard.what) {
        Some(What::PollAnswered(_, Some(body))) => has_unknown(body),
        _ => false,
    };
    let sent = super::teleport::destinations(visit);
    let seen = sent.iter().filter(|to| odd(to.index)).map(|to| {
        let came = super::teleport::moved(visit, to);
        let limit = Duration::from_secs(20);
        within(
            limit,
            to.at,
            came,
            visit.present(),
            to.index,
            "the move that an event beside it tells",
        )
    });
    Ruling::of("no teleport of it was told beside an unknown event", seen)
}

/// Polls that were answered 502: where and when, how long they were held, and the next.
fn empty<'v>(
    visit: &'v Visit,
    polls: &[Poll<'v>],
) -> Vec<(usize, Duration, Duration, Option<Duration>, usize)> {
    let _ = visit;
    let answered = polls.iter().filter_map(|poll| {
        let answer = poll.answer.as_ref().filter(|answer| answer.status == 502)?;
        let following = next(polls, answer, poll.region).map(|poll| poll.at);
        Some((answer.index, answer.at, answer.at - poll.at, following, poll.region))
    });
    answered.collect()
}

fn polls_again(visit: &Visit) -> Ruling {
    let polls = polls(visit);
    let held = empty(visit, &polls).into_iter().filter(|(_, _, held, ..)| held.as_secs() >= 10);
    let seen = held.map(|(index, at, _, following, region)| {
        within(
            Duration::from_secs(2),
            at,
            following,
            watched(visit, region),
            index,
            "the next poll",
        )
    });
    Ruling::of("no poll of it ended without events after 10 s or more", seen)
}

fn backs_off(visit: &Visit) -> Ruling {
    let polls = polls(visit);
    let hasty = empty(visit, &polls).into_iter().filter(|(_, _, held, ..)| held.as_secs() < 1);
    let seen = hasty.map(|(index, at, _, following, _)| {
        let early = following.filter(|next| *next < at + Duration::from_secs(15));
        never(
            Duration::from_secs(15),
            at,
            early.map(|at| (index, at)),
            visit.present(),
            "poll for 15 s",
        )
    });
    Ruling::of("no poll of it was answered 502 at once", seen)
}

fn stops(visit: &Visit) -> Ruling {
    let called = super::teleport::called(visit);
    let polls = polls(visit);
    let gone = polls.iter().filter_map(|poll| {
        let answer = poll.answer.as_ref().filter(|answer| answer.status == 404)?;
        Some((answer, poll.region))
    });
    let seen = gone.map(|(answer, region)| {
        // Whoever comes back gets another queue.
        let back = called.iter().find(|(index, of)| *of == region && *index > answer.index);
        let more = next(&polls, answer, region);
        let more = more.filter(|poll| back.is_none_or(|(index, _)| poll.index < *index));
        let more = more.map(|poll| (poll.index, poll.at));
        let what = "poll of a queue that is gone";
        never(Duration::from_secs(20), answer.at, more, visit.until, what)
    });
    Ruling::of("no poll of it was answered 404 while it was watched", seen)
}

fn polls_on(visit: &Visit) -> Ruling {
    let polls = polls(visit);
    let nameless = polls.iter().filter_map(|poll| {
        let answer = poll.answer.as_ref().filter(|answer| answer.status == 200)?;
        answer.body.filter(|body| body.get("id").is_none())?;
        Some((answer, poll.region))
    });
    let seen = nameless.map(|(answer, region)| {
        let following = next(&polls, answer, region).map(|poll| poll.at);
        let limit = Duration::from_secs(30);
        within(limit, answer.at, following, watched(visit, region), answer.index, "the next poll")
    });
    Ruling::of("it got no reply without `id`", seen)
}

fn fetches_by_udp(visit: &Visit) -> Ruling {
    let Some(arrived) = visit.arrived() else { return Ruling::Unseen("it did not come so far") };
    let fetch = visit.said("FetchInventoryDescendents").next();
    match fetch {
        Some(_) => Ruling::Held,
        None if visit.present() < arrived + Duration::from_secs(30) => {
            Ruling::Unseen("it did not stay for half a minute")
        }
        None => {
            let at = visit.events.iter().position(|heard| heard.at >= arrived).unwrap_or(0);
            let expected = "FetchInventoryDescendents by UDP";
            Ruling::Broken(Break::new(at, expected, "no fetch of a folder"))
        }
    }
}
