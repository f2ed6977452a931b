//! What every HTTP step returns.

use super::Failure;
use crate::client::Viewer;
use crate::net::http::{HttpError, Reply, Request};
use crate::proto::{llsd, xmlrpc};
use crate::value::{Path, Value};
use std::time::Duration;

pub(super) const MEMBERS: &[(&str, &str)] = &[
    ("status", "the HTTP status"),
    ("content_type", "the content type as sent, or undef"),
    ("headers", "the headers, names in lower case"),
    ("body", "the body: LLSD or XML-RPC where it is that, else undef"),
    ("passed_over", "what of an LLSD body viewers pass over, since it does not belong there"),
    ("text", "the body as text, cut at 4096 characters"),
    ("size", "the body's size in bytes"),
    ("ms", "from sending to the last byte, in milliseconds"),
];

/// Asks, and returns the answer whatever it is.
pub(super) async fn asked(
    viewer: &Viewer,
    what: &str,
    request: Request,
    within: Duration,
) -> Result<Value, Failure> {
    let reply = viewer.ask(what, request, within).await;
    match reply {
        Ok(reply) => Ok(value(&reply).await),
        Err(error) => Err(unanswered(what, error)),
    }
}

/// A reply as a value.
pub(super) async fn value(reply: &Reply) -> Value {
    let headers = reply.headers.iter().map(|(k, v)| (k.clone(), Value::string(v)));
    let (body, passed_over) = reply.read(body).await;
    let text: String = String::from_utf8_lossy(&reply.body).chars().take(4096).collect();
    Value::map([
        ("status", Value::integer(reply.status)),
        ("content_type", reply.header("content-type").map_or(Value::Undef, Value::string)),
        ("headers", Value::map(headers.collect::<Vec<_>>())),
        ("body", body),
        ("passed_over", Value::Array(passed_over)),
        ("text", Value::String(text)),
        ("size", Value::count(reply.body.len())),
        ("ms", Value::Real(reply.elapsed.as_secs_f64() * 1e3)),
    ])
}

/// A body as viewers read it, and what of it they pass over.
fn body(bytes: &[u8]) -> (Value, Vec<Value>) {
    if let Ok((value, odd)) = llsd::from_xml_as_viewers(bytes) {
        let odd = odd.iter().map(|odd| Value::String(odd.to_string())).collect();
        return (Value::from(&value), odd);
    }
    let rpc = match xmlrpc::parse(bytes) {
        Ok(xmlrpc::Document::Response(value)) => Value::from(&value),
        Ok(xmlrpc::Document::Fault { code, message }) => {
            let code = ("code", Value::integer(code));
            Value::map([("fault", Value::map([code, ("message", Value::String(message))]))])
        }
        _ => Value::Undef,
    };
    (rpc, Vec::new())
}

/// No answer: what was awaited, and what came instead.
pub(super) fn unanswered(what: &str, error: HttpError) -> Failure {
    let stage = format!("waiting for the answer of {what}");
    Failure::Unanswered { stage, received: error.to_string() }
}

/// Why there is nothing to look at in the body of an HTTP answer, where a path leads there.
pub fn no_body(result: &Value, path: &Path) -> Option<String> {
    if let Some(problem) = result.get("http").and_then(|http| http.get("problem")) {
        // The result is the members of a login reply: all of them would be in the body.
        let own = ["http", "fault", "derived"].iter().any(|own| path.head() == Some(own));
        let said = problem.as_text().filter(|_| !own);
        return said.map(|problem| format!("nothing: the body is {problem}"));
    }
    let (body, size) = (result.get("body")?, result.get("size")?.as_int::<i64>()?);
    if path.head() != Some("body") || *body != Value::Undef {
        return None;
    }
    Some(match size {
        0 => "nothing: the body is empty".to_owned(),
        n => format!("{n} bytes that are neither LLSD nor XML-RPC"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_what_it_is() {
        let (value, odd) = body(b"<llsd><map><key>a</key><integer>1</integer></map></llsd>");
        assert_eq!((value.get("a"), odd.len()), (Some(&Value::integer(1)), 0));
        // A value without a key is passed over, as viewers do, and told.
        let keyless =
            b"<llsd><map><integer>2</integer><key>a</key><integer>1</integer></map></llsd>";
        let (value, odd) = body(keyless);
        assert_eq!((value.get("a"), odd.len()), (Some(&Value::integer(1)), 1));
        assert_eq!(body(b"<html>no</html>"), (Value::Undef, Vec::new()));
    }

    #[test]
    fn a_path_into_a_body_that_is_none_says_what_is_there() {
        let answer =
            |size: i64| Value::map([("body", Value::Undef), ("size", Value::integer(size))]);
        let (inside, beside) = (Path::parse("body.a").unwrap(), Path::parse("status").unwrap());
        assert_eq!(no_body(&answer(0), &inside).as_deref(), Some("nothing: the body is empty"));
        let expected = "9 bytes that are neither LLSD nor XML-RPC";
        assert_eq!(no_body(&answer(9), &inside).as_deref(), Some(expected));
        assert_eq!(no_body(&answer(9), &beside), None);
    }
}
