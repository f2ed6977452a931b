//! From the first datagram to an avatar in the world, and out again.

use super::circuits::circuit_code;
use super::region::{Order, Region};
use super::{Policy, messages, oddity, scene, teleport};
use crate::proto::message::{FieldValue, Message, Packet};
use std::net::SocketAddr;
use uuid::Uuid;

/// Opens a circuit, if the code, the session and the agent belong together here. If not: silence.
pub(super) fn use_circuit_code(region: &mut Region, packet: &Packet<'_>, from: SocketAddr) {
    let Some((code, session, agent)) = circuit_code(packet) else { return };
    let shared = region.shared.clone();
    let (world, faults) = (shared.world(), &shared.config.faults);
    if !world.admits(region.index, agent, session, code) {
        let unknown = world.presence(agent).is_none();
        drop(world);
        if unknown && faults.breaks(Policy::GreetsStrangers) {
            region.circuits.open(from, agent, session, code);
            greet(region, from);
        }
        return;
    }
    if region.circuits.of(agent).is_some_and(|(old, _)| old != from)
        && faults.breaks(Policy::RefusesNewPort)
    {
        return;
    }
    let Some(presence) = world.presence(agent) else { return };
    // The session's own values: what came was compared with them just above.
    let (code, session) = (presence.circuit_code, presence.session_id);
    let expected = presence.transit.as_ref().is_some_and(|t| t.to == region.index);
    let child = presence.root != region.index && !expected;
    drop(world);
    region.circuits.open(from, agent, session, code);
    region.circuits.handle(from, packet);
    region.circuits.flush_acks(from);
    if child && faults.breaks(Policy::IgnoresChildren) {
        return;
    }
    if child {
        greet(region, from);
        if faults.breaks(Policy::ArrivesAsChild) {
            complete_movement(region, from, agent);
        }
    } else if faults.breaks(Policy::ArrivesUnasked) {
        complete_movement(region, from, agent);
    }
}

/// Handles the messages of arriving and leaving; whether it was one.
pub(super) fn dispatch(region: &mut Region, from: SocketAddr, message: &Message) -> bool {
    let Some(client) = region.circuits.client(from) else { return true };
    let (agent, session, code) = (client.agent, client.session, client.code);
    let shared = region.shared.clone();
    let faults = &shared.config.faults;
    match message.name() {
        "UseCircuitCode" if faults.breaks(Policy::RestartsOnCode) => {
            region.circuits.disable(from);
        }
        "CompleteAgentMovement" => {
            let right = message.u32("AgentData", "CircuitCode") == Some(code);
            let right = right || faults.breaks(Policy::AnyMovementCode);
            if right && faults.breaks(Policy::NeedsHandshakeReply) {
                greet(region, from);
            } else if right {
                complete_movement(region, from, agent);
            }
        }
        "RegionHandshakeReply" => {
            if faults.breaks(Policy::NeedsHandshakeReply) {
                complete_movement(region, from, agent);
            }
            let mut world = region.shared.world();
            let here = world.presence_mut(agent).and_then(|p| p.agents.get_mut(&region.index));
            let first = here.is_some_and(|h| !std::mem::replace(&mut h.handshake_replied, true));
            let opened = world.open_world(agent, region.index);
            drop(world);
            if first {
                oddity::settled(region, from, agent);
            }
            if opened || faults.breaks(Policy::ShowsWorldAgain) {
                region.show_world(agent);
            }
        }
        "LogoutRequest" => log_out(region, from, agent, session),
        _ => return false,
    }
    true
}

/// Says who the region is.
fn greet(region: &mut Region, to: SocketAddr) {
    let place = region.shared.world().places[region.index].clone();
    let handshake = messages::region_handshake(&region.shared.template, &place);
    region.circuits.send(to, &handshake, true);
}

fn complete_movement(region: &mut Region, from: SocketAddr, agent: Uuid) {
    let shared = region.shared.clone();
    let template = &shared.template;
    let mut world = shared.world();
    let place = world.places[region.index].clone();
    let landing = world.land(agent, region.index);
    let Some(presence) = world.presence_mut(agent) else { return };
    let here = std::mem::replace(&mut presence.arrived, true);
    let faults = &shared.config.faults;
    let barred = match presence.root == region.index {
        true => here && landing.is_none() && !faults.breaks(Policy::ArrivesTwice),
        false => !faults.breaks(Policy::ArrivesAsChild),
    };
    if barred {
        return;
    }
    let mut arrival = [
        messages::region_handshake(template, &place),
        messages::movement_complete(template, presence, &place, region.shared.config.network.now()),
        messages::avatar(template, presence, &place),
        messages::agent_data(template, presence),
    ];
    let opened = world.open_world(agent, region.index);
    drop(world);
    if faults.breaks(Policy::FatDatagrams) {
        let novel = FieldValue::text(&"x".repeat(2000));
        arrival[1] = arrival[1].clone().with("SimData", "ChannelVersion", novel);
    }
    arrival.iter().for_each(|message| region.circuits.send(from, message, true));
    if faults.breaks(Policy::GreetsTwice) {
        region.circuits.send(from, &arrival[0], true);
    }
    if faults.breaks(Policy::TellsArrivalTwice) {
        region.circuits.send(from, &arrival[1], true);
    }
    if landing.is_none() || !faults.breaks(Policy::LandsUnseen) {
        region.tell_arrival(agent);
    }
    scene::tell_where_to(region, agent);
    if let Some(landing) = landing {
        teleport::leave_behind(region, agent, landing);
    }
    if opened || shared.config.faults.breaks(Policy::NoGates) {
        region.show_world(agent);
    }
}

fn log_out(region: &mut Region, from: SocketAddr, agent: Uuid, session: Uuid) {
    let shared = region.shared.clone();
    let mut world = shared.world();
    let regions = world.end(agent);
    drop(world);
    tracing::info!("an avatar logged out");
    let faults = &shared.config.faults;
    if faults.breaks(Policy::LeavesWithoutAck) {
        region.circuits.forget_acks(from);
    }
    let reply = messages::logout_reply(&shared.template, agent, session);
    region.circuits.send(from, &reply, true);
    region.leave(agent);
    if !faults.breaks(Policy::StaysAfterLogout) {
        region.circuits.close(from);
    }
    if faults.breaks(Policy::KeepsChildren) {
        return;
    }
    for other in regions.into_iter().filter(|r| *r != region.index) {
        shared.order(other, Order::Close(agent));
    }
}
