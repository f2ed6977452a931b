//! Mutants from TOML: every mistake at once, each with its place.

use super::mutant::{Mutant, Origin};
use crate::grid::{Faults, events, granted, misbehaviours};
use crate::proto::template::{MessageDef, Template};
use crate::suite::{Catalogue, Diagnostic, Node, NodeKind, Reader, Source, unknown_path};
use crate::tamper::{Action, Change, Channel, Direction, HEADER, Rule};
use crate::value::{Path, Segment, Value, field_from_value, unknown};
use include_dir::{Dir, include_dir};
use std::sync::Arc;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/mutants");

/// The files of mutants inside the program.
pub fn shipped_sources() -> Vec<Arc<Source>> {
    sources(&SHIPPED, "fixtures/mutants")
}

/// The files of a folder inside the program, in order.
pub(super) fn sources(folder: &'static Dir<'_>, name: &str) -> Vec<Arc<Source>> {
    let mut files: Vec<_> = folder.files().collect();
    files.sort_by_key(|file| file.path());
    let source = |file: &include_dir::File<'_>| {
        let path = format!("{name}/{}", file.path().display());
        Some(Arc::new(Source { path, text: file.contents_utf8()?.to_owned() }))
    };
    files.into_iter().filter_map(source).collect()
}

/// Mutants that are the same grid as far as anybody could tell, and why.
#[derive(Clone, Debug)]
pub struct Equivalent {
    /// The ids meant; `*` stands for anything.
    pub mutant: String,
    /// Why no case can tell.
    pub reason: String,
    /// Where it is said.
    pub place: String,
}

/// What files of mutants hold.
#[derive(Clone, Debug, Default)]
pub struct Mutants {
    /// The mutants, in order.
    pub all: Vec<Mutant>,
    /// Those that nobody could notice.
    pub equivalent: Vec<Equivalent>,
}

impl Mutants {
    /// Reads files of mutants and holds them against the catalogue and the template.
    ///
    /// # Errors
    /// Every mistake in all of the files.
    pub fn read(
        sources: &[Arc<Source>],
        catalogue: &Catalogue,
        template: &Template,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut mutants = Self::default();
        let mut mistakes = Vec::new();
        for source in sources {
            let Some(root) = Node::parse(source, &mut mistakes) else { continue };
            let mut reader = Reader { source, mistakes: &mut mistakes };
            reader.known(&root, "a file of mutants", &["mutant", "equivalent"]);
            for table in tables(&mut reader, &root, "mutant") {
                let mutant = mutant(&mut reader, table, catalogue, template);
                if mutants.all.iter().any(|other| other.id == mutant.id) {
                    let what = format!("mutant `{}` is defined twice", mutant.id);
                    reader.wrong(table.place(&["id".into()]), what);
                }
                mutants.all.push(mutant);
            }
            for table in tables(&mut reader, &root, "equivalent") {
                reader.known(table, "an equivalent mutant", &["mutant", "reason"]);
                if table.get("mutant").and_then(Node::text) == Some("") {
                    reader.wrong(table.place(&["mutant".into()]), "`mutant` names no mutant");
                }
                let (line, _) = source.position(table.span.start);
                mutants.equivalent.push(Equivalent {
                    mutant: reader.required(table, "mutant", "an equivalent mutant"),
                    reason: reader.required(table, "reason", "an equivalent mutant"),
                    place: format!("{}:{line}", source.path),
                });
            }
        }
        if mistakes.is_empty() { Ok(mutants) } else { Err(mistakes) }
    }
}

/// An array of tables; anything else in its place is a mistake.
pub(super) fn tables<'n>(reader: &mut Reader<'_>, table: &'n Node, key: &str) -> &'n [Node] {
    let Some(node) = table.get(key) else { return &[] };
    let tables = node.items().iter().all(|item| matches!(item.kind, NodeKind::Table(_)));
    if !matches!(node.kind, NodeKind::Array(_)) || !tables {
        reader.wrong(node.span.clone(), format!("`{key}` takes an array of tables"));
    }
    node.items()
}

fn mutant(
    reader: &mut Reader<'_>,
    table: &Node,
    catalogue: &Catalogue,
    template: &Template,
) -> Mutant {
    reader.known(table, "a mutant", &["id", "title", "breaks", "also", "policy", "rules", "note"]);
    let id = reader.required(table, "id", "a mutant");
    let title = reader.required(table, "title", "a mutant");
    let breaks = reader.text_or_texts(table, "breaks");
    if breaks.is_empty() {
        let what = "a mutant names the requirements it breaks: `breaks = [\"ID\"]`";
        reader.wrong(table.place(&["breaks".into()]), what);
    }
    let also = reader.text_or_texts(table, "also");
    known_requirements(reader, table, "breaks", &breaks, catalogue);
    known_requirements(reader, table, "also", &also, catalogue);
    let faults = faults(reader, table, template);
    let named = table
        .get("policy")
        .is_some_and(|node| !matches!(&node.kind, NodeKind::Array(all) if all.is_empty()));
    if !named && table.get("rules").is_none_or(|rules| rules.items().is_empty()) {
        let what = "a mutant without a fault: it needs `policy` or `rules`";
        reader.wrong(table.span.clone(), what);
    }
    if id.is_empty() || id.contains('/') {
        let what = "a mutant's id is not empty and has no `/`: generated ones have";
        reader.wrong(table.place(&["id".into()]), what);
    }
    let origin = Origin::Written(reader.source.clone(), table.span.clone());
    Mutant { id, title, breaks, also, faults, origin }
}

/// Sees that the ids of this key are in the catalogue.
pub(super) fn known_requirements(
    reader: &mut Reader<'_>,
    table: &Node,
    key: &str,
    ids: &[String],
    catalogue: &Catalogue,
) {
    for id in ids.iter().filter(|id| catalogue.get(id).is_none()) {
        let known = catalogue.all.keys().map(String::as_str);
        reader.wrong(table.place(&[key.into()]), unknown("requirement", id, known));
    }
}

/// The `policy` and the `rules` of a table.
pub(crate) fn faults(reader: &mut Reader<'_>, table: &Node, template: &Template) -> Faults {
    let mut policies = Vec::new();
    for word in reader.text_or_texts(table, "policy") {
        match misbehaviours().find(|known| known.word == word) {
            Some(misbehaviour) => policies.push(misbehaviour),
            None => {
                let known = misbehaviours().map(|known| known.word);
                reader.wrong(table.place(&["policy".into()]), unknown("policy", &word, known));
            }
        }
    }
    let tables = tables(reader, table, "rules");
    let rules: Vec<Rule> = tables.iter().filter_map(|t| rule(reader, t, template)).collect();
    Faults::new(policies, rules)
}

const RULE_KEYS: [&str; 12] = [
    "do",
    "channel",
    "message",
    "field",
    "value",
    "by",
    "nth",
    "from",
    "direction",
    "was",
    "where",
    "note",
];

/// Words of what a rule does, besides the changes.
const WHOLE: [&str; 9] =
    ["drop", "delay", "double", "reorder", "corrupt", "set", "status", "content-type", "empty"];

fn rule(reader: &mut Reader<'_>, table: &Node, template: &Template) -> Option<Rule> {
    reader.known(table, "a rule", &RULE_KEYS);
    let word = reader.required(table, "do", "a rule");
    reader.required(table, "channel", "a rule");
    let channel = reader.word(table, "channel", &Channel::ALL)?;
    let message = reader.text(table, "message");
    let def = message_def(reader, table, channel, message.as_deref(), template);
    let field = field(reader, table, channel, def.as_deref());
    let action = action(reader, table, &word, field.is_some())?;
    if let (Action::Set(value), Some(def), Some(field)) = (&action, &def, &field)
        && let Some(kind) = kind_of(def, field)
        && field_from_value(kind, value).is_none()
    {
        let what = format!("{field} takes {kind}, not {value}");
        reader.wrong(table.place(&["value".into()]), what);
    }
    let directions = [("in", Direction::In), ("out", Direction::Out)];
    let direction = reader.word(table, "direction", &directions);
    if direction == Some(Direction::Out) && (action != Action::Drop || channel != Channel::Udp) {
        let what = "what goes out to the grid can only be dropped, on channel udp";
        reader.wrong(table.place(&["direction".into()]), what);
    }
    misplaced(reader, table, &word, &action, channel, message.as_deref());
    Some(Rule {
        message,
        field,
        direction,
        nth: reader.number(table, "nth", 1..=1 << 20),
        from: reader.number(table, "from", 1..=1 << 20).unwrap_or(1),
        was: reader.number(table, "was", 100..=599),
        only: only(reader, table),
        ..Rule::new(action, channel)
    })
}

/// What a rule cannot do where it stands.
fn misplaced(
    reader: &mut Reader<'_>,
    table: &Node,
    word: &str,
    action: &Action,
    channel: Channel,
    message: Option<&str>,
) {
    let of_event = channel == Channel::Events && message.is_some();
    let of_http = matches!(action, Action::Status(_) | Action::ContentType(_) | Action::Empty);
    let what = match action {
        Action::Corrupt if channel != Channel::Udp => "`corrupt` is for datagrams",
        Action::Double | Action::Reorder if channel != Channel::Udp && !of_event => {
            "answers cannot be doubled or reordered; datagrams and events can"
        }
        _ if of_http && channel == Channel::Udp => "datagrams have no status and no content type",
        _ if of_http && of_event => "an event has no status and no body of its own",
        Action::Set(_) if channel == Channel::Udp && table.get("field").is_none() => {
            "`set` needs the `field` of a message"
        }
        Action::Set(value) if is_flag(table) && !matches!(value, Value::Boolean(_)) => {
            "a flag of the header takes true or false"
        }
        _ => "",
    };
    if !what.is_empty() {
        reader.wrong(table.place(&["do".into()]), what);
    }
    if message == Some("EventQueueGet") && channel == Channel::Caps {
        let what = "EventQueueGet answers on channel events";
        reader.wrong(table.place(&["message".into()]), what);
    }
    if table.get("was").is_some() && (channel == Channel::Udp || of_event) {
        reader.wrong(table.place(&["was".into()]), "`was` is for HTTP answers");
    }
    let change = matches!(action, Action::Change(Change::Zero | Change::Retype | Change::Shift));
    let field = table.get("field").and_then(Node::text).unwrap_or_default();
    if (change || matches!(action, Action::Set(_)))
        && channel == Channel::Udp
        && !field.contains('.')
    {
        let what = format!("`{word}` needs a field of a block, such as `Block.Field`");
        reader.wrong(table.place(&["field".into()]), what);
    }
}

fn is_flag(table: &Node) -> bool {
    let field = table.get("field").and_then(Node::text).unwrap_or_default();
    matches!(field, "header.reliable" | "header.resent" | "header.reserved")
}

fn message_def(
    reader: &mut Reader<'_>,
    table: &Node,
    channel: Channel,
    message: Option<&str>,
    template: &Template,
) -> Option<Arc<MessageDef>> {
    let message = message?;
    let names = names(channel, template);
    if !names.contains(&message) {
        let kind = match channel {
            Channel::Udp => "message",
            Channel::Events => "event",
            _ => "capability",
        };
        let complaint = match names.is_empty() {
            true => format!("channel {} has no messages", channel.word()),
            false => unknown(kind, message, names),
        };
        reader.wrong(table.place(&["message".into()]), complaint);
    }
    template.message(message).filter(|_| channel == Channel::Udp).cloned()
}

/// The messages, events or capabilities that a channel can speak of; none where it has no names.
pub(super) fn names(channel: Channel, template: &Template) -> Vec<&str> {
    match channel {
        Channel::Udp => template.messages().iter().map(|message| &*message.name).collect(),
        Channel::Events => events(),
        Channel::Caps => granted(),
        Channel::Login | Channel::Seed | Channel::Http => Vec::new(),
    }
}

fn field(
    reader: &mut Reader<'_>,
    table: &Node,
    channel: Channel,
    def: Option<&MessageDef>,
) -> Option<Path> {
    let text = reader.text(table, "field")?;
    let place = table.place(&["field".into()]);
    let path = match Path::parse(&text) {
        Ok(path) => path,
        Err(error) => {
            reader.wrong(place, error.to_string());
            return None;
        }
    };
    let complaint = match (channel, path.0.as_slice()) {
        (Channel::Udp, [Segment::Key(header), Segment::Key(member)]) if header == "header" => {
            let known = HEADER.contains(&member.as_str());
            (!known).then(|| unknown("member", member, HEADER))
        }
        (Channel::Udp, _) => match def {
            Some(def) => unknown_path(def, &path),
            None => Some("a field needs the `message` it is in".into()),
        },
        _ => None,
    };
    if let Some(complaint) = complaint {
        reader.wrong(place, complaint);
    }
    Some(path)
}

fn kind_of(def: &MessageDef, field: &Path) -> Option<crate::proto::template::FieldKind> {
    let mut keys = field.keys();
    let block = def.block(keys.next()?)?;
    block.field(keys.next()?).map(|field| field.kind)
}

fn action(reader: &mut Reader<'_>, table: &Node, word: &str, has_field: bool) -> Option<Action> {
    if let Some((_, change)) = Change::ALL.iter().find(|(known, _)| *known == word) {
        // `double` stands for a message without a field, and for an array with one.
        if has_field || *change != Change::Double {
            if !has_field {
                reader.wrong(table.place(&["do".into()]), format!("`{word}` needs a `field`"));
            }
            return Some(Action::Change(*change));
        }
    }
    let value = table.get("value");
    let mut needs = |key: &str, what: &str| {
        reader.wrong(table.place(&["do".into()]), format!("`{word}` needs `{key}`: {what}"));
        None
    };
    match word {
        "drop" => Some(Action::Drop),
        "double" => Some(Action::Double),
        "reorder" => Some(Action::Reorder),
        "corrupt" => Some(Action::Corrupt),
        "empty" => Some(Action::Empty),
        "delay" if table.get("by").is_none() => needs("by", "how much later"),
        "delay" => reader.time(table, "by").map(Action::Delay),
        "set" => match value {
            Some(value) => Some(Action::Set(value.value())),
            None => needs("value", "what is said instead"),
        },
        "status" => match value.map(|v| &v.kind) {
            Some(NodeKind::Integer(n @ 100..=599)) => (*n).try_into().ok().map(Action::Status),
            _ => needs("value", "a status from 100 to 599"),
        },
        "content-type" => match value.and_then(Node::text) {
            Some(text) => Some(Action::ContentType(text.to_owned())),
            None => needs("value", "the content type said instead"),
        },
        _ => {
            let known = Change::ALL.iter().map(|(word, _)| *word).chain(WHOLE);
            reader.wrong(table.place(&["do".into()]), unknown("action", word, known));
            None
        }
    }
}

fn only(reader: &mut Reader<'_>, table: &Node) -> Vec<(Path, Value)> {
    let mut only = Vec::new();
    if let Some(node) = table.get("where").filter(|n| !matches!(n.kind, NodeKind::Table(_))) {
        reader.wrong(node.span.clone(), "`where` takes a table of paths and values");
    }
    for (text, span, value) in table.get("where").map(Node::members).unwrap_or_default() {
        match Path::parse(text) {
            Ok(path) => only.push((path, value.value())),
            Err(error) => reader.wrong(span.clone(), error.to_string()),
        }
    }
    only
}
