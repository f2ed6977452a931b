//! Inventory as viewers ask for it: by messages, by capabilities, and as resources.

mod ais;
mod http;
mod transaction;
mod udp;
mod udp_upload;
mod upload;

use crate::grid::core::{Core, RoomDef};
use crate::grid::misbehaviour::misbehaviours;
use crate::proto::id::AgentId;
use uuid::Uuid;

misbehaviours! {
    MakesTwice "makes-twice" "A request with the same transaction again makes its folder again.",
    CreatesOnUpdate "creates-on-update" "An update of an item that is not there makes it.",
    MovesSilently "moves-silently" "An update moves its item to the root.",
    ChangesForeign "changes-foreign" "Folders and items are changed by UDP whoever owns them.",
    FoldersAnywhere "folders-anywhere" "Folders are made in folders of others.",
    ServesForeign "serves-foreign" "Resources are told and changed whoever owns them.",
    CopiesForeign "copies-foreign" "Whoever names an item's owner may copy it.",
    ForgetsFolders "forgets-folders" "A folder made by HTTP is confirmed and not made.",
    LosesLastPacket "loses-last-packet" "Of several packets of one folder the last is not sent.",
    FoldersUntold "folders-untold" "A folder by HTTP has no list of the folders in it.",
    TypesAsType "types-as-type" "A folder's type is told by HTTP as `type` and `preferred_type`.",
    IgnoresFlags "ignores-flags" "Folders and items are told whether they were asked for or not.",
    UploadsAnywhere "uploads-anywhere" "An upload begins without an item to put it into.",
    CreatesAnywhere "creates-anywhere" "Items are made in folders of others.",
    OnePacket "one-packet" "A folder is told in one message, however large.",
    ForgetsAssets "forgets-assets" "An upload is confirmed, and its item stays as it was.",
    FlagsRemove "flags-remove" "Whoever changes an item's flags removes it.",
    UploadsTwice "uploads-twice" "An uploader takes bytes again and again.",
    ForgetsUploads "forgets-uploads" "Other bytes are kept than were uploaded.",
    NeverWaits "never-waits" "An item is made before the asset is there that it was to have.",
    IgnoresTransactions "ignores-transactions" "An update gives its item no asset, whatever transaction it names.",
    UpdatesForeign "updates-foreign" "Items of others can be changed.",
}

pub(super) const ROOM: RoomDef = RoomDef {
    messages: udp::MESSAGES,
    caps: &[
        ("FetchInventoryDescendents2", http::folders),
        ("FetchInventory2", http::items),
        ("FetchLibDescendents2", http::library_folders),
        ("FetchLib2", http::library_items),
        ("CreateInventoryCategory", http::create_folder),
        ("NewFileAgentInventory", upload::new_item),
        ("UpdateNotecardAgentInventory", upload::into_notecard),
        ("UpdateScriptAgent", upload::into_script),
        ("InventoryAPIv3", ais::of_agent),
        ("LibraryAPIv3", ais::of_library),
    ],
    own_caps: &[(upload::UPLOADER, upload::finish)],
    events: &["BulkUpdateInventory"],
    misbehaviours: Own::ALL,
    ..RoomDef::named("inventory")
};

/// In whose inventory a folder is made: its maker's, but where a faulty grid asks for the parent only.
fn maker(core: &Core, agent: AgentId, parent: Uuid) -> AgentId {
    let theirs = core.breaks(Own::FoldersAnywhere).then(|| core.inventories.owner_of(parent));
    theirs.flatten().map_or(agent, AgentId)
}

#[cfg(test)]
mod tests {
    use crate::grid::bench::Bench;
    use crate::proto::llsd::Llsd;
    use crate::proto::message::{Field, FieldValue};
    use uuid::Uuid;

    const FOLDER: Uuid = Uuid::from_u128(7);

    #[test]
    fn a_folder_made_by_message_is_told_by_capability() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let agent = bench.viewers[jane].agent;
        let root = bench.core.inventories.of(agent).unwrap().root;
        let make = bench
            .message(jane, "CreateInventoryFolder")
            .with("FolderData", "FolderID", Field::Uuid(FOLDER))
            .with("FolderData", "ParentID", Field::Uuid(root))
            .with("FolderData", "Type", Field::S8(-1))
            .with("FolderData", "Name", FieldValue::text("mine"));
        bench.say(jane, 0, &make);
        let (seed, name) = (bench.viewers[jane].seed.clone(), "FetchInventoryDescendents2");
        let fetch = bench.caps(&seed, &[name])[name].clone();
        let wanted = Llsd::map([("folder_id", Llsd::Uuid(FOLDER))]);
        let asked = Llsd::map([("folders", Llsd::Array(vec![wanted]))]);
        let (status, reply) = bench.post(&fetch, &asked);
        let told = reply.get("folders").and_then(Llsd::as_array).unwrap_or_default();
        let id = told.first().and_then(|folder| folder.get("folder_id")?.as_uuid());
        assert_eq!((status, id), (200, Some(FOLDER)));
    }

    #[test]
    fn an_uploader_takes_bytes_once_and_waits_no_longer_than_it_says() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let agent = bench.viewers[jane].agent;
        let root = bench.core.inventories.of(agent).unwrap().root;
        let (seed, name) = (bench.viewers[jane].seed.clone(), "NewFileAgentInventory");
        let begin = bench.caps(&seed, &[name])[name].clone();
        let asked = Llsd::map([
            ("folder_id", Llsd::Uuid(root)),
            ("asset_type", Llsd::string("notecard")),
            ("inventory_type", Llsd::string("notecard")),
            ("name", Llsd::string("a note")),
        ]);
        let mut uploader = || {
            let (_, reply) = bench.post(&begin, &asked);
            reply.get("uploader").and_then(Llsd::as_str).unwrap().to_owned()
        };
        let (used, left) = (uploader(), uploader());
        let send = |bench: &mut Bench, url: &str| {
            let asked = bench.ask("POST", url, "application/octet-stream", b"bytes");
            bench.answer(asked).unwrap().0
        };
        assert_eq!(send(&mut bench, &used), 200);
        assert_eq!(send(&mut bench, &used), 404);
        bench.pass(std::time::Duration::from_secs(121));
        assert_eq!(send(&mut bench, &left), 404);
    }
}
