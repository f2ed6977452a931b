//! `gridproof decode` and `gridproof encode`: one document a line.

use super::{Failed, TemplateArgs, template, try_say};
use crate::proto::message::Datagram;
use crate::proto::template::Template;
use crate::proto::{llsd, xmlrpc};
use crate::value::json;
use clap::{Args, ValueEnum};
use serde_json::Value as Json;
use std::io::BufRead;

/// The form of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// UDP datagrams
    Udp,
    /// LLSD as XML
    LlsdXml,
    /// LLSD as bytes
    LlsdBinary,
    /// LLSD as notation
    LlsdNotation,
    /// XML-RPC
    Xmlrpc,
}

/// Arguments of `decode` and `encode`.
#[derive(Args, Debug)]
pub(super) struct DecodeArgs {
    /// The form of the documents
    #[arg(long, value_enum, default_value = "udp")]
    format: Format,
    #[command(flatten)]
    template: TemplateArgs,
}

pub(super) fn decode(args: DecodeArgs) -> Result<u8, Failed> {
    let template = template(&args.template)?;
    each_line(|line| {
        let decoded = hex::decode(line.trim())
            .map_err(|error| format!("not hex: {error}"))
            .and_then(|bytes| decode_one(args.format, &template, &bytes));
        decoded.map(|json| json.to_string())
    })
}

pub(super) fn encode(args: DecodeArgs) -> Result<u8, Failed> {
    let template = template(&args.template)?;
    each_line(|line| {
        let json: Json =
            serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
        encode_one(args.format, &template, &json).map(hex::encode)
    })
}

/// Works on every line of standard input; a bad one becomes an error object and, in the end,
/// exit status 1.
fn each_line(work: impl Fn(&str) -> Result<String, String>) -> Result<u8, Failed> {
    let mut input = std::io::stdin().lock();
    let mut code = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(code),
            Ok(_) => {}
            Err(error) => return Err((2, format!("standard input: {error}"))),
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        let out = work(text).unwrap_or_else(|error| {
            code = 1;
            serde_json::json!({ "error": error }).to_string()
        });
        if let Err(error) = try_say(&format!("{out}\n")) {
            // A closed pipe is its reader's choice; a full disk is not.
            return match error.kind() {
                std::io::ErrorKind::BrokenPipe => Ok(code),
                _ => Err((6, format!("standard output: {error}"))),
            };
        }
    }
}

fn decode_one(format: Format, template: &Template, bytes: &[u8]) -> Result<Json, String> {
    let value = match format {
        Format::Udp => {
            let datagram = Datagram::decode(template, bytes).map_err(|error| error.to_string())?;
            return Ok(json::from_datagram(&datagram));
        }
        Format::Xmlrpc => {
            let document = xmlrpc::parse(bytes).map_err(|error| error.to_string())?;
            return Ok(json::from_rpc(&document));
        }
        Format::LlsdXml => llsd::from_xml(bytes),
        Format::LlsdBinary => llsd::from_binary(bytes),
        Format::LlsdNotation => llsd::from_notation(bytes),
    };
    value.map(|value| json::from_llsd(&value)).map_err(|error| error.to_string())
}

fn encode_one(format: Format, template: &Template, value: &Json) -> Result<Vec<u8>, String> {
    if format == Format::Udp {
        let datagram = json::to_datagram(template, value).map_err(|error| error.to_string())?;
        return datagram.encode().map_err(|error| error.to_string());
    }
    if format == Format::Xmlrpc {
        let document = json::to_rpc(value).map_err(|error| error.to_string())?;
        return Ok(xmlrpc::to_xml(&document).into_bytes());
    }
    let value = json::to_llsd(value).map_err(|error| error.to_string())?;
    Ok(match format {
        Format::LlsdBinary => llsd::to_binary(&value),
        Format::LlsdNotation => llsd::to_notation(&value).into_bytes(),
        _ => llsd::to_xml(&value).into_bytes(),
    })
}
