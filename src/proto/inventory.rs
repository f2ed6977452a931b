//! Folders and items as every transport carries them: blocks of UDP messages, and LLSD maps.
//!
//! Both directions for both peers. Receivers are lenient: what a grid leaves out is zero, types
//! may be names, masks may be integers or four bytes.

use super::event_queue::Event;
use super::llsd::Llsd;
use super::message::{Field, FieldValue, Message, Row};
use crate::proto::id::AgentId;
use crate::proto::number::whole;
use uuid::Uuid;

/// The longest name of a folder or an item, in characters.
pub const MAX_NAME: usize = 63;

/// The longest description of an item, in characters.
pub const MAX_DESCRIPTION: usize = 127;

/// The asset type of a landmark.
pub const LANDMARK: i8 = 3;

/// The asset type of clothing.
pub const CLOTHING: i8 = 5;

/// The asset type of a notecard.
pub const NOTECARD: i8 = 7;

/// The asset type of a script.
pub const SCRIPT: i8 = 10;

/// The asset type of a body part.
pub const BODY_PART: i8 = 13;

/// The asset type of a link to an item; the link's asset id is the item's id.
pub const LINK: i8 = 24;

/// The asset type of a link to a folder; the link's asset id is the folder's id.
pub const FOLDER_LINK: i8 = 25;

/// Types by the names that some grids and upload capabilities use: name, asset type, inventory
/// type.
pub const TYPE_NAMES: &[(&str, i8, i8)] = &[
    ("texture", 0, 0),
    ("sound", 1, 1),
    ("callcard", 2, 2),
    ("landmark", 3, 3),
    ("script", 4, 10),
    ("clothing", 5, 18),
    ("object", 6, 6),
    ("notecard", 7, 7),
    ("category", 8, 8),
    ("lsltext", 10, 10),
    ("bodypart", 13, 18),
    ("snapshot", 0, 15),
    ("wearable", 5, 18),
    ("animatn", 20, 19),
    ("animation", 20, 19),
    ("gesture", 21, 20),
    ("link", 24, -1),
    ("link_f", 25, -1),
    ("mesh", 49, 22),
    ("settings", 56, 25),
    ("material", 57, 26),
];

/// A folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Folder {
    /// Its id.
    pub id: Uuid,
    /// The folder it is in; null for a root.
    pub parent: Uuid,
    /// Its type: −1 for an ordinary folder.
    pub kind: i8,
    /// Its name.
    pub name: String,
    /// Grows with every change of the folder or of what is directly in it.
    pub version: i32,
}

/// An item.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Item {
    /// Its id.
    pub id: Uuid,
    /// The folder it is in.
    pub folder: Uuid,
    /// Who made it.
    pub creator: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// Whose it was before.
    pub last_owner: Uuid,
    /// The group it is set to.
    pub group: Uuid,
    /// The most that anybody may ever do with it.
    pub base_mask: u32,
    /// What its owner may do with it.
    pub owner_mask: u32,
    /// What the group may do with it.
    pub group_mask: u32,
    /// What everyone may do with it.
    pub everyone_mask: u32,
    /// What its next owner may do with it.
    pub next_mask: u32,
    /// It belongs to the group.
    pub group_owned: bool,
    /// Its asset; for a link, what it points at.
    pub asset: Uuid,
    /// Its asset type.
    pub kind: i8,
    /// Its inventory type.
    pub inv_kind: i8,
    /// Type-specific flags.
    pub flags: u32,
    /// How it is for sale: 0 not, 1 the original, 2 a copy, 3 the contents.
    pub sale_type: u8,
    /// For how much.
    pub sale_price: i32,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// When it was made, in seconds since 1970.
    pub created: i32,
}

impl Folder {
    /// Adds this folder to a message's block of folders.
    pub fn to_block(&self, message: Message, block: &str) -> Message {
        message
            .with_block(block)
            .with(block, "FolderID", Field::Uuid(self.id))
            .with(block, "ParentID", Field::Uuid(self.parent))
            .with(block, "Type", Field::S8(self.kind))
            .with(block, "Name", FieldValue::text(&self.name))
    }

    /// The folders in a message's block; an entry with a null id stands for none.
    pub fn from_blocks(message: &Message, block: &str) -> Vec<Self> {
        let folders = message.rows(block).map(|row| Self {
            id: row.id("FolderID"),
            parent: row.id("ParentID"),
            kind: row.int("Type"),
            name: row.text("Name"),
            version: 0,
        });
        folders.filter(|folder| !folder.id.is_nil()).collect()
    }

    /// As an entry of `categories`.
    pub fn to_llsd(&self, agent: AgentId) -> Llsd {
        Llsd::map([
            ("agent_id", Llsd::Uuid(agent.0)),
            ("category_id", Llsd::Uuid(self.id)),
            ("parent_id", Llsd::Uuid(self.parent)),
            ("name", Llsd::string(&self.name)),
            ("type_default", Llsd::Integer(i32::from(self.kind))),
            ("version", Llsd::Integer(self.version)),
        ])
    }

    /// From an entry of `categories`, or of a login's skeleton.
    pub fn from_llsd(map: &Llsd) -> Option<Self> {
        let id = map.get("category_id").or_else(|| map.get("folder_id"))?.as_uuid()?;
        Some(Self {
            id,
            parent: id_at(map, "parent_id"),
            kind: type_at(
                map,
                if map.get("type_default").is_some() { "type_default" } else { "type" },
            ),
            name: text_at(map, "name"),
            version: number_at(map, "version"),
        })
    }
}

impl Item {
    /// Adds this item to a message's block of items; fields the message does not have are left
    /// out, and its CRC is the one Second Life's viewers compute.
    pub fn to_block(&self, message: Message, block: &str) -> Message {
        let fields = [
            ("ItemID", Field::Uuid(self.id)),
            ("FolderID", Field::Uuid(self.folder)),
            ("CreatorID", Field::Uuid(self.creator)),
            ("OwnerID", Field::Uuid(self.owner)),
            ("GroupID", Field::Uuid(self.group)),
            ("BaseMask", Field::U32(self.base_mask)),
            ("OwnerMask", Field::U32(self.owner_mask)),
            ("GroupMask", Field::U32(self.group_mask)),
            ("EveryoneMask", Field::U32(self.everyone_mask)),
            ("NextOwnerMask", Field::U32(self.next_mask)),
            ("GroupOwned", Field::Bool(self.group_owned)),
            ("AssetID", Field::Uuid(self.asset)),
            ("Type", Field::S8(self.kind)),
            ("InvType", Field::S8(self.inv_kind)),
            ("Flags", Field::U32(self.flags)),
            ("SaleType", Field::U8(self.sale_type)),
            ("SalePrice", Field::S32(self.sale_price)),
            ("Name", FieldValue::text(&self.name)),
            ("Description", FieldValue::text(&self.description)),
            ("CreationDate", Field::S32(self.created)),
            ("CRC", Field::U32(self.crc())),
        ];
        let def = message.def.clone();
        let has = |field: &str| def.block(block).is_some_and(|b| b.field(field).is_some());
        let mut message = message.with_block(block);
        for (name, value) in fields {
            if has(name) {
                message = message.with(block, name, value);
            }
        }
        message
    }

    /// The items in a message's block; an entry with a null id stands for none.
    pub fn from_blocks(message: &Message, block: &str) -> Vec<Self> {
        message.rows(block).map(Self::from_row).filter(|item| !item.id.is_nil()).collect()
    }

    /// The item in one instance of a block.
    pub fn from_row(row: Row<'_>) -> Self {
        Self {
            id: row.id("ItemID"),
            folder: row.id("FolderID"),
            creator: row.id("CreatorID"),
            owner: row.id("OwnerID"),
            last_owner: Uuid::nil(),
            group: row.id("GroupID"),
            base_mask: row.int("BaseMask"),
            owner_mask: row.int("OwnerMask"),
            group_mask: row.int("GroupMask"),
            everyone_mask: row.int("EveryoneMask"),
            next_mask: row.int("NextOwnerMask"),
            group_owned: row.number("GroupOwned") != 0,
            asset: row.id("AssetID"),
            kind: row.int("Type"),
            inv_kind: row.int("InvType"),
            flags: row.int("Flags"),
            sale_type: row.int("SaleType"),
            sale_price: row.int("SalePrice"),
            name: row.text("Name"),
            description: row.text("Description"),
            created: row.int("CreationDate"),
        }
    }

    /// As an entry of `items`.
    pub fn to_llsd(&self, agent: AgentId) -> Llsd {
        let mask = |mask: u32| Llsd::Integer(mask.cast_signed());
        let permissions = Llsd::map([
            ("creator_id", Llsd::Uuid(self.creator)),
            ("owner_id", Llsd::Uuid(self.owner)),
            ("last_owner_id", Llsd::Uuid(self.last_owner)),
            ("group_id", Llsd::Uuid(self.group)),
            ("is_owner_group", Llsd::Boolean(self.group_owned)),
            ("base_mask", mask(self.base_mask)),
            ("owner_mask", mask(self.owner_mask)),
            ("group_mask", mask(self.group_mask)),
            ("everyone_mask", mask(self.everyone_mask)),
            ("next_owner_mask", mask(self.next_mask)),
        ]);
        let sale = Llsd::map([
            ("sale_price", Llsd::Integer(self.sale_price)),
            ("sale_type", Llsd::Integer(i32::from(self.sale_type))),
        ]);
        Llsd::map([
            ("agent_id", Llsd::Uuid(agent.0)),
            ("item_id", Llsd::Uuid(self.id)),
            ("parent_id", Llsd::Uuid(self.folder)),
            ("asset_id", Llsd::Uuid(self.asset)),
            ("name", Llsd::string(&self.name)),
            ("desc", Llsd::string(&self.description)),
            ("created_at", Llsd::Integer(self.created)),
            ("type", Llsd::Integer(i32::from(self.kind))),
            ("inv_type", Llsd::Integer(i32::from(self.inv_kind))),
            ("flags", mask(self.flags)),
            ("permissions", permissions),
            ("sale_info", sale),
        ])
    }

    /// From an entry of `items`.
    pub fn from_llsd(map: &Llsd) -> Option<Self> {
        let id = map.get("item_id")?.as_uuid()?;
        let nothing = Llsd::Undef;
        let permissions = map.get("permissions").unwrap_or(&nothing);
        let sale = map.get("sale_info").unwrap_or(&nothing);
        let mask = |name| number_at(permissions, name).cast_unsigned();
        let asset = map.get("asset_id").or_else(|| map.get("linked_id"));
        Some(Self {
            id,
            folder: id_at(map, "parent_id"),
            creator: id_at(permissions, "creator_id"),
            owner: id_at(permissions, "owner_id"),
            last_owner: id_at(permissions, "last_owner_id"),
            group: id_at(permissions, "group_id"),
            base_mask: mask("base_mask"),
            owner_mask: mask("owner_mask"),
            group_mask: mask("group_mask"),
            everyone_mask: mask("everyone_mask"),
            next_mask: mask("next_owner_mask"),
            group_owned: permissions.get("is_owner_group") == Some(&Llsd::Boolean(true)),
            asset: asset.and_then(Llsd::as_uuid).unwrap_or_default(),
            kind: kind_at(map, "type", |named| named.1),
            inv_kind: kind_at(map, "inv_type", |named| named.2),
            flags: number_at(map, "flags").cast_unsigned(),
            sale_type: sale_type(sale.get("sale_type")),
            sale_price: number_at(sale, "sale_price"),
            name: text_at(map, "name"),
            description: text_at(map, "desc"),
            created: number_at(map, "created_at"),
        })
    }

    /// BulkUpdateInventory as an event: the item, and no folder. Numbers without sign are four
    /// bytes there.
    pub fn to_bulk_update(&self, agent: AgentId, callback: u32) -> Event {
        let null = Llsd::Uuid(Uuid::nil());
        let folder = Llsd::map([
            ("FolderID", null.clone()),
            ("ParentID", null.clone()),
            ("Type", Llsd::Integer(-1)),
            ("Name", Llsd::string("")),
        ]);
        let item = Llsd::map([
            ("ItemID", Llsd::Uuid(self.id)),
            ("CallbackID", Llsd::u32(callback)),
            ("FolderID", Llsd::Uuid(self.folder)),
            ("CreatorID", Llsd::Uuid(self.creator)),
            ("OwnerID", Llsd::Uuid(self.owner)),
            ("GroupID", Llsd::Uuid(self.group)),
            ("BaseMask", Llsd::u32(self.base_mask)),
            ("OwnerMask", Llsd::u32(self.owner_mask)),
            ("GroupMask", Llsd::u32(self.group_mask)),
            ("EveryoneMask", Llsd::u32(self.everyone_mask)),
            ("NextOwnerMask", Llsd::u32(self.next_mask)),
            ("GroupOwned", Llsd::Boolean(self.group_owned)),
            ("AssetID", Llsd::Uuid(self.asset)),
            ("Type", Llsd::Integer(i32::from(self.kind))),
            ("InvType", Llsd::Integer(i32::from(self.inv_kind))),
            ("Flags", Llsd::u32(self.flags)),
            ("SaleType", Llsd::Integer(i32::from(self.sale_type))),
            ("SalePrice", Llsd::Integer(self.sale_price)),
            ("Name", Llsd::string(&self.name)),
            ("Description", Llsd::string(&self.description)),
            ("CreationDate", Llsd::Integer(self.created)),
            ("CRC", Llsd::u32(self.crc())),
        ]);
        let agent = [("AgentID", Llsd::Uuid(agent.0)), ("TransactionID", null)];
        let one = |map| Llsd::Array(vec![map]);
        let body = Llsd::map([
            ("AgentData", one(Llsd::map(agent))),
            ("FolderData", one(folder)),
            ("ItemData", one(item)),
        ]);
        Event { message: "BulkUpdateInventory".into(), body }
    }

    /// Whether it is a link to an item or a folder.
    pub fn is_link(&self) -> bool {
        matches!(self.kind, LINK | FOLDER_LINK)
    }

    /// The checksum as Second Life's viewers compute it: a sum over all but the texts, with the
    /// base mask.
    pub fn crc(&self) -> u32 {
        self.sum(self.base_mask)
    }

    /// The checksum as OpenSim and the libraries computed it: with the next owner's mask instead
    /// of the base mask.
    pub fn crc_with_next_mask(&self) -> u32 {
        self.sum(self.next_mask)
    }

    fn sum(&self, differing_mask: u32) -> u32 {
        const SALE_TYPE: u32 = 0x0707_3096;
        let ids = [self.id, self.folder, self.creator, self.owner, self.group, self.asset];
        let words = ids.iter().flat_map(|id| {
            let word = |four: &[u8]| u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            id.as_bytes().chunks(4).map(word).collect::<Vec<_>>()
        });
        let sale = (self.sale_price.cast_unsigned())
            .wrapping_add(u32::from(self.sale_type).wrapping_mul(SALE_TYPE));
        let numbers = [
            differing_mask,
            self.owner_mask,
            self.everyone_mask,
            self.group_mask,
            i32::from(self.kind).cast_unsigned(),
            i32::from(self.inv_kind).cast_unsigned(),
            self.flags,
            self.created.cast_unsigned(),
            sale,
        ];
        words.chain(numbers).fold(0, u32::wrapping_add)
    }
}

fn id_at(map: &Llsd, key: &str) -> Uuid {
    map.get(key).and_then(Llsd::as_uuid).unwrap_or_default()
}

fn text_at(map: &Llsd, key: &str) -> String {
    map.get(key).and_then(Llsd::as_str).unwrap_or_default().to_owned()
}

/// An integer, also where it was written as four bytes or as text.
fn number_at(map: &Llsd, key: &str) -> i32 {
    match map.get(key) {
        Some(Llsd::Integer(n)) => *n,
        Some(Llsd::Binary(bytes)) => <[u8; 4]>::try_from(&bytes[..]).map_or(0, i32::from_be_bytes),
        Some(Llsd::String(text)) => text.parse().unwrap_or(0),
        Some(Llsd::Real(n)) => i32::try_from(whole(*n)).unwrap_or(0),
        _ => 0,
    }
}

/// A type by its number; none where that is no type's.
fn type_at(map: &Llsd, key: &str) -> i8 {
    i8::try_from(number_at(map, key)).unwrap_or(-1)
}

/// A type, as its number or its name.
fn kind_at(map: &Llsd, key: &str, which: impl Fn(&(&str, i8, i8)) -> i8) -> i8 {
    let name = map.get(key).and_then(Llsd::as_str);
    let named = name.and_then(|name| TYPE_NAMES.iter().find(|(n, _, _)| *n == name));
    named.map_or_else(|| type_at(map, key), which)
}

fn sale_type(value: Option<&Llsd>) -> u8 {
    let Some(name) = value.and_then(Llsd::as_str) else {
        let number = value.and_then(Llsd::as_i32);
        return number.and_then(|number| number.try_into().ok()).unwrap_or_default();
    };
    (0..).zip(["not", "orig", "copy", "cntn"]).find(|(_, n)| *n == name).map_or(0, |(n, _)| n)
}

#[cfg(test)]
mod tests;
