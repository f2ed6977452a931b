//! The embedded reference grid as a target.

use super::Target;
use crate::client::Credentials;
use crate::grid::{Account, Grid, GridConfig, RegionConfig};
use crate::net::tap::Region;
use crate::net::{Path, simulate};

/// How many times faster than the protocol's figures the embedded grid's timers run: fast enough
/// for cases that wait for a minute's silence, slow enough for a loaded machine.
pub const TIME_FACTOR: u32 = 40;

/// The embedded grid's name in records.
pub const REFERENCE_NAME: &str = "reference grid";

/// The reference grid that suites are run on: beside the usual regions one that is closed.
pub fn reference_config(accounts: usize) -> GridConfig {
    let closed = RegionConfig { closed: true, ..RegionConfig::new("Delta", 1000, 999) };
    let mut regions = GridConfig::default().regions;
    regions.push(closed);
    GridConfig {
        regions,
        accounts: Account::numbered(accounts),
        time_factor: TIME_FACTOR,
        ..GridConfig::default()
    }
}

/// Starts a reference grid with this many accounts; the target that stands for it.
///
/// # Errors
/// No port can be bound.
pub async fn reference_grid(accounts: usize) -> std::io::Result<(Target, Grid)> {
    let grid = Grid::start(reference_config(accounts)).await?;
    Ok((reference_target(&grid), grid))
}

/// Starts a grid on a simulated network, does something with it, and stops it. Its timers run at
/// the protocol's figures: waiting costs nothing there.
///
/// # Errors
/// The grid cannot be started, or made a mistake of its own.
pub fn on_simulated_grid<T>(
    seed: u64,
    path: Path,
    config: GridConfig,
    use_it: impl AsyncFnOnce(Target) -> T,
) -> std::io::Result<T> {
    let (used, mistakes) = visit_simulated_grid(seed, path, config, use_it)?;
    match mistakes.first() {
        None => Ok(used),
        Some(first) => Err(std::io::Error::other(format!("the grid's own mistake: {first}"))),
    }
}

/// The same, with whatever mistakes of its own the grid made.
///
/// # Errors
/// The grid cannot be started.
pub fn visit_simulated_grid<T>(
    seed: u64,
    path: Path,
    config: GridConfig,
    use_it: impl AsyncFnOnce(Target) -> T,
) -> std::io::Result<(T, Vec<String>)> {
    with_simulated_grid(seed, path, config, async |grid| use_it(reference_target(grid)).await)
}

/// The same, for whoever looks at the grid itself.
///
/// # Errors
/// The grid cannot be started.
pub fn with_simulated_grid<T>(
    seed: u64,
    path: Path,
    config: GridConfig,
    use_it: impl AsyncFnOnce(&Grid) -> T,
) -> std::io::Result<(T, Vec<String>)> {
    let used = simulate(seed, path, async move |network| {
        let grid = Grid::start(GridConfig { time_factor: 1, network, ..config }).await?;
        let used = use_it(&grid).await;
        let mistakes = grid.mistakes();
        grid.shutdown().await;
        Ok((used, mistakes))
    });
    used?
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
    let apart = first.and_then(|first| {
        let apart = |r: &&Region| r.x.abs_diff(first.x) > 1 || r.y.abs_diff(first.y) > 1;
        grid.regions.iter().find(apart)
    });
    Target {
        regions: grid.regions.iter().map(|r| r.name.clone()).collect(),
        neighbour: beside.map(|r| r.name.clone()),
        distant: apart.map(|r| r.name.clone()),
        closed: grid.regions.iter().find(|r| r.closed).map(|r| r.name.clone()),
        time_factor: grid.time_factor,
        logins_at_once: usize::MAX,
        reference: true,
        network: grid.network().clone(),
        ..Target::new(REFERENCE_NAME, &grid.login_uri, credentials.collect())
    }
}
