//! Runs cases against a target: one at a time on demand, or all of a plan side by side.

use super::case::{Attempt, Stage};
use super::lease::{Pool, Slot};
use super::{CaseRecord, Finding, FindingKind, Outcome, Redactor, RunRecord, Target, TargetRecord};
use crate::client::{Common, Viewer};
use crate::net::{Channel, Timeline, http};
use crate::proto::template::Template;
use crate::suite::{Case, Effects, Library, Profile, SessionUse};
use futures::{FutureExt, StreamExt};
use rand::rngs::StdRng;
use rand::{SeedableRng, seq::SliceRandom};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::watch;

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
    target: Target,
    library: Arc<Library>,
    profile: Profile,
    options: Options,
    common: Common,
    pool: Pool,
    /// Sessions begun so far.
    sessions: AtomicUsize,
    /// An account's own password was refused.
    refused: AtomicBool,
    failed: AtomicBool,
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
        let common = target.common(http::Client::new(), template);
        let pool = Pool::new(target.accounts.clone());
        Self {
            target,
            library,
            profile,
            options,
            common,
            pool,
            sessions: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// Runs a plan. `stop` ends it early: what runs is cleaned up, the rest never begins.
    pub async fn run(
        &self,
        cases: &[Arc<Case>],
        stop: watch::Receiver<bool>,
        tell: &(dyn Fn(Event<'_>) + Send + Sync),
    ) -> RunRecord {
        let started = jiff::Timestamp::now();
        let clock = std::time::Instant::now();
        tell(Event::Planned(cases.len()));
        let jobs = match self.options.jobs {
            0 => self.pool.size().max(1),
            n => n,
        };
        // Those that share sessions first, so that these are used before others end them.
        let mut order: Vec<usize> = (0..cases.len()).collect();
        order.sort_by_key(|&n| (cases[n].session, cases[n].tags.iter().all(|t| t != "slow")));
        if let Some(seed) = self.options.shuffle {
            order.shuffle(&mut StdRng::seed_from_u64(seed));
        }
        let running = futures::stream::iter(order).map(|n| {
            let stop = stop.clone();
            async move {
                if *stop.borrow() || (self.options.fail_fast && self.failed.load(Ordering::Relaxed))
                {
                    return (n, self.skipped(&cases[n], "the run was stopped before it began"));
                }
                tell(Event::Started(&cases[n].id));
                let record = self.run_case(&cases[n], stop).await;
                tell(Event::Finished(&record));
                (n, record)
            }
        });
        let mut records: Vec<(usize, CaseRecord)> = running.buffer_unordered(jobs).collect().await;
        self.finish().await;
        records.sort_by_key(|(n, _)| *n);
        let cases: Vec<CaseRecord> = records.into_iter().map(|(_, record)| record).collect();
        let interrupted = *stop.borrow();
        let exit = self.exit(&cases, interrupted);
        let ms = clock.elapsed().as_secs_f64() * 1e3;
        RunRecord { ms, interrupted, ..self.record(started, exit, cases) }
    }

    /// The record of a run that found no grid: nothing ran, and it says why.
    pub fn unreachable(&self, cases: &[Arc<Case>], why: &str) -> RunRecord {
        let cases = cases.iter().map(|case| self.skipped(case, why)).collect();
        self.record(jiff::Timestamp::now(), 3, cases)
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
            },
            started: started.to_string(),
            ms: 0.0,
            interrupted: false,
            exit,
            cases,
        }
    }

    /// Logs out every session that cases left for others to share.
    pub async fn finish(&self) {
        let mut slots = self.pool.drain();
        let leaving = slots.iter_mut().filter_map(|slot| slot.shared.as_mut());
        futures::future::join_all(leaving.map(|viewer| viewer.log_out())).await;
        self.pool.give_back(slots);
    }

    /// Runs one case, with its retries.
    pub async fn run_case(&self, case: &Arc<Case>, stop: watch::Receiver<bool>) -> CaseRecord {
        if let Some(record) = self.unfit(case) {
            return record;
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut record = self.attempt(case, stop.clone()).await;
            record.attempts = attempts;
            record.passes = u32::from(matches!(record.outcome, Outcome::Pass | Outcome::Warn));
            let again = record.outcome.is_bad() && attempts <= self.options.retries;
            if !again || *stop.borrow() {
                if matches!(record.outcome, Outcome::Fail | Outcome::Blocked | Outcome::Error) {
                    self.failed.store(true, Ordering::Relaxed);
                }
                return record;
            }
        }
    }

    /// The record of a case whose needs are not met here, or that is not allowed.
    fn unfit(&self, case: &Case) -> Option<CaseRecord> {
        if case.effects > self.options.allow && !self.target.is_loopback() {
            let word = format!("{:?}", case.effects).to_lowercase();
            let why = format!("effects = \"{word}\" on a grid elsewhere; --allow {word} runs it");
            return Some(self.skipped(case, &why));
        }
        let missing = self.missing_need(case)?;
        let mut record = self.blank(case, Outcome::Impossible);
        record.reason = Some(missing);
        Some(record)
    }

    fn missing_need(&self, case: &Case) -> Option<String> {
        let (has, needs) = (self.pool.size(), case.actors.len());
        if has < needs {
            return Some(format!("needs {needs} accounts, and {has} are configured"));
        }
        case.needs.iter().find_map(|need| {
            let (name, count) = need.split_once(':').unwrap_or((need, "1"));
            match name {
                "regions" => {
                    let count = count.parse().unwrap_or(1);
                    let few = self.target.regions.len() < count;
                    few.then(|| format!("needs {count} regions named in the credentials file"))
                }
                "neighbour" => self
                    .target
                    .neighbour
                    .is_none()
                    .then(|| "needs a `neighbour` named in the credentials file".to_owned()),
                "distant" => self.target.distant.is_none().then(|| {
                    "needs a region named as `distant` in the credentials file".to_owned()
                }),
                "closed" => {
                    self.target.closed.is_none().then(|| {
                        "needs a region named as `closed` in the credentials file".to_owned()
                    })
                }
                "loopback" => {
                    (!self.target.is_loopback()).then(|| "needs a grid on loopback".to_owned())
                }
                "llsd-login" => {
                    (!self.target.llsd_login).then(|| "this grid has no LLSD login".to_owned())
                }
                _ => None,
            }
        })
    }

    async fn attempt(&self, case: &Arc<Case>, mut stop: watch::Receiver<bool>) -> CaseRecord {
        let share = case.session == SessionUse::Shared && case.actors.len() == 1;
        let mut slots = self.pool.lease(case.actors.len(), share).await;
        let clock = std::time::Instant::now();
        let timeline = Timeline::start();
        let mut viewers = BTreeMap::new();
        for (actor, slot) in case.actors.iter().zip(&mut slots) {
            viewers.insert(actor.clone(), self.viewer(case, actor, slot, share, &timeline).await);
        }
        let timeline = match viewers.values().next() {
            Some(viewer) if share => viewer.timeline.clone(),
            _ => timeline,
        };
        let (library, target) = (&*self.library, &self.target);
        let mut stage = Stage { case, library, target, viewers, timeline };
        let ran = tokio::select! {
            ran = AssertUnwindSafe(stage.run()).catch_unwind() => Some(ran),
            _ = stop.wait_for(|stop| *stop) => None,
        };
        stage.timeline.add("", Channel::Note, '·', super::CLEAN_UP);
        let mut redactor = Redactor::default();
        let mut sharing = None;
        for viewer in stage.viewers.values_mut() {
            self.note_secrets(&mut redactor, viewer);
            self.sessions.fetch_add(viewer.sessions, Ordering::Relaxed);
            self.refused.fetch_or(viewer.refused, Ordering::Relaxed);
        }
        let healthy = matches!(&ran, Some(Ok(attempt)) if attempt.findings.is_empty());
        let worth_sharing = stage.viewers.values().next().is_some_and(|v| v.is_alive());
        if share && healthy && worth_sharing {
            sharing = stage.viewers.pop_first().map(|(_, viewer)| viewer);
        }
        let wire = stage.viewers.values().flat_map(|viewer| viewer.mending.told()).collect();
        let leaving = stage.viewers.values_mut();
        futures::future::join_all(leaving.map(|viewer| viewer.log_out())).await;
        // Leaving may have taken another login.
        stage.viewers.values().for_each(|viewer| self.note_secrets(&mut redactor, viewer));
        let rows = stage.timeline.rows();
        drop(stage);
        if let (Some(viewer), Some(slot)) = (sharing, slots.first_mut()) {
            slot.shared = Some(Box::new(viewer));
        }
        self.pool.give_back(slots);
        let mut record = match ran {
            None => self.skipped(case, "interrupted while it ran"),
            Some(Err(_)) => {
                let mut record = self.blank(case, Outcome::Error);
                record.reason = Some("a step panicked; please report this".into());
                record
            }
            Some(Ok(attempt)) => self.judged(case, attempt),
        };
        record.wire = wire;
        record.timeline = rows;
        record.ms = clock.elapsed().as_secs_f64() * 1e3;
        record.cleaned(&redactor)
    }

    /// A viewer for an actor: the shared session of its account, or a new one.
    async fn viewer(
        &self,
        case: &Case,
        actor: &str,
        slot: &mut Slot,
        share: bool,
        timeline: &Timeline,
    ) -> Viewer {
        if let Some(mut viewer) = slot.shared.take() {
            if share && viewer.is_alive() {
                viewer.timeline.restart();
                viewer.mailbox.forget();
                viewer.name = actor.to_owned();
                return *viewer;
            }
            viewer.log_out().await;
        }
        let credentials = slot.credentials.clone();
        let mut viewer = Viewer::new(actor, credentials, self.common.clone(), timeline.clone());
        viewer.impair = case.impair.clone();
        viewer
    }

    fn note_secrets(&self, redactor: &mut Redactor, viewer: &Viewer) {
        redactor.add("password", &viewer.credentials.password);
        redactor.add("password", &crate::proto::login::hash_password(&viewer.credentials.password));
        for (name, secret) in viewer.secrets.iter().chain(&viewer.heard_secrets()) {
            redactor.add(name, secret);
        }
    }

    fn judged(&self, case: &Case, attempt: Attempt) -> CaseRecord {
        let mut record = self.blank(case, attempt.outcome());
        let Attempt { held, findings, unjudged } = attempt;
        let first = findings.first();
        let open = unjudged.iter().min_by_key(|(_, level)| **level);
        let open = open.map(|(id, level)| format!("{level} {id} was not judged"));
        record.reason = match record.outcome {
            Outcome::Blocked => {
                first_of(&findings, FindingKind::Footing).map(blocked_because).or(open)
            }
            Outcome::Impossible => {
                first_of(&findings, FindingKind::Need).map(|f| f.received.clone())
            }
            Outcome::Error => first_of(&findings, FindingKind::Harness).map(|f| f.received.clone()),
            Outcome::Warn if findings.is_empty() => open,
            _ => first.and_then(|f| f.hint.clone()),
        };
        record.held = held;
        record.unjudged = unjudged.into_keys().collect();
        record.findings = findings;
        self.apply_profile(&mut record);
        record
    }

    /// A failure that the profile describes is known; one that it describes in vain is fixed.
    fn apply_profile(&self, record: &mut CaseRecord) {
        let entries: Vec<_> = self.profile.known.iter().filter(|k| k.case == record.id).collect();
        let Some(first) = entries.first() else { return };
        let recorded = |f: &Finding| {
            entries.iter().any(|k| f.cites(&k.requirement) && f.received.contains(&k.signature))
        };
        match record.outcome {
            // What was not judged was not for what the profile records.
            Outcome::Fail | Outcome::Warn | Outcome::Blocked
                if !record.findings.is_empty() && record.findings.iter().all(recorded) =>
            {
                record.outcome = Outcome::Known;
                record.reason = Some(format!("{} ({})", first.reason, first.source));
            }
            _ => {}
        }
        let broken = |id: &String| record.findings.iter().any(|f| f.cites(id));
        let stale = entries.iter().map(|known| &known.requirement);
        let mut stale = stale.filter(|id| record.held.contains(id) && !broken(id));
        let settled = matches!(record.outcome, Outcome::Pass | Outcome::Known | Outcome::Warn);
        if let (Some(id), true) = (stale.next(), settled) {
            record.outcome = Outcome::Fixed;
            record.reason = Some(format!("{id} is recorded as broken, and it holds"));
        }
    }

    fn skipped(&self, case: &Case, why: &str) -> CaseRecord {
        let mut record = self.blank(case, Outcome::Skipped);
        record.reason = Some(why.to_owned());
        record
    }

    fn blank(&self, case: &Case, outcome: Outcome) -> CaseRecord {
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
            timeline: Vec::new(),
            reproduce: format!("gridproof run '{}'{}", case.id, self.options.reproduce),
        }
    }

    /// The exit code that records add up to.
    fn exit(&self, cases: &[CaseRecord], interrupted: bool) -> u8 {
        let any = |outcome| cases.iter().any(|c: &CaseRecord| c.outcome == outcome);
        let ran = |c: &CaseRecord| !matches!(c.outcome, Outcome::Skipped | Outcome::Impossible);
        let refused = self.refused.load(Ordering::Relaxed);
        let no_login =
            self.sessions.load(Ordering::Relaxed) == 0 && (refused || cases.iter().any(is_barred));
        if interrupted {
            6
        } else if any(Outcome::Error) {
            70
        } else if no_login {
            3
        } else if any(Outcome::Fail)
            || unexplained(cases)
            || (self.options.fail_on_should && any(Outcome::Warn))
            || (self.options.fail_on_impossible && any(Outcome::Impossible))
        {
            1
        } else if any(Outcome::Fixed) {
            5
        } else if !cases.iter().any(ran) {
            4
        } else {
            0
        }
    }
}

/// Whether a login was what blocked a case.
fn is_barred(case: &CaseRecord) -> bool {
    let footing = first_of(&case.findings, FindingKind::Footing);
    let login = |step: &str| step.starts_with("login.") || step == "session.enter";
    case.outcome == Outcome::Blocked && footing.is_some_and(|finding| login(&finding.step))
}

fn first_of(findings: &[Finding], kind: FindingKind) -> Option<&Finding> {
    findings.iter().find(|f| f.kind == kind)
}

fn blocked_because(finding: &Finding) -> String {
    let stage = finding.stage.clone().unwrap_or_else(|| match finding.path.as_str() {
        "" => format!("step {}", finding.step),
        path => format!("step {} at {path}", finding.step),
    });
    format!("{stage}: expected {}, received {}", finding.expected, finding.received)
}

/// Whether a case is blocked by something that no known failure of the same stage explains.
fn unexplained(cases: &[CaseRecord]) -> bool {
    let stages: Vec<&String> = cases
        .iter()
        .filter(|c| c.outcome == Outcome::Known)
        .flat_map(|c| c.findings.iter().filter_map(|f| f.stage.as_ref()))
        .collect();
    cases.iter().filter(|c| c.outcome == Outcome::Blocked).any(|c| {
        let stage = first_of(&c.findings, FindingKind::Footing).and_then(|f| f.stage.as_ref());
        stage.is_none_or(|stage| !stages.contains(&stage))
    })
}
