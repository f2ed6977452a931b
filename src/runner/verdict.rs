//! From what an attempt brought to the record of its case.

use super::case::Attempt;
use super::reckon::first_of;
use super::{CaseRecord, Finding, FindingKind, Outcome};
use crate::suite::Profile;

/// Completes the blank record of a case.
pub(super) fn settle(mut record: CaseRecord, attempt: Attempt, profile: &Profile) -> CaseRecord {
    record.outcome = attempt.outcome();
    let Attempt { held, findings, unjudged, moot, left_behind, .. } = attempt;
    let first = findings.first();
    let open = unjudged.iter().min_by_key(|(_, level)| **level);
    let open = open.map(|(id, level)| format!("{level} {id} was not judged"));
    record.reason = match record.outcome {
        Outcome::Blocked => first_of(&findings, FindingKind::Precondition).map(because).or(open),
        Outcome::Impossible => first_of(&findings, FindingKind::Need).map(|f| f.received.clone()),
        Outcome::Error => first_of(&findings, FindingKind::Harness).map(|f| f.received.clone()),
        Outcome::Warn if findings.is_empty() => open,
        _ => first.and_then(|f| f.hint.clone()),
    };
    record.held = held;
    record.left_behind = left_behind;
    record.unjudged = unjudged.into_keys().chain(moot).collect();
    record.findings = findings;
    apply(profile, &mut record);
    record
}

/// A failure that the profile describes is known; one that it describes in vain is fixed.
fn apply(profile: &Profile, record: &mut CaseRecord) {
    let entries: Vec<_> = profile.known.iter().filter(|k| k.case == record.id).collect();
    let Some(first) = entries.first() else { return };
    let recorded = |f: &Finding| {
        entries.iter().any(|k| f.cites(&k.requirement) && f.received.contains(&k.signature))
    };
    match record.outcome {
        // What was not judged was not for what the profile records.
        Outcome::Fail | Outcome::Warn | Outcome::Blocked
            if !record.findings.is_empty() && record.findings.iter().all(recorded) =>
        {
            record.outcome = Outcome::Known;
            record.reason = Some(format!("{} ({})", first.reason, first.source));
        }
        _ => {}
    }
    let broken = |id: &String| record.findings.iter().any(|f| f.cites(id));
    let stale = entries.iter().filter(|known| !known.sometimes).map(|known| &known.requirement);
    let mut stale = stale.filter(|id| record.held.contains(id) && !broken(id));
    let settled = matches!(record.outcome, Outcome::Pass | Outcome::Known | Outcome::Warn);
    if let (Some(id), true) = (stale.next(), settled) {
        record.outcome = Outcome::Fixed;
        record.reason = Some(format!("{id} is recorded as broken, and it holds"));
    }
}

fn because(finding: &Finding) -> String {
    let stage = finding.stage.clone().unwrap_or_else(|| match finding.path.as_str() {
        "" => format!("step {}", finding.step),
        path => format!("step {} at {path}", finding.step),
    });
    format!("{stage}: expected {}, received {}", finding.expected, finding.received)
}
