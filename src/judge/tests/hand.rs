//! Visits made by hand, for checks that our own viewer gives no occasion for.

use super::super::visit::Visit;
use crate::net::tap::{Fact, Passed, Received, RegionIndex, Side};
use crate::proto::event_queue::PollRequest;
use crate::proto::id::{AgentId, CircuitCode, Sequence, SessionId};
use crate::proto::llsd::Llsd;
use crate::proto::message::{Datagram, Flags, Header, Message};
use crate::proto::template::Template;
use std::time::Duration;
use uuid::Uuid;

/// A visit made by hand: who came at what second, with what number and flags.
pub(super) fn made(events: Timed) -> Visit {
    let agent = AgentId(Uuid::from_u128(1));
    let heard = |(at, what)| Fact {
        side: Side::Grid,
        at: Duration::from_secs(at),
        agent,
        session: None,
        region: RegionIndex(0),
        what,
    };
    let events = events.into_iter().map(heard).collect();
    let session = Some((SessionId(Uuid::from_u128(2)), CircuitCode(7)));
    let until = Duration::from_secs(1000);
    Visit { agent, session, events, until, next: None, regions: Vec::new() }
}

pub(super) fn received(name: &str, number: u32, flags: Flags) -> Passed {
    Passed::Received(Received {
        header: Header { flags, sequence: Sequence(number) },
        acks: Vec::new(),
        message: Ok(Message::named(Template::shipped(), name)),
        trailing: 0,
        from: ([127, 0, 0, 1], 1).into(),
        on_circuit: name != "UseCircuitCode" || flags.has(Flags::RESENT),
    })
}

pub(super) fn acks(numbers: &[u32]) -> Passed {
    let Passed::Received(ack) = received("PacketAck", 90, Flags(0)) else { unreachable!() };
    Passed::Received(Received { acks: numbers.iter().copied().map(Sequence).collect(), ..ack })
}

pub(super) fn sent(name: &str, number: u32, flags: Flags) -> Passed {
    let message = Message::named(Template::shipped(), name);
    let header = Header { flags, sequence: Sequence(number) };
    Passed::Sent(
        ([127, 0, 0, 1], 1).into(),
        Datagram { header, acks: Vec::new(), extra: Vec::new(), message },
    )
}

pub(super) fn login(path: &str, password: &str) -> Passed {
    let call =
        crate::proto::login::Request::new("Ada", "Proof", password, "home", Default::default());
    Passed::LoginAsked(path.into(), call)
}

fn seed() -> Passed {
    Passed::Seed(Some("application/llsd+xml".into()), Some(vec!["EventQueueGet".into()]))
}

fn poll() -> Passed {
    Passed::Polled("q".into(), Some(PollRequest { ack: None, done: false }))
}

/// What happened at what second.
pub(super) type Timed = Vec<(u64, Passed)>;

/// A check, a visit in which it holds, and one in which it is broken.
pub(super) type ByHand = (&'static str, Timed, Timed);

const NONE: Flags = Flags(0);
pub(super) const RELIABLE: Flags = Flags::RELIABLE;

pub(super) fn resent() -> Flags {
    RELIABLE.with(Flags::RESENT)
}

pub(super) fn code() -> (u64, Passed) {
    (0, received("UseCircuitCode", 1, RELIABLE))
}

pub(super) fn update(at: u64, number: u32) -> (u64, Passed) {
    (at, received("AgentUpdate", number, NONE))
}

/// What holds, and what is broken, by hand.
pub(super) fn by_hand() -> Vec<ByHand> {
    [of_circuits(), of_arrivals(), of_queues(), of_logins()].concat()
}

fn of_circuits() -> Vec<ByHand> {
    vec![
        (
            "CIR-CLIENT-ACK-AGAIN-1",
            vec![
                code(),
                (1, sent("ChatFromSimulator", 5, resent())),
                (2, acks(&[5])),
                update(99, 3),
            ],
            vec![
                code(),
                (0, acks(&[5])),
                (1, sent("ChatFromSimulator", 5, resent())),
                update(99, 3),
            ],
        ),
        (
            "CIR-CLIENT-RESEND-2",
            vec![
                code(),
                (1, received("UseCircuitCode", 1, resent())),
                (4, received("AgentFOV", 2, RELIABLE)),
                (6, received("AgentFOV", 2, resent())),
                update(99, 3),
            ],
            vec![code(), (99, received("UseCircuitCode", 1, resent())), update(199, 3)],
        ),
        (
            "CIR-RESEND-GIVEUP-1",
            vec![
                code(),
                (4, received("UseCircuitCode", 1, resent())),
                (8, received("UseCircuitCode", 1, resent())),
                (12, received("UseCircuitCode", 1, resent())),
                (99, acks(&[])),
            ],
            vec![code(), (4, received("UseCircuitCode", 1, resent())), (99, acks(&[]))],
        ),
        (
            "CIR-CLOSE-ROOT-DISABLE-1",
            vec![code(), (1, sent("DisableSimulator", 5, RELIABLE)), (2, acks(&[5]))],
            vec![code(), (1, sent("DisableSimulator", 5, RELIABLE)), update(20, 3)],
        ),
    ]
}

fn of_arrivals() -> Vec<ByHand> {
    vec![
        (
            "HS-CLIENT-UPDATE-1",
            vec![
                code(),
                (1, sent("AgentMovementComplete", 2, RELIABLE)),
                update(2, 2),
                update(4, 3),
                (6, received("LogoutRequest", 4, RELIABLE)),
            ],
            vec![
                code(),
                (1, sent("AgentMovementComplete", 2, RELIABLE)),
                update(2, 2),
                (6, received("LogoutRequest", 4, RELIABLE)),
            ],
        ),
        (
            "HS-CLIENT-UPDATE-2",
            vec![code(), (2, sent("AgentMovementComplete", 2, RELIABLE)), update(3, 2)],
            vec![code(), update(1, 2), (2, sent("AgentMovementComplete", 2, RELIABLE))],
        ),
        (
            "HS-CLIENT-REPLY-1",
            vec![
                code(),
                (1, sent("RegionHandshake", 2, RELIABLE)),
                (2, received("RegionHandshakeReply", 2, RELIABLE)),
                update(99, 3),
            ],
            vec![code(), (1, sent("RegionHandshake", 2, RELIABLE)), update(99, 3)],
        ),
        (
            "HS-CLIENT-REPLY-RELIABLE-1",
            vec![code(), (2, received("RegionHandshakeReply", 2, RELIABLE))],
            vec![code(), (2, received("RegionHandshakeReply", 2, NONE))],
        ),
        (
            "TP-FAILED-UDP-1",
            vec![code(), (1, sent("TeleportFailed", 5, RELIABLE)), (2, acks(&[5])), update(9, 3)],
            vec![
                code(),
                (1, sent("TeleportFailed", 5, RELIABLE)),
                (2, acks(&[5])),
                (99, acks(&[])),
            ],
        ),
    ]
}

fn of_queues() -> Vec<ByHand> {
    let nameless =
        || Passed::PollAnswered("q".into(), 200, Some(Llsd::map([("events", Llsd::Undef)])));
    vec![
        (
            "EQ-NO-EVENTS-IMMEDIATE-REPOLL-1",
            vec![
                code(),
                (1, poll()),
                (26, Passed::PollAnswered("q".into(), 502, None)),
                (27, poll()),
                update(99, 3),
            ],
            vec![
                code(),
                (1, poll()),
                (26, Passed::PollAnswered("q".into(), 502, None)),
                (36, poll()),
                update(99, 3),
            ],
        ),
        (
            "EQ-MISSING-ID-1",
            vec![code(), (1, poll()), (2, nameless()), (3, poll()), update(99, 3)],
            vec![code(), (1, poll()), (2, nameless()), update(99, 3)],
        ),
        (
            "EQ-FAST-502-BACKS-OFF-1",
            vec![
                code(),
                (1, poll()),
                (1, Passed::PollAnswered("q".into(), 502, None)),
                (17, poll()),
                update(99, 3),
            ],
            vec![
                code(),
                (1, poll()),
                (1, Passed::PollAnswered("q".into(), 502, None)),
                (2, poll()),
                update(99, 3),
            ],
        ),
        (
            "EQ-CLIENT-POLLS-1",
            vec![code(), (1, seed()), (2, poll()), update(99, 3)],
            vec![code(), (1, seed()), update(99, 3)],
        ),
    ]
}

fn of_logins() -> Vec<ByHand> {
    let undecided = || (1, Passed::Refused("indeterminate".into()));
    let logged_in = || (1, Passed::LoggedIn(SessionId(Uuid::from_u128(2)), CircuitCode(7)));
    vec![
        (
            "LOGIN-CLIENT-CALL-1",
            vec![(0, login("/", "a"))],
            vec![(0, Passed::LoginUnread("two roots".into()))],
        ),
        (
            "LOGIN-INDETERMINATE-FOLLOW-1",
            vec![(0, login("/", "a")), undecided(), (2, login("/next", "a"))],
            vec![(0, login("/", "a")), undecided()],
        ),
        (
            "LOGIN-INDETERMINATE-FOLLOW-2",
            vec![(0, login("/", "a")), undecided(), (2, login("/next", "a"))],
            vec![(0, login("/", "a")), undecided(), (2, login("/next", "b"))],
        ),
        (
            "LOGIN-MISSING-INVENTORY-ROOT-1",
            vec![(0, login("/", "a")), logged_in()],
            vec![(0, login("/", "a")), logged_in(), (2, received("UseCircuitCode", 1, RELIABLE))],
        ),
        (
            "LOGIN-TIMEOUT-1",
            vec![(0, login("/", "a")), (90, Passed::LoginLeft)],
            vec![(0, login("/", "a")), (900, Passed::LoginLeft)],
        ),
    ]
}

/// The checks of a neighbour that closes its circuit: what comes there and at home afterwards.
pub(super) fn of_neighbours() -> Vec<(&'static str, Visit, Visit)> {
    let reliable = Flags::RELIABLE;
    let visit = |later: Vec<(usize, Passed)>| {
        let mut visit = made(vec![
            (0, received("UseCircuitCode", 1, reliable)),
            (1, received("UseCircuitCode", 1, reliable)),
            (2, sent("DisableSimulator", 2, reliable)),
        ]);
        let closed = visit.events[2].clone();
        visit.events[1].region = RegionIndex(1);
        visit.events[2].region = RegionIndex(1);
        visit.events.extend(later.into_iter().map(|(region, what)| Fact {
            at: Duration::from_secs(9),
            region: RegionIndex(region),
            what,
            ..closed.clone()
        }));
        visit
    };
    let update = || received("AgentUpdate", 5, Flags(0));
    let (home, beside) = (|| visit(vec![(0, update())]), || visit(vec![(1, update())]));
    vec![
        ("HS-NEIGHBOUR-DISABLE-1", home(), beside()),
        ("HS-NEIGHBOUR-DISABLE-2", home(), visit(Vec::new())),
        ("CIR-DISABLE-SIM-1", home(), visit(Vec::new())),
    ]
}
