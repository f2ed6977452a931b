//! What avatars do in a region: move, talk, ask for names.

use super::presence::Presence;
use super::region::{Order, Region};
use super::world::Place;
use super::{Policy, inventory, messages, scene, teleport, walking};
use crate::proto::message::{Field, FieldValue, Message};
use std::net::SocketAddr;
use uuid::Uuid;

/// Messages that need no answer: the circuit has heeded them, or they change nothing here.
const HEARD: [&str; 5] =
    ["PacketAck", "StartPingCheck", "CompletePingCheck", "AgentThrottle", "AgentHeightWidth"];

/// Handles a message of an avatar. What has no handler is acknowledged and otherwise ignored.
pub(super) fn dispatch(region: &mut Region, from: SocketAddr, message: &Message, sequence: u32) {
    let Some(client) = region.circuits.client(from) else { return };
    let agent = client.agent;
    match message.name() {
        "AgentUpdate" => {
            // One that comes late would turn the avatar back.
            let newer = client.last_update.is_none_or(|last| sequence > last);
            if newer || region.shared.config.faults.breaks(Policy::HeedsLateUpdates) {
                client.last_update = Some(sequence);
                move_avatar(region, agent, message);
                walking::heed(region, agent, message);
            }
        }
        "AgentAnimation" => animate(region, agent, message),
        "ViewerEffect" => pass_effect(region, agent, message),
        "ChatFromViewer" => chat(region, agent, message),
        "ImprovedInstantMessage" => instant_message(region, agent, message),
        "UUIDNameRequest" => names(region, from, message),
        "AgentDataUpdateRequest" => {
            let world = region.shared.world();
            let reply =
                world.presence(agent).map(|p| messages::agent_data(&region.shared.template, p));
            drop(world);
            if let Some(reply) = reply {
                region.circuits.send(from, &reply, true);
            }
        }
        "MoneyBalanceRequest" => {
            let reply = Message::named(&region.shared.template, "MoneyBalanceReply")
                .with("MoneyData", "AgentID", Field::Uuid(agent))
                .with("MoneyData", "TransactionSuccess", Field::Bool(true));
            region.circuits.send(from, &reply, true);
        }
        "MapBlockRequest" => {
            let bound = |name| message.u32("PositionData", name).unwrap_or_default();
            let (x, y) = (bound("MinX")..=bound("MaxX"), bound("MinY")..=bound("MaxY"));
            map_blocks(region, from, agent, |place| x.contains(&place.x) && y.contains(&place.y));
        }
        "MapNameRequest" => {
            let name = message.text("NameData", "Name").unwrap_or_default().to_lowercase();
            map_blocks(region, from, agent, |place| place.name.to_lowercase().starts_with(&name));
        }
        "AgentWearablesRequest" => {
            let session = client.session;
            let reply = Message::named(&region.shared.template, "AgentWearablesUpdate")
                .with("AgentData", "AgentID", Field::Uuid(agent))
                .with("AgentData", "SessionID", Field::Uuid(session))
                .with("AgentData", "SerialNum", Field::U32(1));
            region.circuits.send(from, &reply, true);
        }
        "RequestRegionInfo" => region_info(region, from),
        "AgentThrottle" if region.shared.config.faults.breaks(Policy::ChokesOnThrottle) => {
            region.circuits.choke(from);
        }
        "AgentThrottle"
            if is_short(message)
                && region.shared.config.faults.breaks(Policy::ThrottleHarmsOthers) =>
        {
            region.circuits.choke_others(from);
        }
        "AgentPause" => {
            region.circuits.set_patience(from, 300, region.shared.config.time_factor);
        }
        "AgentResume" => {
            region.circuits.set_patience(from, 60, region.shared.config.time_factor);
        }
        name if HEARD.contains(&name) => {}
        name => {
            let served = inventory::dispatch(region, from, agent, message)
                || teleport::dispatch(region, from, agent, message);
            if !served {
                region.shared.notices.in_vain("message", name);
            }
        }
    }
}

/// Sitting down and standing up, as the viewer's keys ask for.
fn move_avatar(region: &mut Region, agent: Uuid, message: &Message) {
    const STAND_UP: u32 = 0x1_0000;
    const SIT_ON_GROUND: u32 = 0x2_0000;
    let keys = message.u32("AgentData", "ControlFlags").unwrap_or_default();
    let sits = match (keys & SIT_ON_GROUND != 0, keys & STAND_UP != 0) {
        (true, _) => true,
        (_, true) => false,
        _ => return,
    };
    let plays_on = region.shared.config.faults.breaks(Policy::PlaysOn);
    change_animations(region, agent, |presence| {
        let changes = presence.sitting != sits;
        presence.sitting = sits || (plays_on && presence.sitting);
        changes
    });
}

/// Starts and stops animations.
fn animate(region: &mut Region, agent: Uuid, message: &Message) {
    /// An avatar plays no more at once.
    const MOST: usize = 16;
    let asked = message.instances("AnimationList").iter().filter_map(|fields| match &fields[..] {
        [Field::Uuid(animation), Field::Bool(start)] => Some((*animation, *start)),
        _ => None,
    });
    let asked: Vec<(Uuid, bool)> = asked.collect();
    let plays_on = region.shared.config.faults.breaks(Policy::PlaysOn);
    change_animations(region, agent, |presence| {
        let playing = &mut presence.animations;
        let mut changes = false;
        for (animation, start) in &asked {
            let at = playing.iter().position(|playing| playing == animation);
            match (at, start) {
                (None, true) if playing.len() < MOST => playing.push(*animation),
                (Some(at), false) if !plays_on => drop(playing.remove(at)),
                (Some(_), false) => {}
                _ => continue,
            }
            changes = true;
        }
        changes
    });
}

/// Tells everybody here, the avatar's own viewer too, where a change is one.
fn change_animations(region: &mut Region, agent: Uuid, change: impl FnOnce(&mut Presence) -> bool) {
    let shared = region.shared.clone();
    let mut world = shared.world();
    let index = region.index;
    let presence = world.presence_mut(agent).filter(|p| p.arrived && p.root == index);
    let Some(presence) = presence else { return };
    let told = change(presence).then(|| messages::animations(&shared.template, presence));
    drop(world);
    let Some(told) = told else { return };
    if let Some((to, _)) = region.circuits.of(agent) {
        region.circuits.send(to, &told, true);
    }
    if !shared.config.faults.breaks(Policy::PlaysAlone) {
        scene::tell_others(region, agent, &told);
    }
}

/// What a viewer points at, for the others here; under the receiver's ids, as the sender's session
/// is nobody else's business.
fn pass_effect(region: &mut Region, agent: Uuid, message: &Message) {
    for other in scene::onlookers(region, agent) {
        if let Some((to, session)) = region.circuits.of(other) {
            let passed = message.clone().with("AgentData", "AgentID", Field::Uuid(other)).with(
                "AgentData",
                "SessionID",
                Field::Uuid(session),
            );
            region.circuits.send(to, &passed, true);
        }
    }
}

/// Whether rates lack some of their seven.
fn is_short(message: &Message) -> bool {
    let rates = message.field("Throttle", "Throttles");
    matches!(rates, Some(Field::Variable(bytes)) if bytes.len() < 28)
}

/// How far a voice carries, in metres.
fn range(kind: u32) -> Option<f32> {
    match kind {
        0 => Some(10.0),
        1 | 4 | 5 => Some(20.0),
        2 => Some(100.0),
        _ => None,
    }
}

fn chat(region: &mut Region, agent: Uuid, message: &Message) {
    if region.index > 0 && region.shared.config.faults.breaks(Policy::MuteElsewhere) {
        return;
    }
    let kind = message.u32("ChatData", "Type").unwrap_or(1);
    let channel = message.field("ChatData", "Channel");
    let Some(range) = range(kind).filter(|_| channel == Some(&Field::S32(0))) else { return };
    let Some(text) = message.field("ChatData", "Message").cloned() else { return };
    let world = region.shared.world();
    let Some(speaker) = world.presence(agent).filter(|p| p.arrived && p.root == region.index)
    else {
        return;
    };
    let name = format!("{} {}", speaker.first, speaker.last);
    let said = Message::named(&region.shared.template, "ChatFromSimulator")
        .with("ChatData", "FromName", FieldValue::text(&name))
        .with("ChatData", "SourceID", Field::Uuid(agent))
        .with("ChatData", "OwnerID", Field::Uuid(agent))
        .with("ChatData", "SourceType", Field::U8(1))
        .with("ChatData", "ChatType", Field::U8(kind as u8))
        .with("ChatData", "Audible", Field::U8(1))
        .with("ChatData", "Position", Field::Vector3(speaker.position))
        .with("ChatData", "Message", text);
    let near = |p: &&Presence| distance(p.position, speaker.position) <= range;
    let mut listeners: Vec<Uuid> =
        world.others(region.index, agent).filter(near).map(|p| p.agent_id).collect();
    listeners.push(agent);
    if region.shared.config.faults.breaks(Policy::HeardEverywhere) {
        let elsewhere: Vec<(usize, Uuid)> = world.everybody(region.index).collect();
        for (there, listener) in elsewhere {
            region.shared.order(there, Order::Deliver(listener, Box::new(said.clone())));
        }
    }
    drop(world);
    let circuits = &region.circuits;
    let to = listeners.into_iter().filter_map(|listener| circuits.of(listener));
    let to: Vec<SocketAddr> = to.map(|(to, _)| to).collect();
    region.circuits.send_all(to, &said, true);
}

fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

/// Passed on to whoever it names, wherever they are; the sender's name is the grid's to say.
fn instant_message(region: &mut Region, agent: Uuid, message: &Message) {
    let Some(to) = message.uuid("MessageBlock", "ToAgentID") else { return };
    let world = region.shared.world();
    let sender = world.name_of(agent).map(|(first, last)| format!("{first} {last}"));
    let target = world.presence(to).map(|p| p.root);
    drop(world);
    if let (Some(sender), Some(target)) = (sender, target) {
        let mut passed = message.clone();
        passed.blocks.truncate(3);
        passed = passed.with("AgentData", "SessionID", Field::Uuid(Uuid::nil())).with(
            "MessageBlock",
            "FromAgentName",
            FieldValue::text(&sender),
        );
        if passed.blocks.len() < 3 {
            passed.blocks.push(vec![vec![Field::U32(0)]]);
        }
        region.shared.order(target, Order::Deliver(to, Box::new(passed)));
    }
}

fn names(region: &mut Region, from: SocketAddr, message: &Message) {
    let mut reply = Message::named(&region.shared.template, "UUIDNameReply");
    let world = region.shared.world();
    for fields in message.blocks.first().into_iter().flatten() {
        let Some(Field::Uuid(id)) = fields.first() else { continue };
        if let Some((first, last)) = world.name_of(*id) {
            reply = reply
                .with_block("UUIDNameBlock")
                .with("UUIDNameBlock", "ID", Field::Uuid(*id))
                .with("UUIDNameBlock", "FirstName", FieldValue::text(&first))
                .with("UUIDNameBlock", "LastName", FieldValue::text(&last));
        }
    }
    drop(world);
    if reply.blocks.first().is_some_and(|block| !block.is_empty()) {
        region.circuits.send(from, &reply, true);
    }
}

fn map_blocks(region: &mut Region, from: SocketAddr, agent: Uuid, wanted: impl Fn(&Place) -> bool) {
    let mut reply = Message::named(&region.shared.template, "MapBlockReply").with(
        "AgentData",
        "AgentID",
        Field::Uuid(agent),
    );
    let places = region.shared.world().places.clone();
    for place in places.iter().filter(|place| wanted(place)) {
        reply = reply
            .with_block("Data")
            .with("Data", "X", Field::U16(place.x as u16))
            .with("Data", "Y", Field::U16(place.y as u16))
            .with("Data", "Name", FieldValue::text(&place.name))
            .with("Data", "Access", Field::U8(13))
            .with("Data", "WaterHeight", Field::U8(20));
    }
    region.circuits.send(from, &reply, true);
}

fn region_info(region: &mut Region, from: SocketAddr) {
    let Some(client) = region.circuits.client(from) else { return };
    let (agent, session) = (client.agent, client.session);
    let place = region.shared.world().places[region.index].clone();
    let reply = Message::named(&region.shared.template, "RegionInfo")
        .with("AgentData", "AgentID", Field::Uuid(agent))
        .with("AgentData", "SessionID", Field::Uuid(session))
        .with("RegionInfo", "SimName", FieldValue::text(&place.name))
        .with("RegionInfo", "EstateID", Field::U32(1))
        .with("RegionInfo", "SimAccess", Field::U8(13))
        .with("RegionInfo", "MaxAgents", Field::U8(100))
        .with("RegionInfo", "BillableFactor", Field::F32(1.0))
        .with("RegionInfo", "ObjectBonusFactor", Field::F32(1.0))
        .with("RegionInfo", "WaterHeight", Field::F32(20.0))
        .with("RegionInfo2", "ProductName", FieldValue::text("gridproof"));
    region.circuits.send(from, &reply, true);
}
