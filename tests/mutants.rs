//! Proof that cases can fail: each cited requirement is broken by a grid with one fault, and a case
//! must notice.

#![allow(clippy::unwrap_used)]

use gridproof::harness;
use libtest_mimic::Arguments;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

fn main() {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Builder::new_multi_thread().enable_all().build().unwrap());
    libtest_mimic::run(&Arguments::from_args(), harness::mutant_trials(runtime)).exit();
}
