//! Everything a viewer hears, in order, from all channels: what steps wait on.

use crate::net::udp::Seen;
use crate::proto::event_queue::Event;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where something was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A circuit, by name.
    Circuit(String),
    /// The event queue.
    Events,
}

/// What was heard.
#[derive(Clone, Debug)]
pub enum What {
    /// On a circuit.
    Udp(Box<Seen>),
    /// An event.
    Event(Event),
    /// Something is wrong with the event queue: what it tells may not be all there was.
    Trouble(String),
}

/// One thing heard.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub at: Instant,
    /// Where.
    pub source: Source,
    /// What.
    pub what: What,
    /// A step has taken it; another step of the same kind looks further.
    pub taken: bool,
}

/// A shared, growing list; clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    heard: Arc<Mutex<Vec<Observed>>>,
    bell: Arc<Notify>,
}

/// Older things are forgotten beyond this many, so that a flood cannot fill memory.
const MOST: usize = 20_000;

impl Mailbox {
    /// Adds something.
    pub fn post(&self, source: Source, what: What) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= MOST {
            heard.drain(..MOST / 2);
        }
        heard.push(Observed { at: Instant::now(), source, what, taken: false });
        drop(heard);
        self.bell.notify_waiters();
    }

    /// Forgets what one circuit said: another of its name begins.
    pub fn forget_source(&self, source: &Source) {
        self.look(|heard| heard.retain(|observed| observed.source != *source));
    }

    /// Forgets everything: another case begins.
    pub fn forget(&self) {
        self.look(Vec::clear);
    }

    /// Looks at everything heard so far.
    pub fn look<T>(&self, look: impl FnOnce(&mut Vec<Observed>) -> T) -> T {
        look(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `find` finds something, at most until `deadline`.
    pub async fn wait<T>(
        &self,
        deadline: Instant,
        mut find: impl FnMut(&mut Vec<Observed>) -> Option<T>,
    ) -> Option<T> {
        loop {
            let bell = self.bell.notified();
            tokio::pin!(bell);
            // Armed before looking, so that nothing posted in between is missed.
            bell.as_mut().enable();
            if let Some(found) = self.look(&mut find) {
                return Some(found);
            }
            tokio::select! {
                () = &mut bell => {}
                () = tokio::time::sleep_until(deadline) => return self.look(&mut find),
            }
        }
    }
}
