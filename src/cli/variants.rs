//! `gridproof variants`.

use super::reports::Reports;
use super::signals::Signals;
use super::{Failed, World, library, mistakes_text, near, say};
use crate::proof::{Run, Unproven, Variant, Verdicts, shipped_variants};
use crate::proto::template::Template;
use crate::report;
use clap::Args;
use std::path::PathBuf;
use tokio::sync::watch;

/// Arguments of `variants`.
#[derive(Args, Debug)]
pub(super) struct VariantsArgs {
    /// Ids of variants (`*` stands for anything); all if left out
    #[arg(value_name = "SELECTION")]
    selection: Vec<String>,
    /// List the variants and run nothing
    #[arg(long)]
    list: bool,
    /// Grids at once; if left out, as many as this machine has cores
    #[arg(long, short, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Write the verdicts as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the verdicts as one HTML page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Files or folders of suites to prove besides the shipped ones
    #[arg(long, value_name = "PATH")]
    suite: Vec<PathBuf>,
}

pub(super) fn run(world: &World, args: VariantsArgs) -> Result<u8, Failed> {
    let colour = world.stderr_is_terminal && world.paint().colour;
    let library = library(&args.suite, Template::shipped(), colour)?;
    Reports::<Verdicts>::of_proof(&args.json, &args.html).check()?;
    let variants = Variant::read(&shipped_variants(), &library.catalogue, Template::shipped())
        .map_err(|mistakes| (2, mistakes_text(&mistakes, colour)))?;
    let variants = choose(&args.selection, variants)?;
    if args.list {
        for variant in &variants {
            say(&format!("{}\n    {}\n    right: {}\n", variant.id, variant.title, variant.right));
        }
        return Ok(0);
    }
    // For signals alone: the work has threads of its own.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| (70, format!("cannot start: {error}")))?;
    let (stop, stopped) = watch::channel(false);
    let listening = runtime.block_on(async { Signals::listen() })?;
    let watcher = runtime.spawn(listening.stop(stop));
    let progress = report::Counter::new(world.stderr_is_terminal);
    let all = variants.len();
    let tell = |done| progress.tell(done, all);
    let run = Run { jobs: args.jobs, thorough: false }.with_jobs();
    let verdicts = Verdicts::of(variants, &library, &run, &stopped, &tell);
    progress.finish();
    watcher.abort();
    let verdicts = verdicts.map_err(|why| {
        let code = if why == Unproven::Stopped { 6 } else { 70 };
        (code, why.to_string())
    })?;
    say(&verdicts.text(world.paint()));
    Reports::of_proof(&args.json, &args.html).write(&verdicts)?;
    Ok(if verdicts.holds() { 0 } else { 1 })
}

fn choose(selection: &[String], variants: Vec<Variant>) -> Result<Vec<Variant>, Failed> {
    for name in selection {
        if !variants.iter().any(|variant| variant.is_meant(name)) {
            let near = near(name, variants.iter().map(|variant| variant.id.as_str()));
            let what = "`gridproof variants --list` shows all";
            return Err((4, format!("`{name}` matches no variant{near} ({what})")));
        }
    }
    let meant = |variant: &Variant| selection.iter().any(|name| variant.is_meant(name));
    Ok(variants.into_iter().filter(|v| selection.is_empty() || meant(v)).collect())
}
