//! What a viewer answers by itself when a region greets it.

use super::id::{AgentId, SessionId};
use super::message::{Field, Message};
use super::template::Template;

/// The answer to a RegionHandshake: the viewer's flags with self-appearance.
pub fn reply(template: &Template, agent: AgentId, session: SessionId) -> Message {
    Message::named(template, "RegionHandshakeReply")
        .with("AgentData", "AgentID", Field::Uuid(agent.0))
        .with("AgentData", "SessionID", Field::Uuid(session.0))
        .with("RegionInfo", "Flags", Field::U32(4))
}
