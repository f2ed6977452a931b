//! Inventories and assets on disk: what was acknowledged is there after a crash.

use super::assets::Asset;
use super::model::{ChangeSet, Inventory};
use crate::proto::id::AgentId;
use crate::proto::inventory::{Folder, Item};
use redb::{Database, ReadableDatabase, Table, TableDefinition};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// By owner and own id, 32 bytes; the folder as JSON.
const FOLDERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("folders");

/// By owner and own id, 32 bytes; the item as JSON.
const ITEMS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("items");

/// By id, 16 bytes; the asset's type and then its bytes.
const ASSETS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("assets");

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made.
    #[error("the directory {0} cannot be made: {1}")]
    Directory(PathBuf, std::io::Error),
    /// The file cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, redb::Error),
    /// A record is not what this program writes.
    #[error("{0} holds a record that cannot be read: {1}")]
    Record(PathBuf, String),
}

/// What an account has: folders and items, in no order.
type Kept = (Vec<Folder>, Vec<Item>);

/// What is to be on the disk before anybody is told of it: all of it or nothing.
#[derive(Debug, Default)]
pub(in crate::grid) struct Batch {
    /// Folders and items by owner and own id; none where one was removed.
    folders: BTreeMap<(AgentId, Uuid), Option<Folder>>,
    items: BTreeMap<(AgentId, Uuid), Option<Item>>,
    assets: BTreeMap<Uuid, Asset>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.items.is_empty() && self.assets.is_empty()
    }

    /// Adds what a change has touched, as it is now.
    pub(super) fn add(&mut self, inventory: &Inventory, changes: &ChangeSet) {
        for id in &changes.folders {
            self.folders.insert((AgentId(inventory.owner), *id), inventory.folder(*id).cloned());
        }
        for id in &changes.items {
            self.items.insert((AgentId(inventory.owner), *id), inventory.item(*id).cloned());
        }
    }

    pub(super) fn add_asset(&mut self, id: Uuid, asset: Asset) {
        self.assets.insert(id, asset);
    }

    /// Whose inventories it changes.
    pub(crate) fn owners(&self) -> BTreeSet<AgentId> {
        let changed = self.folders.keys().chain(self.items.keys());
        changed.map(|(owner, _)| *owner).collect()
    }

    /// The assets in it.
    pub(crate) fn asset_ids(&self) -> Vec<Uuid> {
        self.assets.keys().copied().collect()
    }
}

/// An open store; clones are the same.
#[derive(Clone, Debug)]
pub(in crate::grid) struct Store {
    database: Arc<Database>,
    path: PathBuf,
}

fn key(owner: Uuid, id: Uuid) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(owner.as_bytes());
    key[16..].copy_from_slice(id.as_bytes());
    key
}

impl Store {
    /// Opens the store of a directory, making both where they are not there.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| StoreError::Directory(directory.to_owned(), error))?;
        let path = directory.join("inventory.redb");
        let database = Database::create(&path);
        let database = database.map_err(|error| StoreError::File(path.clone(), error.into()))?;
        let store = Self { database: Arc::new(database), path };
        store.prepare().map_err(|error| store.failed(error))?;
        Ok(store)
    }

    fn failed(&self, error: redb::Error) -> StoreError {
        StoreError::File(self.path.clone(), error)
    }

    /// Every table is there from the start, so that reading needs no special case.
    fn prepare(&self) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        for table in [FOLDERS, ITEMS, ASSETS] {
            write.open_table(table)?;
        }
        Ok(write.commit()?)
    }

    /// What an account has; none if it has never been here.
    pub(crate) fn load(&self, owner: Uuid) -> Result<Option<Kept>, StoreError> {
        let folders = self.read(FOLDERS, owner)?;
        let items = self.read(ITEMS, owner)?;
        Ok((!folders.is_empty()).then_some((folders, items)))
    }

    fn read<T: serde::de::DeserializeOwned>(
        &self,
        table: TableDefinition<'_, &[u8], &[u8]>,
        owner: Uuid,
    ) -> Result<Vec<T>, StoreError> {
        let records = self.records(table, owner).map_err(|error| self.failed(error))?;
        let read = |bytes: Vec<u8>| {
            serde_json::from_slice(&bytes)
                .map_err(|error| StoreError::Record(self.path.clone(), error.to_string()))
        };
        records.into_iter().map(read).collect()
    }

    fn records(
        &self,
        table: TableDefinition<'_, &[u8], &[u8]>,
        owner: Uuid,
    ) -> Result<Vec<Vec<u8>>, redb::Error> {
        let read = self.database.begin_read()?;
        let (from, to) = (key(owner, Uuid::nil()), key(owner, Uuid::max()));
        let mut found = Vec::new();
        for record in read.open_table(table)?.range(&from[..]..=&to[..])? {
            found.push(record?.1.value().to_vec());
        }
        Ok(found)
    }

    /// Keeps a batch, all of it or nothing; it is on the disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written; nothing of the batch is kept then.
    pub(crate) fn keep(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch).map_err(|error| self.failed(error))
    }

    fn write(&self, batch: &Batch) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        keep_all(&mut write.open_table(FOLDERS)?, &batch.folders)?;
        keep_all(&mut write.open_table(ITEMS)?, &batch.items)?;
        {
            let mut assets = write.open_table(ASSETS)?;
            for (id, asset) in &batch.assets {
                let bytes = [&[asset.kind.cast_unsigned()][..], &asset.bytes].concat();
                assets.insert(&id.as_bytes()[..], &bytes[..])?;
            }
        }
        Ok(write.commit()?)
    }

    /// An asset that was kept.
    pub(crate) fn asset(&self, id: Uuid) -> Option<Asset> {
        let read = self.database.begin_read().ok()?;
        let table = read.open_table(ASSETS).ok()?;
        let record = table.get(&id.as_bytes()[..]).ok()??;
        let (kind, bytes) = record.value().split_first()?;
        Some(Asset { kind: kind.cast_signed(), bytes: bytes.into() })
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Writes the records that there are, and removes those that there are no longer.
fn keep_all<T: serde::Serialize>(
    table: &mut Table<'_, &[u8], &[u8]>,
    records: &BTreeMap<(AgentId, Uuid), Option<T>>,
) -> Result<(), redb::Error> {
    for ((owner, id), record) in records {
        let key = key(owner.0, *id);
        match record {
            Some(record) => drop(table.insert(&key[..], &json(record)[..])?),
            None => drop(table.remove(&key[..])?),
        }
    }
    Ok(())
}
