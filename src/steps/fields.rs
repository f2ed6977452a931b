//! The `blocks` of a message as suites write them: checked against the template, then built.

use crate::proto::id::{AgentId, SessionId};
use crate::proto::message::{Field, Message};
use crate::proto::template::{MessageDef, Quantity};
use crate::value::{Value, field_from_value, unknown};
use std::sync::Arc;

/// What is wrong with `blocks` for this message: where, and what. Values that hold references
/// are not known yet and pass.
pub fn complaints(def: &MessageDef, blocks: &Value) -> Vec<(Vec<String>, String)> {
    let Value::Map(blocks) = blocks else {
        return vec![(Vec::new(), "`blocks` takes a table of blocks".into())];
    };
    let mut found = Vec::new();
    for (name, instances) in blocks {
        let Some(block) = def.block(name) else {
            let known = def.blocks.iter().map(|b| &*b.name);
            let what = format!("{} in {}", unknown("block", name, known), def.name);
            found.push((vec![name.clone()], what));
            continue;
        };
        let instances: Vec<&Value> = match instances {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        for instance in instances {
            let Value::Map(fields) = instance else { continue };
            for (field, value) in fields {
                let Some(f) = block.field(field) else {
                    let known = block.fields.iter().map(|f| &*f.name);
                    let what = format!("{} in {}.{name}", unknown("field", field, known), def.name);
                    found.push((vec![name.clone(), field.clone()], what));
                    continue;
                };
                let referring = value.as_text().is_some_and(|text| text.contains("${"));
                if !referring
                    && field_from_value(f.kind, value).is_none()
                    && !holds_reference(value)
                {
                    let what = format!("{field} takes {}, not {value}", f.kind);
                    found.push((vec![name.clone(), field.clone()], what));
                }
            }
        }
    }
    found
}

fn holds_reference(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(items) => items.iter().any(holds_reference),
        _ => false,
    }
}

/// Builds the message; `ids` fills agent and session where the case does not.
pub(super) fn build(
    def: &Arc<MessageDef>,
    blocks: Option<&Value>,
    ids: Option<(AgentId, SessionId)>,
) -> Result<Message, String> {
    let mut message = Message::zero(def);
    if let Some((agent, session)) = ids {
        for (block, instances) in def.blocks.iter().zip(&mut message.blocks) {
            let both = block.field("AgentID").is_some() && block.field("SessionID").is_some();
            if !both || block.quantity != Quantity::Single {
                continue;
            }
            for (field, value) in block.fields.iter().zip(instances.iter_mut().flatten()) {
                match &*field.name {
                    "AgentID" => *value = Field::Uuid(agent.0),
                    "SessionID" => *value = Field::Uuid(session.0),
                    _ => {}
                }
            }
        }
    }
    let Some(Value::Map(given)) = blocks else { return Ok(message) };
    for (name, instances) in given {
        let Some(at) = def.blocks.iter().position(|b| &*b.name == name) else {
            return Err(format!("{} has no block {name}", def.name));
        };
        let list = matches!(instances, Value::Array(_));
        let instances: Vec<&Value> = match instances {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        let block = &def.blocks[at];
        if list || block.quantity != Quantity::Single {
            let zero = Message::zero(def).blocks[at].first().cloned().unwrap_or_else(|| {
                block
                    .fields
                    .iter()
                    .map(|f| crate::proto::message::FieldValue::zero(f.kind))
                    .collect()
            });
            message.blocks[at] = vec![zero; instances.len()];
        }
        for (n, instance) in instances.into_iter().enumerate() {
            let Value::Map(fields) = instance else { continue };
            for (field, value) in fields {
                let index = block.fields.iter().position(|f| &*f.name == field);
                let Some(index) = index else { return Err(format!("{name} has no {field}")) };
                let kind = block.fields[index].kind;
                message.blocks[at][n][index] = field_from_value(kind, value)
                    .ok_or_else(|| format!("{name}.{field} takes {kind}, not {value}"))?;
            }
        }
    }
    Ok(message)
}
