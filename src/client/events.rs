//! The event queue's poller: polls until it is stopped or the grid says that the queue is gone.

use super::neighbours::{Caller, Follower};
use super::place::Signs;
use super::{Common, Mailbox, Source, Viewer, What};
use crate::net::CircuitName;
use crate::net::http::{self, HttpError, Request};
use crate::net::tap::{Passed, Teller};
use crate::proto::event_queue::{PollReply, PollRequest};
use crate::proto::id::CapUrl;
use crate::proto::llsd::Llsd;
use crate::proto::seed;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A grid may hold a poll for about a minute; longer than this is silence.
const HOLD: Duration = Duration::from_secs(120);

/// Between polls that are answered at once and bring nothing; longer each time.
const REST: Duration = Duration::from_millis(50);

/// After a failure; longer each time, up to the longest. Viewers wait 20 s and more (lleventpoll.cpp,
/// EVENT_POLL_ERROR_RETRY_SECONDS): a server that fails for a moment has not ended its queue.
const RECOVERY: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// So many early failures may be those of a queue that is going: its agent is leaving the region,
/// and the poller is about to hear of it. One that goes on so lives, and fails.
const GOING: u32 = 2;

/// Polls one event queue.
pub(super) struct Poller {
    url: CapUrl,
    http: http::Client,
    teller: Teller,
    mailbox: Mailbox,
    time_factor: u32,
    /// The region's, by its circuit.
    name: CircuitName,
    /// How many polls have failed in a row.
    failed: Arc<AtomicU32>,
    /// What its region's simulator was heard to say.
    signs: Arc<Signs>,
    /// Calls on the neighbours that are told of.
    follower: Option<Follower>,
}

impl Viewer {
    /// Polls the event queue of the avatar's region. False if the capability was not granted.
    pub fn start_events(&mut self) -> bool {
        let Some(url) = self.cap("EventQueueGet").map(CapUrl::from) else { return false };
        if self.here().polls(&url) {
            return true;
        }
        let follower = self.follower().filter(|_| self.follows);
        let name = self.link(&self.root).map(|link| link.name().clone());
        let queue = (url, name.unwrap_or_else(|| CircuitName::new(&self.root)));
        let signs = self.here().signs.clone();
        let poller = Poller::new(&self.common, &self.teller, &self.mailbox, queue, signs);
        self.here().poll(poller.followed_by(follower));
        true
    }

    /// Calls on the neighbours that events tell of.
    pub(super) fn follower(&self) -> Option<Follower> {
        let session = self.session()?.clone();
        Some(self.neighbours.follower(Caller {
            common: self.common.clone(),
            session,
            teller: self.teller.clone(),
            mailbox: self.mailbox.clone(),
            presence: self.presence.clone(),
            impair: self.impair.clone(),
            impaired: self.impaired.clone(),
        }))
    }

    /// Secrets that events told, the seeds of other regions, and what these granted.
    pub fn heard_secrets(&self) -> Vec<(String, String)> {
        let mut found = self.neighbours.secrets();
        self.mailbox.with(|heard| {
            for observed in heard.iter() {
                if let What::Event(event) = &observed.what {
                    seeds(&event.body, &mut found);
                }
            }
        });
        found
    }

    /// Stops polling, everywhere.
    pub fn stop_events(&mut self) {
        self.places.values_mut().for_each(super::Place::stop_polling);
        self.neighbours.stop_polling();
    }
}

impl Poller {
    /// Of this queue, of the region of that circuit, whose simulator is heard by these; it calls on
    /// nobody.
    pub(super) fn new(
        common: &Common,
        teller: &Teller,
        mailbox: &Mailbox,
        (url, name): (CapUrl, CircuitName),
        signs: Arc<Signs>,
    ) -> Self {
        Self {
            url,
            http: common.http.clone(),
            teller: teller.clone(),
            mailbox: mailbox.clone(),
            time_factor: common.time_factor,
            name,
            failed: Arc::default(),
            signs,
            follower: None,
        }
    }

    /// The same, and this calls on the neighbours that its events tell of.
    pub(super) fn followed_by(self, follower: Option<Follower>) -> Self {
        Self { follower, ..self }
    }

    /// Its queue.
    pub(super) fn url(&self) -> &CapUrl {
        &self.url
    }

    /// How many polls have failed in a row, now and later.
    pub(super) fn failures(&self) -> Arc<AtomicU32> {
        self.failed.clone()
    }

    pub(super) async fn run(self) {
        let mut ack = None;
        let (mut failures, mut idle) = (0, 0);
        // What ended polls too early, as long as it is not known whether the queue lives.
        let mut early = Vec::new();
        // Viewers poll the queue of a region that the avatar has left as long as they know that
        // region (llviewerregion.cpp): some grids tell of the way back on it.
        while !self.signs.dismissed() {
            self.failed.store(failures, Ordering::Relaxed);
            let body = PollRequest { ack, done: false }.to_xml();
            let request = Request::post(&*self.url, seed::CONTENT_TYPE, body);
            match self.http.ask(request, HOLD).await {
                Ok(reply) if reply.status == 200 => match reply.read(PollReply::parse).await {
                    Ok(told) => {
                        failures = 0;
                        self.lives(&mut early);
                        ack = Some(told.id);
                        // Nothing to tell and no hold: without a rest this would be a storm.
                        let idles = told.events.is_empty() && self.is_quick(reply.elapsed);
                        idle = if idles { idle + 1 } else { 0 };
                        tokio::time::sleep(REST * idle.min(20)).await;
                        self.hand_out(told);
                    }
                    Err(error) => {
                        // A reply that cannot be read is passed over; the next may be good.
                        failures += 1;
                        self.trouble(format!("a reply that is not one: {error}"));
                        self.recover(failures).await;
                    }
                },
                Ok(reply) if matches!(reply.status, 404 | 410) => {
                    return self.end(format!("status {}", reply.status));
                }
                // An empty 502 only means that nothing happened: poll again.
                Ok(reply) if matches!(reply.status, 500 | 502 | 503 | 504) => {
                    if reply.status != 502 {
                        self.trouble(format!("status {}", reply.status));
                    }
                    if self.is_quick(reply.elapsed) {
                        failures += 1;
                        let after = reply.elapsed.as_secs_f64();
                        early.push(format!("status {} after {after:.1} s", reply.status));
                        if failures > GOING {
                            self.lives(&mut early);
                        }
                        self.recover(failures).await;
                    } else {
                        failures = 0;
                        self.lives(&mut early);
                    }
                }
                // A refusal, and a connection that broke: viewers ask again.
                Ok(reply) => {
                    failures += 1;
                    self.trouble(format!("status {}", reply.status));
                    self.recover(failures).await;
                }
                Err(HttpError::Timeout(_)) => self.lives(&mut early),
                Err(error) => {
                    failures += 1;
                    self.trouble(error.to_string());
                    self.recover(failures).await;
                }
            }
        }
    }

    /// The queue is there: whatever of its answers came early is told.
    fn lives(&self, early: &mut Vec<String>) {
        for what in early.drain(..) {
            self.mailbox.post(Source::Events(self.name.text()), What::Early(what));
        }
    }

    async fn recover(&self, failures: u32) {
        let rest = (RECOVERY * 2u32.pow(failures.min(6))).min(LONGEST);
        tokio::time::sleep(rest / self.time_factor.max(1)).await;
    }

    /// Whether a poll was answered without having been held.
    fn is_quick(&self, elapsed: Duration) -> bool {
        elapsed < Duration::from_secs(10) / self.time_factor.max(1)
    }

    fn hand_out(&self, reply: PollReply) {
        let names = reply.events.iter().map(|event| event.message.clone());
        self.teller.tell(|| Passed::Delivered(names.collect()));
        for event in reply.events {
            if let Some(follower) = &self.follower {
                follower.heed(&event);
            }
            self.mailbox.post(Source::Events(self.name.text()), What::Event(event));
        }
    }

    fn note(&self, text: String) {
        self.teller.tell(|| Passed::Queue(text));
    }

    /// What is told from now on may not be all there was to tell.
    fn trouble(&self, what: String) {
        self.note(what.clone());
        self.mailbox.post(Source::Events(self.name.text()), What::Trouble(what));
    }

    fn end(&self, why: String) {
        self.note(format!("the queue ended: {why}"));
        self.mailbox
            .post(Source::Events(self.name.text()), What::Trouble(format!("it ended: {why}")));
    }
}

/// Members whose name says seed, at any depth.
fn seeds(value: &Llsd, found: &mut Vec<(String, String)>) {
    match value {
        Llsd::Map(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(url) if key.to_lowercase().starts_with("seed") => {
                        found.push(("seed_capability".into(), url.to_owned()));
                    }
                    _ => seeds(value, found),
                }
            }
        }
        Llsd::Array(items) => items.iter().for_each(|item| seeds(item, found)),
        _ => {}
    }
}
