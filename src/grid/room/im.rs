//! Instant messages, passed on to whoever they name, wherever that is.

use crate::grid::core::{Core, RoomDef, Sender};
use crate::proto::id::AgentId;
use crate::proto::message::{Field, FieldValue, Message};
use uuid::Uuid;

pub(super) const ROOM: RoomDef =
    RoomDef { messages: &[("ImprovedInstantMessage", pass_on)], ..RoomDef::named("im") };

/// The sender's name is the grid's to say.
fn pass_on(core: &mut Core, from: &Sender, message: &Message) {
    let Some(to) = message.uuid("MessageBlock", "ToAgentID") else { return };
    let Some((first, last)) = core.world.name_of(from.agent) else { return };
    let mut passed = message.clone();
    passed.blocks.truncate(3);
    passed = passed.with("AgentData", "SessionID", Field::Uuid(Uuid::nil())).with(
        "MessageBlock",
        "FromAgentName",
        FieldValue::text(&format!("{first} {last}")),
    );
    if passed.blocks.len() < 3 {
        passed.blocks.push(vec![vec![Field::U32(0)]]);
    }
    core.deliver(AgentId(to), &passed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;

    #[test]
    fn a_message_comes_under_the_name_of_who_sent_it() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        let to = Field::Uuid(bench.viewers[john].agent.0);
        let forged = bench
            .message(jane, "ImprovedInstantMessage")
            .with("MessageBlock", "ToAgentID", to)
            .with("MessageBlock", "FromAgentName", FieldValue::text("Somebody Else"))
            .with("MessageBlock", "Message", FieldValue::text("hello"));
        bench.say(jane, 0, &forged);
        let heard = bench.heard(john, 0);
        let told = heard.iter().find(|m| m.name() == "ImprovedInstantMessage").unwrap();
        assert_eq!(told.text("MessageBlock", "FromAgentName").as_deref(), Some("Test One"));
        assert_eq!(told.text("MessageBlock", "Message").as_deref(), Some("hello"));
        // The sender's session is nobody else's business.
        assert_eq!(told.uuid("AgentData", "SessionID"), Some(Uuid::nil()));
    }

    #[test]
    fn who_is_not_there_is_told_nothing() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let lost = bench.message(jane, "ImprovedInstantMessage").with(
            "MessageBlock",
            "ToAgentID",
            Field::Uuid(Uuid::from_u128(7)),
        );
        bench.say(jane, 0, &lost);
        assert_eq!(bench.names(jane, 0), [""; 0]);
    }
}
