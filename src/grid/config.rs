//! What a grid is made of.

use super::fault::Faults;
use crate::net::Network;
use crate::net::tap::Tap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Somebody who may log in.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// First name.
    pub first: String,
    /// Last name.
    pub last: String,
    /// The password, in clear: it is announced to whoever started the grid.
    pub password: String,
}

/// Without the password: what a log or a panic prints may be read by anybody.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account of {} {}", self.first, self.last)
    }
}

impl Account {
    /// An account.
    pub fn new(
        first: impl Into<String>,
        last: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self { first: first.into(), last: last.into(), password: password.into() }
    }

    /// `n` accounts with the names and passwords that `serve` announces.
    pub fn numbered(n: usize) -> Vec<Self> {
        const NAMES: [&str; 10] =
            ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"];
        let name = |i: usize| NAMES.get(i).map_or(format!("N{}", i + 1), |n| (*n).to_owned());
        (0..n)
            .map(|i| {
                let last = name(i);
                let password = format!("proof-{}", last.to_lowercase());
                Self::new("Test", last, password)
            })
            .collect()
    }
}

/// A region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionConfig {
    /// Its name.
    pub name: String,
    /// Grid coordinate, in regions of 256 metres.
    pub x: u32,
    /// Grid coordinate, in regions of 256 metres.
    pub y: u32,
    /// The UDP port, 0 for a free one.
    pub port: u16,
    /// Nobody is let in, neither from another region nor at login.
    pub closed: bool,
}

impl RegionConfig {
    /// A region on a free port.
    pub fn new(name: &str, x: u32, y: u32) -> Self {
        Self { name: name.to_owned(), x, y, port: 0, closed: false }
    }
}

/// A grid to start.
#[derive(Clone)]
pub struct GridConfig {
    /// The network it is on.
    pub network: Network,
    /// Where HTTP listens; port 0 for a free one.
    pub http: SocketAddr,
    /// The regions; the first is where avatars arrive.
    pub regions: Vec<RegionConfig>,
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// How many times faster than the protocol's figures every timer runs.
    pub time_factor: u32,
    /// Accounts must agree to the terms of service at every login.
    pub require_tos: bool,
    /// Where inventories and assets are kept; in memory if nowhere.
    pub data: Option<PathBuf>,
    /// Capabilities that are not granted, whoever asks.
    pub without: Vec<String>,
    /// A teleport tells of its destination by EnableSimulator and EstablishAgentCommunication
    /// before TeleportFinish, as old grids did.
    pub announces_destinations: bool,
    /// What is wrong with it on purpose.
    pub faults: Faults,
    /// Who is told of what passes between it and its visitors.
    pub tap: Tap,
}

impl Default for GridConfig {
    fn default() -> Self {
        Self {
            network: Network::System,
            http: ([127, 0, 0, 1], 0).into(),
            regions: vec![
                RegionConfig::new("Alpha", 1000, 1000),
                RegionConfig::new("Beta", 1001, 1000),
                RegionConfig::new("Gamma", 1010, 1010),
            ],
            accounts: Account::numbered(2),
            time_factor: 1,
            require_tos: false,
            data: None,
            without: Vec::new(),
            announces_destinations: false,
            faults: Faults::default(),
            tap: Tap::default(),
        }
    }
}
