//! The command line: one file per subcommand.

mod check;
mod coverage;
mod decode;
mod explain;
mod list;
mod log;
mod mutants;
mod reports;
mod run;
mod serve;
mod signals;
mod steps;
mod target;
mod variants;

use crate::proto::template::Template;
use crate::report::Paint;
use crate::runner::EXIT;
use crate::suite::{Diagnostic, Files, Library};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Looks up a variable of the environment.
pub type Env = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the process knows of the world outside.
pub struct World {
    /// The arguments, the program's name first.
    pub args: Vec<OsString>,
    /// The environment.
    pub env: Env,
    /// Standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Standard error is a terminal.
    pub stderr_is_terminal: bool,
}

impl World {
    /// Whether text for people is coloured: on a terminal, unless NO_COLOR is set.
    fn paint(&self) -> Paint {
        let no_color = (self.env)("NO_COLOR").is_some_and(|v| !v.is_empty());
        Paint { colour: self.stdout_is_terminal && !no_color }
    }
}

/// The exit codes, for `--help`.
fn exit_codes() -> String {
    let lines = EXIT.iter().map(|(code, meaning)| format!("  {code:>2}  {meaning}"));
    format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[derive(Parser, Debug)]
#[command(name = "gridproof", version, about = "Proves whether a virtual-world grid speaks its protocols", after_help = exit_codes())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run suites against a grid; without a grid, against the embedded reference grid
    #[command(after_help = exit_codes())]
    Run(Box<run::RunArgs>),
    /// List cases
    List(list::ListArgs),
    /// Check suites and run nothing
    Check(check::CheckArgs),
    /// Serve the reference grid for other clients
    #[command(after_help = exit_codes())]
    Serve(Box<serve::ServeArgs>),
    /// Prove that the suites can fail: run them on grids with one fault each
    Mutants(mutants::MutantsArgs),
    /// Prove that the suites call no right grid wrong: run them on grids that are right and different
    Variants(variants::VariantsArgs),
    /// Tell what of the catalogue of requirements the suites test
    Coverage(coverage::CoverageArgs),
    /// Explain a case, a requirement, a step, or: types, predicates, outcomes, record, mutants
    Explain(explain::ExplainArgs),
    /// List the steps a suite can use, with their keys
    Steps(steps::StepsArgs),
    /// Decode hex documents from standard input, one JSON object a line
    Decode(decode::DecodeArgs),
    /// Encode JSON documents from standard input, one hex document a line
    Encode(decode::DecodeArgs),
}

/// What several subcommands take.
#[derive(Args, Debug, Clone)]
pub(crate) struct TemplateArgs {
    /// Use this message template instead of the shipped one
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
}

impl TemplateArgs {
    /// The file named, if one is.
    fn path(&self) -> Option<&PathBuf> {
        self.template.as_ref()
    }
}

/// What went wrong in the reference grid that nobody else did.
fn own_mistakes(mistakes: &[String]) -> String {
    let what = mistakes.join("; ");
    format!("the reference grid made a mistake of its own, please report it: {what}")
}

/// A message for the user and the exit code.
type Failed = (u8, String);

/// Runs the program; its exit code.
pub fn main(world: &World) -> u8 {
    let cli = match Cli::try_parse_from(&world.args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no mistake.
            let _ = error.print();
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    let done = match cli.command {
        Command::Run(args) => run::run(world, *args),
        Command::List(args) => list::run(args),
        Command::Check(args) => check::run(world, args),
        Command::Serve(args) => serve::run(world, *args),
        Command::Mutants(args) => mutants::run(world, args),
        Command::Variants(args) => variants::run(world, args),
        Command::Coverage(args) => coverage::run(world, args),
        Command::Explain(args) => explain::run(world, args),
        Command::Steps(args) => steps::run(args),
        Command::Decode(args) => decode::decode(args),
        Command::Encode(args) => decode::encode(args),
    };
    match done {
        Ok(code) => code,
        Err((code, message)) => {
            if !message.is_empty() {
                complain(&message);
            }
            code
        }
    }
}

/// Writes to standard output. A reader that has gone away ends nothing.
fn say(text: &str) {
    let _ = try_say(text);
}

/// Writes to standard output, and tells if nobody reads it.
fn try_say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes to standard error.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "gridproof: {text}");
}

fn template(args: &TemplateArgs) -> Result<Arc<Template>, Failed> {
    let Some(path) = &args.template else { return Ok(Template::shipped().clone()) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| (2, format!("{}: {error}", path.display())))?;
    let template =
        Template::parse(&text).map_err(|error| (2, format!("{}: {error}", path.display())))?;
    // Circuits and viewers build these by themselves, field by field.
    for name in crate::grid::NEEDED_MESSAGES {
        if let Some(missing) = missing_part(&template, name) {
            let path = path.display();
            return Err((2, format!("{path}: no {missing}, which every session needs")));
        }
    }
    Ok(Arc::new(template))
}

/// What a template lacks of a message as the shipped one has it.
fn missing_part(template: &Template, name: &str) -> Option<String> {
    let shipped = Template::shipped().message(name)?;
    let Some(message) = template.message(name) else { return Some(format!("message {name}")) };
    shipped.blocks.iter().find_map(|wanted| {
        let Some(block) = message.block(&wanted.name) else {
            return Some(format!("block {name}.{}", wanted.name));
        };
        let lacks = |f: &&crate::proto::template::FieldDef| {
            block.field(&f.name).is_none_or(|field| field.kind != f.kind)
        };
        let field = wanted.fields.iter().find(lacks)?;
        Some(format!("field {name}.{}.{} {}", wanted.name, field.name, field.kind))
    })
}

/// The shipped library, and files and folders of the user's.
fn library(paths: &[PathBuf], template: &Template, colour: bool) -> Result<Arc<Library>, Failed> {
    let mut files = Files::shipped();
    for path in paths {
        files = files.with_path(path).map_err(|error| (2, error))?;
    }
    match Library::load(&files, template) {
        Ok(library) => Ok(Arc::new(library)),
        Err(mistakes) => Err((2, mistakes_text(&mistakes, colour))),
    }
}

fn mistakes_text(mistakes: &[Diagnostic], colour: bool) -> String {
    let mut text = match mistakes.len() {
        1 => "1 mistake, nothing was run\n\n".to_owned(),
        n => format!("{n} mistakes, nothing was run\n\n"),
    };
    for mistake in mistakes {
        text.push_str(&mistake.render(colour));
        text.push_str("\n\n");
    }
    text.trim_end().to_owned()
}

/// Splits a selection into names and paths on disk.
fn split_selection(selection: &[String]) -> (Vec<String>, Vec<PathBuf>) {
    let is_path = |text: &&String| {
        let looks = text.ends_with(".toml") || text.starts_with(['.', '/']);
        looks && Path::new(text.as_str()).exists()
    };
    let paths: Vec<PathBuf> = selection.iter().filter(is_path).map(PathBuf::from).collect();
    (selection.to_vec(), paths)
}

/// `; did you mean …?`, where a known name is near.
fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let told = crate::value::unknown("name", name, known);
    told.split_once("; ").map(|(_, near)| format!("; {near}")).unwrap_or_default()
}
