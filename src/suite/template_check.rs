//! What a suite says of messages, held against the template.

use super::Node;
use super::model::Step;
use crate::proto::template::{MessageDef, Template};
use crate::steps::{Kind, Returns, StepDef, field_complaints};
use crate::value::unknown;
use std::ops::Range;
use std::sync::Arc;

type Complaint = (Range<usize>, String);

pub(super) fn unknown_message(template: &Template, name: &str) -> String {
    unknown("message", name, template.messages().iter().map(|m| &*m.name))
}

/// The message a step names, where it names one plainly.
pub(super) fn message_of<'t>(step: &Step, template: &'t Template) -> Option<&'t Arc<MessageDef>> {
    template.message(step.args.get("message")?.text()?)
}

/// Mistakes about messages, blocks, fields and their types.
pub(super) fn step(step: &Step, def: &StepDef, template: &Template) -> Vec<Complaint> {
    let mut found = Vec::new();
    for key in def.keys.iter().filter(|key| key.kind == Kind::Message) {
        let Some(node) = step.args.get(key.name) else { continue };
        let Some(name) = node.text().filter(|name| !name.contains("${")) else { continue };
        if template.message(name).is_none() {
            found.push((node.span.clone(), unknown_message(template, name)));
        }
    }
    if def.name == "udp.order" {
        for node in step.args.get("messages").map(Node::items).unwrap_or_default() {
            if let Some(name) = node.text().filter(|name| template.message(name).is_none()) {
                found.push((node.span.clone(), unknown_message(template, name)));
            }
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
    let Some(block) = message.block(head) else {
        let known = message.blocks.iter().map(|b| &*b.name).chain(["header"]);
        return Some(format!("{} in {}", unknown("block", head, known), message.name));
    };
    let field = field.filter(|field| block.field(field).is_none())?;
    let known = block.fields.iter().map(|f| &*f.name);
    Some(format!("{} in {}.{head}", unknown("field", field, known), message.name))
}
