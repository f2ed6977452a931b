//! `caps.seed`: asks the seed capability.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, http_result, key, need};
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "caps.seed",
    doc: "Asks the session's seed capability for capabilities by name; what it grants is there for \
          `caps.get`, `caps.post` and the event queue.",
    keys: &[
        need("names", Kind::Capabilities, "the names asked for"),
        key("seed", Kind::Text, "another seed's URL, such as a neighbour's"),
    ],
    returns: Returns::Members(http_result::MEMBERS),
    within: Duration::from_secs(30),
    repeatable: Repeat::Yes,
    waits: args::for_answer,
    observes: Observes::SEED,
    run: |call| {
        Box::pin(async move {
            let names = call.args.texts("names").unwrap_or_default();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let viewer = call.viewer;
            let Some(session) = viewer.session() else {
                return Err(Failure::missing("asking the seed", "a session", "no login gave one"));
            };
            let url = call.args.text("seed").unwrap_or_else(|| session.seed.to_string());
            let reply = viewer.ask_seed_at(&url, &names, call.within).await;
            let reply = reply.map_err(|error| http_result::unanswered("the seed", error))?;
            Ok(http_result::value(&reply).await)
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::steps::bench::{hearing, inside, said, silent, unasked};

    #[test]
    fn the_seed_is_asked_and_its_answer_returned() {
        let (ended, _) = inside(unasked, silent, r#"do = "caps.seed", names = ["Cap"]"#);
        let granted = ended.unwrap().get("body").and_then(|body| body.get("Cap")?.as_text());
        assert_eq!(granted.as_deref(), Some("http://127.0.0.1:8002/cap"));
        let ended = hearing(|_| {}, r#"do = "caps.seed", names = ["Cap"]"#);
        assert_eq!(said(ended), "a session: no login gave one");
    }
}
