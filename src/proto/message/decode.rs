//! From a datagram to a view of its message.
//!
//! Verdicts where implementations differ are strict: a cut field, a missing Single or Multiple
//! block, an empty body, a zero run without its count and an expansion above 8192 bytes are
//! refused; trailing bytes and omitted trailing Variable blocks are accepted, because newer
//! templates append blocks. Extra header bytes stand after the message number, inside the zero
//! coding, as the viewer and hippolyzer place them.

use super::{Acks, FieldRef, Flags, Header, appended, field, header, zerocode};
use crate::proto::id::Sequence;
use crate::proto::template::{BlockDef, MessageDef, Quantity, Template};
use std::sync::Arc;

/// Why a datagram is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer than seven bytes.
    #[error("datagram shorter than 7 bytes")]
    TooShort,
    /// The trailer claims more acks than there is room for.
    #[error("ack trailer overlaps header or message number")]
    AckOverlap,
    /// A zero run marker is the last byte.
    #[error("zero run marker without count at end of body")]
    DanglingZero,
    /// The zero-coded body expands beyond the bound.
    #[error("zero-coded body expands beyond 8192 bytes")]
    TooLarge,
    /// The message number is cut.
    #[error("truncated message number")]
    NumberCut,
    /// No message of the template has this number.
    #[error("unknown message number")]
    UnknownNumber,
    /// The extra header bytes are not all there.
    #[error("extra header bytes extend beyond end")]
    ExtraOverlap,
    /// A message that has blocks has no body at all.
    #[error("no body bytes for a message that has blocks")]
    NoBody,
    /// The data ends where a Single or Multiple block should start.
    #[error("ends before {quantity} block {block}")]
    MissingBlock {
        /// `Single` or `Multiple`.
        quantity: &'static str,
        /// The block's name.
        block: Box<str>,
    },
    /// The data ends inside a field.
    #[error("truncated in {block}[{instance}].{field}{}", if *.in_length { " length" } else { "" })]
    Truncated {
        /// The block's name.
        block: Box<str>,
        /// Which instance of the block, from 0.
        instance: usize,
        /// The field's name.
        field: Box<str>,
        /// Whether the length prefix itself is cut.
        in_length: bool,
    },
}

/// Decodes datagrams one after another, reusing its buffers.
#[derive(Debug, Default)]
pub struct Decoder {
    tolerant: bool,
    expanded: Vec<u8>,
    layout: Layout,
}

/// Where the instances of each block start in the body.
#[derive(Debug, Default)]
struct Layout {
    /// Per block: index of its first start, and how many instances.
    blocks: Vec<(usize, usize)>,
    starts: Vec<usize>,
    /// How many blocks the datagram holds; the others were left out at its end.
    present: usize,
}

impl Decoder {
    /// A decoder with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder for an end that lives with old peers: Single and Multiple blocks missing at the
    /// end are taken as absent, because peers with older templates leave them out.
    pub fn tolerant() -> Self {
        Self { tolerant: true, ..Self::default() }
    }

    /// Decodes one datagram. The view borrows the datagram, the template and this decoder.
    ///
    /// # Errors
    /// Which block, instance and field went wrong, and how.
    #[inline]
    pub fn decode<'a>(
        &'a mut self,
        template: &'a Template,
        datagram: &'a [u8],
    ) -> Result<Packet<'a>, DecodeError> {
        let (header, extra_len, coded, acks) = header::split(datagram)?;
        let plain: &[u8] = if header.flags.has(Flags::ZEROCODED) {
            zerocode::expand(coded, &mut self.expanded)?;
            &self.expanded
        } else {
            coded
        };
        let (def, number_len) = template.lookup(plain).map_err(|cut| match cut {
            true => DecodeError::NumberCut,
            false => DecodeError::UnknownNumber,
        })?;
        let rest = &plain[number_len..];
        let extra = rest.get(..extra_len).ok_or(DecodeError::ExtraOverlap)?;
        let body = &rest[extra_len..];
        if body.is_empty() && !def.blocks.is_empty() {
            return Err(DecodeError::NoBody);
        }
        let used = self.layout.measure(def, body, self.tolerant)?;
        let trailing = body.len() - used;
        Ok(Packet { header, acks, extra, def, body, layout: &self.layout, trailing })
    }

    /// Whether a datagram that does not decode would if its trailer of acks were zero-coded along
    /// with its body: a mistake that simulators have made.
    pub fn has_coded_trailer(&mut self, template: &Template, datagram: &[u8]) -> bool {
        let flags = Flags(datagram.first().copied().unwrap_or_default());
        if datagram.len() < super::MIN_DATAGRAM || !flags.has(Flags::ZEROCODED.with(Flags::ACK)) {
            return false;
        }
        let (head, coded) = datagram.split_at(super::HEADER_LEN);
        let mut plain = Vec::new();
        if zerocode::expand(coded, &mut plain).is_err() {
            return false;
        }
        let mut all = head.to_vec();
        all[0] = flags.without(Flags::ZEROCODED).0;
        all.extend(plain);
        self.decode(template, &all).is_ok_and(|packet| packet.trailing == 0)
    }
}

impl Layout {
    #[inline]
    fn measure(
        &mut self,
        def: &MessageDef,
        body: &[u8],
        tolerant: bool,
    ) -> Result<usize, DecodeError> {
        self.blocks.clear();
        self.starts.clear();
        self.present = 0;
        let mut at = 0;
        for block in &def.blocks {
            let ended = at >= body.len();
            self.present += usize::from(!ended);
            let count = match block.quantity {
                Quantity::Variable if ended => 0,
                Quantity::Variable => {
                    at += 1;
                    usize::from(body[at - 1])
                }
                _ if ended && tolerant => 0,
                _ if ended => return Err(missing(block)),
                Quantity::Single => 1,
                Quantity::Multiple(n) => usize::from(n),
            };
            self.blocks.push((self.starts.len(), count));
            for instance in 0..count {
                self.starts.push(at);
                at += measure_instance(block, &body[at..])
                    .ok_or_else(|| truncated(block, instance, &body[at..]))?;
            }
        }
        Ok(at)
    }
}

#[inline]
fn measure_instance(block: &BlockDef, b: &[u8]) -> Option<usize> {
    if let Some(len) = block.fixed_len {
        return (len <= b.len()).then_some(len);
    }
    let mut at = 0;
    for &(run, prefix) in &block.strides {
        at += run;
        let len = match prefix {
            1 => usize::from(*b.get(at)?),
            _ => usize::from(u16::from_le_bytes(*b.get(at..)?.first_chunk()?)),
        };
        at += prefix + len;
    }
    at += block.rest_len;
    (at <= b.len()).then_some(at)
}

#[cold]
fn missing(block: &BlockDef) -> DecodeError {
    let quantity = match block.quantity {
        Quantity::Multiple(_) => "Multiple",
        _ => "Single",
    };
    DecodeError::MissingBlock { quantity, block: block.name.clone() }
}

#[cold]
fn truncated(block: &BlockDef, instance: usize, b: &[u8]) -> DecodeError {
    let mut at = 0;
    for field in &block.fields {
        let rest = b.get(at..).unwrap_or_default();
        match field::read(field.kind, rest) {
            Some((_, len)) => at += len,
            None => {
                let prefix = match field.kind {
                    crate::proto::template::FieldKind::Variable1 => 1,
                    crate::proto::template::FieldKind::Variable2 => 2,
                    _ => 0,
                };
                return DecodeError::Truncated {
                    block: block.name.clone(),
                    instance,
                    field: field.name.clone(),
                    in_length: rest.len() < prefix,
                };
            }
        }
    }
    DecodeError::NoBody
}

/// A decoded datagram: a view over its bytes, already checked to the last field.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Flags and sequence number.
    pub header: Header,
    /// The appended acks.
    pub acks: Acks<'a>,
    /// The extra header bytes: none in all normal traffic.
    pub extra: &'a [u8],
    /// Which message it is.
    pub def: &'a Arc<MessageDef>,
    /// Bytes after the last block: newer blocks than the template knows, or junk.
    pub trailing: usize,
    body: &'a [u8],
    layout: &'a Layout,
}

impl<'a> Packet<'a> {
    /// The message's name.
    pub fn name(&self) -> &'a str {
        &self.def.name
    }

    /// Whether the zero-coded part of these bytes, which it was decoded from, has a run of no
    /// zeros.
    pub fn has_empty_run(&self, bytes: &[u8]) -> bool {
        let acks =
            if self.header.flags.has(super::Flags::ACK) { 4 * self.acks.len() + 1 } else { 0 };
        let from = super::HEADER_LEN + self.extra.len();
        let coded = bytes.get(from..bytes.len().saturating_sub(acks)).unwrap_or_default();
        self.header.flags.has(super::Flags::ZEROCODED) && super::zerocode::has_empty_run(coded)
    }

    /// The bytes of all blocks and what trails them.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// How many bytes stand behind its last block that are of no block that any template is known
    /// to append there.
    pub fn unexplained(&self) -> usize {
        appended::unknown(self.name(), &self.body[self.body.len() - self.trailing..])
    }

    /// How many blocks the datagram holds: trailing ones may be left out.
    pub fn present(&self) -> usize {
        self.layout.present
    }

    /// Every number it acknowledges: appended, and in the body of a PacketAck.
    pub fn acknowledged(&self) -> impl Iterator<Item = Sequence> + use<'a> {
        let acks = self.name() == "PacketAck";
        let body = self.blocks().filter(move |_| acks).flat_map(|block| block.instances());
        self.acks.iter().chain(body.filter_map(|instance| match instance.fields().next() {
            Some((_, super::Field::U32(sequence))) => Some(Sequence(sequence)),
            _ => None,
        }))
    }

    /// Every block in wire order.
    #[inline]
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = BlockView<'a>> + use<'a> {
        let (def, body, layout) = (self.def, self.body, self.layout);
        def.blocks.iter().zip(&layout.blocks).map(move |(def, &(first, count))| BlockView {
            def,
            body,
            starts: &layout.starts[first..first + count],
        })
    }

    /// The first field of that name in the first instance of that block.
    pub fn field(&self, block: &str, field: &str) -> Option<FieldRef<'a>> {
        let view = self.blocks().find(|b| &*b.def.name == block)?;
        let first = view.instances().next()?;
        first.fields().find(|(def, _)| &*def.name == field).map(|(_, value)| value)
    }

    /// The field as an id.
    pub fn uuid(&self, block: &str, field: &str) -> Option<uuid::Uuid> {
        match self.field(block, field)? {
            super::Field::Uuid(v) => Some(v),
            _ => None,
        }
    }

    /// The field as an unsigned number.
    pub fn u32(&self, block: &str, field: &str) -> Option<u32> {
        match self.field(block, field)? {
            super::Field::U32(v) => Some(v),
            super::Field::U8(v) => Some(u32::from(v)),
            super::Field::U16(v) | super::Field::IpPort(v) => Some(u32::from(v)),
            _ => None,
        }
    }
}

/// All instances of one block.
#[derive(Clone, Copy, Debug)]
pub struct BlockView<'a> {
    /// The block's definition.
    pub def: &'a BlockDef,
    body: &'a [u8],
    starts: &'a [usize],
}

impl<'a> BlockView<'a> {
    /// The instances in wire order.
    #[inline]
    pub fn instances(&self) -> impl ExactSizeIterator<Item = Instance<'a>> + use<'a> {
        let (def, body) = (self.def, self.body);
        self.starts.iter().map(move |&at| Instance { def, rest: &body[at..] })
    }
}

/// One instance of a block.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a> {
    /// The block's definition.
    pub def: &'a BlockDef,
    rest: &'a [u8],
}

impl<'a> Instance<'a> {
    /// Every field in wire order.
    #[inline]
    pub fn fields(
        &self,
    ) -> impl Iterator<Item = (&'a crate::proto::template::FieldDef, FieldRef<'a>)> + use<'a> {
        let mut rest = self.rest;
        self.def.fields.iter().map_while(move |def| {
            let (value, len) = field::read(def.kind, rest)?;
            rest = &rest[len..];
            Some((def, value))
        })
    }
}
