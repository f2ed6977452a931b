//! `udp.order`: messages came in this order.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, heard, key, need};
use crate::proto::id::Sequence;
use crate::value::Value;
use std::time::Duration;
use tokio::time::Instant;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.order",
    doc: "Waits until each of these messages has come on a circuit, and checks that the simulator \
          numbered the first of each in this order.",
    keys: &[
        need("messages", Kind::Messages, "message names in the order expected"),
        key("circuit", Kind::Text, "the circuit; where the avatar stands if left out"),
    ],
    returns: Returns::Members(&[("sequences", "the number of the first of each")]),
    within: Duration::from_secs(10),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let names = call.args.texts("messages").unwrap_or_default();
            let circuit = call.circuit();
            let firsts = |heard: &mut Vec<crate::client::Observed>| -> Vec<Option<Sequence>> {
                let first = |name: &String| {
                    let messages = heard.iter().filter_map(|o| heard::message(o, &circuit));
                    messages.filter(|m| m.message.name() == name).map(|m| m.header.sequence).min()
                };
                names.iter().map(first).collect()
            };
            let deadline = Instant::now() + call.within;
            let all = call.viewer.mailbox.wait(deadline, |heard| {
                let firsts: Option<Vec<Sequence>> = firsts(heard).into_iter().collect();
                firsts
            });
            let Some(all) = all.await else {
                let found = call.viewer.mailbox.with(firsts);
                let missing = names.iter().zip(found).filter(|(_, n)| n.is_none());
                let missing: Vec<&str> = missing.map(|(name, _)| name.as_str()).collect();
                let received = format!("no {}", missing.join(", no "));
                let stage = format!("waiting for {}", names.join(", "));
                return Err(Failure::missing(stage, names.join(" before "), received));
            };
            if all.is_sorted() {
                let sequences = all.into_iter().map(Value::integer).collect();
                return Ok(Value::map([("sequences", Value::Array(sequences))]));
            }
            let mut found: Vec<(Sequence, &String)> = all.into_iter().zip(&names).collect();
            found.sort_unstable();
            let found: Vec<String> = found.iter().map(|(n, name)| format!("#{n} {name}")).collect();
            Err(Failure::missing("comparing the order", names.join(" before "), found.join(", ")))
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::proto::message::Flags;
    use crate::steps::bench::{hearing, message, said, says};

    #[test]
    fn the_numbers_count_not_the_arrival() {
        let line = r#"do = "udp.order", messages = ["RegionHandshake", "ObjectUpdate"]"#;
        let numbered = |handshake: u32, update: u32| {
            hearing(
                |viewer| {
                    says(viewer, update, Flags::default(), message("ObjectUpdate"));
                    says(viewer, handshake, Flags::default(), message("RegionHandshake"));
                },
                line,
            )
        };
        assert!(numbered(1, 2).is_ok());
        let expected = "RegionHandshake before ObjectUpdate: #1 ObjectUpdate, #2 RegionHandshake";
        assert_eq!(said(numbered(2, 1)), expected);
        let missing = "RegionHandshake before ObjectUpdate: no RegionHandshake, no ObjectUpdate";
        assert_eq!(said(hearing(|_| {}, line)), missing);
    }
}
