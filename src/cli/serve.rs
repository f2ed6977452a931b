//! `gridproof serve`.

use super::log::{self, LogLevel};
use super::reports::Reports;
use super::run::FailOn;
use super::signals::Signals;
use super::{Failed, World, own_mistakes, say};
use crate::grid::{self, Account, Grid, GridConfig, RegionConfig};
use crate::judge::{Judge, Trial, Verdict, Visited, trials};
use crate::net::Clock;
use crate::proof::Mutant;
use crate::proto::template::Template;
use crate::report;
use crate::runner::RunRecord;
use crate::steps::parse_time;
use crate::suite::Library;
use crate::value::unknown;
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub(super) struct ServeArgs {
    /// Where HTTP listens; a free port of loopback if left out
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    http: SocketAddr,
    /// Adds an account (repeatable) to Test One and Test Two
    #[arg(long, value_name = "First Last:password", value_parser = account)]
    account: Vec<Account>,
    /// Replaces the regions Alpha, Beta and Gamma (repeatable); a closed one lets nobody in
    #[arg(long, value_name = "NAME@X,Y[:PORT][:closed]", value_parser = region)]
    region: Vec<RegionConfig>,
    /// Announce in one JSON object: login_uri, regions, accounts, time_factor
    #[arg(long)]
    json: bool,
    /// Run the protocol's timers this many times faster
    #[arg(long, value_name = "N", default_value_t = 1)]
    time_factor: u32,
    /// Refuse logins that do not agree to the terms of service, with the reason `tos`
    #[arg(long)]
    require_tos: bool,
    /// Keep inventories and assets here, so that they survive the grid; in memory if left out
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Do not grant this capability (repeatable): for trying how a client does without
    #[arg(long, value_name = "NAME", value_parser = capability)]
    without: Vec<String>,
    /// Announce the destination of a teleport before TeleportFinish, as old grids did
    #[arg(long)]
    announce_destinations: bool,
    /// Serve a grid with the fault of this mutant (`gridproof mutants --list`)
    #[arg(long, value_name = "ID")]
    mutant: Option<String>,
    /// What to tell of on standard error; `info` where no level is given
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "warn", num_args = 0..=1, default_missing_value = "info")]
    log: LogLevel,
    /// End after this long, as Ctrl-C does
    #[arg(long, value_name = "TIME", value_parser = time)]
    r#for: Option<Duration>,
    #[command(flatten)]
    judge: JudgeArgs,
}

/// Arguments of `serve --judge`.
#[derive(Args, Debug)]
#[command(next_help_heading = "Judging visitors")]
struct JudgeArgs {
    /// Say at the end which requirements of clients the visitors met, and which they broke
    #[arg(long)]
    judge: bool,
    /// Try visitors with this besides (repeatable); see `explain trials`
    #[arg(long, value_name = "TRIAL", requires = "judge")]
    trial: Vec<String>,
    /// What also fails the verdict (repeatable)
    #[arg(long, value_enum, value_name = "WHAT", requires = "judge")]
    fail_on: Vec<FailOn>,
    /// Write JUnit XML of the verdict to this file
    #[arg(long, value_name = "FILE", requires = "judge")]
    junit: Option<PathBuf>,
    /// Write the verdict's record to this file (see `explain record`)
    #[arg(long, value_name = "FILE", requires = "judge")]
    record: Option<PathBuf>,
    /// List what held and what was not seen too
    #[arg(long, short, requires = "judge")]
    verbose: bool,
}

impl JudgeArgs {
    fn reports(&self) -> Reports<'_, RunRecord> {
        Reports::of_run(&self.junit, &self.record, "--record")
    }
}

/// A time as suites write it.
fn time(text: &str) -> Result<Duration, String> {
    let time = parse_time(text).filter(|time| !time.is_zero());
    time.ok_or_else(|| "a time such as 60s or 500ms, at most an hour (3600s)".into())
}

fn account(text: &str) -> Result<Account, String> {
    let wrong = || "expected \"First Last:password\"".to_owned();
    let (name, password) = text.split_once(':').ok_or_else(wrong)?;
    let (first, last) = name.trim().split_once(' ').ok_or_else(wrong)?;
    if password.is_empty() || last.trim().is_empty() {
        return Err(wrong());
    }
    Ok(Account::new(first, last.trim(), password))
}

/// A capability that this grid would grant.
fn capability(text: &str) -> Result<String, String> {
    match grid::granted().contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(unknown("capability", text, grid::granted())),
    }
}

fn region(text: &str) -> Result<RegionConfig, String> {
    let wrong = || {
        "expected NAME@X,Y, NAME@X,Y:PORT or either with :closed, X and Y from 1 to 65535"
            .to_owned()
    };
    let (name, place) = text.rsplit_once('@').ok_or_else(wrong)?;
    let (place, closed) = match place.strip_suffix(":closed") {
        Some(place) => (place, true),
        None => (place, false),
    };
    let (place, port) = match place.split_once(':') {
        Some((place, port)) => (place, port.parse().map_err(|_| wrong())?),
        None => (place, 0),
    };
    let (x, y) = place.split_once(',').ok_or_else(wrong)?;
    let coordinate = |text: &str| match text.trim().parse::<u16>() {
        Ok(n) if n > 0 => Ok(u32::from(n)),
        _ => Err(wrong()),
    };
    if name.is_empty() {
        return Err(wrong());
    }
    Ok(RegionConfig { name: name.to_owned(), x: coordinate(x)?, y: coordinate(y)?, port, closed })
}

pub(super) fn run(world: &World, args: ServeArgs) -> Result<u8, Failed> {
    log::begin(world, args.log);
    if args.time_factor == 0 || args.time_factor > 1000 {
        return Err((2, "--time-factor takes a number from 1 to 1000".into()));
    }
    for (n, region) in args.region.iter().enumerate() {
        let clash = |r: &RegionConfig| r.name == region.name || (r.x, r.y) == (region.x, region.y);
        if args.region[..n].iter().any(clash) {
            return Err((
                2,
                format!("region {} has the name or the place of another", region.name),
            ));
        }
    }
    let mut config = GridConfig {
        http: args.http,
        time_factor: args.time_factor,
        require_tos: args.require_tos,
        data: args.data.clone(),
        without: args.without.clone(),
        announces_destinations: args.announce_destinations,
        ..GridConfig::default()
    };
    // An account named here stands before one of the same name that is always there.
    let given =
        |a: &Account| args.account.iter().any(|b| (&a.first, &a.last) == (&b.first, &b.last));
    config.accounts.retain(|account| !given(account));
    config.accounts.splice(0..0, args.account.iter().cloned());
    if !args.region.is_empty() {
        config.regions = args.region.clone();
    }
    let mutant = args.mutant.as_deref().map(mutant).transpose()?;
    if let Some(mutant) = &mutant {
        config.faults = mutant.faults.clone();
    }
    let court = args.judge.judge.then(|| JudgeMode::open(&args)).transpose()?;
    if let Some(court) = &court {
        court.prepare(&mut config);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (70, format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let grid = Grid::start(config).await;
        let grid = grid.map_err(|error| (2, format!("cannot serve: {error}")))?;
        let (started, began) = (jiff::Timestamp::now(), Clock::start());
        say(&announce(&grid, args.json, mutant.as_ref()));
        if let Some(court) = court.as_ref().filter(|_| !args.json) {
            say(&court.opening());
        }
        let end = args.r#for.unwrap_or(Duration::MAX);
        // The end of the time and a signal are the same to whoever waits for the verdict.
        let _ = tokio::time::timeout(end, signals.next()).await;
        let record = court.as_ref().map(|court| court.verdict(&grid, &args, started, began.now()));
        let mistakes = grid.mistakes();
        grid.shutdown().await;
        if !mistakes.is_empty() {
            return Err((70, own_mistakes(&mistakes)));
        }
        match record {
            Some(record) => deliver(world, &args.judge, &record),
            None => Ok(0),
        }
    })
}

/// What judges visitors.
struct JudgeMode {
    judge: Judge,
    library: Arc<Library>,
    trials: Vec<Trial>,
}

impl JudgeMode {
    fn open(args: &ServeArgs) -> Result<Self, Failed> {
        args.judge.reports().check()?;
        let template = Template::shipped();
        let all = trials(template);
        let known = |name: &&String| all.iter().any(|trial| trial.id == **name);
        if let Some(name) = args.judge.trial.iter().find(|name| !known(name)) {
            let names = all.iter().map(|trial| trial.id.as_str());
            return Err((2, unknown("trial", name, names)));
        }
        let chosen = |trial: &Trial| trial.quiet || args.judge.trial.contains(&trial.id);
        let leading = all.iter().filter(|trial| trial.leads && chosen(trial));
        let leading: Vec<&str> = leading.map(|trial| trial.id.as_str()).collect();
        if leading.len() > 1 {
            let why = "each leads to the same region, and nothing shows which of them a visitor \
                       followed; try them one at a time";
            return Err((2, format!("{}: {why}", leading.join(", "))));
        }
        Ok(Self {
            judge: Judge::default(),
            library: super::library(&[], template, false)?,
            trials: all.into_iter().filter(chosen).collect(),
        })
    }

    /// Has the grid tell what passes, and do what its visitors are tried with.
    fn prepare(&self, config: &mut GridConfig) {
        config.tap.add(self.judge.listener());
        for trial in &self.trials {
            config.faults = std::mem::take(&mut config.faults).and(&trial.faults);
            config.without.extend(trial.without.iter().cloned());
        }
    }

    /// What visitors are in for.
    fn opening(&self) -> String {
        let trials: Vec<&str> = self.trials.iter().map(|trial| trial.id.as_str()).collect();
        let text = format!("judging visitors, tried with {}", trials.join(", "));
        report::wrap(&text, 78).join("\n  ") + "\n"
    }

    fn verdict(
        &self,
        grid: &Grid,
        args: &ServeArgs,
        started: jiff::Timestamp,
        watched: Duration,
    ) -> RunRecord {
        let named = self.trials.iter().filter(|trial| !trial.quiet);
        let named: String = named.map(|trial| format!(" --trial {}", trial.id)).collect();
        let verdict = Verdict {
            catalogue: &self.library.catalogue,
            visited: Visited::of(grid),
            trials: &self.trials,
            started,
            watched,
            fail_on_should: args.judge.fail_on.contains(&FailOn::Should),
            fail_on_impossible: args.judge.fail_on.contains(&FailOn::Impossible),
            reproduce: &format!("gridproof serve --judge{named}"),
        };
        verdict.record(&self.judge)
    }
}

/// Writes the reports and prints the verdict; its exit code.
fn deliver(world: &World, args: &JudgeArgs, record: &RunRecord) -> Result<u8, Failed> {
    args.reports().write(record)?;
    say(&report::verdict(record, world.paint(), args.verbose));
    Ok(record.exit)
}

/// The mutant of an id, written or generated.
fn mutant(id: &str) -> Result<Mutant, Failed> {
    let template = Template::shipped();
    let library = super::library(&[], template, false)?;
    let mutants = super::mutants::read(&[], &library, false)?;
    let written = mutants.all.iter().find(|mutant| mutant.id == id).cloned();
    written.or_else(|| crate::proof::named(id, template)).ok_or_else(|| {
        let known = mutants.all.iter().map(|mutant| mutant.id.as_str());
        (2, unknown("mutant", id, known))
    })
}

fn announce(grid: &Grid, as_json: bool, mutant: Option<&Mutant>) -> String {
    if as_json {
        let mut object = json!({
            "login_uri": grid.login_uri,
            "regions": grid.regions,
            "accounts": grid.accounts,
            "time_factor": grid.time_factor,
        });
        if let Some(mutant) = mutant {
            object["mutant"] = json!(mutant.id);
        }
        return format!("{object}\n");
    }
    let regions: Vec<String> = grid
        .regions
        .iter()
        .map(|r| format!("{} ({},{}) udp {}", r.name, r.x, r.y, r.udp_port))
        .collect();
    let accounts: Vec<String> =
        grid.accounts.iter().map(|a| format!("{} {}:{}", a.first, a.last, a.password)).collect();
    let mutant = mutant.map_or(String::new(), |mutant| format!(" | mutant: {}", mutant.title));
    format!(
        "serving {} | regions {} | accounts {}{mutant} | Ctrl-C ends\n",
        grid.login_uri,
        regions.join(", "),
        accounts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_regions_are_read_as_they_are_announced() {
        assert_eq!(account("Jane Doe:a:b"), Ok(Account::new("Jane", "Doe", "a:b")));
        assert!(account("Jane:pw").is_err());
        assert!(account("Jane Doe:").is_err());
        let place = RegionConfig { name: "My Land".into(), x: 7, y: 8, port: 9, closed: false };
        assert_eq!(region("My Land@7,8:9"), Ok(place.clone()));
        let closed = RegionConfig { closed: true, ..place };
        assert_eq!(region("My Land@7,8:9:closed"), Ok(closed.clone()));
        assert_eq!(region("My Land@7,8:closed"), Ok(RegionConfig { port: 0, ..closed }));
        assert!(capability("EventQueueGet").is_ok() && capability("NoSuchThing").is_err());
        assert!(region("A@7").is_err());
        assert!(region("@7,8").is_err());
        assert!(region("A@0,8").is_err());
    }
}
