//! What steps look at in what a grid says: so that whoever changes it on purpose meets the cases
//! that could notice.

use super::{Args, inventory_places};
use crate::tamper::Channel;
use crate::value::{Path, Segment};

/// A place in what a grid says.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// On which channel.
    pub channel: Channel,
    /// The message, event or capability; empty where the channel says one thing only.
    pub message: String,
    /// Where in it; the whole if empty.
    pub path: Path,
}

impl Said {
    fn whole(channel: Channel, message: impl Into<String>) -> Option<Self> {
        Some(Self { channel, message: message.into(), path: Path::default() })
    }

    fn at(&self, path: Path) -> Self {
        Self { path, ..self.clone() }
    }
}

/// What a step looks at.
pub struct Observes {
    /// What it looks at as a whole, with these keys.
    pub whole: fn(&Args) -> Option<Said>,
    /// Where that was said which stands at a path of what the step returns.
    pub member: fn(&Said, &Path) -> Vec<Said>,
    /// What its expectations judge is what it is given, by references.
    pub given: bool,
}

impl Observes {
    /// Nothing of what a grid says.
    pub(super) const NOTHING: Self = Self::only(|_| None);

    /// What it is given.
    pub(super) const GIVEN: Self = Self { given: true, ..Self::NOTHING };

    /// The answer to a login, and what follows from it.
    pub(super) const LOGIN: Self =
        Self { member: login_member, ..Self::only(|_| Said::whole(Channel::Login, "")) };

    /// The answer of the seed.
    pub(super) const SEED: Self = Self::only(|_| Said::whole(Channel::Seed, ""));

    /// The answer of the capability that `cap` names.
    pub(super) const CAPABILITY: Self =
        Self::only(|args| Said::whole(Channel::Caps, text(args, "cap")));

    /// What the event queue answers.
    pub(super) const POLL: Self = Self::only(|_| Said::whole(Channel::Events, ""));

    /// The event that `message` names.
    pub(super) const EVENT: Self =
        Self::only(|args| Said::whole(Channel::Events, text(args, "message")));

    /// The message that `message` names.
    pub(super) const MESSAGE: Self =
        Self::only(|args| Said::whole(Channel::Udp, text(args, "message")));

    /// An answer that a login, RegionHandshake and AgentMovementComplete have parts in.
    pub(super) const ENTERING: Self = Self { member: entering_member, ..Self::LOGIN };

    /// Both answers of an upload.
    pub(super) const UPLOAD: Self = Self { member: upload_member, ..Self::CAPABILITY };

    /// The contents of a folder, by whichever way they come.
    pub(super) const FOLDER: Self = Self {
        member: |whole, path| {
            let places = inventory_places::places(whole.channel, &without_body(path));
            places.into_iter().map(|path| whole.at(path)).collect()
        },
        ..Self::only(|args| match text(args, "over").as_str() {
            "udp" => Said::whole(Channel::Udp, "InventoryDescendents"),
            _ if args.get("owner").is_some() => Said::whole(Channel::Caps, "FetchLibDescendents2"),
            _ => Said::whole(Channel::Caps, "FetchInventoryDescendents2"),
        })
    };

    /// Whatever a URL answers, as far as it is known what that is.
    pub(super) const URL: Self = Self::only(|args| match text(args, "url").as_str() {
        "${target.login_uri}" => Said::whole(Channel::Login, ""),
        url if url.contains("seed_capability") => Said::whole(Channel::Seed, ""),
        url if url.contains("EventQueueGet") => Said::whole(Channel::Events, ""),
        url if url.contains("uploader") => Said::whole(Channel::Caps, "uploader"),
        _ => Said::whole(Channel::Http, ""),
    });

    /// One thing, whose members stand where they are returned, or under `body`.
    pub(super) const fn only(whole: fn(&Args) -> Option<Said>) -> Self {
        Self { whole, member: |whole, path| vec![whole.at(without_body(path))], given: false }
    }

    /// Messages of this name, whatever the step's keys.
    pub(super) const MAP_BLOCKS: Self = Self::only(|_| Said::whole(Channel::Udp, "MapBlockReply"));

    /// What announces a neighbour, and what its simulator says to whoever calls.
    pub(super) const NEIGHBOUR: Self = Self {
        member: |whole, path| {
            let (channel, message, path) = match path.head() {
                Some("handshake") => (Channel::Udp, "RegionHandshake", rest(path)),
                Some("granted" | "seed") => {
                    (Channel::Events, "EstablishAgentCommunication", Path::default())
                }
                _ => return vec![whole.clone()],
            };
            vec![Said { channel, message: message.into(), path }]
        },
        ..Self::only(|_| Said::whole(Channel::Events, "EnableSimulator"))
    };

    /// AgentMovementComplete.
    pub(super) const MOVEMENT: Self =
        Self::only(|_| Said::whole(Channel::Udp, "AgentMovementComplete"));

    /// Acks.
    pub(super) const ACKS: Self = Self::only(|_| Said::whole(Channel::Udp, "PacketAck"));
}

fn text(args: &Args, key: &str) -> String {
    args.text(key).unwrap_or_default()
}

fn rest(path: &Path) -> Path {
    Path(path.0.iter().skip(1).cloned().collect())
}

/// HTTP steps return what was said under `body`.
fn without_body(path: &Path) -> Path {
    match path.0.split_first() {
        Some((Segment::Key(body), rest)) if body == "body" => Path(rest.to_vec()),
        _ => path.clone(),
    }
}

fn login_member(whole: &Said, path: &Path) -> Vec<Said> {
    match path.head() {
        Some("derived") => derived(path).into_iter().map(|path| whole.at(path)).collect(),
        _ => vec![whole.at(without_body(path))],
    }
}

fn entering_member(whole: &Said, path: &Path) -> Vec<Said> {
    let message = match path.head() {
        Some("handshake") => "RegionHandshake",
        Some("movement") => "AgentMovementComplete",
        _ => return login_member(whole, path),
    };
    vec![Said { channel: Channel::Udp, message: message.into(), path: rest(path) }]
}

fn upload_member(begun: &Said, path: &Path) -> Vec<Said> {
    match path.head() {
        Some("done") => {
            let path = without_body(&rest(path));
            vec![Said { channel: Channel::Caps, message: "uploader".into(), path }]
        }
        Some("begun") => vec![begun.at(without_body(&rest(path)))],
        _ => vec![begun.at(without_body(path))],
    }
}

/// Where what follows from a login's inventory members was said.
fn derived(path: &Path) -> Vec<Path> {
    let mut keys = path.keys().skip(1);
    let skeleton = match keys.next() {
        Some("inventory") => "inventory-skeleton",
        Some("library") => "inventory-skel-lib",
        _ => return Vec::new(),
    };
    let members: &[&str] = match keys.next() {
        Some("roots" | "orphans" | "top") => &["parent_id", "folder_id"],
        Some("twice") => &["folder_id"],
        Some("version") => &["version"],
        Some("folders") => &["folder_id", "parent_id", "name", "type_default"],
        Some("doubled" | "types") => &["type_default"],
        _ => &["folder_id", "type_default"],
    };
    let path = |member: &&str| Path::parse(&format!("{skeleton}.{member}")).ok();
    members.iter().filter_map(path).collect()
}
