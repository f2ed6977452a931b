//! Walking: an avatar goes on while its viewer holds a key, over a border where there is one.

use super::messages;
use super::region::Region;
use super::travel::Target;
use super::{scene, teleport};
use crate::proto::message::{Field, Message};
use std::time::Duration;
use uuid::Uuid;

/// Metres in a second.
const PACE: f32 = 3.2;

/// How often those who walk are moved on.
const STEP: Duration = Duration::from_millis(100);

mod keys {
    pub const AHEAD: u32 = 0x1;
    pub const BACK: u32 = 0x2;
    pub const FLY: u32 = 0x2000;
    pub const AHEAD_NUDGE: u32 = 0x80_0000;
}

/// Heeds the keys of an AgentUpdate that make an avatar walk, stop or fly.
pub(super) fn heed(region: &mut Region, agent: Uuid, update: &Message) {
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
    let mut world = region.shared.world();
    let Some(presence) = world.presence_mut(agent) else { return };
    if presence.root != region.index || !presence.arrived {
        return;
    }
    presence.flying = held & keys::FLY != 0;
    presence.walking = way.filter(|_| !presence.sitting);
    let walks = presence.walking.is_some();
    drop(world);
    if walks && region.next_step.is_none() {
        region.next_step = Some(region.circuits.clock.now() + region.step());
    }
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

impl Region {
    pub(super) fn step(&self) -> Duration {
        STEP / self.shared.config.time_factor.max(1)
    }

    /// Moves everybody on who walks here, if a step is due.
    pub(super) fn walk(&mut self) {
        let now = self.circuits.clock.now();
        if self.next_step.is_none_or(|due| due > now) {
            return;
        }
        let shared = self.shared.clone();
        let mut world = shared.world();
        let walkers: Vec<Uuid> = world
            .others(self.index, Uuid::nil())
            .filter(|p| p.walking.is_some() && p.transit.is_none())
            .map(|p| p.agent_id)
            .collect();
        self.next_step = (!walkers.is_empty()).then(|| now + self.step());
        let (mut moved, mut journeys) = (Vec::new(), Vec::new());
        for agent in walkers {
            let place = world.places[self.index].clone();
            let Some(presence) = world.presence_mut(agent) else { continue };
            let way = presence.walking.unwrap_or_default();
            let by = PACE * STEP.as_secs_f32();
            let [x, y, z] = presence.position;
            let next = [x + way[0] * by, y + way[1] * by, z];
            let look_at = [way[0], way[1], 0.0];
            if next[..2].iter().all(|v| (0.0..256.0).contains(v)) {
                (presence.position, presence.look_at) = (next, look_at);
                moved.push(messages::terse(&shared.template, presence, &place));
                continue;
            }
            let Some((region, position)) = world.beyond(agent, next) else {
                self.stop(&mut world, agent);
                continue;
            };
            if shared.is_closed(region) {
                self.stop(&mut world, agent);
                let alert = messages::alert(&shared.template, "Access denied");
                if let Some((to, _)) = self.circuits.of(agent) {
                    self.circuits.send(to, &alert, true);
                }
                continue;
            }
            let target = Target { region, position, look_at, flags: 0 };
            journeys.extend(world.depart(agent, target, true, false).map(|n| (agent, n)));
        }
        drop(world);
        for message in moved {
            scene::tell_all(self, &message);
        }
        for (agent, number) in journeys {
            teleport::expect_landing(self, agent, number);
        }
    }

    /// There is nothing beyond the border: the avatar stops before it.
    fn stop(&self, world: &mut super::world::World, agent: Uuid) {
        if let Some(presence) = world.presence_mut(agent) {
            presence.walking = None;
            for at in &mut presence.position[..2] {
                *at = at.clamp(0.5, 255.5);
            }
        }
    }
}
