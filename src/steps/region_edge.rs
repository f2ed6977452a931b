//! `region.edge`: where the world ends.

use super::{Failure, Observes, Repeat, Returns, StepDef, args};
use crate::client::MapRegion;
use crate::value::Value;
use std::time::Duration;

/// So near to the border an avatar is over it after a few steps.
const NEAR: f64 = 1.5;

/// Regions of so many places of 256 metres may begin before their neighbour and end beside it.
const LARGEST: u32 = 8;

const PLACE: u32 = 256;

/// A side of a region: where to stand at it, and the rotation that faces it.
struct Side {
    name: &'static str,
    place: [f64; 2],
    turn: [f64; 2],
    /// What would have to be free: one metre behind the border, from corner to corner.
    beyond: (i64, i64, i64, i64),
}

fn sides(own: &MapRegion) -> [Side; 4] {
    const HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
    let (left, low) = (i64::from(own.corner.0), i64::from(own.corner.1));
    let (right, high) = (left + i64::from(own.size.0), low + i64::from(own.size.1));
    let (wide, deep) = (f64::from(own.size.0), f64::from(own.size.1));
    let side = |name, place, turn, beyond| Side { name, place, turn, beyond };
    [
        side("west", [NEAR, deep / 2.0], [1.0, 0.0], (left - 1, low, left, high)),
        side("south", [wide / 2.0, NEAR], [-HALF, HALF], (left, low - 1, right, low)),
        side("east", [wide - NEAR, deep / 2.0], [0.0, 1.0], (right, low, right + 1, high)),
        side("north", [wide / 2.0, deep - NEAR], [HALF, HALF], (left, high, right, high + 1)),
    ]
}

/// Whether a region lies there.
fn covers(region: &MapRegion, (left, low, right, high): (i64, i64, i64, i64)) -> bool {
    let (x, y) = (i64::from(region.corner.0), i64::from(region.corner.1));
    let (wide, deep) = (i64::from(region.size.0), i64::from(region.size.1));
    x < right && x + wide > left && y < high && y + deep > low
}

/// The first side of a region that no other touches.
fn free_side(corner: (u32, u32), all: &[MapRegion]) -> Option<Side> {
    let at = |region: &&MapRegion| region.corner == corner;
    let alone = MapRegion { name: String::new(), corner, size: (PLACE, PLACE) };
    let own = all.iter().find(at).unwrap_or(&alone);
    let others = || all.iter().filter(|region| region.corner != corner);
    sides(own).into_iter().find(|side| !others().any(|other| covers(other, side.beyond)))
}

pub(super) static STEP: StepDef = StepDef {
    name: "region.edge",
    doc: "Looks on the map (MapBlockRequest) for a side of the avatar's region with nothing beyond \
          it. Undef, all of them, where regions lie on every side.",
    keys: &[],
    returns: Returns::Members(&[
        ("side", "west, south, east or north"),
        ("place", "where to stand, near to that border"),
        ("facing", "the rotation that faces it from there"),
    ]),
    within: Duration::from_secs(20),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::MAP_BLOCKS,
    run: |call| {
        Box::pin(async move {
            let Some(here) = call.viewer.session().map(|session| session.region) else {
                return Err(Failure::missing(
                    "looking on the map",
                    "a session",
                    "no login gave one",
                ));
            };
            let all = call.viewer.regions_around(LARGEST, call.within).await;
            if all.is_empty() {
                let expected = "regions in MapBlockReply";
                return Err(Failure::missing("looking on the map", expected, "none"));
            }
            let reals = |all: &[f64]| Value::Array(all.iter().map(|x| Value::Real(*x)).collect());
            let members = free_side(here, &all).map(|Side { name, place, turn, .. }| {
                let place = reals(&[place[0], place[1], 30.0]);
                let facing = reals(&[0.0, 0.0, turn[0], turn[1]]);
                [("side", Value::string(name)), ("place", place), ("facing", facing)]
            });
            let none = || ["side", "place", "facing"].map(|name| (name, Value::Undef));
            Ok(Value::map(members.unwrap_or_else(none)))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::message::{Field, FieldValue, Message};
    use crate::steps::bench::{inside, message, said, silent, unasked};

    fn region(x: u32, y: u32, size: (u32, u32)) -> MapRegion {
        MapRegion { name: format!("{x} {y}"), corner: (x * PLACE, y * PLACE), size }
    }

    #[test]
    fn a_side_is_free_where_no_region_touches_it_however_large() {
        let (small, here) = ((PLACE, PLACE), (1000 * PLACE, 1000 * PLACE));
        let own = region(1000, 1000, small);
        let side = |others: &[MapRegion]| {
            let all: Vec<MapRegion> = others.iter().chain([&own]).cloned().collect();
            free_side(here, &all).map(|side| side.name)
        };
        assert_eq!(side(&[]), Some("west"));
        assert_eq!(side(&[region(998, 998, small)]), Some("west"), "it touches nothing");
        assert_eq!(side(&[region(998, 998, (512, 1024))]), Some("south"));
        let round = [(999, 1000), (1000, 999), (1001, 1000), (1000, 1001)];
        let round = round.map(|(x, y)| region(x, y, small));
        assert_eq!(side(&round[..2]), Some("east"));
        assert_eq!(side(&round), None);
        let large = region(1000, 1000, (512, 512));
        let east = free_side(here, &[large, round[0].clone(), round[1].clone()]).unwrap();
        assert_eq!((east.name, east.place), ("east", [510.5, 256.0]));
    }

    #[test]
    fn the_map_is_asked_and_may_know_nothing() {
        let far = |told: &Message| match told.name() {
            "MapBlockRequest" => vec![
                message("MapBlockReply")
                    .with("Data", "Name", FieldValue::text("Far"))
                    .with("Data", "X", Field::U16(999))
                    .with("Data", "Y", Field::U16(1000)),
            ],
            _ => Vec::new(),
        };
        let line = r#"do = "region.edge", within = "2s""#;
        let (found, told) = inside(unasked, far, line);
        let found = found.unwrap();
        assert_eq!(found.get("side"), Some(&Value::string("west")));
        assert!(found.get("place").is_some_and(|place| *place != Value::Undef));
        assert!(told.iter().any(|told| told.name() == "MapBlockRequest"));
        assert_eq!(said(inside(unasked, silent, line).0), "regions in MapBlockReply: none");
    }
}
