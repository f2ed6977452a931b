//! A thousand avatars at once: viewers and the reference grid in one process, each answering pings
//! for a minute.
//!
//! Prints what logging in takes, what memory an avatar takes of viewer and grid together, and
//! whether everybody was still there after the minute. `GRIDPROOF_AVATARS=N` and
//! `GRIDPROOF_SECONDS=N` change the numbers; with `GRIDPROOF_NO_POLLING=1` nobody holds a poll.

use futures::StreamExt;
use gridproof::client::Viewer;
use gridproof::grid::{Account, Grid, GridConfig, RegionConfig};
use gridproof::net::Timeline;
use gridproof::proto::template::Template;
use gridproof::runner::reference_target;
use std::time::{Duration, Instant};

/// Avatars in a region: each is shown to all others there.
const TOGETHER: usize = 20;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What this process holds in memory, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}

#[tokio::main]
async fn main() {
    let avatars = number("GRIDPROOF_AVATARS", 1000);
    let seconds = number("GRIDPROOF_SECONDS", 60);
    // A held poll costs more than all else: two HTTP connections' buffers.
    let polling = std::env::var_os("GRIDPROOF_NO_POLLING").is_none();
    // Far apart, so that none has neighbours.
    let regions = (0..avatars.div_ceil(TOGETHER))
        .map(|n| RegionConfig::new(&format!("Region {n}"), 1000 + 10 * n as u32, 1000))
        .collect();
    let config =
        GridConfig { regions, accounts: Account::numbered(avatars), ..GridConfig::default() };
    let grid = Grid::start(config).await.expect("the grid starts");
    let target = reference_target(&grid);
    let common = target.common(Template::shipped().clone());
    let before = resident();

    let start = Instant::now();
    let entering = target.accounts.iter().enumerate().map(|(n, account)| {
        let common = common.clone();
        let region = format!("uri:{}&128&128&30", target.regions[n / TOGETHER]);
        async move {
            let name = format!("avatar {n}");
            let mut viewer = Viewer::new(&name, account.clone(), common, Timeline::idle());
            viewer.enter(&region, Duration::from_secs(60)).await.expect("it arrives");
            if !polling {
                viewer.stop_events();
            }
            viewer.rest();
            viewer
        }
    });
    let viewers: Vec<Viewer> = futures::stream::iter(entering).buffered(32).collect().await;
    let each = 1e3 * start.elapsed().as_secs_f64() / avatars as f64;
    println!("{avatars} avatars logged in and arrived, {each:.2} ms each");
    let memory = resident().saturating_sub(before) as f64 / avatars as f64;
    println!("memory {memory:.1} KiB an avatar, of viewer and grid together");

    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    let memory = resident().saturating_sub(before) as f64 / avatars as f64;
    let alive = viewers.iter().filter(|viewer| viewer.is_alive()).count();
    println!(
        "after {seconds} s: {memory:.1} KiB an avatar, {} of {avatars} in the world, {alive} circuits alive",
        grid.population()
    );

    let start = Instant::now();
    let leaving = viewers.into_iter().map(|mut viewer| async move { viewer.log_out().await });
    let left = futures::stream::iter(leaving).buffer_unordered(64);
    let left = left.filter(|left| std::future::ready(*left)).count().await;
    println!(
        "{left} logged out in {:.1} s, {} left behind",
        start.elapsed().as_secs_f64(),
        grid.population()
    );
    grid.shutdown().await;
}
