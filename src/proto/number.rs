//! Numbers of one width as numbers of another, where no type says whether they fit.

/// The 32-bit real nearest to a number: infinite beyond the largest.
#[expect(clippy::cast_possible_truncation, reason = "what is lost is below the wire's precision")]
pub(crate) fn nearest_f32(number: f64) -> f32 {
    number as f32
}

/// The whole part of a number, or the outermost number of that sign; 0 for what is none.
#[expect(clippy::cast_possible_truncation, reason = "saturates, which is what is wanted")]
pub(crate) fn whole(number: f64) -> i64 {
    number as i64
}

/// The whole part of a number from 0 to 255, or the nearer of these.
pub(crate) fn whole_u8(number: f32) -> u8 {
    u8::try_from(whole(f64::from(number)).clamp(0, 255)).unwrap_or_default()
}

/// Seconds since 1970 as 32 bits have them: until 2038.
pub(crate) fn seconds(time: jiff::Timestamp) -> i32 {
    i32::try_from(time.as_second()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_becomes_the_nearest_that_does() {
        assert_eq!(nearest_f32(1e300), f32::INFINITY);
        assert_eq!([whole(-1.9), whole(1e300), whole(f64::NAN)], [-1, i64::MAX, 0]);
        assert_eq!([whole_u8(-3.0), whole_u8(255.9), whole_u8(1e9)], [0, 255, 255]);
        let late = "2200-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(seconds(late), i32::MAX);
    }
}
