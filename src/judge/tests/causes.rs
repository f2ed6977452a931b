//! One cause is one verdict: what else a visit would have shown is not seen.

use super::*;

fn visit_of(case: &str, named: &[&str]) -> Visit {
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    visits(&library, case, named, 0).swap_remove(0)
}

/// Which checks a visit breaks, of those that need no trial that a visitor is put to by name.
pub(super) fn broken(visit: &Visit) -> Vec<&'static str> {
    let library = Library::load(&Files::shipped(), Template::shipped()).unwrap();
    let named = |id: &str| trials(Template::shipped()).iter().any(|t| t.id == id && !t.quiet);
    let meant = |id: &str| !named(library.catalogue.get(id).unwrap().judge.as_deref().unwrap());
    let all = checks::all().filter(|(_, check)| matches!(check(visit), CheckResult::Broken(_)));
    all.map(|(id, _)| *id).filter(|id| meant(id)).collect()
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
