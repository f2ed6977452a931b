//! Event queues: what waits to be told to whom, and the polls that wait for it.

use super::RequestId;
use super::capability::Owner;
use super::timer::Timer;
use super::{Core, Own};
use crate::grid::Faults;
use crate::net::tap::{Passed, Visitor};
use crate::proto::event_queue::{Event, PollReply};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A poll that is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Poll {
    pub request: RequestId,
    /// When it is held no longer.
    pub limit: Timer,
}

/// One queue.
#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Events that a fault held back, due now.
    late: Vec<Event>,
    next_id: i32,
    polls: VecDeque<Poll>,
    /// A fault has ended a poll of it.
    stumbled: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.late.is_empty()
    }
}

/// All of them, by owner.
#[derive(Debug)]
pub(in crate::grid) struct Queues {
    all: BTreeMap<Owner, Queue>,
    /// Those that have something to tell, since it was last asked.
    woken: BTreeSet<Owner>,
    /// Polls whose queue is gone.
    orphans: Vec<Poll>,
    /// What sessions were not told that have ended, where a fault keeps it.
    untold: BTreeMap<Owner, VecDeque<Event>>,
    faults: Faults,
}

/// Whoever does not poll loses the oldest events beyond this.
const MOST: usize = 1000;

impl Queues {
    pub(crate) fn new(faults: Faults) -> Self {
        let (all, woken, untold) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { all, woken, orphans: Vec::new(), untold, faults }
    }

    /// A queue whose first reply has this id.
    pub(crate) fn open(&mut self, owner: Owner, first_id: i32) {
        let events = self.untold.remove(&owner).unwrap_or_default();
        self.woken.extend((!events.is_empty()).then_some(owner));
        self.all.insert(owner, Queue { events, next_id: first_id, ..Queue::default() });
    }

    pub(crate) fn close(&mut self, owner: Owner) {
        let Some(queue) = self.all.remove(&owner) else { return };
        self.orphans.extend(queue.polls);
        if !queue.events.is_empty() && self.faults.breaks(Own::QueueOutlives) {
            self.untold.insert(owner, queue.events);
        }
    }

    pub(crate) fn tell(&mut self, owner: Owner, event: Event) {
        let Some(queue) = self.all.get_mut(&owner) else { return };
        queue.events.push_back(event);
        if queue.events.len() > MOST {
            queue.events.pop_front();
        }
        self.woken.insert(owner);
    }

    /// An event that a fault held back is due.
    pub(crate) fn tell_late(&mut self, owner: Owner, event: Event) {
        if let Some(queue) = self.all.get_mut(&owner) {
            queue.late.push(event);
            self.woken.insert(owner);
        }
    }

    /// Takes events back that nobody was told of; whether there were any.
    pub(crate) fn take_back(&mut self, owner: Owner, name: &str) -> bool {
        let Some(queue) = self.all.get_mut(&owner) else { return false };
        let before = queue.events.len();
        queue.events.retain(|event| event.message != name);
        queue.events.len() < before
    }

    /// Everything queued, as one reply, and what a fault held back before; none if there is
    /// neither.
    pub(crate) fn take(&mut self, owner: Owner) -> Option<(PollReply, Vec<Event>)> {
        let queue = self.all.get_mut(&owner).filter(|queue| !queue.is_empty())?;
        let id = queue.next_id;
        queue.next_id += i32::from(!self.faults.breaks(Own::CountsNoPolls));
        let most = if self.faults.breaks(Own::TellsSingly) { 1 } else { queue.events.len() };
        let events = queue.events.drain(..most.min(queue.events.len())).collect();
        Some((PollReply { id, events }, std::mem::take(&mut queue.late)))
    }

    /// Whether a fault ends this poll at once: the first of a queue.
    pub(super) fn stumbles(&mut self, owner: Owner) -> bool {
        let queue = self.all.get_mut(&owner).filter(|_| self.faults.breaks(Own::StumblesAtFirst));
        queue.is_some_and(|queue| !std::mem::replace(&mut queue.stumbled, true))
    }

    /// Holds a poll; false if there is no such queue.
    pub(super) fn hold(&mut self, owner: Owner, poll: Poll) -> bool {
        let queue = self.all.get_mut(&owner);
        queue.map(|queue| queue.polls.push_back(poll)).is_some()
    }

    /// A poll is held no longer.
    pub(super) fn let_go(&mut self, owner: Owner, request: RequestId) -> Option<Poll> {
        let polls = &mut self.all.get_mut(&owner)?.polls;
        let at = polls.iter().position(|poll| poll.request == request)?;
        polls.remove(at)
    }

    /// The first poll of a queue that has something to tell.
    pub(super) fn woken(&mut self) -> Option<(Owner, RequestId)> {
        while let Some(owner) = self.woken.first().copied() {
            let queue = self.all.get(&owner).filter(|queue| !queue.is_empty());
            match queue.and_then(|queue| queue.polls.front()) {
                Some(poll) => return Some((owner, poll.request)),
                None => drop(self.woken.pop_first()),
            }
        }
        None
    }

    pub(super) fn take_orphans(&mut self) -> Vec<Poll> {
        std::mem::take(&mut self.orphans)
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) enum Open {
    /// A poll of that queue; whose, and under which id, where somebody listens.
    Poll(Owner, Option<(Visitor, String)>),
    /// It never will be: a fault. Whose it is, where that matters.
    Never(Option<Visitor>),
}

/// Requests that are not answered at once.
pub(super) type Requests = BTreeMap<RequestId, Open>;

impl Core {
    /// Whoever asked waits no longer: nothing more is told to them.
    pub(super) fn given_up(&mut self, request: RequestId) {
        match self.requests.remove(&request) {
            Some(Open::Poll(owner, _)) => {
                if let Some(poll) = self.world.queues.let_go(owner, request) {
                    self.timers.cancel(poll.limit);
                }
            }
            Some(Open::Never(Some(visitor))) => {
                self.tap.tell(self.now, visitor, || Passed::LoginLeft);
            }
            Some(Open::Never(None)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tap::RegionIndex;
    use crate::proto::id::AgentId;
    use crate::proto::llsd::Llsd;
    use std::time::Duration;
    use uuid::Uuid;

    fn event(name: &str) -> Event {
        Event { message: name.into(), body: Llsd::Undef }
    }

    #[test]
    fn the_oldest_poll_is_woken_and_none_that_was_given_up() {
        let owner = Owner::AgentIn(AgentId(Uuid::from_u128(1)), RegionIndex(0));
        let mut queues = Queues::new(Faults::default());
        let poll = |request| Poll { request, limit: (Duration::ZERO, request) };
        assert!(!queues.hold(owner, poll(1)));
        queues.open(owner, 7);
        assert!(queues.hold(owner, poll(1)) && queues.hold(owner, poll(2)));
        assert_eq!(queues.woken(), None);
        queues.tell(owner, event("a"));
        assert_eq!(queues.let_go(owner, 1), Some(poll(1)));
        assert_eq!(queues.woken(), Some((owner, 2)));
        assert_eq!(queues.take(owner).unwrap().0.id, 7);
        assert_eq!(queues.woken(), None);
        queues.close(owner);
        assert_eq!(queues.take_orphans(), [poll(2)]);
    }

    #[test]
    fn whoever_does_not_poll_loses_the_oldest() {
        let owner = Owner::Agent(AgentId(Uuid::from_u128(1)));
        let mut queues = Queues::new(Faults::default());
        queues.open(owner, 1);
        (0..=MOST).for_each(|n| queues.tell(owner, event(&n.to_string())));
        let (reply, _) = queues.take(owner).unwrap();
        assert_eq!((reply.events.len(), &*reply.events[0].message), (MOST, "1"));
    }
}
