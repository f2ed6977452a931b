//! `gridproof mutants` and `gridproof coverage` as people meet them: bad input, weak cases, marks.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let command = env!("CARGO_BIN_EXE_gridproof");
    let output: Output = Command::new(command).current_dir(folder).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn folder(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// Whatever is wrong with a mutant is told with its place, all at once, before anything runs.
#[test]
fn every_mistake_in_a_file_of_mutants_is_told_with_its_place() {
    let mistakes = r#"
[[mutant]]
id     = "a"
title  = "Names no requirement"
policy = "any-password"

[[mutant]]
id     = "b"
title  = "Names what is not there"
breaks = "LOGIN-NOT-A-REQUIREMENT"
policy = "any-pasword"

[[mutant]]
id     = "c"
title  = "Has wrong rules"
breaks = ["LOGIN-INT-TYPES-1"]
rules  = [
  { do = "drop", channel = "udp", message = "RegionHandshak" },
  { do = "zero", channel = "udp", message = "RegionHandshake", field = "RegionInfo.SimNam" },
  { do = "remove", channel = "login" },
  { do = "status", channel = "login", value = 7 },
  { do = "set", channel = "udp", message = "StartPingCheck", field = "PingID.PingID", value = "x" },
  { do = "vanish", channel = "radio" },
  { do = "empty", channel = "caps", message = "NoSuchCapability", from = 0 },
  { do = "drop", channel = "events", message = "NoSuchEvent" },
]

[[mutant]]
id     = "c"
title  = "Has the id of another, and no fault"
breaks = ["LOGIN-INT-TYPES-1"]
"#;
    let (folder, _) = folder("mine.toml", mistakes);
    let (code, stdout, stderr) = run(folder.path(), &["mutants", "mine.toml"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let told = [
        ("a mutant names the requirements it breaks", "mine.toml:2:1"),
        ("unknown requirement `LOGIN-NOT-A-REQUIREMENT`", "mine.toml:10:1"),
        ("unknown policy `any-pasword`", "mine.toml:11:1"),
        ("unknown message `RegionHandshak`", "mine.toml:18:35"),
        ("unknown field `SimNam`", "mine.toml:19:64"),
        ("`remove` needs a `field`", "mine.toml:20:5"),
        ("`status` needs `value`: a status from 100 to 599", "mine.toml:21:5"),
        ("PingID.PingID takes U8, not \"x\"", "mine.toml:22:"),
        ("unknown channel `radio`", "mine.toml:23:"),
        ("unknown capability `NoSuchCapability`", "mine.toml:24:"),
        ("`from` takes a whole number from 1", "mine.toml:24:"),
        ("unknown event `NoSuchEvent`", "mine.toml:25:"),
        ("mutant `c` is defined twice", "mine.toml:29:1"),
        ("a mutant without a fault", "mine.toml:28:1"),
    ];
    for (what, place) in told {
        let found = stderr.split("error: ").find(|one| one.starts_with(what));
        let found = found.unwrap_or_else(|| panic!("`{what}` is not told:\n{stderr}"));
        assert!(found.contains(place), "`{what}` is not at {place}:\n{found}");
    }
    assert_eq!(stderr.matches("error: ").count(), told.len(), "{stderr}");
}

/// A fault that never makes a difference proves nothing, and says so.
#[test]
fn a_rule_that_never_applies_is_no_proof() {
    let idle = r#"
[[mutant]]
id     = "idle"
title  = "Changes what is never said"
breaks = ["LOGIN-INT-TYPES-1"]
rules  = [{ do = "remove", channel = "login", field = "no_such_member" }]
"#;
    let (folder, _) = folder("idle.toml", idle);
    let (code, stdout, _) = run(folder.path(), &["mutants", "idle.toml"]);
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("never applied idle") && stdout.contains("idle.toml:2:1"), "{stdout}");
}

/// A case that looks less closely than it did lets a mutant through.
#[test]
fn a_weakened_case_is_found_out() {
    let suite = include_str!("../../suites/circuit/pings.toml");
    let strict =
        r#"{ path = "header.reliable", equals = false, requirement = "CIR-PONG-UNRELIABLE-1" }"#;
    assert!(suite.contains(strict));
    let weak = suite.replace(strict, &strict.replace("equals = false", "exists = true"));
    let (folder, _) = folder("suites/circuit/pings.toml", &weak);
    let selection = ["mutants", "CIR-PONG-UNRELIABLE-1", "--suite", "suites/circuit/pings.toml"];
    let (code, stdout, _) = run(folder.path(), &selection);
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("nobody noticed CIR-PONG-UNRELIABLE-1"), "{stdout}");
    let (code, stdout, _) = run(folder.path(), &["mutants", "CIR-PONG-UNRELIABLE-1"]);
    assert_eq!(code, 0, "{stdout}");
}

#[test]
fn what_matches_no_mutant_is_an_error() {
    let here = Path::new(".");
    let (code, _, stderr) = run(here, &["mutants", "no-such-mutant"]);
    assert_eq!(code, 4);
    assert!(stderr.contains("`no-such-mutant` matches no mutant"), "{stderr}");
    for id in ["any-pasword", "udp/NoSuchMessage/drop", "udp/StartPingCheck/PingID.No/zero"] {
        let (code, _, stderr) = run(here, &["serve", "--mutant", id]);
        assert_eq!(code, 2, "{id}: {stderr}");
        assert!(stderr.contains("unknown mutant"), "{stderr}");
    }
}

#[test]
fn coverage_holds_a_mark_and_reads_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (code, stdout, _) = run(here, &["coverage", "--fail-under", "1"]);
    assert_eq!(code, 0, "{stdout}");
    assert_eq!(run(here, &["coverage", "--fail-under", "100"]).0, 1);
    assert_eq!(run(here, &["coverage", "--fail-under", "101"]).0, 2);
    let (code, _, stderr) = run(here, &["coverage", "--record", "missing.json"]);
    assert!(code == 2 && stderr.contains("missing.json"), "{stderr}");
    std::fs::write(here.join("odd.json"), "{\"format\": 1}").unwrap();
    let (code, _, stderr) = run(here, &["coverage", "--record", "odd.json"]);
    assert!(code == 2 && stderr.contains("odd.json: no run record"), "{stderr}");
    let case = "login/refusals/wrong-password";
    assert_eq!(run(here, &["run", case, "--json", "run.json"]).0, 0);
    let args = ["coverage", "--record", "run.json", "--json", "c.json", "--html", "c.html"];
    assert_eq!(run(here, &args).0, 0);
    let json = std::fs::read(here.join("c.json")).unwrap();
    let coverage: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let exercised = |id: &str| {
        let all = coverage["requirements"].as_array().unwrap();
        all.iter().find(|r| r["id"] == id).unwrap()["exercised"] == true
    };
    assert!(exercised("LOGIN-BAD-PASSWORD-2") && !exercised("LOGIN-INT-TYPES-1"));
    let html = std::fs::read_to_string(here.join("c.html")).unwrap();
    assert!(html.contains("LOGIN-BAD-PASSWORD-2") && !html.contains("http://"));
}
