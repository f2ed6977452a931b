//! Reads XML-RPC documents strictly: one type a value, names before values, no document types.

use super::{Document, RpcValue};
use crate::proto::llsd::Members;
use crate::proto::xml::{Token, XmlError, XmlReader};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Why a document is not XML-RPC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not XML-RPC: {0}")]
pub struct RpcError(#[from] pub XmlError);

type Result<T> = std::result::Result<T, RpcError>;

/// Arrays and structs nested deeper than this are refused.
const MAX_DEPTH: usize = 50;

/// Reads a call, a response or a fault.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse(document: &[u8]) -> Result<Document> {
    let mut reader = Reader(XmlReader::new(document)?);
    let root = reader.start("methodCall or methodResponse")?;
    let document = match root.as_str() {
        "methodCall" => reader.call()?,
        "methodResponse" => reader.response()?,
        other => return Err(reader.bad(format!("the root is `{other}`"))),
    };
    reader.0.eof()?;
    Ok(document)
}

struct Reader<'a>(XmlReader<'a>);

impl Reader<'_> {
    fn bad(&self, what: impl Into<String>) -> RpcError {
        RpcError(self.0.error(what))
    }

    fn start(&mut self, of: &str) -> Result<String> {
        match self.0.next_element()? {
            Token::Start { name, .. } => Ok(name),
            _ => Err(self.bad(format!("{of} is missing"))),
        }
    }

    fn expect(&mut self, element: &str) -> Result<()> {
        let found = self.start(&format!("`{element}`"))?;
        match found == element {
            true => Ok(()),
            false => Err(self.bad(format!("`{found}` where `{element}` was expected"))),
        }
    }

    fn call(&mut self) -> Result<Document> {
        self.expect("methodName")?;
        let method = self.0.text()?.trim().to_owned();
        if method.is_empty() {
            return Err(self.bad("the method has no name"));
        }
        let params = match self.0.next_element()? {
            Token::End => return Ok(Document::Call { method, params: Vec::new() }),
            Token::Start { name, .. } if name == "params" => self.params()?,
            _ => return Err(self.bad("`params` or the end of the call was expected")),
        };
        self.0.end()?;
        Ok(Document::Call { method, params })
    }

    fn response(&mut self) -> Result<Document> {
        let document = match self.start("`params` or `fault`")?.as_str() {
            "params" => {
                let mut params = self.params()?;
                match (params.pop(), params.is_empty()) {
                    (Some(value), true) => Document::Response(value),
                    _ => return Err(self.bad("a response has exactly one param")),
                }
            }
            "fault" => {
                self.expect("value")?;
                let fault = self.value(0)?;
                self.0.end()?;
                match (fault.get("faultCode"), fault.get("faultString")) {
                    (Some(RpcValue::Int(code)), Some(RpcValue::String(message))) => {
                        Document::Fault { code: *code, message: message.clone() }
                    }
                    _ => return Err(self.bad("a fault is a struct of faultCode and faultString")),
                }
            }
            other => return Err(self.bad(format!("`{other}` in a response"))),
        };
        self.0.end()?;
        Ok(document)
    }

    fn params(&mut self) -> Result<Vec<RpcValue>> {
        let mut params = Vec::new();
        loop {
            match self.0.next_element()? {
                Token::Start { name, .. } if name == "param" => {
                    self.expect("value")?;
                    params.push(self.value(0)?);
                    self.0.end()?;
                }
                Token::End => return Ok(params),
                _ => return Err(self.bad("`param` was expected")),
            }
        }
    }

    /// Reads up to the end of `<value>`.
    fn value(&mut self, depth: usize) -> Result<RpcValue> {
        self.0.value_begins()?;
        if depth > MAX_DEPTH {
            return Err(self.bad("nested too deep"));
        }
        let (text, next) = match self.0.next()? {
            Token::Text(text) => (text, self.0.next()?),
            token => (String::new(), token),
        };
        let name = match next {
            Token::End => return Ok(RpcValue::String(text)),
            Token::Start { name, .. } if text.trim().is_empty() => name,
            _ => return Err(self.bad("text and a type in one value")),
        };
        let value = self.typed(&name, depth)?;
        self.0.end().map_err(|_| self.bad("two types in one value"))?;
        Ok(value)
    }

    fn typed(&mut self, name: &str, depth: usize) -> Result<RpcValue> {
        match name {
            "array" => return self.array(depth),
            "struct" => return self.members(depth),
            _ => {}
        }
        let text = self.0.text()?;
        let word = text.trim();
        let value = match name {
            "string" => Some(RpcValue::String(text)),
            "int" | "i4" => word.parse().ok().map(RpcValue::Int),
            "boolean" => match word {
                "1" => Some(RpcValue::Boolean(true)),
                "0" => Some(RpcValue::Boolean(false)),
                _ => None,
            },
            "double" => word.parse().ok().map(RpcValue::Double),
            "base64" => {
                let compact: String = text.split_ascii_whitespace().collect();
                STANDARD.decode(compact).ok().map(RpcValue::Base64)
            }
            "dateTime.iso8601" => date_time(word).map(|_| RpcValue::DateTime(word.to_owned())),
            "nil" | "ex:nil" => word.is_empty().then_some(RpcValue::Nil),
            _ => return Err(self.bad(format!("unknown type `{name}`"))),
        };
        value.ok_or_else(|| self.bad(format!("a `{name}` element holds something else")))
    }

    fn array(&mut self, depth: usize) -> Result<RpcValue> {
        self.expect("data")?;
        let mut items = Vec::new();
        loop {
            match self.0.next_element()? {
                Token::Start { name, .. } if name == "value" => items.push(self.value(depth + 1)?),
                Token::End => break,
                _ => return Err(self.bad("`value` was expected in an array")),
            }
        }
        self.0.end()?;
        Ok(RpcValue::Array(items))
    }

    fn members(&mut self, depth: usize) -> Result<RpcValue> {
        let mut members = Members::new();
        loop {
            match self.0.next_element()? {
                Token::Start { name, .. } if name == "member" => {
                    self.expect("name")?;
                    let name = self.0.text()?;
                    self.expect("value")?;
                    members.insert(name, self.value(depth + 1)?);
                    self.0.end()?;
                }
                Token::End => return Ok(RpcValue::Struct(members.finish())),
                _ => return Err(self.bad("`member` was expected in a struct")),
            }
        }
    }
}

/// Microseconds since 1970 of an XML-RPC time, read as UTC.
pub(super) fn date_time(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H:%M:%S", text)
        .or_else(|_| jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M:%S", text))
        .ok()?;
    let zoned = parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_microsecond())
}
