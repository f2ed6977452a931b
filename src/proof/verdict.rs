//! What running mutants showed.

use super::load::Equivalent;
use super::mutant::Mutant;
use crate::runner::Outcome;
use crate::suite::{Level, Library, Requirement, wildcard};
use std::collections::{BTreeMap, BTreeSet};

/// One case on one mutant.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// The mutant's place.
    pub mutant: usize,
    /// The case.
    pub case: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The requirements it found broken.
    pub broken: Vec<String>,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// How often each fault of the mutant made a difference.
    pub applied: Vec<u32>,
}

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Cases noticed everything it breaks.
    #[serde(rename = "noticed")]
    Killed,
    /// Cases could not get as far as judging; they ended blocked, so a run does not end green.
    Blocked,
    /// No requirement speaks of what it changes.
    #[serde(rename = "unspoken")]
    NoRequirement,
    /// Nobody could tell it from a clean grid.
    Equivalent,
    /// No case noticed, and nothing says why.
    Survived,
    /// It made no difference in any case that met it: it proves nothing.
    #[serde(rename = "never-applied")]
    NotCovered,
    /// A red line names a requirement that it does not break.
    #[serde(rename = "stray")]
    KilledByWrongRequirement,
    /// A case ended with an error of the harness.
    Error,
}

impl Fate {
    /// Every fate, the best first.
    pub const ALL: [Self; 8] = [
        Self::Killed,
        Self::Blocked,
        Self::NoRequirement,
        Self::Equivalent,
        Self::Survived,
        Self::KilledByWrongRequirement,
        Self::NotCovered,
        Self::Error,
    ];

    /// Whether it is a defect of ours.
    pub fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Survived | Self::NotCovered | Self::KilledByWrongRequirement | Self::Error
        )
    }

    /// The fate's words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Killed => "noticed",
            Self::Blocked => "blocked",
            Self::NoRequirement => "unspoken",
            Self::Equivalent => "equivalent",
            Self::Survived => "survived",
            Self::NotCovered => "never applied",
            Self::KilledByWrongRequirement => "stray",
            Self::Error => "error",
        }
    }
}

/// A mutant and what became of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct MutantVerdict {
    /// Its id.
    pub id: String,
    /// What is wrong with it.
    pub title: String,
    /// Written by hand.
    pub written: bool,
    /// File, line and column of a written one.
    pub place: Option<String>,
    /// The requirements it breaks, or, for a generated one, those that speak of what it changes.
    pub breaks: Vec<String>,
    /// What became of it.
    pub fate: Fate,
    /// Why, where the fate does not say it.
    pub why: Option<String>,
    /// The cases that met it, with how they ended and what they found broken.
    pub cases: Vec<Meeting>,
}

/// A case that met a mutant.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Meeting {
    /// The case.
    pub case: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// The requirements it found broken.
    pub broken: Vec<String>,
}

/// A requirement and who proves it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RequirementVerdict {
    /// Its id.
    pub id: String,
    /// Its level.
    pub level: Level,
    /// The mutants that break it.
    pub mutants: Vec<String>,
    /// How many of them a case noticed.
    pub noticed: usize,
    /// The cases that noticed.
    pub noticed_by: Vec<String>,
    /// Mutants of it that nobody noticed, and that nothing explains.
    pub survivors: Vec<String>,
    /// At least one case noticed at least one mutant.
    pub proven: bool,
}

/// A case and what it caught.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CaseVerdict {
    /// Its id.
    pub id: String,
    /// The mutants it met.
    pub met: usize,
    /// The mutants it noticed.
    pub caught: usize,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Score {
    /// So many.
    pub of: usize,
    /// Of so many.
    pub all: usize,
}

impl Score {
    /// In percent; all of nothing is everything.
    pub fn percent(self) -> f64 {
        if self.all == 0 { 100.0 } else { 100.0 * self.of as f64 / self.all as f64 }
    }
}

/// Everything that running mutants showed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Proof {
    /// The version of this format.
    pub format: u32,
    /// Every mutant was run, and so every requirement and case is judged.
    pub whole: bool,
    /// Cited MUST requirements that a mutant breaks and a case notices.
    pub must: Score,
    /// The same for SHOULD.
    pub should: Score,
    /// Generated mutants that were noticed.
    pub fields: Score,
    /// What else is wrong: stale explanations, cases that caught nothing.
    pub defects: Vec<String>,
    /// Cited requirements.
    pub requirements: Vec<RequirementVerdict>,
    /// Mutants.
    pub mutants: Vec<MutantVerdict>,
    /// Cases.
    pub cases: Vec<CaseVerdict>,
}

/// The least share of cited SHOULD requirements that must be proven, in percent.
const SHOULD_MARK: f64 = 95.0;

impl Proof {
    /// Judges what was seen.
    pub(super) fn of(
        mutants: &[Mutant],
        seen: &[Observation],
        equivalent: &[Equivalent],
        library: &Library,
        whole: bool,
    ) -> Self {
        let mut by_mutant: BTreeMap<usize, Vec<&Observation>> = BTreeMap::new();
        seen.iter().for_each(|o| by_mutant.entry(o.mutant).or_default().push(o));
        let mut judging = Judging { equivalent, library, used: BTreeSet::new() };
        let mutants: Vec<MutantVerdict> = mutants
            .iter()
            .enumerate()
            .map(|(n, mutant)| {
                let seen = by_mutant.get(&n).map_or(&[][..], Vec::as_slice);
                judging.mutant(mutant, seen)
            })
            .collect();
        let requirements = requirements(&mutants, library);
        let cases = cases(&mutants, library);
        let score = |level| {
            let of_level = requirements.iter().filter(move |r| r.level == level);
            Score { of: of_level.clone().filter(|r| r.proven).count(), all: of_level.count() }
        };
        let generated = mutants.iter().filter(|m| !m.written);
        let noticed = |m: &&MutantVerdict| matches!(m.fate, Fate::Killed | Fate::Blocked);
        let real = |m: &&MutantVerdict| m.fate != Fate::Equivalent;
        let fields = Score {
            of: generated.clone().filter(noticed).count(),
            all: generated.filter(real).count(),
        };
        let mut defects = Vec::new();
        if whole {
            defects.extend(uncited(library));
            for case in cases.iter().filter(|case| case.caught == 0) {
                defects.push(format!("case {} catches no mutant of {}", case.id, case.met));
            }
            let idle = explanations(equivalent, library);
            for said in idle.filter(|said| !judging.used.contains(said.pattern)) {
                let Explanation { place, pattern, .. } = said;
                defects.push(format!("{place}: `{pattern}` explains no survivor any more"));
            }
        }
        Self {
            format: 1,
            whole,
            must: score(Level::Must),
            should: score(Level::Should),
            fields,
            defects,
            requirements,
            mutants,
            cases,
        }
    }

    /// Whether everything holds that is held by the gate.
    pub fn holds(&self) -> bool {
        let mutants = self.mutants.iter().all(|mutant| !mutant.fate.is_bad());
        let marks =
            !self.whole || (self.must.of == self.must.all && self.should.percent() >= SHOULD_MARK);
        mutants && marks && self.defects.is_empty()
    }
}

struct Judging<'a> {
    equivalent: &'a [Equivalent],
    library: &'a Library,
    /// The patterns that explained something.
    used: BTreeSet<String>,
}

impl Judging<'_> {
    fn mutant(&mut self, mutant: &Mutant, seen: &[&Observation]) -> MutantVerdict {
        let (fate, why) = self.fate(mutant, seen);
        let meeting = |o: &&Observation| Meeting {
            case: o.case.clone(),
            outcome: o.outcome,
            ms: o.ms,
            broken: o.broken.clone(),
        };
        MutantVerdict {
            id: mutant.id.clone(),
            title: mutant.title.clone(),
            written: mutant.is_written(),
            place: mutant.place(),
            breaks: Self::breaks(mutant),
            fate,
            why,
            cases: seen.iter().map(meeting).collect(),
        }
    }

    /// What a written mutant says it breaks; of a generated one, what speaks of the field. What
    /// else that one turns red depends on it, and is no proof of its own.
    fn breaks(mutant: &Mutant) -> Vec<String> {
        let mut found = if mutant.is_written() { &mutant.breaks } else { &mutant.also }.clone();
        found.sort();
        found.dedup();
        found
    }

    fn fate(&mut self, mutant: &Mutant, seen: &[&Observation]) -> (Fate, Option<String>) {
        if let Some(o) = seen.iter().find(|o| o.outcome == Outcome::Error) {
            return (Fate::Error, Some(format!("{} ended with an error", o.case)));
        }
        let faults = mutant.faults.applied().len();
        let idle = (0..faults).find(|&k| seen.iter().all(|o| o.applied.get(k) == Some(&0)));
        if let Some(idle) = idle {
            let met = match seen.len() {
                0 => "no case met it".to_owned(),
                n => format!("fault {} made no difference in {n} cases", idle + 1),
            };
            return (Fate::NotCovered, Some(met));
        }
        match mutant.is_written() {
            true => written(mutant, seen),
            false => self.generated(mutant, seen),
        }
    }

    fn generated(&mut self, mutant: &Mutant, seen: &[&Observation]) -> (Fate, Option<String>) {
        if seen.iter().any(|o| !o.broken.is_empty()) {
            return (Fate::Killed, None);
        }
        if seen.iter().any(|o| o.outcome == Outcome::Blocked) {
            return (Fate::Blocked, None);
        }
        if let Some(explained) = self.explained(&mutant.id) {
            return explained;
        }
        let cases: Vec<&str> = seen.iter().map(|o| o.case.as_str()).collect();
        (Fate::Survived, Some(format!("passed: {}", cases.join(", "))))
    }

    /// What is said of a mutant that nobody noticed. Every word that fits it has its use.
    fn explained(&mut self, id: &str) -> Option<(Fate, Option<String>)> {
        let all: Vec<_> = explanations(self.equivalent, self.library)
            .filter(|said| wildcard(said.pattern, id))
            .collect();
        self.used.extend(all.iter().map(|said| said.pattern.to_owned()));
        let said = all.first()?;
        Some((said.fate, Some(said.reason.to_owned())))
    }
}

/// A word on mutants that nobody needs to notice.
pub(super) struct Explanation<'a> {
    fate: Fate,
    /// The ids meant; `*` stands for anything.
    pub pattern: &'a str,
    reason: &'a str,
    place: &'a str,
}

/// Every such word, of the files of mutants and of the catalogue.
pub(super) fn explanations<'a>(
    equivalent: &'a [Equivalent],
    library: &'a Library,
) -> impl Iterator<Item = Explanation<'a>> {
    let equivalent = equivalent.iter().map(|said| Explanation {
        fate: Fate::Equivalent,
        pattern: &said.mutant,
        reason: &said.reason,
        place: &said.place,
    });
    let unspoken = library.catalogue.unspoken.iter().map(|said| Explanation {
        fate: Fate::NoRequirement,
        pattern: &said.mutant,
        reason: &said.reason,
        place: &said.place,
    });
    equivalent.chain(unspoken)
}

/// What became of a written mutant, as far as noticing goes.
pub(super) fn written(mutant: &Mutant, seen: &[&Observation]) -> (Fate, Option<String>) {
    let noticed = |id: &String| seen.iter().any(|o| o.broken.contains(id));
    let missed: Vec<&str> =
        mutant.breaks.iter().filter(|id| !noticed(id)).map(String::as_str).collect();
    if !missed.is_empty() {
        return (Fate::Survived, Some(format!("nobody noticed {}", missed.join(", "))));
    }
    for observation in seen {
        let right = |id: &&String| mutant.breaks.contains(id) || mutant.also.contains(id);
        if let Some(stray) = observation.broken.iter().find(|id| !right(id)) {
            let why = format!("{} names {stray}, which it does not break", observation.case);
            return (Fate::KilledByWrongRequirement, Some(why));
        }
    }
    (Fate::Killed, None)
}

/// Requirements that no case cites, without a word why; and words that have become wrong.
fn uncited(library: &Library) -> Vec<String> {
    let cited = library.cited();
    let complaint = |requirement: &Requirement| {
        let said = requirement.untested.is_some()
            || requirement.pending.is_some()
            || requirement.judge.is_some();
        match (cited.contains(requirement.id.as_str()), said) {
            (false, false) => Some(format!(
                "{}: no case cites it, and the catalogue does not say why",
                requirement.id
            )),
            (true, true) => Some(format!(
                "{}: a case cites it, and the catalogue says that none does",
                requirement.id
            )),
            _ => None,
        }
    };
    library.catalogue.all.values().filter_map(complaint).collect()
}

fn requirements(mutants: &[MutantVerdict], library: &Library) -> Vec<RequirementVerdict> {
    let verdict = |id: &str| {
        let requirement = library.catalogue.get(id)?;
        let cites = |ids: &[String]| ids.iter().any(|cited| cited == id);
        let of_it = mutants.iter().filter(|mutant| cites(&mutant.breaks));
        let (mut noticed, mut noticed_by, mut survivors) = (0, BTreeSet::new(), Vec::new());
        for mutant in of_it.clone() {
            let noticing = mutant.cases.iter().filter(|meeting| cites(&meeting.broken));
            let noticing: Vec<String> = noticing.map(|meeting| meeting.case.clone()).collect();
            if noticing.is_empty() && mutant.fate.is_bad() {
                survivors.push(mutant.id.clone());
            }
            noticed += usize::from(!noticing.is_empty());
            noticed_by.extend(noticing);
        }
        Some(RequirementVerdict {
            id: id.to_owned(),
            level: requirement.level,
            mutants: of_it.map(|mutant| mutant.id.clone()).collect(),
            proven: noticed > 0,
            noticed,
            noticed_by: noticed_by.into_iter().collect(),
            survivors,
        })
    };
    library.cited().into_iter().filter_map(verdict).collect()
}

fn cases(mutants: &[MutantVerdict], library: &Library) -> Vec<CaseVerdict> {
    let verdict = |id: &String| {
        let meetings = mutants.iter().flat_map(|mutant| &mutant.cases);
        let met = meetings.filter(|meeting| meeting.case == *id);
        CaseVerdict {
            id: id.clone(),
            met: met.clone().count(),
            caught: met.filter(|meeting| !meeting.broken.is_empty()).count(),
        }
    };
    library.cases().map(|case| verdict(&case.id)).collect()
}
