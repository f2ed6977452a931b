use super::*;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn inventory() -> Inventory {
    let folder = |n: u128, parent: u128, kind| Folder {
        id: id(n),
        parent: id(parent),
        kind,
        name: format!("folder {n}"),
        version: 1,
    };
    let folders = vec![folder(1, 0, ROOT), folder(2, 1, TRASH), folder(3, 1, -1), folder(4, 3, -1)];
    Inventory::new(id(99), folders, Vec::new(), Faults::default(), Chance::default())
}

fn item(folder: u128) -> Item {
    Item {
        folder: id(folder),
        base_mask: FULL,
        owner_mask: FULL,
        kind: 7,
        name: "a note".into(),
        ..Item::default()
    }
}

fn version(inventory: &Inventory, n: u128) -> i32 {
    inventory.folder(id(n)).unwrap().version
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut all = inventory();
    let before = format!("{:?}", (all.skeleton(), &all.changes));
    assert_eq!(all.create_folder(id(0), id(1), -1, "x").unwrap_err(), Refusal::Null);
    assert_eq!(all.create_folder(id(4), id(1), -1, "x").unwrap_err(), Refusal::Exists);
    assert_eq!(all.create_folder(id(7), id(77), -1, "x").unwrap_err(), Refusal::NoSuchFolder);
    assert_eq!(all.create_folder(id(7), id(1), TRASH, "x").unwrap_err(), Refusal::System);
    assert_eq!(all.create_folder(id(7), id(1), -1, "").unwrap_err(), Refusal::NoName);
    assert_eq!(all.update_folder(id(2), id(1), "x"), Err(Refusal::System));
    assert_eq!(all.update_folder(id(1), id(0), "x"), Err(Refusal::System));
    assert_eq!(all.move_folder(id(3), id(4)), Err(Refusal::Loop));
    assert_eq!(all.move_folder(id(3), id(3)), Err(Refusal::Loop));
    assert_eq!(all.remove_folder(id(4)), Err(Refusal::NotInTrash));
    assert_eq!(all.remove_folder(id(2)), Err(Refusal::System));
    assert_eq!(all.purge(id(3)), Err(Refusal::NotInTrash));
    assert_eq!(all.create_item(item(77)).unwrap_err(), Refusal::NoSuchFolder);
    assert_eq!(all.remove_item(id(5)), Err(Refusal::NoSuchItem));
    assert_eq!(all.move_item(id(5), id(1), "").unwrap_err(), Refusal::NoSuchItem);
    assert_eq!(format!("{:?}", (all.skeleton(), &all.changes)), before);
}

#[test]
fn versions_grow_with_every_change_of_what_is_directly_inside() {
    let mut all = inventory();
    let made = all.create_item(item(3)).unwrap();
    assert_eq!((version(&all, 3), version(&all, 1)), (2, 1));
    all.move_item(made.id, id(4), "").unwrap();
    assert_eq!((version(&all, 3), version(&all, 4)), (3, 2));
    all.update_item(made.id, |item| item.name = "b".into()).unwrap();
    assert_eq!(version(&all, 4), 3);
    all.copy_item(&all.item(made.id).unwrap().clone(), id(3), "").unwrap();
    assert_eq!((version(&all, 3), version(&all, 4)), (4, 3));
    all.remove_item(made.id).unwrap();
    assert_eq!(version(&all, 4), 4);
    all.update_folder(id(4), id(3), "new").unwrap();
    assert_eq!((version(&all, 3), version(&all, 4)), (5, 5));
}

#[test]
fn an_update_keeps_place_kind_owner_and_base_mask() {
    let mut all = inventory();
    let made = all.create_item(item(3)).unwrap();
    let after = all.update_item(made.id, |item| {
        *item = Item {
            id: id(7),
            folder: id(1),
            owner: id(5),
            creator: id(5),
            base_mask: u32::MAX,
            everyone_mask: u32::MAX,
            kind: 0,
            name: "x".repeat(100),
            ..Item::default()
        };
    });
    let after = after.unwrap();
    assert_eq!((after.id, after.folder, after.owner), (made.id, made.folder, id(99)));
    assert_eq!((after.base_mask, after.everyone_mask, after.kind), (FULL, FULL, 7));
    assert_eq!(after.name.len(), MAX_NAME);
}

#[test]
fn a_folder_goes_from_the_trash_with_all_it_holds() {
    let mut all = inventory();
    let deep = all.create_item(item(4)).unwrap();
    all.move_folder(id(3), id(2)).unwrap();
    let gone: BTreeSet<Uuid> = all.remove_folder(id(3)).unwrap().into_iter().collect();
    assert_eq!(gone, BTreeSet::from([id(3), id(4), deep.id]));
    assert_eq!(all.skeleton().len(), 2);
    assert!(all.item(deep.id).is_none());
    let changes = all.take_changes();
    assert!(changes.items.contains(&deep.id) && changes.folders.contains(&id(4)));
}

#[test]
fn targets_of_links_are_told_once_and_not_counted() {
    let mut all = inventory();
    let target = all.create_item(item(3)).unwrap();
    for _ in 0..2 {
        let link = Item { kind: LINK, asset: target.id, ..item(4) };
        all.create_item(link).unwrap();
    }
    let contents = all.contents(id(4)).unwrap();
    assert_eq!((contents.descendents(), contents.targets), (2, vec![target]));
}
