//! The reference grid without a socket, a thread or a clock: inputs and the time come in, outputs
//! and the next due time go out, as with quinn's `Endpoint`.
//!
//! The core knows sessions and agents, circuits, capabilities and event queues. What a grid does
//! for its visitors is done by the rooms, which it knows by their [`RoomDef`] alone.

mod admission;
mod capability;
mod caps;
mod circuits;
mod effect;
mod figures;
mod gate;
mod journey;
pub(super) mod messages;
mod notices;
mod odd;
mod presence;
mod queue;
mod reply;
mod route;
mod state;
mod timer;
mod web;
mod world;

pub(super) use capability::Owner;
pub(super) use caps::EVENT_QUEUE;
pub(super) use effect::{Happened, Sender};
pub(super) use journey::{Target, standing};
pub(super) use presence::Presence;
pub(super) use reply::{Body, Reply};
pub(super) use route::{Asked, CORE, OnMessage, RoomDef, Routes};
pub(super) use world::{Place, World, derived_id};

use super::inventory::{Batch, Inventories};
use super::misbehaviour::{Misbehaviour, misbehaviours};
use super::{Faults, GridConfig};
use crate::net::Chance;
use crate::net::server::{Answer, Request};
use crate::net::tap::{RegionIndex, Tap};
use crate::proto::message::Decoder;
use crate::proto::template::Template;
use circuits::Circuits;
use notices::{Notices, panic_text};
use queue::Requests;
use state::States;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use timer::Timers;

misbehaviours! {
    AnyCode "any-code" "Any circuit code will do.",
    AnySession "any-session" "Any session id will do.",
    ForeignIds "foreign-ids" "Packets with foreign ids are acknowledged and processed.",
    AnswersStrangers "answers-strangers" "Endpoints that never sent UseCircuitCode are acknowledged.",
    CapsOutlive "caps-outlive" "Capabilities outlive their session.",
    QueueOutlives "queue-outlives" "A session's event queue begins with what an earlier session was not told.",
    GrantsAnything "grants-anything" "The seed grants names it does not know.",
    DiesOfGarbage "dies-of-garbage" "A datagram that does not decode ends its circuit.",
    NeverHolds "never-holds" "An empty event queue answers at once.",
    StumblesAtFirst "stumbles-at-first" "The first poll of an event queue is answered 502 at once.",
    AcksGarbage "acks-garbage" "A reliable datagram that does not decode is acknowledged.",
    ObeysTrusted "obeys-trusted" "A message that only simulators may send is carried out.",
    DiesOfTrusted "dies-of-trusted" "A message that only simulators may send ends its circuit.",
    ReadsPastTheEnd "reads-past-the-end" "A datagram that is too short is read on into a stranger's bytes.",
    RepeatsIds "repeats-ids" "Every session of an agent has the same ids and code.",
    DiesOfAcks "dies-of-acks" "An ack of what was not sent, or was acknowledged before, ends the circuit.",
    NewUrls "new-urls" "Every seed request gets new URLs.",
    ForeignCaps "foreign-caps" "The seed hands out the capabilities of another agent.",
    KeepsOldPort "keeps-old-port" "A session taken over from another port goes on at the old one too.",
    DiesUnpinged "dies-unpinged" "A client that answers no pings is gone, whatever else it sends.",
    NeverWraps "never-wraps" "Numbers behind the highest one, wrapped, are not heard.",
    RefusesTrailingBytes "refuses-trailing-bytes" "A datagram with bytes behind its last block is dropped.",
    RefusesReservedBits "refuses-reserved-bits" "A datagram with a flag bit that has no meaning is dropped.",
    RefusesEmptyTrailer "refuses-empty-trailer" "A datagram whose ack trailer is empty is dropped.",
    ExtraHeader "extra-header" "Pings and their answers have an extra header of four bytes.",
    LooseTrailer "loose-trailer" "An ack trailer that reaches into the message is passed over.",
    DiesOfExtra "dies-of-extra" "A datagram with an extra header ends its circuit.",
    TellsSingly "tells-singly" "A poll brings one event, whatever else has happened.",
    IgnoresEmptySeed "ignores-empty-seed" "A seed request that asks for nothing does not count.",
    IgnoresResent "ignores-resent" "A packet that says it is sent again is passed over.",
    SeedForOneAddress "seed-for-one-address" "The seed answers only 127.0.0.1.",
    DisablesByEvent "disables-by-event" "DisableSimulator is told on the event queue.",
    TeleportsTwice "teleports-twice" "A teleport begins while another is under way.",
    NothingClosed "nothing-closed" "Everybody is let in everywhere.",
    LandsElsewhere "lands-elsewhere" "Whoever teleports arrives at another place.",
    ForgetsFlying "forgets-flying" "Whoever flies is not told to arrive flying.",
    ClosesNeighbours "closes-neighbours" "After a teleport every other circuit is closed.",
    CallsFirst "calls-first" "Nobody is let go before their viewer has called where it was told of regions, the destination among them.",
    FinishesThere "finishes-there" "The end of a teleport is told on the destination's own event queue, which is announced before.",
    AnySeed "any-seed" "A capability that was never handed out grants whatever it is asked for.",
    GoneIsAPage "gone-is-a-page" "What is gone is answered with 200 and a web page.",
    DropsRepeated "drops-repeated" "A name that a seed request lists twice is not granted.",
    GrantsEmpty "grants-empty" "The seed grants names it does not know, as empty texts.",
    FallsOff "falls-off" "Whoever walks over a border without a region behind it comes out elsewhere.",
    CountsNoPolls "counts-no-polls" "Every reply of an event queue has the same id.",
    TeleportsAnywhere "teleports-anywhere" "A teleport to where nothing is leads somewhere.",
    SwapsStart "swaps-start" "x and y of a start location change places.",
    ForgetsNeighbours "forgets-neighbours" "Neighbours of a region that was left for one far away keep their child agents.",
    StaysInBoth "stays-in-both" "After a teleport the avatar is in the old region too.",
    WithholdsAck "withholds-ack" "One harmless reliable packet of each circuit is never acknowledged.",
    Keyless "keyless" "A map in a reply begins with a value that has no key.",
    WantsDigits "wants-digits" "A request to a capability that spells a boolean as a word is refused.",
    TerseXml "terse-xml" "Replies of the event queue with an odd id have no XML declaration, and a blank in every end tag.",
    NamelessFlags "nameless-flags" "A teleport is told with a flag that has no name.",
    NeverAcks "never-acks" "Reliable packets are not acknowledged.",
    IgnoresAcks "ignores-acks" "Acks are not heeded: everything is sent again and again.",
    DropsEarly "drops-early" "Whoever is silent for a quarter of a minute is dropped.",
    NeverResends "never-resends" "Nothing is sent again.",
    ProcessesDuplicates "processes-duplicates" "Duplicates are processed.",
    NeverPongs "never-pongs" "Pings are not answered.",
    NeverPings "never-pings" "The simulator does not ping.",
    NeverTimesOut "never-times-out" "Silence is borne for ever.",
    ResendsOnce "resends-once" "What is not acknowledged is sent once more, and then given up.",
    CountsFromAHundred "counts-from-a-hundred" "The simulator's first number is 100.",
    AcksSingly "acks-singly" "Every ack travels alone.",
    AcksOnce "acks-once" "A packet that comes again is not acknowledged again.",
    AcksByTheHundred "acks-by-the-hundred" "Every PacketAck has 255 numbers, the first of them again and again.",
    UnknownEvents "unknown-events" "Replies of the event queue with an even id have an event that nobody knows.",
    CrossesTwice "crosses-twice" "Whoever walks over a border is told so twice.",
    ForeignFinishes "foreign-finishes" "Every reply of the event queue has a TeleportFinish for another agent.",
    ForeignCrossings "foreign-crossings" "Every reply of the event queue has a CrossedRegion for another agent.",
    GreetsStrangers "greets-strangers" "A code that no login gave out is greeted.",
    RefusesNewPort "refuses-new-port" "A session cannot be taken over from another port.",
    CodedTrailer "coded-trailer" "The acks behind a CoarseLocationUpdate are zero-coded with its body.",
    CutLocations "cut-locations" "A CoarseLocationUpdate ends within its last block.",
    TrailingBytes "trailing-bytes" "Five bytes follow the last block of every ping.",
    EmptyRuns "empty-runs" "A run of zeros is begun by one that is said to have none.",
}

/// Tells one request from every other.
pub(super) type RequestId = u64;

/// What comes in.
pub(super) enum Input {
    /// A datagram to a region's port.
    Datagram(RegionIndex, SocketAddr, Vec<u8>),
    /// A request, read whole.
    Request(RequestId, Request),
    /// Whoever asked waits no longer.
    GivenUp(RequestId),
    /// A batch is on the disk, or could not be kept.
    Kept(u64, Result<(), String>),
}

/// What goes out.
pub(super) enum Output {
    /// A datagram from a region's port.
    Datagram(RegionIndex, SocketAddr, Vec<u8>),
    /// The answer to a request.
    Answer(RequestId, Answer),
    /// To be put on the disk, one after the other.
    Keep(u64, Batch),
}

/// What is done once a batch is on the disk, or cannot be.
type WhenKept = Box<dyn FnOnce(&mut Core, bool) + Send>;

/// What a core starts with.
pub(super) struct Beginning {
    pub config: GridConfig,
    pub login_uri: String,
    pub places: Vec<Place>,
    pub inventories: Inventories,
    pub routes: Routes,
    /// Where ids come from.
    pub chance: Chance,
    /// The time of day when time begins.
    pub started: jiff::Timestamp,
}

/// A grid.
pub(super) struct Core {
    /// The time since it began.
    pub now: Duration,
    pub config: GridConfig,
    pub faults: Faults,
    pub template: Arc<Template>,
    pub login_uri: String,
    pub chance: Chance,
    pub world: World,
    pub inventories: Inventories,
    /// The circuits of each region.
    pub circuits: Vec<Circuits>,
    /// What the rooms remember.
    pub states: States,
    pub notices: Notices,
    pub tap: Tap,
    started: jiff::Timestamp,
    routes: Arc<Routes>,
    requests: Requests,
    timers: Timers,
    decoder: Decoder,
    keeping: BTreeMap<u64, WhenKept>,
    kept: u64,
    out: VecDeque<Output>,
}

impl Core {
    pub(super) fn new(beginning: Beginning) -> Self {
        let Beginning { config, login_uri, places, inventories, routes, chance, started } =
            beginning;
        let (template, notices) = (Template::shipped().clone(), Notices::default());
        let tap = config.tap.clone();
        let circuits = (0..places.len()).map(|region| {
            Circuits::new(RegionIndex(region), &config, template.clone(), notices.clone())
        });
        Self {
            now: Duration::ZERO,
            faults: config.faults.clone(),
            circuits: circuits.collect(),
            world: World::new(
                config.accounts.clone(),
                places,
                login_uri.clone(),
                config.faults.clone(),
                chance.clone(),
            ),
            template,
            login_uri,
            chance,
            inventories,
            states: States::default(),
            notices,
            tap,
            started,
            routes: Arc::new(routes),
            requests: Requests::default(),
            timers: Timers::default(),
            decoder: Decoder::tolerant(),
            keeping: BTreeMap::new(),
            kept: 0,
            out: VecDeque::new(),
            config,
        }
    }

    /// Takes something in. What follows from it is to be polled.
    pub(super) fn handle(&mut self, now: Duration, input: Input) {
        self.expire(now);
        match input {
            Input::Datagram(region, from, bytes) => {
                let template = self.template.clone();
                let name = || gate::name_of(&template, &bytes);
                self.survive(name, |core| core.receive(region, from, &bytes));
            }
            Input::Request(id, request) => {
                // Its first part only: what follows is a secret.
                let place = request.path.split('/').nth(1).unwrap_or_default().to_owned();
                if !self.survive(|| format!("/{place}"), |core| core.request(id, &request)) {
                    self.answer(id, Reply::status(crate::tamper::Channel::Http, "", 500));
                }
            }
            Input::GivenUp(id) => self.given_up(id),
            Input::Kept(token, kept) => {
                if let Err(error) = &kept {
                    tracing::error!("inventories cannot be kept: {error}");
                }
                if let Some(then) = self.keeping.remove(&token) {
                    self.survive(|| "what was kept".into(), |core| then(core, kept.is_ok()));
                }
            }
        }
        self.settle();
    }

    /// Does whatever is due. What follows from it is to be polled.
    pub(super) fn handle_timeouts(&mut self, now: Duration) {
        self.expire(now);
        self.settle();
    }

    fn expire(&mut self, now: Duration) {
        self.now = now.max(self.now);
        self.inventories.set_time(self.time());
        while let Some((what, then)) = self.timers.pop_due(self.now) {
            self.survive(|| what.to_owned(), |core| then(core));
        }
        for region in 0..self.circuits.len() {
            self.circuits[region].handle_timeouts(self.now);
        }
    }

    /// What goes out next.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When something is due next.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let circuits = self.circuits.iter().filter_map(Circuits::next_due);
        circuits.chain(self.timers.next_due()).min()
    }

    /// The time of day.
    pub(super) fn time(&self) -> jiff::Timestamp {
        let passed = jiff::SignedDuration::try_from(self.now);
        let time = passed.and_then(|passed| self.started.checked_add(passed));
        time.unwrap_or(self.started)
    }

    /// Whether a rule of the protocol is not kept, asked where that makes a difference.
    pub(super) fn breaks(&self, what: impl Into<Misbehaviour>) -> bool {
        self.faults.breaks(what)
    }

    /// A time of the protocol's figures, as fast as this grid's time runs.
    pub(crate) fn faster(&self, time: Duration) -> Duration {
        time / self.config.time_factor.max(1)
    }

    /// Does something when a time of the protocol's figures has passed. It is for whatever is done
    /// then to see whether it is still meant.
    pub(super) fn after(
        &mut self,
        time: Duration,
        what: &'static str,
        then: impl FnOnce(&mut Self) + Send + 'static,
    ) -> timer::Timer {
        let due = self.now + self.faster(time);
        self.timers.add(due, what, Box::new(then))
    }

    /// Does something as soon as what has changed in inventories is on the disk; at once, where
    /// nothing is kept there. Nobody is told of a change before that, not even by an ack.
    pub(super) fn when_kept(&mut self, then: impl FnOnce(&mut Self, bool) + Send + 'static) {
        let Some(batch) = self.inventories.take_batch() else { return then(self, true) };
        let (owners, assets) = (batch.owners(), batch.asset_ids());
        self.kept += 1;
        let (number, mut held) = (self.kept, Vec::new());
        for (region, circuits) in self.circuits.iter_mut().enumerate() {
            held.extend(
                owners.iter().filter_map(|o| circuits.hold(*o, number)).map(|to| (region, to)),
            );
        }
        let then = move |core: &mut Self, kept: bool| {
            held.into_iter().for_each(|(region, to)| core.circuits[region].release(to, number));
            core.inventories.settled(owners, assets, kept);
            then(core, kept);
        };
        self.keeping.insert(number, Box::new(then));
        self.out.push_back(Output::Keep(number, batch));
    }

    /// A handler that panics takes nobody else along: the grid lives on, and says so. Whether it
    /// came to its end.
    fn survive(&mut self, what: impl Fn() -> String, handle: impl FnOnce(&mut Self)) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| handle(self)));
        if let Err(panic) = &outcome {
            let text = panic_text(&**panic);
            self.notices.mistake(&format!("the handler of {} panicked ({text})", what()));
        }
        outcome.is_ok()
    }

    /// What follows from what has happened: polls that have something to tell, datagrams, circuits
    /// that have ended.
    fn settle(&mut self) {
        loop {
            self.survive(|| "event queues".into(), Self::serve_polls);
            self.when_kept(|_, _| {});
            let mut lost = Vec::new();
            for region in 0..self.circuits.len() {
                let (out, ended) = self.circuits[region].outgoing(self.now);
                self.out.extend(
                    out.into_iter().map(|(to, b)| Output::Datagram(RegionIndex(region), to, b)),
                );
                lost.extend(ended.into_iter().map(|(agent, session)| (region, agent, session)));
            }
            if lost.is_empty() {
                return;
            }
            for (region, agent, session) in lost {
                self.survive(
                    || "silence".into(),
                    |core| core.lost(RegionIndex(region), agent, session),
                );
            }
        }
    }
}
