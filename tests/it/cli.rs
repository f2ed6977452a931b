//! The program as people meet it: what it prints, and how it exits.

use crate::served::{CANARY, against, gridproof, interrupt, run, served, text};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn feed(args: &[&str], input: &str) -> (i32, Vec<String>) {
    let mut command = gridproof();
    let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let lines = text(&output.stdout).lines().map(str::to_owned).collect();
    (output.status.code().unwrap(), lines)
}

fn vectors(file: &str) -> Vec<Json> {
    let path = format!("{}/fixtures/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn datagrams_go_through_decode_and_encode_unchanged() {
    let hex: Vec<String> = vectors("udp-messages.jsonl")
        .iter()
        .map(|line| line["hex"].as_str().unwrap().to_owned())
        .collect();
    let (code, json) = feed(&["decode"], &(hex.join("\n") + "\n"));
    assert_eq!((code, json.len()), (0, hex.len()));
    let (code, again) = feed(&["encode"], &(json.join("\n") + "\n"));
    assert_eq!(code, 0);
    assert_eq!(again, hex);
}

#[test]
fn llsd_and_xmlrpc_go_through_decode_and_encode_unchanged() {
    for (format, member) in
        [("llsd-binary", "binary"), ("llsd-notation", "notation"), ("llsd-xml", "xml")]
    {
        let lines = vectors("llsd.jsonl");
        let lines = lines.iter().filter(|line| line["kind"] == "value");
        let plain = lines.filter(|line| line[format!("{member}_decodes_to")].is_null());
        let documents: Vec<String> = plain
            .map(|line| match member {
                "binary" => line[member].as_str().unwrap().to_owned(),
                _ => hex::encode(line[member].as_str().unwrap()),
            })
            .collect();
        let (code, json) = feed(&["decode", "--format", format], &(documents.join("\n") + "\n"));
        assert_eq!((code, json.len()), (0, documents.len()), "{format}");
        let (code, again) = feed(&["encode", "--format", format], &(json.join("\n") + "\n"));
        assert_eq!(code, 0, "{format}");
        // A boolean is written as viewers write it, whatever word the vector has for it.
        let digits = |hex: &String| {
            let word = |word: &str, digit: &str, hex: &str| {
                let tag = |text: &str| hex::encode(format!("<boolean>{text}</boolean>"));
                hex.replace(&tag(word), &tag(digit))
            };
            word("false", "0", &word("true", "1", hex))
        };
        let documents: Vec<String> = documents.iter().map(digits).collect();
        assert_eq!(again, documents, "{format}");
    }
    let documents: Vec<String> = vectors("xmlrpc.jsonl")
        .iter()
        .filter(|line| line["kind"] != "malformed")
        .map(|line| hex::encode(line["xml"].as_str().unwrap()))
        .collect();
    let (code, json) = feed(&["decode", "--format", "xmlrpc"], &(documents.join("\n") + "\n"));
    assert_eq!((code, json.len()), (0, documents.len()));
    let (_, again) = feed(&["encode", "--format", "xmlrpc"], &(json.join("\n") + "\n"));
    let (_, twice) = feed(&["decode", "--format", "xmlrpc"], &(again.join("\n") + "\n"));
    assert_eq!(twice, json);
}

#[test]
fn a_bad_document_is_an_error_object_and_exit_1() {
    let (code, lines) = feed(&["decode"], "zz\n00\n000000055500015854050000\n");
    assert_eq!(code, 1);
    let json: Vec<Json> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(json[0]["error"].as_str().unwrap().starts_with("not hex"));
    assert_eq!(json[1]["error"], "datagram shorter than 7 bytes");
    assert_eq!(json[2]["message"], "StartPingCheck");
    assert_eq!(json[2]["packet_id"], 1365);
    assert_eq!(json[2]["blocks"]["PingID"][0]["OldestUnacked"], 1364);
}

#[test]
fn every_mistake_of_a_suite_is_told_at_once_and_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let suite = folder.path().join("bad.toml");
    let bad = r#"
title = "Bad"
[[case]]
id = "one"
title = "One"
impair = [{ drop = "*", nth = -3 }, { drop = "*", chance = 1.5 }, { double = "*", nth = "2" }]
step = [
  { do = "login.xmlrcp" },
  { do = "udp.expect", mesage = "RegionHandshake", message = "RegionHandshak" },
  { do = "login.xmlrpc", within = 5, expect = [
    { path = "login", equal = "true" },
    { path = "login", type = "strng", requirement = "LOGIN-BAD-PASSWORD-9" },
  ] },
  { do = "udp.send", message = "AgentUpdate", blocks = { AgentData = { Farr = 1.0, Flags = 300 } } },
  { do = "udp.acked", of = "${lgoin.sequence}" },
]
violates = ["HS-CLIENT-UPDAT-1", "LOGIN-BAD-PASSWORD-1"]
always = [{ do = "session.logout", requirement = "HS-LOGOUT-REPLY-1" }]
"#;
    std::fs::write(&suite, bad).unwrap();
    for command in ["check", "run"] {
        let output = run(&[command, suite.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stdout).is_empty());
        let told = text(&output.stderr);
        for part in [
            "unknown step `login.xmlrcp`; did you mean `login.xmlrpc`?",
            "unknown key `mesage`; did you mean `message`?",
            "unknown message `RegionHandshak`; did you mean `RegionHandshake`?",
            "`within` takes a time",
            "unknown predicate `equal`; did you mean `equals`?",
            "unknown type `strng`; did you mean `string`?",
            "unknown requirement `LOGIN-BAD-PASSWORD-9`; did you mean `LOGIN-BAD-PASSWORD-1`?",
            "unknown field `Farr`; did you mean `Far`?",
            "Flags takes U8, not 300",
            "unknown reference `lgoin`",
            "unknown requirement of clients `HS-CLIENT-UPDAT-1`; did you mean `HS-CLIENT-UPDATE-1`?",
            "`LOGIN-BAD-PASSWORD-1` binds no client",
            "clean-up cites no requirement",
            "`nth` takes a whole number from 1 to 1048576",
            "bad.toml:6:31",
            "bad.toml:6:89",
            "`chance` takes a number from 0 to 1",
            "bad.toml:8:10",
            "^^^^^^^^^^^^^^",
        ] {
            assert!(told.contains(part), "`{part}` is not in:\n{told}");
        }
    }
}

#[test]
fn a_named_grid_without_credentials_names_the_table_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials.toml");
    let path = file.to_str().unwrap();
    let output = run(&["run", "--grid", "home", "--credentials", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("credentials.example.toml"));
    std::fs::write(&file, "[grid.other]\nlogin_uri = \"http://127.0.0.1:1/\"\n").unwrap();
    let output = run(&["run", "--grid", "home", "--credentials", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no table `[grid.home]` (it has other)"));
    let output = run(&["run", "--grid", "other", "--credentials", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("[[grid.other.account]]"));
    for broken in [
        "[grid.x]\npassword = \"hunter2-secret\nlogin",
        "[grid.x]\nlogin_uri = \"http://h/\"\naccount = \"A B:hunter2\"",
        "[grid.x]\nlogin_uri = \"http://h/\"\nhunter2 = 1",
    ] {
        std::fs::write(&file, broken).unwrap();
        let output = run(&["run", "--grid", "x", "--credentials", path]);
        assert_eq!(output.status.code(), Some(2));
        let told = text(&output.stderr);
        assert!(!told.contains("hunter2") && told.contains("credentials.toml:"), "{told}");
    }
    let odd = "[grid.x]\nlogin_uri = \"http://127.0.0.1:1/\"\ntime_scale = nan\n";
    std::fs::write(&file, odd).unwrap();
    let output = run(&["run", "--grid", "x", "--credentials", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("time_scale"));
}

#[test]
fn a_grid_that_is_down_is_exit_3_and_an_empty_selection_is_exit_4() {
    let output = gridproof()
        .args(["run", "--login-uri", "http://127.0.0.1:1/"])
        .env("GRIDPROOF_ACCOUNT_1", "A B")
        .env("GRIDPROOF_PASSWORD_1", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("does not answer"));
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("r.json");
    let output = gridproof()
        .args(["run", "--login-uri", "http://127.0.0.1:1/", "--json", json.to_str().unwrap()])
        .env("GRIDPROOF_ACCOUNT_1", "A B")
        .env("GRIDPROOF_PASSWORD_1", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let record: Json = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(record["exit"], 3);
    assert!(record["cases"][0]["reason"].as_str().unwrap().contains("does not answer"));
    assert_eq!(run(&["run", "no/such/case"]).status.code(), Some(4));
    assert_eq!(run(&["list", "no/such/case"]).status.code(), Some(4));
    assert_eq!(run(&["run", "login/start/home", "no/such/case"]).status.code(), Some(4));
    assert_eq!(run(&["run", "no-such-file.toml"]).status.code(), Some(2));
    let output = gridproof().arg("run").env("GRIDPROOF_LOGIN_URI", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(run(&["run", "--no-such-flag"]).status.code(), Some(2));
    let output = run(&["run", "--login-uri", "http://127.0.0.1:1/"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("GRIDPROOF_ACCOUNT_1"));
}

#[test]
fn a_list_names_every_case_with_what_it_cites() {
    let output = run(&["list", "--json"]);
    let cases: Vec<Json> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(cases.len() >= 60);
    for case in &cases {
        for member in ["id", "title", "level", "tags", "needs", "requirements"] {
            assert!(case.get(member).is_some(), "{case} has no {member}");
        }
        assert!(!case["requirements"].as_array().unwrap().is_empty(), "{case} cites nothing");
    }
    let smoke: Vec<Json> =
        serde_json::from_slice(&run(&["list", "--json", "--tag", "smoke"]).stdout).unwrap();
    assert!(smoke.len() >= 8 && smoke.len() < cases.len());
    assert!(smoke.iter().all(|case| case["effects"] == "read"));
}

#[test]
fn what_a_list_names_can_be_explained() {
    for id in
        ["login/refusals/wrong-password", "LOGIN-BAD-PASSWORD-1", "udp.expect", "types", "record"]
    {
        assert_eq!(run(&["explain", id]).status.code(), Some(0), "{id}");
    }
    let output = run(&["explain", "udp.expct"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean `udp.expect`?"));
    assert!(text(&run(&["steps"]).stdout).contains("session.enter"));
}

#[test]
fn a_served_grid_announces_itself_is_tested_and_ends_on_ctrl_c() {
    let mut served = served();
    assert_eq!(served.announced["regions"][1]["name"], "Next");
    assert_eq!(served.announced["regions"][1]["x"], 6);
    assert_eq!(served.announced["accounts"][0]["first"], "Jane");
    assert_eq!(served.announced["accounts"][3]["first"], "Test");
    let folder = tempfile::tempdir().unwrap();
    let (junit, json) = (folder.path().join("r.xml"), folder.path().join("r.json"));
    let reports = ["--junit", junit.to_str().unwrap(), "--json", json.to_str().unwrap()];
    let beside = ["--region", "Home", "--neighbour", "Next"];
    let regions = [&beside[..], &["--distant", "Far", "--closed", "Shut"]].concat();
    let output = against(&served, &[&reports[..], &regions[..]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let record: Json = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(record["format"], 1);
    let cases = record["cases"].as_array().unwrap();
    let others: Vec<_> = cases.iter().filter(|case| case["outcome"] != "pass").collect();
    assert!(others.is_empty(), "{others:#?}");
    well_formed(&junit, cases.len());
    let everything = [
        output.stdout,
        output.stderr,
        std::fs::read(&junit).unwrap(),
        std::fs::read(&json).unwrap(),
    ];
    let digest = "$1$";
    for bytes in everything {
        let text = text(&bytes);
        assert!(!text.contains(CANARY) && !text.contains(digest), "a password is in an output");
        assert!(!text.contains("/CAPS/"), "a capability URL is in an output");
    }
    interrupt(&served.child);
    assert!(served.child.wait().unwrap().success());
}

fn well_formed(path: &Path, cases: usize) {
    let text = std::fs::read_to_string(path).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let found = document.descendants().filter(|node| node.has_tag_name("testcase"));
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), cases);
    assert!(found.iter().all(|node| node.attribute("classname").is_some()));
}

#[test]
fn a_failing_case_exits_1_and_says_what_broke() {
    let folder = tempfile::tempdir().unwrap();
    let suite: PathBuf = folder.path().join("own.toml");
    let own = r#"
title = "Own"
[[case]]
id = "motd"
title = "The grid greets in Latin"
[[case.step]]
do = "login.xmlrpc"
expect = [{ path = "message", starts_with = "Salve", requirement = "LOGIN-BAD-PASSWORD-4" }]
"#;
    std::fs::write(&suite, own).unwrap();
    let junit = folder.path().join("r.xml");
    let args = ["run", suite.to_str().unwrap(), "--junit", junit.to_str().unwrap()];
    let output = run(&args);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    for part in [
        "FAIL",
        "motd",
        "LOGIN-BAD-PASSWORD-4 MUST",
        "expected  text that starts with \"Salve\"",
        "received  \"Welcome",
        "own.toml:8:",
        "^^^",
        "reproduce gridproof run",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    let own = |line: &&str| !line.contains(folder.path().to_str().unwrap());
    assert!(told.lines().filter(own).all(|line| line.chars().count() <= 80), "{told}");
    well_formed(&junit, 1);
    assert!(std::fs::read_to_string(&junit).unwrap().contains("MUST LOGIN-BAD-PASSWORD-4"));
}

#[test]
fn an_interrupted_run_logs_out_and_says_what_never_ran() {
    let served = served();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("r.json");
    let jobs = ["--jobs", "1", "--region", "Home", "--json", json.to_str().unwrap()];
    let mut command = against(&served, &jobs);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("pass"))).unwrap().unwrap();
    interrupt(&child);
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(6));
    let record: Json = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(record["interrupted"], true);
    let skipped = |case: &&Json| case["outcome"] == "skipped";
    assert!(record["cases"].as_array().unwrap().iter().filter(skipped).count() > 10);
    let output = against(&served, &["login/success/types", "--region", "Home"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}
