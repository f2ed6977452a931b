//! One attempt of one case: its steps, its clean-up, its outcome.

use super::judge;
use super::scope::Scope;
use super::{Finding, FindingKind, Outcome, Target};
use crate::client::{Dead, Observed, Viewer, What};
use crate::net::udp::CircuitEvent;
use crate::net::{Timeline, Undecodable};
use crate::steps::{Args, Call, Failure, Repeat, StepDef, Waits};
use crate::suite::{ALIVE, Action, Case, Level, Library, Step};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// What a case works with.
pub(super) struct Stage<'a> {
    pub case: &'a Case,
    pub library: &'a Library,
    pub target: &'a Target,
    pub viewers: BTreeMap<String, Viewer>,
    pub timeline: Timeline,
}

/// What an attempt brought.
#[derive(Default)]
pub(super) struct Attempt {
    pub held: Vec<String>,
    pub findings: Vec<Finding>,
    /// What was cited and not judged, at least in one place.
    pub unjudged: BTreeMap<String, Level>,
    /// What was cited of an answer that never came, where that it did not come is told as broken:
    /// there is nothing to judge, and nothing is blocked.
    pub moot: BTreeSet<String>,
    /// Steps that succeeded, by id.
    succeeded: BTreeSet<String>,
    /// What was judged and counts only if a control succeeds: the control, and what.
    controlled: Vec<(String, Vec<judge::Citation>)>,
    /// What it made on the grid and could not remove.
    pub left_behind: Vec<String>,
    /// Somebody the case talked to was there at its end, or it talked to nobody who could be.
    pub shown: bool,
}

impl Attempt {
    /// What was cited and will not be judged.
    fn leave(&mut self, citations: impl IntoIterator<Item = judge::Citation>) {
        for (id, level) in citations {
            let known = self.unjudged.entry(id).or_insert(level);
            *known = (*known).min(level);
        }
    }

    /// Everything that is cited is one of three: broken, not judged somewhere, or held.
    fn settle(&mut self, citations: impl IntoIterator<Item = judge::Citation>) {
        for (control, what) in std::mem::take(&mut self.controlled) {
            if !self.succeeded.contains(&control) {
                self.leave(what);
            }
        }
        let broken = |id: &str| self.findings.iter().any(|finding| finding.cites(id));
        let judged: BTreeSet<String> = self.held.drain(..).filter(|id| !broken(id)).collect();
        let open = |id: &String| !judged.contains(id) && !self.moot.contains(id);
        let never = citations.into_iter().filter(|(id, _)| open(id));
        let never: Vec<judge::Citation> = never.collect();
        self.leave(never);
        let Self { held, findings, unjudged, moot, .. } = self;
        moot.retain(|id| !unjudged.contains_key(id) && !judged.contains(id));
        unjudged.retain(|id, _| !findings.iter().any(|finding| finding.cites(id)));
        held.extend(judged.into_iter().filter(|id| !unjudged.contains_key(id)));
    }

    /// Whether somebody was found to be gone.
    fn is_mourning(&self) -> bool {
        self.findings.iter().any(judge::is_dead)
    }

    /// The outcome that it adds up to.
    pub(super) fn outcome(&self) -> Outcome {
        let any = |kind| self.findings.iter().any(|f: &Finding| f.kind == kind);
        let broken = |level| self.findings.iter().any(|f| f.level == Some(level));
        let open = |level| self.unjudged.values().any(|unjudged| *unjudged == level);
        // Of nothing that was cited is anything known.
        let idle = self.held.is_empty() && self.findings.is_empty() && !self.unjudged.is_empty();
        if any(FindingKind::Harness) {
            Outcome::Error
        } else if broken(Level::Must) {
            Outcome::Fail
        } else if any(FindingKind::Precondition) {
            Outcome::Blocked
        } else if any(FindingKind::Need) {
            Outcome::Impossible
        } else if open(Level::Must) || idle {
            Outcome::Blocked
        } else if broken(Level::Should) || open(Level::Should) {
            Outcome::Warn
        } else {
            Outcome::Pass
        }
    }
}

/// What was heard breaks a requirement by itself: which, what is right, and what it was.
struct Unfit {
    requirement: &'static str,
    right: &'static str,
    what: String,
}

/// What of what was heard does.
fn unfit(heard: &[Observed]) -> Vec<Unfit> {
    const WHOLE: &str = "datagrams that hold what their message has, and no more";
    const HELD: &str = "polls of the event queue that are held until there is something to tell, \
                        for 10 s at least";
    let found = heard.iter().filter_map(|observed| match &observed.what {
        What::Udp(seen) => match &**seen {
            CircuitEvent::Bad(_, Undecodable::Unknown) => None,
            CircuitEvent::Bad(sequence, how) => {
                Some(("PKT-SERVER-DECODES-1", WHOLE, format!("#{sequence}, {how}")))
            }
            CircuitEvent::Message { message, header, trailing, .. } if *trailing > 0 => {
                let what = format!("#{} {}, {trailing} bytes", header.sequence, message.name());
                Some(("PKT-SERVER-TRAILING-1", WHOLE, what))
            }
            _ => None,
        },
        What::Early(what) => Some(("EQ-EARLY-1", HELD, what.clone())),
        What::Event(_) | What::Trouble(_) => None,
    });
    found.map(|(requirement, right, what)| Unfit { requirement, right, what }).collect()
}

type Going<'b> = Pin<Box<dyn Future<Output = bool> + Send + 'b>>;

impl Stage<'_> {
    /// Runs the steps, then, whatever happened, the `always` steps: these are nobody's failure.
    pub(super) async fn run(&mut self) -> Attempt {
        let mut attempt = Attempt::default();
        let actors: Vec<_> =
            self.viewers.iter().map(|(n, v)| (n.clone(), v.credentials.clone())).collect();
        let mut scope = Scope::new(&self.case.id, self.target, &actors);
        scope.actor = self.case.actors.first().cloned().unwrap_or_default();
        if let Some(row) = &self.case.row {
            scope.set_row(row.clone());
        }
        let case = self.case;
        let limit = case.within.mul_f64(self.target.time_scale);
        let ran = tokio::time::timeout(limit, self.steps(&case.steps, &mut scope, &mut attempt));
        if ran.await.is_err() {
            self.overdue(&mut attempt);
        }
        self.impaired(&mut attempt);
        self.unfit(&mut attempt);
        attempt.shown = attempt.is_mourning() || self.is_still_there(&mut attempt).await;
        let limit = Duration::from_secs(30).mul_f64(self.target.time_scale);
        scope.clean_up();
        let mut cleaning = Attempt::default();
        let always = self.steps(&case.always, &mut scope, &mut cleaning);
        if tokio::time::timeout(limit, always).await.is_err() {
            let what = "whatever it made: removing it took too long";
            cleaning.left_behind.push(what.to_owned());
        }
        attempt.left_behind = cleaning.left_behind;
        attempt.settle(case.steps.iter().flat_map(|step| judge::citations(step, self.library)));
        attempt
    }

    /// A case whose impairment never happened did not test what it says: what it found is not
    /// judged.
    fn impaired(&self, attempt: &mut Attempt) {
        let Some(step) = self.case.steps.first() else { return };
        let idle = (0..self.case.impair.len())
            .filter(|at| self.case.impair[*at].chance >= 1.0)
            .find(|at| self.viewers.values().all(|viewer| viewer.impaired.of(*at) == 0));
        let Some(rule) = idle.and_then(|at| self.case.impair.get(at)) else { return };
        attempt.findings.retain(|finding| finding.kind != FindingKind::Broken);
        attempt.held.clear();
        let mut finding = judge::new_finding(step);
        let message = rule.message.as_deref().unwrap_or("any message");
        finding.expected = format!("{message} on the wire, to be impaired");
        finding.received = "none that the rule could be applied to".into();
        finding.stage = Some("impairing the wire".into());
        attempt.findings.push(finding);
    }

    fn overdue(&self, attempt: &mut Attempt) {
        let Some(step) = self.case.steps.first() else { return };
        let mut finding = judge::new_finding(step);
        finding.expected = format!("the case to end within {:?}", self.case.within);
        finding.received = "it was still running".into();
        finding.stage = Some("running the case".into());
        attempt.findings.push(finding);
    }

    /// Runs steps in order; false if the case should go no further. Clean-up does what it can.
    fn steps<'b>(
        &'b mut self,
        steps: &'b [Step],
        scope: &'b mut Scope,
        attempt: &'b mut Attempt,
    ) -> Going<'b> {
        Box::pin(async move {
            for (n, step) in steps.iter().enumerate() {
                let done = self.step(step, scope, attempt).await;
                if scope.is_cleaning() {
                    Self::left_behind(step, scope, attempt);
                } else if !done {
                    let rest = steps[n + 1..].iter();
                    attempt.leave(rest.flat_map(|step| judge::citations(step, self.library)));
                    return false;
                }
            }
            true
        })
    }

    /// What a step of clean-up that did not succeed leaves on the grid.
    fn left_behind(step: &Step, scope: &Scope, attempt: &mut Attempt) {
        let found = !std::mem::take(&mut attempt.findings).is_empty();
        let leaves = step.leaves.as_ref().filter(|_| found);
        if let Some(Ok(what)) = leaves.map(|leaves| scope.resolve(leaves)) {
            attempt.left_behind.extend(what.as_text());
        }
    }

    /// Runs a step; false if the case should go no further.
    async fn step(&mut self, step: &Step, scope: &mut Scope, attempt: &mut Attempt) -> bool {
        let actor = step.actor.clone().unwrap_or_else(|| scope.actor.clone());
        scope.set_account(&actor, self.target.network.now());
        let control = step.control.as_deref();
        let absent = || self.viewers.get(&actor).is_none_or(|viewer| viewer.session().is_none());
        if scope.is_cleaning() && absent() {
            // Whoever never came in left nothing to clean.
            attempt.leave(judge::citations(step, self.library));
            return true;
        }
        if scope.lacks(&step.args) || control.is_some_and(|id| scope.has_failed(id)) {
            // What it builds on did not come, which has been told.
            attempt.leave(judge::citations(step, self.library));
            step.id.iter().for_each(|id| scope.lack(id));
            return true;
        }
        let args = match scope.resolve(&step.args) {
            Ok(args) => args,
            Err(what) => {
                let mut finding = judge::new_finding(step);
                finding.expected = "a value to go on with".into();
                finding.received = what;
                attempt.findings.push(finding);
                attempt.leave(judge::citations(step, self.library));
                return false;
            }
        };
        let (result, verdict) = match &step.action {
            Action::Call(_) => match self.call(step, &actor, &args, scope, attempt).await {
                Some(outputs) => {
                    let verdict =
                        judge::expectations(step, &outputs, scope, &self.library.catalogue);
                    (Ok(outputs), verdict)
                }
                None => return false,
            },
            Action::Step(def) => self.perform(step, def, &actor, Args(args), scope).await,
        };
        match result {
            Ok(value) => {
                let goes_on = self.judged(step, value, verdict, scope, attempt);
                goes_on && self.watched_somebody(step, &actor, scope, attempt).await
            }
            Err(failure) => self.failed(step, failure, scope, attempt),
        }
    }

    /// Whether whoever a step watched is still there; if not, the case goes no further.
    async fn watched_somebody(
        &self,
        step: &Step,
        actor: &str,
        scope: &Scope,
        attempt: &mut Attempt,
    ) -> bool {
        let (Action::Step(def), Ok(args)) = (&step.action, scope.resolve(&step.args)) else {
            return true;
        };
        let args = Args(args);
        let watched = (def.waits)(&args);
        let Some(viewer) = self.viewers.get(actor).filter(|_| watched.is_watching()) else {
            return true;
        };
        let circuit = args.text("circuit").unwrap_or_else(|| viewer.root.clone());
        let there = match watched {
            Waits::WatchingEvents => viewer.queue_lives().and(viewer.circuit_lives(&circuit).await),
            _ => viewer.circuit_lives(&circuit).await,
        };
        let Err(dead) = there else { return true };
        attempt.findings.push(judge::dead(step, &dead));
        // What was not heard of the dead proves nothing.
        attempt.held.retain(|id| !step.requirements.contains(id));
        attempt.leave(judge::citations(step, self.library));
        false
    }

    /// What no viewer can read, or minds, breaks a requirement whatever the case is about: each told
    /// once.
    fn unfit(&self, attempt: &mut Attempt) {
        if !self.case.impair.is_empty() {
            // The case's own wire may have made it so.
            return;
        }
        let Some(step) = self.case.steps.last() else { return };
        let mut seen: BTreeMap<&str, (Unfit, usize)> = BTreeMap::new();
        for unfit in self.viewers.values().flat_map(|v| v.mailbox.with(|all| unfit(all))) {
            seen.entry(unfit.requirement).or_insert((unfit, 0)).1 += 1;
        }
        for (requirement, (first, count)) in seen {
            if !attempt.findings.iter().any(|finding| finding.cites(requirement)) {
                let catalogue = &self.library.catalogue;
                let received = format!("{count} others, the first: {}", first.what);
                let said = (first.right.to_owned(), received);
                attempt.findings.push(judge::unfit(step, requirement, said, catalogue));
            }
        }
    }

    /// Sees that whoever the case talked to is there at its end. False where nothing shows it
    /// either way: logging out may.
    async fn is_still_there(&self, attempt: &mut Attempt) -> bool {
        let mut shown = self.viewers.values().all(|viewer| viewer.sessions == 0);
        for viewer in self.viewers.values() {
            match viewer.is_still_there().await {
                Ok(alive) => shown |= alive,
                Err(dead) => {
                    self.mourn(&dead, attempt);
                    return true;
                }
            }
        }
        shown
    }

    /// Whoever the case talked to is gone.
    pub(super) fn mourn(&self, dead: &Dead, attempt: &mut Attempt) {
        attempt.findings.extend(self.case.steps.last().map(|step| judge::dead(step, dead)));
    }

    /// Keeps what a step brought; false if the case should go no further.
    fn judged(
        &self,
        step: &Step,
        value: Value,
        verdict: judge::Verdict,
        scope: &mut Scope,
        attempt: &mut Attempt,
    ) -> bool {
        if let Some(id) = &step.id {
            scope.set(id, value);
            match verdict.findings.is_empty() {
                true => drop(attempt.succeeded.insert(id.clone())),
                false => scope.lack(id),
            }
        }
        if let Some(control) = step.control.as_ref().filter(|control| *control != ALIVE) {
            let what = judge::citations(step, self.library);
            attempt.controlled.push((control.clone(), what));
        }
        let precondition = verdict.findings.iter().any(|f| f.kind != FindingKind::Broken);
        let stop = precondition || (step.stop && !verdict.findings.is_empty());
        attempt.held.extend(verdict.held);
        attempt.leave(verdict.unjudged);
        attempt.findings.extend(verdict.findings);
        !stop
    }

    /// Tells of a step that did not succeed; false if the case should go no further. A broken
    /// SHOULD or MAY ends nothing but what builds on it, nor does what was only watched for.
    fn failed(
        &self,
        step: &Step,
        failure: Failure,
        scope: &mut Scope,
        attempt: &mut Attempt,
    ) -> bool {
        let finding = judge::failure(step, failure, &self.library.catalogue);
        let broken = finding.kind == FindingKind::Broken;
        let level = finding.level;
        let light = level.is_some_and(|level| level > Level::Must);
        let watching = |def: &StepDef| (def.waits)(&Args(step.args.value())).is_watching();
        let watched = match &step.action {
            Action::Step(def) => step.id.is_none() && watching(def),
            Action::Call(_) => false,
        };
        let told = |id: &str| attempt.findings.iter().any(|earlier| earlier.cites(id));
        // What is broken already is not broken once more by what follows from it.
        if !(broken && finding.requirements().all(told)) {
            attempt.findings.push(finding);
        }
        let expected = judge::expected(step, &self.library.catalogue);
        match broken && level == Some(Level::Should) {
            true => attempt.moot.extend(expected.into_iter().map(|(id, _)| id)),
            false => attempt.leave(expected),
        }
        step.id.iter().for_each(|id| scope.lack(id));
        broken && (light || watched) && !step.stop
    }

    /// Performs a step; with `eventually` again and again until its expectations hold.
    async fn perform(
        &mut self,
        step: &Step,
        def: &StepDef,
        actor: &str,
        args: Args,
        scope: &Scope,
    ) -> (Result<Value, Failure>, judge::Verdict) {
        let Some(viewer) = self.viewers.get_mut(actor) else {
            let what = format!("the case has no actor `{actor}`");
            return (Err(Failure::Error(what)), judge::Verdict::default());
        };
        let own = step.within.unwrap_or(def.within);
        let waits = (def.waits)(&args);
        let within = if waits.is_watching() { own } else { viewer.common.patience(own) };
        let deadline = Instant::now() + within;
        let pause = viewer.common.watch(Duration::from_millis(500)).max(Duration::from_millis(10));
        loop {
            let call = Call { viewer: &mut *viewer, args: &args, within };
            let result = (def.run)(call).await;
            let verdict = match &result {
                // An optional message that did not come is nothing to judge.
                Ok(Value::Undef) if waits == Waits::ForWhatMayCome => judge::Verdict {
                    unjudged: judge::citations(step, self.library),
                    ..judge::Verdict::default()
                },
                Ok(value) => judge::expectations(step, value, scope, &self.library.catalogue),
                Err(_) => judge::Verdict::default(),
            };
            let settled = result.is_ok() && verdict.findings.is_empty();
            let vain = match (&result, def.repeatable) {
                (Ok(value), Repeat::Unless(vain)) => vain(value),
                _ => false,
            };
            if !step.eventually || settled || vain || Instant::now() + pause >= deadline {
                return (result, verdict);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Runs a procedure; what it returns, or nothing if a step of it went wrong.
    async fn call(
        &mut self,
        step: &Step,
        actor: &str,
        args: &Value,
        scope: &mut Scope,
        attempt: &mut Attempt,
    ) -> Option<Value> {
        let Action::Call(name) = &step.action else { return None };
        let procedure = self.library.procedures.get(name)?.clone();
        let given = args.get("with").cloned().unwrap_or_default();
        let mut params = Vec::new();
        for (param, default) in &procedure.params {
            let value = given.get(param).cloned();
            let value = value.or_else(|| default.as_ref().map(crate::suite::Node::value));
            params.push((param.clone(), value.unwrap_or_default()));
        }
        let mut inner = scope.inner(actor, Value::Map(params));
        self.timeline.remark(&format!("procedure {name}"));
        if !self.steps(&procedure.steps, &mut inner, attempt).await {
            return None;
        }
        let mut outputs = Vec::new();
        for (output, node) in &procedure.outputs {
            match inner.resolve(node) {
                Ok(value) => outputs.push((output.clone(), value)),
                Err(_) => step.id.iter().for_each(|id| scope.lack(id)),
            }
        }
        Some(Value::Map(outputs))
    }
}
