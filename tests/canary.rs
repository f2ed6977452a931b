//! Secrets appear nowhere: whatever a grid hands out (passwords and their hashes, session ids,
//! circuit codes, capability URLs), no report, record or failure text contains it, whether cases
//! pass or fail.

#![allow(clippy::unwrap_used)]

use gridproof::grid::{Account, Grid, GridConfig, Said};
use gridproof::proof::{Mutants, shipped_sources};
use gridproof::proto::llsd::Llsd;
use gridproof::proto::login::hash_password;
use gridproof::proto::template::Template;
use gridproof::report::{Paint, failure, json, junit};
use gridproof::runner::{Engine, Options, TIME_FACTOR, Target, reference_target};
use gridproof::suite::{Files, Library, Profile};
use std::collections::BTreeSet;
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

#[tokio::test(flavor = "multi_thread")]
async fn no_report_contains_a_secret() {
    let template = Template::shipped();
    let library = Arc::new(Library::load(&Files::shipped(), template).unwrap());
    let mutants = Mutants::read(&shipped_sources(), &library.catalogue, template).unwrap();
    // A clean grid, and grids that make many cases fail at every stage.
    let chosen =
        ["any-password", "never-acks", "seed-fails", "always-500", "repeats-ids", "foreign-caps"];
    let mut faults = vec![gridproof::grid::Faults::default()];
    for id in chosen {
        faults.push(mutants.all.iter().find(|m| m.id == id).unwrap().faults.afresh());
    }
    for faults in faults {
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
        let tap = Arc::new(move |channel: gridproof::tamper::Channel, _: &str, said: Said<'_>| {
            if let Said::Llsd(value) = said {
                heard.learn(value, channel == gridproof::tamper::Channel::Seed);
            }
        });
        let config = GridConfig {
            accounts,
            time_factor: TIME_FACTOR,
            faults,
            tap: Some(tap),
            ..GridConfig::default()
        };
        let grid = Grid::start(config).await.unwrap();
        let most_patience = Duration::from_millis(1000);
        let target = Target { most_patience, ..reference_target(&grid) };
        let cases: Vec<_> = library.cases().cloned().collect();
        let options = Options { jobs: 24, ..Options::default() };
        let profile = Profile::default();
        let engine = Engine::new(target, library.clone(), profile, template.clone(), options);
        let (_keep, never) = watch::channel(false);
        let record = engine.run(&cases, never, &|_| {}).await;
        grid.shutdown().await;
        let mut outputs = vec![json(&record), junit(&record)];
        for case in &record.cases {
            outputs.push(failure(case, Paint { colour: false }).into_bytes());
        }
        let canaries = canaries.0.lock().unwrap();
        assert!(canaries.len() > 100, "only {} secrets were seen", canaries.len());
        for output in outputs {
            let text = String::from_utf8(output).unwrap();
            for secret in canaries.iter() {
                if let Some(at) = text.find(secret.as_str()) {
                    let from = text[..at].rfind('\n').map_or(0, |n| n + 1);
                    let line: String = text[from..].chars().take(160).collect();
                    panic!("`{secret}` is told: {line}");
                }
            }
        }
    }
}
