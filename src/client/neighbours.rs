//! The regions beside the avatar's that the grid told of: each gets a circuit, its seed is asked and
//! its event queue polled, as viewers do (secondlife/viewer 0420fdbd, indra/newview/llworld.cpp,
//! process_enable_simulator and LLEstablishAgentCommunication). Grids wait for that: some let nobody
//! teleport before, and some tell the rest on the destination's own queue.

use super::events::Poller;
use super::place::{Place, Signs};
use super::presence::Presence;
use super::{Common, Mailbox, Source, Viewer, What, caps};
use crate::net::CircuitName;
use crate::net::http::Request;
use crate::net::tap::Teller;
use crate::net::udp::{CircuitHandle, CircuitOptions};
use crate::proto::circuit::SendOptions;
use crate::proto::event_queue::{EnableSimulator, EstablishAgentCommunication, Event};
use crate::proto::id::CapUrl;
use crate::proto::login::Session;
use crate::proto::message::Message;
use crate::proto::seed;
use crate::tamper::{Applied, Rule};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// More regions than any view has are not called on: whoever announces thousands is not to make
/// us open thousands of ports.
const MOST: usize = 32;

/// Nor does anybody come by so many in one session, or change their seeds so often.
const MOST_CALLS: usize = 500;
const MOST_SEEDS: usize = 4;

/// How long a neighbour's seed may take.
const ANSWER: Duration = Duration::from_secs(30);

/// All that is known of neighbours. Whoever calls on them knows it for as long as the viewer does.
#[derive(Debug, Default)]
pub(super) struct Neighbours(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    /// A seed has answered.
    answered: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Known {
    /// By where their simulators listen.
    beside: BTreeMap<SocketAddrV4, Neighbour>,
    /// Where the viewer has circuits of its own, with what was heard there.
    own: BTreeMap<SocketAddrV4, Arc<Signs>>,
    /// How many were called on, gone ones among them.
    calls: usize,
    /// What their seeds granted: whoever has left knows it still.
    granted: Vec<(String, CapUrl)>,
}

#[derive(Debug)]
struct Neighbour {
    name: CircuitName,
    place: Place,
    seed: CapUrl,
    /// How many seeds it was said to have.
    seeds: usize,
    /// It has been waited for: it may never answer.
    waited_for: bool,
    /// What its seed granted, or what was wrong with its answer.
    answer: Option<Result<Vec<String>, String>>,
}

impl Neighbour {
    fn new(name: CircuitName, place: Place) -> Self {
        let (seed, seeds) = (CapUrl::default(), 0);
        Self { name, place, seed, seeds, waited_for: false, answer: None }
    }
}

/// What calling on a neighbour came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// Where its simulator listens, as EnableSimulator told.
    pub address: Option<SocketAddrV4>,
    /// Nobody told of its seed.
    pub unestablished: bool,
    /// What its seed granted, or what was wrong with its answer.
    pub granted: Option<Result<Vec<String>, String>>,
}

impl Neighbours {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock()
    }

    /// What calling on the one of this circuit came to.
    fn called(&self, circuit: &str) -> Called {
        let known = self.known();
        let found = known.beside.iter().find(|(_, neighbour)| *neighbour.name.get() == *circuit);
        let Some((address, neighbour)) = found else { return Called::default() };
        Called {
            address: Some(*address),
            unestablished: neighbour.seed.is_empty(),
            granted: neighbour.answer.clone(),
        }
    }

    /// For whoever calls on them.
    pub(super) fn follower(&self, caller: Caller) -> Follower {
        Follower { known: Arc::downgrade(&self.0), caller: Arc::new(caller) }
    }

    /// The viewer has a circuit of its own there.
    pub(super) fn note_own(&self, address: SocketAddrV4, signs: Arc<Signs>) {
        self.known().own.insert(address, signs);
    }

    /// Takes the one that listens there out, if its circuit is open.
    fn take(&self, address: SocketAddrV4) -> Option<Neighbour> {
        let neighbour = self.known().beside.remove(&address)?;
        neighbour.place.is_open().then_some(neighbour)
    }

    /// Takes all of them out, and forgets where the viewer has circuits.
    pub(super) fn take_all(&self) -> Vec<Place> {
        let mut known = self.known();
        (known.calls, known.own) = (0, BTreeMap::new());
        std::mem::take(&mut known.beside).into_values().map(|neighbour| neighbour.place).collect()
    }

    /// Stops polling, everywhere.
    pub(super) fn stop_polling(&self) {
        self.known().beside.values_mut().for_each(|neighbour| neighbour.place.stop_polling());
    }

    /// Whether all of them have answered, or were waited for before.
    fn have_answered(&self) -> bool {
        self.known().beside.values().all(|neighbour| {
            let spoken = neighbour.place.link.as_ref().is_some_and(CircuitHandle::has_spoken);
            spoken || neighbour.waited_for
        })
    }

    /// Does something with each circuit.
    pub(super) fn each_circuit(&self, with: impl Fn(&CircuitHandle)) {
        let known = self.known();
        known.beside.values().filter_map(|n| n.place.link.as_ref()).for_each(with);
    }

    /// What their seeds granted.
    pub(super) fn secrets(&self) -> Vec<(String, String)> {
        let known = self.known();
        known.granted.iter().map(|(name, url)| (format!("{name} URL"), url.to_string())).collect()
    }
}

/// Calls on neighbours: whoever hears an event hands it over.
#[derive(Clone)]
pub(super) struct Follower {
    known: Weak<Shared>,
    caller: Arc<Caller>,
}

/// Who calls on them, and how.
pub(super) struct Caller {
    pub common: Common,
    pub session: Session,
    pub teller: Teller,
    pub mailbox: Mailbox,
    pub presence: Presence,
    /// Faults on each circuit.
    pub impair: Vec<Rule>,
    pub impaired: Applied,
}

impl Follower {
    /// Does what a viewer does on an event.
    pub(super) fn heed(&self, event: &Event) {
        self.caller.presence.hearing(&event.message);
        match event.message.as_str() {
            "EnableSimulator" => {
                if let Some(region) = EnableSimulator::parse(&event.body) {
                    self.enable(&region);
                }
            }
            "EstablishAgentCommunication" => {
                if let Some(region) = EstablishAgentCommunication::parse(&event.body) {
                    self.establish(region);
                }
            }
            _ => {}
        }
    }

    /// Opens a circuit to a region that was not known.
    fn enable(&self, region: &EnableSimulator) {
        let name = CircuitName::new(&format!("neighbour {}", region.handle));
        let signs = Signs::of(&self.caller.presence);
        let Some(known) = self.known.upgrade() else { return };
        {
            let mut known = known.lock();
            let address = region.address;
            let own = known.own.get(&address).is_some_and(|signs| !signs.dismissed());
            let open = known.beside.get(&address).is_some_and(|n| !n.place.was_dismissed());
            if own || open || known.beside.len() >= MOST || known.calls >= MOST_CALLS {
                return;
            }
            known.calls += 1;
            let neighbour = Neighbour::new(name.clone(), Place::with(signs.clone()));
            known.beside.insert(address, neighbour);
        }
        tokio::spawn(self.clone().call_on(region.address, name, signs));
    }

    async fn call_on(self, address: SocketAddrV4, name: CircuitName, signs: Arc<Signs>) {
        let Caller { common, session: own, teller, mailbox, impair, impaired, .. } = &*self.caller;
        let session = own.session_id;
        let options = CircuitOptions {
            tamper: common.tamper(impair, impaired),
            handshake: Some((own.agent_id, session)),
            ..common.circuit(address.into(), name.clone(), teller)
        };
        let mailbox = mailbox.clone();
        let opened = CircuitHandle::open(options, move |seen| {
            signs.observe(&seen, Some(session));
            mailbox.post(Source::Circuit(name.text()), What::Udp(Box::new(seen)));
        });
        let link = match opened.await {
            Ok(link) => link,
            Err(error) => return teller.remark(format!("calling on a neighbour: {error}")),
        };
        let code = super::enter::use_circuit_code(&common.template, own);
        let _ = link.send(code, SendOptions::RELIABLE).await;
        // Whoever has left meanwhile has taken it out; dropped, the circuit closes.
        let Some(known) = self.known.upgrade() else { return };
        if let Some(neighbour) = known.lock().beside.get_mut(&address) {
            neighbour.place.runs(link, common.updates());
        }
    }

    /// Asks the seed of a region that was announced before, and polls its queue.
    fn establish(&self, region: EstablishAgentCommunication) {
        let Some(known) = self.known.upgrade() else { return };
        {
            let mut known = known.lock();
            // As viewers do, who pass over a region that no EnableSimulator told of.
            let Some(neighbour) = known.beside.get_mut(&region.address) else { return };
            if neighbour.seed == region.seed || neighbour.seeds >= MOST_SEEDS {
                return;
            }
            neighbour.seeds += 1;
            neighbour.seed = region.seed.clone();
            neighbour.place.stop_polling();
        }
        tokio::spawn(self.clone().ask_seed(region));
    }

    async fn ask_seed(self, region: EstablishAgentCommunication) {
        let request =
            Request::post(&*region.seed, seed::CONTENT_TYPE, seed::request(&caps::WANTED));
        let Caller { common, teller, mailbox, .. } = &*self.caller;
        let granted = match common.ask(teller, "Seed", request, ANSWER).await {
            Ok(reply) if reply.status == 200 => {
                reply.read(seed::parse_reply).await.map_err(|error| error.to_string())
            }
            Ok(reply) => Err(format!("status {}", reply.status)),
            Err(error) => Err(error.to_string()),
        };
        let Some(shared) = self.known.upgrade() else { return };
        let mut known = shared.lock();
        let granted = granted.map(|granted| {
            let urls = granted.into_iter().map(|(name, url)| (name, CapUrl::from(url)));
            urls.take(caps::GRANTED).collect::<Vec<_>>()
        });
        known.granted.extend(granted.iter().flatten().cloned());
        shared.answered.notify_waiters();
        let Some(neighbour) = known.beside.get_mut(&region.address) else { return };
        if neighbour.seed != region.seed {
            return;
        }
        let names =
            |caps: &Vec<(String, CapUrl)>| caps.iter().map(|(name, _)| name.clone()).collect();
        neighbour.answer = Some(granted.as_ref().map(names).map_err(Clone::clone));
        neighbour.place.caps = granted.unwrap_or_default();
        if let Some(url) = neighbour.place.cap("EventQueueGet").map(CapUrl::from) {
            let queue = (url, neighbour.name.clone());
            let signs = neighbour.place.signs.clone();
            let poller = Poller::new(common, teller, mailbox, queue, signs);
            neighbour.place.poll(poller.followed_by(Some(self.clone())));
        }
    }
}

impl Viewer {
    /// Does something with the circuit to each neighbour.
    pub fn each_neighbour(&self, with: impl Fn(&CircuitHandle)) {
        self.neighbours.each_circuit(with);
    }

    /// Does something with every circuit, those to neighbours among them.
    pub(super) fn each_circuit(&self, with: impl Fn(&CircuitHandle)) {
        self.links().for_each(|(_, link)| with(link));
        self.neighbours.each_circuit(with);
    }

    /// Waits until all that it was told of have answered its call, each at most once: people ask
    /// for a teleport later than that, and some grids refuse one before.
    pub async fn calls_answered(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let answered =
            self.mailbox.wait(deadline, |_| self.neighbours.have_answered().then_some(()));
        if answered.await.is_none() {
            self.neighbours.known().beside.values_mut().for_each(|n| n.waited_for = true);
        }
    }

    /// Waits until the neighbour of this circuit has greeted, and its seed has answered.
    pub async fn wait_for_neighbour(
        &self,
        circuit: &str,
        within: Duration,
    ) -> (Called, Option<Message>) {
        let deadline = Instant::now() + within;
        let greeting = self.wait_for(circuit, "RegionHandshake", within).await;
        loop {
            let answered = self.neighbours.0.answered.notified();
            tokio::pin!(answered);
            answered.as_mut().enable();
            let called = self.neighbours.called(circuit);
            if called.granted.is_some() || Instant::now() >= deadline {
                return (called, greeting);
            }
            tokio::select! {
                biased;
                () = &mut answered => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Makes the circuit that is open to a simulator already, as that of a neighbour, the one of
    /// this name, with its capabilities and its queue. False where there is none.
    pub(super) fn adopt(&mut self, address: SocketAddrV4, circuit: &str) -> bool {
        let Some(neighbour) = self.neighbours.take(address) else { return false };
        self.neighbours.note_own(address, neighbour.place.signs.clone());
        self.call(neighbour.place, &neighbour.name, circuit);
        true
    }

    /// Makes the circuit that is open to a simulator already, since the avatar was there, the one of
    /// this name. False where there is none. A viewer has one port for all simulators, and some hear
    /// an agent on no other than its first (WhiteCore LLUDPServer.cs).
    pub(super) fn resume(&mut self, address: SocketAddrV4, circuit: &str) -> bool {
        let Some(before) = self.circuit_to(address).map(str::to_owned) else { return false };
        if before == circuit {
            return true;
        }
        if let Some(mut place) = self.places.remove(&before)
            && let Some(name) = place.link.as_ref().map(|link| link.name().clone())
        {
            (place.may_end, place.out_of_view) = (false, false);
            self.call(place, &name, circuit);
        }
        self.mailbox.retire(&Source::Circuit(circuit.to_owned()));
        if self.root == before {
            circuit.clone_into(&mut self.root);
        }
        true
    }

    /// The circuit to a region has another name from now on; another that had it closes.
    fn call(&mut self, place: Place, name: &CircuitName, circuit: &str) {
        if let Some(old) = self.take_link(circuit) {
            old.mute(true);
            old.close();
        }
        self.mailbox.forget_source(&Source::Circuit(circuit.to_owned()));
        let before = name.text();
        name.set(circuit);
        self.mailbox.rename(&before, circuit);
        self.places.insert(circuit.to_owned(), place);
    }
}
