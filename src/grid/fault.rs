//! What may be wrong with a grid on purpose: the faults of mutants, described as data.

use crate::proto::circuit::Config;
use crate::proto::llsd::Llsd;
use crate::proto::message::Message;
use crate::tamper::Rule;
use crate::value::{Change, Path, change_llsd, change_message};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a grid says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speech {
    /// A UDP message, by name.
    Udp(String),
    /// A login reply.
    Login,
    /// A seed reply.
    Seed,
    /// An event of the event queue, by name.
    Event(String),
    /// The reply of a capability, by name.
    Cap(String),
}

/// A rule of the protocol that a grid does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Any password will do.
    AnyPassword,
    /// An unknown name is refused with words of its own.
    NamesNameless,
    /// Any circuit code will do.
    AnyCode,
    /// Any session id will do.
    AnySession,
    /// Packets with foreign ids are acknowledged and processed.
    ForeignIds,
    /// Endpoints that never sent UseCircuitCode are acknowledged.
    AnswersStrangers,
    /// Reliable packets are not acknowledged.
    NeverAcks,
    /// Acks are not heeded: everything is sent again and again.
    IgnoresAcks,
    /// Nothing is sent again.
    NeverResends,
    /// Duplicates are processed.
    ProcessesDuplicates,
    /// Pings are not answered.
    NeverPongs,
    /// The simulator does not ping.
    NeverPings,
    /// Silence is borne for ever.
    NeverTimesOut,
    /// A second login ends nothing.
    NeverKicks,
    /// Capabilities outlive their session.
    CapsOutlive,
    /// The seed grants names it does not know.
    GrantsAnything,
    /// The avatar arrives without CompleteAgentMovement.
    ArrivesUnasked,
    /// Every CompleteAgentMovement is answered.
    ArrivesTwice,
    /// A datagram that does not decode ends its circuit.
    DiesOfGarbage,
    /// An empty event queue answers at once.
    NeverHolds,
}

/// The faults of one grid.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Rules it does not keep.
    pub policies: Vec<Policy>,
    /// What it says wrongly.
    pub content: Vec<(Speech, Path, Change)>,
    /// What happens to its datagrams.
    pub wire: Vec<Rule>,
    /// How often content was changed: a mutant that never was one proves nothing.
    changed: Arc<AtomicU32>,
}

impl Faults {
    /// One rule not kept.
    pub fn policy(policy: Policy) -> Self {
        Self { policies: vec![policy], ..Self::default() }
    }

    /// One thing said wrongly.
    pub fn content(speech: Speech, path: Path, change: Change) -> Self {
        Self { content: vec![(speech, path, change)], ..Self::default() }
    }

    /// One fault on the wire.
    pub fn wire(rule: Rule) -> Self {
        Self { wire: vec![rule], ..Self::default() }
    }

    /// Whether a rule is not kept.
    pub fn has(&self, policy: Policy) -> bool {
        self.policies.contains(&policy)
    }

    /// How often content was changed.
    pub fn changes(&self) -> u32 {
        self.changed.load(Ordering::Relaxed)
    }

    fn changes_to(&self, speech: &Speech) -> impl Iterator<Item = (&Path, Change)> {
        let of = move |(said, ..): &&(Speech, Path, Change)| said == speech;
        self.content.iter().filter(of).map(|(_, path, change)| (path, *change))
    }

    /// Changes what is said in LLSD.
    pub(super) fn say(&self, speech: &Speech, value: &mut Llsd) {
        for (path, change) in self.changes_to(speech) {
            let changed = change_llsd(value, path, change);
            self.changed.fetch_add(u32::from(changed), Ordering::Relaxed);
        }
    }

    /// Changes a message.
    pub(super) fn send(&self, message: &Message) -> Option<Message> {
        if self.content.is_empty() {
            return None;
        }
        let mut changed = message.clone();
        for (path, change) in self.changes_to(&Speech::Udp(message.name().to_owned())) {
            let differs = change_message(&mut changed, path, change);
            self.changed.fetch_add(u32::from(differs), Ordering::Relaxed);
        }
        Some(changed)
    }

    /// The figures of this grid's circuits.
    pub(super) fn circuit(&self, config: Config) -> Config {
        Config {
            acks: !self.has(Policy::NeverAcks),
            heeds_acks: !self.has(Policy::IgnoresAcks),
            tells_duplicates: !self.has(Policy::ProcessesDuplicates),
            resend_tries: if self.has(Policy::NeverResends) { 0 } else { config.resend_tries },
            pongs: !self.has(Policy::NeverPongs),
            pings: !self.has(Policy::NeverPings),
            silence_limit: config.silence_limit.filter(|_| !self.has(Policy::NeverTimesOut)),
            ..config
        }
    }
}
