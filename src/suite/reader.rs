//! Reads keys of tables and keeps every mistake met on the way.

use super::{Diagnostic, Level, Node, NodeKind, Source};
use crate::steps::parse_time;
use crate::value::unknown;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

/// Reads one file, keeping every mistake.
pub(crate) struct Reader<'a> {
    pub source: &'a Arc<Source>,
    pub mistakes: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    pub(crate) fn wrong(&mut self, span: Range<usize>, what: impl Into<String>) {
        self.mistakes.push(Diagnostic::new(self.source, span, what));
    }

    /// Tells of every key that is not among the known ones.
    pub(crate) fn known(&mut self, table: &Node, what: &str, known: &[&str]) {
        for (key, span, _) in table.members() {
            if !known.contains(&key.as_str()) {
                let message = format!("{} of {what}", unknown("key", key, known.iter().copied()));
                self.wrong(span.clone(), message);
            }
        }
    }

    pub(crate) fn text(&mut self, table: &Node, key: &str) -> Option<String> {
        let node = table.get(key)?;
        if node.text().is_none() {
            self.wrong(node.span.clone(), format!("`{key}` takes text"));
        }
        node.text().map(str::to_owned)
    }

    pub(crate) fn required(&mut self, table: &Node, key: &str, of: &str) -> String {
        if table.get(key).is_none() {
            self.wrong(table.span.clone(), format!("{of} needs `{key}`"));
        }
        self.text(table, key).unwrap_or_default()
    }

    pub(crate) fn texts(&mut self, table: &Node, key: &str) -> Vec<String> {
        let Some(node) = table.get(key) else { return Vec::new() };
        let texts: Option<Vec<String>> =
            node.items().iter().map(|item| item.text().map(str::to_owned)).collect();
        match (texts, &node.kind) {
            (Some(texts), NodeKind::Array(_)) => texts,
            _ => {
                self.wrong(node.span.clone(), format!("`{key}` takes an array of texts"));
                Vec::new()
            }
        }
    }

    /// A text, or an array of them.
    pub(crate) fn text_or_texts(&mut self, table: &Node, key: &str) -> Vec<String> {
        match table.get(key).map(|node| &node.kind) {
            Some(NodeKind::Array(_)) => self.texts(table, key),
            _ => self.text(table, key).into_iter().collect(),
        }
    }

    pub(crate) fn time(&mut self, table: &Node, key: &str) -> Option<Duration> {
        let node = table.get(key)?;
        let time = node.text().and_then(parse_time);
        if time.is_none() {
            let what =
                format!("`{key}` takes a time such as \"10s\" or \"250ms\", at most an hour");
            self.wrong(node.span.clone(), what);
        }
        time
    }

    pub(crate) fn number<T: TryFrom<i128>>(
        &mut self,
        table: &Node,
        key: &str,
        range: RangeInclusive<i128>,
    ) -> Option<T> {
        let node = table.get(key)?;
        let found = match node.kind {
            NodeKind::Integer(n) if range.contains(&n) => n.try_into().ok(),
            _ => None,
        };
        if found.is_none() {
            let (first, last) = range.into_inner();
            let what = format!("`{key}` takes a whole number from {first} to {last}");
            self.wrong(node.span.clone(), what);
        }
        found
    }

    /// A part of one.
    pub(crate) fn share(&mut self, table: &Node, key: &str) -> Option<f64> {
        let node = table.get(key)?;
        let found = match node.kind {
            NodeKind::Integer(n @ (0 | 1)) => Some(f64::from(n == 1)),
            NodeKind::Real(share) if (0.0..=1.0).contains(&share) => Some(share),
            _ => None,
        };
        if found.is_none() {
            self.wrong(node.span.clone(), format!("`{key}` takes a number from 0 to 1"));
        }
        found
    }

    pub(crate) fn flag(&mut self, table: &Node, key: &str) -> bool {
        let Some(node) = table.get(key) else { return false };
        if node.flag().is_none() {
            self.wrong(node.span.clone(), format!("`{key}` takes true or false"));
        }
        node.flag().unwrap_or(false)
    }

    pub(crate) fn level(&mut self, table: &Node) -> Option<Level> {
        let text = self.text(table, "level")?;
        match text.parse() {
            Ok(level) => Some(level),
            Err(what) => {
                self.wrong(table.place(&["level".into()]), what);
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        table: &Node,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(table, key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let what = unknown(key, &text, words.iter().map(|(word, _)| *word));
            self.wrong(table.place(&[key.to_owned()]), what);
        }
        found
    }
}
