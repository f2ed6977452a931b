//! `gridproof check`.

use super::{Failed, TemplateArgs, World, library, say, template};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// Files or folders to check besides the shipped suites
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    template: TemplateArgs,
}

pub(super) fn run(world: &World, args: CheckArgs) -> Result<u8, Failed> {
    let template = template(&args.template)?;
    let colour = world.stderr_is_terminal && world.paint().colour;
    let library = library(&args.paths, &template, colour)?;
    say(&format!(
        "{} suites with {} cases and {} requirements, no mistakes\n",
        library.suites.len(),
        library.cases().count(),
        library.catalogue.all.len(),
    ));
    Ok(0)
}
