//! `for_each`: one case per row of an inline table or a CSV file.

use super::reader::Reader;
use super::{Node, NodeKind};
use crate::value::Value;

/// A row's id and values; without `for_each` one row that has neither.
type Row = (Option<String>, Option<Value>);

pub(super) fn read(reader: &mut Reader<'_>, table: &Node) -> Vec<Row> {
    let Some(node) = table.get("for_each") else { return vec![(None, None)] };
    node.texts(&mut |text, span| {
        if text.contains("${") {
            let what = "a row is taken to the letter; refer to a step where the row is used";
            reader.wrong(span.clone(), what);
        }
    });
    let rows: Vec<Value> = match &node.kind {
        NodeKind::Array(items) => items.iter().map(Node::value).collect(),
        NodeKind::Text(path) => match csv(reader, path) {
            Ok(rows) => rows,
            Err(what) => {
                reader.wrong(node.span.clone(), what);
                return Vec::new();
            }
        },
        _ => {
            let what = "`for_each` takes an array of tables or the path of a CSV file";
            reader.wrong(node.span.clone(), what);
            return Vec::new();
        }
    };
    let mut named = Vec::new();
    for row in rows {
        match row.get("id").and_then(Value::as_text) {
            Some(id) => named.push((Some(id), Some(row))),
            None => reader.wrong(node.span.clone(), "every row of `for_each` needs an `id`"),
        }
    }
    named
}

/// The rows of a CSV file beside the suite: its first line names the columns.
fn csv(reader: &Reader<'_>, path: &str) -> Result<Vec<Value>, String> {
    let beside = std::path::Path::new(&reader.source.path).with_file_name(path);
    let text = std::fs::read_to_string(&beside)
        .map_err(|error| format!("{}: {error}", beside.display()))?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(cells);
    let header = lines.next().ok_or_else(|| format!("{}: no header line", beside.display()))?;
    let rows = lines.map(|cells| {
        let cells = header.iter().cloned().zip(cells.into_iter().map(Value::String));
        Value::Map(cells.collect())
    });
    Ok(rows.collect())
}

/// The cells of a line: separated by commas, quoted where they hold one.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut cells, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => push(&mut cells, c),
        }
    }
    cells
}

fn push(cells: &mut [String], c: char) {
    if let Some(cell) = cells.last_mut() {
        cell.push(c);
    }
}
