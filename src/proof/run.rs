//! Runs mutants: a grid of its own for each pair of a mutant and a case.

use super::generate::{Recording, generated};
use super::load::{Equivalent, Mutants};
use super::looks::Looks;
use super::mutant::{Mutant, Origin};
use super::verdict::{Fate, Observation, Proof, explanations, written};
use crate::grid::{Faults, Grid, GridConfig, Tap};
use crate::proto::template::Template;
use crate::runner::{
    CaseRecord, Engine, FindingKind, Options, Outcome, Target, reference_config, reference_target,
};
use crate::suite::{Case, Library, Profile, wildcard};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How mutants are run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Grids at once; 0 is as many as suit this machine.
    pub jobs: usize,
    /// Every case for every written mutant, not only those that cite what it breaks.
    pub thorough: bool,
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
    looks: Arc<Looks>,
    run: Run,
    /// Why runs could not be made: they would prove nothing, and nobody would know.
    lost: Arc<Mutex<Vec<String>>>,
}

/// Upper bounds of waits are a real grid's; the embedded one answers at once or not at all. This is
/// longer than a minute of its own time.
const MOST_PATIENCE: Duration = Duration::from_millis(2700);

/// How many times faster than the protocol's figures the timers of mutants run: with many grids at
/// once every one of them must still get a processor in time.
const FACTOR: u32 = 30;

/// Grids at once: most of a case is waiting.
const JOBS_PER_CORE: usize = if cfg!(debug_assertions) { 20 } else { 64 };

/// Grids at once where a verdict is to be confirmed at rest.
const AT_REST: usize = 4;

/// Generated mutants meet this many cases at most.
const ONLOOKERS: usize = 5;

/// Generated mutants that are explained meet this many; so do those that nobody looks at.
const BYSTANDERS: usize = 2;

/// How many cases at most meet a mutant that the first ones did not notice.
const FURTHER: usize = 40;

/// Written mutants meet this many cases that do not cite what they break.
const OTHERS: usize = 2;

/// A mutant and a case, by their places.
type Pair = (usize, Arc<Case>);

impl Prover {
    /// A prover for the cases of a library.
    pub fn new(library: Arc<Library>, run: Run) -> Self {
        let looks = Arc::new(Looks::of(&library));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let jobs = if run.jobs == 0 { JOBS_PER_CORE * cores } else { run.jobs };
        Self { library, looks, run: Run { jobs, ..run }, lost: Arc::default() }
    }

    /// What there is to prove: a clean run first, in which every case must pass, then the written
    /// mutants and those made from what that run said.
    pub async fn prepare(
        &self,
        mutants: Mutants,
        stop: &watch::Receiver<bool>,
    ) -> Result<Prepared, Unproven> {
        let (recording, records) = self.record(stop).await;
        if *stop.borrow() {
            return Err(Unproven::Stopped);
        }
        self.none_lost()?;
        let fit =
            |record: &CaseRecord| matches!(record.outcome, Outcome::Pass | Outcome::Impossible);
        let mut red = Vec::new();
        for record in records.iter().filter(|record| !fit(record)) {
            let Some(case) = self.library.case(&record.id) else { continue };
            // With little else to do, as whatever speaks against us.
            let tap = Some(recording.tap(&case.id));
            let again = self.pair(case, Faults::default(), tap, stop.clone()).await;
            if let Some((record, _)) = again.filter(|(record, _)| !fit(record)) {
                red.push(format!("{} {}", record.outcome, record.id));
            }
        }
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
    pub async fn prove(
        &self,
        prepared: &Prepared,
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Result<Proof, Unproven> {
        let seen = self.observe_all(prepared, stop, tell).await;
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
        let onlookers = self.looks.at(*channel, message.as_deref().unwrap_or_default(), field);
        let closest = onlookers.first().map_or(0, |o| o.closeness);
        let closest = onlookers.iter().filter(|o| o.closeness == closest && closest > 1);
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

    /// Runs one case on one mutant.
    pub async fn meet(&self, mutant: &Mutant, case: &Arc<Case>) -> Option<CaseRecord> {
        let (_keep, never) = watch::channel(false);
        let ran = self.pair(case, mutant.faults.afresh(), None, never).await;
        ran.map(|(record, _)| record)
    }

    /// Whether it is said why nobody needs to notice a mutant.
    fn is_explained(&self, mutant: &Mutant, prepared: &Prepared) -> bool {
        explanations(&prepared.equivalent, &self.library)
            .any(|said| wildcard(said.pattern, &mutant.id))
    }

    /// Runs every case on a clean grid of its own: what the grids said, and how the cases ended.
    async fn record(&self, stop: &watch::Receiver<bool>) -> (Recording, Vec<CaseRecord>) {
        let recording = Recording::default();
        let running = futures::stream::iter(self.library.cases().cloned()).map(|case| {
            let tap = recording.tap(&case.id);
            let prover = self.clone();
            let stop = stop.clone();
            tokio::spawn(async move {
                let ran = prover.pair(&case, Faults::default(), Some(tap), stop).await;
                ran.map(|(record, _)| record)
            })
        });
        let mut ran = running.buffer_unordered(self.run.jobs);
        let mut records = Vec::new();
        while let Some(record) = ran.next().await {
            records.extend(self.made(record));
        }
        drop(ran);
        (recording, records)
    }

    async fn observe_all(
        &self,
        prepared: &Prepared,
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Vec<Observation> {
        let Prepared { mutants, recording, whole, .. } = prepared;
        let explained = |mutant: &Mutant| self.is_explained(mutant, prepared);
        let pairs: Vec<Pair> = (0..mutants.len())
            .flat_map(|n| {
                let most = if explained(&mutants[n]) { BYSTANDERS } else { ONLOOKERS };
                let cases = self.cases_for(n, &mutants[n], recording, most);
                cases.into_iter().map(move |case| (n, case))
            })
            .collect();
        let mut seen = self.observe(mutants, pairs, stop, tell).await;
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
        seen.extend(self.observe(mutants, further, stop, tell).await);
        self.confirm(mutants, &mut seen, &explained, stop, tell).await;
        seen
    }

    /// A machine with much to do may miss what it should see, or see what is not there: what
    /// speaks against us is looked at again with little else to do, and only that counts.
    async fn confirm(
        &self,
        mutants: &[Mutant],
        seen: &mut Vec<Observation>,
        explained: &(dyn Fn(&Mutant) -> bool + Send + Sync),
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(usize, usize) + Send + Sync),
    ) {
        let doubtful = |n: &usize| {
            let mutant = &mutants[*n];
            let of: Vec<&Observation> = seen.iter().filter(|o| o.mutant == *n).collect();
            match mutant.is_written() {
                true => written(mutant, &of).0 != Fate::Noticed,
                // Unexplained and not noticed, or noticed though it is said that nobody needs to.
                false => {
                    let red = |o: &&Observation| o.outcome == Outcome::Blocked;
                    let noticed = of.iter().any(|o| !o.broken.is_empty() || red(o));
                    noticed == explained(mutant)
                }
            }
        };
        let doubtful: BTreeSet<usize> = (0..mutants.len()).filter(doubtful).collect();
        let again = seen.iter().filter(|o| doubtful.contains(&o.mutant));
        let pair = |o: &Observation| Some((o.mutant, self.library.case(&o.case)?.clone()));
        let pairs: Vec<Pair> = again.filter_map(pair).collect();
        // Where that much is in doubt, something else is wrong, and looking again would take long.
        if pairs.is_empty() || pairs.len() > seen.len() / 4 + 50 {
            return;
        }
        let rest = Self { run: Run { jobs: AT_REST, ..self.run.clone() }, ..self.clone() };
        let at_rest = rest.observe(mutants, pairs, stop, tell).await;
        seen.retain(|o| !doubtful.contains(&o.mutant));
        seen.extend(at_rest);
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
        let mut onlookers = self.looks.at(*channel, message, field);
        onlookers.retain(|o| o.closeness > 0 && said.contains(&o.case.id));
        // Of those that look equally close, others for each mutant.
        let all = onlookers.len().max(1);
        let mut turn: Vec<_> = onlookers.into_iter().enumerate().collect();
        turn.sort_by_key(|(at, o)| (std::cmp::Reverse(o.closeness), (at + n) % all));
        let mut cases: Vec<Arc<Case>> =
            turn.into_iter().map(|(_, onlooker)| onlooker.case).take(most).collect();
        let bystanders = self.library.cases().filter(|case| said.contains(&case.id));
        for case in bystanders.skip(n % said.len().max(1)).take(BYSTANDERS) {
            if cases.len() < BYSTANDERS && cases.iter().all(|other| other.id != case.id) {
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
                let onlookers = self.looks.at(*channel, message, field);
                let own = onlookers.into_iter().find(|o| o.case.id == case.id)?;
                let needed = own.requirements.iter().any(|id| !proven.contains(id));
                Some(((needed, own.closeness), n))
            })
            .collect();
        close.sort_by_key(|(closeness, _)| std::cmp::Reverse(*closeness));
        close.into_iter().take(4 * ONLOOKERS).map(|(_, n)| (n, case.clone())).collect()
    }

    async fn observe(
        &self,
        mutants: &[Mutant],
        pairs: Vec<Pair>,
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Vec<Observation> {
        let total = pairs.len();
        let running = futures::stream::iter(pairs).map(|(n, case)| {
            let (prover, stop) = (self.clone(), stop.clone());
            let faults = mutants[n].faults.afresh();
            tokio::spawn(async move {
                let (record, applied) = prover.pair(&case, faults, None, stop).await?;
                Some(Observation::of(n, &record, applied))
            })
        });
        let mut seen = Vec::new();
        let mut ran = running.buffer_unordered(self.run.jobs);
        let mut done = 0;
        while let Some(observation) = ran.next().await {
            done += 1;
            tell(done, total);
            seen.extend(self.made(observation));
        }
        seen.sort_by(|a, b| (a.mutant, &a.case).cmp(&(b.mutant, &b.case)));
        seen
    }

    /// What a task brought; one that ended otherwise is a run that was lost.
    fn made<T>(&self, task: Result<Option<T>, tokio::task::JoinError>) -> Option<T> {
        task.unwrap_or_else(|error| {
            self.lose(error.to_string());
            None
        })
    }

    /// Runs one case on a grid of its own; nothing if the run was stopped.
    async fn pair(
        &self,
        case: &Arc<Case>,
        faults: Faults,
        tap: Option<Tap>,
        stop: watch::Receiver<bool>,
    ) -> Option<(CaseRecord, Vec<u32>)> {
        if *stop.borrow() {
            return None;
        }
        let config =
            GridConfig { time_factor: FACTOR, faults: faults.clone(), tap, ..reference_config(3) };
        let grid = match Grid::start(config).await {
            Ok(grid) => grid,
            Err(error) => {
                self.lose(format!("cannot start a grid: {error}"));
                return None;
            }
        };
        let target = Target { most_patience: MOST_PATIENCE, ..reference_target(&grid) };
        let (library, template) = (self.library.clone(), Template::shipped().clone());
        let options = Options::default();
        let engine = Engine::new(target, library, Profile::default(), template, options);
        let record = engine.run_case(case, stop).await;
        engine.finish().await;
        grid.shutdown().await;
        Some((record, faults.applied()))
    }
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
