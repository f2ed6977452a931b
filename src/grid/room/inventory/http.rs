//! Inventory over HTTP: folders and items fetched by id, and folders made.

use super::{Own, maker};
use crate::grid::core::{Asked, Body, Core};
use crate::grid::inventory::{FolderContents, LIBRARY_OWNER, Refusal};
use crate::proto::id::AgentId;
use crate::proto::inventory::Item;
use crate::proto::llsd::{Llsd, from_xml};
use std::collections::BTreeSet;
use uuid::Uuid;

/// One request may ask for so many folders or items, and get so many entries.
const MOST: usize = 10_000;
const MOST_ENTRIES: usize = 50_000;

/// The answer to a request.
pub(super) type Answer = Result<(u16, Body), u16>;

/// What a POST asks for: a map.
fn map_of(asked: &Asked<'_>) -> Result<Llsd, u16> {
    if asked.request.method != "POST" {
        return Err(405);
    }
    match from_xml(&asked.request.body) {
        Ok(map @ Llsd::Map(_)) => Ok(map),
        _ => Err(400),
    }
}

fn ok(reply: Llsd) -> (u16, Body) {
    (200, Body::Llsd(reply))
}

pub(super) fn folders(core: &mut Core, asked: &Asked<'_>) -> Answer {
    let whole = core.breaks(Own::IgnoresFlags);
    let renamed = core.breaks(Own::TypesAsType);
    let read = |folder| core.inventories.contents(asked.agent, folder);
    let mut reply = fetch(&map_of(asked)?, asked.agent, whole, read)?;
    if core.breaks(Own::FoldersUntold) {
        untell_folders(&mut reply);
    }
    Ok(ok(if renamed { types_as_type(reply) } else { reply }))
}

/// Takes the lists of folders out of a reply.
fn untell_folders(reply: &mut Llsd) {
    match reply {
        Llsd::Map(members) => {
            members.retain(|(key, _)| key != "categories");
            members.iter_mut().for_each(|(_, member)| untell_folders(member));
        }
        Llsd::Array(all) => all.iter_mut().for_each(untell_folders),
        _ => {}
    }
}

/// A reply whose folders' types have the name that older grids give them.
fn types_as_type(reply: Llsd) -> Llsd {
    match reply {
        Llsd::Map(members) => Llsd::Map(
            members
                .into_iter()
                .flat_map(|(key, value)| {
                    let value = types_as_type(value);
                    match key.as_str() {
                        "type_default" => vec![
                            ("type".to_owned(), value.clone()),
                            ("preferred_type".to_owned(), value),
                        ],
                        _ => vec![(key, value)],
                    }
                })
                .collect(),
        ),
        Llsd::Array(all) => Llsd::Array(all.into_iter().map(types_as_type).collect()),
        other => other,
    }
}

pub(super) fn library_folders(core: &mut Core, asked: &Asked<'_>) -> Answer {
    let library = core.inventories.library();
    let read = |folder| Some((library.owner, library.contents(folder)?));
    fetch(&map_of(asked)?, asked.agent, false, read).map(ok)
}

/// Every folder asked for, once, and under `bad_folders` those that are not there to be read;
/// `whole` if what was not asked for is told too, as a faulty grid does.
fn fetch(
    asked: &Llsd,
    agent: AgentId,
    whole: bool,
    mut read: impl FnMut(Uuid) -> Option<(Uuid, FolderContents)>,
) -> Result<Llsd, u16> {
    let asked = asked.get("folders").and_then(Llsd::as_array).ok_or(400u16)?;
    if asked.len() > MOST {
        return Err(403);
    }
    let (mut folders, mut bad, mut seen, mut entries) =
        (Vec::new(), Vec::new(), BTreeSet::new(), 0);
    for wanted in asked {
        let id = wanted.get("folder_id").and_then(Llsd::as_uuid).unwrap_or_default();
        if !seen.insert(id) {
            continue;
        }
        let Some((owner, mut contents)) = read(id) else {
            bad.push(Llsd::map([
                ("folder_id", Llsd::Uuid(id)),
                ("error", Llsd::string(Refusal::NoSuchFolder.to_string())),
            ]));
            continue;
        };
        entries += contents.folders.len() + contents.items.len();
        if entries > MOST_ENTRIES {
            return Err(403);
        }
        contents.sort(wanted.get("sort_order").and_then(Llsd::as_i32) == Some(1));
        folders.push(described(&contents, owner, agent, |key| {
            whole || wanted.get(key) != Some(&Llsd::Boolean(false))
        }));
    }
    let mut reply = vec![("folders", Llsd::Array(folders))];
    if !bad.is_empty() {
        reply.push(("bad_folders", Llsd::Array(bad)));
    }
    Ok(Llsd::map(reply))
}

fn described(
    contents: &FolderContents,
    owner: Uuid,
    agent: AgentId,
    wants: impl Fn(&str) -> bool,
) -> Llsd {
    let mut categories = Vec::new();
    if wants("fetch_folders") {
        categories.extend(contents.folders.iter().map(|folder| folder.to_llsd(AgentId(owner))));
    }
    let mut items = Vec::new();
    if wants("fetch_items") {
        let all = contents.targets.iter().chain(&contents.items);
        items.extend(all.map(|item| item.to_llsd(AgentId(owner))));
    }
    // Whose eyes these are is of no account but for the library, which has no agent of its own.
    let agent = if owner == LIBRARY_OWNER { agent } else { AgentId(owner) };
    Llsd::map([
        ("agent_id", Llsd::Uuid(agent.0)),
        ("owner_id", Llsd::Uuid(owner)),
        ("folder_id", Llsd::Uuid(contents.folder.id)),
        ("version", Llsd::Integer(contents.folder.version)),
        ("descendents", Llsd::Integer(contents.descendents())),
        ("categories", Llsd::Array(categories)),
        ("items", Llsd::Array(items)),
    ])
}

pub(super) fn items(core: &mut Core, asked: &Asked<'_>) -> Answer {
    find(&map_of(asked)?, asked.agent, |id| core.inventories.item(asked.agent, id)).map(ok)
}

pub(super) fn library_items(core: &mut Core, asked: &Asked<'_>) -> Answer {
    let library = core.inventories.library();
    find(&map_of(asked)?, asked.agent, |id| library.item(id).cloned()).map(ok)
}

/// Every item asked for that is there to be read, once.
fn find(
    asked: &Llsd,
    agent: AgentId,
    mut read: impl FnMut(Uuid) -> Option<Item>,
) -> Result<Llsd, u16> {
    let asked = asked.get("items").and_then(Llsd::as_array).ok_or(400u16)?;
    if asked.len() > MOST {
        return Err(403);
    }
    let mut seen = BTreeSet::new();
    let ids = asked.iter().filter_map(|wanted| wanted.get("item_id").and_then(Llsd::as_uuid));
    let items = ids.filter(|id| seen.insert(*id)).filter_map(&mut read);
    let items: Vec<Llsd> = items.map(|item| item.to_llsd(AgentId(item.owner))).collect();
    Ok(Llsd::map([("agent_id", Llsd::Uuid(agent.0)), ("items", Llsd::Array(items))]))
}

/// Makes a folder under the id that the viewer chose, and says what it made.
pub(super) fn create_folder(core: &mut Core, request: &Asked<'_>) -> Answer {
    let (asked, agent) = (map_of(request)?, request.agent);
    let id = |key| asked.get(key).and_then(Llsd::as_uuid).ok_or(400u16);
    let (folder, parent) = (id("folder_id")?, id("parent_id")?);
    let kind = asked.get("type").map_or(Some(-1), Llsd::as_i32).ok_or(400u16)?;
    let kind = i8::try_from(kind).map_err(|_| 400u16)?;
    let name = asked.get("name").and_then(Llsd::as_str).ok_or(400u16)?;
    let owner = maker(core, agent, parent);
    let all = &mut core.inventories;
    let made = all.change(owner, |own| own.create_folder(folder, parent, kind, name));
    let made = made.map_err(status)?;
    if core.faults.breaks(Own::ForgetsFolders) {
        let _ = all.change(agent, |own| own.forget_folder(folder));
    }
    Ok(ok(Llsd::map([
        ("folder_id", Llsd::Uuid(made.id)),
        ("parent_id", Llsd::Uuid(made.parent)),
        ("type", Llsd::Integer(i32::from(made.kind))),
        ("name", Llsd::string(&made.name)),
    ])))
}

/// How HTTP says that a change was refused.
pub(super) fn status(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::NoSuchFolder | Refusal::NoSuchItem => 404,
        Refusal::Full | Refusal::NoCopy => 403,
        Refusal::Storage => 500,
        _ => 400,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;

    fn asking(name: &str) -> (Bench, Uuid, String) {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let root = bench.core.inventories.of(bench.viewers[jane].agent).unwrap().root;
        let seed = bench.viewers[jane].seed.clone();
        let url = bench.caps(&seed, &[name])[name].clone();
        (bench, root, url)
    }

    fn wanted(key: &str, id_key: &str, ids: &[Uuid]) -> Llsd {
        let ids = ids.iter().map(|id| Llsd::map([(id_key, Llsd::Uuid(*id))]));
        Llsd::map([(key, Llsd::Array(ids.collect()))])
    }

    #[test]
    fn a_folder_asked_for_twice_is_told_once_and_one_that_is_not_there_is_bad() {
        let (mut bench, root, url) = asking("FetchInventoryDescendents2");
        let asked = wanted("folders", "folder_id", &[root, Uuid::from_u128(9), root]);
        let (status, reply) = bench.post(&url, &asked);
        let told = |key: &str| reply.get(key).and_then(Llsd::as_array).unwrap().len();
        assert_eq!((status, told("folders"), told("bad_folders")), (200, 1, 1));
    }

    #[test]
    fn an_item_that_is_not_there_is_left_out() {
        let (mut bench, _, url) = asking("FetchInventory2");
        let (status, reply) = bench.post(&url, &wanted("items", "item_id", &[Uuid::from_u128(9)]));
        assert_eq!((status, reply.get("items")), (200, Some(&Llsd::Array(Vec::new()))));
        assert_eq!(bench.post(&url, &Llsd::map::<&str>([])).0, 400);
    }

    #[test]
    fn a_folder_is_made_under_the_id_that_was_chosen_and_not_twice() {
        let (mut bench, root, url) = asking("CreateInventoryCategory");
        let make = Llsd::map([
            ("folder_id", Llsd::Uuid(Uuid::from_u128(7))),
            ("parent_id", Llsd::Uuid(root)),
            ("type", Llsd::Integer(-1)),
            ("name", Llsd::string("mine")),
        ]);
        let (status, made) = bench.post(&url, &make);
        let id = made.get("folder_id").and_then(Llsd::as_uuid);
        assert_eq!((status, id), (200, Some(Uuid::from_u128(7))));
        assert_eq!(bench.post(&url, &make).0, 400);
    }
}
