//! What a suite is, once read.

use super::{Level, Need, Node, NodeKind, Source};
use crate::steps::StepDef;
use crate::tamper::Rule;
use crate::value::{Path, Predicate, Value};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// One file of cases.
#[derive(Debug)]
pub struct Suite {
    /// Its id: the path below `suites/` without ending.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its cases, rows expanded.
    pub cases: Vec<Arc<Case>>,
}

/// A word that cases are chosen by.
pub type Tag = String;

/// What a case does to the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effects {
    /// It only looks.
    Read,
    /// It changes what belongs to its own avatar.
    Write,
    /// It may disturb others: malformed packets, kicked sessions.
    Disrupt,
}

/// Names that a file declares as its own, since nobody else knows them.
#[derive(Clone, Debug, Default)]
pub struct OwnNames {
    /// Events.
    pub events: Vec<String>,
    /// Capabilities.
    pub capabilities: Vec<String>,
}

/// Whether a case needs a session of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionUse {
    /// A session that another case has entered will do.
    Shared,
    /// The session begins with this case.
    Fresh,
}

/// One case, or one row of one.
#[derive(Debug)]
pub struct Case {
    /// The suite's id and its own: unique.
    pub id: String,
    /// What it proves, in a sentence.
    pub title: String,
    /// Words it is chosen by.
    pub tags: Vec<Tag>,
    /// What it needs of the grid.
    pub needs: Vec<Need>,
    /// What it does to the grid.
    pub effects: Effects,
    /// Whether it needs a session of its own.
    pub session: SessionUse,
    /// Its actors; the first is whoever a step does not name.
    pub actors: Vec<String>,
    /// Faults on its wire.
    pub impair: Vec<Rule>,
    /// Requirements of clients that it breaks on purpose.
    pub violates: Vec<String>,
    /// The values of its row.
    pub row: Option<Value>,
    /// The longest it may take altogether.
    pub within: Duration,
    /// What it does.
    pub steps: Vec<Step>,
    /// What is done whatever happened.
    pub always: Vec<Step>,
    /// The requirements it cites, in order of first citation.
    pub requirements: Vec<String>,
    /// Names that its file declares as its own.
    pub own: Arc<OwnNames>,
    /// The file it stands in.
    pub source: Arc<Source>,
    /// Its place in the file.
    pub span: Range<usize>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// One of the program's own steps.
    Step(&'static StepDef),
    /// A procedure, by name.
    Call(String),
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The name of what it returns.
    pub id: Option<String>,
    /// Who does it; the first actor if none.
    pub actor: Option<String>,
    /// Its own keys.
    pub args: Node,
    /// The longest it waits.
    pub within: Option<Duration>,
    /// What its own success proves.
    pub requirements: Vec<String>,
    /// The level where it differs from the requirement's.
    pub level: Option<Level>,
    /// The step that sees the same thing work, by its id.
    pub control: Option<String>,
    /// In clean-up: what is left on the grid where the step does not succeed.
    pub leaves: Option<Node>,
    /// A failed expectation ends the case.
    pub stop: bool,
    /// Repeat until the expectations hold.
    pub eventually: bool,
    /// What is expected of what it returns.
    pub expect: Vec<Expectation>,
    /// The file it stands in.
    pub source: Arc<Source>,
    /// Its place in the file.
    pub span: Range<usize>,
}

/// What `control` names where no step needs to.
pub const ALIVE: &str = "alive";

impl Step {
    /// Whether it proves something by what does not come.
    pub fn proves_absence(&self) -> bool {
        let flag = |key: &str| self.args.get(key).and_then(Node::flag) == Some(true);
        let none = self.args.get("count").is_some_and(|n| matches!(n.kind, NodeKind::Integer(0)));
        let cites = !self.requirements.is_empty();
        cites && (flag("never") || flag("gone") || none)
    }

    /// The step's name as `do` gives it.
    pub fn name(&self) -> &str {
        match &self.action {
            Action::Step(def) => def.name,
            Action::Call(_) => "call",
        }
    }
}

/// One expectation: what must hold at a path.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Where to look.
    pub path: Path,
    /// What must hold there, with operands as written.
    pub predicates: Vec<(Predicate, Node)>,
    /// What it proves; an expectation that proves nothing guards the case's footing.
    pub requirements: Vec<String>,
    /// The level where it differs from the requirement's.
    pub level: Option<Level>,
    /// Where it does not hold the case is impossible on this grid, for lack of this.
    pub need: Option<String>,
    /// Its place in the file.
    pub span: Range<usize>,
}

/// Steps that many cases share.
#[derive(Debug)]
pub struct Procedure {
    /// Its name.
    pub name: String,
    /// What it does.
    pub title: String,
    /// Names of its parameters, and their values where they may be left out.
    pub params: Vec<(String, Option<Node>)>,
    /// What it returns: names and references.
    pub outputs: Vec<(String, Node)>,
    /// Its steps.
    pub steps: Vec<Step>,
    /// The file it stands in.
    pub source: Arc<Source>,
}
