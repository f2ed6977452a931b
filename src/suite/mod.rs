//! Suites: TOML in, a checked plan out, every mistake at once and each with its place.

mod check;
mod diagnostic;
mod files;
mod load;
mod model;
mod need;
mod node;
mod profile;
mod reader;
mod references;
mod requirement;
mod rows;
mod select;
mod template_check;

pub use diagnostic::{Diagnostic, Source};
pub use files::{Files, shipped_profile};
pub use model::{
    ALIVE, Action, Case, Effects, Expectation, Procedure, SessionUse, Step, Suite, Tag,
};
pub use need::Need;
pub use node::{Node, NodeKind};
pub use profile::{Known, Profile};
pub(crate) use reader::Reader;
pub use references::{Piece, pieces};
pub use requirement::{Catalogue, Level, Requirement, Unspoken};
pub use select::Selection;
pub(crate) use select::wildcard;
pub(crate) use template_check::unknown_path;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything a run can choose from.
#[derive(Debug, Default)]
pub struct Library {
    /// The requirements.
    pub catalogue: Catalogue,
    /// Procedures by name.
    pub procedures: BTreeMap<String, Arc<Procedure>>,
    /// Suites by path.
    pub suites: Vec<Suite>,
}

impl Library {
    /// Loads and checks files. Every mistake in all of them comes back at once.
    ///
    /// # Errors
    /// Every mistake in all of the files.
    pub fn load(
        files: &Files,
        template: &crate::proto::template::Template,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let mut library = Self::default();
        for source in &files.requirements {
            library.catalogue.read(source, &mut mistakes);
        }
        for source in &files.procedures {
            if let Some(procedure) = load::procedure(source, &mut mistakes) {
                library.procedures.insert(procedure.name.clone(), Arc::new(procedure));
            }
        }
        for source in &files.suites {
            if let Some(suite) = load::suite(source, &mut mistakes) {
                library.suites.push(suite);
            }
        }
        check::library(&library, template, &mut mistakes);
        match mistakes.is_empty() {
            true => Ok(library),
            false => {
                mistakes.sort_by_key(|m| (m.source.path.clone(), m.span.start));
                Err(mistakes)
            }
        }
    }

    /// The case of an id.
    pub fn case(&self, id: &str) -> Option<&Arc<Case>> {
        self.cases().find(|case| case.id == id)
    }

    /// Every requirement that a case or a procedure cites.
    pub fn cited(&self) -> BTreeSet<&str> {
        let steps = self.procedures.values().flat_map(|procedure| &procedure.steps);
        let called = steps.flat_map(|step| {
            let expected = step.expect.iter().flat_map(|expectation| &expectation.requirements);
            step.requirements.iter().chain(expected)
        });
        let cited = self.cases().flat_map(|case| &case.requirements);
        cited.chain(called).map(String::as_str).collect()
    }

    /// Every requirement that a case cites, itself or by the procedures it calls, in order of first
    /// citation.
    pub fn cited_by(&self, case: &Case) -> Vec<String> {
        let mut cited = Vec::new();
        self.gather(case.steps.iter().chain(&case.always), &mut cited);
        cited
    }

    fn gather<'a>(&self, steps: impl Iterator<Item = &'a Step>, cited: &mut Vec<String>) {
        for step in steps {
            let expected = step.expect.iter().flat_map(|expectation| &expectation.requirements);
            for id in step.requirements.iter().chain(expected) {
                if !cited.contains(id) {
                    cited.push(id.clone());
                }
            }
            if let Action::Call(name) = &step.action
                && let Some(procedure) = self.procedures.get(name)
            {
                self.gather(procedure.steps.iter(), cited);
            }
        }
    }

    /// Every case, in order of suite and place.
    pub fn cases(&self) -> impl Iterator<Item = &Arc<Case>> {
        self.suites.iter().flat_map(|suite| &suite.cases)
    }
}
