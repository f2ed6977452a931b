//! Predicates: what an expectation asks of a value.

use super::{Path, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// One predicate, without its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// Is there at all, or not.
    Exists,
    /// Says the same as the operand.
    Equals,
    /// Says the same as one of the operands.
    OneOf,
    /// Is of the named type.
    Type,
    /// The text matches a regular expression.
    Matches,
    /// The text or array contains the operand.
    Contains,
    /// The text starts with the operand.
    StartsWith,
    /// Length of text, bytes, array or map: a number, or a table of `min` and `max`.
    Length,
    /// At least this number.
    Min,
    /// At most this number.
    Max,
    /// No two items are the same, or have the same at the operand's path.
    Unique,
    /// Every item meets these predicates.
    Each,
    /// Says the same as the value at this path of the same result.
    SameAs,
    /// The same items in any order.
    Unordered,
    /// A map has no members but these.
    NoExtra,
    /// These predicates do not all hold.
    Not,
    /// At least one of these tables of predicates holds.
    Any,
    /// The number is a multiple of the operand.
    MultipleOf,
    /// The number has all these bits.
    Bits,
    /// The number is this near to `of`: a table of `of` and `by`.
    Near,
}

/// Every predicate by its key in a suite, and what it says.
pub const PREDICATES: &[(&str, Predicate, &str)] = &[
    ("exists", Predicate::Exists, "true: there is such a value; false: there is none"),
    ("equals", Predicate::Equals, "the same value; ids equal their text, bytes their hex"),
    ("one_of", Predicate::OneOf, "the same as one item of this array"),
    ("type", Predicate::Type, "of this type, see `gridproof explain types`"),
    ("matches", Predicate::Matches, "the text matches this regular expression"),
    ("contains", Predicate::Contains, "the text contains this text, or the array this item"),
    ("starts_with", Predicate::StartsWith, "the text starts with this"),
    ("length", Predicate::Length, "characters, bytes, items or members: a number or { min, max }"),
    ("min", Predicate::Min, "a number, at least this"),
    ("max", Predicate::Max, "a number, at most this"),
    ("unique", Predicate::Unique, "true: no two items the same; a path: no two the same there"),
    ("each", Predicate::Each, "every item meets this table of predicates (and `path`)"),
    ("same_as", Predicate::SameAs, "the same as the value at this path of the same result"),
    ("unordered", Predicate::Unordered, "the same items as this array, in any order"),
    ("no_extra", Predicate::NoExtra, "a map with no members but those named here"),
    ("not", Predicate::Not, "this table of predicates does not hold"),
    ("any", Predicate::Any, "at least one of these tables of predicates (and `path`) holds"),
    ("multiple_of", Predicate::MultipleOf, "a whole number that this number divides"),
    ("bits", Predicate::Bits, "a whole number with all these bits, LLSD's four or eight bytes too"),
    ("near", Predicate::Near, "a number no further than `by` from `of`: { of, by }"),
];

/// Every type name and what it means.
pub const TYPES: &[(&str, &str)] = &[
    ("string", "text"),
    ("integer", "an integer of any width"),
    ("real", "a real"),
    ("number", "an integer or a real"),
    ("boolean", "true or false"),
    ("uuid", "an id, typed or as its 36 characters"),
    ("id", "a uuid that is not null"),
    ("url", "text or URI that is an absolute http(s) URL"),
    ("uri", "an LLSD URI"),
    ("ipv4", "text that is a dotted IPv4 address"),
    ("date", "an LLSD date"),
    ("binary", "bytes"),
    ("array", "an array"),
    ("map", "a map"),
    ("undef", "nothing"),
];

impl Predicate {
    /// The predicate's key in a suite.
    pub fn key(self) -> &'static str {
        PREDICATES.iter().find(|(_, p, _)| *p == self).map_or("", |(key, ..)| key)
    }

    /// What is wrong with the operand, if anything: told while a suite is checked. Operands that
    /// hold references are told `None` for what is not known yet.
    pub fn check_operand(self, operand: &Value) -> Option<String> {
        let wants = |what: &str| Some(format!("`{}` takes {what}", self.key()));
        match (self, operand) {
            (Self::Exists, Value::Boolean(_)) => None,
            (Self::Exists, _) => wants("true or false"),
            (Self::Type, Value::String(name)) => {
                let known = TYPES.iter().any(|(n, _)| n == name);
                (!known).then(|| unknown("type", name, TYPES.iter().map(|t| t.0)))
            }
            (Self::Type, _) => wants("the name of a type"),
            (Self::Matches, Value::String(text)) => {
                regex::Regex::new(text).err().map(|e| format!("not a regular expression: {e}"))
            }
            (Self::Matches, _) => wants("a regular expression"),
            (Self::OneOf | Self::Unordered | Self::NoExtra, Value::Array(_)) => None,
            (Self::OneOf | Self::Unordered | Self::NoExtra, _) => wants("an array"),
            (Self::Length, Value::Integer(_)) => None,
            (Self::Length, Value::Map(members)) => {
                let known = members.iter().all(|(k, _)| k == "min" || k == "max");
                if known { None } else { wants("a number or a table of min and max") }
            }
            (Self::Length, _) => wants("a number or a table of min and max"),
            (Self::Near, Value::Map(_)) => {
                let both = operand.get("of").is_some() && operand.get("by").is_some();
                if both { None } else { wants("a table of `of` and `by`") }
            }
            (Self::Near, _) => wants("a table of `of` and `by`"),
            (Self::Bits, Value::Integer(_)) => None,
            (Self::Bits, _) => wants("a whole number"),
            (Self::Each | Self::Not, Value::Map(members)) => nested_operands(members),
            (Self::Any, Value::Array(tables)) => tables.iter().find_map(|table| match table {
                Value::Map(members) => nested_operands(members),
                _ => wants("an array of tables of predicates"),
            }),
            (Self::Any, _) => wants("an array of tables of predicates"),
            (Self::Each | Self::Not, _) => wants("a table of predicates"),
            (Self::SameAs, Value::String(path)) => Path::parse(path).err().map(|e| e.to_string()),
            (Self::SameAs, _) => wants("a path"),
            _ => None,
        }
    }

    /// Judges a value. `Err` says what was expected.
    ///
    /// # Errors
    /// What was expected and what was found, in words.
    pub fn judge(self, operand: &Value, found: Option<&Value>, root: &Value) -> Result<(), String> {
        let Some(value) = found else {
            return match (self, operand) {
                (Self::Exists, Value::Boolean(false)) | (Self::Not, _) => Ok(()),
                _ => Err(self.wish(operand)),
            };
        };
        let value = &*self.reading(value);
        let holds = match self {
            Self::Exists => *operand == Value::Boolean(true),
            Self::Equals => value.same(operand),
            Self::OneOf => items(operand).iter().any(|item| value.same(item)),
            Self::Type => operand.as_text().is_some_and(|name| is_type(value, &name)),
            Self::Matches => match (regex(operand), value.as_text()) {
                (Some(regex), Some(text)) => regex.is_match(&text),
                _ => false,
            },
            Self::Contains => match value {
                Value::Array(items) => items.iter().any(|item| item.same(operand)),
                Value::Map(_) => operand.as_text().is_some_and(|key| value.get(&key).is_some()),
                _ => match (value.as_text(), operand.as_text()) {
                    (Some(text), Some(part)) => text.contains(&part),
                    _ => false,
                },
            },
            Self::StartsWith => match (value.as_text(), operand.as_text()) {
                (Some(text), Some(start)) => text.starts_with(&start),
                _ => false,
            },
            Self::Length => length(value).is_some_and(|n| in_range(n as f64, operand)),
            Self::Min => compare(value, operand).is_some_and(Ordering::is_ge),
            Self::Max => compare(value, operand).is_some_and(Ordering::is_le),
            Self::Unique => unique(value, operand),
            Self::Each => {
                let Value::Array(items) = value else { return Err(self.wish(operand)) };
                return items.iter().enumerate().try_for_each(|(n, item)| {
                    judge_all(operand, item, root).map_err(|wish| format!("item {n}: {wish}"))
                });
            }
            Self::SameAs => {
                let path = operand.as_text().and_then(|text| Path::parse(&text).ok());
                path.and_then(|path| path.find(root)).is_some_and(|other| value.same(&other))
            }
            Self::Unordered => unordered(value, items(operand)),
            Self::NoExtra => match value {
                Value::Map(members) => {
                    members.iter().all(|(k, _)| items(operand).contains(&Value::string(k)))
                }
                _ => false,
            },
            Self::Not => judge_all(operand, value, root).is_err(),
            Self::Any => items(operand).iter().any(|t| judge_all(t, value, root).is_ok()),
            Self::MultipleOf => match (value, operand) {
                (Value::Integer(n), Value::Integer(of)) => *of != 0 && n % of == 0,
                // Notation tells whole numbers as reals, too.
                (Value::Real(n), Value::Integer(of)) => *of != 0 && n % (*of as f64) == 0.0,
                _ => false,
            },
            Self::Bits => match (whole(value), operand) {
                (Some(n), Value::Integer(bits)) => n & bits == *bits,
                _ => false,
            },
            Self::Near => {
                let number = |key| operand.get(key).and_then(Value::as_number);
                match (value.as_number(), number("of"), number("by")) {
                    (Some(n), Some(of), Some(by)) => (n - of).abs() <= by,
                    _ => false,
                }
            }
        };
        match holds {
            true => Ok(()),
            false => Err(self.wish(operand) + &self.instead(operand, value, root)),
        }
    }

    /// The value as this predicate reads it: what it compares as a number may be told as text.
    fn reading(self, value: &Value) -> Cow<'_, Value> {
        match self {
            Self::Min | Self::Max | Self::MultipleOf | Self::Near => value.numeral(),
            _ => Cow::Borrowed(value),
        }
    }

    /// What of a value did not meet the wish, where the value alone does not show it.
    fn instead(self, operand: &Value, value: &Value, root: &Value) -> String {
        let found = match self {
            Self::Length => length(value).map(|n| format!(", not {n}")),
            Self::SameAs => {
                let path = operand.as_text().and_then(|text| Path::parse(&text).ok());
                let other = path.and_then(|path| path.find(root));
                Some(other.map_or(", where nothing is".into(), |other| format!(": {other}")))
            }
            Self::NoExtra => match value {
                Value::Map(members) => {
                    let known = items(operand);
                    let extra = members.iter().find(|(k, _)| !known.contains(&Value::string(k)));
                    extra.map(|(key, _)| format!(", and there is `{key}`"))
                }
                _ => Some(", in a map".into()),
            },
            Self::Min | Self::Max if value.as_number().is_none() => Some(", as a number".into()),
            _ => None,
        };
        found.unwrap_or_default()
    }

    fn wish(self, operand: &Value) -> String {
        match self {
            Self::Exists if *operand == Value::Boolean(false) => "nothing there".into(),
            Self::Exists => "something there".into(),
            Self::Equals => operand.to_string(),
            Self::OneOf => format!("one of {operand}"),
            Self::Type => {
                let name = operand.as_text().unwrap_or_default();
                let meaning = TYPES.iter().find(|(n, _)| *n == name).map_or("", |(_, m)| m);
                format!("type {name} ({meaning})")
            }
            Self::Matches => format!("text that matches {operand}"),
            Self::Contains => format!("something that contains {operand}"),
            Self::StartsWith => format!("text that starts with {operand}"),
            Self::Length => match (operand.get("min"), operand.get("max")) {
                (Some(min), Some(max)) => format!("a length of {min} to {max}"),
                (Some(min), None) => format!("a length of at least {min}"),
                (None, Some(max)) => format!("a length of at most {max}"),
                (None, None) => format!("a length of {operand}"),
            },
            Self::Min => format!("at least {operand}"),
            Self::Max => format!("at most {operand}"),
            Self::Unique => "no two items the same".into(),
            Self::Each => format!("an array whose items meet {operand}"),
            Self::SameAs => format!("the same as at {}", operand.as_text().unwrap_or_default()),
            Self::Unordered => format!("the items {operand} in any order"),
            Self::NoExtra => format!("no members but {operand}"),
            Self::Not => format!("not {operand}"),
            Self::Any => format!("one of {operand}"),
            Self::MultipleOf => format!("a multiple of {operand}"),
            Self::Bits => match operand {
                Value::Integer(bits) => format!("a number with all the bits of {bits:#x}"),
                other => format!("a number with all the bits of {other}"),
            },
            Self::Near => match (operand.get("of"), operand.get("by")) {
                (Some(of), Some(by)) => format!("a number no further than {by} from {of}"),
                _ => format!("a number near {operand}"),
            },
        }
    }
}

/// An integer, also where LLSD carries it as four or eight bytes.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Integer(n) => Some(*n),
        Value::Binary(bytes) if matches!(bytes.len(), 4 | 8) => {
            Some(bytes.iter().fold(0, |n, byte| n << 8 | i128::from(*byte)))
        }
        _ => None,
    }
}

/// Reads a predicate by its key.
impl std::str::FromStr for Predicate {
    type Err = ();

    fn from_str(key: &str) -> Result<Self, ()> {
        PREDICATES.iter().find(|(k, ..)| *k == key).map(|(_, p, _)| *p).ok_or(())
    }
}

/// `unknown {what} `{name}`` with the nearest known name, if one is near.
pub(crate) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let near = known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&k.to_lowercase(), &name.to_lowercase()), k))
        .min()
        .filter(|(distance, k)| *distance <= 1 + k.len().max(name.len()) / 3);
    match near {
        Some((_, k)) => format!("unknown {what} `{name}`; did you mean `{k}`?"),
        None => format!("unknown {what} `{name}`"),
    }
}

fn nested_operands(members: &[(String, Value)]) -> Option<String> {
    members.iter().filter(|(key, _)| key != "path").find_map(|(key, operand)| {
        match key.parse::<Predicate>() {
            Ok(predicate) => predicate.check_operand(operand),
            Err(()) => Some(unknown("predicate", key, PREDICATES.iter().map(|p| p.0))),
        }
    })
}

/// Judges a value by a table of predicates, at the table's `path` if it has one.
fn judge_all(table: &Value, value: &Value, root: &Value) -> Result<(), String> {
    let Value::Map(members) = table else { return Err("a table of predicates".into()) };
    let path = table.get("path").and_then(Value::as_text);
    let path = path.and_then(|text| Path::parse(&text).ok()).unwrap_or_default();
    let found = path.find(value);
    for (key, operand) in members.iter().filter(|(key, _)| key != "path") {
        let Ok(predicate) = key.parse::<Predicate>() else { continue };
        predicate.judge(operand, found.as_ref(), root).map_err(|wish| {
            let received = found.as_ref().map_or("nothing".into(), Value::to_string);
            match path.0.is_empty() {
                true => format!("{wish}, found {received}"),
                false => format!("{wish} at {path}, found {received}"),
            }
        })?;
    }
    Ok(())
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

fn regex(operand: &Value) -> Option<regex::Regex> {
    regex::Regex::new(&operand.as_text()?).ok()
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(s) | Value::Uri(s) => Some(s.chars().count()),
        Value::Binary(bytes) => Some(bytes.len()),
        Value::Array(items) => Some(items.len()),
        Value::Map(members) => Some(members.len()),
        _ => None,
    }
}

fn in_range(n: f64, operand: &Value) -> bool {
    match operand.as_number() {
        Some(exactly) => n == exactly,
        None => {
            let bound = |key| operand.get(key).and_then(Value::as_number);
            bound("min").is_none_or(|min| n >= min) && bound("max").is_none_or(|max| n <= max)
        }
    }
}

fn compare(value: &Value, operand: &Value) -> Option<Ordering> {
    match (value, operand) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        _ => value.as_number()?.partial_cmp(&operand.as_number()?),
    }
}

fn unique(value: &Value, operand: &Value) -> bool {
    let Value::Array(all) = value else { return false };
    let path = operand.as_text().filter(|_| matches!(operand, Value::String(_)));
    let path = path.and_then(|text| Path::parse(&text).ok()).unwrap_or_default();
    let keys: Vec<String> =
        all.iter().filter_map(|item| path.find(item)).map(|v| v.to_string()).collect();
    let distinct: std::collections::HashSet<&String> = keys.iter().collect();
    distinct.len() == keys.len()
}

fn unordered(value: &Value, wanted: &[Value]) -> bool {
    let mut left: Vec<&Value> = items(value).iter().collect();
    let all = wanted.iter().all(|want| match left.iter().position(|item| item.same(want)) {
        Some(at) => {
            left.swap_remove(at);
            true
        }
        None => false,
    });
    all && left.is_empty() && matches!(value, Value::Array(_))
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "uuid" => value.as_uuid().is_some(),
        "id" => value.as_uuid().is_some_and(|id| !id.is_nil()),
        "number" => value.as_number().is_some(),
        "url" => {
            matches!(value, Value::String(_) | Value::Uri(_))
                && value.as_text().is_some_and(|text| is_url(&text))
        }
        "ipv4" => value.as_text().is_some_and(|t| t.parse::<std::net::Ipv4Addr>().is_ok()),
        name => value.type_name() == name,
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !text.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(key: &str, operand: Value, value: Value) -> bool {
        let predicate: Predicate = key.parse().unwrap();
        assert_eq!(predicate.check_operand(&operand), None);
        predicate.judge(&operand, Some(&value), &Value::Undef).is_ok()
    }

    #[test]
    fn each_predicate_holds_and_fails() {
        let s = |text: &str| Value::string(text);
        let n = |n: i32| Value::integer(n);
        let list = |items: &[Value]| Value::Array(items.to_vec());
        let range = |min: i32, max: i32| Value::map([("min", n(min)), ("max", n(max))]);
        let near = Value::map([("of", n(10)), ("by", n(2))]);
        let integer = Value::map([("type", s("integer"))]);
        for (key, operand, good, bad) in [
            ("exists", Value::Boolean(true), n(1), Value::Undef),
            ("equals", s("a"), s("a"), s("b")),
            ("one_of", list(&[n(1), n(2)]), n(2), n(3)),
            ("type", s("id"), s("1c8a7767-e37b-422e-afb3-85093197cad1"), s("x")),
            ("type", s("url"), s("http://h/x"), s("h/x")),
            ("matches", s("^a+$"), s("aa"), s("ab")),
            ("contains", s("b"), s("abc"), s("ac")),
            ("starts_with", s("a"), s("ab"), s("ba")),
            ("length", range(1, 2), s("ab"), s("")),
            ("min", n(2), n(2), n(1)),
            ("max", n(2), n(2), n(3)),
            ("unique", Value::Boolean(true), list(&[n(1), n(2)]), list(&[n(1), n(1)])),
            ("each", integer.clone(), list(&[n(1)]), list(&[s("a")])),
            ("unordered", list(&[n(1), n(2)]), list(&[n(2), n(1)]), list(&[n(1)])),
            ("no_extra", list(&[s("a")]), Value::map([("a", n(1))]), Value::map([("b", n(1))])),
            ("not", integer, s("a"), n(1)),
            ("multiple_of", n(256), n(512), n(100)),
            // As text, as some grids tell numbers.
            ("min", n(3), s("3"), s("2.5")),
            ("max", n(3), s("-1"), s("three")),
            ("multiple_of", n(256), s("512"), s("100")),
            ("bits", n(6), n(7), n(5)),
            ("bits", n(16), Value::Binary(vec![0, 0, 0, 0x11]), Value::Binary(vec![16])),
            ("near", near, n(9), n(13)),
        ] {
            if key != "exists" {
                assert!(!holds(key, operand.clone(), bad), "{key} must fail");
            }
            assert!(holds(key, operand, good), "{key} must hold");
        }
    }

    #[test]
    fn what_is_missing_fails_every_predicate_but_absence() {
        let absent = Predicate::Exists.judge(&Value::Boolean(false), None, &Value::Undef);
        assert_eq!(absent, Ok(()));
        let equals = Predicate::Equals.judge(&Value::integer(1), None, &Value::Undef);
        assert_eq!(equals, Err("1".into()));
    }

    #[test]
    fn a_wrong_operand_is_told_with_the_nearest_name() {
        let told = Predicate::Type.check_operand(&Value::string("integr")).unwrap();
        assert_eq!(told, "unknown type `integr`; did you mean `integer`?");
        assert!(Predicate::Matches.check_operand(&Value::string("(")).is_some());
    }
}
