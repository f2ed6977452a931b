//! Keeps secrets out of everything that is written down.

use regex::Regex;
use std::sync::OnceLock;

/// Replaces secrets by their names: `‹password›`.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Secret and name, longest secret first.
    known: Vec<(String, String)>,
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
            if !self.known.iter().any(|(known, _)| *known == way) {
                self.known.push((way, format!("‹{}›", name.replace('_', " "))));
            }
        }
        self.known.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    }

    /// The text without secrets.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (secret, name) in &self.known {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), name);
            }
        }
        match text.contains("://") {
            true => capability_url().replace_all(&text, "‹capability URL›").into_owned(),
            false => text,
        }
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
}
