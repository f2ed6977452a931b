//! Assets that viewers upload over UDP, and the items that wait for them.
//!
//! A viewer names a transaction of its own in AssetUploadRequest and in the message that makes or
//! changes an item; in whichever order they come, the item gets the asset once both are there.

use crate::grid::inventory::MOST_BYTES;
use crate::proto::id::SecureSessionId;
use crate::proto::inventory::Item;
use md5::{Digest, Md5};
use std::collections::VecDeque;
use uuid::Uuid;

/// Of one agent as many are kept; the oldest are forgotten.
const MOST: usize = 16;

/// Of one agent as many uploads in packets are under way at once.
const MOST_UPLOADS: usize = 4;

/// The bit of a packet's number that says it is the last.
const LAST: u32 = 1 << 31;

/// What waits for the asset of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// An item to be made, and what to tell its viewer with it.
    New(Box<Item>, u32),
    /// An item that there is.
    Update(Uuid),
}

#[derive(Debug, Default)]
struct Transaction {
    id: Uuid,
    waiting: Vec<Waiting>,
    asset: Option<Uuid>,
    upload: Option<Upload>,
}

/// An upload in packets.
#[derive(Debug)]
struct Upload {
    xfer: u64,
    kind: i8,
    size: usize,
    next: u32,
    bytes: Vec<u8>,
}

/// What became of a packet.
#[derive(Debug, PartialEq)]
pub(super) enum Taken {
    /// It is kept, or was before: to be confirmed.
    Confirmed,
    /// It was the last: of this transaction, the asset's type and its bytes.
    Whole(Uuid, i8, Vec<u8>),
    /// The upload cannot go on: of this transaction.
    Aborted(Uuid, i8),
    /// It belongs to nothing.
    Unknown,
}

/// One agent's transactions.
#[derive(Debug, Default)]
pub(super) struct Transactions(VecDeque<Transaction>);

impl Transactions {
    fn of(&mut self, id: Uuid) -> &mut Transaction {
        let at = self.0.iter().position(|transaction| transaction.id == id);
        let at = at.unwrap_or_else(|| {
            if self.0.len() >= MOST {
                // An upload that is under way is not cut off by others that only wait.
                let idle = self.0.iter().position(|transaction| transaction.upload.is_none());
                self.0.remove(idle.unwrap_or(0));
            }
            self.0.push_back(Transaction { id, ..Transaction::default() });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Something needs the asset of a transaction: the asset if it is there, otherwise it waits.
    pub(super) fn need(&mut self, id: Uuid, what: Waiting) -> Option<(Uuid, Waiting)> {
        let transaction = self.of(id);
        match transaction.asset {
            Some(asset) => Some((asset, what)),
            None => {
                if transaction.waiting.len() < MOST {
                    transaction.waiting.push(what);
                }
                None
            }
        }
    }

    /// The asset of a transaction is there: what has waited for it.
    pub(super) fn uploaded(&mut self, id: Uuid, asset: Uuid) -> Vec<Waiting> {
        let transaction = self.of(id);
        (transaction.asset, transaction.upload) = (Some(asset), None);
        std::mem::take(&mut transaction.waiting)
    }

    /// An upload in packets begins, unless too many are under way.
    pub(super) fn begin(&mut self, id: Uuid, kind: i8, xfer: u64) -> bool {
        let begun = self.0.iter().filter(|transaction| transaction.upload.is_some()).count();
        let bytes = Vec::new();
        if begun < MOST_UPLOADS {
            self.of(id).upload = Some(Upload { xfer, kind, size: 0, next: 0, bytes });
        }
        begun < MOST_UPLOADS
    }

    /// A packet of an upload has come.
    pub(super) fn packet(&mut self, xfer: u64, number: u32, data: &[u8]) -> Taken {
        let of = |upload: &Option<Upload>| upload.as_ref().is_some_and(|u| u.xfer == xfer);
        let Some(transaction) = self.0.iter_mut().find(|transaction| of(&transaction.upload))
        else {
            return Taken::Unknown;
        };
        let (id, Some(upload)) = (transaction.id, &mut transaction.upload) else {
            return Taken::Unknown;
        };
        let (at, last) = (number & !LAST, number & LAST != 0);
        if at != upload.next {
            // One that came before is confirmed again; one from the future waits for its turn.
            return if at < upload.next { Taken::Confirmed } else { Taken::Unknown };
        }
        upload.next += 1;
        let data = match (at, data) {
            (0, [a, b, c, d, rest @ ..]) => {
                upload.size = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                rest
            }
            _ => data,
        };
        upload.bytes.extend_from_slice(data);
        let (size, have) = (upload.size, upload.bytes.len());
        if size > MOST_BYTES || have > size || (last && have < size) {
            let kind = upload.kind;
            transaction.upload = None;
            return Taken::Aborted(id, kind);
        }
        match (last, transaction.upload.take_if(|_| last)) {
            (true, Some(upload)) => Taken::Whole(id, upload.kind, upload.bytes),
            _ => Taken::Confirmed,
        }
    }

    /// The viewer gives an upload up.
    pub(super) fn abort(&mut self, xfer: u64) {
        for transaction in &mut self.0 {
            transaction.upload.take_if(|upload| upload.xfer == xfer);
        }
    }
}

/// The id of the asset that is uploaded under a transaction: what viewer and simulator both know.
pub(super) fn asset_id(transaction: Uuid, secure_session: SecureSessionId) -> Uuid {
    let both = [*transaction.as_bytes(), *secure_session.0.as_bytes()].concat();
    Uuid::from_bytes(Md5::digest(both).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn sized(size: u32, data: &[u8]) -> Vec<u8> {
        [&size.to_le_bytes()[..], data].concat()
    }

    #[test]
    fn packets_in_order_become_an_asset_and_a_repeated_one_is_confirmed_again() {
        let mut all = Transactions::default();
        assert_eq!(all.packet(1, 0, b"x"), Taken::Unknown);
        assert!(all.begin(ID, 7, 1));
        // Another beside it is no trouble; a flood of them is refused.
        assert!(all.begin(Uuid::from_u128(8), 7, 2));
        assert_eq!(
            (3..9)
                .filter(|n| all.begin(Uuid::from_u128(*n), 7, u64::try_from(*n).unwrap()))
                .count(),
            2
        );
        assert_eq!(all.packet(1, 0, &sized(5, b"abc")), Taken::Confirmed);
        assert_eq!(all.packet(1, 0, &sized(5, b"abc")), Taken::Confirmed);
        assert_eq!(all.packet(1, 2, b"?"), Taken::Unknown);
        assert_eq!(all.packet(1, 1 | LAST, b"de"), Taken::Whole(ID, 7, b"abcde".to_vec()));
        assert_eq!(all.packet(1, 1 | LAST, b"de"), Taken::Unknown);
    }

    #[test]
    fn an_upload_that_is_not_what_it_said_is_aborted() {
        for (size, data, number) in [(2, &b"abc"[..], 0), (9, b"abc", LAST), (u32::MAX, b"", 0)] {
            let mut all = Transactions::default();
            assert!(all.begin(ID, 7, 1));
            assert_eq!(all.packet(1, number, &sized(size, data)), Taken::Aborted(ID, 7), "{size}");
        }
    }

    #[test]
    fn an_item_gets_its_asset_in_whichever_order_they_come() {
        let mut all = Transactions::default();
        assert!(all.need(ID, Waiting::Update(ID)).is_none());
        assert_eq!(all.uploaded(ID, ID).len(), 1);
        assert!(all.need(ID, Waiting::Update(ID)).is_some());
        // Old ones are forgotten: nobody keeps a grid waiting for ever.
        (0..MOST)
            .for_each(|n| drop(all.need(Uuid::from_u128(100 + n as u128), Waiting::Update(ID))));
        assert!(all.need(ID, Waiting::Update(ID)).is_none());
    }
}
