//! Where the avatar stands, and that it stands there: AgentUpdate every second, as viewers send it
//! however still they are (secondlife/viewer 0420fdbd, indra/newview/llviewermessage.cpp,
//! send_agent_update, MIN_AGENT_UPDATES_PER_SECOND).

use crate::net::udp::Speaker;
use crate::proto::circuit::SendOptions;
use crate::proto::message::{Field, Message};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Between two updates.
pub(super) const UPDATES: Duration = Duration::from_secs(1);

/// A teleport that has not ended after this long has failed, for a viewer
/// (indra/newview/llviewerdisplay.cpp:123).
const TELEPORT_EXPIRY: Duration = Duration::from_secs(15);

/// Control flags that a viewer sends once and does not hold: to stand up, to sit down.
const ONCE: u32 = 0x10000 | 0x20000;

/// Where an avatar stands. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Presence(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The spot, by its number; none is 0.
    stands_on: watch::Sender<u32>,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    /// How many spots there are.
    spots: u32,
    /// What its updates say.
    update: Option<Message>,
    /// Until when there are none: it is on its way, or has said that it will leave.
    quiet: Option<Quiet>,
}

#[derive(Clone, Copy, Debug)]
enum Quiet {
    Until(Instant),
    ForGood,
}

/// A circuit on which the avatar may come to stand.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    presence: Presence,
    number: u32,
}

impl Default for Presence {
    fn default() -> Self {
        let (stands_on, said) = (watch::Sender::new(0), Mutex::default());
        Self(Arc::new(Shared { stands_on, said }))
    }
}

impl Presence {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session begins: nothing is known of its avatar, and it says this while it stands somewhere.
    pub(super) fn begin(&self, update: Message) {
        self.leave();
        let mut said = self.said();
        (said.update, said.quiet) = (Some(update), None);
    }

    /// It stands nowhere any more that is known.
    pub(super) fn leave(&self) {
        self.0.stands_on.send_replace(0);
    }

    /// Takes heed of what is sent in its name.
    pub(super) fn saying(&self, message: &Message) {
        match message.name() {
            "AgentUpdate" => {
                let flags = message.u32("AgentData", "ControlFlags").unwrap_or_default();
                let held =
                    message.clone().with("AgentData", "ControlFlags", Field::U32(flags & !ONCE));
                self.said().update = Some(held);
            }
            "LogoutRequest" => self.said().quiet = Some(Quiet::ForGood),
            name if name.starts_with("Teleport") && name.ends_with("Request") => self.set_out(),
            _ => {}
        }
    }

    /// Takes heed of what a simulator says of its journey.
    pub(super) fn hearing(&self, name: &str) {
        match name {
            "TeleportStart" => self.set_out(),
            "TeleportLocal" | "TeleportFailed" | "TeleportCancel" => self.settle(),
            _ => {}
        }
    }

    fn set_out(&self) {
        let mut said = self.said();
        if !matches!(said.quiet, Some(Quiet::ForGood)) {
            said.quiet = Some(Quiet::Until(Instant::now() + TELEPORT_EXPIRY));
        }
    }

    fn settle(&self) {
        let mut said = self.said();
        if matches!(said.quiet, Some(Quiet::Until(_))) {
            said.quiet = None;
        }
    }

    /// A new circuit on which it may come to stand.
    pub(super) fn spot(&self) -> Spot {
        let mut said = self.said();
        said.spots += 1;
        Spot { presence: self.clone(), number: said.spots }
    }

    /// What is to be said now.
    fn update(&self) -> Option<Message> {
        let said = self.said();
        let quiet = match said.quiet {
            None => false,
            Some(Quiet::Until(end)) => Instant::now() < end,
            Some(Quiet::ForGood) => true,
        };
        said.update.clone().filter(|_| !quiet)
    }
}

impl Spot {
    /// The avatar stands here.
    pub(super) fn take(&self) {
        self.presence.settle();
        self.presence.0.stands_on.send_replace(self.number);
    }

    /// Whether it does.
    pub(super) fn is_taken(&self) -> bool {
        *self.presence.0.stands_on.borrow() == self.number
    }

    /// The avatar of which it is a spot.
    pub(super) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Sends what there is to say whenever the avatar stands here, until the circuit has ended.
    pub(super) async fn stay(self, speaker: Speaker, period: Duration) {
        let mut stands_on = self.presence.0.stands_on.subscribe();
        loop {
            if stands_on.wait_for(|number| *number == self.number).await.is_err() {
                return;
            }
            tokio::time::sleep(period).await;
            let update = self.presence.update().filter(|_| self.is_taken());
            let said = update.is_none_or(|update| speaker.say(update, SendOptions::UNRELIABLE));
            if !said {
                return;
            }
        }
    }
}
