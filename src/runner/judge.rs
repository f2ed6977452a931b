//! Holds what a step returned against what was expected.

use super::scope::Scope;
use super::{Finding, FindingKind, Place};
use crate::client::Dead;
use crate::steps::{Failure, no_body};
use crate::suite::{
    Action, Catalogue, Expectation, Level, Library, Node, Requirement, Source, Step,
};
use crate::value::{Predicate, Value};

/// A requirement that is cited, and how binding it is there.
pub(super) type Citation = (String, Level);

/// What judging a step brought.
#[derive(Default)]
pub(super) struct Verdict {
    pub held: Vec<String>,
    pub unjudged: Vec<Citation>,
    pub findings: Vec<Finding>,
}

/// Every requirement that a step cites, itself or by the procedure it calls.
pub(super) fn citations(step: &Step, library: &Library) -> Vec<Citation> {
    let mut all = cited(&step.requirements, step.level, &library.catalogue);
    all.extend(expected(step, &library.catalogue));
    if let Action::Call(name) = &step.action
        && let Some(procedure) = library.procedures.get(name)
    {
        all.extend(procedure.steps.iter().flat_map(|step| citations(step, library)));
    }
    all
}

/// Every requirement that the expectations of a step cite.
pub(super) fn expected(step: &Step, catalogue: &Catalogue) -> Vec<Citation> {
    let of = |e: &Expectation| cited(&e.requirements, e.level, catalogue);
    step.expect.iter().flat_map(of).collect()
}

fn cited(ids: &[String], level: Option<Level>, catalogue: &Catalogue) -> Vec<Citation> {
    let own = |id: &String| level.or(catalogue.get(id).map(|requirement| requirement.level));
    ids.iter().filter_map(|id| Some((id.clone(), own(id)?))).collect()
}

/// Judges what a step returned. Every mismatch is told, not only the first.
pub(super) fn expectations(
    step: &Step,
    result: &Value,
    scope: &Scope,
    catalogue: &Catalogue,
) -> Verdict {
    let mut verdict = Verdict { held: step.requirements.clone(), ..Verdict::default() };
    for expectation in &step.expect {
        if is_explained(expectation, result, &verdict.findings, catalogue)
            || expectation.predicates.iter().any(|(_, operand)| scope.lacks(operand))
        {
            let of = cited(&expectation.requirements, expectation.level, catalogue);
            verdict.unjudged.extend(of);
            continue;
        }
        let untold = is_untold(expectation, result);
        match expectation_holds(expectation, result, scope) {
            holds if untold && (holds.is_err() || proves_by_absence(expectation)) => {
                let kind = FindingKind::Need;
                let received = format!("the grid tells nothing of `{}`", expectation.path);
                verdict.findings.push(Finding { kind, received, ..new_finding(step) });
            }
            Err(_) if let Some(need) = &expectation.need => {
                let received = format!("this grid does not have it: {need}");
                let kind = FindingKind::Need;
                verdict.findings.push(Finding { kind, received, ..new_finding(step) });
            }
            Ok(()) => verdict.held.extend(expectation.requirements.iter().cloned()),
            Err((expected, received)) => {
                let mut finding = Finding {
                    path: expectation.path.to_string(),
                    expected,
                    received,
                    place: Some(place(&step.source, &expectation.span)),
                    ..new_finding(step)
                };
                let level = expectation.level;
                cite(&mut finding, &expectation.requirements, level, catalogue);
                verdict.findings.push(finding);
            }
        }
    }
    // Without footing nothing else that the step would prove is judged.
    let ground =
        |finding: &Finding| matches!(finding.kind, FindingKind::Precondition | FindingKind::Need);
    if verdict.findings.iter().any(ground) {
        verdict.findings.retain(ground);
        verdict.held.clear();
        verdict.unjudged = cited(&step.requirements, step.level, catalogue);
        verdict.unjudged.extend(expected(step, catalogue));
    }
    verdict
}

/// Whether an expectation is about a member of which the grid told nothing, as the step says: that
/// it is not told is judged in one place, and makes the others impossible.
fn is_untold(expectation: &Expectation, result: &Value) -> bool {
    let Some(Value::Array(untold)) = result.get("untold") else { return false };
    let head = expectation.path.head();
    head.is_some_and(|head| untold.iter().any(|name| name.same(&Value::string(head))))
}

/// Whether nothing at all would do.
fn proves_by_absence(expectation: &Expectation) -> bool {
    let absent = |(predicate, operand): &(Predicate, Node)| match predicate {
        Predicate::Not => true,
        Predicate::Length => operand.value().same(&Value::integer(0)),
        _ => false,
    };
    expectation.predicates.iter().any(absent)
}

/// Whether an expectation is about what is missing at or below something found wrong: one red line
/// is enough, where that one is as binding.
fn is_explained(
    expectation: &Expectation,
    result: &Value,
    findings: &[Finding],
    catalogue: &Catalogue,
) -> bool {
    let level = binding(expectation, catalogue);
    let explains = |finding: &Finding| {
        let as_binding = match (finding.level, level) {
            (Some(found), Some(own)) => found <= own,
            (found, own) => found.is_none() || own.is_none(),
        };
        let path = &expectation.path;
        as_binding && (path.is_below(&finding.path) || path.to_string() == finding.path)
    };
    findings.iter().any(explains) && expectation.path.find(result).is_none()
}

/// How binding an expectation is: as its most binding requirement.
fn binding(expectation: &Expectation, catalogue: &Catalogue) -> Option<Level> {
    let cited = expectation.requirements.iter().filter_map(|id| catalogue.get(id));
    expectation.level.or(cited.map(|requirement| requirement.level).min())
}

fn expectation_holds(
    expectation: &Expectation,
    result: &Value,
    scope: &Scope,
) -> Result<(), (String, String)> {
    let found = expectation.path.find(result);
    let received = |typed: bool| match &found {
        _ if let Some(why) = no_body(result, &expectation.path) => why,
        None => "nothing there".into(),
        Some(value) if typed => format!("{}: {value}", value.type_name()),
        Some(value) => value.to_string(),
    };
    for (predicate, operand) in &expectation.predicates {
        let typed = *predicate == Predicate::Type;
        let operand = scope.resolve(operand).map_err(|what| (what, received(typed)))?;
        predicate
            .judge(&operand, found.as_ref(), result)
            .map_err(|expected| (expected, received(typed)))?;
    }
    Ok(())
}

/// A step that did not succeed, as a finding.
pub(super) fn failure(step: &Step, failure: Failure, catalogue: &Catalogue) -> Finding {
    let mut finding = new_finding(step);
    match failure {
        Failure::Missing { expected, received, stage, hint } => {
            finding = Finding { expected, received, stage: Some(stage), hint, ..finding };
            cite(&mut finding, &step.requirements, step.level, catalogue);
        }
        Failure::Unanswered { received, stage } => {
            finding.expected = "an HTTP answer".into();
            finding = Finding { received, stage: Some(stage), ..finding };
            let of_the_answer = step.expect.iter().find(|e| !e.requirements.is_empty());
            match of_the_answer.filter(|_| step.requirements.is_empty()) {
                Some(first) => cite(&mut finding, &first.requirements, first.level, catalogue),
                None => cite(&mut finding, &step.requirements, step.level, catalogue),
            }
        }
        Failure::Precondition { expected, received, stage } => {
            finding = Finding { expected, received, stage: Some(stage), ..finding };
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

/// Whoever a step watched, or the case talked to, is not there any more.
pub(super) fn dead(step: &Step, dead: &Dead) -> Finding {
    Finding {
        expected: "whoever the case talked to to be there still".into(),
        received: dead.to_string(),
        stage: Some(STILL_THERE.into()),
        ..new_finding(step)
    }
}

/// What the grid sent that breaks a requirement by itself, whichever step saw it; what is right, and
/// what came.
pub(super) fn unfit(
    step: &Step,
    requirement: &str,
    (expected, received): (String, String),
    catalogue: &Catalogue,
) -> Finding {
    let mut finding = Finding {
        expected,
        received,
        stage: Some("reading what the simulator sent".into()),
        place: None,
        ..new_finding(step)
    };
    cite(&mut finding, &[requirement.to_owned()], None, catalogue);
    finding
}

/// Whether a finding says that somebody is gone.
pub(super) fn is_dead(finding: &Finding) -> bool {
    finding.stage.as_deref() == Some(STILL_THERE)
}

/// The stage of looking whether anybody is there.
const STILL_THERE: &str = "asking whether the grid is still there";

/// A finding of a step with nothing said yet.
pub(super) fn new_finding(step: &Step) -> Finding {
    Finding {
        kind: FindingKind::Precondition,
        requirement: None,
        also: Vec::new(),
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

fn cite(finding: &mut Finding, ids: &[String], level: Option<Level>, catalogue: &Catalogue) {
    let mut cited: Vec<&Requirement> = ids.iter().filter_map(|id| catalogue.get(id)).collect();
    // The most binding one speaks for all.
    cited.sort_by_key(|requirement| requirement.level);
    let Some((first, others)) = cited.split_first() else { return };
    finding.kind = FindingKind::Broken;
    finding.requirement = Some(first.id.clone());
    finding.also = others.iter().map(|requirement| requirement.id.clone()).collect();
    finding.level = Some(level.unwrap_or(first.level));
    finding.sentence = Some(first.text.clone());
    finding.source = Some(first.source.clone());
}

fn place(source: &Source, span: &std::ops::Range<usize>) -> Place {
    let (line, column) = source.position(span.start);
    let text = source.line(span.start);
    let covered = source.text.get(span.clone()).unwrap_or_default();
    let width = covered.lines().next().unwrap_or_default().chars().count();
    Place { file: source.path.clone(), line, column, width: width.max(1), text: text.to_owned() }
}
