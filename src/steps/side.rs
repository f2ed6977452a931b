//! The sides of a region: where to stand to walk over one.

use crate::value::Value;

/// A side of a region, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    West,
    South,
    East,
    North,
}

impl Side {
    pub(super) const ALL: [Self; 4] = [Self::West, Self::South, Self::East, Self::North];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::West => "west",
            Self::South => "south",
            Self::East => "east",
            Self::North => "north",
        }
    }

    /// The middle of it, so many metres inside a region that is so wide and so deep, and the
    /// rotation that faces it from there.
    pub(super) fn stand(self, (wide, deep): (f64, f64), near: f64) -> (Value, Value) {
        const HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
        let (x, y, turn) = match self {
            Self::West => (near, deep / 2.0, [1.0, 0.0]),
            Self::South => (wide / 2.0, near, [-HALF, HALF]),
            Self::East => (wide - near, deep / 2.0, [0.0, 1.0]),
            Self::North => (wide / 2.0, deep - near, [HALF, HALF]),
        };
        let reals = |all: &[f64]| Value::Array(all.iter().map(|x| Value::Real(*x)).collect());
        (reals(&[x, y, 30.0]), reals(&[0.0, 0.0, turn[0], turn[1]]))
    }
}
