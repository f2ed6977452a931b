//! `region.find`: a region on the map.

use super::{Failure, Repeat, Returns, StepDef, need, time_text};
use crate::proto::teleport::handle;
use crate::steps::Kind;
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "region.find",
    doc: "Asks the map for a region by its name (MapNameRequest) and returns where it is, and its \
          handle as teleport requests take it.",
    keys: &[need("name", Kind::Text, "the region's name")],
    returns: Returns::Members(&[
        ("handle", "the region's handle"),
        ("x", "its south-west corner, in regions of 256 metres"),
        ("y", "its south-west corner, in regions of 256 metres"),
    ]),
    within: Duration::from_secs(20),
    repeatable: Repeat::No,
    run: |call| {
        Box::pin(async move {
            let name = call.args.text("name").unwrap_or_default();
            let Some((x, y)) = call.viewer.find_region(&name, call.within).await else {
                let expected = format!("{name} in MapBlockReply within {}", time_text(call.within));
                return Err(Failure::missing("looking on the map", expected, "no such region"));
            };
            Ok(Value::map([
                ("handle", Value::integer(handle(x * 256, y * 256))),
                ("x", Value::integer(x)),
                ("y", Value::integer(y)),
            ]))
        })
    },
};
