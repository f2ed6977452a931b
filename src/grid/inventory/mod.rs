//! Inventories: each account's own, the library that all read, and the assets behind the items.
//!
//! `model` is pure; whatever changes goes through [`Inventories::change`], which keeps it on disk,
//! where there is one, before anybody is told.

mod ais;
mod assets;
mod http;
mod library;
mod model;
mod store;
mod transaction;
mod udp;
mod udp_upload;
mod upload;

pub(super) use ais::answer as resource;
pub(super) use http::answer;
pub use store::StoreError;
pub(super) use udp::dispatch;
pub(super) use upload::{Upload, begin as begin_upload, finish as finish_upload};

use super::{Faults, Policy};
use crate::net::Network;
use crate::proto::inventory::{Folder, Item, NOTECARD, SCRIPT};
use crate::proto::llsd::Llsd;
use assets::{Asset, Assets, MOST_BYTES};
use model::{Contents, FULL, Inventory, Refusal};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use store::Store;
use transaction::Transactions;
use uuid::Uuid;

/// A request by its transaction and path, and its answer: status and body.
type Answered = ((Uuid, String), (u16, Llsd));

/// So many answers are remembered of one agent.
const MOST_ANSWERED: usize = 32;

/// Everything that anybody has.
#[derive(Debug)]
pub(super) struct Inventories {
    of: BTreeMap<Uuid, Inventory>,
    library: Inventory,
    assets: Assets,
    store: Option<Store>,
    transactions: BTreeMap<Uuid, Transactions>,
    /// What was answered to the last requests of each agent that name a transaction and a path.
    answered: BTreeMap<Uuid, VecDeque<Answered>>,
    faults: Faults,
    network: Network,
}

impl Inventories {
    /// Kept in that directory; without one, in memory.
    pub fn open(
        directory: Option<&Path>,
        faults: Faults,
        network: Network,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            of: BTreeMap::new(),
            library: library::library(faults.clone(), network.clone()),
            assets: Assets::new(),
            store: directory.map(Store::open).transpose()?,
            transactions: BTreeMap::new(),
            answered: BTreeMap::new(),
            faults,
            network,
        })
    }

    /// An account's inventory, as it was left.
    pub fn of(&mut self, agent: Uuid) -> Result<&mut Inventory, Refusal> {
        if !self.of.contains_key(&agent) {
            let inventory = self.load(agent)?;
            self.of.insert(agent, inventory);
        }
        self.of.get_mut(&agent).ok_or(Refusal::Storage)
    }

    fn load(&self, agent: Uuid) -> Result<Inventory, Refusal> {
        let fresh = || library::fresh(agent, self.faults.clone(), self.network.clone());
        let Some(store) = &self.store else { return Ok(fresh()) };
        match store.load(agent).map_err(|_| Refusal::Storage)? {
            Some((folders, items)) => {
                let (faults, network) = (self.faults.clone(), self.network.clone());
                Ok(Inventory::new(agent, folders, items, faults, network))
            }
            None => {
                let mut inventory = fresh();
                let touched = inventory.all();
                store.keep(&inventory, &touched).map_err(|_| Refusal::Storage)?;
                inventory.take_touched();
                Ok(inventory)
            }
        }
    }

    /// An id that nothing has.
    pub fn new_id(&self) -> Uuid {
        self.network.chance().uuid()
    }

    /// Makes one change to an account's inventory. What cannot be kept has not happened.
    pub fn change<T>(
        &mut self,
        agent: Uuid,
        change: impl FnOnce(&mut Inventory) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.of(agent)?;
        let inventory = self.of.get_mut(&agent).ok_or(Refusal::Storage)?;
        let result = change(inventory)?;
        let touched = inventory.take_touched();
        let store = self.store.as_ref().filter(|_| !touched.is_empty());
        if store.is_some_and(|store| store.keep(inventory, &touched).is_err()) {
            // Back to what was kept.
            self.of.remove(&agent);
            return Err(Refusal::Storage);
        }
        Ok(result)
    }

    /// Makes several changes, all of them or none.
    pub fn change_all<T>(
        &mut self,
        agent: Uuid,
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
    pub fn tree_of(&mut self, agent: Uuid, folder: Uuid) -> Option<&Inventory> {
        let foreign = self.faults.breaks(Policy::ShowsForeign);
        self.of(agent).ok()?;
        let trees = [self.of.get(&agent)?, &self.library].into_iter();
        let others = self.of.values().filter(move |_| foreign);
        trees.chain(others).find(|tree| tree.folder(folder).is_some())
    }

    /// A folder with its contents, as an agent may read it: whose it is, and what.
    pub fn contents(&mut self, agent: Uuid, folder: Uuid) -> Option<(Uuid, Contents)> {
        let follows = self.faults.breaks(Policy::FollowsLinks);
        let invents = self.faults.breaks(Policy::InventsFolders);
        if self.faults.breaks(Policy::NullIsRoot) && folder.is_nil() {
            let own = self.of(agent).ok()?;
            let mut contents = own.contents(own.root)?;
            contents.folder.id = folder;
            return Some((agent, contents));
        }
        let Some(tree) = self.tree_of(agent, folder) else {
            let item = own_item(agent, folder, -1, -1, "invented");
            let items = vec![Item { id: self.new_id(), ..item }];
            let folder = Folder { id: folder, ..Folder::default() };
            let (folders, targets) = (Vec::new(), Vec::new());
            return invents.then_some((agent, Contents { folder, folders, items, targets }));
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
    pub fn item(&mut self, agent: Uuid, id: Uuid) -> Option<Item> {
        let foreign = self.faults.breaks(Policy::ShowsForeign);
        self.of(agent).ok()?;
        let trees = [self.of.get(&agent)?, &self.library].into_iter();
        let others = self.of.values().filter(move |_| foreign);
        let found = trees.chain(others).find_map(|tree| tree.item(id)).cloned();
        let invents = self.faults.breaks(Policy::InventsItems);
        found.or_else(|| {
            let item = own_item(agent, Uuid::nil(), -1, -1, "invented");
            invents.then_some(Item { id, ..item })
        })
    }

    /// Whose folder that is: for faults.
    pub fn owner_of(&self, folder: Uuid) -> Option<Uuid> {
        self.of.values().find(|own| own.folder(folder).is_some()).map(|own| own.owner)
    }

    /// Whose item that is: for faults.
    pub fn item_owner(&self, item: Uuid) -> Option<Uuid> {
        self.of.values().find(|own| own.item(item).is_some()).map(|own| own.owner)
    }

    /// Removes items whoever owns them: for faults.
    pub fn remove_anywhere(&mut self, ids: &[Uuid]) {
        for inventory in self.of.values_mut() {
            for id in ids {
                let _ = inventory.remove_item(*id);
            }
        }
    }

    /// Whether the library is confirmed to be changed: a fault.
    pub fn is_lent(&self) -> bool {
        self.faults.breaks(Policy::LendsLibrary)
    }

    /// Whether links to nothing are made: a fault.
    pub fn is_lax(&self) -> bool {
        self.faults.breaks(Policy::DanglingLinks)
    }

    /// The library.
    pub fn library(&self) -> &Inventory {
        &self.library
    }

    /// What an agent uploads over UDP.
    fn transactions(&mut self, agent: Uuid) -> &mut Transactions {
        self.transactions.entry(agent).or_default()
    }

    /// What was answered to the same request before.
    fn answered(&self, agent: Uuid, key: &(Uuid, String)) -> Option<(u16, Llsd)> {
        let answered = self.answered.get(&agent)?.iter().find(|(known, _)| known == key);
        answered
            .map(|(_, answer)| answer.clone())
            .filter(|_| !self.faults.breaks(Policy::MakesTwice))
    }

    fn remember(&mut self, agent: Uuid, key: (Uuid, String), answer: &(u16, Llsd)) {
        let answered = self.answered.entry(agent).or_default();
        if answered.len() >= MOST_ANSWERED {
            answered.pop_front();
        }
        answered.push_back((key, answer.clone()));
    }

    /// Adds an asset; whether it was taken.
    pub fn put_asset(&mut self, id: Uuid, kind: i8, bytes: &[u8]) -> bool {
        self.assets.put(self.store.as_ref(), id, kind, bytes)
    }

    /// An asset.
    pub fn asset(&self, id: Uuid) -> Option<Asset> {
        self.assets.get(self.store.as_ref(), id)
    }

    /// The asset that a new item of a type stands for until something is written into it.
    pub fn default_asset(&mut self, kind: i8) -> Uuid {
        let bytes = match kind {
            NOTECARD => library::notecard(""),
            SCRIPT => library::SCRIPT.as_bytes().to_vec(),
            _ => return Uuid::nil(),
        };
        let id = super::world::derived_id(&format!("default asset {kind}"));
        self.put_asset(id, kind, &bytes);
        id
    }
}

/// A new item with every right its maker has.
pub(super) fn own_item(agent: Uuid, folder: Uuid, kind: i8, inv_kind: i8, name: &str) -> Item {
    Item {
        folder,
        creator: agent,
        owner: agent,
        last_owner: agent,
        base_mask: FULL,
        owner_mask: FULL,
        kind,
        inv_kind,
        name: name.to_owned(),
        ..Item::default()
    }
}

/// The inventory members of a login reply that were asked for.
pub(super) fn login_members(
    all: &mut Inventories,
    agent: Uuid,
) -> Result<Vec<(&'static str, Llsd)>, Refusal> {
    let one =
        |name: &str, id: Uuid| Llsd::Array(vec![Llsd::map([(name, Llsd::String(id.to_string()))])]);
    let skeleton = |tree: &Inventory| Llsd::Array(tree.skeleton().iter().map(skeletal).collect());
    if all.faults.breaks(Policy::ForgetsInventory) {
        all.of.remove(&agent);
    }
    let own = all.of(agent)?;
    let (root, folders) = (own.root, skeleton(own));
    let library = all.library();
    Ok(vec![
        ("inventory-root", one("folder_id", root)),
        ("inventory-skeleton", folders),
        ("inventory-lib-root", one("folder_id", library.root)),
        ("inventory-lib-owner", one("agent_id", library.owner)),
        ("inventory-skel-lib", skeleton(library)),
    ])
}

/// A folder as a login tells it: ids are text there.
fn skeletal(folder: &Folder) -> Llsd {
    Llsd::map([
        ("name", Llsd::string(&folder.name)),
        ("folder_id", Llsd::String(folder.id.to_string())),
        ("parent_id", Llsd::String(folder.parent.to_string())),
        ("type_default", Llsd::Integer(i32::from(folder.kind))),
        ("version", Llsd::Integer(folder.version)),
    ])
}
