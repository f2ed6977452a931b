//! The runner: leases accounts, runs cases side by side, cleans up, and keeps the record.

mod attempt;
mod case;
mod credentials;
mod engine;
mod judge;
mod kind;
mod lease;
mod need;
mod outcome;
mod preflight;
mod pulse;
mod reckon;
mod record;
mod reference;
mod scope;
mod secrets;
mod target;
mod verdict;

pub use crate::net::Entry;
pub use credentials::{Grids, GridsError};
pub use engine::{Engine, Event, Options};
pub use kind::kind_of;
pub use outcome::{EXIT, Outcome};
pub use preflight::{NotReady, preflight};
pub use record::{
    CLEAN_UP, CaseRecord, FORMAT, Finding, FindingKind, Place, RunRecord, TargetRecord,
};
pub use reference::{
    REFERENCE_NAME, TIME_FACTOR, on_simulated_grid, reference_config, reference_grid,
    reference_target, visit_simulated_grid, with_simulated_grid,
};
pub use secrets::Redactor;
pub use target::{EnteredRegion, Target};
