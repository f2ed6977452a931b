//! What only shows when everything is read: citations, references, types, needs.

use super::model::{ALIVE, Action, Case, OwnNames, Procedure, Step};
use super::references::{BUILT_IN, Piece, pieces};
use super::{Diagnostic, Library, Node, NodeKind, template_check};
use crate::proto::template::Template;
use crate::steps::{Kind, Repeat, Returns, parse_time};
use crate::value::{Segment, unknown};
use std::collections::HashSet;
use std::sync::Arc;

pub(super) fn library(library: &Library, template: &Template, mistakes: &mut Vec<Diagnostic>) {
    for procedure in library.procedures.values() {
        let params = procedure.params.iter().map(|(name, _)| name.as_str()).collect();
        let mut check = Check::new(library, template, mistakes);
        check.params = Some(params);
        check.steps(&procedure.steps);
        check.outputs(procedure);
        if let Some(step) = endless(library, procedure) {
            let what = format!("procedure `{}` calls itself by this", procedure.name);
            check.wrong(step, step.span.clone(), what);
        }
    }
    for suite in &library.suites {
        let (mut seen, mut violated) = (HashSet::new(), HashSet::new());
        for case in &suite.cases {
            // The rows of one case are the same text: told once.
            if seen.insert(case.span.start) {
                self::case(library, template, case, mistakes);
            }
            let violates = case.violates.iter();
            for id in violates.filter(|id| violated.insert((case.span.start, id.as_str()))) {
                mistakes.extend(no_rule_of_clients(library, case, id));
            }
        }
    }
}

/// What is wrong with one of the requirements that a case says it violates.
fn no_rule_of_clients(library: &Library, case: &Case, id: &str) -> Option<Diagnostic> {
    let judged = library.catalogue.all.values().filter(|known| known.judge.is_some());
    let mut ids = judged.map(|requirement| requirement.id.as_str());
    if ids.clone().any(|known| known == id) {
        return None;
    }
    let what = match library.catalogue.get(id) {
        Some(_) => format!("`{id}` binds no client that `serve --judge` can judge"),
        None => unknown("requirement of clients", id, &mut ids),
    };
    let what = format!("`violates`: {what}");
    Some(Diagnostic::new(&case.source, case.span.clone(), what))
}

/// The step by which a procedure comes to call itself, if it does.
fn endless<'a>(library: &'a Library, procedure: &'a Procedure) -> Option<&'a Step> {
    let mut seen = HashSet::new();
    procedure.steps.iter().find(|step| {
        let mut open: Vec<&str> = called(step).into_iter().collect();
        while let Some(name) = open.pop() {
            if name == procedure.name {
                return true;
            }
            if seen.insert(name)
                && let Some(other) = library.procedures.get(name)
            {
                open.extend(other.steps.iter().filter_map(called));
            }
        }
        false
    })
}

fn called(step: &Step) -> Option<&str> {
    match &step.action {
        Action::Call(name) => Some(name),
        Action::Step(_) => None,
    }
}

fn case(library: &Library, template: &Template, case: &Case, mistakes: &mut Vec<Diagnostic>) {
    let mut check = Check::new(library, template, mistakes);
    check.actors = case.actors.clone();
    check.own = case.own.clone();
    check.columns = case.row.as_ref().map(|row| match row {
        crate::value::Value::Map(members) => members.iter().map(|(k, _)| k.clone()).collect(),
        _ => Vec::new(),
    });
    check.steps(&case.steps);
    check.steps(&case.always);
    for step in case.always.iter().filter(|step| cites(library, step)) {
        let what = "clean-up cites no requirement: what it cannot remove is told at the end of the \
                    run, by `leaves`, and is no failure of the grid's";
        check.wrong(step, step.span.clone(), what);
    }
    for rule in case.impair.iter().filter_map(|rule| rule.message.as_ref()) {
        if template.message(rule).is_none() {
            let what = template_check::unknown_message(template, rule);
            check.mistakes.push(Diagnostic::new(&case.source, case.span.clone(), what));
        }
    }
    let unused: Vec<String> = check
        .columns
        .iter()
        .flatten()
        .filter(|column| !["id", "impair", "violates"].contains(&column.as_str()))
        .filter(|column| !check.used_columns.contains(*column))
        .cloned()
        .collect();
    for column in unused {
        let what = format!("column `{column}` of `for_each` is never used as `${{row.{column}}}`");
        check.mistakes.push(Diagnostic::new(&case.source, case.span.clone(), what));
    }
}

/// Whether a step cites a requirement, or a procedure that it calls does.
fn cites(library: &Library, step: &Step) -> bool {
    let own = !step.requirements.is_empty()
        || step.expect.iter().any(|expectation| !expectation.requirements.is_empty());
    let called = called(step).and_then(|name| library.procedures.get(name));
    own || called.is_some_and(|procedure| {
        // One that calls itself is another mistake.
        endless(library, procedure).is_none()
            && procedure.steps.iter().any(|step| cites(library, step))
    })
}

struct Check<'a> {
    library: &'a Library,
    template: &'a Template,
    mistakes: &'a mut Vec<Diagnostic>,
    /// Steps seen so far, by id.
    known: Vec<(String, &'a Step)>,
    actors: Vec<String>,
    params: Option<Vec<&'a str>>,
    columns: Option<Vec<String>>,
    used_columns: HashSet<String>,
    /// Names that the file declares as its own.
    own: Arc<OwnNames>,
}

impl<'a> Check<'a> {
    fn new(
        library: &'a Library,
        template: &'a Template,
        mistakes: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            library,
            template,
            mistakes,
            known: Vec::new(),
            actors: Vec::new(),
            params: None,
            columns: None,
            used_columns: HashSet::new(),
            own: Arc::default(),
        }
    }

    fn wrong(&mut self, step: &Step, span: std::ops::Range<usize>, what: impl Into<String>) {
        self.mistakes.push(Diagnostic::new(&step.source, span, what));
    }

    /// Every `control` names a step, and every absence that proves something has one.
    fn controls(&mut self, steps: &'a [Step]) {
        for step in steps {
            match &step.control {
                Some(id) if id == ALIVE || steps.iter().any(|s| s.id.as_ref() == Some(id)) => {}
                Some(id) => {
                    let known = steps.iter().filter_map(|step| step.id.as_deref());
                    let what =
                        format!("`control`: {}", unknown("step id", id, known.chain([ALIVE])));
                    self.wrong(step, step.span.clone(), what);
                }
                None if step.proves_absence() => {
                    let what = "what does not come proves something only beside the same thing \
                                seen to work: name that step by `control`, or say \"alive\" where \
                                it is enough that whoever is watched is there";
                    self.wrong(step, step.span.clone(), what);
                }
                None => {}
            }
        }
    }

    fn steps(&mut self, steps: &'a [Step]) {
        self.controls(steps);
        for step in steps {
            self.step(step);
            if let Some(id) = &step.id {
                if BUILT_IN.contains(&id.as_str()) {
                    self.wrong(step, step.span.clone(), format!("`{id}` is a built-in name"));
                }
                if self.known.iter().any(|(known, _)| known == id) {
                    self.wrong(step, step.span.clone(), format!("step id `{id}` is used twice"));
                }
                self.known.push((id.clone(), step));
            }
        }
    }

    fn step(&mut self, step: &'a Step) {
        if let Some(actor) = &step.actor
            && self.params.is_none()
            && !self.actors.contains(actor)
        {
            let actors: Vec<&str> = self.actors.iter().map(String::as_str).collect();
            let what = unknown("actor", actor, actors);
            self.wrong(step, step.span.clone(), format!("{what}; the case's `actors` name them"));
        }
        self.citations(step);
        let expects = step.expect.iter().flat_map(|e| e.predicates.iter().map(|(_, node)| node));
        for node in std::iter::once(&step.args).chain(expects).chain(&step.leaves) {
            self.references(step, node);
        }
        self.operands(step);
        match &step.action {
            Action::Step(def) => {
                self.arguments(step, def);
                for (span, what) in template_check::step(step, def, self.template, &self.own) {
                    self.wrong(step, span, what);
                }
                if step.eventually && matches!(def.repeatable, Repeat::No) {
                    let what = format!("`eventually` cannot repeat step `{}`", def.name);
                    self.wrong(step, step.span.clone(), what);
                }
            }
            Action::Call(name) => self.call(step, name),
        }
    }

    fn citations(&mut self, step: &Step) {
        let own = step.requirements.iter().map(|id| (id, step.span.clone()));
        let expected = step.expect.iter();
        let expected = expected.flat_map(|e| e.requirements.iter().map(|id| (id, e.span.clone())));
        for (id, span) in own.chain(expected) {
            if self.library.catalogue.get(id).is_none() {
                let known = self.library.catalogue.all.keys().map(String::as_str);
                self.mistakes.push(Diagnostic::new(
                    &step.source,
                    span,
                    unknown("requirement", id, known),
                ));
            }
        }
    }

    fn operands(&mut self, step: &Step) {
        for expectation in &step.expect {
            for (predicate, operand) in &expectation.predicates {
                let mut refers = false;
                operand.texts(&mut |text, _| refers |= text.contains("${"));
                if refers {
                    continue;
                }
                if let Some(what) = predicate.check_operand(&operand.value()) {
                    self.mistakes.push(Diagnostic::new(&step.source, operand.span.clone(), what));
                }
            }
        }
    }

    fn arguments(&mut self, step: &Step, def: &crate::steps::StepDef) {
        for (name, _, node) in step.args.members() {
            let Some(key) = def.keys.iter().find(|key| key.name == name) else { continue };
            let whole = node.text().is_some_and(|text| text.starts_with("${"));
            let fits = whole
                || match key.kind {
                    Kind::Text | Kind::Message | Kind::Event | Kind::Capability => {
                        node.text().is_some()
                    }
                    Kind::Word(words) => node.text().is_some_and(|word| words.contains(&word)),
                    Kind::Integer => matches!(node.kind, NodeKind::Integer(_)),
                    Kind::Flag => node.flag().is_some(),
                    Kind::Time => node.text().and_then(parse_time).is_some(),
                    Kind::Texts | Kind::Messages | Kind::Events | Kind::Capabilities => {
                        matches!(node.kind, NodeKind::Array(_))
                            && node.items().iter().all(|item| item.text().is_some())
                    }
                    Kind::Table => matches!(node.kind, NodeKind::Table(_)),
                    Kind::Any => true,
                };
            if !fits {
                let what = format!("`{name}` takes {}", key.kind.wants());
                self.mistakes.push(Diagnostic::new(&step.source, node.span.clone(), what));
            }
        }
    }

    fn call(&mut self, step: &Step, name: &str) {
        let Some(procedure) = self.library.procedures.get(name) else {
            let known = self.library.procedures.keys().map(String::as_str);
            let what = unknown("procedure", name, known);
            return self.wrong(step, step.args.place(&["procedure".into()]), what);
        };
        let given = step.args.get("with").map(Node::members).unwrap_or_default();
        for (param, span, _) in given {
            if !procedure.params.iter().any(|(name, _)| name == param) {
                let known = procedure.params.iter().map(|(name, _)| name.as_str());
                let what = format!("{} of `{name}`", unknown("parameter", param, known));
                self.wrong(step, span.clone(), what);
            }
        }
        for (param, default) in &procedure.params {
            if default.is_none() && !given.iter().any(|(name, ..)| name == param) {
                let what = format!("procedure `{name}` needs the parameter `{param}`");
                self.wrong(step, step.span.clone(), what);
            }
        }
    }

    fn outputs(&mut self, procedure: &Arc<Procedure>) {
        for (_, node) in &procedure.outputs {
            let mut found = Vec::new();
            node.texts(&mut |text, span| {
                for piece in pieces(text) {
                    if let Piece::Reference(name, _) = piece
                        && !self.known.iter().any(|(id, _)| id == name)
                        && !BUILT_IN.contains(&name)
                    {
                        let known = self.known.iter().map(|(id, _)| id.as_str());
                        found.push((span.clone(), unknown("reference", name, known)));
                    }
                }
            });
            for (span, what) in found {
                self.mistakes.push(Diagnostic::new(&procedure.source, span, what));
            }
        }
    }

    fn references(&mut self, step: &Step, node: &Node) {
        let mut found = Vec::new();
        node.texts(&mut |text, span| {
            for piece in pieces(text) {
                found.push((span.clone(), piece));
            }
        });
        for (span, piece) in found {
            if let Err(what) = self.piece(&piece) {
                self.mistakes.push(Diagnostic::new(&step.source, span, what));
            }
        }
    }

    fn piece(&mut self, piece: &Piece<'_>) -> Result<(), String> {
        let (name, path) = match piece {
            Piece::Text(_) => return Ok(()),
            Piece::Broken(text) => return Err(format!("`{text}` is no reference: `${{id.path}}`")),
            Piece::Reference(name, path) => (*name, path),
        };
        let head = path.head();
        let one_of = |known: &[&str]| match head {
            Some(head) if known.contains(&head) => Ok(()),
            Some(head) => {
                Err(format!("{} of `{name}`", unknown("member", head, known.iter().copied())))
            }
            None => Err(format!("`{name}` needs a member: {}", known.join(", "))),
        };
        match name {
            "account" => return one_of(&["first", "last", "name"]),
            "random" => return one_of(&["uuid", "ids", "text", "integer"]),
            "target" => {
                return one_of(&[
                    "login_uri",
                    "base",
                    "region",
                    "neighbour",
                    "distant",
                    "closed",
                    "regions",
                ]);
            }
            "case" => return one_of(&["id"]),
            "now" => return one_of(&["seconds"]),
            "actor" => {
                let known: Vec<&str> = self.actors.iter().map(String::as_str).collect();
                return one_of(&known);
            }
            "param" => {
                let known = self.params.clone().ok_or("`param` is known in procedures only")?;
                return one_of(&known);
            }
            "row" => {
                let known = self.columns.clone().ok_or("`row` needs a `for_each`")?;
                if let Some(Segment::Key(column)) = path.0.first() {
                    self.used_columns.insert(column.clone());
                }
                return one_of(&known.iter().map(String::as_str).collect::<Vec<_>>());
            }
            _ => {}
        }
        let step = self.known.iter().find(|(id, _)| id == name).map(|(_, step)| *step);
        let Some(step) = step else {
            let known = self.known.iter().map(|(id, _)| id.as_str()).chain(BUILT_IN);
            return Err(format!(
                "{}: no earlier step has this id",
                unknown("reference", name, known)
            ));
        };
        let Some(head) = head else { return Ok(()) };
        let returned: Vec<&str> = match &step.action {
            Action::Call(procedure) => match self.library.procedures.get(procedure) {
                Some(procedure) => procedure.outputs.iter().map(|(n, _)| n.as_str()).collect(),
                None => return Ok(()),
            },
            Action::Step(def) => match def.returns {
                Returns::Open(_) => return Ok(()),
                Returns::Members(members) => members.iter().map(|(n, _)| *n).collect(),
                Returns::Message => match template_check::message_of(step, self.template) {
                    Some(def) => {
                        def.blocks.iter().map(|b| &*b.name).chain(["header", "item"]).collect()
                    }
                    None => return Ok(()),
                },
            },
        };
        match returned.contains(&head) {
            true => Ok(()),
            false => {
                let what = unknown("member", head, returned);
                Err(format!("{what} of what step `{name}` returns"))
            }
        }
    }
}
