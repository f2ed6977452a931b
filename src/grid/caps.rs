//! Capabilities: the seed, the event queue and the dispatch to the simple ones.

use super::world::Purpose;
use super::{Policy, Shared, Speech, features, region::Order};
use crate::net::server::{Answer, Request};
use crate::proto::llsd::to_xml;
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
    let mut granted = world.grant(agent, region, &granted);
    if shared.config.faults.has(Policy::GrantsAnything) {
        let unknown = names.iter().filter(|n| !GRANTED.contains(&n.as_str()));
        granted.extend(unknown.map(|name| (name.clone(), world.url(name))));
    }
    let opened = world.open_world(agent, region);
    drop(world);
    if opened {
        shared.order(region, Order::ShowWorld(agent));
    }
    let mut reply = seed::reply(granted);
    shared.config.faults.say(&Speech::Seed, &mut reply);
    Answer::ok(seed::CONTENT_TYPE, to_xml(&reply))
}

/// Holds the poll until something happens, at most as long as the grid holds polls.
async fn event_queue(shared: &Shared, agent: Uuid, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::status(405);
    }
    let hold = match shared.config.faults.has(Policy::NeverHolds) {
        true => std::time::Duration::ZERO,
        false => shared.config.hold(),
    };
    let until = tokio::time::Instant::now() + hold;
    loop {
        let wake = {
            let mut world = shared.world();
            if let Some(mut reply) = world.take_events(agent) {
                for event in &mut reply.events {
                    let speech = Speech::Event(event.message.clone());
                    shared.config.faults.say(&speech, &mut event.body);
                }
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
