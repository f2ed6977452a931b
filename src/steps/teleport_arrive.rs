//! `teleport.arrive`: goes where a grid sends the avatar.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, key, need, time_text};
use crate::client::{EnterError, Journey};
use crate::proto::llsd::Llsd;
use crate::value::message_value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "teleport.arrive",
    doc: "Does what a viewer does on TeleportFinish (opens a circuit to the destination, or takes \
          the one that is open to the neighbour, sends UseCircuitCode and CompleteAgentMovement, \
          asks the new seed, polls the new event queue) or on CrossedRegion (the same, without the \
          code where a circuit is open). Returns the blocks of \
          AgentMovementComplete. From then on steps that name no circuit act on the new one, and \
          the old one keeps its name.",
    keys: &[
        need("event", Kind::Table, "the event's body, as `eq.expect` returned it"),
        key("circuit", Kind::Text, "the new circuit's name; `destination` if left out"),
    ],
    returns: Returns::Open("the blocks of AgentMovementComplete"),
    within: Duration::from_secs(20),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::MOVEMENT,
    run: |call| {
        Box::pin(async move {
            let body = call.args.get("event").map_or(Llsd::Undef, Llsd::from);
            let circuit = call.args.text("circuit").unwrap_or_else(|| "destination".into());
            let Some(journey) = Journey::parse(&body, call.viewer) else {
                let (stage, sends) =
                    ("reading where the event leads", "an event that sends this agent");
                let expected = format!("{sends} somewhere");
                return Err(Failure::missing(stage, expected, format!("{sends} nowhere")));
            };
            if matches!(journey, Journey::Teleport(_)) && circuit == call.viewer.root {
                let what = format!("the avatar stands on circuit `{circuit}`: name another");
                return Err(Failure::Error(what));
            }
            let arrived = call.viewer.follow(journey, &circuit, call.within).await;
            let arrived = arrived.map_err(|error| match error {
                EnterError::Socket(_) => Failure::Error(error.to_string()),
                error => {
                    let expected =
                        format!("AgentMovementComplete within {}", time_text(call.within));
                    Failure::missing("arriving at the destination", expected, error.to_string())
                }
            })?;
            Ok(message_value(&arrived))
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::steps::bench::{hearing, said};

    #[test]
    fn an_event_that_leads_nowhere_is_not_followed() {
        let ended = hearing(|_| {}, r#"do = "teleport.arrive", event = { Info = [] }"#);
        let sends = "an event that sends this agent";
        assert_eq!(said(ended), format!("{sends} somewhere: {sends} nowhere"));
    }
}
