//! `gridproof mutants`.

use super::reports::Reports;
use super::signals::Signals;
use super::{Failed, World, library, mistakes_text, near, say};
use crate::proof::{Mutant, Mutants, Prepared, Proof, Prover, Run, Unproven, shipped_sources};
use crate::proto::template::Template;
use crate::report;
use crate::suite::{Library, Source, wildcard};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Arguments of `mutants`.
#[derive(Args, Debug)]
pub(super) struct MutantsArgs {
    /// Ids of mutants (`*` stands for anything), requirements, or files of mutants; all if left out
    #[arg(value_name = "SELECTION")]
    selection: Vec<String>,
    /// List the mutants; only clean grids are run, to see what they say
    #[arg(long)]
    list: bool,
    /// Run every case for every written mutant, not only those that cite what it breaks
    #[arg(long)]
    thorough: bool,
    /// Grids at once; if left out, as many as suit this machine
    #[arg(long, short, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Tell of every mutant, not only of those that nobody noticed
    #[arg(long, short)]
    verbose: bool,
    /// Write the verdict as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the verdict as one HTML page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Files or folders of suites to prove besides the shipped ones
    #[arg(long, value_name = "PATH")]
    suite: Vec<PathBuf>,
}

pub(super) fn run(world: &World, args: MutantsArgs) -> Result<u8, Failed> {
    let colour = world.stderr_is_terminal && world.paint().colour;
    let template = Template::shipped();
    let library = library(&args.suite, template, colour)?;
    Reports::<Proof>::of_proof(&args.json, &args.html).check()?;
    let mutants = read(&args.selection, &library, colour)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| (70, format!("cannot start: {error}")))?;
    // For signals alone: the work has threads of its own.
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let watcher = tokio::spawn(Signals::listen()?.stop(stop));
        let done = prove(world, &args, library, mutants, stopped);
        watcher.abort();
        done
    })
}

fn is_file(name: &str) -> bool {
    name.ends_with(".toml")
}

/// The written mutants: the shipped ones and those of files named.
pub(super) fn read(
    selection: &[String],
    library: &Library,
    colour: bool,
) -> Result<Mutants, Failed> {
    let mut sources = shipped_sources();
    for path in selection.iter().filter(|name| is_file(name)) {
        if sources.iter().any(|source| source.path == *path) {
            continue;
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| (2, format!("{path}: {error}")))?;
        sources.push(Arc::new(Source { path: path.clone(), text }));
    }
    Mutants::read(&sources, &library.catalogue, Template::shipped())
        .map_err(|mistakes| (2, mistakes_text(&mistakes, colour)))
}

fn prove(
    world: &World,
    args: &MutantsArgs,
    library: Arc<Library>,
    mutants: Mutants,
    stop: watch::Receiver<bool>,
) -> Result<u8, Failed> {
    let prover = Prover::new(library, Run { jobs: args.jobs, thorough: args.thorough });
    let unproven = |why: Unproven| match why {
        Unproven::Stopped => (6, why.to_string()),
        Unproven::Unclean(_) => (1, why.to_string()),
        Unproven::Lost(..) => (70, why.to_string()),
    };
    let mut prepared = prover.prepare(mutants, &stop).map_err(unproven)?;
    choose(&args.selection, &mut prepared)?;
    if args.list {
        for mutant in &prepared.mutants {
            say(&format!("{}\n    {}\n", mutant.id, mutant.title));
        }
        return Ok(0);
    }
    let progress = report::Counter::new(world.stderr_is_terminal);
    let tell = |done, total| progress.tell(done, total);
    let proof = prover.prove(&prepared, &stop, &tell);
    progress.finish();
    let proof = proof.map_err(unproven)?;
    say(&proof.text(world.paint(), args.verbose));
    Reports::of_proof(&args.json, &args.html).write(&proof)?;
    Ok(if proof.holds() { 0 } else { 1 })
}

fn choose(selection: &[String], prepared: &mut Prepared) -> Result<(), Failed> {
    if selection.is_empty() {
        return Ok(());
    }
    for name in selection {
        if !prepared.mutants.iter().any(|mutant| matches(name, mutant)) {
            let ids = prepared.mutants.iter().map(|mutant| mutant.id.as_str());
            let near = near(name, ids);
            let what =
                format!("`{name}` matches no mutant{near} (`gridproof mutants --list` shows all)");
            return Err((4, what));
        }
    }
    prepared.only(|mutant| selection.iter().any(|name| matches(name, mutant)));
    Ok(())
}

fn matches(name: &str, mutant: &Mutant) -> bool {
    let file = || mutant.place().is_some_and(|place| place.starts_with(&format!("{name}:")));
    let name = name.trim_end_matches('/');
    let below = || mutant.id.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    mutant.id == name
        || below()
        || wildcard(name, &mutant.id)
        || mutant.breaks.iter().chain(&mutant.also).any(|id| id.eq_ignore_ascii_case(name))
        || (is_file(name) && file())
}
