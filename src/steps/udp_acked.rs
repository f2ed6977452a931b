//! `udp.acked`: waits for an acknowledgement, or watches that none comes.

use super::{
    Call, Failure, Kind, Observes, Repeat, Returns, StepDef, args, heard, key, need, time_text,
};
use crate::client::{Source, What};
use crate::net::udp::CircuitEvent;
use crate::proto::id::Sequence;
use crate::value::Value;
use std::time::Duration;
use tokio::time::Instant;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.acked",
    doc: "Waits until the simulator has acknowledged a number, or each of several, by PacketAck or \
          appended. With `never`, watches that it does not; with `times`, that it comes so often.",
    keys: &[
        need("of", Kind::Any, "a sequence number, or an array of them"),
        key("circuit", Kind::Text, "the circuit; where the avatar stands if left out"),
        key("never", Kind::Flag, "it must not be acknowledged"),
        key("times", Kind::Integer, "at least so many acks of each number"),
    ],
    returns: Returns::Members(&[("packets", "how many PacketAck messages the circuit has seen")]),
    within: Duration::from_secs(5),
    repeatable: Repeat::No,
    waits: args::never,
    observes: Observes::ACKS,
    run: |call| Box::pin(async move { run(&call).await }),
};

async fn run(call: &Call<'_>) -> Result<Value, Failure> {
    let numbers = numbers(call)?;
    let circuit = call.circuit();
    let never = call.args.flag("never").unwrap_or(false);
    let times: usize = call.args.int("times").unwrap_or(1);
    let time = if never { call.viewer.common.watch(call.within) } else { call.within };
    let unacked = |heard: &mut Vec<crate::client::Observed>| -> Vec<Sequence> {
        let acked = || heard.iter().flat_map(|observed| acks(observed, &circuit));
        let count = |n: &Sequence| acked().filter(|acked| *acked == n).count();
        numbers.iter().filter(|n| count(n) < times).copied().collect()
    };
    let done = call.viewer.mailbox.wait(Instant::now() + time, |heard| {
        let left = unacked(heard).len();
        (left == 0 || (never && left < numbers.len())).then_some(())
    });
    let done = done.await.is_some();
    let named: Vec<String> = numbers.iter().take(8).map(|n| format!("#{n}")).collect();
    let named = named.join(" ");
    match (done, never) {
        (true, true) => {
            let expected = format!("no ack of {named} within {}", time_text(call.within));
            Err(Failure::missing(format!("watching for an ack of {named}"), expected, "an ack"))
        }
        (false, false) => {
            let left = call.viewer.mailbox.with(unacked);
            let left: Vec<String> = left.iter().take(8).map(|n| format!("#{n}")).collect();
            let expected = match times {
                1 => format!("acks of {named} within {}", time_text(call.within)),
                n => format!("{n} acks of {named} within {}", time_text(call.within)),
            };
            let received = format!(
                "not (or too few) of {}; {}",
                left.join(" "),
                heard::summary(call.viewer, &circuit)
            );
            Err(Failure::missing(format!("waiting for acks of {named}"), expected, received))
        }
        _ => {
            let packets = call.viewer.mailbox.with(|heard| {
                let messages = heard.iter().filter_map(|o| heard::message(o, &circuit));
                messages.filter(|m| m.message.name() == "PacketAck").count()
            });
            Ok(Value::map([("packets", Value::count(packets))]))
        }
    }
}

fn acks<'a>(observed: &'a crate::client::Observed, circuit: &str) -> &'a [Sequence] {
    match (&observed.source, &observed.what) {
        (Source::Circuit(name), What::Udp(seen)) if name == circuit => match &**seen {
            CircuitEvent::Acks(acks) => acks,
            _ => &[],
        },
        _ => &[],
    }
}

fn numbers(call: &Call<'_>) -> Result<Vec<Sequence>, Failure> {
    let of = call.args.get("of").cloned().unwrap_or_default();
    let items = match of {
        Value::Array(items) => items,
        one => vec![one],
    };
    let numbers: Option<Vec<Sequence>> = items.iter().map(Value::as_int).collect();
    numbers.ok_or_else(|| Failure::unfit("`of` is no sequence number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, hears, said};

    #[test]
    fn each_number_is_awaited_as_often_as_asked() {
        let acks = |all: &'static [u32]| {
            move |viewer: &crate::client::Viewer| {
                let all = all.iter().map(|n| Sequence(*n)).collect();
                hears(viewer, CircuitEvent::Acks(all));
            }
        };
        assert!(hearing(acks(&[3, 4]), r#"do = "udp.acked", of = [4, 3]"#).is_ok());
        let few = said(hearing(acks(&[3]), r#"do = "udp.acked", of = [3, 4]"#));
        assert!(few.starts_with("acks of #3 #4 within 5 s: not (or too few) of #4; "), "{few}");
        let twice = r#"do = "udp.acked", of = 3, times = 2"#;
        assert!(hearing(acks(&[3]), twice).is_err() && hearing(acks(&[3, 3]), twice).is_ok());
    }

    #[test]
    fn one_ack_of_several_is_too_many_where_none_may_come() {
        let line = r#"do = "udp.acked", of = [3, 4], never = true, within = "2s""#;
        let other = |viewer: &crate::client::Viewer| {
            hears(viewer, CircuitEvent::Acks(vec![Sequence(5)]));
        };
        assert!(hearing(other, line).is_ok());
        let own = |viewer: &crate::client::Viewer| {
            hears(viewer, CircuitEvent::Acks(vec![Sequence(4)]));
        };
        assert_eq!(said(hearing(own, line)), "no ack of #3 #4 within 2 s: an ack");
    }
}
