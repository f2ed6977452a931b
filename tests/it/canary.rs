//! Secrets appear nowhere: whatever a grid hands out (passwords and their hashes, session ids,
//! circuit codes, capability URLs), no report, record or failure text contains it, whether cases
//! pass or fail.

use futures::StreamExt;
use gridproof::client::Viewer;
use gridproof::grid::{Account, Faults, Grid, GridConfig};
use gridproof::net::http::Request;
use gridproof::net::tap::{Fact, Passed, Said, Tap};
use gridproof::net::{Path, Timeline};
use gridproof::proof::{Mutants, shipped_sources};
use gridproof::proto::llsd::Llsd;
use gridproof::proto::login::hash_password;
use gridproof::proto::template::Template;
use gridproof::report::{Paint, failure, json, junit};
use gridproof::runner::{
    Engine, Options, Redactor, TIME_FACTOR, on_simulated_grid, reference_target,
};
use gridproof::suite::{Files, Library, Profile};
use gridproof::tamper::Channel;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Members whose values nobody else should learn.
const SECRET: [&str; 5] =
    ["session_id", "secure_session_id", "circuit_code", "seed_capability", "seed-capability"];

/// Every secret that a grid was seen to hand out.
#[derive(Clone, Default)]
struct Canaries(Arc<Mutex<BTreeSet<String>>>);

impl Canaries {
    fn add(&self, text: String) {
        // Numbers that short stand for anything.
        if text.len() > 5 {
            self.0.lock().unwrap().insert(text);
        }
    }

    fn learn(&self, value: &Llsd, everything: bool) {
        let Llsd::Map(members) = value else { return };
        for (key, value) in members {
            if !everything && !SECRET.contains(&key.as_str()) {
                continue;
            }
            match value {
                Llsd::String(text) | Llsd::Uri(text) => {
                    // The id in the URL is the secret; the path before it is not.
                    let id = text.trim_end_matches('/').rsplit('/').next().unwrap_or(text);
                    self.add(id.to_owned());
                }
                Llsd::Uuid(id) => self.add(id.to_string()),
                Llsd::Integer(code) => self.add(code.to_string()),
                _ => {}
            }
        }
    }
}

/// A grid whose every secret is known, with these faults.
fn config(faults: Faults) -> (GridConfig, Canaries) {
    let canaries = Canaries::default();
    let accounts: Vec<Account> = Account::numbered(24)
        .into_iter()
        .map(|account| {
            let password = format!("canary-{}", account.password);
            canaries.add(hash_password(&password)[3..].to_owned());
            canaries.add(password.clone());
            Account { password, ..account }
        })
        .collect();
    let heard = canaries.clone();
    let listener = Arc::new(move |fact: Fact| {
        if let Passed::Meant(channel, _, Said::Llsd(value)) = fact.what {
            heard.learn(&value, channel == Channel::Seed);
        }
    });
    let config = GridConfig {
        accounts,
        time_factor: TIME_FACTOR,
        faults,
        tap: Tap::of(listener),
        ..GridConfig::default()
    };
    (config, canaries)
}

/// The same, running on sockets.
async fn grid(faults: Faults) -> (Grid, Canaries) {
    let (config, canaries) = config(faults);
    (Grid::start(config).await.unwrap(), canaries)
}

impl Canaries {
    /// Panics if one of them is told.
    fn are_silent_in(&self, output: &[u8]) {
        self.all().are_silent_in(output);
    }

    /// All there are by now, to be looked for in many texts.
    fn all(&self) -> Flock {
        let secrets: Vec<String> = self.0.lock().unwrap().iter().cloned().collect();
        Flock { all: aho_corasick::AhoCorasick::new(&secrets).unwrap(), secrets }
    }

    fn are_many(&self, many: usize) {
        let count = self.0.lock().unwrap().len();
        assert!(count > many, "only {count} secrets were seen");
    }
}

/// Every secret of a run.
struct Flock {
    secrets: Vec<String>,
    all: aho_corasick::AhoCorasick,
}

impl Flock {
    /// Panics if one of them is told.
    fn are_silent_in(&self, output: &[u8]) {
        let text = String::from_utf8_lossy(output);
        // A code is a number, and may stand by chance in a longer one.
        let number = |c: char| c.is_ascii_digit() || c == '.';
        let alone = |from: usize, to: usize| {
            !(text[..from].ends_with(number) || text[to..].starts_with(number))
        };
        for found in self.all.find_overlapping_iter(&*text) {
            let secret = &self.secrets[found.pattern()];
            let code = secret.chars().all(|c| c.is_ascii_digit());
            if !code || alone(found.start(), found.end()) {
                let from = text[..found.start()].rfind('\n').map_or(0, |n| n + 1);
                let line: String = text[from..].chars().take(160).collect();
                panic!("`{secret}` is told: {line}");
            }
        }
    }
}

/// A clean grid, and grids that make many cases fail at every stage.
fn faults(library: &Library) -> Vec<Faults> {
    let mutants = Mutants::read(&shipped_sources(), &library.catalogue, Template::shipped());
    let mutants = mutants.unwrap();
    let chosen =
        ["any-password", "never-acks", "seed-fails", "always-500", "repeats-ids", "foreign-caps"];
    let of = |id: &&str| mutants.all.iter().find(|m| m.id == *id).unwrap().faults.afresh();
    std::iter::once(Faults::default()).chain(chosen.iter().map(of)).collect()
}

fn shipped() -> Arc<Library> {
    Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap())
}

#[test]
fn no_report_contains_a_secret() {
    let library = shipped();
    let (all, cores) = (faults(&library), std::thread::available_parallelism());
    let each = all.len().div_ceil(cores.map_or(2, usize::from));
    std::thread::scope(|scope| {
        for some in all.chunks(each) {
            scope.spawn(|| some.iter().for_each(|faults| reports_are_silent(&library, faults)));
        }
    });
}

fn reports_are_silent(library: &Arc<Library>, faults: &Faults) {
    let (config, canaries) = config(faults.clone());
    let cases: Vec<_> = library.cases().cloned().collect();
    let record = on_simulated_grid(1, Path::default(), config, async |target| {
        let options = Options { jobs: 24, ..Options::default() };
        let (profile, template) = (Profile::default(), Template::shipped().clone());
        let engine = Engine::new(target, library.clone(), profile, template, options);
        let (_keep, never) = watch::channel(false);
        engine.run(&cases, never, &|_| {}).await
    });
    let record = record.unwrap();
    canaries.are_many(100);
    let canaries = canaries.all();
    canaries.are_silent_in(&json(&record));
    canaries.are_silent_in(&junit(&record));
    for case in &record.cases {
        canaries.are_silent_in(failure(case, Paint { colour: false }).as_bytes());
    }
}

/// The program itself, at its most talkative: what it prints and what it writes, on good grids and
/// bad, with the right passwords and with wrong ones.
#[tokio::test(flavor = "multi_thread")]
async fn no_output_contains_a_secret() {
    let library = shipped();
    let good = faults(&library).into_iter().map(|faults| (faults, false));
    let with_wrong = std::iter::once((Faults::default(), true));
    // Most of a run is waiting.
    let runs = futures::stream::iter(good.chain(with_wrong))
        .map(|(faults, mistaken)| tokio::spawn(prints_no_secret(faults, mistaken)));
    let mut runs = runs.buffer_unordered(8);
    while let Some(run) = runs.next().await {
        run.unwrap();
    }
}

async fn prints_no_secret(faults: Faults, mistaken: bool) {
    let (grid, canaries) = grid(faults).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridproof"));
    let files = ["run.json", "junit.xml"].map(|name| folder.path().join(name));
    command.args([
        "run",
        "login/success",
        "caps",
        "handshake/arrival",
        "-v",
        "--time-scale",
        "0.1",
    ]);
    command.args(["--login-uri", &grid.login_uri, "--retries", "1"]);
    command.args(["--time-factor", &TIME_FACTOR.to_string()]);
    command.arg("--json").arg(&files[0]).arg("--junit").arg(&files[1]);
    command.env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace");
    for (i, account) in grid.accounts.iter().enumerate().take(4) {
        // One is mistaken, in a way that is close to the truth.
        let wrong = if mistaken && i == 3 { "-canary-wrong" } else { "" };
        let password = format!("{}{wrong}", account.password);
        canaries.add(hash_password(&password)[3..].to_owned());
        canaries.add(password.clone());
        command.env(
            format!("GRIDPROOF_ACCOUNT_{}", i + 1),
            format!("{} {}", account.first, account.last),
        );
        command.env(format!("GRIDPROOF_PASSWORD_{}", i + 1), password);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    grid.shutdown().await;
    assert!(output.status.code().is_some_and(|code| code < 7), "{output:?}");
    canaries.are_many(50);
    canaries.are_silent_in(&output.stdout);
    canaries.are_silent_in(&output.stderr);
    for file in files {
        canaries.are_silent_in(&std::fs::read(file).unwrap());
    }
}

/// What a panic or a log line might print of the things that hold secrets.
#[tokio::test]
async fn no_debug_text_contains_a_secret() {
    let (grid, canaries) = grid(Faults::default()).await;
    let target = reference_target(&grid);
    let common = target.common(Template::shipped().clone());
    let credentials = target.accounts[0].clone();
    let mut viewer = Viewer::new("primary", credentials, common, Timeline::start().tap());
    viewer.enter("last", Duration::from_secs(20)).await.unwrap();
    canaries.are_many(10);
    let mut redactor = Redactor::default();
    viewer.secrets.iter().for_each(|(name, secret)| redactor.add(name, secret));
    let request = Request::post(viewer.cap("EventQueueGet").unwrap(), "text/xml", "canary");
    for text in [
        format!("{viewer:?}"),
        format!("{viewer:#?}"),
        format!("{target:?}"),
        format!("{redactor:?}"),
        format!("{request:?}"),
    ] {
        canaries.are_silent_in(text.as_bytes());
    }
    viewer.log_out().await;
    grid.shutdown().await;
}
