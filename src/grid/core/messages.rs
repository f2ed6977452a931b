//! The messages a simulator sends, built from the model.

use super::journey::Target;
use super::presence::Presence;
use super::world::Place;
use crate::proto::id::{AgentId, SessionId};
use crate::proto::message::{Field, FieldValue, Message};
use crate::proto::number::whole_u8;
use crate::proto::template::Template;
use uuid::Uuid;

fn id(id: Uuid) -> FieldValue {
    Field::Uuid(id)
}

/// Who the region is and how its ground looks.
pub(in crate::grid) fn region_handshake(template: &Template, place: &Place) -> Message {
    let mut message = Message::named(template, "RegionHandshake")
        .with("RegionInfo", "SimAccess", Field::U8(13))
        .with("RegionInfo", "SimName", FieldValue::text(&place.name))
        .with("RegionInfo", "SimOwner", id(super::world::derived_id("estate owner")))
        .with("RegionInfo", "WaterHeight", Field::F32(20.0))
        .with("RegionInfo", "BillableFactor", Field::F32(1.0))
        .with("RegionInfo", "CacheID", id(super::world::derived_id(&place.name)));
    for corner in ["00", "01", "10", "11"] {
        message = message
            .with("RegionInfo", &format!("TerrainStartHeight{corner}"), Field::F32(10.0))
            .with("RegionInfo", &format!("TerrainHeightRange{corner}"), Field::F32(60.0));
    }
    for n in 0..4 {
        let texture = super::world::derived_id(&format!("terrain {n}"));
        message = message.with("RegionInfo", &format!("TerrainDetail{n}"), id(texture));
    }
    message
        .with("RegionInfo2", "RegionID", id(place.id()))
        .with("RegionInfo3", "CPUClassID", Field::S32(9))
        .with("RegionInfo3", "CPURatio", Field::S32(1))
        .with("RegionInfo3", "ColoName", FieldValue::text(""))
        .with("RegionInfo3", "ProductSKU", FieldValue::text(""))
        .with("RegionInfo3", "ProductName", FieldValue::text("gridproof"))
        .with("RegionInfo4", "RegionProtocols", Field::U64(1 << 63))
}

/// The avatar has arrived here.
pub(in crate::grid) fn movement_complete(
    template: &Template,
    presence: &Presence,
    place: &Place,
    now: jiff::Timestamp,
) -> Message {
    let now = u32::try_from(now.as_second()).unwrap_or(u32::MAX);
    Message::named(template, "AgentMovementComplete")
        .with("AgentData", "AgentID", id(presence.agent_id.0))
        .with("AgentData", "SessionID", id(presence.session_id.0))
        .with("Data", "Position", Field::Vector3(presence.position))
        .with("Data", "LookAt", Field::Vector3(presence.look_at))
        .with("Data", "RegionHandle", Field::U64(place.handle()))
        .with("Data", "Timestamp", Field::U32(now))
        .with("SimData", "ChannelVersion", FieldValue::text("gridproof reference grid"))
}

/// The number by which a region's objects are told apart: it follows from the avatar's id.
pub(in crate::grid) fn local_id(agent: AgentId) -> u32 {
    let bytes = agent.0.as_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) | 1
}

/// An avatar as an object.
pub(in crate::grid) fn avatar(template: &Template, presence: &Presence, place: &Place) -> Message {
    with_avatar(updates(template, place), presence)
}

/// An avatar takes so many bytes beside its name, its zeros coded; and all of a message together no
/// more than any path carries.
const AVATAR_BYTES: usize = 142;
const MOST_BYTES: usize = 1180;

/// Avatars as objects, several in a message; whose each message is.
pub(in crate::grid) fn avatars<'a>(
    template: &Template,
    all: impl Iterator<Item = &'a Presence>,
    place: &Place,
) -> Vec<(Vec<AgentId>, Message)> {
    let mut messages = Vec::new();
    let (mut agents, mut message, mut left) = (Vec::new(), updates(template, place), MOST_BYTES);
    for presence in all {
        let bytes = AVATAR_BYTES + presence.first.len() + presence.last.len();
        if bytes > left && !agents.is_empty() {
            let full = std::mem::replace(&mut message, updates(template, place));
            messages.push((std::mem::take(&mut agents), full));
            left = MOST_BYTES;
        }
        left = left.saturating_sub(bytes);
        agents.push(presence.agent_id);
        message = with_avatar(message.with_block("ObjectData"), presence);
    }
    if !agents.is_empty() {
        messages.push((agents, message));
    }
    messages
}

fn updates(template: &Template, place: &Place) -> Message {
    Message::named(template, "ObjectUpdate")
        .with("RegionData", "RegionHandle", Field::U64(place.handle()))
        .with("RegionData", "TimeDilation", Field::U16(u16::MAX))
}

/// A small box that stands somewhere else each time it is told of.
pub(in crate::grid) fn restless(template: &Template, place: &Place, n: u16) -> Message {
    const PCODE_VOLUME: u8 = 9;
    const LOCAL_ID: u32 = 77_777;
    let position = [f32::from(n % 256), 128.0, 22.0];
    let still = [0.0f32; 12];
    let motion = position.iter().chain(&still).flat_map(|number| number.to_le_bytes());
    updates(template, place)
        .with_block("ObjectData")
        .with("ObjectData", "ID", Field::U32(LOCAL_ID))
        .with("ObjectData", "FullID", id(Uuid::from_u128(LOCAL_ID.into())))
        .with("ObjectData", "PCode", Field::U8(PCODE_VOLUME))
        .with("ObjectData", "Scale", Field::Vector3([0.5; 3]))
        .with("ObjectData", "ObjectData", Field::Variable(motion.collect()))
        .with("ObjectData", "ExtraParams", Field::Variable(vec![0]))
}

fn with_avatar(update: Message, presence: &Presence) -> Message {
    const PCODE_AVATAR: u8 = 47;
    const MATERIAL_FLESH: u8 = 4;
    let names = format!(
        "FirstName STRING RW SV {}\nLastName STRING RW SV {}\nTitle STRING RW SV ",
        presence.first, presence.last
    );
    // Collision plane, position, velocity, acceleration, rotation, angular velocity.
    let mut motion = Vec::with_capacity(76);
    let plane = [0.0f32, 0.0, 1.0, 0.0];
    let still = [0.0f32; 12];
    for number in plane.iter().chain(&presence.position).chain(&still) {
        motion.extend_from_slice(&number.to_le_bytes());
    }
    update
        .with("ObjectData", "ID", Field::U32(local_id(presence.agent_id)))
        .with("ObjectData", "FullID", id(presence.agent_id.0))
        .with("ObjectData", "PCode", Field::U8(PCODE_AVATAR))
        .with("ObjectData", "Material", Field::U8(MATERIAL_FLESH))
        .with("ObjectData", "Scale", Field::Vector3([0.45, 0.6, 1.9]))
        .with("ObjectData", "ObjectData", Field::Variable(motion))
        .with("ObjectData", "NameValue", FieldValue::text(&names))
        .with("ObjectData", "ExtraParams", Field::Variable(vec![0]))
}

const STAND: Uuid = uuid::uuid!("2408fe9e-df1d-1d7d-f4ff-1384fa7b350f");
const SIT_ON_GROUND: Uuid = uuid::uuid!("1a2bd58e-87ff-0df8-0b4c-53e047b0bb6e");

/// Every animation that an avatar plays now: how it rests, and what its viewer has started.
pub(in crate::grid) fn animations(template: &Template, presence: &Presence) -> Message {
    let rest = if presence.sitting { SIT_ON_GROUND } else { STAND };
    let mut message =
        Message::named(template, "AvatarAnimation").with("Sender", "ID", id(presence.agent_id.0));
    for (n, animation) in (1..).zip(std::iter::once(&rest).chain(&presence.animations)) {
        message = message
            .with_block("AnimationList")
            .with("AnimationList", "AnimID", id(*animation))
            .with("AnimationList", "AnimSequenceID", Field::S32(n));
    }
    message
}

/// Avatars have left.
pub(in crate::grid) fn kill(template: &Template, agents: &[AgentId]) -> Message {
    agents.iter().fold(Message::named(template, "KillObject"), |message, agent| {
        message.with_block("ObjectData").with("ObjectData", "ID", Field::U32(local_id(*agent)))
    })
}

/// Who is where, coarsely; `You` points at the receiver.
pub(in crate::grid) fn coarse(
    template: &Template,
    all: &[(AgentId, [f32; 3])],
    you: AgentId,
) -> Message {
    let at = all.iter().position(|(agent, _)| *agent == you);
    let mut message = Message::named(template, "CoarseLocationUpdate")
        .with("Index", "You", Field::S16(at.and_then(|n| n.try_into().ok()).unwrap_or(-1)))
        .with("Index", "Prey", Field::S16(-1));
    for (agent, [x, y, z]) in all {
        message = message
            .with_block("Location")
            .with("Location", "X", Field::U8(whole_u8(*x)))
            .with("Location", "Y", Field::U8(whole_u8(*y)))
            .with("Location", "Z", Field::U8(whole_u8(*z / 4.0)))
            .with_block("AgentData")
            .with("AgentData", "AgentID", id(agent.0));
    }
    message
}

/// Name, title and group of an avatar: no group here.
pub(in crate::grid) fn agent_data(template: &Template, presence: &Presence) -> Message {
    Message::named(template, "AgentDataUpdate")
        .with("AgentData", "AgentID", id(presence.agent_id.0))
        .with("AgentData", "FirstName", FieldValue::text(&presence.first))
        .with("AgentData", "LastName", FieldValue::text(&presence.last))
        .with("AgentData", "GroupTitle", FieldValue::text(""))
        .with("AgentData", "GroupName", FieldValue::text(""))
}

/// The answer to a logout, with the dummy item real grids put there.
pub(in crate::grid) fn logout_reply(
    template: &Template,
    agent: AgentId,
    session: SessionId,
) -> Message {
    Message::named(template, "LogoutReply")
        .with("AgentData", "AgentID", id(agent.0))
        .with("AgentData", "SessionID", id(session.0))
        .with("InventoryData", "ItemID", id(Uuid::nil()))
}

/// Out with you.
pub(in crate::grid) fn kick(
    template: &Template,
    agent: AgentId,
    session: SessionId,
    reason: &str,
) -> Message {
    Message::named(template, "KickUser")
        .with("UserInfo", "AgentID", id(agent.0))
        .with("UserInfo", "SessionID", id(session.0))
        .with("UserInfo", "Reason", FieldValue::text(reason))
}

/// A teleport within the region is done.
pub(in crate::grid) fn teleport_local(
    template: &Template,
    agent: AgentId,
    target: &Target,
) -> Message {
    Message::named(template, "TeleportLocal")
        .with("Info", "AgentID", id(agent.0))
        .with("Info", "LocationID", Field::U32(2))
        .with("Info", "Position", Field::Vector3(target.position))
        .with("Info", "LookAt", Field::Vector3(target.look_at))
        .with("Info", "TeleportFlags", Field::U32(target.flags))
}

/// A teleport does not happen.
pub(in crate::grid) fn teleport_failed(
    template: &Template,
    agent: AgentId,
    reason: &str,
) -> Message {
    Message::named(template, "TeleportFailed").with("Info", "AgentID", id(agent.0)).with(
        "Info",
        "Reason",
        FieldValue::text(reason),
    )
}

/// Something a viewer shows its user.
pub(in crate::grid) fn alert(template: &Template, text: &str) -> Message {
    Message::named(template, "AlertMessage").with("AlertData", "Message", FieldValue::text(text))
}

/// Where an avatar is now, in the short form: what has not changed is left out.
pub(in crate::grid) fn terse(template: &Template, presence: &Presence, place: &Place) -> Message {
    let mut data = local_id(presence.agent_id).to_le_bytes().to_vec();
    // State; it is an avatar.
    data.extend([0, 1]);
    let plane = [0.0f32, 0.0, 1.0, 0.0];
    for number in plane.iter().chain(&presence.position) {
        data.extend(number.to_le_bytes());
    }
    // Velocity, acceleration, rotation with its w last, angular velocity; 0x7FFF is nothing.
    let still = 0x7FFFu16;
    for n in 0..13 {
        data.extend(if n == 9 { u16::MAX } else { still }.to_le_bytes());
    }
    Message::named(template, "ImprovedTerseObjectUpdate")
        .with("RegionData", "RegionHandle", Field::U64(place.handle()))
        .with("RegionData", "TimeDilation", Field::U16(u16::MAX))
        .with("ObjectData", "Data", Field::Variable(data))
}

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use super::*;
    use crate::grid::{Account, Faults};
    use crate::net::Chance;
    use crate::net::tap::RegionIndex;
    use crate::proto::circuit::Encoded;

    #[test]
    fn avatars_together_fit_into_a_datagram_that_any_path_carries() {
        let place = Place::three().remove(0);
        let long = |n: usize| format!("{}{n}", "Maximiliana".repeat(1 + n % 3));
        let accounts: Vec<Account> = (0..60).map(|n| Account::new(long(n), long(n), "")).collect();
        let (base, faults) = ("http://h/".to_owned(), Faults::default());
        let places = vec![place.clone()];
        let mut world = World::new(accounts.clone(), places, base, faults, Chance::seeded(1));
        for account in accounts {
            let agent = world.agent_of(&account.first, &account.last).unwrap();
            world.begin(agent, "home").unwrap();
            let presence = world.presence_mut(agent).unwrap();
            (presence.arrived, presence.position) = (true, [77.123, 201.456, 23.789]);
        }
        let all = avatars(Template::shipped(), world.others(RegionIndex(0), AgentId::NIL), &place);
        assert_eq!(all.iter().map(|(agents, _)| agents.len()).sum::<usize>(), 60);
        for (agents, message) in all {
            let size = Encoded::new(&message).unwrap().size();
            assert!(size <= 1200, "{} avatars in {size} bytes", agents.len());
        }
    }
}
