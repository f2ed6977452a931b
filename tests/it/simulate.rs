//! `gridproof run --simulate SEED`: a world that follows from a number.

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridproof"));
    command.current_dir(folder).arg("run").args(args).env_remove("GRIDPROOF_LOGIN_URI");
    command.output().unwrap()
}

fn record(folder: &Path, seed: &str) -> String {
    let output = run(folder, &["--simulate", seed, "--json", "run.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    std::fs::read_to_string(folder.join("run.json")).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_record_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let first = record(folder.path(), "7");
    assert!(first == record(folder.path(), "7"), "two runs of one seed differ");
    let other = record(folder.path(), "8");
    assert!(first != other, "the seed decides nothing");
    // What is found does not depend on it.
    let outcomes = |text: &str| {
        let record: gridproof::runner::RunRecord = serde_json::from_str(text).unwrap();
        let cases = record.cases.into_iter();
        cases.map(|case| (case.id, case.outcome.to_string(), case.held)).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&first), outcomes(&other));
}

#[test]
fn it_says_that_nothing_is_sent_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["login/success/notation", "--simulate", "1"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let line = "conformant: the simulated reference grid, seed 1 (nothing is sent anywhere)";
    assert!(text.contains(line), "{text}");
}

#[test]
fn a_real_grid_is_on_no_simulated_network() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        ["--simulate", "1", "--login-uri", "http://127.0.0.1:9/"],
        ["--simulate", "1", "--region", "Alpha"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridproof"));
        command.current_dir(folder.path()).arg("run").args(args);
        command.env("GRIDPROOF_ACCOUNT_1", "Test One").env("GRIDPROOF_PASSWORD_1", "x");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("grid"), "{text}");
    }
    let output = run(folder.path(), &["--simulate", "seven"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--simulate"));
}
