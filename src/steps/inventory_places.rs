//! What `inventory.fetch` tells in one form, and where it stands in what a grid said.

use crate::tamper::Channel;
use crate::value::{Path, Segment};

/// Members of an item: as the step tells it, in UDP blocks, in LLSD.
const ITEM: [(&str, &str, &str); 20] = [
    ("item_id", "ItemID", "item_id"),
    ("parent_id", "FolderID", "parent_id"),
    ("name", "Name", "name"),
    ("desc", "Description", "desc"),
    ("type", "Type", "type"),
    ("inv_type", "InvType", "inv_type"),
    ("asset_id", "AssetID", "asset_id"),
    ("flags", "Flags", "flags"),
    ("created_at", "CreationDate", "created_at"),
    ("creator_id", "CreatorID", "permissions.creator_id"),
    ("owner_id", "OwnerID", "permissions.owner_id"),
    ("group_id", "GroupID", "permissions.group_id"),
    ("group_owned", "GroupOwned", "permissions.is_owner_group"),
    ("base_mask", "BaseMask", "permissions.base_mask"),
    ("owner_mask", "OwnerMask", "permissions.owner_mask"),
    ("group_mask", "GroupMask", "permissions.group_mask"),
    ("everyone_mask", "EveryoneMask", "permissions.everyone_mask"),
    ("next_owner_mask", "NextOwnerMask", "permissions.next_owner_mask"),
    ("sale_type", "SaleType", "sale_info.sale_type"),
    ("sale_price", "SalePrice", "sale_info.sale_price"),
];

const FOLDER: [(&str, &str, &str); 4] = [
    ("folder_id", "FolderID", "category_id"),
    ("parent_id", "ParentID", "parent_id"),
    ("name", "Name", "name"),
    ("type", "Type", "type_default"),
];

/// The places that a member of the step's result comes from, on a channel.
pub(super) fn places(channel: Channel, member: &Path) -> Vec<Path> {
    let udp = channel == Channel::Udp;
    let (folders, items, whole) = match udp {
        true => ("FolderData", "ItemData", "AgentData"),
        false => ("folders.categories", "folders.items", "folders"),
    };
    let at = |above: &str, below: &str| {
        let text = [above, below].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        Path::parse(&text.join(".")).unwrap_or_default()
    };
    let pick = |(_, in_udp, in_llsd): &(&str, &'static str, &'static str)| match udp {
        true => *in_udp,
        false => *in_llsd,
    };
    let last = member.0.iter().rev().find_map(|segment| match segment {
        Segment::Key(key) => Some(key.as_str()),
        _ => None,
    });
    let of = |table: &[(&str, &'static str, &'static str)], above: &str| {
        let found = table.iter().find(|(name, ..)| Some(*name) == last).map(pick);
        vec![at(above, found.unwrap_or_default())]
    };
    let head = |in_udp: &'static str, in_llsd: &'static str| {
        vec![at(whole, if udp { in_udp } else { in_llsd })]
    };
    match member.head() {
        Some("items" | "targets") => of(&ITEM, items),
        Some("folders") => of(&FOLDER, folders),
        Some("names") => vec![at(items, if udp { "Name" } else { "name" })],
        Some("ids") => vec![
            at(items, if udp { "ItemID" } else { "item_id" }),
            at(folders, if udp { "FolderID" } else { "category_id" }),
        ],
        Some("version") => head("Version", "version"),
        Some("descendents" | "consistent") => head("Descendents", "descendents"),
        Some("folder_id") => head("FolderID", "folder_id"),
        Some("owner_id") => head("OwnerID", "owner_id"),
        _ => vec![Path::default()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(channel: Channel, member: &str) -> Vec<String> {
        let all = places(channel, &Path::parse(member).unwrap());
        all.iter().map(Path::to_string).collect()
    }

    #[test]
    fn a_member_leads_to_where_it_was_said() {
        let mask = "items[0].base_mask";
        assert_eq!(told(Channel::Udp, mask), ["ItemData.BaseMask"]);
        assert_eq!(told(Channel::Caps, mask), ["folders.items.permissions.base_mask"]);
        assert_eq!(told(Channel::Udp, "version"), ["AgentData.Version"]);
        assert_eq!(told(Channel::Caps, "folders[*].name"), ["folders.categories.name"]);
        assert_eq!(told(Channel::Caps, "via"), [""]);
    }
}
