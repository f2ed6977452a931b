//! `eq.poll`: one poll of the event queue.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, http_result, key};
use crate::net::http::Request;
use crate::proto::event_queue::PollRequest;
use crate::proto::seed::CONTENT_TYPE;
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "eq.poll",
    doc: "Polls the event queue once and returns the HTTP answer: `body.id` and `body.events` \
          where something happened, otherwise whatever the grid says when nothing did. The \
          queue's background polling must not run: see `eq.listen`.",
    keys: &[
        key("ack", Kind::Integer, "the id of the last reply"),
        key("done", Kind::Flag, "this is the last poll"),
    ],
    returns: Returns::Members(http_result::MEMBERS),
    within: Duration::from_secs(90),
    repeatable: Repeat::Unless(told),
    waits: args::for_answer,
    observes: Observes::POLL,
    run: |call| {
        Box::pin(async move {
            call.viewer.stop_events();
            let Some(url) = call.viewer.cap("EventQueueGet").map(str::to_owned) else {
                return Err(Failure::Impossible("EventQueueGet was not granted".into()));
            };
            let done = call.args.flag("done").unwrap_or(false);
            let body = PollRequest { ack: call.args.int("ack"), done }.to_xml();
            let request = Request::post(url, CONTENT_TYPE, body);
            let reply = call.viewer.ask("EventQueueGet", request, call.within).await;
            let reply = reply.map_err(|error| http_result::unanswered("EventQueueGet", error))?;
            // Told in the grid's own time, so that a case can hold it against real figures.
            let factor = call.viewer.common.time_factor.max(1);
            let elapsed = reply.elapsed * factor;
            Ok(http_result::value(&crate::net::http::Reply { elapsed, ..reply }).await)
        })
    },
};

/// Whether the poll was not idle: what it told is not told again, so it is judged as it is.
fn told(answer: &Value) -> bool {
    let idle = answer.get("status").is_some_and(|status| status.same(&Value::integer(502)));
    let events = answer.get("body").and_then(|body| body.get("events"));
    !idle && events != Some(&Value::Array(Vec::new()))
}

#[cfg(test)]
mod tests {
    use crate::client::bench::answer;
    use crate::net::server::Request;
    use crate::proto::event_queue::PollReply;
    use crate::steps::bench::{hearing, inside, said, silent};

    #[test]
    fn one_poll_acknowledges_and_is_answered() {
        let acks = |request: &Request| {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let id = if text.contains("<integer>7</integer>") { 8 } else { 7 };
            answer(&PollReply { id, events: Vec::new() }.to_llsd())
        };
        let (ended, _) = inside(acks, silent, r#"do = "eq.poll", ack = 7"#);
        let id = ended.unwrap().get("body").and_then(|body| body.get("id")?.as_int::<i64>());
        assert_eq!(id, Some(8));
    }

    #[test]
    fn a_queue_that_was_not_granted_is_impossible_to_poll() {
        let ended = hearing(|_| {}, r#"do = "eq.poll", ack = 1"#);
        assert_eq!(said(ended), "impossible: EventQueueGet was not granted");
    }
}
