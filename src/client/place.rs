//! A region as an agent has it: the circuit to its simulator, its seed, the capabilities that it
//! granted, its event queue. A viewer has one for each region that it was told of.

use super::enter::agent_update;
use super::events::Poller;
use super::presence::{Presence, Spot};
use super::{State, Viewer};
use crate::net::udp::{CircuitEvent, CircuitHandle};
use crate::proto::id::{CapUrl, SessionId};
use crate::proto::login::Session;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Messages by which a simulator ends a circuit.
const FAREWELLS: [&str; 3] = ["DisableSimulator", "KickUser", "LogoutReply"];

/// A region as an agent has it.
#[derive(Debug)]
pub struct Place {
    /// The circuit, if one was opened.
    pub(super) link: Option<CircuitHandle>,
    /// Capabilities granted so far, by name.
    pub(super) caps: Vec<(String, CapUrl)>,
    /// Whoever polls its event queue.
    pub(super) poller: Option<JoinHandle<()>>,
    /// The queue that it polls.
    polled: CapUrl,
    /// How many polls have failed in a row.
    pub(super) failed_polls: Arc<AtomicU32>,
    /// What its simulator was heard to say.
    pub(super) signs: Arc<Signs>,
    /// Whoever says that the avatar is here, while it is.
    stay: Option<JoinHandle<()>>,
    /// Its circuit need not be alive any more.
    pub(super) may_end: bool,
    /// It is out of view since the avatar went elsewhere: the grid closes its circuit.
    pub(super) out_of_view: bool,
}

/// What a simulator was heard to say that counts for more than the step that waits for it.
#[derive(Debug)]
pub(super) struct Signs {
    spot: Spot,
    dismissed: AtomicBool,
}

impl Signs {
    /// Nothing yet, on a new circuit.
    pub(super) fn of(presence: &Presence) -> Arc<Self> {
        Arc::new(Self { spot: presence.spot(), dismissed: AtomicBool::default() })
    }

    /// Whether the simulator has ended the circuit.
    pub(super) fn dismissed(&self) -> bool {
        self.dismissed.load(Ordering::Relaxed)
    }

    /// Heeds what was heard on the circuit of a session.
    pub(super) fn observe(&self, seen: &CircuitEvent, session: Option<SessionId>) {
        // Whoever has not heard our acknowledgement says it again; that is no news.
        let CircuitEvent::Message { message, duplicate: false, .. } = seen else { return };
        if message.name() == "AgentMovementComplete"
            && message.uuid("AgentData", "SessionID").map(SessionId) == session
        {
            self.spot.take();
        }
        self.spot.presence().hearing(message.name());
        if FAREWELLS.contains(&message.name()) {
            self.dismissed.store(true, Ordering::Relaxed);
        }
    }
}

impl Place {
    /// One whose simulator is heard by these.
    pub(super) fn with(signs: Arc<Signs>) -> Self {
        Self {
            link: None,
            caps: Vec::new(),
            poller: None,
            polled: CapUrl::default(),
            failed_polls: Arc::default(),
            signs,
            stay: None,
            may_end: false,
            out_of_view: false,
        }
    }

    /// Its circuit runs: it says that the avatar is here, whenever it is.
    pub(super) fn runs(&mut self, link: CircuitHandle, updates: Duration) {
        let stay = self.signs.spot.clone().stay(link.speaker(), updates);
        self.runs_quietly(link);
        self.stay = Some(tokio::spawn(stay));
    }

    /// Its circuit runs, and nobody says on it that the avatar is here.
    pub(super) fn runs_quietly(&mut self, link: CircuitHandle) {
        self.end_stay();
        self.link = Some(link);
    }

    fn end_stay(&mut self) {
        if let Some(stay) = self.stay.take() {
            stay.abort();
        }
    }

    /// The URL of a granted capability.
    pub fn cap(&self, name: &str) -> Option<&str> {
        self.caps.iter().find(|(n, _)| n == name).map(|(_, url)| &**url)
    }

    /// Whether its circuit runs.
    pub fn is_open(&self) -> bool {
        self.link.as_ref().is_some_and(CircuitHandle::is_open)
    }

    /// Whether its simulator said that the avatar has arrived, since it was last asked to move it.
    pub fn has_avatar(&self) -> bool {
        self.signs.spot.is_taken()
    }

    /// Whether its circuit runs, and its simulator has not ended it.
    pub(super) fn stays(&self) -> bool {
        self.is_open() && !self.was_dismissed()
    }

    /// Whether its simulator has ended the circuit.
    pub fn was_dismissed(&self) -> bool {
        self.signs.dismissed()
    }

    /// Polls its event queue from now on; whoever polled it before stops.
    pub(super) fn poll(&mut self, poller: Poller) {
        self.stop_polling();
        (self.polled, self.failed_polls) = (poller.url().clone(), poller.failures());
        self.poller = Some(tokio::spawn(poller.run()));
    }

    /// Whether this queue is polled already.
    pub(super) fn polls(&self, url: &str) -> bool {
        let runs = self.poller.as_ref().is_some_and(|poller| !poller.is_finished());
        runs && &*self.polled == url
    }

    pub(super) fn stop_polling(&mut self) {
        if let Some(poller) = self.poller.take() {
            poller.abort();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end_stay();
        self.stop_polling();
    }
}

impl Viewer {
    /// The region of that name.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.places.get(name)
    }

    /// The region where the avatar stands, or is to stand.
    pub(super) fn here(&mut self) -> &mut Place {
        let root = self.root.clone();
        self.place_named(&root)
    }

    /// The region of that name, known from now on.
    pub(super) fn place_named(&mut self, name: &str) -> &mut Place {
        let new = || Place::with(Signs::of(&self.presence));
        self.places.entry(name.to_owned()).or_insert_with(new)
    }

    /// A circuit by its name.
    pub fn link(&self, name: &str) -> Option<&CircuitHandle> {
        self.places.get(name)?.link.as_ref()
    }

    /// The circuit that is open to a simulator, by its name.
    pub(super) fn circuit_to(&self, simulator: SocketAddrV4) -> Option<&str> {
        let leads = |link: &CircuitHandle| link.remote() == simulator.into();
        let there = |place: &Place| place.stays() && place.link.as_ref().is_some_and(leads);
        self.places.iter().find(|(_, place)| there(place)).map(|(name, _)| &**name)
    }

    /// Every circuit, with its name.
    pub fn links(&self) -> impl Iterator<Item = (&String, &CircuitHandle)> {
        self.places.iter().filter_map(|(name, place)| Some((name, place.link.as_ref()?)))
    }

    /// Takes a circuit away, to be closed.
    pub fn take_link(&mut self, name: &str) -> Option<CircuitHandle> {
        self.places.get_mut(name)?.link.take()
    }

    /// The URL of a capability that the avatar's region granted.
    pub fn cap(&self, name: &str) -> Option<&str> {
        self.places.get(&self.root)?.cap(name)
    }

    /// From now on nobody says on this circuit that the avatar is there.
    pub fn end_updates(&mut self, circuit: &str) {
        self.place_named(circuit).end_stay();
    }

    /// A session has begun, by whatever login: earlier ones may end with it.
    pub(super) fn begin(&mut self, session: Session) {
        self.sessions += 1;
        self.neighbours.take_all();
        for place in self.places.values_mut() {
            place.may_end = true;
            place.caps.clear();
        }
        self.presence.begin(agent_update(&self.common.template, &session));
        self.state = State::LoggedIn(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::bench::heard;
    use crate::proto::message::{Field, Header, Message};
    use crate::proto::template::Template;
    use uuid::Uuid;

    #[test]
    fn what_is_said_again_is_no_news() {
        let presence = Presence::default();
        let (left, entered) = (Signs::of(&presence), Signs::of(&presence));
        let session = Some(SessionId(Uuid::from_u128(5)));
        let arrived = Message::named(Template::shipped(), "AgentMovementComplete").with(
            "AgentData",
            "SessionID",
            Field::Uuid(Uuid::from_u128(5)),
        );
        let news = heard(arrived.clone(), Header::default(), false);
        let again = heard(arrived, Header::default(), true);
        left.observe(&news, session);
        entered.observe(&news, session);
        left.observe(&again, session);
        assert!(entered.spot.is_taken(), "whoever has moved on is not back where it was");
        left.observe(&news, session);
        assert!(left.spot.is_taken());
    }
}
