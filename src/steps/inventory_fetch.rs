//! `inventory.fetch`: a folder with what it holds.

use super::{Call, Failure, Kind, Observes, Repeat, Returns, StepDef, Waits, key, need};
use crate::client::{FetchError, Fetched, Over, Wanted};
use crate::proto::inventory::{Folder, Item};
use crate::value::Value;
use std::time::Duration;
use uuid::Uuid;

pub(super) static STEP: StepDef = StepDef {
    name: "inventory.fetch",
    doc: "Fetches a folder and returns it in one form, whichever way it came: by a capability where \
          one is granted (as a resource, where only that is), else by UDP. Entries are sorted by id, so that two answers compare.",
    keys: &[
        need("folder", Kind::Text, "the folder's id"),
        key("owner", Kind::Text, "whose it is, for the library; the agent's own if left out"),
        key("over", Kind::Text, "http, udp or any; any if left out"),
        key("folders", Kind::Flag, "false leaves the folders in it out"),
        key("items", Kind::Flag, "false leaves the items in it out"),
        key(
            "parent",
            Kind::Text,
            "the folder it was just made in: the folder is asked for only when this one tells it, \
             since some grids hold against a folder that it was asked for too early; where no \
             folders in folders are told, at once",
        ),
        key("gone", Kind::Flag, "there should be no such folder: an answer with it is the failure"),
    ],
    returns: Returns::Members(&[
        ("via", "http, ais or udp"),
        ("folder_id", "the folder's id, as the grid says"),
        ("owner_id", "whose it is, as the grid says"),
        ("version", "its version"),
        ("descendents", "how many entries the grid says are directly in it"),
        ("folders", "the folders in it: folder_id, parent_id, name, type"),
        (
            "untold",
            "of these, what the grid has no list of: what is expected of that is impossible",
        ),
        ("items", "the items in it, each with all that both ways tell"),
        ("targets", "the items elsewhere that links in it point at"),
        ("names", "the names of the items in it, sorted"),
        ("ids", "the ids of everything in it, sorted"),
        ("datagrams", "the sizes of the datagrams it came in, by UDP"),
        ("sequences", "their numbers"),
        ("mixed", "a datagram told both folders and items"),
        ("consistent", "every datagram told the same version and count"),
    ]),
    within: Duration::from_secs(20),
    repeatable: Repeat::Yes,
    waits: |args| match args.flag("gone") {
        Some(true) => Waits::WatchingCircuit,
        _ => Waits::ForAnswer,
    },
    observes: Observes::FOLDER,
    run: |call| {
        Box::pin(async move {
            let wanted = wanted(&call)?;
            let over = over(&call)?;
            let gone = call.args.flag("gone").unwrap_or(false);
            let within = match gone {
                true => call.viewer.common.watch(call.within),
                false => call.within,
            };
            if let Some(parent) = id(&call, "parent")? {
                let told = call.viewer.fetch_folder(Wanted::own(parent), over, within).await;
                let told = told.map_err(|error| explain(error, parent))?;
                let listed = told.folders.iter().any(|folder| folder.id == wanted.folder);
                if !(listed || told.folders_untold) {
                    let stage = format!("fetching the folder {parent}");
                    let expected = format!("the folder {} in it", wanted.folder);
                    return Err(Failure::missing(stage, expected, "it is not among those in it"));
                }
            }
            let fetched = call.viewer.fetch_folder(wanted, over, within).await;
            match (fetched, gone) {
                (Ok(fetched), false) => Ok(described(&fetched)),
                (Err(FetchError::Bad | FetchError::Silence(_)), true) => Ok(Value::Undef),
                (Ok(fetched), true) if told_nothing(&fetched) => Ok(Value::Undef),
                (Ok(_), true) => {
                    let stage = format!("fetching the folder {}", wanted.folder);
                    Err(Failure::missing(stage, "no such folder", "a folder with entries"))
                }
                (Err(error), _) => Err(explain(error, wanted.folder)),
            }
        })
    },
};

/// Some grids answer with an empty folder where there is none.
fn told_nothing(fetched: &Fetched) -> bool {
    fetched.descendents == 0 && fetched.folders.is_empty() && fetched.items.is_empty()
}

fn wanted(call: &Call<'_>) -> Result<Wanted, Failure> {
    Ok(Wanted {
        folder: id(call, "folder")?.unwrap_or_default(),
        owner: id(call, "owner")?.unwrap_or_default(),
        folders: call.args.flag("folders").unwrap_or(true),
        items: call.args.flag("items").unwrap_or(true),
    })
}

pub(super) fn id(call: &Call<'_>, key: &str) -> Result<Option<Uuid>, Failure> {
    let Some(text) = call.args.text(key) else { return Ok(None) };
    let id = Uuid::try_parse(&text);
    id.map(Some).map_err(|_| Failure::unfit(format!("`{key}`: `{text}` is no id")))
}

pub(super) fn over(call: &Call<'_>) -> Result<Over, Failure> {
    match call.args.text("over").as_deref() {
        None | Some("any") => Ok(Over::Any),
        Some("http") => Ok(Over::Http),
        Some("udp") => Ok(Over::Udp),
        Some(other) => Err(Failure::Error(format!("`over` is http, udp or any, not `{other}`"))),
    }
}

pub(super) fn explain(error: FetchError, folder: Uuid) -> Failure {
    let text = error.to_string();
    if matches!(error, FetchError::NoCapability(_)) {
        return Failure::Impossible(text);
    }
    Failure::missing(format!("fetching the folder {folder}"), "the folder with all it holds", text)
}

fn described(fetched: &Fetched) -> Value {
    let mut folders: Vec<&Folder> = fetched.folders.iter().collect();
    folders.sort_by_key(|folder| folder.id);
    let items = |items: &[Item]| {
        let mut items: Vec<&Item> = items.iter().collect();
        items.sort_by_key(|item| item.id);
        Value::Array(items.into_iter().map(item).collect())
    };
    let mut names: Vec<&str> = fetched.items.iter().map(|item| item.name.as_str()).collect();
    names.sort_unstable();
    let mut ids: Vec<Uuid> = folders.iter().map(|folder| folder.id).collect();
    ids.extend(fetched.items.iter().map(|item| item.id));
    ids.sort_unstable();
    // Some grids tell what a link points at once more, beside the link.
    ids.dedup();
    let untold: &[&str] = if fetched.folders_untold { &["folders", "ids"] } else { &[] };
    let sizes = fetched.datagrams.iter().map(|size| Value::count(*size));
    Value::map([
        ("via", Value::string(fetched.via.word())),
        ("untold", Value::Array(untold.iter().map(|name| Value::string(*name)).collect())),
        ("folder_id", Value::Uuid(fetched.folder)),
        ("owner_id", Value::Uuid(fetched.owner)),
        ("version", Value::integer(fetched.version)),
        ("descendents", Value::integer(fetched.descendents)),
        ("folders", Value::Array(folders.into_iter().map(folder).collect())),
        ("items", items(&fetched.items)),
        ("targets", items(&fetched.targets)),
        ("names", Value::Array(names.into_iter().map(Value::string).collect())),
        ("ids", Value::Array(ids.into_iter().map(Value::Uuid).collect())),
        ("datagrams", Value::Array(sizes.collect())),
        ("sequences", numbers(&fetched.sequences)),
        ("mixed", Value::Boolean(fetched.mixed)),
        ("consistent", Value::Boolean(fetched.consistent)),
    ])
}

fn numbers(all: &[u32]) -> Value {
    Value::Array(all.iter().map(|n| Value::integer(*n)).collect())
}

fn folder(folder: &Folder) -> Value {
    Value::map([
        ("folder_id", Value::Uuid(folder.id)),
        ("parent_id", Value::Uuid(folder.parent)),
        ("name", Value::string(&folder.name)),
        ("type", Value::integer(folder.kind)),
    ])
}

/// What UDP and HTTP both tell of an item.
fn item(item: &Item) -> Value {
    Value::map([
        ("item_id", Value::Uuid(item.id)),
        ("parent_id", Value::Uuid(item.folder)),
        ("name", Value::string(&item.name)),
        ("desc", Value::string(&item.description)),
        ("type", Value::integer(item.kind)),
        ("inv_type", Value::integer(item.inv_kind)),
        ("asset_id", Value::Uuid(item.asset)),
        ("flags", Value::integer(item.flags)),
        ("created_at", Value::integer(item.created)),
        ("creator_id", Value::Uuid(item.creator)),
        ("owner_id", Value::Uuid(item.owner)),
        ("group_id", Value::Uuid(item.group)),
        ("group_owned", Value::Boolean(item.group_owned)),
        ("base_mask", Value::integer(item.base_mask)),
        ("owner_mask", Value::integer(item.owner_mask)),
        ("group_mask", Value::integer(item.group_mask)),
        ("everyone_mask", Value::integer(item.everyone_mask)),
        ("next_owner_mask", Value::integer(item.next_mask)),
        ("sale_type", Value::integer(item.sale_type)),
        ("sale_price", Value::integer(item.sale_price)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{BELOW, ROOT, folders, inside, said, silent, unasked};

    #[test]
    fn a_folder_is_told_in_one_form() {
        let line = format!(r#"do = "inventory.fetch", folder = "{ROOT}""#);
        let found = inside(unasked, folders, &line).0.unwrap();
        assert_eq!(found.get("via"), Some(&Value::string("udp")));
        assert_eq!(found.get("version"), Some(&Value::integer(3)));
        assert_eq!(found.get("ids"), Some(&Value::Array(vec![Value::Uuid(BELOW)])));
    }

    #[test]
    fn a_folder_is_asked_for_once_its_parent_tells_it() {
        let line = |folder: Uuid| {
            let line = format!(r#"do = "inventory.fetch", folder = "{folder}", parent = "{ROOT}""#);
            inside(unasked, folders, &line)
        };
        assert!(line(BELOW).0.is_ok());
        let (early, told) = line(ROOT.parse().unwrap());
        let expected = format!("the folder {ROOT} in it: it is not among those in it");
        let asked = told.iter().filter(|told| told.name() == "FetchInventoryDescendents").count();
        assert_eq!((said(early), asked), (expected, 1));
    }

    #[test]
    fn what_should_be_gone_is_gone_where_nothing_is_told() {
        let gone = format!(r#"do = "inventory.fetch", folder = "{ROOT}", gone = true"#);
        let expected = "no such folder: a folder with entries";
        assert_eq!(said(inside(unasked, folders, &gone).0), expected);
        assert_eq!(inside(unasked, silent, &gone).0, Ok(Value::Undef));
        let none = said(inside(unasked, silent, r#"do = "inventory.fetch", folder = "x""#).0);
        assert_eq!(none, "precondition: `folder`: `x` is no id");
    }
}
