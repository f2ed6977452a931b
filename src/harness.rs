//! Suites under `cargo test` and nextest: every case a libtest-mimic trial.

use crate::net::Path;
use crate::proof::{CaseVerdict, MutantVerdict, Mutants, Proof, Prover, Run, shipped_sources};
use crate::proto::template::Template;
use crate::report::{Paint, failure};
use crate::runner::{CaseRecord, Engine, Options, Outcome, on_simulated_grid, reference_config};
use crate::suite::{Case, Diagnostic, Files, Level, Library, Profile};
use libtest_mimic::{Failed, Trial};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// Every shipped case as a trial against a reference grid of its own, on a simulated network. A case
/// that does not pass fails its trial, with the failure as its message.
pub fn trials() -> Vec<Trial> {
    let library = match Library::load(&Files::shipped(), Template::shipped()) {
        Ok(library) => Arc::new(library),
        Err(mistakes) => {
            let text: Vec<String> = mistakes.iter().map(|m| m.render(false)).collect();
            let failed = text.join("\n");
            return vec![Trial::test("suites are free of mistakes", move || Err(failed.into()))];
        }
    };
    let cases: Vec<Arc<Case>> = library.cases().cloned().collect();
    let trial = |case: Arc<Case>| {
        let library = library.clone();
        Trial::test(case.id.clone(), move || {
            let record = run(library, &case).map_err(|error| Failed::from(error.to_string()))?;
            match record.outcome {
                Outcome::Pass => Ok(()),
                _ => Err(failure(&record, Paint { colour: false }).into()),
            }
        })
    };
    cases.into_iter().map(trial).collect()
}

fn run(library: Arc<Library>, case: &Arc<Case>) -> std::io::Result<CaseRecord> {
    let config = reference_config(3);
    on_simulated_grid(1, Path::default(), config, async |target| {
        let template = Template::shipped().clone();
        let engine = Engine::new(target, library, Profile::default(), template, Options::default());
        let (_keep, never) = watch::channel(false);
        let record = engine.run_case(case, never).await;
        engine.finish().await;
        record
    })
}

/// The proof that the shipped cases can fail, as trials: one for each cited requirement, one for
/// each case, one for each written mutant. They share one run of all mutants, which the first that
/// runs begins; a runner that gives each trial a process of its own, as nextest does, runs it anew
/// for each.
pub fn mutant_trials() -> Vec<Trial> {
    let (library, mutants) = match shipped_mutants() {
        Ok(shipped) => shipped,
        Err(text) => {
            return vec![Trial::test("mutants are free of mistakes", move || Err(text.into()))];
        }
    };
    let proof: SharedProof = Arc::default();
    let must = |id: &&str| library.catalogue.get(id).is_some_and(|r| r.level == Level::Must);
    let mut names: Vec<(&str, String, Check)> = Vec::new();
    let musts = library.cited().into_iter().filter(must);
    names.extend(musts.map(|id| ("requirement", id.to_owned(), Check::Requirement)));
    names.extend(library.cases().map(|case| ("case", case.id.clone(), Check::Case)));
    names.extend(mutants.all.iter().map(|mutant| ("mutant", mutant.id.clone(), Check::Mutant)));
    names.push(("all", "mutants".into(), Check::All));
    let trial = |(kind, id, check): (&str, String, Check)| {
        let (library, mutants, proof) = (library.clone(), mutants.clone(), proof.clone());
        Trial::test(format!("{kind} {id}"), move || {
            let proof = proof.get_or_init(|| prove(library, mutants));
            let proof = proof.as_ref().map_err(|why| Failed::from(why.clone()))?;
            check.hold(proof, &id)
        })
    };
    names.into_iter().map(trial).collect()
}

type SharedProof = Arc<OnceLock<Result<Proof, String>>>;

fn shipped_mutants() -> Result<(Arc<Library>, Mutants), String> {
    let template = Template::shipped();
    let told = |mistakes: Vec<Diagnostic>| {
        mistakes.iter().map(|m| m.render(false)).collect::<Vec<_>>().join("\n")
    };
    let library = Library::load(&Files::shipped(), template).map_err(told)?;
    let mutants = Mutants::read(&shipped_sources(), &library.catalogue, template).map_err(told)?;
    Ok((Arc::new(library), mutants))
}

fn prove(library: Arc<Library>, mutants: Mutants) -> Result<Proof, String> {
    let prover = Prover::new(library, Run { jobs: 0, thorough: false });
    let (_keep, never) = watch::channel(false);
    let prepared = prover.prepare(mutants, &never).map_err(|why| why.to_string())?;
    prover.prove(&prepared, &never, &|_, _| {}).map_err(|why| why.to_string())
}

/// What a trial asks of the proof.
#[derive(Clone, Copy)]
enum Check {
    Requirement,
    Case,
    Mutant,
    All,
}

impl Check {
    fn hold(self, proof: &Proof, id: &str) -> Result<(), Failed> {
        let (found, complaint) = match self {
            Self::Requirement => {
                let found = proof.requirements.iter().find(|r| r.id == id);
                let bad = found.filter(|r| !r.proven);
                let why = |_| format!("no mutant of {id} is noticed by a case that cites it");
                (found.is_some(), bad.map(why))
            }
            Self::Case => {
                let found = proof.cases.iter().find(|case| case.id == id);
                let bad = found.filter(|case| case.caught == 0);
                let why = |c: &CaseVerdict| format!("{id} notices none of {} mutants", c.met);
                (found.is_some(), bad.map(why))
            }
            Self::Mutant => {
                let found = proof.mutants.iter().find(|mutant| mutant.id == id);
                let bad = found.filter(|mutant| mutant.fate.is_bad());
                let why = |m: &MutantVerdict| {
                    format!("{}: {}", m.fate.words(), m.why.clone().unwrap_or_default())
                };
                (found.is_some(), bad.map(why))
            }
            Self::All => {
                let text = || proof.text(Paint { colour: false }, false);
                (true, (!proof.holds()).then(text))
            }
        };
        match (found, complaint) {
            (false, _) => Err(format!("{id} was not judged").into()),
            (true, Some(complaint)) => Err(complaint.into()),
            (true, None) => Ok(()),
        }
    }
}
