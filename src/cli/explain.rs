//! `gridproof explain`.

use super::{Failed, TemplateArgs, World, library, say, steps, template};
use crate::grid::misbehaviours;
use crate::judge;
use crate::proto::template::Template;
use crate::report::wrap;
use crate::runner::EXIT;
use crate::suite::{Case, Library, Requirement};
use crate::value::{PREDICATES, TYPES, unknown};
use clap::Args;

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// A case, requirement or step; or types, predicates, outcomes, exit-codes, record, mutants,
    /// policies, trials
    id: String,
    #[command(flatten)]
    template: TemplateArgs,
}

pub(super) fn run(world: &World, args: ExplainArgs) -> Result<u8, Failed> {
    if let Some(text) = topic(&args.id) {
        say(&text);
        return Ok(0);
    }
    if let Some(step) = crate::steps::find(&args.id) {
        say(&steps::describe(step));
        return Ok(0);
    }
    let template = template(&args.template)?;
    let library = library(&[], &template, world.paint().colour)?;
    if let Some(requirement) = library.catalogue.get(&args.id.to_uppercase()) {
        say(&explain_requirement(requirement, &library));
        return Ok(0);
    }
    if let Some(case) = library.case(&args.id) {
        say(&explain_case(case, &library));
        return Ok(0);
    }
    let names = library.cases().map(|case| case.id.as_str());
    let names = names.chain(library.catalogue.all.keys().map(String::as_str));
    let names = names.chain(crate::steps::STEPS.iter().map(|step| step.name));
    Err((2, unknown("case, requirement or step", &args.id, names)))
}

fn explain_requirement(requirement: &Requirement, library: &Library) -> String {
    let mut text = format!("{} {}\n", requirement.id, requirement.level);
    for line in wrap(&requirement.text, 76) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!("  binds the {}, area {}\n", requirement.target, requirement.area));
    for line in wrap(&format!("source: {}", requirement.source), 76) {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(why) = &requirement.untested {
        text.push_str(&format!("  no case tests it: {why}\n"));
    }
    let citing: Vec<&str> = library
        .cases()
        .filter(|case| case.requirements.contains(&requirement.id))
        .map(|case| case.id.as_str())
        .collect();
    match requirement.judge.as_deref() {
        Some("visit") => text.push_str("  judged by `gridproof serve --judge`\n"),
        Some(trial) => {
            text.push_str(&format!("  judged by `gridproof serve --judge`, trial {trial}\n"));
        }
        None => {}
    }
    let nothing = requirement.untested.is_none() && requirement.judge.is_none();
    if nothing && citing.is_empty() {
        let why = requirement.pending.as_deref().unwrap_or("the catalogue does not say why");
        text.push_str(&format!("  no case tests it yet: {why}\n"));
    }
    citing.iter().for_each(|id| text.push_str(&format!("  tested by {id}\n")));
    text
}

fn explain_case(case: &Case, library: &Library) -> String {
    let mut text = format!("{}\n  {}\n", case.id, case.title);
    let (line, _) = case.source.position(case.span.start);
    text.push_str(&format!("  {}:{line}\n", case.source.path));
    text.push_str(
        &format!("  effects {:?}, session {:?}", case.effects, case.session).to_lowercase(),
    );
    text.push('\n');
    let needs: Vec<String> = case.needs.iter().map(ToString::to_string).collect();
    if !needs.is_empty() {
        text.push_str(&format!("  needs {}\n", needs.join(", ")));
    }
    if !case.tags.is_empty() {
        text.push_str(&format!("  tags {}\n", case.tags.join(", ")));
    }
    for step in &case.steps {
        let message = step.args.get("message").and_then(|n| n.text()).unwrap_or_default();
        text.push_str(&format!("  step {} {message}\n", step.name()).replace(" \n", "\n"));
    }
    for requirement in case.requirements.iter().filter_map(|id| library.catalogue.get(id)) {
        text.push_str(&format!("  {} {}\n", requirement.id, requirement.level));
        for line in wrap(&requirement.text, 72) {
            text.push_str(&format!("      {line}\n"));
        }
    }
    text
}

fn topic(name: &str) -> Option<String> {
    let list = |items: Vec<(&str, &str)>| {
        items.iter().map(|(name, doc)| format!("{name:<12} {doc}\n")).collect::<String>()
    };
    Some(match name {
        "types" => list(TYPES.to_vec()),
        "predicates" => list(PREDICATES.iter().map(|(name, _, doc)| (*name, *doc)).collect()),
        "outcomes" => list(vec![
            ("pass", "every MUST and SHOULD held"),
            ("warn", "a SHOULD was broken; fails the run with --fail-on should"),
            ("fail", "a MUST was broken; fails the run"),
            ("known", "broken exactly as the profile recorded it"),
            ("fixed", "the profile says broken, it holds now: the profile is stale"),
            ("impossible", "a need is not met; fails the run with --fail-on impossible"),
            ("blocked", "the state to test in could not be reached; fails the run"),
            ("skipped", "chosen so, or the run was stopped before"),
            ("error", "this program or the suite is at fault"),
        ]),
        "exit-codes" => EXIT.iter().map(|(code, doc)| format!("{code:>3}  {doc}\n")).collect(),
        "record" => RECORD.to_owned(),
        "mutants" => MUTANTS.to_owned(),
        "policies" => {
            let policies = misbehaviours().map(|own| format!("{:<24} {}\n", own.word, own.means));
            policies.collect()
        }
        "trials" => trials(),
        _ => return None,
    })
}

/// What a judging grid does to its visitors.
fn trials() -> String {
    let trials = judge::trials(Template::shipped());
    let (quiet, named): (Vec<_>, Vec<_>) = trials.iter().partition(|trial| trial.quiet);
    let lines = |trials: &[&judge::Trial]| {
        let lines = trials.iter().flat_map(|trial| {
            let title = wrap(&trial.title, 56).into_iter().enumerate();
            title.map(|(n, line)| (if n == 0 { trial.id.as_str() } else { "" }, line))
        });
        lines.map(|(id, line)| format!("  {id:<20} {line}\n")).collect::<String>()
    };
    format!(
        "What `serve --judge` does to every visitor:\n{}By name, `--trial NAME`:\n{}",
        lines(&quiet),
        lines(&named)
    )
}

const RECORD: &str = "\
The run record of `run --json FILE`, format 1:
  format       1; raised when a member changes its meaning, not when one is added
  gridproof    the program's version
  target       name, login_uri, reference, profile, accounts
  started, ms  when the run began, and how long it took in milliseconds
  interrupted  the run was stopped before its end
  exit         the exit code
  cases[]      one per planned case, in order:
    id, title, outcome (see `explain outcomes`), reason, reproduce
    requirements  ids cited;  held  ids judged and found to hold
    attempts, passes, ms
    findings[]    kind (broken, footing, need, harness), requirement, also, level, sentence,
                  source, step, path, expected, received, stage, hint,
                  place (file, line, column, width, text)
    timeline[]    ms, actor, channel (login, caps, events, udp, http, note),
                  direction (→ ← ·), text
Secrets appear nowhere: they read as ‹name›.
";

const MUTANTS: &str = "\
A file of mutants (`gridproof mutants FILE`) has tables [[mutant]]:
  id, title  its name, and what is wrong in a sentence
  breaks     the requirements it breaks: a case that cites one must notice
  also       requirements it breaks at times: noticing these is right too
  policy     a rule of the protocol not kept, or several (`explain policies`)
  rules      what happens to what the grid says, an array of tables:
    do         drop, delay (`by`); of datagrams and events double, reorder;
               of datagrams corrupt
               remove, zero, retype, shift, double, set (`value`): the `field`
               status (`value`), content-type (`value`), empty: HTTP answers
    channel    udp, login, seed, caps, events, http
    message    the message, event or capability; any if left out
    field      a member or field: inventory-root[0].folder_id,
               RegionInfo.SimName; of datagrams also header.reliable,
               header.resent, header.sequence, header.reserved
    where      only what has these values at these paths
    was        only HTTP answers that had this status
    nth, from  only the n-th match; that one and all after it (what happens to
               whole datagrams counts for each circuit, all else for the grid)
    direction  \"out\": what comes from the client; it is not heard (`drop`)
Times are those of the protocol; the grid runs them faster. Tables
[[equivalent]] with `mutant` (ids, `*` stands for anything) and `reason` name
generated mutants that nobody could notice. What no requirement speaks of
stands in the catalogue as [[unspoken]].

The verdicts:
  noticed        cases found everything it breaks, and nothing else
  blocked        cases could not get as far as judging
  unspoken       no requirement speaks of what it changes
  equivalent     nobody could tell it from a clean grid
  survived       nobody noticed, and nothing says why
  stray          a red line names a requirement that it does not break
  never applied  it made no difference, and proves nothing
  error          a case ended with an error of the harness
";
