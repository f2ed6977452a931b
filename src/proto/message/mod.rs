//! UDP datagrams: header, zero coding, and messages by template.
//!
//! [`Decoder`] turns a datagram into a [`Packet`], a view that borrows the bytes; [`Encoder`] does
//! the reverse into a buffer it reuses. [`Message`] is the owned form that scripts build and keep.

mod appended;
mod decode;
mod encode;
mod field;
mod header;
mod owned;
mod zerocode;

pub use decode::{BlockView, DecodeError, Decoder, Instance, Packet};
pub(crate) use encode::append_acks;
pub use encode::{EncodeError, Encoder};
pub use field::{Field, FieldRef, FieldValue};
pub use header::{Acks, Flags, Header, datagram_row};
pub use owned::{Datagram, Message, Row};
pub(crate) use zerocode::zero_coded;

/// The smallest datagram that can hold a message.
pub const MIN_DATAGRAM: usize = 7;
/// Bytes before the message number.
pub const HEADER_LEN: usize = 6;
/// A zero-coded datagram may expand to this many bytes, as in the viewer's buffer.
pub const MAX_EXPANDED: usize = 8192;
/// The largest payload of a UDP datagram over IPv4.
pub const MAX_DATAGRAM: usize = 65507;
