//! The six bytes before the message number, and the ack trailer.

use super::{DecodeError, HEADER_LEN, MIN_DATAGRAM};
use crate::proto::id::Sequence;

/// The bits of byte 0. The low four are unused: sent as 0, ignored when received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Bytes from the message number to the end of the body are zero-coded.
    pub const ZEROCODED: Self = Self(0x80);
    /// The receiver must acknowledge the sequence number.
    pub const RELIABLE: Self = Self(0x40);
    /// A repetition of an earlier datagram with the same sequence number.
    pub const RESENT: Self = Self(0x20);
    /// An ack trailer is appended.
    pub const ACK: Self = Self(0x10);

    /// The names used in vectors and by `decode`, in bit order.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("ZEROCODED", Self::ZEROCODED),
        ("RELIABLE", Self::RELIABLE),
        ("RESENT", Self::RESENT),
        ("ACK", Self::ACK),
    ];

    /// Whether every bit of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and `other`.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags without `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Flags and sequence number of a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Byte 0.
    pub flags: Flags,
    /// The sequence number, big-endian on the wire.
    pub sequence: Sequence,
}

/// A datagram as a row of a timeline: number, name, flags, and what it acknowledges.
pub fn datagram_row(header: Header, name: &str, acks: impl Iterator<Item = Sequence>) -> String {
    const MOST: usize = 16;
    let mut text = format!("#{} {name}", header.sequence);
    for (flag, word) in [(Flags::RELIABLE, " reliable"), (Flags::RESENT, " RESENT")] {
        if header.flags.has(flag) {
            text.push_str(word);
        }
    }
    let acks: Vec<Sequence> = acks.collect();
    if !acks.is_empty() {
        text.push_str(" acks");
    }
    for ack in acks.iter().take(MOST) {
        text.push_str(&format!(" #{ack}"));
    }
    if acks.len() > MOST {
        text.push_str(&format!(" and {} more", acks.len() - MOST));
    }
    text
}

/// The appended acks of a datagram, in wire order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acks<'a>(&'a [u8]);

impl<'a> Acks<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The acknowledged numbers. Big-endian, unlike those in a `PacketAck` body.
    pub fn iter(&self) -> impl Iterator<Item = Sequence> + use<'a> {
        self.0.chunks_exact(4).map(|b| Sequence::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }
}

/// Splits a datagram into header, number of extra bytes, coded body and trailer.
#[inline]
pub(super) fn split(datagram: &[u8]) -> Result<(Header, usize, &[u8], Acks<'_>), DecodeError> {
    if datagram.len() < MIN_DATAGRAM {
        return Err(DecodeError::TooShort);
    }
    let header = Header {
        flags: Flags(datagram[0]),
        sequence: Sequence::from_be_bytes([datagram[1], datagram[2], datagram[3], datagram[4]]),
    };
    let extra = usize::from(datagram[5]);
    let mut end = datagram.len();
    let mut acks = Acks(&[]);
    if header.flags.has(Flags::ACK) {
        let count = usize::from(datagram[end - 1]);
        let trailer = 4 * count + 1;
        if datagram.len() < MIN_DATAGRAM + trailer {
            return Err(DecodeError::AckOverlap);
        }
        acks = Acks(&datagram[end - trailer..end - 1]);
        end -= trailer;
    }
    Ok((header, extra, &datagram[HEADER_LEN..end], acks))
}
