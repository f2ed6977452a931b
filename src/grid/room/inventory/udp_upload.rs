//! Uploads over UDP: an asset in one message, or in packets that the simulator asks for.

use super::transaction::{Taken, Transactions, Waiting, asset_id};
use super::udp::{Done, InventoryMessage};
use crate::grid::core::Core;
use crate::grid::inventory::{Inventory, Refusal};
use crate::proto::id::AgentId;
use crate::proto::message::{Field, FieldValue, Message};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What each agent uploads.
#[derive(Default)]
struct Uploads(BTreeMap<AgentId, Transactions>);

fn transactions(core: &mut Core, agent: AgentId) -> &mut Transactions {
    core.states.of::<Uploads>().0.entry(agent).or_default()
}

/// What AbortXfer says of an upload that is not what it said it would be.
const ABORTED: i32 = -1;

impl InventoryMessage<'_> {
    /// An asset, whole if it is short; of a long one packets are asked for.
    pub(super) fn upload(&self, core: &mut Core) -> Done {
        let row = self.message.rows("AssetBlock").next().ok_or(Refusal::Null)?;
        let (transaction, kind) = (row.id("TransactionID"), row.int("Type"));
        let id = self.asset(core, transaction)?;
        if let Some(Field::Variable(data)) = row.field("AssetData")
            && data.len() > 2
        {
            return self.keep(core, transaction, kind, data);
        }
        let xfer = core.inventories.new_id().as_u64_pair().0;
        if !transactions(core, self.from.agent).begin(transaction, kind, xfer) {
            self.complete(core, id, kind, false);
            return Err(Refusal::TooMuch);
        }
        let request = Message::named(&core.template, "RequestXfer")
            .with("XferID", "ID", Field::U64(xfer))
            .with("XferID", "Filename", FieldValue::text(""))
            .with("XferID", "VFileID", Field::Uuid(id))
            .with("XferID", "VFileType", Field::S16(i16::from(kind)));
        core.reply(&self.from, &request);
        Ok(())
    }

    /// A packet of an upload.
    pub(super) fn packet(&self, core: &mut Core) -> Done {
        let (Some(xfer), Some(number)) = (self.xfer(), self.message.u32("XferID", "Packet")) else {
            return Ok(());
        };
        let Some(Field::Variable(data)) = self.message.field("DataPacket", "Data") else {
            return Ok(());
        };
        let taken = transactions(core, self.from.agent).packet(xfer, number, data);
        if matches!(taken, Taken::Confirmed | Taken::Whole(..)) {
            let confirm = Message::named(&core.template, "ConfirmXferPacket")
                .with("XferID", "ID", Field::U64(xfer))
                .with("XferID", "Packet", Field::U32(number));
            core.reply(&self.from, &confirm);
        }
        match taken {
            Taken::Confirmed | Taken::Unknown => Ok(()),
            Taken::Whole(transaction, kind, bytes) => self.keep(core, transaction, kind, &bytes),
            Taken::Aborted(transaction, kind) => {
                let abort = Message::named(&core.template, "AbortXfer")
                    .with("XferID", "ID", Field::U64(xfer))
                    .with("XferID", "Result", Field::S32(ABORTED));
                core.reply(&self.from, &abort);
                let id = self.asset(core, transaction)?;
                self.complete(core, id, kind, false);
                Ok(())
            }
        }
    }

    /// The viewer gives an upload up.
    pub(super) fn abort(&self, core: &mut Core) -> Done {
        if let Some(xfer) = self.xfer() {
            transactions(core, self.from.agent).abort(xfer);
        }
        Ok(())
    }

    fn xfer(&self) -> Option<u64> {
        match self.message.field("XferID", "ID") {
            Some(Field::U64(xfer)) => Some(*xfer),
            _ => None,
        }
    }

    /// Something needs the asset of a transaction, now or when it comes.
    pub(super) fn await_asset(&self, core: &mut Core, transaction: Uuid, what: Waiting) -> Done {
        let ready = transactions(core, self.from.agent).need(transaction, what);
        ready.map_or(Ok(()), |(asset, what)| self.give(core, asset, what))
    }

    /// The id of the asset that this agent uploads under a transaction.
    fn asset(&self, core: &Core, transaction: Uuid) -> Result<Uuid, Refusal> {
        let presence = core.world.presence(self.from.agent);
        let secure = presence.map(|presence| presence.secure_session_id);
        secure.map(|secure| asset_id(transaction, secure)).ok_or(Refusal::Null)
    }

    /// Keeps an asset, and gives it to whatever has waited for it.
    fn keep(&self, core: &mut Core, transaction: Uuid, kind: i8, bytes: &[u8]) -> Done {
        let id = self.asset(core, transaction)?;
        if !core.inventories.put_asset(id, kind, bytes) {
            self.complete(core, id, kind, false);
            return Err(Refusal::Storage);
        }
        let waiting = transactions(core, self.from.agent).uploaded(transaction, id);
        self.complete(core, id, kind, true);
        let given = waiting.into_iter().map(|what| self.give(core, id, what));
        given.fold(Ok(()), Result::and)
    }

    fn give(&self, core: &mut Core, asset: Uuid, what: Waiting) -> Done {
        match what {
            Waiting::New(mut item, callback) => {
                item.asset = asset;
                self.make(core, *item, callback)
            }
            Waiting::Update(id) => {
                let change =
                    |own: &mut Inventory| own.update_item(id, |item| item.asset = asset).map(drop);
                core.inventories.change(self.from.agent, change)
            }
        }
    }

    /// Says what has become of an upload, once it is on the disk.
    fn complete(&self, core: &mut Core, id: Uuid, kind: i8, success: bool) {
        let from = self.from;
        core.when_kept(move |core, kept| {
            let complete = Message::named(&core.template, "AssetUploadComplete")
                .with("AssetBlock", "UUID", Field::Uuid(id))
                .with("AssetBlock", "Type", Field::S8(kind))
                .with("AssetBlock", "Success", Field::Bool(success && kept));
            core.reply(&from, &complete);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;

    #[test]
    fn a_small_asset_in_one_message_is_complete_and_a_null_one_is_none() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        bench.heard(jane, 0);
        let upload = |transaction: u128| {
            Message::named(crate::proto::template::Template::shipped(), "AssetUploadRequest")
                .with("AssetBlock", "TransactionID", Field::Uuid(Uuid::from_u128(transaction)))
                .with("AssetBlock", "Type", Field::S8(7))
                .with("AssetBlock", "AssetData", Field::Variable(b"a note".to_vec()))
        };
        bench.say(jane, 0, &upload(5));
        let heard = bench.heard(jane, 0);
        let complete = heard.iter().find(|heard| heard.name() == "AssetUploadComplete").unwrap();
        assert_eq!(complete.field("AssetBlock", "Success"), Some(&Field::Bool(true)));
        let id = complete.uuid("AssetBlock", "UUID").unwrap();
        assert_eq!(&*bench.core.inventories.asset(id).unwrap().bytes, b"a note");
    }
}
