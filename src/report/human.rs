//! The first and last lines of a run.

use super::Paint;
use crate::runner::{CaseRecord, Outcome, REFERENCE_NAME, RunRecord, Target};

/// The embedded grid in the first and the last line.
fn reference(name: &str) -> String {
    match name == REFERENCE_NAME {
        true => "the embedded reference grid (no grid was named)".to_owned(),
        false => format!("the {name} (nothing is sent anywhere)"),
    }
}

/// What is tested, before anything runs: the grid, what it says of itself, how much is asked, and
/// what was remarkable in looking at it.
pub fn opening(target: &Target, cases: usize, jobs: usize, notes: &[String]) -> String {
    let what = match target.reference {
        true => reference(&target.name),
        false => named(&target.name, &target.login_uri),
    };
    let (cases, accounts) = (plural(cases, "case"), plural(target.accounts.len(), "account"));
    let mut text = format!("gridproof tests {what}\n");
    let mut lines = Vec::new();
    if !target.reference && !target.entered.is_empty() {
        lines.push(software(target));
        lines.push(regions(target));
    }
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    for line in lines.iter().flat_map(|line| super::wrap(line, 80)) {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str(&format!("{cases}, {accounts}, {jobs} at once\n"));
    text
}

/// What the grid runs, and whether anything is known of its kind.
fn software(target: &Target) -> String {
    let version = target.version.as_deref().unwrap_or("software that does not say its name");
    let kind = match &target.kind {
        Some(kind) => format!("kind {kind}"),
        None => "a kind that nobody here knows".to_owned(),
    };
    match &target.profile {
        Some(profile) => format!("it runs {version} ({kind}); profile {profile}"),
        None => format!("it runs {version} ({kind}); no profile"),
    }
}

fn regions(target: &Target) -> String {
    let first = target.regions.first().map_or("", String::as_str);
    let mut text = format!("cases go to {first}");
    let others =
        [("beside", &target.neighbour), ("apart", &target.distant), ("closed", &target.closed)];
    for (word, name) in others {
        match name {
            Some(name) => text.push_str(&format!(", {word}: {name}")),
            None => text.push_str(&format!(", {word}: none")),
        }
    }
    text
}

/// A grid by its name and its address.
fn named(name: &str, uri: &str) -> String {
    match name == uri {
        true => uri.to_owned(),
        false => format!("{name} at {uri}"),
    }
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
        true => reference(&record.target.name),
        false => named(&record.target.name, &record.target.login_uri),
    };
    if flaky > 0 {
        text.push_str(&format!("{} needed more than one attempt\n", plural(flaky, "case")));
    }
    text.push_str(&left_behind(record, paint));
    text.push_str(&never_ran(record, paint));
    let cases = plural(record.cases.len(), "case");
    text.push_str(&format!("{cases} in {seconds:.1} s: {}\n", counts.join(", ")));
    text.push_str(&format!("{}: {target}\n", verdict(record, paint)));
    text
}

/// What cases made on the grid and could not remove, by name.
fn left_behind(record: &RunRecord, paint: Paint) -> String {
    let cases = record.cases.iter();
    let mut left = cases.flat_map(|case| case.left_behind.iter().map(|what| (what, &case.id)));
    let lines = left.clone().flat_map(|(what, id)| super::wrap(&format!("{what} ({id})"), 78));
    let lines: String = lines.map(|line| paint.dim(&format!("  {line}")) + "\n").collect();
    match left.next() {
        Some(_) => format!("left on the grid, since it could not be removed:\n{lines}"),
        None => lines,
    }
}

/// Cases that could not even begin, by what kept them from it, and those that were running then.
fn never_ran(record: &RunRecord, paint: Paint) -> String {
    let mut causes: Vec<&str> = record.ended.iter().map(String::as_str).collect();
    for case in record.cases.iter().filter(|case| case.never_ran()) {
        let why = case.reason.as_deref().unwrap_or_default();
        if !causes.contains(&why) {
            causes.push(why);
        }
    }
    let mut text = String::new();
    for why in causes {
        text.push_str(&paint.red(&super::wrap(why, 80).join("\n")));
        text.push('\n');
        let of = |case: &&CaseRecord| {
            case.outcome == Outcome::Blocked && case.reason.as_deref() == Some(why)
        };
        let (idle, caught): (Vec<&CaseRecord>, Vec<&CaseRecord>) =
            record.cases.iter().filter(of).partition(|case| case.never_ran());
        for (cases, what) in [(caught, "that ran then"), (idle, "not run")] {
            text.push_str(&some_of(&cases, what));
        }
    }
    text
}

/// A few cases by their ids, and how many there are.
fn some_of(cases: &[&CaseRecord], what: &str) -> String {
    /// All of them are in the record.
    const MOST: usize = 4;
    let ids: Vec<&str> = cases.iter().take(MOST).map(|case| case.id.as_str()).collect();
    let more = match cases.len().saturating_sub(MOST) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let told = format!("{} {what}: {}{more}", plural(cases.len(), "case"), ids.join(", "));
    let lines = super::wrap(&told, 78).into_iter().filter(|_| !cases.is_empty());
    lines.map(|line| format!("  {line}\n")).collect()
}

fn verdict(record: &RunRecord, paint: Paint) -> String {
    match record.exit {
        3 if record.ended.is_some() => paint.red("not judged"),
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
        for line in notes.iter().flat_map(|note| super::paint::wrap(note, 68).into_iter().take(4)) {
            text.push_str(&paint.dim(&format!("           {line}")));
            text.push('\n');
        }
    }
    text
}

fn reason(case: &CaseRecord) -> String {
    // A hint says nothing of what was broken.
    let first = case.findings.first();
    let broken = first.filter(|_| case.outcome == Outcome::Warn || case.reason.is_none());
    let told = broken.map(|first| {
        let id = first.requirement.as_deref().unwrap_or_default();
        let hint = first.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{id}: expected {}, received {}{hint}", first.expected, first.received)
    });
    told.or_else(|| case.reason.clone()).unwrap_or_default()
}

pub(super) fn plural(n: usize, of: &str) -> String {
    if n == 1 { format!("1 {of}") } else { format!("{n} {of}s") }
}
