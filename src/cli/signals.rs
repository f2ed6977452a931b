//! Ctrl-C and its kin: what asks a program to end.

use super::{Failed, complain};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Listens from the moment it is made, so that no signal in between ends the process.
pub(super) struct Signals {
    #[cfg(unix)]
    heard: Vec<tokio::signal::unix::Signal>,
}

impl Signals {
    /// Begins to listen to Ctrl-C, SIGTERM and the closing of the terminal.
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self, Failed> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        // Whoever started us by `nohup` wants the terminal's end to be nothing to us.
        if hears_hangup() {
            kinds.push(SignalKind::hangup());
        }
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
    pub(super) async fn next(&mut self) {
        let waiting = self.heard.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(waiting).await;
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }

    /// The first stops what runs, the second ends the process.
    pub(super) async fn stop(mut self, stop: watch::Sender<bool>) {
        self.next().await;
        complain("stopping: sessions are being logged out; once more to force");
        let _ = stop.send(true);
        // One wish may come twice, to the process and to its group: that is no second wish.
        let first = Instant::now();
        while first.elapsed() < Duration::from_secs(1) {
            self.next().await;
        }
        std::process::exit(6);
    }
}

/// Whether the end of the terminal is not ignored, as far as the system tells.
#[cfg(unix)]
fn hears_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is the first.
    ignored.is_some_and(|mask| mask & 1 == 0)
}
