//! The message template: which UDP messages exist and how their bytes are laid out.
//!
//! A [`Template`] is parsed once from text and compiled into tables, so that finding a message by
//! its wire number is an array index and walking a message is a walk over contiguous slices.

mod parse;
mod print;

pub use parse::ParseError;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The template shipped with the program, as text.
pub const SHIPPED: &str = include_str!("../../../message_template.msg");

/// How often a message was once expected to be sent; decides the width of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frequency {
    /// One byte on the wire, 1..=254.
    High,
    /// `FF` and one byte, 1..=254.
    Medium,
    /// `FF FF` and a big-endian 16-bit number.
    Low,
    /// Four bytes written in full, `FFFFFFFA` and above.
    Fixed,
}

/// The words that may end a message's header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deprecation {
    /// No longer part of the protocol.
    Deprecated,
    /// Still accepted by UDP, preferably sent over HTTP.
    UdpDeprecated,
    /// A viewer refuses it when it comes by UDP.
    UdpBlackListed,
}

/// How many instances of a block a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Exactly one, no count on the wire.
    Single,
    /// Exactly this many, no count on the wire.
    Multiple(u8),
    /// 0 to 255, preceded by one count byte.
    Variable,
}

/// The type of a field. Sizes are in bytes; numbers are little-endian unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Unsigned 8 bits.
    U8,
    /// Unsigned 16 bits.
    U16,
    /// Unsigned 32 bits.
    U32,
    /// Unsigned 64 bits.
    U64,
    /// Signed 8 bits.
    S8,
    /// Signed 16 bits.
    S16,
    /// Signed 32 bits.
    S32,
    /// Signed 64 bits.
    S64,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 64 bits.
    F64,
    /// One byte, zero is false.
    Bool,
    /// 16 bytes in text order.
    Uuid,
    /// Three F32.
    Vector3,
    /// Three F64.
    Vector3d,
    /// Four F32.
    Vector4,
    /// Three F32: x, y, z of a unit quaternion whose w is not negative.
    Quaternion,
    /// Four octets in dotted order.
    IpAddr,
    /// A big-endian 16-bit port: the only big-endian field.
    IpPort,
    /// This many raw bytes.
    Fixed(u16),
    /// Raw bytes after a one-byte length.
    Variable1,
    /// Raw bytes after a two-byte length.
    Variable2,
}

impl FieldKind {
    /// Bytes on the wire, `None` where a length prefix decides.
    pub const fn wire_len(self) -> Option<usize> {
        Some(match self {
            Self::U8 | Self::S8 | Self::Bool => 1,
            Self::U16 | Self::S16 | Self::IpPort => 2,
            Self::U32 | Self::S32 | Self::F32 | Self::IpAddr => 4,
            Self::U64 | Self::S64 | Self::F64 => 8,
            Self::Vector3 | Self::Quaternion => 12,
            Self::Uuid | Self::Vector4 => 16,
            Self::Vector3d => 24,
            Self::Fixed(n) => n as usize,
            Self::Variable1 | Self::Variable2 => return None,
        })
    }
}

/// One field of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDef {
    /// The field's name, unique within its block.
    pub name: Box<str>,
    /// The field's type.
    pub kind: FieldKind,
}

/// One block of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockDef {
    /// The block's name, unique within its message.
    pub name: Box<str>,
    /// How many instances there are.
    pub quantity: Quantity,
    /// The fields in wire order.
    pub fields: Box<[FieldDef]>,
    /// Bytes of one instance, `None` where a field has a length prefix.
    pub fixed_len: Option<usize>,
    /// How to step over an instance: bytes up to a length prefix, and the prefix's own width.
    pub(crate) strides: Box<[(usize, usize)]>,
    /// Bytes behind the last length-prefixed field.
    pub(crate) rest_len: usize,
}

impl BlockDef {
    pub(crate) fn new(name: &str, quantity: Quantity, fields: Vec<FieldDef>) -> Self {
        let mut strides = Vec::new();
        let mut run = 0;
        for field in &fields {
            match field.kind.wire_len() {
                Some(len) => run += len,
                None => {
                    let prefix = if field.kind == FieldKind::Variable2 { 2 } else { 1 };
                    strides.push((std::mem::take(&mut run), prefix));
                }
            }
        }
        let fixed_len = strides.is_empty().then_some(run);
        let (name, fields) = (name.into(), fields.into());
        Self { name, quantity, fields, fixed_len, strides: strides.into(), rest_len: run }
    }

    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&FieldDef> {
        self.fields.iter().find(|f| &*f.name == name)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageDef {
    /// The message's name, unique in its template.
    pub name: Box<str>,
    /// The class of its number.
    pub frequency: Frequency,
    /// The number as the template writes it; for Fixed the whole 32 bits.
    pub number: u32,
    /// Only a simulator may send it.
    pub trusted: bool,
    /// Senders zero-code it where that makes it smaller.
    pub zerocoded: bool,
    /// The deprecation word, where there is one.
    pub deprecation: Option<Deprecation>,
    /// The blocks in wire order.
    pub blocks: Box<[BlockDef]>,
    wire_number: [u8; 4],
    wire_number_len: u8,
}

impl MessageDef {
    /// The bytes that stand for this message in a datagram.
    pub fn wire_number(&self) -> &[u8] {
        &self.wire_number[..usize::from(self.wire_number_len)]
    }

    /// A block by name.
    pub fn block(&self, name: &str) -> Option<&BlockDef> {
        self.blocks.iter().find(|b| &*b.name == name)
    }

    fn encode_number(frequency: Frequency, number: u32) -> ([u8; 4], u8) {
        let [.., low] = number.to_be_bytes();
        match frequency {
            Frequency::High => ([low, 0, 0, 0], 1),
            Frequency::Medium => ([0xFF, low, 0, 0], 2),
            Frequency::Low => ((0xFFFF_0000 | number).to_be_bytes(), 4),
            Frequency::Fixed => (number.to_be_bytes(), 4),
        }
    }
}

/// All messages, with the tables to find them.
#[derive(Debug)]
pub struct Template {
    version: String,
    messages: Vec<Arc<MessageDef>>,
    by_name: HashMap<Box<str>, u16>,
    high: Box<[u16; 256]>,
    medium: Box<[u16; 256]>,
    low: Vec<u16>,
}

const NONE: u16 = u16::MAX;

impl Template {
    /// Parses template text. Every error names line and column.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// The template shipped with the program.
    pub fn shipped() -> &'static Arc<Self> {
        static SHIPPED_TEMPLATE: OnceLock<Arc<Template>> = OnceLock::new();
        SHIPPED_TEMPLATE.get_or_init(|| {
            Arc::new(Self::parse(SHIPPED).expect("a unit test parses the shipped template"))
        })
    }

    /// The version the text declares.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All messages in file order.
    pub fn messages(&self) -> &[Arc<MessageDef>] {
        &self.messages
    }

    /// A message by name.
    pub fn message(&self, name: &str) -> Option<&Arc<MessageDef>> {
        self.by_name.get(name).map(|&i| &self.messages[usize::from(i)])
    }

    /// The message whose number starts `body`, and the length of that number.
    /// `Err(true)` if the number is cut short, `Err(false)` if it is unknown.
    #[inline]
    pub(crate) fn lookup(&self, body: &[u8]) -> Result<(&Arc<MessageDef>, usize), bool> {
        let (index, len) = match *body {
            [] => return Err(true),
            [0xFF] => return Err(true),
            [0xFF, 0xFF, a, b, ..] => {
                let index = self.low.get(usize::from(u16::from_be_bytes([a, b])));
                (index.copied().unwrap_or(NONE), 4)
            }
            [0xFF, 0xFF, ..] => return Err(true),
            [0xFF, n, ..] => (self.medium[usize::from(n)], 2),
            [n, ..] => (self.high[usize::from(n)], 1),
        };
        match self.messages.get(usize::from(index)) {
            Some(message) => Ok((message, len)),
            None => Err(false),
        }
    }

    fn compile(version: String, messages: Vec<MessageDef>) -> Self {
        let mut template = Self {
            version,
            messages: Vec::with_capacity(messages.len()),
            by_name: HashMap::with_capacity(messages.len()),
            high: Box::new([NONE; 256]),
            medium: Box::new([NONE; 256]),
            low: vec![NONE; 1 << 16],
        };
        for (index, message) in (0..NONE).zip(messages) {
            let slot = match message.frequency {
                Frequency::High => &mut template.high[message.number as usize & 0xFF],
                Frequency::Medium => &mut template.medium[message.number as usize & 0xFF],
                // A Fixed number is a Low one above 0xFF00, so one table serves both.
                Frequency::Low | Frequency::Fixed => {
                    &mut template.low[message.number as usize & 0xFFFF]
                }
            };
            *slot = index;
            template.by_name.insert(message.name.clone(), index);
            template.messages.push(Arc::new(message));
        }
        template
    }
}
