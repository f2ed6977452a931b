//! Profiles: what is known to be broken on a kind of grid, and why.

use super::select::wildcard;
use super::{Diagnostic, Library, Node, Source};
use crate::value::unknown;
use std::sync::Arc;

/// One known failure.
#[derive(Clone, Debug)]
pub struct Known {
    /// The case that shows it; `*` stands for anything, where it comes and goes.
    pub case: String,
    /// The requirement that is broken.
    pub requirement: String,
    /// Why it is as it is.
    pub reason: String,
    /// Where that can be seen.
    pub source: String,
    /// What the failure says: a part of what was received. Another failure still fails.
    pub signature: String,
    /// It comes and goes: where it holds, the profile is not stale.
    pub sometimes: bool,
}

/// What is known of a kind of grid.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Its title.
    pub title: String,
    /// Its known failures.
    pub known: Vec<Known>,
}

const KEYS: [&str; 6] = ["case", "requirement", "reason", "source", "signature", "sometimes"];

impl Profile {
    /// Reads a profile and holds it against the library.
    ///
    /// # Errors
    /// Every mistake in the file.
    pub fn read(source: &Arc<Source>, library: &Library) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let Some(root) = Node::parse(source, &mut mistakes) else { return Err(mistakes) };
        let mut profile = Self::default();
        for (key, span, node) in root.members() {
            match key.as_str() {
                "title" => profile.title = node.text().unwrap_or_default().to_owned(),
                "known" => {
                    for entry in node.items() {
                        match known(entry, library) {
                            Ok(known) => profile.known.push(known),
                            Err((key, what)) => {
                                let place = entry.place(&[key.to_owned()]);
                                mistakes.push(Diagnostic::new(source, place, what));
                            }
                        }
                    }
                }
                other => {
                    let what = unknown("key", other, ["title", "known"]);
                    mistakes.push(Diagnostic::new(source, span.clone(), what));
                }
            }
        }
        if mistakes.is_empty() { Ok(profile) } else { Err(mistakes) }
    }
}

fn known(entry: &Node, library: &Library) -> Result<Known, (String, String)> {
    for (key, ..) in entry.members() {
        if !KEYS.contains(&key.as_str()) {
            return Err((key.clone(), unknown("key", key, KEYS)));
        }
    }
    let text = |key: &str| {
        entry
            .get(key)
            .and_then(Node::text)
            .map(str::to_owned)
            .ok_or_else(|| (key.to_owned(), format!("a known failure needs `{key}` as text")))
    };
    let case = text("case")?;
    if !library.cases().any(|c| wildcard(&case, &c.id)) {
        let what = unknown("case", &case, library.cases().map(|c| c.id.as_str()));
        return Err(("case".into(), what));
    }
    let requirement = text("requirement")?;
    if library.catalogue.get(&requirement).is_none() {
        let ids = library.catalogue.all.keys().map(String::as_str);
        return Err(("requirement".into(), unknown("requirement", &requirement, ids)));
    }
    let signature = text("signature")?;
    if signature.is_empty() {
        let what = "an empty signature would fit any failure".to_owned();
        return Err(("signature".into(), what));
    }
    let sometimes = match entry.get("sometimes") {
        None => false,
        Some(node) => node.flag().ok_or_else(|| {
            ("sometimes".to_owned(), "`sometimes` takes true or false".to_owned())
        })?,
    };
    if case.contains('*') && !sometimes {
        let what = "what any of several cases may show is not shown by all: `sometimes = true`";
        return Err(("case".into(), what.to_owned()));
    }
    let (reason, source) = (text("reason")?, text("source")?);
    Ok(Known { case, requirement, reason, source, signature, sometimes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::template::Template;
    use crate::suite::Files;

    fn read(case: &str, sometimes: bool) -> Result<usize, String> {
        let library = Library::load(&Files::shipped(), Template::shipped()).unwrap();
        let text = format!(
            "[[known]]\ncase = \"{case}\"\nrequirement = \"EQ-EARLY-1\"\nreason = \"it is so\"\n\
             source = \"seen\"\nsignature = \"502\"\nsometimes = {sometimes}\n"
        );
        let source = Arc::new(Source { path: "profile.toml".into(), text });
        let read = Profile::read(&source, &library);
        read.map(|profile| profile.known.len()).map_err(|mistakes| mistakes[0].message.clone())
    }

    #[test]
    fn what_any_case_may_show_comes_and_goes() {
        assert_eq!(read("caps/event_queue/early", false), Ok(1));
        assert_eq!(read("caps/*", true), Ok(1));
        let told = read("caps/*", false).unwrap_err();
        assert!(told.ends_with("`sometimes = true`"), "{told}");
        assert!(read("caps/nothing*", true).unwrap_err().contains("caps/nothing*"));
    }
}
