//! The value of one field, borrowed from a datagram or owned.

use crate::proto::template::FieldKind;
use uuid::Uuid;

/// The value of a field; `B` holds raw bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<B> {
    /// See [`FieldKind::U8`].
    U8(u8),
    /// See [`FieldKind::U16`].
    U16(u16),
    /// See [`FieldKind::U32`].
    U32(u32),
    /// See [`FieldKind::U64`].
    U64(u64),
    /// See [`FieldKind::S8`].
    S8(i8),
    /// See [`FieldKind::S16`].
    S16(i16),
    /// See [`FieldKind::S32`].
    S32(i32),
    /// See [`FieldKind::S64`].
    S64(i64),
    /// See [`FieldKind::F32`].
    F32(f32),
    /// See [`FieldKind::F64`].
    F64(f64),
    /// See [`FieldKind::Bool`].
    Bool(bool),
    /// See [`FieldKind::Uuid`].
    Uuid(Uuid),
    /// See [`FieldKind::Vector3`].
    Vector3([f32; 3]),
    /// See [`FieldKind::Vector3d`].
    Vector3d([f64; 3]),
    /// See [`FieldKind::Vector4`].
    Vector4([f32; 4]),
    /// See [`FieldKind::Quaternion`]: x, y, z.
    Quaternion([f32; 3]),
    /// See [`FieldKind::IpAddr`].
    IpAddr([u8; 4]),
    /// See [`FieldKind::IpPort`].
    IpPort(u16),
    /// See [`FieldKind::Fixed`].
    Fixed(B),
    /// See [`FieldKind::Variable1`] and [`FieldKind::Variable2`].
    Variable(B),
}

/// A value that borrows its bytes from a datagram.
pub type FieldRef<'a> = Field<&'a [u8]>;
/// A value that owns its bytes.
pub type FieldValue = Field<Vec<u8>>;

impl<B: AsRef<[u8]>> Field<B> {
    /// The same value, borrowed.
    #[inline]
    pub fn borrowed(&self) -> FieldRef<'_> {
        match self {
            Self::Fixed(b) => Field::Fixed(b.as_ref()),
            Self::Variable(b) => Field::Variable(b.as_ref()),
            other => other.plain(),
        }
    }

    /// The same value, owned.
    pub fn to_value(&self) -> FieldValue {
        match self {
            Self::Fixed(b) => Field::Fixed(b.as_ref().to_vec()),
            Self::Variable(b) => Field::Variable(b.as_ref().to_vec()),
            other => other.plain(),
        }
    }

    /// The value with another byte holder; the two kinds that hold bytes are handled by callers.
    #[inline]
    fn plain<C: Default>(&self) -> Field<C> {
        match *self {
            Self::U8(v) => Field::U8(v),
            Self::U16(v) => Field::U16(v),
            Self::U32(v) => Field::U32(v),
            Self::U64(v) => Field::U64(v),
            Self::S8(v) => Field::S8(v),
            Self::S16(v) => Field::S16(v),
            Self::S32(v) => Field::S32(v),
            Self::S64(v) => Field::S64(v),
            Self::F32(v) => Field::F32(v),
            Self::F64(v) => Field::F64(v),
            Self::Bool(v) => Field::Bool(v),
            Self::Uuid(v) => Field::Uuid(v),
            Self::Vector3(v) => Field::Vector3(v),
            Self::Vector3d(v) => Field::Vector3d(v),
            Self::Vector4(v) => Field::Vector4(v),
            Self::Quaternion(v) => Field::Quaternion(v),
            Self::IpAddr(v) => Field::IpAddr(v),
            Self::IpPort(v) => Field::IpPort(v),
            Self::Fixed(_) => Field::Fixed(C::default()),
            Self::Variable(_) => Field::Variable(C::default()),
        }
    }
}

impl FieldValue {
    /// What a field holds before anything is set: zeros, the null id, no bytes.
    pub fn zero(kind: FieldKind) -> Self {
        match kind {
            FieldKind::U8 => Self::U8(0),
            FieldKind::U16 => Self::U16(0),
            FieldKind::U32 => Self::U32(0),
            FieldKind::U64 => Self::U64(0),
            FieldKind::S8 => Self::S8(0),
            FieldKind::S16 => Self::S16(0),
            FieldKind::S32 => Self::S32(0),
            FieldKind::S64 => Self::S64(0),
            FieldKind::F32 => Self::F32(0.0),
            FieldKind::F64 => Self::F64(0.0),
            FieldKind::Bool => Self::Bool(false),
            FieldKind::Uuid => Self::Uuid(Uuid::nil()),
            FieldKind::Vector3 => Self::Vector3([0.0; 3]),
            FieldKind::Vector3d => Self::Vector3d([0.0; 3]),
            FieldKind::Vector4 => Self::Vector4([0.0; 4]),
            FieldKind::Quaternion => Self::Quaternion([0.0; 3]),
            FieldKind::IpAddr => Self::IpAddr([0; 4]),
            FieldKind::IpPort => Self::IpPort(0),
            FieldKind::Fixed(n) => Self::Fixed(vec![0; n.into()]),
            FieldKind::Variable1 | FieldKind::Variable2 => Self::Variable(Vec::new()),
        }
    }

    /// Text as it travels in a Variable field: UTF-8 with the NUL that ends it.
    pub fn text(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        Self::Variable(bytes)
    }
}

#[inline(always)]
fn f32s<const N: usize>(b: &[u8]) -> Option<[f32; N]> {
    let b = b.get(..4 * N)?;
    Some(std::array::from_fn(|i| {
        f32::from_le_bytes([b[4 * i], b[4 * i + 1], b[4 * i + 2], b[4 * i + 3]])
    }))
}

/// Reads the field of `kind` at the start of `b` and says how many bytes it took; `None` if cut.
#[inline(always)]
pub(super) fn read(kind: FieldKind, b: &[u8]) -> Option<(FieldRef<'_>, usize)> {
    Some(match kind {
        FieldKind::U8 => (Field::U8(*b.first()?), 1),
        FieldKind::U16 => (Field::U16(u16::from_le_bytes(*b.first_chunk()?)), 2),
        FieldKind::U32 => (Field::U32(u32::from_le_bytes(*b.first_chunk()?)), 4),
        FieldKind::U64 => (Field::U64(u64::from_le_bytes(*b.first_chunk()?)), 8),
        FieldKind::S8 => (Field::S8(b.first()?.cast_signed()), 1),
        FieldKind::S16 => (Field::S16(i16::from_le_bytes(*b.first_chunk()?)), 2),
        FieldKind::S32 => (Field::S32(i32::from_le_bytes(*b.first_chunk()?)), 4),
        FieldKind::S64 => (Field::S64(i64::from_le_bytes(*b.first_chunk()?)), 8),
        FieldKind::F32 => (Field::F32(f32::from_le_bytes(*b.first_chunk()?)), 4),
        FieldKind::F64 => (Field::F64(f64::from_le_bytes(*b.first_chunk()?)), 8),
        FieldKind::Bool => (Field::Bool(*b.first()? != 0), 1),
        FieldKind::Uuid => (Field::Uuid(Uuid::from_bytes(*b.first_chunk()?)), 16),
        FieldKind::Vector3 => (Field::Vector3(f32s(b)?), 12),
        FieldKind::Vector3d => {
            let b: &[u8; 24] = b.first_chunk()?;
            let double = |i: usize| std::array::from_fn(|n| b[8 * i + n]);
            (Field::Vector3d(std::array::from_fn(|i| f64::from_le_bytes(double(i)))), 24)
        }
        FieldKind::Vector4 => (Field::Vector4(f32s(b)?), 16),
        FieldKind::Quaternion => (Field::Quaternion(f32s(b)?), 12),
        FieldKind::IpAddr => (Field::IpAddr(*b.first_chunk()?), 4),
        FieldKind::IpPort => (Field::IpPort(u16::from_be_bytes(*b.first_chunk()?)), 2),
        FieldKind::Fixed(n) => (Field::Fixed(b.get(..usize::from(n))?), usize::from(n)),
        FieldKind::Variable1 => {
            let len = usize::from(*b.first()?);
            (Field::Variable(b.get(1..=len)?), 1 + len)
        }
        FieldKind::Variable2 => {
            let len = usize::from(u16::from_le_bytes(*b.first_chunk()?));
            (Field::Variable(b.get(2..2 + len)?), 2 + len)
        }
    })
}

/// Writes `value` as `kind`; false if it is of another kind or too long for its length prefix.
#[inline(always)]
pub(super) fn write(kind: FieldKind, value: FieldRef<'_>, out: &mut Vec<u8>) -> bool {
    match (kind, value) {
        (FieldKind::U8, Field::U8(v)) => out.push(v),
        (FieldKind::S8, Field::S8(v)) => out.push(v.cast_unsigned()),
        (FieldKind::Bool, Field::Bool(v)) => out.push(u8::from(v)),
        (FieldKind::U16, Field::U16(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (FieldKind::S16, Field::S16(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (FieldKind::U32, Field::U32(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (FieldKind::S32, Field::S32(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (FieldKind::U64, Field::U64(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (FieldKind::S64, Field::S64(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (FieldKind::F32, Field::F32(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (FieldKind::F64, Field::F64(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (FieldKind::Uuid, Field::Uuid(v)) => out.extend_from_slice(v.as_bytes()),
        (FieldKind::Vector3, Field::Vector3(v)) => put_f32s(&v, out),
        (FieldKind::Quaternion, Field::Quaternion(v)) => put_f32s(&v, out),
        (FieldKind::Vector4, Field::Vector4(v)) => put_f32s(&v, out),
        (FieldKind::Vector3d, Field::Vector3d(v)) => {
            v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
        }
        (FieldKind::IpAddr, Field::IpAddr(v)) => out.extend_from_slice(&v),
        (FieldKind::IpPort, Field::IpPort(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (FieldKind::Fixed(n), Field::Fixed(b)) if b.len() == usize::from(n) => {
            out.extend_from_slice(b);
        }
        (FieldKind::Variable1, Field::Variable(b)) => {
            let Ok(len) = u8::try_from(b.len()) else { return false };
            out.push(len);
            out.extend_from_slice(b);
        }
        (FieldKind::Variable2, Field::Variable(b)) => {
            let Ok(len) = u16::try_from(b.len()) else { return false };
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(b);
        }
        _ => return false,
    }
    true
}

#[inline]
fn put_f32s<const N: usize>(v: &[f32; N], out: &mut Vec<u8>) {
    v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
}
