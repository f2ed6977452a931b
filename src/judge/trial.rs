//! Trials: what a judging grid does to its visitors, from `fixtures/trials.toml`.

use crate::grid::{Faults, GRANTED};
use crate::proof::faults;
use crate::proto::template::Template;
use crate::suite::{Diagnostic, Node, NodeKind, Reader, Source};
use crate::value::unknown;
use std::sync::Arc;

/// Something to see how visitors bear it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its id, unique.
    pub id: String,
    /// What happens, in a sentence.
    pub title: String,
    /// It is part of every judged visit.
    pub quiet: bool,
    /// What the grid does.
    pub faults: Faults,
    /// What it does not grant.
    pub without: Vec<String>,
}

/// The trials inside the program.
pub fn trials(template: &Template) -> Result<Vec<Trial>, Vec<Diagnostic>> {
    let source = Arc::new(Source {
        path: "fixtures/trials.toml".into(),
        text: include_str!("../../fixtures/trials.toml").into(),
    });
    let mut mistakes = Vec::new();
    let Some(root) = Node::parse(&source, &mut mistakes) else { return Err(mistakes) };
    let mut reader = Reader { source: &source, mistakes: &mut mistakes };
    reader.known(&root, "a file of trials", &["trial"]);
    let tables = root.get("trial").map(Node::items).unwrap_or_default();
    let trials = tables.iter().map(|table| trial(&mut reader, table, template)).collect();
    if mistakes.is_empty() { Ok(trials) } else { Err(mistakes) }
}

fn trial(reader: &mut Reader<'_>, table: &Node, template: &Template) -> Trial {
    reader.known(table, "a trial", &["id", "title", "quiet", "policy", "rules", "without"]);
    let without = reader.text_or_texts(table, "without");
    for name in without.iter().filter(|name| !GRANTED.contains(&name.as_str())) {
        reader.wrong(table.place(&["without".into()]), unknown("capability", name, GRANTED));
    }
    let quiet = table.get("quiet").is_some_and(|node| matches!(node.kind, NodeKind::Flag(true)));
    Trial {
        id: reader.required(table, "id", "a trial"),
        title: reader.required(table, "title", "a trial"),
        quiet,
        faults: faults(reader, table, template),
        without,
    }
}
