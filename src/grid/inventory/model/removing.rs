//! What goes for good: items, folders of the trash, and what is in them.

use super::{Inventory, LOST_AND_FOUND, Refusal, TRASH};
use crate::grid::inventory::Own;
use uuid::Uuid;

impl Inventory {
    /// A folder is gone as if it had never been: for faults.
    pub(crate) fn forget_folder(&mut self, id: Uuid) -> Result<(), Refusal> {
        let folder = self.folders.remove(&id).ok_or(Refusal::NoSuchFolder)?;
        if let Some(within) = self.within.get_mut(&folder.parent) {
            within.folders.retain(|folder| *folder != id);
        }
        self.changes.folders.insert(id);
        Ok(())
    }

    fn is_discarded(&self, id: Uuid) -> bool {
        self.is_beneath(id, |folder| matches!(folder.kind, TRASH | LOST_AND_FOUND))
            || self.faults.breaks(Own::PurgesAnywhere)
    }

    /// Removes a folder with all it holds, for good: only from the trash or lost and found.
    pub(crate) fn remove_folder(&mut self, id: Uuid) -> Result<Vec<Uuid>, Refusal> {
        let folder = self.folders.get(&id).ok_or(Refusal::NoSuchFolder)?;
        if self.is_system(folder) {
            return Err(Refusal::System);
        }
        if !self.is_discarded(folder.parent) {
            return Err(Refusal::NotInTrash);
        }
        self.delete_folder(id)
    }

    /// Removes a folder with all it holds, for good, wherever it is.
    pub(crate) fn delete_folder(&mut self, id: Uuid) -> Result<Vec<Uuid>, Refusal> {
        let folder = self.folders.get(&id).ok_or(Refusal::NoSuchFolder)?;
        if self.is_system(folder) {
            return Err(Refusal::System);
        }
        let parent = folder.parent;
        if self.faults.breaks(Own::KeepsRemoved) {
            return Ok(vec![id]);
        }
        let mut gone = self.empty(id);
        if let Some(within) = self.within.get_mut(&parent) {
            within.folders.retain(|folder| *folder != id);
        }
        self.within.remove(&id);
        self.folders.remove(&id);
        self.changes.folders.insert(id);
        self.bump(parent);
        gone.push(id);
        Ok(gone)
    }

    /// Empties a folder of the trash, or the trash itself; the folder stays.
    pub(crate) fn purge(&mut self, id: Uuid) -> Result<Vec<Uuid>, Refusal> {
        if !self.folders.contains_key(&id) {
            return Err(Refusal::NoSuchFolder);
        }
        if !self.is_discarded(id) {
            return Err(Refusal::NotInTrash);
        }
        let keeps = self.faults.breaks(Own::KeepsRemoved);
        let gone = if keeps { Vec::new() } else { self.empty(id) };
        self.bump(id);
        Ok(gone)
    }

    /// Removes whatever is in a folder, however deep: what is gone now.
    fn empty(&mut self, id: Uuid) -> Vec<Uuid> {
        let mut gone = Vec::new();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            let within = self.within.get_mut(&id).map(std::mem::take).unwrap_or_default();
            for item in within.items {
                self.items.remove(&item);
                self.changes.items.insert(item);
                gone.push(item);
            }
            for folder in within.folders {
                waiting.push(folder);
                self.folders.remove(&folder);
                self.changes.folders.insert(folder);
                gone.push(folder);
            }
        }
        for folder in &gone {
            self.within.remove(folder);
        }
        gone
    }

    pub(crate) fn remove_item(&mut self, id: Uuid) -> Result<(), Refusal> {
        if self.faults.breaks(Own::KeepsRemoved) {
            return self.items.get(&id).map(drop).ok_or(Refusal::NoSuchItem);
        }
        let item = self.items.remove(&id).ok_or(Refusal::NoSuchItem)?;
        if let Some(within) = self.within.get_mut(&item.folder) {
            within.items.retain(|item| *item != id);
        }
        self.changes.items.insert(id);
        self.bump(item.folder);
        Ok(())
    }
}
