//! The run record as JSON: `format` 1, documented at [`RunRecord`].

use crate::runner::RunRecord;

/// The record, indented, with a line end.
pub fn json(record: &RunRecord) -> Vec<u8> {
    // The record holds nothing that JSON cannot: its maps have text keys, its numbers are finite.
    let mut bytes = serde_json::to_vec_pretty(record).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
