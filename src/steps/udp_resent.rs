//! `udp.resent`: the simulator sends a packet again.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, heard, key, time_text};
use crate::client::Observed;
use crate::proto::id::Sequence;
use crate::proto::message::Flags;
use crate::value::Value;
use std::time::Duration;
use tokio::time::Instant;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.resent",
    doc: "Waits until the simulator has sent a number a second time on a circuit that withholds \
          its acks, and compares the two datagrams. With `never`, watches from now on that none of \
          its numbers comes again.",
    keys: &[
        key("circuit", Kind::Text, "the circuit; where the avatar stands if left out"),
        key("never", Kind::Flag, "nothing that has come before must be sent again from now on"),
        key("of", Kind::Integer, "only this number"),
        key("times", Kind::Integer, "so often; once if left out"),
    ],
    returns: Returns::Members(&[
        ("sequence", "the number"),
        ("message", "the message's name"),
        ("flagged", "the repetition has the RESENT flag"),
        ("reliable", "both have the RELIABLE flag"),
        ("same_body", "both carry the same bytes after the number"),
        ("after_ms", "milliseconds from the first to the second"),
    ]),
    within: Duration::from_secs(6),
    repeatable: Repeat::No,
    waits: args::never,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let circuit = call.circuit();
            let never = call.args.flag("never").unwrap_or(false);
            let time = if never { call.viewer.common.watch(call.within) } else { call.within };
            // An ack may still be under way when the watch begins.
            let from = Instant::now() + call.viewer.common.watch(Duration::from_secs(2));
            let factor = call.viewer.common.time_factor.max(1);
            let begun = Instant::now();
            let of: Option<Sequence> = call.args.int("of");
            let times = call.args.int("times").unwrap_or(1usize);
            let found = call.viewer.mailbox.wait(Instant::now() + time, |heard| {
                for (n, second) in heard.iter().enumerate() {
                    let wanted = |m: &heard::Heard<'_>| {
                        m.duplicate && of.is_none_or(|of| of == m.header.sequence)
                    };
                    let Some(again) = heard::message(second, &circuit).filter(wanted) else {
                        continue;
                    };
                    let of_number = |o: &&Observed| {
                        heard::message(o, &circuit).is_some_and(|m| {
                            m.duplicate && m.header.sequence == again.header.sequence
                        })
                    };
                    if heard[..=n].iter().filter(of_number).count() < times {
                        continue;
                    }
                    let first = heard[..n].iter().find_map(|o| {
                        // What is flagged as sent again is no first time, whatever its number.
                        let first = heard::message(o, &circuit)?;
                        let new = !first.header.flags.has(Flags::RESENT);
                        let same = first.header.sequence == again.header.sequence;
                        (new && same).then_some((o.at, first))
                    });
                    // Watching, only what had come before counts, and only what comes now.
                    let outside = |at: Instant| at > begun || second.at < from;
                    let first = first.filter(|(at, _)| !(never && outside(*at)));
                    if let Some((at, first)) = first {
                        return Some(compare(&first, &again, (second.at - at) * factor));
                    }
                }
                None
            });
            match (found.await, never) {
                (Some(value), false) => Ok(value),
                (None, true) => {
                    heard::kept(call.viewer, None, "watching for resends")?;
                    Ok(Value::Undef)
                }
                (Some(value), true) => {
                    let expected = format!("nothing sent again within {}", time_text(call.within));
                    Err(Failure::missing("watching for resends", expected, value.to_string()))
                }
                (None, false) => {
                    let often = if times == 1 { "" } else { &format!(" {times} times") };
                    let expected =
                        format!("a packet sent again{often} within {}", time_text(call.within));
                    let received = heard::summary(call.viewer, &circuit);
                    Err(Failure::missing("waiting for a resend", expected, received))
                }
            }
        })
    },
};

fn compare(first: &heard::Heard<'_>, again: &heard::Heard<'_>, after: Duration) -> Value {
    let reliable = |m: &heard::Heard<'_>| m.header.flags.has(Flags::RELIABLE);
    Value::map([
        ("sequence", Value::integer(again.header.sequence)),
        ("message", Value::string(again.message.name())),
        ("flagged", Value::Boolean(again.header.flags.has(Flags::RESENT))),
        ("reliable", Value::Boolean(reliable(first) && reliable(again))),
        ("same_body", Value::Boolean(first.body == again.body)),
        ("after_ms", Value::Real(after.as_secs_f64() * 1e3)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, message, said, says, says_again};

    #[test]
    fn two_datagrams_of_one_number_are_compared() {
        let resent = |viewer: &crate::client::Viewer| {
            says(viewer, 4, Flags::RELIABLE, message("RegionHandshake"));
            let again = Flags::RELIABLE.with(Flags::RESENT);
            says_again(viewer, 4, again, message("RegionHandshake"), true);
        };
        let found = hearing(resent, r#"do = "udp.resent", of = 4"#).unwrap();
        for held in ["flagged", "reliable", "same_body"] {
            assert_eq!(found.get(held), Some(&Value::Boolean(true)), "{held}");
        }
        let other = said(hearing(resent, r#"do = "udp.resent", of = 5"#));
        let expected = "a packet sent again within 6 s: only RegionHandshake ×2";
        assert_eq!(other, expected);
        let twice = said(hearing(resent, r#"do = "udp.resent", times = 2, within = "9s""#));
        assert_eq!(twice, "a packet sent again 2 times within 9 s: only RegionHandshake ×2");
        let more = |viewer: &crate::client::Viewer| {
            resent(viewer);
            says_again(viewer, 4, Flags::RESENT, message("RegionHandshake"), true);
        };
        assert!(hearing(more, r#"do = "udp.resent", times = 2"#).is_ok());
        let never = r#"do = "udp.resent", never = true, within = "3s""#;
        assert_eq!(hearing(|_| {}, never), Ok(Value::Undef));
    }
}
