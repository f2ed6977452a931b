//! What the runner itself costs: cases that do nothing but wait for a grid whose every answer
//! takes 50 ms, against the time that waiting alone takes.
//!
//! Prints, for several `--jobs`, the wall time, the longest chain of waits and what is between.

use gridproof::grid::{Account, Faults, Grid, GridConfig};
use gridproof::proto::template::Template;
use gridproof::runner::{Engine, Options, Outcome, reference_target};
use gridproof::suite::{Files, Library, Profile};
use gridproof::tamper::{Action, Channel, Rule};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long every answer takes.
const DELAY: Duration = Duration::from_millis(50);

/// Answers that a case of the suite waits for: its own, and those of logging out.
const ASKS: u32 = 40;
const LEAVING: u32 = 3;

/// Cases, and accounts to run them.
const CASES: usize = 24;

fn suite() -> String {
    let ask = "  { do = \"http.raw\", url = \"${login.seed_capability}\", headers = { content-type = \
               \"application/llsd+xml\" }, text = \"<llsd><array/></llsd>\", expect = [{ path = \
               \"status\", equals = 200 }] },\n";
    // Logging in is the first of its waits.
    let asks = ask.repeat(ASKS as usize - 1);
    let case = |n: usize| {
        format!(
            "[[case]]\nid = \"n{n}\"\ntitle = \"Waits\"\nstep = [\n  {{ do = \"login.xmlrpc\", id = \
             \"login\", expect = [{{ path = \"login\", equals = \"true\" }}] }},\n{asks}]\n"
        )
    };
    let cases: String = (0..CASES).map(case).collect();
    format!("title = \"Waits\"\n{cases}")
}

#[tokio::main]
async fn main() {
    let template = Template::shipped();
    let mut files = Files::default();
    files.add("waits.toml".into(), &suite());
    let library = Arc::new(Library::load(&files, template).expect("the suite has no mistake"));
    let cases: Vec<_> = library.cases().cloned().collect();
    for jobs in [1, 4, 12, CASES] {
        let channels = [Channel::Login, Channel::Seed, Channel::Caps, Channel::Http, Channel::Udp];
        let late = |channel| Rule::new(Action::Delay(DELAY), channel);
        let grid = Grid::start(GridConfig {
            accounts: Account::numbered(CASES),
            faults: Faults::new(Vec::new(), channels.map(late).into()),
            ..GridConfig::default()
        });
        let grid = grid.await.expect("the grid starts");
        let options = Options { jobs, ..Options::default() };
        let target = reference_target(&grid);
        let (profile, template) = (Profile::default(), template.clone());
        let engine = Engine::new(target, library.clone(), profile, template, options);
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let start = Instant::now();
        let record = engine.run(&cases, stopped, &|_| {}).await;
        let wall = start.elapsed();
        assert!(record.cases.iter().all(|case| case.outcome == Outcome::Pass), "{record:?}");
        let rounds = u32::try_from(CASES.div_ceil(jobs)).expect("few cases");
        let chain = DELAY * (ASKS + LEAVING) * rounds;
        let cost = 100.0 * (wall.as_secs_f64() / chain.as_secs_f64() - 1.0);
        println!("{jobs:>2} jobs: {wall:.3?} for {chain:.3?} of waiting, {cost:+.1} %");
        grid.shutdown().await;
    }
}
