//! The run record: what was run, how it ended and why. Reports are made from nothing else.

use super::{Outcome, Redactor};
use crate::net::Entry;
use crate::suite::Level;

/// The version of the record's format, raised when a member changes its meaning.
pub const FORMAT: u32 = 1;

/// The row of a timeline behind which the case's own steps are over.
pub const CLEAN_UP: &str = "the case's steps are over; cleaning up";

/// A whole run.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct RunRecord {
    /// The version of this format.
    pub format: u32,
    /// The program's version.
    pub gridproof: String,
    /// The grid.
    pub target: TargetRecord,
    /// When the run began, ISO 8601.
    pub started: String,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// The run was stopped before its end.
    pub interrupted: bool,
    /// Why the grid ended it, or kept it from beginning.
    #[serde(default)]
    pub ended: Option<String>,
    /// The exit code it led to.
    pub exit: u8,
    /// One record per planned case, in the order planned.
    pub cases: Vec<CaseRecord>,
}

/// The grid of a run.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct TargetRecord {
    /// Its name.
    pub name: String,
    /// Where to log in.
    pub login_uri: String,
    /// It is the embedded reference grid.
    pub reference: bool,
    /// The profile applied.
    pub profile: Option<String>,
    /// How many accounts there were.
    pub accounts: usize,
    /// What kind of grid it is, as it says itself.
    #[serde(default)]
    pub kind: Option<String>,
    /// Its software and version, as it says itself.
    #[serde(default)]
    pub version: Option<String>,
    /// Its regions, the first being where cases went.
    #[serde(default)]
    pub regions: Vec<String>,
}

/// One case.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct CaseRecord {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in a sentence, where the outcome does not say it.
    pub reason: Option<String>,
    /// The requirements it cites, itself or by the procedures it calls.
    pub requirements: Vec<String>,
    /// The requirements that were judged and held.
    pub held: Vec<String>,
    /// Those that were not judged, or not everywhere it cites them: the steps that would have did
    /// not run, or had nothing to judge.
    #[serde(default)]
    pub unjudged: Vec<String>,
    /// What went wrong.
    pub findings: Vec<Finding>,
    /// How often it was run.
    pub attempts: u32,
    /// How often it passed.
    pub passes: u32,
    /// How long the last attempt took, in milliseconds.
    pub ms: f64,
    /// What an impaired wire did to messages, and who made up for it after how long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wire: Vec<String>,
    /// What it made on the grid and could not remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<String>,
    /// What happened, on all channels.
    pub timeline: Vec<Entry>,
    /// The command that runs just this case.
    pub reproduce: String,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// A requirement was broken.
    Broken,
    /// The case's own footing gave way.
    #[serde(rename = "footing")]
    Precondition,
    /// A need is not met.
    Need,
    /// The harness or the suite is at fault.
    Harness,
}

/// One thing that went wrong.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The requirement, where one is cited.
    pub requirement: Option<String>,
    /// Further requirements that the same expectation cites.
    #[serde(default)]
    pub also: Vec<String>,
    /// Its level.
    pub level: Option<Level>,
    /// Its sentence.
    pub sentence: Option<String>,
    /// Where it is written.
    pub source: Option<String>,
    /// The step's name.
    pub step: String,
    /// Where in what the step returned; empty for the step itself.
    pub path: String,
    /// What was expected.
    pub expected: String,
    /// What was received.
    pub received: String,
    /// What was being waited for, if anything.
    pub stage: Option<String>,
    /// What the timeline suggests.
    pub hint: Option<String>,
    /// Where in the suite it stands.
    pub place: Option<Place>,
}

/// A place in a suite.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// How many characters it covers on its line.
    pub width: usize,
    /// The line's text.
    pub text: String,
}

impl Finding {
    /// Whether it is about this requirement.
    pub fn cites(&self, id: &str) -> bool {
        self.requirements().any(|cited| cited == id)
    }

    /// Every requirement it is about.
    pub fn requirements(&self) -> impl Iterator<Item = &str> {
        self.requirement.as_deref().into_iter().chain(self.also.iter().map(String::as_str))
    }
}

impl CaseRecord {
    /// Whether it could not even begin, for the grid's sake.
    pub fn never_ran(&self) -> bool {
        self.outcome == Outcome::Blocked && self.attempts == 0
    }

    /// Whether the grid went away while it ran.
    pub fn is_lost(&self, run: &RunRecord) -> bool {
        self.outcome == Outcome::Blocked && run.ended.is_some() && self.reason == run.ended
    }

    /// What a pass does not say by itself: a MAY that was broken, or one that was not judged.
    pub fn notes(&self) -> Vec<String> {
        if self.outcome != Outcome::Pass {
            return Vec::new();
        }
        let broken = self.findings.iter().map(|finding| {
            let id = finding.requirement.as_deref().unwrap_or_default();
            format!("MAY {id}: expected {}, received {}", finding.expected, finding.received)
        });
        let unjudged = self.unjudged.iter().map(|id| format!("MAY {id} was not judged"));
        let silent = self.requirements.is_empty().then(|| "it cites no requirement".to_owned());
        broken.chain(unjudged).chain(silent).collect()
    }

    /// The record without secrets.
    pub fn cleaned(mut self, redactor: &Redactor) -> Self {
        // What a grid says is shown on terminals: no control character of its goes there.
        let clean = |text: &mut String| {
            *text = redactor.clean(text).replace(unprintable, "\u{fffd}");
        };
        let clean_some = |text: &mut Option<String>| text.as_mut().map_or((), clean);
        clean_some(&mut self.reason);
        for finding in &mut self.findings {
            clean(&mut finding.expected);
            clean(&mut finding.received);
            clean_some(&mut finding.stage);
            clean_some(&mut finding.hint);
        }
        self.left_behind.iter_mut().for_each(clean);
        self.timeline.iter_mut().for_each(|row| clean(&mut row.text));
        self
    }
}

/// Control characters, and marks that turn the direction of text.
fn unprintable(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl RunRecord {
    /// How many cases ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cases.iter().filter(|case| case.outcome == outcome).count()
    }
}
