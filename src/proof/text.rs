//! The verdict and the coverage as text of at most 80 columns.

use super::verdict::{Fate, MutantVerdict, Proof, RequirementVerdict, Score};
use crate::report::{Paint, wrap};
use crate::value::cut;
use std::collections::BTreeMap;

const WIDTH: usize = 80;

impl Proof {
    /// A table of requirements, what is wrong, the reasons for what nobody noticed, the scores.
    pub fn text(&self, paint: Paint, verbose: bool) -> String {
        let mut out = String::new();
        if self.whole || verbose {
            out.push_str(
                &paint.bold("requirement                          level    noticed  by\n"),
            );
            for requirement in
                self.requirements.iter().filter(|r| self.whole || !r.mutants.is_empty())
            {
                out.push_str(&row(requirement, paint));
            }
            out.push('\n');
        }
        for mutant in self.mutants.iter().filter(|m| verbose || m.fate.is_bad()) {
            out.push_str(&told(mutant, paint));
        }
        for defect in &self.defects {
            for (n, line) in wrap(defect, WIDTH - 4).iter().enumerate() {
                let line = if n == 0 { format!("  {line}\n") } else { format!("    {line}\n") };
                out.push_str(&paint.red(&line));
            }
        }
        out.push_str(&self.reasons(paint));
        out.push_str(&self.closing(paint));
        out
    }

    fn reasons(&self, paint: Paint) -> String {
        let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let explained = self
            .mutants
            .iter()
            .filter(|m| matches!(m.fate, Fate::NoRequirement | Fate::Equivalent));
        for mutant in explained {
            let why = mutant.why.as_deref().unwrap_or_default();
            *reasons.entry((mutant.fate.words(), why)).or_default() += 1;
        }
        if reasons.is_empty() {
            return String::new();
        }
        let mut out = paint.bold("not noticed, and why\n");
        for ((fate, why), n) in reasons {
            let lines = wrap(why, WIDTH - 20);
            let first = lines.first().cloned().unwrap_or_default();
            out.push_str(&format!("  {n:>4} {fate:<11} {first}\n"));
            for line in lines.iter().skip(1) {
                out.push_str(&format!("{:19}{line}\n", ""));
            }
        }
        out.push('\n');
        out
    }

    fn closing(&self, paint: Paint) -> String {
        let count = |fate: Fate| self.mutants.iter().filter(|m| m.fate == fate).count();
        let written = self.mutants.iter().filter(|m| m.written).count();
        let mut out = format!(
            "{} mutants, {written} written and {} generated: {} noticed",
            self.mutants.len(),
            self.mutants.len() - written,
            count(Fate::Killed),
        );
        for fate in Fate::ALL.into_iter().filter(|fate| *fate != Fate::Killed) {
            match count(fate) {
                0 => {}
                n => out.push_str(&format!(", {n} {}", fate.words())),
            }
        }
        let mut out = wrap(&out, WIDTH).join("\n") + "\n";
        if self.whole {
            out.push_str(&format!(
                "proven: MUST {}, SHOULD {}; fields noticed {}\n",
                score(self.must),
                score(self.should),
                score(self.fields)
            ));
        }
        out.push_str(&match self.holds() {
            true => paint.bold("every mutant is noticed or explained\n"),
            false => paint.red("not proven: see above\n"),
        });
        out
    }
}

fn score(score: Score) -> String {
    format!("{} of {} ({:.1} %)", score.of, score.all, score.percent())
}

fn row(requirement: &RequirementVerdict, paint: Paint) -> String {
    let by = match requirement.noticed_by.as_slice() {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [first, others @ ..] => format!("+{} {first}", others.len()),
    };
    let level = requirement.level.to_string();
    let share = format!("{} of {}", requirement.noticed, requirement.mutants.len());
    let line = format!("{:<36} {level:<6} {share:>9}  ", requirement.id);
    let line = format!("{line}{}", cut(&by, WIDTH.saturating_sub(line.len())));
    match requirement.proven {
        true => line + "\n",
        false => paint.red(&line) + "\n",
    }
}

fn told(mutant: &MutantVerdict, paint: Paint) -> String {
    let fate = format!("{:<13}", mutant.fate.words());
    let fate = if mutant.fate.is_bad() { paint.red(&fate) } else { fate };
    let mut out = format!("{fate} {}\n", cut(&mutant.id, WIDTH - 14));
    let mut say = |text: &str| {
        for line in wrap(text, WIDTH - 16) {
            out.push_str(&format!("{:14}{line}\n", ""));
        }
    };
    say(&mutant.title);
    if let Some(why) = &mutant.why {
        say(why);
    }
    if mutant.fate.is_bad() {
        if let Some(place) = &mutant.place {
            say(place);
        }
        say(&format!("try: gridproof serve --mutant '{}'", mutant.id));
    }
    out
}
