//! `region.find`: a region on the map.

use super::side::Side;
use super::{Failure, Observes, Repeat, Returns, StepDef, args, need, time_text};
use crate::proto::teleport::handle;
use crate::steps::Kind;
use crate::value::Value;
use std::time::Duration;

/// Where to stand near the border to a region so many regions east and north, and the rotation
/// that faces it.
fn border(east: i64, north: i64) -> (Value, Value) {
    const NEAR: f64 = 4.0;
    let side = match (east, north) {
        (-1, 0) => Side::West,
        (0, -1) => Side::South,
        (1, 0) => Side::East,
        (0, 1) => Side::North,
        _ => return (Value::Undef, Value::Undef),
    };
    side.stand((256.0, 256.0), NEAR)
}

pub(super) static STEP: StepDef = StepDef {
    name: "region.find",
    doc: "Asks the map for a region by its name (MapNameRequest) and returns where it is, and its \
          handle as teleport requests take it.",
    keys: &[need("name", Kind::Text, "the region's name")],
    returns: Returns::Members(&[
        ("handle", "the region's handle"),
        ("x", "its south-west corner, in regions of 256 metres"),
        ("y", "its south-west corner, in regions of 256 metres"),
        (
            "border",
            "where to stand in the avatar's region to walk there; undef if it is not beside",
        ),
        ("facing", "the rotation that faces it from there"),
    ]),
    within: Duration::from_secs(20),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::MAP_BLOCKS,
    run: |call| {
        Box::pin(async move {
            let name = call.args.text("name").unwrap_or_default();
            let Some((x, y)) = call.viewer.find_region(&name, call.within).await else {
                let expected = format!("{name} in MapBlockReply within {}", time_text(call.within));
                return Err(Failure::missing("looking on the map", expected, "no such region"));
            };
            let here = call.viewer.session().map(|session| session.region);
            let (border, facing) = here.map_or_else(Default::default, |(east, north)| {
                border(i64::from(x) - i64::from(east / 256), i64::from(y) - i64::from(north / 256))
            });
            Ok(Value::map([
                ("handle", Value::integer(handle(x * 256, y * 256))),
                ("x", Value::integer(x)),
                ("y", Value::integer(y)),
                ("border", border),
                ("facing", facing),
            ]))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::message::{Field, FieldValue, Message};
    use crate::steps::bench::{inside, message, said, unasked};

    fn map(told: &Message) -> Vec<Message> {
        let block = |name: &str, x: u16, access: u8| {
            message("MapBlockReply")
                .with("Data", "Name", FieldValue::text(name))
                .with("Data", "X", Field::U16(x))
                .with("Data", "Y", Field::U16(1000))
                .with("Data", "Access", Field::U8(access))
        };
        match told.name() {
            "MapNameRequest" => vec![block("Alphabet", 1001, 13), block("Alpha", 1002, 13)],
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_region_is_found_by_its_whole_name_whatever_the_case() {
        let (found, _) = inside(unasked, map, r#"do = "region.find", name = "alpha""#);
        let found = found.unwrap();
        assert_eq!(found.get("x"), Some(&Value::integer(1002)));
        assert_eq!(found.get("handle"), Some(&Value::integer((1002u64 * 256) << 32 | 256_000)));
        let line = r#"do = "region.find", name = "Beta", within = "2s""#;
        let expected = "Beta in MapBlockReply within 2 s: no such region";
        assert_eq!(said(inside(unasked, map, line).0), expected);
    }

    #[test]
    fn the_border_is_near_and_faced() {
        assert_eq!(border(2, 0), (Value::Undef, Value::Undef));
        let (Value::Array(place), _) = border(1, 0) else { panic!("it is beside") };
        assert_eq!(place[0], Value::Real(252.0));
        let (Value::Array(place), _) = border(0, -1) else { panic!("it is beside") };
        assert_eq!(place[1], Value::Real(4.0));
    }
}
