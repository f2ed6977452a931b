//! `caps.ask`: any method on a capability, and on what lies below it.

use super::{
    Kind, Observes, Repeat, Returns, StepDef, args, caps_get::granted, http_result, key, need,
};
use crate::net::http::Request;
use crate::proto::llsd::{Llsd, to_xml};
use crate::proto::seed::CONTENT_TYPE;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "caps.ask",
    doc: "Asks a granted capability with any method, or a resource below it. Where the capability \
          was not granted, the case is impossible here.",
    keys: &[
        need("cap", Kind::Capability, "the capability's name"),
        need("method", Kind::Text, "the method"),
        key("path", Kind::Text, "what follows the capability's URL, with its `/` or `?`"),
        key("body", Kind::Any, "the LLSD value to send"),
        key("headers", Kind::Table, "headers by name"),
    ],
    returns: Returns::Members(http_result::MEMBERS),
    within: Duration::from_secs(30),
    repeatable: Repeat::Yes,
    waits: args::for_answer,
    observes: Observes::CAPABILITY,
    run: |call| {
        Box::pin(async move {
            let (name, url) = granted(&call)?;
            let args = call.args;
            let mut headers = args.headers();
            let body = args.get("body").map(|body| to_xml(&Llsd::from(body)).into_bytes());
            if body.is_some() {
                headers.push(("content-type".into(), CONTENT_TYPE.into()));
            }
            let request = Request {
                method: args.text("method"),
                url: format!("{url}{}", args.text("path").unwrap_or_default()),
                headers,
                body,
                elsewhere: false,
                alone: false,
            };
            http_result::asked(call.viewer, &name, request, call.within).await
        })
    },
};
