//! Which cases look at what a grid says: read from the suites, so that each mutant meets the cases
//! that could notice it.

use crate::steps::{Args, Said, StepDef};
use crate::suite::{Action, Case, Expectation, Library, Node, Piece, Step, pieces};
use crate::tamper::Channel;
use crate::value::Path;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One look: at what, where in it, and which requirements are judged by it.
#[derive(Clone, Debug)]
struct ObservationPoint {
    said: Said,
    requirements: Vec<String>,
}

/// A case that looks at something.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    /// The case.
    pub case: Arc<Case>,
    /// How close it looks: 0 at another part of the same message.
    pub specificity: usize,
    /// The requirements it judges by that.
    pub requirements: Vec<String>,
}

/// What a case looks at in one message.
type Looks = (Arc<Case>, Vec<ObservationPoint>);

/// What every case looks at, by the message it looks at: each mutant asks, of one message.
#[derive(Debug)]
pub(super) struct ObservationPoints {
    messages: BTreeMap<(Channel, String), Vec<Looks>>,
}

impl ObservationPoints {
    /// Reads the cases of a library.
    pub(super) fn of(library: &Library) -> Self {
        let mut messages: BTreeMap<_, Vec<Looks>> = BTreeMap::new();
        for case in library.cases() {
            let mut observation_points = Vec::new();
            let mut names = BTreeMap::new();
            let mut all = case.steps.iter().chain(&case.always);
            steps(library, &mut all, &mut names, &mut observation_points);
            for look in observation_points {
                let message = (look.said.channel, look.said.message.clone());
                let cases = messages.entry(message).or_default();
                match cases.last_mut() {
                    Some((last, looks)) if last.id == case.id => looks.push(look),
                    _ => cases.push((case.clone(), vec![look])),
                }
            }
        }
        Self { messages }
    }

    /// The cases that look at a member or field, those that look closest first. An empty field is
    /// the message as a whole.
    pub(super) fn at(&self, channel: Channel, message: &str, field: &Path) -> Vec<Observer> {
        let message = self.messages.get(&(channel, message.to_owned()));
        let observers = message.into_iter().flatten().map(|(case, looks)| {
            let specificity = looks.iter().map(|look| specificity(look, field)).max().unwrap_or(0);
            let closest = looks.iter().filter(|look| self::specificity(look, field) == specificity);
            let requirements = closest.flat_map(|look| look.requirements.clone()).collect();
            Observer { case: case.clone(), specificity, requirements }
        });
        let mut found: Vec<Observer> = observers.collect();
        found.sort_by_key(|observer| std::cmp::Reverse(observer.specificity));
        found
    }
}

/// How close a look comes to a field: 0 for another part of the same message, more for each member
/// of the way they share, a little more for the very same place, and where a requirement is judged
/// there.
fn specificity(look: &ObservationPoint, field: &Path) -> usize {
    let [seen, meant] = [&look.said.path, field].map(Path::keys);
    let [seen_len, meant_len] = [seen.clone().count(), meant.clone().count()];
    let shared = seen.zip(meant).take_while(|(a, b)| a == b).count();
    // A look at the message as a whole comes close only to the whole message.
    if seen_len == 0 && meant_len > 0 {
        return 1;
    }
    // Beside it, not above or below.
    if shared < seen_len.min(meant_len) {
        return 0;
    }
    let same = seen_len == meant_len;
    4 * (shared + 1) + 2 * usize::from(same) + usize::from(!look.requirements.is_empty())
}

/// What earlier steps returned, by name: where references lead.
type Names = BTreeMap<String, (Said, fn(&Said, &Path) -> Vec<Said>)>;

fn steps(
    library: &Library,
    all: &mut dyn Iterator<Item = &Step>,
    names: &mut Names,
    observation_points: &mut Vec<ObservationPoint>,
) {
    for step in all {
        let def = match &step.action {
            Action::Step(def) => *def,
            Action::Call(name) => {
                let called = library.procedures.get(name);
                let mut own = called.into_iter().flat_map(|procedure| &procedure.steps);
                steps(library, &mut own, &mut Names::new(), observation_points);
                // What a procedure returns, it has from the login.
                let path = Path::default();
                let login = Said { channel: Channel::Login, message: String::new(), path };
                let member: fn(&Said, &Path) -> Vec<Said> =
                    |login, path| vec![Said { path: path.clone(), ..login.clone() }];
                names.extend(step.id.iter().map(|id| (id.clone(), (login.clone(), member))));
                continue;
            }
        };
        references(step, def, names, observation_points);
        let Some(whole) = (def.observes.whole)(&Args(step.args.value())) else { continue };
        let member = def.observes.member;
        names.extend(step.id.iter().map(|id| (id.clone(), (whole.clone(), member))));
        let look = |path: Path| {
            let said = Said { path, ..whole.clone() };
            ObservationPoint { said, requirements: step.requirements.clone() }
        };
        observation_points.push(look(Path::default()));
        let filters = ["where", "without"].into_iter().filter_map(|key| step.args.get(key));
        for (path, _, _) in filters.flat_map(Node::members) {
            observation_points.push(look(Path::parse(path).unwrap_or_default()));
        }
        for expectation in &step.expect {
            for said in paths(expectation).iter().flat_map(|path| member(&whole, path)) {
                observation_points.push(ObservationPoint {
                    said,
                    requirements: expectation.requirements.clone(),
                });
            }
        }
    }
}

/// Where an expectation looks: its path, and those of the alternatives it names, of each item too.
fn paths(expectation: &Expectation) -> Vec<Path> {
    let operands = expectation.predicates.iter().flat_map(|(_, operand)| operand.items());
    let alternatives = operands.filter_map(|item| Path::parse(item.get("path")?.text()?).ok());
    let each = expectation.predicates.iter().flat_map(|(_, operand)| {
        let any = operand.get("any").map(Node::items).unwrap_or_default();
        std::iter::once(operand).chain(any)
    });
    let each = each.filter_map(|below| {
        let below = Path::parse(below.get("path")?.text()?).ok()?;
        Some(Path([&expectation.path.0[..], &below.0].concat()))
    });
    alternatives.chain(each).chain([expectation.path.clone()]).collect()
}

fn references(
    step: &Step,
    def: &StepDef,
    names: &Names,
    observation_points: &mut Vec<ObservationPoint>,
) {
    let cited = step.expect.iter().flat_map(|expectation| &expectation.requirements);
    let cited = cited.chain(&step.requirements).filter(|_| def.observes.given);
    let cited: Vec<String> = cited.cloned().collect();
    step.args.texts(&mut |text, _| {
        for piece in pieces(text) {
            if let Piece::Reference(name, path) = piece
                && let Some((whole, member)) = names.get(name)
            {
                let all = member(whole, &path).into_iter();
                observation_points
                    .extend(all.map(|said| ObservationPoint { said, requirements: cited.clone() }));
            }
        }
    });
}
