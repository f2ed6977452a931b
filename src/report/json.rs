//! Records as JSON: each says its `format`.

use serde::Serialize;

/// A record, indented, with a line end.
pub fn json(record: &impl Serialize) -> Vec<u8> {
    // Records hold nothing that JSON cannot: their maps have text keys, their numbers are finite.
    let mut bytes = serde_json::to_vec_pretty(record).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
