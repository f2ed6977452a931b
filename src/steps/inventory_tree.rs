//! `inventory.tree`: everything below a folder.

use super::{
    Failure, Kind, Observes, Repeat, Returns, StepDef, args, inventory_fetch as fetch, key, need,
};
use crate::client::Wanted;
use crate::value::Value;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// A tree larger than this is not fetched: a test account has no use for it.
const MOST_FOLDERS: usize = 500;

/// As many folders in one request as viewers ask for.
const AT_ONCE: usize = 10;

pub(super) static STEP: StepDef = StepDef {
    name: "inventory.tree",
    doc: "Fetches a folder and all below it, and returns the ids of everything there: for seeing \
          that what a case made is gone, and that nothing else is.",
    keys: &[
        need("folder", Kind::Text, "the folder's id"),
        key("owner", Kind::Text, "whose it is, for the library; the agent's own if left out"),
        key("over", Kind::Text, "http, udp or any; any if left out"),
    ],
    returns: Returns::Members(&[
        ("folders", "the ids of all folders below, sorted"),
        ("items", "the ids of all items below, sorted"),
        ("names", "the names of all folders below, sorted"),
    ]),
    within: Duration::from_secs(60),
    repeatable: Repeat::Yes,
    waits: args::for_answer,
    observes: Observes::FOLDER,
    run: |call| {
        Box::pin(async move {
            let top = fetch::id(&call, "folder")?.unwrap_or_default();
            let owner = fetch::id(&call, "owner")?.unwrap_or_default();
            let over = fetch::over(&call)?;
            let until = Instant::now() + call.within;
            let (mut waiting, mut folders, mut items) = (vec![top], Vec::new(), Vec::new());
            let mut names = Vec::new();
            while let Some(folder) = waiting.first().copied() {
                let left = until.saturating_duration_since(Instant::now());
                let own = |folder| Wanted { owner, ..Wanted::own(folder) };
                let few = waiting.drain(..waiting.len().min(AT_ONCE)).map(own);
                let few: Vec<Wanted> = few.collect();
                let fetched = call.viewer.fetch_folders(&few, over, left).await;
                let fetched = fetched.map_err(|error| fetch::explain(error, folder))?;
                items.extend(fetched.iter().flat_map(|f| &f.items).map(|item| item.id));
                for below in fetched.into_iter().flat_map(|fetched| fetched.folders) {
                    names.push(below.name);
                    if !folders.contains(&below.id) && below.id != top {
                        folders.push(below.id);
                        waiting.push(below.id);
                    }
                }
                if folders.len() > MOST_FOLDERS {
                    let received = format!("more than {MOST_FOLDERS} folders");
                    return Err(Failure::unfit(received));
                }
            }
            names.sort_unstable();
            let sorted = |mut ids: Vec<Uuid>| {
                ids.sort_unstable();
                Value::Array(ids.into_iter().map(Value::Uuid).collect())
            };
            let names = Value::Array(names.into_iter().map(Value::String).collect());
            Ok(Value::map([
                ("folders", sorted(folders)),
                ("items", sorted(items)),
                ("names", names),
            ]))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{BELOW, ROOT, folders, inside, unasked};

    #[test]
    fn all_below_is_told() {
        let line = format!(r#"do = "inventory.tree", folder = "{ROOT}""#);
        let found = inside(unasked, folders, &line).0.unwrap();
        assert_eq!(found.get("names"), Some(&Value::Array(vec![Value::string("Below")])));
        let below = Value::Uuid(BELOW);
        assert_eq!(found.get("folders"), Some(&Value::Array(vec![below])));
    }
}
