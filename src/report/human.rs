//! The first and last lines of a run.

use super::Paint;
use crate::runner::{CaseRecord, Outcome, RunRecord};

/// The embedded grid's name in the first and the last line.
const REFERENCE: &str = "the embedded reference grid (no grid was named)";

/// What is tested, before anything runs.
pub fn opening(
    target: &str,
    reference: bool,
    cases: usize,
    accounts: usize,
    jobs: usize,
) -> String {
    let what = if reference { REFERENCE } else { target };
    let (cases, accounts) = (plural(cases, "case"), plural(accounts, "account"));
    format!("gridproof tests {what}\n{cases}, {accounts}, {jobs} at once\n")
}

/// The sum, and what it means.
pub fn closing(record: &RunRecord, paint: Paint) -> String {
    let mut text = remarks(record, paint);
    let noted = record.cases.iter().filter(|case| !case.notes().is_empty()).count();
    let counts: Vec<String> = Outcome::ALL
        .iter()
        .map(|outcome| (*outcome, record.count(*outcome)))
        .filter(|(_, n)| *n > 0)
        .map(|(outcome, n)| {
            let with = if outcome == Outcome::Pass && noted > 0 {
                format!(" ({noted} with a note)")
            } else {
                String::new()
            };
            paint.outcome(outcome, &format!("{n} {outcome}")) + &with
        })
        .collect();
    let flaky = record.cases.iter().filter(|c| c.attempts > 1).count();
    let seconds = record.ms / 1e3;
    let target = match record.target.reference {
        true => REFERENCE.to_owned(),
        false if record.target.name == record.target.login_uri => record.target.name.clone(),
        false => format!("{} at {}", record.target.name, record.target.login_uri),
    };
    if flaky > 0 {
        text.push_str(&format!("{} needed more than one attempt\n", plural(flaky, "case")));
    }
    let cases = plural(record.cases.len(), "case");
    text.push_str(&format!("{cases} in {seconds:.1} s: {}\n", counts.join(", ")));
    text.push_str(&format!("{}: {target}\n", verdict(record, paint)));
    text
}

fn verdict(record: &RunRecord, paint: Paint) -> String {
    match record.exit {
        0 => paint.outcome(Outcome::Pass, "conformant"),
        1 => paint.red("not conformant"),
        3 => paint.red("no account could log in"),
        4 => paint.red("nothing ran"),
        5 => paint.red("the profile is stale"),
        6 => paint.red("interrupted"),
        _ => paint.red("internal error"),
    }
}

/// What is told of cases that did not fail: each with its reason or its notes.
fn remarks(record: &RunRecord, paint: Paint) -> String {
    let listed = [Outcome::Warn, Outcome::Known, Outcome::Impossible, Outcome::Skipped];
    let mut text = String::new();
    for case in &record.cases {
        let notes = match listed.contains(&case.outcome) {
            true => vec![reason(case)],
            false => case.notes(),
        };
        if notes.is_empty() {
            continue;
        }
        let word = paint.outcome(case.outcome, &format!("{:>10}", case.outcome));
        text.push_str(&format!("{word} {}\n", case.id));
        for line in notes.iter().flat_map(|note| super::paint::wrap(note, 68).into_iter().take(3)) {
            text.push_str(&paint.dim(&format!("           {line}")));
            text.push('\n');
        }
    }
    text
}

fn reason(case: &CaseRecord) -> String {
    case.reason.clone().unwrap_or_else(|| {
        let first = case.findings.first();
        let told = first.map(|first| {
            let id = first.requirement.as_deref().unwrap_or_default();
            format!("{id}: expected {}, received {}", first.expected, first.received)
        });
        told.unwrap_or_default()
    })
}

pub(super) fn plural(n: usize, of: &str) -> String {
    if n == 1 { format!("1 {of}") } else { format!("{n} {of}s") }
}
