//! The first and last lines of a run.

use super::Paint;
use crate::runner::{Outcome, RunRecord};

/// What is tested, before anything runs.
pub fn opening(
    target: &str,
    reference: bool,
    cases: usize,
    accounts: usize,
    jobs: usize,
) -> String {
    let what = match reference {
        true => "the embedded reference grid (no grid was named)".to_owned(),
        false => target.to_owned(),
    };
    let cases = plural(cases, "case");
    format!("gridproof: {cases} on {what}, {}, {jobs} at once\n", plural(accounts, "account"))
}

/// The sum, and what it means.
pub fn closing(record: &RunRecord, paint: Paint) -> String {
    let mut text = String::new();
    let listed = [Outcome::Warn, Outcome::Known, Outcome::Impossible, Outcome::Skipped];
    for case in record.cases.iter().filter(|c| listed.contains(&c.outcome)) {
        let word = paint.outcome(case.outcome, &format!("{:>10}", case.outcome));
        let why = case.reason.clone().or_else(|| {
            let first = case.findings.first()?;
            let id = first.requirement.as_deref().unwrap_or_default();
            Some(format!("{id}: expected {}, received {}", first.expected, first.received))
        });
        text.push_str(&format!("{word} {}\n", case.id));
        for line in super::paint::wrap(&why.unwrap_or_default(), 68).iter().take(3) {
            text.push_str(&paint.dim(&format!("           {line}")));
            text.push('\n');
        }
    }
    let counts: Vec<String> = Outcome::ALL
        .iter()
        .map(|outcome| (*outcome, record.count(*outcome)))
        .filter(|(_, n)| *n > 0)
        .map(|(outcome, n)| paint.outcome(outcome, &format!("{n} {outcome}")))
        .collect();
    let flaky = record.cases.iter().filter(|c| c.attempts > 1).count();
    let seconds = record.ms / 1e3;
    let verdict = match record.exit {
        0 => paint.outcome(Outcome::Pass, "conformant"),
        1 => paint.red("not conformant"),
        3 => paint.red("no account could log in"),
        4 => paint.red("nothing ran"),
        5 => paint.red("the profile is stale"),
        6 => paint.red("interrupted"),
        _ => paint.red("internal error"),
    };
    let target = match record.target.reference {
        true => "the embedded reference grid".to_owned(),
        false => format!("{} ({})", record.target.name, record.target.login_uri),
    };
    if flaky > 0 {
        text.push_str(&format!("{} needed more than one attempt\n", plural(flaky, "case")));
    }
    text.push_str(&format!(
        "{verdict}: {} of {} in {seconds:.1} s on {target}\n",
        counts.join(", "),
        plural(record.cases.len(), "case"),
    ));
    text
}

fn plural(n: usize, of: &str) -> String {
    if n == 1 { format!("1 {of}") } else { format!("{n} {of}s") }
}
