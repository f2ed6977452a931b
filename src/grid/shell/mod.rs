//! The only part of the grid with sockets, tasks and a clock: it feeds the core and carries out what
//! the core says.

mod web;

use super::core::{Core, Input, Output};
use super::inventory::{Batch, Store};
use crate::net::Clock;
use crate::net::port::Socket;
use crate::net::server::{self, Answer, Listener};
use crate::net::tap::RegionIndex;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// The core, as the shell and whoever started the grid share it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Core>>);

impl Shared {
    pub(super) fn new(core: Core) -> Self {
        Self(Arc::new(Mutex::new(core)))
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So much waits to be taken in; whoever sends more waits, and datagrams wait in their socket.
const ROOM: usize = 1024;

/// What comes to the shell's task.
enum Message {
    Input(Input),
    /// A request, and where its answer goes.
    Request(u64, server::Request, oneshot::Sender<Answer>),
}

/// Starts everything that a grid does until `stop` says so.
pub(super) fn start(
    shared: &Shared,
    ports: Vec<Socket>,
    listener: Listener,
    store: Option<Store>,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let (inputs, taken) = mpsc::channel(ROOM);
    let (batches, to_keep) = mpsc::unbounded_channel();
    let ports: Vec<Arc<Socket>> = ports.into_iter().map(Arc::new).collect();
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    for (region, port) in ports.iter().cloned().enumerate() {
        tasks.push(tokio::spawn(read(RegionIndex(region), port, inputs.clone(), stop.clone())));
    }
    if let Some(store) = store {
        tasks.push(tokio::spawn(keep(store, to_keep, inputs.clone())));
    }
    let web = Arc::new(web::Web::new(inputs));
    tasks.push(tokio::spawn(server::serve(listener, web, stop.clone())));
    let shell = Shell { shared: shared.clone(), ports, batches, asking: BTreeMap::new() };
    tasks.push(tokio::spawn(shell.run(taken, stop.clone())));
    tasks
}

/// Reads datagrams from a region's port.
async fn read(
    region: RegionIndex,
    port: Arc<Socket>,
    inputs: mpsc::Sender<Message>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let received = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            received = port.receive() => received,
        };
        let Ok((bytes, from)) = received else { continue };
        let input = Message::Input(Input::Datagram(region, from, bytes));
        if inputs.send(input).await.is_err() {
            return;
        }
    }
}

/// Puts batches on the disk, one after the other, where no task waits for the disk.
async fn keep(
    store: Store,
    mut batches: mpsc::UnboundedReceiver<(u64, Batch)>,
    inputs: mpsc::Sender<Message>,
) {
    while let Some((token, batch)) = batches.recv().await {
        let store = store.clone();
        let kept = tokio::task::spawn_blocking(move || store.keep(&batch)).await;
        let kept = match kept {
            Ok(kept) => kept.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if inputs.send(Message::Input(Input::Kept(token, kept))).await.is_err() {
            return;
        }
    }
}

/// So much is taken in before what goes out goes.
const BURST: usize = 64;

/// The task that the core runs in.
struct Shell {
    shared: Shared,
    ports: Vec<Arc<Socket>>,
    batches: mpsc::UnboundedSender<(u64, Batch)>,
    /// Who waits for which answer.
    asking: BTreeMap<u64, oneshot::Sender<Answer>>,
}

impl Shell {
    async fn run(mut self, mut inputs: mpsc::Receiver<Message>, mut stop: watch::Receiver<bool>) {
        const FAR: Duration = Duration::from_secs(3600 * 24);
        let clock = Clock::start();
        loop {
            let due = self.shared.core().poll_timeout().unwrap_or(clock.now() + FAR);
            let message = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep_until(clock.instant(due)) => None,
                message = inputs.recv() => match message {
                    Some(message) => Some(message),
                    None => return,
                },
            };
            // What has come meanwhile is taken in one go: in a crowd that is much.
            let more = std::iter::from_fn(|| inputs.try_recv().ok()).take(BURST);
            let outputs = self.step(clock.now(), message.into_iter().chain(more));
            for output in outputs {
                self.carry_out(output).await;
            }
        }
    }

    /// Lets the core do what is due and take in what has come: what goes out.
    fn step(&mut self, now: Duration, messages: impl Iterator<Item = Message>) -> Vec<Output> {
        let mut core = self.shared.core();
        core.handle_timeouts(now);
        for message in messages {
            match message {
                Message::Input(input) => {
                    if let Input::GivenUp(id) = &input {
                        self.asking.remove(id);
                    }
                    core.handle(now, input);
                }
                Message::Request(id, request, answer) => {
                    self.asking.insert(id, answer);
                    core.handle(now, Input::Request(id, request));
                }
            }
        }
        std::iter::from_fn(|| core.poll_output()).collect()
    }

    async fn carry_out(&mut self, output: Output) {
        match output {
            Output::Datagram(region, to, bytes) => {
                if let Some(port) = self.ports.get(region.0) {
                    port.send(&bytes, to).await;
                }
            }
            Output::Answer(id, answer) => {
                if let Some(asking) = self.asking.remove(&id) {
                    // Whoever has gone meanwhile is told nothing.
                    let _ = asking.send(answer);
                }
            }
            Output::Keep(token, batch) => drop(self.batches.send((token, batch))),
        }
    }
}
