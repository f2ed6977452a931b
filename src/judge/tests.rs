//! Proof that each check can fail: visits of our own viewer, in which every check that they give
//! occasion for holds, and the same visits with one thing in them changed.

mod causes;
mod hand;

use super::*;
use crate::grid::{Grid, GridConfig};
use crate::net::tap::{Fact, Passed, Received, RegionIndex, Side, is_odd};
use crate::net::{Path, simulate};
use crate::proto::event_queue::PollRequest;
use crate::proto::id::{CircuitCode, Sequence, SessionId};
use crate::proto::llsd::Llsd;
use crate::proto::message::{DecodeError, Field, Flags, Message};
use crate::proto::template::Template;
use crate::runner::{Engine, Options, reference_config, reference_target};
use crate::suite::{Files, Library, Profile};
use causes::{acknowledge_late, broken};
use check_result::CheckResult;
use hand::{by_hand, made, of_neighbours};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// The cases by which our viewer visits, each with the trials it is put to besides the quiet ones.
const VISITS: &[(&str, &[&str])] = &[
    ("teleport/region/there-and-back", &[]),
    ("teleport/region/distant", &["nameless-flags", "late-greeting"]),
    ("teleport/crossing/walks", &[]),
    ("teleport/local/no-such-region[null]", &[]),
    ("circuit/pings/from-the-simulator", &[]),
    ("teleport/local/here", &["foreign-finish", "foreign-crossing", "udp-finish", "udp-enable"]),
    (
        "teleport/crossing/closed-region",
        &["foreign-finish", "foreign-crossing", "udp-finish", "udp-enable"],
    ),
    ("teleport/local/here", &["lost-queue"]),
    ("inventory/udp/root", &["no-inventory-caps"]),
    ("teleport/crossing/walks", &["lost-ack"]),
    ("circuit/pings/from-the-simulator", &["lost-ack"]),
];

/// The visits that come of a case on a simulated network, each event 10 ms after the one before.
fn visits(library: &Arc<Library>, case: &str, named: &[&str], seed: u64) -> Vec<Visit> {
    let judge = Judge::default();
    let mut config = reference_config(4);
    config.tap.add(judge.listener());
    for trial in trials(Template::shipped()) {
        if trial.quiet || named.contains(&trial.id.as_str()) {
            config.faults = config.faults.and(&trial.faults);
            config.without.extend(trial.without);
        }
    }
    let cases = library.cases().filter(|c| c.id == case).cloned().collect::<Vec<_>>();
    assert_eq!(cases.len(), 1, "{case}");
    let visited = simulate(seed, Path::default(), async |network| {
        let grid = Grid::start(GridConfig { time_factor: 1, network, ..config }).await.unwrap();
        let template = Template::shipped().clone();
        let (target, profile) = (reference_target(&grid), Profile::default());
        let options = Options { jobs: 1, ..Options::default() };
        let engine = Engine::new(target, library.clone(), profile, template, options);
        let (_stop, stopped) = watch::channel(false);
        engine.run(&cases, stopped, &|_| {}).await;
        let (visits, _) = judge.take(&grid.regions, Duration::ZERO);
        grid.shutdown().await;
        visits
    });
    let mut visits = visited.unwrap();
    visits.iter_mut().for_each(even);
    visits
}

/// Every event 10 ms after the one before, so that no machine is too slow for a visit; its farewell,
/// and what follows, much later, so that there was time for all that did not come.
fn even(visit: &mut Visit) {
    let last = visit.events.iter().rposition(|h| matches!(h.what, Passed::Received(_)));
    let logout = visit.events.iter().position(|h| is(&h.what, "LogoutRequest"));
    let last = logout.or(last);
    for (n, heard) in visit.events.iter_mut().enumerate() {
        let later = if last.is_some_and(|last| n >= last) { 200 } else { 0 };
        heard.at = Duration::from_millis(10 * n as u64) + Duration::from_secs(later);
    }
    visit.until = Duration::from_secs(1000);
}

/// Changes each datagram of this name that came.
fn each(visit: &mut Visit, name: &str, mut change: impl FnMut(&mut Received)) {
    for heard in &mut visit.events {
        if let Passed::Received(received) = &mut heard.what
            && received.message.as_ref().is_ok_and(|m| name.is_empty() || m.name() == name)
        {
            change(received);
        }
    }
}

/// Changes a field of each message of this name that came.
fn field(visit: &mut Visit, name: &str, block: &str, field: &str, value: Field<Vec<u8>>) {
    each(visit, name, |received| {
        let message = received.message.clone().unwrap();
        received.message = Ok(message.with(block, field, value.clone()));
    });
}

/// Leaves out what this is true of; `n` says how many are kept.
fn without(visit: &mut Visit, kept: usize, gone: impl Fn(&Passed) -> bool) {
    let mut seen = 0;
    visit.events.retain(|heard| {
        seen += usize::from(gone(&heard.what));
        !gone(&heard.what) || seen <= kept
    });
}

fn is(what: &Passed, name: &str) -> bool {
    matches!(what, Passed::Received(r) if r.message.as_ref().is_ok_and(|m| m.name() == name))
}

/// Says again at the end what was said first of this name.
fn again(visit: &mut Visit, name: &str, change: impl Fn(&mut Fact)) {
    let first = visit.events.iter().find(|heard| is(&heard.what, name));
    let mut heard = first.unwrap_or_else(|| panic!("no {name} came")).clone();
    heard.at = visit.events.last().unwrap().at + Duration::from_millis(10);
    if let Passed::Received(received) = &mut heard.what {
        received.on_circuit = true;
    }
    change(&mut heard);
    visit.events.push(heard);
}

fn unreliable(visit: &mut Visit, name: &str) {
    each(visit, name, |r| r.header.flags = r.header.flags.without(Flags::RELIABLE));
}

fn ask(visit: &mut Visit, change: fn(&mut crate::proto::login::Request)) {
    for heard in &mut visit.events {
        if let Passed::LoginAsked(_, call) = &mut heard.what {
            change(call);
        }
    }
}

fn polls(visit: &mut Visit, change: impl Fn(&mut Option<PollRequest>)) {
    for heard in &mut visit.events {
        if let Passed::Polled(_, poll) = &mut heard.what {
            change(poll);
        }
    }
}

fn seeds(visit: &mut Visit, to: fn(&mut Option<String>, &mut Option<Vec<String>>)) {
    for heard in &mut visit.events {
        if let Passed::Seed(kind, names) = &mut heard.what {
            to(kind, names);
        }
    }
}

/// The polls after replies of this kind name another id.
fn wrong_acks(visit: &mut Visit, kind: fn(&Llsd) -> bool) {
    let mut after: Option<String> = None;
    for heard in &mut visit.events {
        match &mut heard.what {
            Passed::PollAnswered(queue, 200, body) => {
                after = body.as_ref().filter(|body| kind(body)).map(|_| queue.clone());
            }
            Passed::Polled(queue, Some(PollRequest { ack: Some(ack), .. }))
                if after.as_ref() == Some(queue) =>
            {
                *ack += 1;
            }
            _ => {}
        }
    }
}

/// It goes nowhere that it is told of beside an unknown event.
fn stays_beside_the_unknown(visit: &mut Visit) {
    let unknown = |index: usize| match &visit.events[index].what {
        Passed::PollAnswered(_, _, Some(body)) => !is_odd(body),
        _ => false,
    };
    let sent = visit.destinations();
    let went = sent.iter().filter(|to| unknown(to.index)).filter_map(|to| {
        let mut moves = visit.received_named("CompleteAgentMovement");
        moves.find(|came| came.region == to.region && came.index > to.index).map(|came| came.index)
    });
    let went: Vec<usize> = went.collect();
    for index in went.into_iter().rev() {
        visit.events.remove(index);
    }
}

/// A number that was acknowledged, twice, comes again later.
fn resend_acked(visit: &mut Visit) {
    let code = visit.received_named("UseCircuitCode").next().unwrap().number();
    let acks = |heard: &&Fact| match &heard.what {
        Passed::Sent(_, datagram) => {
            datagram.message.rows("Packets").any(|row| row.number("ID") == i64::from(code.0))
        }
        _ => false,
    };
    let ack = visit.events.iter().find(acks).expect("an ack").clone();
    visit.events.push(ack);
    again(visit, "UseCircuitCode", |heard| {
        heard.at += Duration::from_secs(9);
        let Passed::Received(received) = &mut heard.what else { return };
        received.header.flags = received.header.flags.with(Flags::RESENT);
    });
}

/// A check, where it holds, and what breaks it.
type Proof = (&'static str, fn(&mut Visit));

const BY_VISITS: &[Proof] = &[
    ("LOGIN-CLIENT-PASSWORD-1", |v| ask(v, |call| call.set("passwd", Llsd::string("secret")))),
    ("LOGIN-CLIENT-START-1", |v| ask(v, |call| call.remove("start"))),
    ("LOGIN-CLIENT-VIEWER-1", |v| ask(v, |call| call.remove("version"))),
    ("LOGIN-CLIENT-MACHINE-1", |v| ask(v, |call| call.remove("id0"))),
    ("LOGIN-UNKNOWN-MEMBERS-OK-1", |v| without(v, 0, |w| is(w, "UseCircuitCode"))),
    ("PKT-CLIENT-DECODES-1", |v| {
        each(v, "AgentThrottle", |r| r.message = Err(DecodeError::TooShort))
    }),
    ("PKT-CLIENT-TRAILING-1", |v| each(v, "AgentThrottle", |r| r.trailing = 3)),
    ("CIR-CLIENT-SEQ-1", |v| each(v, "AgentThrottle", |r| r.header.sequence = Sequence(1))),
    ("CIR-CLIENT-SEQ-2", |v| each(v, "LogoutRequest", |r| r.header.sequence.0 += 5)),
    ("CIR-CLIENT-SEQ-3", |v| each(v, "", |r| r.header.sequence.0 += 5)),
    ("CIR-CLIENT-ACK-1", |v| each(v, "", |r| r.acks.clear())),
    ("CIR-CLIENT-ACK-2", acknowledge_late),
    ("CIR-CLIENT-ACK-UNRELIABLE-1", |v| {
        each(v, "PacketAck", |r| r.header.flags = r.header.flags.with(Flags::RELIABLE));
    }),
    ("CIR-ACK-MANY-1", resend_acked),
    ("CIR-CLIENT-PING-1", |v| without(v, 0, |w| is(w, "CompletePingCheck"))),
    ("CIR-CLIENT-PING-2", |v| without(v, 0, |w| is(w, "CompletePingCheck"))),
    ("CIR-CLIENT-OLDEST-1", |v| {
        field(v, "StartPingCheck", "PingID", "OldestUnacked", Field::U32(1 << 20));
    }),
    ("CIR-CLIENT-RESEND-1", |v| {
        each(v, "", |r| r.header.flags = r.header.flags.without(Flags::RESENT));
    }),
    ("CIR-RESEND-GIVEUP-1", |v| {
        each(v, "", |r| r.header.flags = r.header.flags.without(Flags::RESENT));
        let acked: Vec<Sequence> = v.sent().flat_map(|w| w.datagram.acknowledged()).collect();
        let open = |heard: &Fact| {
            matches!(&heard.what, Passed::Received(r)
                if r.header.flags.has(Flags::RELIABLE) && !acked.contains(&r.header.sequence))
        };
        let Some(first) = v.events.iter().position(open) else { return };
        for n in 0..12 {
            let copy = v.events[first].clone();
            v.events.insert(first + 1 + n, copy);
        }
    }),
    ("CIR-CLIENT-RESEND-3", resend_acked),
    ("CIR-CLIENT-TRUST-1", |v| {
        let kill = Message::named(Template::shipped(), "KillObject");
        each(v, "AgentThrottle", |r| r.message = Ok(kill.clone()));
    }),
    ("HS-CLIENT-CODE-FIRST-1", |v| {
        let mut early =
            v.events.iter().find(|heard| is(&heard.what, "AgentThrottle")).unwrap().clone();
        early.at = Duration::ZERO;
        if let Passed::Received(received) = &mut early.what {
            received.header.sequence = Sequence(0);
        }
        v.events.insert(0, early);
    }),
    ("HS-CLIENT-CODE-IDS-1", |v| {
        let (session, agent) = (Field::Uuid(v.session.unwrap().0.0), Field::Uuid(v.agent.0));
        field(v, "UseCircuitCode", "CircuitCode", "ID", session);
        field(v, "UseCircuitCode", "CircuitCode", "SessionID", agent);
    }),
    ("HS-CLIENT-CODE-RELIABLE-1", |v| unreliable(v, "UseCircuitCode")),
    ("HS-CLIENT-MOVEMENT-1", |v| {
        field(v, "CompleteAgentMovement", "AgentData", "CircuitCode", Field::U32(1));
    }),
    ("HS-CLIENT-MOVEMENT-RELIABLE-1", |v| unreliable(v, "CompleteAgentMovement")),
    ("HS-CLIENT-CHILD-1", |v| {
        again(v, "CompleteAgentMovement", |heard| heard.region = RegionIndex(3))
    }),
    ("HS-CLIENT-IDS-1", |v| {
        let (session, agent) = (Field::Uuid(v.session.unwrap().0.0), Field::Uuid(v.agent.0));
        field(v, "LogoutRequest", "AgentData", "AgentID", session);
        field(v, "LogoutRequest", "AgentData", "SessionID", agent);
    }),
    ("HS-CLIENT-LOGOUT-1", |v| {
        for heard in &mut v.events {
            if is(&heard.what, "LogoutRequest") {
                heard.what = Passed::Silent;
            }
        }
    }),
    ("HS-CLIENT-LOGOUT-2", |v| unreliable(v, "LogoutRequest")),
    ("HS-CLIENT-LOGOUT-3", |v| {
        again(v, "AgentThrottle", |heard| heard.at += Duration::from_secs(9))
    }),
    ("HS-RH-REPEAT-TOLERATED-1", |v| without(v, 1, |w| is(w, "RegionHandshakeReply"))),
    ("HS-RH-REPEAT-TOLERATED-2", |v| {
        let (index, at) = v.sent_named("RegionHandshake").nth(1).map(|w| (w.index, w.at)).unwrap();
        again(v, "CompleteAgentMovement", |heard| heard.at = at + Duration::from_millis(1));
        let anew = v.events.pop().unwrap();
        v.events.insert(index + 1, anew);
    }),
    ("HS-AMC-CHANNEL-EMPTY-OK-1", |v| {
        let arrived = v.arrived().unwrap();
        let last = v.present();
        v.events.retain(|heard| {
            heard.at < arrived || heard.at >= last || !matches!(heard.what, Passed::Received(_))
        });
    }),
    ("SEED-CLIENT-ASKED-1", |v| without(v, 0, |w| matches!(w, Passed::Seed(..)))),
    ("SEED-CLIENT-TYPE-1", |v| seeds(v, |kind, _| *kind = Some("application/xml".into()))),
    ("SEED-CLIENT-BODY-1", |v| seeds(v, |_, names| *names = None)),
    ("SEED-RESPONSE-TYPE-ANY-1", |v| {
        without(v, 0, |w| matches!(w, Passed::Polled(..) | Passed::Asked(_)));
    }),
    ("EQ-CLIENT-BODY-1", |v| polls(v, |poll| *poll = None)),
    ("EQ-ACK-UNDEF-FIRST-1", |v| {
        polls(v, |poll| *poll = Some(PollRequest { ack: Some(0), done: false }))
    }),
    ("EQ-ACK-UNDEF-FIRST-2", |v| {
        polls(v, |poll| *poll = Some(PollRequest { ack: None, done: true }))
    }),
    ("EQ-ACK-ECHO-1", |v| wrong_acks(v, |_| true)),
    ("EV-LLSD-NO-PROLOG-1", |v| wrong_acks(v, is_odd)),
    ("INVUDP-BULK-EQ-ENDTAG-SPACE-1", |v| wrong_acks(v, is_odd)),
    ("EV-UNKNOWN-MESSAGE-1", |v| wrong_acks(v, |body| !is_odd(body))),
    ("EV-UNKNOWN-MESSAGE-2", stays_beside_the_unknown),
    ("CR-FOLLOWED-1", |v| without(v, 1, |w| is(w, "CompleteAgentMovement"))),
    ("EQ-404-STOPS-1", |v| {
        let gone = v.events.iter().find_map(|heard| match &heard.what {
            Passed::PollAnswered(queue, 404, _) => Some((queue.clone(), heard.clone())),
            _ => None,
        });
        let (queue, heard) = gone.unwrap();
        let what = Passed::Polled(queue, Some(PollRequest { ack: None, done: false }));
        v.events.push(Fact { what, at: heard.at + Duration::from_secs(1), ..heard });
    }),
    ("INVHTTP-FALLBACK-UDP-1", |v| without(v, 0, |w| is(w, "FetchInventoryDescendents"))),
    ("TP-X-NEW-CIRCUIT-1", |v| without(v, 1, |w| is(w, "CompleteAgentMovement"))),
    ("TP-UNKNOWN-FLAG-BITS-1", |v| without(v, 1, |w| is(w, "CompleteAgentMovement"))),
    ("TP-X-NO-ENABLE-1", |v| without(v, 1, |w| is(w, "CompleteAgentMovement"))),
    ("TP-X-SEED-1", |v| without(v, 1, |w| matches!(w, Passed::Seed(..)))),
    ("TP-X-WRONG-AGENT-1", enter_another),
    ("CR-SESSION-MISMATCH-1", enter_another),
    ("TP-FINISH-UDP-REFUSED-1", enter_another),
    ("DEPRECATED-UDP-VIEWER-1", enter_another),
    ("TP-X-AMC-THEN-HANDSHAKE-1", |v| without(v, 0, |w| is(w, "RegionHandshakeReply"))),
    ("CR-NO-USECIRCUIT-1", |v| {
        let to = v.delivered("CrossedRegion").next().map(|told| (told.index, told.at)).unwrap();
        again(v, "UseCircuitCode", |heard| (heard.region, heard.at) = (RegionIndex(1), to.1));
        let code = v.events.pop().unwrap();
        v.events.insert(to.0 + 1, code);
    }),
];

/// It opens a circuit to every region.
fn enter_another(visit: &mut Visit) {
    for region in 0..visit.regions.len() {
        again(visit, "UseCircuitCode", |heard| heard.region = RegionIndex(region));
    }
}

#[test]
fn every_check_holds_in_a_visit_of_our_viewer_and_can_be_broken() {
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    let mut unproven: Vec<&Proof> = BY_VISITS.iter().collect();
    // What a visit shows depends on which events come together: more visits come where that is
    // not what a check needs.
    for seed in 0..4 {
        let come = VISITS.iter().map(|(case, named)| visits(&library, case, named, seed));
        let all: Vec<Visit> = come.flatten().collect();
        unproven.retain(|(id, break_it)| {
            let check = checks::of(id).unwrap();
            // Where nobody stayed long enough behind what was changed, nothing shows.
            !all.iter().filter(|visit| check(visit) == CheckResult::Held).any(|visit| {
                let mut visit = visit.clone();
                break_it(&mut visit);
                matches!(check(&visit), CheckResult::Broken(_))
            })
        });
        if unproven.is_empty() {
            return;
        }
    }
    let ids: Vec<&str> = unproven.iter().map(|(id, _)| *id).collect();
    panic!("in no visit do these hold, and break when it is changed: {}", ids.join(", "));
}

#[test]
fn every_other_check_holds_and_breaks_in_a_visit_made_by_hand() {
    let made = by_hand().into_iter().map(|(id, holds, breaks)| (id, made(holds), made(breaks)));
    for (id, holds, breaks) in made.chain(of_neighbours()) {
        let check = checks::of(id).unwrap();
        assert_eq!(check(&holds), CheckResult::Held, "{id}");
        let broken = check(&breaks);
        assert!(matches!(broken, CheckResult::Broken(_)), "{id}: {broken:?}");
    }
}

#[test]
fn every_check_has_its_proof_and_its_requirement_of_clients() {
    let library = Library::load(&Files::shipped(), Template::shipped()).unwrap();
    let trials = trials(Template::shipped());
    let known = |id: &str| id == "visit" || trials.iter().any(|trial| trial.id == id);
    let proven: Vec<&str> = BY_VISITS.iter().map(|(id, _)| *id).collect();
    let (by_hand, of_neighbours) = (by_hand(), of_neighbours());
    let by_hand = by_hand.iter().map(|(id, ..)| *id);
    let by_hand: Vec<&str> = by_hand.chain(of_neighbours.iter().map(|(id, ..)| *id)).collect();
    for (id, _) in checks::all() {
        let by_hand = by_hand.contains(id);
        assert!(proven.contains(id) || by_hand, "{id} has no proof that it can fail");
        let requirement =
            library.catalogue.get(id).unwrap_or_else(|| panic!("no requirement {id}"));
        assert_eq!(requirement.target, "client", "{id}");
        assert!(requirement.judge.as_deref().is_some_and(known), "{id}: {:?}", requirement.judge);
    }
    for requirement in library.catalogue.all.values().filter(|r| r.judge.is_some()) {
        assert!(checks::of(&requirement.id).is_some(), "no check judges {}", requirement.id);
    }
    // What nothing is judged by would be done to visitors for nothing.
    for trial in &trials {
        let judged = |r: &crate::suite::Requirement| r.judge.as_deref() == Some(&trial.id);
        assert!(library.catalogue.all.values().any(judged), "trial {} judges nothing", trial.id);
    }
}

/// A login that is refused, or that takes the place of a session, begins a visit of its own; what
/// still comes of the session before stays with that.
#[test]
fn what_passes_stays_with_its_session() {
    let judge = Judge::default();
    let witness = judge.listener();
    let (agent, regions) = (AgentId(Uuid::from_u128(1)), Vec::new());
    let tell = |session: Option<u128>, what| {
        let session = session.map(|n| SessionId(Uuid::from_u128(n)));
        let at = Duration::ZERO;
        witness.hear(Fact { at, side: Side::Grid, agent, session, region: RegionIndex(0), what });
    };
    let login = || hand::login("/", "a");
    let update = || hand::received("AgentUpdate", 3, Flags(0));
    tell(None, login());
    tell(None, Passed::LoggedIn(SessionId(Uuid::from_u128(7)), CircuitCode(1)));
    tell(Some(7), update());
    tell(None, login());
    tell(None, Passed::Refused("presence".into()));
    tell(Some(7), update());
    tell(None, login());
    tell(None, Passed::LoggedIn(SessionId(Uuid::from_u128(8)), CircuitCode(2)));
    tell(Some(7), update());
    tell(Some(8), update());
    // Off a circuit nobody knows the session: it is the last one's.
    tell(None, update());
    let (visits, whole) = judge.take(&regions, Duration::from_secs(9));
    let sizes: Vec<usize> = visits.iter().map(|visit| visit.events.len()).collect();
    assert_eq!((sizes, whole), (vec![5, 6], true));
    assert!(visits[0].next.is_some() && visits[1].next.is_none());
}

/// Whoever calls with what cannot be read leaves no name: one visit, however often.
#[test]
fn calls_that_cannot_be_read_are_one_visit() {
    let judge = Judge::default();
    let witness = judge.listener();
    let tell = |agent, what| {
        let (at, session) = (Duration::ZERO, None);
        witness.hear(Fact { at, side: Side::Grid, agent, session, region: RegionIndex(0), what });
    };
    tell(AgentId::NIL, Passed::LoginUnread("two roots".into()));
    tell(AgentId(Uuid::from_u128(1)), hand::login("/", "a"));
    tell(AgentId::NIL, Passed::LoginUnread("two roots".into()));
    let (visits, _) = judge.take(&[], Duration::from_secs(9));
    let sizes: Vec<usize> = visits.iter().map(|visit| visit.events.len()).collect();
    assert_eq!(sizes, [2, 1]);
    assert_eq!(broken(&visits[0]), ["LOGIN-CLIENT-CALL-1"]);
}

/// A flood fills no memory: what is too much is not kept, and the verdict says so.
#[test]
fn a_flood_is_not_kept() {
    let judge = Judge::default();
    let witness = judge.listener();
    let (agent, session) = (AgentId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(7)));
    let tell = |session, what| {
        let at = Duration::ZERO;
        witness.hear(Fact { at, side: Side::Grid, agent, session, region: RegionIndex(0), what });
    };
    tell(None, hand::login("/", "a"));
    tell(None, Passed::LoggedIn(session, CircuitCode(1)));
    let body = Llsd::Binary(vec![0; 8 << 20]);
    for _ in 0..40 {
        let body = Some(body.clone());
        tell(Some(SessionId(session.0)), Passed::PollAnswered("q".into(), 200, body));
    }
    let (visits, whole) = judge.take(&[], Duration::from_secs(9));
    assert!(!whole && visits[0].events.len() < 30, "{}", visits[0].events.len());
}
