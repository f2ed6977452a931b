//! Whether the grid is still there while cases run: its login service is asked all the time.

use crate::net::http::{Client, HttpError, Request};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A grid that refuses connections for so long is gone.
const REFUSED: Duration = Duration::from_secs(15);
/// So is one that is silent for so long, on a grid that is not slow.
const SILENT: Duration = Duration::from_secs(45);
/// However fast a grid's timers run, a machine with much to do is silent for a while.
const LEAST: Duration = Duration::from_secs(5);
/// Between two questions while all is well.
const BEAT: Duration = Duration::from_secs(5);
/// Between two questions while it is not.
const DOUBT: Duration = Duration::from_secs(1);
/// The longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How the grid is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It answered last time.
    Alive,
    /// It did not.
    Doubtful,
    /// It has not answered for too long; in words.
    Gone(String),
}

/// The pulse of a grid.
#[derive(Debug)]
pub(super) struct Pulse {
    login_uri: String,
    http: Client,
    /// What the waits above are multiplied by: of a connection refused, of silence.
    pace: (f64, f64),
    state: watch::Sender<State>,
    beating: AtomicBool,
}

impl Pulse {
    /// Of the grid of this login URI, whose timers run faster and whose answers come slower by
    /// these factors.
    pub(super) fn new(login_uri: &str, http: Client, time_factor: u32, time_scale: f64) -> Self {
        let faster = 1.0 / f64::from(time_factor.max(1));
        let pace = (faster, faster * time_scale);
        Self {
            login_uri: login_uri.to_owned(),
            http,
            pace,
            state: watch::Sender::new(State::Alive),
            beating: AtomicBool::new(false),
        }
    }

    /// Asks until the grid is gone; why it is held to be.
    pub(super) async fn beat(&self) -> String {
        self.beating.store(true, Ordering::Relaxed);
        let (refused, silent) = (REFUSED.mul_f64(self.pace.0), SILENT.mul_f64(self.pace.1));
        let silent = silent.max(LEAST);
        let mut last = Instant::now();
        loop {
            let answer = self.ask().await;
            let (limit, how) = match &answer {
                None => {
                    last = Instant::now();
                    self.state.send_if_modified(|state| {
                        std::mem::replace(state, State::Alive) != State::Alive
                    });
                    tokio::time::sleep(BEAT.mul_f64(self.pace.0)).await;
                    continue;
                }
                Some(HttpError::Connect(why)) => (refused, format!("cannot connect: {why}")),
                Some(error) => (silent, error.to_string()),
            };
            if last.elapsed() >= limit {
                let why = format!(
                    "the grid is gone: {} has not answered for {:.0} s ({how})",
                    self.login_uri,
                    last.elapsed().as_secs_f64()
                );
                self.state.send_replace(State::Gone(why.clone()));
                return why;
            }
            self.state.send_replace(State::Doubtful);
            tokio::time::sleep(DOUBT.mul_f64(self.pace.0)).await;
        }
    }

    /// Waits until it is plain whether the grid is there; why not, if it is not. Where nobody
    /// takes the pulse nothing is known, and nothing waited for.
    pub(super) async fn settled(&self) -> Option<String> {
        if !self.beating.load(Ordering::Relaxed) || self.ask().await.is_none() {
            return self.is_gone();
        }
        self.state.send_if_modified(|state| {
            let alive = *state == State::Alive;
            if alive {
                *state = State::Doubtful;
            }
            alive
        });
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| *state != State::Doubtful).await;
        self.is_gone()
    }

    /// Waits until the grid is gone.
    pub(super) async fn gone(&self) -> String {
        let mut state = self.state.subscribe();
        let gone = state.wait_for(|state| matches!(state, State::Gone(_))).await;
        match gone.map(|state| state.clone()) {
            Ok(State::Gone(why)) => why,
            _ => std::future::pending().await,
        }
    }

    /// Why the grid is held to be gone, if it is.
    pub(super) fn is_gone(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Gone(why) => Some(why.clone()),
            State::Alive | State::Doubtful => None,
        }
    }

    /// What went wrong in asking; nothing if there was an answer, whatever it says.
    async fn ask(&self) -> Option<HttpError> {
        let within = ANSWER.mul_f64(self.pace.1.max(0.2));
        self.http.ask(Request::get(&self.login_uri), within).await.err()
    }
}
