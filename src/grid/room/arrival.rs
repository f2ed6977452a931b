//! From the first datagram to an avatar in the world, and out again.

use crate::grid::core::{Core, Happened, Place, RoomDef, Sender, messages};
use crate::grid::misbehaviour::misbehaviours;
use crate::proto::id::AgentId;
use crate::proto::message::{Field, FieldValue, Message};
use crate::proto::teleport::flags;
use crate::proto::template::Template;

misbehaviours! {
    ArrivesUnasked "arrives-unasked" "The avatar arrives without CompleteAgentMovement.",
    ArrivesTwice "arrives-twice" "Every CompleteAgentMovement is answered.",
    StaysAfterLogout "stays-after-logout" "A circuit goes on as if there had been no logout.",
    IgnoresChildren "ignores-children" "A child agent is not greeted.",
    NoGates "no-gates" "Other avatars are shown to whoever has arrived, asked or not.",
    AnyMovementCode "any-movement-code" "CompleteAgentMovement moves whatever code it has.",
    ArrivesAsChild "arrives-as-child" "A child agent arrives where it has no avatar.",
    KeepsChildren "keeps-children" "Child agents outlive their session.",
    RestartsOnCode "restarts-on-code" "UseCircuitCode on a running circuit ends it.",
    NeedsHandshakeReply "needs-handshake-reply" "The avatar arrives only after RegionHandshakeReply.",
    LeavesWithoutAck "leaves-without-ack" "LogoutRequest is carried out and not acknowledged.",
    SaysFarewellTwice "says-farewell-twice" "LogoutReply comes twice, each with its own number.",
    KicksWhoLeaves "kicks-who-leaves" "Whoever logs out is thrown out behind LogoutReply.",
    TellsArrivalTwice "tells-arrival-twice" "An arrival is told twice.",
    FatDatagrams "fat-datagrams" "A datagram is larger than any path carries in one piece.",
    ShowsWorldAgain "shows-world-again" "Every RegionHandshakeReply shows the world anew.",
    GreetsTwice "greets-twice" "RegionHandshake comes twice.",
    FinishesByUdp "finishes-by-udp" "TeleportFinish comes by UDP, unasked.",
    EnablesByUdp "enables-by-udp" "EnableSimulator comes by UDP, for a region that is no neighbour.",
    DisablesNeighbours "disables-neighbours" "A child agent's circuit is closed as soon as it stands.",
    DisablesRoot "disables-root" "A root agent's circuit is closed as soon as it stands.",
}

pub(super) const ROOM: RoomDef = RoomDef {
    messages: &[
        ("UseCircuitCode", code_again),
        ("CompleteAgentMovement", asked_to_arrive),
        ("RegionHandshakeReply", handshake_reply),
        ("LogoutRequest", log_out),
    ],
    misbehaviours: Own::ALL,
    happened,
    ..RoomDef::named("arrival")
};

fn happened(core: &mut Core, what: &Happened) {
    let Happened::CircuitOpened(from, child) = what else { return };
    match child {
        true if core.breaks(Own::IgnoresChildren) => {}
        true => {
            send_region_handshake(core, from);
            if core.breaks(Own::ArrivesAsChild) {
                arrive(core, from);
            }
        }
        false if core.breaks(Own::ArrivesUnasked) => arrive(core, from),
        false => {}
    }
}

/// A circuit that is open is not opened again.
fn code_again(core: &mut Core, from: &Sender, _: &Message) {
    if core.breaks(Own::RestartsOnCode) {
        core.disable(from.region, from.agent);
    }
}

fn asked_to_arrive(core: &mut Core, from: &Sender, message: &Message) {
    let right = message.u32("AgentData", "CircuitCode") == Some(from.circuit_code.0);
    if !right && !core.breaks(Own::AnyMovementCode) {
        return;
    }
    match core.breaks(Own::NeedsHandshakeReply) {
        true => send_region_handshake(core, from),
        false => arrive(core, from),
    }
}

fn handshake_reply(core: &mut Core, from: &Sender, _: &Message) {
    if core.breaks(Own::NeedsHandshakeReply) {
        arrive(core, from);
    }
    let here = core.world.presence_mut(from.agent).and_then(|p| p.agents.get_mut(&from.region));
    let first = here.is_some_and(|h| !std::mem::replace(&mut h.handshake_replied, true));
    let opened = core.world.start_scene(from.agent, from.region);
    if first {
        settled(core, from);
    }
    if opened || core.breaks(Own::ShowsWorldAgain) {
        core.happened(&Happened::SceneOpen(from.agent, from.region));
    }
}

/// Says who the region is.
fn send_region_handshake(core: &mut Core, to: &Sender) {
    let handshake = messages::region_handshake(&core.template, &core.world.places[to.region.0]);
    core.reply(to, &handshake);
}

/// The avatar arrives, if it is expected here and not here already.
fn arrive(core: &mut Core, from: &Sender) {
    let (agent, region, time) = (from.agent, from.region, core.time());
    let place = core.world.places[region.0].clone();
    let landing = core.world.complete_transfer(agent, region);
    let Some(presence) = core.world.presence_mut(agent) else { return };
    let here = std::mem::replace(&mut presence.arrived, true);
    let barred = match presence.root == Some(region) {
        true => here && landing.is_none() && !core.faults.breaks(Own::ArrivesTwice),
        false => !core.faults.breaks(Own::ArrivesAsChild),
    };
    if barred {
        return;
    }
    let mut arrival = [
        messages::region_handshake(&core.template, &place),
        messages::movement_complete(&core.template, presence, &place, time),
        messages::avatar(&core.template, presence, &place),
        messages::agent_data(&core.template, presence),
    ];
    let opened = core.world.start_scene(agent, region);
    if core.breaks(Own::FatDatagrams) {
        let novel = FieldValue::text(&"x".repeat(2000));
        arrival[1] = arrival[1].clone().with("SimData", "ChannelVersion", novel);
    }
    arrival.iter().for_each(|message| core.reply(from, message));
    if core.breaks(Own::GreetsTwice) {
        core.reply(from, &arrival[0]);
    }
    if core.breaks(Own::TellsArrivalTwice) {
        core.reply(from, &arrival[1]);
    }
    core.happened(&Happened::Arrived(agent, region, landing.is_some()));
    if let Some(landing) = landing {
        core.leave_behind(agent, &landing);
    }
    if opened || core.breaks(Own::NoGates) {
        core.happened(&Happened::SceneOpen(agent, region));
    }
}

fn log_out(core: &mut Core, from: &Sender, _: &Message) {
    let (agent, region) = (from.agent, from.region);
    let regions = core.end(agent);
    tracing::info!("an avatar logged out");
    if core.breaks(Own::LeavesWithoutAck) {
        core.circuits[region.0].withhold(from.address, from.sequence);
    }
    let reply = messages::logout_reply(&core.template, agent, from.session);
    core.reply(from, &reply);
    if core.breaks(Own::SaysFarewellTwice) {
        core.reply(from, &reply);
    }
    if core.breaks(Own::KicksWhoLeaves) {
        let kick = messages::kick(&core.template, agent, from.session, "you have left");
        core.reply(from, &kick);
    }
    core.happened(&Happened::Left(agent, region));
    if !core.breaks(Own::StaysAfterLogout) {
        core.circuits[region.0].close(core.now, from.address);
    }
    if !core.breaks(Own::KeepsChildren) {
        let others = regions.into_iter().filter(|other| *other != region);
        others.for_each(|other| core.close(other, agent));
    }
}

/// A visitor has answered RegionHandshake here for the first time.
fn settled(core: &mut Core, from: &Sender) {
    let (agent, region) = (from.agent, from.region);
    let Some(presence) = core.world.presence(agent) else { return };
    if presence.root != Some(region) {
        if core.breaks(Own::DisablesNeighbours) {
            core.disable(region, agent);
        }
        return;
    }
    if let Some(place) = core.world.elsewhere(agent).cloned() {
        if core.breaks(Own::FinishesByUdp) {
            let finish = finish(&core.template, agent, &place, &core.world.url("nowhere"));
            core.reply(from, &finish);
        }
        if core.breaks(Own::EnablesByUdp) {
            let enable = enable(&core.template, &place);
            core.reply(from, &enable);
        }
    }
    if core.breaks(Own::DisablesRoot) {
        core.end_and_close(agent);
    }
}

fn finish(template: &Template, agent: AgentId, place: &Place, seed: &str) -> Message {
    Message::named(template, "TeleportFinish")
        .with("Info", "AgentID", Field::Uuid(agent.0))
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

#[cfg(test)]
mod tests {
    use crate::grid::bench::Bench;
    use std::time::Duration;

    #[test]
    fn an_avatar_arrives_once_and_a_wrong_code_moves_nobody() {
        let mut bench = Bench::new(&[]);
        let jane = bench.log_in(0);
        bench.connect(jane, 0);
        let code = bench.viewers[jane].code;
        bench.viewers[jane].code = code + 1;
        bench.arrive(jane, 0);
        assert_eq!(bench.names(jane, 0), [""; 0]);
        bench.viewers[jane].code = code;
        bench.arrive(jane, 0);
        let own = ["RegionHandshake", "AgentMovementComplete", "ObjectUpdate", "AgentDataUpdate"];
        assert_eq!(bench.names(jane, 0), own);
        bench.arrive(jane, 0);
        assert_eq!(bench.names(jane, 0), [""; 0]);
    }

    #[test]
    fn a_session_that_opens_no_circuit_does_not_bar_the_next_login() {
        let mut bench = Bench::new(&[]);
        bench.log_in(0);
        assert_eq!(bench.core.world.population(), 1);
        bench.pass(Duration::from_secs(59));
        assert_eq!(bench.core.world.population(), 1);
        bench.pass(Duration::from_secs(2));
        assert_eq!(bench.core.world.population(), 0);
    }

    #[test]
    fn who_logs_out_is_answered_and_gone_for_the_others() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        let out = bench.message(jane, "LogoutRequest");
        bench.say(jane, 0, &out);
        assert_eq!(bench.names(jane, 0).last().map(String::as_str), Some("LogoutReply"));
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.names(john, 0), ["KillObject"]);
        assert_eq!(bench.core.world.population(), 1);
    }

    #[test]
    fn who_is_silent_for_too_long_is_gone() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        bench.viewers.remove(jane);
        bench.pass(Duration::from_secs(600));
        assert_eq!(bench.core.world.population(), 0);
        assert_eq!(bench.core.notices.mistakes(), [""; 0]);
    }
}
