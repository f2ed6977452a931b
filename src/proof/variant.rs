//! Variants: grids that are right and different. Mutants prove that green could have been red;
//! variants prove that red is not to be had on a right grid.

use super::load::{faults, tables};
use super::run::{Run, Unproven, side_by_side};
use crate::grid::{Faults, GridConfig, granted};
use crate::net::Path;
use crate::proto::template::Template;
use crate::report::{Paint, wrap};
use crate::runner::{CaseRecord, Engine, Options, Outcome, on_simulated_grid, reference_config};
use crate::suite::{Case, Diagnostic, Library, Node, Profile, Reader, Source, wildcard};
use crate::value::{cut, unknown};
use include_dir::{Dir, include_dir};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/variants");

/// The files of variants inside the program.
pub fn shipped_variants() -> Vec<Arc<Source>> {
    super::load::sources(&SHIPPED, "fixtures/variants")
}

/// A grid that is right and different.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its id, unique.
    pub id: String,
    /// How it differs, in a sentence.
    pub title: String,
    /// Why that is right.
    pub right: String,
    /// Where that is written.
    pub source: String,
    /// How its answers differ.
    faults: Faults,
    without: Vec<String>,
    announces_destinations: bool,
    /// How the network between differs.
    path: Path,
}

const KEYS: [&str; 10] = [
    "id",
    "title",
    "right",
    "source",
    "policy",
    "rules",
    "without",
    "announce_destinations",
    "delay",
    "jitter",
];

impl Variant {
    /// Reads files of variants.
    ///
    /// # Errors
    /// Every mistake in them, each with its place.
    pub fn read(
        sources: &[Arc<Source>],
        template: &Template,
    ) -> Result<Vec<Self>, Vec<Diagnostic>> {
        let (mut all, mut mistakes) = (Vec::<Self>::new(), Vec::new());
        for source in sources {
            let Some(root) = Node::parse(source, &mut mistakes) else { continue };
            let mut reader = Reader { source, mistakes: &mut mistakes };
            reader.known(&root, "a file of variants", &["variant"]);
            for table in tables(&mut reader, &root, "variant") {
                let variant = Self::of(&mut reader, table, template);
                if all.iter().any(|other| other.id == variant.id) {
                    let what = format!("variant `{}` is defined twice", variant.id);
                    reader.wrong(table.place(&["id".into()]), what);
                }
                all.push(variant);
            }
        }
        if mistakes.is_empty() { Ok(all) } else { Err(mistakes) }
    }

    fn of(reader: &mut Reader<'_>, table: &Node, template: &Template) -> Self {
        reader.known(table, "a variant", &KEYS);
        let without = reader.texts(table, "without");
        for name in without.iter().filter(|name| !granted().contains(&name.as_str())) {
            let what = unknown("capability", name, granted());
            reader.wrong(table.place(&["without".into()]), what);
        }
        let [delay, jitter] = ["delay", "jitter"].map(|key| {
            let time: Duration = reader.time(table, key).unwrap_or_default();
            time.as_micros().try_into().unwrap_or(u64::MAX)
        });
        if KEYS[4..].iter().all(|key| table.get(key).is_none()) {
            reader.wrong(table.span.clone(), "a variant without a difference");
        }
        let delay = if delay + jitter == 0 { 0..0 } else { delay..delay + jitter.max(1) };
        Self {
            id: reader.required(table, "id", "a variant"),
            title: reader.required(table, "title", "a variant"),
            right: reader.required(table, "right", "a variant"),
            source: reader.required(table, "source", "a variant"),
            faults: faults(reader, table, template),
            without,
            announces_destinations: reader.flag(table, "announce_destinations"),
            path: Path { delay },
        }
    }

    /// Whether a name on the command line means it.
    pub fn is_meant(&self, name: &str) -> bool {
        wildcard(name, &self.id)
    }

    /// Runs all cases on it.
    fn run(
        &self,
        library: &Arc<Library>,
        stop: &watch::Receiver<bool>,
    ) -> std::io::Result<Verdict> {
        let config = GridConfig {
            faults: self.faults.afresh(),
            without: self.without.clone(),
            announces_destinations: self.announces_destinations,
            ..reference_config(ACCOUNTS)
        };
        let cases: Vec<Arc<Case>> = library.cases().cloned().collect();
        let record = on_simulated_grid(SEED, self.path.clone(), config, async |target| {
            let options = Options { jobs: JOBS, ..Options::default() };
            let (template, profile) = (Template::shipped().clone(), Profile::default());
            let engine = Engine::new(target, library.clone(), profile, template, options);
            engine.run(&cases, stop.clone(), &|_| {}).await
        })?;
        let count = |outcome| record.cases.iter().filter(|case| case.outcome == outcome).count();
        let fits =
            |case: &&CaseRecord| !matches!(case.outcome, Outcome::Pass | Outcome::Impossible);
        Ok(Verdict {
            id: self.id.clone(),
            title: self.title.clone(),
            right: self.right.clone(),
            source: self.source.clone(),
            passed: count(Outcome::Pass),
            impossible: count(Outcome::Impossible),
            wrong: record.cases.iter().filter(fits).cloned().collect(),
        })
    }
}

/// Accounts of a variant's grid, and cases at once on it.
const ACCOUNTS: usize = 24;
const JOBS: usize = 8;

/// What every variant's ids follow from.
const SEED: u64 = 1;

/// What the cases said of a right grid.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Verdict {
    /// The variant's id.
    pub id: String,
    /// How it differs.
    pub title: String,
    /// Why that is right.
    pub right: String,
    /// Where that is written.
    pub source: String,
    /// How many cases passed.
    pub passed: usize,
    /// How many could not be tried there.
    pub impossible: usize,
    /// Cases that failed, warned or were blocked: each is a defect of ours.
    pub wrong: Vec<CaseRecord>,
}

/// What the cases said of all of them.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Verdicts(pub Vec<Verdict>);

impl Verdicts {
    /// Runs every case on every variant, on as many threads as there are jobs.
    ///
    /// # Errors
    /// The run was stopped, or a grid could not be started.
    pub fn of(
        variants: Vec<Variant>,
        library: &Arc<Library>,
        run: &Run,
        stop: &watch::Receiver<bool>,
        tell: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Self, Unproven> {
        let ran = side_by_side(run.jobs, variants, tell, |variant: Variant| {
            variant.run(library, stop).map_err(|error| error.to_string())
        });
        if *stop.borrow() {
            return Err(Unproven::Stopped);
        }
        let lost = ran.iter().filter(|ran| !matches!(ran, Ok(Ok(_)))).count();
        let verdicts: Result<Vec<Verdict>, String> =
            ran.into_iter().map(|ran| ran.unwrap_or_else(Err)).collect();
        let mut verdicts = verdicts.map_err(|why| Unproven::Lost(lost, why))?;
        verdicts.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self(verdicts))
    }

    /// Whether no case was wrong about any of them.
    pub fn holds(&self) -> bool {
        self.0.iter().all(|verdict| verdict.wrong.is_empty())
    }

    /// A line for each, what is wrong, and the sum.
    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        for verdict in &self.0 {
            let counts = format!("{} pass, {} impossible", verdict.passed, verdict.impossible);
            let line = format!("{:<28} {counts}", cut(&verdict.id, 28));
            match verdict.wrong.as_slice() {
                [] => out.push_str(&format!("right  {line}\n")),
                wrong => out.push_str(&verdict.told(&line, wrong, paint)),
            }
        }
        let wrong = self.0.iter().filter(|verdict| !verdict.wrong.is_empty()).count();
        let all = self.0.len();
        out.push_str(&match wrong {
            0 => paint.bold(&format!("{all} variants: no case is wrong about any of them\n")),
            n => paint.red(&format!("{n} of {all} right grids are called wrong: see above\n")),
        });
        out
    }
}

impl Verdict {
    fn told(&self, line: &str, wrong: &[CaseRecord], paint: Paint) -> String {
        let mut out = paint.red(&format!("WRONG  {line}\n"));
        let why = format!("{} It is right: {} ({})", self.title, self.right, self.source);
        for line in wrap(&why, 72) {
            out.push_str(&format!("       {line}\n"));
        }
        for case in wrong {
            out.push_str(&format!("  {:<8} {}\n", case.outcome.to_string(), case.id));
            let finding = case.findings.first();
            let said = finding.map(|f| format!("expected {}; received {}", f.expected, f.received));
            let said = said.or(case.reason.clone()).unwrap_or_default();
            for line in wrap(&said, 68).iter().take(3) {
                out.push_str(&format!("           {line}\n"));
            }
        }
        out
    }
}
