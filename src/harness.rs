//! Suites under `cargo test` and nextest: every case a libtest-mimic trial.

use crate::client::Credentials;
use crate::grid::{Account, Grid, GridConfig};
use crate::proto::template::Template;
use crate::report::{Paint, failure};
use crate::runner::{Engine, Options, Outcome, Target};
use crate::suite::{Case, Files, Library, Profile};
use libtest_mimic::{Failed, Trial};
use std::sync::Arc;
use tokio::sync::watch;

/// How many times faster than the protocol's figures the embedded grid's timers run: fast enough
/// for cases that wait for a minute's silence, slow enough for a loaded machine.
pub const TIME_FACTOR: u32 = 40;

/// Starts a reference grid with this many accounts; the target that stands for it.
pub async fn reference_grid(accounts: usize) -> std::io::Result<(Target, Grid)> {
    let config = GridConfig {
        accounts: Account::numbered(accounts),
        time_factor: TIME_FACTOR,
        ..GridConfig::default()
    };
    let grid = Grid::start(config).await?;
    Ok((reference_target(&grid), grid))
}

/// A running reference grid as a target.
pub fn reference_target(grid: &Grid) -> Target {
    let credentials = grid.accounts.iter().map(|a| Credentials {
        first: a.first.clone(),
        last: a.last.clone(),
        password: a.password.clone(),
    });
    let first = grid.regions.first();
    let beside = first.and_then(|first| {
        grid.regions
            .iter()
            .skip(1)
            .find(|r| r.x.abs_diff(first.x) <= 1 && r.y.abs_diff(first.y) <= 1)
    });
    Target {
        name: "reference grid".into(),
        login_uri: grid.login_uri.clone(),
        accounts: credentials.collect(),
        regions: grid.regions.iter().map(|r| r.name.clone()).collect(),
        neighbour: beside.map(|r| r.name.clone()),
        llsd_login: true,
        profile: None,
        time_scale: 1.0,
        time_factor: grid.time_factor,
        reference: true,
    }
}

/// Every shipped case as a trial against one embedded reference grid, started by the first that
/// runs. A case that does not pass fails its trial, with the failure as its message.
pub fn trials(runtime: &'static tokio::runtime::Runtime) -> Vec<Trial> {
    let library = match Library::load(&Files::shipped(), Template::shipped()) {
        Ok(library) => Arc::new(library),
        Err(mistakes) => {
            let text: Vec<String> = mistakes.iter().map(|m| m.render(false)).collect();
            let failed = text.join("\n");
            return vec![Trial::test("suites are free of mistakes", move || Err(failed.into()))];
        }
    };
    let engine: Arc<tokio::sync::OnceCell<(Engine, Grid)>> = Arc::default();
    let cases: Vec<Arc<Case>> = library.cases().cloned().collect();
    cases
        .into_iter()
        .map(|case| {
            let (library, engine) = (library.clone(), engine.clone());
            Trial::test(case.id.clone(), move || {
                runtime.block_on(async move {
                    let engine = engine.get_or_try_init(|| start(library)).await;
                    let (engine, _) = engine.map_err(|e| Failed::from(e.to_string()))?;
                    let (_keep, never) = watch::channel(false);
                    let record = engine.run_case(&case, never).await;
                    match record.outcome {
                        Outcome::Pass => Ok(()),
                        _ => Err(failure(&record, Paint { colour: false }).into()),
                    }
                })
            })
        })
        .collect()
}

async fn start(library: Arc<Library>) -> std::io::Result<(Engine, Grid)> {
    let (target, grid) = reference_grid(24).await?;
    let template = Template::shipped().clone();
    let engine = Engine::new(target, library, Profile::default(), template, Options::default());
    Ok((engine, grid))
}
