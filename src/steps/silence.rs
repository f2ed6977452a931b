//! `silence`: deliberately says nothing.

use super::{Kind, Observes, Repeat, Returns, StepDef, Waits, key, need};
use crate::net::udp::CircuitHandle;
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "silence",
    doc: "Says nothing for a while: no pings, no answers to pings, no acks, no resends, no \
          AgentUpdate on any circuit (or on one). The time is that of a real grid; a grid that runs \
          its timers faster is given as much less.",
    keys: &[
        need("lasts", Kind::Time, "how long"),
        key("circuit", Kind::Text, "only this circuit is silent"),
        key("listen", Kind::Flag, "true: go on answering and pinging, just wait"),
    ],
    returns: Returns::Members(&[]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: |_| Waits::WatchingCircuit,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let only = call.args.text("circuit");
            if !call.args.flag("listen").unwrap_or(false) {
                let chosen = |name: &&String| only.as_ref().is_none_or(|only| only == *name);
                let names: Vec<String> =
                    call.viewer.links().map(|(name, _)| name).filter(chosen).cloned().collect();
                for name in names {
                    // Whoever is silent for long is rightly dropped.
                    call.viewer.give_up(&name);
                    call.viewer.end_updates(&name);
                    if let Some(link) = call.viewer.link(&name) {
                        hush(link);
                    }
                }
                if only.is_none() {
                    call.viewer.each_neighbour(hush);
                }
            }
            let lasts = call.args.time("lasts").unwrap_or_default();
            tokio::time::sleep(call.viewer.common.watch(lasts)).await;
            Ok(Value::Map(Vec::new()))
        })
    },
};

/// From now on a circuit says nothing.
fn hush(link: &CircuitHandle) {
    link.configure(|circuit| {
        let config = circuit.config_mut();
        (config.acks, config.pings, config.pongs) = (false, false, false);
        config.resend_tries = 0;
    });
}

#[cfg(test)]
mod tests {
    use crate::steps::bench::{inside, silent, unasked};

    #[test]
    fn whoever_is_silent_answers_no_pings_and_updates_nothing() {
        let said = |name: &str, line: &str| {
            let (ended, told) = inside(unasked, silent, line);
            assert!(ended.is_ok());
            told.iter().filter(|told| told.name() == name).count()
        };
        let pongs = |line: &str| said("CompletePingCheck", line);
        let updates = |line: &str| said("AgentUpdate", line);
        // A simulator pings every five seconds.
        assert_eq!(pongs(r#"do = "silence", lasts = "20s""#), 0);
        let otherwise = r#"do = "udp.expect", message = "KickUser", never = true, within = "20s""#;
        assert!(pongs(otherwise) > 1);
        // The one that said it has arrived.
        assert_eq!(updates(r#"do = "silence", lasts = "20s""#), 1);
        assert!(updates(otherwise) > 15);
    }
}
