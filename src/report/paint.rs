//! Colour, or none.

use crate::runner::Outcome;
use anstyle::{AnsiColor, Style};

/// Whether text is coloured.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// True on a terminal that wants it.
    pub colour: bool,
}

impl Paint {
    fn with(self, style: Style, text: &str) -> String {
        match self.colour {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    /// What matters.
    pub fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// What was received, a caret, a failure.
    pub fn red(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    /// An outcome in its colour.
    pub fn outcome(self, outcome: Outcome, text: &str) -> String {
        let style = match outcome {
            Outcome::Pass => AnsiColor::Green.on_default(),
            Outcome::Warn | Outcome::Known => AnsiColor::Yellow.on_default(),
            Outcome::Fail | Outcome::Error | Outcome::Fixed => AnsiColor::Red.on_default().bold(),
            Outcome::Blocked => AnsiColor::Magenta.on_default().bold(),
            Outcome::Impossible | Outcome::Skipped => Style::new().dimmed(),
        };
        self.with(style, text)
    }
}

/// Breaks text into lines of at most `width` characters, at blanks where there are any.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("there is always a last line");
            let used = line.chars().count();
            let len = word.chars().count();
            if used == 0 && len <= width {
                line.push_str(word);
            } else if used > 0 && used + 1 + len <= width {
                line.push(' ');
                line.push_str(word);
            } else if used > 0 {
                lines.push(String::new());
                continue;
            } else {
                let at = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
                line.push_str(&word[..at]);
                word = &word[at..];
                lines.push(String::new());
                continue;
            }
            break;
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_break_at_blanks_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert!(wrap("", 4).is_empty());
    }
}
