//! JUnit XML: the suite's path as classname, the case's id as name.

use super::{Paint, failure, xml_clean};
use crate::proto::number::whole;
use crate::runner::{CaseRecord, Outcome, RunRecord};
use junit_report::{Duration, ReportBuilder, TestCase, TestCaseBuilder, TestSuiteBuilder};

/// The record as JUnit XML: well-formed whatever bytes a grid sent.
pub fn junit(record: &RunRecord) -> Vec<u8> {
    let mut report = ReportBuilder::new();
    let mut suites: Vec<(String, Vec<&CaseRecord>)> = Vec::new();
    for case in &record.cases {
        let suite = split(&case.id).0.to_owned();
        match suites.last_mut().filter(|(name, _)| *name == suite) {
            Some((_, cases)) => cases.push(case),
            None => suites.push((suite, vec![case])),
        }
    }
    for (name, cases) in suites {
        let mut suite = TestSuiteBuilder::new(&xml_clean(&name));
        for case in cases {
            suite.add_testcase(test_case(case, record));
        }
        report.add_testsuite(suite.build());
    }
    let mut bytes = Vec::new();
    // Writing to a vector does not fail.
    let _ = report.build().write_xml(&mut bytes);
    bytes.push(b'\n');
    bytes
}

/// A case's id: the suite, and its own name.
fn split(id: &str) -> (&str, &str) {
    let end = id.find('[').unwrap_or(id.len());
    match id[..end].rfind('/') {
        Some(at) => (&id[..at], &id[at + 1..]),
        None => ("", id),
    }
}

fn test_case(case: &CaseRecord, record: &RunRecord) -> TestCase {
    let target = record.target.name.as_str();
    let (suite, name) = split(&case.id);
    let (suite, name) = (xml_clean(suite), xml_clean(name));
    let time = Duration::milliseconds(whole(case.ms));
    let message = xml_clean(&message(case, target));
    let kind = case.outcome.word();
    let mut builder = match case.outcome {
        Outcome::Pass | Outcome::Warn => TestCaseBuilder::success(&name, time),
        // A grid that is gone is nobody's failure, and nothing to pass over.
        Outcome::Blocked if case.never_ran() => TestCaseBuilder::error(&name, time, kind, &message),
        Outcome::Fail | Outcome::Blocked | Outcome::Fixed => {
            TestCaseBuilder::failure(&name, time, kind, &message)
        }
        Outcome::Error => TestCaseBuilder::error(&name, time, kind, &message),
        Outcome::Known | Outcome::Impossible | Outcome::Skipped => {
            TestCaseBuilder::skipped_with_cause(&name, kind, &message)
        }
    };
    builder.set_classname(&suite);
    let out = match case.outcome {
        Outcome::Pass => {
            let notes =
                case.notes().iter().map(|note| format!("note: {note}\n")).collect::<String>();
            format!("pass on {target}: {}\n{notes}", case.title)
        }
        _ => failure(case, Paint { colour: false }),
    };
    let left = case.left_behind.iter().map(|what| format!("left on the grid: {what}\n"));
    let out = out + &left.collect::<String>() + &transcript(case);
    builder.set_system_out(&xml_clean(&out));
    builder.build()
}

/// Every row of the timeline of a case that did not pass.
fn transcript(case: &CaseRecord) -> String {
    if case.outcome == Outcome::Pass {
        return String::new();
    }
    let rows = case.timeline.iter().map(|row| {
        format!("{:>10.1} {} {} {} {}\n", row.ms, row.actor, row.channel, row.direction, row.text)
    });
    format!("\ntranscript:\n{}", rows.collect::<String>())
}

fn message(case: &CaseRecord, target: &str) -> String {
    let first = case.findings.first();
    let what = match (&case.reason, first) {
        (_, Some(finding)) => {
            let id = finding.requirement.as_deref().unwrap_or("footing");
            let level = finding.level.map_or(String::new(), |level| format!("{level} "));
            let at = if finding.path.is_empty() {
                String::new()
            } else {
                format!(" at {}", finding.path)
            };
            format!("{level}{id}: expected {}, received {}{at}", finding.expected, finding.received)
        }
        (Some(reason), None) => reason.clone(),
        (None, None) => case.title.clone(),
    };
    format!("{} on {target}: {what}", case.outcome)
}
