//! Uploads over UDP: an asset in one message, or in packets that the simulator asks for.

use super::Refusal;
use super::transaction::{Taken, Waiting, asset_id};
use super::udp::{Desk, Done};
use crate::grid::region::Region;
use crate::proto::message::{Field, FieldValue, Message};
use uuid::Uuid;

/// What AbortXfer says of an upload that is not what it said it would be.
const ABORTED: i32 = -1;

impl Desk<'_> {
    /// An asset, whole if it is short; of a long one packets are asked for.
    pub(super) fn upload(&self, region: &mut Region) -> Done {
        let row = self.message.rows("AssetBlock").next().ok_or(Refusal::Null)?;
        let (transaction, kind) = (row.id("TransactionID"), row.number("Type") as i8);
        let id = self.asset(region, transaction)?;
        if let Some(Field::Variable(data)) = row.field("AssetData")
            && data.len() > 2
        {
            return self.keep(region, transaction, kind, data);
        }
        let xfer = region.shared.inventories().new_id().as_u64_pair().0;
        let shared = region.shared.clone();
        if !shared.inventories().transactions(self.agent).begin(transaction, kind, xfer) {
            self.complete(region, id, kind, false);
            return Err(Refusal::TooMuch);
        }
        let request = Message::named(&region.shared.template, "RequestXfer")
            .with("XferID", "ID", Field::U64(xfer))
            .with("XferID", "Filename", FieldValue::text(""))
            .with("XferID", "VFileID", Field::Uuid(id))
            .with("XferID", "VFileType", Field::S16(i16::from(kind)));
        region.circuits.send(self.from, &request, true);
        Ok(())
    }

    /// A packet of an upload.
    pub(super) fn packet(&self, region: &mut Region) -> Done {
        let (Some(xfer), Some(number)) = (self.xfer(), self.message.u32("XferID", "Packet")) else {
            return Ok(());
        };
        let Some(Field::Variable(data)) = self.message.field("DataPacket", "Data") else {
            return Ok(());
        };
        let shared = region.shared.clone();
        let taken = shared.inventories().transactions(self.agent).packet(xfer, number, data);
        if matches!(taken, Taken::Confirmed | Taken::Whole(..)) {
            let confirm = Message::named(&shared.template, "ConfirmXferPacket")
                .with("XferID", "ID", Field::U64(xfer))
                .with("XferID", "Packet", Field::U32(number));
            region.circuits.send(self.from, &confirm, true);
        }
        match taken {
            Taken::Confirmed | Taken::Unknown => Ok(()),
            Taken::Whole(transaction, kind, bytes) => self.keep(region, transaction, kind, &bytes),
            Taken::Aborted(transaction, kind) => {
                let abort = Message::named(&shared.template, "AbortXfer")
                    .with("XferID", "ID", Field::U64(xfer))
                    .with("XferID", "Result", Field::S32(ABORTED));
                region.circuits.send(self.from, &abort, true);
                let id = self.asset(region, transaction)?;
                self.complete(region, id, kind, false);
                Ok(())
            }
        }
    }

    /// The viewer gives an upload up.
    pub(super) fn abort(&self, region: &mut Region) -> Done {
        if let Some(xfer) = self.xfer() {
            region.shared.inventories().transactions(self.agent).abort(xfer);
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
    pub(super) fn await_asset(
        &self,
        region: &mut Region,
        transaction: Uuid,
        what: Waiting,
    ) -> Done {
        let shared = region.shared.clone();
        let ready = shared.inventories().transactions(self.agent).need(transaction, what);
        ready.map_or(Ok(()), |(asset, what)| self.give(region, asset, what))
    }

    /// The id of the asset that this agent uploads under a transaction.
    fn asset(&self, region: &Region, transaction: Uuid) -> Result<Uuid, Refusal> {
        let world = region.shared.world();
        let secure = world.presence(self.agent).map(|presence| presence.secure_session_id);
        secure.map(|secure| asset_id(transaction, secure)).ok_or(Refusal::Null)
    }

    /// Keeps an asset, and gives it to whatever has waited for it.
    fn keep(&self, region: &mut Region, transaction: Uuid, kind: i8, bytes: &[u8]) -> Done {
        let id = self.asset(region, transaction)?;
        let shared = region.shared.clone();
        let mut all = shared.inventories();
        if !all.put_asset(id, kind, bytes) {
            drop(all);
            self.complete(region, id, kind, false);
            return Err(Refusal::Storage);
        }
        let waiting = all.transactions(self.agent).uploaded(transaction, id);
        drop(all);
        self.complete(region, id, kind, true);
        let given = waiting.into_iter().map(|what| self.give(region, id, what));
        given.fold(Ok(()), Result::and)
    }

    fn give(&self, region: &mut Region, asset: Uuid, what: Waiting) -> Done {
        match what {
            Waiting::New(mut item, callback) => {
                item.asset = asset;
                self.make(region, *item, callback)
            }
            Waiting::Update(id) => {
                let shared = region.shared.clone();
                let mut all = shared.inventories();
                let change = |own: &mut super::Inventory| {
                    own.update_item(id, |item| item.asset = asset).map(drop)
                };
                all.change(self.agent, change)
            }
        }
    }

    fn complete(&self, region: &mut Region, id: Uuid, kind: i8, success: bool) {
        let complete = Message::named(&region.shared.template, "AssetUploadComplete")
            .with("AssetBlock", "UUID", Field::Uuid(id))
            .with("AssetBlock", "Type", Field::S8(kind))
            .with("AssetBlock", "Success", Field::Bool(success));
        region.circuits.send(self.from, &complete, true);
    }
}
