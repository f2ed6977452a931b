//! `session.logout`: out of the world.

use super::{Failure, Kind, Returns, StepDef, key};
use crate::client::{ROOT, agent_message};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "session.logout",
    doc: "Sends LogoutRequest on the circuit `root` and waits for its ack; circuits stay open for \
          what may still come. Sessions are logged out after every case anyway: this step is for \
          cases about logging out.",
    keys: &[key("circuit", Kind::Text, "the circuit; `root` if left out")],
    returns: Returns::Members(&[("sequence", "the number of the LogoutRequest")]),
    within: Duration::from_secs(5),
    repeatable: false,
    run: |call| {
        Box::pin(async move {
            let viewer = call.viewer;
            let Some(session) = viewer.session.take() else {
                return Err(Failure::Error("there is no session to log out".into()));
            };
            let request = agent_message(&viewer.common.template, "LogoutRequest", &session);
            let circuit = call.args.text("circuit").unwrap_or_else(|| ROOT.into());
            let sequence = viewer.tell(&circuit, request, true).await;
            if !viewer.acked(&circuit, sequence, call.within).await {
                viewer.session = Some(session);
                let received = "silence";
                let stage = "waiting for the ack of LogoutRequest";
                return Err(Failure::missing(stage, "an ack", received));
            }
            viewer.stop_events();
            viewer.entered = false;
            Ok(Value::map([("sequence", Value::integer(sequence))]))
        })
    },
};
