//! What was seen, as a run record: one case for each requirement of clients.

use super::check_result::{CheckResult, Violation};
use super::visit::Visit;
use super::{Judge, Trial, checks};
use crate::grid::Grid;
use crate::net::Entry;
use crate::net::tap::{Fact, Region};
use crate::net::timeline::row;
use crate::proto::id::AgentId;
use crate::runner::{
    CaseRecord, FORMAT, Finding, FindingKind, Outcome, Redactor, RunRecord, TargetRecord,
};
use crate::suite::{Catalogue, Level, Requirement};
use std::collections::BTreeMap;
use std::time::Duration;

/// What goes into a verdict besides the visits.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// The requirements.
    pub catalogue: &'a Catalogue,
    /// The place that was visited.
    pub visited: Visited,
    /// The trials that its visitors were put to.
    pub trials: &'a [Trial],
    /// When it began to watch.
    pub started: jiff::Timestamp,
    /// How long it watched.
    pub watched: Duration,
    /// A broken SHOULD fails too.
    pub fail_on_should: bool,
    /// A requirement that was not seen fails too.
    pub fail_on_impossible: bool,
    /// The command that does the same again.
    pub reproduce: &'a str,
}

/// What is known of the place that was visited, whoever runs it.
#[derive(Clone, Debug)]
pub struct Visited {
    /// Where to log in.
    pub login_uri: String,
    /// Its regions.
    pub regions: Vec<Region>,
    /// Who may visit, by agent id.
    pub names: BTreeMap<AgentId, String>,
    /// Their passwords, to be kept out of the record.
    pub passwords: Vec<String>,
}

impl Visited {
    /// What is known of a reference grid.
    pub fn of(grid: &Grid) -> Self {
        Self {
            login_uri: grid.login_uri.clone(),
            regions: grid.regions.clone(),
            names: grid.names(),
            passwords: grid.accounts.iter().map(|account| account.password.clone()).collect(),
        }
    }
}

/// Rows of a timeline before and behind what broke a requirement.
const BEFORE: usize = 12;
const BEHIND: usize = 4;

impl Verdict<'_> {
    /// The verdict on every visit so far.
    pub fn record(&self, judge: &Judge) -> RunRecord {
        let (visits, whole) = judge.take(&self.visited.regions, self.watched);
        let mut redactor = Redactor::default();
        for visit in &visits {
            if let Some((session, code)) = visit.session {
                redactor.add("session_id", &session.0.to_string());
                redactor.add("circuit_code", &code.0.to_string());
            }
        }
        for password in &self.visited.passwords {
            redactor.add("password", password);
        }
        let judged = self.catalogue.all.values().filter_map(|requirement| {
            let trial = requirement.judge.as_deref()?;
            let record = self.case(requirement, trial, &visits)?;
            Some(record.cleaned(&redactor))
        });
        let cases: Vec<CaseRecord> = judged.collect();
        let any = |outcome| cases.iter().any(|case| case.outcome == outcome);
        let exit = match () {
            () if any(Outcome::Fail) => 1,
            () if !self.came(&visits) => 4,
            () if self.fail_on_should && any(Outcome::Warn) => 1,
            () if self.fail_on_impossible && any(Outcome::Impossible) => 1,
            () if !whole => 6,
            () => 0,
        };
        RunRecord {
            format: FORMAT,
            gridproof: env!("CARGO_PKG_VERSION").into(),
            target: TargetRecord {
                name: match visits.len() {
                    1 => "1 visit".into(),
                    n => format!("{n} visits"),
                },
                login_uri: self.visited.login_uri.clone(),
                accounts: self.visited.passwords.len(),
                ..TargetRecord::default()
            },
            started: self.started.to_string(),
            ms: self.watched.as_secs_f64() * 1e3,
            interrupted: !whole,
            ended: None,
            exit,
            cases,
        }
    }

    /// Whether anybody logged in, or was not let in on purpose.
    fn came(&self, visits: &[Visit]) -> bool {
        let barred = self.trials.iter().any(|trial| trial.bars);
        visits.iter().any(|visit| barred || visit.session.is_some())
    }

    fn case(&self, requirement: &Requirement, trial: &str, visits: &[Visit]) -> Option<CaseRecord> {
        let check = checks::of(&requirement.id)?;
        let mut record = CaseRecord {
            id: format!("client/{}/{}", requirement.area, requirement.id),
            title: requirement.text.clone(),
            outcome: Outcome::Impossible,
            reason: None,
            requirements: vec![requirement.id.clone()],
            held: Vec::new(),
            unjudged: Vec::new(),
            findings: Vec::new(),
            attempts: 1,
            passes: 0,
            ms: 0.0,
            wire: Vec::new(),
            left_behind: Vec::new(),
            timeline: Vec::new(),
            reproduce: self.reproduce.to_owned(),
        };
        if trial != "visit" && !self.trials.iter().any(|on| on.id == trial) {
            record.reason = Some(format!("not tried: --trial {trial}"));
            record.reproduce.push_str(&format!(" --trial {trial}"));
            return Some(record);
        }
        record.reason = Some("nobody came".into());
        let (mut held, mut broken) = (0, 0);
        for visit in visits {
            match check(visit) {
                CheckResult::NotObserved(why) => record.reason = Some(why.into()),
                CheckResult::Held => held += 1,
                CheckResult::Broken(how) => {
                    broken += 1;
                    // One visit shows it; that there are others is said.
                    if broken == 1 {
                        record.timeline = self.rows(visit, how.at);
                        record.findings.push(finding(requirement, how, self.name(visit.agent)));
                    }
                }
            }
        }
        if let (Some(finding), true) = (record.findings.first_mut(), held + broken > 1) {
            finding.hint = Some(format!("broken in {broken} of {} visits", held + broken));
        }
        record.outcome = match (broken == 0, held > 0, requirement.level) {
            (false, _, Level::Must) => Outcome::Fail,
            (false, ..) => Outcome::Warn,
            (true, true, _) => Outcome::Pass,
            (true, false, _) => Outcome::Impossible,
        };
        if record.outcome != Outcome::Impossible {
            record.reason = None;
        }
        if record.outcome == Outcome::Pass {
            record.held = vec![requirement.id.clone()];
            record.passes = 1;
        }
        Some(record)
    }

    fn name(&self, agent: AgentId) -> String {
        self.visited.names.get(&agent).cloned().unwrap_or_else(|| "a visitor".into())
    }

    /// The timeline of a visit around one of its events.
    fn rows(&self, visit: &Visit, at: usize) -> Vec<Entry> {
        let start = visit.events.first().map_or(Duration::ZERO, |heard| heard.at);
        let from = at.saturating_sub(BEFORE);
        let to = (at + BEHIND + 1).min(visit.events.len());
        let rows = visit.events.get(from..to).unwrap_or_default();
        rows.iter().map(|heard| self.row(heard, start)).collect()
    }

    fn row(&self, heard: &Fact, start: Duration) -> Entry {
        let (channel, direction, text) = row(&heard.what);
        let region = self.visited.regions.get(heard.region.0).map(|region| region.name.clone());
        Entry {
            ms: heard.at.saturating_sub(start).as_secs_f64() * 1e3,
            actor: region.unwrap_or_default(),
            channel,
            direction,
            text,
        }
    }
}

fn finding(requirement: &Requirement, broken: Violation, who: String) -> Finding {
    Finding {
        kind: FindingKind::Broken,
        requirement: Some(requirement.id.clone()),
        also: Vec::new(),
        level: Some(requirement.level),
        sentence: Some(requirement.text.clone()),
        source: Some(requirement.source.clone()),
        step: "visit".into(),
        path: String::new(),
        expected: broken.expected,
        received: format!("{} ({who})", broken.received),
        stage: None,
        hint: None,
        place: None,
    }
}
