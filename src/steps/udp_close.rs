//! `udp.close`: closes a circuit's socket.

use super::{Kind, Observes, Repeat, Returns, StepDef, args, key};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.close",
    doc: "Closes a circuit's socket without a word to the simulator.",
    keys: &[key("circuit", Kind::Text, "the circuit; where the avatar stands if left out")],
    returns: Returns::Members(&[]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            if let Some(link) = call.viewer.take_link(&call.circuit()) {
                link.close();
            }
            Ok(Value::Map(Vec::new()))
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::steps::bench::{inside, silent, unasked};

    #[test]
    fn from_then_on_nothing_is_sent() {
        let (ended, told) = inside(unasked, silent, r#"do = "udp.close""#);
        assert!(ended.is_ok());
        assert!(told.iter().all(|told| told.name() != "CloseCircuit"), "it says nothing");
    }
}
