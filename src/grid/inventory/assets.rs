//! Assets: the bytes that items stand for.

use super::Store;
use super::library;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// One asset may be so large.
pub(in crate::grid) const MOST_BYTES: usize = 8 << 20;

/// All of them together, where they are kept in memory.
const MOST_IN_MEMORY: usize = 256 << 20;

/// An asset: its type and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::grid) struct Asset {
    pub kind: i8,
    pub bytes: Arc<[u8]>,
}

/// Every asset of the grid, by id.
#[derive(Debug)]
pub(in crate::grid) struct Assets {
    in_memory: BTreeMap<Uuid, Asset>,
    size: usize,
}

impl Assets {
    pub(super) fn new() -> Self {
        let of_library = library::assets().into_iter();
        let in_memory =
            of_library.map(|(id, kind, bytes)| (id, Asset { kind, bytes: bytes.into() })).collect();
        Self { in_memory, size: 0 }
    }

    /// Adds an asset under an id; none of its bytes change ever after. False if it is too large,
    /// there is one already, or memory is full.
    pub(super) fn put(&mut self, store: Option<&Store>, id: Uuid, kind: i8, bytes: &[u8]) -> bool {
        let known = || self.get(store, id).is_some();
        if bytes.len() > MOST_BYTES || self.size + bytes.len() > MOST_IN_MEMORY || known() {
            return false;
        }
        self.size += bytes.len();
        self.in_memory.insert(id, Asset { kind, bytes: bytes.into() });
        true
    }

    /// It is on the disk now and need not be in memory, or could not be kept.
    pub(super) fn drop_from_memory(&mut self, id: Uuid) {
        let asset = self.in_memory.remove(&id);
        self.size -= asset.map_or(0, |asset| asset.bytes.len());
    }

    pub(super) fn get(&self, store: Option<&Store>, id: Uuid) -> Option<Asset> {
        let here = self.in_memory.get(&id).cloned();
        here.or_else(|| store.and_then(|store| store.asset(id)))
    }
}
