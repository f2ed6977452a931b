//! `caps.upload`: the two steps of an upload.

use super::{
    Kind, Observes, Repeat, Returns, StepDef, args, caps_get::granted, http_result, key, need,
};
use crate::net::http::Request;
use crate::proto::llsd::{Llsd, from_xml_as_viewers, to_xml};
use crate::proto::seed::CONTENT_TYPE;
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "caps.upload",
    doc: "Asks a capability for an uploader and posts bytes there, if it names one. Where the \
          capability was not granted, the case is impossible here.",
    keys: &[
        need("cap", Kind::Capability, "the capability's name"),
        need("text", Kind::Text, "what is uploaded"),
        key("body", Kind::Any, "the LLSD that asks for the uploader"),
    ],
    returns: Returns::Members(&[
        ("begun", "the answer that should name an uploader, as `caps.post` returns it"),
        ("done", "the uploader's answer, or undef where none was named"),
    ]),
    within: Duration::from_secs(60),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::UPLOAD,
    run: |call| {
        Box::pin(async move {
            let (name, url) = granted(&call)?;
            let body = to_xml(&call.args.get("body").map_or(Llsd::Undef, Llsd::from));
            let request = Request::post(url, CONTENT_TYPE, body);
            let begun = call.viewer.ask(&name, request, call.within).await;
            let begun = begun.map_err(|error| http_result::unanswered(&name, error))?;
            let uploader = from_xml_as_viewers(&begun.body).ok().map(|(value, _)| value);
            let uploader = uploader.as_ref().and_then(|map| map.get("uploader")?.as_str());
            let mut done = Value::Undef;
            if let Some(url) = uploader.filter(|url| url.starts_with("http")) {
                let bytes = call.args.text("text").unwrap_or_default();
                let request = Request::post(url, "application/octet-stream", bytes);
                done =
                    http_result::asked(call.viewer, "the uploader", request, call.within).await?;
            }
            Ok(Value::map([("begun", http_result::value(&begun).await), ("done", done)]))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::bench::answer;
    use crate::net::server::Answer;
    use crate::steps::bench::{URL, inside, silent};

    #[test]
    fn bytes_go_where_the_first_answer_leads_or_nowhere() {
        let line = r#"do = "caps.upload", cap = "Cap", text = "bytes""#;
        let (ended, _) = inside(
            |request| match request.path.as_str() {
                "/cap" => answer(&Llsd::map([("uploader", Llsd::string(format!("{URL}cap/up")))])),
                _ => Answer::ok("text/plain", request.body.clone()),
            },
            silent,
            line,
        );
        let done = ended.unwrap().get("done").and_then(|done| done.get("text")?.as_text());
        assert_eq!(done.as_deref(), Some("bytes"));
        let refused = |_: &_| answer(&Llsd::map([("state", Llsd::string("error"))]));
        let ended = inside(refused, silent, line).0.unwrap();
        assert_eq!(ended.get("done"), Some(&Value::Undef));
    }
}
