//! Every shipped case against the embedded reference grid.

use libtest_mimic::Arguments;
use std::sync::OnceLock;

fn main() {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("threads can be started")
    });
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, gridproof::harness::trials(runtime)).exit();
}
