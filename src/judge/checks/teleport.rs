//! How a client goes from region to region.

use super::Check;
use crate::grid::What;
use crate::judge::ruling::{Ruling, never, rule, within};
use crate::judge::visit::Visit;
use crate::proto::event_queue::EnableSimulator;
use crate::proto::message::Flags;
use crate::proto::teleport::{CrossedRegion, TeleportFinish, flags};
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[
    ("TP-X-NEW-CIRCUIT-1", |visit| arrives(visit, |_| true)),
    ("TP-UNKNOWN-FLAG-BITS-1", |visit| arrives(visit, |to| to.flags & flags::NAMELESS != 0)),
    ("TP-X-NO-ENABLE-1", without_enable),
    ("TP-X-SEED-1", asks_the_seed),
    ("TP-X-WRONG-AGENT-1", |visit| passes_over(visit, "TeleportFinish")),
    ("CR-SESSION-MISMATCH-1", |visit| passes_over(visit, "CrossedRegion")),
    ("TP-X-AMC-THEN-HANDSHAKE-1", greeted_late),
    ("TP-FAILED-UDP-1", stays),
    ("TP-FINISH-UDP-REFUSED-1", |visit| not_by_udp(visit, "TeleportFinish", "Info", "SimPort")),
    ("DEPRECATED-UDP-VIEWER-1", |visit| {
        not_by_udp(visit, "EnableSimulator", "SimulatorInfo", "Port")
    }),
    ("CR-NO-USECIRCUIT-1", crosses_without_code),
];

/// Where an agent was sent.
pub(super) struct Sent {
    pub index: usize,
    pub at: Duration,
    pub region: usize,
    pub flags: u32,
    pub walks: bool,
}

/// Where events of this name send: those for this agent, or for others.
fn events(visit: &Visit, name: &str, own: bool) -> Vec<Sent> {
    let told = visit.told(name).filter_map(|told| {
        let walks = name == "CrossedRegion";
        let (to, flags) = match walks {
            true => (CrossedRegion::parse(told.body)?.to, 0),
            false => TeleportFinish::parse(told.body).map(|finish| (finish.to, finish.flags))?,
        };
        let region = visit.region(to.address.port())?;
        let theirs = (to.agent_id == visit.agent) == own;
        theirs.then_some(Sent { index: told.index, at: told.at, region, flags, walks })
    });
    told.collect()
}

/// Where this agent was sent.
pub(super) fn destinations(visit: &Visit) -> Vec<Sent> {
    let mut all = events(visit, "TeleportFinish", true);
    all.extend(events(visit, "CrossedRegion", true));
    all.sort_by_key(|to| to.index);
    all
}

/// Where a visitor learnt of a region as a neighbour.
fn enabled(visit: &Visit) -> Vec<(usize, usize)> {
    let told = visit.told("EnableSimulator").filter_map(|told| {
        let port = EnableSimulator::parse(told.body)?.address.port();
        Some((told.index, visit.region(port)?))
    });
    told.collect()
}

/// Where a visitor was called to a region, as a neighbour or with its avatar.
pub(super) fn called(visit: &Visit) -> Vec<(usize, usize)> {
    let sent = destinations(visit).into_iter().map(|to| (to.index, to.region));
    sent.chain(enabled(visit)).collect()
}

/// When the avatar was moved to where it was sent.
pub(super) fn moved(visit: &Visit, to: &Sent) -> Option<Duration> {
    let moves = visit.said("CompleteAgentMovement");
    moves
        .filter(|came| came.region == to.region && came.index > to.index)
        .map(|came| came.at)
        .next()
}

const LIMIT: Duration = Duration::from_secs(20);
const NO_TELEPORT: &str = "it did not teleport so to another region";

fn arrives(visit: &Visit, kind: fn(&Sent) -> bool) -> Ruling {
    let sent = events(visit, "TeleportFinish", true);
    let seen = sent.iter().filter(|to| kind(to)).map(|to| {
        let code = visit.said("UseCircuitCode").find(|came| came.region == to.region);
        let came = code.and_then(|_| moved(visit, to));
        let what = "UseCircuitCode and CompleteAgentMovement there";
        within(LIMIT, to.at, came, visit.present(), to.index, what)
    });
    Ruling::of(NO_TELEPORT, seen)
}

fn without_enable(visit: &Visit) -> Ruling {
    let enabled = enabled(visit);
    let sent = events(visit, "TeleportFinish", true);
    let unheard = sent.iter().filter(|to| {
        !enabled.iter().any(|(index, region)| *index <= to.index && *region == to.region)
    });
    let seen = unheard.map(|to| {
        let came = moved(visit, to);
        within(LIMIT, to.at, came, visit.present(), to.index, "CompleteAgentMovement there")
    });
    Ruling::of("it did not teleport to a region that it had not heard of", seen)
}

fn asks_the_seed(visit: &Visit) -> Ruling {
    let sent = events(visit, "TeleportFinish", true);
    let seen = sent.iter().map(|to| {
        // A neighbour whose circuit was open all the time has told its seed before.
        let closed = visit.sent("DisableSimulator");
        let closed = closed.filter(|went| went.region == to.region && went.index < to.index);
        let since = closed.last().map_or(0, |went| went.index);
        let known = enabled(visit)
            .iter()
            .any(|(index, of)| *of == to.region && (since..to.index).contains(index));
        let since = if known { since } else { to.index };
        let asked = visit.events.iter().enumerate().find(|(index, heard)| {
            matches!(heard.what, What::Seed(..)) && heard.region == to.region && *index >= since
        });
        let asked = asked.map(|(_, heard)| heard.at.max(to.at));
        within(LIMIT, to.at, asked, visit.present(), to.index, "a request to the seed there")
    });
    Ruling::of(NO_TELEPORT, seen)
}

/// A way into a region that the visitor had no reason to take.
fn entered(visit: &Visit, region: usize, since: usize) -> Option<(usize, Duration)> {
    let called = called(visit).iter().any(|(_, of)| *of == region);
    let known = visit.said("UseCircuitCode").any(|c| c.region == region && c.index < since);
    if called || known {
        return None;
    }
    let enters = |name| visit.said(name).find(|c| c.region == region && c.index > since);
    let came = enters("UseCircuitCode").or_else(|| enters("CompleteAgentMovement"));
    came.map(|came| (came.index, came.at))
}

fn passes_over(visit: &Visit, name: &'static str) -> Ruling {
    let seen = events(visit, name, false).into_iter().map(|to| {
        let came = entered(visit, to.region, to.index);
        let what = format!("circuit after a {name} for another agent");
        never(Duration::from_secs(10), to.at, came, visit.until, &what)
    });
    Ruling::of("it was told of no other agent's way, or not watched for 10 s", seen)
}

fn not_by_udp(visit: &Visit, name: &'static str, block: &str, port: &str) -> Ruling {
    let seen = visit.sent(name).map(|went| {
        let port = went.datagram.message.u32(block, port)?;
        let region = visit.region(u16::try_from(port).ok()?)?;
        let came = entered(visit, region, went.index);
        let what = format!("circuit after a {name} by UDP");
        never(Duration::from_secs(10), went.at, came, visit.until, &what)
    });
    Ruling::of("it got none, or was not watched for 10 s", seen)
}

fn greeted_late(visit: &Visit) -> Ruling {
    let mut seen = Vec::new();
    for wire in visit.wires() {
        let first = |name| wire.went.iter().find(|w| w.is(name) && !w.has(Flags::RESENT));
        let (Some(arrival), Some(greeting)) =
            (first("AgentMovementComplete"), first("RegionHandshake"))
        else {
            continue;
        };
        if greeting.index < arrival.index {
            continue;
        }
        let reply =
            wire.came.iter().find(|c| c.is("RegionHandshakeReply") && c.index > greeting.index);
        let reply = reply.map(|came| came.at);
        let watched = wire.alive().min(visit.present());
        let what = "RegionHandshakeReply";
        seen.push(within(
            Duration::from_secs(5),
            greeting.at,
            reply,
            watched,
            greeting.index,
            what,
        ));
    }
    Ruling::of("AgentMovementComplete never came first", seen)
}

fn stays(visit: &Visit) -> Ruling {
    let seen = visit.sent("TeleportFailed").map(|went| {
        let on = visit.came().find(|came| {
            came.region == went.region
                && came.speaks()
                && came.at > went.at + Duration::from_secs(1)
        });
        let on = on.map(|came| came.at);
        within(LIMIT, went.at, on, visit.present(), went.index, "more of it in the region it is in")
    });
    Ruling::of("no teleport of it failed while it stayed", seen)
}

fn crosses_without_code(visit: &Visit) -> Ruling {
    let sent = destinations(visit);
    let seen = sent.iter().filter(|to| to.walks).map(|to| {
        let arrived = moved(visit, to)?;
        let code = visit
            .said("UseCircuitCode")
            .find(|came| came.region == to.region && came.index > to.index && came.at <= arrived);
        let index = code.map_or(to.index, |came| came.index);
        let expected = || "CompleteAgentMovement on the circuit there was".into();
        rule(code.is_none(), index, expected, || "UseCircuitCode again".into())
    });
    Ruling::of("it crossed no border on foot", seen)
}
