//! Walking: an avatar goes on while its viewer holds a key, over a border where there is one.

use crate::grid::core::{Core, Sender, Target, World, messages};
use crate::net::tap::RegionIndex;
use crate::proto::id::AgentId;
use crate::proto::message::{Field, Message};
use std::collections::BTreeSet;
use std::time::Duration;

/// Metres in a second.
const PACE: f32 = 3.2;

/// How often those who walk are moved on.
const STEP: Duration = Duration::from_millis(100);

/// The regions where somebody walks.
#[derive(Default)]
struct Walked(BTreeSet<RegionIndex>);

mod keys {
    pub(super) const AHEAD: u32 = 0x1;
    pub(super) const BACK: u32 = 0x2;
    pub(super) const FLY: u32 = 0x2000;
    pub(super) const AHEAD_NUDGE: u32 = 0x80_0000;
}

/// Heeds the keys of an AgentUpdate that make an avatar walk, stop or fly.
pub(super) fn on_agent_update(core: &mut Core, from: &Sender, update: &Message) {
    let held = update.u32("AgentData", "ControlFlags").unwrap_or_default();
    let rotation = match update.field("AgentData", "BodyRotation") {
        Some(Field::Quaternion(q)) => *q,
        _ => [0.0; 3],
    };
    let way = match held & (keys::AHEAD | keys::AHEAD_NUDGE | keys::BACK) {
        0 => None,
        keys::BACK => Some(ahead(rotation).map(|x| -x)),
        _ => Some(ahead(rotation)),
    };
    let presence = core.world.presence_mut(from.agent).filter(|p| p.stands_in(from.region));
    let Some(presence) = presence else { return };
    presence.flying = held & keys::FLY != 0;
    presence.walking = way.filter(|_| !presence.sitting);
    if presence.walking.is_some() && core.states.of::<Walked>().0.insert(from.region) {
        expect_step(core, from.region);
    }
}

fn expect_step(core: &mut Core, region: RegionIndex) {
    core.after(STEP, "walking", move |core| step(core, region));
}

/// The way a body faces: its rotation applied to east.
fn ahead([x, y, z]: [f32; 3]) -> [f32; 2] {
    let w = (1.0 - (x * x + y * y + z * z)).max(0.0).sqrt();
    let (east, north) = (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z));
    let length = east.hypot(north);
    match length.is_finite() && length > 1e-3 {
        true => [east / length, north / length],
        false => [1.0, 0.0],
    }
}

/// Moves everybody on who walks in a region.
fn step(core: &mut Core, region: RegionIndex) {
    let walkers: Vec<AgentId> = core
        .world
        .others(region, AgentId::NIL)
        .filter(|p| p.walking.is_some() && p.transit.is_none())
        .map(|p| p.agent_id)
        .collect();
    if walkers.is_empty() {
        core.states.of::<Walked>().0.remove(&region);
        return;
    }
    expect_step(core, region);
    for agent in walkers {
        walk(core, region, agent);
    }
}

fn walk(core: &mut Core, region: RegionIndex, agent: AgentId) {
    let place = core.world.places[region.0].clone();
    let Some(presence) = core.world.presence_mut(agent) else { return };
    let way = presence.walking.unwrap_or_default();
    let by = PACE * STEP.as_secs_f32();
    let [x, y, z] = presence.position;
    let next = [x + way[0] * by, y + way[1] * by, z];
    let look_at = [way[0], way[1], 0.0];
    if next[..2].iter().all(|v| (0.0..256.0).contains(v)) {
        (presence.position, presence.look_at) = (next, look_at);
        let moved = messages::terse(&core.template, presence, &place);
        return core.send_others(region, AgentId::NIL, &moved);
    }
    let Some((to, position)) = core.world.region_across_border(agent, next) else {
        return stop(&mut core.world, agent);
    };
    if core.world.is_closed(to) {
        stop(&mut core.world, agent);
        let alert = messages::alert(&core.template, "Access denied");
        return core.send_to(region, agent, &alert);
    }
    core.begin_transfer(agent, Target { region: to, position, look_at, flags: 0 }, true, None);
}

/// There is nothing beyond the border: the avatar stops before it.
fn stop(world: &mut World, agent: AgentId) {
    if let Some(presence) = world.presence_mut(agent) {
        presence.walking = None;
        for at in &mut presence.position[..2] {
            *at = at.clamp(0.5, 255.5);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;

    fn hold(bench: &Bench, who: usize, held: u32) -> Message {
        bench.message(who, "AgentUpdate").with("AgentData", "ControlFlags", Field::U32(held))
    }

    #[test]
    fn an_avatar_walks_while_its_key_is_held_and_others_see_it() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        let agent = bench.viewers[jane].agent;
        let at = |bench: &Bench| bench.core.world.presence(agent).unwrap().position[0];
        let (go, stay) = (hold(&bench, jane, keys::AHEAD), hold(&bench, jane, 0));
        bench.say(jane, 0, &go);
        bench.pass(Duration::from_millis(1050));
        assert!((at(&bench) - 131.2).abs() < 0.01, "{}", at(&bench));
        assert_eq!(bench.names(john, 0), vec!["ImprovedTerseObjectUpdate"; 10]);
        bench.say(jane, 0, &stay);
        bench.pass(Duration::from_secs(1));
        assert!((at(&bench) - 131.2).abs() < 0.01);
        // And on again, after a rest.
        bench.say(jane, 0, &go);
        bench.pass(Duration::from_millis(150));
        assert!(at(&bench) > 131.3);
    }

    #[test]
    fn a_border_without_a_region_behind_it_stops_an_avatar() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let agent = bench.viewers[jane].agent;
        bench.core.world.presence_mut(agent).unwrap().position = [1.0, 128.0, 25.0];
        let back = hold(&bench, jane, keys::BACK);
        bench.say(jane, 0, &back);
        bench.pass(Duration::from_secs(2));
        let presence = bench.core.world.presence(agent).unwrap();
        assert_eq!((presence.position[0], presence.walking), (0.5, None));
    }
}
