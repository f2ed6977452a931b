//! Teleport: what viewers ask, and what they are told.

use crate::grid::core::{Core, Happened, RoomDef, Sender, Target, messages, standing};
use crate::grid::misbehaviour::misbehaviours;
use crate::net::tap::RegionIndex;
use crate::proto::event_queue::Event;
use crate::proto::id::AgentId;
use crate::proto::llsd::Llsd;
use crate::proto::message::{Field, FieldValue, Message};
use crate::proto::teleport::{LURE_MESSAGE, Landmark, flags};
use std::collections::BTreeMap;
use uuid::Uuid;

misbehaviours! {
    CancelStrands "cancel-strands" "Whoever cancels a teleport too late arrives nowhere.",
    IgnoresHome "ignores-home" "Nobody goes home, and nobody is told.",
    FailsAfterFinish "fails-after-finish" "A teleport that ends is told to have failed as well.",
    FailsByMessage "fails-by-message" "A teleport that ends is told by UDP to have failed as well.",
    FailsAfterLocal "fails-after-local" "A teleport within the region that ends is told to have failed as well.",
}

pub(super) const ROOM: RoomDef = RoomDef {
    messages: &[
        ("TeleportLocationRequest", |core, from, message| {
            let wanted = by_location(core, message);
            teleport(core, from, wanted);
        }),
        ("TeleportLandmarkRequest", to_landmark),
        ("TeleportLureRequest", |core, from, message| {
            let wanted = by_lure(core, from.agent, message);
            teleport(core, from, wanted);
        }),
        ("StartLure", invite),
        ("TeleportCancel", |core, from, _| cancel(core, from)),
    ],
    misbehaviours: Own::ALL,
    happened,
    ..RoomDef::named("teleport")
};

/// Who was invited where, by the guest and the lure's id.
#[derive(Default)]
struct Lures(BTreeMap<(AgentId, Uuid), (RegionIndex, [f32; 3])>);

fn happened(core: &mut Core, what: &Happened) {
    if let Happened::Ended(agent) = what {
        core.states.of::<Lures>().0.retain(|(guest, _), _| guest != agent);
    }
}

/// Why a teleport does not happen, as viewers show it.
mod reason {
    pub(super) const NO_REGION: &str = "The region you tried to teleport to was not found";
    pub(super) const IN_TRANSIT: &str = "Agent is already in transit.";
    pub(super) const NO_LANDMARK: &str = "Could not find the landmark asset data";
    pub(super) const NO_LANDMARK_REGION: &str = "Landmark region not found";
    pub(super) const NO_LURE: &str = "The teleport offer is not for you, or is no longer open.";
    pub(super) const CLOSED: &str = "Access denied: that region takes no visitors.";
    pub(super) const UNCALLED: &str = "The region still waits for your viewer to call.";
    pub(super) const CANCELLED: &str = "The teleport was cancelled.";
    pub(super) const NO_ARRIVAL: &str = "Connection between viewer and destination region could not be \
                                  established.";
}

type Wanted = Result<Target, &'static str>;

/// Moves an avatar, or says why not. A child agent has no avatar here to move.
fn teleport(core: &mut Core, from: &Sender, wanted: Wanted) {
    let stands_here = core.world.presence(from.agent).is_some_and(|p| p.stands_in(from.region));
    if stands_here && let Err(reason) = wanted.and_then(|target| go(core, from, target)) {
        fail(core, from, reason);
    }
}

fn vector(message: &Message, block: &str, field: &str) -> [f32; 3] {
    match message.field(block, field) {
        Some(Field::Vector3(v)) => *v,
        _ => [0.0; 3],
    }
}

fn by_location(core: &Core, message: &Message) -> Wanted {
    let Some(Field::U64(handle)) = message.field("Info", "RegionHandle") else {
        return Err(reason::NO_REGION);
    };
    let position = vector(message, "Info", "Position");
    let (region, position) = core.world.locate(*handle, position).ok_or(reason::NO_REGION)?;
    let look_at = vector(message, "Info", "LookAt");
    Ok(Target { region, position, look_at, flags: flags::VIA_LOCATION })
}

fn to_landmark(core: &mut Core, from: &Sender, message: &Message) {
    let landmark = message.uuid("Info", "LandmarkID").unwrap_or_default();
    if !landmark.is_nil() || !core.breaks(Own::IgnoresHome) {
        let wanted = by_landmark(core, from.agent, landmark);
        teleport(core, from, wanted);
    }
}

/// A landmark by its asset; the null id is home.
fn by_landmark(core: &Core, agent: AgentId, landmark: Uuid) -> Wanted {
    let look_at = [1.0, 0.0, 0.0];
    if landmark.is_nil() {
        let (region, position) = core.world.home(agent);
        return Ok(Target { region, position, look_at, flags: flags::SET_LAST | flags::VIA_HOME });
    }
    let asset = core.inventories.asset(landmark);
    let text = asset.and_then(|asset| String::from_utf8(asset.bytes.to_vec()).ok());
    let landmark = text.and_then(|text| Landmark::parse(&text)).ok_or(reason::NO_LANDMARK)?;
    let region = core.world.region_of(&landmark).ok_or(reason::NO_LANDMARK_REGION)?;
    let position = landmark.position;
    Ok(Target { region, position, look_at, flags: flags::SET_LAST | flags::VIA_LANDMARK })
}

fn by_lure(core: &mut Core, agent: AgentId, message: &Message) -> Wanted {
    let lure = message.uuid("Info", "LureID").unwrap_or_default();
    let found = core.states.of::<Lures>().0.remove(&(agent, lure));
    let (region, position) = found.ok_or(reason::NO_LURE)?;
    Ok(Target { region, position, look_at: [1.0, 0.0, 0.0], flags: flags::VIA_LURE })
}

/// Invites others to where the avatar stands, by an instant message whose id is the lure's.
fn invite(core: &mut Core, from: &Sender, message: &Message) {
    /// Nobody is invited to more places at once.
    const MOST: usize = 100;
    let text = message.text("Info", "Message").unwrap_or_default();
    for guest in message.rows("TargetData").map(|row| row.id("TargetID")).take(100) {
        let host = core.world.presence(from.agent).filter(|p| p.arrived);
        let Some((host, root)) = host.and_then(|host| Some((host, host.root?))) else { return };
        let (position, name) = (host.position, host.name());
        let lures = &mut core.states.of::<Lures>().0;
        let invited = lures.keys().filter(|(invited, _)| *invited == AgentId(guest)).count();
        if core.world.presence(AgentId(guest)).is_none() || invited >= MOST {
            continue;
        }
        let lure = core.chance.uuid();
        lures.insert((AgentId(guest), lure), (root, position));
        let place = core.world.places[from.region.0].id();
        let invitation = Message::named(&core.template, "ImprovedInstantMessage")
            .with("AgentData", "AgentID", Field::Uuid(from.agent.0))
            .with("MessageBlock", "ToAgentID", Field::Uuid(guest))
            .with("MessageBlock", "RegionID", Field::Uuid(place))
            .with("MessageBlock", "Position", Field::Vector3(position))
            .with("MessageBlock", "Dialog", Field::U8(LURE_MESSAGE))
            .with("MessageBlock", "ID", Field::Uuid(lure))
            .with("MessageBlock", "FromAgentName", FieldValue::text(&name))
            .with("MessageBlock", "Message", FieldValue::text(&text));
        core.deliver(AgentId(guest), &invitation);
    }
}

/// Moves an avatar within its region, or starts it on its way to another.
fn go(core: &mut Core, from: &Sender, target: Target) -> Result<(), &'static str> {
    let target = standing(target);
    if core.world.is_in_transit(from.agent) {
        return Err(reason::IN_TRANSIT);
    }
    let start = Message::named(&core.template, "TeleportStart").with(
        "Info",
        "TeleportFlags",
        Field::U32(target.flags),
    );
    if target.region == from.region {
        let presence = core.world.presence_mut(from.agent).ok_or(reason::NO_REGION)?;
        (presence.position, presence.look_at) = (target.position, target.look_at);
        (presence.sitting, presence.walking) = (false, None);
        let presence = core.world.presence(from.agent).ok_or(reason::NO_REGION)?;
        let place = &core.world.places[from.region.0];
        let moved = messages::avatar(&core.template, presence, place);
        core.reply(from, &start);
        let local = messages::teleport_local(&core.template, from.agent, &target);
        core.reply(from, &local);
        if core.breaks(Own::FailsAfterLocal) {
            fail(core, from, reason::NO_ARRIVAL);
        }
        core.send_others(from.region, from.agent, &moved);
        return Ok(());
    }
    if core.world.is_closed(target.region) {
        return Err(reason::CLOSED);
    }
    if core.awaits_call(from.agent) {
        return Err(reason::UNCALLED);
    }
    core.reply(from, &start);
    let failed = messages::teleport_failed(&core.template, from.agent, reason::NO_ARRIVAL);
    if !core.begin_transfer(from.agent, target, false, Some(failed)) {
        return Err(reason::IN_TRANSIT);
    }
    if core.breaks(Own::FailsAfterFinish) {
        let info = [("Reason", Llsd::string(reason::NO_ARRIVAL))];
        let body = Llsd::map([("Info", Llsd::Array(vec![Llsd::map(info)]))]);
        core.tell(from.agent, from.region, Event { message: "TeleportFailed".into(), body });
    }
    if core.breaks(Own::FailsByMessage) {
        fail(core, from, reason::NO_ARRIVAL);
    }
    Ok(())
}

fn fail(core: &mut Core, from: &Sender, reason: &str) {
    let failed = messages::teleport_failed(&core.template, from.agent, reason);
    core.reply(from, &failed);
}

/// A teleport that the viewer has not heard the end of is taken back; a later one goes on.
fn cancel(core: &mut Core, from: &Sender) {
    if let (true, Some(presence)) =
        (core.faults.breaks(Own::CancelStrands), core.world.presence_mut(from.agent))
    {
        presence.transit = None;
        return;
    }
    let recalled = core.world.cancel_transfer(from.agent);
    let given_up = recalled.and_then(|number| core.world.abort_transfer(from.agent, number));
    let Some((_, closed)) = given_up else { return };
    if let Some(closed) = closed {
        core.close(closed, from.agent);
    }
    fail(core, from, reason::CANCELLED);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;
    use std::time::Duration;

    /// Somebody in the world, with the queue of the first region.
    fn traveller(bench: &mut Bench) -> (usize, String) {
        let jane = bench.enter(0);
        let seed = bench.viewers[jane].seed.clone();
        let queue = bench.caps(&seed, &["EventQueueGet"])["EventQueueGet"].clone();
        bench.events(&queue);
        (jane, queue)
    }

    fn request(bench: &Bench, who: usize, to: usize) -> Message {
        bench
            .message(who, "TeleportLocationRequest")
            .with("Info", "RegionHandle", Field::U64(bench.core.world.places[to].handle()))
            .with("Info", "Position", Field::Vector3([10.0, 20.0, 30.0]))
    }

    #[test]
    fn an_avatar_goes_where_its_viewer_follows() {
        let mut bench = Bench::new(&[]);
        let (jane, queue) = traveller(&mut bench);
        let asked = request(&bench, jane, 2);
        bench.say(jane, 0, &asked);
        assert_eq!(bench.names(jane, 0), ["TeleportStart"]);
        assert_eq!(bench.events(&queue), ["TeleportFinish"]);
        bench.connect(jane, 2);
        bench.arrive(jane, 2);
        assert!(bench.names(jane, 2).contains(&"AgentMovementComplete".to_owned()));
        let presence = bench.core.world.presence(bench.viewers[jane].agent).unwrap();
        assert_eq!((presence.root, presence.position), (Some(RegionIndex(2)), [10.0, 20.0, 30.0]));
        // The region left behind is out of view.
        assert!(bench.names(jane, 0).contains(&"DisableSimulator".to_owned()));
    }

    #[test]
    fn who_never_arrives_stays_and_is_told_why() {
        let mut bench = Bench::new(&[]);
        let (jane, _) = traveller(&mut bench);
        let asked = request(&bench, jane, 2);
        bench.say(jane, 0, &asked);
        bench.pass(Duration::from_secs(49));
        assert_eq!(bench.names(jane, 0), ["TeleportStart"]);
        bench.pass(Duration::from_secs(2));
        assert_eq!(bench.names(jane, 0), ["TeleportFailed"]);
    }

    #[test]
    fn one_teleport_at_a_time_and_none_to_where_nothing_is() {
        let mut bench = Bench::new(&[]);
        let (jane, _) = traveller(&mut bench);
        let nowhere = request(&bench, jane, 2).with("Info", "RegionHandle", Field::U64(7));
        bench.say(jane, 0, &nowhere);
        assert_eq!(bench.names(jane, 0), ["TeleportFailed"]);
        let (asked, again) = (request(&bench, jane, 2), request(&bench, jane, 1));
        bench.say(jane, 0, &asked);
        bench.say(jane, 0, &again);
        assert_eq!(bench.names(jane, 0), ["TeleportStart", "TeleportFailed"]);
    }

    #[test]
    fn a_lure_is_for_one_guest_and_one_journey() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        bench.heard(jane, 0);
        let guest = Field::Uuid(bench.viewers[john].agent.0);
        let lure = bench.message(jane, "StartLure").with_block("TargetData").with(
            "TargetData",
            "TargetID",
            guest,
        );
        bench.say(jane, 0, &lure);
        let heard = bench.heard(john, 0);
        let invited = heard.iter().find(|m| m.name() == "ImprovedInstantMessage").unwrap();
        let id = Field::Uuid(invited.uuid("MessageBlock", "ID").unwrap());
        let request = |bench: &Bench, who: usize| {
            let message = Message::named(&bench.core.template, "TeleportLureRequest");
            message
                .with("Info", "AgentID", Field::Uuid(bench.viewers[who].agent.0))
                .with("Info", "SessionID", Field::Uuid(bench.viewers[who].session.0))
                .with("Info", "LureID", id.clone())
        };
        let stolen = request(&bench, jane);
        bench.say(jane, 0, &stolen);
        assert_eq!(bench.names(jane, 0), ["TeleportFailed"]);
        let taken = request(&bench, john);
        bench.say(john, 0, &taken);
        assert_eq!(bench.names(john, 0), ["TeleportStart", "TeleportLocal"]);
        bench.say(john, 0, &taken);
        assert_eq!(bench.names(john, 0), ["TeleportFailed"]);
    }
}
