//! `caps.post`: LLSD to a capability.

use super::{
    Kind, Observes, Repeat, Returns, StepDef, args, caps_get::granted, http_result, key, need,
};
use crate::net::http::Request;
use crate::proto::llsd::{Llsd, to_xml};
use crate::proto::seed::CONTENT_TYPE;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "caps.post",
    doc: "Posts LLSD to a granted capability. Where the capability was not granted, the case is \
          impossible here.",
    keys: &[
        need("cap", Kind::Capability, "the capability's name"),
        key("body", Kind::Any, "the LLSD value"),
        key("text", Kind::Text, "a body to the letter, instead of LLSD"),
    ],
    returns: Returns::Members(http_result::MEMBERS),
    within: Duration::from_secs(30),
    repeatable: Repeat::Yes,
    waits: args::for_answer,
    observes: Observes::CAPABILITY,
    run: |call| {
        Box::pin(async move {
            let (name, url) = granted(&call)?;
            let body = match call.args.text("text") {
                Some(text) => text,
                None => to_xml(&call.args.get("body").map_or(Llsd::Undef, Llsd::from)),
            };
            let request = Request::post(url, CONTENT_TYPE, body);
            http_result::asked(call.viewer, &name, request, call.within).await
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::net::server::{Answer, Request};
    use crate::steps::bench::{inside, silent};
    use crate::value::Value;

    #[test]
    fn llsd_is_sent_unless_a_body_is_given_to_the_letter() {
        let body = |line: &str| {
            let echo = |request: &Request| Answer::ok("text/plain", request.body.clone());
            inside(echo, silent, line).0.unwrap().get("text").and_then(Value::as_text).unwrap()
        };
        let sent = body(r#"do = "caps.post", cap = "Cap", body = { name = "Jane" }"#);
        assert!(sent.contains("<key>name</key><string>Jane</string>"), "{sent}");
        assert_eq!(body(r#"do = "caps.post", cap = "Cap", text = "<llsd>""#), "<llsd>");
    }
}
