//! Trials: what a judging grid does to its visitors, from `fixtures/trials.toml`.

use crate::grid::{Faults, granted};
use crate::proof::faults;
use crate::proto::template::Template;
use crate::suite::{Node, Reader, Source};
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
    /// Nobody gets in, so that a visit without a session is one.
    pub bars: bool,
    /// It leads to a region, always the same: of several such nothing shows which was followed.
    pub leads: bool,
    /// What the grid does.
    pub faults: Faults,
    /// What it does not grant.
    pub without: Vec<String>,
}

/// The trials inside the program, by a template that has every message they name.
///
/// # Panics
/// If the file has a mistake: a test reads it.
pub fn trials(template: &Template) -> Vec<Trial> {
    let source = Arc::new(Source {
        path: "fixtures/trials.toml".into(),
        text: include_str!("../../fixtures/trials.toml").into(),
    });
    let mut mistakes = Vec::new();
    let root = Node::parse(&source, &mut mistakes);
    let mut reader = Reader { source: &source, mistakes: &mut mistakes };
    let tables = root.iter().flat_map(|root| {
        reader.known(root, "a file of trials", &["trial"]);
        root.get("trial").map(Node::items).unwrap_or_default()
    });
    let tables: Vec<&Node> = tables.collect();
    let trials = tables.into_iter().map(|table| trial(&mut reader, table, template)).collect();
    let mistakes: Vec<String> = mistakes.iter().map(|mistake| mistake.render(false)).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    trials
}

fn trial(reader: &mut Reader<'_>, table: &Node, template: &Template) -> Trial {
    reader.known(
        table,
        "a trial",
        &["id", "title", "quiet", "bars", "leads", "policy", "rules", "without"],
    );
    let without = reader.text_or_texts(table, "without");
    for name in without.iter().filter(|name| !granted().contains(&name.as_str())) {
        reader.wrong(table.place(&["without".into()]), unknown("capability", name, granted()));
    }
    Trial {
        id: reader.required(table, "id", "a trial"),
        title: reader.required(table, "title", "a trial"),
        quiet: reader.flag(table, "quiet"),
        bars: reader.flag(table, "bars"),
        leads: reader.flag(table, "leads"),
        faults: faults(reader, table, template),
        without,
    }
}
