//! Inventory over UDP: what viewers ask of a region about their own things.

use super::transaction::Waiting;
use super::{Own, maker};
use crate::grid::core::{Core, OnMessage, Sender};
use crate::grid::inventory::{FolderContents, Inventories, Inventory, Refusal, own_item};
use crate::proto::id::AgentId;
use crate::proto::inventory::{BODY_PART, CLOTHING, FOLDER_LINK, Folder, Item, LANDMARK, LINK};
use crate::proto::message::{Field, Message, Row};
use crate::proto::template::Template;
use uuid::Uuid;

/// A message's entries together are no larger than this, so that any path carries it whole.
const MOST_BYTES: usize = 1000;

/// The messages about inventory.
pub(super) const MESSAGES: &[(&str, OnMessage)] = &[
    ("FetchInventoryDescendents", |core, from, m| log(m, of(from, m).tell_folder(core))),
    ("FetchInventory", |core, from, m| log(m, of(from, m).tell_items(core))),
    ("CreateInventoryFolder", |core, from, m| log(m, of(from, m).create_folder(core))),
    ("UpdateInventoryFolder", |core, from, m| log(m, of(from, m).update_folders(core))),
    ("MoveInventoryFolder", |core, from, m| log(m, of(from, m).move_folders(core))),
    ("RemoveInventoryFolder", |core, from, m| log(m, of(from, m).remove_folders(core))),
    ("CreateInventoryItem", |core, from, m| log(m, of(from, m).create_item(core))),
    ("LinkInventoryItem", |core, from, m| log(m, of(from, m).link_item(core))),
    ("UpdateInventoryItem", |core, from, m| log(m, of(from, m).update_items(core))),
    ("MoveInventoryItem", |core, from, m| log(m, of(from, m).move_items(core))),
    ("CopyInventoryItem", |core, from, m| log(m, of(from, m).copy_items(core))),
    ("PurgeInventoryDescendents", |core, from, m| log(m, of(from, m).purge(core))),
    ("ChangeInventoryItemFlags", |core, from, m| log(m, of(from, m).change_flags(core))),
    ("AssetUploadRequest", |core, from, m| log(m, of(from, m).upload(core))),
    ("SendXferPacket", |core, from, m| log(m, of(from, m).packet(core))),
    ("AbortXfer", |core, from, m| log(m, of(from, m).abort(core))),
    ("RemoveInventoryItem", |core, from, m| {
        log(m, of(from, m).remove_items(core, "InventoryData"));
    }),
    ("RemoveInventoryObjects", |core, from, m| {
        let own = of(from, m);
        log(m, own.remove_folders(core).and(own.remove_items(core, "ItemData")));
    }),
];

/// What is refused gets no answer, as the protocol has none for it.
fn log(message: &Message, done: Done) {
    if let Err(refusal) = done {
        tracing::debug!("{}: {refusal}", message.name());
    }
}

fn of<'m>(from: &Sender, message: &'m Message) -> InventoryMessage<'m> {
    InventoryMessage { from: *from, message }
}

/// One message, and whose it is.
pub(super) struct InventoryMessage<'m> {
    pub from: Sender,
    pub message: &'m Message,
}

pub(super) type Done = Result<(), Refusal>;

impl InventoryMessage<'_> {
    pub(super) fn id(&self, block: &str, field: &str) -> Uuid {
        self.message.uuid(block, field).unwrap_or_default()
    }

    /// An id of every instance of a block.
    fn ids(&self, block: &str, field: &str) -> Vec<Uuid> {
        self.message.rows(block).map(|row| row.id(field)).collect()
    }

    fn tell_folder(&self, core: &mut Core) -> Done {
        if core.circuits[self.from.region.0].is_behind(self.from.address) {
            return Err(Refusal::TooMuch);
        }
        let id = self.id("InventoryData", "FolderID");
        let faults = core.faults.clone();
        let all = faults.breaks(Own::IgnoresFlags);
        let asked = |name| self.message.field("InventoryData", name) != Some(&Field::Bool(false));
        let wants = |name| all || asked(name);
        let by_date = self.message.field("InventoryData", "SortOrder") == Some(&Field::S32(1));
        let found = core.inventories.contents(self.from.agent, id);
        let (owner, mut contents) = found.ok_or(Refusal::NoSuchFolder)?;
        contents.sort(by_date);
        let one = faults.breaks(Own::OnePacket);
        let packets = Packets { template: &core.template, agent: self.from.agent, owner, one };
        let mut all = packets.of(&contents, wants("FetchFolders"), wants("FetchItems"));
        if faults.breaks(Own::LosesLastPacket) && all.len() > 1 {
            all.pop();
        }
        all.iter().for_each(|packet| core.reply(&self.from, packet));
        Ok(())
    }

    fn tell_items(&self, core: &mut Core) -> Done {
        let wanted = self.ids("InventoryData", "ItemID").into_iter();
        let found = wanted.filter_map(|id| core.inventories.item(self.from.agent, id));
        let found: Vec<Item> = found.collect();
        let reply = Message::named(&core.template, "FetchInventoryReply").with(
            "AgentData",
            "AgentID",
            Field::Uuid(self.from.agent.0),
        );
        for items in in_packets(&found, item_size) {
            let add = |message, item: &Item| item.to_block(message, "InventoryData");
            let message = items.iter().fold(reply.clone(), add);
            core.reply(&self.from, &message);
        }
        Ok(())
    }

    fn create_folder(&self, core: &mut Core) -> Done {
        let folder = Folder::from_blocks(self.message, "FolderData");
        let folder = folder.into_iter().next().ok_or(Refusal::Null)?;
        let make = |own: &mut Inventory| {
            own.create_folder(folder.id, folder.parent, folder.kind, &folder.name)
        };
        let owner = maker(core, self.from.agent, folder.parent);
        core.inventories.change(owner, make).map(drop)
    }

    /// Makes a change for every entry, kept together; the first refusal is told, the other entries
    /// are made.
    fn each<T: Clone>(
        &self,
        core: &mut Core,
        entries: impl IntoIterator<Item = T>,
        mut change: impl FnMut(&mut Inventory, T) -> Done,
    ) -> Done {
        let others = match core.breaks(Own::ChangesForeign) {
            true => core.inventories.owners(),
            false => Vec::new(),
        };
        let (all, entries) = (&mut core.inventories, entries.into_iter().collect::<Vec<T>>());
        for owner in others.into_iter().filter(|owner| *owner != self.from.agent) {
            let _ = all.change(owner, |theirs| {
                for entry in &entries {
                    let _ = change(theirs, entry.clone());
                }
                Ok(())
            });
        }
        let mut done = Ok(());
        let kept = all.change(self.from.agent, |own| {
            for entry in entries {
                done = std::mem::replace(&mut done, Ok(())).and(change(own, entry));
            }
            Ok(())
        });
        kept.and(done)
    }

    fn update_folders(&self, core: &mut Core) -> Done {
        let folders = Folder::from_blocks(self.message, "FolderData");
        self.each(core, folders, |own, folder| {
            own.update_folder(folder.id, folder.parent, &folder.name)
        })
    }

    fn move_folders(&self, core: &mut Core) -> Done {
        self.each(core, self.message.rows("InventoryData"), |own, row| {
            own.move_folder(row.id("FolderID"), row.id("ParentID"))
        })
    }

    fn remove_folders(&self, core: &mut Core) -> Done {
        let ids = self.ids("FolderData", "FolderID");
        self.each(core, ids, |own, id| own.remove_folder(id).map(drop))
    }

    fn remove_items(&self, core: &mut Core, block: &str) -> Done {
        let ids = self.ids(block, "ItemID");
        self.each(core, ids, |own, id| own.remove_item(id))
    }

    fn purge(&self, core: &mut Core) -> Done {
        let id = self.id("InventoryData", "FolderID");
        self.each(core, [id], |own, id| own.purge(id).map(drop))
    }

    fn change_flags(&self, core: &mut Core) -> Done {
        let removes = core.breaks(Own::FlagsRemove);
        self.each(core, self.message.rows("InventoryData"), |own, row| {
            if removes {
                return own.remove_item(row.id("ItemID"));
            }
            let flags = row.int("Flags");
            own.update_item(row.id("ItemID"), |item| item.flags = flags).map(drop)
        })
    }

    /// Makes an item. Its asset is what is uploaded under the transaction it names, once it is
    /// there; without one, what stands for its type until something is written into it.
    fn create_item(&self, core: &mut Core) -> Done {
        let wanted = self.message.rows("InventoryBlock").next().ok_or(Refusal::Null)?;
        let kind = wanted.int("Type");
        let here = core.world.landmark(self.from.agent);
        let all = &mut core.inventories;
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
        let inv_kind = wanted.int("InvType");
        let name = wanted.text("Name");
        let mut item = own_item(self.from.agent, wanted.id("FolderID"), kind, inv_kind, &name);
        item.description = wanted.text("Description");
        item.next_mask = wanted.int::<u32>("NextOwnerMask") & item.base_mask;
        item.asset = asset;
        if matches!(kind, CLOTHING | BODY_PART) {
            item.flags = wanted.int("WearableType");
        }
        let callback = wanted.int("CallbackID");
        let waits = !transaction.is_nil() && !core.breaks(Own::NeverWaits);
        match waits {
            true => self.await_asset(core, transaction, Waiting::New(Box::new(item), callback)),
            false => self.make(core, item, callback),
        }
    }

    /// Makes an item and tells its viewer.
    pub(super) fn make(&self, core: &mut Core, item: Item, callback: u32) -> Done {
        let anywhere = core.breaks(Own::CreatesAnywhere);
        let all = &mut core.inventories;
        let theirs = anywhere.then(|| all.owner_of(item.folder)).flatten();
        let owner = theirs.unwrap_or(self.from.agent.0);
        let made = all.change(AgentId(owner), |own| own.create_item(item))?;
        self.announce(core, &made, callback);
        Ok(())
    }

    fn link_item(&self, core: &mut Core) -> Done {
        let wanted = self.message.rows("InventoryBlock").next().ok_or(Refusal::Null)?;
        let target = wanted.id("OldItemID");
        let all = &mut core.inventories;
        let kind = wanted.int("Type");
        match kind {
            LINK | FOLDER_LINK if all.is_lax() => {}
            LINK if all.item(self.from.agent, target).is_some() => {}
            FOLDER_LINK if all.tree_of(self.from.agent, target).is_some() => {}
            FOLDER_LINK => return Err(Refusal::NoSuchFolder),
            _ => return Err(Refusal::NoSuchItem),
        }
        let (inv_kind, name) = (wanted.int("InvType"), wanted.text("Name"));
        let mut link = own_item(self.from.agent, wanted.id("FolderID"), kind, inv_kind, &name);
        link.description = wanted.text("Description");
        link.asset = target;
        let made = all.change(self.from.agent, |own| own.create_item(link))?;
        self.announce(core, &made, wanted.int("CallbackID"));
        Ok(())
    }

    /// Tells the viewer of an item that it has made, once it is on the disk.
    fn announce(&self, core: &mut Core, item: &Item, callback: u32) {
        let message = Message::named(&core.template, "UpdateCreateInventoryItem")
            .with("AgentData", "AgentID", Field::Uuid(self.from.agent.0))
            .with("AgentData", "SimApproved", Field::Bool(true));
        let message = item.to_block(message, "InventoryData").with(
            "InventoryData",
            "CallbackID",
            Field::U32(callback),
        );
        let from = self.from;
        core.when_kept(move |core, kept| {
            if kept {
                core.reply(&from, &message);
            }
        });
    }

    fn update_items(&self, core: &mut Core) -> Done {
        let faults = core.faults.clone();
        let mut done = Ok(());
        for row in self.message.rows("InventoryData") {
            let told = Item::from_row(row);
            let id = told.id;
            let all = &mut core.inventories;
            if faults.breaks(Own::CreatesOnUpdate) && all.item(self.from.agent, id).is_none() {
                let _ = all.change(self.from.agent, |own| own.create_item(told.clone()));
            }
            let change = |own: &mut Inventory| {
                own.update_item(id, |item| {
                    *item = Item { asset: item.asset, last_owner: item.last_owner, ..told };
                })
            };
            let foreign = faults.breaks(Own::UpdatesForeign).then(|| all.item_owner(id));
            let owner = foreign.flatten().unwrap_or(self.from.agent.0);
            done = done.and(all.change(AgentId(owner), change).map(drop));
            if faults.breaks(Own::MovesSilently) {
                let _ = all.change(self.from.agent, |own| own.move_item(id, own.root, ""));
            }
            let transaction = row.id("TransactionID");
            let ignores = faults.breaks(Own::IgnoresTransactions);
            if done.is_ok() && !transaction.is_nil() && !ignores {
                done = self.await_asset(core, transaction, Waiting::Update(id));
            }
        }
        done
    }

    /// Moves items, and tells of each on the event queue, as OpenSim does.
    fn move_items(&self, core: &mut Core) -> Done {
        let mut moved = Vec::new();
        let done = self.each(core, self.message.rows("InventoryData"), |own, row| {
            let name = row.text("NewName");
            moved.push(own.move_item(row.id("ItemID"), row.id("FolderID"), &name)?);
            Ok(())
        });
        let (agent, region) = (self.from.agent, self.from.region);
        core.when_kept(move |core, kept| {
            for item in moved.iter().filter(|_| kept) {
                core.tell(agent, region, item.to_bulk_update(agent, 0));
            }
        });
        done
    }

    fn copy_items(&self, core: &mut Core) -> Done {
        let mut done = Ok(());
        let own = self.from.agent;
        for row in self.message.rows("InventoryData") {
            let named = AgentId(row.id("OldAgentID"));
            let from = if core.breaks(Own::CopiesForeign) { named } else { own };
            let copied = copy(&mut core.inventories, from, own, row);
            match copied {
                Ok(copy) => self.announce(core, &copy, row.int("CallbackID")),
                Err(refusal) => done = Err(refusal),
            }
        }
        done
    }
}

fn copy(
    all: &mut Inventories,
    from: AgentId,
    agent: AgentId,
    wanted: Row<'_>,
) -> Result<Item, Refusal> {
    let source = all.item(from, wanted.id("OldItemID")).ok_or(Refusal::NoSuchItem)?;
    let (folder, name) = (wanted.id("NewFolderID"), wanted.text("NewName"));
    all.change(agent, |own| own.copy_item(&source, folder, &name))
}

/// InventoryDescendents for one folder.
struct Packets<'t> {
    template: &'t Template,
    agent: AgentId,
    owner: Uuid,
    /// All in one, as a faulty grid tells it.
    one: bool,
}

impl Packets<'_> {
    /// Folders first, then items, the targets of links before the links; one packet at least.
    fn of(&self, contents: &FolderContents, folders: bool, items: bool) -> Vec<Message> {
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
    fn told(&self, contents: &FolderContents, folders: &[Folder], items: &[Item]) -> Message {
        let add_folder = |message, folder: &Folder| folder.to_block(message, "FolderData");
        let add_item = |message, item: &Item| item.to_block(message, "ItemData");
        let message = folders.iter().fold(self.empty(contents), add_folder);
        with_null_blocks(items.iter().fold(message, add_item))
    }

    fn empty(&self, contents: &FolderContents) -> Message {
        Message::named(self.template, "InventoryDescendents")
            .with("AgentData", "AgentID", Field::Uuid(self.agent.0))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;
    use crate::proto::message::FieldValue;

    /// The names of what a folder holds, as it is told.
    fn told(bench: &mut Bench, who: usize, folder: Uuid) -> Option<Vec<String>> {
        bench.heard(who, 0);
        let fetch = bench
            .message(who, "FetchInventoryDescendents")
            .with("InventoryData", "FolderID", Field::Uuid(folder))
            .with("InventoryData", "FetchFolders", Field::Bool(true))
            .with("InventoryData", "FetchItems", Field::Bool(true));
        bench.say(who, 0, &fetch);
        let heard = bench.heard(who, 0);
        let replies = heard.iter().filter(|heard| heard.name() == "InventoryDescendents");
        let folders: Vec<_> = replies.map(|reply| reply.rows("FolderData")).collect();
        (!folders.is_empty())
            .then(|| folders.into_iter().flatten().map(|row| row.text("Name")).collect())
    }

    #[test]
    fn a_folder_is_made_renamed_and_thrown_away() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let (root, trash) = {
            let own = bench.core.inventories.of(bench.viewers[jane].agent).unwrap();
            (own.root, own.system_folder(14).unwrap())
        };
        let of = |bench: &Bench, message: &str, name: &str| {
            bench
                .message(jane, message)
                .with("FolderData", "FolderID", Field::Uuid(Uuid::from_u128(7)))
                .with("FolderData", "ParentID", Field::Uuid(root))
                .with("FolderData", "Type", Field::S8(-1))
                .with("FolderData", "Name", FieldValue::text(name))
        };
        let make = of(&bench, "CreateInventoryFolder", "mine");
        bench.say(jane, 0, &make);
        let rename = of(&bench, "UpdateInventoryFolder", "yours");
        bench.say(jane, 0, &rename);
        let names = told(&mut bench, jane, root).unwrap();
        assert!(names.contains(&"yours".to_owned()) && !names.contains(&"mine".to_owned()));
        let discard = bench
            .message(jane, "MoveInventoryFolder")
            .with("InventoryData", "FolderID", Field::Uuid(Uuid::from_u128(7)))
            .with("InventoryData", "ParentID", Field::Uuid(trash));
        bench.say(jane, 0, &discard);
        assert_eq!(told(&mut bench, jane, trash).unwrap(), ["yours"]);
    }

    #[test]
    fn a_folder_that_is_not_there_or_not_ones_own_is_not_told() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        assert_eq!(told(&mut bench, jane, Uuid::from_u128(9)), None);
        let others = bench.core.inventories.of(bench.viewers[john].agent).unwrap().root;
        assert_eq!(told(&mut bench, jane, others), None);
    }
}
