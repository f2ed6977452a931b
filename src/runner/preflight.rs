//! Before the first case: every account logs in and out, every named region is entered and is the
//! one it says it is, what was not named is looked for. What fails here is told by name and blamed
//! on no requirement.

use super::pulse::Pulse;
use super::{EnteredRegion, Target, kind_of};
use crate::client::{Common, Credentials, LoginError, MapRegion, ROOT, Viewer};
use crate::net::http::{self, HttpError};
use crate::net::tap::Tap;
use crate::proto::login::Session;
use crate::proto::template::Template;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Why a run cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The user stopped it.
    #[error("stopped before the first case")]
    Stopped,
    /// The grid went away while it was looked at.
    #[error("{0}")]
    Gone(String),
    /// Nothing answers at the login URI.
    #[error("{uri} does not answer: {why}")]
    Unreachable {
        /// The login URI.
        uri: String,
        /// What happened instead.
        why: String,
    },
    /// Something answers, and it is no grid.
    #[error("{uri} answers, but not as a grid: login_to_simulator got {what}")]
    NoGrid {
        /// The login URI.
        uri: String,
        /// What it answered.
        what: String,
    },
    /// An account cannot log in.
    #[error("{who} cannot log in: {why}")]
    Account {
        /// Whose account.
        who: String,
        /// The grid's words.
        why: String,
    },
    /// A region is not there, or not the one that was named.
    #[error("region `{name}`: {what}")]
    Region {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
}

/// How long to wait for a sign of life of a grid.
const ANSWER: Duration = Duration::from_secs(12);
/// How long a step of entering a region may take.
const ENTER: Duration = Duration::from_secs(30);
/// How long the map may take.
const MAP: Duration = Duration::from_secs(3);
/// How far a region that does not touch the first is looked for, in regions of 256 metres: farther
/// only if there is none near.
const FAR: [u32; 2] = [16, 64];

/// Looks at a grid and completes what is known of it. What is remarkable and no obstacle comes
/// back as sentences.
///
/// # Errors
/// Why nothing can be run on this grid.
pub async fn preflight(
    target: &mut Target,
    template: Arc<Template>,
    mut stop: watch::Receiver<bool>,
) -> Result<Vec<String>, NotReady> {
    let http = http::Client::new(target.network.clone());
    tokio::select! {
        biased;
        answered = answers(target, &http) => answered?,
        _ = stop.wait_for(|stop| *stop) => return Err(NotReady::Stopped),
    }
    let (uri, scale) = (target.login_uri.clone(), target.time_scale);
    let pulse = Pulse::new(&uri, http.clone(), target.time_factor, scale);
    let common = target.common(template);
    tokio::select! {
        biased;
        looked = look(target, &common, &stop) => looked,
        why = pulse.beat() => Err(NotReady::Gone(why)),
    }
}

async fn look(
    target: &mut Target,
    common: &Common,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<String>, NotReady> {
    let mut notes = Vec::new();
    let Some(first) = target.accounts.first().cloned() else { return Ok(notes) };
    let wanted = target.regions.first().cloned();
    let mut scout = Scout::new(common, first, stop);
    let place = match scout.enter(target, wanted.as_deref()).await {
        Ok(place) => place,
        Err(Trouble::Fatal(why)) => return Err(scout.leave_with(why).await),
        Err(Trouble::Unreadable(what)) => {
            // Whatever a login reply lacks is for the cases to say.
            scout.leave().await;
            notes.push(format!("nothing was looked at before the first case: {what}"));
            return Ok(notes);
        }
    };
    let version = scout.version().await;
    let around = scout.look_around(target, &place).await;
    scout.leave().await;
    target.kind = version.as_deref().and_then(kind_of).map(str::to_owned);
    target.version = version;
    let found = Found::choose(target, &place, &around);
    target.regions = vec![place.name.clone()];
    target.entered.push(place);
    notes.extend(enter_all(target, common, &found, stop).await?);
    is_shut(target, common, stop).await?;
    Ok(notes)
}

/// Whether anything answers at the login URI.
async fn answers(target: &Target, http: &http::Client) -> Result<(), NotReady> {
    let within = ANSWER.mul_f64(target.time_scale.clamp(0.1, 1.2));
    let asked = http.ask(http::Request::get(&target.login_uri), within).await;
    let unreachable = |error: HttpError| NotReady::Unreachable {
        uri: target.login_uri.clone(),
        why: error.to_string(),
    };
    asked.map(drop).map_err(unreachable)
}

/// Why a region was not entered.
enum Trouble {
    /// The run cannot begin.
    Fatal(NotReady),
    /// The grid answers, and what it says cannot be read: that is for the cases to judge.
    Unreadable(String),
}

impl From<NotReady> for Trouble {
    fn from(why: NotReady) -> Self {
        Self::Fatal(why)
    }
}

/// An account that looks around.
struct Scout {
    viewer: Viewer,
    who: String,
    stop: watch::Receiver<bool>,
}

impl Scout {
    fn new(common: &Common, account: Credentials, stop: &watch::Receiver<bool>) -> Self {
        let who = format!("{} {}", account.first, account.last);
        let viewer = Viewer::new(&who, account, common.clone(), Tap::default());
        Self { viewer, who, stop: stop.clone() }
    }

    /// Enters a region, or the account's home; where that was. Whoever calls this has
    /// to [`leave`](Self::leave), whatever came of it.
    async fn enter(
        &mut self,
        target: &Target,
        region: Option<&str>,
    ) -> Result<EnteredRegion, Trouble> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            entered = self.come(target, region) => entered,
            _ = stop.wait_for(|stop| *stop) => Err(NotReady::Stopped.into()),
        }
    }

    async fn come(
        &mut self,
        target: &Target,
        region: Option<&str>,
    ) -> Result<EnteredRegion, Trouble> {
        let start = match region {
            Some(name) => format!("uri:{name}&128&128&30"),
            None => "home".to_owned(),
        };
        let within = self.viewer.common.patience(ENTER);
        let login = self.viewer.log_in(&start, within).await;
        login.map_err(|error| self.barred(target, error, region))?;
        // As viewers do; what the seed answers is for the cases to judge.
        let _ = self.viewer.ask_seed_for_all(within).await;
        match self.viewer.arrive(within).await {
            Ok(()) => {
                self.viewer.start_events();
            }
            // Whatever is wrong with it, it is there: cases say what.
            Err(_) if self.viewer.link(ROOT).is_some_and(|link| link.has_spoken()) => {}
            Err(error) => {
                let address = self.viewer.session().map(|s| s.simulator.to_string());
                let address = address.unwrap_or_default();
                let name = region.unwrap_or("the account's home").to_owned();
                let what = format!("its simulator at {address} says nothing: {error}");
                return Err(NotReady::Region { name, what }.into());
            }
        }
        let Some(place) = self.place(region).await else {
            return Err(Trouble::Unreadable("the session ended at once".into()));
        };
        match region.filter(|name| !name.eq_ignore_ascii_case(&place.name)) {
            None => Ok(place),
            Some(name) => {
                let what = format!(
                    "{} asked for it and came to `{}`: there is none of that name, or it lets \
                     this account not in",
                    self.who, place.name
                );
                Err(NotReady::Region { name: name.to_owned(), what }.into())
            }
        }
    }

    /// Why a login led to no session.
    fn barred(&self, target: &Target, error: LoginError, region: Option<&str>) -> Trouble {
        let uri = target.login_uri.clone();
        let who = self.who.clone();
        match &error {
            LoginError::Malformed(what) => Trouble::Unreadable(what.clone()),
            LoginError::Http(HttpError::Connect(_) | HttpError::Timeout(_)) => {
                NotReady::Unreachable { uri, why: error.to_string() }.into()
            }
            LoginError::NoReply { .. } | LoginError::Http(_) => {
                NotReady::NoGrid { uri, what: error.to_string() }.into()
            }
            LoginError::Refused { reason, message } => {
                let start = region.filter(|_| *reason != "key");
                let start = start.map_or(String::new(), |name| format!(" (asking for {name})"));
                let settled = match reason.as_str() {
                    "tos" => "; `agree_to_tos = true` beside the grid's login_uri agrees to them",
                    "critical" => "; `read_critical = true` beside the grid's login_uri says so",
                    _ => "",
                };
                NotReady::Account { who, why: format!("{reason}: {message}{start}{settled}") }
                    .into()
            }
            LoginError::Fault { .. } => NotReady::Account { who, why: error.to_string() }.into(),
        }
    }

    /// Where the avatar stands.
    async fn place(&self, asked: Option<&str>) -> Option<EnteredRegion> {
        let session: &Session = self.viewer.session()?;
        let handshake = self.viewer.wait_for(ROOT, "RegionHandshake", Duration::ZERO).await;
        let name = handshake.and_then(|m| m.text("RegionInfo", "SimName"));
        // A region that does not say its name is taken at its word for the one asked for.
        let name = name.filter(|name| !name.is_empty()).or(asked.map(str::to_owned));
        Some(EnteredRegion {
            name: name.unwrap_or_default(),
            corner: session.region,
            size: session.size,
            simulator: session.simulator,
            capabilities: http::authority(&session.seed).unwrap_or_default(),
        })
    }

    /// What the region calls its software.
    async fn version(&self) -> Option<String> {
        let told = self.viewer.wait_for(ROOT, "AgentMovementComplete", Duration::ZERO).await?;
        let text = told.text("SimData", "ChannelVersion")?;
        let text: String = text.trim().chars().filter(|c| !c.is_control()).take(80).collect();
        (!text.is_empty()).then_some(text)
    }

    /// The regions the map knows, where the target does not name them all.
    async fn look_around(&self, target: &Target, first: &EnteredRegion) -> Vec<MapRegion> {
        let mut around = Vec::new();
        if target.neighbour.is_some() && target.distant.is_some() {
            return around;
        }
        for far in FAR {
            around = self.viewer.regions_around(far, self.viewer.common.patience(MAP)).await;
            let apart = around.iter().any(|region| !touches(first, region));
            if apart || target.distant.is_some() {
                break;
            }
        }
        around
    }

    async fn leave(&mut self) {
        self.viewer.log_out().await;
    }

    async fn leave_with(mut self, why: NotReady) -> NotReady {
        self.leave().await;
        why
    }
}

/// Regions that nobody named.
#[derive(Debug, Default)]
struct Found {
    neighbours: Vec<String>,
    distant: Vec<String>,
}

/// So many of a kind are tried, until one lets us in.
const TRIED: usize = 3;

impl Found {
    /// What the map offers where the target names nothing.
    fn choose(target: &Target, first: &EnteredRegion, around: &[MapRegion]) -> Self {
        let shut = |region: &&MapRegion| {
            target.closed.as_ref().is_some_and(|closed| closed.eq_ignore_ascii_case(&region.name))
        };
        let mut others: Vec<&MapRegion> =
            around.iter().filter(|region| region.corner != first.corner && !shut(region)).collect();
        others.sort_by_key(|region| {
            let away = |a: u32, b: u32| u64::from(a.abs_diff(b));
            let (x, y) = (region.corner.0, region.corner.1);
            (away(x, first.corner.0) + away(y, first.corner.1), region.name.clone())
        });
        let chosen = |wanted: bool, fits: &dyn Fn(&MapRegion) -> bool| -> Vec<String> {
            let fitting = others.iter().filter(|region| wanted && fits(region));
            fitting.map(|region| region.name.clone()).take(TRIED).collect()
        };
        Self {
            neighbours: chosen(target.neighbour.is_none(), &|region| is_beside(first, region)),
            distant: chosen(target.distant.is_none(), &|region| !touches(first, region)),
        }
    }
}

/// How far two stretches are from overlapping: negative where they do.
fn gap((a, long_a): (u32, u32), (b, long_b): (u32, u32)) -> i64 {
    let [a, b, long_a, long_b] = [a, b, long_a, long_b].map(i64::from);
    (b - (a + long_a)).max(a - (b + long_b))
}

fn gaps(first: &EnteredRegion, region: &MapRegion) -> (i64, i64) {
    let east = gap((first.corner.0, first.size.0), (region.corner.0, region.size.0));
    let north = gap((first.corner.1, first.size.1), (region.corner.1, region.size.1));
    (east, north)
}

/// Whether two regions have a border in common.
fn is_beside(first: &EnteredRegion, region: &MapRegion) -> bool {
    matches!(gaps(first, region), (0, ..0) | (..0, 0))
}

fn touches(first: &EnteredRegion, region: &MapRegion) -> bool {
    let (east, north) = gaps(first, region);
    east <= 0 && north <= 0
}

/// Has every account enter the first region, and somebody each other one that is named; regions
/// that were found are chosen if they let somebody in.
async fn enter_all(
    target: &mut Target,
    common: &Common,
    found: &Found,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<String>, NotReady> {
    let first = target.regions.clone();
    let named = [target.neighbour.clone(), target.distant.clone()];
    let named: Vec<String> = named.into_iter().flatten().collect();
    let accounts = target.accounts.clone();
    // The first account has been where the others go now; it enters what else is named.
    let rounds = accounts.iter().enumerate().map(async |(n, account)| {
        let mut places = Vec::new();
        let mut scout = Scout::new(common, account.clone(), stop);
        let others = named.iter().skip(n).step_by(accounts.len().max(1));
        for name in first.iter().filter(|_| n > 0).chain(others) {
            let entered = scout.enter(target, Some(name)).await;
            scout.leave().await;
            match entered {
                Ok(place) => places.push(place),
                Err(Trouble::Fatal(why)) => return Err(why),
                Err(Trouble::Unreadable(what)) => {
                    let who = scout.who.clone();
                    return Err(NotReady::Account { who, why: format!("login reply: {what}") });
                }
            }
        }
        Ok(places)
    });
    let mut places = Vec::new();
    for round in futures::future::join_all(rounds).await {
        places.extend(round?);
    }
    for place in places {
        if target.entered.iter().all(|known| known.name != place.name) {
            target.entered.push(place);
        }
    }
    let mut notes = Vec::new();
    for (beside, names) in [(true, &found.neighbours), (false, &found.distant)] {
        let chosen = enter_any(target, common, names, stop).await?;
        if chosen.is_none() && !names.is_empty() {
            let what = if beside { "beside the first" } else { "apart from the first" };
            notes.push(format!("no region {what} lets anybody in: tried {}", names.join(", ")));
        }
        match beside {
            true => target.neighbour = chosen.or(target.neighbour.take()),
            false => target.distant = chosen.or(target.distant.take()),
        }
    }
    let others = [target.neighbour.clone(), target.distant.clone()];
    let named = target.regions.clone();
    target.regions.extend(others.into_iter().flatten().filter(|name| !named.contains(name)));
    Ok(notes)
}

/// The first of some regions that lets the first account in.
async fn enter_any(
    target: &mut Target,
    common: &Common,
    names: &[String],
    stop: &watch::Receiver<bool>,
) -> Result<Option<String>, NotReady> {
    let account = target.accounts.first().cloned().unwrap_or_default();
    for name in names {
        let mut scout = Scout::new(common, account.clone(), stop);
        let entered = scout.enter(target, Some(name)).await;
        scout.leave().await;
        match entered {
            Ok(place) => {
                target.entered.push(place);
                return Ok(Some(name.clone()));
            }
            Err(Trouble::Fatal(NotReady::Stopped)) => return Err(NotReady::Stopped),
            Err(_) => {}
        }
    }
    Ok(None)
}

/// A region that is named as closed lets nobody in.
async fn is_shut(
    target: &Target,
    common: &Common,
    stop: &watch::Receiver<bool>,
) -> Result<(), NotReady> {
    let (Some(name), Some(account)) = (&target.closed, target.accounts.first()) else {
        return Ok(());
    };
    let mut scout = Scout::new(common, account.clone(), stop);
    let entered = scout.enter(target, Some(name)).await;
    scout.leave().await;
    match entered {
        Ok(_) => {
            let what = format!("it is named as closed, and lets {} in", scout.who);
            Err(NotReady::Region { name: name.clone(), what })
        }
        Err(Trouble::Fatal(NotReady::Stopped)) => Err(NotReady::Stopped),
        Err(_) => Ok(()),
    }
}
