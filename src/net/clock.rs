//! The clock that circuits and timelines share.

use std::time::Duration;
use tokio::time::Instant;

/// Time since some start. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.0.elapsed()
    }

    /// The runtime's instant for a time of this clock.
    pub fn instant(&self, at: Duration) -> Instant {
        self.0 + at
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}
