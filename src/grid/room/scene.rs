//! What those in a region see of each other: who is there, who came and left, who is where.
//!
//! Who comes and who leaves is told a frame at a time, as simulators do: in a crowd each of a
//! thousand would otherwise be told of each single one.

use crate::grid::core::{Core, Happened, RoomDef, messages};
use crate::grid::misbehaviour::misbehaviours;
use crate::net::tap::RegionIndex;
use crate::proto::id::AgentId;
use std::collections::BTreeMap;
use std::time::Duration;

misbehaviours! {
    LandsUnseen "lands-unseen" "Those who are there are not told of an arrival.",
    Talkative "talkative" "Who stands in a scene is told of an object 300 times a second, for a minute.",
}

pub(super) const ROOM: RoomDef =
    RoomDef { misbehaviours: Own::ALL, happened, ..RoomDef::named("scene") };

/// What the next frame of each region tells.
#[derive(Default)]
struct Scenes(BTreeMap<RegionIndex, Scene>);

#[derive(Debug, Default)]
struct Scene {
    /// Whoever has come since the last frame.
    arrived: Vec<AgentId>,
    /// Whoever has left since.
    left: Vec<AgentId>,
    /// Whoever sees the scene for the first time.
    opened: Vec<AgentId>,
    /// A frame is due.
    frame: bool,
    /// All will be told who is where.
    survey: bool,
}

/// Ten frames a second, a little less than simulators make.
const FRAME: Duration = Duration::from_millis(100);

/// Between two CoarseLocationUpdates. OpenSimulator sends one every fiftieth frame, some 4.5 s.
const SURVEY: Duration = Duration::from_secs(5);

/// So many are told of at most in one CoarseLocationUpdate, as OpenSimulator does.
const MOST_PLACES: usize = 60;

/// So many are told gone in one KillObject.
const MOST_KILLED: usize = 200;

fn happened(core: &mut Core, what: &Happened) {
    match *what {
        Happened::Arrived(agent, region, landed) => {
            if !landed || !core.breaks(Own::LandsUnseen) {
                let scene = scene(core, region);
                scene.left.retain(|left| *left != agent);
                scene.arrived.push(agent);
                expect_frame(core, region);
            }
            let message = messages::coarse(&core.template, &places(core, region), agent);
            core.send_those(region, &[agent], &message, false);
        }
        Happened::SceneOpen(agent, region) => {
            scene(core, region).opened.push(agent);
            expect_frame(core, region);
            let stands = core.world.presence(agent).is_some_and(|p| p.stands_in(region));
            if stands && core.breaks(Own::Talkative) {
                chatter(core, region, agent, 0);
            }
        }
        Happened::Left(agent, region) => {
            let scene = scene(core, region);
            scene.arrived.retain(|arrived| *arrived != agent);
            scene.left.push(agent);
            expect_frame(core, region);
        }
        Happened::CircuitOpened(..) | Happened::Ended(_) => {}
    }
}

fn scene(core: &mut Core, region: RegionIndex) -> &mut Scene {
    core.states.of::<Scenes>().0.entry(region).or_default()
}

fn expect_frame(core: &mut Core, region: RegionIndex) {
    if !std::mem::replace(&mut scene(core, region).frame, true) {
        core.after(FRAME, "the scene", move |core| tell_frame(core, region));
    }
    if !std::mem::replace(&mut scene(core, region).survey, true) {
        expect_survey(core, region);
    }
}

/// Of 300 updates a second for a minute, those of this frame on.
fn chatter(core: &mut Core, region: RegionIndex, agent: AgentId, told: u16) {
    const A_FRAME: u16 = 30;
    const IN_ALL: u16 = 60 * 300;
    if told >= IN_ALL || core.circuits[region.0].of(agent).is_none() {
        return;
    }
    for n in told..told + A_FRAME {
        let update = messages::restless(&core.template, &core.world.places[region.0], n);
        core.send_those(region, &[agent], &update, false);
    }
    core.after(FRAME, "chatter", move |core| chatter(core, region, agent, told + A_FRAME));
}

fn expect_survey(core: &mut Core, region: RegionIndex) {
    core.after(SURVEY, "the survey", move |core| {
        if core.circuits[region.0].agents().is_empty() {
            scene(core, region).survey = false;
            return;
        }
        expect_survey(core, region);
        send_coarse_locations(core, region);
    });
}

/// Tells everybody who has come and who is gone since the last frame, and those who did not see
/// the scene before all of it.
fn tell_frame(core: &mut Core, region: RegionIndex) {
    let Scene { arrived, left, opened, .. } = {
        let scene = scene(core, region);
        std::mem::replace(scene, Scene { survey: scene.survey, ..Scene::default() })
    };
    let (place, template, world) = (&core.world.places[region.0], &core.template, &core.world);
    let all = world.others(region, AgentId::NIL).filter(|_| !opened.is_empty());
    let scene = messages::avatars(template, all, place);
    let here = arrived.iter().filter_map(|agent| world.presence(*agent));
    let updates = messages::avatars(template, here.filter(|p| p.stands_in(region)), place);
    let mut old = core.onlookers(region, AgentId::NIL);
    old.retain(|agent| !opened.contains(agent));
    for (some, updates) in [(opened, scene), (old, updates)] {
        for (agents, update) in &updates {
            // Its own avatar a viewer knows already.
            let others = some.iter().filter(|other| agents[..] != [**other]).copied();
            core.send_those(region, &others.collect::<Vec<_>>(), update, true);
        }
    }
    for (to, gone) in told_gone(&core.circuits[region.0].agents(), &left) {
        for some in gone.chunks(MOST_KILLED) {
            let kill = messages::kill(&core.template, some);
            core.send_those(region, &to, &kill, true);
        }
    }
}

/// Who is told of whom that they are gone: most of all of them; whoever has left and keeps a child
/// agent here, of all but their own.
fn told_gone(here: &[AgentId], left: &[AgentId]) -> Vec<(Vec<AgentId>, Vec<AgentId>)> {
    let (leaving, staying): (Vec<AgentId>, Vec<AgentId>) =
        here.iter().partition(|agent| left.contains(agent));
    let others = leaving.into_iter().map(|own| {
        (vec![own], left.iter().copied().filter(|agent| *agent != own).collect::<Vec<_>>())
    });
    let all = std::iter::once((staying, left.to_vec())).chain(others);
    all.filter(|(to, gone)| !to.is_empty() && !gone.is_empty()).collect()
}

/// Who is where in a region, as far as one message tells.
fn places(core: &Core, region: RegionIndex) -> Vec<(AgentId, [f32; 3])> {
    let all = core.world.others(region, AgentId::NIL).take(MOST_PLACES);
    all.map(|p| (p.agent_id, p.position)).collect()
}

/// Tells everybody here who is where.
fn send_coarse_locations(core: &mut Core, region: RegionIndex) {
    let all = places(core, region);
    let (named, unnamed): (Vec<AgentId>, Vec<AgentId>) = core.circuits[region.0]
        .agents()
        .into_iter()
        .partition(|agent| all.iter().any(|(named, _)| named == agent));
    for agent in named {
        let message = messages::coarse(&core.template, &all, agent);
        core.send_those(region, &[agent], &message, false);
    }
    // Whoever is not among those told is told the same as every other.
    if !unnamed.is_empty() {
        let message = messages::coarse(&core.template, &all, AgentId::NIL);
        core.send_those(region, &unnamed, &message, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_and_still_looks_on_is_told_of_the_others() {
        let [jane, john, jack] = [1, 2, 3].map(|n| AgentId(uuid::Uuid::from_u128(n)));
        assert_eq!(told_gone(&[jane, john], &[]), []);
        assert_eq!(told_gone(&[jane], &[jane]), []);
        assert_eq!(told_gone(&[jane, jack], &[john]), [(vec![jane, jack], vec![john])]);
        // Both went next door in one frame, and keep a child agent here.
        assert_eq!(
            told_gone(&[jane, john, jack], &[jane, john]),
            [(vec![jack], vec![jane, john]), (vec![jane], vec![john]), (vec![john], vec![jane])]
        );
    }
}
