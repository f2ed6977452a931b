//! A message that owns its fields: what scripts build, send and keep.

use super::{DecodeError, Decoder, EncodeError, Encoder, Field, FieldValue, Flags, Header, Packet};
use crate::proto::id::Sequence;
use crate::proto::template::{BlockDef, MessageDef, Quantity, Template};
use std::sync::Arc;
use uuid::Uuid;

/// One message with all its blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its definition.
    pub def: Arc<MessageDef>,
    /// Block, instance, field, each in wire order. Trailing Variable blocks may be left out, on
    /// the wire as here.
    pub blocks: Vec<Vec<Vec<FieldValue>>>,
}

impl Message {
    /// A message of zeros: every Single and Multiple block there, every Variable block empty.
    pub fn zero(def: &Arc<MessageDef>) -> Self {
        let blocks = def.blocks.iter().map(|block| {
            let count = match block.quantity {
                Quantity::Single => 1,
                Quantity::Multiple(n) => usize::from(n),
                Quantity::Variable => 0,
            };
            vec![block.fields.iter().map(|f| FieldValue::zero(f.kind)).collect(); count]
        });
        Self { blocks: blocks.collect(), def: def.clone() }
    }

    /// A message of zeros by name.
    ///
    /// # Panics
    /// If the template has no such message: for names that stand in this program's own code,
    /// which tests keep in step with the shipped template.
    pub fn named(template: &Template, name: &str) -> Self {
        let def = template.message(name);
        Self::zero(def.unwrap_or_else(|| panic!("the template has no message {name}")))
    }

    /// Sets a field in the last instance of a block, adding one to an empty Variable block.
    ///
    /// # Panics
    /// If there is no such block or field, as [`named`](Self::named) does.
    pub fn with(mut self, block: &str, field: &str, value: FieldValue) -> Self {
        let at = self.def.blocks.iter().position(|b| &*b.name == block);
        let at = at.unwrap_or_else(|| panic!("{} has no block {block}", self.def.name));
        if self.blocks[at].is_empty() {
            self = self.with_block(block);
        }
        let index = self.def.blocks[at].fields.iter().position(|f| &*f.name == field);
        let index = index.unwrap_or_else(|| panic!("{block} has no field {field}"));
        if let Some(instance) = self.blocks[at].last_mut() {
            instance[index] = value;
        }
        self
    }

    /// Adds an instance of zeros to a block.
    pub fn with_block(mut self, block: &str) -> Self {
        if let Some(at) = self.def.blocks.iter().position(|b| &*b.name == block) {
            let zero = self.def.blocks[at].fields.iter().map(|f| FieldValue::zero(f.kind));
            self.blocks[at].push(zero.collect());
        }
        self
    }

    /// The message's name.
    pub fn name(&self) -> &str {
        &self.def.name
    }

    /// The instances of a block, each its fields in order; none of a block that is not there.
    pub fn instances(&self, block: &str) -> &[Vec<FieldValue>] {
        let at = self.def.blocks.iter().position(|b| &*b.name == block);
        at.and_then(|at| self.blocks.get(at)).map_or(&[], Vec::as_slice)
    }

    /// The instances of a block with their fields by name; none of a block that is not there.
    pub fn rows(&self, block: &str) -> impl Iterator<Item = Row<'_>> {
        let at = self.def.blocks.iter().position(|b| &*b.name == block);
        let found = at.and_then(|at| Some((&self.def.blocks[at], self.blocks.get(at)?)));
        found.into_iter().flat_map(|(def, all)| all.iter().map(move |fields| Row { def, fields }))
    }

    /// A field of the first instance of a block.
    pub fn field(&self, block: &str, field: &str) -> Option<&FieldValue> {
        let at = self.def.blocks.iter().position(|b| &*b.name == block)?;
        let index = self.def.blocks[at].fields.iter().position(|f| &*f.name == field)?;
        self.blocks.get(at)?.first()?.get(index)
    }

    /// The field as an id.
    pub fn uuid(&self, block: &str, field: &str) -> Option<Uuid> {
        match self.field(block, field)? {
            Field::Uuid(v) => Some(*v),
            _ => None,
        }
    }

    /// The field as an unsigned number of at most 32 bits.
    pub fn u32(&self, block: &str, field: &str) -> Option<u32> {
        match self.field(block, field)? {
            Field::U8(v) => Some(u32::from(*v)),
            Field::U16(v) | Field::IpPort(v) => Some(u32::from(*v)),
            Field::U32(v) => Some(*v),
            _ => None,
        }
    }

    /// The field as text, without the NUL that ends it.
    pub fn text(&self, block: &str, field: &str) -> Option<String> {
        match self.field(block, field)? {
            Field::Variable(bytes) => {
                let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        }
    }

    /// Encodes the message. Whether the header's ZEROCODED is obeyed to the letter or only where
    /// it makes the datagram smaller is for the caller to say.
    ///
    /// # Errors
    /// A value that does not fit its field, or a message larger than a datagram.
    pub fn encode<'e>(
        &self,
        encoder: &'e mut Encoder,
        header: Header,
        acks: &[Sequence],
        smallest: bool,
    ) -> Result<&'e [u8], EncodeError> {
        self.body(encoder, header, &[])?;
        match smallest {
            true => encoder.finish_smallest(acks),
            false => encoder.finish(acks),
        }
    }

    fn body(&self, encoder: &mut Encoder, header: Header, extra: &[u8]) -> Result<(), EncodeError> {
        encoder.start(header, extra, &self.def)?;
        for (def, instances) in self.def.blocks.iter().zip(&self.blocks) {
            encoder.block(def, instances.len())?;
            for fields in instances {
                for (def, value) in def.fields.iter().zip(fields) {
                    encoder.field(def, value.borrowed())?;
                }
            }
        }
        Ok(())
    }
}

/// One instance of a block. A field that is not there, or is of another kind, is zero.
#[derive(Clone, Copy, Debug)]
pub struct Row<'m> {
    def: &'m BlockDef,
    fields: &'m [FieldValue],
}

impl<'m> Row<'m> {
    /// A field as it is.
    pub fn field(&self, name: &str) -> Option<&'m FieldValue> {
        self.fields.get(self.def.fields.iter().position(|f| &*f.name == name)?)
    }

    /// A field as an id.
    pub fn id(&self, name: &str) -> Uuid {
        match self.field(name) {
            Some(Field::Uuid(id)) => *id,
            _ => Uuid::nil(),
        }
    }

    /// A field as a number of the type that is wanted; 0 where it does not fit.
    pub fn int<T: TryFrom<i64> + Default>(&self, name: &str) -> T {
        T::try_from(self.number(name)).unwrap_or_default()
    }

    /// A field as a number of at most 32 bits; true is one.
    pub fn number(&self, name: &str) -> i64 {
        match self.field(name) {
            Some(Field::U32(n)) => i64::from(*n),
            Some(Field::S32(n)) => i64::from(*n),
            Some(Field::U16(n) | Field::IpPort(n)) => i64::from(*n),
            Some(Field::S16(n)) => i64::from(*n),
            Some(Field::U8(n)) => i64::from(*n),
            Some(Field::S8(n)) => i64::from(*n),
            Some(Field::Bool(b)) => i64::from(*b),
            _ => 0,
        }
    }

    /// A field as text, without the NUL that ends it.
    pub fn text(&self, name: &str) -> String {
        match self.field(name) {
            Some(Field::Variable(bytes)) => {
                let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
                String::from_utf8_lossy(text).into_owned()
            }
            _ => String::new(),
        }
    }
}

impl Packet<'_> {
    /// The message, owned.
    pub fn to_message(&self) -> Message {
        let blocks = self.blocks().take(self.present()).map(|block| {
            let instances = block.instances();
            instances.map(|i| i.fields().map(|(_, value)| value.to_value()).collect()).collect()
        });
        Message { def: self.def.clone(), blocks: blocks.collect() }
    }
}

/// A whole datagram, owned: what `decode` prints and `encode` reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Datagram {
    /// Flags and sequence number.
    pub header: Header,
    /// Appended acks in wire order.
    pub acks: Vec<Sequence>,
    /// Extra header bytes.
    pub extra: Vec<u8>,
    /// The message.
    pub message: Message,
}

impl Datagram {
    /// Decodes a datagram.
    ///
    /// # Errors
    /// Which block, instance and field went wrong, and how.
    pub fn decode(template: &Template, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new();
        let packet = decoder.decode(template, bytes)?;
        Ok(Self {
            header: packet.header,
            acks: packet.acks.iter().collect(),
            extra: packet.extra.to_vec(),
            message: packet.to_message(),
        })
    }

    /// Every number it acknowledges: appended, and in the body of a PacketAck.
    pub fn acknowledged(&self) -> impl Iterator<Item = Sequence> {
        let rows = self.message.rows("Packets").filter(|_| self.message.name() == "PacketAck");
        self.acks.iter().copied().chain(rows.map(|row| Sequence(row.int("ID"))))
    }

    /// Encodes the datagram, flags to the letter. The ACK flag is set if there are acks.
    ///
    /// # Errors
    /// A value that does not fit its field, or a message larger than a datagram.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut header = self.header;
        if !self.acks.is_empty() {
            header.flags = header.flags.with(Flags::ACK);
        }
        let mut encoder = Encoder::new();
        self.message.body(&mut encoder, header, &self.extra)?;
        Ok(encoder.finish(&self.acks)?.to_vec())
    }
}
