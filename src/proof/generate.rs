//! Mutants made from what a clean grid was seen to say: one for each member and field, and change.

use super::load::names;
use super::mutant::{Mutant, Origin};
use crate::grid::Faults;
use crate::net::tap::{Fact, Listener, Passed, Said};
use crate::proto::llsd::Llsd;
use crate::proto::template::{FieldKind, Quantity, Template};
use crate::suite::unknown_path;
use crate::tamper::{Action, Change, Channel, Rule, change_llsd, change_message};
use crate::value::{Path, Segment, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// What grids were seen to say, and in which cases.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording(BTreeMap<(Channel, String), Kind>);

/// What was seen of one kind of message.
#[derive(Clone, Debug, Default)]
struct Kind {
    /// A few of them.
    samples: Vec<Said>,
    /// The cases in which each member or field was said; the empty one is the message.
    said: BTreeMap<String, BTreeSet<String>>,
}

/// What one grid was heard to say while it served one case.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Recording>>);

/// Samples kept of each kind: enough to see members that are not always there.
const SAMPLES: usize = 12;

impl Kind {
    /// Keeps a sample of this case, unless it brings nothing new.
    fn add(&mut self, sample: &Said, case: &str) {
        let mut news = self.samples.len() < SAMPLES;
        let paths = sample.paths().into_iter().map(|path| path.to_string());
        for path in paths.chain([String::new()]) {
            let cases = self.said.entry(path).or_default();
            news |= cases.is_empty();
            cases.insert(case.to_owned());
        }
        if news {
            self.samples.push(sample.clone());
        }
    }
}

impl Heard {
    /// What to give to a grid so that what it says while it serves a case is heard.
    pub(super) fn listener(&self, case: &str) -> Listener {
        let (heard, case) = (self.clone(), case.to_owned());
        Arc::new(move |fact: Fact| {
            let Passed::Meant(channel, name, sample) = fact.what else { return };
            let mut heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
            heard.0.entry((channel, name)).or_default().add(&sample, &case);
        })
    }
}

impl Recording {
    /// Takes what was heard in a case. In the same order of cases it is the same recording: what
    /// mutants there are must not hang on who was served first.
    pub(super) fn add(&mut self, case: &str, heard: &Heard) {
        let heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, kind) in &heard.0 {
            let own = self.0.entry(what.clone()).or_default();
            kind.samples.iter().for_each(|sample| own.add(sample, case));
        }
    }

    /// The cases in which a member or field was said.
    pub(super) fn said(&self, channel: Channel, message: &str, field: &Path) -> BTreeSet<String> {
        let kind = self.0.get(&(channel, message.to_owned()));
        kind.and_then(|kind| kind.said.get(&field.to_string())).cloned().unwrap_or_default()
    }
}

/// What can be changed of it.
trait Sample {
    /// Every member or field, an array by its first item.
    fn paths(&self) -> Vec<Path>;
    /// Whether a change of that member or field makes a difference.
    fn differs(&self, path: &Path, change: Change) -> bool;
    /// The changes that make sense there.
    fn changes(&self, path: &Path) -> &'static [Change];
}

impl Sample for Said {
    fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        match self {
            Self::Llsd(value) => members(value, &Path::default(), &mut found),
            Self::Message(message) => {
                for (block, instances) in message.def.blocks.iter().zip(&message.blocks) {
                    let key = |name: &str| Segment::Key(name.to_owned());
                    let block_path = vec![key(&block.name)];
                    found.push(Path(block_path.clone()));
                    let fields = block.fields.iter().filter(|_| !instances.is_empty());
                    found.extend(fields.map(|f| Path([&*block_path, &[key(&f.name)]].concat())));
                }
            }
        }
        found
    }

    /// Whether a change would make a difference.
    fn differs(&self, path: &Path, change: Change) -> bool {
        match self {
            Self::Llsd(value) => change_llsd(&mut value.clone(), path, change),
            Self::Message(message) => change_message(&mut message.clone(), path, change),
        }
    }

    /// The changes worth making to a member or field.
    fn changes(&self, path: &Path) -> &'static [Change] {
        use Change::{Double, Remove, Retype, Shift, Zero};
        match self {
            Self::Llsd(value) => match path.find(&Value::from(value)) {
                Some(Value::Array(_)) => &[Remove, Zero, Retype, Double],
                Some(Value::Map(_)) => &[Remove, Zero, Retype],
                _ => &[Remove, Zero, Retype, Shift],
            },
            Self::Message(message) => {
                let Some(block) = path.head().and_then(|name| message.def.block(name)) else {
                    return &[];
                };
                let field = match path.0.get(1) {
                    Some(Segment::Key(name)) => block.field(name),
                    _ => None,
                };
                match (field.map(|field| field.kind), block.quantity) {
                    (Some(FieldKind::Bool), _) => &[Shift],
                    (Some(_), _) => &[Zero, Retype, Shift],
                    (None, Quantity::Single) => &[Remove],
                    (None, _) => &[Remove, Double],
                }
            }
        }
    }
}

fn members(value: &Llsd, above: &Path, found: &mut Vec<Path>) {
    let below = |segment| Path(above.0.iter().cloned().chain([segment]).collect());
    match value {
        Llsd::Map(all) => {
            // A key that is an id is another one on every grid.
            for (key, member) in all.iter().filter(|(key, _)| Uuid::try_parse(key).is_err()) {
                let path = below(Segment::Key(key.clone()));
                found.push(path.clone());
                members(member, &path, found);
            }
        }
        Llsd::Array(items) => {
            if let Some(first) = items.first() {
                let path = below(Segment::Index(0));
                found.push(path.clone());
                members(first, &path, found);
            }
        }
        _ => {}
    }
}

/// The mutants of a recording: every member and field in turn, and every message and event left
/// out.
pub(super) fn generated(recording: &Recording) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for ((channel, name), kind) in &recording.0 {
        let samples = &kind.samples;
        let message = (!name.is_empty()).then(|| name.clone());
        let whole = *channel == Channel::Udp || (*channel == Channel::Events && message.is_some());
        if whole {
            mutants.push(make(*channel, message.clone(), Path::default(), None));
        }
        let mut paths: Vec<Path> = Vec::new();
        for path in samples.iter().flat_map(Sample::paths) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        // What a poll brings is told event by event.
        let of_events = |path: &Path| *channel == Channel::Events && path.0.len() > 1;
        for path in paths.into_iter().filter(|path| message.is_some() || !of_events(path)) {
            for (_, change) in Change::ALL {
                let worth = |sample: &Said| {
                    sample.changes(&path).contains(&change) && sample.differs(&path, change)
                };
                if samples.iter().any(worth) {
                    mutants.push(make(*channel, message.clone(), path.clone(), Some(change)));
                }
            }
        }
    }
    mutants
}

/// The generated mutant of an id, whether or not a grid was seen to say what it changes.
pub fn named(id: &str, template: &Template) -> Option<Mutant> {
    let (channel, rest) = id.split_once('/')?;
    let (_, channel) = Channel::ALL.into_iter().find(|(word, _)| *word == channel)?;
    let (rest, word) = rest.rsplit_once('/')?;
    let names = names(channel, template);
    let known = |message: &str| names.contains(&message);
    if word == "drop" {
        let whole = matches!(channel, Channel::Udp | Channel::Events) && known(rest);
        return whole.then(|| make(channel, Some(rest.to_owned()), Path::default(), None));
    }
    let (_, change) = Change::ALL.into_iter().find(|(known, _)| *known == word)?;
    let (message, field) = match rest.split_once('/') {
        Some((message, field)) if known(message) => (Some(message.to_owned()), field),
        None if channel != Channel::Udp && channel != Channel::Caps => (None, rest),
        _ => return None,
    };
    let field = Path::parse(field).ok()?;
    let def = message.as_deref().and_then(|message| template.message(message));
    let fits = channel != Channel::Udp || def.is_some_and(|d| unknown_path(d, &field).is_none());
    fits.then(|| make(channel, message, field, Some(change)))
}

fn make(channel: Channel, message: Option<String>, field: Path, change: Option<Change>) -> Mutant {
    let word = change.map_or("drop", Change::word);
    let inside = message.as_deref().map_or(String::new(), |message| format!("{message}/"));
    let what = if field.0.is_empty() { String::new() } else { format!("{field}/") };
    let action = change.map_or(Action::Drop, Action::Change);
    let rule = Rule {
        message: message.clone(),
        field: change.is_some().then(|| field.clone()),
        ..Rule::new(action, channel)
    };
    let of = message.as_deref().unwrap_or(match channel {
        Channel::Events => "the event queue's reply",
        Channel::Seed => "the seed's reply",
        _ => "the login reply",
    });
    let title = match change {
        None => format!("{of} never comes"),
        Some(Change::Remove) => format!("{field} of {of} is not there"),
        Some(Change::Zero) => format!("{field} of {of} is zero, empty or null"),
        Some(Change::Retype) => format!("{field} of {of} is of another type, or noise"),
        Some(Change::Shift) => format!("{field} of {of} is one more, one longer, another"),
        Some(Change::Double) => format!("{field} of {of} has its first item twice"),
    };
    Mutant {
        id: format!("{}/{inside}{what}{word}", channel.word()),
        title,
        breaks: Vec::new(),
        also: Vec::new(),
        faults: Faults::new(Vec::new(), vec![rule]),
        origin: Origin::Generated { channel, message, field, change },
    }
}
