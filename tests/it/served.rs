//! The program as a child: a grid that it serves, and runs against it.

#![allow(dead_code)]

use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

pub(crate) fn gridproof() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridproof"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRIDPROOF_")) {
        command.env_remove(name);
    }
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    gridproof().args(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A served grid, ended when dropped.
pub(crate) struct Served {
    pub child: Child,
    pub announced: Json,
}

impl Served {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = gridproof();
        let mut child =
            command.arg("serve").arg("--json").args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { announced: serde_json::from_str(&line).unwrap(), child }
    }

    pub(crate) fn uri(&self) -> &str {
        self.announced["login_uri"].as_str().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn interrupt(child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

pub(crate) const CANARY: &str = "c4nary-passw0rd";

pub(crate) fn against(served: &Served, args: &[&str]) -> Command {
    let mut command = gridproof();
    command
        .arg("run")
        .args(args)
        .args(["--login-uri", served.uri(), "--time-factor", "40"])
        .env("GRIDPROOF_ACCOUNT_1", "Jane Doe")
        .env("GRIDPROOF_PASSWORD_1", CANARY)
        .env("GRIDPROOF_ACCOUNT_2", "John Doe")
        .env("GRIDPROOF_PASSWORD_2", CANARY)
        .env("GRIDPROOF_ACCOUNT_3", "Jack Doe")
        .env("GRIDPROOF_PASSWORD_3", CANARY);
    command
}

pub(crate) fn served() -> Served {
    let jane = format!("Jane Doe:{CANARY}");
    let john = format!("John Doe:{CANARY}");
    let jack = format!("Jack Doe:{CANARY}");
    let regions = ["Home@5,5", "Next@6,5", "Far@50,50", "Shut@5,4:closed"];
    let regions: Vec<&str> = regions.iter().flat_map(|region| ["--region", region]).collect();
    let accounts = ["--account", &jane, "--account", &john, "--account", &jack];
    Served::start(&[&regions[..], &accounts[..], &["--time-factor", "40"]].concat())
}
