//! What is due when: one table for the whole grid.

use super::Core;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is done when it is due.
type Then = Box<dyn FnOnce(&mut Core) + Send>;

/// Names an entry of the table.
pub(in crate::grid) type Timer = (Duration, u64);

/// The table.
#[derive(Default)]
pub(super) struct Timers {
    all: BTreeMap<Timer, (&'static str, Then)>,
    count: u64,
}

impl Timers {
    pub(super) fn add(&mut self, due: Duration, what: &'static str, then: Then) -> Timer {
        self.count += 1;
        self.all.insert((due, self.count), (what, then));
        (due, self.count)
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        self.all.remove(&timer);
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.all.keys().next().map(|(due, _)| *due)
    }

    /// The first that is due, taken out.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<(&'static str, Then)> {
        let first = self.all.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}
