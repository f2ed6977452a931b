//! What may be wrong with a grid on purpose: the faults of mutants, described as data.

use super::misbehaviour::Misbehaviour;
use crate::proto::event_queue::Event;
use crate::proto::llsd::Llsd;
use crate::proto::message::Message;
use crate::tamper::{
    Action, Channel, Direction, Rule, Tamper, change_llsd, change_message, header_value, set_llsd,
    set_message,
};
use crate::value::{Path, Value, message_value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The faults of one grid.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    misbehaviours: Arc<[Misbehaviour]>,
    rules: Arc<[Rule]>,
    /// How often each misbehaviour and each rule made a difference, and how often each rule could
    /// have.
    applied: Arc<Vec<AtomicU32>>,
    matched: Arc<Vec<AtomicU32>>,
}

/// What becomes of an HTTP answer besides its members.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Spoilt {
    pub dropped: bool,
    pub delay: Duration,
    pub status: Option<u16>,
    pub content_type: Option<String>,
    pub empty: bool,
}

impl Faults {
    /// Rules of the protocol not kept, and rules for what passes.
    pub fn new(misbehaviours: Vec<Misbehaviour>, rules: Vec<Rule>) -> Self {
        Self::of(misbehaviours.into(), rules.into())
    }

    fn of(misbehaviours: Arc<[Misbehaviour]>, rules: Arc<[Rule]>) -> Self {
        let zeros = |n| Arc::new((0..n).map(|_| AtomicU32::new(0)).collect::<Vec<_>>());
        let (applied, matched) = (zeros(misbehaviours.len() + rules.len()), zeros(rules.len()));
        Self { misbehaviours, rules, applied, matched }
    }

    /// These faults and others.
    pub fn and(self, other: &Self) -> Self {
        let rules = [&self.rules[..], &other.rules].concat();
        Self::new([&self.misbehaviours[..], &other.misbehaviours].concat(), rules)
    }

    /// The same faults, not yet applied: for another grid.
    pub fn afresh(&self) -> Self {
        Self::of(self.misbehaviours.clone(), self.rules.clone())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.misbehaviours.is_empty() && self.rules.is_empty()
    }

    /// How often each misbehaviour, then each rule, made a difference: a mutant that never did proves
    /// nothing.
    pub fn applied(&self) -> Vec<u32> {
        self.applied.iter().map(|n| n.load(Ordering::Relaxed)).collect()
    }

    /// Whether a rule of the protocol is not kept, asked where that makes a difference.
    pub(super) fn breaks(&self, what: impl Into<Misbehaviour>) -> bool {
        if self.misbehaviours.is_empty() {
            return false;
        }
        let what = what.into();
        let at = self.misbehaviours.iter().position(|own| *own == what);
        at.inspect(|at| self.note(*at)).is_some()
    }

    /// Notes of several that they make a difference from now on, where they are not kept.
    pub(super) fn note_all(&self, all: &[impl Into<Misbehaviour> + Copy]) {
        for what in all {
            self.breaks(*what);
        }
    }

    /// Whether it is not kept, asked before that makes a difference.
    pub(super) fn has(&self, what: impl Into<Misbehaviour>) -> bool {
        let what = what.into();
        self.misbehaviours.contains(&what)
    }

    fn note(&self, at: usize) {
        if let Some(applied) = self.applied.get(at) {
            applied.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn note_rule(&self, rule: usize) {
        self.note(self.misbehaviours.len() + rule);
    }

    /// The rules about something said in values: those that count it as theirs.
    fn about<'a>(
        &'a self,
        channel: Channel,
        name: &'a str,
        status: Option<u16>,
        said: &'a Value,
    ) -> impl Iterator<Item = (usize, &'a Rule)> {
        let rules = self.rules.iter().enumerate();
        rules.filter(move |(at, rule)| {
            // A rule that names an event is about that event, not about the poll that brings it.
            let level = channel != Channel::Events || rule.message.is_none() == name.is_empty();
            let theirs = level
                && rule.is_about(channel, name)
                && rule.was.is_none_or(|was| status == Some(was))
                && rule.fits(said);
            if !theirs {
                return false;
            }
            let count = self.matched[*at].fetch_add(1, Ordering::Relaxed) + 1;
            rule.counts(count)
        })
    }

    /// Changes the members of an answer, and says what else becomes of it.
    pub(super) fn answer(
        &self,
        channel: Channel,
        name: &str,
        status: u16,
        body: Option<&mut Llsd>,
    ) -> Spoilt {
        let mut spoilt = Spoilt::default();
        if self.rules.is_empty() {
            return spoilt;
        }
        let said = body.as_deref().map(Value::from).unwrap_or_default();
        let mut nothing = Llsd::Undef;
        let has_body = body.is_some();
        let body = body.unwrap_or(&mut nothing);
        for (at, rule) in self.about(channel, name, Some(status), &said) {
            match &rule.action {
                Action::Drop => spoilt.dropped = true,
                Action::Delay(by) => spoilt.delay += *by,
                Action::Status(status) => spoilt.status = Some(*status),
                Action::ContentType(text) => spoilt.content_type = Some(text.clone()),
                Action::Empty => spoilt.empty = true,
                Action::Change(_) | Action::Set(_) if has_body => {
                    if !alter(rule, body) {
                        continue;
                    }
                }
                _ => continue,
            }
            self.note_rule(at);
        }
        spoilt
    }

    /// What becomes of events on their way out: changed, gone, twice, in another order; and those
    /// that come later.
    pub(super) fn events(&self, events: Vec<Event>) -> (Vec<Event>, Vec<(Duration, Event)>) {
        if self.rules.is_empty() {
            return (events, Vec::new());
        }
        let (mut now, mut later, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for mut event in events {
            let said = Value::from(&event.body);
            let (mut copies, mut delay, mut held) = (1, Duration::ZERO, false);
            let name = event.message.clone();
            for (at, rule) in self.about(Channel::Events, &name, None, &said) {
                match &rule.action {
                    Action::Drop => copies = 0,
                    Action::Double => copies = 2,
                    Action::Delay(by) => delay += *by,
                    Action::Reorder => held = true,
                    Action::Change(_) | Action::Set(_) if alter(rule, &mut event.body) => {}
                    _ => continue,
                }
                self.note_rule(at);
            }
            let copies = std::iter::repeat_n(event, copies);
            match (delay.is_zero(), held) {
                (false, _) => later.extend(copies.map(|event| (delay, event))),
                (true, true) => last.extend(copies),
                (true, false) => now.extend(copies),
            }
        }
        now.extend(last);
        (now, later)
    }

    /// Changes the fields of a message that says this; which rules did so, by their place.
    pub(super) fn send(&self, message: &Message, said: &Value) -> Option<(Message, Vec<usize>)> {
        let fields = |rule: &Rule| {
            rule.is_about(Channel::Udp, message.name())
                && rule.field.as_ref().is_some_and(|field| field.head() != Some("header"))
        };
        if !self.rules.iter().any(fields) {
            return None;
        }
        let (mut changed, mut met) = (message.clone(), Vec::new());
        for (at, rule) in self.about(Channel::Udp, message.name(), None, said) {
            let field: &Path = match &rule.field {
                Some(field) if fields(rule) => field,
                _ => continue,
            };
            let differs = match &rule.action {
                Action::Change(change) => change_message(&mut changed, field, *change),
                Action::Set(value) => set_message(&mut changed, field, value),
                _ => false,
            };
            if differs {
                met.push(at);
            }
        }
        Some((changed, met))
    }

    /// The wire of one circuit.
    pub(super) fn wire(&self) -> Option<Tamper> {
        self.has_rules_of_datagrams().then(|| Tamper::new(self.rules.to_vec(), 1))
    }

    /// Whether a rule is about datagrams: else nothing asks what they say.
    pub(super) fn has_rules_of_datagrams(&self) -> bool {
        self.rules.iter().any(|rule| rule.channel == Channel::Udp)
    }

    /// Notes which rules a datagram met on its wire.
    pub(super) fn note_wire(&self, wire: &Tamper) {
        wire.last().iter().for_each(|at| self.note_rule(*at));
    }

    /// Whether the grid is deaf to a message.
    pub(super) fn is_deaf_to(&self, name: &str) -> bool {
        let deaf = |rule: &Rule| {
            rule.action == Action::Drop
                && rule.direction == Some(Direction::Out)
                && rule.is_about(Channel::Udp, name)
        };
        let at = self.rules.iter().position(deaf);
        let at = at.filter(|at| {
            let heard = self.matched[*at].fetch_add(1, Ordering::Relaxed) + 1;
            self.rules[*at].counts(heard)
        });
        at.inspect(|at| self.note_rule(*at)).is_some()
    }
}

/// What a datagram says: its header and its blocks.
pub(super) fn said(message: &Message, bytes: &[u8]) -> Value {
    let mut said = message_value(message);
    if let (Value::Map(blocks), Value::Map(header)) = (&mut said, header_value(bytes)) {
        blocks.extend(header);
    }
    said
}

/// Changes or sets a member; whether that made a difference.
fn alter(rule: &Rule, value: &mut Llsd) -> bool {
    let whole = Path::default();
    let field = rule.field.as_ref().unwrap_or(&whole);
    match &rule.action {
        Action::Change(change) => change_llsd(value, field, *change),
        Action::Set(to) => set_llsd(value, field, to),
        _ => false,
    }
}
