//! Capabilities: the seed, the event queue and the dispatch to the simple ones.

use super::world::Purpose;
use super::{Shared, features, region::Order};
use crate::net::server::{Answer, Request};
use crate::proto::seed;
use std::sync::Arc;
use uuid::Uuid;

/// What the seed grants, in the order it is told.
pub(super) const GRANTED: [&str; 8] = [
    "EventQueueGet",
    "SimulatorFeatures",
    "GetDisplayNames",
    "FetchInventoryDescendents2",
    "AgentPreferences",
    "UpdateAgentLanguage",
    "HomeLocation",
    "ServerReleaseNotes",
];

/// Answers a request to the capability of that id.
pub(super) async fn answer(shared: &Arc<Shared>, id: &str, request: Request) -> Answer {
    let cap = shared.world().caps.get(id).cloned();
    let Some(cap) = cap else { return Answer::status(404) };
    match cap.purpose {
        Purpose::Seed => seed(shared, cap.agent, cap.region, &request),
        Purpose::Named("EventQueueGet") => event_queue(shared, cap.agent, &request).await,
        Purpose::Named(name) => features::answer(shared, name, cap.agent, &request),
    }
}

fn seed(shared: &Shared, agent: Uuid, region: usize, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::status(405);
    }
    let content_type = request.content_type.as_deref().unwrap_or_default();
    if content_type.split(';').next().unwrap_or_default().trim() != seed::CONTENT_TYPE {
        return Answer::status(415);
    }
    let Ok(names) = seed::parse_request(&request.body) else { return Answer::status(400) };
    let granted: Vec<&'static str> =
        GRANTED.into_iter().filter(|name| names.iter().any(|n| n == name)).collect();
    let mut world = shared.world();
    let granted = world.grant(agent, region, &granted);
    let opened = world.open_world(agent, region);
    drop(world);
    if opened {
        shared.order(region, Order::ShowWorld(agent));
    }
    Answer::ok(seed::CONTENT_TYPE, seed::reply(granted))
}

/// Holds the poll until something happens, at most as long as the grid holds polls.
async fn event_queue(shared: &Shared, agent: Uuid, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::status(405);
    }
    let until = tokio::time::Instant::now() + shared.config.hold();
    loop {
        let wake = {
            let mut world = shared.world();
            if let Some(reply) = world.take_events(agent) {
                return Answer::ok(seed::CONTENT_TYPE, reply.to_xml());
            }
            match world.presence(agent) {
                Some(presence) => presence.wake.clone().notified_owned(),
                None => return Answer::status(404),
            }
        };
        tokio::select! {
            () = wake => {}
            () = tokio::time::sleep_until(until) => {
                let mut answer = Answer::status(502);
                answer.content_type = "text/plain";
                answer.body = b"Upstream error: ".to_vec();
                return answer;
            }
        }
    }
}
