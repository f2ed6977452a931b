//! `udp.raw`: bytes on the wire as they are.

use super::{Failure, Kind, Returns, StepDef, key, need};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.raw",
    doc: "Sends a datagram as it is, malformed or not. The circuit knows nothing of it: choose a \
          sequence number that its own will not meet.",
    keys: &[
        need("hex", Kind::Text, "the bytes in hex; blanks are ignored"),
        key("circuit", Kind::Text, "the circuit; `root` if left out"),
    ],
    returns: Returns::Members(&[("size", "the datagram's size")]),
    within: Duration::ZERO,
    repeatable: false,
    run: |call| {
        Box::pin(async move {
            let text = call.args.text("hex").unwrap_or_default();
            let compact: String = text.split_whitespace().collect::<String>().replace('-', "");
            let bytes =
                hex::decode(&compact).map_err(|error| Failure::Error(format!("`hex`: {error}")))?;
            let Some(link) = call.viewer.links.get(&call.args.circuit()) else {
                let name = call.args.circuit();
                return Err(Failure::Error(format!("no circuit `{name}` is open")));
            };
            let size = Value::integer(bytes.len() as i64);
            link.raw(bytes);
            Ok(Value::map([("size", size)]))
        })
    },
};
