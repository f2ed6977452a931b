//! Reliable packets that wait for their acknowledgement.

use super::{Config, Instant, Sequence};
use crate::proto::message::Flags;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug)]
struct Waiting {
    bytes: Vec<u8>,
    sent: Instant,
    due: Instant,
    interval: Duration,
    resends: u32,
}

/// Packets by number.
#[derive(Debug, Default)]
pub(super) struct Unacked {
    waiting: BTreeMap<Sequence, Waiting>,
}

impl Unacked {
    pub fn insert(&mut self, sequence: Sequence, bytes: Vec<u8>, now: Instant, first: Duration) {
        let waiting = Waiting { bytes, sent: now, due: now + first, interval: first, resends: 0 };
        self.waiting.insert(sequence, waiting);
    }

    /// Forgets an acknowledged packet: when it was sent first, and how often again.
    pub fn remove(&mut self, sequence: Sequence) -> Option<(Instant, u32)> {
        self.waiting.remove(&sequence).map(|w| (w.sent, w.resends))
    }

    /// One packet that is due: its bytes to send again, or none if it is given up.
    pub fn due(&mut self, now: Instant, config: &Config) -> Option<(Sequence, Option<Vec<u8>>)> {
        let (&sequence, waiting) = self.waiting.iter_mut().find(|(_, w)| w.due <= now)?;
        if waiting.resends >= config.resend_tries {
            self.waiting.remove(&sequence);
            return Some((sequence, None));
        }
        waiting.resends += 1;
        waiting.interval *= 2;
        waiting.due = now + waiting.interval;
        waiting.bytes[0] |= Flags::RESENT.0;
        Some((sequence, Some(waiting.bytes.clone())))
    }

    pub fn has(&self, sequence: Sequence) -> bool {
        self.waiting.contains_key(&sequence)
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.values().map(|w| w.due).min()
    }

    pub fn oldest(&self) -> Option<Sequence> {
        // By time, not by number: numbers wrap.
        self.waiting.iter().min_by_key(|(_, w)| w.sent).map(|(sequence, _)| *sequence)
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}
