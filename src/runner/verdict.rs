//! From what an attempt brought to the record of its case.

use super::case::Attempt;
use super::reckon::first_of;
use super::{CaseRecord, Finding, FindingKind, Outcome};
use crate::suite::{Known, Profile, wildcard};

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
    let entries: Vec<&Known> =
        profile.known.iter().filter(|known| wildcard(&known.case, &record.id)).collect();
    let records = |f: &Finding| {
        let fits = |k: &&&Known| f.cites(&k.requirement) && f.received.contains(&k.signature);
        entries.iter().find(fits).copied()
    };
    // What was not judged was not for what the profile records.
    if matches!(record.outcome, Outcome::Fail | Outcome::Warn | Outcome::Blocked)
        && let Some(all) = record.findings.iter().map(records).collect::<Option<Vec<_>>>()
        && let Some(first) = all.first()
    {
        record.outcome = Outcome::Known;
        record.reason = Some(format!("{} ({})", first.reason, first.source));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(findings: &[(&str, &str)], known: Vec<Known>) -> (Outcome, Option<String>) {
        let finding = |(requirement, received): &(&str, &str)| {
            serde_json::json!({
                "kind": "broken", "requirement": requirement, "level": "should", "step": "eq.poll",
                "path": "", "expected": "", "received": received,
            })
        };
        let findings: Vec<_> = findings.iter().map(finding).collect();
        let record = serde_json::json!({
            "id": "caps/event_queue/early", "title": "", "outcome": "warn", "requirements": [],
            "held": [], "findings": findings, "attempts": 1, "passes": 0, "ms": 0.0,
            "timeline": [], "reproduce": "",
        });
        let mut record: CaseRecord = serde_json::from_value(record).unwrap();
        apply(&Profile { title: String::new(), known }, &mut record);
        (record.outcome, record.reason)
    }

    fn known(case: &str, requirement: &str, reason: &str) -> Known {
        Known {
            case: case.into(),
            requirement: requirement.into(),
            reason: reason.into(),
            source: "seen".into(),
            signature: "502".into(),
            sometimes: true,
        }
    }

    #[test]
    fn what_is_known_of_any_case_is_known_of_each_and_gives_its_own_reason() {
        let entries = || {
            let other = known("caps/event_queue/early", "EQ-HOLD-1", "it never holds");
            vec![other, known("*", "EQ-EARLY-1", "a mark in the queue")]
        };
        let (outcome, reason) = judged(&[("EQ-EARLY-1", "status 502")], entries());
        assert_eq!(outcome, Outcome::Known);
        assert_eq!(reason.as_deref(), Some("a mark in the queue (seen)"));
        // A worse answer is not hidden, nor what stands beside it.
        assert_eq!(judged(&[("EQ-EARLY-1", "status 500")], entries()).0, Outcome::Warn);
        let both = [("EQ-EARLY-1", "status 502"), ("EQ-FRESH-1", "502")];
        assert_eq!(judged(&both, entries()).0, Outcome::Warn);
        assert_eq!(judged(&[], entries()).0, Outcome::Warn);
        let elsewhere = vec![known("login/*", "EQ-EARLY-1", "a mark in the queue")];
        assert_eq!(judged(&[("EQ-EARLY-1", "status 502")], elsewhere).0, Outcome::Warn);
    }
}
