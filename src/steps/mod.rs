//! The steps a suite can use: one file each, and one word in [`STEPS`].
//!
//! A step's file holds its schema, its documentation and its behaviour. To add one, write the
//! file and name it below; the checker, `gridproof steps` and the runner learn of it by that.

mod args;
#[cfg(test)]
mod bench;
mod caps_ask;
mod caps_get;
mod caps_post;
mod caps_seed;
mod caps_upload;
mod check;
mod eq_expect;
mod eq_listen;
mod eq_order;
mod eq_poll;
mod fields;
mod heard;
mod http_raw;
mod http_result;
mod inventory_fetch;
mod inventory_places;
mod inventory_restore;
mod inventory_tree;
mod llsd_parse;
mod login;
mod login_any;
mod neighbour_expect;
mod observes;
mod region_edge;
mod region_find;
mod session_enter;
mod session_logout;
mod side;
mod silence;
mod skeleton;
mod teleport_arrive;
mod udp_acked;
mod udp_close;
mod udp_configure;
mod udp_expect;
mod udp_numbers;
mod udp_open;
mod udp_order;
mod udp_raw;
mod udp_resent;
mod udp_send;

pub use args::Args;
pub use fields::complaints as field_complaints;
pub use http_result::no_body;
pub use observes::{Observes, Said};

use crate::client::Viewer;
use crate::value::Value;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Every step, in the order `gridproof steps` tells them.
pub const STEPS: &[&StepDef] = &[
    &login::STEP,
    &login::XMLRPC_STEP,
    &login::LLSD,
    &login_any::STEP,
    &session_enter::STEP,
    &session_logout::STEP,
    &caps_seed::STEP,
    &caps_get::STEP,
    &caps_post::STEP,
    &caps_ask::STEP,
    &caps_upload::STEP,
    &eq_poll::STEP,
    &eq_listen::STEP,
    &eq_expect::STEP,
    &eq_order::STEP,
    &inventory_fetch::STEP,
    &inventory_tree::STEP,
    &inventory_restore::STEP,
    &region_edge::STEP,
    &region_find::STEP,
    &neighbour_expect::STEP,
    &teleport_arrive::STEP,
    &udp_open::STEP,
    &udp_close::STEP,
    &udp_configure::STEP,
    &udp_send::STEP,
    &udp_raw::STEP,
    &udp_expect::STEP,
    &udp_acked::STEP,
    &udp_order::STEP,
    &udp_numbers::STEP,
    &udp_resent::STEP,
    &silence::STEP,
    &http_raw::STEP,
    &llsd_parse::STEP,
    &check::STEP,
];

/// The step of a name.
pub fn find(name: &str) -> Option<&'static StepDef> {
    STEPS.iter().copied().find(|step| step.name == name)
}

/// What a key of a step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// An integer.
    Integer,
    /// True or false.
    Flag,
    /// A time such as `10s` or `250ms`.
    Time,
    /// One of these texts.
    Word(&'static [&'static str]),
    /// An array of texts.
    Texts,
    /// A table.
    Table,
    /// The name of a message of the template.
    Message,
    /// An array of names of messages of the template.
    Messages,
    /// The name of an event.
    Event,
    /// An array of names of events.
    Events,
    /// The name of a capability.
    Capability,
    /// An array of names of capabilities.
    Capabilities,
    /// Anything.
    Any,
}

impl Kind {
    /// What is expected, for error messages.
    pub fn wants(self) -> String {
        let what = match self {
            Self::Text => "text",
            Self::Word(words) => return format!("one of {}", words.join(", ")),
            Self::Integer => "an integer",
            Self::Flag => "true or false",
            Self::Time => "a time such as \"10s\" or \"250ms\"",
            Self::Texts => "an array of texts",
            Self::Table => "a table",
            Self::Message => "the name of a message of the template",
            Self::Messages => "an array of names of messages of the template",
            Self::Event => "the name of an event",
            Self::Events => "an array of names of events",
            Self::Capability => "the name of a capability",
            Self::Capabilities => "an array of names of capabilities",
            Self::Any => "a value",
        };
        what.to_owned()
    }
}

/// A key of a step.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether the step cannot do without.
    pub required: bool,
    /// What it means.
    pub doc: &'static str,
}

/// A key that may be left out.
const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, required: false, doc }
}

/// A key that must be given.
const fn need(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, required: true, doc }
}

/// What a step returns.
#[derive(Clone, Copy, Debug)]
pub enum Returns {
    /// A map of these members.
    Members(&'static [(&'static str, &'static str)]),
    /// The blocks of the message its `message` names, and `header`.
    Message,
    /// A map whose members the grid decides.
    Open(&'static str),
}

/// Whether and how long a step may be repeated.
#[derive(Clone, Copy)]
pub enum Repeat {
    /// Never.
    No,
    /// Until what is expected holds.
    Yes,
    /// Until what is expected holds, or this says that repeating is in vain.
    Unless(fn(&Value) -> bool),
}

/// How a step waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// For an answer, or not at all.
    ForAnswer,
    /// For what may be missing; nothing of it is judged then.
    ForWhatMayCome,
    /// It watches the circuit that it names, or the one where the avatar stands, so that nothing
    /// comes of it. It lasts as long as it says, and what it saw counts only if whoever could have
    /// spoken is still there.
    WatchingCircuit,
    /// It watches the event queue in the same way.
    WatchingEvents,
}

impl Waits {
    /// Whether it watches.
    pub fn is_watching(self) -> bool {
        matches!(self, Self::WatchingCircuit | Self::WatchingEvents)
    }
}

/// A step: schema, documentation, behaviour.
pub struct StepDef {
    /// Its name, as `do` gives it.
    pub name: &'static str,
    /// What it does, in a sentence or a few.
    pub doc: &'static str,
    /// Its own keys, besides the common ones.
    pub keys: &'static [Key],
    /// What it returns.
    pub returns: Returns,
    /// How long it waits unless `within` says otherwise; zero if it never waits.
    pub within: Duration,
    /// Whether `eventually` may repeat it.
    pub repeatable: Repeat,
    /// How it waits with these keys.
    pub waits: fn(&Args) -> Waits,
    /// What it looks at in what a grid says.
    pub observes: Observes,
    /// What it does.
    pub run: for<'a> fn(Call<'a>) -> Running<'a>,
}

impl std::fmt::Debug for StepDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Keys every step understands.
pub const COMMON_KEYS: &[Key] = &[
    need("do", Kind::Text, "the step's name"),
    key("id", Kind::Text, "the name by which later steps refer to what it returned"),
    key("as", Kind::Text, "which of the case's actors does it; the first if left out"),
    key("account", Kind::Text, "the same as `as`"),
    key("within", Kind::Time, "the longest to wait"),
    key("expect", Kind::Any, "expectations: an array of tables of a path and predicates"),
    key(
        "requirement",
        Kind::Any,
        "what the step's own success proves, one id or an array of them; without it, its failure \
         blocks the case",
    ),
    key("level", Kind::Text, "must, should or may, where it differs from the requirement's"),
    key(
        "control",
        Kind::Text,
        "the id of a step that sees the same thing work; what this one proves is judged only if \
         that one succeeds. \"alive\": that whoever is watched is there is enough",
    ),
    key("stop", Kind::Flag, "a failed expectation ends the case here"),
    key(
        "leaves",
        Kind::Text,
        "in clean-up: what is left on the grid where the step does not succeed; told at the end of \
         the run, and nobody's failure",
    ),
    key("eventually", Kind::Flag, "repeat until the expectations hold or the time is over"),
];

/// One run of a step.
pub struct Call<'a> {
    /// Who does it.
    pub viewer: &'a mut Viewer,
    /// Its keys, references resolved.
    pub args: &'a Args,
    /// How long it may wait, already scaled.
    pub within: Duration,
}

impl Call<'_> {
    /// The circuit a step works on: the one it names, or where the avatar stands.
    fn circuit(&self) -> String {
        self.args.text("circuit").unwrap_or_else(|| self.viewer.root.clone())
    }
}

/// A running step.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send + 'a>>;

/// Why a step did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// What it stands for did not happen: judged by its requirement, or blocking the case.
    Missing {
        /// What should have happened.
        expected: String,
        /// What did.
        received: String,
        /// What was being waited for.
        stage: String,
        /// What the timeline suggests.
        hint: Option<String>,
    },
    /// A request was not answered: what is expected of the answer is broken with it.
    Unanswered {
        /// What came instead.
        received: String,
        /// What was being waited for.
        stage: String,
    },
    /// The ground it stands on is not there: the case is blocked, whatever the step would prove.
    Precondition {
        /// What should have been there.
        expected: String,
        /// What was.
        received: String,
        /// What was being done.
        stage: String,
    },
    /// A need is not met here.
    Impossible(String),
    /// The suite asks for what cannot be done.
    Error(String),
}

impl Failure {
    /// What a grid gave does not fit where the case would use it. What a suite itself writes is
    /// checked before anything runs.
    fn unfit(received: impl Into<String>) -> Self {
        let (stage, expected) = ("using what the grid gave".into(), "a value that fits".into());
        Self::Precondition { stage, expected, received: received.into() }
    }

    fn missing(
        stage: impl Into<String>,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) -> Self {
        let (expected, received, stage) = (expected.into(), received.into(), stage.into());
        Self::Missing { expected, received, stage, hint: None }
    }
}

/// Reads a time such as `10s`, `250ms` or `2m`.
pub fn parse_time(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..split].parse().ok()?;
    let unit = match &text[split..] {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok().filter(|time| time.as_secs() <= 3600)
}

/// A time as suites write it.
pub fn time_text(time: Duration) -> String {
    match time.as_millis() {
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        ms => format!("{ms} ms"),
    }
}
