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
    use crate::client::bench::{converse_there, rpc, session, welcome};
    use crate::steps::bench::{said, step};

    #[test]
    fn a_circuit_that_is_closed_sends_nothing_more() {
        let pause = r#"do = "udp.send", message = "AgentPause""#;
        let (ended, _) = converse_there(
            |_, _| rpc(&session()),
            welcome,
            async |viewer| {
                step(viewer, r#"do = "login.any""#).await.unwrap();
                step(viewer, r#"do = "udp.open""#).await.unwrap();
                let open = step(viewer, pause).await.is_ok();
                step(viewer, r#"do = "udp.close""#).await.unwrap();
                (open, said(step(viewer, pause).await))
            },
        );
        assert_eq!(ended, (true, "error: no circuit `root` is open".to_owned()));
    }
}
