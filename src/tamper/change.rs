//! Changes to what a peer says: a member or field removed, zeroed, retyped, shifted, doubled.

use crate::proto::llsd::Llsd;
use crate::proto::message::{Field, FieldValue, Message};
use crate::proto::template::MessageDef;
use crate::value::{Path, Segment, Value, field_from_value};

/// What becomes of a member or field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not there. A UDP field cannot be taken out alone, so its block goes, to the end.
    Remove,
    /// It is zero, empty, false or the null id.
    Zero,
    /// It is of another type. UDP fields have no type on the wire: they become noise.
    Retype,
    /// A number is one more, a text one character longer, an id another one.
    Shift,
    /// An array or Variable block has its first item twice.
    Double,
}

impl Change {
    /// Every change, with its word.
    pub const ALL: [(&str, Self); 5] = [
        ("remove", Self::Remove),
        ("zero", Self::Zero),
        ("retype", Self::Retype),
        ("shift", Self::Shift),
        ("double", Self::Double),
    ];

    /// The change's word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, change)| *change == self).map_or("", |(word, _)| word)
    }
}

/// Gives a member this value, adding it where it is not there; whether that changed anything.
pub fn set_llsd(root: &mut Llsd, path: &Path, value: &Value) -> bool {
    let value = Llsd::from(value);
    let place = match path.0.split_last() {
        None => Some(&mut *root),
        Some((last, above)) => match (descend(root, above), last) {
            (Some(Llsd::Map(members)), Segment::Key(key)) => {
                let at = members.iter().position(|(k, _)| k == key).unwrap_or_else(|| {
                    members.push((key.clone(), Llsd::Undef));
                    members.len() - 1
                });
                Some(&mut members[at].1)
            }
            (Some(Llsd::Array(items)), Segment::Index(n)) => {
                usize::try_from(*n).ok().and_then(|n| items.get_mut(n))
            }
            _ => None,
        },
    };
    let Some(place) = place else { return false };
    let differs = *place != value;
    *place = value;
    differs
}

/// Gives a field this value in every instance of its block; whether that changed anything.
pub fn set_message(message: &mut Message, path: &Path, value: &Value) -> bool {
    let def = message.def.clone();
    let Some((at, Some(index))) = place(&def, path) else { return false };
    let fields = &def.blocks[at].fields;
    let Some(value) = field_from_value(fields[index].kind, value) else { return false };
    let before = message.blocks.clone();
    for instance in message.blocks.get_mut(at).into_iter().flatten() {
        instance[index] = value.clone();
    }
    message.blocks != before
}

/// Changes a reply; whether there was something to change.
pub fn change_llsd(root: &mut Llsd, path: &Path, change: Change) -> bool {
    let Some((last, above)) = path.0.split_last() else {
        return change_value(root, change);
    };
    let Some(parent) = descend(root, above) else { return false };
    match (parent, last) {
        (Llsd::Map(members), Segment::Key(key)) => {
            let Some(at) = members.iter().position(|(k, _)| k == key) else { return false };
            match change {
                Change::Remove => {
                    members.remove(at);
                    true
                }
                _ => change_value(&mut members[at].1, change),
            }
        }
        (Llsd::Array(items), Segment::Index(n)) => {
            let Ok(at) = usize::try_from(*n) else { return false };
            match (items.get_mut(at), change) {
                (Some(_), Change::Remove) => {
                    items.remove(at);
                    true
                }
                (Some(item), _) => change_value(item, change),
                (None, _) => false,
            }
        }
        _ => false,
    }
}

fn descend<'a>(value: &'a mut Llsd, path: &[Segment]) -> Option<&'a mut Llsd> {
    path.iter().try_fold(value, |value, segment| match (value, segment) {
        (Llsd::Map(members), Segment::Key(key)) => {
            members.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
        }
        (Llsd::Array(items), Segment::Index(n)) => items.get_mut(usize::try_from(*n).ok()?),
        _ => None,
    })
}

fn change_value(value: &mut Llsd, change: Change) -> bool {
    let changed = match (change, &*value) {
        (Change::Remove, _) => Llsd::Undef,
        (Change::Zero, value) => zero(value),
        (Change::Retype, value) => retyped(value),
        (Change::Shift, value) => shifted(value),
        (Change::Double, Llsd::Array(items)) => {
            let first = items.first().cloned();
            Llsd::Array(first.into_iter().chain(items.iter().cloned()).collect())
        }
        (Change::Double, value) => Llsd::Array(vec![value.clone(), value.clone()]),
    };
    let differs = changed != *value;
    *value = changed;
    differs
}

fn zero(value: &Llsd) -> Llsd {
    match value {
        Llsd::Undef => Llsd::Undef,
        Llsd::Boolean(_) => Llsd::Boolean(false),
        Llsd::Integer(_) => Llsd::Integer(0),
        Llsd::Real(_) => Llsd::Real(0.0),
        Llsd::String(_) => Llsd::String(String::new()),
        Llsd::Uuid(_) => Llsd::Uuid(uuid::Uuid::nil()),
        Llsd::Date(_) => Llsd::Date(0),
        Llsd::Uri(_) => Llsd::Uri(String::new()),
        Llsd::Binary(bytes) => Llsd::Binary(vec![0; bytes.len()]),
        Llsd::Array(_) => Llsd::Array(Vec::new()),
        Llsd::Map(_) => Llsd::Map(Vec::new()),
    }
}

fn retyped(value: &Llsd) -> Llsd {
    match value {
        Llsd::String(text) => match text.parse() {
            Ok(number) => Llsd::Integer(number),
            Err(_) => Llsd::Boolean(!text.is_empty()),
        },
        Llsd::Integer(n) => Llsd::String(n.to_string()),
        Llsd::Uuid(id) => Llsd::Binary(id.as_bytes().to_vec()),
        Llsd::Boolean(b) => Llsd::String(b.to_string()),
        Llsd::Binary(bytes) => Llsd::String(hex::encode(bytes)),
        _ => Llsd::Integer(7),
    }
}

fn shifted(value: &Llsd) -> Llsd {
    match value {
        Llsd::Integer(n) => Llsd::Integer(n.wrapping_add(1)),
        Llsd::Real(r) => Llsd::Real(r + 1.0),
        Llsd::Boolean(b) => Llsd::Boolean(!b),
        Llsd::String(text) => match uuid::Uuid::try_parse(text) {
            Ok(id) => Llsd::String(other_id(id).to_string()),
            Err(_) => Llsd::String(format!("{text}x")),
        },
        Llsd::Uuid(id) => Llsd::Uuid(other_id(*id)),
        Llsd::Uri(uri) => Llsd::Uri(format!("{uri}x")),
        Llsd::Date(us) => Llsd::Date(us + 1_000_000),
        Llsd::Binary(bytes) => Llsd::Binary([bytes.as_slice(), &[1]].concat()),
        other => other.clone(),
    }
}

fn other_id(id: uuid::Uuid) -> uuid::Uuid {
    uuid::Uuid::from_u128(id.as_u128() ^ 1)
}

/// The places of a block, and of a field in it where the path names one.
fn place(def: &MessageDef, path: &Path) -> Option<(usize, Option<usize>)> {
    let mut keys = path.keys();
    let block = keys.next()?;
    let at = def.blocks.iter().position(|b| &*b.name == block)?;
    let Some(field) = keys.next() else { return Some((at, None)) };
    let index = def.blocks[at].fields.iter().position(|f| &*f.name == field)?;
    Some((at, Some(index)))
}

/// Changes a message; whether there was something to change.
pub fn change_message(message: &mut Message, path: &Path, change: Change) -> bool {
    let def = message.def.clone();
    let Some((at, field)) = place(&def, path) else { return false };
    let before = message.blocks.clone();
    match (change, field) {
        (Change::Remove, _) => message.blocks.truncate(at),
        (Change::Double, _) => {
            if let Some(instances) = message.blocks.get_mut(at) {
                let first = instances.first().cloned();
                instances.extend(first);
            }
        }
        (_, Some(index)) => {
            let kind = def.blocks[at].fields[index].kind;
            for instance in message.blocks.get_mut(at).into_iter().flatten() {
                instance[index] = changed_field(kind, &instance[index], change);
            }
        }
        (_, None) => return false,
    }
    message.blocks != before
}

fn changed_field(
    kind: crate::proto::template::FieldKind,
    value: &FieldValue,
    change: Change,
) -> FieldValue {
    if change == Change::Zero {
        return FieldValue::zero(kind);
    }
    let step = if change == Change::Retype { 0x55 } else { 1 };
    match value {
        Field::U8(v) => Field::U8(v.wrapping_add(step)),
        Field::U16(v) => Field::U16(v.wrapping_add(u16::from(step))),
        Field::U32(v) => Field::U32(v.wrapping_add(u32::from(step))),
        Field::U64(v) => Field::U64(v.wrapping_add(u64::from(step))),
        Field::S8(v) => Field::S8(v.wrapping_add(1)),
        Field::S16(v) => Field::S16(v.wrapping_add(i16::from(step))),
        Field::S32(v) => Field::S32(v.wrapping_add(i32::from(step))),
        Field::S64(v) => Field::S64(v.wrapping_add(i64::from(step))),
        Field::F32(v) => Field::F32(v + f32::from(step)),
        Field::F64(v) => Field::F64(v + f64::from(step)),
        Field::Bool(v) => Field::Bool(!v),
        Field::Uuid(v) => Field::Uuid(other_id(*v)),
        Field::Vector3([x, y, z]) => Field::Vector3([x + f32::from(step), *y, *z]),
        Field::Vector3d([x, y, z]) => Field::Vector3d([x + f64::from(step), *y, *z]),
        Field::Vector4([x, y, z, s]) => Field::Vector4([x + f32::from(step), *y, *z, *s]),
        Field::Quaternion([x, y, z]) => Field::Quaternion([x + f32::from(step), *y, *z]),
        Field::IpAddr([a, b, c, d]) => Field::IpAddr([*a, *b, *c, d.wrapping_add(1)]),
        Field::IpPort(v) => Field::IpPort(v.wrapping_add(u16::from(step))),
        Field::Fixed(bytes) => Field::Fixed(bytes.iter().map(|b| b ^ step).collect()),
        Field::Variable(bytes) if change == Change::Retype => {
            Field::Variable(bytes.iter().map(|byte| byte ^ 0x95).chain([0xFF]).collect())
        }
        // A text keeps the NUL that ends it.
        Field::Variable(bytes) => match bytes.strip_suffix(&[0]) {
            Some(text) => Field::Variable([text, b"x\0"].concat()),
            None => Field::Variable([bytes.as_slice(), b"x"].concat()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::template::Template;

    #[test]
    fn members_are_removed_zeroed_retyped_and_shifted() {
        let reply = || Llsd::map([("a", Llsd::Array(vec![Llsd::map([("n", Llsd::Integer(4))])]))]);
        let path = Path::parse("a[0].n").unwrap();
        let changed = |change| {
            let mut reply = reply();
            assert!(change_llsd(&mut reply, &path, change));
            crate::proto::llsd::to_notation(&reply)
        };
        assert_eq!(changed(Change::Remove), "{'a':[{}]}");
        assert_eq!(changed(Change::Zero), "{'a':[{'n':i0}]}");
        assert_eq!(changed(Change::Retype), "{'a':[{'n':'4'}]}");
        assert_eq!(changed(Change::Shift), "{'a':[{'n':i5}]}");
        assert!(!change_llsd(&mut reply(), &Path::parse("b").unwrap(), Change::Zero));
    }

    #[test]
    fn fields_of_messages_are_changed_in_every_instance() {
        let mut message = Message::named(Template::shipped(), "StartPingCheck");
        let path = Path::parse("PingID.PingID").unwrap();
        assert!(change_message(&mut message, &path, Change::Shift));
        assert_eq!(message.u32("PingID", "PingID"), Some(1));
        assert!(change_message(&mut message, &path, Change::Remove));
        assert!(message.blocks.is_empty());
    }
}
