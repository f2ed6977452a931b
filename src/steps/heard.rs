//! Looking through what a viewer heard: filters, counts and what the numbers say.

use super::{Call, Failure};
use crate::client::{Observed, Source, Viewer, What};
use crate::net::Undecodable;
use crate::net::udp::CircuitEvent;
use crate::proto::id::Sequence;
use crate::proto::message::{Flags, Header, Message};
use crate::value::{Path, Segment, Value, message_value};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Whether a value has the wanted values at the wanted paths. Those at paths over every item of one
/// array must be of the same item.
pub(super) fn fits(value: &Value, filter: Option<&Value>) -> bool {
    let Some(Value::Map(wanted)) = filter else { return true };
    wanted.iter().all(|(path, want)| match over_items(path) {
        Some((array, _)) => item(value, &array, wanted).is_some(),
        None => has(value, path, want),
    })
}

/// The item that made a value fit, where a path of the filter is over every item of an array.
pub(super) fn fitting_item(value: &Value, filter: Option<&Value>) -> Option<Value> {
    let Some(Value::Map(wanted)) = filter else { return None };
    let array = wanted.iter().find_map(|(path, _)| Some(over_items(path)?.0))?;
    item(value, &array, wanted)
}

/// The first item of an array that has every value that is wanted of one of its items.
fn item(value: &Value, array: &Path, wanted: &[(String, Value)]) -> Option<Value> {
    let within: Vec<(Path, &Value)> = wanted
        .iter()
        .filter_map(|(path, want)| {
            let (other, within) = over_items(path)?;
            (other == *array).then_some((within, want))
        })
        .collect();
    let Value::Array(items) = array.find(value)? else { return None };
    items.into_iter().find(|item| within.iter().all(|(path, want)| holds(item, path, want)))
}

/// A path over every item of an array: the array's, and what follows within an item.
fn over_items(path: &str) -> Option<(Path, Path)> {
    let mut array = Path::parse(path).ok()?;
    let at = array.0.iter().position(|segment| *segment == Segment::All)?;
    let within = array.0.split_off(at + 1);
    array.0.pop();
    Some((array, Path(within)))
}

/// Whether a value has none of these values at these paths.
pub(super) fn lacks(value: &Value, without: Option<&Value>) -> bool {
    let Some(Value::Map(unwanted)) = without else { return true };
    !unwanted.iter().any(|(path, unwanted)| has(value, path, unwanted))
}

fn has(value: &Value, path: &str, want: &Value) -> bool {
    Path::parse(path).is_ok_and(|path| holds(value, &path, want))
}

fn holds(value: &Value, path: &Path, want: &Value) -> bool {
    match (path.find(value), path.0.contains(&Segment::All)) {
        (Some(Value::Array(items)), true) => items.iter().any(|item| item.same(want)),
        (found, _) => found.is_some_and(|found| found.same(want)),
    }
}

/// The names of all events heard.
pub(super) fn events(viewer: &Viewer) -> Vec<String> {
    viewer.mailbox.with(|heard| event_names(heard).map(str::to_owned).collect())
}

/// The names of the events among what was heard.
pub(super) fn event_names(heard: &[Observed]) -> impl Iterator<Item = &str> + Clone {
    heard.iter().filter_map(|observed| match &observed.what {
        What::Event(event) => Some(event.message.as_str()),
        _ => None,
    })
}

/// A message as heard.
pub(super) struct Heard<'a> {
    pub message: &'a Message,
    pub header: Header,
    pub size: usize,
    pub duplicate: bool,
    pub body: &'a [u8],
    pub extra: usize,
    pub empty_run: bool,
    pub trailing: usize,
}

/// The message an observation is, if it is one of that circuit.
pub(super) fn message<'a>(observed: &'a Observed, circuit: &str) -> Option<Heard<'a>> {
    let What::Udp(seen) = &observed.what else { return None };
    if !matches!(&observed.source, Source::Circuit(name) if name == circuit) {
        return None;
    }
    match &**seen {
        CircuitEvent::Message {
            message,
            header,
            size,
            duplicate,
            body,
            extra,
            empty_run,
            trailing,
        } => {
            let (header, size, duplicate) = (*header, *size, *duplicate);
            let (extra, empty_run, trailing) = (*extra, *empty_run, *trailing);
            Some(Heard { message, header, size, duplicate, body, extra, empty_run, trailing })
        }
        _ => None,
    }
}

/// A message as a value: its blocks, and `header`.
pub(super) fn value(heard: &Heard<'_>) -> Value {
    let flags = heard.header.flags;
    let header = Value::map([
        ("sequence", Value::integer(heard.header.sequence)),
        ("reliable", Value::Boolean(flags.has(Flags::RELIABLE))),
        ("resent", Value::Boolean(flags.has(Flags::RESENT))),
        ("zerocoded", Value::Boolean(flags.has(Flags::ZEROCODED))),
        ("size", Value::count(heard.size)),
    ]);
    let Value::Map(mut members) = message_value(heard.message) else { return header };
    members.push(("header".into(), header));
    Value::Map(members)
}

/// What answers in place of what somebody waits for: nothing more will come.
struct Instead {
    wanted: &'static [&'static str],
    come: &'static [&'static str],
    /// It may be about something else: what is waited for may come yet, for so long.
    grace: Duration,
}

const INSTEAD: [Instead; 5] = [
    Instead {
        wanted: &["TeleportStart", "TeleportProgress", "TeleportFinish", "TeleportLocal"],
        come: &[REFUSED],
        grace: Duration::ZERO,
    },
    // The avatar was moved within its region, or out of it.
    Instead { wanted: &["TeleportFinish"], come: &["TeleportLocal"], grace: Duration::ZERO },
    Instead { wanted: &["TeleportLocal"], come: &["TeleportFinish"], grace: Duration::ZERO },
    Instead {
        wanted: &[REFUSED],
        come: &["TeleportFinish", "TeleportLocal"],
        grace: Duration::ZERO,
    },
    // Whoever is not let over a border is told so by an alert (CR-DENIED-ALERT-1); but a grid alerts
    // of much else.
    Instead {
        wanted: &["CrossedRegion"],
        come: &["AlertMessage", "AgentAlertMessage"],
        grace: Duration::from_secs(10),
    },
];

/// Waits for what `find` finds; the grid's words if something else came in its place. Without
/// `wanted` nothing is taken for that.
pub(super) async fn awaited<T>(
    call: &Call<'_>,
    wanted: Option<&str>,
    mut find: impl FnMut(&mut [Observed]) -> Option<T>,
) -> Option<Result<T, String>> {
    let (mailbox, deadline) = (&call.viewer.mailbox, Instant::now() + call.within);
    let ended = mailbox.wait(deadline, |heard| {
        let refused = |heard: &[Observed]| wanted.and_then(|wanted| refusal(heard, wanted));
        find(heard).map(Ok).or_else(|| refused(heard).map(Err))
    });
    match ended.await? {
        Ok(found) => Some(Ok(found)),
        Err((refused, grace)) => {
            let deadline = deadline.min(Instant::now() + grace);
            let found = mailbox.wait(deadline, |heard| find(heard));
            Some(found.await.ok_or(refused))
        }
    }
}

/// What came in place of what is waited for, in the grid's words, and for how long that may be a
/// mistake. Nothing that a step has taken is meant, nor its repetition: that answers no later
/// question.
fn refusal(heard: &[Observed], wanted: &str) -> Option<(String, Duration)> {
    if !INSTEAD.iter().any(|instead| instead.wanted.contains(&wanted)) {
        return None;
    }
    let taken = heard.iter().rposition(|observed| observed.taken).map_or(0, |at| at + 1);
    let mut left = heard.iter().enumerate().rev().filter(|(_, observed)| !observed.taken);
    left.find_map(|(at, observed)| {
        let name = name(observed)?;
        let fits = |i: &&Instead| i.wanted.contains(&wanted) && i.come.contains(&name);
        let instead = INSTEAD.iter().find(fits)?;
        // A refusal answers nothing else, whenever it was told.
        let answers = name == REFUSED || at >= taken;
        // A grid may give as much text as it likes.
        let reason = || reason(observed).map(|why| format!(", {:?}", crate::value::cut(&why, 300)));
        answers.then(|| (format!("{name}{}", reason().unwrap_or_default()), instead.grace))
    })
}

const REFUSED: &str = "TeleportFailed";

/// The name of a message or an event; none of what was heard before.
fn name(observed: &Observed) -> Option<&str> {
    match &observed.what {
        What::Udp(seen) => match &**seen {
            CircuitEvent::Message { message, duplicate: false, .. } => Some(message.name()),
            _ => None,
        },
        What::Event(event) => Some(&event.message),
        _ => None,
    }
}

/// What a refusal gives as its reason, or an alert says; none of anything else.
fn reason(observed: &Observed) -> Option<String> {
    match &observed.what {
        What::Udp(seen) => match &**seen {
            CircuitEvent::Message { message, .. } if message.name() == REFUSED => {
                Some(message.text("Info", "Reason").unwrap_or_default())
            }
            CircuitEvent::Message { message, .. } => message.text("AlertData", "Message"),
            _ => None,
        },
        What::Event(event) if event.message == REFUSED => {
            let info = event.body.get("Info").and_then(|info| info.as_array()?.first());
            let reason = info.and_then(|info| info.get("Reason")?.as_str());
            Some(reason.unwrap_or_default().to_owned())
        }
        _ => None,
    }
}

/// What the simulator told its user on a circuit, last: it may say why something did not come.
pub(super) fn alert(viewer: &Viewer, circuit: &str) -> Option<String> {
    viewer.mailbox.with(|heard| {
        let messages = heard.iter().rev().filter_map(|observed| message(observed, circuit));
        messages.into_iter().find_map(|heard| match heard.message.name() {
            "AlertMessage" | "AgentAlertMessage" => heard.message.text("AlertData", "Message"),
            _ => None,
        })
    })
}

/// The datagrams of a circuit that do not decode, by number.
pub(super) fn undecodable(heard: &[Observed], circuit: &str) -> Vec<(Sequence, Undecodable)> {
    let on =
        |observed: &&Observed| matches!(&observed.source, Source::Circuit(name) if name == circuit);
    let bad = heard.iter().filter(on).filter_map(|observed| match &observed.what {
        What::Udp(seen) => match &**seen {
            CircuitEvent::Bad(sequence, how) => Some((*sequence, how.clone())),
            _ => None,
        },
        _ => None,
    });
    bad.collect()
}

/// What the sequence numbers say about a message that did not come.
pub(super) fn hint(viewer: &Viewer, circuit: &str) -> Option<String> {
    let bad = viewer.mailbox.with(|heard| undecodable(heard, circuit));
    // A newer grid says what this template does not know all the time.
    let mut broken = bad.iter().filter(|(_, how)| *how != Undecodable::Unknown);
    if let Some((number, how)) = broken.next() {
        let also = if broken.next().is_none() { "" } else { ", and others" };
        return Some(format!("perhaps in what does not decode: #{number} ({how}){also}"));
    }
    if viewer.mailbox.has_overflowed() {
        return Some("perhaps drowned: more came than is kept, and its beginning is gone".into());
    }
    let mut numbers: BTreeSet<Sequence> = viewer.mailbox.with(|heard| {
        heard.iter().filter_map(|o| message(o, circuit)).map(|m| m.header.sequence).collect()
    });
    numbers.extend(bad.iter().map(|(number, _)| *number));
    let (first, last) = (numbers.first()?, numbers.last()?);
    let missing: Vec<String> = (first.0..last.0)
        .map(Sequence)
        .take(5000)
        .filter(|n| !numbers.contains(n))
        .map(|n| format!("#{n}"))
        .collect();
    Some(match missing.as_slice() {
        [] => format!(
            "never sent: the simulator's numbers #{first} to #{last} all arrived, without a gap"
        ),
        [one] => format!("perhaps lost on the wire: {one} never arrived"),
        many => format!(
            "perhaps lost on the wire: {} numbers never arrived, first {}",
            many.len(),
            many[0]
        ),
    })
}

/// Whoever says that something of this name did not come must have kept all of it that came.
/// Without a name, all that came.
pub(super) fn kept(viewer: &Viewer, name: Option<&str>, stage: &str) -> Result<(), Failure> {
    let gone = match name {
        Some(name) => viewer.mailbox.has_forgotten(name),
        None => viewer.mailbox.has_overflowed(),
    };
    match gone {
        true => Err(Failure::Precondition {
            stage: stage.to_owned(),
            expected: "no more than can be kept".into(),
            received: "so much that its beginning is gone".into(),
        }),
        false => Ok(()),
    }
}

/// What came on a circuit, counted by name.
pub(super) fn summary(viewer: &Viewer, circuit: &str) -> String {
    let mut counts: Vec<(String, u32)> = Vec::new();
    viewer.mailbox.with(|heard| {
        for name in heard.iter().filter_map(|o| message(o, circuit)).map(|m| m.message.name()) {
            match counts.iter_mut().find(|(n, _)| n == name) {
                Some((_, count)) => *count += 1,
                None => counts.push((name.to_owned(), 1)),
            }
        }
    });
    if counts.is_empty() {
        return "nothing at all on this circuit".into();
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(name, n)| if n == 1 { name } else { format!("{name} ×{n}") })
        .collect();
    let alert = alert(viewer, circuit).map(|text| format!("; it alerts: {text:?}"));
    format!("only {}{}", crate::value::cut(&counts.join(", "), 300), alert.unwrap_or_default())
}

/// What is wrong with the event queue, if anything is.
pub(super) fn trouble(viewer: &Viewer) -> Option<String> {
    viewer.mailbox.with(|heard| {
        let own = |observed: &&Observed| {
            matches!(&observed.source, Source::Events(name) if *name == viewer.root)
        };
        heard.iter().filter(own).find_map(|observed| match &observed.what {
            What::Trouble(what) => Some(what.clone()),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, hears, says};

    /// The hint of a wait for what does not come.
    fn hint_after(bad: Undecodable) -> String {
        let message = || crate::steps::bench::message("StartPingCheck");
        let ended = hearing(
            |viewer| {
                says(viewer, 1, Flags::default(), message());
                hears(viewer, CircuitEvent::Bad(Sequence(2), bad));
                says(viewer, 3, Flags::default(), message());
            },
            r#"do = "udp.expect", message = "KickUser", within = "1s""#,
        );
        let Err(Failure::Missing { hint: Some(hint), .. }) = ended else { panic!("{ended:?}") };
        hint
    }

    #[test]
    fn what_does_not_decode_is_no_gap_and_an_unknown_message_is_no_reason() {
        let unknown = hint_after(Undecodable::Unknown);
        assert!(unknown.starts_with("never sent: "), "{unknown}");
        let coded = hint_after(Undecodable::CodedTrailer);
        assert!(coded.starts_with("perhaps in what does not decode: #2 ("), "{coded}");
    }

    #[test]
    fn conditions_on_every_item_hold_of_one_and_the_same() {
        let row = |id: i64, name: &str| {
            Value::map([("ID", Value::integer(id)), ("Name", Value::string(name))])
        };
        let rows = vec![row(1, "jane"), row(2, "john"), row(3, "jane")];
        let value = Value::map([("Rows", Value::Array(rows)), ("Size", Value::integer(3))]);
        let filter = |id: i64, name: &str| {
            Value::map([
                ("Rows[*].ID", Value::integer(id)),
                ("Rows[*].Name", Value::string(name)),
                ("Size", Value::integer(3)),
            ])
        };
        assert_eq!(fitting_item(&value, Some(&filter(3, "jane"))), Some(row(3, "jane")));
        assert!(fits(&value, Some(&filter(2, "john"))));
        assert!(!fits(&value, Some(&filter(2, "jane"))), "one is of the second, one of the first");
        let plain = Value::map([("Size", Value::integer(3))]);
        assert!(fits(&value, Some(&plain)) && fitting_item(&value, Some(&plain)).is_none());
    }
}
