//! The folders every account starts with, as login tells them and as they are fetched.

use super::world::derived_id;
use crate::proto::llsd::Llsd;
use uuid::Uuid;

/// Names and types of the folders every account starts with.
const FOLDERS: [(&str, i32); 13] = [
    ("Textures", 0),
    ("Sounds", 1),
    ("Calling Cards", 2),
    ("Landmarks", 3),
    ("Clothing", 5),
    ("Objects", 6),
    ("Notecards", 7),
    ("Scripts", 10),
    ("Body Parts", 13),
    ("Trash", 14),
    ("Animations", 20),
    ("Gestures", 21),
    ("Current Outfit", 46),
];

fn folder(name: &str, id: Uuid, parent: Uuid, kind: i32, version: i32) -> Llsd {
    Llsd::map([
        ("name", Llsd::string(name)),
        ("folder_id", Llsd::String(id.to_string())),
        ("parent_id", Llsd::String(parent.to_string())),
        ("type_default", Llsd::Integer(kind)),
        ("version", Llsd::Integer(version)),
    ])
}

/// The inventory members of a login reply.
pub(super) fn login_members(agent: Uuid) -> Vec<(&'static str, Llsd)> {
    const LIBRARY_ROOT: &str = "00000112-000f-0000-0000-000100bba000";
    const LIBRARY_OWNER: &str = "11111111-1111-0000-0000-000100bba000";
    let one = |name: &str, id: String| Llsd::Array(vec![Llsd::map([(name, Llsd::String(id))])]);
    let root = root_of(agent);
    let mut skeleton = vec![folder("My Inventory", root, Uuid::nil(), 8, 1)];
    skeleton.extend(children(agent));
    let library = Uuid::try_parse(LIBRARY_ROOT).unwrap_or_default();
    vec![
        ("inventory-root", one("folder_id", root.to_string())),
        ("inventory-skeleton", Llsd::Array(skeleton)),
        ("inventory-lib-root", one("folder_id", LIBRARY_ROOT.into())),
        ("inventory-lib-owner", one("agent_id", LIBRARY_OWNER.into())),
        ("inventory-skel-lib", Llsd::Array(vec![folder("Library", library, Uuid::nil(), 8, 1)])),
    ]
}

fn root_of(agent: Uuid) -> Uuid {
    derived_id(&format!("folder root of {agent}"))
}

fn children(agent: Uuid) -> Vec<Llsd> {
    let root = root_of(agent);
    let folders = FOLDERS.iter().map(|(name, kind)| {
        folder(name, derived_id(&format!("folder {name} of {agent}")), root, *kind, 1)
    });
    folders.collect()
}

/// What one folder holds, as FetchInventoryDescendents2 tells it; none if it is not the agent's.
pub(super) fn descendents(agent: Uuid, id: Uuid) -> Option<Llsd> {
    let children = children(agent);
    let known = |child: &Llsd| child.get("folder_id").and_then(Llsd::as_uuid) == Some(id);
    let categories = match id == root_of(agent) {
        true => children,
        false if children.iter().any(known) => Vec::new(),
        false => return None,
    };
    let ids = |folder: Llsd| {
        let id =
            |key: &str| Llsd::Uuid(folder.get(key).and_then(Llsd::as_uuid).unwrap_or_default());
        Llsd::map([
            ("category_id", id("folder_id")),
            ("folder_id", id("folder_id")),
            ("parent_id", id("parent_id")),
            ("name", folder.get("name").cloned().unwrap_or_default()),
            ("type_default", folder.get("type_default").cloned().unwrap_or_default()),
            ("type", folder.get("type_default").cloned().unwrap_or_default()),
            ("version", folder.get("version").cloned().unwrap_or_default()),
        ])
    };
    Some(Llsd::map([
        ("agent_id", Llsd::Uuid(agent)),
        ("owner_id", Llsd::Uuid(agent)),
        ("folder_id", Llsd::Uuid(id)),
        ("version", Llsd::Integer(1)),
        ("descendents", Llsd::Integer(categories.len() as i32)),
        ("categories", Llsd::Array(categories.into_iter().map(ids).collect())),
        ("items", Llsd::Array(Vec::new())),
    ]))
}
