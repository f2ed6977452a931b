//! Runs cases against a target: one at a time on demand, or all of a plan side by side.

use super::lease::Pool;
use super::pulse::Pulse;
use super::reckon::{Sum, exit};
use super::{CaseRecord, Outcome, RunRecord, Target, TargetRecord};
use crate::client::Common;
use crate::proto::template::Template;
use crate::suite::{Case, Effects, Library, Profile};
use futures::StreamExt;
use rand::{SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// How a plan is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Cases at once; 0 is as many as there are accounts.
    pub jobs: usize,
    /// Further attempts of a case that went wrong.
    pub retries: u32,
    /// No new case begins after one has failed.
    pub fail_fast: bool,
    /// The most a case may do to a grid that is not on this machine.
    pub allow: Effects,
    /// A broken SHOULD fails the run.
    pub fail_on_should: bool,
    /// An unmet need fails the run.
    pub fail_on_impossible: bool,
    /// Begin the cases in an order that follows from this number, not in that of the suites.
    pub shuffle: Option<u64>,
    /// Keep what passed in each case, for whoever reads its failure.
    pub keep_timeline: bool,
    /// Appended to `gridproof run ID` where a report tells how to reproduce.
    pub reproduce: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 0,
            retries: 0,
            fail_fast: false,
            allow: Effects::Write,
            fail_on_should: false,
            fail_on_impossible: false,
            shuffle: None,
            keep_timeline: true,
            reproduce: String::new(),
        }
    }
}

/// What happens while a plan runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// So many cases are planned.
    Planned(usize),
    /// A case begins.
    Started(&'a str),
    /// A case has ended.
    Finished(&'a CaseRecord),
}

/// Runs cases.
#[derive(Debug)]
pub struct Engine {
    pub(super) target: Target,
    pub(super) library: Arc<Library>,
    pub(super) profile: Profile,
    pub(super) options: Options,
    pub(super) common: Common,
    pub(super) pool: Pool,
    pub(super) pulse: Pulse,
    /// Sessions begun so far.
    pub(super) sessions: AtomicUsize,
    /// An account's own password was refused.
    pub(super) refused: AtomicBool,
    pub(super) failed: AtomicBool,
    /// Regions that could not be reached when last looked at.
    suspects: Mutex<BTreeSet<String>>,
}

impl Engine {
    /// An engine for a target.
    pub fn new(
        target: Target,
        library: Arc<Library>,
        profile: Profile,
        template: Arc<Template>,
        options: Options,
    ) -> Self {
        let common = target.common(template);
        let pool = Pool::new(target.accounts.clone());
        let (uri, scale) = (&target.login_uri, target.time_scale);
        let pulse = Pulse::new(uri, common.http.clone(), target.time_factor, scale);
        Self {
            target,
            library,
            profile,
            options,
            common,
            pool,
            pulse,
            sessions: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            suspects: Mutex::default(),
        }
    }

    /// Runs a plan. `stop` ends it early: what runs is cleaned up, the rest never begins.
    pub async fn run(
        &self,
        cases: &[Arc<Case>],
        stop: watch::Receiver<bool>,
        tell: &(dyn Fn(Event<'_>) + Send + Sync),
    ) -> RunRecord {
        let started = self.target.network.now();
        let clock = Instant::now();
        tell(Event::Planned(cases.len()));
        let running = self.all(cases, &stop, tell);
        tokio::pin!(running);
        let mut records = match self.target.reference {
            true => running.await,
            false => tokio::select! {
                biased;
                records = &mut running => records,
                // Cases hear of it by themselves.
                _ = self.pulse.beat() => running.await,
            },
        };
        self.finish().await;
        records.sort_by_key(|(n, _)| *n);
        let cases: Vec<CaseRecord> = records.into_iter().map(|(_, record)| record).collect();
        let interrupted = *stop.borrow();
        let ended = self.pulse.is_gone();
        let sum = Sum {
            interrupted,
            gone: ended.is_some(),
            no_session: self.sessions.load(Ordering::Relaxed) == 0,
            refused: self.refused.load(Ordering::Relaxed),
            options: &self.options,
        };
        let exit = exit(&cases, sum);
        let ms = clock.elapsed().as_secs_f64() * 1e3;
        RunRecord { ms, interrupted, ended, ..self.record(started, exit, cases) }
    }

    /// Runs cases side by side; their records, by the place of each in the plan.
    async fn all(
        &self,
        cases: &[Arc<Case>],
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(Event<'_>) + Send + Sync),
    ) -> Vec<(usize, CaseRecord)> {
        let jobs = match self.options.jobs {
            0 => self.pool.size().max(1),
            n => n,
        };
        // Those that share sessions first, so that these are used before others end them.
        let mut order: Vec<usize> = (0..cases.len()).collect();
        order.sort_by_key(|&n| (cases[n].session, cases[n].tags.iter().all(|t| t != "slow")));
        if let Some(seed) = self.options.shuffle {
            order.shuffle(&mut Pcg64::seed_from_u64(seed));
        }
        let running = futures::stream::iter(order).map(|n| {
            let stop = stop.clone();
            async move {
                if *stop.borrow() || (self.options.fail_fast && self.failed.load(Ordering::Relaxed))
                {
                    return (n, self.skipped(&cases[n], "the run was stopped before it began"));
                }
                if let Some(why) = self.pulse.is_gone() {
                    return (n, self.not_run(&cases[n], &why));
                }
                tell(Event::Started(&cases[n].id));
                let record = self.run_case(&cases[n], stop).await;
                tell(Event::Finished(&record));
                (n, record)
            }
        });
        running.buffer_unordered(jobs).collect().await
    }

    /// The record of a run that found no grid: nothing ran, and it says why.
    pub fn unreachable(&self, cases: &[Arc<Case>], why: &str) -> RunRecord {
        let cases = cases.iter().map(|case| self.not_run(case, why)).collect();
        let ended = Some(why.to_owned());
        RunRecord { ended, ..self.record(self.target.network.now(), 3, cases) }
    }

    fn record(&self, started: jiff::Timestamp, exit: u8, cases: Vec<CaseRecord>) -> RunRecord {
        RunRecord {
            format: super::FORMAT,
            gridproof: env!("CARGO_PKG_VERSION").into(),
            target: TargetRecord {
                name: self.target.name.clone(),
                login_uri: self.target.login_uri.clone(),
                reference: self.target.reference,
                profile: self.target.profile.clone(),
                accounts: self.pool.size(),
                kind: self.target.kind.clone(),
                version: self.target.version.clone(),
                regions: self.target.regions.clone(),
            },
            started: started.to_string(),
            ms: 0.0,
            interrupted: false,
            ended: None,
            exit,
            cases,
        }
    }

    /// Logs out every session that cases left for others to share.
    pub async fn finish(&self) {
        let mut slots = self.pool.drain();
        let leaving = slots.iter_mut().filter_map(|slot| slot.shared.as_mut());
        let leaving = leaving.map(|shared| shared.viewer.log_out());
        self.unless_gone(futures::future::join_all(leaving)).await;
        self.pool.give_back(slots);
    }

    /// Whether a region could not be reached when it was last looked at.
    pub(super) fn is_suspect(&self, region: &str) -> bool {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).contains(region)
    }

    /// A region could not be reached, or could again.
    pub(super) fn suspect(&self, region: &str, gone: bool) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        match gone {
            true => suspects.insert(region.to_owned()),
            false => suspects.remove(region),
        };
    }

    /// The record of a case that could not even begin.
    pub(super) fn not_run(&self, case: &Case, why: &str) -> CaseRecord {
        let mut record = self.new_record(case, Outcome::Blocked);
        record.reason = Some(why.to_owned());
        record.unjudged = record.requirements.clone();
        record
    }

    pub(super) fn skipped(&self, case: &Case, why: &str) -> CaseRecord {
        let mut record = self.new_record(case, Outcome::Skipped);
        record.reason = Some(why.to_owned());
        record
    }

    pub(super) fn new_record(&self, case: &Case, outcome: Outcome) -> CaseRecord {
        CaseRecord {
            id: case.id.clone(),
            title: case.title.clone(),
            outcome,
            reason: None,
            requirements: self.library.cited_by(case),
            held: Vec::new(),
            unjudged: Vec::new(),
            findings: Vec::new(),
            attempts: 0,
            passes: 0,
            ms: 0.0,
            wire: Vec::new(),
            left_behind: Vec::new(),
            timeline: Vec::new(),
            reproduce: format!("gridproof run '{}'{}", case.id, self.options.reproduce),
        }
    }
}
