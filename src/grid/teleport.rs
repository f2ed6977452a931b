//! Teleport: what viewers ask, what they are told, and what becomes of the region left behind.

use super::region::{Order, Region};
use super::travel::{Landing, Target, standing};
use super::{Policy, messages};
use crate::proto::message::{Field, FieldValue, Message};
use crate::proto::teleport::{LURE_MESSAGE, Landmark, flags};
use std::net::SocketAddr;
use std::time::Duration;
use uuid::Uuid;

/// Why a teleport does not happen, as viewers show it.
mod reason {
    pub const NO_REGION: &str = "The region you tried to teleport to was not found";
    pub const IN_TRANSIT: &str = "Agent is already in transit.";
    pub const NO_LANDMARK: &str = "Could not find the landmark asset data";
    pub const NO_LANDMARK_REGION: &str = "Landmark region not found";
    pub const NO_LURE: &str = "The teleport offer is not for you, or is no longer open.";
    pub const CLOSED: &str = "Access denied: that region takes no visitors.";
    pub const CANCELLED: &str = "The teleport was cancelled.";
    pub const NO_ARRIVAL: &str = "Connection between viewer and destination region could not be \
                                  established.";
}

type Wanted = Result<Target, &'static str>;

/// Handles a message about teleporting; whether it was one.
pub(super) fn dispatch(
    region: &mut Region,
    from: SocketAddr,
    agent: Uuid,
    message: &Message,
) -> bool {
    let wanted = match message.name() {
        "TeleportLocationRequest" => by_location(region, message),
        "TeleportLandmarkRequest" => by_landmark(region, agent, message),
        "TeleportLureRequest" => by_lure(region, agent, message),
        "StartLure" => {
            invite(region, agent, message);
            return true;
        }
        "TeleportCancel" => {
            cancel(region, from, agent);
            return true;
        }
        _ => return false,
    };
    let stands_here = {
        let world = region.shared.world();
        world.presence(agent).is_some_and(|p| p.arrived && p.root == region.index)
    };
    let home = message.uuid("Info", "LandmarkID").is_some_and(|id| id.is_nil());
    if home && region.shared.config.faults.breaks(Policy::IgnoresHome) {
        return true;
    }
    // A child agent has no avatar here to move.
    if stands_here && let Err(reason) = wanted.and_then(|target| go(region, from, agent, target)) {
        fail(region, from, agent, reason);
    }
    true
}

fn fail(region: &mut Region, to: SocketAddr, agent: Uuid, reason: &str) {
    let failed = messages::teleport_failed(&region.shared.template, agent, reason);
    region.circuits.send(to, &failed, true);
}

fn vector(message: &Message, block: &str, field: &str) -> [f32; 3] {
    match message.field(block, field) {
        Some(Field::Vector3(v)) => *v,
        _ => [0.0; 3],
    }
}

fn by_location(region: &Region, message: &Message) -> Wanted {
    let Some(Field::U64(handle)) = message.field("Info", "RegionHandle") else {
        return Err(reason::NO_REGION);
    };
    let position = vector(message, "Info", "Position");
    let found = region.shared.world().locate(*handle, position);
    let (region, position) = found.ok_or(reason::NO_REGION)?;
    let look_at = vector(message, "Info", "LookAt");
    Ok(Target { region, position, look_at, flags: flags::VIA_LOCATION })
}

/// A landmark by its asset; the null id is home.
fn by_landmark(region: &Region, agent: Uuid, message: &Message) -> Wanted {
    let look_at = [1.0, 0.0, 0.0];
    let landmark = message.uuid("Info", "LandmarkID").unwrap_or_default();
    if landmark.is_nil() {
        let (region, position) = region.shared.world().home(agent);
        return Ok(Target { region, position, look_at, flags: flags::SET_LAST | flags::VIA_HOME });
    }
    let asset = region.shared.inventories().asset(landmark);
    let text = asset.and_then(|asset| String::from_utf8(asset.bytes.to_vec()).ok());
    let landmark = text.and_then(|text| Landmark::parse(&text)).ok_or(reason::NO_LANDMARK)?;
    let found = region.shared.world().region_of(&landmark);
    let region = found.ok_or(reason::NO_LANDMARK_REGION)?;
    let position = landmark.position;
    Ok(Target { region, position, look_at, flags: flags::SET_LAST | flags::VIA_LANDMARK })
}

fn by_lure(region: &Region, agent: Uuid, message: &Message) -> Wanted {
    let lure = message.uuid("Info", "LureID").unwrap_or_default();
    let found = region.shared.world().lures.remove(&(agent, lure));
    let (region, position) = found.ok_or(reason::NO_LURE)?;
    Ok(Target { region, position, look_at: [1.0, 0.0, 0.0], flags: flags::VIA_LURE })
}

/// Invites others to where the avatar stands, by an instant message whose id is the lure's.
fn invite(region: &mut Region, agent: Uuid, message: &Message) {
    let text = message.text("Info", "Message").unwrap_or_default();
    for guest in message.rows("TargetData").map(|row| row.id("TargetID")).take(100) {
        let mut world = region.shared.world();
        let to = world.presence(guest).map(|p| p.root);
        let name = world.name_of(agent).map(|(first, last)| format!("{first} {last}"));
        let place = world.places[region.index].id();
        let position = world.presence(agent).map(|p| p.position).unwrap_or_default();
        let (Some(to), Some(name)) = (to, name) else { continue };
        let Some(lure) = world.invite(agent, guest) else { continue };
        drop(world);
        let invitation = Message::named(&region.shared.template, "ImprovedInstantMessage")
            .with("AgentData", "AgentID", Field::Uuid(agent))
            .with("MessageBlock", "ToAgentID", Field::Uuid(guest))
            .with("MessageBlock", "RegionID", Field::Uuid(place))
            .with("MessageBlock", "Position", Field::Vector3(position))
            .with("MessageBlock", "Dialog", Field::U8(LURE_MESSAGE))
            .with("MessageBlock", "ID", Field::Uuid(lure))
            .with("MessageBlock", "FromAgentName", FieldValue::text(&name))
            .with("MessageBlock", "Message", FieldValue::text(&text));
        region.shared.order(to, Order::Deliver(guest, Box::new(invitation)));
    }
}

/// Moves an avatar within its region, or starts it on its way to another.
fn go(
    region: &mut Region,
    from: SocketAddr,
    agent: Uuid,
    target: Target,
) -> Result<(), &'static str> {
    let shared = region.shared.clone();
    let target = standing(target);
    let mut world = shared.world();
    let here = |p: &&mut super::presence::Presence| p.arrived && p.root == region.index;
    let presence = world.presence_mut(agent).filter(here).ok_or(reason::NO_REGION)?;
    if presence.transit.is_some() && !shared.config.faults.breaks(Policy::TeleportsTwice) {
        return Err(reason::IN_TRANSIT);
    }
    if target.region == region.index {
        (presence.position, presence.look_at) = (target.position, target.look_at);
        (presence.sitting, presence.walking) = (false, None);
        let place = world.places[region.index].clone();
        let moved = world.presence(agent).map(|p| messages::avatar(&shared.template, p, &place));
        drop(world);
        region.circuits.send(from, &start(region, target.flags), true);
        let local = messages::teleport_local(&shared.template, agent, &target);
        region.circuits.send(from, &local, true);
        if let Some(avatar) = moved {
            super::scene::tell_others(region, agent, &avatar);
        }
        return Ok(());
    }
    if shared.is_closed(target.region) {
        return Err(reason::CLOSED);
    }
    drop(world);
    region.circuits.send(from, &start(region, target.flags), true);
    let announced = shared.config.announces_destinations;
    let number = shared.world().depart(agent, target, false, announced);
    expect_landing(region, agent, number.ok_or(reason::IN_TRANSIT)?);
    Ok(())
}

fn start(region: &Region, flags: u32) -> Message {
    Message::named(&region.shared.template, "TeleportStart").with(
        "Info",
        "TeleportFlags",
        Field::U32(flags),
    )
}

/// A viewer that never arrives stays where it was.
pub(super) fn expect_landing(region: &Region, agent: Uuid, number: u64) {
    const LIMIT: Duration = Duration::from_secs(50);
    let shared = region.shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(LIMIT / shared.config.time_factor.max(1)).await;
        let mut world = shared.world();
        let walking = world.presence(agent).and_then(|p| p.transit.as_ref()).map(|t| t.walking);
        let Some((root, closed)) = world.give_up(agent, number) else { return };
        drop(world);
        if let Some(closed) = closed {
            shared.order(closed, Order::Close(agent));
        }
        if walking == Some(false) {
            let failed = messages::teleport_failed(&shared.template, agent, reason::NO_ARRIVAL);
            shared.order(root, Order::Deliver(agent, Box::new(failed)));
        }
    });
}

/// A teleport that the viewer has not heard the end of is taken back; a later one goes on.
fn cancel(region: &mut Region, from: SocketAddr, agent: Uuid) {
    let mut world = region.shared.world();
    let strands = region.shared.config.faults.breaks(Policy::CancelStrands);
    if let (true, Some(presence)) = (strands, world.presence_mut(agent)) {
        presence.transit = None;
        return;
    }
    let closed = world.recall(agent).and_then(|number| world.give_up(agent, number));
    drop(world);
    if let Some((_, closed)) = closed {
        if let Some(closed) = closed {
            region.shared.order(closed, Order::Close(agent));
        }
        fail(region, from, agent, reason::CANCELLED);
    }
}

/// What the region left behind and those out of view have to do.
pub(super) fn leave_behind(region: &Region, agent: Uuid, landing: Landing) {
    let shared = &region.shared;
    if shared.config.faults.breaks(Policy::StaysInBoth) {
        return;
    }
    shared.order(landing.left, Order::Depart(agent));
    for closed in landing.closed {
        shared.order(closed, Order::Disable(agent));
    }
}
