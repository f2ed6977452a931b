//! Where a session stands, with what is known then and nothing else.

use crate::proto::login::Session;
use crate::value::Value;
use std::net::SocketAddrV4;

/// Where a viewer's session stands.
#[derive(Clone, Debug, Default)]
pub enum State {
    /// There is none: none was begun, or the last has ended.
    #[default]
    LoggedOut,
    /// A login call was sent and never answered: there may be a session that we know nothing of.
    Unanswered,
    /// A login gave one. Whether its avatar stands anywhere, its place says.
    LoggedIn(Session),
    /// Its avatar was brought into the world; what the step that did it returned, for cases that
    /// share the session.
    InWorld(Session, Option<Value>),
    /// Its avatar is on its way from the simulator named to the session's own, and may be with
    /// either.
    Between(Session, SocketAddrV4),
}

impl State {
    /// The session, if there is one.
    pub fn session(&self) -> Option<&Session> {
        match self {
            Self::LoggedOut | Self::Unanswered => None,
            Self::LoggedIn(session) | Self::InWorld(session, _) | Self::Between(session, _) => {
                Some(session)
            }
        }
    }

    /// The same session, with its avatar in the world.
    pub(super) fn enter(&mut self) {
        *self = match std::mem::take(self) {
            Self::LoggedIn(session) | Self::Between(session, _) => Self::InWorld(session, None),
            other => other,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::id::{AgentId, CircuitCode, SecureSessionId, SessionId};
    use uuid::Uuid;

    #[test]
    fn only_a_session_comes_into_the_world() {
        let simulator = SocketAddrV4::new([127, 0, 0, 1].into(), 9000);
        let session = Session {
            agent_id: AgentId(Uuid::from_u128(1)),
            session_id: SessionId(Uuid::from_u128(2)),
            secure_session_id: SecureSessionId(Uuid::from_u128(3)),
            circuit_code: CircuitCode(7),
            simulator,
            seed: "http://127.0.0.1/CAPS/x".into(),
            region: (256_000, 256_000),
            size: (256, 256),
        };
        for mut state in [State::LoggedOut, State::Unanswered] {
            state.enter();
            assert!(state.session().is_none());
        }
        let between = State::Between(session.clone(), simulator);
        for mut state in [State::LoggedIn(session.clone()), between] {
            state.enter();
            assert!(
                matches!(&state, State::InWorld(own, None) if own.circuit_code == CircuitCode(7))
            );
        }
    }
}
