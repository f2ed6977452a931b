//! LLSD as XML. Readers accept what real grids write: empty elements for default values,
//! booleans in every spelling, no declaration, white space between elements.

use super::{Llsd, LlsdError, MAX_DEPTH, Members, date_text, parse_date, parse_uuid};
use crate::proto::xml::{Token, XmlReader, element, real_text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Reads an LLSD document.
///
/// # Errors
/// What is wrong with it, and where.
pub fn from_xml(document: &[u8]) -> Result<Llsd, LlsdError> {
    LlsdError::refuse_large(document)?;
    let mut reader = XmlReader::new(document)?;
    match reader.next_element()? {
        Token::Start { name, .. } if name == "llsd" => {}
        Token::Start { name, .. } => {
            return Err(bad(&reader, format!("the root is `{name}`, not `llsd`")));
        }
        _ => return Err(bad(&reader, "no `llsd` element")),
    }
    let value = match reader.next_element()? {
        Token::Start { name, encoding } => value(&mut reader, &name, encoding.as_deref(), 0)?,
        _ => return Err(bad(&reader, "no value inside `llsd`")),
    };
    reader.end().map_err(|_| bad(&reader, "more than one value inside `llsd`"))?;
    reader.eof()?;
    Ok(value)
}

fn bad(reader: &XmlReader<'_>, what: impl Into<String>) -> LlsdError {
    let error = reader.error(what);
    LlsdError::Bad { what: error.what, at: error.at }
}

fn value(
    reader: &mut XmlReader<'_>,
    name: &str,
    encoding: Option<&str>,
    depth: usize,
) -> Result<Llsd, LlsdError> {
    reader.value_begins()?;
    match name {
        "map" | "array" if depth >= MAX_DEPTH => Err(bad(reader, "nested too deep")),
        "map" => map(reader, depth + 1),
        "array" => array(reader, depth + 1),
        _ => {
            if !SCALARS.contains(&name) {
                return Err(bad(reader, format!("unknown element `{name}`")));
            }
            let text = reader.text()?;
            scalar(name, encoding, text)
                .ok_or_else(|| bad(reader, format!("a `{name}` element holds something else")))
        }
    }
}

const SCALARS: [&str; 9] =
    ["undef", "boolean", "integer", "real", "string", "uuid", "date", "uri", "binary"];

fn scalar(name: &str, encoding: Option<&str>, text: String) -> Option<Llsd> {
    let word = text.trim();
    Some(match name {
        "string" => Llsd::String(text),
        "uri" => Llsd::Uri(text),
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

fn array(reader: &mut XmlReader<'_>, depth: usize) -> Result<Llsd, LlsdError> {
    let mut items = Vec::new();
    loop {
        match reader.next_element()? {
            Token::Start { name, encoding } => {
                items.push(value(reader, &name, encoding.as_deref(), depth)?);
            }
            _ => return Ok(Llsd::Array(items)),
        }
    }
}

fn map(reader: &mut XmlReader<'_>, depth: usize) -> Result<Llsd, LlsdError> {
    let mut members = Members::new();
    loop {
        match reader.next_element()? {
            Token::Start { name, .. } if name == "key" => {}
            Token::Start { name, .. } => {
                return Err(bad(reader, format!("`{name}` where a map's `key` was expected")));
            }
            _ => return Ok(Llsd::Map(members.finish())),
        }
        let key = reader.text()?;
        match reader.next_element()? {
            Token::Start { name, encoding } if name != "key" => {
                members.insert(key, value(reader, &name, encoding.as_deref(), depth)?);
            }
            _ => return Err(bad(reader, format!("key `{key}` has no value"))),
        }
    }
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
        Llsd::Boolean(v) => element("boolean", if *v { "true" } else { "false" }, out),
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
