//! Our own client under our own judge: what the suites do to a grid is what clients may do, but for
//! what a case says that it breaks on purpose (`violates`).

use super::{Judge, Verdict, Visited};
use crate::grid::{Grid, GridConfig};
use crate::net::{Clock, Path, simulate};
use crate::proof::{Run, side_by_side};
use crate::proto::template::Template;
use crate::runner::{
    CaseRecord, Engine, Options, Outcome, RunRecord, reference_config, reference_target,
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
    let (library, case) = (library.clone(), case.clone());
    let ran = simulate(SEED, Path::default(), async move |network| {
        let judge = Judge::default();
        let config = reference_config(3);
        let mut config = GridConfig { time_factor: 1, network, ..config };
        config.tap.add(judge.listener());
        let grid = Grid::start(config).await?;
        let clock = Clock::start();
        let (template, profile) = (Template::shipped().clone(), Profile::default());
        let options = Options::default();
        let target = reference_target(&grid);
        let engine = Engine::new(target, library.clone(), profile, template, options);
        let (_keep, never) = watch::channel(false);
        let record = engine.run_case(&case, never).await;
        engine.finish().await;
        let verdict = Verdict {
            catalogue: &library.catalogue,
            visited: Visited::of(&grid),
            trials: &[],
            started: jiff::Timestamp::UNIX_EPOCH,
            watched: clock.now(),
            fail_on_should: true,
            fail_on_impossible: false,
            reproduce: "gridproof serve --judge",
        };
        let verdict = verdict.record(&judge);
        grid.shutdown().await;
        Ok(Conduct { case: record, violates: case.violates.iter().cloned().collect(), verdict })
    });
    ran?
}
