//! What is proven case by case and mutant by mutant: every shipped case on the reference grid, every
//! mutant of it, and the grids that mean harm. `cargo test --test trials hostile` runs one part.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;
#[path = "../it/server.rs"]
mod server;

use gridproof::harness;
use libtest_mimic::Arguments;

fn main() {
    let mut arguments = Arguments::from_args();
    // Most of the time they wait, for what does not come.
    arguments.test_threads.get_or_insert(6);
    // What waits goes first, while the mutants keep the processors busy.
    let trials = [hostile::trials(), harness::mutant_trials(), harness::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
