//! Capabilities: ids in URLs, each for one agent in one region.

use super::inventory::Upload;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What a capability does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Purpose {
    Seed,
    Named(&'static str),
    /// Takes the bytes of one upload.
    Uploader(Box<Upload>),
}

/// A capability.
#[derive(Clone, Debug)]
pub(super) struct Cap {
    pub agent: Uuid,
    pub region: usize,
    pub purpose: Purpose,
}

/// All that are granted, by id and by owner: whoever leaves takes a few along, out of many.
#[derive(Debug, Default)]
pub(super) struct Capabilities {
    by_id: BTreeMap<String, Cap>,
    by_owner: BTreeSet<(Uuid, usize, String)>,
}

impl Capabilities {
    pub fn insert(&mut self, id: String, cap: Cap) {
        self.by_owner.insert((cap.agent, cap.region, id.clone()));
        self.by_id.insert(id, cap);
    }

    pub fn get(&self, id: &str) -> Option<&Cap> {
        self.by_id.get(id)
    }

    pub fn remove(&mut self, id: &str) -> Option<Cap> {
        let cap = self.by_id.remove(id)?;
        self.by_owner.remove(&(cap.agent, cap.region, id.to_owned()));
        Some(cap)
    }

    /// Those of an agent, in all regions.
    pub fn of(&self, agent: Uuid) -> impl Iterator<Item = &Cap> {
        let all = self.by_owner.range((agent, 0, String::new())..);
        let own = all.take_while(move |(owner, ..)| *owner == agent);
        own.filter_map(|(.., id)| self.by_id.get(id))
    }

    /// Takes an agent's away, in one region or in all.
    pub fn revoke(&mut self, agent: Uuid, region: Option<usize>) {
        let all = self.by_owner.range((agent, region.unwrap_or_default(), String::new())..);
        let own = all.take_while(|(owner, at, _)| {
            *owner == agent && region.is_none_or(|region| region == *at)
        });
        let ids: Vec<String> = own.map(|(.., id)| id.clone()).collect();
        ids.iter().for_each(|id| drop(self.remove(id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_takes_their_own_along_and_nobody_elses() {
        let (jane, john) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut all = Capabilities::default();
        for (n, (agent, region)) in
            [(jane, 0), (jane, 1), (john, 0), (jane, 1)].into_iter().enumerate()
        {
            all.insert(format!("{n}"), Cap { agent, region, purpose: Purpose::Seed });
        }
        all.revoke(jane, Some(1));
        let left = |all: &Capabilities| {
            (0..4).filter(|n| all.get(&n.to_string()).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(left(&all), vec![0, 2]);
        assert_eq!(all.of(jane).count(), 1);
        all.revoke(jane, None);
        assert_eq!(left(&all), vec![2]);
        assert!(all.by_owner.len() == 1 && all.remove("2").is_some() && all.by_owner.is_empty());
    }
}
