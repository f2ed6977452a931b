//! Accounts: no two cases act through one avatar at a time.

use crate::client::{Credentials, Viewer};
use crate::net::Timeline;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// An account, with the session that the last case left for others to share.
#[derive(Debug)]
pub(super) struct Slot {
    pub credentials: Credentials,
    pub shared: Option<Box<Shared>>,
}

/// A session that goes from case to case, with the timeline that listens to it.
#[derive(Debug)]
pub(super) struct Shared {
    pub viewer: Viewer,
    pub timeline: Timeline,
}

/// All accounts of a target.
#[derive(Debug)]
pub(super) struct Pool {
    free: Mutex<Vec<Slot>>,
    freed: Notify,
    size: usize,
}

impl Pool {
    pub(super) fn new(accounts: Vec<Credentials>) -> Self {
        let size = accounts.len();
        let slots = accounts.into_iter().map(|credentials| Slot { credentials, shared: None });
        Self { free: Mutex::new(slots.collect()), freed: Notify::new(), size }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Waits for `n` accounts at once, so that no two cases hold half of what both need. One
    /// that prefers a shared session gets an account that has one, and others leave those be.
    pub(super) async fn lease(&self, n: usize, shared: bool) -> Vec<Slot> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
                if free.len() >= n {
                    free.sort_by_key(|slot| slot.shared.is_some() == shared);
                    let from = free.len() - n;
                    return free.split_off(from);
                }
            }
            freed.await;
        }
    }

    pub(super) fn give_back(&self, slots: Vec<Slot>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // Used last, taken last: a grid may need a moment to forget a session.
        free.splice(0..0, slots);
        drop(free);
        self.freed.notify_waiters();
    }

    /// Every account that is free, at the end of a run.
    pub(super) fn drain(&self) -> Vec<Slot> {
        std::mem::take(&mut *self.free.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
