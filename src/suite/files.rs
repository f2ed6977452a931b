//! Where suites come from: the ones inside the program, and files and folders named by users.

use super::Source;
use include_dir::{Dir, include_dir};
use std::path::Path;
use std::sync::Arc;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/suites");

/// Sources by kind.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Files of requirements.
    pub requirements: Vec<Arc<Source>>,
    /// Files of one procedure each.
    pub procedures: Vec<Arc<Source>>,
    /// Files of cases.
    pub suites: Vec<Arc<Source>>,
}

impl Files {
    /// The files inside the program.
    pub fn shipped() -> Self {
        let mut files = Self::default();
        walk(&SHIPPED, &mut |path, text| files.add(format!("suites/{path}"), text));
        files
    }

    /// These files, and what a path on disk holds: a file, or every `.toml` below a folder. A
    /// folder may have `requirements/` and `procedures/` of its own.
    ///
    /// # Errors
    /// No such file, or one that cannot be read: in words.
    pub fn with_path(mut self, path: &Path) -> Result<Self, String> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        if path.is_dir() {
            for file in toml_files(path)? {
                let text = read(&file)?;
                self.add(file.display().to_string(), &text);
            }
        } else {
            let text = read(path)?;
            self.add(path.display().to_string(), &text);
        }
        Ok(self)
    }

    /// Adds a text under a path; its folder says what it is.
    pub fn add(&mut self, path: String, text: &str) {
        let folder = |name: &str| path.split(['/', '\\']).rev().skip(1).any(|part| part == name);
        let list = if folder("requirements") {
            &mut self.requirements
        } else if folder("procedures") {
            &mut self.procedures
        } else if folder("profiles") {
            return;
        } else {
            &mut self.suites
        };
        // A file named again, as a path on disk, replaces the one inside the program.
        list.retain(|source| source.path != path);
        list.push(Arc::new(Source { path, text: text.to_owned() }));
    }
}

/// The text of a profile inside the program, and the names of all of them.
pub fn shipped_profile(name: &str) -> (Option<Arc<Source>>, Vec<String>) {
    let mut found = None;
    let mut names = Vec::new();
    walk(&SHIPPED, &mut |path, text| {
        if let Some(file) = path.strip_prefix("profiles/") {
            let stem = file.trim_end_matches(".toml").to_owned();
            if stem == name {
                let path = format!("suites/{path}");
                found = Some(Arc::new(Source { path, text: text.to_owned() }));
            }
            names.push(stem);
        }
    });
    (found, names)
}

fn walk(dir: &Dir<'_>, visit: &mut impl FnMut(&str, &str)) {
    let mut files: Vec<_> = dir.files().collect();
    files.sort_by_key(|file| file.path());
    for file in files {
        if let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8())
            && path.ends_with(".toml")
        {
            visit(path, text);
        }
    }
    dir.dirs().for_each(|dir| walk(dir, visit));
}

fn toml_files(dir: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder);
        let entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "toml") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
