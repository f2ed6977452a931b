//! How a client logs in.

use super::Check;
use crate::judge::check_result::{CheckResult, never, rule, within};
use crate::judge::visit::Visit;
use crate::net::tap::Passed;
use crate::proto::login::{Request, Start};
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[
    ("LOGIN-CLIENT-CALL-1", can_be_read),
    ("LOGIN-CLIENT-PASSWORD-1", password),
    ("LOGIN-CLIENT-START-1", start),
    ("LOGIN-CLIENT-VIEWER-1", |visit| texts(visit, &["channel", "version"])),
    ("LOGIN-CLIENT-MACHINE-1", |visit| texts(visit, &["platform", "mac", "id0"])),
    ("LOGIN-INDETERMINATE-FOLLOW-1", follows),
    ("LOGIN-INDETERMINATE-FOLLOW-2", follows_as_itself),
    ("LOGIN-MISSING-INVENTORY-ROOT-1", needs_inventory_root),
    ("LOGIN-UNKNOWN-MEMBERS-OK-1", goes_on),
    ("LOGIN-TIMEOUT-1", gives_up),
];

/// The calls, each with its path.
fn calls(visit: &Visit) -> impl Iterator<Item = (usize, Duration, &str, &Request)> {
    visit.events.iter().enumerate().filter_map(|(index, heard)| match &heard.what {
        Passed::LoginAsked(path, call) => Some((index, heard.at, path.as_str(), call)),
        _ => None,
    })
}

fn can_be_read(visit: &Visit) -> CheckResult {
    let seen = visit.events.iter().enumerate().map(|(index, heard)| match &heard.what {
        Passed::LoginAsked(..) => Some(Ok(())),
        Passed::LoginUnread(why) => {
            let expected = || "login_to_simulator with one struct, as XML-RPC or LLSD".into();
            rule(false, index, expected, || why.clone())
        }
        _ => None,
    });
    CheckResult::of("it made no login call", seen)
}

fn password(visit: &Visit) -> CheckResult {
    let hash = |text: &str| {
        let hash = text.strip_prefix("$1$").unwrap_or_default();
        hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let calls = calls(visit).filter_map(|(index, _, _, call)| Some((index, call.text("passwd")?)));
    let seen = calls.map(|(index, passwd)| {
        let expected = || "`$1$` and 32 lower-case hexadecimal digits".into();
        rule(hash(passwd), index, expected, || format!("a text of {} bytes", passwd.len()))
    });
    CheckResult::of("it logged in without `passwd`", seen)
}

fn start(visit: &Visit) -> CheckResult {
    let seen = calls(visit).map(|(index, _, _, call)| {
        let start = call.text("start").unwrap_or_default();
        let expected = || "`home`, `last` or `uri:REGION&X&Y&Z`".into();
        rule(Start::parse(start).is_some(), index, expected, || format!("{start:?}"))
    });
    CheckResult::of("it made no login call", seen)
}

fn texts(visit: &Visit, names: &'static [&'static str]) -> CheckResult {
    let seen = calls(visit).map(|(index, _, _, call)| {
        let missing = |name: &&&str| call.text(name).unwrap_or_default().is_empty();
        let missing: Vec<&str> = names.iter().filter(missing).copied().collect();
        let expected = || format!("the texts {}", names.join(", "));
        rule(missing.is_empty(), index, expected, || format!("no {}", missing.join(", no ")))
    });
    CheckResult::of("it made no login call", seen)
}

/// Logins that were to go on elsewhere.
fn undecided(visit: &Visit) -> impl Iterator<Item = (usize, Duration)> {
    visit.events.iter().enumerate().filter_map(|(index, heard)| match &heard.what {
        Passed::Refused(reason) if reason == "indeterminate" => Some((index, heard.at)),
        _ => None,
    })
}

fn follows(visit: &Visit) -> CheckResult {
    let seen = undecided(visit).map(|(index, at)| {
        let mut next = calls(visit).filter(|(later, _, path, _)| *later > index && *path != "/");
        let came = next.next().map(|(_, at, ..)| at);
        within(Duration::from_secs(20), at, came, visit.until, index, "a call to `next_url`")
    });
    let unseen =
        "no login of it was answered `indeterminate`, or it was not watched for 20 s after";
    CheckResult::of(unseen, seen)
}

fn follows_as_itself(visit: &Visit) -> CheckResult {
    let who = |call: &Request| {
        ["first", "last", "passwd"].map(|name| call.text(name).unwrap_or_default().to_owned())
    };
    let all: Vec<_> = calls(visit).collect();
    let seen = all.iter().filter(|(_, _, path, _)| *path != "/").map(|(index, _, _, call)| {
        let before = all.iter().rfind(|(earlier, ..)| earlier < index);
        let same = before.is_some_and(|(_, _, _, before)| who(before) == who(call));
        rule(same, *index, || "the credentials of the call before".into(), || "others".into())
    });
    CheckResult::of("it called no `next_url`", seen)
}

fn logged_in(visit: &Visit) -> impl Iterator<Item = (usize, Duration)> {
    let events = visit.events.iter().enumerate();
    let begun = events.filter(|(_, heard)| matches!(heard.what, Passed::LoggedIn(..)));
    begun.map(|(index, heard)| (index, heard.at))
}

fn needs_inventory_root(visit: &Visit) -> CheckResult {
    let code = visit.received_named("UseCircuitCode").next().map(|came| (came.index, came.at));
    let seen = logged_in(visit).map(|(_, at)| {
        let what = "circuit after a login reply without `inventory-root`, which is to be taken for a \
                    login that failed";
        never(Duration::from_secs(10), at, code, visit.until, what)
    });
    CheckResult::of("it was not watched for 10 s after its login", seen)
}

fn goes_on(visit: &Visit) -> CheckResult {
    let code = visit.received_named("UseCircuitCode").next().map(|came| came.at);
    let seen = logged_in(visit).map(|(index, at)| {
        within(Duration::from_secs(30), at, code, visit.present(), index, "UseCircuitCode")
    });
    CheckResult::of("it did not log in, or was not watched for 30 s after", seen)
}

fn gives_up(visit: &Visit) -> CheckResult {
    let left = visit.events.iter().find(|heard| matches!(heard.what, Passed::LoginLeft));
    let left = left.map(|heard| heard.at);
    let seen = calls(visit).take(1).map(|(index, at, ..)| {
        within(Duration::from_secs(180), at, left, visit.until, index, "giving the login up")
    });
    CheckResult::of("it was not watched for as long as a login may take", seen)
}
