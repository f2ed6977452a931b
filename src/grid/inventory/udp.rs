//! Inventory over UDP: what viewers ask of a region about their own things.

use super::model::{Contents, Inventory};
use super::transaction::Waiting;
use super::{Inventories, Refusal, own_item};
use crate::grid::Policy;
use crate::grid::region::Region;
use crate::proto::inventory::{BODY_PART, CLOTHING, FOLDER_LINK, Folder, Item, LANDMARK, LINK};
use crate::proto::message::{Field, Message, Row};
use crate::proto::template::Template;
use std::net::SocketAddr;
use uuid::Uuid;

/// A message's entries together are no larger than this, so that any path carries it whole.
const MOST_BYTES: usize = 1000;

/// Handles a message about inventory; whether it was one. What is refused gets no answer, as the
/// protocol has none for it.
pub(in crate::grid) fn dispatch(
    region: &mut Region,
    from: SocketAddr,
    agent: Uuid,
    message: &Message,
) -> bool {
    let desk = Desk { agent, from, message };
    let done = match message.name() {
        "FetchInventoryDescendents" => desk.tell_folder(region),
        "FetchInventory" => desk.tell_items(region),
        "CreateInventoryFolder" => desk.create_folder(region),
        "UpdateInventoryFolder" => desk.update_folders(region),
        "MoveInventoryFolder" => desk.move_folders(region),
        "RemoveInventoryFolder" => desk.remove_folders(region),
        "CreateInventoryItem" => desk.create_item(region),
        "LinkInventoryItem" => desk.link_item(region),
        "UpdateInventoryItem" => desk.update_items(region),
        "MoveInventoryItem" => desk.move_items(region),
        "CopyInventoryItem" => desk.copy_items(region),
        "RemoveInventoryItem" => desk.remove_items(region, "InventoryData"),
        "RemoveInventoryObjects" => {
            desk.remove_folders(region).and(desk.remove_items(region, "ItemData"))
        }
        "PurgeInventoryDescendents" => desk.purge(region),
        "ChangeInventoryItemFlags" => desk.change_flags(region),
        "AssetUploadRequest" => desk.upload(region),
        "SendXferPacket" => desk.packet(region),
        "AbortXfer" => desk.abort(region),
        _ => return false,
    };
    if let Err(refusal) = done {
        tracing::debug!("{}: {refusal}", message.name());
    }
    true
}

/// One message, and whose it is.
pub(super) struct Desk<'m> {
    pub agent: Uuid,
    pub from: SocketAddr,
    pub message: &'m Message,
}

pub(super) type Done = Result<(), Refusal>;

impl Desk<'_> {
    pub(super) fn id(&self, block: &str, field: &str) -> Uuid {
        self.message.uuid(block, field).unwrap_or_default()
    }

    /// An id of every instance of a block.
    fn ids(&self, block: &str, field: &str) -> Vec<Uuid> {
        self.message.rows(block).map(|row| row.id(field)).collect()
    }

    fn tell_folder(&self, region: &mut Region) -> Done {
        if region.circuits.is_behind(self.from) {
            return Err(Refusal::TooMuch);
        }
        let id = self.id("InventoryData", "FolderID");
        let faults = region.shared.config.faults.clone();
        let all = faults.breaks(Policy::IgnoresFlags);
        let asked = |name| self.message.field("InventoryData", name) != Some(&Field::Bool(false));
        let wants = |name| all || asked(name);
        let by_date = self.message.field("InventoryData", "SortOrder") == Some(&Field::S32(1));
        let shared = region.shared.clone();
        let found = shared.inventories().contents(self.agent, id);
        let (owner, mut contents) = found.ok_or(Refusal::NoSuchFolder)?;
        contents.sort(by_date);
        let one = faults.breaks(Policy::OnePacket);
        let packets = Packets { template: &shared.template, agent: self.agent, owner, one };
        let mut all = packets.of(&contents, wants("FetchFolders"), wants("FetchItems"));
        if faults.breaks(Policy::LosesLastPacket) && all.len() > 1 {
            all.pop();
        }
        all.iter().for_each(|packet| region.circuits.send(self.from, packet, true));
        Ok(())
    }

    fn tell_items(&self, region: &mut Region) -> Done {
        let shared = region.shared.clone();
        let mut all = shared.inventories();
        let wanted = self.ids("InventoryData", "ItemID").into_iter();
        let found: Vec<Item> = wanted.filter_map(|id| all.item(self.agent, id)).collect();
        drop(all);
        let reply = || {
            Message::named(&shared.template, "FetchInventoryReply").with(
                "AgentData",
                "AgentID",
                Field::Uuid(self.agent),
            )
        };
        for items in in_packets(&found, item_size) {
            let add = |message, item: &Item| item.to_block(message, "InventoryData");
            let message = items.iter().fold(reply(), add);
            region.circuits.send(self.from, &message, true);
        }
        Ok(())
    }

    fn create_folder(&self, region: &mut Region) -> Done {
        let folder = Folder::from_blocks(self.message, "FolderData");
        let folder = folder.into_iter().next().ok_or(Refusal::Null)?;
        let mut all = region.shared.inventories();
        let make = |own: &mut Inventory| {
            own.create_folder(folder.id, folder.parent, folder.kind, &folder.name)
        };
        all.change(self.agent, make).map(drop)
    }

    /// Makes a change for every entry, kept together; the first refusal is told, the other entries
    /// are made.
    fn each<T>(
        &self,
        region: &Region,
        entries: impl IntoIterator<Item = T>,
        mut change: impl FnMut(&mut Inventory, T) -> Done,
    ) -> Done {
        let mut all = region.shared.inventories();
        let mut done = Ok(());
        let kept = all.change(self.agent, |own| {
            for entry in entries {
                done = std::mem::replace(&mut done, Ok(())).and(change(own, entry));
            }
            Ok(())
        });
        kept.and(done)
    }

    fn update_folders(&self, region: &Region) -> Done {
        let folders = Folder::from_blocks(self.message, "FolderData");
        self.each(region, folders, |own, folder| {
            own.update_folder(folder.id, folder.parent, &folder.name)
        })
    }

    fn move_folders(&self, region: &Region) -> Done {
        self.each(region, self.message.rows("InventoryData"), |own, row| {
            own.move_folder(row.id("FolderID"), row.id("ParentID"))
        })
    }

    fn remove_folders(&self, region: &Region) -> Done {
        let ids = self.ids("FolderData", "FolderID");
        self.each(region, ids, |own, id| own.remove_folder(id).map(drop))
    }

    fn remove_items(&self, region: &Region, block: &str) -> Done {
        let ids = self.ids(block, "ItemID");
        if region.shared.config.faults.breaks(Policy::RemovesForeign) {
            region.shared.inventories().remove_anywhere(&ids);
        }
        self.each(region, ids, |own, id| own.remove_item(id))
    }

    fn purge(&self, region: &Region) -> Done {
        let id = self.id("InventoryData", "FolderID");
        self.each(region, [id], |own, id| own.purge(id).map(drop))
    }

    fn change_flags(&self, region: &Region) -> Done {
        let removes = region.shared.config.faults.breaks(Policy::FlagsRemove);
        self.each(region, self.message.rows("InventoryData"), |own, row| {
            if removes {
                return own.remove_item(row.id("ItemID"));
            }
            let flags = row.number("Flags") as u32;
            own.update_item(row.id("ItemID"), |item| item.flags = flags).map(drop)
        })
    }

    /// Makes an item. Its asset is what is uploaded under the transaction it names, once it is
    /// there; without one, what stands for its type until something is written into it.
    fn create_item(&self, region: &mut Region) -> Done {
        let wanted = self.message.rows("InventoryBlock").next().ok_or(Refusal::Null)?;
        let kind = wanted.number("Type") as i8;
        let here = region.shared.world().landmark(self.agent);
        let shared = region.shared.clone();
        let mut all = shared.inventories();
        let transaction = wanted.id("TransactionID");
        let asset = match here {
            _ if !transaction.is_nil() => Uuid::nil(),
            Some(here) if kind == LANDMARK => {
                let id = all.new_id();
                all.put_asset(id, kind, here.to_text().as_bytes());
                id
            }
            _ => all.default_asset(kind),
        };
        let inv_kind = wanted.number("InvType") as i8;
        let name = wanted.text("Name");
        let mut item = own_item(self.agent, wanted.id("FolderID"), kind, inv_kind, &name);
        item.description = wanted.text("Description");
        item.next_mask = wanted.number("NextOwnerMask") as u32 & item.base_mask;
        item.asset = asset;
        if matches!(kind, CLOTHING | BODY_PART) {
            item.flags = wanted.number("WearableType") as u32;
        }
        let callback = wanted.number("CallbackID") as u32;
        drop(all);
        let waits = !transaction.is_nil() && !shared.config.faults.breaks(Policy::NeverWaits);
        match waits {
            true => self.await_asset(region, transaction, Waiting::New(Box::new(item), callback)),
            false => self.make(region, item, callback),
        }
    }

    /// Makes an item and tells its viewer.
    pub(super) fn make(&self, region: &mut Region, item: Item, callback: u32) -> Done {
        let shared = region.shared.clone();
        let mut all = shared.inventories();
        let anywhere = shared.config.faults.breaks(Policy::CreatesAnywhere);
        let owner = all.owner_of(item.folder).filter(|_| anywhere).unwrap_or(self.agent);
        let made = all.change(owner, |own| own.create_item(item))?;
        drop(all);
        self.announce(region, &made, callback);
        Ok(())
    }

    fn link_item(&self, region: &mut Region) -> Done {
        let wanted = self.message.rows("InventoryBlock").next().ok_or(Refusal::Null)?;
        let target = wanted.id("OldItemID");
        let shared = region.shared.clone();
        let mut all = shared.inventories();
        let kind = wanted.number("Type") as i8;
        match kind {
            LINK | FOLDER_LINK if all.is_lax() => {}
            LINK if all.item(self.agent, target).is_some() => {}
            FOLDER_LINK if all.tree_of(self.agent, target).is_some() => {}
            FOLDER_LINK => return Err(Refusal::NoSuchFolder),
            _ => return Err(Refusal::NoSuchItem),
        }
        let (inv_kind, name) = (wanted.number("InvType") as i8, wanted.text("Name"));
        let mut link = own_item(self.agent, wanted.id("FolderID"), kind, inv_kind, &name);
        link.description = wanted.text("Description");
        link.asset = target;
        let made = all.change(self.agent, |own| own.create_item(link))?;
        drop(all);
        self.announce(region, &made, wanted.number("CallbackID") as u32);
        Ok(())
    }

    /// Tells the viewer of an item that it has made.
    fn announce(&self, region: &mut Region, item: &Item, callback: u32) {
        let message = Message::named(&region.shared.template, "UpdateCreateInventoryItem")
            .with("AgentData", "AgentID", Field::Uuid(self.agent))
            .with("AgentData", "SimApproved", Field::Bool(true));
        let message = item.to_block(message, "InventoryData").with(
            "InventoryData",
            "CallbackID",
            Field::U32(callback),
        );
        region.circuits.send(self.from, &message, true);
    }

    fn update_items(&self, region: &mut Region) -> Done {
        let shared = region.shared.clone();
        let faults = &shared.config.faults;
        let mut done = Ok(());
        for row in self.message.rows("InventoryData") {
            let told = Item::from_row(row);
            let id = told.id;
            let mut all = shared.inventories();
            if faults.breaks(Policy::CreatesOnUpdate) && all.item(self.agent, id).is_none() {
                let _ = all.change(self.agent, |own| own.create_item(told.clone()));
            }
            let change = |own: &mut Inventory| {
                own.update_item(id, |item| {
                    *item = Item { asset: item.asset, last_owner: item.last_owner, ..told };
                })
            };
            let foreign = all.item_owner(id).filter(|_| faults.breaks(Policy::UpdatesForeign));
            let owner = foreign.unwrap_or(self.agent);
            done = done.and(all.change(owner, change).map(drop));
            if faults.breaks(Policy::MovesSilently) {
                let _ = all.change(self.agent, |own| own.move_item(id, own.root, ""));
            }
            drop(all);
            let transaction = row.id("TransactionID");
            let ignores = faults.breaks(Policy::IgnoresTransactions);
            if done.is_ok() && !transaction.is_nil() && !ignores {
                done = self.await_asset(region, transaction, Waiting::Update(id));
            }
        }
        done
    }

    /// Moves items, and tells of each on the event queue, as OpenSim does.
    fn move_items(&self, region: &Region) -> Done {
        let mut moved = Vec::new();
        let done = self.each(region, self.message.rows("InventoryData"), |own, row| {
            let name = row.text("NewName");
            moved.push(own.move_item(row.id("ItemID"), row.id("FolderID"), &name)?);
            Ok(())
        });
        let mut world = region.shared.world();
        for item in &moved {
            world.tell(self.agent, region.index, item.to_bulk_update(self.agent, 0));
        }
        done
    }

    fn copy_items(&self, region: &mut Region) -> Done {
        let mut done = Ok(());
        for row in self.message.rows("InventoryData") {
            let shared = region.shared.clone();
            let copied = copy(&mut shared.inventories(), self.agent, row);
            match copied {
                Ok(copy) => self.announce(region, &copy, row.number("CallbackID") as u32),
                Err(refusal) => done = Err(refusal),
            }
        }
        done
    }
}

fn copy(all: &mut Inventories, agent: Uuid, wanted: Row<'_>) -> Result<Item, Refusal> {
    let source = all.item(agent, wanted.id("OldItemID")).ok_or(Refusal::NoSuchItem)?;
    let (folder, name) = (wanted.id("NewFolderID"), wanted.text("NewName"));
    all.change(agent, |own| own.copy_item(&source, folder, &name))
}

/// InventoryDescendents for one folder.
struct Packets<'t> {
    template: &'t Template,
    agent: Uuid,
    owner: Uuid,
    /// All in one, as a faulty grid tells it.
    one: bool,
}

impl Packets<'_> {
    /// Folders first, then items, the targets of links before the links; one packet at least.
    fn of(&self, contents: &Contents, folders: bool, items: bool) -> Vec<Message> {
        if self.one {
            return vec![self.told(contents, &contents.folders, &contents.items)];
        }
        let mut all = Vec::new();
        if folders {
            let packets = in_packets(&contents.folders, |folder| 40 + folder.name.len());
            all.extend(packets.into_iter().map(|folders| self.told(contents, folders, &[])));
        }
        if items {
            let told: Vec<Item> = contents.targets.iter().chain(&contents.items).cloned().collect();
            let packets = in_packets(&told, item_size);
            all.extend(packets.into_iter().map(|items| self.told(contents, &[], items)));
        }
        match all.is_empty() {
            true => vec![self.told(contents, &[], &[])],
            false => all,
        }
    }

    /// One message with these entries.
    fn told(&self, contents: &Contents, folders: &[Folder], items: &[Item]) -> Message {
        let add_folder = |message, folder: &Folder| folder.to_block(message, "FolderData");
        let add_item = |message, item: &Item| item.to_block(message, "ItemData");
        let message = folders.iter().fold(self.empty(contents), add_folder);
        with_null_blocks(items.iter().fold(message, add_item))
    }

    fn empty(&self, contents: &Contents) -> Message {
        Message::named(self.template, "InventoryDescendents")
            .with("AgentData", "AgentID", Field::Uuid(self.agent))
            .with("AgentData", "FolderID", Field::Uuid(contents.folder.id))
            .with("AgentData", "OwnerID", Field::Uuid(self.owner))
            .with("AgentData", "Version", Field::S32(contents.folder.version))
            .with("AgentData", "Descendents", Field::S32(contents.descendents()))
    }
}

/// Viewers know a section without entries by one null block.
fn with_null_blocks(mut message: Message) -> Message {
    for block in ["FolderData", "ItemData"] {
        if message.instances(block).is_empty() {
            message = message.with(block, "Type", Field::S8(-1));
        }
    }
    message
}

fn item_size(item: &Item) -> usize {
    140 + item.name.len() + item.description.len()
}

/// Entries, as many together as a packet carries.
fn in_packets<T>(entries: &[T], size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut packets, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, entry) in entries.iter().enumerate() {
        let size = size(entry);
        if at > start && bytes + size > MOST_BYTES {
            packets.push(&entries[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < entries.len() {
        packets.push(&entries[start..]);
    }
    packets
}
