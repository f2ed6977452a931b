//! One value model over LLSD, XML-RPC and UDP fields, with paths, predicates and differences.

mod convert;
pub mod json;
mod path;
mod predicate;

pub use convert::{field_from_value, message_bytes, message_value};
pub use path::{Path, PathError, Segment};
pub(crate) use predicate::unknown;
pub use predicate::{PREDICATES, Predicate, TYPES};

use crate::proto::number::nearest_f32;
use std::borrow::Cow;
use std::fmt::{Display, Formatter};
use uuid::Uuid;

/// A value, whatever carried it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Undef,
    /// True or false.
    Boolean(bool),
    /// Any integer of the wire, signed or not, up to 64 bits.
    Integer(i128),
    /// A real.
    Real(f64),
    /// Text.
    String(String),
    /// An id.
    Uuid(Uuid),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Date(i64),
    /// A URI.
    Uri(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Values in order; vectors and quaternions too.
    Array(Vec<Value>),
    /// Members in the order written.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An integer.
    pub fn integer(n: impl Into<i128>) -> Self {
        Self::Integer(n.into())
    }

    /// How many there are of something.
    pub fn count(n: usize) -> Self {
        Self::Integer(n as i128)
    }

    /// A map.
    pub fn map<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(members.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// A member of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value as text, where it has an obvious one.
    pub fn as_text(&self) -> Option<String> {
        Some(match self {
            Self::String(s) | Self::Uri(s) => s.clone(),
            Self::Uuid(id) => id.to_string(),
            Self::Integer(n) => n.to_string(),
            Self::Boolean(b) => b.to_string(),
            Self::Real(r) => r.to_string(),
            Self::Binary(bytes) => hex::encode(bytes),
            _ => return None,
        })
    }

    /// The value as a number.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(n) => Some(*n as f64),
            Self::Real(r) => Some(*r),
            _ => None,
        }
    }

    /// A text that spells a number as that number; any other value as it is. Some grids tell
    /// numbers as text, and viewers read them.
    pub fn numeral(&self) -> Cow<'_, Self> {
        let Self::String(text) = self else { return Cow::Borrowed(self) };
        let text = text.trim();
        let real = || text.parse().ok().filter(|n: &f64| n.is_finite()).map(Self::Real);
        let number = text.parse().ok().map(Self::Integer).or_else(real);
        number.map_or(Cow::Borrowed(self), Cow::Owned)
    }

    /// The value as an integer that fits `T`.
    pub fn as_int<T: TryFrom<i128>>(&self) -> Option<T> {
        match self {
            Self::Integer(n) => T::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The value as an id, from an id or its text.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(id) => Some(*id),
            Self::String(text) if text.len() == 36 => Uuid::try_parse(text).ok(),
            _ => None,
        }
    }

    /// The name of the value's type, as the `type` predicate knows it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Undef => "undef",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Real(_) => "real",
            Self::String(_) => "string",
            Self::Uuid(_) => "uuid",
            Self::Date(_) => "date",
            Self::Uri(_) => "uri",
            Self::Binary(_) => "binary",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
        }
    }

    /// Whether two values say the same. Ids equal their text, numbers of any width their value,
    /// bytes their hex; the order of map members has no meaning.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Integer(_) | Self::Real(_), Self::Integer(_) | Self::Real(_)) => {
                // Reals of the wire are often 32 bits wide, those of a suite 64.
                let (a, b) = (self.as_number(), other.as_number());
                a == b || a.map(nearest_f32) == b.map(nearest_f32)
            }
            (Self::String(a) | Self::Uri(a), Self::String(b) | Self::Uri(b)) => a == b,
            (Self::Uuid(_), Self::String(_)) | (Self::String(_), Self::Uuid(_)) => {
                self.as_uuid().is_some() && self.as_uuid() == other.as_uuid()
            }
            (Self::Binary(bytes), Self::String(text))
            | (Self::String(text), Self::Binary(bytes)) => {
                hex::decode(text).is_ok_and(|b| b == *bytes)
            }
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(k, v)| other.get(k).is_some_and(|w| v.same(w)))
            }
            (a, b) => a == b,
        }
    }
}

/// Text for people: one line, cut where it grows long.
impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Undef => f.write_str("undef"),
            Self::Boolean(v) => write!(f, "{v}"),
            Self::Integer(v) => write!(f, "{v}"),
            Self::Real(v) => write!(f, "{v:?}"),
            Self::String(v) => write!(f, "{:?}", cut(v, 120)),
            Self::Uri(v) => write!(f, "<{}>", cut(v, 120)),
            Self::Uuid(v) => write!(f, "{v}"),
            Self::Date(us) => f.write_str(&crate::proto::llsd::date_text(*us)),
            Self::Binary(v) if v.len() > 32 => {
                write!(f, "0x{}… ({} bytes)", hex::encode(&v[..32]), v.len())
            }
            Self::Binary(v) => write!(f, "0x{}", hex::encode(v)),
            Self::Array(items) => {
                f.write_str("[")?;
                for (n, item) in items.iter().enumerate() {
                    match n {
                        0 => write!(f, "{item}")?,
                        1..8 => write!(f, ", {item}")?,
                        _ => {
                            write!(f, ", … {} in all", items.len())?;
                            break;
                        }
                    }
                }
                f.write_str("]")
            }
            Self::Map(members) => {
                f.write_str("{")?;
                for (n, (key, value)) in members.iter().enumerate() {
                    match n {
                        0 => write!(f, "{key} = {value}")?,
                        1..8 => write!(f, ", {key} = {value}")?,
                        _ => {
                            write!(f, ", … {} members", members.len())?;
                            break;
                        }
                    }
                }
                f.write_str("}")
            }
        }
    }
}

/// A text of at most `most` characters; a longer one ends in `…`.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
