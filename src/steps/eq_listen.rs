//! `eq.listen`: polls the event queue in the background.

use super::{Failure, Repeat, Returns, StepDef, args};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "eq.listen",
    doc: "Starts polling the event queue in the background, for `eq.expect`. `session.enter` does \
          it by itself.",
    keys: &[],
    returns: Returns::Members(&[]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    watches: args::nothing,
    run: |call| {
        Box::pin(async move {
            match call.viewer.start_events() {
                true => Ok(Value::Map(Vec::new())),
                false => Err(Failure::Impossible("EventQueueGet was not granted".into())),
            }
        })
    },
};
