//! The inventory as resources (AIS3), as Second Life's viewers need it: folders and items under
//! `/category/ID` and `/item/ID`, of the agent and of the library.

use super::Own;
use super::http::{self, status};
use crate::grid::core::{Asked, Body, Core};
use crate::grid::inventory::{Inventories, Inventory, Refusal, own_item};
use crate::net::server::Request;
use crate::proto::id::AgentId;
use crate::proto::inventory::{FOLDER_LINK, Folder, Item, LINK};
use crate::proto::llsd::{Llsd, from_xml};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uuid::Uuid;

/// Folders by the names that stand for their ids, with their types.
const FOLDER_NAMES: [(&str, i8); 18] = [
    ("animatn", 20),
    ("bodypart", 13),
    ("clothing", 5),
    ("current", 46),
    ("favorite", 23),
    ("gesture", 21),
    ("inbox", 50),
    ("landmark", 3),
    ("lsltext", 10),
    ("lstndfnd", 16),
    ("my_otfts", 48),
    ("notecard", 7),
    ("object", 6),
    ("outbox", 51),
    ("snapshot", 15),
    ("sound", 1),
    ("texture", 0),
    ("trash", 14),
];

impl Inventories {
    /// The folder that stands for a name such as `trash`, or an id.
    fn named_folder(&mut self, agent: AgentId, name: &str) -> Option<Uuid> {
        if let Ok(id) = Uuid::try_parse(name) {
            return Some(id);
        }
        let own = self.of(agent).ok()?;
        if name == "root" {
            return Some(own.root);
        }
        let kind = FOLDER_NAMES.iter().find(|(known, _)| *known == name)?.1;
        own.system_folder(kind)
    }
}

/// Viewers ask no deeper than this.
const DEEPEST: u32 = 50;

/// One answer tells no more entries than this.
const MOST_ENTRIES: usize = 20_000;

/// One request makes no more entries than this.
const MOST_AT_ONCE: usize = 2000;

type Answer = Result<(u16, Llsd), u16>;

/// A request by its transaction and path, and its answer: status and body.
type Answered = ((Uuid, String), (u16, Llsd));

/// So many answers are remembered of one agent.
const MOST_ANSWERED: usize = 32;

/// What was answered to the last requests of each agent that name a transaction.
#[derive(Default)]
struct Answers(BTreeMap<AgentId, VecDeque<Answered>>);

/// Answers a request to the agent's own inventory.
pub(super) fn of_agent(core: &mut Core, asked: &Asked<'_>) -> http::Answer {
    answer(core, asked, false)
}

/// Answers a request to the library.
pub(super) fn of_library(core: &mut Core, asked: &Asked<'_>) -> http::Answer {
    answer(core, asked, true)
}

/// Answers a request; the same again, where a transaction names it, as it was answered before.
fn answer(core: &mut Core, asked: &Asked<'_>, library: bool) -> http::Answer {
    let body = |(status, body)| (status, Body::Llsd(body));
    let (agent, request) = (served(core, asked), asked.request);
    let all = &mut core.inventories;
    let mut ais = AisRequest { all, agent, library, request };
    let Some(tid) = ais.transaction(asked.path) else { return ais.answer(asked.path).map(body) };
    let key = (tid, asked.path.to_owned());
    let answers = core.states.of::<Answers>().0.entry(agent).or_default();
    let before = answers.iter().find(|(known, _)| *known == key);
    if let Some((_, answer)) = before.filter(|_| !core.faults.breaks(Own::MakesTwice)) {
        return Ok(body(answer.clone()));
    }
    let answer = ais.answer(asked.path)?;
    if answers.len() >= MOST_ANSWERED {
        answers.pop_front();
    }
    answers.push_back((key, answer.clone()));
    Ok(body(answer))
}

/// Whose resources are meant: the asker's, but where a faulty grid looks for the id alone.
fn served(core: &Core, asked: &Asked<'_>) -> AgentId {
    let anybody = core.breaks(Own::ServesForeign);
    let id = asked.path.split('/').find_map(|part| Uuid::try_parse(part).ok());
    let owner = |id| core.inventories.owner_of(id).or_else(|| core.inventories.item_owner(id));
    id.filter(|_| anybody).and_then(owner).map_or(asked.agent, AgentId)
}

struct AisRequest<'a> {
    all: &'a mut Inventories,
    agent: AgentId,
    library: bool,
    request: &'a Request,
}

impl AisRequest<'_> {
    fn answer(&mut self, path: &str) -> Answer {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let reads = self.request.method == "GET";
        let copies = self.library && self.request.method == "COPY";
        let lent = self.all.is_lent();
        if self.library && !reads && !copies && !lent {
            return Err(405);
        }
        if self.library && lent && !reads && !copies {
            return Ok((200, Llsd::map::<&str>([])));
        }
        match (self.request.method.as_str(), &parts[..]) {
            ("GET", ["item", id]) => self.item(id),
            ("GET", ["category", id]) => self.folder(id, 0, true, true),
            ("GET", ["category", id, "children"]) => self.folder(id, self.depth()?, true, true),
            ("GET", ["category", id, "categories"]) => self.folder(id, self.depth()?, true, false),
            ("GET", ["category", id, "items" | "links"]) => self.folder(id, 0, false, true),
            ("GET", ["orphans"]) => Ok((200, Llsd::map::<&str>([]))),
            ("COPY", ["category", id]) => self.copy(id),
            ("POST", ["category", id]) => self.create(id),
            ("PUT", ["category", id, "links"]) => self.slam(id),
            ("PATCH", ["category", id]) => self.change_folder(id),
            ("PATCH", ["item", id]) => self.change_item(id),
            ("DELETE", ["category", id]) => self.remove_folder(id),
            ("DELETE", ["category", id, "children"]) => self.purge(id),
            ("DELETE", ["item", id]) => self.remove_item(id),
            (_, ["category" | "item", ..] | ["orphans"]) => Err(405),
            _ => Err(404),
        }
    }

    /// The transaction of a request that makes things, if it names one.
    fn transaction(&self, path: &str) -> Option<Uuid> {
        let makes = self.request.method == "POST" && path.starts_with("category/") && !self.library;
        let named = self.query("tid").filter(|_| makes)?;
        Uuid::try_parse(named).ok().filter(|tid| !tid.is_nil())
    }

    fn query(&self, name: &str) -> Option<&str> {
        let mut pairs = self.request.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn depth(&self) -> Result<u32, u16> {
        match self.query("depth") {
            None => Ok(0),
            Some("*") => Ok(DEEPEST),
            Some(depth) => depth.parse().map(|depth: u32| depth.min(DEEPEST)).map_err(|_| 400),
        }
    }

    fn body(&self) -> Result<Llsd, u16> {
        match from_xml(&self.request.body) {
            Ok(map @ Llsd::Map(_)) => Ok(map),
            _ => Err(400),
        }
    }

    fn tree(&mut self) -> Result<&Inventory, u16> {
        match self.library {
            true => Ok(self.all.library()),
            false => self.all.of(self.agent).map(|own| &*own).map_err(status),
        }
    }

    fn folder_id(&mut self, name: &str) -> Result<Uuid, u16> {
        if self.library && name == "root" {
            return Ok(self.all.library().root);
        }
        self.all.named_folder(self.agent, name).ok_or(404)
    }

    fn item(&mut self, id: &str) -> Answer {
        let id = Uuid::try_parse(id).map_err(|_| 400u16)?;
        let agent = self.agent;
        let item = self.tree()?.item(id).ok_or(404u16)?;
        Ok((200, item_map(item, agent)))
    }

    fn folder(&mut self, name: &str, depth: u32, folders: bool, items: bool) -> Answer {
        let id = self.folder_id(name)?;
        let agent = self.agent;
        let tree = self.tree()?;
        let mut left = MOST_ENTRIES;
        let wanted = Wanted { agent, folders, items };
        let told = wanted.told(tree, id, depth, &mut left).ok_or(404u16)?;
        // Too much for one answer: viewers ask again, less deep.
        if left == 0 { Err(403) } else { Ok((200, told)) }
    }

    /// Makes every folder, item and link of the body in a folder, or none of them.
    fn create(&mut self, name: &str) -> Answer {
        let parent = self.folder_id(name)?;
        let body = self.body()?;
        let (agent, lax) = (self.agent, self.all.is_lax());
        let list = |key| body.get(key).and_then(Llsd::as_array).unwrap_or_default();
        if ["categories", "items", "links"].iter().map(|key| list(key).len()).sum::<usize>()
            > MOST_AT_ONCE
        {
            return Err(413);
        }
        let made = self.all.change_all(agent, |own| {
            let mut made = Made::default();
            for wanted in list("categories") {
                let folder = make_folder(own, parent, wanted)?;
                made.folders.push(folder.id);
            }
            for wanted in list("items").iter().chain(list("links")) {
                let item = make_item(own, lax, agent, parent, wanted)?;
                made.items.push(item.id);
            }
            Ok(made)
        });
        let made = made.map_err(status)?;
        let version = self.version(parent);
        let own = self.tree()?;
        let folders = made.folders.iter().filter_map(|id| own.folder(*id));
        let items = made.items.iter().filter_map(|id| own.item(*id));
        let embedded = embedded(agent, folders, items);
        let ids = |ids: &[Uuid]| Llsd::Array(ids.iter().map(|id| Llsd::Uuid(*id)).collect());
        let body = Llsd::map([
            ("_created_categories", ids(&made.folders)),
            ("_created_items", ids(&made.items)),
            ("_updated_category_versions", version),
            ("_embedded", embedded),
        ]);
        Ok((201, body))
    }

    /// Lets exactly the links of the body be the links in a folder.
    fn slam(&mut self, name: &str) -> Answer {
        let parent = self.folder_id(name)?;
        let body = self.body()?;
        let (agent, lax) = (self.agent, self.all.is_lax());
        let links = body.get("links").or_else(|| body.get("items")).and_then(Llsd::as_array);
        let links = links.ok_or(400u16)?;
        if links.len() > MOST_AT_ONCE {
            return Err(413);
        }
        let changed = self.all.change_all(agent, |own| {
            let old = own.contents(parent).ok_or(Refusal::NoSuchFolder)?.items;
            let old: Vec<Uuid> = old.iter().filter(|i| i.is_link()).map(|i| i.id).collect();
            old.iter().try_for_each(|id| own.remove_item(*id))?;
            let made = links.iter().map(|wanted| make_item(own, lax, agent, parent, wanted));
            let made: Vec<Uuid> = made.map(|made| made.map(|i| i.id)).collect::<Result<_, _>>()?;
            Ok((old, made))
        });
        let (old, made) = changed.map_err(status)?;
        let version = self.version(parent);
        let ids = |ids: Vec<Uuid>| Llsd::Array(ids.into_iter().map(Llsd::Uuid).collect());
        let body = Llsd::map([
            ("_removed_items", ids(old)),
            ("_created_items", ids(made)),
            ("_updated_category_versions", version),
        ]);
        Ok((200, body))
    }

    fn change_folder(&mut self, name: &str) -> Answer {
        let id = self.folder_id(name)?;
        let body = self.body()?;
        let folder = self.tree()?.folder(id).ok_or(404u16)?.clone();
        let name = body.get("name").and_then(Llsd::as_str).unwrap_or(&folder.name).to_owned();
        let parent = body.get("parent_id").and_then(Llsd::as_uuid).unwrap_or(folder.parent);
        let changed = self.all.change(self.agent, |own| own.update_folder(id, parent, &name));
        changed.map_err(status)?;
        let version = self.versions(&[id, folder.parent, parent]);
        let agent = self.agent;
        let folder = self.tree()?.folder(id).ok_or(404u16)?;
        let Llsd::Map(mut members) = folder.to_llsd(agent) else { return Err(500) };
        members.push(("_updated_category_versions".into(), version));
        Ok((200, Llsd::Map(members)))
    }

    fn change_item(&mut self, id: &str) -> Answer {
        let id = Uuid::try_parse(id).map_err(|_| 400u16)?;
        let body = self.body()?;
        let item = self.tree()?.item(id).ok_or(404u16)?.clone();
        let text = |key: &str| body.get(key).and_then(Llsd::as_str).map(str::to_owned);
        let parent = body.get("parent_id").and_then(Llsd::as_uuid).unwrap_or(item.folder);
        let changed = self.all.change_all(self.agent, |own| {
            if parent != item.folder {
                own.move_item(id, parent, "")?;
            }
            own.update_item(id, |item| {
                item.name = text("name").unwrap_or_else(|| item.name.clone());
                item.description = text("desc").unwrap_or_else(|| item.description.clone());
            })
        });
        let changed = changed.map_err(status)?;
        let version = self.versions(&[item.folder, parent]);
        let Llsd::Map(mut members) = item_map(&changed, self.agent) else { return Err(500) };
        members.push(("_updated_category_versions".into(), version));
        Ok((200, Llsd::Map(members)))
    }

    fn remove_folder(&mut self, name: &str) -> Answer {
        let id = self.folder_id(name)?;
        let parent = self.tree()?.folder(id).ok_or(404u16)?.parent;
        let removed = self.all.change(self.agent, |own| own.delete_folder(id));
        self.removed(removed.map_err(status)?, "_categories_removed", parent)
    }

    fn purge(&mut self, name: &str) -> Answer {
        let id = self.folder_id(name)?;
        let removed = self.all.change(self.agent, |own| own.purge(id)).map_err(status)?;
        self.removed(removed, "_category_items_removed", id)
    }

    fn remove_item(&mut self, id: &str) -> Answer {
        let id = Uuid::try_parse(id).map_err(|_| 400u16)?;
        let folder = self.tree()?.item(id).ok_or(404u16)?.folder;
        self.all.change(self.agent, |own| own.remove_item(id)).map_err(status)?;
        self.removed(vec![id], "_removed_items", folder)
    }

    fn removed(&mut self, gone: Vec<Uuid>, key: &str, parent: Uuid) -> Answer {
        let version = self.version(parent);
        let gone = Llsd::Array(gone.into_iter().map(Llsd::Uuid).collect());
        Ok((200, Llsd::map([(key, gone), ("_updated_category_versions", version)])))
    }

    /// Copies a folder of the library with all it holds into one of the agent's.
    fn copy(&mut self, name: &str) -> Answer {
        let source = self.folder_id(name)?;
        let destination = self.request.header("destination").unwrap_or_default().to_owned();
        let destination = self.all.named_folder(self.agent, &destination).ok_or(400u16)?;
        let deep = self.query("depth") != Some("0");
        let library = self.all.library().clone();
        let copied = self.all.change_all(self.agent, |own| {
            let mut made = Made::default();
            let mut waiting = vec![(source, destination)];
            while let Some((from, to)) = waiting.pop() {
                let contents = library.contents(from).ok_or(Refusal::NoSuchFolder)?;
                let id = own.new_id();
                own.create_folder(id, to, -1, &contents.folder.name)?;
                made.folders.push(id);
                for item in &contents.items {
                    made.items.push(own.copy_item(item, id, "")?.id);
                }
                let below = contents.folders.iter().filter(|_| deep);
                waiting.extend(below.map(|folder| (folder.id, id)));
            }
            Ok(made)
        });
        let made = copied.map_err(status)?;
        let version = self.version(destination);
        let ids = |ids: Vec<Uuid>| Llsd::Array(ids.into_iter().map(Llsd::Uuid).collect());
        let body = Llsd::map([
            ("_created_categories", ids(made.folders)),
            ("_created_items", ids(made.items)),
            ("_updated_category_versions", version),
        ]);
        Ok((201, body))
    }

    fn version(&mut self, id: Uuid) -> Llsd {
        self.versions(&[id])
    }

    /// The agent's folders by id, with their versions.
    fn versions(&mut self, ids: &[Uuid]) -> Llsd {
        let ids: BTreeSet<Uuid> = ids.iter().copied().collect();
        let Ok(own) = self.all.of(self.agent) else { return Llsd::Undef };
        let folders = ids.iter().filter_map(|id| own.folder(*id));
        Llsd::map(folders.map(|f| (f.id.to_string(), Llsd::Integer(f.version))))
    }
}

#[derive(Default)]
struct Made {
    folders: Vec<Uuid>,
    items: Vec<Uuid>,
}

fn make_folder(own: &mut Inventory, parent: Uuid, wanted: &Llsd) -> Result<Folder, Refusal> {
    let kind = wanted.get("type_default").and_then(Llsd::as_i32).unwrap_or(-1);
    let name = wanted.get("name").and_then(Llsd::as_str).unwrap_or_default();
    let id = own.new_id();
    own.create_folder(id, parent, i8::try_from(kind).unwrap_or(-1), name)
}

/// An item or a link; a link to what is not there is refused.
fn make_item(
    own: &mut Inventory,
    lax: bool,
    agent: AgentId,
    parent: Uuid,
    wanted: &Llsd,
) -> Result<Item, Refusal> {
    let number = |key: &str| {
        let number = wanted.get(key).and_then(Llsd::as_i32);
        number.and_then(|n| i8::try_from(n).ok())
    };
    let text = |key: &str| wanted.get(key).and_then(Llsd::as_str).unwrap_or_default();
    let linked = wanted.get("linked_id").and_then(Llsd::as_uuid);
    let kind = number("type").unwrap_or(if linked.is_some() { LINK } else { -1 });
    let mut item = own_item(agent, parent, kind, number("inv_type").unwrap_or(-1), text("name"));
    item.description = text("desc").to_owned();
    match (linked, kind) {
        (Some(target), LINK | FOLDER_LINK) if lax => item.asset = target,
        (Some(target), LINK) => {
            own.item(target).ok_or(Refusal::NoSuchItem)?;
            item.asset = target;
        }
        (Some(target), FOLDER_LINK) => {
            own.folder(target).ok_or(Refusal::NoSuchFolder)?;
            item.asset = target;
        }
        (Some(_), _) | (None, LINK | FOLDER_LINK) => return Err(Refusal::Null),
        (None, _) if item.name.is_empty() => return Err(Refusal::NoName),
        (None, _) => {}
    }
    own.create_item(item)
}

/// An item as a resource: a link names what it links to, not an asset.
fn item_map(item: &Item, agent: AgentId) -> Llsd {
    let Llsd::Map(mut members) = item.to_llsd(agent) else { return Llsd::Undef };
    if item.is_link() {
        for (key, _) in members.iter_mut().filter(|(key, _)| key == "asset_id") {
            *key = "linked_id".into();
        }
    }
    Llsd::Map(members)
}

/// Entries by id, links apart from items.
fn embedded<'a>(
    agent: AgentId,
    folders: impl Iterator<Item = &'a Folder>,
    items: impl Iterator<Item = &'a Item>,
) -> Llsd {
    let (links, items): (Vec<&Item>, Vec<&Item>) = items.partition(|item| item.is_link());
    let by_id = |items: Vec<&Item>| {
        Llsd::map(items.into_iter().map(|item| (item.id.to_string(), item_map(item, agent))))
    };
    let folders = folders.map(|folder| (folder.id.to_string(), folder.to_llsd(agent)));
    Llsd::map([
        ("categories", Llsd::map(folders.collect::<Vec<_>>())),
        ("items", by_id(items)),
        ("links", by_id(links)),
    ])
}

/// Which kinds of entries are told.
struct Wanted {
    agent: AgentId,
    folders: bool,
    items: bool,
}

impl Wanted {
    /// A folder with what it holds, and so many levels of folders below with what they hold.
    fn told(&self, tree: &Inventory, id: Uuid, depth: u32, left: &mut usize) -> Option<Llsd> {
        let contents = tree.contents(id)?;
        let entries = contents.folders.len() + contents.items.len();
        *left = left.saturating_sub(entries + 1);
        if *left == 0 {
            return Some(Llsd::Undef);
        }
        let items = contents.items.iter().filter(|_| self.items);
        let folders = contents.folders.iter().filter(|_| self.folders);
        let mut below = Vec::new();
        for folder in folders.clone().filter(|_| depth > 0) {
            below.push((folder.id.to_string(), self.told(tree, folder.id, depth - 1, left)?));
        }
        let Llsd::Map(mut embedded) = embedded(self.agent, folders, items) else { return None };
        if depth > 0 {
            embedded[0].1 = Llsd::Map(below);
        }
        let Llsd::Map(mut members) = contents.folder.to_llsd(self.agent) else { return None };
        members.push(("_embedded".into(), Llsd::Map(embedded)));
        Some(Llsd::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;
    use crate::proto::llsd::{CONTENT_TYPE, to_xml};

    fn ask(bench: &mut Bench, method: &str, url: &str, body: &Llsd) -> (u16, Llsd) {
        let asked = bench.ask(method, url, CONTENT_TYPE, to_xml(body).as_bytes());
        bench.answer(asked).unwrap()
    }

    fn granted(name: &str) -> (Bench, String) {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let seed = bench.viewers[jane].seed.clone();
        let url = bench.caps(&seed, &[name])[name].clone();
        (bench, url)
    }

    #[test]
    fn folders_have_names_and_resources_have_methods() {
        let (mut bench, url) = granted("InventoryAPIv3");
        let mut status = |method: &str, path: &str| {
            ask(&mut bench, method, &format!("{url}{path}"), &Llsd::Undef).0
        };
        assert_eq!(status("GET", "/category/trash"), 200);
        assert_eq!(status("GET", "/category/nothing"), 404);
        assert_eq!(status("PUT", "/category/trash"), 405);
        assert_eq!(status("GET", "/nowhere"), 404);
    }

    #[test]
    fn the_same_transaction_is_carried_out_once() {
        let (mut bench, url) = granted("InventoryAPIv3");
        let folder = Llsd::map([("name", Llsd::string("mine"))]);
        let asked = Llsd::map([("categories", Llsd::Array(vec![folder]))]);
        let url = format!("{url}/category/root?tid={}", Uuid::from_u128(3));
        let first = ask(&mut bench, "POST", &url, &asked);
        assert_eq!(first.0, 201);
        assert_eq!(ask(&mut bench, "POST", &url, &asked), first);
    }

    #[test]
    fn the_library_is_read_and_not_changed() {
        let (mut bench, url) = granted("LibraryAPIv3");
        let root = bench.core.inventories.library().root;
        let url = format!("{url}/category/{root}");
        assert_eq!(ask(&mut bench, "GET", &url, &Llsd::Undef).0, 200);
        assert_eq!(ask(&mut bench, "DELETE", &url, &Llsd::Undef).0, 405);
    }
}
