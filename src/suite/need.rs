//! What a case may need of a grid.

use crate::value::unknown;
use std::fmt;

/// Something that a case needs and not every grid has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// An account.
    Account,
    /// So many regions.
    Regions(usize),
    /// A region beside the first.
    Neighbour,
    /// A region that does not touch the first.
    Distant,
    /// A region beside the first that lets nobody in.
    Closed,
    /// A grid on this machine.
    Loopback,
    /// Logins as LLSD.
    LlsdLogin,
}

impl Need {
    /// The words of them all, as suites write them.
    const WORDS: [(&'static str, Self); 7] = [
        ("account", Self::Account),
        ("regions", Self::Regions(1)),
        ("neighbour", Self::Neighbour),
        ("distant", Self::Distant),
        ("closed", Self::Closed),
        ("loopback", Self::Loopback),
        ("llsd-login", Self::LlsdLogin),
    ];

    /// Reads a need as suites write it; `regions:3` is three regions.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(count) = text.strip_prefix("regions:") {
            let count = count.parse().map_err(|_| format!("`{text}`: how many is no number"))?;
            return Ok(Self::Regions(count));
        }
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        let known = Self::WORDS.iter().map(|(word, _)| *word);
        found.map(|(_, need)| *need).ok_or_else(|| unknown("need", text, known))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Regions(count @ 2..) = self {
            return write!(f, "regions:{count}");
        }
        let same = |(_, need): &&(&str, Self)| {
            std::mem::discriminant(need) == std::mem::discriminant(self)
        };
        f.write_str(Self::WORDS.iter().find(same).map_or("", |(word, _)| word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_reads_as_it_is_written() {
        for (word, need) in Need::WORDS {
            assert_eq!(Need::parse(word), Ok(need));
            assert_eq!(need.to_string(), word);
        }
        assert_eq!(Need::parse("regions:3").unwrap().to_string(), "regions:3");
        assert!(Need::parse("regions:many").unwrap_err().contains("no number"));
        assert!(Need::parse("neighbor").unwrap_err().contains("did you mean `neighbour`?"));
    }
}
