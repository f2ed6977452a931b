//! `udp.send`: sends any message of the template, field by field.

use super::{Call, Failure, Kind, Observes, Repeat, Returns, StepDef, args, fields, key, need};
use crate::proto::circuit::SendOptions;
use crate::proto::id::Sequence;
use crate::proto::message::{Flags, Message};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.send",
    doc: "Sends a message on a circuit. Fields that `blocks` does not name are zero; AgentID and \
          SessionID side by side are the session's own. Returns the sequence number, for \
          `udp.acked`.",
    keys: &[
        need("message", Kind::Message, "the message's name"),
        key("circuit", Kind::Text, "the circuit; where the avatar stands if left out"),
        key("blocks", Kind::Table, "blocks by name: a table of fields, or an array of such tables"),
        key("reliable", Kind::Flag, "ask for an ack and resend until it comes; true if left out"),
        key("sequence", Kind::Integer, "this number instead of the next one, without resending"),
        key("flags", Kind::Texts, "further flag bits: RESENT, RELIABLE, or `0x0F`-style"),
        key("acks", Kind::Any, "append acks of these numbers, whatever the circuit owes"),
        key("times", Kind::Integer, "this many messages, each with its own number"),
        key("ids", Kind::Flag, "false leaves AgentID and SessionID null"),
    ],
    returns: Returns::Members(&[
        ("sequence", "the number of the last message sent"),
        ("sequences", "the numbers of all of them"),
    ]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let message = build(&call)?;
            let args = call.args;
            if ends_its_session(&call, &message) {
                let circuit = call.circuit();
                call.viewer.give_up(&circuit);
            }
            if TELEPORTS.contains(&message.name()) {
                let within = call.viewer.common.patience(Duration::from_secs(5));
                call.viewer.calls_answered(within).await;
            }
            let Some(link) = call.viewer.link(&call.circuit()) else {
                return Err(Failure::Error(format!("no circuit `{}` is open", call.circuit())));
            };
            let options = SendOptions {
                reliable: args.flag("reliable").unwrap_or(true),
                sequence: args.int("sequence"),
                flags: flags(&args.texts("flags").unwrap_or_default())?,
                acks: acks(args.get("acks")),
            };
            if options.sequence.is_none() {
                call.viewer.saying(&message);
            }
            let mut sequences = Vec::new();
            for _ in 0..args.int("times").unwrap_or(1u32).min(1000) {
                let sequence = link.send(message.clone(), options.clone()).await;
                sequences.push(Value::integer(
                    sequence.map_err(|error| Failure::unfit(error.to_string()))?,
                ));
            }
            let last = sequences.last().cloned().unwrap_or_default();
            Ok(Value::map([("sequence", last), ("sequences", Value::Array(sequences))]))
        })
    },
};

/// The messages by which a viewer asks to go elsewhere.
const TELEPORTS: [&str; 3] =
    ["TeleportLocationRequest", "TeleportLandmarkRequest", "TeleportLureRequest"];

/// Whether a message asks to end the session of whoever sends it.
fn ends_its_session(call: &Call<'_>, message: &Message) -> bool {
    let own = call.viewer.session().map(|session| session.session_id.0);
    let named = message.uuid("AgentData", "SessionID");
    match message.name() {
        "LogoutRequest" => named.is_some() && named == own,
        "CloseCircuit" => true,
        _ => false,
    }
}

fn build(call: &Call<'_>) -> Result<Message, Failure> {
    let name = call.args.text("message").unwrap_or_default();
    let template = &call.viewer.common.template;
    let Some(def) = template.message(&name) else {
        return Err(Failure::Error(format!("the template has no message {name}")));
    };
    let session = call.viewer.session().map(|s| (s.agent_id, s.session_id));
    let ids = session.filter(|_| call.args.flag("ids").unwrap_or(true));
    fields::build(def, call.args.get("blocks"), ids).map_err(Failure::unfit)
}

fn flags(names: &[String]) -> Result<u8, Failure> {
    let mut bits = 0;
    for name in names {
        let known = Flags::NAMES.iter().find(|(n, _)| n == name).map(|(_, flag)| flag.0);
        let hex = name.strip_prefix("0x").and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let Some(flag) = known.or(hex) else {
            return Err(Failure::Error(format!("`{name}` is no flag")));
        };
        bits |= flag;
    }
    Ok(bits)
}

fn acks(given: Option<&Value>) -> Vec<Sequence> {
    match given {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_int).collect(),
        Some(one) => one.as_int().into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, inside, said, silent, unasked};

    #[test]
    fn fields_and_ids_are_filled_in() {
        let line = r#"do = "udp.send", message = "ChatFromViewer", times = 2,
                      blocks = { ChatData = { Message = "hello", Type = 1 } }"#;
        let (ended, told) = inside(unasked, silent, &line.replace('\n', " "));
        let Some(Value::Array(numbers)) = ended.unwrap().get("sequences").cloned() else {
            panic!("it returns the numbers")
        };
        assert_eq!(numbers.len(), 2);
        let lines: Vec<_> = told.iter().filter(|told| told.name() == "ChatFromViewer").collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].text("ChatData", "Message").as_deref(), Some("hello"));
        let agent = lines[0].uuid("AgentData", "AgentID").unwrap();
        assert_eq!(agent, uuid::Uuid::from_u128(1));
    }

    #[test]
    fn a_flag_that_is_none_and_a_circuit_that_is_closed_are_mistakes() {
        let odd = r#"do = "udp.send", message = "AgentPause", flags = ["LOUD"]"#;
        assert_eq!(said(inside(unasked, silent, odd).0), "error: `LOUD` is no flag");
        let ended = said(hearing(|_| {}, r#"do = "udp.send", message = "AgentPause""#));
        assert_eq!(ended, "error: no circuit `root` is open");
    }
}
