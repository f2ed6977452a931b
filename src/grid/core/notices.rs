//! What a grid tells whoever runs it: its own mistakes, and what its visitors ask for in vain.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// So many different things are remembered; a visitor can make up any number of names.
const MOST: usize = 500;

/// Longer than any name.
const LONGEST: usize = 64;

/// Told so far; clones are the same.
#[derive(Clone, Debug, Default)]
pub(in crate::grid) struct Notices(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    mistakes: BTreeSet<String>,
    warnings: BTreeSet<String>,
}

impl Notices {
    /// Something went wrong that is nobody's fault but ours.
    pub(crate) fn mistake(&self, what: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.mistakes.len() < MOST && told.mistakes.insert(what.to_owned()) {
            tracing::error!("{what}; this is a mistake of gridproof's own, please report it");
        }
    }

    /// A visitor sent a message that this grid does not serve: said once, since nothing else tells
    /// it.
    pub(crate) fn unserved(&self, message: &str) {
        let name = shown(message, LONGEST);
        self.once(format!("message {name} is not served here: a visitor sent it"));
    }

    /// A visitor asked for these capabilities, which this grid does not serve: those that were not
    /// told before are, together.
    pub(crate) fn ungranted<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let shown = names.map(|name| shown(name, LONGEST));
        let new: Vec<String> =
            shown.filter(|name| self.is_new(&format!("capability {name}"))).collect();
        match &new[..] {
            [] => {}
            [one] => tracing::warn!("capability {one} is not served here: a visitor asked for it"),
            all => tracing::warn!(
                "{} capabilities are not served here that a visitor asked for: {}",
                all.len(),
                all.join(", ")
            ),
        }
    }

    /// A request for what is nowhere here: told once for each path, since an address that was
    /// mistyped looks like a grid that is down.
    pub(crate) fn nothing_at(&self, method: &str, path: &str) {
        let (method, path) = (shown(method, LONGEST), shown(path, LONGEST));
        self.once(format!("nothing is served at {path}: a visitor sent a {method} there"));
    }

    /// A visitor's login call that cannot be read, and why: it is told nothing but a status.
    pub(crate) fn unread_login(&self, why: &str) {
        /// Longer than any reason of ours; it may quote what came.
        const REASON: usize = 200;
        self.once(format!("a visitor's login call cannot be read: {}", shown(why, REASON)));
    }

    /// Said once, however often it happens.
    fn once(&self, said: String) {
        if self.is_new(&said) {
            tracing::warn!("{said}");
        }
    }

    /// Whether this was not said before, and is to be: it will not be again.
    fn is_new(&self, said: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.warnings.len() < MOST && told.warnings.insert(said.to_owned())
    }

    /// Its own mistakes so far.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.mistakes.iter().cloned().collect()
    }
}

/// What a panic said.
pub(in crate::grid) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no word")
}

/// What a visitor wrote, as a terminal may show it.
fn shown(text: &str, longest: usize) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_visitors_make_up_are_told_once_and_fill_nothing() {
        let notices = Notices::default();
        for n in 0..10_000 {
            let made_up = format!("{n}\u{1b}[31m{}", "x".repeat(1000));
            notices.ungranted([&*made_up, "same"].into_iter());
            notices.unserved(&made_up);
            notices.nothing_at(&made_up, &made_up);
            notices.unread_login(&format!("{n}\u{1b}[31m{}", "x".repeat(1000)));
        }
        let told = notices.0.lock().unwrap();
        assert_eq!(told.warnings.len(), MOST);
        assert!(told.warnings.iter().all(|name| name.len() < 250 && !name.contains('\u{1b}')));
    }
}
