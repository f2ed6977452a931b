//! `gridproof coverage`.

use super::reports::Reports;
use super::{Failed, World, library, say};
use crate::proof::Coverage;
use crate::proto::template::Template;
use crate::runner::{FORMAT, RunRecord};
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `coverage`.
#[derive(Args, Debug)]
pub(super) struct CoverageArgs {
    /// A run record (`run --json FILE`): tells what that run exercised and found broken
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write the coverage as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the coverage as one HTML page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// End with 1 if less than this is tested of what a case can test, in percent
    #[arg(long, value_name = "PERCENT")]
    fail_under: Option<f64>,
    /// Name every requirement that no case tests, and why
    #[arg(long, short)]
    verbose: bool,
    /// Files or folders of suites besides the shipped ones
    #[arg(value_name = "PATH")]
    suite: Vec<PathBuf>,
}

pub(super) fn run(world: &World, args: CoverageArgs) -> Result<u8, Failed> {
    if args.fail_under.is_some_and(|mark| !(0.0..=100.0).contains(&mark)) {
        return Err((2, "--fail-under takes a share from 0 to 100".into()));
    }
    let colour = world.stderr_is_terminal && world.paint().colour;
    let library = library(&args.suite, Template::shipped(), colour)?;
    Reports::<Coverage>::of_proof(&args.json, &args.html).check()?;
    let record = args.record.as_deref().map(read).transpose()?;
    let coverage = Coverage::of(&library, record.as_ref());
    say(&coverage.text(world.paint(), args.verbose));
    Reports::of_proof(&args.json, &args.html).write(&coverage)?;
    let under = args.fail_under.is_some_and(|mark| coverage.percent() < mark);
    Ok(u8::from(under))
}

fn read(path: &Path) -> Result<RunRecord, Failed> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| (2, format!("{name}: {error}")))?;
    let record: RunRecord = serde_json::from_str(&text)
        .map_err(|error| (2, format!("{name}: no run record of `run --json`: {error}")))?;
    if record.format != FORMAT {
        let found = record.format;
        return Err((2, format!("{name}: a record of format {found}; this reads {FORMAT}")));
    }
    Ok(record)
}
