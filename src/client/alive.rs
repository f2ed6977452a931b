//! Asking whether whoever a viewer talks to is still there: what was not heard counts only then.

use super::{Source, Viewer, What};
use crate::net::http::{HttpError, Request};
use crate::net::udp::{CircuitEvent, CircuitHandle};
use crate::proto::login::Session;
use crate::proto::message::{Field, Message};
use crate::proto::seed;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// After so many polls in a row that failed a viewer gives its queue up (secondlife/viewer 0420fdbd,
/// indra/newview/lleventpoll.cpp, MAX_EVENT_POLL_HTTP_ERRORS).
const FAILURES: u32 = 10;

/// Who is not there any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dead {
    /// A simulator that spoke on this circuit before.
    #[error("the simulator at {remote} answers nothing on circuit `{circuit}` any more")]
    Circuit {
        /// The circuit's name.
        circuit: String,
        /// The simulator's address.
        remote: SocketAddr,
    },
    /// The session: its seed capability is refused, or nobody answers there.
    #[error("the seed capability of a session that nobody ended: {0}")]
    Session(String),
    /// The event queue.
    #[error("the event queue: {0}")]
    Queue(String),
    /// Whatever a fresh login should have shown.
    #[error("a fresh login, to see that the grid is there: {0}")]
    Login(String),
}

/// A ping that is not answered so soon is sent again.
const PONG: Duration = Duration::from_secs(2);

/// Numbers of these pings, away from those of circuits and suites.
const PINGS: std::ops::Range<u8> = 0xA0..0xA3;

impl Viewer {
    /// From now on nobody expects this circuit to be alive: what its owner did may end it.
    pub fn give_up(&mut self, circuit: &str) {
        self.place_named(circuit).may_end = true;
    }

    /// Whether the simulator of a circuit is still there. False where nothing can be asked: it
    /// never spoke on the circuit, or has ended it, or may rightly have.
    ///
    /// # Errors
    /// Nobody answers on it: who is gone.
    pub async fn circuit_lives(&self, circuit: &str) -> Result<bool, Dead> {
        let Some(place) = self.places.get(circuit) else { return Ok(false) };
        let Some(link) = &place.link else { return Ok(false) };
        if !link.has_spoken() || place.may_end || place.was_dismissed() {
            return Ok(false);
        }
        // A session that came from another port since is answered there.
        let same =
            self.links().filter(|(_, other)| other.remote() == link.remote() && other.has_spoken());
        let asked = same.map(|(name, link)| Box::pin(self.answers(name, link)));
        let mut asked: FuturesUnordered<_> = asked.collect();
        while let Some(answered) = asked.next().await {
            if answered {
                return Ok(true);
            }
        }
        // Dismissed while it was asked is no death either.
        match place.was_dismissed() {
            true => Ok(false),
            false => Err(Dead::Circuit { circuit: circuit.to_owned(), remote: link.remote() }),
        }
    }

    /// Whether the session still stands, by its seed capability. False where there is none.
    ///
    /// # Errors
    /// The session is gone, or nobody answers: which.
    pub async fn session_stands(&self) -> Result<bool, Dead> {
        let Some(session) = self.session() else { return Ok(false) };
        let within = self.common.patience(Duration::from_secs(10));
        match self.seed_says_gone(session, within).await {
            Ok(true) => Err(Dead::Session("its seed is refused".into())),
            Ok(false) => Ok(true),
            Err(error) => Err(Dead::Session(error.to_string())),
        }
    }

    /// Whether a session's seed says outright that it is gone: for where its circuit lives, or where
    /// it never gave anything that could be missed.
    ///
    /// # Errors
    /// No answer came.
    pub(super) async fn seed_says_gone(
        &self,
        session: &Session,
        within: Duration,
    ) -> Result<bool, HttpError> {
        let request = Request::post(&*session.seed, seed::CONTENT_TYPE, seed::request(&[]));
        let reply = self.common.http.ask(request, within).await?;
        Ok(matches!(reply.status, 403 | 404 | 410))
    }

    /// Whether a session's seed still gives one of the capabilities that it granted before, whatever
    /// its status. Nothing where the server has a trouble of its own.
    ///
    /// # Errors
    /// No answer came.
    pub(super) async fn seed_gives(
        &self,
        session: &Session,
        names: &[&str],
        within: Duration,
    ) -> Result<Option<bool>, HttpError> {
        let request = Request::post(&*session.seed, seed::CONTENT_TYPE, seed::request(names));
        let reply = self.common.http.ask(request, within).await?;
        if reply.status >= 500 {
            return Ok(None);
        }
        let granted = match reply.status {
            200 => reply.read(seed::parse_reply).await.ok(),
            _ => None,
        };
        let given = |(name, url): &(String, String)| {
            names.contains(&name.as_str()) && url.starts_with("http")
        };
        Ok(Some(granted.is_some_and(|granted| granted.iter().any(given))))
    }

    /// Whether the event queue is still polled: an event that does not come says nothing else.
    ///
    /// # Errors
    /// The poller has ended.
    pub fn queue_lives(&self) -> Result<bool, Dead> {
        let Some(place) = self.places.get(&self.root) else { return Ok(false) };
        let failed = place.failed_polls.load(Ordering::Relaxed);
        match &place.poller {
            None => Ok(false),
            Some(poller) if poller.is_finished() => Err(Dead::Queue("it has ended".into())),
            Some(_) if failed >= FAILURES => {
                Err(Dead::Queue(format!("{failed} polls in a row have failed")))
            }
            Some(_) => Ok(true),
        }
    }

    /// Whether the avatar's circuit and its session are there at the end. False where the session
    /// has ended, or nothing shows either way.
    ///
    /// # Errors
    /// Who is gone.
    pub async fn is_still_there(&self) -> Result<bool, Dead> {
        self.links().for_each(|(_, link)| link.repair());
        self.neighbours.each_circuit(CircuitHandle::repair);
        let alive = self.circuit_lives(&self.root).await?;
        if alive {
            self.session_stands().await?;
        }
        Ok(alive)
    }

    /// Sees by a fresh login and logout that the grid is there, where a case left nothing to ask.
    ///
    /// # Errors
    /// The login or the logout went wrong: how.
    pub async fn see_the_grid(&mut self, within: Duration) -> Result<(), Dead> {
        let text = "a fresh login, to see that the grid is there";
        self.teller.remark(text);
        self.impair.clear();
        let entered = self.log_in("last", within).await;
        entered.map_err(|error| Dead::Login(error.to_string()))?;
        match self.log_out().await {
            true => Ok(()),
            false => Err(Dead::Login("it succeeds, and the simulator does not answer".into())),
        }
    }

    /// Pings until something comes back: the answer, or, of a simulator that answers no pings, the
    /// ack of one.
    async fn answers(&self, circuit: &str, link: &CircuitHandle) -> bool {
        let source = Source::Circuit(circuit.to_owned());
        for id in PINGS {
            let ping = Message::named(&self.common.template, "StartPingCheck").with(
                "PingID",
                "PingID",
                Field::U8(id),
            );
            // The first as viewers ping; the others ask for an ack besides.
            let reliable = id != PINGS.start;
            let before = link.heard();
            self.send(circuit, ping, reliable).await;
            let deadline = Instant::now() + self.common.patience(PONG);
            let answered = self.mailbox.wait(deadline, |heard| {
                let mut said = heard.iter_mut().filter(|o| o.source == source && !o.taken);
                let pong = said.find(|observed| is_pong(&observed.what, id));
                // It is ours: no step of a case waits for it.
                pong.map(|pong| pong.taken = true)
                    .or((reliable && link.heard() > before).then_some(()))
            });
            if answered.await.is_some() {
                return true;
            }
        }
        false
    }
}

fn is_pong(what: &What, id: u8) -> bool {
    let What::Udp(seen) = what else { return false };
    matches!(&**seen, CircuitEvent::Message { message, .. }
        if message.name() == "CompletePingCheck"
            && message.field("PingID", "PingID") == Some(&Field::U8(id)))
}
