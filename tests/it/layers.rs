//! The rule of the house: an import points only to a lower level, and client and grid never see
//! each other. Read from the sources themselves.

use std::path::{Path, PathBuf};

/// Rooms by level. Those of one level do not see each other.
const LEVELS: &[(&str, u32)] = &[
    ("proto", 0),
    ("value", 1),
    ("tamper", 2),
    ("net", 3),
    ("client", 4),
    ("grid", 4),
    ("steps", 5),
    ("suite", 6),
    ("runner", 7),
    ("report", 8),
    ("proof", 9),
    ("judge", 10),
    ("harness", 11),
    ("cli", 11),
];

fn level(room: &str) -> Option<u32> {
    LEVELS.iter().find(|(name, _)| *name == room).map(|(_, level)| *level)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn files() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let file = |path: PathBuf| {
        let inside = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let room = inside.split(['/', '.']).next().unwrap().to_owned();
        (inside, room, std::fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(file).collect()
}

/// Every room a text names by `crate::ROOM`.
fn named(text: &str) -> Vec<String> {
    let rooms = text.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    rooms.collect()
}

/// Imports that break the rule, as `file: crate::room`.
fn broken(files: &[(String, String, String)]) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, room, text) in files {
        let Some(own) = level(room) else { continue };
        for other in named(text).into_iter().filter(|other| other != room) {
            match level(&other) {
                Some(level) if level < own => {}
                _ => broken.push(format!("{file}: crate::{other}")),
            }
        }
    }
    broken
}

#[test]
fn imports_point_to_lower_levels_only() {
    let files = files();
    assert!(files.len() > 60);
    assert_eq!(broken(&files), Vec::<String>::new());
}

#[test]
fn a_broken_rule_would_be_seen() {
    let file = |room: &str, text: &str| (format!("{room}/x.rs"), room.to_owned(), text.to_owned());
    assert_eq!(broken(&[file("client", "use crate::grid::Grid;")]).len(), 1);
    assert_eq!(broken(&[file("proto", "fn f() { crate::net::x() }")]).len(), 1);
    assert_eq!(broken(&[file("net", "use crate::proto::x;")]).len(), 0);
}

#[test]
fn the_core_is_pure() {
    let impure =
        ["std::net::Udp", "std::net::Tcp", "tokio", "std::thread", "std::fs", "SystemTime"];
    for (file, room, text) in files() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        if room == "proto" && !file.ends_with("tests.rs") {
            for word in impure {
                assert!(!code.contains(word), "{file} uses {word}");
            }
            assert!(!code.contains("Instant::now"), "{file} reads a clock");
        }
    }
}

/// The reference grid: its core and rooms wait for nothing and read no clock, rooms do not see each
/// other, and the core sees no room.
#[test]
fn the_grid_is_a_pure_core_with_rooms_that_do_not_see_each_other() {
    let impure = ["tokio", "std::thread", "std::fs", "Instant::now", "Timestamp::now", "rand::"];
    let mut seen = 0;
    for (file, _, text) in files() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let Some(inside) = file.strip_prefix("grid/") else { continue };
        let (room, core) = (inside.strip_prefix("room/"), inside.starts_with("core/"));
        if room.is_some() || core {
            seen += 1;
            for word in impure {
                assert!(!code.contains(word), "{file} uses {word}");
            }
            assert!(!code.contains("room::"), "{file} names a room");
        }
        if let Some(room) = room.filter(|room| *room != "mod.rs") {
            // Beneath a folder the room's own files may see each other.
            let above = if room.contains('/') { "super::super::" } else { "super::" };
            assert!(!code.contains(above), "{file} looks above itself");
        }
        let shell = inside.starts_with("shell/") || inside == "mod.rs" || inside == "bench.rs";
        assert!(shell || !code.contains("tokio"), "{file} uses tokio");
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn files_and_the_binary_stay_small() {
    for (file, _, text) in files() {
        let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(lines <= 500, "{file} has {lines} lines before its tests");
        assert!(file != "main.rs" || lines <= 30, "main.rs has {lines} lines");
    }
}

/// A message, block or field that is misspelt would be found by the handler that first builds it.
#[test]
fn every_message_block_and_field_that_the_sources_name_is_in_the_template() {
    let template = gridproof::proto::template::Template::shipped();
    let has = |block: &str, field: &str| {
        template
            .messages()
            .iter()
            .any(|message| message.block(block).is_some_and(|block| block.field(field).is_some()))
    };
    let named =
        regex::Regex::new(r#"(?:Message::named|agent_message)\([^"]{1,60},"(\w+)""#).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, _, text) in files() {
        let text: String = text.split("#[cfg(test)]").next().unwrap().split_whitespace().collect();
        for name in named.captures_iter(&text).map(|found| found[1].to_owned()) {
            seen += 1;
            if template.message(&name).is_none() {
                wrong.push(format!("{file}: message {name}"));
            }
        }
        for rest in text.split(".with(\"").skip(1) {
            let mut parts = rest.split('"');
            if let (Some(block), Some(","), Some(field)) =
                (parts.next(), parts.next(), parts.next())
            {
                seen += 1;
                if !has(block, field) {
                    wrong.push(format!("{file}: {block}.{field}"));
                }
            }
        }
    }
    assert!(seen > 150, "{seen}");
    assert_eq!(wrong, Vec::<String>::new());
}
