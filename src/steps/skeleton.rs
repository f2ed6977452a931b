//! What follows from the inventory members of a login, for suites to look at.

use super::login::whole;
use crate::value::Value;
use uuid::Uuid;

/// Folders of the system by the names suites use, with their types.
const SYSTEM: [(&str, i8); 14] = [
    ("textures", 0),
    ("sounds", 1),
    ("calling_cards", 2),
    ("landmarks", 3),
    ("clothing", 5),
    ("objects", 6),
    ("notecards", 7),
    ("scripts", 10),
    ("body_parts", 13),
    ("trash", 14),
    ("lost_and_found", 16),
    ("animations", 20),
    ("gestures", 21),
    ("outfit", 46),
];

struct Entry {
    id: Uuid,
    parent: Uuid,
    kind: i8,
    name: Value,
    version: Value,
}

/// The folders of the system by name, and what is odd about the skeleton: `orphans` in no folder
/// that is there, types `doubled` beneath the root, `roots` without a parent, `types` beneath the
/// root, ids told `twice`, the `version` of the root, what is at the `top`, and that as `inventory.fetch`
/// tells it: `folders`.
pub(super) fn derived(root: Option<&Value>, skeleton: Option<&Value>) -> Value {
    let (Some(Value::Array(root)), Some(Value::Array(entries))) = (root, skeleton) else {
        return Value::Undef;
    };
    let id = |value: Option<&Value>| value.and_then(as_id).unwrap_or_default();
    let root = id(root.first().and_then(|root| root.get("folder_id")));
    let entries: Vec<Entry> = entries
        .iter()
        .map(|entry| Entry {
            id: id(entry.get("folder_id")),
            parent: id(entry.get("parent_id")),
            kind: entry.get("type_default").and_then(whole).unwrap_or(-1),
            name: entry.get("name").cloned().unwrap_or_default(),
            version: entry.get("version").map(|v| v.numeral().into_owned()).unwrap_or_default(),
        })
        .collect();
    let known = |id: Uuid| id.is_nil() || entries.iter().any(|entry| entry.id == id);
    let ids = |such: &dyn Fn(&Entry) -> bool| {
        Value::Array(entries.iter().filter(|e| such(e)).map(|e| Value::Uuid(e.id)).collect())
    };
    let count = |id: Uuid| entries.iter().filter(|entry| entry.id == id).count();
    let mut types: Vec<i8> =
        entries.iter().filter(|e| e.parent == root && e.kind >= 0).map(|e| e.kind).collect();
    types.sort_unstable();
    let doubled = types.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let doubled: Vec<Value> = doubled.map(Value::integer).collect();
    types.dedup();
    let system = SYSTEM.iter().filter_map(|(name, kind)| {
        let found = entries.iter().find(|e| e.parent == root && e.kind == *kind)?;
        Some((name.to_string(), Value::Uuid(found.id)))
    });
    let mut members: Vec<(String, Value)> = system.collect();
    members.extend([
        ("orphans".into(), ids(&|entry| !known(entry.parent))),
        ("roots".into(), ids(&|entry| entry.parent.is_nil())),
        ("twice".into(), ids(&|entry| count(entry.id) > 1)),
        ("doubled".into(), Value::Array(doubled)),
        ("types".into(), Value::Array(types.into_iter().map(Value::integer).collect())),
        (
            "version".into(),
            entries.iter().find(|e| e.id == root).map_or(Value::Undef, |e| e.version.clone()),
        ),
        ("folders".into(), top(&entries, root)),
        ("top".into(), ids(&|entry| entry.parent == root)),
    ]);
    Value::Map(members)
}

/// What is directly beneath the root, sorted by id.
fn top(entries: &[Entry], root: Uuid) -> Value {
    let mut top: Vec<&Entry> = entries.iter().filter(|entry| entry.parent == root).collect();
    top.sort_by_key(|entry| entry.id);
    let folders = top.into_iter().map(|entry| {
        Value::map([
            ("folder_id", Value::Uuid(entry.id)),
            ("parent_id", Value::Uuid(entry.parent)),
            ("name", entry.name.clone()),
            ("type", Value::integer(entry.kind)),
        ])
    });
    Value::Array(folders.collect())
}

fn as_id(value: &Value) -> Option<Uuid> {
    match value {
        Value::Uuid(id) => Some(*id),
        other => Uuid::try_parse(&other.as_text()?).ok(),
    }
}
