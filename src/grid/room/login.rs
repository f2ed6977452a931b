//! Login: the call checked, the session begun, the reply with every member a viewer reads.

use crate::grid::core::{Body, Core, Place, Presence, Reply, RoomDef, World, messages};
use crate::grid::misbehaviour::misbehaviours;
use crate::net::server::Request as HttpRequest;
use crate::net::tap::{Passed, RegionIndex, Visitor};
use crate::proto::id::{AgentId, CircuitCode, SessionId};
use crate::proto::llsd::{self, Llsd};
use crate::proto::login::{METHOD, Request, notation_reals};
use crate::proto::number::seconds;
use crate::proto::xmlrpc::{self, Document, RpcValue};
use crate::tamper::Channel;
use std::time::Duration;
use uuid::Uuid;

misbehaviours! {
    AnyPassword "any-password" "Any password will do.",
    NamesNameless "names-nameless" "An unknown name is refused with words of its own.",
    NeverKicks "never-kicks" "A second login ends nothing.",
    IgnoresOptions "ignores-options" "Login tells all it has, asked or not.",
    NumbersAsText "numbers-as-text" "Numbers of a login reply are told as text.",
    Undecided "undecided" "A login is answered that it goes on elsewhere.",
    RefusesDecimals "refuses-decimals" "A start location with decimals is a server error.",
    WaitsForTheLastAck "waits-for-the-last-ack"
        "A session counts until its LogoutReply is acknowledged, and bars the next login.",
}

pub(super) const ROOM: RoomDef = RoomDef {
    // Clients of Second Life's know no other path than the second.
    paths: &[
        ("POST", "/", called),
        ("POST", "/cgi-bin/login.cgi", called),
        ("POST", NEXT, called_again),
        ("GET", "/get_grid_info", info),
    ],
    misbehaviours: Own::ALL,
    ..RoomDef::named("login")
};

/// The path where a login goes on that was not decided at `/`.
const NEXT: &str = "/next";

/// So long the last ack is waited for, where it is.
const LAST_ACK: Duration = Duration::from_secs(10);

/// A session that opens no circuit for so long is ended.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(60);

/// The members of a refusal: three strings.
fn refusal(reason: &str, message: &str) -> Llsd {
    let text = |s: &str| Llsd::string(s);
    Llsd::map([("reason", text(reason)), ("message", text(message)), ("login", text("false"))])
}

fn called(core: &mut Core, request: &HttpRequest) -> Reply {
    let said = |body| Reply::new(Channel::Login, "", body);
    let of = |visitor, body| Reply { visitor: Some(visitor), ..said(body) };
    let status = |status| Reply::status(Channel::Login, "", status);
    let refuses = core.faults.has(Own::RefusesDecimals);
    if refuses && start_has_decimals(&request.body) && core.breaks(Own::RefusesDecimals) {
        return status(500);
    }
    let mut log_in = |call: &Request| log_in(core, &request.path, call);
    if request.is_of_type(llsd::CONTENT_TYPE) {
        return match llsd::from_xml(&request.body).ok().and_then(Request::from_llsd) {
            Some(call) => {
                let (visitor, reply) = log_in(&call);
                of(visitor, Body::Llsd(reply))
            }
            None => {
                unread(core, "no LLSD map");
                status(400)
            }
        };
    }
    let (method, params) = match xmlrpc::parse(&request.body) {
        Ok(Document::Call { method, params }) => (method, params),
        Ok(_) => {
            unread(core, "a reply of XML-RPC");
            return status(404);
        }
        Err(error) => {
            unread(core, &error.to_string());
            return status(404);
        }
    };
    let fault = |code, text: &str| said(Body::RpcFault(code, text.to_owned()));
    let mut reply = match (method.as_str(), params.as_slice()) {
        (METHOD, [members @ RpcValue::Struct(_)]) => match Request::from_llsd(members.to_llsd()) {
            Some(call) => {
                let (visitor, reply) = log_in(&call);
                let as_text = core.breaks(Own::NumbersAsText);
                of(visitor, Body::Rpc(if as_text { numbers_as_text(reply) } else { reply }))
            }
            None => fault(-32603, "the parameter is not a struct"),
        },
        (METHOD, _) => {
            unread(core, "login_to_simulator without its one struct");
            fault(-32603, "login_to_simulator takes one struct")
        }
        (method, _) => fault(-32601, &format!("Requested method [{method}] not found")),
    };
    reply.headers.push(("access-control-allow-origin", "*".into()));
    reply
}

/// Nobody knows whose call it is, so that only whoever runs the grid, and a judge, can be told.
fn unread(core: &mut Core, why: &str) {
    core.tap.tell(core.now, Visitor::default(), || Passed::LoginUnread(why.to_owned()));
    core.notices.unread_login(why);
}

/// A reply whose numbers are texts, at any depth.
fn numbers_as_text(reply: Llsd) -> Llsd {
    match reply {
        Llsd::Integer(number) => Llsd::string(number.to_string()),
        Llsd::Array(all) => Llsd::Array(all.into_iter().map(numbers_as_text).collect()),
        Llsd::Map(members) => {
            Llsd::Map(members.into_iter().map(|(key, v)| (key, numbers_as_text(v))).collect())
        }
        other => other,
    }
}

/// Whether the text of a call has a start location with decimals in it.
fn start_has_decimals(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let start = text.split("uri:").nth(1).and_then(|rest| rest.split('<').next());
    start.is_some_and(|start| start.contains('.'))
}

/// A login that was answered that it goes on here.
fn called_again(core: &mut Core, request: &HttpRequest) -> Reply {
    match core.breaks(Own::Undecided) {
        true => called(core, request),
        false => Reply::status(Channel::Http, "", 404),
    }
}

fn info(core: &mut Core, _: &HttpRequest) -> Reply {
    let body = format!(
        "<gridinfo><gridname>gridproof reference grid</gridname><gridnick>gridproof</gridnick>\
         <platform>OpenSim</platform><login>{}</login></gridinfo>",
        core.login_uri
    );
    Reply::new(Channel::Http, "", Body::Plain("application/xml", body.into_bytes()))
}

/// Answers a login call to a path; whose it is.
fn log_in(core: &mut Core, path: &str, request: &Request) -> (Visitor, Llsd) {
    let name = request.text("first").zip(request.text("last"));
    let agent = name.and_then(|(first, last)| core.world.agent_of(first, last));
    let visitor =
        Visitor { agent: agent.unwrap_or_default(), session: None, region: RegionIndex(0) };
    core.tap.tell(core.now, visitor, || Passed::LoginAsked(path.to_owned(), request.clone()));
    let undecided = path != NEXT && core.breaks(Own::Undecided);
    let reply = if undecided { indeterminate(core) } else { decide(core, request) };
    let outcome = outcome(&reply);
    if let Passed::Refused(reason) = &outcome {
        let message = reply.get("message").and_then(Llsd::as_str).unwrap_or_default();
        tracing::info!("a login is refused ({reason}): {message}");
    }
    core.tap.tell(core.now, visitor, || outcome);
    (visitor, reply)
}

/// A login that goes on elsewhere.
fn indeterminate(core: &Core) -> Llsd {
    let next = format!("{}{}", core.login_uri.trim_end_matches('/'), NEXT);
    let text = Llsd::string;
    Llsd::map([
        ("login", text("indeterminate")),
        ("next_url", text(&next)),
        ("next_method", text(METHOD)),
        ("message", text("One moment, please.")),
    ])
}

/// What a login came to, as whoever listens is told.
fn outcome(reply: &Llsd) -> Passed {
    let text = |name| reply.get(name).and_then(Llsd::as_str).unwrap_or_default();
    match (text("login"), reply.get("session_id"), reply.get("circuit_code")) {
        ("true", Some(Llsd::Uuid(session)), Some(Llsd::Integer(code))) => {
            Passed::LoggedIn(SessionId(*session), CircuitCode(code.cast_unsigned()))
        }
        ("indeterminate", ..) => Passed::Refused("indeterminate".into()),
        _ => Passed::Refused(text("reason").to_owned()),
    }
}

/// Decides a login call.
fn decide(core: &mut Core, request: &Request) -> Llsd {
    let (Some(first), Some(last)) = (request.text("first"), request.text("last")) else {
        return incomplete();
    };
    let passwd = match (request.text("passwd"), request.text("web_login_key")) {
        (Some(passwd), _) => passwd.to_owned(),
        (None, Some(key)) if key != Uuid::nil().to_string() => format!("$1${key}"),
        _ => return incomplete(),
    };
    let agent = match core.world.authenticate(first, last, &passwd) {
        Ok(agent) => agent,
        Err(refused) => match core.world.agent_of(first, last) {
            Some(agent) if core.breaks(Own::AnyPassword) => agent,
            None if core.breaks(Own::NamesNameless) => {
                return refusal("key", "There is no avatar of that name.");
            }
            _ => return refusal(refused.reason, refused.message),
        },
    };
    if core.config.require_tos && !agrees(request) {
        let message = "Please read the terms of service of this grid and agree to them.";
        return refusal("tos", message);
    }
    let (now, limit) = (core.now, core.faster(LAST_ACK));
    let leaving = || core.circuits.iter().any(|all| all.is_leaving(agent, now, limit));
    if core.breaks(Own::WaitsForTheLastAck) && leaving() {
        return refusal("presence", "The last session has not ended yet; please try again.");
    }
    let start = request.text("start").unwrap_or_default();
    match core.world.begin(agent, start) {
        Err(refused) => {
            if refused.reason == "presence" && !core.breaks(Own::NeverKicks) {
                kick(core, agent, "You logged in from somewhere else.");
            }
            refusal(refused.reason, refused.message)
        }
        Ok((presence, start_location)) => {
            let (session, name) = (presence.session_id, presence.name());
            let folders = core.inventories.login_members(agent);
            let mut folders = folders.unwrap_or_default();
            let all = core.breaks(Own::IgnoresOptions);
            folders.retain(|(name, _)| all || request.wants(name));
            tracing::info!("{name} logged in");
            expect_arrival(core, agent, session);
            success(core, agent, start_location, folders)
        }
    }
}

/// Ends a session from outside: its viewer is told why.
fn kick(core: &mut Core, agent: AgentId, reason: &str) {
    for region in core.end(agent) {
        if let Some((_, session)) = core.circuits[region.0].of(agent) {
            let kick = messages::kick(&core.template, agent, session, reason);
            core.send_to(region, agent, &kick);
            core.close(region, agent);
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
fn expect_arrival(core: &mut Core, agent: AgentId, session: SessionId) {
    core.after(ARRIVAL_LIMIT, "an arrival", move |core| {
        let presence = core.world.presence(agent);
        if presence.is_some_and(|p| p.session_id == session && !p.arrived) {
            core.end_and_close(agent);
        }
    });
}

fn success(core: &Core, agent: AgentId, start_location: &str, folders: Members) -> Llsd {
    let presence = core.world.presence(agent);
    let placed = presence.and_then(|p| Some((p, p.root?)));
    let Some((presence, root)) = placed else { return incomplete() };
    let mut members = session_members(&core.world, presence, root, start_location);
    members.push(("seconds_since_epoch", Llsd::Integer(seconds(core.time()))));
    members.extend(folders);
    members.extend(constant_members());
    Llsd::map(members)
}

type Members = Vec<(&'static str, Llsd)>;

fn session_members(
    world: &World,
    presence: &Presence,
    root: RegionIndex,
    start_location: &str,
) -> Members {
    let text = |s: &str| Llsd::string(s);
    let int = |n: u32| Llsd::Integer(n.cast_signed());
    let place = &world.places[root.0];
    let (x, y) = place.corner();
    let seed = presence.agents.get(&root).map(|here| here.seed.as_str());
    let home = world.places.first().map_or((0, 0), Place::corner);
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
        ("agent_id", Llsd::Uuid(presence.agent_id.0)),
        ("session_id", Llsd::Uuid(presence.session_id.0)),
        ("secure_session_id", Llsd::Uuid(presence.secure_session_id.0)),
        ("real_id", Llsd::Uuid(Uuid::nil())),
        ("circuit_code", int(presence.circuit_code.0)),
        ("sim_ip", text(&place.address.ip().to_string())),
        ("sim_port", int(u32::from(place.address.port()))),
        ("http_port", int(0)),
        ("seed_capability", Llsd::String(world.seed_url(seed.unwrap_or_default()))),
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
fn constant_members() -> Members {
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
    let categories = (1..).zip(CATEGORIES).map(|(n, name)| {
        Llsd::map([("category_id", Llsd::Integer(n)), ("category_name", text(name))])
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

#[cfg(test)]
mod tests {
    use crate::grid::bench::Bench;

    #[test]
    fn a_second_login_ends_the_first_and_succeeds_when_tried_again() {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let call = crate::proto::login::Request::new(
            "Test",
            "One",
            &crate::proto::login::hash_password("proof-one"),
            "home",
            Default::default(),
        );
        let (_, refused) = bench.post("/", &call.to_llsd());
        let text = |reply: &super::Llsd, name| {
            reply.get(name).and_then(super::Llsd::as_str).unwrap_or_default().to_owned()
        };
        assert_eq!([text(&refused, "login"), text(&refused, "reason")], ["false", "presence"]);
        let told = bench.names(jane, 0);
        assert_eq!(told, ["KickUser", "DisableSimulator"]);
        let (_, taken) = bench.post("/", &call.to_llsd());
        assert_eq!(text(&taken, "login"), "true");
    }
}
