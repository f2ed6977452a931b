//! What a grid may do though few do it, and what none should: for trying how clients bear it.

use super::{Core, Own, Place, World};
use crate::net::tap::{RegionIndex, UNKNOWN_EVENT};
use crate::proto::event_queue::Event;
use crate::proto::id::{AgentId, SessionId};
use crate::proto::llsd::Llsd;
use crate::proto::teleport::{CrossedRegion, Destination, TeleportFinish, flags};

impl World {
    /// A region that an agent has nothing to do with.
    pub(crate) fn elsewhere(&self, agent: AgentId) -> Option<&Place> {
        let presence = self.presence(agent)?;
        let places = self.places.iter().enumerate();
        places
            .rev()
            .find(|(at, _)| !presence.agents.contains_key(&RegionIndex(*at)))
            .map(|(_, place)| place)
    }
}

/// Events that no client should heed, before those of a reply with this id.
pub(super) fn events(core: &Core, agent: AgentId, id: i32, told: &[Event]) -> Vec<Event> {
    let (faults, world) = (&core.faults, &core.world);
    let mut odd = Vec::new();
    if id % 2 == 0 && faults.breaks(Own::UnknownEvents) {
        let body = Llsd::map([("Reason", Llsd::string("nobody knows it"))]);
        odd.push(Event { message: UNKNOWN_EVENT.into(), body });
    }
    // Whoever is sent somewhere is not sent elsewhere beside that: two things would be tried at once.
    let sends = |event: &Event| matches!(&*event.message, "TeleportFinish" | "CrossedRegion");
    let place = world.elsewhere(agent).filter(|_| !told.iter().any(sends));
    let Some(place) = place else { return odd };
    let to = Destination {
        agent_id: AgentId(world.chance.uuid()),
        address: place.address,
        handle: place.handle(),
        seed: world.url("nowhere").into(),
    };
    if faults.breaks(Own::ForeignFinishes) {
        odd.push(TeleportFinish { to: to.clone(), flags: flags::VIA_LOCATION }.to_event());
    }
    if faults.breaks(Own::ForeignCrossings) {
        let (position, look_at) = ([128.0, 128.0, 25.0], [1.0, 0.0, 0.0]);
        let session_id = world.chance.uuid();
        odd.push(
            CrossedRegion { to, session_id: SessionId(session_id), position, look_at }.to_event(),
        );
    }
    odd
}

/// XML without a declaration and with a blank in every end tag, as some grids write it.
pub(super) fn terse(xml: &str) -> String {
    let body = xml.split_once("?>").map_or(xml, |(_, body)| body);
    let mut pieces = body.split("</");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + "</" + &piece.replacen('>', " >", 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::llsd::{from_xml, to_xml};

    #[test]
    fn terse_xml_means_the_same() {
        let value = Llsd::map([("a", Llsd::string("x < y > z")), ("b", Llsd::Integer(0))]);
        let text = terse(&to_xml(&value));
        assert!(text.starts_with("<llsd>") && text.ends_with("</llsd >"), "{text}");
        assert_eq!(from_xml(text.as_bytes()).unwrap(), value);
    }
}
