//! A thousand avatars at once: viewers and the reference grid in one process, each answering pings
//! for a minute.
//!
//! Prints what logging in takes, what memory an avatar takes of viewer and grid together, and
//! whether everybody was still there after the minute. `GRIDPROOF_AVATARS=N` and
//! `GRIDPROOF_SECONDS=N` change the numbers; with `GRIDPROOF_NO_POLLING=1` nobody holds a poll.
//!
//! `GRIDPROOF_CROWD=100,1000` puts so many into one region instead, one crowd after another: all log
//! in, hear each line of ten speakers, and log out. A line for each says what an avatar and what a
//! delivered message cost: with the number of avatars neither should grow much.

use futures::StreamExt;
use gridproof::client::{Observed, ROOT, Viewer, What, agent_message};
use gridproof::grid::{Account, Grid, GridConfig, RegionConfig};
use gridproof::net::tap::Tap;
use gridproof::net::udp::CircuitEvent;
use gridproof::proto::message::{Field, FieldValue};
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
    if let Ok(crowds) = std::env::var("GRIDPROOF_CROWD") {
        for size in crowds.split(',').filter_map(|size| size.trim().parse().ok()) {
            crowd(size).await;
        }
        return;
    }
    let avatars = number("GRIDPROOF_AVATARS", 1000);
    let seconds = number("GRIDPROOF_SECONDS", 60);
    // A held poll costs more than all else: two HTTP connections' buffers.
    let polling = std::env::var_os("GRIDPROOF_NO_POLLING").is_none();
    // Far apart, so that none has neighbours.
    let regions = (1000u32..)
        .step_by(10)
        .take(avatars.div_ceil(TOGETHER))
        .map(|x| RegionConfig::new(&format!("Region {x}"), x, 1000))
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
            let mut viewer = Viewer::new(&name, account.clone(), common, Tap::default());
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

/// How many of a crowd speak, and how many lines each.
const SPEAKERS: usize = 10;
const LINES: usize = 5;

/// Logins and logouts at once.
const AT_ONCE: usize = 32;

/// One region with so many avatars.
async fn crowd(avatars: usize) {
    let regions = vec![RegionConfig::new("Square", 1000, 1000)];
    let config =
        GridConfig { regions, accounts: Account::numbered(avatars), ..GridConfig::default() };
    let grid = Grid::start(config).await.expect("the grid starts");
    let target = reference_target(&grid);
    let common = target.common(Template::shipped().clone());

    let start = Instant::now();
    let entering = target.accounts.iter().enumerate().map(|(n, account)| {
        let (common, account) = (common.clone(), account.clone());
        async move {
            let mut viewer = Viewer::new(&format!("avatar {n}"), account, common, Tap::default());
            let within = Duration::from_secs(120);
            viewer.enter("uri:Square&128&128&30", within).await.expect("it arrives");
            viewer.rest();
            viewer
        }
    });
    let mut viewers: Vec<Viewer> =
        futures::stream::iter(entering).buffered(AT_ONCE).collect().await;
    let entered = start.elapsed();

    // The last to come are still being shown to all others.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (chatted, heard) = chat(&mut viewers).await;
    let expected = LINES * SPEAKERS.min(avatars) * avatars;

    let start = Instant::now();
    let leaving = viewers.into_iter().map(|mut viewer| async move { viewer.log_out().await });
    let left = futures::stream::iter(leaving).buffer_unordered(AT_ONCE);
    let left = left.filter(|left| std::future::ready(*left)).count().await;
    let each = 1e3 * (entered + start.elapsed()).as_secs_f64() / avatars as f64;
    println!(
        "one region {avatars} avatars: {left} logged out, {} left behind, {each:.2} ms each; \
         chat: {heard} of {expected} lines heard, {:.1} us each",
        grid.population(),
        1e6 * chatted.as_secs_f64() / heard.max(1) as f64
    );
    grid.shutdown().await;
}

/// Ten speak, by turns, and everybody listens: how long that took, and how many lines were
/// heard.
async fn chat(viewers: &mut [Viewer]) -> (Duration, usize) {
    for viewer in viewers.iter_mut() {
        viewer.links().for_each(|(_, link)| link.mute(false));
    }
    let start = Instant::now();
    let mut heard = 0;
    for turn in 0..LINES * SPEAKERS.min(viewers.len()) {
        let line = format!("line {turn}");
        say(&viewers[turn % SPEAKERS], &line).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let hearing = viewers.iter().map(|viewer| {
            viewer
                .mailbox
                .wait(deadline, |heard| heard.iter().rev().any(|o| says(o, &line)).then_some(()))
        });
        let all = futures::future::join_all(hearing).await;
        heard += all.into_iter().flatten().count();
        // What each looks through for the next line is not to grow.
        viewers.iter().for_each(|viewer| viewer.mailbox.forget());
    }
    let took = start.elapsed();
    viewers.iter_mut().for_each(Viewer::rest);
    (took, heard)
}

async fn say(viewer: &Viewer, line: &str) {
    let Some(session) = viewer.session() else { return };
    let chat = agent_message(&viewer.common.template, "ChatFromViewer", session)
        .with("ChatData", "Message", FieldValue::text(line))
        .with("ChatData", "Type", Field::U8(1));
    viewer.send(ROOT, chat, true).await;
}

/// Whether something heard is this line.
fn says(observed: &Observed, line: &str) -> bool {
    let What::Udp(seen) = &observed.what else { return false };
    matches!(&**seen, CircuitEvent::Message { message, .. }
        if message.name() == "ChatFromSimulator"
            && message.text("ChatData", "Message").as_deref() == Some(line))
}
