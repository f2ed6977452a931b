//! `--log LEVEL`: what the program tells of itself while it works, on standard error.

use super::World;
use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    /// Mistakes of gridproof's own
    Error,
    /// And what visitors ask of `serve` in vain
    Warn,
    /// And who logs in and out, and which cases begin and end
    Info,
    /// And why the reference grid refused what was asked of an inventory
    Debug,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
        }
    }
}

/// Begins to tell. Only what this program says itself: libraries tell of URLs, which are secrets.
pub(super) fn begin(world: &World, level: LogLevel) {
    let own = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::from(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(world.stderr_is_terminal && world.paint().colour)
        .with_target(false);
    // A second beginning in one process changes nothing.
    let _ = tracing_subscriber::registry().with(lines).with(own).try_init();
}
