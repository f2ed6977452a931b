//! One attempt of one case: its steps, its clean-up, its outcome.

use super::judge;
use super::scope::Scope;
use super::{Finding, FindingKind, Outcome, Target};
use crate::client::Viewer;
use crate::net::{Channel, Timeline};
use crate::steps::{Args, Call, Failure, Repeat, StepDef};
use crate::suite::{Action, Case, Level, Library, Step};
use crate::value::Value;
use std::collections::BTreeMap;
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
}

type Going<'b> = Pin<Box<dyn Future<Output = bool> + Send + 'b>>;

impl Stage<'_> {
    /// Runs the steps, then, whatever happened, the `always` steps.
    pub async fn run(&mut self) -> Attempt {
        let mut attempt = Attempt::default();
        let actors: Vec<_> =
            self.viewers.iter().map(|(n, v)| (n.clone(), v.credentials.clone())).collect();
        let mut scope = Scope::new(&self.case.id, self.target, &actors);
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
        let limit = Duration::from_secs(30).mul_f64(self.target.time_scale);
        let always = self.steps(&case.always, &mut scope, &mut attempt);
        if tokio::time::timeout(limit, always).await.is_err() {
            self.overdue(&mut attempt);
        }
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
        let mut finding = judge::blank(step);
        let message = rule.message.as_deref().unwrap_or("any message");
        finding.expected = format!("{message} on the wire, to be impaired");
        finding.received = "none that the rule could be applied to".into();
        finding.stage = Some("impairing the wire".into());
        attempt.findings.push(finding);
    }

    fn overdue(&self, attempt: &mut Attempt) {
        let Some(step) = self.case.steps.first() else { return };
        let mut finding = judge::blank(step);
        finding.expected = format!("the case to end within {:?}", self.case.within);
        finding.received = "it was still running".into();
        finding.stage = Some("running the case".into());
        attempt.findings.push(finding);
    }

    /// Runs steps in order; false if the case should go no further.
    fn steps<'b>(
        &'b mut self,
        steps: &'b [Step],
        scope: &'b mut Scope,
        attempt: &'b mut Attempt,
    ) -> Going<'b> {
        Box::pin(async move {
            for step in steps {
                if !self.step(step, scope, attempt).await {
                    return false;
                }
            }
            true
        })
    }

    async fn step(&mut self, step: &Step, scope: &mut Scope, attempt: &mut Attempt) -> bool {
        let first = self.case.actors.first().cloned().unwrap_or_default();
        let actor = step.actor.clone().unwrap_or(first);
        scope.set_account(&actor);
        let args = match scope.resolve(&step.args) {
            Ok(args) => args,
            Err(what) => {
                let mut finding = judge::blank(step);
                finding.expected = "a value to go on with".into();
                finding.received = what;
                attempt.findings.push(finding);
                return false;
            }
        };
        let (result, verdict) = match &step.action {
            Action::Call(name) => match self.call(name, &args, scope, attempt).await {
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
                if let Some(id) = &step.id {
                    scope.set(id, value);
                }
                let footing = verdict.findings.iter().any(|f| f.kind != FindingKind::Broken);
                let stop = footing || (step.stop && !verdict.findings.is_empty());
                attempt.held.extend(verdict.held);
                attempt.findings.extend(verdict.findings);
                !stop
            }
            Err(failure) => {
                // What was only watched for leaves the rest of the case standing.
                let watched = step.args.get("never").is_some() && step.id.is_none();
                let finding = judge::failure(step, failure, &self.library.catalogue);
                let broken = finding.kind == FindingKind::Broken;
                attempt.findings.push(finding);
                broken && watched && !step.stop
            }
        }
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
        let absent = ["never", "gone"].iter().any(|key| args.flag(key) == Some(true));
        let watching = absent || args.get("count").is_some();
        let within = if watching { own } else { viewer.common.patience(own) };
        let deadline = Instant::now() + within;
        let pause = viewer.common.watch(Duration::from_millis(500)).max(Duration::from_millis(10));
        loop {
            let call = Call { viewer: &mut *viewer, args: &args, within };
            let result = (def.run)(call).await;
            let verdict = match &result {
                // An optional message that did not come is nothing to judge.
                Ok(Value::Undef) if args.flag("optional") == Some(true) => Default::default(),
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
        name: &str,
        args: &Value,
        scope: &Scope,
        attempt: &mut Attempt,
    ) -> Option<Value> {
        let procedure = self.library.procedures.get(name)?.clone();
        let given = args.get("with").cloned().unwrap_or_default();
        let mut params = Vec::new();
        for (param, default) in &procedure.params {
            let value = given.get(param).cloned();
            let value = value.or_else(|| default.as_ref().map(crate::suite::Node::value));
            params.push((param.clone(), value.unwrap_or_default()));
        }
        let mut inner = scope.inner(Value::Map(params));
        self.timeline.add("", Channel::Note, '·', format!("procedure {name}"));
        if !self.steps(&procedure.steps, &mut inner, attempt).await {
            return None;
        }
        let outputs = procedure.outputs.iter();
        let outputs = outputs.filter_map(|(n, node)| Some((n.clone(), inner.resolve(node).ok()?)));
        Some(Value::Map(outputs.collect()))
    }
}

/// The outcome that findings add up to.
pub(super) fn outcome(findings: &[Finding]) -> Outcome {
    let any = |kind| findings.iter().any(|f: &Finding| f.kind == kind);
    let level =
        |level| findings.iter().any(|f| f.kind == FindingKind::Broken && f.level == Some(level));
    if any(FindingKind::Harness) {
        Outcome::Error
    } else if level(Level::Must) {
        Outcome::Fail
    } else if any(FindingKind::Footing) {
        Outcome::Blocked
    } else if any(FindingKind::Need) {
        Outcome::Impossible
    } else if level(Level::Should) {
        Outcome::Warn
    } else {
        Outcome::Pass
    }
}
