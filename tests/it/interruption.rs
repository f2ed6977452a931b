//! Runs stopped at random moments, from within and by SIGINT and SIGTERM: nobody stays logged in,
//! and each report says of every case how it ended or that it did not run.

use futures::StreamExt;
use gridproof::grid::{Account, Grid, GridConfig};
use gridproof::proto::template::Template;
use gridproof::report::{json, junit};
use gridproof::runner::{Engine, Options, Outcome, RunRecord, TIME_FACTOR, reference_target};
use gridproof::suite::{Files, Library, Profile};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Runs stopped from within.
const RUNS: u64 = 60;

/// Runs of the program ended by a signal.
fn signals() -> u64 {
    let told = std::env::var("GRIDPROOF_SIGNALS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(40)
}

/// Runs everything on a grid of its own and stops after so many events: at a random moment, but at
/// the same one for the same seed as far as the cases go.
async fn stopped(library: Arc<Library>, seed: u64) -> (RunRecord, usize) {
    let config = GridConfig {
        accounts: Account::numbered(6),
        time_factor: TIME_FACTOR,
        ..GridConfig::default()
    };
    let grid = Grid::start(config).await.unwrap();
    let cases: Vec<_> = library.cases().cloned().collect();
    let options = Options { shuffle: Some(seed), jobs: 6, ..Options::default() };
    let template = Template::shipped().clone();
    let target = reference_target(&grid);
    let engine = Engine::new(target, library, Profile::default(), template, options);
    let (stop, stopped) = watch::channel(false);
    let last = StdRng::seed_from_u64(seed).random_range(1..120);
    let seen = AtomicUsize::new(0);
    let tell = |_: gridproof::runner::Event<'_>| {
        if seen.fetch_add(1, Ordering::Relaxed) == last {
            let _ = stop.send(true);
        }
    };
    let record = engine.run(&cases, stopped, &tell).await;
    let population = grid.population();
    grid.shutdown().await;
    (record, population)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_logged_in_and_every_case_is_accounted_for() {
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    let all = library.cases().count();
    let runs = futures::stream::iter(0..RUNS).map(|seed| {
        let library = library.clone();
        async move { (seed, tokio::spawn(stopped(library, seed)).await.unwrap()) }
    });
    let mut runs = runs.buffer_unordered(8);
    while let Some((seed, (record, population))) = runs.next().await {
        let xml = String::from_utf8(junit(&record)).unwrap();
        judge(seed, &json(&record), &xml, population, all);
    }
}

/// What is left of a stopped run.
fn judge(run: u64, record: &[u8], xml: &str, population: usize, all: usize) {
    assert_eq!(population, 0, "run {run} left avatars logged in");
    let record: RunRecord = serde_json::from_slice(record).unwrap();
    assert!(record.interrupted && record.exit == 6, "run {run} ended with {}", record.exit);
    assert_eq!(record.cases.len(), all, "run {run}");
    let idle = |case: &&gridproof::runner::CaseRecord| case.outcome == Outcome::Skipped;
    for case in record.cases.iter().filter(idle) {
        let reason = case.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("stopped") || reason.contains("interrupted"), "{reason}");
    }
    assert!(record.cases.iter().any(|case| case.outcome == Outcome::Skipped), "run {run}");
    let xml = roxmltree::Document::parse(xml).unwrap();
    let told = xml.descendants().filter(|node| node.has_tag_name("testcase")).count();
    assert_eq!(told, all, "run {run}");
}

/// Runs the program on a grid of its own, and sends it a signal once it has told of so many cases.
async fn signalled(run: u64) -> (Vec<u8>, String, usize) {
    let config = GridConfig {
        accounts: Account::numbered(4),
        time_factor: TIME_FACTOR,
        ..GridConfig::default()
    };
    let grid = Grid::start(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (json, junit) = (folder.path().join("run.json"), folder.path().join("junit.xml"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridproof"));
    command.args(["run", "--login-uri", &grid.login_uri, "--shuffle", &run.to_string(), "--json"]);
    command.arg(&json).arg("--junit").arg(&junit);
    command
        .args(["--time-factor", &TIME_FACTOR.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (n, account) in grid.accounts.iter().enumerate() {
        let name = format!("{} {}", account.first, account.last);
        command.env(format!("GRIDPROOF_ACCOUNT_{}", n + 1), name);
        command.env(format!("GRIDPROOF_PASSWORD_{}", n + 1), &account.password);
    }
    let lines = StdRng::seed_from_u64(run).random_range(1..40);
    let code = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        told.by_ref().take(lines).for_each(drop);
        let signal = if run.is_multiple_of(2) { "-INT" } else { "-TERM" };
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        told.for_each(drop);
        child.wait().unwrap().code()
    });
    assert_eq!(code.await.unwrap(), Some(6), "run {run}");
    let population = grid.population();
    grid.shutdown().await;
    (std::fs::read(json).unwrap(), std::fs::read_to_string(junit).unwrap(), population)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_run_and_loses_nothing() {
    let library = Library::load(&Files::shipped(), Template::shipped()).unwrap();
    let all = library.cases().count();
    let runs = futures::stream::iter(0..signals())
        .map(|run| async move { (run, tokio::spawn(signalled(run)).await.unwrap()) });
    let mut runs = runs.buffer_unordered(6);
    while let Some((run, (record, xml, population))) = runs.next().await {
        judge(run, &record, &xml, population, all);
    }
}
