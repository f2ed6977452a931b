//! `caps.get`: a GET on a capability.

use super::{
    Call, Failure, Kind, Observes, Repeat, Returns, StepDef, args, http_result, key, need,
};
use crate::net::http::Request;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "caps.get",
    doc: "Asks a granted capability with GET. Where the capability was not granted, the case is \
          impossible here.",
    keys: &[
        need("cap", Kind::Capability, "the capability's name"),
        key("query", Kind::Text, "what follows the URL, with its `?` or `/`"),
    ],
    returns: Returns::Members(http_result::MEMBERS),
    within: Duration::from_secs(30),
    repeatable: Repeat::Yes,
    waits: args::for_answer,
    observes: Observes::CAPABILITY,
    run: |call| {
        Box::pin(async move {
            let (name, url) = granted(&call)?;
            let query = call.args.text("query").unwrap_or_default();
            let request = Request::get(format!("{url}{query}"));
            http_result::asked(call.viewer, &name, request, call.within).await
        })
    },
};

/// The name and URL of the capability a step names.
pub(super) fn granted(call: &Call<'_>) -> Result<(String, String), Failure> {
    let name = call.args.text("cap").unwrap_or_default();
    match call.viewer.cap(&name) {
        Some(url) => Ok((name, url.to_owned())),
        None => Err(Failure::Impossible(format!("the capability {name} was not granted"))),
    }
}

#[cfg(test)]
mod tests {
    use crate::client::bench::NEVER;
    use crate::net::server::Answer;
    use crate::steps::bench::{inside, said, silent};
    use crate::value::Value;

    #[test]
    fn what_follows_the_url_is_asked_for() {
        let (ended, _) = inside(
            |request| Answer::ok("text/plain", format!("{} {}", request.method, request.query)),
            silent,
            r#"do = "caps.get", cap = "Cap", query = "?ids=1""#,
        );
        assert_eq!(ended.unwrap().get("text"), Some(&Value::string("GET ids=1")));
    }

    #[test]
    fn a_status_is_an_answer_and_silence_is_none() {
        let line = r#"do = "caps.get", cap = "Cap", within = "5s""#;
        let (ended, _) = inside(|_| Answer::status(503), silent, line);
        assert_eq!(ended.unwrap().get("status"), Some(&Value::integer(503)));
        let (ended, _) = inside(|_| Answer::status(NEVER), silent, line);
        assert!(said(ended).starts_with("unanswered: "));
        let (ended, _) = inside(|_| Answer::status(200), silent, r#"do = "caps.get", cap = "No""#);
        assert_eq!(said(ended), "impossible: the capability No was not granted");
    }
}
