//! The credentials file: grids by name, with their accounts.

use super::Target;
use crate::client::Credentials;
use crate::proto::login::Agreed;
use std::collections::BTreeMap;
use std::path::Path;

/// The file's content.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grids {
    /// Grids by name.
    #[serde(default)]
    grid: BTreeMap<String, Grid>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    login_uri: String,
    #[serde(default)]
    regions: Vec<String>,
    neighbour: Option<String>,
    distant: Option<String>,
    closed: Option<String>,
    profile: Option<String>,
    #[serde(default = "yes")]
    llsd_login: bool,
    #[serde(default)]
    agree_to_tos: bool,
    #[serde(default)]
    read_critical: bool,
    #[serde(default = "once")]
    logins_at_once: usize,
    #[serde(default = "one")]
    time_scale: f64,
    #[serde(default)]
    account: Vec<Account>,
}

fn yes() -> bool {
    true
}

fn once() -> usize {
    1
}

fn one() -> f64 {
    1.0
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    first: String,
    last: String,
    password: Option<String>,
    password_env: Option<String>,
    password_file: Option<String>,
}

/// Without the password.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account of {} {}", self.first, self.last)
    }
}

/// Why there is no target.
#[derive(Debug, thiserror::Error)]
pub enum GridsError {
    /// The file cannot be read.
    #[error("{path}: {error}\nCopy credentials.example.toml to {path} and fill in your grid:{}", table(.name))]
    Read {
        /// The path.
        path: String,
        /// The grid asked for.
        name: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {kind}; see credentials.example.toml for what belongs there")]
    Syntax {
        /// The path.
        path: String,
        /// What kind of mistake it is.
        kind: String,
    },
    /// The file has no such grid.
    #[error(
        "{path} has no table `[grid.{name}]`{known}; add it:\n\n[grid.{name}]\nlogin_uri = \"http://…\"\n\n[[grid.{name}.account]]\nfirst = \"…\"\nlast = \"…\"\npassword_env = \"…\""
    )]
    NoGrid {
        /// The path.
        path: String,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A grid's waits cannot be stretched so.
    #[error("{path}: `time_scale` of `[grid.{name}]` takes a factor from 0.1 to 100")]
    TimeScale {
        /// The path.
        path: String,
        /// The grid's name.
        name: String,
    },
    /// A grid has no account.
    #[error(
        "{path}: `[grid.{name}]` has no account; add a table:\n\n[[grid.{name}.account]]\nfirst = \"…\"\nlast = \"…\"\npassword_env = \"…\""
    )]
    NoAccount {
        /// The path.
        path: String,
        /// The grid's name.
        name: String,
    },
    /// A password is not to be had.
    #[error("{path}: the password of {who}: {what}")]
    Password {
        /// The path.
        path: String,
        /// Whose.
        who: String,
        /// Why not.
        what: String,
    },
}

/// A grid's table, to be filled in.
fn table(name: &str) -> String {
    format!(
        "\n\n[grid.{name}]\nlogin_uri = \"http://…\"\n\n[[grid.{name}.account]]\nfirst = \"…\"\n\
         last = \"…\"\npassword_env = \"…\""
    )
}

impl Grids {
    /// Reads the file, for that grid.
    ///
    /// # Errors
    /// The file cannot be read, or is not what it should be.
    pub fn read(path: &Path, grid: &str) -> Result<Self, GridsError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let (path, name) = (name.clone(), grid.to_owned());
            GridsError::Read { path, name, error }
        })?;
        toml::from_str(&text).map_err(|error| {
            // Neither the line it stands in nor the value it complains of is shown: both may be a
            // password. What comes before the first quoted word says enough.
            let kind = error.message().split(['`', '"']).next().unwrap_or_default();
            let kind = kind.trim_end_matches([' ', ':']).to_owned();
            GridsError::Syntax { path: place(&name, &text, &error), kind }
        })
    }

    /// Whether others than its owner may read the file.
    pub fn is_readable_by_others(path: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0)
        }
        #[cfg(not(unix))]
        {
            let _ = path;
            false
        }
    }

    /// The target of a name.
    ///
    /// # Errors
    /// No such grid, no account of it, or no password to be had.
    pub fn target(
        &self,
        name: &str,
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Target, GridsError> {
        let file = path.display().to_string();
        let Some(grid) = self.grid.get(name) else {
            let names: Vec<&str> = self.grid.keys().map(String::as_str).collect();
            let known = match names.is_empty() {
                true => String::new(),
                false => format!(" (it has {})", names.join(", ")),
            };
            return Err(GridsError::NoGrid { path: file, name: name.to_owned(), known });
        };
        if !(0.1..=100.0).contains(&grid.time_scale) {
            let (path, name) = (file, name.to_owned());
            return Err(GridsError::TimeScale { path, name });
        }
        if grid.account.is_empty() {
            return Err(GridsError::NoAccount { path: file, name: name.to_owned() });
        }
        let accounts: Result<Vec<Credentials>, GridsError> = grid
            .account
            .iter()
            .map(|account| {
                let password = password(account, path, env).map_err(|what| {
                    let who = format!("{} {}", account.first, account.last);
                    GridsError::Password { path: file.clone(), who, what }
                })?;
                let (first, last) = (account.first.clone(), account.last.clone());
                Ok(Credentials { first, last, password })
            })
            .collect();
        Ok(Target {
            regions: grid.regions.clone(),
            neighbour: grid.neighbour.clone(),
            distant: grid.distant.clone(),
            closed: grid.closed.clone(),
            llsd_login: grid.llsd_login,
            agreed: Agreed { tos: grid.agree_to_tos, critical: grid.read_critical },
            logins_at_once: grid.logins_at_once,
            profile: grid.profile.clone(),
            time_scale: grid.time_scale,
            ..Target::new(name, &grid.login_uri, accounts?)
        })
    }
}

fn place(path: &str, text: &str, error: &toml::de::Error) -> String {
    let Some(span) = error.span() else { return path.to_owned() };
    let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
    format!("{path}:{line}")
}

fn password(
    account: &Account,
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    match (&account.password, &account.password_env, &account.password_file) {
        (Some(password), None, None) => Ok(password.clone()),
        (None, Some(name), None) => {
            env(name).ok_or_else(|| format!("the environment has no variable {name}"))
        }
        (None, None, Some(file)) => {
            let file = path.parent().unwrap_or(Path::new(".")).join(file);
            let text = std::fs::read_to_string(&file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        (None, None, None) => Err("give password, password_env or password_file".into()),
        _ => Err("give only one of password, password_env and password_file".into()),
    }
}
