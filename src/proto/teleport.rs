//! Teleport and crossing: flags, the two events that move an agent, landmarks and lures.

use super::event_queue::Event;
use super::llsd::Llsd;
use crate::proto::id::{AgentId, CapUrl, SessionId};
use crate::proto::number::nearest_f32;
use std::net::{Ipv4Addr, SocketAddrV4};
use uuid::Uuid;

/// How a teleport came about, and what it does besides.
pub mod flags {
    /// The destination becomes where the next login goes.
    pub const SET_LAST: u32 = 1 << 1;
    /// By a lure.
    pub const VIA_LURE: u32 = 1 << 2;
    /// By a landmark.
    pub const VIA_LANDMARK: u32 = 1 << 3;
    /// To a place on the map.
    pub const VIA_LOCATION: u32 = 1 << 4;
    /// Home.
    pub const VIA_HOME: u32 = 1 << 5;
    /// A bit that has no name.
    pub const NAMELESS: u32 = 1 << 16;
    /// The avatar flies.
    pub const IS_FLYING: u32 = 1 << 13;
}

/// The kind of instant message that carries a lure.
pub const LURE_MESSAGE: u8 = 22;

/// A region's handle: its south-west corner in metres, x in the upper half.
pub fn handle(x: u32, y: u32) -> u64 {
    u64::from(x) << 32 | u64::from(y)
}

/// The corner that a handle stands for, in metres.
pub fn corner(handle: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = handle.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// Where an agent goes: a simulator, and what opens it.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Whose agent.
    pub agent_id: AgentId,
    /// Where the simulator listens on UDP.
    pub address: SocketAddrV4,
    /// The region's handle.
    pub handle: u64,
    /// Its seed capability.
    pub seed: CapUrl,
}

/// The end of a teleport as the old region tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct TeleportFinish {
    /// Where to.
    pub to: Destination,
    /// How.
    pub flags: u32,
}

/// A walk over a border as the old region tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossedRegion {
    /// Where to.
    pub to: Destination,
    /// Whose session.
    pub session_id: SessionId,
    /// Where the avatar is in the new region, in metres.
    pub position: [f32; 3],
    /// Where it looks.
    pub look_at: [f32; 3],
}

const REGION_SIZE: u32 = 256;

impl TeleportFinish {
    /// As an event.
    pub fn to_event(&self) -> Event {
        let mut info = vec![
            ("AgentID", Llsd::Uuid(self.to.agent_id.0)),
            ("LocationID", Llsd::u32(4)),
            ("SimAccess", Llsd::Integer(13)),
            ("TeleportFlags", Llsd::u32(self.flags)),
        ];
        info.extend(self.to.members());
        let body = Llsd::map([("Info", Llsd::Array(vec![Llsd::map(info)]))]);
        Event { message: "TeleportFinish".into(), body }
    }

    /// From an event's body.
    pub fn parse(body: &Llsd) -> Option<Self> {
        let info = body.get("Info")?.as_array()?.first()?;
        let agent_id = info.get("AgentID")?.as_uuid()?;
        let flags = match info.get("TeleportFlags") {
            Some(Llsd::Binary(bytes)) => u32::from_be_bytes(bytes[..].try_into().ok()?),
            Some(Llsd::Integer(flags)) => flags.cast_unsigned(),
            _ => 0,
        };
        Some(Self { to: Destination::parse(AgentId(agent_id), info)?, flags })
    }
}

impl CrossedRegion {
    /// As an event.
    pub fn to_event(&self) -> Event {
        let reals = |v: [f32; 3]| Llsd::Array(v.map(|x| Llsd::Real(f64::from(x))).to_vec());
        let one = |map| Llsd::Array(vec![map]);
        let agent = Llsd::map([
            ("AgentID", Llsd::Uuid(self.to.agent_id.0)),
            ("SessionID", Llsd::Uuid(self.session_id.0)),
        ]);
        let info = Llsd::map([("LookAt", reals(self.look_at)), ("Position", reals(self.position))]);
        let body = Llsd::map([
            ("AgentData", one(agent)),
            ("Info", one(info)),
            ("RegionData", one(Llsd::map(self.to.members()))),
        ]);
        Event { message: "CrossedRegion".into(), body }
    }

    /// From an event's body.
    pub fn parse(body: &Llsd) -> Option<Self> {
        let first = |name| body.get(name).and_then(Llsd::as_array).and_then(<[Llsd]>::first);
        let agent = first("AgentData")?;
        let reals = |name| {
            let found = first("Info").and_then(|info| info.get(name)).and_then(Llsd::as_array);
            let at = |n: usize| match found.and_then(|found| found.get(n)) {
                Some(value) => value.as_f64().map_or(0.0, nearest_f32),
                None => 0.0,
            };
            [at(0), at(1), at(2)]
        };
        let agent_id = agent.get("AgentID")?.as_uuid()?;
        Some(Self {
            to: Destination::parse(AgentId(agent_id), first("RegionData")?)?,
            session_id: SessionId(agent.get("SessionID")?.as_uuid()?),
            position: reals("Position"),
            look_at: reals("LookAt"),
        })
    }
}

impl Destination {
    fn members(&self) -> Vec<(&'static str, Llsd)> {
        vec![
            ("RegionHandle", Llsd::u64(self.handle)),
            ("SeedCapability", Llsd::string(&*self.seed)),
            ("SimIP", Llsd::Binary(self.address.ip().octets().to_vec())),
            ("SimPort", Llsd::Integer(i32::from(self.address.port()))),
            ("RegionSizeX", Llsd::u32(REGION_SIZE)),
            ("RegionSizeY", Llsd::u32(REGION_SIZE)),
        ]
    }

    fn parse(agent_id: AgentId, map: &Llsd) -> Option<Self> {
        let bytes = |name| match map.get(name) {
            Some(Llsd::Binary(bytes)) => Some(bytes.as_slice()),
            _ => None,
        };
        let ip: [u8; 4] = bytes("SimIP")?.try_into().ok()?;
        let port = u16::try_from(map.get("SimPort")?.as_i32()?).ok()?;
        Some(Self {
            agent_id,
            address: SocketAddrV4::new(Ipv4Addr::from(ip), port),
            handle: u64::from_be_bytes(bytes("RegionHandle")?.try_into().ok()?),
            seed: map.get("SeedCapability")?.as_str()?.into(),
        })
    }
}

/// A place that a landmark remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct Landmark {
    /// The region's id.
    pub region: Uuid,
    /// Metres from its south-west corner.
    pub position: [f32; 3],
}

impl Landmark {
    /// As the text of a landmark asset.
    pub fn to_text(&self) -> String {
        let [x, y, z] = self.position;
        format!("Landmark version 2\nregion_id {}\nlocal_pos {x} {y} {z}\n", self.region)
    }

    /// From the text of a landmark asset.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        lines.next().filter(|line| line.starts_with("Landmark version"))?;
        let member = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)).map(str::trim)
        };
        let numbers = member("local_pos ")?.split_whitespace().map(str::parse);
        let numbers: Vec<f32> = numbers.collect::<Result<_, _>>().ok()?;
        let position = <[f32; 3]>::try_from(numbers).ok()?;
        let region = Uuid::try_parse(member("region_id ")?).ok()?;
        position.iter().all(|x| x.is_finite()).then_some(Self { region, position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination() -> Destination {
        Destination {
            agent_id: AgentId(Uuid::from_u128(5)),
            address: "127.0.0.1:9001".parse().unwrap(),
            handle: handle(256_256, 256_000),
            seed: "http://h/CAPS/x".into(),
        }
    }

    #[test]
    fn events_read_back_as_written() {
        let finish = TeleportFinish { to: destination(), flags: 16 };
        assert_eq!(TeleportFinish::parse(&finish.to_event().body), Some(finish));
        let crossed = CrossedRegion {
            to: destination(),
            session_id: SessionId(Uuid::from_u128(6)),
            position: [1.0, 128.0, 25.5],
            look_at: [1.0, 0.0, 0.0],
        };
        assert_eq!(CrossedRegion::parse(&crossed.to_event().body), Some(crossed));
    }

    #[test]
    fn a_landmark_reads_back_and_nonsense_does_not() {
        let landmark = Landmark { region: Uuid::from_u128(9), position: [1.0, 2.5, 30.0] };
        assert_eq!(Landmark::parse(&landmark.to_text()), Some(landmark));
        for text in ["", "Landmark version 2\n", "Landmark version 2\nregion_id x\nlocal_pos 1 2"] {
            assert_eq!(Landmark::parse(text), None);
        }
        let nan =
            "Landmark version 2\nregion_id 00000000-0000-0000-0000-000000000009\nlocal_pos 1 NaN 2";
        assert_eq!(Landmark::parse(nan), None);
    }
}
