//! XML-RPC: calls, responses and faults, for both peers.

mod read;
mod write;

pub use super::xml::real_text;
pub use read::{RpcError, parse};
pub use write::to_xml;

use super::llsd::Llsd;

/// One XML-RPC value.
#[derive(Clone, Debug, PartialEq)]
pub enum RpcValue {
    /// `<nil/>`.
    Nil,
    /// `<int>` or `<i4>`.
    Int(i32),
    /// `<boolean>`.
    Boolean(bool),
    /// `<double>`.
    Double(f64),
    /// `<string>` or bare text.
    String(String),
    /// `<base64>`.
    Base64(Vec<u8>),
    /// `<dateTime.iso8601>`, as sent.
    DateTime(String),
    /// `<array>`.
    Array(Vec<RpcValue>),
    /// `<struct>`, members in order.
    Struct(Vec<(String, RpcValue)>),
}

/// One document.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// `<methodCall>`.
    Call {
        /// The method's name.
        method: String,
        /// Its parameters.
        params: Vec<RpcValue>,
    },
    /// `<methodResponse>` with a value.
    Response(RpcValue),
    /// `<methodResponse>` with a fault.
    Fault {
        /// `faultCode`.
        code: i32,
        /// `faultString`.
        message: String,
    },
}

impl RpcValue {
    /// A member of a struct.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Struct(members) => members.iter().find(|(k, _)| k == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The same value as LLSD; a time that cannot be read stays a string.
    pub fn to_llsd(&self) -> Llsd {
        match self {
            Self::Nil => Llsd::Undef,
            Self::Int(v) => Llsd::Integer(*v),
            Self::Boolean(v) => Llsd::Boolean(*v),
            Self::Double(v) => Llsd::Real(*v),
            Self::String(v) => Llsd::String(v.clone()),
            Self::Base64(v) => Llsd::Binary(v.clone()),
            Self::DateTime(v) => match read::date_time(v) {
                Some(us) => Llsd::Date(us),
                None => Llsd::String(v.clone()),
            },
            Self::Array(items) => Llsd::Array(items.iter().map(Self::to_llsd).collect()),
            Self::Struct(members) => {
                Llsd::Map(members.iter().map(|(k, v)| (k.clone(), v.to_llsd())).collect())
            }
        }
    }

    /// LLSD as XML-RPC carries it: ids, URIs and dates become strings.
    pub fn from_llsd(value: &Llsd) -> Self {
        match value {
            Llsd::Undef => Self::Nil,
            Llsd::Boolean(v) => Self::Boolean(*v),
            Llsd::Integer(v) => Self::Int(*v),
            Llsd::Real(v) => Self::Double(*v),
            Llsd::String(v) | Llsd::Uri(v) => Self::String(v.clone()),
            Llsd::Uuid(v) => Self::String(v.to_string()),
            Llsd::Date(v) => Self::String(super::llsd::date_text(*v)),
            Llsd::Binary(v) => Self::Base64(v.clone()),
            Llsd::Array(items) => Self::Array(items.iter().map(Self::from_llsd).collect()),
            Llsd::Map(members) => {
                Self::Struct(members.iter().map(|(k, v)| (k.clone(), Self::from_llsd(v))).collect())
            }
        }
    }
}
