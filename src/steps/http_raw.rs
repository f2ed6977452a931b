//! `http.raw`: any HTTP request.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, http_result, key, need};
use crate::net::http::{ELSEWHERE, HttpError, Request};
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "http.raw",
    doc: "Sends any HTTP request, well-formed or not, and returns the answer whatever it is.",
    keys: &[
        need("url", Kind::Text, "the URL; `${target.login_uri}` is the grid's login"),
        key("method", Kind::Text, "the method; POST with a body, else GET, if left out"),
        key("headers", Kind::Table, "headers by name"),
        key("text", Kind::Text, "the body as text"),
        key("hex", Kind::Text, "the body as hex"),
        key(
            "elsewhere",
            Kind::Flag,
            "ask from another address of this machine than everything else: only on loopback",
        ),
        key("gzip", Kind::Flag, "compress the body and say so"),
    ],
    returns: Returns::Members(http_result::MEMBERS),
    within: Duration::from_secs(30),
    repeatable: Repeat::Yes,
    waits: args::for_answer,
    observes: Observes::URL,
    run: |call| {
        Box::pin(async move {
            let args = call.args;
            let mut headers = args.headers();
            let mut body = match (args.text("text"), args.text("hex")) {
                (Some(text), _) => Some(text.into_bytes()),
                (None, Some(hex)) => Some(
                    hex::decode(hex.split_whitespace().collect::<String>())
                        .map_err(|error| Failure::unfit(format!("`hex`: {error}")))?,
                ),
                (None, None) => None,
            };
            if args.flag("gzip").unwrap_or(false) {
                headers.push(("content-encoding".into(), "gzip".into()));
                body = body.map(compress);
            }
            let url = args.text("url").unwrap_or_default();
            let elsewhere = args.flag("elsewhere").unwrap_or(false);
            let method = args.text("method");
            let request = Request { method, url, headers, body, elsewhere, alone: false };
            let reply = call.viewer.ask("http.raw", request, call.within).await;
            if let (true, Err(HttpError::Connect(why))) = (elsewhere, &reply) {
                return Err(Failure::Impossible(format!("cannot ask from {ELSEWHERE}: {why}")));
            }
            let reply = reply.map_err(|error| http_result::unanswered("the request", error))?;
            Ok(http_result::value(&reply).await)
        })
    },
};

fn compress(body: Vec<u8>) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to a vector does not fail.
    let _ = encoder.write_all(&body);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::net::server::{Answer, Request};
    use crate::steps::bench::{hearing, inside, said, silent};
    use crate::value::Value;

    #[test]
    fn what_is_written_is_sent_to_the_letter() {
        let echo = |request: &Request| {
            let head = format!("{} {:?} ", request.method, request.header("x-name"));
            Answer::ok("text/plain", [head.into_bytes(), request.body.clone()].concat())
        };
        let line = r#"do = "http.raw", url = "http://127.0.0.1:8002/cap", method = "PUT",
                      headers = { x-name = "y" }, hex = "68 69""#;
        let ended = inside(echo, silent, &line.replace('\n', " ")).0.unwrap();
        assert_eq!(ended.get("text"), Some(&Value::string("PUT Some(\"y\") hi")));
    }

    #[test]
    fn a_url_that_nobody_answers_is_no_answer() {
        let ended = hearing(|_| {}, r#"do = "http.raw", url = "http://127.0.0.1:8003/""#);
        assert!(said(ended).starts_with("unanswered: "));
        let ended =
            hearing(|_| {}, r#"do = "http.raw", url = "http://127.0.0.1:8002/", hex = "6""#);
        assert!(said(ended).starts_with("precondition: `hex`"));
    }
}
