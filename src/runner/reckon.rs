//! The exit code that a run adds up to.

use super::engine::Options;
use super::{CaseRecord, Finding, FindingKind, Outcome};

/// What a run came to, beside its cases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum<'a> {
    /// The user stopped it.
    pub interrupted: bool,
    /// The grid went away.
    pub gone: bool,
    /// No login led to a session.
    pub no_session: bool,
    /// An account's own password was refused.
    pub refused: bool,
    /// What else fails a run.
    pub options: &'a Options,
}

/// The exit code.
pub(super) fn exit(cases: &[CaseRecord], sum: Sum<'_>) -> u8 {
    let any = |outcome| cases.iter().any(|c: &CaseRecord| c.outcome == outcome);
    let ran = |c: &CaseRecord| !matches!(c.outcome, Outcome::Skipped | Outcome::Impossible);
    let options = sum.options;
    if sum.interrupted {
        6
    } else if any(Outcome::Error) {
        70
    } else if sum.gone || (sum.no_session && (sum.refused || cases.iter().any(is_barred))) {
        3
    } else if any(Outcome::Fail)
        || unexplained(cases)
        || (options.fail_on_should && any(Outcome::Warn))
        || (options.fail_on_impossible && any(Outcome::Impossible))
    {
        1
    } else if any(Outcome::Fixed) {
        5
    } else if !cases.iter().any(ran) {
        4
    } else {
        0
    }
}

/// Whether a login was what blocked a case.
fn is_barred(case: &CaseRecord) -> bool {
    let precondition = first_of(&case.findings, FindingKind::Precondition);
    let login = |step: &str| step.starts_with("login.") || step == "session.enter";
    case.outcome == Outcome::Blocked && precondition.is_some_and(|finding| login(&finding.step))
}

/// The first finding of a kind.
pub(super) fn first_of(findings: &[Finding], kind: FindingKind) -> Option<&Finding> {
    findings.iter().find(|f| f.kind == kind)
}

/// Whether a case is blocked by something that no known failure of the same stage explains.
fn unexplained(cases: &[CaseRecord]) -> bool {
    let stages: Vec<&String> = cases
        .iter()
        .filter(|c| c.outcome == Outcome::Known)
        .flat_map(|c| c.findings.iter().filter_map(|f| f.stage.as_ref()))
        .collect();
    cases.iter().filter(|c| c.outcome == Outcome::Blocked).any(|c| {
        let stage = first_of(&c.findings, FindingKind::Precondition).and_then(|f| f.stage.as_ref());
        stage.is_none_or(|stage| !stages.contains(&stage))
    })
}
