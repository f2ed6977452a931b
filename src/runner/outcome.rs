//! How a case can end, and what a run's exit code says.

use std::fmt::{Display, Formatter};

/// How a case ended: exactly one of these.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every MUST and SHOULD held.
    Pass,
    /// A SHOULD was broken.
    Warn,
    /// A MUST was broken.
    Fail,
    /// Broken exactly as the profile recorded it.
    Known,
    /// The profile says broken, but it holds.
    Fixed,
    /// A need is not met.
    Impossible,
    /// The state to test in could not be reached.
    Blocked,
    /// The user chose so, or the run was stopped before.
    Skipped,
    /// The harness is at fault.
    Error,
}

impl Outcome {
    /// Every outcome, worst last.
    pub const ALL: [Self; 9] = [
        Self::Pass,
        Self::Known,
        Self::Skipped,
        Self::Impossible,
        Self::Warn,
        Self::Fixed,
        Self::Blocked,
        Self::Fail,
        Self::Error,
    ];

    /// The outcome's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Known => "known",
            Self::Fixed => "fixed",
            Self::Impossible => "impossible",
            Self::Blocked => "blocked",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }

    /// Whether a person should read on.
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Fail | Self::Blocked | Self::Error | Self::Fixed)
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// The exit codes: their meaning never changes.
pub const EXIT: &[(u8, &str)] = &[
    (0, "conformant"),
    (1, "not conformant"),
    (2, "usage, or a mistake in a suite, profile or credentials file"),
    (3, "no grid there or it went away, an account cannot log in, a region is not as named"),
    (4, "nothing was selected, or nothing ran"),
    (5, "the profile is stale: what it says is broken holds now"),
    (6, "interrupted, or the record is incomplete"),
    (70, "internal error"),
];
