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

#[cfg(test)]
mod tests {
    use crate::steps::bench::hearing;
    use crate::value::Value;

    #[test]
    fn what_it_is_given_it_returns() {
        let given = hearing(|_| {}, r#"do = "check", value = { a = 1 }"#).unwrap();
        assert_eq!(given, Value::map([("a", Value::integer(1))]));
    }
}
