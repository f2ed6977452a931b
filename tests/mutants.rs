//! Proof that cases can fail: each cited requirement is broken by a grid with one fault, and a case
//! must notice.
//!
//! Faults come from two places. From every expectation that cites a requirement follow faults of
//! their own accord: the member or field it looks at removed, zeroed, retyped, shifted or doubled;
//! from every awaited message, that message dropped. Faults of behaviour are written by hand, in
//! `fixtures/mutants/`.

#![allow(clippy::unwrap_used)]

use gridproof::grid::{Account, Faults, Grid, GridConfig, Policy, Speech};
use gridproof::proto::template::Template;
use gridproof::runner::{
    CaseRecord, Engine, FindingKind, Options, Outcome, TIME_FACTOR, Target, reference_target,
};
use gridproof::suite::{Case, Files, Level, Library, Node, Profile, Step};
use gridproof::tamper;
use gridproof::value::{Change, Path, Segment};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// A fault, the case that should notice it, and whether being blocked counts as noticing.
struct Mutant {
    case: Arc<Case>,
    faults: Faults,
    blocked: bool,
}

fn main() {
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    let mutants = Arc::new(mutants(&library));
    let mut trials: Vec<Trial> = mutants
        .keys()
        .filter(|id| !UNREACHED.contains(&id.as_str()))
        .map(|id| {
            let (id, mutants, library) = (id.clone(), mutants.clone(), library.clone());
            Trial::test(format!("broken: {id}"), move || prove(&id, &mutants[&id], &library))
        })
        .collect();
    trials.push(Trial::test("every cited MUST has a mutant, but for those named", move || {
        named(&mutants, &library)
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Cited MUSTs that no mutant breaks yet, so that nobody takes them for proven.
const UNPROVEN: &[&str] = &[
    "CIR-AFTER-LOGOUT-1",
    "CIR-PACKETACK-UNRELIABLE-1",
    "CIR-PING-FROM-SERVER-2",
    "CIR-RESEND-FLAG-2",
    "CIR-SEQ-MONOTONIC-1",
    "CIR-SEQ-MONOTONIC-2",
    "CIR-THROTTLE-ACCEPT-1",
    "CIR-TRUSTED-MESSAGE-1",
    "CIR-TRUSTED-MESSAGE-2",
    "DECODE-OVERLONG-SERVER-2",
    "EQ-AFTER-LOGOUT-1",
    "EQ-HOLD-2",
    "EQ-POLL-FORMAT-1",
    "EQ-POLL-FORMAT-2",
    "EQ-POLL-FORMAT-3",
    "HS-ORDER-AU-BEFORE-CAM-1",
    "LOGIN-BAD-PASSWORD-1",
    "LOGIN-CIRCUIT-LIVE-1",
    "LOGIN-HOME-NOTATION-2",
    "LOGIN-HOME-NOTATION-3",
    "LOGIN-HOME-NOTATION-4",
    "LOGIN-HTTP-200-ON-FAILURE-1",
    "LOGIN-HTTP-200-ON-FAILURE-2",
    "LOGIN-MISSING-FIRST-1",
    "LOGIN-MISSING-LAST-1",
    "LOGIN-MISSING-PASSWD-1",
    "LOGIN-NOT-XML-1",
    "LOGIN-REGION-METRES-3",
    "LOGIN-SESSION-UNIQUE-1",
    "LOGIN-SESSION-UNIQUE-2",
    "LOGIN-SESSION-UNIQUE-3",
    "LOGIN-START-URI-3",
    "NUM-UNKNOWN-LOW-2",
    "PKT-ACK-OVERSIZE-1",
    "PKT-LOW-SHORT-2",
    "PKT-MIN-7-1",
    "PKT-RESEND-SAME-SEQ-2",
    "PKT-UNKNOWN-NUMBER-1",
    "SEED-BEFORE-UCC-1",
    "SEED-UNKNOWN-NAMES-1",
    "SEED-UNKNOWN-PATH-1",
    "TRUSTED-FROM-CLIENT-2",
];

/// Requirements whose mutants so far stop their case before it comes to judge them, or leave it
/// untouched: they wait for mutants that fit.
const UNREACHED: &[&str] = &[
    "CIR-ACK-IDEMPOTENT-1",
    "CIR-OLDEST-UNACKED-1",
    "HS-NEIGHBOUR-UCC-1",
    "LOGIN-DUPLICATE-REFUSED-1",
    "LOGIN-METHOD-UNKNOWN-1",
    "SEED-DUPLICATE-NAMES-1",
    "SEED-REPEAT-STABLE-1",
];

fn named(mutants: &BTreeMap<String, Vec<Mutant>>, library: &Library) -> Result<(), Failed> {
    let cited: Vec<String> = library.cases().flat_map(|case| case.requirements.clone()).collect();
    let must = library.catalogue.all.values().filter(|r| r.level == Level::Must);
    let unproven: Vec<&str> = must
        .filter(|r| cited.contains(&r.id) && !mutants.contains_key(&r.id))
        .map(|r| r.id.as_str())
        .collect();
    match unproven == UNPROVEN {
        true => Ok(()),
        false => Err(format!("without a mutant: {unproven:#?}").into()),
    }
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap())
}

/// At least one of the mutants of a requirement is noticed as breaking it.
fn prove(id: &str, mutants: &[Mutant], library: &Arc<Library>) -> Result<(), Failed> {
    let mut seen = Vec::new();
    for mutant in mutants {
        let record = runtime().block_on(run(mutant, library));
        let broken = |f: &gridproof::runner::Finding| {
            f.kind == FindingKind::Broken && f.requirement.as_deref() == Some(id)
        };
        if record.findings.iter().any(broken) {
            return Ok(());
        }
        if mutant.blocked && !matches!(record.outcome, Outcome::Pass | Outcome::Error) {
            return Ok(());
        }
        let faults = format!("{:?} {:?}", mutant.faults.policies, mutant.faults.content);
        let changes = mutant.faults.changes();
        let what = format!("{} under {faults}, {changes} changes", record.outcome);
        seen.push(format!("{}: {what}", record.id));
    }
    Err(format!("no mutant of {id} was noticed:\n{}", seen.join("\n")).into())
}

async fn run(mutant: &Mutant, library: &Arc<Library>) -> CaseRecord {
    let config = GridConfig {
        accounts: Account::numbered(2),
        time_factor: TIME_FACTOR,
        faults: mutant.faults.clone(),
        ..GridConfig::default()
    };
    let grid = Grid::start(config).await.unwrap();
    // What a mutant leaves out is waited for in vain: shorter waits, as the grid is this machine's.
    let target = Target { time_scale: 0.2, ..reference_target(&grid) };
    let template = Template::shipped().clone();
    let engine =
        Engine::new(target, library.clone(), Profile::default(), template, Options::default());
    let (_keep, never) = watch::channel(false);
    let record = engine.run_case(&mutant.case, never).await;
    grid.shutdown().await;
    record
}

fn mutants(library: &Library) -> BTreeMap<String, Vec<Mutant>> {
    let mut all: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
    written(library, &mut all);
    for case in library.cases() {
        for step in &case.steps {
            for (id, faults) in following(step) {
                let mutant = Mutant { case: case.clone(), faults, blocked: false };
                all.entry(id).or_default().push(mutant);
            }
        }
    }
    all
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    mutant: Vec<WrittenMutant>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMutant {
    requirement: String,
    policy: Policy,
    case: Option<String>,
    #[serde(default)]
    blocked: bool,
}

fn written(library: &Library, all: &mut BTreeMap<String, Vec<Mutant>>) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/mutants");
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let file: Written = toml::from_str(&text).unwrap();
        for mutant in file.mutant {
            assert!(library.catalogue.get(&mutant.requirement).is_some(), "{}", mutant.requirement);
            let cites = |case: &&Arc<Case>| {
                case.requirements.contains(&mutant.requirement)
                    && mutant.case.as_ref().is_none_or(|id| *id == case.id)
            };
            let faults = Faults::policy(mutant.policy);
            for case in library.cases().filter(cites) {
                let (case, faults) = (case.clone(), faults.clone());
                let mutant_of = Mutant { case, faults, blocked: mutant.blocked };
                all.entry(mutant.requirement.clone()).or_default().push(mutant_of);
            }
        }
    }
}

fn text(step: &Step, key: &str) -> String {
    step.args.get(key).and_then(Node::text).unwrap_or_default().to_owned()
}

/// The faults that follow from a step: which requirement each should break.
fn following(step: &Step) -> Vec<(String, Faults)> {
    let mut found = Vec::new();
    let watched = step.args.get("never").is_some();
    if step.name() == "udp.expect" && !watched {
        let rule = tamper::Rule {
            action: tamper::Action::Drop,
            message: Some(text(step, "message")),
            direction: None,
            nth: None,
            chance: 1.0,
        };
        let faults = Faults::wire(rule);
        found.extend(step.requirement.iter().map(|id| (id.clone(), faults.clone())));
    }
    for expectation in &step.expect {
        let Some(id) = &expectation.requirement else { continue };
        let Some((speech, path)) = said(step, &expectation.path) else { continue };
        for change in [Change::Remove, Change::Zero, Change::Retype, Change::Shift, Change::Double]
        {
            let faults = Faults::content(speech.clone(), path.clone(), change);
            found.push((id.clone(), faults));
        }
    }
    found
}

/// Where the grid says what an expectation looks at.
fn said(step: &Step, path: &Path) -> Option<(Speech, Path)> {
    let below_body = || match path.0.split_first() {
        Some((Segment::Key(body), rest)) if body == "body" => Some(Path(rest.to_vec())),
        _ => None,
    };
    match step.name() {
        "login.xmlrpc" | "login.llsd" | "session.enter" => match path.head() {
            Some("http" | "derived" | "fault" | "handshake" | "movement") => None,
            _ => Some((Speech::Login, path.clone())),
        },
        "caps.seed" => Some((Speech::Seed, below_body()?)),
        "caps.get" => Some((Speech::Cap(text(step, "cap")), below_body()?)),
        "eq.expect" => Some((Speech::Event(text(step, "message")), path.clone())),
        "udp.expect" if path.head() != Some("header") => {
            Some((Speech::Udp(text(step, "message")), path.clone()))
        }
        _ => None,
    }
}
