use super::*;
use crate::proto::llsd::{from_xml, to_xml};
use crate::proto::template::Template;
use uuid::uuid;

fn example() -> Item {
    let maker = uuid!("01020304-0506-0708-090a-0b0c0d0e0f10");
    Item {
        id: uuid!("11111111-2222-3333-4444-555555555555"),
        folder: uuid!("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"),
        creator: maker,
        owner: maker,
        base_mask: 0x9E000,
        owner_mask: 0x9E000,
        next_mask: 0x82000,
        asset: uuid!("ffeeddcc-bbaa-9988-7766-554433221100"),
        kind: 10,
        inv_kind: 10,
        created: 1_234_567_890,
        name: "a name".into(),
        description: "für später".into(),
        ..Item::default()
    }
}

#[test]
fn checksums_are_those_of_the_two_formulas() {
    let a = example();
    assert_eq!((a.crc(), a.crc_with_next_mask()), (0x7814_257E, 0x7812_657E));
    let b = Item {
        group: uuid!("89556747-24cb-43ed-920b-47caed15465f"),
        base_mask: 0x8E00F,
        owner_mask: 0x8E00F,
        group_mask: 0x8000,
        everyone_mask: 0x88000,
        next_mask: 0x8C000,
        kind: 6,
        inv_kind: 6,
        flags: 0x100,
        sale_type: 2,
        sale_price: 250,
        ..a
    };
    assert_eq!((b.crc(), b.crc_with_next_mask()), (0xE461_CAE6, 0xE461_AAD7));
    let c = Item { kind: -1, inv_kind: -1, ..Item::default() };
    assert_eq!((c.crc(), c.crc_with_next_mask()), (0xFFFF_FFFE, 0xFFFF_FFFE));
}

#[test]
fn an_item_reads_back_as_written_from_every_message_and_from_llsd() {
    let item = example();
    let template = Template::shipped();
    for (name, block) in [
        ("InventoryDescendents", "ItemData"),
        ("FetchInventoryReply", "InventoryData"),
        ("UpdateCreateInventoryItem", "InventoryData"),
        ("BulkUpdateInventory", "ItemData"),
    ] {
        let message = item.to_block(Message::named(template, name), block);
        assert_eq!(Item::from_blocks(&message, block).first(), Some(&item), "{name}");
    }
    let xml = to_xml(&item.to_llsd(AgentId(item.owner)));
    assert_eq!(Item::from_llsd(&from_xml(xml.as_bytes()).unwrap()), Some(item));
}

#[test]
fn null_blocks_are_no_entries() {
    let template = Template::shipped();
    let message = Message::named(template, "InventoryDescendents")
        .with("FolderData", "Type", Field::S8(-1))
        .with("ItemData", "Type", Field::S8(-1));
    assert!(Folder::from_blocks(&message, "FolderData").is_empty());
    assert!(Item::from_blocks(&message, "ItemData").is_empty());
}

#[test]
fn what_real_grids_leave_out_or_write_otherwise_is_understood() {
    let xml = "<llsd><map><key>item_id</key><uuid>11111111-2222-3333-4444-555555555555</uuid >\
        <key>type</key><string>notecard</string><key>inv_type</key><string>notecard</string>\
        <key>flags</key><integer /><key>name</key><string />\
        <key>permissions</key><map><key>base_mask</key><binary>AAngAA==</binary></map>\
        <key>sale_info</key><map><key>sale_type</key><string>copy</string></map></map></llsd>";
    let item = Item::from_llsd(&from_xml(xml.as_bytes()).unwrap()).unwrap();
    assert_eq!((item.kind, item.inv_kind, item.sale_type), (7, 7, 2));
    assert_eq!((item.base_mask, item.last_owner), (0x9E000, Uuid::nil()));
    let folder = "<llsd><map><key>folder_id</key>\
        <uuid>11111111-2222-3333-4444-555555555555</uuid></map></llsd>";
    let folder = Folder::from_llsd(&from_xml(folder.as_bytes()).unwrap()).unwrap();
    assert_eq!((folder.kind, folder.name.as_str()), (0, ""));
}
