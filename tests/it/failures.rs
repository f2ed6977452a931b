//! What a failure says, for each kind of expectation and each channel: a suite of cases that all
//! fail, and the golden file of what is said of them.

use crate::golden::{differs, steady, without_timeline};
use gridproof::net::Path as Wire;
use gridproof::proto::template::Template;
use gridproof::report::{Paint, failure};
use gridproof::runner::{
    CaseRecord, Engine, Options, Outcome, on_simulated_grid, reference_config,
};
use gridproof::steps::STEPS;
use gridproof::suite::{Files, Library, Profile};
use gridproof::value::PREDICATES;
use regex::Regex;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden/failures");

/// Runs every case of the suite, one after another: nobody else is in the region.
fn records() -> Vec<CaseRecord> {
    let path = Path::new(FOLDER).join("suite.toml");
    let mut files = Files::shipped();
    files.add("suite.toml".into(), &std::fs::read_to_string(path).unwrap());
    let library = Arc::new(Library::load(&files, Template::shipped()).unwrap());
    let ours = |suite: &&gridproof::suite::Suite| suite.title == "What failures say";
    let suites = library.suites.iter().filter(ours);
    let cases: Vec<_> = suites.flat_map(|suite| suite.cases.clone()).collect();
    let record = on_simulated_grid(1, Wire::default(), reference_config(2), async |target| {
        let options = Options { jobs: 1, ..Options::default() };
        let template = Template::shipped().clone();
        let engine = Engine::new(target, library, Profile::default(), template, options);
        let (_stop, stopped) = watch::channel(false);
        engine.run(&cases, stopped, &|_| {}).await
    });
    record.unwrap().cases
}

#[test]
fn every_kind_of_failure_says_what_it_said() {
    let ansi = Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    let mut told = String::new();
    for record in records() {
        let bad = matches!(record.outcome, Outcome::Fail | Outcome::Blocked | Outcome::Warn);
        assert!(bad, "{} ended as {}", record.id, record.outcome);
        let plain = failure(&record, Paint { colour: false });
        let colour = failure(&record, Paint { colour: true });
        assert_ne!(colour, plain, "{}", record.id);
        assert_eq!(ansi.replace_all(&colour, ""), plain, "{}", record.id);
        for line in plain.lines() {
            assert!(line.chars().count() <= 80, "{} is wider than a page: {line}", record.id);
        }
        assert!(plain.lines().count() <= 60, "{} is longer than a page:\n{plain}", record.id);
        told += &without_timeline(&steady(&plain));
        told += "\n";
    }
    let difference = differs(&Path::new(FOLDER).join("told.txt"), &told);
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
}

/// A predicate or a step that is new needs its place in the suite of failures.
#[test]
fn no_predicate_and_no_step_that_can_fail_is_left_out() {
    let suite = std::fs::read_to_string(Path::new(FOLDER).join("suite.toml")).unwrap();
    for (predicate, ..) in PREDICATES {
        // As the first predicate of an expectation, not inside another one.
        let used = Regex::new(&format!(r#"(\{{ path = "[^"]*", |\{{ ){predicate} = "#)).unwrap();
        let expectations = suite.lines().filter(|line| line.starts_with("  { "));
        assert!(
            expectations.into_iter().any(|line| used.find(line).is_some_and(|m| m.start() == 2)),
            "no case uses `{predicate}`"
        );
    }
    // These return something, or nothing, and leave it to others to judge.
    let quiet = [
        "caps.ask",
        "caps.post",
        "caps.upload",
        "eq.poll",
        "eq.listen",
        "inventory.restore",
        "session.logout",
        "silence",
        "udp.close",
        "udp.configure",
        "udp.numbers",
        "udp.open",
        "udp.raw",
        "udp.send",
    ];
    for step in STEPS.iter().filter(|step| !quiet.contains(&step.name)) {
        assert!(suite.contains(&format!("do = \"{}\"", step.name)), "no case does {}", step.name);
    }
}
