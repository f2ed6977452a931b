//! Who is logged in, and which of their agents is where.

use super::Own;
use super::capability::{Capabilities, Owner, Purpose};
use super::presence::{AgentHere, Presence};
use super::queue::Queues;
use crate::grid::{Account, Faults};
use crate::net::Chance;
use crate::net::tap::RegionIndex;
use crate::proto::event_queue::{EnableSimulator, EstablishAgentCommunication, Event};
use crate::proto::id::{AgentId, CircuitCode, SecureSessionId, SessionId};
use crate::proto::login::{Start, hash_password};
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use uuid::Uuid;

/// A region's name and place.
#[derive(Clone, Debug)]
pub(in crate::grid) struct Place {
    pub name: String,
    pub x: u32,
    pub y: u32,
    pub address: SocketAddrV4,
    /// Nobody is let in.
    pub closed: bool,
}

impl Place {
    /// The south-west corner in metres.
    pub(crate) fn corner(&self) -> (u32, u32) {
        (self.x * 256, self.y * 256)
    }

    pub(crate) fn handle(&self) -> u64 {
        let (x, y) = self.corner();
        u64::from(x) << 32 | u64::from(y)
    }

    /// The region's own id.
    pub(crate) fn id(&self) -> Uuid {
        derived_id(&format!("region {}", self.name))
    }

    /// Two places beside each other, and one apart: for tests.
    #[cfg(test)]
    pub(super) fn three() -> Vec<Self> {
        let place = |(name, x): (&str, u32)| Self {
            name: name.into(),
            x,
            y: 1000,
            address: SocketAddrV4::new([127, 0, 0, 1].into(), 9),
            closed: false,
        };
        [("Alpha", 1000), ("Beta", 1001), ("Gamma", 1010)].map(place).into()
    }

    pub(crate) fn touches(&self, other: &Self) -> bool {
        (self.x, self.y) != (other.x, other.y)
            && self.x.abs_diff(other.x) <= 1
            && self.y.abs_diff(other.y) <= 1
    }
}

/// A refused login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::grid) struct Refusal {
    pub reason: &'static str,
    pub message: &'static str,
}

/// The model.
pub(in crate::grid) struct World {
    accounts: Vec<Account>,
    /// Places of the accounts, by agent and by name in lower case.
    by_agent: BTreeMap<AgentId, usize>,
    by_name: BTreeMap<(String, String), usize>,
    pub places: Vec<Place>,
    presences: BTreeMap<AgentId, Presence>,
    last: BTreeMap<AgentId, (RegionIndex, [f32; 3])>,
    homes: BTreeMap<AgentId, (RegionIndex, [f32; 3])>,
    pub(super) journeys: u64,
    pub caps: Capabilities,
    pub queues: Queues,
    base: String,
    pub(super) faults: Faults,
    pub chance: Chance,
}

const BAD_CREDENTIALS: Refusal = Refusal {
    reason: "key",
    message: "Could not authenticate your avatar. Please check your username and password.",
};
const BAD_START: Refusal =
    Refusal { reason: "key", message: "The start location is not one this grid understands." };
const ALREADY: Refusal = Refusal {
    reason: "presence",
    message: "You appear to be already logged in. The other session was ended; please try again.",
};

/// The middle of a region, above the ground.
pub(in crate::grid) const MIDDLE: [f32; 3] = [128.0, 128.0, 25.0];

/// Where an avatar looks that was not told otherwise.
pub(in crate::grid) const AHEAD: [f32; 3] = [0.99, 0.042, 0.0];

/// An id that follows from a text: the same avatar has the same id at every start.
pub(in crate::grid) fn derived_id(text: &str) -> Uuid {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    uuid::Builder::from_md5_bytes(digest).into_uuid()
}

impl World {
    pub(crate) fn new(
        accounts: Vec<Account>,
        places: Vec<Place>,
        base: String,
        faults: Faults,
        chance: Chance,
    ) -> Self {
        let numbered = || accounts.iter().enumerate();
        let by_agent = numbered().map(|(n, account)| (agent_id(account), n)).collect();
        // Of two accounts of one name the first is meant.
        let by_name = numbered().rev().map(|(n, a)| (key(&a.first, &a.last), n)).collect();
        Self {
            accounts,
            by_agent,
            by_name,
            places,
            presences: BTreeMap::new(),
            last: BTreeMap::new(),
            homes: BTreeMap::new(),
            journeys: 0,
            caps: Capabilities::default(),
            queues: Queues::new(faults.clone()),
            base,
            faults,
            chance,
        }
    }

    pub(crate) fn population(&self) -> usize {
        self.presences.len()
    }

    pub(crate) fn presence(&self, agent: AgentId) -> Option<&Presence> {
        self.presences.get(&agent)
    }

    pub(crate) fn presence_mut(&mut self, agent: AgentId) -> Option<&mut Presence> {
        self.presences.get_mut(&agent)
    }

    /// First and last name of an account, logged in or not.
    pub(crate) fn name_of(&self, agent: AgentId) -> Option<(String, String)> {
        let account = self.accounts.get(*self.by_agent.get(&agent)?)?;
        Some((account.first.clone(), account.last.clone()))
    }

    /// The full names of all accounts, by agent.
    pub(crate) fn names(&self) -> impl Iterator<Item = (AgentId, String)> {
        let full = |account: &Account| format!("{} {}", account.first, account.last);
        self.by_agent.iter().map(move |(agent, at)| (*agent, full(&self.accounts[*at])))
    }

    fn account(&self, first: &str, last: &str) -> Option<&Account> {
        self.accounts.get(*self.by_name.get(&key(first, last))?)
    }

    /// The agent of a name.
    pub(crate) fn agent_of(&self, first: &str, last: &str) -> Option<AgentId> {
        self.account(first, last).map(agent_id)
    }

    /// Checks a name and password. The hash may come with its `$1$` or the password in clear.
    pub(crate) fn authenticate(
        &self,
        first: &str,
        last: &str,
        passwd: &str,
    ) -> Result<AgentId, Refusal> {
        let hash = match passwd.strip_prefix("$1$") {
            Some(_) => passwd.to_ascii_lowercase(),
            None => hash_password(passwd),
        };
        let account = self.account(first, last).ok_or(BAD_CREDENTIALS)?;
        match hash_password(&account.password) == hash {
            true => Ok(agent_id(account)),
            false => Err(BAD_CREDENTIALS),
        }
    }

    /// Starts a session and places its avatar. Whoever was logged in as the same avatar must be
    /// ended first.
    pub(crate) fn begin(
        &mut self,
        agent: AgentId,
        start: &str,
    ) -> Result<(&Presence, &'static str), Refusal> {
        if self.presences.contains_key(&agent) {
            return Err(ALREADY);
        }
        let (root, position, word) = self.destination(agent, start)?;
        self.open(agent)?;
        let presence = self.place(agent, root, position).ok_or(BAD_CREDENTIALS)?;
        Ok((presence, word))
    }

    /// Starts a session that is placed in no region.
    fn open(&mut self, agent: AgentId) -> Result<(), Refusal> {
        let (first, last) = self.name_of(agent).ok_or(BAD_CREDENTIALS)?;
        let repeated = self.faults.breaks(Own::RepeatsIds);
        let fresh_id = || if repeated { agent.0 } else { self.chance.uuid() };
        let presence = Presence {
            agent_id: agent,
            session_id: SessionId(fresh_id()),
            secure_session_id: SecureSessionId(fresh_id()),
            circuit_code: CircuitCode(match repeated {
                true => 7,
                false => self.chance.number(1..i32::MAX.cast_unsigned()),
            }),
            first,
            last,
            root: None,
            position: MIDDLE,
            look_at: AHEAD,
            arrived: false,
            sitting: false,
            flying: false,
            walking: None,
            animations: Vec::new(),
            agents: BTreeMap::new(),
            transit: None,
        };
        self.presences.insert(agent, presence);
        Ok(())
    }

    /// Places a session's avatar: a region expects it.
    fn place(
        &mut self,
        agent: AgentId,
        root: RegionIndex,
        position: [f32; 3],
    ) -> Option<&Presence> {
        self.child(agent, root)?;
        self.last.insert(agent, (root, position));
        let presence = self.presences.get_mut(&agent)?;
        (presence.root, presence.position) = (Some(root), position);
        Some(presence)
    }

    fn destination(
        &self,
        agent: AgentId,
        start: &str,
    ) -> Result<(RegionIndex, [f32; 3], &'static str), Refusal> {
        if start.is_empty() {
            return Ok((RegionIndex(0), MIDDLE, "safe"));
        }
        let home = self.home(agent);
        match Start::parse(start).ok_or(BAD_START)? {
            Start::Home => Ok((home.0, home.1, "home")),
            Start::Last => {
                let (root, position) = self.last.get(&agent).copied().unwrap_or(home);
                Ok((root, position, "last"))
            }
            Start::Region(name, position) => {
                let open = |p: &Place| !p.closed || self.faults.breaks(Own::NothingClosed);
                let meant = |p: &Place| p.name.eq_ignore_ascii_case(&name) && open(p);
                let found = self.places.iter().position(meant);
                let [x, y, z] = match (position, self.faults.breaks(Own::SwapsStart)) {
                    ([x, y, z], true) => [y, x, z],
                    (position, false) => position,
                };
                let inside = [x.clamp(0.5, 255.5), y.clamp(0.5, 255.5), z.clamp(0.0, 4096.0)];
                Ok(found.map_or((RegionIndex(0), MIDDLE, "safe"), |root| {
                    (RegionIndex(root), inside, "url")
                }))
            }
        }
    }

    /// Where an avatar goes that goes home.
    pub(crate) fn home(&self, agent: AgentId) -> (RegionIndex, [f32; 3]) {
        self.homes.get(&agent).copied().unwrap_or((RegionIndex(0), MIDDLE))
    }

    /// Makes a place in the region where the avatar stands its home; false where it stands nowhere.
    pub(crate) fn set_home(&mut self, agent: AgentId, position: [f32; 3]) -> bool {
        let root = self.presence(agent).filter(|p| p.arrived).and_then(|p| p.root);
        root.is_some_and(|root| {
            self.homes.insert(agent, (root, position));
            true
        })
    }

    /// Ends a session: its regions, for closing the circuits there.
    pub(crate) fn end(&mut self, agent: AgentId) -> Vec<RegionIndex> {
        let Some(presence) = self.presences.remove(&agent) else { return Vec::new() };
        self.last.extend(presence.root.map(|root| (agent, (root, presence.position))));
        let regions: Vec<RegionIndex> = presence.agents.keys().copied().collect();
        let owners = regions.iter().map(|region| Owner::AgentIn(agent, *region));
        for owner in owners.chain([Owner::Agent(agent)]) {
            self.forget_owner(owner);
        }
        regions
    }

    /// An owner's capabilities and its queue are gone.
    fn forget_owner(&mut self, owner: Owner) {
        self.queues.close(owner);
        if !self.faults.breaks(Own::CapsOutlive) {
            self.caps.revoke(owner);
        }
    }

    /// Whether a region lets nobody in.
    pub(crate) fn is_closed(&self, region: RegionIndex) -> bool {
        let closed = self.places.get(region.0).is_some_and(|place| place.closed);
        closed && !self.faults.breaks(Own::NothingClosed)
    }

    /// Whether these three open a circuit in that region.
    pub(crate) fn admits(
        &self,
        region: RegionIndex,
        agent: AgentId,
        session: SessionId,
        code: CircuitCode,
    ) -> bool {
        self.presences.get(&agent).is_some_and(|p| {
            (p.session_id == session || self.faults.breaks(Own::AnySession))
                && (p.circuit_code == code || self.faults.breaks(Own::AnyCode))
                && p.agents.contains_key(&region)
        })
    }

    /// The URL of a capability's id.
    pub(crate) fn url(&self, id: &str) -> String {
        cap_url(&self.base, id)
    }

    /// The URL of a seed: the same wherever it is told, with the slash that OpenSim's end in
    /// (OpenSim/Framework/CapsUtil.cs:44). Clients that compare the texts take another for a change.
    pub(crate) fn seed_url(&self, id: &str) -> String {
        format!("{}/", self.url(id))
    }

    /// Grants a capability that no seed names: its id.
    pub(crate) fn grant_own(&mut self, owner: Owner, name: &'static str) -> String {
        let id = self.chance.uuid().to_string();
        self.caps.insert(id.clone(), owner, Purpose::Named(name));
        id
    }

    /// Grants capabilities by name; a name granted before keeps its URL.
    pub(crate) fn grant(
        &mut self,
        agent: AgentId,
        region: RegionIndex,
        names: &[&'static str],
    ) -> Vec<(String, String)> {
        let Some(here) = self.presences.get_mut(&agent).and_then(|p| p.agents.get_mut(&region))
        else {
            let outlive = self.faults.breaks(Own::CapsOutlive);
            let names = names.iter().filter(|_| outlive);
            let owner = Owner::AgentIn(agent, region);
            let granted = names.map(|name| {
                let id = self.grant_own(owner, name);
                ((*name).to_owned(), self.url(&id))
            });
            return granted.collect();
        };
        here.seed_posted = true;
        if self.faults.breaks(Own::NewUrls) {
            here.granted.clear();
        }
        let mut granted = Vec::new();
        for name in names {
            let id = here.granted.entry(name).or_insert_with(|| {
                let id = self.chance.uuid().to_string();
                self.caps.insert(id.clone(), Owner::AgentIn(agent, region), Purpose::Named(name));
                id
            });
            granted.push((name.to_string(), cap_url(&self.base, id)));
        }
        granted
    }

    /// Whether the gate of an agent has just opened; from its root the neighbours are announced.
    pub(crate) fn start_scene(&mut self, agent: AgentId, region: RegionIndex) -> bool {
        let Some(presence) = self.presences.get_mut(&agent) else { return false };
        let ready = presence.root != Some(region) || presence.arrived;
        let Some(here) = presence.agents.get_mut(&region) else { return false };
        if here.world_open || !ready || !here.seed_posted || !here.handshake_replied {
            return false;
        }
        here.world_open = true;
        self.announce_neighbours(agent, region);
        true
    }

    /// Once, and only to whoever has an avatar here and an open gate.
    pub(in crate::grid) fn announce_neighbours(&mut self, agent: AgentId, region: RegionIndex) {
        let Some(presence) = self.presences.get_mut(&agent) else { return };
        let root = presence.root == Some(region);
        let Some(here) = presence.agents.get_mut(&region) else { return };
        if !root || !here.world_open || std::mem::replace(&mut here.announced, true) {
            return;
        }
        let place = self.places[region.0].clone();
        for neighbour in self.beside(&place) {
            self.announce_region(agent, region, neighbour);
        }
    }

    /// The regions that touch a place.
    fn beside(&self, place: &Place) -> Vec<RegionIndex> {
        let touching = self.places.iter().enumerate().filter(|(_, other)| other.touches(place));
        touching.map(|(at, _)| RegionIndex(at)).collect()
    }

    /// Makes an agent in a region, if there is none, and tells the viewer on another region's
    /// queue where it is and how to talk to it.
    pub(in crate::grid) fn announce_region(
        &mut self,
        agent: AgentId,
        teller: RegionIndex,
        region: RegionIndex,
    ) {
        let Some(seed) = self.child(agent, region) else { return };
        let place = &self.places[region.0];
        let enable =
            EnableSimulator { handle: place.handle(), address: place.address, size: (256, 256) };
        let establish = EstablishAgentCommunication {
            agent_id: agent,
            address: place.address,
            seed: self.seed_url(&seed).into(),
        };
        self.tell(agent, teller, enable.to_event());
        self.tell(agent, teller, establish.to_event());
    }

    /// The seed of an agent in a region; the agent is made if there is none.
    pub(in crate::grid) fn child(&mut self, agent: AgentId, region: RegionIndex) -> Option<String> {
        let presence = self.presences.get_mut(&agent)?;
        if let Some(here) = presence.agents.get(&region) {
            return Some(here.seed.clone());
        }
        // It ends in four zeros, as OpenSim's do.
        let seed = format!("{}0000", self.chance.uuid());
        let owner = Owner::AgentIn(agent, region);
        self.caps.insert(seed.clone(), owner, Purpose::Seed);
        self.queues.open(owner, self.chance.number(1..30_000_000).cast_signed());
        presence.agents.insert(region, AgentHere::new(seed.clone()));
        Some(seed)
    }

    /// An agent is no longer in a region; its capabilities there are gone.
    pub(super) fn forget_child(&mut self, agent: AgentId, region: RegionIndex) {
        if let Some(presence) = self.presences.get_mut(&agent) {
            presence.agents.remove(&region);
        }
        self.forget_owner(Owner::AgentIn(agent, region));
    }

    /// Puts an event on the queue of an agent in a region.
    pub(crate) fn tell(&mut self, agent: AgentId, region: RegionIndex, event: Event) {
        self.queues.tell(Owner::AgentIn(agent, region), event);
    }

    /// Another agent, logged in by itself for faults that mix agents up.
    pub(crate) fn bystander(&mut self, but: AgentId) -> AgentId {
        let others: Vec<AgentId> =
            self.accounts.iter().map(agent_id).filter(|a| *a != but).collect();
        let Some(other) = others.last().copied() else { return but };
        if self.begin(other, "home").is_ok() {
            let first = self.places[0].clone();
            for neighbour in self.beside(&first) {
                self.announce_region(other, RegionIndex(0), neighbour);
            }
        }
        other
    }

    /// Everybody who stands in another region, and where: for faults.
    pub(crate) fn everybody(
        &self,
        but: RegionIndex,
    ) -> impl Iterator<Item = (RegionIndex, AgentId)> {
        let arrived = self.presences.values().filter(|p| p.arrived);
        let rooted = arrived.filter_map(|p| Some((p.root?, p.agent_id)));
        rooted.filter(move |(root, _)| *root != but)
    }

    /// The avatars that stand in a region, but for one.
    pub(crate) fn others(
        &self,
        region: RegionIndex,
        but: AgentId,
    ) -> impl Iterator<Item = &Presence> {
        self.presences.values().filter(move |p| p.stands_in(region) && p.agent_id != but)
    }
}

/// A name as it is looked up: its case does not count.
fn key(first: &str, last: &str) -> (String, String) {
    (first.to_ascii_lowercase(), last.to_ascii_lowercase())
}

fn agent_id(account: &Account) -> AgentId {
    AgentId(derived_id(&format!("agent {} {}", account.first, account.last).to_lowercase()))
}

/// The URL of a capability's id.
fn cap_url(base: &str, id: &str) -> String {
    format!("{base}CAPS/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let places = Place::three();
        World::new(
            vec![Account::new("Test", "One", "pw")],
            places,
            "http://h/".into(),
            Faults::default(),
            Chance::default(),
        )
    }

    #[test]
    fn only_the_right_password_is_let_in_in_either_form() {
        let world = world();
        assert!(world.authenticate("Test", "One", "pw").is_ok());
        assert!(world.authenticate("test", "one", &hash_password("pw")).is_ok());
        assert_eq!(world.authenticate("Test", "One", "no"), Err(BAD_CREDENTIALS));
        assert_eq!(world.authenticate("Test", "Two", "pw"), Err(BAD_CREDENTIALS));
    }

    #[test]
    fn a_second_session_is_refused_until_the_first_has_ended() {
        let mut world = world();
        let agent = world.authenticate("Test", "One", "pw").unwrap();
        assert_eq!(world.begin(agent, "last").unwrap().1, "last");
        assert_eq!(world.begin(agent, "last").err(), Some(ALREADY));
        assert_eq!(world.end(agent), [RegionIndex(0)]);
        assert_eq!(world.caps.of(Owner::AgentIn(agent, RegionIndex(0))).count(), 0);
        assert!(world.begin(agent, "uri:beta&1&2&3").is_ok());
        assert_eq!(world.presence(agent).unwrap().root, Some(RegionIndex(1)));
    }

    #[test]
    fn the_gate_opens_once_and_announces_only_what_touches() {
        let mut world = world();
        let agent = world.authenticate("Test", "One", "pw").unwrap();
        world.begin(agent, "home").unwrap();
        world.grant(agent, RegionIndex(0), &["EventQueueGet"]);
        assert!(!world.start_scene(agent, RegionIndex(0)));
        let presence = world.presence_mut(agent).unwrap();
        presence.arrived = true;
        presence.agents.get_mut(&RegionIndex(0)).unwrap().handshake_replied = true;
        assert!(world.start_scene(agent, RegionIndex(0)));
        assert!(!world.start_scene(agent, RegionIndex(0)));
        let events = world.queues.take(Owner::AgentIn(agent, RegionIndex(0))).unwrap().0.events;
        let names: Vec<&str> = events.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(names, ["EnableSimulator", "EstablishAgentCommunication"]);
        assert!(world.queues.take(Owner::AgentIn(agent, RegionIndex(0))).is_none());
    }
}
