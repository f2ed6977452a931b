//! How a client arrives, stays and leaves.

use super::Check;
use crate::judge::check_result::{CheckResult, Violation, never, rule, within};
use crate::judge::journey::Closed;
use crate::judge::visit::{FromClient, Visit};
use crate::net::tap::{Passed, RegionIndex};
use crate::proto::id::{AgentId, SessionId};
use crate::proto::message::Flags;
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[
    ("HS-CLIENT-CODE-FIRST-1", code_first),
    ("HS-CLIENT-CODE-IDS-1", code_ids),
    ("HS-CLIENT-CODE-RELIABLE-1", |visit| reliable(visit, "UseCircuitCode")),
    ("HS-CLIENT-MOVEMENT-1", movement_code),
    ("HS-CLIENT-MOVEMENT-RELIABLE-1", |visit| reliable(visit, "CompleteAgentMovement")),
    ("HS-CLIENT-CHILD-1", no_movement_as_child),
    ("HS-CLIENT-IDS-1", own_ids),
    ("HS-CLIENT-UPDATE-1", updates),
    ("HS-CLIENT-UPDATE-2", no_early_updates),
    ("HS-CLIENT-REPLY-1", replies),
    ("HS-CLIENT-REPLY-RELIABLE-1", |visit| reliable(visit, "RegionHandshakeReply")),
    ("HS-CLIENT-LOGOUT-1", logs_out),
    ("HS-CLIENT-LOGOUT-2", |visit| reliable(visit, "LogoutRequest")),
    ("HS-CLIENT-LOGOUT-3", silent_after_logout),
    ("HS-RH-REPEAT-TOLERATED-1", replies_each_time),
    ("HS-RH-REPEAT-TOLERATED-2", no_restart),
    ("HS-AMC-CHANNEL-EMPTY-OK-1", goes_on),
    ("HS-NEIGHBOUR-DISABLE-1", drops_neighbour),
    ("CIR-DISABLE-SIM-1", keeps_the_others),
    ("HS-NEIGHBOUR-DISABLE-2", keeps_the_others),
    ("CIR-CLOSE-ROOT-DISABLE-1", disconnects),
];

const NOT_HERE: &str = "it did not come so far";

fn code_first(visit: &Visit) -> CheckResult {
    let codes: Vec<FromClient<'_>> = visit.received_named("UseCircuitCode").collect();
    let mut regions: Vec<RegionIndex> = codes.iter().map(|code| code.region).collect();
    regions.sort_unstable();
    regions.dedup();
    let seen = regions.into_iter().map(|region| {
        // By number, since a network may lose the first, delay it or swap it with the next.
        let here = |came: &FromClient<'_>| came.region == region && came.message().is_some();
        let met = visit.received().find(here)?;
        let code = codes.iter().find(|code| code.region == region)?;
        let on_its_way = code.received.from == met.received.from && code.number() < met.number();
        let first = if on_its_way { *code } else { met };
        let name = || first.message().map_or(String::new(), |m| m.name().to_owned());
        let expected = || "UseCircuitCode before anything else".into();
        rule(first.is("UseCircuitCode"), first.index, expected, name)
    });
    CheckResult::of("it opened no circuit", seen)
}

/// What is wrong with a session id and an agent id that a visitor sends; nothing if they are its
/// own, each in its place.
fn ids_fault(visit: &Visit, session: SessionId, agent: AgentId) -> &'static str {
    let own = visit.session.map_or(SessionId::default(), |(session, _)| session);
    match () {
        () if (session.0, agent.0) == (visit.agent.0, own.0) => {
            "agent and session the other way round"
        }
        () if session != own => "another session id",
        () if agent == AgentId::NIL => "a null agent id",
        () if agent != visit.agent => "another agent id",
        () => "",
    }
}

fn code_ids(visit: &Visit) -> CheckResult {
    let Some((_, code)) = visit.session else { return CheckResult::NotObserved(NOT_HERE) };
    let seen = visit.received().filter(|came| came.is("UseCircuitCode")).map(|came| {
        let message = came.message()?;
        let id = |field| message.uuid("CircuitCode", field).unwrap_or_default();
        let right = message.u32("CircuitCode", "Code") == Some(code.0);
        let fault = match ids_fault(visit, SessionId(id("SessionID")), AgentId(id("ID"))) {
            "" if !right => "another code",
            fault => fault,
        };
        let expected = || "the code, session id and agent id of the login".into();
        rule(fault.is_empty(), came.index, expected, || fault.into())
    });
    CheckResult::of("it opened no circuit", seen)
}

fn reliable(visit: &Visit, name: &'static str) -> CheckResult {
    CheckResult::of(
        NOT_HERE,
        visit.received_named(name).map(|came| {
            let received = || format!("an unreliable {name}");
            rule(came.has(Flags::RELIABLE), came.index, || format!("a reliable {name}"), received)
        }),
    )
}

fn movement_code(visit: &Visit) -> CheckResult {
    let Some((_, code)) = visit.session else { return CheckResult::NotObserved(NOT_HERE) };
    let seen = visit.received_named("CompleteAgentMovement").map(|came| {
        let said = came.message()?.u32("AgentData", "CircuitCode");
        let expected = || "the circuit code of the login".into();
        rule(said == Some(code.0), came.index, expected, || "another code".into())
    });
    CheckResult::of(NOT_HERE, seen)
}

/// The regions an avatar may arrive in: where it is, at first the first that it entered, and where
/// it was sent since.
fn no_movement_as_child(visit: &Visit) -> CheckResult {
    let mut here = visit.received_named("UseCircuitCode").next().map(|came| came.region);
    let mut sent = visit.destinations();
    let seen = visit.received_named("CompleteAgentMovement").map(|came| {
        let told = sent.iter().any(|to| to.region == came.region && to.at <= came.at);
        let holds = told || here == Some(came.region);
        if told {
            here = Some(came.region);
            sent.retain(|to| to.region != came.region || to.at > came.at);
        }
        let expected = || "it only where the avatar is, or was sent".into();
        let received = || {
            let name = visit.regions.get(came.region.0).map_or("?", |region| region.name.as_str());
            format!("CompleteAgentMovement in {name}")
        };
        rule(holds, came.index, expected, received)
    });
    CheckResult::of(NOT_HERE, seen)
}

fn own_ids(visit: &Visit) -> CheckResult {
    let Some((session, _)) = visit.session else { return CheckResult::NotObserved(NOT_HERE) };
    let seen = visit.messages().map(|(came, message)| {
        let agent = message.uuid("AgentData", "AgentID")?;
        let said = message.uuid("AgentData", "SessionID").unwrap_or(session.0);
        let fault = ids_fault(visit, SessionId(said), AgentId(agent));
        let expected = || "its own agent and session id, each in its place".into();
        let received = || format!("{} with {fault}", message.name());
        rule(fault.is_empty(), came.index, expected, received)
    });
    CheckResult::of("it sent nothing with its ids", seen)
}

fn updates(visit: &Visit) -> CheckResult {
    const MOST: Duration = Duration::from_secs(3);
    let Some(arrived) = visit.arrived() else { return CheckResult::NotObserved(NOT_HERE) };
    let (end, pauses) = (visit.seen(), pauses(visit));
    let first = visit.events.iter().position(|heard| heard.at >= arrived).unwrap_or(0);
    let came = visit.received().filter(|came| came.is("AgentUpdate") && came.at >= arrived);
    let mut times: Vec<(usize, Duration)> = vec![(first, arrived)];
    times.extend(came.map(|came| (came.index, came.at)));
    let nexts = times.iter().skip(1).map(|(_, at)| Some(*at)).chain([None]);
    let seen = times.iter().zip(nexts).map(|((index, since), next)| {
        let (since, until) = longest_without((*since, next.unwrap_or(end)), &pauses);
        let next = next.filter(|next| *next == until);
        within(MOST, since, next, until, *index, "an AgentUpdate")
    });
    CheckResult::of("it did not stay for long enough", seen)
}

/// The longest part of a time that lies in no pause.
fn longest_without(
    (mut since, until): (Duration, Duration),
    pauses: &[(Duration, Duration)],
) -> (Duration, Duration) {
    let mut longest = (since, since);
    let mut pauses: Vec<_> = pauses.iter().filter(|(from, to)| from <= to).collect();
    pauses.sort_unstable();
    for (from, to) in pauses.into_iter().chain([&(until, until)]) {
        let free = (since, (*from).clamp(since, until.max(since)));
        if free.1 - free.0 > longest.1 - longest.0 {
            longest = free;
        }
        since = since.max(*to);
    }
    longest
}

/// While a teleport is under way, and a little longer, and while it said it would pause, a viewer
/// sends none.
fn pauses(visit: &Visit) -> Vec<(Duration, Duration)> {
    const SETTLING: Duration = Duration::from_secs(5);
    let mut pauses: Vec<(Duration, Duration)> = Vec::new();
    let mut open: Option<Duration> = None;
    for heard in &visit.events {
        let name = match &heard.what {
            Passed::Received(received) => received.message.as_ref().map_or("", |m| m.name()),
            Passed::Sent(_, datagram) => datagram.message.name(),
            _ => continue,
        };
        let asks = name.starts_with("Teleport") && name.ends_with("Request");
        if asks || matches!(name, "TeleportStart" | "AgentPause") {
            open.get_or_insert(heard.at);
        }
        let ends = ["AgentMovementComplete", "TeleportLocal", "TeleportFailed", "AgentResume"];
        if ends.contains(&name) {
            pauses.extend(open.take().map(|from| (from, heard.at + SETTLING)));
        }
    }
    pauses.extend(open.map(|from| (from, Duration::MAX)));
    pauses
}

/// An avatar that is not there yet has nothing to update.
fn no_early_updates(visit: &Visit) -> CheckResult {
    let Some(arrived) = visit.arrived() else { return CheckResult::NotObserved(NOT_HERE) };
    let seen = visit.received_named("AgentUpdate").map(|came| {
        let expected = || "no AgentUpdate before AgentMovementComplete".into();
        rule(came.at >= arrived, came.index, expected, || "one before it".into())
    });
    CheckResult::of("it sent no AgentUpdate", seen)
}

fn replies(visit: &Visit) -> CheckResult {
    let circuits = visit.circuits();
    let seen = circuits.iter().map(|circuit| {
        let greeting = circuit.sent_named("RegionHandshake").next()?;
        let reply = circuit.received_named("RegionHandshakeReply").next().map(|reply| reply.at);
        let what = "RegionHandshakeReply";
        within(GREETED, greeting.at, reply, circuit.watched, greeting.index, what)
    });
    CheckResult::of("it was not greeted and stayed", seen)
}

/// A greeting is answered within this time.
const GREETED: Duration = Duration::from_secs(5);

fn logs_out(visit: &Visit) -> CheckResult {
    let silent = visit.events.iter().position(|heard| matches!(heard.what, Passed::Silent));
    match (visit.received_named("LogoutRequest").next(), silent) {
        (Some(_), _) => CheckResult::Held,
        (None, Some(at)) => {
            let told = visit.told_before(visit.seen());
            let told = told.map(|told| format!("; the last that it was told: {told}"));
            let silence = format!("silence for a minute{}", told.unwrap_or_default());
            CheckResult::Broken(Violation::new(at, "LogoutRequest", silence))
        }
        (None, None) => CheckResult::NotObserved("it has not gone"),
    }
}

fn silent_after_logout(visit: &Visit) -> CheckResult {
    let seen = visit.sent_named("LogoutReply").map(|went| {
        let grace = Duration::from_secs(2);
        let more = visit.received().find(|came| came.at > went.at + grace && came.speaks());
        let more = more.map(|came| (came.index, came.at));
        never(grace, went.at, more, visit.until, "message of its own")
    });
    CheckResult::of("it was not watched after a logout", seen)
}

fn replies_each_time(visit: &Visit) -> CheckResult {
    let circuits = visit.circuits();
    let seen = circuits.iter().map(|circuit| {
        let greetings: Vec<_> = circuit.sent_named("RegionHandshake").collect();
        let [_, .., last] = greetings.as_slice() else { return None };
        // Whoever answers none has broken another requirement.
        circuit.received_named("RegionHandshakeReply").next()?;
        let enough = circuit.received_named("RegionHandshakeReply").nth(greetings.len() - 1);
        let (limit, enough) = (GREETED, enough.map(|reply| reply.at));
        let what = format!("a reply to each of {} RegionHandshakes", greetings.len());
        within(limit, last.at, enough, circuit.watched, last.index, &what)
    });
    CheckResult::of("it did not get two in one region and stay", seen)
}

fn no_restart(visit: &Visit) -> CheckResult {
    const SOON: Duration = Duration::from_secs(10);
    let (called, circuits) = (visit.called(), visit.circuits());
    let seen = circuits.iter().map(|circuit| {
        let second = circuit.sent_named("RegionHandshake").nth(1)?;
        let sent = |came: &FromClient<'_>| {
            let here = |(index, region): &(usize, RegionIndex)| {
                *region == came.region && (second.index..came.index).contains(index)
            };
            called.iter().any(here)
        };
        let begins = circuit
            .received_named("UseCircuitCode")
            .chain(circuit.received_named("CompleteAgentMovement"));
        // What begins much later has another reason.
        let soon = |came: &FromClient<'_>| came.at > second.at && came.at <= second.at + SOON;
        let anew = begins.filter(|came| soon(came) && !sent(came)).min_by_key(|c| c.index);
        let anew = anew.map(|came| (came.index, came.at));
        let what = "new beginning after a second RegionHandshake";
        never(Duration::from_secs(2), second.at, anew, circuit.watched, what)
    });
    CheckResult::of("it did not get two in one region and stay", seen)
}

fn goes_on(visit: &Visit) -> CheckResult {
    let seen = visit.sent_named("AgentMovementComplete").map(|went| {
        let on = visit
            .received()
            .find(|came| came.region == went.region && came.at > went.at && came.speaks());
        let on = on.map(|came| came.at);
        within(Duration::from_secs(10), went.at, on, visit.seen(), went.index, "more of it")
    });
    CheckResult::of(NOT_HERE, seen)
}

fn drops_neighbour(visit: &Visit) -> CheckResult {
    let grace = Duration::from_secs(3);
    let called = visit.called();
    let seen = visit.closed(false).into_iter().map(|Closed { index, at, region }| {
        // Whoever is called there again goes there again.
        let back = called.iter().find(|(again, of)| *of == region && *again > index);
        let back = back.map_or(usize::MAX, |(again, _)| *again);
        let here = |came: &FromClient<'_>| came.region == region && came.index < back;
        let more =
            visit.received().find(|came| here(came) && came.at > at + grace && came.speaks());
        let more = more.map(|came| (came.index, came.at));
        never(2 * grace, at, more, visit.present(), "message to a region that closed its circuit")
    });
    CheckResult::of("no neighbour closed its circuit while it stayed", seen)
}

fn keeps_the_others(visit: &Visit) -> CheckResult {
    let seen = visit.closed(false).into_iter().map(|Closed { index, at, region }| {
        let on = visit
            .received()
            .find(|came| came.region != region && came.at > at + Duration::from_secs(1));
        let on = on.map(|came| came.at);
        // Whoever takes it for its own end falls silent.
        let what = "more on the circuit of its own region";
        within(Duration::from_secs(20), at, on, visit.present(), index, what)
    });
    CheckResult::of("no neighbour closed its circuit while it stayed", seen)
}

fn disconnects(visit: &Visit) -> CheckResult {
    let grace = Duration::from_secs(5);
    let seen = visit.closed(true).into_iter().map(|Closed { at, .. }| {
        let more = visit.received().find(|came| came.at > at + grace && came.speaks());
        let more = more.map(|came| (came.index, came.at));
        never(2 * grace, at, more, visit.until, "message after its region closed the circuit")
    });
    CheckResult::of("its region did not close its circuit, or it was not watched for 10 s", seen)
}
