//! What a client does on its circuits: numbers, acks, pings, resends.

use super::Check;
use crate::judge::check_result::{CheckResult, Checked, Violation, never, rule, seconds, within};
use crate::judge::visit::{Circuit, FromClient, LATE, ToClient, Visit};
use crate::net::tap::RegionIndex;
use crate::proto::id::Sequence;
use crate::proto::message::Flags;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[
    ("PKT-CLIENT-DECODES-1", decodes),
    ("PKT-CLIENT-TRAILING-1", trailing),
    ("CIR-CLIENT-SEQ-1", |visit| {
        numbers(visit, |before, now| now > before, "a greater number than")
    }),
    ("CIR-CLIENT-SEQ-2", |visit| {
        numbers(visit, |before, now| now.0 <= before.0 + 1, "the number after")
    }),
    ("CIR-CLIENT-SEQ-3", first_number),
    ("CIR-CLIENT-ACK-1", acked),
    ("CIR-CLIENT-ACK-2", acked_soon),
    ("CIR-CLIENT-ACK-AGAIN-1", acked_again),
    ("CIR-CLIENT-ACK-UNRELIABLE-1", acks_are_unreliable),
    ("CIR-ACK-MANY-1", many_acks),
    ("CIR-CLIENT-PING-1", |visit| answered_pings(visit, Duration::from_secs(10))),
    ("CIR-CLIENT-PING-2", |visit| answered_pings(visit, Duration::from_secs(2))),
    ("CIR-CLIENT-OLDEST-1", oldest_unacked),
    ("CIR-CLIENT-RESEND-1", resent_as_it_was),
    ("CIR-CLIENT-RESEND-2", resent_in_time),
    ("CIR-CLIENT-RESEND-3", resent_no_more),
    ("CIR-RESEND-GIVEUP-1", gives_up),
    ("CIR-CLIENT-TRUST-1", only_what_clients_send),
];

fn decodes(visit: &Visit) -> CheckResult {
    CheckResult::of(
        "no datagram came",
        visit.received().map(|came| match &came.received.message {
            Ok(_) => Some(Ok(())),
            Err(error) => {
                let expected = "a message as the template lays it out";
                Some(Err(Violation::new(
                    came.index,
                    expected,
                    format!("#{}: {error}", came.number()),
                )))
            }
        }),
    )
}

fn trailing(visit: &Visit) -> CheckResult {
    CheckResult::of(
        "no datagram came",
        visit.messages().map(|(came, message)| {
            let trailing = came.received.trailing;
            let found = || format!("{} with {trailing} bytes more", message.name());
            rule(trailing == 0, came.index, || "nothing behind the last block".into(), found)
        }),
    )
}

/// Holds the number of each new datagram against the greatest before it. What a network swaps,
/// delays, loses or doubles is no fault of a client's: a number that is missing and comes late, or
/// again, was given in its turn.
fn numbers(
    visit: &Visit,
    follows: fn(Sequence, Sequence) -> bool,
    wanted: &'static str,
) -> CheckResult {
    // Behind its farewell a client may number as it likes.
    let present = visit.present();
    // Some of it may have come before the circuit was open.
    let came = visit.received().map(|came| (came.region, came.received.from, came.number()));
    let ever: HashSet<(RegionIndex, SocketAddr, Sequence)> = came.collect();
    let mut seen = Vec::new();
    for circuit in visit.circuits() {
        let staying = |came: &&FromClient<'_>| came.at <= present && came.message().is_some();
        let fresh = circuit.received.iter().filter(|came| !came.has(Flags::RESENT)).filter(staying);
        let first = circuit.received.first().map_or(Sequence(0), FromClient::number);
        let mut greatest: Option<(Sequence, Duration)> = None;
        let mut before: HashMap<Sequence, FromClient<'_>> = HashMap::new();
        for came in fresh {
            let number = came.number();
            let same = before.insert(number, *came);
            let doubled = same.is_some_and(|s| {
                s.received.message == came.received.message && came.at <= s.at + LATE
            });
            let Some((most, since)) = greatest else {
                greatest = Some((number, came.at));
                continue;
            };
            let wrapped = most.0 > 0x00F0_0000 && number.0 < 0x0010_0000;
            let late = same.is_none() && (first..most).contains(&number) && came.at <= since + LATE;
            if wrapped || number > most {
                greatest = Some((number, came.at));
            }
            let known = |n| ever.contains(&(came.region, came.received.from, Sequence(n)));
            let mut missing = most.0 + 1..number.0;
            let goes_on = (1..1000).contains(&missing.len()) && missing.all(known);
            if !wrapped && !doubled && !late {
                let expected = || format!("{wanted} #{most}");
                let follows = follows(most, number) || goes_on;
                seen.push(rule(follows, came.index, expected, || named(came)));
            }
        }
    }
    CheckResult::of("no two datagrams came", seen)
}

/// A datagram by its number and name.
fn named(came: &FromClient<'_>) -> String {
    let name = came.message().map_or("", |message| message.name());
    format!("#{} {name}", came.number())
}

fn first_number(visit: &Visit) -> CheckResult {
    let circuits = visit.circuits();
    // Whoever was not let in at first goes on where it was.
    let is_first = |came: &&FromClient<'_>| {
        let mut before = visit.received().take_while(|other| other.index < came.index);
        !before
            .any(|other| other.region == came.region && other.received.from == came.received.from)
    };
    let firsts = circuits.iter().filter_map(|circuit| circuit.received.first()).filter(is_first);
    let seen = firsts.map(|came| {
        let expected = || "0 or 1 as the first number".into();
        rule(came.number() <= Sequence(1), came.index, expected, || named(came))
    });
    CheckResult::of("no circuit was opened", seen)
}

/// When each number was acknowledged.
fn acks_of(circuit: &Circuit<'_>) -> HashMap<Sequence, Vec<Duration>> {
    let mut acks: HashMap<Sequence, Vec<Duration>> = HashMap::new();
    for came in &circuit.received {
        for number in &came.received.acks {
            acks.entry(*number).or_default().push(came.at);
        }
    }
    acks
}

/// Holds what was sent reliably, new or again, against the acks that came for it. With `other` what
/// was never acknowledged is broken by another requirement.
fn acks_come(
    visit: &Visit,
    limit: Duration,
    (resent, other): (bool, bool),
    unseen: &'static str,
) -> CheckResult {
    let mut seen = Vec::new();
    for circuit in visit.circuits() {
        let acks = acks_of(&circuit);
        let judged = |went: &&ToClient<'_>| !other || acks.contains_key(&went.number());
        let sent = circuit.sent.iter().filter(|w| w.has(Flags::RELIABLE)).filter(judged);
        seen.extend(sent.filter(|w| w.has(Flags::RESENT) == resent).map(|went| {
            let again = if resent { ", sent again" } else { "" };
            let what =
                format!("an ack of {} #{}{again}", went.datagram.message.name(), went.number());
            let came = acks.get(&went.number()).and_then(|at| at.iter().find(|at| **at >= went.at));
            within(limit, went.at, came.copied(), circuit.watched, went.index, &what)
        }));
    }
    CheckResult::of(unseen, seen)
}

fn acked(visit: &Visit) -> CheckResult {
    let unseen = "nothing reliable was sent to it for long enough";
    acks_come(visit, Duration::from_secs(10), (false, false), unseen)
}

fn acked_soon(visit: &Visit) -> CheckResult {
    let unseen = "it acknowledged nothing";
    acks_come(visit, Duration::from_secs(2), (false, true), unseen)
}

fn acked_again(visit: &Visit) -> CheckResult {
    let unseen = "nothing that it acknowledged had to be sent to it again";
    acks_come(visit, Duration::from_secs(10), (true, true), unseen)
}

fn acks_are_unreliable(visit: &Visit) -> CheckResult {
    CheckResult::of(
        "it sent no PacketAck",
        visit.received_named("PacketAck").map(|came| {
            let reliable = came.has(Flags::RELIABLE);
            rule(
                !reliable,
                came.index,
                || "an unreliable PacketAck".into(),
                || "a reliable one".into(),
            )
        }),
    )
}

/// By number, the packets that came, each with those that repeat it. Another message with a number
/// that was used repeats nothing: its number is wrong.
fn copies<'v>(circuit: &Circuit<'v>) -> BTreeMap<Sequence, (FromClient<'v>, Vec<FromClient<'v>>)> {
    let mut all: BTreeMap<Sequence, (FromClient<'v>, Vec<FromClient<'v>>)> = BTreeMap::new();
    for came in &circuit.received {
        match all.get_mut(&came.number()) {
            Some((first, again)) => {
                let same = first.received.message == came.received.message;
                if same || came.has(Flags::RESENT) {
                    again.push(*came);
                }
            }
            None => {
                all.insert(came.number(), (*came, Vec::new()));
            }
        }
    }
    all
}

/// Whether what was acknowledged comes again. One ack may get lost, and then the packet comes again
/// and is acknowledged again; after that there is no excuse.
fn resent_after_ack(visit: &Visit, of_many: bool) -> Vec<Checked> {
    const GRACE: Duration = Duration::from_secs(2);
    let mut seen = Vec::new();
    for circuit in visit.circuits() {
        let copies = copies(&circuit);
        let mut acks: BTreeMap<Sequence, Vec<Duration>> = BTreeMap::new();
        for went in &circuit.sent {
            let numbers: Vec<Sequence> = went.datagram.acknowledged().collect();
            if of_many && numbers.len() < 255 {
                continue;
            }
            for number in numbers.into_iter().collect::<BTreeSet<_>>() {
                acks.entry(number).or_default().push(went.at);
            }
        }
        for (number, acks) in acks {
            let since = acks.get(1).or(acks.first()).copied().unwrap_or_default();
            let again = copies.get(&number).map_or(&[][..], |(_, again)| again);
            let late = again.iter().find(|copy| acks.len() > 1 && copy.at > since + GRACE);
            let late = late.map(|copy| (copy.index, copy.at));
            let what = format!("resend of #{number}, which was acknowledged");
            seen.push(never(GRACE, since, late, circuit.alive, &what));
        }
    }
    seen
}

fn many_acks(visit: &Visit) -> CheckResult {
    CheckResult::of("no ack of 255 numbers reached it in time", resent_after_ack(visit, true))
}

fn resent_no_more(visit: &Visit) -> CheckResult {
    CheckResult::of("nothing of it was acknowledged in time", resent_after_ack(visit, false))
}

fn answered_pings(visit: &Visit, limit: Duration) -> CheckResult {
    let mut seen = Vec::new();
    for circuit in visit.circuits() {
        let pings = circuit.sent.iter().filter(|went| went.is("StartPingCheck"));
        let ids = pings.filter_map(|ping| ping.datagram.message.u32("PingID", "PingID"));
        let asked: HashSet<u32> = ids.collect();
        let mut answers: HashMap<u32, Vec<Duration>> = HashMap::new();
        let mut others = Vec::new();
        for came in circuit.received.iter().filter(|came| came.is("CompletePingCheck")) {
            if let Some(id) = came.message().and_then(|m| m.u32("PingID", "PingID")) {
                answers.entry(id).or_default().push(came.at);
                others.extend((!asked.contains(&id)).then_some((came.at, id)));
            }
        }
        for ping in circuit.sent.iter().filter(|went| went.is("StartPingCheck")) {
            let Some(id) = ping.datagram.message.u32("PingID", "PingID") else { continue };
            let answers = answers.get(&id).map_or(&[][..], Vec::as_slice);
            let answer = answers.get(answers.partition_point(|at| *at < ping.at)).copied();
            let what = format!("CompletePingCheck with PingID {id}");
            let mut judged = within(limit, ping.at, answer, circuit.watched, ping.index, &what);
            let mut others = others.iter().filter(|(at, _)| *at >= ping.at);
            if let (Some(Err(violation)), None) = (&mut judged, answer)
                && let Some((_, other)) = others.next()
            {
                violation.received = format!("CompletePingCheck with PingID {other}");
            }
            seen.push(judged);
        }
    }
    CheckResult::of("it was not pinged, or not for long enough", seen)
}

fn oldest_unacked(visit: &Visit) -> CheckResult {
    let mut seen = Vec::new();
    for circuit in visit.circuits() {
        for ping in circuit.received.iter().filter(|came| came.is("StartPingCheck")) {
            let oldest = ping.message().and_then(|m| m.u32("PingID", "OldestUnacked"));
            let (Some(oldest), number) = (oldest, ping.number()) else { continue };
            let expected = || format!("OldestUnacked at most #{number}, its own number");
            seen.push(rule(oldest <= number.0, ping.index, expected, || oldest.to_string()));
        }
    }
    CheckResult::of("it did not ping", seen)
}

fn resent_as_it_was(visit: &Visit) -> CheckResult {
    let mut seen = Vec::new();
    for circuit in visit.circuits() {
        for (first, again) in copies(&circuit).into_values() {
            seen.extend(again.into_iter().map(|copy| {
                let same = first.received.message == copy.received.message;
                let fault = match (same, copy.has(Flags::RESENT)) {
                    (false, _) => "another message with that number",
                    (true, false) => "it again without the flag",
                    (true, true) => "",
                };
                let expected =
                    || format!("#{} again as it was, with the flag RESENT", first.number());
                rule(fault.is_empty(), copy.index, expected, || fault.into())
            }));
        }
    }
    CheckResult::of("it sent nothing again", seen)
}

/// Reliable packets that were never acknowledged, and their copies.
fn unacknowledged<'v>(
    circuit: &Circuit<'v>,
) -> impl Iterator<Item = (FromClient<'v>, Vec<FromClient<'v>>)> {
    let acked: HashSet<Sequence> =
        circuit.sent.iter().flat_map(|w| w.datagram.acknowledged()).collect();
    copies(circuit).into_values().filter(move |(first, _)| {
        first.has(Flags::RELIABLE) && !first.has(Flags::RESENT) && !acked.contains(&first.number())
    })
}

const NO_LOSS: &str =
    "it sent nothing that could go unacknowledged, or left before it was sent again";

fn resent_in_time(visit: &Visit) -> CheckResult {
    const LIMIT: Duration = Duration::from_secs(10);
    // Short of a second by what the clocks of two programs differ.
    const HASTE: Duration = Duration::from_millis(900);
    let mut seen = Vec::new();
    for circuit in visit.circuits() {
        seen.extend(unacknowledged(&circuit).map(|(first, copies)| {
            let again = copies.first().map(|copy| copy.at);
            let what = format!("#{} sent again", first.number());
            if let Some(at) = again.filter(|at| *at < first.at + HASTE) {
                let received = format!("after {}", seconds(at - first.at));
                let expected = format!("{what} after 1 s or more");
                return Some(Err(Violation::new(first.index, expected, received)));
            }
            within(LIMIT, first.at, again, circuit.watched, first.index, &what)
        }));
    }
    CheckResult::of(NO_LOSS, seen)
}

fn gives_up(visit: &Visit) -> CheckResult {
    const PATIENCE: Duration = Duration::from_secs(60);
    let mut seen = Vec::new();
    for circuit in visit.circuits() {
        seen.extend(unacknowledged(&circuit).map(|(first, copies)| {
            let n = copies.len();
            let last = copies.last().map_or(first.at, |copy| copy.at);
            if n <= 10 && circuit.watched < last + PATIENCE {
                return None;
            }
            let expected = || format!("#{} sent again 3 to 10 times", first.number());
            rule((3..=10).contains(&n), first.index, expected, || format!("{n} times"))
        }));
    }
    CheckResult::of("it did not stay for the minute behind the last resend", seen)
}

fn only_what_clients_send(visit: &Visit) -> CheckResult {
    CheckResult::of(
        "no datagram came",
        visit.messages().map(|(came, message)| {
            let expected = || "a message that clients may send".into();
            rule(!message.def.trusted, came.index, expected, || message.name().to_owned())
        }),
    )
}
