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

#[cfg(test)]
mod tests {
    use crate::net::server::Answer;
    use crate::steps::bench::{inside, said, silent};
    use crate::value::Value;

    #[test]
    fn any_method_goes_to_what_lies_below() {
        let (ended, _) = inside(
            |request| Answer::ok("text/plain", format!("{} {}", request.method, request.path)),
            silent,
            r#"do = "caps.ask", cap = "Cap", method = "PATCH", path = "/item/1", body = { a = 1 }"#,
        );
        assert_eq!(ended.unwrap().get("text"), Some(&Value::string("PATCH /cap/item/1")));
    }

    #[test]
    fn what_was_not_granted_is_impossible() {
        let line = r#"do = "caps.ask", cap = "Other", method = "GET""#;
        let (ended, _) = inside(|_| Answer::status(200), silent, line);
        assert_eq!(said(ended), "impossible: the capability Other was not granted");
    }
}
