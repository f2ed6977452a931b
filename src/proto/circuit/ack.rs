//! Acks owed to the peer, and the memory that tells duplicates.

use super::Instant;
use crate::proto::id::Sequence;
use std::collections::{HashSet, VecDeque};

/// Numbers to acknowledge.
#[derive(Debug, Default)]
pub(super) struct PendingAcks {
    numbers: VecDeque<Sequence>,
    since: Option<Instant>,
}

impl PendingAcks {
    pub(super) fn push(&mut self, sequence: Sequence, now: Instant) {
        self.numbers.push_back(sequence);
        self.since.get_or_insert(now);
    }

    /// The oldest numbers, at most `most` of them.
    pub(super) fn take(&mut self, most: usize) -> Vec<Sequence> {
        let taken = self.numbers.drain(..most.min(self.numbers.len())).collect();
        if self.numbers.is_empty() {
            self.since = None;
        }
        taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Since when the oldest has waited.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.since = None;
    }
}

/// The reliable numbers received last.
#[derive(Debug)]
pub(super) struct DuplicateFilter {
    order: VecDeque<Sequence>,
    set: HashSet<Sequence>,
    dedup_window: usize,
}

impl DuplicateFilter {
    pub(super) fn new(dedup_window: usize) -> Self {
        Self { order: VecDeque::new(), set: HashSet::new(), dedup_window }
    }

    pub(super) fn has(&self, sequence: Sequence) -> bool {
        self.set.contains(&sequence)
    }

    /// Whether the number is new; it is remembered either way.
    pub(super) fn insert(&mut self, sequence: Sequence) -> bool {
        if !self.set.insert(sequence) {
            return false;
        }
        self.order.push_back(sequence);
        if self.order.len() > self.dedup_window
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}
