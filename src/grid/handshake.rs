//! From the first datagram to an avatar in the world, and out again.

use super::circuits::circuit_code;
use super::region::{Order, Region};
use super::{Policy, inworld, messages};
use crate::proto::message::{Message, Packet};
use std::net::SocketAddr;
use uuid::Uuid;

/// Opens a circuit, if the code, the session and the agent belong together here. If not: silence.
pub(super) fn use_circuit_code(region: &mut Region, packet: &Packet<'_>, from: SocketAddr) {
    let Some((code, session, agent)) = circuit_code(packet) else { return };
    let world = region.shared.world();
    if !world.admits(region.index, agent, session, code) {
        return;
    }
    let Some(presence) = world.presence(agent) else { return };
    // The session's own values: what came was compared with them just above.
    let (code, session) = (presence.circuit_code, presence.session_id);
    let child = presence.root != region.index;
    let place = world.places[region.index].clone();
    drop(world);
    region.circuits.open(from, agent, session, code);
    region.circuits.handle(from, packet);
    region.circuits.flush_acks(from);
    if child {
        let handshake = messages::region_handshake(&region.shared.template, &place);
        region.circuits.send(from, &handshake, true);
    } else if region.shared.config.faults.has(Policy::ArrivesUnasked) {
        complete_movement(region, from, agent);
    }
}

/// Handles the messages of arriving and leaving; whether it was one.
pub(super) fn dispatch(region: &mut Region, from: SocketAddr, message: &Message) -> bool {
    let Some(client) = region.circuits.client(from) else { return true };
    let (agent, session, code) = (client.agent, client.session, client.code);
    match message.name() {
        "CompleteAgentMovement" => {
            if message.u32("AgentData", "CircuitCode") == Some(code) {
                complete_movement(region, from, agent);
            }
        }
        "RegionHandshakeReply" => {
            let mut world = region.shared.world();
            let here = world.presence_mut(agent).and_then(|p| p.agents.get_mut(&region.index));
            if let Some(here) = here {
                here.handshake_replied = true;
            }
            let opened = world.open_world(agent, region.index);
            drop(world);
            if opened {
                inworld::show_world(region, agent);
            }
        }
        "LogoutRequest" => log_out(region, from, agent, session),
        _ => return false,
    }
    true
}

fn complete_movement(region: &mut Region, from: SocketAddr, agent: Uuid) {
    let shared = region.shared.clone();
    let template = &shared.template;
    let mut world = shared.world();
    let place = world.places[region.index].clone();
    let Some(presence) = world.presence_mut(agent) else { return };
    let here = std::mem::replace(&mut presence.arrived, true);
    let again = here && !shared.config.faults.has(Policy::ArrivesTwice);
    if presence.root != region.index || again {
        return;
    }
    let arrival = [
        messages::region_handshake(template, &place),
        messages::movement_complete(template, presence, &place),
        messages::avatar(template, presence, &place),
        messages::agent_data(template, presence),
    ];
    let avatar = arrival[2].clone();
    let opened = world.open_world(agent, region.index);
    drop(world);
    arrival.iter().for_each(|message| region.circuits.send(from, message, true));
    inworld::tell_others(region, agent, &avatar);
    inworld::tell_where(region);
    if opened {
        inworld::show_world(region, agent);
    }
}

fn log_out(region: &mut Region, from: SocketAddr, agent: Uuid, session: Uuid) {
    let shared = region.shared.clone();
    let mut world = shared.world();
    let regions = world.end(agent);
    drop(world);
    shared.log("an avatar logged out");
    let reply = messages::logout_reply(&shared.template, agent, session);
    region.circuits.send(from, &reply, true);
    region.leave(agent);
    region.circuits.close(from);
    for other in regions.into_iter().filter(|r| *r != region.index) {
        shared.order(other, Order::Close(agent));
    }
}
