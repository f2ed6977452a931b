//! What faults on a wire did to messages, and who made up for it.

use crate::proto::id::Sequence;
use crate::tamper::{Action, Direction};
use std::fmt::{Display, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One message that a fault has met.
#[derive(Clone, Debug)]
pub struct Impairment {
    /// The message.
    pub message: String,
    /// Which way it went.
    pub direction: Direction,
    /// What was done to it: `lost`, `late` and so on.
    pub fate: &'static str,
    /// How long after that it passed, if it did.
    pub after: Option<Duration>,
    /// It passed because it was sent again.
    pub resent: bool,
    /// When it was met, on its link's clock.
    at: Duration,
    /// Its number, by which it is known when it passes.
    sequence: Sequence,
}

impl Display for Impairment {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let sender = match self.direction {
            Direction::Out => "the viewer",
            Direction::In => "the simulator",
        };
        write!(f, "{} {} {}", self.direction.arrow(), self.message, self.fate)?;
        let ms = self.after.map(|after| after.as_secs_f64() * 1e3);
        match (ms, self.resent) {
            // Nothing was missing, so nothing had to be made up for.
            _ if self.fate == "doubled" => Ok(()),
            (None, _) => write!(f, ": did not pass while the case ran"),
            (Some(ms), true) => write!(f, ": {sender} sent it again, {ms:.0} ms later"),
            (Some(ms), false) => write!(f, ": passed {ms:.0} ms later"),
        }
    }
}

/// All of a viewer's, in the order they were met; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Impairments(Arc<Mutex<Vec<Impairment>>>);

/// A case has a few; this many are a flood's.
const MOST: usize = 100;

impl Impairments {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Impairment>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A fault has met a message.
    pub(super) fn met(
        &self,
        (message, sequence): (&str, Sequence),
        direction: Direction,
        action: &Action,
        at: Duration,
    ) {
        let fate = match action {
            Action::Drop => "lost",
            Action::Delay(_) => "late",
            Action::Double => "doubled",
            Action::Reorder => "overtaken",
            Action::Corrupt => "corrupted",
            _ => "changed",
        };
        let message = message.to_owned();
        self.change(|all| {
            if all.len() < MOST {
                let (after, resent) = (None, false);
                all.push(Impairment { message, direction, fate, after, resent, at, sequence });
            }
        });
    }

    /// A datagram of this number has passed.
    pub(super) fn passed(
        &self,
        sequence: Sequence,
        direction: Direction,
        resent: bool,
        now: Duration,
    ) {
        self.change(|all| {
            let waits = |m: &&mut Impairment| {
                m.after.is_none() && m.sequence == sequence && m.direction == direction
            };
            if let Some(mended) = all.iter_mut().find(waits) {
                mended.after = Some(now.saturating_sub(mended.at));
                mended.resent = resent;
            }
        });
    }

    /// All of them, as sentences.
    pub fn told(&self) -> Vec<String> {
        self.change(|all| all.iter().map(Impairment::to_string).collect())
    }
}
