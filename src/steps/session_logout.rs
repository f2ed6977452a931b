//! `session.logout`: out of the world.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, key};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "session.logout",
    doc: "Sends LogoutRequest and waits for a sign that the session has ended: LogoutReply, the ack \
          of the request or a seed capability that is gone, because real grids lose the first \
          two. Circuits stay open for what may still come. Sessions are logged out after every \
          case anyway: this step is for cases about logging out.",
    keys: &[key("circuit", Kind::Text, "the circuit; where the avatar stands if left out")],
    returns: Returns::Members(&[
        ("sequence", "the number of the LogoutRequest"),
        ("sign", "what told that the session has ended: reply, ack or seed"),
    ]),
    within: Duration::from_secs(10),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let viewer = call.viewer;
            // Kept until it has ended: the case may be stopped while this waits.
            let Some(session) = viewer.session().cloned() else {
                return Err(Failure::missing("logging out", "a session", "no login gave one"));
            };
            let circuit = call.args.text("circuit").unwrap_or_else(|| viewer.root.clone());
            let left = viewer.ask_to_leave(&circuit, &session, call.within).await;
            let Some((sequence, sign)) = left else {
                let stage = "waiting for a sign that the session has ended";
                let expected = "LogoutReply, an ack, or a seed capability that is gone";
                return Err(Failure::missing(stage, expected, "none of them"));
            };
            viewer.ended(&circuit);
            let sign = ("sign", Value::string(sign));
            Ok(Value::map([("sequence", Value::integer(sequence)), sign]))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, inside, said, silent, unasked};

    #[test]
    fn an_ack_is_sign_enough_and_nobody_leaves_without_a_session() {
        let (ended, told) = inside(unasked, silent, r#"do = "session.logout""#);
        assert_eq!(ended.unwrap().get("sign"), Some(&Value::string("ack")));
        assert!(told.iter().any(|told| told.name() == "LogoutRequest"));
        let ended = hearing(|_| {}, r#"do = "session.logout""#);
        assert_eq!(said(ended), "a session: no login gave one");
    }
}
