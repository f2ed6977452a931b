//! `serve --judge`: which requirements of clients a visitor met, and which it broke.
//!
//! A [`Judge`] is told of all that passes between the grid and its visitors, and says at the end, by
//! requirement, what it saw. Some requirements show only where a grid does something out of the
//! ordinary: that is a [`Trial`].

mod check_result;
mod checks;
mod journey;
mod own_client;
mod record;
#[cfg(test)]
mod tests;
mod trial;
mod visit;

pub use own_client::{Conduct, conduct};
pub use record::{Verdict, Visited};
pub use trial::{Trial, trials};

use crate::net::tap::{Fact, Listener, Passed, Region};
use crate::proto::id::AgentId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use visit::Visit;

/// What is kept of all visits together, in about so many bytes of memory; beyond that nothing is
/// judged, and the verdict says so. It is some hours of a viewer.
const HEAVIEST: usize = 192 << 20;

/// Keeps what visitors do. Clones keep it together.
#[derive(Clone, Debug, Default)]
pub struct Judge(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    visits: Vec<Visit>,
    weight: usize,
    /// Since when nothing more is kept.
    full: Option<Duration>,
}

impl Judge {
    /// What is to be told of all that passes.
    pub fn listener(&self) -> Listener {
        let judge = self.clone();
        Arc::new(move |heard| judge.kept().hear(heard))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the visits so far, as they were watched until then; and whether all of them was kept.
    fn take(&self, regions: &[Region], until: Duration) -> (Vec<Visit>, bool) {
        let mut kept = self.kept();
        let (mut visits, full) = (std::mem::take(&mut kept.visits), kept.full);
        drop(kept);
        for n in 0..visits.len() {
            let later = &visits[n + 1..];
            let next = later.iter().find(|v| v.agent == visits[n].agent && v.session.is_some());
            let next = next.and_then(|v| v.events.first()).map(|heard| heard.at);
            let visit = &mut visits[n];
            visit.regions = regions.to_vec();
            visit.until = full.unwrap_or(until);
            visit.next = next;
        }
        (visits, full.is_none())
    }
}

impl Kept {
    fn hear(&mut self, heard: Fact) {
        if self.weight >= HEAVIEST {
            self.full.get_or_insert(heard.at);
            return;
        }
        let weight = heard.weight();
        let Some(visit) = self.visit(&heard) else { return };
        if let Passed::LoggedIn(session, code) = heard.what {
            visit.session = Some((session, code));
        }
        visit.events.push(heard);
        self.weight += weight;
    }

    /// The visit that something belongs to. A login makes one, which begins with it; until it has
    /// succeeded, the visit of the session before goes on beside it.
    fn visit(&mut self, heard: &Fact) -> Option<&mut Visit> {
        let agent = heard.agent;
        if matches!(heard.what, Passed::LoginUnread(_)) {
            // Nobody knows whose it is: all of these are one visit.
            let nobody = self.visits.iter().position(|visit| visit.agent == AgentId::NIL);
            let at = nobody.unwrap_or_else(|| {
                self.visits.push(Visit::new(AgentId::NIL));
                self.visits.len() - 1
            });
            return self.visits.get_mut(at);
        }
        if agent == AgentId::NIL {
            return None;
        }
        let theirs = |visit: &Visit| {
            // Who names a session id as its own id is still that visitor.
            visit.agent == agent || visit.session.is_some_and(|(session, _)| session.0 == agent.0)
        };
        let login = matches!(
            heard.what,
            Passed::LoginAsked(..) | Passed::LoggedIn(..) | Passed::Refused(_) | Passed::LoginLeft
        );
        let at = self.visits.iter().rposition(|visit| match (login, heard.session) {
            (true, _) => theirs(visit) && visit.session.is_none(),
            (false, Some(of)) => visit.session.is_some_and(|(session, _)| session == of),
            (false, None) => theirs(visit) && visit.session.is_some(),
        });
        let at = match (at, &heard.what) {
            (Some(at), _) => at,
            (None, Passed::LoginAsked(..)) => {
                self.visits.push(Visit::new(agent));
                self.visits.len() - 1
            }
            (None, _) => return None,
        };
        self.visits.get_mut(at)
    }
}
