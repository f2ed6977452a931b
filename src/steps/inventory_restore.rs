//! `inventory.restore`: what was not there before goes.

use super::{
    Failure, Kind, Observes, Repeat, Returns, StepDef, args, inventory_fetch as fetch, key, need,
};
use crate::client::{Over, Wanted, agent_message};
use crate::proto::message::{Field, Message};
use crate::value::Value;
use std::time::Duration;
use uuid::Uuid;

pub(super) static STEP: StepDef = StepDef {
    name: "inventory.restore",
    doc: "Removes the items and throws away the folders directly in a folder and in its direct \
          folders that are not among those named: for cleaning up where a grid may have put \
          something where it was not asked to. Proves nothing; look afterwards.",
    keys: &[
        need("folder", Kind::Text, "the folder's id"),
        need("trash", Kind::Text, "the trash's id"),
        need("folders", Kind::Texts, "ids of the folders that stay"),
        need("items", Kind::Texts, "ids of the items that stay"),
        key("keep", Kind::Texts, "ids of further folders that stay"),
    ],
    returns: Returns::Members(&[("removed", "how many items and folders were removed")]),
    within: Duration::from_secs(20),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let ids = |key: &str| call.args.texts(key).unwrap_or_default();
            let stay: Vec<String> =
                ["folders", "items", "keep"].into_iter().flat_map(ids).collect();
            let stays = |id: Uuid| stay.iter().any(|text| Uuid::try_parse(text) == Ok(id));
            let top = fetch::id(&call, "folder")?.unwrap_or_default();
            let trash = fetch::id(&call, "trash")?.unwrap_or_default();
            let viewer = &*call.viewer;
            let Some(session) = viewer.session().cloned() else {
                return Err(Failure::unfit("no session"));
            };
            let root = viewer.fetch_folder(Wanted::own(top), Over::Any, call.within).await;
            let root = root.map_err(|error| fetch::explain(error, top))?;
            let within: Vec<Wanted> = root
                .folders
                .iter()
                .filter(|folder| stays(folder.id))
                .map(|folder| Wanted::own(folder.id))
                .collect();
            let mut all = vec![root];
            let fetched = viewer.fetch_folders(&within, Over::Any, call.within).await;
            all.extend(fetched.map_err(|error| fetch::explain(error, top))?);
            let message = |name: &str| agent_message(&viewer.common.template, name, &session);
            let (mut orders, mut removed): (Vec<Message>, i64) = (Vec::new(), 0);
            for item in all.iter().flat_map(|f| &f.items).filter(|item| !stays(item.id)) {
                let remove = message("RemoveInventoryItem");
                removed += 1;
                orders.push(remove.with("InventoryData", "ItemID", Field::Uuid(item.id)));
            }
            for folder in all.iter().flat_map(|f| &f.folders).filter(|f| !stays(f.id)) {
                let discard = message("MoveInventoryFolder")
                    .with("InventoryData", "FolderID", Field::Uuid(folder.id))
                    .with("InventoryData", "ParentID", Field::Uuid(trash));
                let remove = message("RemoveInventoryFolder");
                orders.push(discard);
                removed += 1;
                orders.push(remove.with("FolderData", "FolderID", Field::Uuid(folder.id)));
            }
            for order in &orders {
                viewer.send(&viewer.root, order.clone(), true).await;
            }
            Ok(Value::map([("removed", Value::integer(removed))]))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{BELOW, ROOT, folders, inside, unasked};

    #[test]
    fn only_what_was_not_there_before_goes() {
        let removed = |stays: &str| {
            let line = format!(
                r#"do = "inventory.restore", folder = "{ROOT}", trash = "{ROOT}", items = [], folders = [{stays}]"#
            );
            let (ended, told) = inside(unasked, folders, &line);
            let gone = told.iter().filter(|told| told.name() == "RemoveInventoryFolder").count();
            (ended.unwrap().get("removed").and_then(Value::as_int), gone)
        };
        assert_eq!(removed(""), (Some(1), 1));
        assert_eq!(removed(&format!("\"{}\"", BELOW)), (Some(0), 0));
    }
}
