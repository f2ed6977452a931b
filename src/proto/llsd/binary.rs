//! LLSD as bytes: one letter for the type, lengths and numbers big-endian, dates little-endian.

use super::{Llsd, LlsdError, MAX_DEPTH, Members, date_from_seconds};
use uuid::Uuid;

const HEADERS: [&[u8]; 2] = [b"<?llsd/binary?>\n", b"<? LLSD/Binary ?>\n"];

/// Reads a document, with its header line or without.
///
/// # Errors
/// What is wrong with it, and where.
pub fn from_binary(document: &[u8]) -> Result<Llsd, LlsdError> {
    LlsdError::refuse_large(document)?;
    let start = HEADERS.iter().find(|h| document.starts_with(h)).map_or(0, |h| h.len());
    let mut cursor = Cursor { document, at: start, values: 0 };
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

    fn take(&mut self, len: usize, of: &str) -> Result<&'a [u8], LlsdError> {
        let bytes = self.document[self.at..].get(..len);
        let bytes = bytes.ok_or_else(|| self.bad(format!("the document ends inside {of}")))?;
        self.at += len;
        Ok(bytes)
    }

    fn byte(&mut self, of: &str) -> Result<u8, LlsdError> {
        Ok(self.take(1, of)?[0])
    }

    fn array<const N: usize>(&mut self, of: &str) -> Result<[u8; N], LlsdError> {
        let bytes = self.take(N, of)?;
        Ok(std::array::from_fn(|i| bytes[i]))
    }

    fn length(&mut self, of: &str) -> Result<usize, LlsdError> {
        let length = i32::from_be_bytes(self.array(of)?);
        usize::try_from(length).map_err(|_| self.bad(format!("negative length of {of}")))
    }

    fn text(&mut self, of: &str) -> Result<String, LlsdError> {
        let length = self.length(of)?;
        let bytes = self.take(length, of)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.bad(format!("{of} is not UTF-8")))
    }

    fn value(&mut self, depth: usize) -> Result<Llsd, LlsdError> {
        LlsdError::count(&mut self.values, self.at)?;
        Ok(match self.byte("a value")? {
            b'!' => Llsd::Undef,
            b'1' => Llsd::Boolean(true),
            b'0' => Llsd::Boolean(false),
            b'i' => Llsd::Integer(i32::from_be_bytes(self.array("an integer")?)),
            b'r' => Llsd::Real(f64::from_be_bytes(self.array("a real")?)),
            b'u' => Llsd::Uuid(Uuid::from_bytes(self.array("a uuid")?)),
            b's' => Llsd::String(self.text("a string")?),
            b'l' => Llsd::Uri(self.text("a uri")?),
            b'd' => {
                let seconds = f64::from_le_bytes(self.array("a date")?);
                Llsd::Date(date_from_seconds(seconds).ok_or_else(|| self.bad("no such date"))?)
            }
            b'b' => {
                let length = self.length("a binary")?;
                Llsd::Binary(self.take(length, "a binary")?.to_vec())
            }
            quote @ (b'"' | b'\'') => {
                self.at -= 1;
                let text = super::notation::quoted(self.document, &mut self.at, quote)?;
                Llsd::String(text)
            }
            b'[' | b'{' if depth >= MAX_DEPTH => return Err(self.bad("nested too deep")),
            b'[' => self.items(depth + 1)?,
            b'{' => self.members(depth + 1)?,
            other => return Err(self.bad(format!("unknown type byte {other:#04x}"))),
        })
    }

    fn items(&mut self, depth: usize) -> Result<Llsd, LlsdError> {
        let count = self.length("an array")?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(depth)?);
        }
        match self.byte("an array")? {
            b']' => Ok(Llsd::Array(items)),
            _ => Err(self.bad("an array has more items than its count")),
        }
    }

    fn members(&mut self, depth: usize) -> Result<Llsd, LlsdError> {
        let count = self.length("a map")?;
        let mut members = Members::new();
        for _ in 0..count {
            let key = match self.byte("a map")? {
                b'k' => self.text("a key")?,
                quote @ (b'"' | b'\'') => {
                    self.at -= 1;
                    super::notation::quoted(self.document, &mut self.at, quote)?
                }
                _ => return Err(self.bad("a map has fewer members than its count")),
            };
            members.insert(key, self.value(depth)?);
        }
        match self.byte("a map")? {
            b'}' => Ok(Llsd::Map(members.finish())),
            _ => Err(self.bad("a map has more members than its count")),
        }
    }
}

/// Writes a document with its header line.
pub fn to_binary(value: &Llsd) -> Vec<u8> {
    let mut out = HEADERS[0].to_vec();
    write(value, &mut out);
    out
}

fn write(value: &Llsd, out: &mut Vec<u8>) {
    match value {
        Llsd::Undef => out.push(b'!'),
        Llsd::Boolean(v) => out.push(if *v { b'1' } else { b'0' }),
        Llsd::Integer(v) => tagged(b'i', &v.to_be_bytes(), out),
        Llsd::Real(v) => tagged(b'r', &v.to_be_bytes(), out),
        Llsd::Uuid(v) => tagged(b'u', v.as_bytes(), out),
        Llsd::Date(us) => tagged(b'd', &(*us as f64 / 1e6).to_le_bytes(), out),
        Llsd::String(v) => sized(b's', v.as_bytes(), out),
        Llsd::Uri(v) => sized(b'l', v.as_bytes(), out),
        Llsd::Binary(v) => sized(b'b', v, out),
        Llsd::Array(items) => {
            tagged(b'[', &count(items.len()), out);
            items.iter().for_each(|item| write(item, out));
            out.push(b']');
        }
        Llsd::Map(members) => {
            tagged(b'{', &count(members.len()), out);
            for (key, value) in members {
                sized(b'k', key.as_bytes(), out);
                write(value, out);
            }
            out.push(b'}');
        }
    }
}

/// A count as it is written. No document that is written here has two thousand million of anything.
fn count(count: usize) -> [u8; 4] {
    i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes()
}

fn tagged(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn sized(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    tagged(tag, &count(bytes.len()), out);
    out.extend_from_slice(bytes);
}
