//! The figures of a circuit.

use crate::proto::id::Sequence;
use std::time::Duration;

/// Times, sizes and habits of one end of a circuit.
#[derive(Clone, Debug)]
pub struct Config {
    /// The number of the first datagram.
    pub first_sequence: Sequence,
    /// Numbers wrap to 0 after this one: viewers keep 24 bits.
    pub sequence_mask: u32,
    /// How long an owed ack may wait for company.
    pub ack_delay: Duration,
    /// The most acks in one datagram.
    pub acks_per_packet: usize,
    /// When an unacknowledged packet is sent again first; each further time takes twice as long.
    pub resend_first: Duration,
    /// How many times it is sent again before giving up.
    pub resend_tries: u32,
    /// The time between pings.
    pub ping_interval: Duration,
    /// A peer silent for this long is gone.
    pub idle_timeout: Option<Duration>,
    /// How many reliable numbers are remembered to tell duplicates.
    pub dedup_window: usize,
    /// Acks are appended only while a datagram stays below this many bytes.
    pub datagram_target: usize,
    /// Whether reliable packets are acknowledged at all.
    pub acks: bool,
    /// Whether pings are answered.
    pub pongs: bool,
    /// Whether pings are sent.
    pub pings: bool,
}

impl Config {
    /// A simulator's end.
    pub fn simulator() -> Self {
        Self {
            first_sequence: Sequence(1),
            sequence_mask: 0x00FF_FFFF,
            ack_delay: Duration::from_millis(100),
            acks_per_packet: 250,
            resend_first: Duration::from_secs(1),
            resend_tries: 5,
            ping_interval: Duration::from_secs(5),
            idle_timeout: Some(Duration::from_secs(60)),
            dedup_window: 1024,
            datagram_target: 1200,
            acks: true,
            pongs: true,
            pings: true,
        }
    }

    /// A viewer's end.
    pub fn viewer() -> Self {
        Self { idle_timeout: Some(Duration::from_secs(100)), ..Self::simulator() }
    }

    /// The same figures with every time divided by `factor`.
    pub fn faster(self, factor: u32) -> Self {
        let factor = factor.max(1);
        Self {
            ack_delay: self.ack_delay / factor,
            resend_first: self.resend_first / factor,
            ping_interval: self.ping_interval / factor,
            idle_timeout: self.idle_timeout.map(|limit| limit / factor),
            ..self
        }
    }
}
