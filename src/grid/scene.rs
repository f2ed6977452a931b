//! What those in a region see of each other: who is there, who came and left, who is where.
//!
//! Who comes and who leaves is told a frame at a time, as simulators do: in a crowd each of a
//! thousand would otherwise be told of each single one.

use super::messages;
use super::region::Region;
use crate::proto::message::Message;
use std::net::SocketAddr;
use std::time::Duration;
use uuid::Uuid;

/// What the next frame tells, and when frames are due.
#[derive(Debug, Default)]
pub(super) struct Scene {
    /// Whoever has come since the last frame.
    arrived: Vec<Uuid>,
    /// Whoever has left since.
    left: Vec<Uuid>,
    /// Whoever sees the scene for the first time.
    opened: Vec<Uuid>,
    frame: Option<Duration>,
    /// When all are told next who is where.
    survey: Option<Duration>,
}

/// Ten frames a second, a little less than simulators make.
const FRAME: Duration = Duration::from_millis(100);

/// Between two CoarseLocationUpdates. OpenSimulator sends one every fiftieth frame, some 4.5 s.
const SURVEY: Duration = Duration::from_secs(5);

/// So many are told of at most in one CoarseLocationUpdate, as OpenSimulator does.
const MOST_PLACES: usize = 60;

impl Region {
    /// When the scene has something to tell next.
    pub(super) fn scene_due(&self) -> Option<Duration> {
        self.scene.frame.into_iter().chain(self.scene.survey).min()
    }

    /// Tells what is due.
    pub(super) fn tell_scene(&mut self) {
        let now = self.circuits.clock.now();
        let is_due = |due: Option<Duration>| due.is_some_and(|due| due <= now);
        if is_due(self.scene.frame) {
            self.scene.frame = None;
            tell_frame(self);
        }
        if is_due(self.scene.survey) {
            let anybody = !self.circuits.agents().is_empty();
            self.scene.survey = anybody.then(|| now + self.faster(SURVEY));
            tell_where(self);
        }
    }

    /// The others will be told that an avatar has come.
    pub(super) fn tell_arrival(&mut self, agent: Uuid) {
        self.scene.left.retain(|left| *left != agent);
        self.scene.arrived.push(agent);
        self.expect_frame();
    }

    /// The gate of an agent has opened: it will see the avatars that are here.
    pub(super) fn show_world(&mut self, agent: Uuid) {
        self.scene.opened.push(agent);
        self.expect_frame();
    }

    /// The others will be told that an avatar is gone.
    pub(super) fn leave(&mut self, agent: Uuid) {
        self.scene.arrived.retain(|arrived| *arrived != agent);
        self.scene.left.push(agent);
        self.expect_frame();
    }

    fn expect_frame(&mut self) {
        let now = self.circuits.clock.now();
        let (frame, survey) = (now + self.faster(FRAME), now + self.faster(SURVEY));
        self.scene.frame.get_or_insert(frame);
        self.scene.survey.get_or_insert(survey);
    }

    fn faster(&self, time: Duration) -> Duration {
        time / self.shared.config.time_factor.max(1)
    }
}

/// Tells everybody who has come and who is gone since the last frame, and those who did not see
/// the scene before all of it.
fn tell_frame(region: &mut Region) {
    let arrived = std::mem::take(&mut region.scene.arrived);
    let left = std::mem::take(&mut region.scene.left);
    let opened = std::mem::take(&mut region.scene.opened);
    let world = region.shared.world();
    let (place, template) = (&world.places[region.index], &region.shared.template);
    let all = world.others(region.index, Uuid::nil()).filter(|_| !opened.is_empty());
    let scene = messages::avatars(template, all, place);
    let here = arrived.iter().filter_map(|agent| world.presence(*agent));
    let here = here.filter(|p| p.arrived && p.root == region.index);
    let updates = messages::avatars(template, here, place);
    drop(world);
    let mut old = onlookers(region, Uuid::nil());
    old.retain(|agent| !opened.contains(agent));
    for (some, updates) in [(opened, scene), (old, updates)] {
        for (agents, update) in &updates {
            // Its own avatar a viewer knows already.
            let others = some.iter().filter(|other| agents[..] != [**other]);
            send(region, others, update, true);
        }
    }
    for (to, gone) in told_gone(&region.circuits.agents(), &left) {
        for some in gone.chunks(MOST_KILLED) {
            let kill = messages::kill(&region.shared.template, some);
            send(region, to.iter(), &kill, true);
        }
    }
}

/// Who is told of whom that they are gone: most of all of them; whoever has left and keeps a child
/// agent here, of all but their own.
fn told_gone(here: &[Uuid], left: &[Uuid]) -> Vec<(Vec<Uuid>, Vec<Uuid>)> {
    let (leaving, staying): (Vec<Uuid>, Vec<Uuid>) =
        here.iter().partition(|agent| left.contains(agent));
    let others = leaving.into_iter().map(|own| {
        (vec![own], left.iter().copied().filter(|agent| *agent != own).collect::<Vec<_>>())
    });
    let all = std::iter::once((staying, left.to_vec())).chain(others);
    all.filter(|(to, gone)| !to.is_empty() && !gone.is_empty()).collect()
}

/// So many are told gone in one KillObject.
const MOST_KILLED: usize = 200;

/// Sends the same to some of those here.
fn send<'a>(
    region: &mut Region,
    to: impl Iterator<Item = &'a Uuid>,
    message: &Message,
    reliable: bool,
) {
    let circuits = &region.circuits;
    let to: Vec<SocketAddr> =
        to.filter_map(|agent| circuits.of(*agent)).map(|(to, _)| to).collect();
    region.circuits.send_all(to, message, reliable);
}

/// Tells something of an avatar to every other agent whose gate is open.
pub(super) fn tell_others(region: &mut Region, agent: Uuid, message: &Message) {
    let others = onlookers(region, agent);
    send(region, others.iter(), message, true);
}

/// Tells something to every agent whose gate is open.
pub(super) fn tell_all(region: &mut Region, message: &Message) {
    tell_others(region, Uuid::nil(), message);
}

/// Every agent here but this one whose gate is open.
pub(super) fn onlookers(region: &Region, agent: Uuid) -> Vec<Uuid> {
    let world = region.shared.world();
    let open = |other: &Uuid| {
        let here = world.presence(*other).and_then(|p| p.agents.get(&region.index));
        here.is_some_and(|here| here.world_open)
    };
    let others = region.circuits.agents().into_iter().filter(|other| *other != agent);
    others.filter(open).collect()
}

/// Who is where in a region, as far as one message tells.
fn places(region: &Region) -> Vec<(Uuid, [f32; 3])> {
    let world = region.shared.world();
    let all = world.others(region.index, Uuid::nil()).take(MOST_PLACES);
    all.map(|p| (p.agent_id, p.position)).collect()
}

/// Tells one agent who is where.
pub(super) fn tell_where_to(region: &mut Region, agent: Uuid) {
    let message = messages::coarse(&region.shared.template, &places(region), agent);
    send(region, [agent].iter(), &message, false);
}

/// Tells everybody here who is where.
fn tell_where(region: &mut Region) {
    let all = places(region);
    let (named, unnamed): (Vec<Uuid>, Vec<Uuid>) = region
        .circuits
        .agents()
        .into_iter()
        .partition(|agent| all.iter().any(|(named, _)| named == agent));
    for agent in named {
        let message = messages::coarse(&region.shared.template, &all, agent);
        send(region, [agent].iter(), &message, false);
    }
    // Whoever is not among those told is told the same as every other.
    if !unnamed.is_empty() {
        let message = messages::coarse(&region.shared.template, &all, Uuid::nil());
        send(region, unnamed.iter(), &message, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_and_still_looks_on_is_told_of_the_others() {
        let [jane, john, jack] = [1, 2, 3].map(Uuid::from_u128);
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
