//! Conversions between [`Value`] and what the wire carries.

use super::Value;
use crate::proto::llsd::Llsd;
use crate::proto::message::{Field, FieldRef, FieldValue, Message};
use crate::proto::number::nearest_f32;
use crate::proto::template::{FieldKind, Quantity};
use crate::proto::xmlrpc::RpcValue;
use std::borrow::Cow;

impl From<&Llsd> for Value {
    fn from(value: &Llsd) -> Self {
        match value {
            Llsd::Undef => Self::Undef,
            Llsd::Boolean(v) => Self::Boolean(*v),
            Llsd::Integer(v) => Self::Integer(i128::from(*v)),
            Llsd::Real(v) => Self::Real(*v),
            Llsd::String(v) => Self::String(v.clone()),
            Llsd::Uuid(v) => Self::Uuid(*v),
            Llsd::Date(v) => Self::Date(*v),
            Llsd::Uri(v) => Self::Uri(v.clone()),
            Llsd::Binary(v) => Self::Binary(v.clone()),
            Llsd::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Llsd::Map(members) => {
                Self::Map(members.iter().map(|(k, v)| (k.clone(), Self::from(v))).collect())
            }
        }
    }
}

impl From<&RpcValue> for Value {
    fn from(value: &RpcValue) -> Self {
        Self::from(&value.to_llsd())
    }
}

impl From<&Value> for Llsd {
    fn from(value: &Value) -> Self {
        match value {
            Value::Undef => Self::Undef,
            Value::Boolean(v) => Self::Boolean(*v),
            Value::Integer(v) => match i32::try_from(*v) {
                Ok(v) => Self::Integer(v),
                Err(_) => Self::Real(*v as f64),
            },
            Value::Real(v) => Self::Real(*v),
            Value::String(v) => Self::String(v.clone()),
            Value::Uuid(v) => Self::Uuid(*v),
            Value::Date(v) => Self::Date(*v),
            Value::Uri(v) => Self::Uri(v.clone()),
            Value::Binary(v) => Self::Binary(v.clone()),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Map(members) => {
                Self::Map(members.iter().map(|(k, v)| (k.clone(), Self::from(v))).collect())
            }
        }
    }
}

/// A field of a message. Raw bytes are text if they are UTF-8 that prints, without the NUL that
/// ends them; the template does not say which they are.
impl From<FieldRef<'_>> for Value {
    fn from(field: FieldRef<'_>) -> Self {
        let reals = |v: &[f32]| Self::Array(v.iter().map(|x| Self::Real(f64::from(*x))).collect());
        match field {
            Field::U8(v) => Self::integer(v),
            Field::U16(v) | Field::IpPort(v) => Self::integer(v),
            Field::U32(v) => Self::integer(v),
            Field::U64(v) => Self::integer(v),
            Field::S8(v) => Self::integer(v),
            Field::S16(v) => Self::integer(v),
            Field::S32(v) => Self::integer(v),
            Field::S64(v) => Self::integer(v),
            Field::F32(v) => Self::Real(f64::from(v)),
            Field::F64(v) => Self::Real(v),
            Field::Bool(v) => Self::Boolean(v),
            Field::Uuid(v) => Self::Uuid(v),
            Field::Vector3(v) => reals(&v),
            Field::Vector3d(v) => Self::Array(v.iter().map(|x| Self::Real(*x)).collect()),
            Field::Vector4(v) => reals(&v),
            Field::Quaternion([x, y, z]) => {
                let w = (1.0 - (x * x + y * y + z * z)).max(0.0).sqrt();
                reals(&[x, y, z, w])
            }
            Field::IpAddr([a, b, c, d]) => Self::String(format!("{a}.{b}.{c}.{d}")),
            Field::Fixed(bytes) => Self::Binary(bytes.to_vec()),
            Field::Variable(bytes) => text(bytes).unwrap_or_else(|| Self::Binary(bytes.to_vec())),
        }
    }
}

fn text(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(bytes)).ok()?;
    let prints = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(prints).then(|| Value::string(text))
}

/// A message: blocks by name; a Single block is a map, any other an array of maps.
pub fn message_value(message: &Message) -> Value {
    blocks_value(message, |field| Value::from(field))
}

/// A message as it is on the wire: texts stay bytes.
pub fn message_bytes(message: &Message) -> Value {
    blocks_value(message, |field| match field {
        Field::Variable(bytes) => Value::Binary(bytes.to_vec()),
        other => Value::from(other),
    })
}

fn blocks_value(message: &Message, value: impl Fn(FieldRef<'_>) -> Value) -> Value {
    let blocks = message.def.blocks.iter().zip(&message.blocks).map(|(def, instances)| {
        let mut maps = instances.iter().map(|fields| {
            let fields = def.fields.iter().zip(fields);
            Value::map(fields.map(|(def, v)| (def.name.to_string(), value(v.borrowed()))))
        });
        let all = match def.quantity {
            Quantity::Single => maps.next().unwrap_or_default(),
            _ => Value::Array(maps.collect()),
        };
        (def.name.to_string(), all)
    });
    Value::map(blocks)
}

/// The value as a field of `kind`; `None` if it does not fit.
pub fn field_from_value(kind: FieldKind, value: &Value) -> Option<FieldValue> {
    let text = matches!(kind, FieldKind::Fixed(_) | FieldKind::Variable1 | FieldKind::Variable2);
    let number = if text { Cow::Borrowed(value) } else { value.numeral() };
    let value = &*number;
    Some(match kind {
        FieldKind::U8 => Field::U8(value.as_int()?),
        FieldKind::U16 => Field::U16(value.as_int()?),
        FieldKind::U32 => Field::U32(value.as_int()?),
        FieldKind::U64 => Field::U64(value.as_int()?),
        FieldKind::S8 => Field::S8(value.as_int()?),
        FieldKind::S16 => Field::S16(value.as_int()?),
        FieldKind::S32 => Field::S32(value.as_int()?),
        FieldKind::S64 => Field::S64(value.as_int()?),
        FieldKind::F32 => Field::F32(nearest_f32(value.as_number()?)),
        FieldKind::F64 => Field::F64(value.as_number()?),
        FieldKind::Bool => match value {
            Value::Boolean(v) => Field::Bool(*v),
            _ => return None,
        },
        FieldKind::Uuid => Field::Uuid(value.as_uuid()?),
        FieldKind::Vector3 => Field::Vector3(reals(value)?),
        FieldKind::Vector3d => {
            let Value::Array(items) = value else { return None };
            let items: Option<Vec<f64>> = items.iter().map(Value::as_number).collect();
            Field::Vector3d(items?.try_into().ok()?)
        }
        FieldKind::Vector4 => Field::Vector4(reals(value)?),
        FieldKind::Quaternion => match reals::<4>(value) {
            Some([x, y, z, w]) if w < 0.0 => Field::Quaternion([-x, -y, -z]),
            Some([x, y, z, _]) => Field::Quaternion([x, y, z]),
            None => Field::Quaternion(reals(value)?),
        },
        FieldKind::IpAddr => {
            let ip: std::net::Ipv4Addr = value.as_text()?.parse().ok()?;
            Field::IpAddr(ip.octets())
        }
        FieldKind::IpPort => Field::IpPort(value.as_int()?),
        FieldKind::Fixed(n) => match value {
            Value::Map(_) => Field::Fixed(hex_of(value).filter(|b| b.len() == usize::from(n))?),
            Value::Binary(bytes) if bytes.len() == usize::from(n) => Field::Fixed(bytes.clone()),
            Value::String(text) => {
                Field::Fixed(hex::decode(text).ok().filter(|b| b.len() == usize::from(n))?)
            }
            _ => return None,
        },
        FieldKind::Variable1 | FieldKind::Variable2 => match value {
            Value::Binary(bytes) => Field::Variable(bytes.clone()),
            Value::Map(_) => Field::Variable(hex_of(value)?),
            Value::String(text) | Value::Uri(text) => FieldValue::text(text),
            _ => return None,
        },
    })
}

/// Bytes as suites write them: `{ hex = "00 FF" }`.
fn hex_of(value: &Value) -> Option<Vec<u8>> {
    let text = value.get("hex")?.as_text()?;
    hex::decode(text.split_whitespace().collect::<String>().replace('-', "")).ok()
}

fn reals<const N: usize>(value: &Value) -> Option<[f32; N]> {
    let Value::Array(items) = value else { return None };
    let items: Option<Vec<f32>> = items.iter().map(|v| v.as_number().map(nearest_f32)).collect();
    items?.try_into().ok()
}
