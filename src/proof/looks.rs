//! Which cases look at what a grid says: read from the suites, so that each mutant meets the cases
//! that could notice it.

use super::fetched;
use crate::suite::{Action, Case, Expectation, Library, Node, Piece, Step, pieces};
use crate::tamper::Channel;
use crate::value::{Path, Segment};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One look: at what, where in it, and which requirements are judged by it.
#[derive(Clone, Debug)]
struct Look {
    channel: Channel,
    message: String,
    path: Path,
    requirements: Vec<String>,
}

/// A case that looks at something.
#[derive(Clone, Debug)]
pub struct Onlooker {
    /// The case.
    pub case: Arc<Case>,
    /// How close it looks: 0 at another part of the same message.
    pub closeness: usize,
    /// The requirements it judges by that.
    pub requirements: Vec<String>,
}

/// What every case looks at.
#[derive(Debug)]
pub struct Looks {
    cases: Vec<(Arc<Case>, Vec<Look>)>,
}

impl Looks {
    /// Reads the cases of a library.
    pub fn of(library: &Library) -> Self {
        let cases = library.cases().map(|case| {
            let mut looks = Vec::new();
            let mut names = BTreeMap::new();
            steps(library, case.steps.iter().chain(&case.always), &mut names, &mut looks);
            (case.clone(), looks)
        });
        Self { cases: cases.collect() }
    }

    /// The cases that look at a member or field, those that look closest first. An empty field is
    /// the message as a whole.
    pub fn at(&self, channel: Channel, message: &str, field: &Path) -> Vec<Onlooker> {
        let mut found: Vec<Onlooker> = Vec::new();
        for (case, looks) in &self.cases {
            let of = |look: &&Look| look.channel == channel && look.message == message;
            let looks = looks.iter().filter(of).map(|look| (closeness(look, field), look));
            let Some(closeness) = looks.clone().map(|(close, _)| close).max() else { continue };
            let closest = looks.filter(|(close, _)| *close == closeness);
            let requirements = closest.flat_map(|(_, look)| look.requirements.clone()).collect();
            found.push(Onlooker { case: case.clone(), closeness, requirements });
        }
        found.sort_by_key(|onlooker| std::cmp::Reverse(onlooker.closeness));
        found
    }
}

/// How close a look comes to a field: 0 for another part of the same message, more for each member
/// of the way they share, a little more for the very same place, and where a requirement is judged
/// there.
fn closeness(look: &Look, field: &Path) -> usize {
    let [seen, meant] = [&look.path, field].map(|path| path.keys().collect::<Vec<_>>());
    let shared = seen.iter().zip(&meant).take_while(|(a, b)| a == b).count();
    // A look at the message as a whole comes close only to the whole message.
    if seen.is_empty() && !meant.is_empty() {
        return 1;
    }
    // Beside it, not above or below.
    if shared < seen.len().min(meant.len()) {
        return 0;
    }
    let same = seen.len() == meant.len();
    4 * (shared + 1) + 2 * usize::from(same) + usize::from(!look.requirements.is_empty())
}

/// What earlier steps returned, by name: where references lead.
type Names = BTreeMap<String, (Channel, String)>;

fn steps<'a>(
    library: &Library,
    all: impl Iterator<Item = &'a Step>,
    names: &mut Names,
    looks: &mut Vec<Look>,
) {
    for step in all {
        if let Action::Call(name) = &step.action
            && let Some(procedure) = library.procedures.get(name)
        {
            steps(library, procedure.steps.iter(), &mut Names::new(), looks);
            // What a procedure returns, it has from the login.
            if let Some(id) = &step.id {
                names.insert(id.clone(), (Channel::Login, String::new()));
            }
            continue;
        }
        references(step, names, looks);
        let Some((channel, message)) = subject(step) else { continue };
        if let Some(id) = &step.id {
            names.insert(id.clone(), (channel, message.clone()));
        }
        let look = |path: Path| {
            let (message, requirements) = (message.clone(), step.requirements.clone());
            Look { channel, message, path, requirements }
        };
        looks.push(look(Path::default()));
        let filters = ["where", "without"].into_iter().filter_map(|key| step.args.get(key));
        for (path, _, _) in filters.flat_map(Node::members) {
            looks.push(look(Path::parse(path).unwrap_or_default()));
        }
        for expectation in &step.expect {
            let requirements = expectation.requirements.clone();
            for path in paths(expectation) {
                for (channel, message, path) in meant(step, channel, &message, &path) {
                    let requirements = requirements.clone();
                    looks.push(Look { channel, message, path, requirements });
                }
            }
        }
    }
}

/// Where an expectation looks: its path, and those of the alternatives it names.
fn paths(expectation: &Expectation) -> Vec<Path> {
    let operands = expectation.predicates.iter().flat_map(|(_, operand)| operand.items());
    let alternatives = operands.filter_map(|item| Path::parse(item.get("path")?.text()?).ok());
    let each = expectation.predicates.iter().filter_map(|(_, operand)| {
        let below = Path::parse(operand.get("path")?.text()?).ok()?;
        Some(Path([&expectation.path.0[..], &below.0].concat()))
    });
    alternatives.chain(each).chain([expectation.path.clone()]).collect()
}

fn references(step: &Step, names: &Names, looks: &mut Vec<Look>) {
    // What these expect, they expect of what they are given.
    let judges = matches!(step.name(), "check" | "llsd.parse");
    let cited = step.expect.iter().flat_map(|expectation| &expectation.requirements);
    let cited: Vec<String> = cited.chain(&step.requirements).filter(|_| judges).cloned().collect();
    step.args.texts(&mut |text, _| {
        for piece in pieces(text) {
            if let Piece::Reference(name, path) = piece
                && let Some((channel, message)) = names.get(name)
            {
                let path = without_body(&path);
                let (channel, message) = (*channel, message.clone());
                let all = match is_fetched(channel, &message) {
                    true => fetched::places(channel, &path),
                    false => vec![path],
                };
                looks.extend(all.into_iter().map(|path| {
                    let (message, requirements) = (message.clone(), cited.clone());
                    Look { channel, message, path, requirements }
                }));
            }
        }
    });
}

/// Whether it is `inventory.fetch` that returns what is said there.
fn is_fetched(channel: Channel, message: &str) -> bool {
    let by_http = message.ends_with("Descendents2") && channel == Channel::Caps;
    by_http || (channel == Channel::Udp && message == "InventoryDescendents")
}

fn text(step: &Step, key: &str) -> String {
    step.args.get(key).and_then(Node::text).unwrap_or_default().to_owned()
}

/// What a step looks at, as a whole.
fn subject(step: &Step) -> Option<(Channel, String)> {
    Some(match step.name() {
        "login.xmlrpc" | "login.llsd" | "session.enter" => (Channel::Login, String::new()),
        "caps.seed" => (Channel::Seed, String::new()),
        "caps.get" | "caps.post" | "caps.ask" | "caps.upload" => (Channel::Caps, text(step, "cap")),
        "inventory.fetch" | "inventory.tree" => match text(step, "over").as_str() {
            "udp" => (Channel::Udp, "InventoryDescendents".into()),
            _ if step.args.get("owner").is_some() => (Channel::Caps, "FetchLibDescendents2".into()),
            _ => (Channel::Caps, "FetchInventoryDescendents2".into()),
        },
        "region.find" => (Channel::Udp, "MapBlockReply".into()),
        "teleport.arrive" => (Channel::Udp, "AgentMovementComplete".into()),
        "eq.poll" => (Channel::Events, String::new()),
        "eq.expect" => (Channel::Events, text(step, "message")),
        "udp.expect" => (Channel::Udp, text(step, "message")),
        "udp.acked" => (Channel::Udp, "PacketAck".into()),
        "http.raw" => {
            let url = text(step, "url");
            match url.as_str() {
                "${target.login_uri}" => (Channel::Login, String::new()),
                url if url.contains("seed_capability") => (Channel::Seed, String::new()),
                url if url.contains("EventQueueGet") => (Channel::Events, String::new()),
                url if url.contains("uploader") => (Channel::Caps, "uploader".into()),
                _ => (Channel::Http, String::new()),
            }
        }
        _ => return None,
    })
}

/// Where in what is said an expectation looks.
fn meant(
    step: &Step,
    channel: Channel,
    message: &str,
    path: &Path,
) -> Vec<(Channel, String, Path)> {
    let rest = || Path(path.0.iter().skip(1).cloned().collect());
    let one = |path: Path| (channel, message.to_owned(), path);
    match (step.name(), path.head()) {
        ("session.enter", Some("handshake")) => {
            vec![(Channel::Udp, "RegionHandshake".into(), rest())]
        }
        ("session.enter", Some("movement")) => {
            vec![(Channel::Udp, "AgentMovementComplete".into(), rest())]
        }
        ("login.xmlrpc" | "login.llsd" | "session.enter", Some("derived")) => {
            derived(path).into_iter().map(one).collect()
        }
        ("inventory.fetch" | "inventory.tree", _) => {
            fetched::places(channel, path).into_iter().map(one).collect()
        }
        ("caps.upload", Some("done")) => {
            vec![(Channel::Caps, "uploader".into(), without_body(&rest()))]
        }
        ("caps.upload", Some("begun")) => vec![one(without_body(&rest()))],
        _ => vec![one(without_body(path))],
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

/// HTTP steps return what was said under `body`.
fn without_body(path: &Path) -> Path {
    match path.0.split_first() {
        Some((Segment::Key(body), rest)) if body == "body" => Path(rest.to_vec()),
        _ => path.clone(),
    }
}
