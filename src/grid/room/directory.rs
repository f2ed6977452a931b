//! What viewers ask about: names, places, the region, themselves.

use crate::grid::core::{Core, Place, RoomDef, Sender, messages};
use crate::proto::id::AgentId;
use crate::proto::message::{Field, FieldValue, Message};

pub(super) const ROOM: RoomDef = RoomDef {
    messages: &[
        ("UUIDNameRequest", names),
        ("MapBlockRequest", map_by_place),
        ("MapNameRequest", map_by_name),
        ("RequestRegionInfo", region_info),
        ("AgentDataUpdateRequest", agent_data),
        ("AgentWearablesRequest", wearables),
        ("MoneyBalanceRequest", balance),
    ],
    ..RoomDef::named("directory")
};

fn names(core: &mut Core, from: &Sender, message: &Message) {
    let mut reply = Message::named(&core.template, "UUIDNameReply");
    for fields in message.blocks.first().into_iter().flatten() {
        let Some(Field::Uuid(id)) = fields.first() else { continue };
        if let Some((first, last)) = core.world.name_of(AgentId(*id)) {
            reply = reply
                .with_block("UUIDNameBlock")
                .with("UUIDNameBlock", "ID", Field::Uuid(*id))
                .with("UUIDNameBlock", "FirstName", FieldValue::text(&first))
                .with("UUIDNameBlock", "LastName", FieldValue::text(&last));
        }
    }
    if reply.blocks.first().is_some_and(|block| !block.is_empty()) {
        core.reply(from, &reply);
    }
}

fn map_by_place(core: &mut Core, from: &Sender, message: &Message) {
    let bound = |name| message.u32("PositionData", name).unwrap_or_default();
    let (x, y) = (bound("MinX")..=bound("MaxX"), bound("MinY")..=bound("MaxY"));
    map_blocks(core, from, |place| x.contains(&place.x) && y.contains(&place.y));
}

fn map_by_name(core: &mut Core, from: &Sender, message: &Message) {
    let name = message.text("NameData", "Name").unwrap_or_default().to_lowercase();
    map_blocks(core, from, |place| place.name.to_lowercase().starts_with(&name));
}

/// A region's place as the map tells it, which ends at its last.
fn of_the_map(place: u32) -> FieldValue {
    Field::U16(place.try_into().unwrap_or(u16::MAX))
}

fn map_blocks(core: &mut Core, from: &Sender, wanted: impl Fn(&Place) -> bool) {
    let mut reply = Message::named(&core.template, "MapBlockReply").with(
        "AgentData",
        "AgentID",
        Field::Uuid(from.agent.0),
    );
    for place in core.world.places.iter().filter(|place| wanted(place)) {
        reply = reply
            .with_block("Data")
            .with("Data", "X", of_the_map(place.x))
            .with("Data", "Y", of_the_map(place.y))
            .with("Data", "Name", FieldValue::text(&place.name))
            .with("Data", "Access", Field::U8(13))
            .with("Data", "WaterHeight", Field::U8(20));
    }
    core.reply(from, &reply);
}

fn region_info(core: &mut Core, from: &Sender, _: &Message) {
    let place = &core.world.places[from.region.0];
    let reply = Message::named(&core.template, "RegionInfo")
        .with("AgentData", "AgentID", Field::Uuid(from.agent.0))
        .with("AgentData", "SessionID", Field::Uuid(from.session.0))
        .with("RegionInfo", "SimName", FieldValue::text(&place.name))
        .with("RegionInfo", "EstateID", Field::U32(1))
        .with("RegionInfo", "SimAccess", Field::U8(13))
        .with("RegionInfo", "MaxAgents", Field::U8(100))
        .with("RegionInfo", "BillableFactor", Field::F32(1.0))
        .with("RegionInfo", "ObjectBonusFactor", Field::F32(1.0))
        .with("RegionInfo", "WaterHeight", Field::F32(20.0))
        .with("RegionInfo2", "ProductName", FieldValue::text("gridproof"));
    core.reply(from, &reply);
}

fn agent_data(core: &mut Core, from: &Sender, _: &Message) {
    let presence = core.world.presence(from.agent);
    if let Some(reply) = presence.map(|p| messages::agent_data(&core.template, p)) {
        core.reply(from, &reply);
    }
}

/// Nobody wears anything here.
fn wearables(core: &mut Core, from: &Sender, _: &Message) {
    let reply = Message::named(&core.template, "AgentWearablesUpdate")
        .with("AgentData", "AgentID", Field::Uuid(from.agent.0))
        .with("AgentData", "SessionID", Field::Uuid(from.session.0))
        .with("AgentData", "SerialNum", Field::U32(1));
    core.reply(from, &reply);
}

/// Nobody has any money here.
fn balance(core: &mut Core, from: &Sender, _: &Message) {
    let reply = Message::named(&core.template, "MoneyBalanceReply")
        .with("MoneyData", "AgentID", Field::Uuid(from.agent.0))
        .with("MoneyData", "TransactionSuccess", Field::Bool(true));
    core.reply(from, &reply);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;
    use uuid::Uuid;

    #[test]
    fn names_are_told_of_accounts_and_of_nobody_else() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        bench.heard(jane, 0);
        let (known, strange) = (bench.viewers[john].agent.0, Uuid::from_u128(99));
        let ask = |ids: &[Uuid]| {
            let ask =
                Message::named(crate::proto::template::Template::shipped(), "UUIDNameRequest");
            ids.iter().fold(ask, |ask, id| {
                ask.with_block("UUIDNameBlock").with("UUIDNameBlock", "ID", Field::Uuid(*id))
            })
        };
        bench.say(jane, 0, &ask(&[known, strange]));
        let told = bench.heard(jane, 0);
        let told = told.iter().find(|told| told.name() == "UUIDNameReply").unwrap();
        let ids: Vec<Uuid> = told.rows("UUIDNameBlock").map(|row| row.id("ID")).collect();
        assert_eq!(ids, [known]);
        bench.say(jane, 0, &ask(&[strange]));
        assert_eq!(bench.names(jane, 0), [""; 0]);
    }

    #[test]
    fn the_map_is_asked_by_place_and_by_the_beginning_of_a_name() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let place = bench.core.world.places[1].clone();
        let begun = place.name[..2].to_uppercase();
        let by_name = bench.message(jane, "MapNameRequest");
        let by_name = by_name.with("NameData", "Name", FieldValue::text(&begun));
        let bounds = [("MinX", place.x), ("MaxX", place.x), ("MinY", place.y), ("MaxY", place.y)];
        let by_place =
            bounds.iter().fold(bench.message(jane, "MapBlockRequest"), |ask, (name, at)| {
                ask.with("PositionData", name, of_the_map(*at))
            });
        for ask in [by_name, by_place] {
            bench.heard(jane, 0);
            bench.say(jane, 0, &ask);
            let told = bench.heard(jane, 0);
            let reply = told.iter().find(|told| told.name() == "MapBlockReply").unwrap();
            let names: Vec<_> = reply.rows("Data").map(|row| row.text("Name")).collect();
            assert_eq!(names, std::slice::from_ref(&place.name), "{}", ask.name());
        }
    }
}
