//! A mutant: a grid with one fault.

use crate::grid::Faults;
use crate::suite::Source;
use crate::tamper::{Change, Channel};
use crate::value::Path;
use std::ops::Range;
use std::sync::Arc;

/// A grid with one fault.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Its id, unique.
    pub id: String,
    /// What is wrong, in a sentence.
    pub title: String,
    /// The requirements it breaks; generated mutants are not asked to say.
    pub breaks: Vec<String>,
    /// What it breaks besides, in some cases or at some times: noticing these is right, and not
    /// asked for. Of a generated one, the requirements that speak of what it changes.
    pub also: Vec<String>,
    /// What is wrong, as data.
    pub faults: Faults,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a mutant comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Written by hand: the file and the place in it.
    Written(Arc<Source>, Range<usize>),
    /// Made from what a clean grid says.
    Generated {
        /// On what channel.
        channel: Channel,
        /// The message, event or capability, where there is one.
        message: Option<String>,
        /// The member or field; the whole message if empty.
        field: Path,
        /// What becomes of it; a message without a change never comes.
        change: Option<Change>,
    },
}

impl Mutant {
    /// Whether it was written by hand.
    pub fn is_written(&self) -> bool {
        matches!(self.origin, Origin::Written(..))
    }

    /// File and line of a written one.
    pub fn place(&self) -> Option<String> {
        match &self.origin {
            Origin::Written(source, span) => {
                let (line, column) = source.position(span.start);
                Some(format!("{}:{line}:{column}", source.path))
            }
            Origin::Generated { .. } => None,
        }
    }
}
