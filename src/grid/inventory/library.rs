//! What is there before anybody makes anything: the folders of a new account, and the library.

use super::model::{FULL, Inventory, ROOT};
use crate::grid::Faults;
use crate::grid::core::derived_id;
use crate::net::Chance;
use crate::proto::id::AgentId;
use crate::proto::inventory::{Folder, Item};
use uuid::{Uuid, uuid};

/// The agent that owns the library.
pub(in crate::grid) const LIBRARY_OWNER: Uuid = uuid!("11111111-1111-0000-0000-000100bba000");

const LIBRARY_ROOT: Uuid = uuid!("00000112-000f-0000-0000-000100bba000");

/// Names and types of the folders every account starts with.
const FOLDERS: [(&str, i8); 18] = [
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
    ("Photo Album", 15),
    ("Lost And Found", 16),
    ("Animations", 20),
    ("Gestures", 21),
    ("Favorites", 23),
    ("Current Outfit", 46),
    ("Settings", 56),
    ("Materials", 57),
];

/// What the library holds: folder, name, asset type, inventory type, flags.
const LIBRARY: [(&str, &str, i8, i8, u32); 8] = [
    ("Body Parts", "Default Shape", 13, 18, 0),
    ("Body Parts", "Default Skin", 13, 18, 1),
    ("Body Parts", "Default Hair", 13, 18, 2),
    ("Body Parts", "Default Eyes", 13, 18, 3),
    ("Clothing", "Default Shirt", 5, 18, 4),
    ("Clothing", "Default Pants", 5, 18, 5),
    ("Notecards", "Welcome", 7, 7, 0),
    ("Scripts", "Hello", 10, 10, 0),
];

/// What everyone may do with what is in the library.
const FOR_EVERYONE: u32 = 0x9_A000;

/// The inventory of an account that logs in for the first time.
pub(super) fn fresh(agent: AgentId, faults: Faults, chance: Chance) -> Inventory {
    let root = derived_id(&format!("folder root of {agent}"));
    let mut folders = vec![folder(root, Uuid::nil(), "My Inventory", ROOT)];
    folders.extend(FOLDERS.iter().map(|(name, kind)| {
        folder(derived_id(&format!("folder {name} of {agent}")), root, name, *kind)
    }));
    Inventory::new(agent.0, folders, Vec::new(), faults, chance)
}

fn folder(id: Uuid, parent: Uuid, name: &str, kind: i8) -> Folder {
    Folder { id, parent, kind, name: name.to_owned(), version: 1 }
}

/// The library: everybody reads it, nobody changes it.
pub(super) fn library(faults: Faults, chance: Chance) -> Inventory {
    let mut folders = vec![folder(LIBRARY_ROOT, Uuid::nil(), "Library", ROOT)];
    let mut items = Vec::new();
    for (within, name, kind, inv_kind, flags) in LIBRARY {
        let id = derived_id(&format!("library folder {within}"));
        if folders.iter().all(|f| f.id != id) {
            let kind = FOLDERS.iter().find(|(name, _)| *name == within).map_or(-1, |(_, k)| *k);
            folders.push(folder(id, LIBRARY_ROOT, within, kind));
        }
        items.push(Item {
            id: derived_id(&format!("library item {name}")),
            folder: id,
            creator: LIBRARY_OWNER,
            owner: LIBRARY_OWNER,
            last_owner: LIBRARY_OWNER,
            base_mask: FULL,
            owner_mask: FULL,
            everyone_mask: FOR_EVERYONE,
            next_mask: FULL,
            asset: library_asset(name),
            kind,
            inv_kind,
            flags,
            name: name.to_owned(),
            description: "from the library".to_owned(),
            created: 1_262_304_000,
            ..Item::default()
        });
    }
    Inventory::new(LIBRARY_OWNER, folders, items, faults, chance)
}

fn library_asset(name: &str) -> Uuid {
    derived_id(&format!("library asset {name}"))
}

/// The library's assets, those that are text.
pub(super) fn assets() -> [(Uuid, i8, Vec<u8>); 2] {
    [
        (library_asset("Welcome"), 7, notecard("Welcome to the reference grid of gridproof.")),
        (library_asset("Hello"), 10, SCRIPT.as_bytes().to_vec()),
    ]
}

/// What a new script says until somebody writes another.
pub(super) const SCRIPT: &str = "default\n{\n    state_entry()\n    {\n        \
                                 llSay(0, \"Hello, Avatar!\");\n    }\n}\n";

/// A notecard with nothing embedded.
pub(super) fn notecard(text: &str) -> Vec<u8> {
    format!(
        "Linden text version 2\n{{\nLLEmbeddedItems version 1\n{{\ncount 0\n}}\nText length \
         {}\n{text}}}\n",
        text.len()
    )
    .into_bytes()
}
