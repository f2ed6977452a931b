//! The grid under test.

use crate::client::{Common, Credentials, Departures, Form};
use crate::net::{Network, http};
use crate::proto::login::Agreed;
use crate::proto::template::Template;
use std::net::SocketAddrV4;
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
    /// The network it is on.
    pub network: Network,
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
    /// What those who log in have agreed to.
    pub agreed: Agreed,
    /// Whether it takes logins as LLSD.
    pub llsd_login: bool,
    /// How login calls are written where a case does not say.
    pub login_form: Option<Form>,
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
    /// What kind of grid it is, as it says itself: see [`kind_of`](super::kind_of).
    pub kind: Option<String>,
    /// Its software and version, as it says itself.
    pub version: Option<String>,
    /// Its regions, as they were entered before the first case.
    pub entered: Vec<EnteredRegion>,
}

/// A region as it was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnteredRegion {
    /// Its name, as it calls itself.
    pub name: String,
    /// Its south-west corner, in metres.
    pub corner: (u32, u32),
    /// In metres.
    pub size: (u32, u32),
    /// Where its simulator listens on UDP.
    pub simulator: SocketAddrV4,
    /// Host and port of its seed capability.
    pub capabilities: String,
}

impl EnteredRegion {
    /// Whether its simulator can be reached; why not, if not.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn is_reachable(&self, network: &Network, within: Duration) -> Result<(), String> {
        if network.is_closed(self.simulator.into()).await {
            return Err(format!("nobody listens on UDP {}", self.simulator));
        }
        let told = network.accepts(&self.capabilities, within).await;
        told.map_err(|why| format!("capabilities at {}: {why}", self.capabilities))
    }
}

impl Target {
    /// A grid of which nothing more is known than where it is and who may log in.
    pub fn new(name: &str, login_uri: &str, accounts: Vec<Credentials>) -> Self {
        Self {
            name: name.to_owned(),
            network: Network::System,
            login_uri: login_uri.to_owned(),
            accounts,
            regions: Vec::new(),
            neighbour: None,
            distant: None,
            closed: None,
            llsd_login: true,
            login_form: None,
            agreed: Agreed::default(),
            logins_at_once: 1,
            profile: None,
            time_scale: 1.0,
            most_patience: Duration::MAX,
            time_factor: 1,
            reference: false,
            kind: None,
            version: None,
            entered: Vec::new(),
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
    pub fn common(&self, template: Arc<Template>) -> Common {
        Common {
            login_uri: self.login_uri.clone(),
            http: http::Client::new(self.network.clone()),
            template,
            time_factor: self.time_factor,
            time_scale: self.time_scale,
            most_patience: self.most_patience,
            login_form: self.login_form,
            agreed: self.agreed,
            login_turns: Arc::new(Semaphore::new(self.logins_at_once.clamp(1, MANY_LOGINS))),
            departures: Departures::default(),
        }
    }
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
