//! `session.enter`: from nothing to an avatar in the world.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, key, login};
use crate::client::{EnterError, LoginError, ROOT};
use crate::net::http::HttpError;
use crate::value::{Value, message_value};
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "session.enter",
    doc: "Logs in (following `indeterminate`, trying again past a stale session), asks the seed, \
          opens the circuit `root`, completes the movement, answers the handshake and starts the \
          event queue. From then on the neighbours that the grid tells of are called on, as viewers \
          do: each has a circuit `neighbour HANDLE`, its seed is asked and its event queue polled. \
          Returns the login's members, and `handshake` and `movement`: the messages \
          RegionHandshake and AgentMovementComplete.",
    keys: &[
        key("start", Kind::Text, "the start location; `last` if left out"),
        key(
            "follow",
            Kind::Flag,
            "false: regions that the grid tells of are not called on; true if left out",
        ),
        login::FORM,
    ],
    returns: Returns::Open("the login's members, `handshake` and `movement`"),
    within: Duration::from_secs(30),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::ENTERING,
    run: |call| {
        Box::pin(async move {
            let viewer = call.viewer;
            if let (true, Some(arrival)) = (viewer.is_alive(), viewer.arrival()) {
                // Another case of the same account has left its session to be shared.
                return Ok(arrival.clone());
            }
            viewer.follows = call.args.flag("follow").unwrap_or(true);
            let start = call.args.text("start").unwrap_or_else(|| "last".into());
            viewer.login_form = login::form(call.args, &viewer.common);
            let members = viewer.enter(&start, call.within).await.map_err(explain)?;
            let Value::Map(mut members) = Value::from(&members) else {
                return Err(Failure::Error("a login reply without members".into()));
            };
            let now = Duration::ZERO;
            for (member, message) in
                [("handshake", "RegionHandshake"), ("movement", "AgentMovementComplete")]
            {
                if let Some(message) = viewer.wait_for(ROOT, message, now).await {
                    members.push((member.into(), message_value(&message)));
                }
            }
            members.push(("derived".into(), login::derived(&members)));
            let arrival = Value::Map(members);
            viewer.set_arrival(arrival.clone());
            Ok(arrival)
        })
    },
};

fn explain(error: EnterError) -> Failure {
    let text = error.to_string();
    match error {
        EnterError::Login(LoginError::Http(HttpError::Connect(_))) => {
            Failure::missing("logging in", "a grid that answers", text)
        }
        EnterError::Login(_) => Failure::missing("logging in", "a session", text),
        EnterError::Seed(_) => {
            Failure::missing("asking the seed capability", "status 200 and a map", text)
        }
        EnterError::Socket(_) => Failure::Error(text),
        EnterError::Silence(what) => {
            Failure::missing(format!("waiting for {what}"), what, "nothing")
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::bench::{hearing, inside, said, silent, unasked};

    #[test]
    fn whoever_is_in_the_world_stays_there() {
        // The bench has brought it there already; it does not log in again.
        let (ended, told) = inside(unasked, silent, r#"do = "session.enter""#);
        assert!(ended.is_ok());
        let codes = told.iter().filter(|told| told.name() == "UseCircuitCode").count();
        assert_eq!(codes, 1);
    }

    #[test]
    fn without_a_login_there_is_no_session() {
        let ended = said(hearing(|_| {}, r#"do = "session.enter", within = "1s""#));
        assert!(ended.starts_with("a session: "), "{ended}");
    }
}
