//! Reads template text: tokens with positions, then one small function per grammar rule.

use super::{
    BlockDef, Deprecation, FieldDef, FieldKind, Frequency, MessageDef, Quantity, Template,
};
use std::collections::HashSet;

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was expected and what stands there.
    pub what: String,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    line: usize,
    column: usize,
}

impl Token<'_> {
    fn error(&self, what: impl Into<String>) -> ParseError {
        ParseError { line: self.line, column: self.column, what: what.into() }
    }
}

pub(super) fn parse(text: &str) -> Result<Template, ParseError> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    parser.word("version")?;
    let version = parser.next("a version number")?;
    if version.text.parse::<f64>().is_err() {
        return Err(version.error(format!("expected a version number, found `{}`", version.text)));
    }
    let mut messages = Vec::new();
    let mut names = HashSet::new();
    let mut numbers = HashSet::new();
    while parser.peek().is_some() {
        let open = parser.word("{")?;
        let message = parser.message()?;
        if !names.insert(message.name.clone()) {
            return Err(open.error(format!("message `{}` is defined twice", message.name)));
        }
        if !numbers.insert(message.wire_number().to_vec()) {
            return Err(open.error(format!("the number of `{}` is already taken", message.name)));
        }
        messages.push(message);
    }
    if messages.len() >= usize::from(u16::MAX) {
        let last = Token { text: "", line: 1, column: 1 };
        return Err(last.error("more than 65534 messages"));
    }
    Ok(Template::compile(version.text.to_owned(), messages))
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, line) in text.split(['\n', '\r']).scan(1, count_lines(text)) {
        let mut rest = 0;
        while let Some(skip) = line[rest..].find(|c| c != ' ' && c != '\t') {
            let start = rest + skip;
            let len = line[start..].find([' ', '\t']).unwrap_or(line.len() - start);
            let word = &line[start..start + len];
            if word.starts_with('/') {
                break;
            }
            let column = line[..start].chars().count() + 1;
            tokens.push(Token { text: word, line: number, column });
            rest = start + len;
        }
    }
    tokens
}

/// Numbers lines while splitting at CR and LF alike: CRLF counts once.
fn count_lines<'a>(text: &'a str) -> impl FnMut(&mut usize, &'a str) -> Option<(usize, &'a str)> {
    move |line, piece| {
        let here = *line;
        let end = piece.as_ptr() as usize - text.as_ptr() as usize + piece.len();
        let bytes = text.as_bytes();
        let crlf = bytes.get(end) == Some(&b'\r') && bytes.get(end + 1) == Some(&b'\n');
        if !crlf {
            *line += 1;
        }
        Some((here, piece))
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self, expected: &str) -> Result<Token<'a>, ParseError> {
        let Some(token) = self.peek() else {
            let last = self.tokens.last().copied();
            let end = last.unwrap_or(Token { text: "", line: 1, column: 1 });
            return Err(end.error(format!("the template ends where {expected} was expected")));
        };
        self.at += 1;
        Ok(token)
    }

    fn word(&mut self, word: &str) -> Result<Token<'a>, ParseError> {
        let token = self.next(&format!("`{word}`"))?;
        if token.text != word {
            return Err(token.error(format!("expected `{word}`, found `{}`", token.text)));
        }
        Ok(token)
    }

    fn name(&mut self, of: &str) -> Result<Token<'a>, ParseError> {
        let token = self.next(&format!("the name of {of}"))?;
        let good = token.text.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
            && !token.text.starts_with(|c: char| c.is_ascii_digit());
        if !good {
            return Err(token.error(format!("expected the name of {of}, found `{}`", token.text)));
        }
        Ok(token)
    }

    fn one_of<T: Copy>(&mut self, of: &str, choices: &[(&str, T)]) -> Result<T, ParseError> {
        let token = self.next(of)?;
        let found = choices.iter().find(|(word, _)| *word == token.text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            token.error(format!("expected {of} ({}), found `{}`", words.join(", "), token.text))
        })
    }

    fn number<T: TryFrom<u32>>(&mut self, of: &str, min: u32, max: u32) -> Result<T, ParseError> {
        let token = self.next(of)?;
        let text = token.text;
        let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        let fits = parsed.ok().filter(|n| (min..=max).contains(n));
        match fits.and_then(|n| n.try_into().ok()) {
            Some(n) => Ok(n),
            None => Err(token.error(format!("expected {of} ({min} to {max}), found `{text}`"))),
        }
    }

    fn message(&mut self) -> Result<MessageDef, ParseError> {
        let name = self.name("a message")?;
        let frequency = self.one_of("a frequency", FREQUENCIES)?;
        let (min, max) = match frequency {
            Frequency::High | Frequency::Medium => (1, 254),
            Frequency::Low => (1, 0xFEFF),
            Frequency::Fixed => (0xFFFF_FF00, u32::MAX),
        };
        let number = self.number("a message number", min, max)?;
        let trusted = self.one_of("the trust", &[("Trusted", true), ("NotTrusted", false)])?;
        let zerocoded =
            self.one_of("the encoding", &[("Zerocoded", true), ("Unencoded", false)])?;
        let deprecation = match self.peek() {
            Some(token) if token.text != "{" && token.text != "}" => {
                self.one_of("a deprecation, `{` or `}`", DEPRECATIONS)?
            }
            _ => None,
        };
        let mut blocks: Vec<BlockDef> = Vec::new();
        while let Some(open) = self.open_or_close()? {
            let block = self.block()?;
            if blocks.iter().any(|b| b.name == block.name) {
                return Err(open.error(format!("block `{}` is defined twice", block.name)));
            }
            blocks.push(block);
        }
        let (wire_number, wire_number_len) = MessageDef::encode_number(frequency, number);
        Ok(MessageDef {
            name: name.text.into(),
            frequency,
            number,
            trusted,
            zerocoded,
            deprecation,
            blocks: blocks.into(),
            wire_number,
            wire_number_len,
        })
    }

    fn block(&mut self) -> Result<BlockDef, ParseError> {
        let name = self.name("a block")?;
        let quantity = match self.one_of("a quantity", QUANTITIES)? {
            Quantity::Multiple(_) => Quantity::Multiple(self.number("a block count", 1, 255)?),
            other => other,
        };
        let mut fields: Vec<FieldDef> = Vec::new();
        while let Some(open) = self.open_or_close()? {
            let field = self.field()?;
            if fields.iter().any(|f| f.name == field.name) {
                return Err(open.error(format!("field `{}` is defined twice", field.name)));
            }
            fields.push(field);
        }
        Ok(BlockDef::new(name.text, quantity, fields))
    }

    fn field(&mut self) -> Result<FieldDef, ParseError> {
        let name = self.name("a field")?;
        let kind = match self.one_of("a field type", KINDS)? {
            FieldKind::Fixed(_) => FieldKind::Fixed(self.number("a size in bytes", 1, 8192)?),
            FieldKind::Variable1 => match self.number("the width of the length", 1, 2)? {
                1 => FieldKind::Variable1,
                _ => FieldKind::Variable2,
            },
            kind => kind,
        };
        self.word("}")?;
        Ok(FieldDef { name: name.text.into(), kind })
    }

    fn open_or_close(&mut self) -> Result<Option<Token<'a>>, ParseError> {
        let token = self.next("`{` or `}`")?;
        match token.text {
            "{" => Ok(Some(token)),
            "}" => Ok(None),
            other => Err(token.error(format!("expected `{{` or `}}`, found `{other}`"))),
        }
    }
}

pub(super) const FREQUENCIES: &[(&str, Frequency)] = &[
    ("High", Frequency::High),
    ("Medium", Frequency::Medium),
    ("Low", Frequency::Low),
    ("Fixed", Frequency::Fixed),
];

pub(super) const DEPRECATIONS: &[(&str, Option<Deprecation>)] = &[
    ("Deprecated", Some(Deprecation::Deprecated)),
    ("UDPDeprecated", Some(Deprecation::UdpDeprecated)),
    ("UDPBlackListed", Some(Deprecation::UdpBlackListed)),
    ("NotDeprecated", None),
];

const QUANTITIES: &[(&str, Quantity)] = &[
    ("Single", Quantity::Single),
    ("Multiple", Quantity::Multiple(0)),
    ("Variable", Quantity::Variable),
];

pub(super) const KINDS: &[(&str, FieldKind)] = &[
    ("U8", FieldKind::U8),
    ("U16", FieldKind::U16),
    ("U32", FieldKind::U32),
    ("U64", FieldKind::U64),
    ("S8", FieldKind::S8),
    ("S16", FieldKind::S16),
    ("S32", FieldKind::S32),
    ("S64", FieldKind::S64),
    ("F32", FieldKind::F32),
    ("F64", FieldKind::F64),
    ("BOOL", FieldKind::Bool),
    ("LLUUID", FieldKind::Uuid),
    ("LLVector3", FieldKind::Vector3),
    ("LLVector3d", FieldKind::Vector3d),
    ("LLVector4", FieldKind::Vector4),
    ("LLQuaternion", FieldKind::Quaternion),
    ("IPADDR", FieldKind::IpAddr),
    ("IPPORT", FieldKind::IpPort),
    ("Fixed", FieldKind::Fixed(0)),
    ("Variable", FieldKind::Variable1),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Template::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_template_holds_every_message_of_the_reference() {
        let template = Template::parse(super::super::SHIPPED).unwrap();
        let count = |f| template.messages().iter().filter(|m| m.frequency == f).count();
        assert_eq!(template.messages().len(), 483);
        assert_eq!(count(Frequency::Low), 431);
        assert_eq!(count(Frequency::Medium), 17);
        assert_eq!(count(Frequency::High), 32);
        assert_eq!(count(Frequency::Fixed), 3);
        let im = template.message("ImprovedInstantMessage").unwrap();
        assert_eq!(&*im.blocks.last().unwrap().name, "MetaData");
    }

    #[test]
    fn a_printed_template_parses_to_equal_structures() {
        let template = Template::shipped();
        let again = Template::parse(&template.to_string()).unwrap();
        assert_eq!(template.messages(), again.messages());
    }

    #[test]
    fn a_comment_starts_only_at_the_start_of_a_token() {
        let text = "version 2.0\n{ // note\n/foo\nA High 1 Trusted Unencoded\n}";
        assert_eq!(Template::parse(text).unwrap().messages().len(), 1);
        assert_eq!(
            error("version 2.0\n{ A/b High 1 Trusted Unencoded }"),
            "line 2, column 3: expected the name of a message, found `A/b`"
        );
    }

    #[test]
    fn errors_name_line_column_and_what_was_expected() {
        for (text, expected) in [
            ("{ A High 1 }", "line 1, column 1: expected `version`, found `{`"),
            ("version x", "line 1, column 9: expected a version number, found `x`"),
            (
                "version 2.0\n{A Low 1 Trusted Unencoded }",
                "line 2, column 1: expected `{`, found `{A`",
            ),
            (
                "version 2.0\r\n{ A High 255 Trusted Unencoded }",
                "line 2, column 10: expected a message number (1 to 254), found `255`",
            ),
            (
                "version 2.0\n{ A Low 1 Trusted Unencoded\n  { B Many\n",
                "line 3, column 7: expected a quantity (Single, Multiple, Variable), found `Many`",
            ),
            (
                "version 2.0\n{ A Low 1 Trusted Unencoded\n  { B Single { F Variable 3 } } }",
                "line 3, column 27: expected the width of the length (1 to 2), found `3`",
            ),
            (
                "version 2.0\n{ A Low 1 Trusted Unencoded { B Single } { B Single } }",
                "line 2, column 42: block `B` is defined twice",
            ),
            (
                "version 2.0\n{ A Low 1 Trusted Unencoded { B Single { F U8 } { F U8 } } }",
                "line 2, column 49: field `F` is defined twice",
            ),
            (
                "version 2.0\n{ A Low 1 Trusted Unencoded }\n{ A Low 2 Trusted Unencoded }",
                "line 3, column 1: message `A` is defined twice",
            ),
            (
                "version 2.0\n{ A Low 1 Trusted Unencoded }\n{ B Low 1 Trusted Unencoded }",
                "line 3, column 1: the number of `B` is already taken",
            ),
            (
                "version 2.0\n{ A Low 1 Trusted Unencoded",
                "line 2, column 19: the template ends where `{` or `}` was expected",
            ),
        ] {
            assert_eq!(error(text), expected);
        }
    }

    #[test]
    fn an_unknown_field_type_is_refused() {
        let text = "version 2.0\n{ A Low 1 Trusted Unencoded { B Single { F U128 } } }";
        assert!(error(text).starts_with("line 2, column 44: expected a field type"));
    }
}
