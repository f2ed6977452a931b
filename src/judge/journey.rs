//! Where a visit leads: the regions a visitor was sent to or told of, and those that let it go.

use super::visit::Visit;
use crate::net::tap::RegionIndex;
use crate::proto::event_queue::EnableSimulator;
use crate::proto::teleport::{CrossedRegion, TeleportFinish};
use std::time::Duration;

/// Where an agent was sent.
pub(super) struct Sent {
    pub index: usize,
    pub at: Duration,
    pub region: RegionIndex,
    pub flags: u32,
    pub walks: bool,
}

/// A circuit that its region closed.
pub(super) struct Closed {
    pub index: usize,
    pub at: Duration,
    pub region: RegionIndex,
}

impl Visit {
    /// Where events of this name send: those for this agent, or for others.
    pub(super) fn sent_by(&self, name: &str, own: bool) -> Vec<Sent> {
        let told = self.delivered(name).filter_map(|told| {
            let walks = name == "CrossedRegion";
            let (to, flags) = match walks {
                true => (CrossedRegion::parse(told.body)?.to, 0),
                false => {
                    TeleportFinish::parse(told.body).map(|finish| (finish.to, finish.flags))?
                }
            };
            let region = self.region(to.address.port())?;
            let theirs = (to.agent_id == self.agent) == own;
            theirs.then_some(Sent { index: told.index, at: told.at, region, flags, walks })
        });
        told.collect()
    }

    /// Where this agent was sent.
    pub(super) fn destinations(&self) -> Vec<Sent> {
        let mut all = self.sent_by("TeleportFinish", true);
        all.extend(self.sent_by("CrossedRegion", true));
        all.sort_by_key(|to| to.index);
        all
    }

    /// Where it learnt of a region as a neighbour: at which event, of which region.
    pub(super) fn enabled(&self) -> Vec<(usize, RegionIndex)> {
        let told = self.delivered("EnableSimulator").filter_map(|told| {
            let port = EnableSimulator::parse(told.body)?.address.port();
            Some((told.index, self.region(port)?))
        });
        told.collect()
    }

    /// Where it was called to a region, as a neighbour or with its avatar.
    pub(super) fn called(&self) -> Vec<(usize, RegionIndex)> {
        let sent = self.destinations().into_iter().map(|to| (to.index, to.region));
        sent.chain(self.enabled()).collect()
    }

    /// When the avatar was moved to where it was sent.
    pub(super) fn moved(&self, to: &Sent) -> Option<Duration> {
        let mut moves = self.received_named("CompleteAgentMovement");
        moves.find(|came| came.region == to.region && came.index > to.index).map(|came| came.at)
    }

    /// The circuits that were closed: those of the region the avatar was in, or the others.
    pub(super) fn closed(&self, root: bool) -> Vec<Closed> {
        let first = self.received_named("UseCircuitCode").next().map(|came| came.region);
        let sent = self.destinations();
        let closed = self.sent_named("DisableSimulator").filter(|went| {
            let last = sent.iter().rfind(|to| to.index < went.index).map(|to| to.region);
            (Some(went.region) == last.or(first)) == root
        });
        closed.map(|went| Closed { index: went.index, at: went.at, region: went.region }).collect()
    }
}
