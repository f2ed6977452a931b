//! The ids that tell who speaks: each a type of its own, so that none stands where another belongs.
//! Those by which somebody could pass for somebody else do not print themselves.

use std::fmt::{Debug, Display, Formatter};
use std::ops::Deref;
use uuid::Uuid;

/// An avatar, logged in or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct AgentId(pub Uuid);

impl AgentId {
    /// Nobody.
    pub const NIL: Self = Self(Uuid::nil());
}

impl Display for AgentId {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// A session: whoever has it may speak for its agent on a circuit. A secret.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Uuid);

/// The second secret of a session, from which the ids of uploaded assets are made.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SecureSessionId(pub Uuid);

/// The number that opens the circuits of a session. A secret.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct CircuitCode(pub u32);

/// The URL of a capability, the seed or what it granted: whoever has it may use it. A secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CapUrl(String);

impl From<String> for CapUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl From<&str> for CapUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl Deref for CapUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The number of a packet on its circuit; behind the highest comes 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Sequence(pub u32);

impl Sequence {
    /// From a header or a trailer; a PacketAck has it the other way round.
    pub const fn from_be_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// For a header or a trailer.
    pub const fn to_be_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl From<Sequence> for i128 {
    fn from(sequence: Sequence) -> Self {
        sequence.0.into()
    }
}

impl TryFrom<i128> for Sequence {
    type Error = std::num::TryFromIntError;

    fn try_from(number: i128) -> Result<Self, Self::Error> {
        number.try_into().map(Self)
    }
}

impl Display for Sequence {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&self.0, f)
    }
}

macro_rules! secret {
    ($($id:ident: $name:literal),+) => {
        $(impl Debug for $id {
            fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!("[", $name, "]"))
            }
        })+
    };
}

secret!(
    SessionId: "session id",
    SecureSessionId: "secure session id",
    CircuitCode: "circuit code",
    CapUrl: "capability"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let (id, code) = (Uuid::from_u128(0x5EC2E7), 5_278_439);
        let text = format!("{:?} {:?} {:?}", SessionId(id), SecureSessionId(id), CircuitCode(code));
        assert_eq!(text, "[session id] [secure session id] [circuit code]");
        assert_eq!(format!("{:?}", CapUrl::from("http://h/CAPS/1/")), "[capability]");
    }
}
