//! `neighbour.expect`: where the announcement of a neighbour leads.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, need, time_text};
use crate::value::{Value, message_value};
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "neighbour.expect",
    doc: "Waits until a region that the grid told of by EnableSimulator has been called on, as \
          viewers do: the circuit that it names has brought RegionHandshake, and the seed that \
          EstablishAgentCommunication told of has answered. The circuit is `neighbour HANDLE`.",
    keys: &[need("handle", Kind::Integer, "the region's handle, as `region.find` returns it")],
    returns: Returns::Members(&[
        ("handshake", "the blocks of RegionHandshake"),
        ("address", "address and port that EnableSimulator told"),
        ("granted", "the names of what its seed granted; empty where it granted nothing"),
        ("seed", "what was wrong with the seed; empty if nothing"),
    ]),
    within: Duration::from_secs(30),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NEIGHBOUR,
    run: |call| {
        Box::pin(async move {
            let circuit =
                format!("neighbour {}", call.args.int::<u64>("handle").unwrap_or_default());
            let (called, greeting) = call.viewer.wait_for_neighbour(&circuit, call.within).await;
            let missing = |expected: &str, received: String| {
                let expected = format!("{expected} within {}", time_text(call.within));
                Err(Failure::missing("calling on a neighbour", expected, received))
            };
            let Some(address) = called.address else {
                return missing("EnableSimulator with that handle", "none".into());
            };
            let Some(greeting) = greeting else {
                let received =
                    format!("nothing of that from {address}, where EnableSimulator leads");
                return missing("RegionHandshake", received);
            };
            let (granted, wrong) = match called.granted {
                Some(Ok(granted)) => (granted, String::new()),
                Some(Err(wrong)) => (Vec::new(), wrong),
                None if called.unestablished => {
                    (Vec::new(), format!("no EstablishAgentCommunication tells one for {address}"))
                }
                None => (Vec::new(), "no answer".into()),
            };
            Ok(Value::map([
                ("handshake", message_value(&greeting)),
                ("address", Value::String(address.to_string())),
                ("granted", Value::Array(granted.into_iter().map(Value::String).collect())),
                ("seed", Value::String(wrong)),
            ]))
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::steps::bench::{hearing, inside, said, silent, unasked};

    #[test]
    fn a_neighbour_that_was_never_told_of_is_missing() {
        let line = r#"do = "neighbour.expect", handle = 1, within = "2s""#;
        let expected = "EnableSimulator with that handle within 2 s: none";
        assert_eq!(said(hearing(|_| {}, line)), expected);
        assert_eq!(said(inside(unasked, silent, line).0), expected);
    }
}
