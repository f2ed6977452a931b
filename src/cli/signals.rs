//! Ctrl-C and its kin: what asks a program to end.

use super::{Failed, complain};
use tokio::sync::watch;

/// Listens from the moment it is made, so that no signal in between ends the process.
pub(super) struct Signals {
    #[cfg(unix)]
    heard: Vec<tokio::signal::unix::Signal>,
}

impl Signals {
    /// Begins to listen to Ctrl-C, SIGTERM and the closing of the terminal.
    #[cfg(unix)]
    pub fn listen() -> Result<Self, Failed> {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let heard = kinds.into_iter().map(signal).collect::<Result<_, _>>();
        let heard = heard.map_err(|error| (70, format!("cannot listen to signals: {error}")))?;
        Ok(Self { heard })
    }

    /// Begins to listen to Ctrl-C.
    #[cfg(not(unix))]
    pub fn listen() -> Result<Self, Failed> {
        Ok(Self {})
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub async fn next(&mut self) {
        let waiting = self.heard.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(waiting).await;
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }

    /// The first stops what runs, the second ends the process.
    pub async fn stop(mut self, stop: watch::Sender<bool>) {
        self.next().await;
        complain("stopping: sessions are being logged out; once more to force");
        let _ = stop.send(true);
        self.next().await;
        std::process::exit(6);
    }
}
