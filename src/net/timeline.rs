//! One timeline of all channels of a session: login, capabilities, event queue, UDP. It listens to
//! the tap, as judges do.

use super::Clock;
use super::tap::{Fact, Listen, Passed, Side, Tap};
use crate::proto::llsd::Llsd;
use crate::proto::message::datagram_row;
use std::collections::VecDeque;
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
    /// How it began.
    first: Vec<Entry>,
    /// What came last: what went wrong is among it.
    last: VecDeque<Entry>,
    /// How many came between and are not kept.
    left_out: usize,
}

/// So many rows are kept of the beginning and of the end: a flood must not fill memory, in every
/// case of a run.
const FIRST: usize = 500;
const LAST: usize = 1500;

impl Timeline {
    /// An empty timeline that starts now.
    pub fn start() -> Self {
        let (first, last) = (Vec::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(Rows { clock: Clock::start(), first, last, left_out: 0 })))
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties it and starts again now, for whoever shares it.
    pub fn restart(&self) {
        let mut inner = self.inner();
        inner.clock = Clock::start();
        inner.first.clear();
        inner.last.clear();
        inner.left_out = 0;
    }

    /// A tap that it alone listens to.
    pub fn tap(&self) -> Tap {
        Tap::of(Arc::new(self.clone()))
    }

    /// Adds a remark of nobody's.
    pub fn remark(&self, text: &str) {
        self.add("", &Passed::Remark(text.to_owned()));
    }

    fn add(&self, actor: &str, what: &Passed) {
        let mut inner = self.inner();
        let ms = inner.clock.now().as_secs_f64() * 1e3;
        let (channel, direction, text) = row(what);
        // A grid's text may hold line ends, or worse for a terminal; a row is one line.
        let text = text.replace(|c: char| c.is_control(), " ");
        let entry = Entry { ms, actor: actor.to_owned(), channel, direction, text };
        if inner.first.len() < FIRST {
            return inner.first.push(entry);
        }
        if inner.last.len() == LAST {
            inner.last.pop_front();
            inner.left_out += 1;
        }
        inner.last.push_back(entry);
    }

    /// The rows so far; where some are left out, one says how many.
    pub fn rows(&self) -> Vec<Entry> {
        let inner = self.inner();
        let gap = inner.last.front().filter(|_| inner.left_out > 0).map(|next| Entry {
            ms: next.ms,
            actor: String::new(),
            channel: Channel::Note,
            direction: '·',
            text: format!("{} rows are left out here", inner.left_out),
        });
        inner.first.iter().cloned().chain(gap).chain(inner.last.iter().cloned()).collect()
    }
}

impl Listen for Timeline {
    fn hear(&self, fact: Fact) {
        let actor = match &fact.side {
            Side::Viewer(name) => name,
            Side::Grid => "",
        };
        self.add(actor, &fact.what);
    }
}

/// What passed, as a row: `→` from whoever tells it, `←` to it.
pub fn row(what: &Passed) -> (Channel, char, String) {
    match what {
        Passed::LoginAsked(path, _) => {
            (Channel::Login, '←', format!("login_to_simulator at {path}"))
        }
        Passed::LoggedIn(..) => (Channel::Login, '→', "login true".into()),
        Passed::Refused(reason) => (Channel::Login, '→', format!("refused: {reason}")),
        Passed::LoginUnread(why) => (Channel::Login, '←', format!("a call that is none: {why}")),
        Passed::LoginLeft => (Channel::Login, '·', "it gave the login up".into()),
        Passed::Seed(kind, names) => {
            let kind = kind.as_deref().unwrap_or("no content type");
            let names =
                names.as_ref().map_or("unreadable".into(), |n| format!("{} names", n.len()));
            (Channel::Caps, '←', format!("Seed, {kind}, {names}"))
        }
        Passed::Polled(_, Some(poll)) => {
            let ack = poll.ack.map_or("undef".into(), |ack| ack.to_string());
            let done = if poll.done { " done" } else { "" };
            (Channel::Events, '←', format!("poll, ack {ack}{done}"))
        }
        Passed::Polled(_, None) => (Channel::Events, '←', "poll, unreadable".into()),
        Passed::PollAnswered(_, status, body) => {
            (Channel::Events, '→', format!("{status}{}", told(body.as_ref())))
        }
        Passed::Asked(name) => (Channel::Caps, '←', (*name).to_owned()),
        Passed::Meant(_, name, _) => (Channel::Note, '·', format!("it means to say {name}")),
        Passed::Received(received) => {
            let row = match &received.message {
                Ok(message) => {
                    let acks = received.acks.iter().copied();
                    datagram_row(received.header, message.name(), acks)
                }
                Err(error) => format!("unreadable: {error}"),
            };
            (Channel::Udp, '←', row)
        }
        Passed::Sent(_, datagram) => {
            let (header, name) = (datagram.header, datagram.message.name());
            (Channel::Udp, '→', datagram_row(header, name, datagram.acknowledged()))
        }
        Passed::LoginCalled(method, who) => (Channel::Login, '→', format!("{method} as {who}")),
        Passed::LoginAnswered(status, said) => {
            (Channel::Login, '←', format!("{status}, {}", login(said)))
        }
        Passed::LoginLost(why) => (Channel::Login, '←', why.clone()),
        Passed::Request(method, cap) => (Channel::Caps, '→', format!("{method} {cap}")),
        Passed::Reply(cap, Ok((status, kind, size))) => {
            let kind = kind.as_deref().unwrap_or("no content type");
            (Channel::Caps, '←', format!("{cap} {status}, {kind}, {size} bytes"))
        }
        Passed::Reply(cap, Err(why)) => (Channel::Caps, '←', format!("{cap}: {why}")),
        Passed::Delivered(names) => {
            (Channel::Events, '←', format!("{} events: {}", names.len(), names.join(", ")))
        }
        Passed::Queue(text) => (Channel::Events, '·', text.clone()),
        Passed::Datagram(direction, circuit, read) => {
            let text = match read {
                Ok((header, name, acks)) => datagram_row(*header, name, acks.iter().copied()),
                Err(why) => why.clone(),
            };
            (Channel::Udp, direction.arrow(), text + &on(circuit))
        }
        Passed::Raw(size, circuit) => {
            (Channel::Udp, '→', format!("raw datagram of {size} bytes{}", on(circuit)))
        }
        Passed::ResendsExhausted(sequence) => {
            (Channel::Udp, '·', format!("gave up #{sequence}: never acked"))
        }
        Passed::Closed => {
            let text = "the simulator was silent for too long; circuit closed";
            (Channel::Udp, '·', text.into())
        }
        Passed::Impaired(direction, how) => {
            (Channel::Note, direction.arrow(), format!("impaired: {how}"))
        }
        Passed::Remark(text) => (Channel::Note, '·', text.clone()),
        Passed::Silent => {
            (Channel::Udp, '·', "it was silent for too long; its session ended".into())
        }
    }
}

/// What the answer of a poll tells: its id, and the names of its events.
fn told(body: Option<&Llsd>) -> String {
    let id = body.and_then(|body| body.get("id")?.as_i32());
    let id = id.map_or(String::new(), |id| format!(", id {id}"));
    let events = body.and_then(|body| body.get("events")?.as_array()).unwrap_or_default();
    let name = |event: &Llsd| Some(event.get("message")?.as_str()?.to_owned());
    let names: Vec<String> = events.iter().filter_map(name).collect();
    match names.is_empty() {
        true => id,
        false => format!("{id}: {}", names.join(", ")),
    }
}

/// Which circuit it was, where it is not the one to the region of the login.
fn on(circuit: &str) -> String {
    if circuit == "root" { String::new() } else { format!(" on {circuit}") }
}

/// What a login call brought.
fn login(said: &Result<Llsd, String>) -> String {
    let members = match said {
        Ok(members) => members,
        Err(problem) => return problem.clone(),
    };
    let text = |name: &str| members.get(name).and_then(Llsd::as_str).unwrap_or_default();
    match text("login") {
        "true" => {
            let port = members.get("sim_port").and_then(Llsd::as_i32).unwrap_or_default();
            format!("login true, simulator {}:{port}", text("sim_ip"))
        }
        word => format!("login {word}, reason {}", text("reason")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_beginning_and_the_end_are_kept() {
        let timeline = Timeline::start();
        (0..5000).for_each(|n| timeline.remark(&format!("row {n}")));
        let rows = timeline.rows();
        assert_eq!(rows.len(), FIRST + 1 + LAST);
        let texts = [0, FIRST - 1, FIRST, FIRST + 1, FIRST + LAST].map(|n| rows[n].text.as_str());
        assert_eq!(
            texts,
            ["row 0", "row 499", "3000 rows are left out here", "row 3500", "row 4999"]
        );
        timeline.restart();
        timeline.remark("again");
        assert_eq!(timeline.rows().len(), 1);
    }
}
