//! Which cases are meant.

use super::{Case, Level, Library};
use std::sync::Arc;

/// What the user asked for; everything if nothing.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Ids, starts of ids up to a `/`, or patterns with `*`; files stand for their suite.
    pub names: Vec<String>,
    /// Only cases with one of these tags.
    pub tags: Vec<String>,
    /// No case with one of these tags.
    pub not_tags: Vec<String>,
    /// Only cases that cite a requirement of this level.
    pub level: Option<Level>,
}

impl Selection {
    /// The cases meant, in order.
    pub fn choose(&self, library: &Library) -> Vec<Arc<Case>> {
        library.cases().filter(|case| self.takes(case, library)).cloned().collect()
    }

    /// A file stands for all of its cases, unless another name picks some of them.
    fn names(&self, case: &Case, library: &Library) -> bool {
        let id = |name: &&String| **name != case.source.path;
        if self.names.iter().filter(id).any(|name| matches(name, case)) {
            return true;
        }
        let picked = |other: &Arc<Case>| {
            other.source.path == case.source.path
                && self.names.iter().filter(id).any(|name| matches(name, other))
        };
        self.names.contains(&case.source.path) && !library.cases().any(picked)
    }

    fn takes(&self, case: &Case, library: &Library) -> bool {
        let named = self.names.is_empty() || self.names(case, library);
        let tagged = self.tags.is_empty() || self.tags.iter().any(|t| case.tags.contains(t));
        let barred = self.not_tags.iter().any(|t| case.tags.contains(t));
        let level = self.level.is_none_or(|level| {
            let cited = case.requirements.iter().filter_map(|id| library.catalogue.get(id));
            cited.into_iter().any(|requirement| requirement.level == level)
        });
        named && tagged && !barred && level
    }
}

fn matches(name: &str, case: &Case) -> bool {
    let id = case.id.as_str();
    let name = name.trim_start_matches("suites/").trim_end_matches('/').trim_end_matches(".toml");
    let whole = id.split('[').next().unwrap_or(id);
    let below =
        id.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']));
    let last = whole.rsplit('/').next() == Some(name) || id.rsplit('/').next() == Some(name);
    below || last || (name.contains('*') && wildcard(name, id))
}

/// `*` stands for anything.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == text;
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || last.is_empty() || text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(wildcard("login/*", "login/a/b"));
        assert!(wildcard("*bad*", "login/bad-password"));
        assert!(wildcard("*password", "login/bad-password"));
        assert!(!wildcard("caps/*", "login/a"));
        assert!(!wildcard("*x", "login/a"));
        assert!(!wildcard("login", "login/a") && !wildcard("", "login/a"));
    }
}
