//! Which room answers what: one table, made from what the rooms say of themselves and checked when
//! a grid starts.

use super::caps::EVENT_QUEUE;
use super::effect::{Happened, Sender};
use super::reply::{Body, Reply};
use super::{Core, Misbehaviour, Own};
use crate::net::server::Request;
use crate::proto::id::AgentId;
use crate::proto::message::Message;
use crate::proto::names::CAPABILITIES;
use crate::proto::template::Template;
use std::collections::BTreeMap;

/// Handles a message of a visitor.
pub(in crate::grid) type OnMessage = fn(&mut Core, &Sender, &Message);

/// Answers a request to a capability: with a status and a body, or a status alone.
pub(in crate::grid) type OnCap = fn(&mut Core, &Asked<'_>) -> Result<(u16, Body), u16>;

/// Answers a request to a path of the grid's own.
pub(in crate::grid) type OnPath = fn(&mut Core, &Request) -> Reply;

/// A request to a capability.
pub(in crate::grid) struct Asked<'a> {
    /// Its id, a secret.
    pub id: &'a str,
    /// Whose it is.
    pub agent: AgentId,
    /// What follows its URL.
    pub path: &'a str,
    pub request: &'a Request,
}

/// What a room is: its word, and what it answers.
pub(in crate::grid) struct RoomDef {
    /// What it is called.
    pub name: &'static str,
    /// The messages that it handles.
    pub messages: &'static [(&'static str, OnMessage)],
    /// The capabilities that the seed grants for it.
    pub caps: &'static [(&'static str, OnCap)],
    /// Capabilities that it grants by itself, under names that no seed knows.
    pub own_caps: &'static [(&'static str, OnCap)],
    /// Paths that anybody may ask for, by method.
    pub paths: &'static [(&'static str, &'static str, OnPath)],
    /// The events that it tells.
    pub events: &'static [&'static str],
    /// What it can be told to do wrong.
    pub misbehaviours: &'static [Misbehaviour],
    /// Told of whatever happens.
    pub happened: fn(&mut Core, &Happened),
}

impl RoomDef {
    /// A room that does nothing.
    pub(crate) const fn named(name: &'static str) -> Self {
        Self {
            name,
            messages: &[],
            caps: &[],
            own_caps: &[],
            paths: &[],
            events: &[],
            misbehaviours: &[],
            happened: |_, _| {},
        }
    }
}

/// What the core itself answers and tells.
pub(in crate::grid) const CORE: RoomDef = RoomDef {
    events: &["EnableSimulator", "EstablishAgentCommunication", "TeleportFinish", "CrossedRegion"],
    misbehaviours: Own::ALL,
    ..RoomDef::named("core")
};

/// What is wrong with what rooms say of themselves: the room, and the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("the room {0} handles no message: {1}")]
    NoMessage(&'static str, &'static str),
    #[error("the room {0} grants no capability: {1}")]
    NoCapability(&'static str, &'static str),
    #[error("the room {0} claims {1} twice")]
    Twice(&'static str, &'static str),
}

/// The table.
pub(in crate::grid) struct Routes {
    messages: BTreeMap<&'static str, OnMessage>,
    caps: BTreeMap<&'static str, (OnCap, bool)>,
    granted: Vec<&'static str>,
    paths: BTreeMap<(&'static str, &'static str), OnPath>,
    pub(super) happened: Vec<fn(&mut Core, &Happened)>,
}

impl Routes {
    /// The table of these rooms.
    ///
    /// # Errors
    /// A room that names a message or capability that there is not, or one that another answers:
    /// which.
    pub(crate) fn new(rooms: &[&'static RoomDef], template: &Template) -> Result<Self, RouteError> {
        let mut routes = Self {
            messages: BTreeMap::new(),
            caps: BTreeMap::new(),
            granted: vec![EVENT_QUEUE],
            paths: BTreeMap::new(),
            happened: rooms.iter().map(|room| room.happened).collect(),
        };
        let mut words = BTreeMap::new();
        for room in rooms {
            let twice = |what: &'static str| Err(RouteError::Twice(room.name, what));
            for (name, handler) in room.messages {
                if template.message(name).is_none() {
                    return Err(RouteError::NoMessage(room.name, name));
                }
                if routes.messages.insert(name, *handler).is_some() {
                    return twice(name);
                }
            }
            let granted = room.caps.iter().map(|(name, handler)| (name, handler, true));
            let own = room.own_caps.iter().map(|(name, handler)| (name, handler, false));
            for (name, handler, granted) in granted.chain(own) {
                if granted && !CAPABILITIES.contains(name) {
                    return Err(RouteError::NoCapability(room.name, name));
                }
                if *name == EVENT_QUEUE || routes.caps.insert(name, (*handler, granted)).is_some() {
                    return twice(name);
                }
                routes.granted.extend(granted.then_some(*name));
            }
            for (method, path, handler) in room.paths {
                if routes.paths.insert((method, path), *handler).is_some() {
                    return twice(path);
                }
            }
            for own in room.misbehaviours {
                if words.insert(own.word, room.name).is_some() {
                    return twice(own.word);
                }
            }
        }
        Ok(routes)
    }

    pub(crate) fn message(&self, name: &str) -> Option<OnMessage> {
        self.messages.get(name).copied()
    }

    pub(crate) fn cap(&self, name: &str) -> Option<OnCap> {
        self.caps.get(name).map(|(handler, _)| *handler)
    }

    pub(crate) fn path(&self, method: &str, path: &str) -> Option<OnPath> {
        self.paths.get(&(method, path)).copied()
    }

    /// What the seed grants, in the order it is told.
    pub(crate) fn granted(&self) -> &[&'static str] {
        &self.granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rooms: &[&'static RoomDef]) -> Result<Routes, RouteError> {
        Routes::new(rooms, Template::shipped())
    }

    const HEARS: OnMessage = |_, _, _| {};
    const SERVES: OnCap = |_, _| Err(404);

    #[test]
    fn a_room_that_is_misspelt_or_claims_what_is_taken_is_named() {
        static SPELT: RoomDef =
            RoomDef { messages: &[("ChatFromVeiwer", HEARS)], ..RoomDef::named("a") };
        assert_eq!(
            of(&[&SPELT]).err().unwrap().to_string(),
            "the room a handles no message: ChatFromVeiwer"
        );
        static HEARD: RoomDef =
            RoomDef { messages: &[("ChatFromViewer", HEARS)], ..RoomDef::named("b") };
        assert_eq!(
            of(&[&HEARD, &HEARD]).err().unwrap().to_string(),
            "the room b claims ChatFromViewer twice"
        );
        static GRANTS: RoomDef = RoomDef { caps: &[("GetTexure", SERVES)], ..RoomDef::named("c") };
        assert_eq!(
            of(&[&GRANTS]).err().unwrap().to_string(),
            "the room c grants no capability: GetTexure"
        );
        static TAKES: RoomDef =
            RoomDef { caps: &[("EventQueueGet", SERVES)], ..RoomDef::named("d") };
        assert_eq!(
            of(&[&TAKES]).err().unwrap().to_string(),
            "the room d claims EventQueueGet twice"
        );
        assert!(of(&[&HEARD]).is_ok());
        static WRONG: RoomDef = RoomDef { misbehaviours: Own::ALL, ..RoomDef::named("e") };
        assert!(of(&[&CORE, &WRONG]).err() == Some(RouteError::Twice("e", "any-code")));
    }
}
