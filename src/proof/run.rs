//! Runs mutants: a grid of its own for each pair of a mutant and a case.

use super::generate::{Heard, Recording, generated};
use super::load::{Equivalent, Mutants};
use super::mutant::{Mutant, Origin};
use super::observation_points::ObservationPoints;
use super::verdict::{Observation, Proof, explanations};
use crate::grid::{Faults, GridConfig};
use crate::net::Path;
use crate::net::tap::Tap;
use crate::proto::template::Template;
use crate::runner::{
    CaseRecord, Engine, FindingKind, Options, Outcome, on_simulated_grid, reference_config,
};
use crate::suite::{Case, Library, Profile, wildcard};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How mutants are run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Grids at once; 0 is as many as suit this machine.
    pub jobs: usize,
    /// Every case for every written mutant, not only those that cite what it breaks.
    pub thorough: bool,
}

impl Run {
    /// The same with as many jobs as there are cores, where it is left open.
    pub fn with_jobs(self) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { jobs: if self.jobs == 0 { cores } else { self.jobs }, ..self }
    }
}

/// Mutants ready to be run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The mutants.
    pub mutants: Vec<Mutant>,
    /// Every mutant there is is among them, so that requirements and cases are judged too; of a
    /// part nothing is asked but that each is noticed.
    pub whole: bool,
    equivalent: Vec<Equivalent>,
    recording: Recording,
}

impl Prepared {
    /// Only the mutants that `wanted` takes.
    pub fn only(&mut self, wanted: impl Fn(&Mutant) -> bool) {
        self.mutants.retain(wanted);
        self.whole = false;
    }
}

/// Why nothing could be proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The run was stopped.
    #[error("interrupted: nothing is judged")]
    Stopped,
    /// Grids could not be started, or their tasks ended: what was not run proves nothing.
    #[error("{0} of the runs could not be made: {1}; try fewer --jobs")]
    Lost(usize, String),
    /// Cases fail where nothing is wrong.
    #[error("cases do not pass on a grid without a fault: {}", .0.join(", "))]
    Unclean(Vec<String>),
}

/// Runs mutants against the cases that could notice them.
#[derive(Clone, Debug)]
pub struct Prover {
    library: Arc<Library>,
    observation_points: Arc<ObservationPoints>,
    run: Run,
    /// Why runs could not be made: they would prove nothing, and nobody would know.
    lost: Arc<Mutex<Vec<String>>>,
}

/// What every grid's ids and circuit codes follow from: a mutant differs from the clean grid by its
/// fault alone.
const SEED: u64 = 1;

/// Generated mutants meet this many cases at most.
const ONLOOKERS: usize = 5;

/// Generated mutants that are explained meet this many; so do those that nobody looks at.
const CONTROLS: usize = 2;

/// How many cases at most meet a mutant that the first ones did not notice.
const FURTHER: usize = 40;

/// Written mutants meet this many cases that do not cite what they break.
const OTHERS: usize = 2;

/// A mutant and a case, by their places.
type Pair = (usize, Arc<Case>);

impl Prover {
    /// A prover for the cases of a library.
    pub fn new(library: Arc<Library>, run: Run) -> Self {
        let observation_points = Arc::new(ObservationPoints::of(&library));
        Self { library, observation_points, run: run.with_jobs(), lost: Arc::default() }
    }

    /// What there is to prove: a clean run first, in which every case must pass, then the written
    /// mutants and those made from what that run said.
    ///
    /// # Errors
    /// Cases do not pass on a clean grid, or the run was stopped.
    pub fn prepare(
        &self,
        mutants: Mutants,
        stop: &watch::Receiver<bool>,
    ) -> Result<Prepared, Unproven> {
        let (recording, records) = self.record(stop);
        if *stop.borrow() {
            return Err(Unproven::Stopped);
        }
        self.none_lost()?;
        let fit =
            |record: &CaseRecord| matches!(record.outcome, Outcome::Pass | Outcome::Impossible);
        let red = records.iter().filter(|record| !fit(record));
        let red: Vec<String> =
            red.map(|record| format!("{} {}", record.outcome, record.id)).collect();
        if !red.is_empty() {
            return Err(Unproven::Unclean(red));
        }
        let mut all = mutants.all;
        let mut made = generated(&recording);
        made.iter_mut().for_each(|mutant| mutant.also = self.spoken(mutant));
        all.extend(made);
        let equivalent = mutants.equivalent;
        Ok(Prepared { mutants: all, equivalent, recording, whole: true })
    }

    /// Runs mutants and judges them. `tell` hears how many of how many pairs are done.
    ///
    /// # Errors
    /// Runs could not be made, or the run was stopped.
    pub fn prove(
        &self,
        prepared: &Prepared,
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Result<Proof, Unproven> {
        let seen = self.observe_all(prepared, stop, tell);
        if *stop.borrow() {
            return Err(Unproven::Stopped);
        }
        self.none_lost()?;
        let Prepared { mutants, equivalent, whole, .. } = prepared;
        Ok(Proof::of(mutants, &seen, equivalent, &self.library, *whole))
    }

    /// The requirements that speak of what a generated mutant changes.
    fn spoken(&self, mutant: &Mutant) -> Vec<String> {
        let Origin::Generated { channel, message, field, .. } = &mutant.origin else {
            return Vec::new();
        };
        let onlookers =
            self.observation_points.at(*channel, message.as_deref().unwrap_or_default(), field);
        let closest = onlookers.first().map_or(0, |o| o.specificity);
        let closest = onlookers.iter().filter(|o| o.specificity == closest && closest > 1);
        closest.flat_map(|o| o.requirements.clone()).collect()
    }

    fn lose(&self, why: String) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    fn none_lost(&self) -> Result<(), Unproven> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.first() {
            Some(first) => Err(Unproven::Lost(lost.len(), first.clone())),
            None => Ok(()),
        }
    }

    /// Runs one case on one mutant, for whoever reads what it says.
    pub fn meet(&self, mutant: &Mutant, case: &Arc<Case>) -> Option<CaseRecord> {
        let (_keep, never) = watch::channel(false);
        let options = Options::default();
        let ran = self.pair(case, mutant.faults.afresh(), Tap::default(), options, &never);
        ran.map(|(record, _)| record)
    }

    /// Whether it is said why nobody needs to notice a mutant.
    fn is_explained(&self, mutant: &Mutant, prepared: &Prepared) -> bool {
        explanations(&prepared.equivalent, &self.library)
            .any(|said| wildcard(said.pattern, &mutant.id))
    }

    /// Runs every case on a clean grid of its own: what the grids said, and how the cases ended.
    fn record(&self, stop: &watch::Receiver<bool>) -> (Recording, Vec<CaseRecord>) {
        let cases: Vec<_> = self.library.cases().cloned().enumerate().collect();
        let mut ran = self.side_by_side(cases, &|_| {}, |prover, (n, case)| {
            let heard = Heard::default();
            let tap = Tap::of(heard.listener(&case.id));
            let (record, _) = prover.pair(&case, Faults::default(), tap, unread(), stop)?;
            Some((n, record, heard))
        });
        ran.sort_by_key(|ran| ran.as_ref().map(|(n, ..)| *n));
        let mut recording = Recording::default();
        let mut records = Vec::new();
        for (_, record, heard) in ran.into_iter().flatten() {
            recording.add(&record.id, &heard);
            records.push(record);
        }
        (recording, records)
    }

    fn observe_all(
        &self,
        prepared: &Prepared,
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Vec<Observation> {
        let Prepared { mutants, recording, whole, .. } = prepared;
        let explained = |mutant: &Mutant| self.is_explained(mutant, prepared);
        let pairs: Vec<Pair> = (0..mutants.len())
            .flat_map(|n| {
                let most = if explained(&mutants[n]) { CONTROLS } else { ONLOOKERS };
                let cases = self.cases_for(n, &mutants[n], recording, most);
                cases.into_iter().map(move |case| (n, case))
            })
            .collect();
        let mut seen = self.observe(mutants, pairs, stop, tell);
        // A mutant that nobody noticed and that nothing explains meets more who look at it: if all
        // of those are blocked by it, so are the others.
        let unnoticed = (0..mutants.len()).filter(|n| {
            let noticed = |o: &Observation| o.mutant == *n && !o.broken.is_empty();
            !mutants[*n].is_written() && !explained(&mutants[*n]) && !seen.iter().any(noticed)
        });
        let mut further: Vec<Pair> = unnoticed
            .flat_map(|n| {
                let cases = self.cases_for(n, &mutants[n], recording, FURTHER);
                cases.into_iter().map(move |case| (n, case))
            })
            .collect();
        if *whole {
            further.extend(self.idle(mutants, recording, &seen));
        }
        let mut met: BTreeSet<(usize, &str)> =
            seen.iter().map(|o| (o.mutant, o.case.as_str())).collect();
        let all = further.iter().map(|(n, case)| (*n, case.id.as_str()));
        let new: Vec<bool> = all.map(|pair| met.insert(pair)).collect();
        let further = further.iter().zip(new).filter(|(_, new)| *new);
        let further: Vec<Pair> = further.map(|(pair, _)| pair.clone()).collect();
        seen.extend(self.observe(mutants, further, stop, tell));
        seen
    }

    /// Cases that caught nothing yet, or cite what nobody proved yet, with the mutants of what they
    /// look at.
    fn idle(&self, mutants: &[Mutant], recording: &Recording, seen: &[Observation]) -> Vec<Pair> {
        let catching = seen.iter().filter(|seen| !seen.broken.is_empty());
        let caught: BTreeSet<&str> = catching.clone().map(|seen| seen.case.as_str()).collect();
        let proven: BTreeSet<&String> = catching.flat_map(|seen| &seen.broken).collect();
        let idle = self.library.cases().filter(|case| {
            let unproven = case.requirements.iter().any(|id| !proven.contains(id));
            unproven || !caught.contains(case.id.as_str())
        });
        idle.flat_map(|case| self.mutants_for(case, mutants, recording, &proven)).collect()
    }

    /// The cases that a mutant meets.
    fn cases_for(
        &self,
        n: usize,
        mutant: &Mutant,
        recording: &Recording,
        most: usize,
    ) -> Vec<Arc<Case>> {
        let Origin::Generated { channel, message, field, .. } = &mutant.origin else {
            let cites = |case: &&Arc<Case>| {
                self.run.thorough || mutant.breaks.iter().any(|id| case.requirements.contains(id))
            };
            let (citing, others): (Vec<_>, Vec<_>) = self.library.cases().partition(cites);
            // Another sample for each mutant, the same in every run.
            let places = (0..OTHERS).map(|k| (n * 7 + k * 61) % others.len().max(1));
            let sample = places.filter_map(|place| others.get(place).copied());
            return citing.into_iter().chain(sample).cloned().collect();
        };
        let message = message.as_deref().unwrap_or_default();
        let said = recording.said(*channel, message, field);
        let mut onlookers = self.observation_points.at(*channel, message, field);
        onlookers.retain(|o| o.specificity > 0 && said.contains(&o.case.id));
        // Of those that look equally close, others for each mutant.
        let all = onlookers.len().max(1);
        let mut turn: Vec<_> = onlookers.into_iter().enumerate().collect();
        turn.sort_by_key(|(at, o)| (std::cmp::Reverse(o.specificity), (at + n) % all));
        let mut cases: Vec<Arc<Case>> =
            turn.into_iter().map(|(_, onlooker)| onlooker.case).take(most).collect();
        let controls = self.library.cases().filter(|case| said.contains(&case.id));
        for case in controls.skip(n % said.len().max(1)).take(CONTROLS) {
            if cases.len() < CONTROLS && cases.iter().all(|other| other.id != case.id) {
                cases.push(case.clone());
            }
        }
        cases
    }

    /// The generated mutants of what a case looks at most closely, first of all where it judges
    /// what nobody has proved yet.
    fn mutants_for(
        &self,
        case: &Arc<Case>,
        mutants: &[Mutant],
        recording: &Recording,
        proven: &BTreeSet<&String>,
    ) -> Vec<Pair> {
        let mut close: Vec<((bool, usize), usize)> = mutants
            .iter()
            .enumerate()
            .filter_map(|(n, mutant)| {
                let Origin::Generated { channel, message, field, .. } = &mutant.origin else {
                    return None;
                };
                let message = message.as_deref().unwrap_or_default();
                if !recording.said(*channel, message, field).contains(&case.id) {
                    return None;
                }
                let onlookers = self.observation_points.at(*channel, message, field);
                let own = onlookers.into_iter().find(|o| o.case.id == case.id)?;
                let needed = own.requirements.iter().any(|id| !proven.contains(id));
                Some(((needed, own.specificity), n))
            })
            .collect();
        close.sort_by_key(|(specificity, _)| std::cmp::Reverse(*specificity));
        close.into_iter().take(4 * ONLOOKERS).map(|(_, n)| (n, case.clone())).collect()
    }

    fn observe(
        &self,
        mutants: &[Mutant],
        pairs: Vec<Pair>,
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Vec<Observation> {
        let total = pairs.len();
        let told = |done| tell(done, total);
        let ran = self.side_by_side(pairs, &told, |prover, (n, case): Pair| {
            let faults = mutants[n].faults.afresh();
            let (record, applied) = prover.pair(&case, faults, Tap::default(), unread(), stop)?;
            Some(Observation::of(n, &record, applied))
        });
        let mut seen: Vec<Observation> = ran.into_iter().flatten().collect();
        seen.sort_by(|a, b| (a.mutant, &a.case).cmp(&(b.mutant, &b.case)));
        seen
    }

    /// The same of every pair; what panicked is a run that was lost.
    fn side_by_side<T: Send, R: Send>(
        &self,
        all: Vec<T>,
        tell: &(dyn Fn(usize) + Send + Sync),
        make: impl Fn(&Self, T) -> R + Sync,
    ) -> Vec<R> {
        let ran = side_by_side(self.run.jobs, all, tell, |one| make(self, one));
        ran.into_iter().filter_map(|ran| ran.map_err(|why| self.lose(why)).ok()).collect()
    }

    /// Runs one case on a grid of its own, on a simulated network; nothing if the run was stopped.
    fn pair(
        &self,
        case: &Arc<Case>,
        faults: Faults,
        tap: Tap,
        options: Options,
        stop: &watch::Receiver<bool>,
    ) -> Option<(CaseRecord, Vec<u32>)> {
        if *stop.borrow() {
            return None;
        }
        let applied = faults.clone();
        let config = GridConfig { faults, tap, ..reference_config(3) };
        let ran = on_simulated_grid(SEED, Path::default(), config, async |target| {
            let (library, template) = (self.library.clone(), Template::shipped().clone());
            let engine = Engine::new(target, library, Profile::default(), template, options);
            let record = engine.run_case(case, stop.clone()).await;
            engine.finish().await;
            record
        });
        match ran {
            Ok(record) => Some((record, applied.applied())),
            Err(error) => {
                self.lose(format!("cannot start a grid: {error}"));
                None
            }
        }
    }
}

/// Nobody reads how each of thousands was caught.
fn unread() -> Options {
    Options { keep_timeline: false, ..Options::default() }
}

/// Does the same with each of many, on so many threads: each run is a world of its own that waits
/// for nothing outside. In no order; a run that panicked says so.
pub(crate) fn side_by_side<T: Send, R: Send>(
    jobs: usize,
    all: Vec<T>,
    tell: &(dyn Fn(usize) + Send + Sync),
    make: impl Fn(T) -> R + Sync,
) -> Vec<Result<R, String>> {
    let done = AtomicUsize::new(0);
    let waiting = Mutex::new(all.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut made = Vec::new();
        while let Some(one) = next() {
            let ran = catch_unwind(AssertUnwindSafe(|| make(one)));
            made.push(ran.map_err(|_| "a run panicked; please report this".to_owned()));
            tell(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        made
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    })
}

impl Observation {
    fn of(mutant: usize, record: &CaseRecord, applied: Vec<u32>) -> Self {
        // Where the fault made no difference, whatever was found has another cause.
        let idle = !applied.is_empty() && applied.iter().all(|n| *n == 0);
        let broken = record.findings.iter().filter(|f| f.kind == FindingKind::Broken && !idle);
        Self {
            mutant,
            case: record.id.clone(),
            outcome: record.outcome,
            ms: record.ms,
            broken: broken.flat_map(|f| f.requirements().map(str::to_owned)).collect(),
            applied,
        }
    }
}
