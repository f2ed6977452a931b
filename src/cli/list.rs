//! `gridproof list`.

use super::{Failed, TemplateArgs, library, say, split_selection, template};
use crate::suite::{Level, Library, Selection};
use crate::value::unknown;
use clap::Args;
use serde_json::json;
use std::collections::BTreeSet;

/// Arguments of `list`, and the selection of `run`.
#[derive(Args, Debug, Clone, Default)]
pub(super) struct SelectArgs {
    /// Cases or suites by id, part of an id up to `/`, pattern with `*`, or TOML file or folder
    #[arg(value_name = "SELECTION")]
    pub selection: Vec<String>,
    /// Only cases with this tag (repeatable)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// No case with this tag (repeatable)
    #[arg(long, value_name = "TAG")]
    pub not_tag: Vec<String>,
    /// Only cases that cite a requirement of this level: must, should, may
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<Level>,
}

impl SelectArgs {
    /// As a selection; folders on disk stand for every suite below them.
    pub(super) fn selection(&self, paths: &[std::path::PathBuf]) -> Selection {
        let mut names = Vec::new();
        for name in &self.selection {
            let path = std::path::Path::new(name);
            match paths.iter().any(|p| p == path) && path.is_dir() {
                true => names.push(format!("{}/*", name.trim_end_matches('/'))),
                false => names.push(name.clone()),
            }
        }
        Selection {
            names,
            tags: self.tag.clone(),
            not_tags: self.not_tag.clone(),
            level: self.level,
        }
    }
}

/// A tag that no case has is a mistake.
pub(super) fn every_tag_counts(select: &SelectArgs, library: &Library) -> Result<(), Failed> {
    let known: BTreeSet<&str> =
        library.cases().flat_map(|case| &case.tags).map(String::as_str).collect();
    match select.tag.iter().chain(&select.not_tag).find(|tag| !known.contains(tag.as_str())) {
        None => Ok(()),
        Some(tag) => {
            let all: Vec<&str> = known.iter().copied().collect();
            let what = unknown("tag", tag, all.iter().copied());
            Err((2, format!("{what}; there are {}", all.join(", "))))
        }
    }
}

/// Arguments of `list`.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    template: TemplateArgs,
    /// An array of cases with id, title, level, tags, needs, requirements
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: ListArgs) -> Result<u8, Failed> {
    let template = template(&args.template)?;
    let (_, paths) = split_selection(&args.select.selection);
    let library = library(&paths, &template, false)?;
    every_tag_counts(&args.select, &library)?;
    let cases = args.select.selection(&paths).choose(&library);
    let level = |case: &crate::suite::Case| {
        let cited = case.requirements.iter().filter_map(|id| library.catalogue.get(id));
        cited.map(|requirement| requirement.level).min()
    };
    if args.json {
        let cases: Vec<_> = cases
            .iter()
            .map(|case| {
                json!({
                    "id": case.id,
                    "title": case.title,
                    "level": level(case),
                    "tags": case.tags,
                    "needs": case.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "effects": case.effects,
                    "actors": case.actors.len(),
                    "requirements": case.requirements,
                })
            })
            .collect();
        say(&format!("{}\n", serde_json::to_string_pretty(&cases).unwrap_or_default()));
    } else {
        for case in &cases {
            let level = level(case).map_or("-".to_owned(), |level| level.to_string());
            say(&format!("{level:<6} {}\n       {}\n", case.id, case.title));
        }
    }
    if cases.is_empty() {
        return Err((4, "the selection matches no case".into()));
    }
    Ok(0)
}
