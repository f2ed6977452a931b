//! `udp.numbers`: what the simulator's sequence numbers and headers say.

use super::{Kind, Observes, Repeat, Returns, StepDef, args, heard, key};
use crate::net::Undecodable;
use crate::proto::id::Sequence;
use crate::proto::message::Flags;
use crate::value::Value;
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.numbers",
    doc: "Looks through everything the simulator has sent on a circuit so far and returns what its \
          sequence numbers and headers say.",
    keys: &[key("circuit", Kind::Text, "the circuit; where the avatar stands if left out")],
    returns: Returns::Members(&[
        ("count", "how many datagrams arrived that decode"),
        ("first", "the lowest number"),
        ("missing", "how many numbers between the lowest and the highest never arrived"),
        ("repeated", "how many came again without the RESENT flag, number 0 left out"),
        ("reserved_bits", "the flag bits 0x0F of all of them, or-ed"),
        ("largest", "the size of the largest datagram"),
        ("extra", "the longest extra header"),
        (
            "wrong",
            "why the first datagram that does not decode does not; empty if all do, or are not known",
        ),
        ("trailing", "the most bytes behind a last block"),
        ("empty_runs", "how many have a run of no zeros in their zero-coded part"),
    ]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let circuit = call.circuit();
            Ok(call.viewer.mailbox.with(|all| {
                let mut numbers = BTreeSet::new();
                let (mut count, mut repeated, mut reserved, mut largest) = (0, 0, 0, 0);
                let (mut extra, mut empty_runs, mut trailing) = (0, 0, 0);
                let bad = heard::undecodable(all, &circuit);
                // A newer grid may send what this template does not know.
                let mut wrong = bad.iter().filter(|(_, how)| *how != Undecodable::Unknown);
                let wrong = wrong.next().map(|(_, how)| how.to_string()).unwrap_or_default();
                numbers.extend(bad.iter().map(|(number, _)| *number));
                for heard in all.iter().filter_map(|o| heard::message(o, &circuit)) {
                    let header = heard.header;
                    count += 1;
                    largest = largest.max(heard.size);
                    extra = extra.max(heard.extra);
                    trailing = trailing.max(heard.trailing);
                    empty_runs += i32::from(heard.empty_run);
                    reserved |= header.flags.0 & 0x0F;
                    let new = numbers.insert(header.sequence);
                    let excused = header.flags.has(Flags::RESENT) || header.sequence == Sequence(0);
                    repeated += i32::from(!new && !excused);
                }
                let first = numbers.first().copied().unwrap_or_default();
                let last = numbers.last().copied().unwrap_or_default();
                let span = usize::try_from(last.0 - first.0).unwrap_or(usize::MAX);
                let missing = span.saturating_add(1).saturating_sub(numbers.len());
                Value::map([
                    ("count", Value::integer(count)),
                    ("first", Value::integer(first)),
                    ("missing", Value::count(missing)),
                    ("repeated", Value::integer(repeated)),
                    ("reserved_bits", Value::integer(reserved)),
                    ("largest", Value::count(largest)),
                    ("extra", Value::count(extra)),
                    ("wrong", Value::String(wrong)),
                    ("trailing", Value::count(trailing)),
                    ("empty_runs", Value::integer(empty_runs)),
                ])
            }))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, message, says, says_again};

    #[test]
    fn gaps_and_repetitions_are_counted() {
        let numbers = hearing(
            |viewer| {
                says(viewer, 2, Flags::default(), message("StartPingCheck"));
                says(viewer, 5, Flags(0x01), message("StartPingCheck"));
                says_again(viewer, 5, Flags::RESENT, message("StartPingCheck"), true);
                says(viewer, 2, Flags::default(), message("StartPingCheck"));
            },
            r#"do = "udp.numbers""#,
        );
        let numbers = numbers.unwrap();
        let of = |name: &str| numbers.get(name).and_then(Value::as_int::<i64>).unwrap();
        let all = ["count", "first", "missing", "repeated", "reserved_bits"];
        assert_eq!(all.map(of), [4, 2, 2, 1, 1]);
    }
}
