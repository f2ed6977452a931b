//! What the grid does for its visitors. A room is a file or a folder and one word in [`ROOMS`]; it
//! owns what it remembers and sees no other room.

mod arrival;
mod chat;
mod directory;
mod features;
mod im;
mod inventory;
mod login;
mod movement;
mod scene;
mod teleport;
mod viewer;

use super::core::{CORE, EVENT_QUEUE, RoomDef};
use super::misbehaviour::Misbehaviour;

/// The core's own word, and every room.
pub(super) static ROOMS: &[&RoomDef] = &[
    &CORE,
    &super::inventory::MODEL,
    &login::ROOM,
    &arrival::ROOM,
    &viewer::ROOM,
    &movement::ROOM,
    &scene::ROOM,
    &chat::ROOM,
    &im::ROOM,
    &directory::ROOM,
    &teleport::ROOM,
    &features::ROOM,
    &inventory::ROOM,
];

/// What the seed grants, in the order it is told.
pub fn granted() -> Vec<&'static str> {
    let caps = ROOMS.iter().flat_map(|room| room.caps).map(|(name, _)| *name);
    std::iter::once(EVENT_QUEUE).chain(caps).collect()
}

/// The events that the grid tells.
pub fn events() -> Vec<&'static str> {
    ROOMS.iter().flat_map(|room| room.events).copied().collect()
}

/// What the grid can be told to do wrong.
pub fn misbehaviours() -> impl Iterator<Item = Misbehaviour> + Clone {
    ROOMS.iter().flat_map(|room| room.misbehaviours).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::core::Routes;
    use crate::proto::names::EVENTS;
    use crate::proto::template::Template;

    #[test]
    fn every_word_of_every_room_is_known_and_nobody_elses() {
        let template = Template::shipped();
        assert_eq!(Routes::new(ROOMS, template).err(), None);
        let unknown = |event: &&str| !EVENTS.contains(event) && template.message(event).is_none();
        assert_eq!(events().into_iter().filter(unknown).collect::<Vec<_>>(), [""; 0]);
    }
}
