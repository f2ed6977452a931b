//! Rules that change what passes: drop, delay, double, reorder, corrupt, remove, set, retype. Data,
//! not code.
//!
//! A [`Tamper`] sits on one wire of datagrams and counts what passes; whoever speaks in values
//! asks [`Change`] and [`set_llsd`] to alter them. The same rules and seed give the same faults for
//! the same traffic.

mod change;
mod wire;

pub use change::{Change, change_llsd, change_message, set_llsd, set_message};
pub use wire::{Applied, Delivery, HEADER, Tamper, header_value};

use crate::value::{Path, Value};
use std::time::Duration;

/// Which way a datagram goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the grid to the client.
    In,
    /// From the client to the grid.
    Out,
}

impl Direction {
    /// How timelines draw it.
    pub fn arrow(self) -> char {
        match self {
            Self::In => '←',
            Self::Out => '→',
        }
    }
}

/// On what channel a grid says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A UDP message.
    Udp,
    /// The answer to a login call.
    Login,
    /// The answer of a seed capability.
    Seed,
    /// The answer of another capability.
    Caps,
    /// An event of the event queue; without a name, the answer of a poll.
    Events,
    /// Any other HTTP answer.
    Http,
}

impl Channel {
    /// Every channel, with its word.
    pub const ALL: [(&str, Self); 6] = [
        ("udp", Self::Udp),
        ("login", Self::Login),
        ("seed", Self::Seed),
        ("caps", Self::Caps),
        ("events", Self::Events),
        ("http", Self::Http),
    ];

    /// The channel's word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, channel)| *channel == self).map_or("", |(word, _)| word)
    }
}

/// What a rule does to what it matches.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It is never delivered.
    Drop,
    /// It is delivered this much later.
    Delay(Duration),
    /// It is delivered twice.
    Double,
    /// It is delivered after the next one.
    Reorder,
    /// One byte behind the header is changed.
    Corrupt,
    /// A member or field is changed.
    Change(Change),
    /// A member or field gets this value; a member that is not there is added.
    Set(Value),
    /// An HTTP answer has this status.
    Status(u16),
    /// An HTTP answer says it is of this type.
    ContentType(String),
    /// An HTTP answer has no body.
    Empty,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What happens.
    pub action: Action,
    /// On what channel.
    pub channel: Channel,
    /// To which message, event or capability; none is any.
    pub message: Option<String>,
    /// To which member or field.
    pub field: Option<Path>,
    /// Which way; none is both.
    pub direction: Option<Direction>,
    /// To the n-th match only, from 1; none is every match.
    pub nth: Option<u32>,
    /// To this match and all after it.
    pub from: u32,
    /// With this probability; 1 is always.
    pub chance: f64,
    /// Only to HTTP answers that had this status.
    pub was: Option<u16>,
    /// Only to what has these values at these paths.
    pub only: Vec<(Path, Value)>,
}

impl Rule {
    /// A rule for everything on a channel.
    pub fn new(action: Action, channel: Channel) -> Self {
        Self {
            action,
            channel,
            message: None,
            field: None,
            direction: None,
            nth: None,
            from: 1,
            chance: 1.0,
            was: None,
            only: Vec::new(),
        }
    }

    /// The same rule where time runs this many times faster.
    pub fn faster(&self, factor: u32) -> Self {
        let action = match &self.action {
            Action::Delay(by) => Action::Delay(*by / factor.max(1)),
            other => other.clone(),
        };
        Self { action, ..self.clone() }
    }

    /// Whether the rule is about a channel and a message of this name.
    pub fn is_about(&self, channel: Channel, name: &str) -> bool {
        self.channel == channel && self.message.as_deref().is_none_or(|message| message == name)
    }

    /// Whether the rule is meant for the n-th match.
    pub fn counts(&self, n: u32) -> bool {
        n >= self.from && self.nth.is_none_or(|nth| nth == n)
    }

    /// Whether what is said has the values the rule asks for.
    pub fn fits(&self, said: &Value) -> bool {
        self.only.iter().all(|(path, wanted)| path.find(said).is_some_and(|v| v.same(wanted)))
    }
}
