//! `eq.order`: events came in this order.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, heard, need};
use crate::value::Value;
use std::time::Duration;
use tokio::time::Instant;

pub(super) static STEP: StepDef = StepDef {
    name: "eq.order",
    doc: "Waits until each of these events has come, and checks that the first of each came in this \
          order. What other steps have taken counts too.",
    keys: &[need("messages", Kind::Events, "event names in the order expected")],
    returns: Returns::Members(&[]),
    within: Duration::from_secs(30),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let names = call.args.texts("messages").unwrap_or_default();
            let deadline = Instant::now() + call.within;
            let came = call.viewer.mailbox.wait(deadline, |heard| {
                let told = heard::event_names(heard);
                let first = |name: &String| told.clone().position(|told| told == name);
                names.iter().map(first).collect::<Option<Vec<usize>>>()
            });
            let expected = names.join(" before ");
            match came.await {
                Some(firsts) if firsts.is_sorted() => Ok(Value::Map(Vec::new())),
                Some(firsts) => {
                    let mut found: Vec<(usize, &String)> = firsts.into_iter().zip(&names).collect();
                    found.sort_unstable();
                    let found: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
                    let stage = "comparing the order of events";
                    Err(Failure::missing(stage, expected, found.join(", then ")))
                }
                None => {
                    let told = heard::events(call.viewer);
                    let missing: Vec<&str> = names
                        .iter()
                        .filter(|name| !told.contains(name))
                        .map(String::as_str)
                        .collect();
                    let received = format!("no {}", missing.join(", no "));
                    Err(Failure::missing(
                        format!("waiting for {}", names.join(", ")),
                        expected,
                        received,
                    ))
                }
            }
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::proto::llsd::Llsd;
    use crate::steps::bench::{hearing, said, tells};

    #[test]
    fn the_first_of_each_must_come_in_order() {
        let line = r#"do = "eq.order", messages = ["EnableSimulator", "TeleportFinish"]"#;
        let telling = |names: &'static [&str]| {
            hearing(|viewer| names.iter().for_each(|name| tells(viewer, name, Llsd::Undef)), line)
        };
        assert!(telling(&["EnableSimulator", "TeleportFinish", "EnableSimulator"]).is_ok());
        let expected = "EnableSimulator before TeleportFinish";
        assert_eq!(
            said(telling(&["TeleportFinish", "EnableSimulator"])),
            format!("{expected}: TeleportFinish, then EnableSimulator")
        );
        assert_eq!(said(telling(&["EnableSimulator"])), format!("{expected}: no TeleportFinish"));
    }
}
