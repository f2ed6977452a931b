//! What steps are tried with: a line of a suite, and a viewer that has heard something or talks with
//! a server of a few lines.

use super::{Args, COMMON_KEYS, Call, Failure, find, parse_time};
use crate::client::bench::{answer, converse, converse_there, heard, rpc, session, welcome};
use crate::client::{Source, Viewer, What};
use crate::net::server::{Answer, Request};
use crate::net::udp::CircuitEvent;
use crate::proto::event_queue::Event;
use crate::proto::id::Sequence;
use crate::proto::llsd::Llsd;
use crate::proto::message::{Field, FieldValue, Flags, Header, Message};
use crate::proto::template::Template;
use crate::value::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

pub(super) use crate::client::bench::URL;

/// Runs a step as a line of a suite writes it, such as `do = "udp.acked", of = 3`.
pub(super) async fn step(viewer: &mut Viewer, line: &str) -> Result<Value, Failure> {
    let table: toml::Table = toml::from_str(&format!("step = {{ {line} }}")).expect(line);
    let args = Args(value(&table["step"]));
    let step = find(&args.text("do").expect("a step's name")).expect("a step of that name");
    let known = |name: &str| step.keys.iter().chain(COMMON_KEYS).any(|key| key.name == name);
    let Value::Map(keys) = &args.0 else { unreachable!("it is a table") };
    for (key, _) in keys {
        assert!(known(key), "{} has no key {key}", step.name);
    }
    let within = args.text("within").and_then(|text| parse_time(&text)).unwrap_or(step.within);
    (step.run)(Call { viewer, args: &args, within }).await
}

fn value(written: &toml::Value) -> Value {
    match written {
        toml::Value::String(text) => Value::string(text),
        toml::Value::Integer(n) => Value::integer(*n),
        toml::Value::Float(real) => Value::Real(*real),
        toml::Value::Boolean(flag) => Value::Boolean(*flag),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => Value::Array(items.iter().map(value).collect()),
        toml::Value::Table(members) => Value::map(members.iter().map(|(k, v)| (k, value(v)))),
    }
}

/// The same with a viewer who has heard something, and with nobody to talk to.
pub(super) fn hearing(heard: impl FnOnce(&Viewer), line: &str) -> Result<Value, Failure> {
    converse(
        |_, _| Answer::status(404),
        async |viewer| {
            heard(viewer);
            step(viewer, line).await
        },
    )
    .0
}

/// The same with a viewer in the world: its server grants the capabilities `Cap` (`/cap`) and
/// `EventQueueGet` (`/cap/queue`) and answers them with `answers`, its simulator says what `says`
/// makes of what it is told. With it, what the simulator was told.
pub(super) fn inside(
    answers: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    says: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static,
    line: &str,
) -> (Result<Value, Failure>, Vec<Message>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = told.clone();
    let (ended, _) = converse_there(
        move |request, _| match (request.is_of_type("text/xml"), request.path.as_str()) {
            (true, _) => rpc(&session()),
            (false, "/seed") => {
                let granted = [("Cap", "cap"), ("EventQueueGet", "cap/queue")];
                let url = |path| Llsd::string(format!("{URL}{path}"));
                answer(&Llsd::map(granted.map(|(name, path)| (name, url(path)))))
            }
            (false, path) if path.starts_with("/cap") => answers(request),
            (false, _) => Answer::status(404),
        },
        move |message| {
            hears.lock().unwrap().push(message.clone());
            let mut all = welcome(message);
            all.extend(says(message));
            all
        },
        async |viewer| {
            step(viewer, r#"do = "session.enter""#).await.expect("it arrives");
            let ended = step(viewer, line).await;
            // What was sent last is still under way.
            tokio::time::sleep(Duration::from_secs(1)).await;
            ended
        },
    );
    let told = std::mem::take(&mut *told.lock().unwrap());
    (ended, told)
}

/// A server that grants nothing that works.
pub(super) fn unasked(_: &Request) -> Answer {
    Answer::status(404)
}

/// A simulator that says nothing of its own.
pub(super) fn silent(_: &Message) -> Vec<Message> {
    Vec::new()
}

/// The folder that [`folders`] tells of, and the one in it.
pub(super) const ROOT: &str = "00000000-0000-0000-0000-0000000000aa";
pub(super) const BELOW: Uuid = Uuid::from_u128(0xbb);

/// A simulator with a folder that holds one other, which is empty.
pub(super) fn folders(told: &Message) -> Vec<Message> {
    if told.name() != "FetchInventoryDescendents" {
        return Vec::new();
    }
    let asked = told.uuid("InventoryData", "FolderID").unwrap();
    let top = asked.to_string() == ROOT;
    let owner = Field::Uuid(Uuid::from_u128(1));
    let reply = message("InventoryDescendents")
        .with("AgentData", "AgentID", owner.clone())
        .with("AgentData", "OwnerID", owner)
        .with("AgentData", "FolderID", Field::Uuid(asked))
        .with("AgentData", "Version", Field::S32(3))
        .with("AgentData", "Descendents", Field::S32(i32::from(top)))
        .with("FolderData", "FolderID", Field::Uuid(if top { BELOW } else { Uuid::nil() }))
        .with("FolderData", "ParentID", Field::Uuid(asked))
        .with("FolderData", "Name", FieldValue::text("Below"));
    vec![reply]
}

/// A message of the template.
pub(super) fn message(name: &str) -> Message {
    Message::named(Template::shipped(), name)
}

/// The viewer hears a message on the circuit where it is.
pub(super) fn says(viewer: &Viewer, sequence: u32, flags: Flags, message: Message) {
    says_again(viewer, sequence, flags, message, false);
}

/// The same, of one that came before if `duplicate`.
pub(super) fn says_again(
    viewer: &Viewer,
    sequence: u32,
    flags: Flags,
    message: Message,
    duplicate: bool,
) {
    let header = Header { flags, sequence: Sequence(sequence) };
    hears(viewer, heard(message, header, duplicate));
}

/// The viewer's circuit sees something.
pub(super) fn hears(viewer: &Viewer, seen: CircuitEvent) {
    viewer.mailbox.post(Source::Circuit(viewer.root.clone()), What::Udp(Box::new(seen)));
}

/// The viewer is told an event.
pub(super) fn tells(viewer: &Viewer, name: &str, body: Llsd) {
    let event = Event { message: name.to_owned(), body };
    viewer.mailbox.post(Source::Events(viewer.root.clone()), What::Event(event));
}

/// What a step says that has failed: expected and received; what else it ended as by its kind.
pub(super) fn said(ended: Result<Value, Failure>) -> String {
    match ended {
        Ok(value) => format!("returned {value}"),
        Err(Failure::Missing { expected, received, .. }) => format!("{expected}: {received}"),
        Err(Failure::Unanswered { received, .. }) => format!("unanswered: {received}"),
        Err(Failure::Precondition { received, .. }) => format!("precondition: {received}"),
        Err(Failure::Impossible(why)) => format!("impossible: {why}"),
        Err(Failure::Error(why)) => format!("error: {why}"),
    }
}
