//! One tap for whoever listens: what passes between a grid and its visitors, as typed facts, told as
//! it happens, by the grid or by a visitor. Who judges knows nothing else of either.

use super::Clock;
use crate::proto::event_queue::PollRequest;
use crate::proto::id::{AgentId, CircuitCode, Sequence, SessionId};
use crate::proto::llsd::Llsd;
use crate::proto::login;
use crate::proto::message::{
    Datagram, DecodeError, Decoder, Field, FieldValue, Flags, Header, Message,
};
use crate::proto::template::Template;
use crate::tamper::{Channel, Direction};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A region, counted as the grid announces them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct RegionIndex(pub usize);

impl std::fmt::Display for RegionIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

/// Whoever is told of everything that passes; any function of a [`Fact`] can be one.
pub trait Listen: Send + Sync {
    /// Takes what has passed.
    fn hear(&self, fact: Fact);
}

impl<F: Fn(Fact) + Send + Sync> Listen for F {
    fn hear(&self, fact: Fact) {
        self(fact);
    }
}

/// A listener, shared.
pub type Listener = Arc<dyn Listen>;

/// Who tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// The grid: what comes is the visitor's.
    Grid,
    /// A viewer, by its name: what comes is the grid's.
    Viewer(Arc<str>),
}

/// One thing that passed.
#[derive(Clone, Debug)]
pub struct Fact {
    /// When, since whoever tells it began.
    pub at: Duration,
    /// Who tells it.
    pub side: Side,
    /// Whose it is; nobody's if nil.
    pub agent: AgentId,
    /// Of which session, where that is known.
    pub session: Option<SessionId>,
    /// In which region, counted as the grid announces them; the first for a login.
    pub region: RegionIndex,
    /// What it was.
    pub what: Passed,
}

impl Fact {
    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        const FIXED: usize = 300;
        const FIELD: usize = 48;
        let field = |value: &FieldValue| match value {
            Field::Variable(bytes) | Field::Fixed(bytes) => FIELD + bytes.len(),
            _ => FIELD,
        };
        let message = |message: &Message| -> usize {
            let fields = message.blocks.iter().flatten().flatten();
            fields.map(field).sum()
        };
        FIXED
            + match &self.what {
                Passed::Received(received) => {
                    4 * received.acks.len() + received.message.as_ref().map_or(0, message)
                }
                Passed::Sent(_, datagram) => 4 * datagram.acks.len() + message(&datagram.message),
                Passed::Seed(_, names) => FIELD * names.as_ref().map_or(0, Vec::len),
                Passed::PollAnswered(_, _, body) => body.as_ref().map_or(0, Llsd::weight),
                Passed::Meant(_, _, Said::Llsd(said)) => said.weight(),
                Passed::Meant(_, _, Said::Message(said)) => message(said),
                Passed::LoginAsked(_, call) => {
                    call.members.iter().map(|(_, v)| FIELD + v.weight()).sum()
                }
                Passed::LoginUnread(why) => why.len(),
                _ => 0,
            }
    }
}

/// What can pass, after any fault got at it; what a grid meant to say before, and what a viewer has
/// to remark.
#[derive(Clone, Debug)]
pub enum Passed {
    /// A login call, to this path.
    LoginAsked(String, login::Request),
    /// A session began, with this session id and circuit code.
    LoggedIn(SessionId, CircuitCode),
    /// A login was refused, for this reason.
    Refused(String),
    /// A login call that cannot be read: why.
    LoginUnread(String),
    /// The visitor gave up a login that was never answered.
    LoginLeft,
    /// A request to the seed, of this content type, for these names, if they can be read.
    Seed(Option<String>, Option<Vec<String>>),
    /// A poll of the event queue that has this id, if it can be read. The id is a secret.
    Polled(String, Option<PollRequest>),
    /// A poll of that queue was answered with this status and body.
    PollAnswered(String, u16, Option<Llsd>),
    /// A request to another capability.
    Asked(&'static str),
    /// A datagram came.
    Received(Received),
    /// A datagram was sent, to this address.
    Sent(SocketAddr, Datagram),
    /// The session ended because the visitor was silent for too long.
    Silent,
    /// A viewer calls a login method, as the avatar of this name.
    LoginCalled(String, String),
    /// A login call was answered: with this status and these members, or as is said in words.
    LoginAnswered(u16, Result<Llsd, String>),
    /// A login call was never answered: why.
    LoginLost(String),
    /// A viewer asks a capability, by this method.
    Request(String, String),
    /// A capability answered: status, content type and size, or why nothing came.
    Reply(String, Result<(u16, Option<String>, usize), String>),
    /// A poll brought events of these names.
    Delivered(Vec<String>),
    /// A remark on the event queue.
    Queue(String),
    /// A datagram was sent or came on the circuit of this name, as a header, a name and acks, or as
    /// why it cannot be read.
    Datagram(Direction, Arc<str>, Result<(Header, String, Vec<Sequence>), String>),
    /// So many bytes were sent past the circuit of this name.
    Raw(usize, Arc<str>),
    /// A reliable packet was never acknowledged, and is given up.
    ResendsExhausted(Sequence),
    /// The simulator was silent for too long, and its circuit closed.
    Closed,
    /// Something was done on purpose to what passes.
    Impaired(Direction, String),
    /// A remark of a viewer or of who leads it.
    Remark(String),
    /// What a grid is about to say, before any fault gets at it: on which channel, the message,
    /// event or capability, and its members.
    Meant(Channel, String, Said),
}

/// Members or fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Of a reply or an event.
    Llsd(Llsd),
    /// Of a UDP message.
    Message(Message),
}

/// A region, as those who judge need to know it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Grid coordinate, in regions of 256 metres.
    pub x: u32,
    /// Grid coordinate, in regions of 256 metres.
    pub y: u32,
    /// Where it listens on UDP.
    pub udp_port: u16,
    /// Nobody is let in who comes from another region.
    pub closed: bool,
}

/// A datagram of a visitor.
#[derive(Clone, Debug)]
pub struct Received {
    /// Flags and number, as far as there are any.
    pub header: Header,
    /// The numbers it acknowledges, in its body or behind it.
    pub acks: Vec<Sequence>,
    /// The message, or why there is none.
    pub message: Result<Message, DecodeError>,
    /// Bytes behind the last block.
    pub trailing: usize,
    /// Where it came from.
    pub from: SocketAddr,
    /// It came on a circuit that was open.
    pub on_circuit: bool,
}

/// Whose something is that passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visitor {
    /// The agent; nil if nobody's.
    pub agent: AgentId,
    /// Its session, where that is known.
    pub session: Option<SessionId>,
    /// The region, counted as the grid announces them.
    pub region: RegionIndex,
}

/// Where listeners are told; clones tell the same ones.
#[derive(Clone, Default)]
pub struct Tap(Vec<Listener>);

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tap of {}", self.0.len())
    }
}

impl Tap {
    /// A tap for one listener.
    pub fn of(listener: Listener) -> Self {
        Self(vec![listener])
    }

    /// One more listener.
    pub fn add(&mut self, listener: Listener) {
        self.0.push(listener);
    }

    /// Whether anybody listens.
    pub fn is_open(&self) -> bool {
        !self.0.is_empty()
    }

    /// Tells whoever listens what has passed at a grid.
    pub fn tell(&self, at: Duration, visitor: Visitor, what: impl FnOnce() -> Passed) {
        if self.is_open() {
            self.tell_as(Side::Grid, at, visitor, what());
        }
    }

    fn tell_as(&self, side: Side, at: Duration, visitor: Visitor, what: Passed) {
        let Some((last, others)) = self.0.split_last() else { return };
        let Visitor { agent, session, region } = visitor;
        let fact = Fact { at, side, agent, session, region, what };
        others.iter().for_each(|listener| listener.hear(fact.clone()));
        last.hear(fact);
    }

    /// Tells what a grid is about to say.
    pub fn meant(&self, at: Duration, channel: Channel, name: &str, said: impl FnOnce() -> Said) {
        let nobody = Visitor { agent: AgentId::NIL, session: None, region: RegionIndex(0) };
        self.tell(at, nobody, || Passed::Meant(channel, name.to_owned(), said()));
    }

    /// Tells of a datagram that came from a circuit's agent, or from whoever it says it is from.
    pub fn received(
        &self,
        at: Duration,
        region: RegionIndex,
        circuit: Option<(AgentId, SessionId)>,
        heard: Received,
    ) {
        let said = |block, field| heard.message.as_ref().ok().and_then(|m| m.uuid(block, field));
        let named = || said("AgentData", "AgentID").or_else(|| said("CircuitCode", "ID"));
        let visitor = match circuit {
            Some((agent, session)) => Visitor { agent, session: Some(session), region },
            None => Visitor { agent: AgentId(named().unwrap_or_default()), session: None, region },
        };
        self.tell(at, visitor, || Passed::Received(heard));
    }

    /// Tells of a datagram that goes out.
    pub fn sent(
        &self,
        at: Duration,
        template: &Template,
        visitor: Visitor,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        if self.is_open()
            && let Ok(datagram) = Datagram::decode(template, bytes)
        {
            self.tell(at, visitor, || Passed::Sent(to, datagram));
        }
    }
}

/// A viewer's hand on a tap.
#[derive(Clone, Debug)]
pub struct Teller {
    tap: Tap,
    clock: Clock,
    name: Arc<str>,
}

impl Teller {
    /// For a viewer of this name; its time begins now.
    pub fn new(tap: Tap, name: &str) -> Self {
        Self { tap, clock: Clock::start(), name: name.into() }
    }

    /// The same viewer under another name.
    pub fn renamed(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells what has passed, if anybody listens.
    pub fn tell(&self, what: impl FnOnce() -> Passed) {
        if self.tap.is_open() {
            let visitor = Visitor { agent: AgentId::NIL, session: None, region: RegionIndex(0) };
            let side = Side::Viewer(self.name.clone());
            self.tap.tell_as(side, self.clock.now(), visitor, what());
        }
    }

    /// Tells a remark.
    pub fn remark(&self, text: impl Into<String>) {
        self.tell(|| Passed::Remark(text.into()));
    }
}

/// A datagram as it is told. Where a circuit is closing, UseCircuitCode opens another.
pub fn received(
    template: &Template,
    decoder: &mut Decoder,
    (from, bytes): (SocketAddr, &[u8]),
    known: bool,
    closing: bool,
) -> Received {
    match decoder.decode(template, bytes) {
        Ok(packet) => Received {
            header: packet.header,
            acks: packet.acknowledged().collect(),
            message: Ok(packet.to_message()),
            trailing: packet.trailing,
            from,
            on_circuit: known && !(closing && packet.name() == "UseCircuitCode"),
        },
        Err(error) => {
            let header = match bytes {
                [flags, a, b, c, d, ..] => Header {
                    flags: Flags(*flags),
                    sequence: Sequence::from_be_bytes([*a, *b, *c, *d]),
                },
                _ => Header::default(),
            };
            let message = Err(error);
            Received { header, acks: Vec::new(), message, trailing: 0, from, on_circuit: known }
        }
    }
}

/// The name of an event that nobody knows.
pub const UNKNOWN_EVENT: &str = "GridproofNobodyKnowsThis";

/// Whether the id of a reply is odd: such replies have one oddity and the others another, so that
/// it is plain which of them a client does not bear.
pub fn is_odd(reply: &Llsd) -> bool {
    reply.get("id").and_then(Llsd::as_i32).is_some_and(|id| id % 2 != 0)
}
