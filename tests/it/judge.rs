//! `serve --judge` as people meet it: what it says of a good visitor, of a bad one, of none.

use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const PASSWORD: &str = "c4nary-passw0rd";

fn gridproof() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridproof"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRIDPROOF_")) {
        command.env_remove(name);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A judging grid, and where to log in.
struct Court {
    child: Child,
    out: BufReader<ChildStdout>,
    uri: String,
}

impl Court {
    fn open(args: &[&str]) -> Self {
        let account = format!("Jane Doe:{PASSWORD}");
        let mut command = gridproof();
        let command = command.args(["serve", "--judge", "--json", "--account", &account]);
        let command = command.args(["--time-factor", "40"]).args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let announced: Json = serde_json::from_str(&line).unwrap();
        let uri = announced["login_uri"].as_str().unwrap().to_owned();
        Self { child, out, uri }
    }

    /// Our own program as a visitor, by one of its cases.
    fn visit(&self, case: &str) -> Output {
        self.visit_as(PASSWORD, case)
    }

    fn visit_as(&self, password: &str, case: &str) -> Output {
        let mut command = gridproof();
        command
            .args(["run", case, "--login-uri", &self.uri])
            .args(["--region", "Alpha", "--neighbour", "Beta", "--distant", "Gamma"])
            .args(["--time-factor", "40"])
            .env("GRIDPROOF_ACCOUNT_1", "Jane Doe")
            .env("GRIDPROOF_PASSWORD_1", password);
        command.output().unwrap()
    }

    /// Ends it by Ctrl-C: its exit code, and what it said.
    fn close(mut self) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.verdict()
    }

    /// Waits for its end: its exit code, and what it said.
    fn verdict(&mut self) -> (i32, String) {
        let mut said = String::new();
        self.out.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code().unwrap(), said)
    }
}

impl Drop for Court {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn outcome<'r>(record: &'r Json, requirement: &str) -> &'r Json {
    let cases = record["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["requirements"][0] == requirement);
    &case.unwrap_or_else(|| panic!("no case for {requirement}"))["outcome"]
}

#[test]
fn a_good_visitor_meets_what_it_gave_occasion_for() {
    let folder = tempfile::tempdir().unwrap();
    let (junit, json) = (folder.path().join("v.xml"), folder.path().join("v.json"));
    let reports = ["--junit", junit.to_str().unwrap(), "--record", json.to_str().unwrap(), "-v"];
    let court = Court::open(&reports);
    let visit = court.visit("teleport/region/there-and-back");
    assert_eq!(visit.status.code(), Some(0), "{}", text(&visit.stdout));
    let (code, said) = court.close();
    // It sends no AgentUpdate of itself: a SHOULD, which fails nothing by itself.
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("\nconformant: 4 visits to http://127.0.0.1:"), "{said}");
    let record: Json = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for met in ["TP-X-NEW-CIRCUIT-1", "TP-X-SEED-1", "CIR-CLIENT-SEQ-1", "EQ-ACK-ECHO-1"] {
        assert_eq!(outcome(&record, met), "pass", "{met}");
    }
    // What was not tried says how to try it.
    assert_eq!(outcome(&record, "EQ-404-STOPS-1"), "impossible");
    assert!(said.contains("not tried: --trial lost-queue"), "{said}");
    let xml = std::fs::read_to_string(&junit).unwrap();
    let document = roxmltree::Document::parse(&xml).unwrap();
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase")).count();
    assert_eq!(cases, record["cases"].as_array().unwrap().len());
    for written in [said, xml, record.to_string()] {
        assert!(!written.contains(PASSWORD) && !written.contains("/CAPS/"), "{written}");
    }
}

#[test]
fn a_bad_visitor_is_told_what_it_broke_and_where() {
    let court = Court::open(&[]);
    court.visit("packet/malformed/six-bytes");
    let (code, said) = court.close();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("FAIL client/packet/PKT-CLIENT-DECODES-1"), "{said}");
    assert!(said.contains("a message as the template lays it out"), "{said}");
    assert!(said.contains("(Jane Doe)"), "{said}");
    assert!(said.contains("\nnot conformant: 4 visits to "), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
}

#[test]
fn a_trial_is_done_to_visitors_and_judged() {
    let court = Court::open(&["--trial", "no-inventory-root", "--trial", "lost-queue"]);
    court.visit("teleport/local/here");
    let (code, said) = court.close();
    // Our viewer goes on without an inventory root: a SHOULD.
    assert!(!said.contains("not tried: --trial lost-queue"), "{said}");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("WARN client/login/LOGIN-MISSING-INVENTORY-ROOT-1"), "{said}");
    assert!(said.contains("reproduce gridproof serve --judge --trial no-inventory-root"), "{said}");
}

#[test]
fn a_broken_should_fails_who_asks_for_it() {
    let court = Court::open(&["--trial", "no-inventory-root", "--fail-on", "should"]);
    court.visit("teleport/local/here");
    let (code, said) = court.close();
    assert_eq!(code, 1, "{said}");
}

#[test]
fn it_ends_by_itself_and_says_that_nobody_came() {
    let mut court = Court::open(&["--for", "50ms"]);
    let (code, said) = court.verdict();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("nobody logged in"), "{said}");
}

#[test]
fn whoever_is_not_let_in_proves_nothing() {
    let court = Court::open(&[]);
    court.visit_as("not-the-password", "teleport/local/here");
    let (code, said) = court.close();
    assert_eq!(code, 4, "{said}");
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_served() {
    let refused = |args: &[&str]| {
        let output = gridproof().arg("serve").args(args).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
        text(&output.stderr)
    };
    let unknown = refused(&["--judge", "--trial", "lost-queu"]);
    assert!(unknown.contains("lost-queue"), "{unknown}");
    assert!(refused(&["--trial", "lost-queue"]).contains("--judge"));
    let both = refused(&["--judge", "--trial", "udp-finish", "--trial", "udp-enable"]);
    assert!(both.contains("one at a time"), "{both}");
    assert!(refused(&["--judge", "--for", "0s"]).contains("60s"));
    assert!(refused(&["--judge", "--junit", "/nowhere/at/all.xml"]).contains("no such folder"));
    let same = refused(&["--judge", "--junit", "x", "--record", "x"]);
    assert!(same.contains("the same file"), "{same}");
}
