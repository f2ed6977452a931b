//! The runner: leases accounts, runs cases side by side, cleans up, and keeps the record.

mod case;
mod credentials;
mod engine;
mod judge;
mod lease;
mod outcome;
mod record;
mod reference;
mod scope;
mod secrets;
mod target;

pub use crate::net::Entry;
pub use credentials::{Grids, GridsError};
pub use engine::{Engine, Event, Options};
pub use outcome::{EXIT, Outcome};
pub use record::{
    CLEAN_UP, CaseRecord, FORMAT, Finding, FindingKind, Place, RunRecord, TargetRecord,
};
pub use reference::{TIME_FACTOR, reference_config, reference_grid, reference_target};
pub use secrets::Redactor;
pub use target::{Target, probe};
