//! `region.edge`: where the world ends.

use super::side::Side;
use super::{Failure, Observes, Repeat, Returns, StepDef, args};
use crate::client::MapRegion;
use crate::value::Value;
use std::time::Duration;

/// So near to the border an avatar is over it after a few steps.
const NEAR: f64 = 1.5;

/// Regions of so many places of 256 metres may begin before their neighbour and end beside it.
const LARGEST: u32 = 8;

const PLACE: u32 = 256;

/// What would have to be free: one metre behind a side of a region, from corner to corner.
fn beyond(own: &MapRegion, side: Side) -> (i64, i64, i64, i64) {
    let (left, low) = (i64::from(own.corner.0), i64::from(own.corner.1));
    let (right, high) = (left + i64::from(own.size.0), low + i64::from(own.size.1));
    match side {
        Side::West => (left - 1, low, left, high),
        Side::South => (left, low - 1, right, low),
        Side::East => (right, low, right + 1, high),
        Side::North => (left, high, right, high + 1),
    }
}

/// Whether a region lies there.
fn covers(region: &MapRegion, (left, low, right, high): (i64, i64, i64, i64)) -> bool {
    let (x, y) = (i64::from(region.corner.0), i64::from(region.corner.1));
    let (wide, deep) = (i64::from(region.size.0), i64::from(region.size.1));
    x < right && x + wide > left && y < high && y + deep > low
}

/// The first side of a region that no other touches, and how wide and deep the region is.
fn free_side(corner: (u32, u32), all: &[MapRegion]) -> Option<(Side, (f64, f64))> {
    let at = |region: &&MapRegion| region.corner == corner;
    let alone = MapRegion { name: String::new(), corner, size: (PLACE, PLACE) };
    let own = all.iter().find(at).unwrap_or(&alone);
    let taken = |side| all.iter().any(|other| !at(&other) && covers(other, beyond(own, side)));
    let free = Side::ALL.into_iter().find(|side| !taken(*side))?;
    Some((free, (f64::from(own.size.0), f64::from(own.size.1))))
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
            let members = free_side(here, &all).map(|(side, size)| {
                let (place, facing) = side.stand(size, NEAR);
                [("side", Value::string(side.name())), ("place", place), ("facing", facing)]
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
            free_side(here, &all).map(|(side, _)| side.name())
        };
        assert_eq!(side(&[]), Some("west"));
        assert_eq!(side(&[region(998, 998, small)]), Some("west"), "it touches nothing");
        assert_eq!(side(&[region(998, 998, (512, 1024))]), Some("south"));
        let round = [(999, 1000), (1000, 999), (1001, 1000), (1000, 1001)];
        let round = round.map(|(x, y)| region(x, y, small));
        assert_eq!(side(&round[..2]), Some("east"));
        assert_eq!(side(&round), None);
        let large = region(1000, 1000, (512, 512));
        let (east, size) = free_side(here, &[large, round[0].clone(), round[1].clone()]).unwrap();
        let (Value::Array(place), _) = east.stand(size, NEAR) else { panic!("it is a place") };
        assert_eq!((east, &place[..2]), (Side::East, &[510.5, 256.0].map(Value::Real)[..]));
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
