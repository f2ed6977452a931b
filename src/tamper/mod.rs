//! Rules that drop, delay, double, reorder or corrupt what passes a wire: data, not code.
//!
//! A [`Tamper`] sits on one wire and counts what passes. The same rules and seed give the same
//! faults for the same traffic.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Which way a datagram goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the grid to the client.
    In,
    /// From the client to the grid.
    Out,
}

/// What a rule does to what it matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// It is never delivered.
    Drop,
    /// It is delivered this much later.
    Delay(Duration),
    /// It is delivered twice.
    Double,
    /// It is delivered after the next one.
    Reorder,
    /// One byte behind the header is changed.
    Corrupt,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What happens.
    pub action: Action,
    /// To which message; none is any.
    pub message: Option<String>,
    /// Which way; none is both.
    pub direction: Option<Direction>,
    /// To the n-th match only, from 1; none is every match.
    pub nth: Option<u32>,
    /// With this probability; 1 is always.
    pub chance: f64,
}

/// Rules on one wire, with what they have seen so far.
#[derive(Debug)]
pub struct Tamper {
    rules: Vec<(Rule, u32, u32)>,
    random: StdRng,
    held: Vec<(Direction, Vec<u8>)>,
}

/// A datagram to deliver, and after how long.
pub type Delivery = (Duration, Vec<u8>);

impl Tamper {
    /// Rules on a wire; `seed` decides every chance.
    pub fn new(rules: Vec<Rule>, seed: u64) -> Self {
        let rules = rules.into_iter().map(|rule| (rule, 0, 0)).collect();
        Self { rules, random: StdRng::seed_from_u64(seed), held: Vec::new() }
    }

    /// What becomes of a datagram of this name.
    pub fn pass(&mut self, direction: Direction, name: &str, bytes: Vec<u8>) -> Vec<Delivery> {
        let mut out = vec![(Duration::ZERO, bytes)];
        let mut hold = false;
        for (rule, matched, applied) in &mut self.rules {
            let fits = rule.message.as_deref().is_none_or(|message| message == name)
                && rule.direction.is_none_or(|d| d == direction);
            if !fits {
                continue;
            }
            *matched += 1;
            let chosen = rule.nth.is_none_or(|nth| nth == *matched)
                && (rule.chance >= 1.0 || self.random.random_bool(rule.chance.max(0.0)));
            if !chosen {
                continue;
            }
            *applied += 1;
            match rule.action {
                Action::Drop => out.clear(),
                Action::Delay(by) => out.iter_mut().for_each(|(delay, _)| *delay += by),
                Action::Double => out.extend(out.first().cloned()),
                Action::Reorder => hold = true,
                Action::Corrupt => {
                    for (_, bytes) in &mut out {
                        let at = self.random.random_range(6..bytes.len().max(7));
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte ^= 0x55;
                        }
                    }
                }
            }
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

    /// How often each rule was applied, in order.
    pub fn applied(&self) -> Vec<u32> {
        self.rules.iter().map(|(_, _, applied)| *applied).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action, nth: Option<u32>) -> Rule {
        let message = Some("A".to_owned());
        Rule { action, message, direction: Some(Direction::In), nth, chance: 1.0 }
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
        assert_eq!(wire.applied(), [1]);
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
}
