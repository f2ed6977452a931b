//! Who is logged in and where: a pure model, changed under one lock.

use super::capability::{Cap, Capabilities, Purpose};
use super::config::Account;
use super::fault::Faults;
use super::policy::Policy;
use super::presence::{AgentHere, Presence};
use crate::net::Chance;
use crate::proto::event_queue::{EnableSimulator, EstablishAgentCommunication, Event, PollReply};
use crate::proto::login::{Start, hash_password};
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use uuid::Uuid;

/// A region's name and place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub name: String,
    pub x: u32,
    pub y: u32,
    pub address: SocketAddrV4,
    /// Nobody is let in.
    pub closed: bool,
}

impl Place {
    /// The south-west corner in metres.
    pub fn corner(&self) -> (u32, u32) {
        (self.x * 256, self.y * 256)
    }

    pub fn handle(&self) -> u64 {
        let (x, y) = self.corner();
        u64::from(x) << 32 | u64::from(y)
    }

    /// The region's own id.
    pub fn id(&self) -> Uuid {
        derived_id(&format!("region {}", self.name))
    }

    pub fn touches(&self, other: &Self) -> bool {
        (self.x, self.y) != (other.x, other.y)
            && self.x.abs_diff(other.x) <= 1
            && self.y.abs_diff(other.y) <= 1
    }
}

/// A refused login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub reason: &'static str,
    pub message: &'static str,
}

/// The model.
#[derive(Debug)]
pub(super) struct World {
    accounts: Vec<Account>,
    /// Places of the accounts, by agent and by name in lower case.
    by_agent: BTreeMap<Uuid, usize>,
    by_name: BTreeMap<(String, String), usize>,
    pub places: Vec<Place>,
    presences: BTreeMap<Uuid, Presence>,
    last: BTreeMap<Uuid, (usize, [f32; 3])>,
    homes: BTreeMap<Uuid, (usize, [f32; 3])>,
    /// Who was invited where, by the guest and the lure's id.
    pub(super) lures: BTreeMap<(Uuid, Uuid), (usize, [f32; 3])>,
    pub(super) journeys: u64,
    pub caps: Capabilities,
    base: String,
    pub(super) faults: Faults,
    pub(super) chance: Chance,
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
pub(super) const MIDDLE: [f32; 3] = [128.0, 128.0, 25.0];

/// Where an avatar looks that was not told otherwise.
pub(super) const AHEAD: [f32; 3] = [0.99, 0.042, 0.0];

/// An id that follows from a text: the same avatar has the same id at every start.
pub(super) fn derived_id(text: &str) -> Uuid {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    uuid::Builder::from_md5_bytes(digest).into_uuid()
}

impl World {
    pub fn new(
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
            lures: BTreeMap::new(),
            journeys: 0,
            caps: Capabilities::default(),
            base,
            faults,
            chance,
        }
    }

    pub fn population(&self) -> usize {
        self.presences.len()
    }

    pub fn presence(&self, agent: Uuid) -> Option<&Presence> {
        self.presences.get(&agent)
    }

    pub fn presence_mut(&mut self, agent: Uuid) -> Option<&mut Presence> {
        self.presences.get_mut(&agent)
    }

    /// First and last name of an account, logged in or not.
    pub fn name_of(&self, agent: Uuid) -> Option<(String, String)> {
        let account = self.accounts.get(*self.by_agent.get(&agent)?)?;
        Some((account.first.clone(), account.last.clone()))
    }

    fn account(&self, first: &str, last: &str) -> Option<&Account> {
        self.accounts.get(*self.by_name.get(&key(first, last))?)
    }

    /// The agent of a name.
    pub fn agent_of(&self, first: &str, last: &str) -> Option<Uuid> {
        self.account(first, last).map(agent_id)
    }

    /// Checks a name and password. The hash may come with its `$1$` or the password in clear.
    pub fn authenticate(&self, first: &str, last: &str, passwd: &str) -> Result<Uuid, Refusal> {
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

    /// Starts a session. Whoever was logged in as the same avatar must be ended first.
    pub fn begin(
        &mut self,
        agent: Uuid,
        start: &str,
    ) -> Result<(&Presence, &'static str), Refusal> {
        if self.presences.contains_key(&agent) {
            return Err(ALREADY);
        }
        let (root, position, word) = self.destination(agent, start)?;
        let (first, last) = self.name_of(agent).ok_or(BAD_CREDENTIALS)?;
        let repeated = self.faults.breaks(Policy::RepeatsIds);
        let fresh_id = || if repeated { agent } else { self.chance.uuid() };
        let mut presence = Presence {
            agent_id: agent,
            session_id: fresh_id(),
            secure_session_id: fresh_id(),
            circuit_code: match repeated {
                true => 7,
                false => self.chance.number(1..i32::MAX as u32),
            },
            first,
            last,
            root,
            position,
            look_at: AHEAD,
            arrived: false,
            sitting: false,
            flying: false,
            walking: None,
            animations: Vec::new(),
            agents: BTreeMap::new(),
            transit: None,
        };
        let here = new_agent(&mut self.caps, &self.chance, agent, root);
        presence.agents.insert(root, here);
        self.last.insert(agent, (root, position));
        Ok((self.presences.entry(agent).or_insert(presence), word))
    }

    fn destination(
        &self,
        agent: Uuid,
        start: &str,
    ) -> Result<(usize, [f32; 3], &'static str), Refusal> {
        if start.is_empty() {
            return Ok((0, MIDDLE, "safe"));
        }
        let home = self.home(agent);
        match Start::parse(start).ok_or(BAD_START)? {
            Start::Home => Ok((home.0, home.1, "home")),
            Start::Last => {
                let (root, position) = self.last.get(&agent).copied().unwrap_or(home);
                Ok((root, position, "last"))
            }
            Start::Region(name, position) => {
                let open = |p: &Place| !p.closed || self.faults.breaks(Policy::NothingClosed);
                let meant = |p: &Place| p.name.eq_ignore_ascii_case(&name) && open(p);
                let found = self.places.iter().position(meant);
                let [x, y, z] = position;
                let inside = [x.clamp(0.5, 255.5), y.clamp(0.5, 255.5), z.clamp(0.0, 4096.0)];
                Ok(found.map_or((0, MIDDLE, "safe"), |root| (root, inside, "url")))
            }
        }
    }

    /// Where an avatar goes that goes home.
    pub fn home(&self, agent: Uuid) -> (usize, [f32; 3]) {
        self.homes.get(&agent).copied().unwrap_or((0, MIDDLE))
    }

    /// Makes a place in the region where the avatar stands its home; false where it stands nowhere.
    pub fn set_home(&mut self, agent: Uuid, position: [f32; 3]) -> bool {
        let root = self.presence(agent).filter(|p| p.arrived).map(|p| p.root);
        root.is_some_and(|root| {
            self.homes.insert(agent, (root, position));
            true
        })
    }

    /// Ends a session: its regions, for closing the circuits there.
    pub fn end(&mut self, agent: Uuid) -> Vec<usize> {
        let Some(presence) = self.presences.remove(&agent) else { return Vec::new() };
        self.last.insert(agent, (presence.root, presence.position));
        if !self.faults.breaks(Policy::CapsOutlive) {
            self.caps.revoke(agent, None);
        }
        self.lures.retain(|(guest, _), _| *guest != agent);
        presence.agents.values().for_each(|here| here.wake.notify_waiters());
        presence.agents.keys().copied().collect()
    }

    /// Whether these three open a circuit in that region.
    pub fn admits(&self, region: usize, agent: Uuid, session: Uuid, code: u32) -> bool {
        self.presences.get(&agent).is_some_and(|p| {
            (p.session_id == session || self.faults.breaks(Policy::AnySession))
                && (p.circuit_code == code || self.faults.breaks(Policy::AnyCode))
                && p.agents.contains_key(&region)
        })
    }

    /// How many uploaders of an agent wait for their bytes.
    pub fn uploaders(&self, agent: Uuid) -> usize {
        let waits = |cap: &&Cap| matches!(cap.purpose, Purpose::Uploader(_));
        self.caps.of(agent).filter(waits).count()
    }

    /// The URL of a capability's id.
    pub fn url(&self, id: &str) -> String {
        cap_url(&self.base, id)
    }

    /// Grants capabilities by name; a name granted before keeps its URL.
    pub fn grant(
        &mut self,
        agent: Uuid,
        region: usize,
        names: &[&'static str],
    ) -> Vec<(String, String)> {
        let Some(here) = self.presences.get_mut(&agent).and_then(|p| p.agents.get_mut(&region))
        else {
            return Vec::new();
        };
        here.seed_posted = true;
        if self.faults.breaks(Policy::NewUrls) {
            here.granted.clear();
        }
        let mut granted = Vec::new();
        for name in names {
            let id = here.granted.entry(name).or_insert_with(|| {
                let id = self.chance.uuid().to_string();
                let cap = Cap { agent, region, purpose: Purpose::Named(name) };
                self.caps.insert(id.clone(), cap);
                id
            });
            granted.push((name.to_string(), cap_url(&self.base, id)));
        }
        granted
    }

    /// Whether the gate of an agent has just opened; from its root the neighbours are announced.
    pub fn open_world(&mut self, agent: Uuid, region: usize) -> bool {
        let Some(presence) = self.presences.get_mut(&agent) else { return false };
        let ready = presence.root != region || presence.arrived;
        let Some(here) = presence.agents.get_mut(&region) else { return false };
        if here.world_open || !ready || !here.seed_posted || !here.handshake_replied {
            return false;
        }
        here.world_open = true;
        self.announce_neighbours(agent, region);
        true
    }

    /// Once, and only to whoever has an avatar here and an open gate.
    pub(super) fn announce_neighbours(&mut self, agent: Uuid, region: usize) {
        let Some(presence) = self.presences.get_mut(&agent) else { return };
        let root = presence.root == region;
        let Some(here) = presence.agents.get_mut(&region) else { return };
        if !root || !here.world_open || std::mem::replace(&mut here.announced, true) {
            return;
        }
        let place = self.places[region].clone();
        let near: Vec<usize> =
            (0..self.places.len()).filter(|at| self.places[*at].touches(&place)).collect();
        for neighbour in near {
            self.introduce(agent, region, neighbour);
        }
    }

    /// Makes an agent in a region, if there is none, and tells the viewer on another region's
    /// queue where it is and how to talk to it.
    pub(super) fn introduce(&mut self, agent: Uuid, teller: usize, region: usize) {
        let Some(seed) = self.child(agent, region) else { return };
        let place = &self.places[region];
        let enable =
            EnableSimulator { handle: place.handle(), address: place.address, size: (256, 256) };
        let establish = EstablishAgentCommunication {
            agent_id: agent,
            address: place.address,
            seed: self.url(&seed),
        };
        self.tell(agent, teller, enable.to_event());
        self.tell(agent, teller, establish.to_event());
    }

    /// The seed of an agent in a region; the agent is made if there is none.
    pub(super) fn child(&mut self, agent: Uuid, region: usize) -> Option<String> {
        let presence = self.presences.get_mut(&agent)?;
        let (caps, chance) = (&mut self.caps, &self.chance);
        let here = presence.agents.entry(region);
        let here = here.or_insert_with(|| new_agent(caps, chance, agent, region));
        Some(here.seed.clone())
    }

    /// An agent is no longer in a region; its capabilities there are gone.
    pub(super) fn forget_child(&mut self, agent: Uuid, region: usize) {
        let presence = self.presences.get_mut(&agent);
        if let Some(here) = presence.and_then(|p| p.agents.remove(&region)) {
            here.wake.notify_waiters();
        }
        if !self.faults.breaks(Policy::CapsOutlive) {
            self.caps.revoke(agent, Some(region));
        }
    }

    fn here(&mut self, agent: Uuid, region: usize) -> Option<&mut AgentHere> {
        self.presences.get_mut(&agent)?.agents.get_mut(&region)
    }

    /// Puts an event on a region's queue.
    pub fn tell(&mut self, agent: Uuid, region: usize, event: Event) {
        /// Whoever does not poll loses the oldest beyond this.
        const MOST: usize = 1000;
        if let Some(here) = self.here(agent, region) {
            here.queue.push_back(event);
            if here.queue.len() > MOST {
                here.queue.pop_front();
            }
            here.wake.notify_waiters();
        }
    }

    /// What wakes the poll of an agent's queue in a region; none if there is no such queue.
    pub fn wake(&self, agent: Uuid, region: usize) -> Option<std::sync::Arc<tokio::sync::Notify>> {
        Some(self.presence(agent)?.agents.get(&region)?.wake.clone())
    }

    /// Everything queued for an agent in a region, as one reply, and what a fault held back
    /// before; none if there is neither.
    pub fn take_events(&mut self, agent: Uuid, region: usize) -> Option<(PollReply, Vec<Event>)> {
        let singly = self.faults.breaks(Policy::TellsSingly);
        let stands = self.faults.breaks(Policy::CountsNoPolls);
        let here = self.here(agent, region)?;
        if here.queue.is_empty() && here.late.is_empty() {
            return None;
        }
        let id = here.next_event;
        here.next_event += i32::from(!stands);
        let most = if singly { 1 } else { here.queue.len() };
        let events = here.queue.drain(..most.min(here.queue.len())).collect();
        let reply = PollReply { id, events };
        Some((reply, std::mem::take(&mut here.late)))
    }

    /// An event that a fault held back is due.
    pub fn tell_late(&mut self, agent: Uuid, region: usize, event: Event) {
        if let Some(here) = self.here(agent, region) {
            here.late.push(event);
            here.wake.notify_waiters();
        }
    }

    /// Another agent, logged in by itself for faults that mix agents up.
    pub fn bystander(&mut self, but: Uuid) -> Uuid {
        let others: Vec<Uuid> = self.accounts.iter().map(agent_id).filter(|a| *a != but).collect();
        let Some(other) = others.last().copied() else { return but };
        if self.begin(other, "home").is_ok() {
            let beside: Vec<usize> = (0..self.places.len())
                .filter(|at| self.places[*at].touches(&self.places[0]))
                .collect();
            beside.into_iter().for_each(|at| self.introduce(other, 0, at));
        }
        other
    }

    /// Everybody who stands in another region, and where: for faults.
    pub fn everybody(&self, but: usize) -> impl Iterator<Item = (usize, Uuid)> {
        let elsewhere = self.presences.values().filter(move |p| p.root != but && p.arrived);
        elsewhere.map(|p| (p.root, p.agent_id))
    }

    /// The avatars that stand in a region, but for one.
    pub fn others(&self, region: usize, but: Uuid) -> impl Iterator<Item = &Presence> {
        self.presences.values().filter(move |p| p.root == region && p.arrived && p.agent_id != but)
    }
}

/// A name as it is looked up: its case does not count.
fn key(first: &str, last: &str) -> (String, String) {
    (first.to_ascii_lowercase(), last.to_ascii_lowercase())
}

fn agent_id(account: &Account) -> Uuid {
    derived_id(&format!("agent {} {}", account.first, account.last).to_lowercase())
}

/// The URL of a capability's id.
fn cap_url(base: &str, id: &str) -> String {
    format!("{base}CAPS/{id}")
}

/// An agent with its seed, whose id ends in four zeros, as OpenSim's do.
fn new_agent(caps: &mut Capabilities, chance: &Chance, agent: Uuid, region: usize) -> AgentHere {
    let seed = format!("{}0000", chance.uuid());
    caps.insert(seed.clone(), Cap { agent, region, purpose: Purpose::Seed });
    AgentHere::new(seed, chance.number(1..30_000_000) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let place = |name: &str, x| Place {
            name: name.into(),
            x,
            y: 1000,
            address: SocketAddrV4::new([127, 0, 0, 1].into(), 9),
            closed: false,
        };
        let places = vec![place("Alpha", 1000), place("Beta", 1001), place("Gamma", 1010)];
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
        assert_eq!(world.begin(agent, "last").unwrap_err(), ALREADY);
        assert_eq!(world.end(agent), [0]);
        assert_eq!(world.caps.of(agent).count(), 0);
        assert!(world.begin(agent, "uri:beta&1&2&3").is_ok());
        assert_eq!(world.presence(agent).unwrap().root, 1);
    }

    #[test]
    fn the_gate_opens_once_and_announces_only_what_touches() {
        let mut world = world();
        let agent = world.authenticate("Test", "One", "pw").unwrap();
        world.begin(agent, "home").unwrap();
        world.grant(agent, 0, &["EventQueueGet"]);
        assert!(!world.open_world(agent, 0));
        let presence = world.presence_mut(agent).unwrap();
        presence.arrived = true;
        presence.agents.get_mut(&0).unwrap().handshake_replied = true;
        assert!(world.open_world(agent, 0));
        assert!(!world.open_world(agent, 0));
        let events = world.take_events(agent, 0).unwrap().0.events;
        let names: Vec<&str> = events.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(names, ["EnableSimulator", "EstablishAgentCommunication"]);
        assert!(world.take_events(agent, 0).is_none());
    }
}
