//! Capabilities: the seed, the event queue and the dispatch to the simple ones.

use super::capability::Purpose;
use super::fault::Said;
use super::reply::{Body, Reply};
use super::witness::{Visitor, What};
use super::{Policy, Shared, features, inventory, oddity, region::Order};
use crate::net::server::Request;
use crate::proto::event_queue::{Event, PollReply, PollRequest};
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
pub const EVENTS: [&str; 5] = [
    "EnableSimulator",
    "EstablishAgentCommunication",
    "TeleportFinish",
    "CrossedRegion",
    "BulkUpdateInventory",
];

/// What the seed grants, in the order it is told.
pub const GRANTED: [&str; 18] = [
    EVENT_QUEUE,
    "SimulatorFeatures",
    "GetDisplayNames",
    "FetchInventoryDescendents2",
    "FetchInventory2",
    "FetchLibDescendents2",
    "FetchLib2",
    "CreateInventoryCategory",
    "NewFileAgentInventory",
    "UpdateNotecardAgentInventory",
    "UpdateScriptAgent",
    "InventoryAPIv3",
    "LibraryAPIv3",
    "ViewerAsset",
    "AgentPreferences",
    "UpdateAgentLanguage",
    "HomeLocation",
    "ServerReleaseNotes",
];

/// Answers a request to the capability of that id; `path` is what follows its URL.
pub(super) async fn answer(shared: &Arc<Shared>, id: &str, path: &str, request: Request) -> Reply {
    let cap = shared.world().caps.get(id).cloned();
    let Some(cap) = cap else { return Reply::status(Channel::Http, "", 404) };
    let (agent, region) = (cap.agent, cap.region);
    let visitor = shared.ear.is_open().then(|| {
        let session = shared.world().presence(agent).map(|presence| presence.session_id);
        Visitor { agent, session, region }
    });
    let hear = |what: &dyn Fn() -> What| {
        if let Some(visitor) = visitor {
            shared.ear.hear(visitor, what);
        }
    };
    match cap.purpose {
        Purpose::Seed => {
            let names = || seed::parse_request(&request.body).ok();
            hear(&|| What::Seed(request.content_type.clone(), names()));
            seed(shared, agent, region, &request)
        }
        Purpose::Uploader(upload) => inventory::finish_upload(shared, id, agent, *upload, &request),
        Purpose::Named(EVENT_QUEUE) => {
            let poll = || PollRequest::parse(&request.body).ok();
            hear(&|| What::Polled(id.to_owned(), poll()));
            let reply = event_queue(shared, agent, region, &request).await;
            Reply { visitor, queue: visitor.map(|_| id.to_owned()), ..reply }
        }
        Purpose::Named(name) => {
            hear(&|| What::Asked(name));
            let resource = inventory::resource(shared, name, agent, path, &request);
            let whole = || {
                let begun = inventory::begin_upload(shared, name, agent, region, &request);
                let answer = begun.or_else(|| inventory::answer(shared, name, agent, &request));
                let answer =
                    answer.unwrap_or_else(|| features::answer(shared, name, agent, &request));
                answer.map(|body| (200, body))
            };
            let answer = resource.unwrap_or_else(whole);
            let (status, body) = answer.unwrap_or_else(|status| (status, Body::None));
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
    let without = &shared.config.without;
    let wanted: Vec<&'static str> = GRANTED
        .into_iter()
        .filter(|name| names.iter().any(|n| n == name) && without.iter().all(|n| n != name))
        .collect();
    for name in names.iter().filter(|name| !wanted.contains(&name.as_str())) {
        shared.notices.in_vain("capability", name);
    }
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
    if faults.breaks(Policy::GrantsEmpty) {
        let unknown = names.iter().filter(|name| !GRANTED.contains(&name.as_str()));
        granted.extend(unknown.map(|name| (name.clone(), String::new())));
    }
    let opened = world.open_world(agent, region);
    drop(world);
    if opened {
        shared.order(region, Order::ShowWorld(agent));
    }
    Reply::new(Channel::Seed, "", Body::Llsd(seed::reply(granted)))
}

/// Holds the poll until something happens, at most as long as the grid holds polls.
async fn event_queue(shared: &Arc<Shared>, agent: Uuid, region: usize, request: &Request) -> Reply {
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
            let taken = world.take_events(agent, region);
            // Listening from here on, so that no event slips between.
            (taken, world.wake(agent, region).map(|wake| wake.notified_owned()))
        };
        if let Some(reply) =
            taken.and_then(|(reply, late)| told(shared, (agent, region), reply, late))
        {
            return Reply::new(Channel::Events, "", Body::Llsd(reply.to_llsd()));
        }
        let Some(wake) = wake else { return status(404) };
        tokio::select! {
            biased;
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
    (agent, region): (Uuid, usize),
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
            shared.world().tell_late(agent, region, event);
        });
    }
    events.extend(late);
    if !events.is_empty() {
        events.splice(0..0, oddity::events(shared, agent, reply.id));
    }
    (!events.is_empty()).then_some(PollReply { id: reply.id, events })
}
