//! Blocks that other templates append to messages of ours: readers pass over them.

/// A message, and how long each row of the Variable block is that stands behind its last one.
const APPENDED: [(&str, usize); 1] = [
    // OpenSimulator's Size: SizeX and SizeY, U16 each (LLClientView.cs SendMapBlock).
    ("MapBlockReply", 4),
];

/// How many of the bytes behind the last block of a message are of no block that is known.
pub(super) fn unknown(message: &str, tail: &[u8]) -> usize {
    let row = APPENDED.iter().find(|(name, _)| *name == message).map(|(_, row)| *row);
    match (row, tail) {
        (Some(row), [count, rows @ ..]) if rows.len() == usize::from(*count) * row => 0,
        _ => tail.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_known_is_whole() {
        assert_eq!(unknown("MapBlockReply", &[0]), 0);
        assert_eq!(unknown("MapBlockReply", &[1, 0, 1, 0, 1]), 0);
        assert_eq!(unknown("MapBlockReply", &[1, 0, 1]), 3);
        assert_eq!(unknown("PacketAck", &[0]), 1);
        assert_eq!(unknown("PacketAck", &[]), 0);
    }
}
