//! How avatars change regions, in the model: a journey begins, lands, or is given up.

use super::capability::Owner;
use super::effect::Happened;
use super::presence::Transit;
use super::world::World;
use super::{Core, Own};
use crate::net::tap::RegionIndex;
use crate::proto::event_queue::Event;
use crate::proto::id::AgentId;
use crate::proto::llsd::Llsd;
use crate::proto::message::Message;
use crate::proto::number::nearest_f32;
use crate::proto::teleport::{
    CrossedRegion, Destination, Landmark, TeleportFinish, corner, flags, handle,
};
use std::time::Duration;

/// The ground is flat and dry; an avatar's middle is this much above it, in metres.
const STANDING: f32 = 23.0;

/// Nobody is higher than this.
const CEILING: f32 = 4096.0;

/// A place to go to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::grid) struct Target {
    pub region: RegionIndex,
    pub position: [f32; 3],
    pub look_at: [f32; 3],
    pub flags: u32,
}

/// What an arrival means for the region left behind and its neighbours.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::grid) struct Landing {
    /// The region the avatar has left.
    pub left: RegionIndex,
    /// Regions that are out of view now.
    pub closed: Vec<RegionIndex>,
}

/// Above the ground, and looking somewhere.
pub(in crate::grid) fn standing(target: Target) -> Target {
    let [x, y, z] = target.position;
    let [ahead, aside, _] = target.look_at;
    let blind = ahead.abs() < 1e-3 && aside.abs() < 1e-3;
    let finite = target.look_at.iter().all(|v| v.is_finite());
    Target {
        position: [x, y, z.clamp(STANDING, CEILING)],
        look_at: if blind || !finite { [1.0, 0.0, 0.0] } else { [ahead, aside, 0.0] },
        ..target
    }
}

/// How a viewer is told where its teleport leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// By TeleportFinish alone.
    Plain,
    /// The destination is announced before, as a neighbour is.
    Announced,
    /// It is announced, and the rest is told on its own event queue.
    There,
    /// It is announced, and the rest is told once the viewer has called there.
    OnceCalled,
}

impl World {
    /// The region that a handle and a position in metres from it lead to, and where in it.
    pub(crate) fn locate(
        &self,
        region: u64,
        position: [f32; 3],
    ) -> Option<(RegionIndex, [f32; 3])> {
        if !position.iter().all(|v| v.is_finite()) {
            return None;
        }
        let (x, y) = corner(region);
        let (x, y) = (f64::from(x) + f64::from(position[0]), f64::from(y) + f64::from(position[1]));
        let found = self.places.iter().position(|place| {
            let (west, south) = place.corner();
            let (dx, dy) = (x - f64::from(west), y - f64::from(south));
            (0.0..256.0).contains(&dx) && (0.0..256.0).contains(&dy)
        });
        let Some(at) = found else {
            let stray = self.faults.breaks(Own::TeleportsAnywhere);
            return stray.then_some((RegionIndex(0), super::world::MIDDLE));
        };
        let (west, south) = self.places[at].corner();
        let inside =
            [nearest_f32(x - f64::from(west)), nearest_f32(y - f64::from(south)), position[2]];
        Some((RegionIndex(at), inside))
    }

    /// Where an avatar stands, as a landmark remembers it.
    pub(crate) fn landmark(&self, agent: AgentId) -> Option<Landmark> {
        let presence = self.presence(agent)?;
        let region = self.places[presence.root?.0].id();
        Some(Landmark { region, position: presence.position })
    }

    /// The region that a landmark names.
    pub(crate) fn region_of(&self, landmark: &Landmark) -> Option<RegionIndex> {
        self.places.iter().position(|place| place.id() == landmark.region).map(RegionIndex)
    }

    /// Whether somebody is under way already.
    pub(crate) fn is_in_transit(&self, agent: AgentId) -> bool {
        let transit = self.presence(agent).is_some_and(|p| p.transit.is_some());
        transit && !self.faults.breaks(Own::TeleportsTwice)
    }

    /// Begins a journey: an agent is made at the destination and the viewer told of it. Its
    /// number; none for somebody who is not there or under way already.
    pub(crate) fn begin_transfer(
        &mut self,
        agent: AgentId,
        target: Target,
        walking: bool,
        telling: Telling,
    ) -> Option<u64> {
        if self.is_in_transit(agent) {
            return None;
        }
        let presence = self.presence(agent).filter(|p| p.arrived)?;
        let forgets = self.faults.breaks(Own::ForgetsFlying);
        let (root, session_id, flying) = (presence.root?, presence.session_id, presence.flying);
        let seed = self.child(agent, target.region)?;
        let place = &self.places[target.region.0];
        let to = Destination {
            agent_id: agent,
            address: place.address,
            handle: place.handle(),
            seed: self.seed_url(&seed).into(),
        };
        let event = match walking {
            true => {
                let (position, look_at) = (target.position, target.look_at);
                CrossedRegion { to, session_id, position, look_at }.to_event()
            }
            false => {
                let flying = if flying && !forgets { flags::IS_FLYING } else { 0 };
                let nameless = self.faults.breaks(Own::NamelessFlags);
                let nameless = if nameless { flags::NAMELESS } else { 0 };
                TeleportFinish { to, flags: target.flags | flying | nameless }.to_event()
            }
        };
        if telling != Telling::Plain {
            self.announce_region(agent, root, target.region);
        }
        let untold = match telling {
            Telling::OnceCalled => Some(event),
            Telling::There => {
                self.tell(agent, target.region, event);
                None
            }
            Telling::Plain | Telling::Announced => {
                if walking && self.faults.breaks(Own::CrossesTwice) {
                    self.tell(agent, root, event.clone());
                }
                self.tell(agent, root, event);
                None
            }
        };
        self.journeys += 1;
        let number = self.journeys;
        let (position, look_at) = (target.position, target.look_at);
        let to = target.region;
        let transit = Transit { number, to, position, look_at, walking, untold };
        self.presence_mut(agent)?.transit = Some(transit);
        Some(number)
    }

    /// The avatar has arrived in a region it was on its way to.
    pub(crate) fn complete_transfer(
        &mut self,
        agent: AgentId,
        region: RegionIndex,
    ) -> Option<Landing> {
        let astray = self.faults.breaks(Own::LandsElsewhere);
        let presence = self.presence_mut(agent)?;
        let transit = presence.transit.take_if(|transit| transit.to == region)?;
        let left = presence.root.replace(region)?;
        presence.position = if astray { [7.0, 7.0, 30.0] } else { transit.position };
        presence.look_at = transit.look_at;
        if !transit.walking {
            (presence.sitting, presence.walking) = (false, None);
        }
        let known: Vec<RegionIndex> = presence.agents.keys().copied().collect();
        if let Some(here) = presence.agents.get_mut(&left) {
            here.announced = false;
        }
        if self.faults.breaks(Own::StaysInBoth) {
            return Some(Landing { left, closed: Vec::new() });
        }
        let here = self.places[region.0].clone();
        let closes = self.faults.breaks(Own::ClosesNeighbours);
        let far = |at: &RegionIndex| *at != region && (closes || !self.places[at.0].touches(&here));
        let closed: Vec<RegionIndex> = known.into_iter().filter(far).collect();
        closed.iter().for_each(|at| self.forget_child(agent, *at));
        if self.faults.breaks(Own::DisablesByEvent) {
            let (message, body) = ("DisableSimulator".to_owned(), Llsd::Undef);
            self.tell(agent, region, Event { message, body });
        }
        self.announce_neighbours(agent, region);
        Some(Landing { left, closed })
    }

    /// Gives a journey up: the region where the avatar stays, and the agent that is to be closed,
    /// if one was made for the journey alone.
    pub(crate) fn abort_transfer(
        &mut self,
        agent: AgentId,
        number: u64,
    ) -> Option<(RegionIndex, Option<RegionIndex>)> {
        let presence = self.presence_mut(agent)?;
        let transit = presence.transit.take_if(|transit| transit.number == number)?;
        let root = presence.root?;
        let near = self.places[root.0].touches(&self.places[transit.to.0]);
        if !near {
            self.forget_child(agent, transit.to);
        }
        Some((root, (!near).then_some(transit.to)))
    }

    /// Takes a teleport back that its viewer has not been told of yet: its number.
    pub(crate) fn cancel_transfer(&mut self, agent: AgentId) -> Option<u64> {
        let presence = self.presence_mut(agent)?;
        let root = presence.root?;
        let transit = presence.transit.as_mut().filter(|t| !t.walking)?;
        let (number, to) = (transit.number, transit.to);
        let untold = transit.untold.take().is_some();
        let mut taken = [root, to]
            .into_iter()
            .map(|region| self.queues.take_back(Owner::AgentIn(agent, region), "TeleportFinish"));
        (untold || taken.any(|taken| taken)).then_some(number)
    }

    /// The regions but the avatar's own that its viewer was told of.
    pub(crate) fn told_of(&self, agent: AgentId) -> Vec<RegionIndex> {
        let Some(presence) = self.presence(agent) else { return Vec::new() };
        let others = presence.agents.keys().filter(|region| presence.root != Some(**region));
        others.copied().collect()
    }

    /// The region next to the one an avatar stands in, at a position beyond the border; and that
    /// position there. None where there is no region, or none that its viewer knows.
    pub(crate) fn region_across_border(
        &self,
        agent: AgentId,
        position: [f32; 3],
    ) -> Option<(RegionIndex, [f32; 3])> {
        let presence = self.presence(agent)?;
        let root = presence.root?;
        let (x, y) = self.places[root.0].corner();
        let Some(found) = self.locate(handle(x, y), position) else {
            let falls = self.faults.breaks(Own::FallsOff);
            // Always the same one: not now one that is open, now one that is closed.
            let other = presence.agents.keys().copied().filter(|at| *at != root).min();
            return other.filter(|_| falls).map(|at| (at, super::world::MIDDLE));
        };
        presence.agents.contains_key(&found.0).then_some(found)
    }
}

impl Core {
    /// Starts an avatar on its way; false for somebody who is not there or under way already. A
    /// viewer that never arrives stays where it was; what it is told then, if anything.
    pub(crate) fn begin_transfer(
        &mut self,
        agent: AgentId,
        target: Target,
        walking: bool,
        failed: Option<Message>,
    ) -> bool {
        const LIMIT: Duration = Duration::from_secs(50);
        let telling = match self.config.announces_destinations {
            _ if walking => Telling::Plain,
            _ if self.breaks(Own::CallsFirst) => Telling::OnceCalled,
            _ if self.breaks(Own::FinishesThere) => Telling::There,
            true => Telling::Announced,
            false => Telling::Plain,
        };
        let Some(number) = self.world.begin_transfer(agent, target, walking, telling) else {
            return false;
        };
        self.tell_once_called(agent, number);
        self.after(LIMIT, "a landing", move |core| {
            let Some((root, closed)) = core.world.abort_transfer(agent, number) else { return };
            if let Some(closed) = closed {
                core.close(closed, agent);
            }
            if let Some(failed) = failed {
                core.send_to(root, agent, &failed);
            }
        });
        true
    }

    /// Tells the end of a teleport that waits for its viewer's call at the destination, once that
    /// has come.
    fn tell_once_called(&mut self, agent: AgentId, number: u64) {
        const AGAIN: Duration = Duration::from_millis(100);
        let Some(presence) = self.world.presence_mut(agent) else { return };
        let Some(root) = presence.root else { return };
        let transit = presence.transit.as_mut().filter(|transit| transit.number == number);
        let Some(transit) = transit.filter(|transit| transit.untold.is_some()) else { return };
        if self.circuits[transit.to.0].of(agent).is_none() {
            self.after(AGAIN, "a call", move |core| core.tell_once_called(agent, number));
        } else if let Some(event) = transit.untold.take() {
            self.world.tell(agent, root, event);
        }
    }

    /// Whether somebody is not let go because their viewer was told of a region and has not called
    /// there.
    pub(crate) fn awaits_call(&self, agent: AgentId) -> bool {
        let uncalled = |region: &RegionIndex| self.circuits[region.0].of(agent).is_none();
        self.world.told_of(agent).iter().any(uncalled) && self.breaks(Own::CallsFirst)
    }

    /// What the region left behind and those out of view have to do.
    pub(crate) fn leave_behind(&mut self, agent: AgentId, landing: &Landing) {
        if self.breaks(Own::StaysInBoth) {
            return;
        }
        self.happened(&Happened::Left(agent, landing.left));
        let forgets = self.breaks(Own::ForgetsNeighbours);
        for closed in landing.closed.iter().filter(|of| !forgets || **of == landing.left) {
            self.disable(*closed, agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::Place;
    use super::*;
    use crate::grid::{Account, Faults};
    use crate::net::Chance;

    fn world() -> (World, AgentId) {
        let places = Place::three();
        let accounts = vec![Account::new("Test", "One", "pw")];
        let mut world =
            World::new(accounts, places, "http://h/".into(), Faults::default(), Chance::default());
        let agent = world.authenticate("Test", "One", "pw").unwrap();
        world.begin(agent, "home").unwrap();
        world.presence_mut(agent).unwrap().arrived = true;
        (world, agent)
    }

    fn to(region: RegionIndex) -> Target {
        Target { region, position: [1.0, 2.0, 30.0], look_at: [1.0, 0.0, 0.0], flags: 16 }
    }

    fn told(world: &mut World, agent: AgentId, region: RegionIndex) -> Vec<String> {
        let taken = world.queues.take(Owner::AgentIn(agent, region));
        taken.map_or(Vec::new(), |t| t.0.events.into_iter().map(|e| e.message).collect())
    }

    #[test]
    fn a_place_is_found_by_any_handle_and_position_that_lead_there() {
        let (world, _) = world();
        let alpha = world.places[0].handle();
        assert_eq!(world.locate(alpha, [1.0, 2.0, 3.0]), Some((RegionIndex(0), [1.0, 2.0, 3.0])));
        assert_eq!(
            world.locate(alpha, [300.0, 2.0, 3.0]),
            Some((RegionIndex(1), [44.0, 2.0, 3.0]))
        );
        assert_eq!(world.locate(alpha, [-1.0, 2.0, 3.0]), None);
        assert_eq!(world.locate(alpha, [f32::NAN, 2.0, 3.0]), None);
        assert_eq!(world.locate(0, [1.0, 2.0, 3.0]), None);
    }

    #[test]
    fn an_avatar_is_in_one_region_before_and_after_a_teleport() {
        let (mut world, agent) = world();
        let number =
            world.begin_transfer(agent, to(RegionIndex(2)), false, Telling::Plain).unwrap();
        assert_eq!(world.begin_transfer(agent, to(RegionIndex(1)), false, Telling::Plain), None);
        assert_eq!(world.presence(agent).unwrap().root, Some(RegionIndex(0)));
        assert_eq!(told(&mut world, agent, RegionIndex(0)), ["TeleportFinish"]);
        assert_eq!(world.complete_transfer(agent, RegionIndex(1)), None);
        assert_eq!(
            world.complete_transfer(agent, RegionIndex(2)),
            Some(Landing { left: RegionIndex(0), closed: vec![RegionIndex(0)] })
        );
        assert_eq!(world.presence(agent).unwrap().root, Some(RegionIndex(2)));
        assert_eq!(world.abort_transfer(agent, number), None);
        let left = |region| world.caps.of(Owner::AgentIn(agent, region)).count();
        assert_eq!([left(RegionIndex(0)), left(RegionIndex(1)), left(RegionIndex(2))], [0, 0, 1]);
    }

    #[test]
    fn a_neighbour_stays_in_view_and_is_not_forgotten_with_the_journey() {
        let (mut world, agent) = world();
        let number =
            world.begin_transfer(agent, to(RegionIndex(1)), false, Telling::Announced).unwrap();
        let names = ["EnableSimulator", "EstablishAgentCommunication", "TeleportFinish"];
        assert_eq!(told(&mut world, agent, RegionIndex(0)), names);
        assert_eq!(world.abort_transfer(agent, number), Some((RegionIndex(0), None)));
        world.begin_transfer(agent, to(RegionIndex(1)), false, Telling::Plain).unwrap();
        assert_eq!(
            world.complete_transfer(agent, RegionIndex(1)),
            Some(Landing { left: RegionIndex(0), closed: vec![] })
        );
    }

    #[test]
    fn what_the_viewer_has_not_heard_of_can_be_recalled() {
        let (mut world, agent) = world();
        let number =
            world.begin_transfer(agent, to(RegionIndex(2)), false, Telling::Plain).unwrap();
        assert_eq!(world.cancel_transfer(agent), Some(number));
        assert_eq!(
            world.abort_transfer(agent, number),
            Some((RegionIndex(0), Some(RegionIndex(2))))
        );
        assert_eq!(told(&mut world, agent, RegionIndex(0)), [""; 0]);
        world.begin_transfer(agent, to(RegionIndex(2)), false, Telling::Plain).unwrap();
        told(&mut world, agent, RegionIndex(0));
        assert_eq!(world.cancel_transfer(agent), None);
    }
}
