//! Our own client under our own judge: what the suites do to a grid is what clients may do, but for
//! what a case says that it breaks on purpose (`violates`).

use super::{Judge, Verdict, Visited};
use crate::grid::Grid;
use crate::net::{Clock, Path};
use crate::proof::{Run, side_by_side};
use crate::proto::template::Template;
use crate::runner::{
    CaseRecord, Engine, Options, Outcome, RunRecord, reference_config, reference_target,
    with_simulated_grid,
};
use crate::suite::{Case, Library, Profile};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// What a case's client did, in the eyes of the judge of clients.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// The case as it ended.
    pub case: CaseRecord,
    /// What it says that it breaks.
    pub violates: BTreeSet<String>,
    /// The verdict on its visits.
    pub verdict: RunRecord,
}

impl Conduct {
    /// The requirements of clients that were broken.
    pub fn broken(&self) -> impl Iterator<Item = &CaseRecord> {
        let broken = |case: &&CaseRecord| matches!(case.outcome, Outcome::Fail | Outcome::Warn);
        self.verdict.cases.iter().filter(broken)
    }

    /// What was broken and is not said to be.
    pub fn unsaid(&self) -> impl Iterator<Item = &CaseRecord> {
        let said =
            |case: &CaseRecord| case.requirements.iter().any(|id| self.violates.contains(id));
        self.broken().filter(move |case| !said(case))
    }

    /// What is said to be broken and was not.
    pub fn unbroken(&self) -> impl Iterator<Item = &String> {
        let broken: BTreeSet<&String> = self.broken().flat_map(|case| &case.requirements).collect();
        self.violates.iter().filter(move |id| !broken.contains(id))
    }
}

/// Runs every case on a judging grid of its own, on a simulated network.
///
/// # Errors
/// A grid could not be started, or a run panicked.
pub fn conduct(library: &Arc<Library>, run: Run) -> Result<Vec<Conduct>, String> {
    let cases: Vec<Arc<Case>> = library.cases().cloned().collect();
    let ran = side_by_side(run.with_jobs().jobs, cases, &|_| {}, |case| {
        of(library, &case).map_err(|error| format!("{}: {error}", case.id))
    });
    ran.into_iter().map(|ran| ran.unwrap_or_else(Err)).collect()
}

/// What every grid's ids follow from.
const SEED: u64 = 1;

fn of(library: &Arc<Library>, case: &Arc<Case>) -> std::io::Result<Conduct> {
    let judge = Judge::default();
    let mut config = reference_config(3);
    config.tap.add(judge.listener());
    let visit = async |grid: &Grid| {
        let (clock, options) = (Clock::start(), Options::default());
        let (template, profile) = (Template::shipped().clone(), Profile::default());
        let target = reference_target(grid);
        let engine = Engine::new(target, library.clone(), profile, template, options);
        let (_keep, never) = watch::channel(false);
        let record = engine.run_case(case, never).await;
        engine.finish().await;
        let verdict = Verdict {
            catalogue: &library.catalogue,
            visited: Visited::of(grid),
            trials: &[],
            started: jiff::Timestamp::UNIX_EPOCH,
            watched: clock.now(),
            fail_on_should: true,
            fail_on_impossible: false,
            reproduce: "gridproof serve --judge",
        };
        let violates = case.violates.iter().cloned().collect();
        Conduct { case: record, violates, verdict: verdict.record(&judge) }
    };
    let (conduct, mistakes) = with_simulated_grid(SEED, Path::default(), config, visit)?;
    match mistakes.first() {
        None => Ok(conduct),
        Some(first) => Err(std::io::Error::other(format!("the grid's own mistake: {first}"))),
    }
}
