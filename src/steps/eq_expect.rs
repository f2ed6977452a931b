//! `eq.expect`: waits for an event.

use super::{Failure, Kind, Repeat, Returns, StepDef, heard, key, need, time_text};
use crate::client::{Source, What};
use crate::value::Value;
use std::time::Duration;
use tokio::time::Instant;

pub(super) static STEP: StepDef = StepDef {
    name: "eq.expect",
    doc: "Waits for an event on the event queue and returns its body. With `never`, watches for \
          as long as `within` says and succeeds if it does not come.",
    keys: &[
        need("message", Kind::Text, "the event's name"),
        key("where", Kind::Table, "only an event that has these values at these paths"),
        key("never", Kind::Flag, "it must not come"),
    ],
    returns: Returns::Open("the event's body"),
    within: Duration::from_secs(30),
    repeatable: Repeat::No,
    run: |call| {
        Box::pin(async move {
            let name = call.args.text("message").unwrap_or_default();
            let filter = call.args.get("where").cloned();
            let never = call.args.flag("never").unwrap_or(false);
            let wait = match never {
                true => call.viewer.common.watch(call.within),
                false => call.within,
            };
            let found = call.viewer.mailbox.wait(Instant::now() + wait, |heard| {
                heard.iter_mut().filter(|o| o.source == Source::Events && !o.taken).find_map(|o| {
                    let What::Event(event) = &o.what else { return None };
                    let body = Value::from(&event.body);
                    if event.message != name || !heard::fits(&body, filter.as_ref()) {
                        return None;
                    }
                    o.taken = true;
                    Some(body)
                })
            });
            let found = found.await;
            match (found, never) {
                (Some(body), false) => Ok(body),
                (None, true) => Ok(Value::Undef),
                (Some(_), true) => {
                    let expected = format!("no {name} within {}", time_text(call.within));
                    Err(Failure::missing(format!("watching for {name}"), expected, "one came"))
                }
                (None, false) => {
                    let names = heard::events(call.viewer);
                    let received = match names.is_empty() {
                        true => "no event at all".to_owned(),
                        false => format!("only {}", names.join(", ")),
                    };
                    let expected = format!("{name} within {}", time_text(call.within));
                    Err(Failure::missing(format!("waiting for {name}"), expected, received))
                }
            }
        })
    },
};
