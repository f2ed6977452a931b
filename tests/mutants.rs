//! Proof that cases can fail: each cited requirement is broken by a grid with one fault, and a case
//! must notice.

use libtest_mimic::Arguments;

fn main() {
    libtest_mimic::run(&Arguments::from_args(), gridproof::harness::mutant_trials()).exit();
}
