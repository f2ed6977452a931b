//! `udp.raw`: bytes on the wire as they are.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, key, need};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.raw",
    doc: "Sends a datagram as it is, malformed or not. The circuit knows nothing of it: choose a \
          sequence number that its own will not meet.",
    keys: &[
        need("hex", Kind::Text, "the bytes in hex; blanks are ignored"),
        key("tail", Kind::Text, "further bytes in hex, repeated `tail_times`"),
        key("tail_times", Kind::Integer, "how often the tail is repeated; once if left out"),
        key("circuit", Kind::Text, "the circuit; where the avatar stands if left out"),
    ],
    returns: Returns::Members(&[("size", "the datagram's size")]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let mut bytes = bytes_of(call.args.text("hex"))?;
            let tail = bytes_of(call.args.text("tail"))?;
            let times: usize = call.args.int("tail_times").unwrap_or(1);
            bytes.extend(tail.repeat(times.min(60_000)));
            let Some(link) = call.viewer.link(&call.circuit()) else {
                let name = call.circuit();
                return Err(Failure::Error(format!("no circuit `{name}` is open")));
            };
            let size = Value::count(bytes.len());
            link.raw(bytes);
            Ok(Value::map([("size", size)]))
        })
    },
};

/// Hex as bytes; blanks and the hyphens of ids are ignored.
fn bytes_of(text: Option<String>) -> Result<Vec<u8>, Failure> {
    let text = text.unwrap_or_default();
    let compact: String = text.split_whitespace().collect::<String>().replace('-', "");
    hex::decode(&compact).map_err(|error| Failure::unfit(format!("`hex`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, inside, said, silent, unasked};

    #[test]
    fn bytes_are_sent_as_they_are() {
        // StartPingCheck as number 900.
        let line = r#"do = "udp.raw", hex = "00 00000384 00 01 05", tail = "00", tail_times = 4"#;
        let (ended, told) = inside(unasked, silent, line);
        assert_eq!(ended.unwrap().get("size"), Some(&Value::integer(12)));
        assert!(told.iter().any(|told| told.name() == "StartPingCheck"));
        let odd = said(hearing(|_| {}, r#"do = "udp.raw", hex = "0""#));
        assert!(odd.starts_with("precondition: `hex`"), "{odd}");
    }
}
