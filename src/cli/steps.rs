//! `gridproof steps`.

use super::{Failed, say};
use crate::report::wrap;
use crate::steps::{COMMON_KEYS, Key, Returns, STEPS, StepDef};
use clap::Args;

/// Arguments of `steps`.
#[derive(Args, Debug)]
pub(super) struct StepsArgs {
    /// Only the names
    #[arg(long)]
    names: bool,
}

pub(super) fn run(args: StepsArgs) -> Result<u8, Failed> {
    if args.names {
        STEPS.iter().for_each(|step| say(&format!("{}\n", step.name)));
        return Ok(0);
    }
    for step in STEPS {
        say(&describe(step));
        say("\n");
    }
    say("Every step also takes:\n");
    say(&keys(COMMON_KEYS));
    Ok(0)
}

/// A step's documentation.
pub(super) fn describe(step: &StepDef) -> String {
    let mut text = format!("{}\n", step.name);
    for line in wrap(step.doc, 76) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&keys(step.keys));
    match step.returns {
        Returns::Members(members) => {
            for (name, doc) in members {
                text.push_str(&format!("    → {name:<16} {doc}\n"));
            }
        }
        Returns::Message => text.push_str("    → the message's blocks, and header\n"),
        Returns::Open(doc) => text.push_str(&format!("    → {doc}\n")),
    }
    text
}

fn keys(keys: &[Key]) -> String {
    let mut text = String::new();
    for key in keys {
        let must = if key.required { "*" } else { " " };
        let mut lines = wrap(key.doc, 56).into_iter();
        let first = lines.next().unwrap_or_default();
        text.push_str(&format!("  {must} {:<18} {first}\n", key.name));
        lines.for_each(|line| text.push_str(&format!("    {:<18} {line}\n", "")));
    }
    text
}
