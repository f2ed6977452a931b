//! Capabilities: the seed, the event queue and the dispatch to the simple ones.

use super::fault::Said;
use super::reply::{Body, Reply};
use super::world::Purpose;
use super::{Policy, Shared, features, region::Order};
use crate::net::server::Request;
use crate::proto::event_queue::{Event, PollReply};
use crate::proto::seed;
use crate::tamper::Channel;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The event queue's name.
pub(super) const EVENT_QUEUE: &str = "EventQueueGet";

/// The events it tells.
pub const EVENTS: [&str; 2] = ["EnableSimulator", "EstablishAgentCommunication"];

/// What the seed grants, in the order it is told.
pub const GRANTED: [&str; 8] = [
    EVENT_QUEUE,
    "SimulatorFeatures",
    "GetDisplayNames",
    "FetchInventoryDescendents2",
    "AgentPreferences",
    "UpdateAgentLanguage",
    "HomeLocation",
    "ServerReleaseNotes",
];

/// Answers a request to the capability of that id.
pub(super) async fn answer(shared: &Arc<Shared>, id: &str, request: Request) -> Reply {
    let cap = shared.world().caps.get(id).cloned();
    let Some(cap) = cap else { return Reply::status(Channel::Http, "", 404) };
    match cap.purpose {
        Purpose::Seed => seed(shared, cap.agent, cap.region, &request),
        Purpose::Named(EVENT_QUEUE) => event_queue(shared, cap.agent, &request).await,
        Purpose::Named(name) => {
            let (status, body) = match features::answer(shared, name, cap.agent, &request) {
                Ok(body) => (200, body),
                Err(status) => (status, Body::None),
            };
            Reply { status, ..Reply::new(Channel::Caps, name, body) }
        }
    }
}

fn seed(shared: &Shared, agent: Uuid, region: usize, request: &Request) -> Reply {
    let status = |status| Reply::status(Channel::Seed, "", status);
    if request.method != "POST" {
        return status(405);
    }
    if !request.is_of_type(seed::CONTENT_TYPE) {
        return status(415);
    }
    if request.peer.ip() != IpAddr::from(Ipv4Addr::LOCALHOST)
        && shared.config.faults.breaks(Policy::SeedForOneAddress)
    {
        return status(403);
    }
    let Ok(names) = seed::parse_request(&request.body) else { return status(400) };
    let faults = &shared.config.faults;
    let wanted: Vec<&'static str> =
        GRANTED.into_iter().filter(|name| names.iter().any(|n| n == name)).collect();
    let mut world = shared.world();
    if names.is_empty() && faults.breaks(Policy::IgnoresEmptySeed) {
        return Reply::new(Channel::Seed, "", Body::Llsd(seed::reply(Vec::new())));
    }
    world.grant(agent, region, &[]);
    let owner = match faults.breaks(Policy::ForeignCaps) {
        true => world.bystander(agent),
        false => agent,
    };
    let mut granted = world.grant(owner, region, &wanted);
    if faults.breaks(Policy::GrantsAnything) {
        let unknown = names.iter().filter(|name| !GRANTED.contains(&name.as_str()));
        granted.extend(unknown.map(|name| (name.clone(), world.url(name))));
    }
    let opened = world.open_world(agent, region);
    drop(world);
    if opened {
        shared.order(region, Order::ShowWorld(agent));
    }
    Reply::new(Channel::Seed, "", Body::Llsd(seed::reply(granted)))
}

/// Holds the poll until something happens, at most as long as the grid holds polls.
async fn event_queue(shared: &Arc<Shared>, agent: Uuid, request: &Request) -> Reply {
    let status = |status| Reply::status(Channel::Events, "", status);
    if request.method != "POST" {
        return status(405);
    }
    let hold = match shared.config.faults.breaks(Policy::NeverHolds) {
        true => Duration::ZERO,
        false => shared.config.hold(),
    };
    let until = Instant::now() + hold;
    loop {
        let (taken, wake) = {
            let mut world = shared.world();
            let taken = world.take_events(agent);
            // Listening from here on, so that no event slips between.
            (taken, world.presence(agent).map(|p| p.wake.clone().notified_owned()))
        };
        if let Some(reply) = taken.and_then(|(reply, late)| told(shared, agent, reply, late)) {
            return Reply::new(Channel::Events, "", Body::Llsd(reply.to_llsd()));
        }
        let Some(wake) = wake else { return status(404) };
        tokio::select! {
            () = wake => {}
            () = tokio::time::sleep_until(until) => {
                let body = Body::Plain("text/plain", b"Upstream error: ".to_vec());
                return Reply { status: 502, ..Reply::new(Channel::Events, "", body) };
            }
        }
    }
}

/// A reply with what is wrong with this grid's events, and those that were held back before; none
/// if nothing is left to tell.
fn told(
    shared: &Arc<Shared>,
    agent: Uuid,
    reply: PollReply,
    late: Vec<Event>,
) -> Option<PollReply> {
    if let Some(tap) = &shared.config.tap {
        for event in &reply.events {
            tap(Channel::Events, &event.message, Said::Llsd(&event.body));
        }
    }
    let (mut events, held) = shared.config.faults.events(reply.events);
    for (delay, event) in held {
        let shared = shared.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay / shared.config.time_factor.max(1)).await;
            shared.world().tell_late(agent, event);
        });
    }
    events.extend(late);
    (!events.is_empty()).then_some(PollReply { id: reply.id, events })
}
