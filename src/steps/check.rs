//! `check`: compares what earlier steps returned.

use super::{Kind, Observes, Repeat, Returns, StepDef, args, need};
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "check",
    doc: "Does nothing but return its `value`, so that expectations can compare what several \
          steps returned.",
    keys: &[need("value", Kind::Table, "a table, usually of references")],
    returns: Returns::Open("the table"),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::GIVEN,
    run: |call| Box::pin(async move { Ok(call.args.get("value").cloned().unwrap_or_default()) }),
};
