//! What a check says of a visit.

use std::time::Duration;

/// What a check says of a visit.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CheckResult {
    /// The visit had no occasion for it, or was too short.
    NotObserved(&'static str),
    /// It was seen to hold.
    Held,
    /// It was broken.
    Broken(Violation),
}

/// How a requirement was broken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Violation {
    /// Where in the visit.
    pub at: usize,
    pub expected: String,
    pub received: String,
}

impl Violation {
    pub(super) fn new(at: usize, expected: impl Into<String>, received: impl Into<String>) -> Self {
        Self { at, expected: expected.into(), received: received.into() }
    }
}

/// What one occasion shows: that it holds, how it is broken, or nothing.
pub(super) type Checked = Option<Result<(), Violation>>;

impl CheckResult {
    /// Broken by the first that is broken, held if any was seen to hold; none says nothing.
    pub(super) fn of(unseen: &'static str, seen: impl IntoIterator<Item = Checked>) -> Self {
        let mut check_result = Self::NotObserved(unseen);
        for one in seen.into_iter().flatten() {
            match one {
                Ok(()) => check_result = Self::Held,
                Err(broken) => return Self::Broken(broken),
            }
        }
        check_result
    }
}

/// Holds if true; broken with these words if not.
pub(super) fn rule(
    holds: bool,
    at: usize,
    expected: impl FnOnce() -> String,
    received: impl FnOnce() -> String,
) -> Checked {
    Some(if holds { Ok(()) } else { Err(Violation::new(at, expected(), received())) })
}

/// What was awaited from `since` on: it came at `came`, or there was time for it until `watched`.
/// Nothing is said where the time was too short.
pub(super) fn within(
    limit: Duration,
    since: Duration,
    came: Option<Duration>,
    watched: Duration,
    at: usize,
    what: &str,
) -> Checked {
    let expected = || format!("{what} within {}", seconds(limit));
    match came {
        Some(came) if came <= since + limit => Some(Ok(())),
        Some(came) => {
            let after = longer(came - since, limit);
            Some(Err(Violation::new(at, expected(), format!("after {after}"))))
        }
        None if watched >= since + limit => {
            let received = format!("nothing in {}", seconds(watched - since));
            Some(Err(Violation::new(at, expected(), received)))
        }
        None => None,
    }
}

/// What must not come after `since`: it came at `came`, or it was watched for `limit` and did not.
pub(super) fn never(
    limit: Duration,
    since: Duration,
    came: Option<(usize, Duration)>,
    watched: Duration,
    what: &str,
) -> Checked {
    match came {
        Some((at, came)) => {
            let after = format!("one after {}", seconds(came.saturating_sub(since)));
            Some(Err(Violation::new(at, format!("no {what}"), after)))
        }
        None if watched >= since + limit => Some(Ok(())),
        None => None,
    }
}

/// A time that is longer than another, so that it reads so.
fn longer(time: Duration, limit: Duration) -> String {
    match seconds(time) {
        same if same == seconds(limit) => format!("{:.3} s", time.as_secs_f64()),
        other => other,
    }
}

/// A time as people say it.
pub(super) fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_too_late_reads_as_later_than_its_limit() {
        let after = |ms| {
            let (limit, came) = (Duration::from_secs(2), Duration::from_millis(ms));
            let judged = within(limit, Duration::ZERO, Some(came), came, 0, "an ack");
            judged.unwrap().map_err(|violation| (violation.expected, violation.received))
        };
        assert_eq!(after(2000), Ok(()));
        let late = |received: &str| Err(("an ack within 2.0 s".to_owned(), received.to_owned()));
        assert_eq!(after(2030), late("after 2.030 s"));
        assert_eq!(after(2500), late("after 2.5 s"));
    }
}
