//! What a grid may do though few do it, and what none should: for trying how clients bear it.

use super::region::{Order, Region};
use super::world::{Place, World};
use super::{Policy, Shared};
use crate::proto::event_queue::Event;
use crate::proto::llsd::Llsd;
use crate::proto::message::{Field, Message};
use crate::proto::teleport::{CrossedRegion, Destination, TeleportFinish, flags};
use crate::proto::template::Template;
use std::net::SocketAddr;
use uuid::Uuid;

/// The name of an event that nobody knows.
pub const UNKNOWN_EVENT: &str = "GridproofNobodyKnowsThis";

/// The messages of a client that may be sent again and again without harm: one of them goes
/// unacknowledged where acks are withheld.
pub(super) const HARMLESS: [&str; 8] = [
    "AgentUpdate",
    "AgentThrottle",
    "AgentHeightWidth",
    "AgentFOV",
    "AgentAnimation",
    "SetAlwaysRun",
    "MuteListRequest",
    "MoneyBalanceRequest",
];

/// A visitor has answered RegionHandshake here for the first time.
pub(super) fn settled(region: &mut Region, from: SocketAddr, agent: Uuid) {
    let shared = region.shared.clone();
    let (faults, template) = (&shared.config.faults, &shared.template);
    let mut world = shared.world();
    let Some(presence) = world.presence(agent) else { return };
    if presence.root != region.index {
        drop(world);
        if faults.breaks(Policy::DisablesNeighbours) {
            region.circuits.disable(from);
        }
        return;
    }
    let elsewhere = elsewhere(&world, agent).cloned();
    if let Some(place) = &elsewhere {
        if faults.breaks(Policy::FinishesByUdp) {
            let finish = finish(template, agent, place, &world.url("nowhere"));
            region.circuits.send(from, &finish, true);
        }
        if faults.breaks(Policy::EnablesByUdp) {
            region.circuits.send(from, &enable(template, place), true);
        }
    }
    let regions = if faults.breaks(Policy::DisablesRoot) { world.end(agent) } else { Vec::new() };
    drop(world);
    regions.into_iter().for_each(|region| shared.order(region, Order::Close(agent)));
}

/// A region that an agent has nothing to do with.
fn elsewhere(world: &World, agent: Uuid) -> Option<&Place> {
    let presence = world.presence(agent)?;
    let places = world.places.iter().enumerate();
    places.rev().find(|(index, _)| !presence.agents.contains_key(index)).map(|(_, place)| place)
}

fn finish(template: &Template, agent: Uuid, place: &Place, seed: &str) -> Message {
    Message::named(template, "TeleportFinish")
        .with("Info", "AgentID", Field::Uuid(agent))
        .with("Info", "SimIP", Field::IpAddr(place.address.ip().octets()))
        .with("Info", "SimPort", Field::IpPort(place.address.port()))
        .with("Info", "RegionHandle", Field::U64(place.handle()))
        .with("Info", "SeedCapability", Field::Variable(seed.as_bytes().to_vec()))
        .with("Info", "TeleportFlags", Field::U32(flags::VIA_LOCATION))
}

fn enable(template: &Template, place: &Place) -> Message {
    Message::named(template, "EnableSimulator")
        .with("SimulatorInfo", "Handle", Field::U64(place.handle()))
        .with("SimulatorInfo", "IP", Field::IpAddr(place.address.ip().octets()))
        .with("SimulatorInfo", "Port", Field::IpPort(place.address.port()))
}

/// Whether the id of a reply is odd: such replies have one oddity and the others another, so that
/// it is plain which of them a client does not bear.
pub fn is_odd(reply: &Llsd) -> bool {
    reply.get("id").and_then(Llsd::as_i32).is_some_and(|id| id % 2 != 0)
}

/// Events that no client should heed, before those of a reply with this id.
pub(super) fn events(shared: &Shared, agent: Uuid, id: i32) -> Vec<Event> {
    let faults = &shared.config.faults;
    let mut odd = Vec::new();
    if id % 2 == 0 && faults.breaks(Policy::UnknownEvents) {
        let body = Llsd::map([("Reason", Llsd::string("nobody knows it"))]);
        odd.push(Event { message: UNKNOWN_EVENT.into(), body });
    }
    let world = shared.world();
    let Some(place) = elsewhere(&world, agent) else { return odd };
    let to = Destination {
        agent_id: world.chance.uuid(),
        address: place.address,
        handle: place.handle(),
        seed: world.url("nowhere"),
    };
    if faults.breaks(Policy::ForeignFinishes) {
        odd.push(TeleportFinish { to: to.clone(), flags: flags::VIA_LOCATION }.to_event());
    }
    if faults.breaks(Policy::ForeignCrossings) {
        let (position, look_at) = ([128.0, 128.0, 25.0], [1.0, 0.0, 0.0]);
        let session_id = world.chance.uuid();
        odd.push(CrossedRegion { to, session_id, position, look_at }.to_event());
    }
    odd
}

/// XML without a declaration and with a blank in every end tag, as some grids write it.
pub(super) fn terse(xml: &str) -> String {
    let body = xml.split_once("?>").map_or(xml, |(_, body)| body);
    let mut pieces = body.split("</");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + "</" + &piece.replacen('>', " >", 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::llsd::{from_xml, to_xml};

    #[test]
    fn terse_xml_means_the_same() {
        let value = Llsd::map([("a", Llsd::string("x < y > z")), ("b", Llsd::Integer(0))]);
        let text = terse(&to_xml(&value));
        assert!(text.starts_with("<llsd>") && text.ends_with("</llsd >"), "{text}");
        assert_eq!(from_xml(text.as_bytes()).unwrap(), value);
    }
}
