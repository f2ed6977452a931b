//! A TOML document as a tree of values that know their place.

use super::{Diagnostic, Source};
use crate::value::Value;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The place.
    pub span: Range<usize>,
    /// The value.
    pub kind: NodeKind,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A string, or a date as written.
    Text(String),
    /// An integer.
    Integer(i128),
    /// A float.
    Real(f64),
    /// A boolean.
    Flag(bool),
    /// An array.
    Array(Vec<Node>),
    /// A table: keys with their places, and values.
    Table(Vec<(String, Range<usize>, Node)>),
}

impl Node {
    /// Reads a document. Every syntax mistake is told.
    pub fn parse(source: &Arc<Source>, mistakes: &mut Vec<Diagnostic>) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        if errors.is_empty() {
            let span = table.span();
            return Some(Self { span, kind: table_kind(table.get_ref()) });
        }
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            mistakes.push(Diagnostic::new(source, span, error.message().to_owned()));
        }
        None
    }

    /// A member of a table.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|(k, ..)| k == key).map(|(_, _, node)| node)
    }

    /// The members of a table; none of anything else.
    pub fn members(&self) -> &[(String, Range<usize>, Self)] {
        match &self.kind {
            NodeKind::Table(members) => members,
            _ => &[],
        }
    }

    /// The items of an array; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            NodeKind::Array(items) => items,
            _ => &[],
        }
    }

    /// Text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A flag.
    pub fn flag(&self) -> Option<bool> {
        match self.kind {
            NodeKind::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// The place of a nested key, or the nearest place above it.
    pub fn place(&self, path: &[String]) -> Range<usize> {
        let Some((first, rest)) = path.split_first() else { return self.span.clone() };
        let candidates: Vec<&Self> = match &self.kind {
            NodeKind::Array(items) => items.iter().collect(),
            _ => vec![self],
        };
        for node in candidates {
            if let Some((_, key, value)) = node.members().iter().find(|(k, ..)| k == first) {
                return if rest.is_empty() { key.clone() } else { value.place(rest) };
            }
        }
        self.span.clone()
    }

    /// The value without places; references stay as they are written.
    pub fn value(&self) -> Value {
        match &self.kind {
            NodeKind::Text(text) => Value::string(text),
            NodeKind::Integer(n) => Value::Integer(*n),
            NodeKind::Real(r) => Value::Real(*r),
            NodeKind::Flag(flag) => Value::Boolean(*flag),
            NodeKind::Array(items) => Value::Array(items.iter().map(Self::value).collect()),
            NodeKind::Table(members) => {
                Value::Map(members.iter().map(|(k, _, v)| (k.clone(), v.value())).collect())
            }
        }
    }

    /// Calls `visit` for every text in the tree.
    pub fn texts<'a>(&'a self, visit: &mut impl FnMut(&'a str, &Range<usize>)) {
        match &self.kind {
            NodeKind::Text(text) => visit(text, &self.span),
            NodeKind::Array(items) => items.iter().for_each(|item| item.texts(visit)),
            NodeKind::Table(members) => {
                members.iter().for_each(|(_, _, node)| node.texts(visit));
            }
            _ => {}
        }
    }
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => NodeKind::Text(text.to_string()),
        DeValue::Integer(n) => {
            NodeKind::Integer(i128::from_str_radix(n.as_str(), n.radix()).unwrap_or_default())
        }
        DeValue::Float(r) => NodeKind::Real(r.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => NodeKind::Flag(*flag),
        DeValue::Datetime(time) => NodeKind::Text(time.to_string()),
        DeValue::Array(items) => NodeKind::Array(items.iter().map(node).collect()),
        DeValue::Table(table) => table_kind(table),
    };
    Node { span: value.span(), kind }
}

fn table_kind(table: &DeTable<'_>) -> NodeKind {
    let mut members: Vec<(String, Range<usize>, Node)> =
        table.iter().map(|(k, v)| (k.get_ref().to_string(), k.span(), node(v))).collect();
    // The order of the file, whatever order the parser's map keeps.
    members.sort_by_key(|(_, span, _)| span.start);
    NodeKind::Table(members)
}
