//! Rules on a wire of datagrams.

use super::{Action, Change, Channel, Direction, Rule};
use crate::value::{Path, Segment, Value};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rules on one wire, with what they have seen so far.
#[derive(Debug)]
pub struct Tamper {
    rules: Vec<(Rule, u32)>,
    random: Pcg64,
    held: Vec<(Direction, Vec<u8>)>,
    last: Vec<usize>,
    applied: Applied,
}

/// How often each rule was applied, by its place; clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Applied(Arc<Mutex<Vec<u32>>>);

impl Applied {
    fn note(&self, at: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() <= at {
            counts.resize(at + 1, 0);
        }
        counts[at] += 1;
    }

    /// How often the rule at this place was applied.
    pub fn of(&self, at: usize) -> u32 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(at).copied().unwrap_or_default()
    }
}

/// A datagram to deliver, and after how long.
pub type Delivery = (Duration, Vec<u8>);

impl Tamper {
    /// Rules on a wire; `seed` decides every chance.
    pub fn new(rules: Vec<Rule>, seed: u64) -> Self {
        Self::counting(rules, seed, Applied::default())
    }

    /// The same, with counts that others can see.
    pub fn counting(rules: Vec<Rule>, seed: u64, applied: Applied) -> Self {
        let rules = rules.into_iter().map(|rule| (rule, 0)).collect();
        let random = Pcg64::seed_from_u64(seed);
        Self { rules, random, held: Vec::new(), last: Vec::new(), applied }
    }

    /// What becomes of a datagram of this name.
    pub fn pass(&mut self, direction: Direction, name: &str, bytes: Vec<u8>) -> Vec<Delivery> {
        let header = header_value(&bytes);
        self.pass_saying(direction, name, &header, bytes)
    }

    /// What becomes of a datagram that says this, header and blocks.
    pub fn pass_saying(
        &mut self,
        direction: Direction,
        name: &str,
        said: &Value,
        bytes: Vec<u8>,
    ) -> Vec<Delivery> {
        let mut out = vec![(Duration::ZERO, bytes)];
        let mut hold = false;
        self.last.clear();
        for (index, (rule, matched)) in self.rules.iter_mut().enumerate() {
            let fits = is_of_the_wire(rule)
                && rule.is_about(Channel::Udp, name)
                && rule.direction.is_none_or(|d| d == direction)
                && rule.fits(said);
            if !fits {
                continue;
            }
            *matched += 1;
            let chosen = rule.counts(*matched)
                && (rule.chance >= 1.0 || self.random.random_bool(rule.chance.max(0.0)));
            if !chosen {
                continue;
            }
            let before = out.first().map(|(_, bytes)| bytes.clone());
            match &rule.action {
                Action::Drop => out.clear(),
                Action::Delay(by) => out.iter_mut().for_each(|(delay, _)| *delay += *by),
                Action::Double => out.extend(out.first().cloned()),
                // What comes while one is held back lets it go.
                Action::Reorder if self.held.iter().any(|(of, _)| *of == direction) => continue,
                Action::Reorder => hold = true,
                Action::Corrupt => {
                    for (_, bytes) in &mut out {
                        corrupt(bytes, &mut self.random);
                    }
                }
                action => {
                    let Some(field) = &rule.field else { continue };
                    out.iter_mut().for_each(|(_, bytes)| change_header(bytes, field, action));
                    if out.first().map(|(_, bytes)| bytes) == before.as_ref() {
                        continue;
                    }
                }
            }
            self.last.push(index);
            self.applied.note(index);
        }
        if hold {
            self.held.extend(out.drain(..).map(|(_, bytes)| (direction, bytes)));
            return out;
        }
        let mut kept = Vec::new();
        for (of, bytes) in self.held.drain(..) {
            match of == direction {
                true => out.push((Duration::ZERO, bytes)),
                false => kept.push((of, bytes)),
            }
        }
        self.held = kept;
        out
    }

    /// What was done to the last datagram, first things first.
    pub fn done(&self) -> impl Iterator<Item = &Action> {
        self.last.iter().filter_map(|at| self.rules.get(*at)).map(|(rule, _)| &rule.action)
    }

    /// Which rules the last datagram met, by their place.
    pub fn last(&self) -> &[usize] {
        &self.last
    }
}

/// Whether a rule is about datagrams as they are, and not about the fields in them.
pub(super) fn is_of_the_wire(rule: &Rule) -> bool {
    match rule.action {
        Action::Change(_) | Action::Set(_) => {
            rule.field.as_ref().and_then(Path::head) == Some("header")
        }
        _ => true,
    }
}

/// What stands before a message, as a value: `header.reliable`, `header.resent`, `header.sequence`.
pub fn header_value(bytes: &[u8]) -> Value {
    let flags = bytes.first().copied().unwrap_or_default();
    let number = bytes.get(1..5).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    let header = Value::map([
        ("reliable", Value::Boolean(flags & 0x40 != 0)),
        ("resent", Value::Boolean(flags & 0x20 != 0)),
        ("sequence", Value::integer(number)),
    ]);
    Value::map([("header", header)])
}

fn corrupt(bytes: &mut [u8], random: &mut Pcg64) {
    let at = random.random_range(6..bytes.len().max(7));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0x55;
    }
}

/// The members of a packet's header that rules can change.
pub const HEADER: [&str; 4] = ["reliable", "resent", "sequence", "reserved"];

/// Changes what stands before a message: a flag, the number, the bits without a meaning.
fn change_header(bytes: &mut [u8], field: &Path, action: &Action) {
    let [flags, a, b, c, d, ..] = bytes else { return };
    let member = match field.0.get(1) {
        Some(Segment::Key(key)) => key.as_str(),
        _ => return,
    };
    let bit = match member {
        "reliable" => 0x40,
        "resent" => 0x20,
        "reserved" => 0x01,
        "sequence" => {
            let number = u32::from_be_bytes([*a, *b, *c, *d]);
            let number = match action {
                Action::Set(value) => value.as_int().unwrap_or(number),
                Action::Change(Change::Zero | Change::Remove) => 0,
                _ => number.wrapping_add(1),
            };
            [*a, *b, *c, *d] = number.to_be_bytes();
            return;
        }
        _ => return,
    };
    match action {
        Action::Set(Value::Boolean(true)) => *flags |= bit,
        Action::Set(_) | Action::Change(Change::Zero | Change::Remove) => *flags &= !bit,
        _ => *flags ^= bit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action, nth: Option<u32>) -> Rule {
        let message = Some("A".to_owned());
        Rule { message, direction: Some(Direction::In), nth, ..Rule::new(action, Channel::Udp) }
    }

    fn bytes(out: Vec<Delivery>) -> Vec<u8> {
        out.into_iter().map(|(_, bytes)| bytes[0]).collect()
    }

    #[test]
    fn the_first_is_dropped_and_the_second_passes() {
        let mut wire = Tamper::new(vec![rule(Action::Drop, Some(1))], 1);
        assert!(wire.pass(Direction::In, "A", vec![1]).is_empty());
        assert_eq!(bytes(wire.pass(Direction::In, "A", vec![2])), [2]);
        assert_eq!(bytes(wire.pass(Direction::Out, "A", vec![3])), [3]);
        assert!(wire.last().is_empty());
    }

    #[test]
    fn a_reordered_one_comes_after_the_next() {
        let mut wire = Tamper::new(vec![rule(Action::Reorder, Some(1))], 1);
        assert!(wire.pass(Direction::In, "A", vec![1]).is_empty());
        assert_eq!(bytes(wire.pass(Direction::Out, "B", vec![9])), [9]);
        assert_eq!(bytes(wire.pass(Direction::In, "B", vec![2])), [2, 1]);
    }

    #[test]
    fn doubled_and_delayed() {
        let by = Duration::from_secs(1);
        let rules = vec![rule(Action::Double, None), rule(Action::Delay(by), None)];
        let out = Tamper::new(rules, 1).pass(Direction::In, "A", vec![1]);
        assert_eq!(out, [(by, vec![1]), (by, vec![1])]);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let rules = || vec![Rule { chance: 0.3, ..rule(Action::Drop, None) }];
        let run = |seed| {
            let mut wire = Tamper::new(rules(), seed);
            let passed = (0..64).map(|n| wire.pass(Direction::In, "A", vec![n]).len());
            passed.collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn flags_and_numbers_of_the_header_are_changed() {
        let set = |field: &str, action| {
            let field = Some(Path::parse(field).unwrap());
            let rule = Rule { field, ..rule(action, None) };
            let mut wire = Tamper::new(vec![rule], 1);
            let out = wire.pass(Direction::In, "A", vec![0x40, 0, 0, 0, 9, 0]).remove(0).1;
            (out, wire.last().len())
        };
        let on = Action::Set(Value::Boolean(true));
        assert_eq!(set("header.resent", on.clone()), (vec![0x60, 0, 0, 0, 9, 0], 1));
        assert_eq!(set("header.reliable", on), (vec![0x40, 0, 0, 0, 9, 0], 0));
        let flip = Action::Change(Change::Shift);
        assert_eq!(set("header.reliable", flip.clone()), (vec![0, 0, 0, 0, 9, 0], 1));
        assert_eq!(set("header.sequence", flip), (vec![0x40, 0, 0, 0, 10, 0], 1));
    }
}
