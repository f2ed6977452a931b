//! `eq.listen`: polls the event queue in the background.

use super::{Failure, Observes, Repeat, Returns, StepDef, args, heard};
use crate::client::{Observed, Source, Viewer, What};
use crate::value::Value;
use std::time::Duration;
use tokio::time::Instant;

pub(super) static STEP: StepDef = StepDef {
    name: "eq.listen",
    doc: "Starts polling the event queue in the background, for `eq.expect`, and sees that the queue \
          holds or answers the poll. `session.enter` starts it by itself.",
    keys: &[],
    returns: Returns::Members(&[(
        "early",
        "how many polls of this queue have ended with an error before 10 s, though it lives",
    )]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            if !call.viewer.start_events() {
                return Err(Failure::Impossible("EventQueueGet was not granted".into()));
            }
            // A queue that is not there says so at once.
            let look = call.viewer.common.watch(Duration::from_secs(1));
            let ended = call
                .viewer
                .mailbox
                .wait(Instant::now() + look, |_| call.viewer.queue_lives().err());
            match ended.await {
                None => Ok(Value::map([("early", Value::count(early(call.viewer)))])),
                Some(dead) => {
                    let received = heard::trouble(call.viewer).unwrap_or_else(|| dead.to_string());
                    let stage = "polling the event queue";
                    Err(Failure::missing(stage, "a queue that holds or answers", received))
                }
            }
        })
    },
};

/// How many polls of the queue of its avatar's region ended too early.
fn early(viewer: &Viewer) -> usize {
    let own = Source::Events(viewer.root.clone());
    let is_early = |o: &&Observed| o.source == own && matches!(o.what, What::Early(_));
    viewer.mailbox.with(|heard| heard.iter().filter(is_early).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::bench::{NEVER, answer};
    use crate::net::server::Answer;
    use crate::proto::event_queue::PollReply;
    use crate::steps::bench::{hearing, inside, said, silent};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LISTEN: &str = r#"do = "eq.listen""#;

    #[test]
    fn a_queue_that_holds_is_one_and_one_that_is_gone_is_none() {
        assert!(inside(|_| Answer::status(NEVER), silent, LISTEN).0.is_ok());
        let gone = said(inside(|_| Answer::status(404), silent, LISTEN).0);
        assert_eq!(gone, "a queue that holds or answers: it ended: status 404");
    }

    #[test]
    fn polls_that_end_early_are_counted() {
        let polls = AtomicUsize::new(0);
        let stumbles = move |_: &_| match polls.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::status(502),
            1 => answer(&PollReply { id: 1, events: Vec::new() }.to_llsd()),
            _ => Answer::status(NEVER),
        };
        let early = |answers| inside(answers, silent, LISTEN).0.unwrap().get("early").cloned();
        assert_eq!(early(stumbles), Some(Value::count(1)));
    }

    #[test]
    fn a_queue_that_was_not_granted_is_impossible_to_poll() {
        let ended = hearing(|_| {}, LISTEN);
        assert_eq!(said(ended), "impossible: EventQueueGet was not granted");
    }
}
