//! From fields to a datagram.

use super::{FieldRef, Flags, HEADER_LEN, Header, field, zerocode};
use crate::proto::id::Sequence;
use crate::proto::template::{BlockDef, FieldDef, MessageDef, Quantity};

/// Why a message cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A block has the wrong number of instances.
    #[error("block {block} takes {takes}, not {found}")]
    Count {
        /// The block's name.
        block: Box<str>,
        /// How many it takes.
        takes: String,
        /// How many were given.
        found: usize,
    },
    /// A field holds a value of another type, or one too long.
    #[error("field {field} takes {takes}, and the value is of another type or too long")]
    Field {
        /// The field's name.
        field: Box<str>,
        /// The type it takes.
        takes: String,
    },
    /// More than 255 appended acks or extra bytes.
    #[error("{what}: at most 255, not {found}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many were given.
        found: usize,
    },
}

/// Writes datagrams one after another, reusing its buffers.
///
/// Call [`start`](Self::start), then for every block in order [`block`](Self::block) and its
/// fields with [`field`](Self::field), then [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct Encoder {
    plain: Vec<u8>,
    coded: Vec<u8>,
}

/// Acks as they stand behind a message: big-endian, their count last; at most 255.
pub(crate) fn append_acks(acks: &[Sequence], out: &mut Vec<u8>) {
    acks.iter().for_each(|ack| out.extend_from_slice(&ack.to_be_bytes()));
    out.push(one_byte(acks.len()));
}

/// A count that was seen to fit.
fn one_byte(count: usize) -> u8 {
    debug_assert!(count <= 255);
    u8::try_from(count).unwrap_or(u8::MAX)
}

impl Encoder {
    /// An encoder with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a datagram. `extra` are extra header bytes, which normal traffic never has.
    ///
    /// # Errors
    /// The header does not fit.
    #[inline]
    pub fn start(
        &mut self,
        header: Header,
        extra: &[u8],
        def: &MessageDef,
    ) -> Result<(), EncodeError> {
        if extra.len() > 255 {
            return Err(EncodeError::TooMany { what: "extra header bytes", found: extra.len() });
        }
        self.plain.clear();
        self.plain.push(header.flags.0);
        self.plain.extend_from_slice(&header.sequence.to_be_bytes());
        self.plain.push(one_byte(extra.len()));
        self.plain.extend_from_slice(def.wire_number());
        self.plain.extend_from_slice(extra);
        Ok(())
    }

    /// Begins a block of `count` instances.
    ///
    /// # Errors
    /// More instances than the block may have.
    #[inline]
    pub fn block(&mut self, def: &BlockDef, count: usize) -> Result<(), EncodeError> {
        let fits = match def.quantity {
            Quantity::Single => count == 1,
            Quantity::Multiple(n) => count == usize::from(n),
            Quantity::Variable => count <= 255,
        };
        if !fits {
            let takes = match def.quantity {
                Quantity::Single => "1 instance".to_owned(),
                Quantity::Multiple(n) => format!("{n} instances"),
                Quantity::Variable => "0 to 255 instances".to_owned(),
            };
            return Err(EncodeError::Count { block: def.name.clone(), takes, found: count });
        }
        if def.quantity == Quantity::Variable {
            self.plain.push(one_byte(count));
        }
        Ok(())
    }

    /// Writes the next field.
    ///
    /// # Errors
    /// A value of another type, or longer than the field may be.
    #[inline(always)]
    pub fn field(&mut self, def: &FieldDef, value: FieldRef<'_>) -> Result<(), EncodeError> {
        if field::write(def.kind, value, &mut self.plain) {
            return Ok(());
        }
        Err(EncodeError::Field { field: def.name.clone(), takes: def.kind.to_string() })
    }

    /// Ends the datagram: zero-codes it if the flag says so and appends the acks.
    ///
    /// # Errors
    /// The message is not whole, or larger than a datagram.
    #[inline]
    pub fn finish(&mut self, acks: &[Sequence]) -> Result<&[u8], EncodeError> {
        if acks.len() > 255 {
            return Err(EncodeError::TooMany { what: "appended acks", found: acks.len() });
        }
        let flags = Flags(self.plain[0]);
        let appended = flags.has(Flags::ACK);
        if !flags.has(Flags::ZEROCODED) {
            if appended {
                append_acks(acks, &mut self.plain);
            }
            return Ok(&self.plain);
        }
        let end = zerocode::compress(&self.plain[HEADER_LEN..], &mut self.coded, HEADER_LEN);
        self.coded[..HEADER_LEN].copy_from_slice(&self.plain[..HEADER_LEN]);
        if !appended {
            return Ok(&self.coded[..end]);
        }
        self.coded.truncate(end);
        append_acks(acks, &mut self.coded);
        Ok(&self.coded)
    }

    /// Like [`finish`](Self::finish), but zero-codes only where that makes the datagram smaller,
    /// as the viewer does; the flag then says what was done.
    ///
    /// # Errors
    /// The message is not whole, or larger than a datagram.
    pub fn finish_smallest(&mut self, acks: &[Sequence]) -> Result<&[u8], EncodeError> {
        let flags = Flags(self.plain[0]);
        if flags.has(Flags::ZEROCODED) {
            let coded = zerocode::compress(&self.plain[HEADER_LEN..], &mut self.coded, 0);
            if coded >= self.plain.len() - HEADER_LEN {
                self.plain[0] = flags.without(Flags::ZEROCODED).0;
            }
        }
        self.finish(acks)
    }
}
