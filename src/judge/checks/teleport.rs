//! How a client goes from region to region.

use super::Check;
use crate::judge::check_result::{CheckResult, never, rule, within};
use crate::judge::journey::Sent;
use crate::judge::visit::{ToClient, Visit};
use crate::net::tap::{Passed, RegionIndex};
use crate::proto::teleport::flags;
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
    ("CR-FOLLOWED-1", crosses),
];

const LIMIT: Duration = Duration::from_secs(20);
const NO_TELEPORT: &str =
    "it did not teleport so to another region, or did not stay for 20 s after";

fn arrives(visit: &Visit, kind: fn(&Sent) -> bool) -> CheckResult {
    let sent = visit.sent_by("TeleportFinish", true);
    let seen = sent.iter().filter(|to| kind(to)).map(|to| {
        let code = visit.received_named("UseCircuitCode").find(|came| came.region == to.region);
        let came = code.and_then(|_| visit.moved(to));
        let what = "UseCircuitCode and CompleteAgentMovement there";
        within(LIMIT, to.at, came, visit.seen(), to.index, what)
    });
    CheckResult::of(NO_TELEPORT, seen)
}

fn without_enable(visit: &Visit) -> CheckResult {
    let enabled = visit.enabled();
    let sent = visit.sent_by("TeleportFinish", true);
    let unheard = sent.iter().filter(|to| {
        !enabled.iter().any(|(index, region)| *index <= to.index && *region == to.region)
    });
    let seen = unheard.map(|to| {
        let came = visit.moved(to);
        within(LIMIT, to.at, came, visit.seen(), to.index, "CompleteAgentMovement there")
    });
    CheckResult::of(
        "it did not teleport to a region that it had not heard of, or did not stay for 20 s after",
        seen,
    )
}

fn asks_the_seed(visit: &Visit) -> CheckResult {
    let sent = visit.sent_by("TeleportFinish", true);
    let seen = sent.iter().map(|to| {
        // A neighbour whose circuit was open all the time has told its seed before.
        let closed = visit.sent_named("DisableSimulator");
        let closed = closed.filter(|went| went.region == to.region && went.index < to.index);
        let since = closed.last().map_or(0, |went| went.index);
        let known = visit
            .enabled()
            .iter()
            .any(|(index, of)| *of == to.region && (since..to.index).contains(index));
        let since = if known { since } else { to.index };
        let asked = visit.events.iter().enumerate().find(|(index, heard)| {
            matches!(heard.what, Passed::Seed(..)) && heard.region == to.region && *index >= since
        });
        let asked = asked.map(|(_, heard)| heard.at.max(to.at));
        within(LIMIT, to.at, asked, visit.seen(), to.index, "a request to the seed there")
    });
    CheckResult::of(NO_TELEPORT, seen)
}

/// A way into a region that the visitor had no reason to take.
fn entered(visit: &Visit, region: RegionIndex, since: usize) -> Option<(usize, Duration)> {
    let called = visit.called();
    let known =
        visit.received_named("UseCircuitCode").any(|c| c.region == region && c.index < since);
    let enters = |name| visit.received_named(name).find(|c| c.region == region && c.index > since);
    let came = enters("UseCircuitCode").or_else(|| enters("CompleteAgentMovement"))?;
    // Being called there later is no reason.
    let called = called.iter().any(|(index, of)| *of == region && *index < came.index);
    (!called && !known).then_some((came.index, came.at))
}

fn passes_over(visit: &Visit, name: &'static str) -> CheckResult {
    let seen = visit.sent_by(name, false).into_iter().map(|to| {
        let came = entered(visit, to.region, to.index);
        let what = format!("circuit after a {name} for another agent");
        never(Duration::from_secs(10), to.at, came, visit.until, &what)
    });
    CheckResult::of("it was told of no other agent's way, or not watched for 10 s", seen)
}

fn not_by_udp(visit: &Visit, name: &'static str, block: &str, port: &str) -> CheckResult {
    let seen = visit.sent_named(name).map(|went| {
        let port = went.datagram.message.u32(block, port)?;
        let region = visit.region(u16::try_from(port).ok()?)?;
        let came = entered(visit, region, went.index);
        let what = format!("circuit after a {name} by UDP");
        never(Duration::from_secs(10), went.at, came, visit.until, &what)
    });
    CheckResult::of("it got none, or was not watched for 10 s", seen)
}

fn greeted_late(visit: &Visit) -> CheckResult {
    let circuits = visit.circuits();
    let seen = circuits.iter().map(|circuit| {
        let arrival = circuit.sent_named("AgentMovementComplete").next()?;
        let greeting =
            circuit.sent_named("RegionHandshake").next().filter(|g| g.index > arrival.index)?;
        let reply = circuit
            .received
            .iter()
            .find(|came| came.is("RegionHandshakeReply") && came.index > greeting.index);
        let (limit, reply) = (Duration::from_secs(5), reply.map(|came| came.at));
        within(limit, greeting.at, reply, circuit.watched, greeting.index, "RegionHandshakeReply")
    });
    CheckResult::of("AgentMovementComplete never came first", seen)
}

fn stays(visit: &Visit) -> CheckResult {
    // One that is never acknowledged was not taken: that is another requirement.
    let taken = |went: &ToClient<'_>| {
        let mut acks = visit.received().filter(|came| came.region == went.region);
        acks.any(|came| came.at >= went.at && came.received.acks.contains(&went.number()))
    };
    let seen = visit.sent_named("TeleportFailed").filter(taken).map(|went| {
        let on = visit.received().find(|came| {
            came.region == went.region
                && came.speaks()
                && came.at > went.at + Duration::from_secs(1)
        });
        let on = on.map(|came| came.at);
        within(LIMIT, went.at, on, visit.seen(), went.index, "more of it in the region it is in")
    });
    CheckResult::of("it acknowledged no TeleportFailed while it stayed", seen)
}

/// Whoever walks over a border is in neither region until it says that it has come.
fn crosses(visit: &Visit) -> CheckResult {
    let sent = visit.destinations();
    let seen = sent.iter().filter(|to| to.walks).map(|to| {
        let came = visit.moved(to);
        within(LIMIT, to.at, came, visit.seen(), to.index, "CompleteAgentMovement there")
    });
    CheckResult::of("it crossed no border on foot, or did not stay for 20 s after", seen)
}

fn crosses_without_code(visit: &Visit) -> CheckResult {
    let sent = visit.destinations();
    let seen = sent.iter().filter(|to| to.walks).map(|to| {
        let arrived = visit.moved(to)?;
        let code = visit
            .received_named("UseCircuitCode")
            .find(|came| came.region == to.region && came.index > to.index && came.at <= arrived);
        let index = code.map_or(to.index, |came| came.index);
        let expected = || "CompleteAgentMovement on the circuit there was".into();
        rule(code.is_none(), index, expected, || "UseCircuitCode again".into())
    });
    CheckResult::of("it crossed no border on foot", seen)
}
