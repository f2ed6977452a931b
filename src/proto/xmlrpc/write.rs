//! Writes XML-RPC documents without white space.

use super::{Document, RpcValue};
use crate::proto::xml::{element, escape, real_text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Writes a document with its declaration.
pub fn to_xml(document: &Document) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
    match document {
        Document::Call { method, params } => {
            out.push_str("<methodCall><methodName>");
            escape(method, &mut out);
            out.push_str("</methodName><params>");
            for param in params {
                out.push_str("<param>");
                value(param, &mut out);
                out.push_str("</param>");
            }
            out.push_str("</params></methodCall>");
        }
        Document::Response(param) => {
            out.push_str("<methodResponse><params><param>");
            value(param, &mut out);
            out.push_str("</param></params></methodResponse>");
        }
        Document::Fault { code, message } => {
            let fault = RpcValue::Struct(vec![
                ("faultCode".into(), RpcValue::Int(*code)),
                ("faultString".into(), RpcValue::String(message.clone())),
            ]);
            out.push_str("<methodResponse><fault>");
            value(&fault, &mut out);
            out.push_str("</fault></methodResponse>");
        }
    }
    out
}

fn value(v: &RpcValue, out: &mut String) {
    out.push_str("<value>");
    match v {
        RpcValue::Nil => out.push_str("<nil/>"),
        RpcValue::Int(n) => element("int", &n.to_string(), out),
        RpcValue::Boolean(b) => element("boolean", if *b { "1" } else { "0" }, out),
        RpcValue::Double(d) => element("double", &real_text(*d), out),
        RpcValue::String(s) => element("string", s, out),
        RpcValue::Base64(b) => element("base64", &STANDARD.encode(b), out),
        RpcValue::DateTime(t) => element("dateTime.iso8601", t, out),
        RpcValue::Array(items) => {
            out.push_str("<array><data>");
            items.iter().for_each(|item| value(item, out));
            out.push_str("</data></array>");
        }
        RpcValue::Struct(members) => {
            out.push_str("<struct>");
            for (name, member) in members {
                out.push_str("<member>");
                element("name", name, out);
                value(member, out);
                out.push_str("</member>");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>");
}
