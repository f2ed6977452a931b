//! The verdict on a grid's visitors, as `serve --judge` prints it.

use super::Paint;
use super::human::plural;
use super::paint::wrap;
use crate::runner::{Outcome, RunRecord};

/// What visitors broke, told one by one, then the sum; with `verbose` what held and what was not
/// seen as well.
pub fn verdict(record: &RunRecord, paint: Paint, verbose: bool) -> String {
    let mut text = String::new();
    let broken = [Outcome::Warn, Outcome::Fail];
    for case in record.cases.iter().filter(|case| broken.contains(&case.outcome)) {
        text.push_str(&super::failure(case, paint));
        text.push('\n');
    }
    let others = [Outcome::Pass, Outcome::Impossible];
    for case in record.cases.iter().filter(|c| verbose && others.contains(&c.outcome)) {
        let word = paint.outcome(case.outcome, &format!("{:>10}", case.outcome));
        text.push_str(&format!("{word} {}\n", case.id));
        for line in case.reason.iter().flat_map(|why| wrap(why, 68)).take(2) {
            text.push_str(&paint.dim(&format!("           {line}")));
            text.push('\n');
        }
    }
    let count = |outcome| record.count(outcome);
    let (met, warned, failed) = (count(Outcome::Pass), count(Outcome::Warn), count(Outcome::Fail));
    let unseen = count(Outcome::Impossible);
    let more = if verbose || unseen == 0 { "" } else { " (-v says why)" };
    text.push_str(&format!(
        "{} of clients: {met} met, {unseen} not seen{more}\n{failed} MUST and {warned} SHOULD broken\n",
        plural(record.cases.len(), "requirement"),
    ));
    let word = match record.exit {
        0 => paint.outcome(Outcome::Pass, "conformant"),
        1 => paint.red("not conformant"),
        4 => paint.red("nobody logged in"),
        _ => paint.red("incomplete: more passed than is kept"),
    };
    text.push_str(&format!("{word}: {} to {}\n", record.target.name, record.target.login_uri));
    text
}
