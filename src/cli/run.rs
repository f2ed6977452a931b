//! `gridproof run`.

use super::list::{SelectArgs, every_tag_counts};
use super::log::{self, LogLevel};
use super::reports::Reports;
use super::signals::Signals;
use super::target::{TargetArgs, target};
use super::{
    Failed, TemplateArgs, World, library, near, own_mistakes, say, split_selection, template,
};
use crate::net::Path;
use crate::proto::template::Template;
use crate::report::{self, Progress};
use crate::runner::{
    Engine, Event, NotReady, Options, RunRecord, Target, preflight, reference_config,
    reference_grid, visit_simulated_grid,
};
use crate::suite::{Case, Effects, Library, Profile, Source, shipped_profile};
use crate::value::unknown;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// What also fails a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// A broken SHOULD
    Should,
    /// A need that is not met
    Impossible,
}

/// What cases may do to a grid that is not on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Allow {
    /// Only look
    Read,
    /// Change what belongs to the accounts named
    Write,
    /// Send malformed packets, end sessions, be silent
    Disrupt,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    template: TemplateArgs,
    /// Cases at once; if left out, as many as there are accounts, or as suits the reference grid
    #[arg(long, short, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Run on the reference grid in memory, on a network and a clock that follow from this number:
    /// no sockets, no waiting, and from the same number the same record, byte for byte
    #[arg(long, value_name = "SEED")]
    simulate: Option<u64>,
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
    /// What to tell of on standard error
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "error")]
    log: LogLevel,
    /// List passing cases on a terminal too
    #[arg(long, short)]
    verbose: bool,
}

impl RunArgs {
    fn reports(&self) -> Reports<'_, RunRecord> {
        Reports::of_run(&self.junit, &self.json, "--json")
    }
}

pub(super) fn run(world: &World, args: RunArgs) -> Result<u8, Failed> {
    log::begin(world, args.log);
    let template = template(&args.template)?;
    let (_, paths) = split_selection(&args.select.selection);
    let library = library(&paths, &template, world.stderr_is_terminal && world.paint().colour)?;
    let target = target(world, &args.target)?;
    if args.simulate.is_some() && target.is_some() {
        let what = "--simulate runs the embedded reference grid in memory, and a grid is named: a \
                    real grid is on a real network";
        return Err((2, what.into()));
    }
    let profile = profile(&args, target.as_ref(), &library, world)?;
    args.reports().check()?;
    every_tag_counts(&args.select, &library)?;
    for name in &args.select.selection {
        every_name_counts(name, &library, &paths)?;
    }
    let cases = args.select.selection(&paths).choose(&library);
    if cases.is_empty() {
        return Err((4, "the selection matches no case; `gridproof list` shows them all".into()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (70, format!("cannot start: {error}")))?;
    let chosen = Chosen { library, profile, template, cases };
    let (stop, stopped) = watch::channel(false);
    if let Some(seed) = args.simulate {
        let listening = runtime.block_on(async { Signals::listen() })?;
        let watcher = runtime.spawn(listening.stop(stop));
        let done = run_simulated(world, &args, seed, chosen, stopped);
        watcher.abort();
        return done;
    }
    runtime.block_on(async {
        let watcher = tokio::spawn(Signals::listen()?.stop(stop));
        let done = run_on(world, &args, target, chosen, stopped).await;
        watcher.abort();
        done
    })
}

/// What is run.
struct Chosen {
    library: Arc<Library>,
    profile: Profile,
    template: Arc<Template>,
    cases: Vec<Arc<Case>>,
}

/// Runs what was chosen on a grid, or on one of our own.
async fn run_on(
    world: &World,
    args: &RunArgs,
    target: Option<Target>,
    chosen: Chosen,
    stopped: watch::Receiver<bool>,
) -> Result<u8, Failed> {
    let (target, grid, notes) = match target {
        Some(mut target) => {
            let template = chosen.template.clone();
            match preflight(&mut target, template, stopped.clone()).await {
                Ok(notes) => (target, None, notes),
                Err(why) => return not_ready(args, target, chosen, &why),
            }
        }
        None => {
            let (mut target, grid) = reference_grid(REFERENCE_ACCOUNTS)
                .await
                .map_err(|error| (70, format!("cannot start the reference grid: {error}")))?;
            target.time_scale = args.target.time_scale.unwrap_or(target.time_scale);
            target.login_form = args.target.login_form.map(Into::into);
            (target, Some(grid), Vec::new())
        }
    };
    let record = execute(world, args, target, chosen, &notes, stopped).await;
    let mut mistakes = Vec::new();
    if let Some(grid) = grid {
        mistakes = grid.mistakes();
        grid.shutdown().await;
    }
    conclude(world, args, &record, &mistakes)
}

/// Writes the reports, whatever mistakes our own grid made, and tells of those.
fn conclude(
    world: &World,
    args: &RunArgs,
    record: &RunRecord,
    mistakes: &[String],
) -> Result<u8, Failed> {
    args.reports().write(record)?;
    say(&report::closing(record, world.paint()));
    match mistakes.is_empty() {
        true => Ok(record.exit),
        false => Err((70, own_mistakes(mistakes))),
    }
}

/// Runs what was chosen on a grid in memory, in a world that follows from a number.
fn run_simulated(
    world: &World,
    args: &RunArgs,
    seed: u64,
    chosen: Chosen,
    stopped: watch::Receiver<bool>,
) -> Result<u8, Failed> {
    let config = reference_config(REFERENCE_ACCOUNTS);
    let path = Path { delay: SIMULATED_DELAY };
    let done = visit_simulated_grid(seed, path, config, async |mut target| {
        target.name = format!("simulated reference grid, seed {seed}");
        target.time_scale = args.target.time_scale.unwrap_or(target.time_scale);
        target.login_form = args.target.login_form.map(Into::into);
        execute(world, args, target, chosen, &[], stopped).await
    });
    let done = done.map_err(|error| (70, format!("cannot start the simulation: {error}")));
    let (record, mistakes) = done?;
    conclude(world, args, &record, &mistakes)
}

/// How long things are under way on a simulated network, in microseconds.
const SIMULATED_DELAY: std::ops::Range<u64> = 200..15_000;

/// Cases at once there: as many on every machine, or the same seed would not give the same run.
const SIMULATED_JOBS: usize = 8;

/// Nothing is run: every report says so, and why.
fn not_ready(args: &RunArgs, target: Target, chosen: Chosen, why: &NotReady) -> Result<u8, Failed> {
    let Chosen { library, profile, template, cases } = chosen;
    let engine = Engine::new(target, library, profile, template, options(args, 0));
    let exit = if *why == NotReady::Stopped { 6 } else { 3 };
    let record = RunRecord {
        exit,
        interrupted: *why == NotReady::Stopped,
        ..engine.unreachable(&cases, &why.to_string())
    };
    args.reports().write(&record)?;
    Err((exit, why.to_string()))
}

/// Accounts of the embedded grid: more than its jobs, for cases with several avatars.
const REFERENCE_ACCOUNTS: usize = 24;

/// Cases at once on the embedded grid. Its timers run fast, so client and grid must both get a
/// processor in time; the cases that wait longest bound the run, not how many run at once.
fn reference_jobs() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    (2 * cores).clamp(4, 12)
}

async fn execute(
    world: &World,
    args: &RunArgs,
    target: Target,
    chosen: Chosen,
    notes: &[String],
    stopped: watch::Receiver<bool>,
) -> RunRecord {
    let Chosen { library, profile, template, cases } = chosen;
    let jobs = match args.jobs {
        0 if args.simulate.is_some() => SIMULATED_JOBS,
        0 if target.reference => reference_jobs(),
        0 => target.accounts.len(),
        jobs => jobs,
    };
    say(&report::opening(&target, cases.len(), jobs, notes));
    let live = world.stdout_is_terminal && world.stderr_is_terminal;
    let progress = Progress::new(world.paint(), live, args.verbose);
    let engine = Engine::new(target, library, profile, template, options(args, jobs));
    let record = engine
        .run(&cases, stopped, &|event| {
            told(&event);
            progress.tell(event);
        })
        .await;
    progress.finish();
    record
}

/// A line of the log for each case.
fn told(event: &Event<'_>) {
    match event {
        Event::Planned(cases) => tracing::info!("{cases} cases are planned"),
        Event::Started(id) => tracing::info!("{id} begins"),
        Event::Finished(case) => tracing::info!("{} ends: {}", case.id, case.outcome),
    }
}

fn options(args: &RunArgs, jobs: usize) -> Options {
    Options {
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
        keep_timeline: true,
        reproduce: reproduce(args),
    }
}

/// What follows `gridproof run ID` to run it on the same grid in the same way. The environment is
/// taken to be the same.
fn reproduce(args: &RunArgs) -> String {
    let target = &args.target;
    let path = |path: &PathBuf| path.display().to_string();
    let mut given = vec![
        ("--grid", target.grid.clone()),
        ("--login-uri", target.login_uri.clone()),
        ("--credentials", target.credentials.as_ref().map(path)),
        ("--neighbour", target.neighbour.clone()),
        ("--distant", target.distant.clone()),
        ("--closed", target.closed.clone()),
        ("--profile", target.profile.clone()),
        ("--login-form", target.login_form.map(|form| format!("{form:?}").to_lowercase())),
        ("--time-scale", target.time_scale.map(|scale| scale.to_string())),
        ("--time-factor", target.time_factor.map(|factor| factor.to_string())),
        ("--simulate", args.simulate.map(|seed| seed.to_string())),
        ("--template", args.template.path().map(path)),
    ];
    given.extend(target.region.iter().map(|name| ("--region", Some(name.clone()))));
    let flags = given.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
    let mut text: String =
        flags.map(|(flag, value)| format!(" {flag} {}", quoted(&value))).collect();
    for path in args.select.selection.iter().filter(|name| name.ends_with(".toml")) {
        text.push_str(&format!(" {}", quoted(path)));
    }
    text
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
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
        found.ok_or_else(|| (2, unknown("profile", &name, names.iter().map(String::as_str))))?
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
        false => {
            let ids = library.cases().map(|case| case.id.as_str());
            let suites = library.suites.iter().map(|suite| suite.id.as_str());
            let near = near(name, suites.chain(ids));
            Err((4, format!("`{name}` matches no case{near} (`gridproof list` shows them all)")))
        }
    }
}
