//! From a TOML tree to suites, cases and steps. Mistakes are collected, never the end.

use super::model::{
    Action, Case, Effects, Expectation, OwnNames, Procedure, SessionUse, Step, Suite,
};
use super::reader::Reader;
use super::{Diagnostic, Need, Node, NodeKind, Source, rows};
use crate::steps::{self, COMMON_KEYS};
use crate::tamper::{Action as Fault, Channel, Direction, Rule};
use crate::value::{PREDICATES, Path, Predicate, Value, unknown};
use std::sync::Arc;
use std::time::Duration;

/// Reads a file of cases.
pub(super) fn suite(source: &Arc<Source>, mistakes: &mut Vec<Diagnostic>) -> Option<Suite> {
    let root = Node::parse(source, mistakes)?;
    let mut reader = Reader { source, mistakes };
    reader.known(&root, "a suite", &["title", "tags", "needs", "events", "capabilities", "case"]);
    let title = reader.required(&root, "title", "a suite");
    let tags = reader.texts(&root, "tags");
    let needs = needs(&mut reader, &root);
    let own = Arc::new(OwnNames {
        events: reader.texts(&root, "events"),
        capabilities: reader.texts(&root, "capabilities"),
    });
    let path = source.path.trim_end_matches(".toml");
    let id = path.rsplit_once("suites/").map_or(path, |(_, id)| id).to_owned();
    let mut cases = Vec::new();
    let tables = root.get("case").map(Node::items).unwrap_or_default();
    if tables.is_empty() {
        reader.wrong(root.span.start..root.span.start, "a suite needs at least one `[[case]]`");
    }
    for table in tables {
        let all = case(&mut reader, table, &id, &tags, &needs);
        cases.extend(all.into_iter().map(|case| Arc::new(Case { own: own.clone(), ..case })));
    }
    for (n, case) in cases.iter().enumerate() {
        if cases[..n].iter().any(|other| other.id == case.id) {
            reader.wrong(case.span.clone(), format!("case `{}` is defined twice", case.id));
        }
    }
    Some(Suite { id, title, cases })
}

/// What a suite or a case needs.
fn needs(reader: &mut Reader<'_>, table: &Node) -> Vec<Need> {
    // What is no array of texts is told by this.
    if reader.texts(table, "needs").is_empty() {
        return Vec::new();
    }
    let mut needs = Vec::new();
    for item in table.get("needs").map(Node::items).unwrap_or_default() {
        match Need::parse(item.text().unwrap_or_default()) {
            Ok(need) => needs.push(need),
            Err(what) => reader.wrong(item.span.clone(), what),
        }
    }
    needs
}

const CASE_KEYS: &[&str] = &[
    "id", "title", "tags", "needs", "effects", "session", "actors", "impair", "violates",
    "for_each", "within", "step", "always", "note",
];

/// What one row makes of a case.
struct RowOfCase {
    suffix: Option<String>,
    row: Option<Value>,
    impair: Vec<Rule>,
    violates: Vec<String>,
}

fn case(
    reader: &mut Reader<'_>,
    table: &Node,
    suite: &str,
    tags: &[String],
    needs: &[Need],
) -> Vec<Case> {
    reader.known(table, "a case", CASE_KEYS);
    let id = reader.required(table, "id", "a case");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.chars().all(plain) {
        let place = table.get("id").map_or(table.span.clone(), |n| n.span.clone());
        reader.wrong(place, "a case's id has letters, digits, `-`, `_` and `.` only");
    }
    let title = reader.required(table, "title", "a case");
    let effects =
        [("read", Effects::Read), ("write", Effects::Write), ("disrupt", Effects::Disrupt)];
    let sessions = [("shared", SessionUse::Shared), ("fresh", SessionUse::Fresh)];
    let effects = reader.word(table, "effects", &effects).unwrap_or(Effects::Read);
    let session = reader.word(table, "session", &sessions).unwrap_or(SessionUse::Fresh);
    let mut actors = reader.texts(table, "actors");
    if actors.is_empty() {
        actors.push("primary".into());
    }
    let lists = table.get("for_each").map(Node::items).unwrap_or_default();
    for node in lists.iter().chain([table]).filter_map(|t| t.get("impair")) {
        if session == SessionUse::Shared {
            let what =
                "a case that impairs its wire needs a session of its own: session = \"fresh\"";
            reader.wrong(node.span.clone(), what);
        }
    }
    let within = reader.time(table, "within").unwrap_or(Duration::from_secs(180));
    let steps = steps(reader, table, "step");
    if steps.is_empty() {
        reader.wrong(table.span.clone(), "a case needs at least one `[[case.step]]`");
    }
    let always = self::steps(reader, table, "always");
    let rows = rows_of_case(reader, table);
    let tags = [tags, &reader.texts(table, "tags")].concat();
    let needs = [needs, &self::needs(reader, table)].concat();
    rows.into_iter()
        .map(|RowOfCase { suffix, row, impair, violates }| Case {
            id: match &suffix {
                Some(suffix) => format!("{suite}/{id}[{suffix}]"),
                None => format!("{suite}/{id}"),
            },
            title: title.clone(),
            tags: tags.clone(),
            needs: needs.clone(),
            effects,
            session,
            actors: actors.clone(),
            impair,
            violates,
            row,
            within,
            requirements: citations(steps.iter().chain(&always)),
            own: Arc::default(),
            steps: steps.clone(),
            always: always.clone(),
            source: reader.source.clone(),
            span: table.span.clone(),
        })
        .collect()
}

/// The rows of a case; one without a row of values where there is no `for_each`.
fn rows_of_case(reader: &mut Reader<'_>, table: &Node) -> Vec<RowOfCase> {
    let lists = table.get("for_each").map(Node::items).unwrap_or_default();
    let rules = |reader: &mut Reader<'_>, of: &Node| {
        of.get("impair").map(|node| impair(reader, node)).unwrap_or_default()
    };
    let impair: Vec<Rule> = rules(reader, table);
    let violates = reader.text_or_texts(table, "violates");
    let rows = rows::read(reader, table).into_iter().map(|(suffix, row)| {
        let (mut impair, mut violates) = (impair.clone(), violates.clone());
        // A row may bring rules of its own, and break requirements of its own.
        let id = |item: &&Node| item.get("id").and_then(Node::text) == suffix.as_deref();
        if let Some(own) = lists.iter().find(id) {
            impair.extend(rules(reader, own));
            violates.extend(reader.text_or_texts(own, "violates"));
        }
        RowOfCase { suffix, row, impair, violates }
    });
    rows.collect()
}

fn citations<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<String> {
    let mut cited: Vec<String> = Vec::new();
    for step in steps {
        let all = step.requirements.iter();
        let all = all.chain(step.expect.iter().flat_map(|e| &e.requirements));
        for id in all {
            if !cited.contains(id) {
                cited.push(id.clone());
            }
        }
    }
    cited
}

/// Reads a procedure.
pub(super) fn procedure(source: &Arc<Source>, mistakes: &mut Vec<Diagnostic>) -> Option<Procedure> {
    let root = Node::parse(source, mistakes)?;
    let mut reader = Reader { source, mistakes };
    reader.known(&root, "a procedure", &["title", "params", "defaults", "outputs", "step"]);
    let title = reader.required(&root, "title", "a procedure");
    let params = reader.texts(&root, "params");
    let defaults = root.get("defaults");
    let params = params.into_iter().map(|name| {
        let default = defaults.and_then(|d| d.get(&name)).cloned();
        (name, default)
    });
    let params = params.collect();
    let outputs = root.get("outputs").map(Node::members).unwrap_or_default();
    let name = source.path.rsplit(['/', '\\']).next().unwrap_or_default();
    Some(Procedure {
        name: name.trim_end_matches(".toml").to_owned(),
        title,
        params,
        outputs: outputs.iter().map(|(name, _, node)| (name.clone(), node.clone())).collect(),
        steps: steps(&mut reader, &root, "step"),
        source: source.clone(),
    })
}

fn steps(reader: &mut Reader<'_>, table: &Node, key: &str) -> Vec<Step> {
    let Some(node) = table.get(key) else { return Vec::new() };
    node.items().iter().filter_map(|step| self::step(reader, step)).collect()
}

fn step(reader: &mut Reader<'_>, table: &Node) -> Option<Step> {
    let name = reader.required(table, "do", "a step");
    let place = table.get("do").map_or(table.span.clone(), |n| n.span.clone());
    let common: Vec<&str> = COMMON_KEYS.iter().map(|k| k.name).collect();
    let action = match (name.as_str(), steps::find(&name)) {
        ("call", _) => {
            let known = [&common[..], &["procedure", "with"]].concat();
            reader.known(table, "step `call`", &known);
            Action::Call(reader.required(table, "procedure", "step `call`"))
        }
        (_, Some(def)) => {
            let own: Vec<&str> = def.keys.iter().map(|k| k.name).collect();
            reader.known(table, &format!("step `{name}`"), &[&common[..], &own].concat());
            for key in def.keys.iter().filter(|key| key.required && table.get(key.name).is_none()) {
                let what = format!("step `{name}` needs `{}`: {}", key.name, key.doc);
                reader.wrong(place.clone(), what);
            }
            Action::Step(def)
        }
        (_, None) => {
            let names = steps::STEPS.iter().map(|s| s.name).chain(["call"]);
            reader.wrong(place, unknown("step", &name, names));
            return None;
        }
    };
    let id = reader.text(table, "id");
    let actor = reader.text(table, "as").or_else(|| reader.text(table, "account"));
    Some(Step {
        id,
        actor,
        within: reader.time(table, "within"),
        requirements: reader.text_or_texts(table, "requirement"),
        level: reader.level(table),
        control: reader.text(table, "control"),
        leaves: reader.text(table, "leaves").and(table.get("leaves").cloned()),
        stop: reader.flag(table, "stop"),
        eventually: reader.flag(table, "eventually"),
        expect: expectations(reader, table),
        args: own_keys(table, &common),
        action,
        source: reader.source.clone(),
        span: table.get("do").map_or(table.span.clone(), |n| n.span.clone()),
    })
}

fn own_keys(table: &Node, common: &[&str]) -> Node {
    let members = table.members().iter().filter(|(k, ..)| !common.contains(&k.as_str()));
    Node { span: table.span.clone(), kind: NodeKind::Table(members.cloned().collect()) }
}

fn expectations(reader: &mut Reader<'_>, table: &Node) -> Vec<Expectation> {
    let Some(node) = table.get("expect") else { return Vec::new() };
    if !matches!(node.kind, NodeKind::Array(_)) {
        reader.wrong(node.span.clone(), "`expect` takes an array of tables");
    }
    node.items().iter().map(|table| expectation(reader, table)).collect()
}

fn expectation(reader: &mut Reader<'_>, table: &Node) -> Expectation {
    let text = reader.text(table, "path").unwrap_or_default();
    let path = Path::parse(&text).unwrap_or_else(|error| {
        reader.wrong(table.place(&["path".into()]), error.to_string());
        Path::default()
    });
    let requirements = reader.text_or_texts(table, "requirement");
    let level = reader.level(table);
    let mut predicates = Vec::new();
    for (key, span, operand) in table.members() {
        if matches!(key.as_str(), "path" | "requirement" | "level" | "need") {
            continue;
        }
        match key.parse::<Predicate>() {
            Ok(predicate) => predicates.push((predicate, operand.clone())),
            Err(()) => {
                let known =
                    PREDICATES.iter().map(|p| p.0).chain(["path", "requirement", "level", "need"]);
                reader.wrong(span.clone(), unknown("predicate", key, known));
            }
        }
    }
    if predicates.is_empty() {
        reader.wrong(table.span.clone(), "an expectation without a predicate cannot fail");
    }
    let need = reader.text(table, "need");
    if need.is_some() && !requirements.is_empty() {
        let what = "what a case needs is no requirement: one of `need` and `requirement` goes";
        reader.wrong(table.place(&["need".into()]), what);
    }
    Expectation { path, predicates, requirements, level, need, span: table.span.clone() }
}

fn impair(reader: &mut Reader<'_>, node: &Node) -> Vec<Rule> {
    let mut rules = Vec::new();
    for table in node.items() {
        reader.known(
            table,
            "a rule of `impair`",
            &["drop", "delay", "double", "reorder", "corrupt", "by", "nth", "chance", "direction"],
        );
        let by = reader.time(table, "by").unwrap_or(Duration::from_millis(500));
        let faults = [
            ("drop", Fault::Drop),
            ("delay", Fault::Delay(by)),
            ("double", Fault::Double),
            ("reorder", Fault::Reorder),
            ("corrupt", Fault::Corrupt),
        ];
        let named: Vec<_> = faults.iter().filter(|(key, _)| table.get(key).is_some()).collect();
        let [(key, action)] = named.as_slice() else {
            let what = "a rule names one fault: drop, delay, double, reorder or corrupt";
            reader.wrong(table.span.clone(), what);
            continue;
        };
        let message = reader.text(table, key).filter(|name| name != "*");
        let directions = [("in", Direction::In), ("out", Direction::Out)];
        rules.push(Rule {
            message,
            direction: reader.word(table, "direction", &directions),
            nth: reader.number(table, "nth", 1..=1 << 20),
            chance: reader.share(table, "chance").unwrap_or(1.0),
            ..Rule::new(action.clone(), Channel::Udp)
        });
    }
    rules
}
