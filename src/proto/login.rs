//! Login: one call with a name and a hashed password, one reply with a session or a reason.
//!
//! The same members travel as an XML-RPC struct and as an LLSD map; here both are an [`Llsd`] map.

use super::llsd::{Llsd, from_notation};
use super::xmlrpc::{Document, RpcValue};
use crate::proto::id::{AgentId, CapUrl, CircuitCode, SecureSessionId, SessionId};
use md5::{Digest, Md5};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The XML-RPC method.
pub const METHOD: &str = "login_to_simulator";

/// The optional members a viewer asks for.
pub const OPTIONS: [&str; 14] = [
    "inventory-root",
    "inventory-skeleton",
    "inventory-lib-root",
    "inventory-lib-owner",
    "inventory-skel-lib",
    "initial-outfit",
    "gestures",
    "event_categories",
    "event_notifications",
    "classified_categories",
    "buddy-list",
    "ui-config",
    "login-flags",
    "global-textures",
];

/// The password as it travels: `$1$` and the MD5 of its bytes in lower-case hex.
pub fn hash_password(password: &str) -> String {
    format!("$1${}", hex::encode(Md5::digest(password.as_bytes())))
}

/// What somebody who logs in has agreed to: nothing, as viewers say until their user has read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// To the terms of service.
    pub tos: bool,
    /// To have read a critical message.
    pub critical: bool,
}

/// A login call.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The struct's members.
    pub members: Vec<(String, Llsd)>,
}

impl Request {
    /// What a viewer of our name sends. `passwd` is sent as given: see [`hash_password`].
    pub fn new(first: &str, last: &str, passwd: &str, start: &str, agreed: Agreed) -> Self {
        let text = |name: &str, value: &str| (name.to_owned(), Llsd::string(value));
        let options = OPTIONS.iter().map(|option| Llsd::string(*option)).collect();
        Self {
            members: vec![
                text("first", first),
                text("last", last),
                text("passwd", passwd),
                text("start", start),
                text("channel", "gridproof"),
                text("version", concat!("gridproof ", env!("CARGO_PKG_VERSION"))),
                text("platform", "lnx"),
                text("mac", "00000000000000000000000000000000"),
                text("id0", "00000000000000000000000000000000"),
                ("agree_to_tos".into(), Llsd::Boolean(agreed.tos)),
                ("read_critical".into(), Llsd::Boolean(agreed.critical)),
                ("options".into(), Llsd::Array(options)),
            ],
        }
    }

    /// Sets a member, replacing one of the same name.
    pub fn set(&mut self, name: &str, value: Llsd) {
        match self.members.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.members.push((name.to_owned(), value)),
        }
    }

    /// Leaves a member out.
    pub fn remove(&mut self, name: &str) {
        self.members.retain(|(n, _)| n != name);
    }

    /// A member as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.iter().find(|(n, _)| n == name)?.1.as_str()
    }

    /// Whether an optional member of the reply is asked for.
    pub fn wants(&self, option: &str) -> bool {
        let options = self.members.iter().find(|(name, _)| name == "options");
        let options = options.and_then(|(_, options)| options.as_array()).unwrap_or_default();
        options.iter().any(|asked| asked.as_str() == Some(option))
    }

    /// The call as XML-RPC.
    pub fn to_rpc(&self, method: &str) -> Document {
        let params = vec![RpcValue::from_llsd(&Llsd::Map(self.members.clone()))];
        Document::Call { method: method.to_owned(), params }
    }

    /// The call as LLSD.
    pub fn to_llsd(&self) -> Llsd {
        Llsd::Map(self.members.clone())
    }

    /// From the map of a call.
    pub fn from_llsd(map: Llsd) -> Option<Self> {
        match map {
            Llsd::Map(members) => Some(Self { members }),
            _ => None,
        }
    }
}

/// What a grid answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A session.
    Success(Box<Session>),
    /// A refusal.
    Failure {
        /// `key`, `presence`, `tos`, …
        reason: String,
        /// What a viewer shows.
        message: String,
    },
    /// Call again elsewhere.
    Indeterminate {
        /// Where.
        url: String,
        /// Which method.
        method: String,
        /// After how many seconds.
        seconds: u32,
    },
}

/// What a viewer needs of a successful reply.
#[derive(Clone, PartialEq)]
pub struct Session {
    /// The avatar.
    pub agent_id: AgentId,
    /// The session, told to every simulator.
    pub session_id: SessionId,
    /// The session's secret, never put on UDP.
    pub secure_session_id: SecureSessionId,
    /// The circuit's code.
    pub circuit_code: CircuitCode,
    /// Where the simulator listens on UDP.
    pub simulator: SocketAddrV4,
    /// The seed capability.
    pub seed: CapUrl,
    /// The region's south-west corner in metres.
    pub region: (u32, u32),
    /// The region's size in metres; 256 each way where a grid does not say.
    pub size: (u32, u32),
}

/// Without its ids, code and seed, which are secrets.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("agent_id", &self.agent_id)
            .field("simulator", &self.simulator)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Whatever session a reply tells of, complete or not: enough to end it by.
    pub fn salvage(map: &Llsd) -> Option<Self> {
        match Reply::parse(map) {
            Ok(Reply::Success(session)) => return Some(*session),
            Ok(_) => return None,
            Err(_) => {}
        }
        let id = |name: &str| map.get(name).and_then(Llsd::as_uuid);
        let integer = |name: &str| map.get(name).and_then(number);
        let ip = map.get("sim_ip").and_then(Llsd::as_str)?.parse().ok()?;
        Some(Self {
            agent_id: AgentId(id("agent_id")?),
            session_id: SessionId(id("session_id")?),
            secure_session_id: SecureSessionId(id("secure_session_id").unwrap_or_default()),
            circuit_code: CircuitCode(integer("circuit_code")?),
            simulator: SocketAddrV4::new(ip, u16::try_from(integer("sim_port")?).ok()?),
            seed: map.get("seed_capability").and_then(Llsd::as_str).unwrap_or_default().into(),
            region: (integer("region_x").unwrap_or(0), integer("region_y").unwrap_or(0)),
            size: size(map),
        })
    }

    /// The region's handle: metres east in the upper, metres north in the lower half.
    pub fn region_handle(&self) -> u64 {
        u64::from(self.region.0) << 32 | u64::from(self.region.1)
    }
}

/// What of a reply a viewer cannot do without, and is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member is something else.
    #[error("`{0}` is not {1}")]
    Not(&'static str, &'static str),
    /// A member has a value that means nothing.
    #[error("`{0}` is {1}")]
    Null(&'static str, &'static str),
    /// The verdict is none.
    #[error("`login` is `{0}`")]
    Verdict(String),
}

impl Reply {
    /// Reads the map of a reply.
    ///
    /// # Errors
    /// The member that is missing or of another type.
    pub fn parse(map: &Llsd) -> Result<Self, ReplyError> {
        let text = |name: &str| map.get(name).and_then(Llsd::as_str).unwrap_or_default().to_owned();
        let verdict = match map.get("login") {
            Some(Llsd::Boolean(true)) => "true",
            Some(Llsd::Boolean(false)) => "false",
            Some(other) => other.as_str().unwrap_or_default(),
            None => return Err(ReplyError::Missing("login")),
        };
        match verdict {
            "true" => session(map).map(|session| Self::Success(Box::new(session))),
            "false" => Ok(Self::Failure { reason: text("reason"), message: text("message") }),
            "indeterminate" => Ok(Self::Indeterminate {
                url: text("next_url"),
                method: text("next_method"),
                seconds: map.get("next_duration").and_then(number).unwrap_or(0),
            }),
            other => Err(ReplyError::Verdict(other.to_owned())),
        }
    }
}

fn session(map: &Llsd) -> Result<Session, ReplyError> {
    use ReplyError::{Missing, Not, Null};
    let need = |name: &'static str| map.get(name).ok_or(Missing(name));
    let id = |name| {
        let id = need(name)?.as_uuid().ok_or(Not(name, "an id"))?;
        if id.is_nil() { Err(Null(name, "the null id")) } else { Ok(id) }
    };
    let integer = |name| number(need(name)?).ok_or(Not(name, "an unsigned integer"));
    let ip: Ipv4Addr = need("sim_ip")?
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or(Not("sim_ip", "an IPv4 address"))?;
    let port = u16::try_from(integer("sim_port")?).map_err(|_| Not("sim_port", "a port"))?;
    let seed = need("seed_capability")?.as_str().unwrap_or_default().to_owned();
    if !seed.starts_with("http://") && !seed.starts_with("https://") {
        return Err(Not("seed_capability", "an http URL"));
    }
    let circuit_code = integer("circuit_code")?;
    if circuit_code == 0 {
        return Err(Null("circuit_code", "0"));
    }
    Ok(Session {
        agent_id: AgentId(id("agent_id")?),
        session_id: SessionId(id("session_id")?),
        secure_session_id: SecureSessionId(id("secure_session_id")?),
        circuit_code: CircuitCode(circuit_code),
        simulator: SocketAddrV4::new(ip, port),
        seed: seed.into(),
        region: (integer("region_x").unwrap_or(0), integer("region_y").unwrap_or(0)),
        size: size(map),
    })
}

fn size(map: &Llsd) -> (u32, u32) {
    let metres = |name: &str| map.get(name).and_then(number).filter(|n| *n > 0).unwrap_or(256);
    (metres("region_size_x"), metres("region_size_y"))
}

fn number(value: &Llsd) -> Option<u32> {
    match value {
        Llsd::Integer(n) => u32::try_from(*n).ok(),
        Llsd::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A start location.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// The home region.
    Home,
    /// Where the avatar was last.
    Last,
    /// A named region and a position in it.
    Region(String, [f32; 3]),
}

impl Start {
    /// Reads `home`, `last` or `uri:Region&x&y&z`; anything else is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "home" => return Some(Self::Home),
            "last" => return Some(Self::Last),
            _ => {}
        }
        let parts: Vec<&str> = text.strip_prefix("uri:")?.split('&').collect();
        let [name, coordinates @ ..] = parts.as_slice() else { return None };
        if name.is_empty() || coordinates.len() != 3 {
            return None;
        }
        let mut position = [0.0; 3];
        for (slot, text) in position.iter_mut().zip(coordinates) {
            let plain = text.starts_with(|c: char| c.is_ascii_digit())
                && text.chars().all(|c| c.is_ascii_digit() || c == '.');
            *slot = text.parse().ok().filter(|_| plain)?;
        }
        Some(Self::Region((*name).to_owned(), position))
    }
}

/// `[r1.5,r0,r0]`: three reals as login members carry them.
pub fn notation_reals(v: &[f32]) -> String {
    let reals: Vec<String> = v.iter().map(|x| format!("r{x}")).collect();
    format!("[{}]", reals.join(","))
}

/// Reads a notation string member.
pub fn parse_notation(text: &str) -> Option<Llsd> {
    from_notation(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{llsd, xmlrpc};

    #[test]
    fn the_recorded_logins_of_opensim_are_understood() {
        let body = include_bytes!("../../fixtures/captures/login_response.xml");
        let Ok(Document::Response(value)) = xmlrpc::parse(body) else { panic!("not a response") };
        let Ok(Reply::Success(session)) = Reply::parse(&value.to_llsd()) else { panic!("refused") };
        assert_eq!(session.region, (256_000, 256_000));
        let body = include_bytes!("../../fixtures/captures/login_llsd_response.xml");
        let reply = Reply::parse(&llsd::from_xml(body).unwrap());
        assert!(matches!(reply, Ok(Reply::Success(_))));
        let body = include_bytes!("../../fixtures/captures/login_bad_response.xml");
        let Ok(Document::Response(value)) = xmlrpc::parse(body) else { panic!("not a response") };
        let Ok(Reply::Failure { reason, .. }) = Reply::parse(&value.to_llsd()) else { panic!() };
        assert_eq!(reason, "key");
    }

    #[test]
    fn passwords_are_hashed_as_viewers_do() {
        assert_eq!(hash_password("password"), "$1$5f4dcc3b5aa765d61d8327deb882cf99");
    }

    #[test]
    fn start_locations_follow_the_grammar() {
        assert_eq!(Start::parse("home"), Some(Start::Home));
        let place = Start::parse("uri:Two Words&1&2.5&30.");
        assert_eq!(place, Some(Start::Region("Two Words".into(), [1.0, 2.5, 30.0])));
        for bad in ["", "first", "uri:", "uri:A&1&2", "uri:A&-1&2&3", "uri:A&x&y&z", "uri:&1&2&3"] {
            assert_eq!(Start::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_success_without_what_a_viewer_needs_is_no_success() {
        let error =
            Reply::parse(&Llsd::map([("login", Llsd::string("true"))])).unwrap_err().to_string();
        assert_eq!(error, "`sim_ip` is missing");
    }
}
