//! `serve --judge`: which requirements of clients a visitor met, and which it broke.
//!
//! A [`Judge`] is told of all that passes between the grid and its visitors, and says at the end, by
//! requirement, what it saw. Some requirements show only where a grid does something out of the
//! ordinary: that is a [`Trial`].

mod checks;
mod record;
mod ruling;
#[cfg(test)]
mod tests;
mod trial;
mod visit;

pub use record::Verdict;
pub use trial::{Trial, trials};

use crate::grid::{Heard, RunningRegion, What, Witness};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;
use visit::Visit;

/// What is kept of all visits together; beyond that nothing is judged, and the verdict says so.
const MOST: usize = 500_000;

/// Keeps what visitors do. Clones keep it together.
#[derive(Clone, Debug, Default)]
pub struct Judge(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    visits: Vec<Visit>,
    events: usize,
    left_out: bool,
}

impl Judge {
    /// What to tell the grid of.
    pub fn witness(&self) -> Witness {
        let judge = self.clone();
        Arc::new(move |heard| judge.kept().hear(heard))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The visits so far of those who came as far as a login that succeeded, or were tried by one
    /// that did not.
    fn visits(&self, regions: &[RunningRegion]) -> (Vec<Visit>, bool) {
        let kept = self.kept();
        let mut visits = kept.visits.clone();
        for visit in &mut visits {
            visit.regions = regions.to_vec();
        }
        (visits, kept.left_out)
    }
}

impl Kept {
    fn hear(&mut self, heard: Heard) {
        if self.events >= MOST {
            self.left_out = true;
            return;
        }
        // Who names a session id as its own id is still that visitor.
        let theirs = |visit: &Visit| {
            let session = visit.session.map(|(session, _)| session);
            visit.agent == heard.agent || session == Some(heard.agent)
        };
        let known = self.visits.iter().rposition(theirs);
        let begins = matches!(heard.what, What::LoginAsked(..));
        let over = known.is_some_and(|at| self.visits[at].session.is_some());
        let at = match known {
            Some(at) if !(begins && over) => at,
            _ if begins && heard.agent != Uuid::nil() => {
                self.visits.push(Visit::new(heard.agent));
                self.visits.len() - 1
            }
            _ => return,
        };
        let visit = &mut self.visits[at];
        if let What::LoggedIn(session, code) = heard.what {
            visit.session = Some((session, code));
        }
        self.events += 1;
        visit.events.push(heard);
    }
}
