//! One cause is one verdict: what else a visit would have shown is not seen.

use super::*;

fn visit_of(case: &str, named: &[&str]) -> Visit {
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    visits(&library, case, named, 0).swap_remove(0)
}

/// Every ack comes 3 s later.
pub(super) fn acknowledge_late(visit: &mut Visit) {
    let mut held: Vec<(Duration, Vec<Sequence>)> = Vec::new();
    for heard in &mut visit.events {
        let at = heard.at;
        let Passed::Received(received) = &mut heard.what else { continue };
        held.push((at + Duration::from_secs(3), std::mem::take(&mut received.acks)));
        let due = |(due, _): &mut (Duration, Vec<Sequence>)| *due <= at;
        received.acks = held.extract_if(.., due).flat_map(|(_, acks)| acks).collect();
    }
}

/// Which checks a visit breaks, of those that need no trial that a visitor is put to by name.
pub(super) fn broken(visit: &Visit) -> Vec<&'static str> {
    let library = Library::load(&Files::shipped(), Template::shipped()).unwrap();
    let named = |id: &str| trials(Template::shipped()).iter().any(|t| t.id == id && !t.quiet);
    let meant = |id: &str| !named(library.catalogue.get(id).unwrap().judge.as_deref().unwrap());
    let all = checks::all().filter(|(_, check)| matches!(check(visit), CheckResult::Broken(_)));
    // Of its rhythm a visit whose times are made even shows nothing.
    let timeless = |id: &&str| *id != "HS-CLIENT-UPDATE-1";
    all.map(|(id, _)| *id).filter(|id| meant(id)).filter(timeless).collect()
}

#[test]
fn whoever_acknowledges_no_reply_breaks_that_alone() {
    let mut visit = visit_of("teleport/region/there-and-back", &[]);
    assert_eq!(broken(&visit), Vec::<&str>::new());
    wrong_acks(&mut visit, |_| true);
    assert_eq!(broken(&visit), ["EQ-ACK-ECHO-1"]);
    let mut visit = visit_of("teleport/region/there-and-back", &[]);
    wrong_acks(&mut visit, is_odd);
    assert_eq!(broken(&visit), ["EV-LLSD-NO-PROLOG-1", "INVUDP-BULK-EQ-ENDTAG-SPACE-1"]);
}

#[test]
fn whoever_polls_once_breaks_that_alone() {
    let mut visit = visit_of("teleport/local/here", &[]);
    assert_eq!(broken(&visit), Vec::<&str>::new());
    without(&mut visit, 1, |what| matches!(what, Passed::Polled(..)));
    without(&mut visit, 1, |what| matches!(what, Passed::PollAnswered(..)));
    assert_eq!(broken(&visit), ["EQ-CLIENT-POLLS-1"]);
}

#[test]
fn whoever_falls_silent_breaks_that_alone() {
    let mut visit = visit_of("teleport/region/there-and-back", &[]);
    let told = visit.delivered("TeleportFinish").next().map(|told| told.index).unwrap();
    visit.events.truncate(told + 1);
    let mut silent = visit.events.last().unwrap().clone();
    (silent.at, silent.what) = (Duration::from_secs(900), Passed::Silent);
    visit.events.push(silent);
    assert_eq!(broken(&visit), ["HS-CLIENT-LOGOUT-1"]);
    let check = checks::of("HS-CLIENT-LOGOUT-1").unwrap();
    let CheckResult::Broken(how) = check(&visit) else { unreachable!() };
    assert_eq!(how.received, "silence for a minute; the last that it was told: TeleportFinish");
}

#[test]
fn nobody_walks_back_to_where_it_came_from_unsent() {
    let mut visit = visit_of("teleport/region/distant", &[]);
    let home = visit.received_named("UseCircuitCode").next().unwrap().region;
    again(&mut visit, "CompleteAgentMovement", |heard| {
        let Passed::Received(received) = &mut heard.what else { unreachable!() };
        (heard.region, received.header.sequence) = (home, Sequence(900));
    });
    let check = checks::of("HS-CLIENT-CHILD-1").unwrap();
    assert!(matches!(check(&visit), CheckResult::Broken(_)));
}

#[test]
fn what_begins_long_after_a_second_greeting_is_no_restart() {
    let mut visit = visit_of("circuit/pings/from-the-simulator", &[]);
    let check = checks::of("HS-RH-REPEAT-TOLERATED-2").unwrap();
    assert_eq!(check(&visit), CheckResult::Held);
    let begin = |visit: &mut Visit, at: Duration| {
        again(visit, "CompleteAgentMovement", |heard| {
            let Passed::Received(received) = &mut heard.what else { unreachable!() };
            (heard.at, received.header.sequence) = (at, Sequence(900));
        });
        let begun = visit.events.pop().unwrap();
        let index = visit.events.iter().position(|heard| heard.at > at).unwrap();
        visit.events.insert(index, begun);
        check(visit)
    };
    let second = visit.sent_named("RegionHandshake").nth(1).unwrap().at;
    assert_eq!(begin(&mut visit, second + Duration::from_secs(100)), CheckResult::Held);
    let soon = begin(&mut visit, second + Duration::from_secs(1));
    assert!(matches!(soon, CheckResult::Broken(_)));
}

#[test]
fn being_called_somewhere_later_excuses_no_earlier_way_there() {
    let mut visit = visit_of("teleport/region/distant", &["udp-enable"]);
    let check = checks::of("DEPRECATED-UDP-VIEWER-1").unwrap();
    let told = visit.sent_named("EnableSimulator").next().unwrap();
    let port = told.datagram.message.u32("SimulatorInfo", "Port").unwrap();
    let (index, region) = (told.index, visit.region(port.try_into().unwrap()).unwrap());
    assert!(visit.called().iter().any(|(called, of)| *of == region && *called > index));
    assert_eq!(check(&visit), CheckResult::Held);
    again(&mut visit, "UseCircuitCode", |heard| heard.region = region);
    let mut early = visit.events.pop().unwrap();
    early.at = visit.events[index].at;
    visit.events.insert(index + 1, early);
    assert!(matches!(check(&visit), CheckResult::Broken(_)));
}

/// What a check says of a visit made by hand.
fn judged(id: &str, events: hand::Timed) -> CheckResult {
    checks::of(id).unwrap()(&hand::made(events))
}

fn received(id: &str, events: hand::Timed) -> String {
    let CheckResult::Broken(how) = judged(id, events) else { panic!("{id} holds") };
    how.received
}

#[test]
fn whoever_begins_its_numbers_again_came_all_the_same() {
    use hand::{RELIABLE, code, update};
    let movement = || hand::received("CompleteAgentMovement", 2, RELIABLE);
    let visit = hand::made(vec![code(), (1, movement()), (2, movement()), (60, movement())]);
    let times = visit.received_named("CompleteAgentMovement").map(|came| came.at.as_secs());
    assert_eq!(times.collect::<Vec<_>>(), [1, 60], "a network doubles at once");
    let again = hand::received("UseCircuitCode", 1, RELIABLE);
    let Passed::Received(again) = again else { unreachable!() };
    let again = Passed::Received(Received { on_circuit: true, ..again });
    let events = vec![code(), (1, movement()), update(2, 3), (60, again), update(61, 4)];
    assert_eq!(received("CIR-CLIENT-SEQ-1", events), "#1 UseCircuitCode");
}

#[test]
fn whoever_was_not_let_in_at_first_goes_on_counting() {
    use hand::{RELIABLE, code};
    let again = |number| (9, hand::received("UseCircuitCode", number, RELIABLE));
    assert_eq!(judged("CIR-CLIENT-SEQ-3", vec![code(), again(8)]), CheckResult::Held);
    assert_eq!(received("CIR-CLIENT-SEQ-3", vec![again(8)]), "#8 UseCircuitCode");
}

#[test]
fn a_packet_that_is_never_acknowledged_is_one_fault() {
    use hand::{RELIABLE, acks, code, resent, sent, update};
    let failed = |number, flags| sent("TeleportFailed", number, flags);
    let told = |at| (at, acks(&[5]));
    let visit = |told: Option<(u64, Passed)>| {
        let mut events = vec![code(), (1, failed(5, RELIABLE)), (4, failed(5, resent()))];
        events.extend(told);
        events.extend([update(15, 3), update(99, 4)]);
        events
    };
    let broken = |told: Option<(u64, Passed)>| {
        let all =
            ["CIR-CLIENT-ACK-1", "CIR-CLIENT-ACK-2", "CIR-CLIENT-ACK-AGAIN-1", "TP-FAILED-UDP-1"];
        let broken = |id: &&str| matches!(judged(id, visit(told.clone())), CheckResult::Broken(_));
        all.into_iter().filter(broken).collect::<Vec<_>>()
    };
    assert_eq!(broken(None), ["CIR-CLIENT-ACK-1"]);
    assert_eq!(broken(Some(told(8))), ["CIR-CLIENT-ACK-2"]);
    assert_eq!(broken(Some(told(2))), ["CIR-CLIENT-ACK-AGAIN-1"]);
    let unseen = CheckResult::NotObserved("it acknowledged no TeleportFailed while it stayed");
    assert_eq!(judged("TP-FAILED-UDP-1", visit(None)), unseen);
}

#[test]
fn a_ping_that_is_answered_by_another_number_is_no_silence() {
    use hand::{RELIABLE, code, sent, update};
    let answer = |id| {
        let answer = hand::received("CompletePingCheck", 3, RELIABLE);
        let Passed::Received(answer) = answer else { unreachable!() };
        let message = Message::named(Template::shipped(), "CompletePingCheck");
        let message = Ok(message.with("PingID", "PingID", Field::U8(id)));
        Passed::Received(Received { message, ..answer })
    };
    let ping = || (1, sent("StartPingCheck", 2, RELIABLE));
    let events = |id| vec![code(), ping(), (2, answer(id)), update(99, 9)];
    assert_eq!(judged("CIR-CLIENT-PING-1", events(0)), CheckResult::Held);
    assert_eq!(received("CIR-CLIENT-PING-1", events(7)), "CompletePingCheck with PingID 7");
    let silent = vec![code(), ping(), update(99, 9)];
    assert_eq!(received("CIR-CLIENT-PING-1", silent), "nothing in 98.0 s");
}

#[test]
fn a_teleport_that_fails_excuses_no_silence_before_and_after_it() {
    use hand::{RELIABLE, code, sent, update};
    let visit = |next| {
        vec![
            code(),
            (1, sent("AgentMovementComplete", 2, RELIABLE)),
            update(2, 2),
            (4, hand::received("TeleportLocationRequest", 3, RELIABLE)),
            (5, sent("TeleportFailed", 3, RELIABLE)),
            // A pause of the teleport's until 10.
            update(next, 4),
        ]
    };
    assert_eq!(judged("HS-CLIENT-UPDATE-1", visit(12)), CheckResult::Held);
    assert_eq!(received("HS-CLIENT-UPDATE-1", visit(30)), "after 20.0 s");
}
