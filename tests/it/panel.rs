//! A panel of twelve faults of different kinds: what a failure says names its cause within its
//! first 25 lines, and stays as the golden files in `fixtures/golden/panel/` have it.
//!
//! `GOLDEN=write cargo test --test it panel` writes them anew; read the difference before it lands.

use crate::golden::{differs, steady, without_timeline};
use gridproof::proof::{Mutant, Mutants, Prover, Run, named, shipped_sources};
use gridproof::proto::template::Template;
use gridproof::report::{Paint, failure};
use gridproof::runner::Outcome;
use gridproof::suite::{Files, Library};
use std::path::Path;
use std::sync::Arc;

/// A fault by its kind: the mutant, the case that meets it, and what names the cause.
struct Fault {
    kind: &'static str,
    mutant: &'static str,
    case: &'static str,
    cause: &'static [&'static str],
}

const fn fault(
    kind: &'static str,
    mutant: &'static str,
    case: &'static str,
    cause: &'static [&'static str],
) -> Fault {
    Fault { kind, mutant, case, cause }
}

const PANEL: [Fault; 12] = [
    fault(
        "missing-member",
        "login/seed_capability/remove",
        "login/success/required-members",
        &["nothing there", "seed_capability"],
    ),
    fault(
        "wrong-type",
        "login/circuit_code/retype",
        "login/success/types",
        &["integer", "string:", "circuit_code"],
    ),
    fault(
        "late-message",
        "neighbour-late",
        "handshake/neighbours/announced",
        &["EstablishAgentCommunication within", "only EnableSimulator"],
    ),
    fault(
        "never-sent",
        "ignores-children",
        "handshake/neighbours/child",
        &["RegionHandshake within", "never sent"],
    ),
    fault("lost-once", "lost-pong", "circuit/pings/answered", &["CompletePingCheck", "lost"]),
    fault(
        "wrong-order",
        "neighbour-backwards",
        "handshake/neighbours/announced",
        &["EnableSimulator before EstablishAgentCommunication"],
    ),
    fault(
        "count-off-by-one",
        "tells-arrival-twice",
        "handshake/arrival/code-repeated",
        &["1 × AgentMovementComplete", "2 of them"],
    ),
    fault(
        "wrong-content-type",
        "refusal-html",
        "login/refusals/wrong-password",
        &["text/xml", "text/html", "http.content_type"],
    ),
    fault("http-500", "features-fail", "caps/simple/simulator-features", &["500", "status"]),
    fault("empty-body", "features-empty", "caps/simple/simulator-features", &["empty", "body"]),
    fault(
        "silent-circuit",
        "never-acks",
        "login/success/circuit-is-live",
        &["waiting for acks", "acknowledged within 2 s"],
    ),
    fault(
        "another-agents-capability",
        "foreign-caps",
        "handshake/neighbours/announced",
        &["agent-id", "ID-OF-ANOTHER"],
    ),
];

/// The shipped cases and mutants, and who lets them meet.
fn shipped() -> (Arc<Library>, Mutants, Prover) {
    let template = Template::shipped();
    let library = Arc::new(Library::load(&Files::shipped(), template).unwrap());
    let mutants = Mutants::read(&shipped_sources(), &library.catalogue, template).unwrap();
    let prover = Prover::new(library.clone(), Run { jobs: 1, thorough: false });
    (library, mutants, prover)
}

/// What a case cannot remove is told by name, and is nobody's failure.
#[test]
fn what_clean_up_cannot_remove_is_listed_and_blamed_on_nobody() {
    let (library, mutants, prover) = shipped();
    let case = library.case("inventory/items/create").unwrap();
    let deaf = mutants.all.iter().find(|mutant| mutant.id == "never-moves-folders").unwrap();
    let record = prover.meet(deaf, case).unwrap();
    assert_eq!((record.outcome, record.findings.len()), (Outcome::Pass, 0));
    let [left] = &record.left_behind[..] else { panic!("{:?}", record.left_behind) };
    assert!(left.starts_with("the folder \"gridproof "), "{left}");
    assert!(left.contains("in the inventory of "), "{left}");
    let other = mutants.all.iter().find(|mutant| mutant.id == "never-kicks").unwrap();
    assert_eq!(prover.meet(other, case).unwrap().left_behind, [""; 0]);
}

#[test]
fn twelve_kinds_of_fault_are_named() {
    let (library, mutants, prover) = shipped();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/panel");
    let mut wrong = Vec::new();
    for fault in PANEL {
        let written = mutants.all.iter().find(|m| m.id == fault.mutant).cloned();
        let mutant: Mutant = written.or_else(|| named(fault.mutant, Template::shipped())).unwrap();
        let case = library.case(fault.case).unwrap();
        let path = folder.join(format!("{}.txt", fault.kind));
        let record = prover.meet(&mutant, case).unwrap();
        let text = steady(&failure(&record, Paint { colour: false }));
        wrong.extend(fault.complaints(&text, &path));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

impl Fault {
    /// What a failure's text lacks, or has otherwise than the golden file.
    fn complaints(&self, text: &str, golden: &Path) -> Vec<String> {
        let begin: Vec<&str> = text.lines().take(25).collect();
        let begin = begin.join("\n");
        let missing = self.cause.iter().filter(|word| !begin.contains(**word));
        let kind = self.kind;
        let mut wrong: Vec<String> = missing
            .map(|word| format!("{kind}: `{word}` is not in the first 25 lines of\n{text}"))
            .collect();
        let told = without_timeline(text);
        wrong.extend(differs(golden, &told).map(|difference| format!("{kind}: {difference}")));
        wrong
    }
}
