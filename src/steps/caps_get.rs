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
