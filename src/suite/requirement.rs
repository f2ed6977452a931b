//! The catalogue of requirements: what grids must, should and may do, and where that is written.

use super::{Diagnostic, Node, Reader, Source};
use crate::value::unknown;
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::sync::Arc;

/// How binding a requirement is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Breaking it fails.
    Must,
    /// Breaking it warns.
    Should,
    /// Breaking it is noted.
    May,
}

impl Display for Level {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        })
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "must" => Ok(Self::Must),
            "should" => Ok(Self::Should),
            "may" => Ok(Self::May),
            other => Err(unknown("level", other, ["must", "should", "may"])),
        }
    }
}

/// One requirement.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Requirement {
    /// Its stable id.
    pub id: String,
    /// The file it stands in, without ending.
    pub area: String,
    /// How binding it is.
    pub level: Level,
    /// Whom it binds: server, client or codec.
    pub target: String,
    /// The sentence.
    pub text: String,
    /// Where it is written.
    pub source: String,
    /// Why no case tests it, if none can.
    pub untested: Option<String>,
    /// Why no case tests it yet, though one could.
    pub pending: Option<String>,
    /// What `serve --judge` needs to judge it by a client's visit: a trial, or `visit` where it
    /// needs none.
    pub judge: Option<String>,
}

/// Something grids say of which no requirement speaks, and why.
#[derive(Clone, Debug)]
pub struct Unspoken {
    /// The generated mutants that nobody needs to notice, by id; `*` stands for anything.
    pub mutant: String,
    /// Why.
    pub reason: String,
    /// Where it is said.
    pub place: String,
}

/// All requirements by id.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The requirements.
    pub all: BTreeMap<String, Requirement>,
    /// What no requirement speaks of.
    pub unspoken: Vec<Unspoken>,
}

impl Catalogue {
    /// A requirement by id.
    pub fn get(&self, id: &str) -> Option<&Requirement> {
        self.all.get(id)
    }

    /// Reads one file of requirements.
    pub(super) fn read(&mut self, source: &Arc<Source>, mistakes: &mut Vec<Diagnostic>) {
        let Some(root) = Node::parse(source, mistakes) else { return };
        let area = source.path.rsplit('/').next().unwrap_or_default();
        let area = area.trim_end_matches(".toml").to_owned();
        for (name, span, node) in root.members() {
            if name == "unspoken" {
                self.unspoken(source, node, mistakes);
                continue;
            }
            if name != "requirement" {
                let what = unknown("table", name, ["requirement", "unspoken"]);
                mistakes.push(Diagnostic::new(source, span.clone(), what));
                continue;
            }
            for entry in node.items() {
                match requirement(entry, &area) {
                    Err((path, what)) => {
                        let place = entry.place(&[path.to_owned()]);
                        mistakes.push(Diagnostic::new(source, place, what));
                    }
                    Ok(requirement) => {
                        let id = requirement.id.clone();
                        if self.all.insert(id.clone(), requirement).is_some() {
                            let what = format!("requirement `{id}` is defined twice");
                            mistakes.push(Diagnostic::new(
                                source,
                                entry.place(&["id".into()]),
                                what,
                            ));
                        }
                    }
                }
            }
        }
    }
}

impl Catalogue {
    fn unspoken(&mut self, source: &Arc<Source>, node: &Node, mistakes: &mut Vec<Diagnostic>) {
        let mut reader = Reader { source, mistakes };
        for table in node.items() {
            reader.known(table, "something unspoken", &["mutant", "reason"]);
            let (line, _) = source.position(table.span.start);
            let place = format!("{}:{line}", source.path);
            let reason = reader.required(table, "reason", "something unspoken");
            let mutants = reader.text_or_texts(table, "mutant");
            if mutants.iter().any(String::is_empty) || mutants.is_empty() {
                reader.wrong(table.span.clone(), "something unspoken needs `mutant`");
            }
            let entry = |mutant| Unspoken { mutant, reason: reason.clone(), place: place.clone() };
            self.unspoken.extend(mutants.into_iter().map(entry));
        }
    }
}

const KEYS: [&str; 8] = ["id", "level", "target", "text", "source", "untested", "pending", "judge"];

fn requirement(entry: &Node, area: &str) -> Result<Requirement, (&'static str, String)> {
    if let Some((key, ..)) = entry.members().iter().find(|(k, ..)| !KEYS.contains(&k.as_str())) {
        return Err(("id", unknown("key", key, KEYS)));
    }
    let text = |key: &'static str| {
        entry
            .get(key)
            .and_then(Node::text)
            .map(str::to_owned)
            .ok_or((key, format!("a requirement needs `{key}` as text")))
    };
    let target = text("target")?;
    if !["server", "client", "codec"].contains(&target.as_str()) {
        return Err(("target", unknown("target", &target, ["server", "client", "codec"])));
    }
    Ok(Requirement {
        id: text("id")?,
        area: area.to_owned(),
        level: text("level")?.parse().map_err(|what| ("level", what))?,
        target,
        text: text("text")?,
        source: text("source")?,
        untested: entry.get("untested").and_then(Node::text).map(str::to_owned),
        pending: entry.get("pending").and_then(Node::text).map(str::to_owned),
        judge: entry.get("judge").and_then(Node::text).map(str::to_owned),
    })
}
