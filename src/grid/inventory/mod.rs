//! Inventories: each account's own, the library that all read, and the assets behind the items.
//!
//! Whatever changes goes through [`Inventories::change`], which remembers what is to be kept on
//! disk, where there is one, before anybody is told.

mod assets;
mod library;
mod model;
mod store;

pub(super) use assets::MOST_BYTES;
pub(super) use library::LIBRARY_OWNER;
pub(super) use model::{FolderContents, Inventory, Refusal};
pub use store::StoreError;
pub(super) use store::{Batch, Store};

use super::Faults;
use super::core::{RoomDef, derived_id};
use super::misbehaviour::misbehaviours;
use crate::net::Chance;
use crate::proto::id::AgentId;
use crate::proto::inventory::{Folder, Item, NOTECARD, SCRIPT};
use crate::proto::llsd::Llsd;
use assets::{Asset, Assets};
use model::FULL;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

misbehaviours! {
    VersionsStandStill "versions-stand-still" "The version of a folder never grows.",
    SecondTrash "second-trash" "A second folder of a system type is made.",
    RenamesSystem "renames-system" "Folders of the system are renamed and moved.",
    PurgesAnywhere "purges-anywhere" "Folders are removed and purged that are not in the trash.",
    TrustsOwners "trusts-owners" "An update says whose an item is, and who made it.",
    UnboundMasks "unbound-masks" "Masks go beyond the base mask.",
    CopiesAnything "copies-anything" "What may not be copied is copied.",
    ShowsForeign "shows-foreign" "Folders and items of others are shown.",
    FollowsLinks "follows-links" "A link is told as what it points at.",
    KeepsRemoved "keeps-removed" "What is removed or purged is confirmed and stays.",
    DanglingLinks "dangling-links" "A link to what is not there is made.",
    TakesNameless "takes-nameless" "Folders without an id or a name are made.",
    NullIsRoot "null-is-root" "The null folder is the root.",
    MovesCopies "moves-copies" "A copy is the original, moved.",
    AnyFolder "any-folder" "Items are made in folders that are not there.",
    InventsFolders "invents-folders" "A folder that is not there is told with an item.",
    InventsItems "invents-items" "An item that is not there is told, and made where it is moved.",
    VersionsFall "versions-fall" "The version of a folder falls.",
    MovesInCircles "moves-in-circles" "A folder is moved into itself.",
    ForgetsInventory "forgets-inventory" "Every login finds a new inventory.",
    LendsLibrary "lends-library" "The library can be changed.",
    MovesEmpty "moves-empty" "A folder moves without what is in it.",
    UsesIdsTwice "uses-ids-twice" "A folder with an id that is in use takes the place of the other.",
    HidesTargets "hides-targets" "What a link points at is not told with the link.",
    CopiesKeepNames "copies-keep-names" "A copy has the name of the original.",
}

/// What the model of inventories can be told to do wrong.
pub(super) const MODEL: RoomDef =
    RoomDef { misbehaviours: Own::ALL, ..RoomDef::named("inventory model") };

/// Everything that anybody has.
#[derive(Debug)]
pub(super) struct Inventories {
    of: BTreeMap<AgentId, Inventory>,
    library: Inventory,
    assets: Assets,
    store: Option<Store>,
    /// What is not on the disk yet.
    batch: Batch,
    faults: Faults,
    chance: Chance,
    time: jiff::Timestamp,
}

impl Inventories {
    /// As they were kept; without a store, in memory.
    pub(super) fn new(store: Option<Store>, faults: Faults, chance: Chance) -> Self {
        Self {
            of: BTreeMap::new(),
            library: library::library(faults.clone(), chance.clone()),
            assets: Assets::new(),
            store,
            batch: Batch::default(),
            faults,
            chance,
            time: jiff::Timestamp::default(),
        }
    }

    /// What time it is, for whatever is made from now on.
    pub(super) fn set_time(&mut self, time: jiff::Timestamp) {
        self.time = time;
    }

    /// What is not on the disk yet, if anything.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        (!self.batch.is_empty()).then(|| std::mem::take(&mut self.batch))
    }

    /// A batch is on the disk, or could not be kept: then all of it is as it was before.
    pub(super) fn settled(&mut self, owners: BTreeSet<AgentId>, assets: Vec<Uuid>, kept: bool) {
        assets.into_iter().for_each(|id| self.assets.drop_from_memory(id));
        if !kept {
            owners.into_iter().for_each(|owner| drop(self.of.remove(&owner)));
        }
    }

    /// An account's inventory, as it was left.
    pub(super) fn of(&mut self, agent: AgentId) -> Result<&mut Inventory, Refusal> {
        if !self.of.contains_key(&agent) {
            let inventory = self.load(agent)?;
            self.of.insert(agent, inventory);
        }
        self.of.get_mut(&agent).ok_or(Refusal::Storage)
    }

    fn load(&mut self, agent: AgentId) -> Result<Inventory, Refusal> {
        let fresh = || library::fresh(agent, self.faults.clone(), self.chance.clone());
        let Some(store) = &self.store else { return Ok(fresh()) };
        match store.load(agent.0).map_err(|_| Refusal::Storage)? {
            Some((folders, items)) => {
                let (faults, chance) = (self.faults.clone(), self.chance.clone());
                Ok(Inventory::new(agent.0, folders, items, faults, chance))
            }
            None => {
                let inventory = fresh();
                self.batch.add(&inventory, &inventory.all());
                Ok(inventory)
            }
        }
    }

    /// An id that nothing has.
    pub(super) fn new_id(&self) -> Uuid {
        self.chance.uuid()
    }

    /// Makes one change to an account's inventory.
    pub(super) fn change<T>(
        &mut self,
        agent: AgentId,
        change: impl FnOnce(&mut Inventory) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.of(agent)?;
        let inventory = self.of.get_mut(&agent).ok_or(Refusal::Storage)?;
        inventory.time = self.time;
        let result = change(inventory)?;
        let changes = inventory.take_changes();
        if self.store.is_some() {
            self.batch.add(inventory, &changes);
        }
        Ok(result)
    }

    /// Makes several changes, all of them or none.
    pub(super) fn change_all<T>(
        &mut self,
        agent: AgentId,
        change: impl FnOnce(&mut Inventory) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = self.of(agent)?.clone();
        let result = self.change(agent, change);
        if result.is_err() {
            self.of.insert(agent, before);
        }
        result
    }

    /// The tree a folder is in, of those that an agent may read: its own and the library.
    pub(super) fn tree_of(&mut self, agent: AgentId, folder: Uuid) -> Option<&Inventory> {
        let foreign = self.faults.breaks(Own::ShowsForeign);
        self.of(agent).ok()?;
        let trees = [self.of.get(&agent)?, &self.library].into_iter();
        let others = self.of.values().filter(move |_| foreign);
        trees.chain(others).find(|tree| tree.folder(folder).is_some())
    }

    /// A folder with its contents, as an agent may read it: whose it is, and what.
    pub(super) fn contents(
        &mut self,
        agent: AgentId,
        folder: Uuid,
    ) -> Option<(Uuid, FolderContents)> {
        let follows = self.faults.breaks(Own::FollowsLinks);
        let invents = self.faults.breaks(Own::InventsFolders);
        if self.faults.breaks(Own::NullIsRoot) && folder.is_nil() {
            let own = self.of(agent).ok()?;
            let mut contents = own.contents(own.root)?;
            contents.folder.id = folder;
            return Some((agent.0, contents));
        }
        let Some(tree) = self.tree_of(agent, folder) else {
            let item = own_item(agent, folder, -1, -1, "invented");
            let items = vec![Item { id: self.new_id(), ..item }];
            let folder = Folder { id: folder, ..Folder::default() };
            let (folders, targets) = (Vec::new(), Vec::new());
            return invents
                .then_some((agent.0, FolderContents { folder, folders, items, targets }));
        };
        let mut contents = tree.contents(folder)?;
        if follows {
            for link in contents.items.iter_mut().filter(|item| item.is_link()) {
                if let Some(target) = tree.item(link.asset) {
                    (link.asset, link.kind) = (target.asset, target.kind);
                }
            }
        }
        Some((tree.owner, contents))
    }

    /// An item that an agent may read.
    pub(super) fn item(&mut self, agent: AgentId, id: Uuid) -> Option<Item> {
        let foreign = self.faults.breaks(Own::ShowsForeign);
        self.of(agent).ok()?;
        let trees = [self.of.get(&agent)?, &self.library].into_iter();
        let others = self.of.values().filter(move |_| foreign);
        let found = trees.chain(others).find_map(|tree| tree.item(id)).cloned();
        let invents = self.faults.breaks(Own::InventsItems);
        found.or_else(|| {
            let item = own_item(agent, Uuid::nil(), -1, -1, "invented");
            invents.then_some(Item { id, ..item })
        })
    }

    /// Whose folder that is: for faults.
    pub(super) fn owner_of(&self, folder: Uuid) -> Option<Uuid> {
        self.of.values().find(|own| own.folder(folder).is_some()).map(|own| own.owner)
    }

    /// Whose item that is: for faults.
    pub(super) fn item_owner(&self, item: Uuid) -> Option<Uuid> {
        self.of.values().find(|own| own.item(item).is_some()).map(|own| own.owner)
    }

    /// Everybody whose inventory was looked at: for faults.
    pub(super) fn owners(&self) -> Vec<AgentId> {
        self.of.keys().copied().collect()
    }

    /// Whether the library is confirmed to be changed: a fault.
    pub(super) fn is_lent(&self) -> bool {
        self.faults.breaks(Own::LendsLibrary)
    }

    /// Whether links to nothing are made: a fault.
    pub(super) fn is_lax(&self) -> bool {
        self.faults.breaks(Own::DanglingLinks)
    }

    /// The library.
    pub(super) fn library(&self) -> &Inventory {
        &self.library
    }

    /// Adds an asset; whether it was taken.
    pub(super) fn put_asset(&mut self, id: Uuid, kind: i8, bytes: &[u8]) -> bool {
        let kept = self.assets.put(self.store.as_ref(), id, kind, bytes);
        if let (true, Some(_), Some(asset)) = (kept, &self.store, self.assets.get(None, id)) {
            self.batch.add_asset(id, asset);
        }
        kept
    }

    /// An asset.
    pub(super) fn asset(&self, id: Uuid) -> Option<Asset> {
        self.assets.get(self.store.as_ref(), id)
    }

    /// The asset that a new item of a type stands for until something is written into it.
    pub(super) fn default_asset(&mut self, kind: i8) -> Uuid {
        let bytes = match kind {
            NOTECARD => library::notecard(""),
            SCRIPT => library::SCRIPT.as_bytes().to_vec(),
            _ => return Uuid::nil(),
        };
        let id = derived_id(&format!("default asset {kind}"));
        self.put_asset(id, kind, &bytes);
        id
    }

    /// The inventory members of a login reply.
    pub(super) fn login_members(
        &mut self,
        agent: AgentId,
    ) -> Result<Vec<(&'static str, Llsd)>, Refusal> {
        let one = |name: &str, id: Uuid| {
            Llsd::Array(vec![Llsd::map([(name, Llsd::String(id.to_string()))])])
        };
        let skeleton =
            |tree: &Inventory| Llsd::Array(tree.skeleton().iter().map(skeleton_entry).collect());
        if self.faults.breaks(Own::ForgetsInventory) {
            self.of.remove(&agent);
        }
        let own = self.of(agent)?;
        let (root, folders) = (own.root, skeleton(own));
        let library = self.library();
        Ok(vec![
            ("inventory-root", one("folder_id", root)),
            ("inventory-skeleton", folders),
            ("inventory-lib-root", one("folder_id", library.root)),
            ("inventory-lib-owner", one("agent_id", library.owner)),
            ("inventory-skel-lib", skeleton(library)),
        ])
    }
}

/// A new item with every right its maker has.
pub(super) fn own_item(agent: AgentId, folder: Uuid, kind: i8, inv_kind: i8, name: &str) -> Item {
    Item {
        folder,
        creator: agent.0,
        owner: agent.0,
        last_owner: agent.0,
        base_mask: FULL,
        owner_mask: FULL,
        kind,
        inv_kind,
        name: name.to_owned(),
        ..Item::default()
    }
}

/// A folder as a login tells it: ids are text there.
fn skeleton_entry(folder: &Folder) -> Llsd {
    Llsd::map([
        ("name", Llsd::string(&folder.name)),
        ("folder_id", Llsd::String(folder.id.to_string())),
        ("parent_id", Llsd::String(folder.parent.to_string())),
        ("type_default", Llsd::Integer(i32::from(folder.kind))),
        ("version", Llsd::Integer(folder.version)),
    ])
}
