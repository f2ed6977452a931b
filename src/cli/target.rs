//! Which grid is meant, and how its accounts are found.

use super::{Failed, World, complain};
use crate::client::{Credentials, Form};
use crate::runner::{Grids, Target};
use clap::Args;
use std::path::{Path, PathBuf};

/// The credentials file, where none is named.
const CREDENTIALS: &str = "credentials.toml";

/// Arguments that name a grid.
#[derive(Args, Debug, Clone)]
pub(super) struct TargetArgs {
    /// A grid of the credentials file
    #[arg(long, value_name = "NAME", conflicts_with = "login_uri")]
    pub grid: Option<String>,
    /// A grid by its login URI; accounts come from GRIDPROOF_ACCOUNT_1="First Last",
    /// GRIDPROOF_PASSWORD_1, and so on (GRIDPROOF_LOGIN_URI stands in for this flag)
    #[arg(long, value_name = "URI")]
    pub login_uri: Option<String>,
    /// The credentials file; credentials.toml if left out
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// Name of a region of the grid, the first being where cases go (repeatable); the first
    /// account's home if left out
    #[arg(long, value_name = "NAME")]
    pub region: Vec<String>,
    /// Name of a region beside the first; one that the map shows if left out
    #[arg(long, value_name = "NAME")]
    pub neighbour: Option<String>,
    /// Name of a region that does not touch the first; one that the map shows if left out
    #[arg(long, value_name = "NAME")]
    pub distant: Option<String>,
    /// Name of a region beside the first that lets nobody in
    #[arg(long, value_name = "NAME")]
    pub closed: Option<String>,
    /// Known failures: a profile's name or file
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// How login calls are written where a case does not say; as XML-RPC, and as LLSD where that is
    /// not spoken, if left out
    #[arg(long, value_enum, value_name = "FORM")]
    pub login_form: Option<LoginForm>,
    /// Wait this many times longer than usual
    #[arg(long, value_name = "FACTOR")]
    pub time_scale: Option<f64>,
    /// The grid's timers run this many times faster than the protocol's figures, as those of
    /// `serve --time-factor` do
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub time_factor: Option<u32>,
}

/// A form of login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LoginForm {
    /// An XML-RPC call
    Xmlrpc,
    /// An LLSD map
    Llsd,
}

impl From<LoginForm> for Form {
    fn from(form: LoginForm) -> Self {
        match form {
            LoginForm::Xmlrpc => Self::XmlRpc,
            LoginForm::Llsd => Self::Llsd,
        }
    }
}

/// The grid meant; none is the reference grid.
pub(super) fn target(world: &World, args: &TargetArgs) -> Result<Option<Target>, Failed> {
    if args.time_scale.is_some_and(|scale| !(0.1..=100.0).contains(&scale)) {
        return Err((2, "--time-scale takes a factor from 0.1 to 100".into()));
    }
    let mut target = match (&args.grid, login_uri(world, args)) {
        (Some(name), _) => named(world, args, name)?,
        (None, Some(uri)) => by_uri(world, uri)?,
        (None, None) => return no_grid(world, args).map(|()| None),
    };
    if target.login_uri.trim().is_empty() {
        return Err((
            2,
            "the login URI is empty: is GRIDPROOF_LOGIN_URI set as it should be?".into(),
        ));
    }
    if !target.login_uri.starts_with("http://") && !target.login_uri.starts_with("https://") {
        return Err((2, format!("`{}` is not an http(s) URI", target.login_uri)));
    }
    if !args.region.is_empty() {
        target.regions = args.region.clone();
    }
    target.neighbour = args.neighbour.clone().or(target.neighbour);
    target.distant = args.distant.clone().or(target.distant);
    target.closed = args.closed.clone().or(target.closed);
    target.profile = args.profile.clone().or(target.profile);
    target.time_scale = args.time_scale.unwrap_or(target.time_scale);
    target.login_form = args.login_form.map(Form::from);
    target.time_factor = args.time_factor.unwrap_or(1);
    Ok(Some(target))
}

/// Where no grid is named, nothing may say that one was meant: a pipeline whose variables are not
/// set would test the reference grid, and be green.
fn no_grid(world: &World, args: &TargetArgs) -> Result<(), Failed> {
    let account = ["GRIDPROOF_ACCOUNT_1", "GRIDPROOF_PASSWORD_1"];
    let set = account.into_iter().find(|name| (world.env)(name).is_some());
    let flags = [
        ("--region", !args.region.is_empty()),
        ("--neighbour", args.neighbour.is_some()),
        ("--distant", args.distant.is_some()),
        ("--closed", args.closed.is_some()),
        ("--credentials", args.credentials.is_some()),
        ("--time-factor", args.time_factor.is_some()),
    ];
    let given = flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag);
    let Some(what) = given.or(set) else { return Ok(()) };
    let text = format!(
        "{what} is given, and no grid: name one by --grid, --login-uri or GRIDPROOF_LOGIN_URI; \
         without any of these the embedded reference grid would be tested"
    );
    Err((2, text))
}

fn login_uri(world: &World, args: &TargetArgs) -> Option<String> {
    args.login_uri.clone().or_else(|| (world.env)("GRIDPROOF_LOGIN_URI"))
}

fn named(world: &World, args: &TargetArgs, name: &str) -> Result<Target, Failed> {
    let path = args.credentials.as_deref().unwrap_or(Path::new(CREDENTIALS));
    let grids = Grids::read(path, name).map_err(|error| (2, error.to_string()))?;
    if Grids::is_readable_by_others(path) {
        let path = path.display();
        complain(&format!("warning: {path} is readable by others; chmod 600 {path}"));
    }
    grids.target(name, path, &world.env).map_err(|error| (2, error.to_string()))
}

fn by_uri(world: &World, uri: String) -> Result<Target, Failed> {
    let mut accounts = Vec::new();
    for n in 1.. {
        let Some(name) = (world.env)(&format!("GRIDPROOF_ACCOUNT_{n}")) else { break };
        let Some(password) = (world.env)(&format!("GRIDPROOF_PASSWORD_{n}")) else {
            return Err((
                2,
                format!("GRIDPROOF_ACCOUNT_{n} is set, GRIDPROOF_PASSWORD_{n} is not"),
            ));
        };
        let (first, last) = name.trim().split_once(' ').unwrap_or((name.trim(), "Resident"));
        let (first, last) = (first.to_owned(), last.trim().to_owned());
        accounts.push(Credentials { first, last, password });
    }
    if accounts.is_empty() {
        let what = "no account: set GRIDPROOF_ACCOUNT_1=\"First Last\" and GRIDPROOF_PASSWORD_1, \
                    or name the grid in a credentials file and use --grid";
        return Err((2, what.into()));
    }
    Ok(Target::new(&uri, &uri, accounts))
}
