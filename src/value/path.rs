//! Paths into a value: `inventory-root[0].folder_id`, `Data[*].ID`, `["odd key"].x`.

use super::Value;
use std::fmt::{Display, Formatter};

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// A member of a map.
    Key(String),
    /// An item of an array, from the end if negative.
    Index(i64),
    /// Every item of an array.
    All,
}

/// A parsed path. The empty path is the value itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path(pub Vec<Segment>);

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {at} of the path")]
pub struct PathError {
    /// What was expected.
    pub what: &'static str,
    /// The offset in bytes.
    pub at: usize,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with the path, and where.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut segments = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if rest.starts_with('[') {
                let end = rest.find(']').ok_or(PathError { what: "a `]` is missing", at })?;
                segments.push(bracket(&rest[1..end]).ok_or(PathError {
                    what: "a number, `*` or a quoted key belongs between brackets",
                    at,
                })?);
                at += end + 1;
                continue;
            }
            let dot = rest.starts_with('.') && !segments.is_empty();
            let rest = if dot { &rest[1..] } else { rest };
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 || (!dot && !segments.is_empty()) {
                return Err(PathError { what: "a member's name is missing", at });
            }
            segments.push(Segment::Key(rest[..end].to_owned()));
            at += end + usize::from(dot);
        }
        Ok(Self(segments))
    }

    /// Whether this path leads further down the one written so.
    pub fn is_below(&self, above: &str) -> bool {
        let whole = self.to_string();
        !above.is_empty()
            && whole.strip_prefix(above).is_some_and(|rest| rest.starts_with(['.', '[']))
    }

    /// The first key, where the path starts with one.
    pub fn head(&self) -> Option<&str> {
        match self.0.first() {
            Some(Segment::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// The keys on the way, indices left out.
    pub fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            _ => None,
        })
    }

    /// What the path leads to. With `[*]` the items found, as an array.
    pub fn find(&self, value: &Value) -> Option<Value> {
        find(&self.0, value)
    }
}

fn bracket(inner: &str) -> Option<Segment> {
    if inner == "*" {
        return Some(Segment::All);
    }
    let quoted = inner.strip_prefix('"').and_then(|s| s.strip_suffix('"'));
    match quoted {
        Some(key) => Some(Segment::Key(key.to_owned())),
        None => inner.parse().ok().map(Segment::Index),
    }
}

fn find(segments: &[Segment], value: &Value) -> Option<Value> {
    let Some((first, rest)) = segments.split_first() else { return Some(value.clone()) };
    match (first, value) {
        (Segment::Key(key), Value::Map(_)) => find(rest, value.get(key)?),
        (Segment::Index(n), Value::Array(items)) => {
            let from_the_end = |back| items.len().checked_sub(back);
            let index = usize::try_from(*n).ok();
            let index = index.or_else(|| from_the_end(usize::try_from(n.unsigned_abs()).ok()?))?;
            find(rest, items.get(index)?)
        }
        (Segment::All, Value::Array(items)) => {
            Some(Value::Array(items.iter().filter_map(|item| find(rest, item)).collect()))
        }
        // A map whose keys are not known beforehand, such as ids.
        (Segment::All, Value::Map(members)) => {
            Some(Value::Array(members.iter().filter_map(|(_, v)| find(rest, v)).collect()))
        }
        _ => None,
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for (n, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if key.contains(['.', '[']) => write!(f, "[\"{key}\"]")?,
                Segment::Key(key) if n == 0 => write!(f, "{key}")?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::All => write!(f, "[*]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_members_items_and_all_items() {
        let item = |n| Value::map([("id", Value::integer(n))]);
        let value = Value::map([("a-b", Value::Array(vec![item(1), item(2)]))]);
        let find = |text: &str| Path::parse(text).unwrap().find(&value);
        assert_eq!(find("a-b[0].id"), Some(Value::integer(1)));
        assert_eq!(find("a-b[-1].id"), Some(Value::integer(2)));
        assert_eq!(find("[\"a-b\"][*].id").unwrap().to_string(), "[1, 2]");
        assert_eq!(find("a-b[2]"), None);
        assert_eq!(find("a-b.id"), None);
        assert_eq!(find(""), Some(value.clone()));
    }

    #[test]
    fn below_is_further_down() {
        let below = |path: &str, above| Path::parse(path).unwrap().is_below(above);
        assert!(below("body.id", "body") && below("body[0]", "body"));
        assert!(!below("body", "body") && !below("bodyguard.id", "body") && !below("a", ""));
    }

    #[test]
    fn a_bad_path_is_refused_with_its_place() {
        for bad in ["a[", "a[x]", "a..b", ".a", "a[0]b", "a."] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
