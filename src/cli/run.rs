//! `gridproof run`.

use super::list::SelectArgs;
use super::signals::Signals;
use super::target::{TargetArgs, target};
use super::{Failed, TemplateArgs, World, library, say, split_selection, template, write_report};
use crate::report::{self, Progress};
use crate::runner::{Engine, Options, RunRecord, Target, probe, reference_grid};
use crate::suite::{Case, Effects, Library, Profile, Source, shipped_profile};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What also fails a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A broken SHOULD
    Should,
    /// A need that is not met
    Impossible,
}

/// What cases may do to a grid that is not on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Allow {
    /// Only look
    Read,
    /// Change what belongs to the accounts named
    Write,
    /// Send malformed packets, end sessions, be silent
    Disrupt,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    template: TemplateArgs,
    /// Cases at once; if left out, as many as there are accounts, or as suits the reference grid
    #[arg(long, short, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Begin cases in a random order that follows from this number
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Further attempts of a case that went wrong; an outcome after retries says so
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Begin no further case after one has failed
    #[arg(long)]
    fail_fast: bool,
    /// What also fails the run (repeatable)
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Vec<FailOn>,
    /// The most a case may do to a grid that is not on this machine
    #[arg(long, value_enum, default_value = "write")]
    allow: Allow,
    /// Write JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the run record to this file (see `explain record`)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// List passing cases on a terminal too
    #[arg(long, short)]
    verbose: bool,
}

/// How long to wait for a sign of life of a grid.
const PROBE: Duration = Duration::from_secs(12);

pub(super) fn run(world: &World, args: RunArgs) -> Result<u8, Failed> {
    let template = template(&args.template)?;
    let (_, paths) = split_selection(&args.select.selection);
    let library = library(&paths, &template, world.stderr_is_terminal && world.paint().colour)?;
    let target = target(world, &args.target)?;
    let profile = profile(&args, target.as_ref(), &library, world)?;
    super::both_writable([("--junit", &args.junit), ("--json", &args.json)])?;
    for name in &args.select.selection {
        every_name_counts(name, &library, &paths)?;
    }
    let cases = args.select.selection(&paths).choose(&library);
    if cases.is_empty() {
        return Err((4, "the selection matches no case; `gridproof list` shows them all".into()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (70, format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let (target, grid) = match target {
            Some(mut target) => {
                let answer = probe(&target.login_uri, target_patience(&target)).await;
                let factor = match answer {
                    Ok(factor) => factor,
                    Err(error) => {
                        let why = format!("{} does not answer: {error}", target.login_uri);
                        let engine =
                            Engine::new(target, library, profile, template, Options::default());
                        write_reports(&args, &engine.unreachable(&cases, &why))?;
                        return Err((3, why));
                    }
                };
                // A grid elsewhere has no business making our waits shorter.
                target.time_factor = if target.is_loopback() { factor } else { 1 };
                (target, None)
            }
            None => {
                let (mut target, grid) = reference_grid(REFERENCE_ACCOUNTS)
                    .await
                    .map_err(|error| (70, format!("cannot start the reference grid: {error}")))?;
                target.time_scale = args.target.time_scale.unwrap_or(target.time_scale);
                (target, Some(grid))
            }
        };
        let record = execute(world, &args, target, library, profile, template, cases).await;
        if let Some(grid) = grid {
            grid.shutdown().await;
        }
        let record = record?;
        write_reports(&args, &record)?;
        say(&report::closing(&record, world.paint()));
        Ok(record.exit)
    })
}

/// Accounts of the embedded grid: more than its jobs, for cases with several avatars.
const REFERENCE_ACCOUNTS: usize = 24;

/// Cases at once on the embedded grid. Its timers run fast, so client and grid must both get a
/// processor in time; the cases that wait longest bound the run, not how many run at once.
fn reference_jobs() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    (2 * cores).clamp(4, 12)
}

fn target_patience(target: &Target) -> Duration {
    PROBE.mul_f64(target.time_scale.clamp(0.1, 1.2))
}

async fn execute(
    world: &World,
    args: &RunArgs,
    target: Target,
    library: Arc<Library>,
    profile: Profile,
    template: Arc<crate::proto::template::Template>,
    cases: Vec<Arc<Case>>,
) -> Result<RunRecord, Failed> {
    let signals = Signals::listen()?;
    let jobs = match args.jobs {
        0 if target.reference => reference_jobs(),
        0 => target.accounts.len(),
        jobs => jobs,
    };
    let name = match target.name == target.login_uri {
        true => target.login_uri.clone(),
        false => format!("{} at {}", target.name, target.login_uri),
    };
    let accounts = target.accounts.len();
    say(&report::opening(&name, target.reference, cases.len(), accounts, jobs));
    let options = Options {
        jobs,
        retries: args.retries,
        fail_fast: args.fail_fast,
        allow: match args.allow {
            Allow::Read => Effects::Read,
            Allow::Write => Effects::Write,
            Allow::Disrupt => Effects::Disrupt,
        },
        fail_on_should: args.fail_on.contains(&FailOn::Should),
        fail_on_impossible: args.fail_on.contains(&FailOn::Impossible),
        shuffle: args.shuffle,
        reproduce: reproduce(args),
    };
    let live = world.stdout_is_terminal && world.stderr_is_terminal;
    let progress = Progress::new(world.paint(), live, args.verbose);
    let engine = Engine::new(target, library, profile, template, options);
    let (stop, stopped) = watch::channel(false);
    let watcher = tokio::spawn(signals.stop(stop));
    let record = engine.run(&cases, stopped, &|event| progress.tell(event)).await;
    watcher.abort();
    progress.finish();
    Ok(record)
}

/// What follows `gridproof run ID` to get to the same grid.
fn reproduce(args: &RunArgs) -> String {
    let target = &args.target;
    let mut text = String::new();
    if let Some(grid) = &target.grid {
        text.push_str(&format!(" --grid {grid}"));
    } else if let Some(uri) = &target.login_uri {
        text.push_str(&format!(" --login-uri {uri}"));
    }
    for path in args.select.selection.iter().filter(|s| s.ends_with(".toml")) {
        text.push_str(&format!(" {path}"));
    }
    text
}

fn profile(
    args: &RunArgs,
    target: Option<&Target>,
    library: &Library,
    world: &World,
) -> Result<Profile, Failed> {
    let name = match target {
        Some(target) => target.profile.clone(),
        None => args.target.profile.clone(),
    };
    let Some(name) = name else { return Ok(Profile::default()) };
    let source = if name.ends_with(".toml") {
        let text =
            std::fs::read_to_string(&name).map_err(|error| (2, format!("{name}: {error}")))?;
        Arc::new(Source { path: name, text })
    } else {
        let (found, names) = shipped_profile(&name);
        found.ok_or_else(|| {
            (2, crate::value::unknown("profile", &name, names.iter().map(String::as_str)))
        })?
    };
    let colour = world.stderr_is_terminal && world.paint().colour;
    Profile::read(&source, library).map_err(|mistakes| (2, super::mistakes_text(&mistakes, colour)))
}

/// A name that picks nothing is a mistake, even where another picks something.
fn every_name_counts(name: &str, library: &Library, paths: &[PathBuf]) -> Result<(), Failed> {
    let missing = name.ends_with(".toml") && !std::path::Path::new(name).exists();
    let select = SelectArgs { selection: vec![name.to_owned()], ..SelectArgs::default() };
    if !select.selection(paths).choose(library).is_empty() {
        return Ok(());
    }
    match missing {
        true => Err((2, format!("{name}: no such file"))),
        false => Err((4, format!("`{name}` matches no case; `gridproof list` shows them all"))),
    }
}

fn write_reports(args: &RunArgs, record: &RunRecord) -> Result<(), Failed> {
    write_report(&args.junit, || report::junit(record))?;
    write_report(&args.json, || report::json(record))
}
