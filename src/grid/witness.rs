//! What a grid hears from its visitors and says to them, told as it happens: for judging clients.

use crate::proto::event_queue::PollRequest;
use crate::proto::llsd::Llsd;
use crate::proto::login;
use crate::proto::message::{Datagram, Decoder, Field, FieldValue, Flags, Header, Message};
use crate::proto::template::Template;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Told of everything that passes between a grid and its visitors, after any fault got at it.
pub type Witness = Arc<dyn Fn(Heard) + Send + Sync>;

/// One thing that passed.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When, since the grid began.
    pub at: Duration,
    /// Whose it is; nobody's if nil.
    pub agent: Uuid,
    /// Of which session, where that is known.
    pub session: Option<Uuid>,
    /// In which region, counted as the grid announces them; the first for a login.
    pub region: usize,
    /// What it was.
    pub what: What,
}

impl Heard {
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
                What::Received(received) => {
                    4 * received.acks.len() + received.message.as_ref().map_or(0, message)
                }
                What::Sent(_, datagram) => 4 * datagram.acks.len() + message(&datagram.message),
                What::Seed(_, names) => FIELD * names.as_ref().map_or(0, Vec::len),
                What::PollAnswered(_, _, body) => body.as_ref().map_or(0, Llsd::weight),
                What::LoginAsked(_, call) => {
                    call.members.iter().map(|(_, v)| FIELD + v.weight()).sum()
                }
                _ => 0,
            }
    }
}

/// What can pass.
#[derive(Clone, Debug)]
pub enum What {
    /// A login call, to this path.
    LoginAsked(String, login::Request),
    /// A session began, with this session id and circuit code.
    LoggedIn(Uuid, u32),
    /// A login was refused, for this reason.
    Refused(String),
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
}

/// A datagram of a visitor.
#[derive(Clone, Debug)]
pub struct Received {
    /// Flags and number, as far as there are any.
    pub header: Header,
    /// The numbers it acknowledges, in its body or behind it.
    pub acks: Vec<u32>,
    /// The message, or why there is none.
    pub message: Result<Message, String>,
    /// Bytes behind the last block.
    pub trailing: usize,
    /// Where it came from.
    pub from: SocketAddr,
    /// It came on a circuit that was open.
    pub on_circuit: bool,
}

/// Whose something is that passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    pub agent: Uuid,
    pub session: Option<Uuid>,
    pub region: usize,
}

/// Who is told.
#[derive(Clone)]
pub(super) struct Ear(Option<Witness>);

impl Ear {
    pub(super) fn new(witness: Option<Witness>) -> Self {
        Self(witness)
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Tells the witness, if there is one.
    pub(super) fn hear(&self, at: Duration, visitor: Visitor, what: impl FnOnce() -> What) {
        if let Some(witness) = &self.0 {
            let Visitor { agent, session, region } = visitor;
            witness(Heard { at, agent, session, region, what: what() });
        }
    }

    /// Tells of a datagram that came from a circuit's agent, or from whoever it says it is from.
    pub(super) fn received(
        &self,
        at: Duration,
        region: usize,
        circuit: Option<(Uuid, Uuid)>,
        heard: Received,
    ) {
        let said = |block, field| heard.message.as_ref().ok().and_then(|m| m.uuid(block, field));
        let named = || said("AgentData", "AgentID").or_else(|| said("CircuitCode", "ID"));
        let visitor = match circuit {
            Some((agent, session)) => Visitor { agent, session: Some(session), region },
            None => Visitor { agent: named().unwrap_or_default(), session: None, region },
        };
        self.hear(at, visitor, || What::Received(heard));
    }

    /// Tells of a datagram that goes out.
    pub(super) fn sent(
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
            self.hear(at, visitor, || What::Sent(to, datagram));
        }
    }
}

/// A datagram as it is told. Where a circuit is closing, UseCircuitCode opens another.
pub(super) fn received(
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
                [flags, a, b, c, d, ..] => {
                    Header { flags: Flags(*flags), sequence: u32::from_be_bytes([*a, *b, *c, *d]) }
                }
                _ => Header::default(),
            };
            let message = Err(error.to_string());
            Received { header, acks: Vec::new(), message, trailing: 0, from, on_circuit: known }
        }
    }
}
