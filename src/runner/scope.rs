//! What references stand for while a case runs.

use super::Target;
use crate::client::Credentials;
use crate::suite::{Node, NodeKind, Piece, pieces};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The values of a case, or of a procedure it calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// What steps returned, by id.
    results: BTreeMap<String, Value>,
    /// Ids of steps that brought nothing, or not all they should: that is told already.
    lacking: BTreeSet<String>,
    /// Steps that never ran are no surprise.
    cleaning: bool,
    /// Who acts where a step does not say.
    pub actor: String,
    built_in: BTreeMap<&'static str, Value>,
}

/// How many further ids a case may use.
const MORE_IDS: usize = 20;

impl Scope {
    /// A case's scope.
    pub(super) fn new(case: &str, target: &Target, actors: &[(String, Credentials)]) -> Self {
        let text = |s: &str| Value::string(s);
        let account = |c: &Credentials| {
            let name = format!("{} {}", c.first, c.last);
            Value::map([("first", text(&c.first)), ("last", text(&c.last)), ("name", text(&name))])
        };
        let chance = target.network.chance();
        let random = chance.uuid();
        let ids = (0..MORE_IDS).map(|_| Value::Uuid(chance.uuid()));
        let number = chance.number(1..i32::MAX.cast_unsigned());
        let regions = target.regions.iter().map(|r| text(r)).collect();
        let region = target.regions.first().map_or(Value::Undef, |r| text(r));
        let neighbour = target.neighbour.as_deref().map_or(Value::Undef, text);
        let distant = target.distant.as_deref().map_or(Value::Undef, text);
        let closed = target.closed.as_deref().map_or(Value::Undef, text);
        let actors = actors.iter().map(|(name, c)| (name.clone(), account(c)));
        let built_in = BTreeMap::from([
            ("case", Value::map([("id", text(case))])),
            ("actor", Value::Map(actors.collect())),
            (
                "random",
                Value::map([
                    ("uuid", Value::Uuid(random)),
                    ("ids", Value::Array(ids.collect())),
                    ("text", Value::String(random.simple().to_string())),
                    ("integer", Value::integer(number)),
                ]),
            ),
            (
                "target",
                Value::map([
                    ("login_uri", text(&target.login_uri)),
                    ("base", text(&target.base())),
                    ("regions", Value::Array(regions)),
                    ("region", region),
                    ("neighbour", neighbour),
                    ("distant", distant),
                    ("closed", closed),
                ]),
            ),
        ]);
        Self { built_in, ..Self::default() }
    }

    /// The scope of a procedure: the same world, its own parameters and results, and whoever calls
    /// it acts.
    pub(super) fn inner(&self, actor: &str, params: Value) -> Self {
        let (built_in, cleaning) = (self.built_in.clone(), self.cleaning);
        let actor = actor.to_owned();
        let mut inner = Self { built_in, cleaning, actor, ..Self::default() };
        inner.built_in.insert("param", params);
        inner
    }

    pub(super) fn set_row(&mut self, row: Value) {
        self.built_in.insert("row", row);
    }

    /// Whose step comes next.
    pub(super) fn set_account(&mut self, actor: &str, now: jiff::Timestamp) {
        let account = self.built_in.get("actor").and_then(|all| all.get(actor)).cloned();
        self.built_in.insert("account", account.unwrap_or_default());
        let seconds = now.as_second();
        self.built_in.insert("now", Value::map([("seconds", Value::integer(seconds))]));
    }

    pub(super) fn set(&mut self, id: &str, result: Value) {
        self.results.insert(id.to_owned(), result);
    }

    /// A step brought nothing, or not all it should.
    pub(super) fn lack(&mut self, id: &str) {
        self.lacking.insert(id.to_owned());
    }

    /// Whether a step brought nothing, or not all it should.
    pub(super) fn has_failed(&self, id: &str) -> bool {
        self.lacking.contains(id)
    }

    /// From now on it is clean-up: what never ran left nothing to clean.
    pub(super) fn clean_up(&mut self) {
        self.cleaning = true;
    }

    /// Whether it is.
    pub(super) fn is_cleaning(&self) -> bool {
        self.cleaning
    }

    /// Whether a tree refers to what an earlier step did not bring, as has been told.
    pub(super) fn lacks(&self, node: &Node) -> bool {
        let mut lacks = false;
        node.texts(&mut |text, _| {
            lacks |= pieces(text).iter().any(|piece| match piece {
                Piece::Reference(name, path) => {
                    let told = self.cleaning || self.lacking.contains(*name);
                    told && self.lookup(name, path).is_err()
                }
                Piece::Text(_) | Piece::Broken(_) => false,
            });
        });
        lacks
    }

    /// The value of a tree, references replaced. A text that is one reference takes its type.
    pub(super) fn resolve(&self, node: &Node) -> Result<Value, String> {
        Ok(match &node.kind {
            NodeKind::Text(text) => self.text(text)?,
            NodeKind::Array(items) => {
                Value::Array(items.iter().map(|item| self.resolve(item)).collect::<Result<_, _>>()?)
            }
            NodeKind::Table(members) => Value::Map(
                members
                    .iter()
                    .map(|(key, _, node)| Ok((key.clone(), self.resolve(node)?)))
                    .collect::<Result<_, String>>()?,
            ),
            _ => node.value(),
        })
    }

    fn text(&self, text: &str) -> Result<Value, String> {
        if !text.contains("${") {
            return Ok(Value::string(text));
        }
        let pieces = pieces(text);
        if let [Piece::Reference(name, path)] = pieces.as_slice() {
            return self.lookup(name, path);
        }
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Broken(text) => return Err(format!("`{text}` is no reference")),
                Piece::Reference(name, path) => {
                    let value = self.lookup(name, &path)?;
                    let text = value.as_text();
                    out.push_str(&text.ok_or_else(|| format!("`{name}` has no text form"))?);
                }
            }
        }
        Ok(Value::String(out))
    }

    fn lookup(&self, name: &str, path: &crate::value::Path) -> Result<Value, String> {
        let root = self.built_in.get(name).or_else(|| self.results.get(name));
        let found = root.and_then(|root| path.find(root));
        found.ok_or_else(|| format!("`${{{name}.{path}}}`: the grid's answer has no such value"))
    }
}
