//! `udp.configure`: changes a circuit while it runs.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, key};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.configure",
    doc: "Changes a running circuit: whether it acknowledges, answers pings, pings, and which \
          number comes next.",
    keys: &[
        key("circuit", Kind::Text, "the circuit; where the avatar stands if left out"),
        key("acks", Kind::Flag, "acknowledge reliable packets"),
        key("pongs", Kind::Flag, "answer pings"),
        key("pings", Kind::Flag, "send pings"),
        key("next_sequence", Kind::Integer, "the number of the next datagram"),
    ],
    returns: Returns::Members(&[("next_sequence", "the number of the next datagram")]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let args = call.args;
            let circuit = call.circuit();
            let flags = (args.flag("acks"), args.flag("pongs"), args.flag("pings"));
            if flags.0 == Some(false) || flags.1 == Some(false) {
                // Whoever neither acknowledges nor answers may rightly be dropped.
                call.viewer.give_up(&circuit);
            }
            let Some(link) = call.viewer.link(&circuit) else {
                return Err(Failure::Error(format!("no circuit `{circuit}` is open")));
            };
            link.configure(move |circuit| {
                let config = circuit.config_mut();
                config.acks = flags.0.unwrap_or(config.acks);
                config.pongs = flags.1.unwrap_or(config.pongs);
                config.pings = flags.2.unwrap_or(config.pings);
            });
            let next = link.next_sequence(args.int("next_sequence")).await;
            Ok(Value::map([("next_sequence", Value::integer(next))]))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, inside, said, silent, unasked};

    #[test]
    fn the_next_number_is_set_and_told() {
        let line = r#"do = "udp.configure", next_sequence = 500"#;
        let ended = inside(unasked, silent, line).0.unwrap();
        assert_eq!(ended.get("next_sequence"), Some(&Value::integer(500)));
        let ended = said(hearing(|_| {}, line));
        assert_eq!(ended, "error: no circuit `root` is open");
    }
}
