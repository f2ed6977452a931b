//! Writes a template back as text that parses to the same structures.

use super::parse::{DEPRECATIONS, FREQUENCIES, KINDS};
use super::{BlockDef, FieldDef, FieldKind, Frequency, MessageDef, Quantity, Template};
use std::fmt::{Display, Formatter, Result};

impl Display for Template {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "version {}", self.version())?;
        self.messages().iter().try_for_each(|message| write!(f, "\n{message}"))
    }
}

impl Display for Frequency {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let word = FREQUENCIES.iter().find(|(_, v)| v == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

impl Display for MessageDef {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let trust = if self.trusted { "Trusted" } else { "NotTrusted" };
        let encoding = if self.zerocoded { "Zerocoded" } else { "Unencoded" };
        write!(f, "{{ {} {} ", self.name, self.frequency)?;
        match self.frequency {
            Frequency::Fixed => write!(f, "0x{:08X}", self.number)?,
            _ => write!(f, "{}", self.number)?,
        }
        write!(f, " {trust} {encoding}")?;
        if self.deprecation.is_some() {
            let word = DEPRECATIONS.iter().find(|(_, v)| *v == self.deprecation);
            write!(f, " {}", word.map_or("", |(word, _)| word))?;
        }
        writeln!(f)?;
        self.blocks.iter().try_for_each(|block| write!(f, "{block}"))?;
        writeln!(f, "}}")
    }
}

impl Display for BlockDef {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.quantity {
            Quantity::Single => writeln!(f, "  {{ {} Single", self.name)?,
            Quantity::Multiple(n) => writeln!(f, "  {{ {} Multiple {n}", self.name)?,
            Quantity::Variable => writeln!(f, "  {{ {} Variable", self.name)?,
        }
        self.fields.iter().try_for_each(|field| writeln!(f, "    {{ {field} }}"))?;
        writeln!(f, "  }}")
    }
}

impl Display for FieldDef {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

impl Display for FieldKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Fixed(n) => write!(f, "Fixed {n}"),
            Self::Variable1 => f.write_str("Variable 1"),
            Self::Variable2 => f.write_str("Variable 2"),
            kind => {
                let word = KINDS.iter().find(|(_, v)| v == kind);
                f.write_str(word.map_or("", |(word, _)| word))
            }
        }
    }
}
