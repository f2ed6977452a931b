//! Login: the call checked, the session begun, the reply with every member a viewer reads.

use super::presence::Presence;
use super::region::Order;
use super::witness::{Visitor, What};
use super::world::World;
use super::{Policy, Shared, inventory};
use crate::proto::llsd::Llsd;
use crate::proto::login::{METHOD, Request, notation_reals};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The members of a refusal: three strings.
pub(super) fn refusal(reason: &str, message: &str) -> Llsd {
    let text = |s: &str| Llsd::string(s);
    Llsd::map([("reason", text(reason)), ("message", text(message)), ("login", text("false"))])
}

/// The path where a login goes on that was not decided at `/`.
pub(super) const NEXT: &str = "/next";

/// Answers a login call to a path; whose it is.
pub(super) fn log_in(shared: &Arc<Shared>, path: &str, request: &Request) -> (Visitor, Llsd) {
    let name = request.text("first").zip(request.text("last"));
    let visitor = name.and_then(|(first, last)| shared.world().agent_of(first, last));
    let agent = visitor.unwrap_or_default();
    let visitor = Visitor { agent, session: None, region: 0 };
    shared.ear.hear(visitor, || What::LoginAsked(path.to_owned(), request.clone()));
    let undecided = path != NEXT && shared.config.faults.breaks(Policy::Undecided);
    let reply = if undecided { indeterminate(shared) } else { decide(shared, request) };
    shared.ear.hear(visitor, || outcome(&reply));
    (visitor, reply)
}

/// A login that goes on elsewhere.
fn indeterminate(shared: &Shared) -> Llsd {
    let next = format!("{}{}", shared.login_uri.trim_end_matches('/'), NEXT);
    let text = Llsd::string;
    Llsd::map([
        ("login", text("indeterminate")),
        ("next_url", text(&next)),
        ("next_method", text(METHOD)),
        ("message", text("One moment, please.")),
    ])
}

/// What a login came to, as its witness is told.
fn outcome(reply: &Llsd) -> What {
    let text = |name| reply.get(name).and_then(Llsd::as_str).unwrap_or_default();
    match (text("login"), reply.get("session_id"), reply.get("circuit_code")) {
        ("true", Some(Llsd::Uuid(session)), Some(Llsd::Integer(code))) => {
            What::LoggedIn(*session, *code as u32)
        }
        ("indeterminate", ..) => What::Refused("indeterminate".into()),
        _ => What::Refused(text("reason").to_owned()),
    }
}

/// Decides a login call.
fn decide(shared: &Arc<Shared>, request: &Request) -> Llsd {
    let (Some(first), Some(last)) = (request.text("first"), request.text("last")) else {
        return incomplete();
    };
    let passwd = match (request.text("passwd"), request.text("web_login_key")) {
        (Some(passwd), _) => passwd.to_owned(),
        (None, Some(key)) if key != Uuid::nil().to_string() => format!("$1${key}"),
        _ => return incomplete(),
    };
    let mut world = shared.world();
    let faults = &shared.config.faults;
    let agent = match world.authenticate(first, last, &passwd) {
        Ok(agent) => agent,
        Err(refused) => match world.agent_of(first, last) {
            Some(agent) if faults.breaks(Policy::AnyPassword) => agent,
            None if faults.breaks(Policy::NamesNameless) => {
                return refusal("key", "There is no avatar of that name.");
            }
            _ => return refusal(refused.reason, refused.message),
        },
    };
    if shared.config.require_tos && !agrees(request) {
        let message = "Please read the terms of service of this grid and agree to them.";
        return refusal("tos", message);
    }
    let start = request.text("start").unwrap_or_default();
    match world.begin(agent, start) {
        Err(refused) => {
            let stale = refused.reason == "presence";
            let stale = stale && !faults.breaks(Policy::NeverKicks);
            let regions = if stale { world.end(agent) } else { Vec::new() };
            drop(world);
            for region in regions {
                let reason = "You logged in from somewhere else.";
                shared.order(region, Order::Kick(agent, reason.into()));
            }
            refusal(refused.reason, refused.message)
        }
        Ok((presence, start_location)) => {
            let session = presence.session_id;
            let name = format!("{} {}", presence.first, presence.last);
            let folders = inventory::login_members(&mut shared.inventories(), agent);
            let mut folders = folders.unwrap_or_default();
            let all = faults.breaks(Policy::IgnoresOptions);
            folders.retain(|(name, _)| all || request.wants(name));
            let members =
                success(&world, agent, start_location, shared.config.network.now(), folders);
            let place = world.presence(agent).map(|p| world.places[p.root].name.clone());
            drop(world);
            tracing::info!("{name} logged in to {}", place.unwrap_or_default());
            expect_arrival(shared.clone(), agent, session);
            members
        }
    }
}

/// Whether the terms were agreed to, in any of the forms that viewers send.
fn agrees(request: &Request) -> bool {
    let member = request.members.iter().find(|(name, _)| name == "agree_to_tos");
    match member.map(|(_, value)| value) {
        Some(Llsd::Boolean(agreed)) => *agreed,
        Some(Llsd::Integer(agreed)) => *agreed != 0,
        Some(Llsd::String(agreed)) => agreed == "true" || agreed == "1",
        _ => false,
    }
}

fn incomplete() -> Llsd {
    refusal("key", "Incomplete login credentials. Check your username and password.")
}

/// A session that never opens its circuit is ended, so that it does not bar the next login.
fn expect_arrival(shared: Arc<Shared>, agent: Uuid, session: Uuid) {
    let limit: Duration = shared.config.arrival_limit();
    tokio::spawn(async move {
        tokio::time::sleep(limit).await;
        let mut world = shared.world();
        let stale = world.presence(agent).is_some_and(|p| p.session_id == session && !p.arrived);
        let regions = if stale { world.end(agent) } else { Vec::new() };
        drop(world);
        regions.into_iter().for_each(|region| shared.order(region, Order::Close(agent)));
    });
}

fn success(
    world: &World,
    agent: Uuid,
    start_location: &str,
    now: jiff::Timestamp,
    folders: Members,
) -> Llsd {
    let Some(presence) = world.presence(agent) else { return incomplete() };
    let mut members = session_members(world, presence, start_location);
    members.push(("seconds_since_epoch", Llsd::Integer(now.as_second() as i32)));
    members.extend(folders);
    members.extend(furniture());
    Llsd::map(members)
}

type Members = Vec<(&'static str, Llsd)>;

fn session_members(world: &World, presence: &Presence, start_location: &str) -> Members {
    let text = |s: &str| Llsd::string(s);
    let int = |n: u32| Llsd::Integer(n as i32);
    let place = &world.places[presence.root];
    let (x, y) = place.corner();
    let seed = presence.agents.get(&presence.root).map(|here| here.seed.as_str());
    let home = world.places.first().map_or((0, 0), super::world::Place::corner);
    let home = format!(
        "{{'region_handle':[r{},r{}], 'position':{}, 'look_at':{}}}",
        home.0,
        home.1,
        notation_reals(&[128.0, 128.0, 25.0]),
        notation_reals(&[1.0, 0.0, 0.0]),
    );
    vec![
        ("login", text("true")),
        ("first_name", text(&presence.first)),
        ("last_name", text(&presence.last)),
        ("agent_id", Llsd::Uuid(presence.agent_id)),
        ("session_id", Llsd::Uuid(presence.session_id)),
        ("secure_session_id", Llsd::Uuid(presence.secure_session_id)),
        ("real_id", Llsd::Uuid(Uuid::nil())),
        ("circuit_code", int(presence.circuit_code)),
        ("sim_ip", text(&place.address.ip().to_string())),
        ("sim_port", int(u32::from(place.address.port()))),
        ("http_port", int(0)),
        ("seed_capability", Llsd::String(format!("{}/", world.url(seed.unwrap_or_default())))),
        ("region_x", int(x)),
        ("region_y", int(y)),
        ("region_size_x", int(256)),
        ("region_size_y", int(256)),
        ("look_at", Llsd::String(notation_reals(&[0.99, 0.042, 0.0]))),
        ("home", Llsd::String(home)),
        ("start_location", text(start_location)),
        ("message", text("Welcome to the reference grid of gridproof.")),
        ("agent_access", text("M")),
        ("agent_access_max", text("A")),
        ("max-agent-groups", int(60)),
        ("classified_fee", text("0")),
    ]
}

/// Members that say little but that viewers read.
fn furniture() -> Members {
    let text = |s: &str| Llsd::string(s);
    let one = |members: &[(&str, &str)]| {
        Llsd::Array(vec![Llsd::map(members.iter().map(|(k, v)| (*k, text(v))))])
    };
    const CATEGORIES: [&str; 9] = [
        "Shopping",
        "Land Rental",
        "Property Rental",
        "Special Attraction",
        "New Products",
        "Employment",
        "Wanted",
        "Service",
        "Personal",
    ];
    let categories = CATEGORIES.iter().enumerate().map(|(n, name)| {
        Llsd::map([("category_id", Llsd::Integer(n as i32 + 1)), ("category_name", text(name))])
    });
    vec![
        ("gestures", Llsd::Array(Vec::new())),
        ("initial-outfit", one(&[("folder_name", "Nightclub Female"), ("gender", "female")])),
        ("buddy-list", Llsd::Array(Vec::new())),
        (
            "login-flags",
            one(&[
                ("ever_logged_in", "Y"),
                ("stipend_since_login", "N"),
                ("gendered", "Y"),
                ("daylight_savings", "N"),
            ]),
        ),
        (
            "global-textures",
            one(&[
                ("sun_texture_id", "cce0f112-878f-4586-a2e2-a8f104bba271"),
                ("cloud_texture_id", "dc4b9f0b-d008-45c6-96a4-01dd947ac621"),
                ("moon_texture_id", "ec4b9f0b-d008-45c6-96a4-01dd947ac621"),
            ]),
        ),
        ("ui-config", one(&[("allow_first_life", "Y")])),
        ("event_categories", Llsd::Array(Vec::new())),
        ("event_notifications", Llsd::Array(Vec::new())),
        ("classified_categories", Llsd::Array(categories.collect())),
    ]
}
