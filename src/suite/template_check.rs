//! What a suite says of messages, held against the template.

use super::Node;
use super::model::{OwnNames, Step};
use crate::proto::names::{CAPABILITIES, EVENTS};
use crate::proto::template::{MessageDef, Template};
use crate::steps::{Kind, Returns, StepDef, field_complaints};
use crate::value::unknown;
use std::ops::Range;
use std::sync::Arc;

type Complaint = (Range<usize>, String);

/// What is wrong with a name, if anything.
type Complain = fn(&Template, &OwnNames, &str) -> Option<String>;

pub(super) fn unknown_message(template: &Template, name: &str) -> String {
    unknown("message", name, template.messages().iter().map(|m| &*m.name))
}

fn message(template: &Template, _: &OwnNames, name: &str) -> Option<String> {
    template.message(name).is_none().then(|| unknown_message(template, name))
}

/// Every message may come as an event; some events are nothing else.
fn event(template: &Template, own: &OwnNames, name: &str) -> Option<String> {
    let messages = template.messages().iter().map(|message| &*message.name);
    let mut known = messages.chain(EVENTS.iter().copied()).chain(own.events.iter().map(|e| &**e));
    let what = (!known.clone().any(|known| known == name)).then(|| {
        // What grids tell as events is likelier meant than one of hundreds of messages.
        let near = unknown("event", name, EVENTS.iter().copied());
        if near.contains("did you mean") { near } else { unknown("event", name, &mut known) }
    });
    what.map(|what| or_declared(what, "events"))
}

fn capability(_: &Template, own: &OwnNames, name: &str) -> Option<String> {
    let known = CAPABILITIES.iter().copied().chain(own.capabilities.iter().map(|c| &**c));
    let what =
        (!known.clone().any(|known| known == name)).then(|| unknown("capability", name, known));
    what.map(|what| or_declared(what, "capabilities"))
}

/// What to do about a name that is nobody's mistake.
fn or_declared(what: String, key: &str) -> String {
    let hint = format!("name of your own stands in `{key}` at the head of the file");
    match what.ends_with('?') {
        true => format!("{what} A {hint}"),
        false => format!("{what}; a {hint}"),
    }
}

/// The message a step names, where it names one plainly.
pub(super) fn message_of<'t>(step: &Step, template: &'t Template) -> Option<&'t Arc<MessageDef>> {
    template.message(step.args.get("message")?.text()?)
}

/// Mistakes about messages, blocks, fields and their types, events and capabilities.
pub(super) fn step(
    step: &Step,
    def: &StepDef,
    template: &Template,
    own: &OwnNames,
) -> Vec<Complaint> {
    let mut found = Vec::new();
    for key in def.keys {
        let Some(node) = step.args.get(key.name) else { continue };
        let named = std::slice::from_ref(node);
        let (named, complaint): (_, Complain) = match key.kind {
            Kind::Message => (named, message),
            Kind::Messages => (node.items(), message),
            Kind::Event => (named, event),
            Kind::Events => (node.items(), event),
            Kind::Capability => (named, capability),
            Kind::Capabilities => (node.items(), capability),
            _ => continue,
        };
        for node in named {
            let name = node.text().filter(|name| !name.contains("${"));
            let what = name.and_then(|name| complaint(template, own, name));
            found.extend(what.map(|what| (node.span.clone(), what)));
        }
    }
    let Some(message) = message_of(step, template) else { return found };
    if let Some(blocks) = step.args.get("blocks") {
        for (path, what) in field_complaints(message, &blocks.value()) {
            found.push((blocks.place(&path), what));
        }
    }
    if matches!(def.returns, Returns::Message) {
        for expectation in &step.expect {
            if let Some(what) = unknown_path(message, &expectation.path) {
                found.push((expectation.span.clone(), what));
            }
        }
        let filters = ["where", "without"].into_iter().filter_map(|key| step.args.get(key));
        for (path, span, _) in filters.flat_map(Node::members) {
            let what = match crate::value::Path::parse(path) {
                Ok(path) => unknown_path(message, &path),
                Err(error) => Some(error.to_string()),
            };
            found.extend(what.map(|what| (span.clone(), what)));
        }
    }
    found
}

/// What is wrong with a path into a message: a block or field it does not have.
pub(crate) fn unknown_path(message: &MessageDef, path: &crate::value::Path) -> Option<String> {
    let head = path.head()?;
    let field = path.keys().nth(1);
    if head == "header" {
        const HEADER: [&str; 5] = ["sequence", "reliable", "resent", "zerocoded", "size"];
        return field
            .filter(|field| !HEADER.contains(field))
            .map(|field| unknown("member", field, HEADER));
    }
    // The instance that a filter found, of whatever block.
    if head == "item" {
        let has = |field: &&str| message.blocks.iter().any(|block| block.field(field).is_some());
        let known = message.blocks.iter().flat_map(|block| block.fields.iter().map(|f| &*f.name));
        let field = field.filter(|field| !has(field))?;
        return Some(format!("{} in {}", unknown("field", field, known), message.name));
    }
    let Some(block) = message.block(head) else {
        let known = message.blocks.iter().map(|b| &*b.name).chain(["header"]);
        return Some(format!("{} in {}", unknown("block", head, known), message.name));
    };
    let field = field.filter(|field| block.field(field).is_none())?;
    let known = block.fields.iter().map(|f| &*f.name);
    Some(format!("{} in {}.{head}", unknown("field", field, known), message.name))
}
