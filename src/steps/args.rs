//! A step's keys with every reference resolved.

use super::{Waits, parse_time};
use crate::value::Value;
use std::time::Duration;

/// The keys of one step. The checker has seen to names and types before anything runs.
#[derive(Clone, Debug, Default)]
pub struct Args(pub Value);

impl Args {
    /// A key's value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// A key's text.
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(Value::as_text)
    }

    /// A key's integer.
    pub fn int<T: TryFrom<i128>>(&self, key: &str) -> Option<T> {
        self.get(key).and_then(Value::as_int)
    }

    /// A key's flag.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Some(Value::Boolean(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// A key's time.
    pub fn time(&self, key: &str) -> Option<Duration> {
        self.get(key).and_then(Value::as_text).and_then(|text| parse_time(&text))
    }

    /// The `headers`, by name.
    pub fn headers(&self) -> Vec<(String, String)> {
        match self.get("headers") {
            Some(Value::Map(members)) => members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.as_text()?)))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// A key's texts.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        match self.get(key)? {
            Value::Array(items) => Some(items.iter().filter_map(Value::as_text).collect()),
            _ => None,
        }
    }
}

/// A step that never watches.
pub(super) fn for_answer(_: &Args) -> Waits {
    Waits::ForAnswer
}

/// A step that watches a circuit where something must not come.
pub(super) fn never(args: &Args) -> Waits {
    match args.flag("never") {
        Some(true) => Waits::WatchingCircuit,
        _ => Waits::ForAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_type_is_none() {
        let times = Value::Array(vec![Value::string("a"), Value::string("b")]);
        let args = Args(Value::map([
            ("wait", Value::string("250ms")),
            ("flag", Value::Boolean(true)),
            ("texts", times),
            ("n", Value::integer(300)),
        ]));
        assert_eq!(args.time("wait"), Some(Duration::from_millis(250)));
        assert_eq!((args.flag("flag"), args.flag("wait")), (Some(true), None));
        assert_eq!(args.texts("texts").map(|texts| texts.len()), Some(2));
        assert_eq!((args.int::<u16>("n"), args.int::<u8>("n")), (Some(300), None));
    }
}
