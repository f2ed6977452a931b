//! Two hundred runs stopped at random moments: nobody stays logged in, and each record says of
//! every case how it ended or that it did not run.

#![allow(clippy::unwrap_used)]

use futures::StreamExt;
use gridproof::grid::{Account, Grid, GridConfig};
use gridproof::proto::template::Template;
use gridproof::report::{json, junit};
use gridproof::runner::{Engine, Options, Outcome, RunRecord, TIME_FACTOR, reference_target};
use gridproof::suite::{Files, Library, Profile};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

const RUNS: u64 = 200;

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
        assert_eq!(population, 0, "run {seed} left avatars logged in");
        assert!(record.interrupted && record.exit == 6, "run {seed} ended with {}", record.exit);
        assert_eq!(record.cases.len(), all, "run {seed}");
        let idle = |case: &&gridproof::runner::CaseRecord| case.outcome == Outcome::Skipped;
        for case in record.cases.iter().filter(idle) {
            let reason = case.reason.as_deref().unwrap_or_default();
            assert!(reason.contains("stopped") || reason.contains("interrupted"), "{reason}");
        }
        assert!(record.cases.iter().any(|case| case.outcome == Outcome::Skipped), "run {seed}");
        let back: RunRecord = serde_json::from_slice(&json(&record)).unwrap();
        assert_eq!(back.cases.len(), all);
        let xml = String::from_utf8(junit(&record)).unwrap();
        assert!(roxmltree::Document::parse(&xml).is_ok(), "run {seed}");
    }
}
