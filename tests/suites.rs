//! Every shipped case against the reference grid, on a simulated network.

use libtest_mimic::Arguments;

fn main() {
    libtest_mimic::run(&Arguments::from_args(), gridproof::harness::trials()).exit();
}
