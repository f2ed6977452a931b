//! `eq.expect`: waits for an event.

use super::{
    Failure, Kind, Observes, Repeat, Returns, StepDef, Waits, heard, key, need, time_text,
};
use crate::client::{Observed, Source, What};
use crate::value::Value;
use std::time::Duration;
use tokio::time::Instant;

pub(super) static STEP: StepDef = StepDef {
    name: "eq.expect",
    doc: "Waits for an event on the event queue and returns its body. With `never`, watches for \
          as long as `within` says and succeeds if it does not come.",
    keys: &[
        need("message", Kind::Event, "the event's name"),
        key("where", Kind::Table, "only an event that has these values at these paths"),
        key("never", Kind::Flag, "it must not come"),
        key("after", Kind::Event, "an event of this name must have come before it"),
        key("despite_refusal", Kind::Flag, "another teleport may be refused, and ends no wait"),
    ],
    returns: Returns::Open("the event's body"),
    within: Duration::from_secs(30),
    repeatable: Repeat::No,
    waits: |args| match args.flag("never") {
        Some(true) => Waits::WatchingEvents,
        _ => Waits::ForAnswer,
    },
    observes: Observes::EVENT,
    run: |call| {
        Box::pin(async move {
            let name = call.args.text("message").unwrap_or_default();
            let filter = call.args.get("where").cloned();
            let never = call.args.flag("never").unwrap_or(false);
            let after = call.args.text("after");
            let find = |heard: &mut [Observed]| {
                let mut in_order = after.is_none();
                let mut events = heard.iter_mut().filter(|o| matches!(o.source, Source::Events(_)));
                events.find_map(|o| {
                    let What::Event(event) = &o.what else { return None };
                    in_order |= Some(&event.message) == after.as_ref();
                    let body = Value::from(&event.body);
                    if o.taken || event.message != name || !heard::fits(&body, filter.as_ref()) {
                        return None;
                    }
                    o.taken = true;
                    Some((in_order, body))
                })
            };
            let found = match never {
                true => {
                    let until = Instant::now() + call.viewer.common.watch(call.within);
                    call.viewer.mailbox.wait(until, |heard| find(heard)).await.map(Ok)
                }
                false => {
                    let despite = call.args.flag("despite_refusal").unwrap_or(false);
                    heard::awaited(&call, Some(&*name).filter(|_| !despite), find).await
                }
            };
            let found = match found {
                Some(Err(refusal)) => {
                    return Err(Failure::missing(format!("waiting for {name}"), name, refusal));
                }
                found => found.and_then(Result::ok),
            };
            match (found, never) {
                (Some((false, _)), false) => {
                    let after = after.unwrap_or_default();
                    let expected = format!("{name} after {after}");
                    let received = format!("{name}, and no {after} before it");
                    Err(Failure::missing("comparing the order of events", expected, received))
                }
                (Some((true, body)), false) => Ok(body),
                (None, true) => {
                    heard::kept(call.viewer, Some(&name), &format!("watching for {name}"))?;
                    Ok(Value::Undef)
                }
                (Some(_), true) => {
                    let expected = format!("no {name} within {}", time_text(call.within));
                    Err(Failure::missing(format!("watching for {name}"), expected, "one came"))
                }
                (None, false) if heard::trouble(call.viewer).is_some() => {
                    Err(Failure::Precondition {
                        stage: "polling the event queue".into(),
                        expected: "answers of 200 with events, or 502".into(),
                        received: heard::trouble(call.viewer).unwrap_or_default(),
                    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Viewer;
    use crate::proto::llsd::Llsd;
    use crate::proto::message::{FieldValue, Flags};
    use crate::steps::bench::{hearing, message, said, says, tells};

    fn of(name: &str, n: i32) -> impl Fn(&crate::client::Viewer) {
        let name = name.to_owned();
        move |viewer| tells(viewer, &name, Llsd::map([("n", Llsd::Integer(n))]))
    }

    #[test]
    fn only_an_event_that_fits_is_taken() {
        let both = |viewer: &_| {
            of("ParcelProperties", 1)(viewer);
            of("ParcelProperties", 2)(viewer);
        };
        let line = r#"do = "eq.expect", message = "ParcelProperties", where = { n = 2 }"#;
        assert_eq!(hearing(both, line).unwrap().get("n"), Some(&Value::integer(2)));
        let line = r#"do = "eq.expect", message = "ParcelProperties", where = { n = 3 }"#;
        let expected = "ParcelProperties within 30 s: only ParcelProperties, ParcelProperties";
        assert_eq!(said(hearing(both, line)), expected);
    }

    #[test]
    fn what_must_not_come_and_what_must_come_first() {
        let line = r#"do = "eq.expect", message = "TeleportFinish", never = true, within = "2s""#;
        assert_eq!(hearing(|_| {}, line), Ok(Value::Undef));
        let expected = "no TeleportFinish within 2 s: one came";
        assert_eq!(said(hearing(of("TeleportFinish", 0), line)), expected);
        let line = r#"do = "eq.expect", message = "TeleportFinish", after = "EnableSimulator""#;
        let expected = "TeleportFinish after EnableSimulator: TeleportFinish, and no \
                        EnableSimulator before it";
        assert_eq!(said(hearing(of("TeleportFinish", 0), line)), expected);
    }

    #[test]
    fn a_refusal_ends_the_wait() {
        let refused = |viewer: &_| {
            let info = Llsd::map([("Reason", Llsd::string("it is full"))]);
            tells(viewer, "TeleportFailed", Llsd::map([("Info", Llsd::Array(vec![info]))]));
        };
        let line = r#"do = "eq.expect", message = "TeleportFinish""#;
        let expected = "TeleportFinish: TeleportFailed, \"it is full\"";
        assert_eq!(said(hearing(refused, line)), expected);
        let line = r#"do = "eq.expect", message = "TeleportFinish", despite_refusal = true"#;
        let expected = "TeleportFinish within 30 s: only TeleportFailed";
        assert_eq!(said(hearing(refused, line)), expected);
    }

    fn alert(viewer: &Viewer) {
        let text = FieldValue::text("The region is full.");
        let alert = message("AlertMessage").with("AlertData", "Message", text);
        says(viewer, 1, Flags::RELIABLE, alert);
    }

    /// What came in place of what is waited for ends the wait; what may be about something else
    /// ends it a little later.
    #[test]
    fn another_answer_ends_the_wait() {
        let local = |viewer: &Viewer| says(viewer, 1, Flags::RELIABLE, message("TeleportLocal"));
        let of = |name: &str| format!(r#"do = "eq.expect", message = "{name}", within = "60s""#);
        let finish = said(hearing(local, &of("TeleportFinish")));
        assert_eq!(finish, "TeleportFinish: TeleportLocal");
        let crossed = said(hearing(alert, &of("CrossedRegion")));
        assert_eq!(crossed, "CrossedRegion: AlertMessage, \"The region is full.\"");
        // An alert refuses no teleport.
        let finish = said(hearing(alert, &of("TeleportFinish")));
        assert_eq!(finish, "TeleportFinish within 60 s: no event at all");
        // What was told before the last that a step took is of an earlier question.
        let earlier = |viewer: &Viewer| {
            alert(viewer);
            says(viewer, 2, Flags::RELIABLE, message("TeleportLocal"));
            viewer.mailbox.with(|heard| heard[1].taken = true);
        };
        let crossed = said(hearing(earlier, &of("CrossedRegion")));
        assert_eq!(crossed, "CrossedRegion within 60 s: no event at all");
    }

    /// A poll that ended early lost nothing: what does not come is missing all the same.
    #[test]
    fn an_early_poll_excuses_nothing() {
        let early = |viewer: &Viewer| {
            let queue = Source::Events(viewer.root.clone());
            viewer.mailbox.post(queue, What::Early("status 502 after 0.0 s".into()));
        };
        let line = r#"do = "eq.expect", message = "TeleportFinish", within = "1s""#;
        assert_eq!(said(hearing(early, line)), "TeleportFinish within 1 s: no event at all");
    }

    #[test]
    fn what_comes_behind_an_alert_comes() {
        let both = |viewer: &Viewer| {
            alert(viewer);
            tells(viewer, "CrossedRegion", Llsd::map([("n", Llsd::Integer(1))]));
        };
        assert!(hearing(both, r#"do = "eq.expect", message = "CrossedRegion""#).is_ok());
    }
}
