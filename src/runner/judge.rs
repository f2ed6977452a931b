//! Holds what a step returned against what was expected.

use super::scope::Scope;
use super::{Finding, FindingKind, Place};
use crate::steps::Failure;
use crate::suite::{Catalogue, Expectation, Level, Source, Step};
use crate::value::Value;

/// What judging a step brought.
#[derive(Default)]
pub(super) struct Verdict {
    pub held: Vec<String>,
    pub findings: Vec<Finding>,
}

/// Judges what a step returned. Every mismatch is told, not only the first.
pub(super) fn expectations(
    step: &Step,
    result: &Value,
    scope: &Scope,
    catalogue: &Catalogue,
) -> Verdict {
    let mut verdict = Verdict::default();
    if let Some(id) = &step.requirement {
        verdict.held.push(id.clone());
    }
    for expectation in &step.expect {
        match expectation_holds(expectation, result, scope) {
            Ok(()) => verdict.held.extend(expectation.requirement.clone()),
            Err((expected, received)) => {
                let mut finding = Finding {
                    path: expectation.path.to_string(),
                    expected,
                    received,
                    place: Some(place(&step.source, &expectation.span)),
                    ..blank(step)
                };
                let level = expectation.level;
                cite(&mut finding, expectation.requirement.as_deref(), level, catalogue);
                verdict.findings.push(finding);
            }
        }
    }
    // A requirement that several expectations cite holds only if all of them do.
    let broken: Vec<&String> =
        verdict.findings.iter().filter_map(|f| f.requirement.as_ref()).collect();
    verdict.held.retain(|id| !broken.contains(&id));
    verdict
}

fn expectation_holds(
    expectation: &Expectation,
    result: &Value,
    scope: &Scope,
) -> Result<(), (String, String)> {
    let found = expectation.path.find(result);
    let received = || found.as_ref().map_or("nothing there".into(), Value::to_string);
    for (predicate, operand) in &expectation.predicates {
        let operand = scope.resolve(operand).map_err(|what| (what, received()))?;
        predicate
            .judge(&operand, found.as_ref(), result)
            .map_err(|expected| (expected, received()))?;
    }
    Ok(())
}

/// A step that did not succeed, as a finding.
pub(super) fn failure(step: &Step, failure: Failure, catalogue: &Catalogue) -> Finding {
    let mut finding = blank(step);
    match failure {
        Failure::Missing { expected, received, stage, hint } => {
            finding = Finding { expected, received, stage: Some(stage), hint, ..finding };
            cite(&mut finding, step.requirement.as_deref(), step.level, catalogue);
        }
        Failure::Impossible(what) => {
            finding.kind = FindingKind::Need;
            finding.received = what;
        }
        Failure::Error(what) => {
            finding.kind = FindingKind::Harness;
            finding.received = what;
        }
    }
    finding
}

/// A finding of a step with nothing said yet.
pub(super) fn blank(step: &Step) -> Finding {
    Finding {
        kind: FindingKind::Footing,
        requirement: None,
        level: None,
        sentence: None,
        source: None,
        step: step.name().to_owned(),
        path: String::new(),
        expected: String::new(),
        received: String::new(),
        stage: None,
        hint: None,
        place: Some(place(&step.source, &step.span)),
    }
}

fn cite(finding: &mut Finding, id: Option<&str>, level: Option<Level>, catalogue: &Catalogue) {
    let Some(requirement) = id.and_then(|id| catalogue.get(id)) else { return };
    finding.kind = FindingKind::Broken;
    finding.requirement = Some(requirement.id.clone());
    finding.level = Some(level.unwrap_or(requirement.level));
    finding.sentence = Some(requirement.text.clone());
    finding.source = Some(requirement.source.clone());
}

fn place(source: &Source, span: &std::ops::Range<usize>) -> Place {
    let (line, column) = source.position(span.start);
    let text = source.line(span.start);
    let covered = source.text.get(span.clone()).unwrap_or_default();
    let width = covered.lines().next().unwrap_or_default().chars().count();
    Place { file: source.path.clone(), line, column, width: width.max(1), text: text.to_owned() }
}
