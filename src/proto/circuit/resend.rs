//! Reliable packets that wait for their acknowledgement.

use super::{Config, Instant};
use crate::proto::id::Sequence;
use crate::proto::message::Flags;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// An encoded message as a datagram of a circuit.
pub(super) fn numbered(encoded: &[u8], flags: Flags, sequence: Sequence) -> Vec<u8> {
    let mut bytes = encoded.to_vec();
    bytes[0] = flags.0;
    bytes[1..5].copy_from_slice(&sequence.to_be_bytes());
    bytes
}

#[derive(Debug)]
struct Waiting {
    flags: Flags,
    /// Shared by all to whom the same was sent: in a crowd that is most of what waits.
    encoded: Arc<[u8]>,
    sent: Instant,
    due: Instant,
    interval: Duration,
    resends: u32,
}

/// Packets by number, by when they are due again, and by when they were sent first: whoever has
/// thousands of them is asked for the next one all the time.
#[derive(Debug, Default)]
pub(super) struct Unacked {
    waiting: BTreeMap<Sequence, Waiting>,
    by_due: BTreeSet<(Instant, Sequence)>,
    by_sent: BTreeSet<(Instant, Sequence)>,
}

impl Unacked {
    pub(super) fn insert(
        &mut self,
        (flags, sequence, encoded): (Flags, Sequence, Arc<[u8]>),
        now: Instant,
        first: Duration,
    ) {
        // A number that comes around again takes the place of the old one.
        self.remove(sequence);
        let due = now + first;
        let waiting = Waiting { flags, encoded, sent: now, due, interval: first, resends: 0 };
        self.by_due.insert((waiting.due, sequence));
        self.by_sent.insert((waiting.sent, sequence));
        self.waiting.insert(sequence, waiting);
    }

    /// Forgets an acknowledged packet: when it was sent first, and how often again.
    pub(super) fn remove(&mut self, sequence: Sequence) -> Option<(Instant, u32)> {
        let waiting = self.waiting.remove(&sequence)?;
        self.by_due.remove(&(waiting.due, sequence));
        self.by_sent.remove(&(waiting.sent, sequence));
        Some((waiting.sent, waiting.resends))
    }

    /// One packet that is due: its bytes to send again, or none if it is given up.
    pub(super) fn due(
        &mut self,
        now: Instant,
        config: &Config,
    ) -> Option<(Sequence, Option<Vec<u8>>)> {
        let (due, sequence) = self.by_due.first().copied().filter(|(due, _)| *due <= now)?;
        let waiting = self.waiting.get_mut(&sequence)?;
        if waiting.resends >= config.resend_tries {
            self.remove(sequence);
            return Some((sequence, None));
        }
        waiting.resends += 1;
        waiting.interval *= 2;
        waiting.due = now + waiting.interval;
        self.by_due.remove(&(due, sequence));
        self.by_due.insert((waiting.due, sequence));
        let flags = waiting.flags.with(Flags::RESENT);
        Some((sequence, Some(numbered(&waiting.encoded, flags, sequence))))
    }

    pub(super) fn has(&self, sequence: Sequence) -> bool {
        self.waiting.contains_key(&sequence)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_due.first().map(|(due, _)| *due)
    }

    pub(super) fn oldest(&self) -> Option<Sequence> {
        // By time, not by number: numbers wrap.
        self.by_sent.first().map(|(_, sequence)| *sequence)
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.by_due.clear();
        self.by_sent.clear();
    }
}
