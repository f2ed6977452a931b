//! Our own client under our own judge: it breaks no requirement of clients but where a case says so.

use gridproof::judge::{Conduct, conduct};
use gridproof::proof::Run;
use gridproof::proto::template::Template;
use gridproof::runner::Outcome;
use gridproof::suite::{Files, Library};
use std::fmt::Write;
use std::sync::Arc;

#[test]
fn what_the_suites_do_is_what_clients_may_do() {
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    let all = conduct(&library, Run { jobs: 0, thorough: false }).unwrap();
    assert_eq!(all.len(), library.cases().count());
    let said: String = all.iter().map(told).collect();
    assert!(said.is_empty(), "{said}");
}

fn told(conduct: &Conduct) -> String {
    let mut said = String::new();
    // Whoever is cut short has broken nothing yet.
    if !matches!(conduct.case.outcome, Outcome::Pass | Outcome::Impossible) {
        writeln!(said, "{} is {}", conduct.case.id, conduct.case.outcome).unwrap();
    }
    for broken in conduct.unsaid() {
        let finding = &broken.findings[0];
        let (id, how) = (&broken.requirements[0], &finding.received);
        writeln!(said, "{} breaks {id}: {how}", conduct.case.id).unwrap();
        for row in &broken.timeline {
            writeln!(said, "  {:.1} {} {} {}", row.ms, row.actor, row.direction, row.text).unwrap();
        }
    }
    for id in conduct.unbroken() {
        writeln!(said, "{} does not break {id}, as it says", conduct.case.id).unwrap();
    }
    said
}
