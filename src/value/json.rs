//! The JSON conventions of the test vectors, which `decode` writes and `encode` reads.

use crate::proto::id::Sequence;
use crate::proto::llsd::{self, Llsd};
use crate::proto::message::{Datagram, Field, FieldRef, FieldValue, Flags, Header, Message};
use crate::proto::template::{FieldKind, Quantity, Template};
use crate::proto::xmlrpc::{Document, RpcValue};
use serde_json::{Map, Value as Json, json};

/// What is wrong with a JSON document that should be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(pub String);

fn bad<T>(what: impl Into<String>) -> Result<T, JsonError> {
    Err(JsonError(what.into()))
}

fn member<'a>(json: &'a Json, name: &str) -> Result<&'a Json, JsonError> {
    json.get(name).ok_or_else(|| JsonError(format!("member `{name}` is missing")))
}

/// The one block younger than the template the vectors were made with. Where a datagram leaves it
/// out, so does its JSON; any other trailing block that is left out is printed as empty.
const YOUNGEST_BLOCK: (&str, &str) = ("ImprovedInstantMessage", "MetaData");

/// A datagram as JSON.
pub fn from_datagram(datagram: &Datagram) -> Json {
    let flags = Flags::NAMES.iter().filter(|(_, flag)| datagram.header.flags.has(*flag));
    let blocks: Map<String, Json> = datagram
        .message
        .def
        .blocks
        .iter()
        .enumerate()
        .filter(|(n, def)| {
            let there = *n < datagram.message.blocks.len();
            there || (datagram.message.name(), &*def.name) != YOUNGEST_BLOCK
        })
        .map(|(n, def)| {
            let instances = datagram.message.blocks.get(n).map_or(&[][..], Vec::as_slice);
            let instances = instances.iter().map(|fields| {
                let fields = def.fields.iter().zip(fields);
                fields.map(|(def, v)| (def.name.to_string(), from_field(v.borrowed()))).collect()
            });
            (def.name.to_string(), Json::Array(instances.map(Json::Object).collect()))
        })
        .collect();
    json!({
        "message": datagram.message.name(),
        "packet_id": datagram.header.sequence,
        "flags": flags.map(|(name, _)| *name).collect::<Vec<_>>(),
        "acks": datagram.acks,
        "extra": hex::encode(&datagram.extra),
        "blocks": blocks,
    })
}

fn real(v: f64) -> Json {
    match v {
        v if v.is_nan() => json!("nan"),
        v if v == f64::INFINITY => json!("inf"),
        v if v == f64::NEG_INFINITY => json!("-inf"),
        v => json!(v),
    }
}

fn f32s(v: &[f32]) -> Json {
    let le: Vec<u8> = v.iter().flat_map(|x| x.to_le_bytes()).collect();
    let v: Vec<Json> = v.iter().map(|x| real(f64::from(*x))).collect();
    json!({ "v": v, "le": hex::encode(le) })
}

fn from_field(field: FieldRef<'_>) -> Json {
    match field {
        Field::U8(v) => json!(v),
        Field::U16(v) | Field::IpPort(v) => json!(v),
        Field::U32(v) => json!(v),
        Field::U64(v) => json!(v.to_string()),
        Field::S8(v) => json!(v),
        Field::S16(v) => json!(v),
        Field::S32(v) => json!(v),
        Field::S64(v) => json!(v.to_string()),
        Field::F32(v) => json!({ "v": real(f64::from(v)), "le": hex::encode(v.to_le_bytes()) }),
        Field::F64(v) => json!({ "v": real(v), "le": hex::encode(v.to_le_bytes()) }),
        Field::Bool(v) => json!(v),
        Field::Uuid(v) => json!(v.to_string()),
        Field::Vector3(v) | Field::Quaternion(v) => f32s(&v),
        Field::Vector4(v) => f32s(&v),
        Field::Vector3d(v) => {
            let le: Vec<u8> = v.iter().flat_map(|x| x.to_le_bytes()).collect();
            json!({ "v": v.map(real), "le": hex::encode(le) })
        }
        Field::IpAddr([a, b, c, d]) => json!(format!("{a}.{b}.{c}.{d}")),
        Field::Fixed(bytes) | Field::Variable(bytes) => json!(hex::encode(bytes)),
    }
}

/// A datagram from JSON.
///
/// # Errors
/// What does not fit the message, and where.
pub fn to_datagram(template: &Template, json: &Json) -> Result<Datagram, JsonError> {
    let name = member(json, "message")?.as_str().unwrap_or_default();
    let Some(def) = template.message(name) else {
        let known = template.messages().iter().map(|m| &*m.name);
        return bad(super::unknown("message", name, known));
    };
    let sequence = json.get("packet_id").and_then(Json::as_u64).unwrap_or(0);
    let Ok(sequence) = Sequence::try_from(i128::from(sequence)) else {
        return bad("`packet_id` exceeds 32 bits");
    };
    let mut flags = Flags::default();
    for flag in json.get("flags").and_then(Json::as_array).unwrap_or(&Vec::new()) {
        let name = flag.as_str().unwrap_or_default();
        match Flags::NAMES.iter().find(|(n, _)| *n == name) {
            Some((_, flag)) => flags = flags.with(*flag),
            None => return bad(super::unknown("flag", name, Flags::NAMES.map(|(n, _)| n))),
        }
    }
    let acks = json.get("acks").and_then(Json::as_array).cloned().unwrap_or_default();
    let number = |ack: &Json| Sequence::try_from(i128::from(ack.as_u64()?)).ok();
    let acks: Option<Vec<Sequence>> = acks.iter().map(number).collect();
    let Some(acks) = acks else { return bad("`acks` holds something that is no 32-bit number") };
    let extra = json.get("extra").and_then(Json::as_str).unwrap_or_default();
    let Ok(extra) = hex::decode(extra) else { return bad("`extra` is not hex") };
    let mut message = Message::zero(def);
    let given = |block: &str| json.get("blocks").is_some_and(|blocks| blocks.get(block).is_some());
    // A trailing Variable block that is not given is left out, as peers with older templates do.
    while let Some(last) = message.blocks.len().checked_sub(1).map(|n| &def.blocks[n]) {
        if last.quantity != Quantity::Variable || given(&last.name) {
            break;
        }
        message.blocks.pop();
    }
    let blocks = json.get("blocks").and_then(Json::as_object).cloned().unwrap_or_default();
    for (block, instances) in &blocks {
        let Some(at) = def.blocks.iter().position(|b| &*b.name == block) else {
            return bad(super::unknown("block", block, def.blocks.iter().map(|b| &*b.name)));
        };
        let Some(instances) = instances.as_array() else {
            return bad(format!("block `{block}` is not an array of instances"));
        };
        message.blocks[at] = instances
            .iter()
            .map(|json| {
                let fields = def.blocks[at].fields.iter();
                fields.map(|f| to_field(f.kind, &f.name, member(json, &f.name)?)).collect()
            })
            .collect::<Result<_, _>>()?;
    }
    Ok(Datagram { header: Header { flags, sequence }, acks, extra, message })
}

fn to_field(kind: FieldKind, name: &str, json: &Json) -> Result<FieldValue, JsonError> {
    field(kind, json).ok_or_else(|| JsonError(format!("field `{name}` does not hold a {kind}")))
}

fn field(kind: FieldKind, json: &Json) -> Option<FieldValue> {
    let int = || json.as_i64().or_else(|| json.as_str()?.parse().ok());
    let le = || hex::decode(json.get("le")?.as_str()?).ok();
    fn f32s<const N: usize>(le: Vec<u8>) -> Option<[f32; N]> {
        let parts: Option<Vec<[u8; 4]>> = le.chunks(4).map(|c| c.try_into().ok()).collect();
        let values: Vec<f32> = parts?.into_iter().map(f32::from_le_bytes).collect();
        values.try_into().ok()
    }
    Some(match kind {
        FieldKind::U8 => Field::U8(int()?.try_into().ok()?),
        FieldKind::U16 => Field::U16(int()?.try_into().ok()?),
        FieldKind::U32 => Field::U32(int()?.try_into().ok()?),
        FieldKind::U64 => Field::U64(json.as_u64().or_else(|| json.as_str()?.parse().ok())?),
        FieldKind::S8 => Field::S8(int()?.try_into().ok()?),
        FieldKind::S16 => Field::S16(int()?.try_into().ok()?),
        FieldKind::S32 => Field::S32(int()?.try_into().ok()?),
        FieldKind::S64 => Field::S64(int()?),
        FieldKind::F32 => Field::F32(f32s::<1>(le()?)?[0]),
        FieldKind::F64 => Field::F64(f64::from_le_bytes(le()?.try_into().ok()?)),
        FieldKind::Bool => Field::Bool(json.as_bool()?),
        FieldKind::Uuid => Field::Uuid(uuid::Uuid::try_parse(json.as_str()?).ok()?),
        FieldKind::Vector3 => Field::Vector3(f32s(le()?)?),
        FieldKind::Quaternion => Field::Quaternion(f32s(le()?)?),
        FieldKind::Vector4 => Field::Vector4(f32s(le()?)?),
        FieldKind::Vector3d => {
            let parts: Option<Vec<[u8; 8]>> = le()?.chunks(8).map(|c| c.try_into().ok()).collect();
            let values: Vec<f64> = parts?.into_iter().map(f64::from_le_bytes).collect();
            Field::Vector3d(values.try_into().ok()?)
        }
        FieldKind::IpAddr => {
            Field::IpAddr(json.as_str()?.parse::<std::net::Ipv4Addr>().ok()?.octets())
        }
        FieldKind::IpPort => Field::IpPort(int()?.try_into().ok()?),
        FieldKind::Fixed(_) => Field::Fixed(hex::decode(json.as_str()?).ok()?),
        FieldKind::Variable1 | FieldKind::Variable2 => {
            Field::Variable(hex::decode(json.as_str()?).ok()?)
        }
    })
}

fn typed(t: &str, v: impl Into<Json>) -> Json {
    json!({ "t": t, "v": v.into() })
}

fn real_json(t: &str, v: f64) -> Json {
    let bits = if v.is_nan() { 0x7ff8_0000_0000_0000 } else { v.to_bits() };
    json!({ "t": t, "v": crate::proto::xmlrpc::real_text(v), "bits": format!("{bits:016x}") })
}

fn real_value(json: &Json) -> Result<f64, JsonError> {
    match json.get("bits").and_then(Json::as_str) {
        Some(bits) => u64::from_str_radix(bits, 16)
            .map(f64::from_bits)
            .or_else(|_| bad("`bits` are not 16 hex digits")),
        None => {
            let text = member(json, "v")?.as_str().unwrap_or_default();
            text.parse().or_else(|_| bad(format!("`{text}` is not a real")))
        }
    }
}

/// An LLSD value as JSON.
pub fn from_llsd(value: &Llsd) -> Json {
    match value {
        Llsd::Undef => json!({ "t": "undef" }),
        Llsd::Boolean(v) => typed("boolean", *v),
        Llsd::Integer(v) => typed("integer", *v),
        Llsd::Real(v) => real_json("real", *v),
        Llsd::String(v) => typed("string", v.clone()),
        Llsd::Uuid(v) => typed("uuid", v.to_string()),
        Llsd::Date(us) => json!({ "t": "date", "v": llsd::date_text(*us), "us": us }),
        Llsd::Uri(v) => typed("uri", v.clone()),
        Llsd::Binary(v) => typed("binary", hex::encode(v)),
        Llsd::Array(items) => typed("array", items.iter().map(from_llsd).collect::<Vec<_>>()),
        Llsd::Map(members) => {
            typed("map", members.iter().map(|(k, v)| json!([k, from_llsd(v)])).collect::<Vec<_>>())
        }
    }
}

/// An LLSD value from JSON.
///
/// # Errors
/// What has no reading as LLSD, and where.
pub fn to_llsd(json: &Json) -> Result<Llsd, JsonError> {
    let t = member(json, "t")?.as_str().unwrap_or_default();
    let v = json.get("v").unwrap_or(&Json::Null);
    let wrong = || JsonError(format!("`v` does not hold a value of type {t}"));
    let text = || v.as_str().ok_or_else(wrong);
    Ok(match t {
        "undef" => Llsd::Undef,
        "boolean" => Llsd::Boolean(v.as_bool().ok_or_else(wrong)?),
        "integer" => {
            Llsd::Integer(v.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(wrong)?)
        }
        "real" => Llsd::Real(real_value(json)?),
        "string" => Llsd::string(text()?),
        "uuid" => Llsd::Uuid(uuid::Uuid::try_parse(text()?).map_err(|_| wrong())?),
        "date" => match json.get("us").and_then(Json::as_i64) {
            Some(us) => Llsd::Date(us),
            None => Llsd::Date(
                text()?.parse::<jiff::Timestamp>().map_err(|_| wrong())?.as_microsecond(),
            ),
        },
        "uri" => Llsd::Uri(text()?.to_owned()),
        "binary" => Llsd::Binary(hex::decode(text()?).map_err(|_| wrong())?),
        "array" => {
            let items = v.as_array().ok_or_else(wrong)?;
            Llsd::Array(items.iter().map(to_llsd).collect::<Result<_, _>>()?)
        }
        "map" => Llsd::Map(pairs(v, to_llsd)?),
        other => return bad(format!("unknown LLSD type `{other}`")),
    })
}

fn pairs<T>(
    v: &Json,
    read: impl Fn(&Json) -> Result<T, JsonError>,
) -> Result<Vec<(String, T)>, JsonError> {
    let Some(items) = v.as_array() else { return bad("a map is an array of [key, value]") };
    items
        .iter()
        .map(|item| match item.as_array().map(Vec::as_slice) {
            Some([Json::String(key), value]) => Ok((key.clone(), read(value)?)),
            _ => bad("a map is an array of [key, value]"),
        })
        .collect()
}

/// An XML-RPC document as JSON: `kind`, and `method` and `params`, or `fault`.
pub fn from_rpc(document: &Document) -> Json {
    match document {
        Document::Call { method, params } => {
            let params: Vec<Json> = params.iter().map(from_rpc_value).collect();
            json!({ "kind": "request", "method": method, "params": params })
        }
        Document::Response(value) => {
            json!({ "kind": "response", "params": [from_rpc_value(value)] })
        }
        Document::Fault { code, message } => {
            json!({ "kind": "fault", "fault": { "faultCode": code, "faultString": message } })
        }
    }
}

fn from_rpc_value(value: &RpcValue) -> Json {
    match value {
        RpcValue::Nil => json!({ "t": "nil" }),
        RpcValue::Int(v) => typed("int", *v),
        RpcValue::Boolean(v) => typed("boolean", *v),
        RpcValue::Double(v) => real_json("double", *v),
        RpcValue::String(v) => typed("string", v.clone()),
        RpcValue::Base64(v) => typed("base64", hex::encode(v)),
        RpcValue::DateTime(v) => typed("dateTime", v.clone()),
        RpcValue::Array(items) => {
            typed("array", items.iter().map(from_rpc_value).collect::<Vec<_>>())
        }
        RpcValue::Struct(members) => {
            let members = members.iter().map(|(k, v)| json!([k, from_rpc_value(v)]));
            typed("struct", members.collect::<Vec<_>>())
        }
    }
}

/// An XML-RPC document from JSON.
///
/// # Errors
/// What has no reading as XML-RPC, and where.
pub fn to_rpc(json: &Json) -> Result<Document, JsonError> {
    if let Some(fault) = json.get("fault") {
        let code = fault.get("faultCode").and_then(Json::as_i64).and_then(|n| n.try_into().ok());
        let message = fault.get("faultString").and_then(Json::as_str);
        return match (code, message) {
            (Some(code), Some(message)) => {
                Ok(Document::Fault { code, message: message.to_owned() })
            }
            _ => bad("`fault` needs a 32-bit `faultCode` and a `faultString`"),
        };
    }
    let Some(params) = member(json, "params")?.as_array() else {
        return bad("`params` is not an array");
    };
    let mut params: Vec<RpcValue> = params.iter().map(to_rpc_value).collect::<Result<_, _>>()?;
    match json.get("method").and_then(Json::as_str) {
        Some(method) => Ok(Document::Call { method: method.to_owned(), params }),
        None => match (params.pop(), params.is_empty()) {
            (Some(value), true) => Ok(Document::Response(value)),
            _ => bad("a response has exactly one param"),
        },
    }
}

fn to_rpc_value(json: &Json) -> Result<RpcValue, JsonError> {
    let t = member(json, "t")?.as_str().unwrap_or_default();
    let v = json.get("v").unwrap_or(&Json::Null);
    let wrong = || JsonError(format!("`v` does not hold a value of type {t}"));
    let text = || v.as_str().ok_or_else(wrong);
    Ok(match t {
        "nil" => RpcValue::Nil,
        "int" => RpcValue::Int(v.as_i64().and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        "boolean" => RpcValue::Boolean(v.as_bool().ok_or_else(wrong)?),
        "double" => RpcValue::Double(real_value(json)?),
        "string" => RpcValue::String(text()?.to_owned()),
        "base64" => RpcValue::Base64(hex::decode(text()?).map_err(|_| wrong())?),
        "dateTime" => RpcValue::DateTime(text()?.to_owned()),
        "array" => {
            let items = v.as_array().ok_or_else(wrong)?;
            RpcValue::Array(items.iter().map(to_rpc_value).collect::<Result<_, _>>()?)
        }
        "struct" => RpcValue::Struct(pairs(v, to_rpc_value)?),
        other => return bad(format!("unknown XML-RPC type `{other}`")),
    })
}
