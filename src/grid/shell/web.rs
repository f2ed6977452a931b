//! The grid's HTTP side: each request to the core, and its answer back.

use super::Message;
use crate::grid::core::Input;
use crate::net::server::{Answer, Answering, Handler, Request};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

pub(super) struct Web {
    inputs: mpsc::Sender<Message>,
    count: AtomicU64,
}

impl Web {
    pub(super) fn new(inputs: mpsc::Sender<Message>) -> Self {
        Self { inputs, count: AtomicU64::new(0) }
    }
}

impl Handler for Web {
    fn answer(&self, request: Request) -> Answering {
        let id = self.count.fetch_add(1, Ordering::Relaxed);
        let inputs = self.inputs.clone();
        Box::pin(async move {
            let (sender, answer) = oneshot::channel();
            if inputs.send(Message::Request(id, request, sender)).await.is_err() {
                return Answer::status(503);
            }
            let waiting = Waiting { inputs, id: Some(id) };
            let answer = answer.await.unwrap_or(Answer::status(503));
            waiting.answered();
            answer
        })
    }
}

/// Tells, when it goes, that whoever asked has given up.
struct Waiting {
    inputs: mpsc::Sender<Message>,
    id: Option<u64>,
}

impl Waiting {
    fn answered(mut self) {
        self.id = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let given_up = Message::Input(Input::GivenUp(id));
        // Where the grid has no room just now, it is told as soon as it has.
        if let Err(mpsc::error::TrySendError::Full(given_up)) = self.inputs.try_send(given_up) {
            let inputs = self.inputs.clone();
            tokio::spawn(async move { inputs.send(given_up).await });
        }
    }
}
