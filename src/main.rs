//! The binary: reads the process's world once, calls the command line, exits with its code.

use gridproof::cli::{self, World};
use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let world = World {
        args: std::env::args_os().collect(),
        env: Box::new(|name| std::env::var(name).ok()),
        stdout_is_terminal: std::io::stdout().is_terminal(),
        stderr_is_terminal: std::io::stderr().is_terminal(),
    };
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cli::main(&world)));
    ExitCode::from(code.unwrap_or(70))
}
