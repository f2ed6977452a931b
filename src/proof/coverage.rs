//! What of the catalogue the suites test, and what of that a run exercised.

use super::verdict::Score;
use crate::report::Paint;
use crate::runner::RunRecord;
use crate::suite::{Level, Library, Requirement};
use std::collections::BTreeSet;

/// Where a requirement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A case cites it.
    Tested,
    /// A client's visit shows it: `serve --judge`.
    Judged,
    /// No case can test it; the catalogue says why.
    Untestable,
    /// No case tests it yet.
    Untested,
}

impl Status {
    /// The status's word.
    pub fn words(self) -> &'static str {
        match self {
            Self::Tested => "tested",
            Self::Judged => "judged",
            Self::Untestable => "untestable",
            Self::Untested => "untested",
        }
    }
}

/// One requirement.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RequirementCoverage {
    /// Its id.
    pub id: String,
    /// Its area.
    pub area: String,
    /// Its level.
    pub level: Level,
    /// Its sentence.
    pub text: String,
    /// Where it stands.
    pub status: Status,
    /// The cases that cite it.
    pub cases: Vec<String>,
    /// Why no case tests it.
    pub why: Option<String>,
    /// The run judged it.
    pub exercised: bool,
    /// The run found it broken.
    pub broken: bool,
}

/// The requirements of one area and level.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AreaCoverage {
    /// The area.
    pub area: String,
    /// The level.
    pub level: Level,
    /// How many there are.
    pub all: usize,
    /// How many a case cites, or a client's visit shows.
    pub tested: usize,
    /// How many no case can test.
    pub untestable: usize,
    /// How many no case tests yet.
    pub untested: usize,
    /// How many the run judged, if a run is given.
    pub exercised: Option<usize>,
    /// How many the run found broken, if a run is given.
    pub broken: Option<usize>,
}

/// What of the catalogue is tested.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Coverage {
    /// The version of this format.
    pub format: u32,
    /// By area and level.
    pub areas: Vec<AreaCoverage>,
    /// Every requirement.
    pub requirements: Vec<RequirementCoverage>,
}

impl Coverage {
    /// Holds the catalogue against the suites, and against a run where there is one.
    pub fn of(library: &Library, run: Option<&RunRecord>) -> Self {
        let cases = run.map_or(&[][..], |run| run.cases.as_slice());
        let broken: BTreeSet<&str> = cases
            .iter()
            .flat_map(|case| &case.findings)
            .flat_map(|finding| finding.requirements())
            .collect();
        let held: BTreeSet<&str> =
            cases.iter().flat_map(|case| &case.held).map(String::as_str).collect();
        let requirements: Vec<RequirementCoverage> = library
            .catalogue
            .all
            .values()
            .map(|requirement| {
                let id = requirement.id.as_str();
                let broken = broken.contains(id);
                let exercised = broken || held.contains(id);
                RequirementCoverage { exercised, broken, ..covered(requirement, library) }
            })
            .collect();
        let mut kinds: Vec<(&str, Level)> =
            requirements.iter().map(|r| (r.area.as_str(), r.level)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let areas = kinds.into_iter().map(|(area, level)| {
            let of = requirements.iter().filter(|r| r.area == area && r.level == level);
            let count = |wanted: &dyn Fn(&RequirementCoverage) -> bool| {
                of.clone().filter(|r| wanted(r)).count()
            };
            AreaCoverage {
                area: area.to_owned(),
                level,
                all: of.clone().count(),
                tested: count(&|r| matches!(r.status, Status::Tested | Status::Judged)),
                untestable: count(&|r| r.status == Status::Untestable),
                untested: count(&|r| r.status == Status::Untested),
                exercised: run.map(|_| count(&|r| r.exercised)),
                broken: run.map(|_| count(&|r| r.broken)),
            }
        });
        let areas = areas.collect();
        Self { format: 1, areas, requirements }
    }

    /// How much is tested of what a case can test, in percent.
    pub fn percent(&self) -> f64 {
        let tested = self.areas.iter().map(|area| area.tested).sum();
        let open: usize = self.areas.iter().map(|area| area.untested).sum();
        Score { of: tested, all: tested + open }.percent()
    }

    /// A table by area and level; with `verbose` every requirement that no case tests.
    pub fn text(&self, paint: Paint, verbose: bool) -> String {
        let head = format!(
            "{:<12} {:<6} {:>6} {:>7} {:>10} {:>9} {:>10} {:>7}\n",
            "area", "level", "all", "tested", "untestable", "untested", "exercised", "broken"
        );
        let mut out = paint.bold(&head);
        let told = |n: Option<usize>| n.map_or("-".to_owned(), |n| n.to_string());
        for area in &self.areas {
            let line = format!(
                "{:<12} {:<6} {:>6} {:>7} {:>10} {:>9} {:>10} {:>7}\n",
                area.area,
                area.level,
                area.all,
                area.tested,
                area.untestable,
                area.untested,
                told(area.exercised),
                told(area.broken),
            );
            out.push_str(&if area.broken.is_some_and(|n| n > 0) { paint.red(&line) } else { line });
        }
        for status in [Status::Untested, Status::Untestable].into_iter().filter(|_| verbose) {
            out.push_str(&paint.bold(&format!("\n{}\n", status.words())));
            for requirement in self.requirements.iter().filter(|r| r.status == status) {
                out.push_str(&format!("  {:<6} {}\n", requirement.level, requirement.id));
                let why = requirement.why.as_deref().unwrap_or("no case, and nothing says why");
                let text = [requirement.text.as_str(), why];
                for line in text.iter().flat_map(|text| crate::report::wrap(text, 70)) {
                    out.push_str(&format!("         {line}\n"));
                }
            }
        }
        out.push_str(&format!("tested {:.1} % of what a case can test\n", self.percent()));
        out
    }
}

fn covered(requirement: &Requirement, library: &Library) -> RequirementCoverage {
    let citing = library.cases().filter(|case| case.requirements.contains(&requirement.id));
    let cases: Vec<String> = citing.map(|case| case.id.clone()).collect();
    let status = match (cases.is_empty(), &requirement.judge, &requirement.untested) {
        (false, ..) => Status::Tested,
        (true, Some(_), _) => Status::Judged,
        (true, None, Some(_)) => Status::Untestable,
        (true, None, None) => Status::Untested,
    };
    RequirementCoverage {
        id: requirement.id.clone(),
        area: requirement.area.clone(),
        level: requirement.level,
        text: requirement.text.clone(),
        status,
        cases,
        why: match status {
            Status::Tested | Status::Judged => None,
            Status::Untestable => requirement.untested.clone(),
            Status::Untested => requirement.pending.clone(),
        },
        exercised: false,
        broken: false,
    }
}
