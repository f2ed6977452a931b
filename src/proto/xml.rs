//! The little of XML that LLSD and XML-RPC use: elements, text and one attribute.
//!
//! Document types are refused, so no entity can expand; depth is bounded; text is merged from
//! character data, CDATA and references, with line ends normalised as XML 1.0 asks.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Elements nested deeper than this are refused. Real documents stay below twenty.
pub(super) const MAX_DEPTH: usize = 256;

/// Documents of more values than this are refused, in any form of LLSD and in XML-RPC: each takes
/// far more memory than it takes bytes. An inventory of fifty thousand folders is half of this.
pub const MAX_VALUES: usize = 500_000;

/// Why a document is not acceptable XML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct XmlError {
    /// What was found.
    pub what: String,
    /// The offset in the document.
    pub at: u64,
}

#[derive(Debug, PartialEq)]
pub(super) enum Token {
    Start { name: String, encoding: Option<String> },
    Text(String),
    End,
    Eof,
}

pub(super) struct XmlReader<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    values: usize,
    pending: Option<Token>,
}

impl<'a> XmlReader<'a> {
    pub(super) fn new(document: &'a [u8]) -> Result<Self, XmlError> {
        let text = std::str::from_utf8(document)
            .map_err(|e| XmlError { what: "not UTF-8".into(), at: e.valid_up_to() as u64 })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_start();
        if text.is_empty() {
            return Err(XmlError { what: "empty document".into(), at: 0 });
        }
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Ok(Self { reader, depth: 0, values: 0, pending: None })
    }

    /// Says that a value begins: a document has a bounded number of them.
    pub(super) fn value_begins(&mut self) -> Result<(), XmlError> {
        self.values += 1;
        match self.values > MAX_VALUES {
            true => Err(self.error(format!("more than {MAX_VALUES} values"))),
            false => Ok(()),
        }
    }

    pub(super) fn error(&self, what: impl Into<String>) -> XmlError {
        XmlError { what: what.into(), at: self.reader.buffer_position() }
    }

    /// The next token. Text is merged; comments, declarations and instructions are passed over.
    pub(super) fn next(&mut self) -> Result<Token, XmlError> {
        if let Some(token) = self.pending.take() {
            return Ok(token);
        }
        let mut text = String::new();
        let token = loop {
            let event = self.reader.read_event().map_err(|e| self.error(e.to_string()))?;
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(self.error("nested too deep"));
                    }
                    let name = start.name().as_ref().to_owned();
                    let mut encoding = None;
                    for attribute in start.attributes() {
                        let attribute = attribute.map_err(|e| self.error(e.to_string()))?;
                        if attribute.key.as_ref() == "encoding" {
                            encoding = Some(attribute.value.into_owned());
                        }
                    }
                    break Token::Start { name, encoding };
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    break Token::End;
                }
                Event::Text(t) => self.push_text(&mut text, &t)?,
                Event::CData(t) => self.push_text(&mut text, &t)?,
                Event::GeneralRef(reference) => {
                    text.push(self.resolve(&reference)?);
                }
                Event::DocType(_) => return Err(self.error("a document type is not accepted")),
                Event::Eof if self.depth > 0 => return Err(self.error("unclosed element")),
                Event::Eof => break Token::Eof,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
            }
        };
        if text.is_empty() {
            return Ok(token);
        }
        self.pending = Some(token);
        Ok(Token::Text(text))
    }

    /// The next token, passing over white space; other text is an error.
    pub(super) fn next_element(&mut self) -> Result<Token, XmlError> {
        match self.next()? {
            Token::Text(text) if text.trim().is_empty() => self.next(),
            Token::Text(_) => Err(self.error("text where an element was expected")),
            token => Ok(token),
        }
    }

    /// The text up to the end of the current element, which must hold no other element.
    pub(super) fn text(&mut self) -> Result<String, XmlError> {
        let (text, next) = match self.next()? {
            Token::Text(text) => (text, self.next()?),
            token => (String::new(), token),
        };
        match next {
            Token::End => Ok(text),
            _ => Err(self.error("an element inside a scalar")),
        }
    }

    /// The end of the current element.
    pub(super) fn end(&mut self) -> Result<(), XmlError> {
        match self.next_element()? {
            Token::End => Ok(()),
            _ => Err(self.error("expected the end of the element")),
        }
    }

    /// The end of the document.
    pub(super) fn eof(&mut self) -> Result<(), XmlError> {
        match self.next_element()? {
            Token::Eof => Ok(()),
            _ => Err(self.error("content after the root element")),
        }
    }

    fn push_text(&self, text: &mut String, piece: &str) -> Result<(), XmlError> {
        let mut chars = piece.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' => {
                    chars.next_if_eq(&'\n');
                    text.push('\n');
                }
                c if is_xml_char(c) => text.push(c),
                _ => return Err(self.error("a control character")),
            }
        }
        Ok(())
    }

    fn resolve(&self, name: &str) -> Result<char, XmlError> {
        let code = match name {
            "lt" => return Ok('<'),
            "gt" => return Ok('>'),
            "amp" => return Ok('&'),
            "apos" => return Ok('\''),
            "quot" => return Ok('"'),
            _ => match name.strip_prefix("#x") {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => name.strip_prefix('#').and_then(|n| n.parse().ok()),
            },
        };
        let found = code.and_then(char::from_u32).filter(|c| is_xml_char(*c));
        found.ok_or_else(|| self.error(format!("undefined entity `{name}`")))
    }
}

/// Whether XML 1.0 can carry the character at all.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Appends text, escaped; characters that XML cannot carry are dropped.
pub(super) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            c if is_xml_char(c) => out.push(c),
            _ => {}
        }
    }
}

/// Appends `<name>text</name>`, the text escaped.
pub(super) fn element(name: &str, text: &str, out: &mut String) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    escape(text, out);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// The shortest text that reads back as the same real, with a dot or an exponent.
pub fn real_text(v: f64) -> String {
    if v.is_nan() {
        return "nan".into();
    }
    let text = format!("{v:?}");
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(digits) => format!("{mantissa}e-{digits:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
    }
}
