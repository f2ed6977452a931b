//! The codecs against bytes that other implementations made.

use gridproof::proto::llsd::{self, Llsd};
use gridproof::proto::message::{Datagram, Decoder};
use gridproof::proto::template::Template;
use gridproof::proto::xmlrpc;
use gridproof::value::json;
use serde_json::Value as Json;

fn lines(file: &str) -> Vec<Json> {
    let path = format!("{}/fixtures/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}

/// The members of a vector line that `decode` prints.
fn decoded(line: &Json) -> Json {
    let names = ["message", "packet_id", "flags", "acks", "extra", "blocks"];
    names
        .iter()
        .map(|name| ((*name).to_owned(), line[*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn every_datagram_decodes_and_encodes_byte_for_byte() {
    let lines = lines("udp-messages.jsonl");
    assert!(lines.len() > 2000);
    for line in &lines {
        let bytes = hex::decode(text(line, "hex")).unwrap();
        let datagram = Datagram::decode(Template::shipped(), &bytes).unwrap();
        assert_eq!(printed(&datagram), decoded(line), "{}", text(line, "message"));
        let built = json::to_datagram(Template::shipped(), line).unwrap();
        assert_eq!(hex::encode(built.encode().unwrap()), text(line, "hex"));
    }
}

#[test]
fn every_malformed_datagram_gets_its_verdict() {
    let lines = lines("udp-malformed.jsonl");
    assert!(lines.len() > 500);
    for line in &lines {
        let bytes = hex::decode(text(line, "hex")).unwrap();
        let expected = text(line, "expected");
        match Datagram::decode(Template::shipped(), &bytes) {
            Ok(datagram) => {
                assert!(expected.starts_with("accept"), "{}: accepted: {expected}", line["id"]);
                assert_eq!(printed(&datagram), decoded(&line["decoded"]), "{}", line["id"]);
            }
            Err(error) => assert_eq!(format!("reject: {error}"), expected, "{}", line["id"]),
        }
    }
}

/// What `decode` prints, without the one block that the vectors' template does not know.
fn printed(datagram: &Datagram) -> Json {
    let mut json = json::from_datagram(datagram);
    if let Some(blocks) = json["blocks"].as_object_mut() {
        blocks.shift_remove("MetaData");
    }
    json
}

fn parse(format: &str, document: &[u8]) -> Result<Llsd, llsd::LlsdError> {
    match format {
        "xml" => llsd::from_xml(document),
        "binary" => llsd::from_binary(document),
        _ => llsd::from_notation(document),
    }
}

fn same(found: &Json, expected: &Json) -> bool {
    json::to_llsd(found)
        .is_ok_and(|a| json::to_llsd(expected).is_ok_and(|b| format!("{a:?}") == format!("{b:?}")))
}

#[test]
fn llsd_values_agree_in_all_three_forms() {
    for line in lines("llsd.jsonl").iter().filter(|line| text(line, "kind") == "value") {
        let value = json::to_llsd(&line["value"]).unwrap();
        for format in ["xml", "binary", "notation"] {
            let document = match format {
                "binary" => hex::decode(text(line, "binary")).unwrap(),
                _ => text(line, format).as_bytes().to_vec(),
            };
            let changed = &line[format!("{format}_decodes_to")];
            let expected = if changed.is_null() { &line["value"] } else { changed };
            let parsed = parse(format, &document).unwrap();
            assert!(same(&json::from_llsd(&parsed), expected), "{} {format}", line["id"]);
        }
        assert_eq!(llsd::to_notation(&value), text(line, "notation"), "{}", line["id"]);
        let exact = if line["binary_exact"].is_null() { "binary" } else { "binary_exact" };
        assert_eq!(hex::encode(llsd::to_binary(&value)), text(line, exact), "{}", line["id"]);
        let again = llsd::from_xml(llsd::to_xml(&value).as_bytes()).unwrap();
        let changed = &line["xml_decodes_to"];
        if changed.is_null() {
            assert!(same(&json::from_llsd(&again), &line["value"]), "{}", line["id"]);
        }
    }
}

#[test]
fn llsd_documents_that_no_writer_made_get_their_verdicts() {
    for line in lines("llsd.jsonl") {
        let document = hex::decode(text(&line, "hex")).unwrap_or_default();
        let parsed = parse(text(&line, "format"), &document);
        match text(&line, "kind") {
            "decode" => {
                let parsed = parsed.unwrap_or_else(|e| panic!("{}: {e}", line["id"]));
                assert!(same(&json::from_llsd(&parsed), &line["value"]), "{}", line["id"]);
            }
            "malformed" => {
                assert!(parsed.is_err(), "{} {} {parsed:?}", line["id"], line["expected"])
            }
            _ => {}
        }
    }
}

#[test]
fn xmlrpc_documents_agree_and_malformed_ones_are_refused() {
    for line in lines("xmlrpc.jsonl") {
        let parsed = xmlrpc::parse(text(&line, "xml").as_bytes());
        if text(&line, "kind") == "malformed" {
            assert!(parsed.is_err(), "{} {} {parsed:?}", line["id"], line["expected"]);
            continue;
        }
        let parsed = parsed.unwrap_or_else(|e| panic!("{} {}: {e}", line["id"], line["name"]));
        let expected = json::to_rpc(&line).unwrap();
        assert_eq!(format!("{parsed:?}"), format!("{expected:?}"), "{}", line["id"]);
        let again = xmlrpc::parse(xmlrpc::to_xml(&parsed).as_bytes()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{parsed:?}"), "{}", line["id"]);
    }
}

#[test]
fn every_datagram_of_a_recorded_session_decodes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/captures/opensim-0.9.2.2-udp.jsonl");
    let text_of = std::fs::read_to_string(path).unwrap();
    for line in text_of.lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        let bytes = hex::decode(text(&line, "hex")).unwrap();
        let mut decoder = Decoder::tolerant();
        let packet = match decoder.decode(Template::shipped(), &bytes) {
            Ok(packet) => packet,
            // OpenSim 0.9.2's zero coder loses a zero of a long run, and its SimStats has one.
            Err(error) if error.to_string().contains("Stat[") => continue,
            Err(error) => panic!("{} at {}: {error}", line["from"], line["t_ms"]),
        };
        assert!(!(packet.def.trusted && text(&line, "from") == "client"));
    }
}
