//! Reports: which there are of a thing, where each is to be written, and by whom.

use super::Failed;
use crate::proof::{Coverage, Proof, Verdicts};
use crate::report;
use crate::runner::RunRecord;
use std::path::{Path, PathBuf};

/// A report that is asked for, or could be: its flag, its file, how it is written.
pub(super) struct Report<'a, R> {
    pub flag: &'static str,
    pub path: &'a Option<PathBuf>,
    pub write: fn(&R) -> Vec<u8>,
}

/// The reports of one command.
pub(super) struct Reports<'a, R>(pub Vec<Report<'a, R>>);

impl<'a> Reports<'a, RunRecord> {
    /// Those of a run, or of a verdict on visitors, which is recorded like one; the record under
    /// this flag.
    pub(super) fn of_run(
        junit: &'a Option<PathBuf>,
        record: &'a Option<PathBuf>,
        flag: &'static str,
    ) -> Self {
        Self(vec![
            Report { flag: "--junit", path: junit, write: report::junit },
            Report { flag, path: record, write: |record| report::json(record) },
        ])
    }
}

impl<'a, R: Page + serde::Serialize> Reports<'a, R> {
    /// Those of a proof: data and a page.
    pub(super) fn of_proof(json: &'a Option<PathBuf>, html: &'a Option<PathBuf>) -> Self {
        Self(vec![
            Report { flag: "--json", path: json, write: |proof| report::json(proof) },
            Report { flag: "--html", path: html, write: |proof| proof.html().into_bytes() },
        ])
    }
}

/// What can be read as a page.
pub(super) trait Page {
    fn html(&self) -> String;
}

impl Page for Proof {
    fn html(&self) -> String {
        self.html()
    }
}

impl Page for Coverage {
    fn html(&self) -> String {
        self.html()
    }
}

impl Page for Verdicts {
    fn html(&self) -> String {
        self.html()
    }
}

impl<R> Reports<'_, R> {
    fn asked(&self) -> impl Iterator<Item = (&Report<'_, R>, &PathBuf)> {
        self.0.iter().filter_map(|report| Some((report, report.path.as_ref()?)))
    }

    /// Sees before any work is done that each can be written, and that none gets into another's
    /// way.
    pub(super) fn check(&self) -> Result<(), Failed> {
        for (at, (report, path)) in self.asked().enumerate() {
            writable(path)?;
            let same = self.asked().take(at).find(|(_, earlier)| *earlier == path);
            if let Some((other, _)) = same {
                return Err((2, format!("{} and {} name the same file", other.flag, report.flag)));
            }
        }
        Ok(())
    }

    /// Writes those that are asked for.
    pub(super) fn write(&self, of: &R) -> Result<(), Failed> {
        for (report, path) in self.asked() {
            report::write(path, &(report.write)(of))
                .map_err(|error| (6, format!("{}: {error}", path.display())))?;
        }
        Ok(())
    }
}

/// Whether a file can be written there, as far as can be told beforehand.
pub(super) fn writable(path: &Path) -> Result<(), Failed> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err((2, format!("{}: no such folder: {}", path.display(), folder.display())));
    }
    if path.is_dir() {
        return Err((2, format!("{} is a folder", path.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reports_in_one_file_are_a_mistake_and_three_files_are_none() {
        let [a, b, none] = [Some("a.xml".into()), Some("b.json".into()), None::<PathBuf>];
        let reports = |paths: [&'static str; 3], all: [_; 3]| {
            let report = |(flag, path)| Report { flag, path, write: |_: &()| Vec::new() };
            Reports(paths.into_iter().zip(all).map(report).collect()).check()
        };
        let flags = ["--junit", "--json", "--html"];
        assert_eq!(reports(flags, [&a, &b, &none]), Ok(()));
        let same = (2, "--junit and --html name the same file".to_owned());
        assert_eq!(reports(flags, [&a, &b, &a]), Err(same));
    }
}
