//! LLSD as XML. Readers accept what real grids write: empty elements for default values,
//! booleans in every spelling, no declaration, white space between elements.

use super::{Llsd, LlsdError, MAX_DEPTH, Members, date_text, parse_date, parse_uuid};
use crate::proto::xml::{Token, XmlReader, element, real_text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Reads an LLSD document, to the letter.
///
/// # Errors
/// What is wrong with it, and where.
pub fn from_xml(document: &[u8]) -> Result<Llsd, LlsdError> {
    Reader::new(document, false)?.document().map(|(value, _)| value)
}

/// Reads an LLSD document as viewers do (secondlife/viewer 0420fdbd,
/// indra/llcommon/llsdserialize_xml.cpp, startElementHandler): a value without a key, a key without a
/// value and what stands where it does not belong are passed over, what does not convert is the
/// type's default. With the value comes what was passed over.
///
/// # Errors
/// It is nothing that a viewer could read.
pub fn from_xml_as_viewers(document: &[u8]) -> Result<(Llsd, Vec<LlsdError>), LlsdError> {
    Reader::new(document, true)?.document()
}

/// So many oddities of a document are told.
const MOST_TOLD: usize = 20;

struct Reader<'a> {
    xml: XmlReader<'a>,
    tolerant: bool,
    passed_over: Vec<LlsdError>,
}

impl<'a> Reader<'a> {
    fn new(document: &'a [u8], tolerant: bool) -> Result<Self, LlsdError> {
        LlsdError::refuse_large(document)?;
        Ok(Self { xml: XmlReader::new(document)?, tolerant, passed_over: Vec::new() })
    }

    fn error(&self, what: impl Into<String>) -> LlsdError {
        let error = self.xml.error(what);
        LlsdError::Bad { what: error.what, at: error.at }
    }

    /// Something that does not belong here: an error, or passed over.
    fn odd(&mut self, what: impl Into<String>) -> Result<(), LlsdError> {
        let error = self.error(what);
        if !self.tolerant {
            return Err(error);
        }
        if self.passed_over.len() < MOST_TOLD {
            self.passed_over.push(error);
        }
        Ok(())
    }

    fn document(mut self) -> Result<(Llsd, Vec<LlsdError>), LlsdError> {
        match self.xml.next_element()? {
            Token::Start { name, .. } if name == "llsd" => {}
            Token::Start { name, .. } => {
                return Err(self.error(format!("the root is `{name}`, not `llsd`")));
            }
            _ => return Err(self.error("no `llsd` element")),
        }
        let value = match self.next()? {
            Token::Start { name, encoding } => self.value(&name, encoding.as_deref(), 0)?,
            _ => return Err(self.error("no value inside `llsd`")),
        };
        if self.xml.end().is_err() {
            self.odd("more than one value inside `llsd`")?;
        } else if let Err(error) = self.xml.eof() {
            self.odd(error.what)?;
        }
        Ok((value, self.passed_over))
    }

    /// The next element, passing over white space, and other text where that is borne.
    fn next(&mut self) -> Result<Token, LlsdError> {
        loop {
            match self.xml.next()? {
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) => self.odd("text where an element was expected")?,
                token => return Ok(token),
            }
        }
    }

    /// Passes over the element that has begun.
    fn skip(&mut self) -> Result<(), LlsdError> {
        let mut open = 1;
        while open > 0 {
            match self.xml.next()? {
                Token::Start { .. } => open += 1,
                Token::End => open -= 1,
                Token::Text(_) => {}
                Token::Eof => return Err(self.error("unclosed element")),
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        name: &str,
        encoding: Option<&str>,
        depth: usize,
    ) -> Result<Llsd, LlsdError> {
        self.xml.value_begins()?;
        match name {
            "map" | "array" if depth >= MAX_DEPTH => Err(self.error("nested too deep")),
            "map" => self.map(depth + 1),
            "array" => self.array(depth + 1),
            _ if !SCALARS.contains(&name) => {
                self.odd(format!("unknown element `{name}`"))?;
                self.skip()?;
                Ok(Llsd::Undef)
            }
            _ => {
                let text = self.text()?;
                match scalar(name, encoding, &text) {
                    Some(value) => Ok(value),
                    None => {
                        self.odd(format!("a `{name}` element holds something else"))?;
                        Ok(scalar(name, None, "").unwrap_or_default())
                    }
                }
            }
        }
    }

    /// The text up to the end of the current element.
    fn text(&mut self) -> Result<String, LlsdError> {
        let mut all = String::new();
        loop {
            match self.xml.next()? {
                Token::Text(text) => all.push_str(&text),
                Token::End => return Ok(all),
                Token::Start { .. } => {
                    self.odd("an element inside a scalar")?;
                    self.skip()?;
                }
                Token::Eof => return Err(self.error("unclosed element")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Llsd, LlsdError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Token::Start { name, .. } if name == "key" && self.tolerant => {
                    self.odd("a `key` in an array")?;
                    self.skip()?;
                }
                Token::Start { name, encoding } => {
                    items.push(self.value(&name, encoding.as_deref(), depth)?);
                }
                _ => return Ok(Llsd::Array(items)),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Llsd, LlsdError> {
        let mut members = Members::new();
        let mut key: Option<String> = None;
        loop {
            match (self.next()?, key.take()) {
                (Token::Start { name, .. }, before) if name == "key" => {
                    if let Some(before) = before {
                        self.odd(format!("key `{before}` has no value"))?;
                    }
                    key = Some(self.text()?);
                }
                // To a viewer an empty key is none.
                (Token::Start { name, encoding }, Some(key))
                    if !(self.tolerant && key.is_empty()) =>
                {
                    members.insert(key, self.value(&name, encoding.as_deref(), depth)?);
                }
                (Token::Start { name, .. }, _) => {
                    self.odd(format!("`{name}` where a map's `key` was expected"))?;
                    self.skip()?;
                }
                (_, before) => {
                    if let Some(before) = before {
                        self.odd(format!("key `{before}` has no value"))?;
                    }
                    return Ok(Llsd::Map(members.finish()));
                }
            }
        }
    }
}

const SCALARS: [&str; 9] =
    ["undef", "boolean", "integer", "real", "string", "uuid", "date", "uri", "binary"];

fn scalar(name: &str, encoding: Option<&str>, text: &str) -> Option<Llsd> {
    let word = text.trim();
    Some(match name {
        "string" => Llsd::String(text.to_owned()),
        "uri" => Llsd::Uri(text.to_owned()),
        "undef" if word.is_empty() => Llsd::Undef,
        "boolean" => match word {
            "1" | "true" => Llsd::Boolean(true),
            "0" | "false" | "" => Llsd::Boolean(false),
            _ => return None,
        },
        "integer" if word.is_empty() => Llsd::Integer(0),
        "integer" => Llsd::Integer(word.parse().ok()?),
        "real" if word.is_empty() => Llsd::Real(0.0),
        "real" => Llsd::Real(word.parse().ok()?),
        "uuid" if word.is_empty() => Llsd::Uuid(uuid::Uuid::nil()),
        "uuid" => Llsd::Uuid(parse_uuid(word)?),
        "date" if word.is_empty() => Llsd::Date(0),
        "date" => Llsd::Date(parse_date(word)?),
        "binary" => {
            let compact: String = text.split_ascii_whitespace().collect();
            Llsd::Binary(match encoding.unwrap_or("base64") {
                "base64" => STANDARD.decode(compact).ok()?,
                "base16" => hex::decode(compact).ok()?,
                _ => return None,
            })
        }
        _ => return None,
    })
}

/// Writes an LLSD document, with a declaration and without white space.
pub fn to_xml(value: &Llsd) -> String {
    let mut out = String::from("<?xml version=\"1.0\" ?><llsd>");
    write(value, &mut out);
    out.push_str("</llsd>");
    out
}

fn write(value: &Llsd, out: &mut String) {
    match value {
        Llsd::Undef => out.push_str("<undef/>"),
        Llsd::Boolean(v) => element("boolean", if *v { "1" } else { "0" }, out),
        Llsd::Integer(v) => element("integer", &v.to_string(), out),
        Llsd::Real(v) => element("real", &real_text(*v), out),
        Llsd::String(v) => element("string", v, out),
        Llsd::Uuid(v) if v.is_nil() => out.push_str("<uuid/>"),
        Llsd::Uuid(v) => element("uuid", &v.to_string(), out),
        Llsd::Date(v) => element("date", &date_text(*v), out),
        Llsd::Uri(v) => element("uri", v, out),
        Llsd::Binary(v) => {
            // Base64 is what an element without an encoding means.
            out.push_str("<binary>");
            STANDARD.encode_string(v, out);
            out.push_str("</binary>");
        }
        Llsd::Array(items) => {
            out.push_str("<array>");
            items.iter().for_each(|item| write(item, out));
            out.push_str("</array>");
        }
        Llsd::Map(members) => {
            out.push_str("<map>");
            for (key, value) in members {
                element("key", key, out);
                write(value, out);
            }
            out.push_str("</map>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(body: &str) -> (Result<Llsd, LlsdError>, Llsd, usize) {
        let document = format!("<llsd>{body}</llsd>");
        let (value, odd) = from_xml_as_viewers(document.as_bytes()).unwrap();
        (from_xml(document.as_bytes()), value, odd.len())
    }

    /// WhiteCore tells an array of folders without its key; viewers read what stands beside it.
    #[test]
    fn what_has_no_place_is_passed_over_and_told() {
        let good = Llsd::map([("a", Llsd::Integer(1))]);
        for body in [
            "<map><array><map/></array><key>a</key><integer>1</integer></map>",
            "<map><key>lost</key><key>a</key><integer>1</integer></map>",
            "<map><key>a</key><integer>1</integer><key>lost</key></map>",
            "<map>text<key>a</key><integer>1</integer></map>",
            "<map><key>a</key><integer>1<b>2</b></integer></map>",
            "<map><key></key><string>x</string><key>a</key><integer>1</integer></map>",
        ] {
            let (strict, value, odd) = both(body);
            assert_eq!((value, odd), (good.clone(), 1), "{body}");
            assert_eq!(strict.is_err(), !body.contains("<key></key>"), "{body}");
        }
    }

    #[test]
    fn what_does_not_convert_is_the_default() {
        for (body, value) in [
            ("<uuid>x</uuid>", Llsd::Uuid(uuid::Uuid::nil())),
            ("<integer>many</integer>", Llsd::Integer(0)),
            ("<boolean>yes</boolean>", Llsd::Boolean(false)),
            ("<date>soon</date>", Llsd::Date(0)),
            ("<colour>red</colour>", Llsd::Undef),
        ] {
            let (strict, read, odd) = both(body);
            assert!(strict.is_err());
            assert_eq!((read, odd), (value, 1), "{body}");
        }
    }

    #[test]
    fn what_no_viewer_reads_is_an_error() {
        for document in ["", "<html><body/></html>", "<llsd>", "<llsd/>", "no document"] {
            assert!(from_xml_as_viewers(document.as_bytes()).is_err(), "{document}");
        }
        let (value, odd) = from_xml_as_viewers(b"<llsd><map/></llsd>").unwrap();
        assert_eq!((value, odd.len()), (Llsd::map::<&str>([]), 0));
    }
}
