//! The grid under test.

use crate::client::{Common, Credentials};
use crate::grid::TIME_FACTOR_HEADER;
use crate::net::http;
use crate::proto::template::Template;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// More login calls at once than any run makes.
const MANY_LOGINS: usize = 10_000;

/// A grid and what is known of it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name in reports.
    pub name: String,
    /// Where to log in.
    pub login_uri: String,
    /// Accounts to act through.
    pub accounts: Vec<Credentials>,
    /// Names of its regions, the first being where cases go.
    pub regions: Vec<String>,
    /// A region beside the first.
    pub neighbour: Option<String>,
    /// A region that does not touch the first.
    pub distant: Option<String>,
    /// A region beside the first that lets nobody in.
    pub closed: Option<String>,
    /// Whether it takes logins as LLSD.
    pub llsd_login: bool,
    /// How many login calls it stands at once: one, unless it is known to stand more.
    /// OpenSimulator's presences in memory do not survive several first logins at a time.
    pub logins_at_once: usize,
    /// The name of its profile.
    pub profile: Option<String>,
    /// How much longer than usual to wait.
    pub time_scale: f64,
    /// No wait for an answer is longer than this.
    pub most_patience: Duration,
    /// How much faster than the protocol's figures its timers run.
    pub time_factor: u32,
    /// It is this program's own reference grid.
    pub reference: bool,
}

impl Target {
    /// A grid of which nothing more is known than where it is and who may log in.
    pub fn new(name: &str, login_uri: &str, accounts: Vec<Credentials>) -> Self {
        Self {
            name: name.to_owned(),
            login_uri: login_uri.to_owned(),
            accounts,
            regions: Vec::new(),
            neighbour: None,
            distant: None,
            closed: None,
            llsd_login: true,
            logins_at_once: 1,
            profile: None,
            time_scale: 1.0,
            most_patience: Duration::MAX,
            time_factor: 1,
            reference: false,
        }
    }

    /// Scheme, host and port of the login URI, with a slash at the end.
    pub fn base(&self) -> String {
        match self.login_uri.split_once("://") {
            Some((scheme, rest)) => {
                format!("{scheme}://{}/", rest.split(['/', '?']).next().unwrap_or_default())
            }
            None => self.login_uri.clone(),
        }
    }

    /// Whether it runs on this machine.
    pub fn is_loopback(&self) -> bool {
        let rest = self.login_uri.split("://").nth(1).unwrap_or_default();
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let ip = host.parse::<std::net::IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// What viewers of this grid share.
    pub fn common(&self, http: http::Client, template: Arc<Template>) -> Common {
        Common {
            login_uri: self.login_uri.clone(),
            http,
            template,
            time_factor: self.time_factor,
            time_scale: self.time_scale,
            most_patience: self.most_patience,
            login_turns: Arc::new(Semaphore::new(self.logins_at_once.clamp(1, MANY_LOGINS))),
        }
    }
}

/// Whether anything answers at a login URI, and how much faster its timers run, as it says.
pub async fn probe(login_uri: &str, within: Duration) -> Result<u32, String> {
    let client = http::Client::new();
    let reply = client.ask(http::Request::get(login_uri), within).await;
    let reply = reply.map_err(|error| error.to_string())?;
    let factor = reply.header(TIME_FACTOR_HEADER).and_then(|text| text.parse().ok());
    // Only a reference grid says so, and those run no faster than this.
    Ok(factor.unwrap_or(1).clamp(1, 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_the_uri() {
        let target = |uri: &str| Target::new("", uri, Vec::new());
        for uri in ["http://127.0.0.1:9000/", "http://localhost/", "https://[::1]:8002/x"] {
            assert!(target(uri).is_loopback(), "{uri}");
        }
        for uri in ["http://grid.example/", "http://10.0.0.1/", "http://127.0.0.1.evil.example/"] {
            assert!(!target(uri).is_loopback(), "{uri}");
        }
    }
}
