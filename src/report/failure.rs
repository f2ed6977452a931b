//! One failure, told so that no second tool is needed: what broke, what was expected and
//! received, where the suite says so, what happened on every channel, how to run it again.

use super::paint::{Paint, wrap};
use crate::runner::{CLEAN_UP, CaseRecord, Entry, Finding, FindingKind, Place};
use crate::value::cut;

/// The most lines a failure takes.
const MOST: usize = 40;
/// The width of the page.
const WIDTH: usize = 80;
/// Findings beyond these are only counted.
const FINDINGS: usize = 3;

/// A failure as text.
pub fn failure(record: &CaseRecord, paint: Paint) -> String {
    let mut lines = Vec::new();
    let word = record.outcome.word().to_uppercase();
    let word = paint.outcome(record.outcome, &word);
    lines.push(format!("{word} {}", paint.bold(&record.id)));
    // A requirement's own sentence stands where it is told as broken.
    let repeats = record.findings.iter().any(|f| f.sentence.as_deref() == Some(&record.title));
    if !repeats {
        lines.extend(wrap(&record.title, WIDTH - 2).iter().map(|line| format!("  {line}")));
    }
    if record.attempts > 1 {
        lines.push(format!("  passed {} of {} attempts", record.passes, record.attempts));
    }
    if record.findings.is_empty()
        && let Some(reason) = &record.reason
    {
        lines.extend(wrap(reason, WIDTH - 2).iter().map(|line| format!("  {line}")));
    }
    for finding in record.findings.iter().take(FINDINGS) {
        lines.push(String::new());
        lines.extend(self::finding(finding, paint));
    }
    if record.findings.len() > FINDINGS {
        lines.push(format!("  and {} more of the kind", record.findings.len() - FINDINGS));
    }
    if !record.unjudged.is_empty() && !record.findings.is_empty() {
        lines.push(String::new());
        lines.extend(told("unjudged", &record.unjudged.join(", "), 2));
    }
    if !record.wire.is_empty() {
        lines.push(String::new());
    }
    for wire in record.wire.iter().take(FINDINGS) {
        lines.extend(told("the wire", wire, 1));
    }
    let tail = tail(record, paint);
    let room = MOST.saturating_sub(lines.len() + tail.len() + 2).max(5);
    let rows = timeline(record, room, paint);
    if !rows.is_empty() {
        lines.push(String::new());
        lines.push(paint.dim("  ms since it began, who, channel, what:"));
        lines.extend(rows);
    }
    lines.extend(tail);
    lines.join("\n") + "\n"
}

fn finding(finding: &Finding, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    match (&finding.requirement, finding.level, &finding.sentence) {
        (Some(id), Some(level), Some(sentence)) => {
            let also = match finding.also.as_slice() {
                [] => String::new(),
                also => cut(&format!(", and {}", also.join(", ")), WIDTH - 10 - id.len()),
            };
            lines.push(format!("  {}{also} {level}", paint.bold(id)));
            lines.extend(wrap(sentence, WIDTH - 4).iter().map(|line| format!("    {line}")));
            if let Some(source) = &finding.source {
                let source = cut(&format!("source: {source}"), WIDTH - 6);
                lines.push(paint.dim(&format!("    {source}")));
            }
        }
        _ => {
            let what = match finding.kind {
                FindingKind::Precondition => "the case could not reach the state it tests in",
                FindingKind::Need => "a need is not met",
                _ => "the suite or this program is at fault",
            };
            lines.push(format!("  {}", paint.bold(what)));
        }
    }
    if let Some(stage) = &finding.stage {
        lines.push(format!("  stage     {}", cut(stage, WIDTH - 14)));
    }
    let place =
        if finding.path.is_empty() { String::new() } else { format!("  at {}", finding.path) };
    if !finding.expected.is_empty() {
        lines.extend(told("expected", &finding.expected, 2));
    }
    let received = told("received", &format!("{}{place}", finding.received), 3);
    lines.extend(received.into_iter().map(|line| paint.red(&line)));
    // Before the long part, so that it is read.
    if let Some(hint) = &finding.hint {
        lines.extend(told("hint", hint, 2));
    }
    if let Some(place) = &finding.place {
        lines.extend(caret(place, paint));
    }
    lines
}

/// A labelled text on a few lines.
fn told(label: &str, text: &str, most: usize) -> Vec<String> {
    let wrapped = wrap(text, WIDTH - 12);
    let more = wrapped.len() > most;
    let mut lines: Vec<String> = wrapped.into_iter().take(most).collect();
    if let (true, Some(last)) = (more, lines.last_mut()) {
        *last = format!("{}…", cut(last, WIDTH - 14).trim_end_matches('…'));
    }
    let indent = |n: usize| if n == 0 { format!("  {label:<10}") } else { " ".repeat(12) };
    lines.iter().enumerate().map(|(n, line)| format!("{}{line}", indent(n))).collect()
}

/// The line of the suite, with a caret under the place. A long line is shown around the place.
fn caret(place: &Place, paint: Paint) -> Vec<String> {
    let number = place.line.to_string();
    let room = WIDTH - number.len() - 6;
    let characters: Vec<char> = place.text.chars().collect();
    let column = place.column.saturating_sub(1).min(characters.len());
    let start = if characters.len() <= room { 0 } else { column.saturating_sub(4) };
    let shown: String = characters.iter().skip(start).take(room).collect();
    let width = place.width.min(room.saturating_sub(column - start)).max(1);
    let gutter = " ".repeat(number.len());
    vec![
        paint.dim(&format!("  {gutter}--> {}:{}:{}", place.file, place.line, place.column)),
        format!("  {} {shown}", paint.dim(&format!("{number} |"))),
        format!(
            "  {} {}{}",
            paint.dim(&format!("{gutter} |")),
            " ".repeat(column - start),
            paint.red(&"^".repeat(width))
        ),
    ]
}

/// The last rows of the timeline, and a row for what did not come.
fn timeline(record: &CaseRecord, room: usize, paint: Paint) -> Vec<String> {
    let actors: std::collections::BTreeSet<&str> =
        record.timeline.iter().map(|row| row.actor.as_str()).collect();
    let several = actors.iter().filter(|a| !a.is_empty()).count() > 1;
    let row = |row: &Entry| {
        let who = if several { format!("{:<8} ", cut(&row.actor, 7)) } else { String::new() };
        let text =
            format!("{:>8.1} {who}{:<6} {} {}", row.ms, row.channel, row.direction, row.text);
        format!("  {}", cut(&text, WIDTH - 4))
    };
    let missing: Vec<String> = record
        .findings
        .iter()
        .filter_map(|f| f.stage.as_deref()?.strip_prefix("waiting for "))
        .take(1)
        .map(|what| {
            paint.red(&cut(&format!("         — {:<6} ← {what}: did not come", ""), WIDTH - 2))
        })
        .collect();
    let room = room.saturating_sub(missing.len());
    // What came after the case's own steps is clean-up; pings are seldom the matter, nor is what our
    // client says of its avatar every second.
    let end = record.timeline.iter().position(|row| row.text == CLEAN_UP);
    let steps = &record.timeline[..end.unwrap_or(record.timeline.len())];
    let about_pings = record.findings.iter().any(|f| f.expected.contains("Ping"));
    let is_ping = |row: &&Entry| row.text.contains("PingCheck") && !row.text.contains("acks");
    let is_update = |row: &&Entry| {
        row.direction == '→' && row.text.contains(" AgentUpdate") && !row.text.contains("reliable")
    };
    let is_habit = |row: &&Entry| is_update(row) || (is_ping(row) && !about_pings);
    let tells = |row: &&Entry| steps.len() <= room || !is_habit(row);
    let rows: Vec<&Entry> = steps.iter().filter(tells).collect();
    let mut lines = Vec::new();
    if rows.len() <= room {
        lines.extend(rows.iter().map(|r| row(r)));
    } else {
        // The beginning says who and where, the end what went wrong.
        let head = (room / 3).min(4);
        let tail = room.saturating_sub(head + 1);
        lines.extend(rows[..head].iter().map(|r| row(r)));
        let left_out = record.timeline.len() - head - tail;
        lines.push(
            paint.dim(&format!("           … {left_out} rows left out; --json has them all")),
        );
        lines.extend(rows[rows.len() - tail..].iter().map(|r| row(r)));
    }
    lines.extend(missing);
    lines
}

fn tail(record: &CaseRecord, paint: Paint) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.push(paint.dim(&format!("  reproduce {}", record.reproduce)));
    lines
}
