//! What must not be green: each of these was, once.

use crate::served::{CANARY, against, gridproof, run, served, text};
use gridproof::client::Credentials;
use gridproof::grid::{Faults, Grid, GridConfig};
use gridproof::proof::{Mutants, shipped_sources};
use gridproof::proto::template::Template;
use gridproof::runner::{
    CaseRecord, Engine, Event, Options, Outcome, Target, preflight, reference_config,
    reference_target,
};
use gridproof::suite::{Files, Library, Profile};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Cases of a file that a user wrote, on a grid with these faults; their records.
async fn own(toml: &str, faults: Faults) -> Vec<CaseRecord> {
    let mut files = Files::shipped();
    files.add("own.toml".into(), toml);
    let library = Arc::new(Library::load(&files, Template::shipped()).unwrap());
    let cases: Vec<_> = library.cases().filter(|c| c.id.starts_with("own/")).cloned().collect();
    on(library, cases, faults).await
}

/// Shipped cases, on a grid with these faults.
async fn shipped(ids: &[&str], faults: Faults) -> Vec<CaseRecord> {
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    let cases: Vec<_> = ids.iter().map(|id| library.case(id).unwrap().clone()).collect();
    on(library, cases, faults).await
}

async fn on(
    library: Arc<Library>,
    cases: Vec<Arc<gridproof::suite::Case>>,
    faults: Faults,
) -> Vec<CaseRecord> {
    let grid = Grid::start(GridConfig { faults, ..reference_config(2) }).await.unwrap();
    let target = reference_target(&grid);
    let template = Template::shipped().clone();
    let engine = Engine::new(target, library, Profile::default(), template, Options::default());
    let (_keep, never) = watch::channel(false);
    let record = engine.run(&cases, never, &|_| {}).await;
    grid.shutdown().await;
    record.cases
}

/// The faults of a written mutant.
fn mutant(id: &str) -> Faults {
    let library = Library::load(&Files::shipped(), Template::shipped()).unwrap();
    let mutants = Mutants::read(&shipped_sources(), &library.catalogue, Template::shipped());
    let mutants = mutants.unwrap();
    mutants.all.iter().find(|mutant| mutant.id == id).unwrap().faults.afresh()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_come_hides_no_must_behind_it() {
    let case = |level: &str| {
        format!(
            "title = \"Own\"\n[[case]]\nid = \"{level}-first\"\ntitle = \"{level}\"\nstep = [\n\
             {{ do = \"session.enter\" }},\n\
             {{ do = \"udp.expect\", message = \"EconomyData\", within = \"1s\", \
             requirement = \"HS-AGENT-DATA-UPDATE-1\", level = \"{level}\" }},\n\
             {{ do = \"udp.expect\", message = \"ParcelOverlay\", within = \"1s\", \
             requirement = \"HS-UCC-ACK-1\", level = \"must\" }},\n]\n"
        )
    };
    for level in ["may", "should"] {
        let records = own(&case(level), Faults::default()).await;
        assert_eq!(records[0].outcome, Outcome::Fail, "{level}: {records:#?}");
        assert!(records[0].findings.iter().any(|f| f.cites("HS-UCC-ACK-1")), "{level}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_judged_is_no_pass() {
    let toml = r#"
title = "Own"
[[case]]
id = "must-behind-should"
title = "The MUST needs what the SHOULD did not bring"
step = [
  { do = "session.enter" },
  { do = "udp.expect", id = "data", message = "EconomyData", within = "1s", requirement = "HS-AGENT-DATA-UPDATE-1", level = "should" },
  { do = "check", value = { price = "${data.Info.PriceUpload}" }, expect = [{ path = "price", min = 0, requirement = "HS-UCC-ACK-1", level = "must" }] },
]
[[case]]
id = "control"
title = "What does not come counts only where the same was seen to work"
step = [
  { do = "session.enter" },
  { do = "udp.expect", message = "ChatFromSimulator", never = true, control = "heard", within = "500ms", requirement = "HS-UCC-ACK-1", level = "must" },
  { do = "udp.expect", id = "heard", message = "ChatFromSimulator", within = "500ms", requirement = "HS-AGENT-DATA-UPDATE-1", level = "may" },
]
[[case]]
id = "silent"
title = "A case that cites nothing passes and says so"
step = [{ do = "session.enter" }]
"#;
    let records = own(toml, Faults::default()).await;
    let of = |id: &str| records.iter().find(|case| case.id == format!("own/{id}")).unwrap();
    assert_eq!(of("must-behind-should").outcome, Outcome::Blocked);
    assert_eq!(of("must-behind-should").unjudged, ["HS-UCC-ACK-1"]);
    assert_eq!(of("control").outcome, Outcome::Blocked);
    assert_eq!(of("control").unjudged, ["HS-UCC-ACK-1"]);
    assert_eq!(of("silent").outcome, Outcome::Pass);
    assert_eq!(of("silent").notes(), ["it cites no requirement"]);
}

/// Acks that come five seconds late made it look as if foreign packets got none.
#[tokio::test(flavor = "multi_thread")]
async fn acks_that_never_come_do_not_refuse_a_stranger() {
    let records = shipped(&["circuit/acks/foreign-session"], mutant("never-acks")).await;
    assert!(!records[0].held.iter().any(|id| id == "CIR-MISMATCH-IDS-1"), "{records:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_without_any_way_to_its_inventory_breaks_a_must() {
    let grid = reference_config(2);
    let without = ["FetchInventoryDescendents2", "InventoryAPIv3"].map(str::to_owned);
    let toml = "[[mutant]]\nid = \"x\"\ntitle = \"x\"\nbreaks = [\"INV-ONE-WAY-1\"]\n\
                rules = [{ do = \"drop\", channel = \"udp\", message = \"InventoryDescendents\" }]";
    let source = gridproof::suite::Source { path: "x.toml".into(), text: toml.into() };
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    let mutants =
        Mutants::read(&[Arc::new(source)], &library.catalogue, Template::shipped()).unwrap();
    let faults = mutants.all[0].faults.clone();
    let grid = Grid::start(GridConfig { without: without.to_vec(), faults, ..grid }).await.unwrap();
    let target = reference_target(&grid);
    let template = Template::shipped().clone();
    let cases = vec![library.case("inventory/ways/fetch").unwrap().clone()];
    let engine = Engine::new(target, library, Profile::default(), template, Options::default());
    let (_keep, never) = watch::channel(false);
    let record = engine.run(&cases, never, &|_| {}).await;
    grid.shutdown().await;
    assert_eq!((record.exit, record.cases[0].outcome), (1, Outcome::Fail));
}

#[test]
fn a_misspelt_name_is_a_mistake_and_not_a_silence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    let toml = r#"
title = "Own"
[[case]]
id = "one"
title = "One"
step = [
  { do = "session.enter" },
  { do = "eq.expect", message = "ParcelPropertis", never = true, control = "alive", within = "1s", requirement = "HS-UCC-ACK-1" },
  { do = "caps.get", cap = "SimulatorFeature" },
  { do = "udp.order", messages = ["RegionHandshak"] },
]
"#;
    std::fs::write(&file, toml).unwrap();
    let output = run(&["check", file.to_str().unwrap()]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    for part in [
        "unknown event `ParcelPropertis`; did you mean `ParcelProperties`?",
        "unknown capability `SimulatorFeature`; did you mean `SimulatorFeatures`?",
        "unknown message `RegionHandshak`; did you mean `RegionHandshake`?",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    let output = run(&["run", "login/succes"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("did you mean `login/success`?"));
}

#[test]
fn settings_without_a_grid_test_no_other_grid() {
    let outputs = [
        gridproof().arg("run").env("GRIDPROOF_ACCOUNT_1", "Jane Doe").output().unwrap(),
        run(&["run", "--region", "Alpha"]),
        run(&["run", "--time-factor", "40"]),
        run(&["run", "--credentials", "credentials.toml"]),
    ];
    for output in outputs {
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("and no grid: name one"), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn what_is_named_wrongly_is_said_before_any_verdict() {
    let served = served();
    let said = |args: &[&str], environment: (&str, &str), part: &str| {
        let mut command = against(&served, args);
        let output = command.env(environment.0, environment.1).output().unwrap();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
        assert!(!text(&output.stdout).contains("login/success/types"), "{output:?}");
    };
    let none = ("GRIDPROOF_NOTHING", "");
    said(&["login/success/types", "--region", "Hoome"], none, "region `Hoome`");
    let shut = ["login/success/types", "--region", "Home", "--closed", "Next"];
    said(&shut, none, "region `Next`: it is named as closed");
    let wrong = ("GRIDPROOF_PASSWORD_2", "not the password");
    said(&["login/success/types"], wrong, "John Doe cannot log in: key:");
}

/// The neighbours that nobody names are found, so that nothing is impossible for want of a name.
#[test]
fn regions_are_found_on_the_map() {
    let served = served();
    let cases = ["teleport/region/neighbour", "teleport/region/distant"];
    let output = against(&served, &cases).output().unwrap();
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("cases go to Home, beside: Next, apart: Far, closed: none"), "{told}");
    assert!(told.contains("2 pass"), "{told}");
}

/// A grid's clock is told on the command line, never by the grid: this one's queue holds a poll
/// for a fortieth of the time.
#[test]
fn no_clock_comes_from_the_grid() {
    let served = served();
    let mut command = gridproof();
    command.args(["run", "caps/event_queue/hold", "--login-uri", served.uri()]);
    command.env("GRIDPROOF_ACCOUNT_1", "Jane Doe").env("GRIDPROOF_PASSWORD_1", CANARY);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("EQ-HOLD-1"));
}

#[test]
fn a_web_server_is_no_grid_and_that_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let page = "<!DOCTYPE html><title>Welcome to nginx!</title>";
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len());
        }
    });
    let began = Instant::now();
    let mut command = gridproof();
    command.args(["run", "--login-uri", &uri]);
    command.env("GRIDPROOF_ACCOUNT_1", "A B").env("GRIDPROOF_PASSWORD_1", "x");
    let output = command.output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("answers, but not as a grid"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// Grids that are killed at random moments of a run: it is over in time, red, and says what it did
/// not run.
#[test]
fn a_killed_grid_is_never_green() {
    let kill = |moment: u64| {
        let mut served = served();
        let folder = tempfile::tempdir().unwrap();
        let junit = folder.path().join("junit.xml");
        let reports = ["--junit", junit.to_str().unwrap(), "--shuffle", &moment.to_string()];
        let mut child = against(&served, &reports)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let after = StdRng::seed_from_u64(moment).random_range(100..3000);
        std::thread::sleep(Duration::from_millis(after));
        served.child.kill().unwrap();
        let killed = Instant::now();
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(3), "killed after {after} ms");
        assert!(killed.elapsed() < Duration::from_secs(20), "killed after {after} ms");
        let xml = std::fs::read_to_string(&junit).unwrap();
        let xml = roxmltree::Document::parse(&xml).unwrap();
        let count = |name: &str| xml.descendants().filter(|n| n.has_tag_name(name)).count();
        assert!(count("error") > 0 && count("skipped") < 5, "killed after {after} ms");
    };
    std::thread::scope(|scope| {
        for first in 0..6 {
            scope.spawn(move || (first..30).step_by(6).for_each(kill));
        }
    });
}

/// Of a grid whose first region goes away the login service still answers: the region is told, once.
#[tokio::test(flavor = "multi_thread")]
async fn one_dead_region_is_told_as_one_dead_region() {
    let grid = Grid::start(reference_config(2)).await.unwrap();
    let (kill, killed) = watch::channel(false);
    let wire = crate::server::Wire::mortal(killed);
    let middle = crate::server::Middle::new(&grid.login_uri, Vec::new(), Some(wire));
    let uri = middle.start().await;
    let accounts = grid.accounts.iter().map(|account| Credentials {
        first: account.first.clone(),
        last: account.last.clone(),
        password: account.password.clone(),
    });
    let mut target = Target::new("a grid", &uri, accounts.collect());
    (target.time_factor, target.time_scale) = (grid.time_factor, 0.1);
    let template = Template::shipped().clone();
    let (_keep, never) = watch::channel(false);
    preflight(&mut target, template.clone(), never.clone()).await.unwrap();
    let library = Arc::new(Library::load(&Files::shipped(), Template::shipped()).unwrap());
    let ids = ["circuit/pings/many", "circuit/pings/answered", "circuit/pings/wrapping"];
    let cases: Vec<_> = ids.iter().map(|id| library.case(id).unwrap().clone()).collect();
    let options = Options { jobs: 1, ..Options::default() };
    let engine = Engine::new(target, library, Profile::default(), template, options);
    // The first to end passes, and sees the region go.
    let tell = |event: Event<'_>| {
        if let Event::Finished(_) = event {
            let _ = kill.send(true);
        }
    };
    let record = engine.run(&cases, never, &tell).await;
    grid.shutdown().await;
    assert_eq!(record.count(Outcome::Pass), 1, "{record:#?}");
    assert_eq!((record.count(Outcome::Blocked), record.exit), (2, 1), "{record:#?}");
    let told = |case: &CaseRecord| {
        case.reason.as_ref().is_some_and(|why| why.contains("region `Alpha` is gone"))
    };
    assert_eq!(record.cases.iter().filter(|case| told(case)).count(), 2, "{record:#?}");
    assert_eq!(record.cases.iter().filter(|case| case.never_ran()).count(), 1, "{record:#?}");
}

#[test]
fn the_case_of_the_readme_passes_as_pasted() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (case, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("my.toml"), case).unwrap();
    let output = gridproof().args(["run", "my.toml"]).current_dir(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("1 pass"));
}

/// What was refused is not waited for: the refusal is the answer, in the grid's own words.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_teleport_ends_the_wait_with_its_reason() {
    let case = r#"
title = "Own"
[[case]]
id = "refused"
title = "A teleport to nowhere arrives"
step = [
  { do = "session.enter", id = "enter" },
  { do = "eq.listen" },
  { do = "udp.send", message = "TeleportLocationRequest", reliable = true, blocks = { Info = { RegionHandle = 4222124650660096, Position = [1, 2, 3], LookAt = [1, 0, 0] } } },
  { do = "eq.expect", message = "TeleportFinish", within = "600s", requirement = "TP-X-REGION-1", level = "must" },
]
"#;
    let began = Instant::now();
    let records = own(case, Faults::default()).await;
    let finding = &records[0].findings[0];
    assert_eq!(records[0].outcome, Outcome::Fail, "{records:#?}");
    assert!(finding.received.starts_with("TeleportFailed, \""), "{finding:#?}");
    assert!(began.elapsed() < Duration::from_secs(15), "it was waited for all the same");
}
