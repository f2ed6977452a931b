//! Somebody logged in: the session, the avatar, and an agent in each region that knows it.

use crate::net::tap::RegionIndex;
use crate::proto::event_queue::Event;
use crate::proto::id::{AgentId, CircuitCode, SecureSessionId, SessionId};
use std::collections::BTreeMap;
use uuid::Uuid;

/// An agent in one region, root or child.
pub(in crate::grid) struct AgentHere {
    pub seed: String,
    pub granted: BTreeMap<&'static str, String>,
    pub seed_posted: bool,
    pub handshake_replied: bool,
    /// The world beyond the own avatar was sent.
    pub world_open: bool,
    /// The neighbours were announced from here.
    pub announced: bool,
}

impl AgentHere {
    pub(crate) fn new(seed: String) -> Self {
        Self {
            seed,
            granted: BTreeMap::new(),
            seed_posted: false,
            handshake_replied: false,
            world_open: false,
            announced: false,
        }
    }
}

/// On the way to another region.
#[derive(Clone, Debug)]
pub(in crate::grid) struct Transit {
    /// Tells this journey from later ones.
    pub number: u64,
    pub to: RegionIndex,
    pub position: [f32; 3],
    pub look_at: [f32; 3],
    /// On foot, not by teleport.
    pub walking: bool,
    /// The end of the teleport, while its viewer has not called at the destination.
    pub untold: Option<Event>,
}

/// Somebody logged in.
pub(in crate::grid) struct Presence {
    pub agent_id: AgentId,
    pub session_id: SessionId,
    pub secure_session_id: SecureSessionId,
    pub circuit_code: CircuitCode,
    pub first: String,
    pub last: String,
    /// The region of its avatar; none while it is placed nowhere.
    pub root: Option<RegionIndex>,
    pub position: [f32; 3],
    pub look_at: [f32; 3],
    /// An avatar stands in the root region.
    pub arrived: bool,
    /// The avatar sits on the ground.
    pub sitting: bool,
    pub flying: bool,
    /// Which way it walks, as a unit vector; none if it stands.
    pub walking: Option<[f32; 2]>,
    /// The animations its viewer has started.
    pub animations: Vec<Uuid>,
    pub agents: BTreeMap<RegionIndex, AgentHere>,
    pub transit: Option<Transit>,
}

impl Presence {
    /// Whether its avatar stands in a region.
    pub(crate) fn stands_in(&self, region: RegionIndex) -> bool {
        self.arrived && self.root == Some(region)
    }

    /// First and last name together.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }
}
