//! Capabilities: ids in URLs, each for one owner.

use crate::net::tap::RegionIndex;
use crate::proto::id::AgentId;
use std::collections::{BTreeMap, BTreeSet};

/// Whose a capability or an event queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::grid) enum Owner {
    /// A session's, wherever its agents are.
    Agent(AgentId),
    /// An agent's in one region.
    AgentIn(AgentId, RegionIndex),
}

impl Owner {
    /// Whose session it belongs to.
    pub(crate) fn agent(self) -> AgentId {
        match self {
            Self::Agent(agent) | Self::AgentIn(agent, _) => agent,
        }
    }

    /// Which region it belongs to, if to one.
    pub(crate) fn region(self) -> Option<RegionIndex> {
        match self {
            Self::Agent(_) => None,
            Self::AgentIn(_, region) => Some(region),
        }
    }
}

/// What a capability does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::grid) enum Purpose {
    Seed,
    Named(&'static str),
}

/// A capability.
#[derive(Clone, Copy, Debug)]
pub(in crate::grid) struct Cap {
    pub owner: Owner,
    pub purpose: Purpose,
}

/// All that are granted, by id and by owner: whoever leaves takes a few along, out of many.
#[derive(Default)]
pub(in crate::grid) struct Capabilities {
    by_id: BTreeMap<String, Cap>,
    by_owner: BTreeSet<(Owner, String)>,
}

impl Capabilities {
    pub(crate) fn insert(&mut self, id: String, owner: Owner, purpose: Purpose) {
        self.by_owner.insert((owner, id.clone()));
        self.by_id.insert(id, Cap { owner, purpose });
    }

    pub(crate) fn get(&self, id: &str) -> Option<Cap> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Cap> {
        let cap = self.by_id.remove(id)?;
        self.by_owner.remove(&(cap.owner, id.to_owned()));
        Some(cap)
    }

    fn ids(&self, owner: Owner) -> impl Iterator<Item = &String> {
        let own = self.by_owner.range((owner, String::new())..);
        own.take_while(move |(other, _)| *other == owner).map(|(_, id)| id)
    }

    /// Those of an owner.
    pub(crate) fn of(&self, owner: Owner) -> impl Iterator<Item = Cap> {
        self.ids(owner).filter_map(|id| self.get(id))
    }

    /// Takes an owner's away.
    pub(crate) fn revoke(&mut self, owner: Owner) {
        let ids: Vec<String> = self.ids(owner).cloned().collect();
        for id in &ids {
            self.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn whoever_leaves_takes_their_own_along_and_nobody_elses() {
        let (jane, john) = (AgentId(Uuid::from_u128(1)), AgentId(Uuid::from_u128(2)));
        let mut all = Capabilities::default();
        let owners = [
            Owner::AgentIn(jane, RegionIndex(0)),
            Owner::AgentIn(jane, RegionIndex(1)),
            Owner::AgentIn(john, RegionIndex(0)),
            Owner::AgentIn(jane, RegionIndex(1)),
            Owner::Agent(jane),
        ];
        for (n, owner) in owners.into_iter().enumerate() {
            all.insert(format!("{n}"), owner, Purpose::Seed);
        }
        all.revoke(Owner::AgentIn(jane, RegionIndex(1)));
        let left = |all: &Capabilities| {
            (0..5).filter(|n| all.get(&n.to_string()).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(left(&all), vec![0, 2, 4]);
        assert_eq!(all.of(Owner::Agent(jane)).count(), 1);
        all.revoke(Owner::Agent(jane));
        assert_eq!(left(&all), vec![0, 2]);
        assert!(all.remove("2").is_some() && all.remove("0").is_some() && all.by_owner.is_empty());
    }
}
