//! Capabilities: the seed, and any granted URL.

use super::{Common, Viewer};
use crate::net::http::{HttpError, Reply, Request};
use crate::net::tap::{Passed, Teller};
use crate::proto::seed;
use std::time::Duration;

/// What a viewer of our kind asks the seed for.
pub(super) const WANTED: [&str; 18] = [
    "EventQueueGet",
    "SimulatorFeatures",
    "GetDisplayNames",
    "ViewerAsset",
    "GetTexture",
    "FetchInventory2",
    "FetchInventoryDescendents2",
    "FetchLib2",
    "FetchLibDescendents2",
    "CreateInventoryCategory",
    "NewFileAgentInventory",
    "UpdateNotecardAgentInventory",
    "UpdateScriptAgent",
    "InventoryAPIv3",
    "LibraryAPIv3",
    "AgentPreferences",
    "UpdateAgentLanguage",
    "HomeLocation",
];

/// More than any grid grants is not kept.
pub(super) const GRANTED: usize = 1024;

impl Viewer {
    /// Asks the seed for all that a viewer of our kind wants.
    ///
    /// # Errors
    /// No answer came.
    pub async fn ask_seed_for_all(&mut self, within: Duration) -> Result<Reply, HttpError> {
        self.ask_seed(&WANTED, within).await
    }

    /// Asks the seed for capabilities and keeps what it grants.
    ///
    /// # Errors
    /// No answer came; one of any status is an answer.
    pub async fn ask_seed(&mut self, names: &[&str], within: Duration) -> Result<Reply, HttpError> {
        let own = self.session().map(|session| session.seed.clone()).unwrap_or_default();
        self.ask_seed_at(&own, names, within).await
    }

    /// Asks whatever seed is named, and keeps what it grants as the avatar's region's own.
    ///
    /// # Errors
    /// No answer came; one of any status is an answer.
    pub async fn ask_seed_at(
        &mut self,
        url: &str,
        names: &[&str],
        within: Duration,
    ) -> Result<Reply, HttpError> {
        let request = Request::post(url, seed::CONTENT_TYPE, seed::request(names));
        let reply = self.ask("Seed", request, within).await?;
        if let Ok(granted) = reply.read(seed::parse_reply).await {
            for (name, url) in granted.into_iter().take(GRANTED) {
                self.learn(&format!("{name} URL"), &url);
                let caps = &mut self.here().caps;
                caps.retain(|(n, _)| *n != name);
                caps.push((name, url.into()));
            }
        }
        Ok(reply)
    }

    /// Any HTTP request, noted under the name of what it asks.
    ///
    /// # Errors
    /// No answer came; one of any status is an answer.
    pub async fn ask(
        &self,
        what: &str,
        request: Request,
        within: Duration,
    ) -> Result<Reply, HttpError> {
        self.common.ask(&self.teller, what, request, within).await
    }
}

impl Common {
    /// Any HTTP request, told under the name of what it asks.
    ///
    /// # Errors
    /// No answer came; one of any status is an answer.
    pub(super) async fn ask(
        &self,
        teller: &Teller,
        what: &str,
        request: Request,
        within: Duration,
    ) -> Result<Reply, HttpError> {
        let method = match (&request.method, &request.body) {
            (Some(method), _) => method.clone(),
            (None, Some(_)) => "POST".into(),
            (None, None) => "GET".into(),
        };
        teller.tell(|| Passed::Request(method, what.to_owned()));
        let reply = self.http.ask(request, within).await;
        teller.tell(|| {
            let said = match &reply {
                Ok(reply) => {
                    let kind = reply.header("content-type").map(str::to_owned);
                    Ok((reply.status, kind, reply.body.len()))
                }
                Err(error) => Err(error.to_string()),
            };
            Passed::Reply(what.to_owned(), said)
        });
        reply
    }
}
