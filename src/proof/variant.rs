//! Variants: grids that are right and different, but for what they say of themselves. Mutants prove
//! that green could have been red; variants prove that red is not to be had on a right grid, and that
//! one deviation is one finding.

use super::load::{faults, known_requirements, tables};
use super::run::{Run, Unproven, side_by_side};
use crate::grid::{Faults, GridConfig, granted};
use crate::net::Path;
use crate::proto::template::Template;
use crate::report::{Paint, wrap};
use crate::runner::{
    CaseRecord, Engine, FindingKind, Options, Outcome, on_simulated_grid, reference_config,
};
use crate::suite::{Case, Catalogue, Diagnostic, Library, Node, Profile, Reader, Source, wildcard};
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
    /// The requirements that it does not hold, and no other.
    pub breaks: Vec<String>,
    /// How its answers differ.
    faults: Faults,
    without: Vec<String>,
    announces_destinations: bool,
    /// How the network between differs.
    path: Path,
}

const KEYS: [&str; 11] = [
    "id",
    "title",
    "right",
    "source",
    "breaks",
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
        catalogue: &Catalogue,
        template: &Template,
    ) -> Result<Vec<Self>, Vec<Diagnostic>> {
        let (mut all, mut mistakes) = (Vec::<Self>::new(), Vec::new());
        for source in sources {
            let Some(root) = Node::parse(source, &mut mistakes) else { continue };
            let mut reader = Reader { source, mistakes: &mut mistakes };
            reader.known(&root, "a file of variants", &["variant"]);
            for table in tables(&mut reader, &root, "variant") {
                let variant = Self::of(&mut reader, table, catalogue, template);
                if all.iter().any(|other| other.id == variant.id) {
                    let what = format!("variant `{}` is defined twice", variant.id);
                    reader.wrong(table.place(&["id".into()]), what);
                }
                all.push(variant);
            }
        }
        if mistakes.is_empty() { Ok(all) } else { Err(mistakes) }
    }

    fn of(
        reader: &mut Reader<'_>,
        table: &Node,
        catalogue: &Catalogue,
        template: &Template,
    ) -> Self {
        reader.known(table, "a variant", &KEYS);
        let breaks = reader.text_or_texts(table, "breaks");
        known_requirements(reader, table, "breaks", &breaks, catalogue);
        let without = reader.texts(table, "without");
        for name in without.iter().filter(|name| !granted().contains(&name.as_str())) {
            let what = unknown("capability", name, granted());
            reader.wrong(table.place(&["without".into()]), what);
        }
        let [delay, jitter] = ["delay", "jitter"].map(|key| {
            let time: Duration = reader.time(table, key).unwrap_or_default();
            time.as_micros().try_into().unwrap_or(u64::MAX)
        });
        if KEYS[5..].iter().all(|key| table.get(key).is_none()) {
            reader.wrong(table.span.clone(), "a variant without a difference");
        }
        let delay = if delay + jitter == 0 { 0..0 } else { delay..delay + jitter.max(1) };
        Self {
            id: reader.required(table, "id", "a variant"),
            title: reader.required(table, "title", "a variant"),
            right: reader.required(table, "right", "a variant"),
            source: reader.required(table, "source", "a variant"),
            breaks,
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
        let named = |id: &&String| {
            let findings = record.cases.iter().flat_map(|case| &case.findings);
            findings.flat_map(|finding| finding.requirements()).any(|named| named == id.as_str())
        };
        Ok(Verdict {
            id: self.id.clone(),
            title: self.title.clone(),
            right: self.right.clone(),
            source: self.source.clone(),
            passed: count(Outcome::Pass),
            impossible: count(Outcome::Impossible),
            breaks: self.breaks.clone(),
            unnamed: self.breaks.iter().filter(|id| !named(id)).cloned().collect(),
            wrong: record.cases.iter().filter(|case| !self.is_right(case)).cloned().collect(),
        })
    }

    /// Whether a case says nothing else of it than what it breaks.
    fn is_right(&self, case: &CaseRecord) -> bool {
        match case.outcome {
            Outcome::Pass | Outcome::Impossible => true,
            Outcome::Fail | Outcome::Warn => {
                let mut findings = case.findings.iter();
                !case.findings.is_empty()
                    && findings.all(|finding| match finding.kind {
                        FindingKind::Broken => {
                            finding.requirements().all(|id| self.breaks.iter().any(|own| own == id))
                        }
                        // What else it asks of that is impossible.
                        kind => kind == FindingKind::Need,
                    })
            }
            _ => false,
        }
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
    /// The requirements that it does not hold.
    pub breaks: Vec<String>,
    /// Those of them that no case named: each is a defect of ours.
    pub unnamed: Vec<String>,
    /// Cases that named another, or were blocked: each is a defect of ours.
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
        self.0.iter().all(Verdict::holds)
    }

    /// A line for each, what is wrong, and the sum.
    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        for verdict in &self.0 {
            let counts = format!("{} pass, {} impossible", verdict.passed, verdict.impossible);
            let line = format!("{:<28} {counts}", cut(&verdict.id, 28));
            if verdict.holds() {
                out.push_str(&format!("right  {line}\n"));
                let named = verdict.breaks.iter().map(|id| format!("       not held: {id}\n"));
                out.extend(named);
            } else {
                out.push_str(&verdict.told(&line, paint));
            }
        }
        let wrong = self.0.iter().filter(|verdict| !verdict.holds()).count();
        let all = self.0.len();
        out.push_str(&match wrong {
            0 => paint.bold(&format!("{all} variants: no case is wrong about any of them\n")),
            n => paint.red(&format!("{n} of {all} right grids are called wrong: see above\n")),
        });
        out
    }
}

impl Verdict {
    /// Whether it is called what it is.
    pub fn holds(&self) -> bool {
        self.wrong.is_empty() && self.unnamed.is_empty()
    }

    fn told(&self, line: &str, paint: Paint) -> String {
        let mut out = paint.red(&format!("WRONG  {line}\n"));
        let why = format!("{} It is right: {} ({})", self.title, self.right, self.source);
        for line in wrap(&why, 72) {
            out.push_str(&format!("       {line}\n"));
        }
        for id in &self.unnamed {
            out.push_str(&format!("  unnamed  {id}: it is not held, and no case says so\n"));
        }
        for case in &self.wrong {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Files;

    /// What the cases of one suite say of a grid whose LogoutReply is lost, and that says of
    /// itself that it breaks these.
    fn verdict(breaks: &str) -> Verdict {
        let text = format!(
            r#"[[variant]]
id = "lost"
title = "LogoutReply is lost"
right = "But for that."
source = "nowhere"
rules = [{{ do = "drop", channel = "udp", message = "LogoutReply" }}]
breaks = {breaks}"#
        );
        let source = Arc::new(Source { path: "lost.toml".into(), text });
        let mut files = Files::shipped();
        files.suites.retain(|suite| suite.path.ends_with("circuit/closing.toml"));
        let library = Arc::new(Library::load(&files, Template::shipped()).unwrap());
        let read = Variant::read(&[source], &library.catalogue, Template::shipped());
        let (_keep, never) = watch::channel(false);
        read.unwrap().remove(0).run(&library, &never).unwrap()
    }

    #[test]
    fn what_a_variant_does_not_hold_is_named_and_nothing_else() {
        assert!(verdict(r#"["HS-LOGOUT-REPLY-1", "CIR-CLOSE-LOGOUT-ACK-1"]"#).holds());
        let wrong = verdict(r#"["HS-LOGOUT-REPLY-1"]"#).wrong;
        let wrong: Vec<&str> = wrong.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(wrong, ["circuit/closing/logout-acknowledged"]);
        let more = r#"["HS-LOGOUT-REPLY-1", "CIR-CLOSE-LOGOUT-ACK-1", "HS-LOGOUT-ENDS-1"]"#;
        let verdict = verdict(more);
        assert_eq!((verdict.holds(), verdict.unnamed), (false, vec!["HS-LOGOUT-ENDS-1".into()]));
    }
}
