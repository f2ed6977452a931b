//! A bench for rooms: viewers and a core on a virtual clock, without a port or a sleep.

use super::core::{Beginning, Core, Input, Output, Place, Routes};
use super::inventory::Inventories;
use super::room::{ROOMS, misbehaviours};
use super::{Account, Faults, GridConfig};
use crate::net::Chance;
use crate::net::server::{Answer, Request};
use crate::net::tap::RegionIndex;
use crate::proto::circuit::{Circuit, Config, Handled, SendOptions};
use crate::proto::id::{AgentId, SessionId};
use crate::proto::llsd::{self, Llsd};
use crate::proto::login::{Request as LoginCall, hash_password};
use crate::proto::message::{Decoder, Field, Message};
use crate::proto::seed;
use crate::proto::template::Template;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// One agent in one region, as its viewer has it.
struct Link {
    region: usize,
    address: SocketAddr,
    circuit: Circuit,
    heard: Vec<Message>,
}

/// Somebody logged in.
pub(super) struct Viewer {
    pub agent: AgentId,
    pub session: SessionId,
    pub code: u32,
    /// The seed of the region where it logged in.
    pub seed: String,
    links: Vec<Link>,
}

/// A core with three regions, the second beside the first, and viewers.
pub(super) struct Bench {
    pub core: Core,
    pub now: Duration,
    pub viewers: Vec<Viewer>,
    answers: BTreeMap<u64, Answer>,
    asked: u64,
}

fn ip(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// What a message of an agent begins with.
fn agent_message(viewer: &Viewer, name: &str) -> Message {
    Message::named(Template::shipped(), name)
        .with("AgentData", "AgentID", Field::Uuid(viewer.agent.0))
        .with("AgentData", "SessionID", Field::Uuid(viewer.session.0))
}

impl Bench {
    /// A grid without a fault, or with the misbehaviours of these words.
    pub(super) fn new(words: &[&str]) -> Self {
        let known = |word: &&str| misbehaviours().find(|own| own.word == *word).unwrap();
        let faults = Faults::new(words.iter().map(known).collect(), Vec::new());
        let accounts = Account::numbered(5);
        let config = GridConfig { faults: faults.clone(), accounts, ..GridConfig::default() };
        let place = |(port, region): (u16, &super::RegionConfig)| Place {
            name: region.name.clone(),
            x: region.x,
            y: region.y,
            address: ip(port),
            closed: region.closed,
        };
        let chance = Chance::seeded(1);
        let core = Core::new(Beginning {
            login_uri: "http://127.0.0.1:8002/".into(),
            places: (9000..).zip(&config.regions).map(place).collect(),
            inventories: Inventories::new(None, faults, chance.clone()),
            routes: Routes::new(ROOMS, Template::shipped()).unwrap(),
            chance,
            started: jiff::Timestamp::default(),
            config,
        });
        let (viewers, answers) = (Vec::new(), BTreeMap::new());
        Self { core, now: Duration::ZERO, viewers, answers, asked: 0 }
    }

    /// Makes a request; its number, for when it is answered.
    pub(super) fn ask(&mut self, method: &str, url: &str, content_type: &str, body: &[u8]) -> u64 {
        let path = url.strip_prefix("http://127.0.0.1:8002").unwrap_or(url);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            content_type: Some(content_type.into()),
            headers: Vec::new(),
            body: body.to_vec(),
            peer: ip(50_000).into(),
        };
        self.asked += 1;
        self.core.handle(self.now, Input::Request(self.asked, request));
        self.drive();
        self.asked
    }

    /// The answer to a request, if there is one by now: its status and what its body says.
    pub(super) fn answer(&mut self, asked: u64) -> Option<(u16, Llsd)> {
        let answer = self.answers.remove(&asked)?;
        Some((answer.status, llsd::from_xml(&answer.body).unwrap_or_default()))
    }

    /// Posts LLSD and takes the answer.
    pub(super) fn post(&mut self, url: &str, body: &Llsd) -> (u16, Llsd) {
        let asked = self.ask("POST", url, llsd::CONTENT_TYPE, llsd::to_xml(body).as_bytes());
        self.answer(asked).unwrap()
    }

    /// Whoever made a request gives up.
    pub(super) fn abort_transfer(&mut self, asked: u64) {
        self.core.handle(self.now, Input::GivenUp(asked));
        self.drive();
    }

    /// Logs in the account of a number, which is in no region yet: the viewer's number.
    pub(super) fn log_in(&mut self, account: usize) -> usize {
        let Account { first, last, password } = self.core.config.accounts[account].clone();
        let call =
            LoginCall::new(&first, &last, &hash_password(&password), "home", Default::default());
        let (_, reply) = self.post("/", &call.to_llsd());
        let id = |name| reply.get(name).and_then(Llsd::as_uuid).unwrap();
        let text = |name| reply.get(name).and_then(Llsd::as_str).unwrap().to_owned();
        self.viewers.push(Viewer {
            agent: AgentId(id("agent_id")),
            session: SessionId(id("session_id")),
            code: reply.get("circuit_code").and_then(Llsd::as_i32).unwrap().cast_unsigned(),
            seed: text("seed_capability"),
            links: Vec::new(),
        });
        self.viewers.len() - 1
    }

    /// Opens a circuit with a region.
    pub(super) fn connect(&mut self, who: usize, region: usize) {
        let address = ip(u16::try_from(10_000 + who * 10 + region).unwrap()).into();
        let circuit = Circuit::new(Config::viewer(), Template::shipped().clone(), self.now);
        let viewer = &mut self.viewers[who];
        viewer.links.push(Link { region, address, circuit, heard: Vec::new() });
        let code = Message::named(Template::shipped(), "UseCircuitCode")
            .with("CircuitCode", "Code", Field::U32(viewer.code))
            .with("CircuitCode", "SessionID", Field::Uuid(viewer.session.0))
            .with("CircuitCode", "ID", Field::Uuid(viewer.agent.0));
        self.say(who, region, &code);
    }

    /// Asks a seed for capabilities, by name.
    pub(super) fn caps(&mut self, seed: &str, names: &[&str]) -> BTreeMap<String, String> {
        let asked = self.ask("POST", seed, seed::CONTENT_TYPE, seed::request(names).as_bytes());
        let answer = self.answers.remove(&asked).unwrap();
        seed::parse_reply(&answer.body).unwrap().into_iter().collect()
    }

    /// Brings somebody into the world, with everything shown: the viewer's number.
    pub(super) fn enter(&mut self, account: usize) -> usize {
        let who = self.log_in(account);
        let seed = self.viewers[who].seed.clone();
        self.connect(who, 0);
        self.caps(&seed, &["EventQueueGet"]);
        self.arrive(who, 0);
        self.pass(Duration::from_millis(200));
        self.heard(who, 0);
        who
    }

    /// Moves the avatar into a region and answers its handshake.
    pub(super) fn arrive(&mut self, who: usize, region: usize) {
        let viewer = &self.viewers[who];
        let code = Field::U32(viewer.code);
        let complete =
            agent_message(viewer, "CompleteAgentMovement").with("AgentData", "CircuitCode", code);
        let reply = agent_message(viewer, "RegionHandshakeReply");
        self.say(who, region, &complete);
        self.say(who, region, &reply);
    }

    /// A message of an agent, to be filled.
    pub(super) fn message(&self, who: usize, name: &str) -> Message {
        agent_message(&self.viewers[who], name)
    }

    /// Sends a message to a region, reliably.
    pub(super) fn say(&mut self, who: usize, region: usize, message: &Message) {
        let now = self.now;
        self.link(who, region).circuit.send(now, message, SendOptions::RELIABLE).unwrap();
        self.drive();
    }

    /// What a region has said since, the oldest first.
    pub(super) fn heard(&mut self, who: usize, region: usize) -> Vec<Message> {
        std::mem::take(&mut self.link(who, region).heard)
    }

    /// The names of what a region has said since, without what circuits say by themselves.
    pub(super) fn names(&mut self, who: usize, region: usize) -> Vec<String> {
        let own = ["PacketAck", "StartPingCheck", "CompletePingCheck", "CoarseLocationUpdate"];
        let heard = self.heard(who, region);
        let names = heard.iter().map(|message| message.name().to_owned());
        names.filter(|name| !own.contains(&name.as_str())).collect()
    }

    /// What the queue behind a capability has to tell, by name.
    pub(super) fn events(&mut self, queue: &str) -> Vec<String> {
        let poll = Llsd::map([("ack", Llsd::Undef), ("done", Llsd::Boolean(false))]);
        let asked = self.ask("POST", queue, llsd::CONTENT_TYPE, llsd::to_xml(&poll).as_bytes());
        let Some((_, reply)) = self.answer(asked) else {
            self.abort_transfer(asked);
            return Vec::new();
        };
        let events = reply.get("events").and_then(Llsd::as_array).unwrap_or_default();
        let name = |event: &Llsd| Some(event.get("message")?.as_str()?.to_owned());
        events.iter().filter_map(name).collect()
    }

    fn link(&mut self, who: usize, region: usize) -> &mut Link {
        let links = &mut self.viewers[who].links;
        links.iter_mut().rfind(|link| link.region == region).unwrap()
    }

    /// Lets time pass: everything that is due is done at its time.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let links = self.viewers.iter().flat_map(|viewer| &viewer.links);
            let due = links.filter_map(|link| link.circuit.poll_timeout());
            let due = due.chain(self.core.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = due.max(self.now);
            self.core.handle_timeouts(self.now);
            for link in self.viewers.iter_mut().flat_map(|viewer| &mut viewer.links) {
                link.circuit.handle_timeout(self.now);
            }
            self.drive();
        }
        self.now = end;
    }

    /// Carries everything that is said to whom it is said, until nobody says anything more.
    fn drive(&mut self) {
        let (template, now) = (Template::shipped().clone(), self.now);
        let mut decoder = Decoder::new();
        loop {
            let mut idle = true;
            for viewer in 0..self.viewers.len() {
                for link in 0..self.viewers[viewer].links.len() {
                    let link = &mut self.viewers[viewer].links[link];
                    while let Some(transmit) = link.circuit.poll_transmit() {
                        idle = false;
                        let (region, from) = (link.region, link.address);
                        self.core.handle(
                            now,
                            Input::Datagram(RegionIndex(region), from, transmit.bytes),
                        );
                    }
                }
            }
            while let Some(output) = self.core.poll_output() {
                idle = false;
                match output {
                    Output::Answer(id, answer) => drop(self.answers.insert(id, answer)),
                    Output::Keep(token, _) => self.core.handle(now, Input::Kept(token, Ok(()))),
                    Output::Datagram(_, to, bytes) => {
                        let links = self.viewers.iter_mut().flat_map(|viewer| &mut viewer.links);
                        let Some(link) = links.into_iter().find(|link| link.address == to) else {
                            continue;
                        };
                        let packet = decoder.decode(&template, &bytes).unwrap();
                        if link.circuit.handle(now, &packet) == Handled::Deliver {
                            link.heard.push(packet.to_message());
                        }
                    }
                }
            }
            if idle {
                return;
            }
        }
    }
}
