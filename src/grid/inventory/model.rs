//! One account's inventory: a pure model. Every change is whole or refused.

mod removing;

use super::Own;
use crate::grid::Faults;
use crate::net::Chance;
use crate::proto::inventory::{Folder, Item, LINK, MAX_DESCRIPTION, MAX_NAME};
use crate::proto::number::seconds;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Why a change is refused; nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::grid) enum Refusal {
    #[error("there is no such folder")]
    NoSuchFolder,
    #[error("there is no such item")]
    NoSuchItem,
    #[error("the null id names nothing")]
    Null,
    #[error("that id is in use")]
    Exists,
    #[error("a folder of the system stays as it is, and is the only one of its type")]
    System,
    #[error("only what is in the trash, or lost and found, is removed for good")]
    NotInTrash,
    #[error("a folder cannot be in itself")]
    Loop,
    #[error("the item may not be copied")]
    NoCopy,
    #[error("a name is needed")]
    NoName,
    #[error("the inventory is full")]
    Full,
    #[error("it could not be kept")]
    Storage,
    #[error("too much at once")]
    TooMuch,
}

/// What its owner may do with what they made: modify, copy, transfer, move, export.
pub(in crate::grid) const FULL: u32 = 0x9_E000;
const COPY: u32 = 0x8000;

/// An account has no more folders and items than this.
const MOST: usize = 100_000;

pub(super) const ROOT: i8 = 8;
pub(super) const TRASH: i8 = 14;
const LOST_AND_FOUND: i8 = 16;
const OUTFIT: i8 = 47;

/// What lies directly in a folder, oldest first.
#[derive(Clone, Debug, Default)]
struct Children {
    folders: Vec<Uuid>,
    items: Vec<Uuid>,
}

/// What a change has touched: to be kept before it is acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChangeSet {
    pub folders: BTreeSet<Uuid>,
    pub items: BTreeSet<Uuid>,
}

/// A folder with what lies directly in it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::grid) struct FolderContents {
    pub folder: Folder,
    pub folders: Vec<Folder>,
    pub items: Vec<Item>,
    /// The items that links in it point at, each once.
    pub targets: Vec<Item>,
}

impl FolderContents {
    /// Orders the entries by name, or by when they were made; folders have only names.
    pub(crate) fn sort(&mut self, by_date: bool) {
        self.folders.sort_by_cached_key(|folder| folder.name.to_lowercase());
        match by_date {
            true => self.items.sort_by_key(|item| item.created),
            false => self.items.sort_by_cached_key(|item| item.name.to_lowercase()),
        }
    }

    /// How many entries are directly in the folder.
    pub(crate) fn descendents(&self) -> i32 {
        i32::try_from(self.folders.len() + self.items.len()).unwrap_or(i32::MAX)
    }
}

/// The model.
#[derive(Clone, Debug)]
pub(in crate::grid) struct Inventory {
    pub owner: Uuid,
    pub root: Uuid,
    folders: BTreeMap<Uuid, Folder>,
    items: BTreeMap<Uuid, Item>,
    within: BTreeMap<Uuid, Children>,
    changes: ChangeSet,
    faults: Faults,
    chance: Chance,
    /// What time it is.
    pub(super) time: jiff::Timestamp,
}

impl Inventory {
    /// An inventory of these folders and items, the root first among the folders.
    pub(crate) fn new(
        owner: Uuid,
        folders: Vec<Folder>,
        items: Vec<Item>,
        faults: Faults,
        chance: Chance,
    ) -> Self {
        let root = folders.iter().find(|f| f.parent.is_nil()).map_or(Uuid::nil(), |f| f.id);
        let mut within: BTreeMap<Uuid, Children> = BTreeMap::new();
        for folder in &folders {
            within.entry(folder.id).or_default();
            within.entry(folder.parent).or_default().folders.push(folder.id);
        }
        for item in &items {
            within.entry(item.folder).or_default().items.push(item.id);
        }
        Self {
            owner,
            root,
            folders: folders.into_iter().map(|f| (f.id, f)).collect(),
            items: items.into_iter().map(|i| (i.id, i)).collect(),
            within,
            changes: ChangeSet::default(),
            faults,
            chance,
            time: jiff::Timestamp::default(),
        }
    }

    pub(crate) fn folder(&self, id: Uuid) -> Option<&Folder> {
        self.folders.get(&id)
    }

    pub(crate) fn item(&self, id: Uuid) -> Option<&Item> {
        self.items.get(&id)
    }

    /// Every folder, the root first, parents before their children.
    pub(crate) fn skeleton(&self) -> Vec<Folder> {
        let mut found: Vec<Uuid> = vec![self.root];
        let mut next = 0;
        while let Some(id) = found.get(next).copied() {
            found.extend(self.within.get(&id).into_iter().flat_map(|w| &w.folders));
            next += 1;
        }
        found.iter().filter_map(|id| self.folders.get(id)).cloned().collect()
    }

    pub(crate) fn contents(&self, id: Uuid) -> Option<FolderContents> {
        let folder = self.folders.get(&id)?.clone();
        let within = self.within.get(&id).cloned().unwrap_or_default();
        let items: Vec<Item> =
            within.items.iter().filter_map(|id| self.items.get(id)).cloned().collect();
        let mut seen = BTreeSet::new();
        let targets = items.iter().filter(|item| item.kind == LINK && seen.insert(item.asset));
        let targets = targets.filter_map(|link| self.items.get(&link.asset));
        let hidden = self.faults.breaks(Own::HidesTargets);
        let targets = targets.filter(|target| !target.is_link() && target.folder != id && !hidden);
        Some(FolderContents {
            targets: targets.cloned().collect(),
            folders: within.folders.iter().filter_map(|id| self.folders.get(id)).cloned().collect(),
            folder,
            items,
        })
    }

    /// The first folder of a type directly beneath the root.
    pub(crate) fn system_folder(&self, kind: i8) -> Option<Uuid> {
        let beneath = &self.within.get(&self.root)?.folders;
        beneath.iter().copied().find(|id| self.folders.get(id).is_some_and(|f| f.kind == kind))
    }

    /// Everything there is, as if all of it had just been made.
    pub(super) fn all(&self) -> ChangeSet {
        let (folders, items) = (self.folders.keys(), self.items.keys());
        ChangeSet { folders: folders.copied().collect(), items: items.copied().collect() }
    }

    /// What was touched since it was last asked.
    pub(super) fn take_changes(&mut self) -> ChangeSet {
        std::mem::take(&mut self.changes)
    }

    /// A folder's version grows: it, or what is directly in it, has changed.
    fn bump(&mut self, id: Uuid) {
        let by = match self.faults.breaks(Own::VersionsStandStill) {
            true => 0,
            false if self.faults.breaks(Own::VersionsFall) => -1,
            false => 1,
        };
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.version += by;
            self.changes.folders.insert(id);
        }
    }

    fn room_for(&self, more: usize) -> Result<(), Refusal> {
        match self.folders.len() + self.items.len() + more > MOST {
            true => Err(Refusal::Full),
            false => Ok(()),
        }
    }

    /// A second folder of a system type beneath the root.
    fn is_second(&self, parent: Uuid, kind: i8) -> bool {
        parent == self.root && kind >= 0 && kind != OUTFIT && self.system_folder(kind).is_some()
    }

    /// Whether a folder is of the grid's own making: it is not renamed, moved or removed.
    fn is_system(&self, folder: &Folder) -> bool {
        let ordinary = folder.kind < 0 || folder.kind == OUTFIT;
        (!ordinary && folder.parent == self.root) || folder.parent.is_nil()
    }

    pub(crate) fn create_folder(
        &mut self,
        id: Uuid,
        parent: Uuid,
        kind: i8,
        name: &str,
    ) -> Result<Folder, Refusal> {
        self.room_for(1)?;
        let picky = !self.faults.breaks(Own::TakesNameless);
        if id.is_nil() && picky {
            return Err(Refusal::Null);
        }
        if name.is_empty() && picky {
            return Err(Refusal::NoName);
        }
        if self.folders.contains_key(&id) && self.faults.breaks(Own::UsesIdsTwice) {
            self.forget_folder(id)?;
        }
        if self.folders.contains_key(&id) || self.items.contains_key(&id) {
            return Err(Refusal::Exists);
        }
        if !self.folders.contains_key(&parent) {
            return Err(Refusal::NoSuchFolder);
        }
        if self.is_second(parent, kind) && !self.faults.breaks(Own::SecondTrash) {
            return Err(Refusal::System);
        }
        let folder = Folder { id, parent, kind, name: cut(name, MAX_NAME), version: 1 };
        self.folders.insert(id, folder.clone());
        self.within.entry(id).or_default();
        self.within.entry(parent).or_default().folders.push(id);
        self.changes.folders.insert(id);
        self.bump(parent);
        Ok(folder)
    }

    /// Renames a folder, and moves it where another parent is given.
    pub(crate) fn update_folder(
        &mut self,
        id: Uuid,
        parent: Uuid,
        name: &str,
    ) -> Result<(), Refusal> {
        let folder = self.folders.get(&id).ok_or(Refusal::NoSuchFolder)?;
        if self.is_system(folder) && !self.faults.breaks(Own::RenamesSystem) {
            return Err(Refusal::System);
        }
        if name.is_empty() {
            return Err(Refusal::NoName);
        }
        let from = folder.parent;
        if parent != from && !parent.is_nil() {
            self.move_folder(id, parent)?;
        }
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.name = cut(name, MAX_NAME);
        }
        self.bump(id);
        self.bump(if parent.is_nil() { from } else { parent });
        Ok(())
    }

    pub(crate) fn move_folder(&mut self, id: Uuid, parent: Uuid) -> Result<(), Refusal> {
        let folder = self.folders.get(&id).ok_or(Refusal::NoSuchFolder)?;
        if self.is_system(folder) {
            return Err(Refusal::System);
        }
        if !self.folders.contains_key(&parent) {
            return Err(Refusal::NoSuchFolder);
        }
        let circles = self.faults.breaks(Own::MovesInCircles);
        if self.is_beneath(parent, |ancestor| ancestor.id == id) && !circles {
            return Err(Refusal::Loop);
        }
        if self.is_second(parent, folder.kind) {
            return Err(Refusal::System);
        }
        let from = folder.parent;
        if self.faults.breaks(Own::MovesEmpty) {
            let items = self.within.get_mut(&id).map(|within| std::mem::take(&mut within.items));
            for item in items.unwrap_or_default() {
                self.items.entry(item).and_modify(|item| item.folder = from);
                self.within.entry(from).or_default().items.push(item);
            }
        }
        if let Some(within) = self.within.get_mut(&from) {
            within.folders.retain(|folder| *folder != id);
        }
        self.within.entry(parent).or_default().folders.push(id);
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.parent = parent;
            self.changes.folders.insert(id);
        }
        self.bump(from);
        self.bump(parent);
        Ok(())
    }

    /// Whether a folder, or one it lies in, is such.
    fn is_beneath(&self, id: Uuid, such: impl Fn(&Folder) -> bool) -> bool {
        let mut next = self.folders.get(&id);
        // No inventory is deeper, but a faulty one may go in circles.
        for _ in 0..MOST {
            let Some(folder) = next else { break };
            if such(folder) {
                return true;
            }
            next = self.folders.get(&folder.parent);
        }
        false
    }

    /// An id that nothing has.
    pub(crate) fn new_id(&self) -> Uuid {
        self.chance.uuid()
    }

    /// Adds an item, under an id of its own.
    pub(crate) fn create_item(&mut self, mut item: Item) -> Result<Item, Refusal> {
        self.room_for(1)?;
        let lax = self.faults.breaks(Own::AnyFolder);
        if !self.folders.contains_key(&item.folder) && !lax {
            return Err(Refusal::NoSuchFolder);
        }
        if item.id.is_nil() {
            item.id = self.new_id();
        }
        if self.folders.contains_key(&item.id) || self.items.contains_key(&item.id) {
            return Err(Refusal::Exists);
        }
        item.owner = self.owner;
        item.name = cut(&item.name, MAX_NAME);
        item.description = cut(&item.description, MAX_DESCRIPTION);
        item.created = seconds(self.time);
        self.within.entry(item.folder).or_default().items.push(item.id);
        self.items.insert(item.id, item.clone());
        self.changes.items.insert(item.id);
        self.bump(item.folder);
        Ok(item)
    }

    /// Changes an item in place; where it is, what it is and whose it is stay. Masks are cut to
    /// what the base mask allows.
    pub(crate) fn update_item(
        &mut self,
        id: Uuid,
        change: impl FnOnce(&mut Item),
    ) -> Result<Item, Refusal> {
        let old = self.items.get(&id).ok_or(Refusal::NoSuchItem)?;
        let mut item = old.clone();
        change(&mut item);
        item = Item {
            id,
            folder: old.folder,
            base_mask: old.base_mask,
            kind: old.kind,
            inv_kind: old.inv_kind,
            created: old.created,
            name: cut(&item.name, MAX_NAME),
            description: cut(&item.description, MAX_DESCRIPTION),
            ..item
        };
        if !self.faults.breaks(Own::TrustsOwners) {
            (item.owner, item.creator) = (old.owner, old.creator);
            item.last_owner = old.last_owner;
        }
        if !self.faults.breaks(Own::UnboundMasks) {
            let base = item.base_mask;
            item.owner_mask &= base;
            item.group_mask &= base;
            item.everyone_mask &= base;
            item.next_mask &= base;
        }
        let folder = item.folder;
        self.items.insert(id, item.clone());
        self.changes.items.insert(id);
        self.bump(folder);
        Ok(item)
    }

    /// Moves an item; an empty name keeps its own.
    pub(crate) fn move_item(
        &mut self,
        id: Uuid,
        folder: Uuid,
        name: &str,
    ) -> Result<Item, Refusal> {
        if self.faults.breaks(Own::InventsItems) && !self.items.contains_key(&id) {
            let name = "invented".to_owned();
            self.create_item(Item { id, folder, name, ..Item::default() })?;
        }
        let item = self.items.get_mut(&id).ok_or(Refusal::NoSuchItem)?;
        if !self.folders.contains_key(&folder) {
            return Err(Refusal::NoSuchFolder);
        }
        let from = std::mem::replace(&mut item.folder, folder);
        if !name.is_empty() {
            item.name = cut(name, MAX_NAME);
        }
        let item = item.clone();
        if let Some(within) = self.within.get_mut(&from) {
            within.items.retain(|item| *item != id);
        }
        self.within.entry(folder).or_default().items.push(id);
        self.changes.items.insert(id);
        self.bump(from);
        if from != folder {
            self.bump(folder);
        }
        Ok(item)
    }

    /// Adds a copy of an item, this account's or the library's; an empty name keeps its own.
    pub(crate) fn copy_item(
        &mut self,
        source: &Item,
        folder: Uuid,
        name: &str,
    ) -> Result<Item, Refusal> {
        if source.owner_mask & COPY == 0 && !self.faults.breaks(Own::CopiesAnything) {
            return Err(Refusal::NoCopy);
        }
        let keeps = name.is_empty() || self.faults.breaks(Own::CopiesKeepNames);
        let name = if keeps { &source.name } else { name };
        let mut copy = Item { id: Uuid::nil(), folder, name: name.to_owned(), ..source.clone() };
        if source.owner != self.owner {
            copy.last_owner = source.owner;
        } else if self.faults.breaks(Own::MovesCopies) {
            self.remove_item(source.id)?;
        }
        self.create_item(copy)
    }
}

/// The first characters of a text, as many as also fit a field that counts 255 bytes.
fn cut(text: &str, most: usize) -> String {
    const MOST_BYTES: usize = 254;
    let mut cut: String = text.chars().take(most).collect();
    while cut.len() > MOST_BYTES {
        cut.pop();
    }
    cut
}

#[cfg(test)]
mod tests;
