//! Texts of failures beside those in `fixtures/golden/`.
//!
//! `GOLDEN=write cargo test` writes them anew; read the difference before it lands.

use regex::Regex;
use std::path::Path;

/// What differs from run to run becomes a word: ports, times, ids.
pub(crate) fn steady(text: &str) -> String {
    let patterns = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID-OF-ANOTHER"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"#\d+", "#N"),
        // Where in its file a step stands changes with the file.
        (r"\.toml:\d+:\d+", ".toml:LINE"),
        (r"(?m)^ *\d+ \|", "  N |"),
        (r"(?m)^ {3,}\| ", "    | "),
        (r"(?m)^ +--> ", "  --> "),
        // How many pings went by is a matter of the moment.
        (r"only [^\n]*(\n {12}[^\n]*)*Check[^\n]*(\n {12}×\d+)?", "only OTHERS"),
        // Whether the session was ended while this waited is a matter of how busy a machine is.
        (r"only OTHERS, DisableSimulator", "only OTHERS"),
    ];
    patterns.iter().fold(text.to_owned(), |text, (pattern, word)| {
        Regex::new(pattern).unwrap().replace_all(&text, *word).into_owned()
    })
}

/// A failure without its timeline, whose rows differ from run to run.
pub(crate) fn without_timeline(text: &str) -> String {
    let row = Regex::new(r"^ +(\d+\.\d|—|…) ").unwrap();
    let lines = text.lines().filter(|line| !row.is_match(line)).map(str::trim_end);
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// What a text has otherwise than its golden file.
pub(crate) fn differs(golden: &Path, text: &str) -> Option<String> {
    if std::env::var("GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::create_dir_all(golden.parent()?).unwrap();
        std::fs::write(golden, text).unwrap();
    }
    let kept = std::fs::read_to_string(golden).unwrap_or_default();
    (kept != text).then(|| format!("not as in {}:\n{text}", golden.display()))
}
