//! A scripted viewer: one file per conversation, one mailbox for everything it hears.
//!
//! It needs no suite: a program can log in, say and hear, and log out. Here on the reference grid,
//! on a simulated network; a `Target` names any other.
//!
//! ```
//! use gridproof::client::{Viewer, agent_message};
//! use gridproof::net::{Path, tap::Tap};
//! use gridproof::proto::message::FieldValue;
//! use gridproof::proto::template::Template;
//! use gridproof::runner::{on_simulated_grid, reference_config};
//! use std::time::Duration;
//!
//! let heard = on_simulated_grid(1, Path::default(), reference_config(2), async |target| {
//!     let within = Duration::from_secs(10);
//!     let template = Template::shipped();
//!     let common = target.common(template.clone());
//!     let account = target.accounts[0].clone();
//!     let mut viewer = Viewer::new("jane", account, common, Tap::default());
//!     viewer.enter("home", within).await?;
//!     let session = viewer.session().expect("it has just entered");
//!     let line = agent_message(template, "ChatFromViewer", session)
//!         .with("ChatData", "Message", FieldValue::text("hello"))
//!         .with("ChatData", "Type", FieldValue::U8(1));
//!     viewer.send(&viewer.root, line, true).await;
//!     let said = viewer.wait_for(&viewer.root, "ChatFromSimulator", within).await;
//!     viewer.log_out().await;
//!     Ok::<_, gridproof::client::EnterError>(said.and_then(|m| m.text("ChatData", "Message")))
//! });
//! assert_eq!(heard.unwrap().unwrap().as_deref(), Some("hello"));
//! ```

mod alive;
#[cfg(test)]
pub(crate) mod bench;
mod caps;
mod enter;
mod events;
mod inventory;
mod login;
mod logout;
mod mailbox;
mod map;
mod neighbours;
mod place;
mod presence;
mod state;
mod teleport;
#[cfg(test)]
mod tests;

pub use alive::Dead;
pub use enter::{EnterError, agent_message};
pub use inventory::{FetchError, Fetched, Over, Via, Wanted};
pub use login::{Departures, Exchange, Form, LoginError};
pub use mailbox::{Mailbox, Observed, Source, What};
pub use map::MapRegion;
pub use neighbours::Called;
pub use place::Place;
pub use state::State;
pub use teleport::Journey;

use crate::net::tap::{Tap, Teller};
use crate::net::udp::CircuitOptions;
use crate::net::{CircuitName, Impairments, Network, http};
use crate::proto::circuit::Config;
use crate::proto::login::{Agreed, Session};
use crate::proto::message::Message;
use crate::proto::template::Template;
use crate::tamper::{Applied, Rule, Tamper};
use crate::value::Value;
use neighbours::Neighbours;
use presence::Presence;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// The circuit to the region the avatar arrives in after login.
pub const ROOT: &str = "root";

/// Name and password of an account.
#[derive(Clone, Default)]
pub struct Credentials {
    /// First name.
    pub first: String,
    /// Last name.
    pub last: String,
    /// The password in clear; it never leaves this program unhashed unless a case says so.
    pub password: String,
}

/// Without the password: what a panic prints may be read by anybody.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials of {} {}", self.first, self.last)
    }
}

/// What every viewer of a run has in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// Where to log in.
    pub login_uri: String,
    /// The HTTP client.
    pub http: http::Client,
    /// The UDP messages.
    pub template: Arc<Template>,
    /// How much faster than the protocol's figures the grid's timers run.
    pub time_factor: u32,
    /// How much longer than usual to wait.
    pub time_scale: f64,
    /// No wait for an answer is longer than this: for grids that answer at once or not at all.
    pub most_patience: Duration,
    /// How login calls are written where a step does not say; by XML-RPC, and as LLSD where that is
    /// not spoken, if left open.
    pub login_form: Option<Form>,
    /// What they agreed to on this grid.
    pub agreed: Agreed,
    /// As many turns as there may be login calls at once.
    pub login_turns: Arc<Semaphore>,
    /// When accounts were last logged out.
    pub departures: Departures,
}

impl Common {
    /// The network they are on.
    pub fn network(&self) -> &Network {
        self.http.network()
    }

    /// The figures of a viewer's circuit on this grid.
    pub fn circuit_config(&self) -> Config {
        Config::viewer().faster(self.time_factor)
    }

    /// Between two updates of an avatar that stands still.
    fn updates(&self) -> Duration {
        presence::UPDATES / self.time_factor.max(1)
    }

    /// How a circuit is opened to a simulator, as viewers do.
    fn circuit(&self, remote: SocketAddr, name: CircuitName, teller: &Teller) -> CircuitOptions {
        CircuitOptions {
            network: self.network().clone(),
            remote,
            config: self.circuit_config(),
            template: self.template.clone(),
            tamper: None,
            impairments: Impairments::default(),
            handshake: None,
            teller: teller.clone(),
            name,
        }
    }

    /// What rules do to a circuit. Delays are those of a real grid.
    fn tamper(&self, rules: &[Rule], applied: &Applied) -> Option<Tamper> {
        let rules: Vec<Rule> = rules.iter().map(|rule| rule.faster(self.time_factor)).collect();
        (!rules.is_empty()).then(|| Tamper::counting(rules, 1, applied.clone()))
    }

    /// The longest to wait for an answer.
    pub fn patience(&self, within: Duration) -> Duration {
        within.mul_f64(self.time_scale).min(self.most_patience)
    }

    /// How long to watch for something that should not come, or to stay silent.
    pub fn watch(&self, during: Duration) -> Duration {
        // A machine under load may take this long to say what should not be said.
        const LEAST: Duration = Duration::from_millis(100);
        (during / self.time_factor.max(1)).max(LEAST.min(during))
    }
}

/// A viewer: one avatar's session, or several of the same account one after another.
pub struct Viewer {
    /// Whose avatar.
    pub credentials: Credentials,
    /// What it shares with others.
    pub common: Common,
    /// It tells what passes, under its name in the suite.
    teller: Teller,
    /// What it hears.
    pub mailbox: Mailbox,
    /// How it logs in; by XML-RPC, and as LLSD where that is not spoken, if left open.
    pub login_form: Option<Form>,
    /// Where its session stands.
    state: State,
    /// The regions that it knows, by the names of their circuits.
    places: BTreeMap<String, Place>,
    /// The name of the one where the avatar stands, or is to stand.
    pub root: String,
    /// Where the avatar stands.
    presence: Presence,
    /// The regions that it was told of and has called on.
    neighbours: Neighbours,
    /// It calls on the regions that its grid tells of, as viewers do.
    pub follows: bool,
    /// Faults to put on the next circuits.
    pub impair: Vec<Rule>,
    /// How often these were applied.
    pub impaired: Applied,
    /// What they did, and who made up for it.
    pub impairments: Impairments,
    /// How many sessions it has begun.
    pub sessions: usize,
    /// Its account's own password was refused.
    pub refused: bool,
    /// Secrets this viewer was told, for keeping them out of every output.
    pub secrets: Vec<(String, String)>,
    /// A login call under way.
    pending_login: Option<JoinHandle<Result<login::Exchange, http::HttpError>>>,
}

/// Without its secrets.
impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Viewer")
            .field("name", &self.teller.name())
            .field("credentials", &self.credentials)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Viewer {
    /// A viewer of this name that has done nothing yet. Whoever is at the tap is told what passes.
    pub fn new(name: &str, credentials: Credentials, common: Common, tap: Tap) -> Self {
        Self {
            credentials,
            login_form: common.login_form,
            common,
            teller: Teller::new(tap, name),
            mailbox: Mailbox::default(),
            state: State::LoggedOut,
            places: BTreeMap::new(),
            root: ROOT.to_owned(),
            presence: Presence::default(),
            neighbours: Neighbours::default(),
            follows: true,
            impair: Vec::new(),
            impaired: Applied::default(),
            impairments: Impairments::default(),
            sessions: 0,
            refused: false,
            secrets: Vec::new(),
            pending_login: None,
        }
    }

    /// Another name, for another case.
    pub fn rename(&mut self, name: &str) {
        self.teller = self.teller.renamed(name);
    }

    /// The session of the last login that succeeded and was not logged out.
    pub fn session(&self) -> Option<&Session> {
        self.state.session()
    }

    /// What the step that brought the avatar into the world returned.
    pub fn arrival(&self) -> Option<&Value> {
        match &self.state {
            State::InWorld(_, arrival) => arrival.as_ref(),
            _ => None,
        }
    }

    /// Takes heed of what is sent in its name: an avatar that walks goes on walking. What is said in
    /// a name that is not its own makes no difference.
    pub fn saying(&self, message: &Message) {
        let own = self.session().map(|session| session.session_id.0);
        let named = ["AgentData", "Info"].iter().find_map(|block| message.uuid(block, "SessionID"));
        if own.is_some() && named == own {
            self.presence.saying(message);
        }
    }

    /// Keeps in mind what that step returned, for cases that share the session.
    pub fn set_arrival(&mut self, value: Value) {
        if let State::InWorld(_, arrival) = &mut self.state {
            *arrival = Some(value);
        }
    }

    /// From now on its circuits answer and acknowledge, and nothing of what they hear is kept.
    pub fn rest(&mut self) {
        self.each_circuit(|link| link.mute(true));
        self.mailbox.forget();
    }

    /// Whether its avatar stands in the world and its circuit runs.
    pub fn is_alive(&self) -> bool {
        matches!(self.state, State::InWorld(..))
            && self.places.get(&self.root).is_some_and(Place::is_open)
    }

    fn learn(&mut self, name: &str, secret: impl Into<String>) {
        let secret = secret.into();
        if !secret.is_empty() {
            self.secrets.push((name.to_owned(), secret));
        }
    }
}
