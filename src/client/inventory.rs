//! Fetching inventory: by capability where one is granted, by UDP where not.

use super::{Observed, Source, Viewer, What, agent_message};
use crate::net::http::{HttpError, Request};
use crate::net::udp::CircuitEvent;
use crate::proto::inventory::{Folder, Item};
use crate::proto::llsd::{Llsd, from_xml_as_viewers, to_xml};
use crate::proto::message::{Field, Message};
use crate::proto::seed::CONTENT_TYPE;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The capability that fetches folders, and the one for the library's.
const FOLDERS: &str = "FetchInventoryDescendents2";
const LIBRARY_FOLDERS: &str = "FetchLibDescendents2";

/// The capability that has folders as resources, and the one for the library's.
const RESOURCES: &str = "InventoryAPIv3";
const LIBRARY_RESOURCES: &str = "LibraryAPIv3";

/// How to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// By a capability; where none is granted, that is an error.
    Http,
    /// By UDP messages.
    Udp,
    /// By a capability, by UDP where none is granted.
    Any,
}

/// How a folder came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// By `FetchInventoryDescendents2`, or the library's.
    #[default]
    Http,
    /// By AIS3.
    Ais,
    /// By UDP messages.
    Udp,
}

impl Via {
    /// Its word in suites.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Ais => "ais",
            Self::Udp => "udp",
        }
    }
}

/// A folder to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Which.
    pub folder: Uuid,
    /// Whose; the agent's own if null.
    pub owner: Uuid,
    /// With the folders in it.
    pub folders: bool,
    /// With the items in it.
    pub items: bool,
}

impl Wanted {
    /// A folder of the agent's own with all it holds.
    pub fn own(folder: Uuid) -> Self {
        Self { folder, owner: Uuid::nil(), folders: true, items: true }
    }
}

/// A folder as a grid told it.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// How it came.
    pub via: Via,
    /// Its id.
    pub folder: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// Its version.
    pub version: i32,
    /// How many entries are said to be directly in it.
    pub descendents: i32,
    /// The folders in it.
    pub folders: Vec<Folder>,
    /// The answer has no list of folders, not even an empty one: nothing is known of them.
    pub folders_untold: bool,
    /// The items in it.
    pub items: Vec<Item>,
    /// The items elsewhere that links in it point at.
    pub targets: Vec<Item>,
    /// The sizes of the datagrams it came in, if it came by UDP.
    pub datagrams: Vec<usize>,
    /// Their numbers.
    pub sequences: Vec<u32>,
    /// Whether every message said the same version and count.
    pub consistent: bool,
    /// Whether a message told both folders and items.
    pub mixed: bool,
}

/// Why a folder was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The way asked for is not there.
    #[error("the capability {0} was not granted")]
    NoCapability(&'static str),
    /// The answer did not come.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer is not what the protocol has.
    #[error("{0}")]
    Answer(String),
    /// The grid says it has no such folder.
    #[error("the grid says there is no such folder")]
    Bad,
    /// The messages did not come, or not all of them.
    #[error("{0}")]
    Silence(String),
}

impl Viewer {
    /// Fetches a folder.
    ///
    /// # Errors
    /// Neither way brought the folder: why.
    pub async fn fetch_folder(
        &self,
        wanted: Wanted,
        over: Over,
        within: Duration,
    ) -> Result<Fetched, FetchError> {
        let fetched = self.fetch_folders(&[wanted], over, within).await?;
        let silence = || FetchError::Silence("nothing came".into());
        fetched.into_iter().next().ok_or_else(silence)
    }

    /// Fetches folders of one owner, a few in one request where the way allows that.
    ///
    /// # Errors
    /// Neither way brought them all: why.
    pub async fn fetch_folders(
        &self,
        wanted: &[Wanted],
        over: Over,
        within: Duration,
    ) -> Result<Vec<Fetched>, FetchError> {
        let own = self.session().map(|s| s.agent_id).unwrap_or_default();
        let owner = wanted.first().map(|wanted| wanted.owner).unwrap_or_default();
        let library = !owner.is_nil() && owner != own.0;
        let owner = if library { owner } else { own.0 };
        let wanted: Vec<Wanted> = wanted.iter().map(|w| Wanted { owner, ..*w }).collect();
        let name = if library { LIBRARY_FOLDERS } else { FOLDERS };
        let resources = if library { LIBRARY_RESOURCES } else { RESOURCES };
        match (over, self.cap(name), self.cap(resources)) {
            (Over::Http | Over::Any, Some(url), _) => {
                return self.fetch_by_http(name, url.to_owned(), &wanted, within).await;
            }
            (Over::Http, None, _) => return Err(FetchError::NoCapability(name)),
            _ => {}
        }
        let resources = resources_of(over, resources, self.cap(resources));
        let mut all = Vec::new();
        for wanted in wanted {
            all.push(match resources {
                Some((name, url)) => self.fetch_by_ais(name, url, wanted, within).await?,
                None => self.fetch_by_udp(wanted, within).await?,
            });
        }
        Ok(all)
    }

    async fn fetch_by_ais(
        &self,
        name: &str,
        url: &str,
        wanted: Wanted,
        within: Duration,
    ) -> Result<Fetched, FetchError> {
        let url = format!("{url}/category/{}/children?depth=0", wanted.folder);
        let reply = self.ask(name, Request::get(url), within).await?;
        match reply.status {
            200 => {}
            404 | 410 => return Err(FetchError::Bad),
            status => return Err(FetchError::Answer(format!("status {status}"))),
        }
        let (told, _) = from_xml_as_viewers(&reply.body)
            .map_err(|error| FetchError::Answer(format!("the body is no LLSD: {error}")))?;
        Ok(read_resource(&told, wanted))
    }

    async fn fetch_by_http(
        &self,
        name: &'static str,
        url: String,
        wanted: &[Wanted],
        within: Duration,
    ) -> Result<Vec<Fetched>, FetchError> {
        let folders = wanted.iter().map(|wanted| {
            Llsd::map([
                ("folder_id", Llsd::Uuid(wanted.folder)),
                ("owner_id", Llsd::Uuid(wanted.owner)),
                ("fetch_folders", Llsd::Boolean(wanted.folders)),
                ("fetch_items", Llsd::Boolean(wanted.items)),
                ("sort_order", Llsd::Integer(0)),
            ])
        });
        let body = to_xml(&Llsd::map([("folders", Llsd::Array(folders.collect()))]));
        let reply = self.ask(name, Request::post(url, CONTENT_TYPE, body), within).await?;
        if reply.status != 200 {
            return Err(FetchError::Answer(format!("status {}", reply.status)));
        }
        let (told, _) = from_xml_as_viewers(&reply.body)
            .map_err(|error| FetchError::Answer(format!("the body is no LLSD: {error}")))?;
        wanted.iter().map(|wanted| read_folder(&told, *wanted)).collect()
    }

    async fn fetch_by_udp(&self, wanted: Wanted, within: Duration) -> Result<Fetched, FetchError> {
        let Some(session) = self.session() else {
            return Err(FetchError::Silence("no session".into()));
        };
        let source = Source::Circuit(self.root.clone());
        // An earlier answer about the same folder must not count for this one.
        self.mailbox.with(|heard| {
            for observed in heard.iter_mut() {
                if descendents(observed, &source, wanted.folder).is_some() {
                    observed.taken = true;
                }
            }
        });
        let name = "FetchInventoryDescendents";
        let request = agent_message(&self.common.template, name, session)
            .with("InventoryData", "FolderID", Field::Uuid(wanted.folder))
            .with("InventoryData", "OwnerID", Field::Uuid(wanted.owner))
            .with("InventoryData", "FetchFolders", Field::Bool(wanted.folders))
            .with("InventoryData", "FetchItems", Field::Bool(wanted.items));
        self.send(&self.root, request, true).await;
        let mut found = Fetched { via: Via::Udp, consistent: true, ..Fetched::default() };
        let whole = self.mailbox.wait(Instant::now() + within, |heard| {
            for observed in heard.iter_mut() {
                if let Some((message, size, number)) = descendents(observed, &source, wanted.folder)
                {
                    found.add(message, size);
                    found.sequences.push(number);
                    observed.taken = true;
                }
            }
            found.is_whole(wanted).then_some(())
        });
        let whole = whole.await;
        match (whole, found.datagrams.len()) {
            (Some(()), _) => Ok(found),
            (None, 0) => Err(FetchError::Silence("no InventoryDescendents came".into())),
            (None, n) => Err(FetchError::Silence(format!(
                "{} of {} entries came, in {n} messages",
                found.folders.len() + found.items.len(),
                found.descendents
            ))),
        }
    }
}

/// InventoryDescendents of one folder, if an observation is that and not taken, its size and its
/// number.
fn descendents<'a>(
    observed: &'a Observed,
    source: &Source,
    folder: Uuid,
) -> Option<(&'a Message, usize, u32)> {
    let What::Udp(seen) = &observed.what else { return None };
    match &**seen {
        CircuitEvent::Message { message, size, header, duplicate: false, .. }
            if !observed.taken
                && observed.source == *source
                && message.name() == "InventoryDescendents"
                && message.uuid("AgentData", "FolderID") == Some(folder) =>
        {
            Some((message, *size, header.sequence.0))
        }
        _ => None,
    }
}

impl Fetched {
    /// Adds what one message tells.
    fn add(&mut self, message: &Message, size: usize) {
        let number = |name| match message.field("AgentData", name) {
            Some(Field::S32(n)) => *n,
            _ => 0,
        };
        let (version, count) = (number("Version"), number("Descendents"));
        if !self.datagrams.is_empty() && (version, count) != (self.version, self.descendents) {
            self.consistent = false;
        }
        (self.version, self.descendents) = (version, count);
        self.folder = message.uuid("AgentData", "FolderID").unwrap_or_default();
        self.owner = message.uuid("AgentData", "OwnerID").unwrap_or_default();
        self.datagrams.push(size);
        let folders = Folder::from_blocks(message, "FolderData");
        let items = Item::from_blocks(message, "ItemData");
        self.mixed |= !folders.is_empty() && !items.is_empty();
        self.folders.extend(folders);
        self.sort_in(items);
    }

    /// Items elsewhere are what links point at.
    fn sort_in(&mut self, items: Vec<Item>) {
        let (here, elsewhere): (Vec<Item>, Vec<Item>) =
            items.into_iter().partition(|item| item.folder == self.folder);
        self.items.extend(here);
        self.targets.extend(elsewhere);
    }

    /// Whether as many different entries came as there are said to be. Where a kind was not asked
    /// for the count cannot be met: one message is taken for all.
    fn is_whole(&self, wanted: Wanted) -> bool {
        let mut ids: BTreeSet<Uuid> = self.folders.iter().map(|folder| folder.id).collect();
        ids.extend(self.items.iter().map(|item| item.id));
        let all = wanted.folders && wanted.items;
        !self.datagrams.is_empty()
            && (!all || ids.len() >= usize::try_from(self.descendents).unwrap_or(0))
    }
}

/// The capability of resources, where a fetch goes by it.
fn resources_of<'u>(
    over: Over,
    name: &'static str,
    url: Option<&'u str>,
) -> Option<(&'static str, &'u str)> {
    url.filter(|_| over == Over::Any).map(|url| (name, url))
}

/// A folder as a resource, with what is directly in it.
fn read_resource(told: &Llsd, wanted: Wanted) -> Fetched {
    let embedded = |kind: &str| match told.get("_embedded").and_then(|all| all.get(kind)) {
        Some(Llsd::Map(members)) => members.iter().map(|(_, entry)| entry).collect(),
        _ => Vec::new(),
    };
    let items = embedded("items").into_iter().chain(embedded("links"));
    let items: Vec<Item> = items.filter(|_| wanted.items).filter_map(Item::from_llsd).collect();
    let folders = embedded("categories").into_iter().filter(|_| wanted.folders);
    let folders: Vec<Folder> = folders.filter_map(Folder::from_llsd).collect();
    let number = |key| told.get(key).and_then(Llsd::as_i32).unwrap_or_default();
    let count = embedded("categories").len() + embedded("items").len() + embedded("links").len();
    let mut found = Fetched {
        via: Via::Ais,
        folder: wanted.folder,
        owner: told.get("agent_id").and_then(Llsd::as_uuid).unwrap_or_default(),
        version: number("version"),
        // A resource does not say how many entries it has.
        descendents: i32::try_from(count).unwrap_or(i32::MAX),
        folders,
        consistent: true,
        ..Fetched::default()
    };
    found.sort_in(items);
    found
}

/// The one folder asked for, in an answer of a capability.
fn read_folder(told: &Llsd, wanted: Wanted) -> Result<Fetched, FetchError> {
    let list = |key| told.get(key).and_then(Llsd::as_array).unwrap_or_default();
    let named = |map: &Llsd| {
        // Older servers list bare ids.
        let id = map.get("folder_id").unwrap_or(map).as_uuid();
        id == Some(wanted.folder)
    };
    let Some(map) = list("folders").iter().find(|map| named(map)) else {
        return match list("bad_folders").iter().any(named) {
            true => Err(FetchError::Bad),
            false => Err(FetchError::Answer("the answer does not mention the folder".into())),
        };
    };
    let number = |key| map.get(key).and_then(Llsd::as_i32).unwrap_or_default();
    let entries = |key| map.get(key).and_then(Llsd::as_array).unwrap_or_default();
    let owner = map.get("owner_id").or_else(|| map.get("agent_id")).and_then(Llsd::as_uuid);
    let mut found = Fetched {
        folder: wanted.folder,
        owner: owner.unwrap_or_default(),
        version: number("version"),
        descendents: number("descendents"),
        folders: entries("categories").iter().filter_map(Folder::from_llsd).collect(),
        folders_untold: map.get("categories").and_then(Llsd::as_array).is_none(),
        consistent: true,
        ..Fetched::default()
    };
    found.sort_in(entries("items").iter().filter_map(Item::from_llsd).collect());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Result<Fetched, FetchError> {
        let llsd = crate::proto::llsd::from_xml(format!("<llsd>{xml}</llsd>").as_bytes()).unwrap();
        read_folder(&llsd, Wanted::own(Uuid::from_u128(1)))
    }

    const ONE: &str = "00000000-0000-0000-0000-000000000001";

    #[test]
    fn a_bad_folder_is_known_as_a_map_and_as_a_bare_id() {
        let empty = "<key>folders</key><array />";
        for entry in [
            format!("<map><key>folder_id</key><uuid>{ONE}</uuid></map>"),
            format!("<uuid>{ONE}</uuid>"),
        ] {
            let xml = format!("<map>{empty}<key>bad_folders</key><array>{entry}</array></map>");
            assert!(matches!(read(&xml), Err(FetchError::Bad)), "{xml}");
        }
        assert!(matches!(read(&format!("<map>{empty}</map>")), Err(FetchError::Answer(_))));
    }

    #[test]
    fn missing_members_and_empty_elements_count_as_zero() {
        let xml = format!(
            "<map><key>folders</key><array><map><key>folder_id</key><uuid>{ONE}</uuid>\
             <key>version</key><integer /><key>categories</key><array />\
             <key>items</key><array><map><key>item_id</key>\
             <uuid>00000000-0000-0000-0000-000000000002</uuid></map></array></map></array></map>"
        );
        let found = read(&xml).unwrap();
        assert_eq!((found.version, found.descendents, found.folders.len()), (0, 0, 0));
        // It names no folder, so that it cannot be told to be in this one.
        assert_eq!((found.items.len(), found.targets.len()), (0, 1));
    }
}
