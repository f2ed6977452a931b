//! Chat: what an avatar says is heard by those who stand near enough.

use crate::grid::core::{Core, Presence, RoomDef, Sender};
use crate::grid::misbehaviour::misbehaviours;
use crate::net::tap::RegionIndex;
use crate::proto::id::AgentId;
use crate::proto::message::{Field, FieldValue, Message};

misbehaviours! {
    MuteElsewhere "mute-elsewhere" "Chat is told in the first region only.",
    HeardEverywhere "heard-everywhere" "Chat is heard in every region.",
    SaysTwice "says-twice" "A line of chat is told twice, each with its own number.",
}

pub(super) const ROOM: RoomDef = RoomDef {
    messages: &[("ChatFromViewer", say)],
    misbehaviours: Own::ALL,
    ..RoomDef::named("chat")
};

/// How far a voice carries, in metres.
fn range(kind: u8) -> Option<f32> {
    match kind {
        0 => Some(10.0),
        1 | 4 | 5 => Some(20.0),
        2 => Some(100.0),
        _ => None,
    }
}

fn say(core: &mut Core, from: &Sender, message: &Message) {
    let (region, agent) = (from.region, from.agent);
    if region > RegionIndex(0) && core.breaks(Own::MuteElsewhere) {
        return;
    }
    let kind = match message.field("ChatData", "Type") {
        Some(Field::U8(kind)) => *kind,
        _ => 1,
    };
    let channel = message.field("ChatData", "Channel");
    let Some(range) = range(kind).filter(|_| channel == Some(&Field::S32(0))) else { return };
    let Some(text) = message.field("ChatData", "Message").cloned() else { return };
    let Some(speaker) = core.world.presence(agent).filter(|p| p.stands_in(region)) else { return };
    let said = Message::named(&core.template, "ChatFromSimulator")
        .with("ChatData", "FromName", FieldValue::text(&speaker.name()))
        .with("ChatData", "SourceID", Field::Uuid(agent.0))
        .with("ChatData", "OwnerID", Field::Uuid(agent.0))
        .with("ChatData", "SourceType", Field::U8(1))
        .with("ChatData", "ChatType", Field::U8(kind))
        .with("ChatData", "Audible", Field::U8(1))
        .with("ChatData", "Position", Field::Vector3(speaker.position))
        .with("ChatData", "Message", text);
    let near = |p: &&Presence| distance(p.position, speaker.position) <= range;
    let near = core.world.others(region, agent).filter(near).map(|p| p.agent_id);
    let listeners: Vec<AgentId> = near.chain([agent]).collect();
    if core.breaks(Own::HeardEverywhere) {
        let elsewhere: Vec<(RegionIndex, AgentId)> = core.world.everybody(region).collect();
        for (there, listener) in elsewhere {
            core.send_to(there, listener, &said);
        }
    }
    if core.breaks(Own::SaysTwice) {
        core.send_those(region, &listeners, &said, true);
    }
    core.send_those(region, &listeners, &said, true);
}

fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;

    fn line(bench: &Bench, who: usize, kind: u8, text: &str) -> Message {
        bench
            .message(who, "ChatFromViewer")
            .with("ChatData", "Message", FieldValue::text(text))
            .with("ChatData", "Type", Field::U8(kind))
    }

    fn lines(bench: &mut Bench, who: usize) -> Vec<String> {
        let heard = bench.heard(who, 0).into_iter();
        let chat = heard.filter(|message| message.name() == "ChatFromSimulator");
        chat.filter_map(|message| message.text("ChatData", "Message")).collect()
    }

    #[test]
    fn who_stands_near_hears_a_line_and_who_speaks_hears_it_too() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        let said = line(&bench, jane, 1, "hello");
        bench.say(jane, 0, &said);
        assert_eq!(lines(&mut bench, jane), ["hello"]);
        assert_eq!(lines(&mut bench, john), ["hello"]);
        // Out of the range of a whisper, within that of a shout.
        let agent = bench.viewers[john].agent;
        bench.core.world.presence_mut(agent).unwrap().position = [200.0, 128.0, 25.0];
        let (whisper, shout) = (line(&bench, jane, 0, "psst"), line(&bench, jane, 2, "HO"));
        bench.say(jane, 0, &whisper);
        bench.say(jane, 0, &shout);
        assert_eq!(lines(&mut bench, john), ["HO"]);
    }

    #[test]
    fn other_channels_and_kinds_are_nobodys_business() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        let aside = line(&bench, jane, 1, "secret").with("ChatData", "Channel", Field::S32(7));
        let odd = line(&bench, jane, 99, "odd");
        bench.say(jane, 0, &aside);
        bench.say(jane, 0, &odd);
        assert_eq!(lines(&mut bench, john), [""; 0]);
    }

    #[test]
    fn a_grid_that_is_told_to_is_mute_elsewhere() {
        let mut bench = Bench::new(&["mute-elsewhere"]);
        let jane = bench.enter(0);
        let said = line(&bench, jane, 1, "hello");
        bench.say(jane, 0, &said);
        assert_eq!(lines(&mut bench, jane), ["hello"]);
    }
}
