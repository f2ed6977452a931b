//! The event queue: a long poll that carries messages from the simulator to the viewer.

use super::llsd::{Llsd, LlsdError, from_xml, from_xml_as_viewers, to_xml};
use crate::proto::id::{AgentId, CapUrl};
use std::net::{Ipv4Addr, SocketAddrV4};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its message name.
    pub message: String,
    /// Its body: blocks as arrays of maps, or a plain map.
    pub body: Llsd,
}

/// A poll.
#[derive(Clone, Debug, PartialEq)]
pub struct PollRequest {
    /// The id of the last reply, none the first time.
    pub ack: Option<i32>,
    /// This is the last poll.
    pub done: bool,
}

/// A reply with events.
#[derive(Clone, Debug, PartialEq)]
pub struct PollReply {
    /// To be echoed in the next poll.
    pub id: i32,
    /// What happened, oldest first.
    pub events: Vec<Event>,
}

fn bad(what: &str) -> LlsdError {
    LlsdError::Bad { what: what.into(), at: 0 }
}

impl PollRequest {
    /// Writes the poll.
    pub fn to_xml(&self) -> String {
        let ack = self.ack.map_or(Llsd::Undef, Llsd::Integer);
        to_xml(&Llsd::map([("ack", ack), ("done", Llsd::Boolean(self.done))]))
    }

    /// Reads a poll. Whatever is not there counts as not said.
    ///
    /// # Errors
    /// Not LLSD, or not of this form.
    pub fn parse(body: &[u8]) -> Result<Self, LlsdError> {
        let map = from_xml(body)?;
        if !matches!(map, Llsd::Map(_)) {
            return Err(LlsdError::Bad { what: "a poll that is no map".into(), at: 0 });
        }
        let done = map.get("done") == Some(&Llsd::Boolean(true));
        Ok(Self { ack: map.get("ack").and_then(Llsd::as_i32), done })
    }
}

impl PollReply {
    /// The reply as a map of `events` and `id`.
    pub fn to_llsd(&self) -> Llsd {
        let events = self.events.iter().map(|event| {
            let message = Llsd::string(&event.message);
            Llsd::map([("message", message), ("body", event.body.clone())])
        });
        let events = Llsd::Array(events.collect());
        Llsd::map([("events", events), ("id", Llsd::Integer(self.id))])
    }

    /// Reads a reply. Events without a name are passed over.
    ///
    /// # Errors
    /// Not LLSD, or not of this form.
    pub fn parse(body: &[u8]) -> Result<Self, LlsdError> {
        let (map, _) = from_xml_as_viewers(body)?;
        let id = map.get("id").and_then(Llsd::as_i32).ok_or_else(|| bad("the reply has no id"))?;
        let events = match map.get("events") {
            Some(Llsd::Array(events)) => events.as_slice(),
            Some(Llsd::Undef) => &[],
            _ => return Err(bad("the reply has no events")),
        };
        let events = events.iter().filter_map(|event| {
            let message = event.get("message")?.as_str()?.to_owned();
            let body = event.get("body").cloned().unwrap_or_default();
            Some(Event { message, body })
        });
        Ok(Self { id, events: events.collect() })
    }
}

/// A region near the avatar, told by `EnableSimulator`.
#[derive(Clone, Debug, PartialEq)]
pub struct EnableSimulator {
    /// The region's handle.
    pub handle: u64,
    /// Where its simulator listens on UDP.
    pub address: SocketAddrV4,
    /// Its size in metres.
    pub size: (u32, u32),
}

impl EnableSimulator {
    /// As an event.
    pub fn to_event(&self) -> Event {
        let info = Llsd::map([
            ("Handle", Llsd::u64(self.handle)),
            ("IP", Llsd::Binary(self.address.ip().octets().to_vec())),
            ("Port", Llsd::Integer(i32::from(self.address.port()))),
            ("RegionSizeX", Llsd::u32(self.size.0)),
            ("RegionSizeY", Llsd::u32(self.size.1)),
        ]);
        let body = Llsd::map([("SimulatorInfo", Llsd::Array(vec![info]))]);
        Event { message: "EnableSimulator".into(), body }
    }

    /// From an event's body; a grid without sizes means 256 metres.
    pub fn parse(body: &Llsd) -> Option<Self> {
        let info = body.get("SimulatorInfo")?.as_array()?.first()?;
        let bytes = |name| match info.get(name) {
            Some(Llsd::Binary(bytes)) => Some(bytes.as_slice()),
            _ => None,
        };
        let size =
            |name| bytes(name).and_then(|b| b.try_into().ok()).map_or(256, u32::from_be_bytes);
        let ip: [u8; 4] = bytes("IP")?.try_into().ok()?;
        let port = u16::try_from(info.get("Port")?.as_i32()?).ok()?;
        Some(Self {
            handle: u64::from_be_bytes(bytes("Handle")?.try_into().ok()?),
            address: SocketAddrV4::new(Ipv4Addr::from(ip), port),
            size: (size("RegionSizeX"), size("RegionSizeY")),
        })
    }
}

/// The seed of a neighbour, told by `EstablishAgentCommunication`.
#[derive(Clone, Debug, PartialEq)]
pub struct EstablishAgentCommunication {
    /// Whose.
    pub agent_id: AgentId,
    /// Where the neighbour's simulator listens on UDP.
    pub address: SocketAddrV4,
    /// The neighbour's seed capability.
    pub seed: CapUrl,
}

impl EstablishAgentCommunication {
    /// As an event: the one whose body is a plain map.
    pub fn to_event(&self) -> Event {
        let body = Llsd::map([
            ("agent-id", Llsd::Uuid(self.agent_id.0)),
            ("sim-ip-and-port", Llsd::String(self.address.to_string())),
            ("seed-capability", Llsd::string(&*self.seed)),
        ]);
        Event { message: "EstablishAgentCommunication".into(), body }
    }

    /// From an event's body.
    pub fn parse(body: &Llsd) -> Option<Self> {
        Some(Self {
            agent_id: AgentId(body.get("agent-id")?.as_uuid()?),
            address: body.get("sim-ip-and-port")?.as_str()?.parse().ok()?,
            seed: body.get("seed-capability")?.as_str()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_replies_of_opensim_are_understood() {
        let body = include_bytes!("../../fixtures/captures/eq_0001.xml");
        let reply = PollReply::parse(body).unwrap();
        assert_eq!(reply.events.len(), 2);
        let enable = EnableSimulator::parse(&reply.events[0].body).unwrap();
        assert_eq!(enable.address, "127.0.0.1:9001".parse().unwrap());
        assert_eq!(enable.handle, (1001 * 256) << 32 | (1000 * 256));
        let establish = EstablishAgentCommunication::parse(&reply.events[1].body).unwrap();
        assert_eq!(establish.address, enable.address);
    }

    #[test]
    fn events_read_back_as_written() {
        let enable = EnableSimulator {
            handle: 7,
            address: "127.0.0.1:9".parse().unwrap(),
            size: (256, 512),
        };
        assert_eq!(EnableSimulator::parse(&enable.to_event().body), Some(enable.clone()));
        let reply = PollReply { id: 3, events: vec![enable.to_event()] };
        assert_eq!(PollReply::parse(to_xml(&reply.to_llsd()).as_bytes()), Ok(reply));
        let poll = PollRequest { ack: Some(4), done: false };
        assert_eq!(PollRequest::parse(poll.to_xml().as_bytes()), Ok(poll));
        assert!(PollRequest::parse(b"<llsd><binary>AA==</binary></llsd>").is_err());
    }
}
