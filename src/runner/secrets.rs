//! Keeps secrets out of everything that is written down.

use aho_corasick::AhoCorasick;
use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

/// Replaces secrets by their names: `‹password›`.
#[derive(Clone, Default)]
pub struct Redactor {
    /// What each secret, as it may be written, is replaced by.
    known: BTreeMap<String, String>,
    /// Finds all of them in one pass; made when first needed.
    finder: OnceLock<Option<AhoCorasick>>,
}

/// Without what it keeps.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor of {} secrets", self.known.len())
    }
}

/// What every known grid's capability URLs look like, for those nobody has told us of.
fn capability_url() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let pattern = Regex::new(r#"(?i)https?://[^\s"'<>]*/caps?/[^\s"'<>]*"#);
        pattern.expect("a unit test uses the pattern")
    })
}

/// Shorter texts are not replaced: they would be found everywhere.
const SHORTEST: usize = 4;

/// What is shown where secrets could not be looked for.
const WITHHELD: &str = "‹withheld: too many secrets to look for›";

impl Redactor {
    /// Adds a secret, and the other ways in which it is written.
    pub fn add(&mut self, name: &str, secret: &str) {
        let mut ways = vec![secret.to_owned()];
        if let Some(hash) = secret.strip_prefix("$1$") {
            ways.push(hash.to_owned());
            ways.push(hash.to_uppercase());
        }
        if let Ok(id) = uuid::Uuid::try_parse(secret) {
            ways.push(id.simple().to_string());
        }
        if let Ok(code) = secret.parse::<u32>() {
            ways.push(hex::encode(code.to_le_bytes()));
        }
        if secret.starts_with("http") {
            let path = secret.splitn(4, '/').nth(3).unwrap_or_default();
            ways.push(path.trim_end_matches('/').to_owned());
            ways.push(secret.trim_end_matches('/').to_owned());
        }
        for way in ways.into_iter().filter(|way| way.len() >= SHORTEST) {
            let called = || format!("‹{}›", name.replace('_', " "));
            self.known.entry(way).or_insert_with(called);
        }
        self.finder = OnceLock::new();
    }

    /// The text without secrets.
    pub fn clean(&self, text: &str) -> String {
        let finder = self.finder.get_or_init(|| AhoCorasick::new(self.known.keys()).ok());
        let text = match finder {
            Some(finder) => self.replace(text, finder),
            None => WITHHELD.to_owned(),
        };
        match text.contains("://") {
            true => capability_url().replace_all(&text, "‹capability URL›").into_owned(),
            false => text,
        }
    }

    /// Where secrets overlap, all that any of them covers goes, under the name of the longest.
    fn replace(&self, text: &str, finder: &AhoCorasick) -> String {
        let names: Vec<&String> = self.known.values().collect();
        let mut found: Vec<_> = finder.find_overlapping_iter(text).collect();
        found.sort_by_key(|found| (found.start(), std::cmp::Reverse(found.end())));
        let mut covered: Vec<(Range<usize>, aho_corasick::Match)> = Vec::new();
        for one in found {
            match covered.last_mut() {
                Some((range, longest)) if one.start() < range.end => {
                    range.end = range.end.max(one.end());
                    if one.len() > longest.len() {
                        *longest = one;
                    }
                }
                _ => covered.push((one.range(), one)),
            }
        }
        let mut clean = String::with_capacity(text.len());
        let mut told = 0;
        for (range, longest) in covered {
            clean += &text[told..range.start];
            clean += names[longest.pattern().as_usize()];
            told = range.end;
        }
        clean + &text[told..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_url_nobody_told_of_is_replaced_too() {
        let text = Redactor::default().clean("seed = <https://sim:12043/cap/67153d5b>, more");
        assert_eq!(text, "seed = <‹capability URL›>, more");
    }

    #[test]
    fn every_way_of_writing_a_secret_is_replaced() {
        let mut redactor = Redactor::default();
        redactor.add("password", "$1$5f4dcc3b5aa765d61d8327deb882cf99");
        redactor.add("session_id", "4b6fff1f-b567-41fd-85ef-a1983bf2b577");
        redactor.add("circuit_code", "305419896");
        redactor.add("seed_capability", "http://h:9/CAPS/abc0000/");
        let text = "5f4dcc3b5aa765d61d8327deb882cf99 4b6fff1fb56741fd85efa1983bf2b577 \
                    305419896 78563412 http://h:9/CAPS/abc0000/ /CAPS/abc0000";
        let clean = redactor.clean(text);
        assert_eq!(
            clean,
            "‹password› ‹session id› ‹circuit code› ‹circuit code› ‹seed capability› /‹seed capability›"
        );
    }

    #[test]
    fn of_secrets_that_overlap_nothing_is_left() {
        let mut redactor = Redactor::default();
        redactor.add("password", "abcdef");
        redactor.add("session_id", "defghijk");
        redactor.add("seed_capability", "hijklm");
        assert_eq!(redactor.clean("<abcdefghijklm>, <abcdefg>"), "<‹session id›>, <‹password›g>");
    }
}
