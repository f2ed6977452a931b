//! One timeline of all channels of a session: login, capabilities, event queue, UDP.

use super::Clock;
use std::fmt::{Display, Formatter};
use std::sync::{Arc, Mutex, PoisonError};

/// Where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The login call.
    Login,
    /// A capability.
    Caps,
    /// The event queue.
    Events,
    /// The circuit.
    Udp,
    /// Plain HTTP.
    Http,
    /// The runner's own remarks.
    Note,
}

impl Display for Channel {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Login => "login",
            Self::Caps => "caps",
            Self::Events => "events",
            Self::Udp => "udp",
            Self::Http => "http",
            Self::Note => "note",
        })
    }
}

/// One row.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Milliseconds since the case began.
    pub ms: f64,
    /// Who acted or saw it.
    pub actor: String,
    /// Where.
    pub channel: Channel,
    /// `→` from us, `←` to us, `·` neither.
    pub direction: char,
    /// What happened.
    pub text: String,
}

/// Rows in the order they happened; clones share them.
#[derive(Clone, Debug)]
pub struct Timeline(Arc<Mutex<Rows>>);

#[derive(Debug)]
struct Rows {
    clock: Clock,
    rows: Vec<Entry>,
    /// As many are kept, and one more that says so.
    most: usize,
}

/// Rows beyond this are not kept: a flood must not fill memory, in every case of a run.
const MOST: usize = 2000;

impl Timeline {
    /// An empty timeline that starts now.
    pub fn start() -> Self {
        Self::keeping(MOST)
    }

    /// A timeline that keeps nothing: for avatars that only have to be there.
    pub fn idle() -> Self {
        Self::keeping(0)
    }

    fn keeping(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Rows { clock: Clock::start(), rows: Vec::new(), most })))
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties it and starts again now, for whoever shares it.
    pub fn restart(&self) {
        let mut inner = self.inner();
        inner.clock = Clock::start();
        inner.rows.clear();
    }

    /// Adds a row.
    pub fn add(&self, actor: &str, channel: Channel, direction: char, text: impl Into<String>) {
        let mut inner = self.inner();
        let ms = inner.clock.now().as_secs_f64() * 1e3;
        let (kept, most) = (inner.rows.len(), inner.most);
        // A grid's text may hold line ends, or worse for a terminal; a row is one line.
        let text = match kept {
            n if n < most => text.into().replace(|c: char| c.is_control(), " "),
            n if n == most && most > 0 => {
                format!("more than {most} rows; what follows is not kept")
            }
            _ => return,
        };
        inner.rows.push(Entry { ms, actor: actor.to_owned(), channel, direction, text });
    }

    /// Whether no further row would be kept.
    pub fn is_full(&self) -> bool {
        let inner = self.inner();
        inner.rows.len() > inner.most || inner.most == 0
    }

    /// The rows so far.
    pub fn rows(&self) -> Vec<Entry> {
        self.inner().rows.clone()
    }
}
