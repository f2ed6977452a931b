//! LLSD as notation: the compact text form, used inside login replies and by tools.

use super::{Llsd, LlsdError, MAX_DEPTH, Members, date_text, parse_date, parse_uuid};
use crate::proto::xml::real_text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Reads a document. Empty input is false, as in python-llsd.
///
/// # Errors
/// What is wrong with it, and where.
pub fn from_notation(document: &[u8]) -> Result<Llsd, LlsdError> {
    LlsdError::refuse_large(document)?;
    let mut cursor = Cursor { document, at: 0, values: 0 };
    cursor.skip_header();
    if cursor.peek().is_none() {
        return Ok(Llsd::Boolean(false));
    }
    cursor.value(0)
}

struct Cursor<'a> {
    document: &'a [u8],
    at: usize,
    values: usize,
}

impl<'a> Cursor<'a> {
    fn bad(&self, what: impl Into<String>) -> LlsdError {
        LlsdError::at(what, self.at)
    }

    fn rest(&self) -> &'a [u8] {
        &self.document[self.at.min(self.document.len())..]
    }

    /// The next byte that is not white space, left in place.
    fn peek(&mut self) -> Option<u8> {
        while self.rest().first().is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.rest().first().copied()
    }

    fn skip_header(&mut self) {
        if self.peek() == Some(b'<') {
            let text = self.rest();
            let end = text.iter().position(|&b| b == b'\n').map_or(text.len(), |n| n + 1);
            if text[..end].to_ascii_lowercase().windows(13).any(|w| w == b"llsd/notation") {
                self.at += end;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Llsd, LlsdError> {
        LlsdError::count(&mut self.values, self.at)?;
        let Some(first) = self.peek() else { return Err(self.bad("a value is missing")) };
        match first {
            b'!' => Ok(self.one(Llsd::Undef)),
            b'1' => Ok(self.one(Llsd::Boolean(true))),
            b'0' => Ok(self.one(Llsd::Boolean(false))),
            b't' | b'T' => self.keyword(&[b"true", b"TRUE", b"t", b"T"], true),
            b'f' | b'F' => self.keyword(&[b"false", b"FALSE", b"f", b"F"], false),
            b'i' => {
                let digits = self.word(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-'));
                let number = digits.parse().map_err(|_| self.bad("not a 32-bit integer"))?;
                Ok(Llsd::Integer(number))
            }
            b'r' => {
                let digits =
                    self.word(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
                Ok(Llsd::Real(digits.parse().map_err(|_| self.bad("not a real"))?))
            }
            b'u' => {
                let text = self.word(|b| b.is_ascii_hexdigit() || b == b'-');
                Ok(Llsd::Uuid(parse_uuid(&text).ok_or_else(|| self.bad("not a uuid"))?))
            }
            b'l' => {
                self.at += 1;
                Ok(Llsd::Uri(self.quoted()?))
            }
            b'd' => {
                self.at += 1;
                let text = self.quoted()?;
                Ok(Llsd::Date(parse_date(&text).ok_or_else(|| self.bad("not a date"))?))
            }
            b'b' => self.binary(),
            b's' | b'"' | b'\'' => Ok(Llsd::String(self.string()?)),
            b'[' | b'{' if depth >= MAX_DEPTH => Err(self.bad("nested too deep")),
            b'[' => self.items(depth + 1),
            b'{' => self.members(depth + 1),
            other => Err(self.bad(format!("no value starts with byte {other:#04x}"))),
        }
    }

    fn one(&mut self, value: Llsd) -> Llsd {
        self.at += 1;
        value
    }

    fn keyword(&mut self, words: &[&[u8]], value: bool) -> Result<Llsd, LlsdError> {
        let letters = self.rest().iter().take_while(|b| b.is_ascii_alphabetic()).count();
        if !words.contains(&&self.rest()[..letters]) {
            return Err(self.bad("a partial keyword"));
        }
        self.at += letters;
        Ok(Llsd::Boolean(value))
    }

    /// The text after a type letter, as far as `belongs` goes.
    fn word(&mut self, belongs: impl Fn(u8) -> bool) -> String {
        self.at += 1;
        let len = self.rest().iter().take_while(|b| belongs(**b)).count();
        let word = String::from_utf8_lossy(&self.rest()[..len]).into_owned();
        self.at += len;
        word
    }

    fn quoted(&mut self) -> Result<String, LlsdError> {
        match self.rest().first() {
            Some(&quote @ (b'"' | b'\'')) => quoted(self.document, &mut self.at, quote),
            _ => Err(self.bad("a quote is missing")),
        }
    }

    /// `(n)` and then n raw bytes in quotes.
    fn raw(&mut self) -> Result<&'a [u8], LlsdError> {
        let rest = self.rest();
        let close = rest.iter().take(16).position(|&b| b == b')');
        let digits = close.and_then(|n| std::str::from_utf8(rest.get(1..n)?).ok());
        let size = digits.and_then(|d| d.parse::<u32>().ok());
        let (Some(close), Some(size)) = (close, size) else {
            return Err(self.bad("a size in parentheses is missing"));
        };
        let body = &rest[close + 1..];
        let size = size as usize;
        let quote = body.first().copied().filter(|b| matches!(b, b'"' | b'\''));
        if quote.is_none() || body.len() < size + 2 || body.get(size + 1).copied() != quote {
            return Err(self.bad("the size does not agree with the quotes"));
        }
        self.at += close + 1 + size + 2;
        Ok(&body[1..=size])
    }

    fn string(&mut self) -> Result<String, LlsdError> {
        if self.rest().first() != Some(&b's') {
            return self.quoted();
        }
        self.at += 1;
        let bytes = self.raw()?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.bad("a string is not UTF-8"))
    }

    fn binary(&mut self) -> Result<Llsd, LlsdError> {
        self.at += 1;
        if self.rest().first() == Some(&b'(') {
            return Ok(Llsd::Binary(self.raw()?.to_vec()));
        }
        let base16 = match self.rest().get(..2) {
            Some(b"16") => true,
            Some(b"64") => false,
            _ => return Err(self.bad("unsupported base of a binary")),
        };
        self.at += 2;
        let text: String = self.quoted()?.split_ascii_whitespace().collect();
        let bytes = match base16 {
            true => hex::decode(text).ok(),
            false => STANDARD.decode(text).ok(),
        };
        Ok(Llsd::Binary(bytes.ok_or_else(|| self.bad("a binary is not of its base"))?))
    }

    fn items(&mut self, depth: usize) -> Result<Llsd, LlsdError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            match self.peek() {
                None => return Err(self.bad("an array is not closed")),
                Some(b']') => return Ok(self.one(Llsd::Array(items))),
                Some(b',') => self.at += 1,
                Some(_) => items.push(self.value(depth)?),
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Llsd, LlsdError> {
        self.at += 1;
        let mut members = Members::new();
        loop {
            match self.peek() {
                None => return Err(self.bad("a map is not closed")),
                Some(b'}') => return Ok(self.one(Llsd::Map(members.finish()))),
                Some(b',') => self.at += 1,
                Some(b's' | b'"' | b'\'') => {
                    let key = self.string()?;
                    if self.peek() != Some(b':') {
                        return Err(self.bad(format!("key `{key}` has no value")));
                    }
                    self.at += 1;
                    members.insert(key, self.value(depth)?);
                }
                Some(_) => return Err(self.bad("a map's key is not a string")),
            }
        }
    }
}

/// Reads a quoted string with backslash escapes, starting at its opening quote.
pub(super) fn quoted(document: &[u8], at: &mut usize, quote: u8) -> Result<String, LlsdError> {
    let start = *at;
    let mut bytes = Vec::new();
    let mut rest = document[start + 1..].iter().copied().enumerate();
    while let Some((n, byte)) = rest.next() {
        let here = start + 1 + n;
        match byte {
            b if b == quote => {
                *at = here + 1;
                return String::from_utf8(bytes)
                    .map_err(|_| LlsdError::at("a string is not UTF-8", start));
            }
            b'\\' => bytes.push(match rest.next().map(|(_, b)| b) {
                Some(b'x') => {
                    let digits = document.get(here + 2..here + 4);
                    let digits = digits.and_then(|d| std::str::from_utf8(d).ok());
                    let value = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
                    rest.nth(1);
                    value.ok_or_else(|| LlsdError::at("a bad hex escape", here))?
                }
                Some(b'a') => 7,
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => other,
                None => break,
            }),
            b => bytes.push(b),
        }
    }
    Err(LlsdError::at("a string is not closed", start))
}

/// Writes a document on one line.
pub fn to_notation(value: &Llsd) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Llsd, out: &mut String) {
    match value {
        Llsd::Undef => out.push('!'),
        Llsd::Boolean(v) => out.push_str(if *v { "true" } else { "false" }),
        Llsd::Integer(v) => out.push_str(&format!("i{v}")),
        Llsd::Real(v) => out.push_str(&format!("r{}", real_text(*v))),
        Llsd::Uuid(v) => out.push_str(&format!("u{v}")),
        Llsd::Date(v) => out.push_str(&format!("d\"{}\"", date_text(*v))),
        Llsd::String(v) => quote(v, '\'', out),
        Llsd::Uri(v) => {
            out.push('l');
            quote(v, '"', out);
        }
        Llsd::Binary(v) => {
            out.push_str("b64\"");
            STANDARD.encode_string(v, out);
            out.push('"');
        }
        Llsd::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Llsd::Map(members) => {
            out.push('{');
            for (n, (key, value)) in members.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                quote(key, '\'', out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, mark: char, out: &mut String) {
    out.push(mark);
    for c in text.chars() {
        if c == '\\' || c == mark {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(mark);
}
