//! LLSD, the data notation of capabilities, event queues and parts of login, in its three forms.
//!
//! Each form reads and writes; depth and size are bounded while reading. Map members keep the
//! order they were written in; of members with the same key the last one counts.

mod binary;
mod notation;
mod xml;

pub use binary::{from_binary, to_binary};
pub use notation::{from_notation, to_notation};
pub use xml::{from_xml, from_xml_as_viewers, to_xml};

pub use super::xml::MAX_VALUES;
use super::xml::XmlError;
use crate::proto::number::whole;
use std::collections::HashMap;
use uuid::Uuid;

/// The content type of LLSD as XML.
pub const CONTENT_TYPE: &str = "application/llsd+xml";

/// Documents larger than this are refused, in any form.
pub const MAX_SIZE: usize = 32 << 20;

/// Maps and arrays nested deeper than this are refused.
pub const MAX_DEPTH: usize = 100;

/// One LLSD value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Llsd {
    /// Nothing.
    #[default]
    Undef,
    /// True or false.
    Boolean(bool),
    /// 32 bits, signed.
    Integer(i32),
    /// IEEE 754, 64 bits.
    Real(f64),
    /// Text.
    String(String),
    /// An id.
    Uuid(Uuid),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Date(i64),
    /// A URI, not checked.
    Uri(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Values in order.
    Array(Vec<Llsd>),
    /// Keys and values in the order written.
    Map(Vec<(String, Llsd)>),
}

/// Why a document is not LLSD.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlsdError {
    /// The XML beneath it is not acceptable.
    #[error("not acceptable as XML: {0}")]
    Xml(#[from] XmlError),
    /// A value is not of the form its type asks for.
    #[error("{what} at byte {at}")]
    Bad {
        /// What was expected or found.
        what: String,
        /// The offset in the document.
        at: u64,
    },
}

impl LlsdError {
    /// Refuses a document that is too large to be read into memory many times over.
    fn refuse_large(document: &[u8]) -> Result<(), Self> {
        match document.len() {
            0..=MAX_SIZE => Ok(()),
            size => Err(Self::at(format!("{size} bytes are more than {MAX_SIZE}"), 0)),
        }
    }

    /// Counts a value that begins, and refuses the one too many.
    fn count(values: &mut usize, at: usize) -> Result<(), Self> {
        *values += 1;
        match *values > MAX_VALUES {
            true => Err(Self::at(format!("more than {MAX_VALUES} values"), at)),
            false => Ok(()),
        }
    }

    fn at(what: impl Into<String>, at: usize) -> Self {
        Self::Bad { what: what.into(), at: at as u64 }
    }
}

impl Llsd {
    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        32 + match self {
            Self::String(text) | Self::Uri(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Array(items) => items.iter().map(Self::weight).sum(),
            Self::Map(members) => members.iter().map(|(k, v)| 24 + k.len() + v.weight()).sum(),
            _ => 0,
        }
    }

    /// A member of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Text, where the value is a string or a URI.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) | Self::Uri(s) => Some(s),
            _ => None,
        }
    }

    /// The members of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// An id, from an LLSD uuid or its text.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(id) => Some(*id),
            Self::String(text) => parse_uuid(text),
            _ => None,
        }
    }

    /// An integer.
    pub fn as_i32(&self) -> Option<i32> {
        match self {
            Self::Integer(n) => Some(*n),
            _ => None,
        }
    }

    /// A real, or an integer as one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(n) => Some(f64::from(*n)),
            Self::Real(x) => Some(*x),
            _ => None,
        }
    }

    /// A map of the given members.
    pub fn map<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(members.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An unsigned 32-bit number as LLSD carries it: four bytes, big-endian.
    pub fn u32(n: u32) -> Self {
        Self::Binary(n.to_be_bytes().to_vec())
    }

    /// An unsigned 64-bit number as LLSD carries it: eight bytes, big-endian.
    pub fn u64(n: u64) -> Self {
        Self::Binary(n.to_be_bytes().to_vec())
    }
}

/// The members of a map under construction: the last value of a key counts, at its first place.
#[derive(Default)]
pub(super) struct Members<V> {
    entries: Vec<(String, V)>,
    index: HashMap<String, usize>,
}

impl<V> Members<V> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), index: HashMap::new() }
    }

    pub(super) fn insert(&mut self, key: String, value: V) {
        match self.index.get(&key) {
            Some(&at) => self.entries[at].1 = value,
            None => {
                self.index.insert(key.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    pub(super) fn finish(self) -> Vec<(String, V)> {
        self.entries
    }
}

/// Reads an id in its 36-character form.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

const FIRST_DATE: i64 = -62_135_596_800_000_000;
const LAST_DATE: i64 = 253_402_300_799_999_999;

/// Reads a date of the years 1 to 9999, in UTC with a trailing `Z`.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes.get(10) != Some(&b'T') || !text.ends_with('Z') {
        return None;
    }
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    let us = timestamp.as_microsecond();
    (FIRST_DATE..=LAST_DATE).contains(&us).then_some(us)
}

/// Seconds since 1970 as microseconds, if finite and of the years 1 to 9999.
pub(super) fn date_from_seconds(seconds: f64) -> Option<i64> {
    let us = (seconds * 1e6).round();
    (us >= FIRST_DATE as f64 && us <= LAST_DATE as f64).then(|| whole(us))
}

/// A date as text: with six digits of a second, or with none.
pub fn date_text(us: i64) -> String {
    match jiff::Timestamp::from_microsecond(us) {
        Ok(timestamp) if us % 1_000_000 == 0 => format!("{timestamp:.0}"),
        Ok(timestamp) => format!("{timestamp:.6}"),
        Err(_) => "1970-01-01T00:00:00Z".into(),
    }
}
