//! The simple capabilities: one request, one answer.

use super::{Shared, Speech, inventory};
use crate::net::server::{Answer, Request};
use crate::proto::llsd::{Llsd, from_xml, to_xml};
use uuid::Uuid;

const LLSD: &str = "application/llsd+xml";

/// Answers a simple capability.
pub(super) fn answer(shared: &Shared, name: &str, agent: Uuid, request: &Request) -> Answer {
    match (name, request.method.as_str()) {
        ("SimulatorFeatures", "GET") => say(shared, name, simulator_features()),
        ("GetDisplayNames", "GET") => say(shared, name, display_names(shared, request)),
        ("ServerReleaseNotes", "GET") => {
            let version = env!("CARGO_PKG_VERSION");
            Answer::ok("text/plain", format!("gridproof reference grid {version}\n"))
        }
        ("FetchInventoryDescendents2", "POST") => descendents(agent, request),
        ("AgentPreferences" | "UpdateAgentLanguage" | "HomeLocation", "POST") => {
            echo(name, request)
        }
        _ => Answer::status(405),
    }
}

/// A reply in LLSD, with what is wrong with this grid's replies.
fn say(shared: &Shared, cap: &str, mut reply: Llsd) -> Answer {
    shared.config.faults.say(&Speech::Cap(cap.to_owned()), &mut reply);
    Answer::ok(LLSD, to_xml(&reply))
}

fn simulator_features() -> Llsd {
    Llsd::map([
        ("MeshRezEnabled", Llsd::Boolean(false)),
        ("MeshUploadEnabled", Llsd::Boolean(false)),
        ("PhysicsMaterialsEnabled", Llsd::Boolean(false)),
        ("DynamicPathfindingEnabled", Llsd::Boolean(false)),
        ("AvatarHoverHeightEnabled", Llsd::Boolean(false)),
        ("MaxAgentGroupsBasic", Llsd::Integer(60)),
        ("MaxAgentGroupsPremium", Llsd::Integer(60)),
        (
            "OpenSimExtras",
            Llsd::map([
                ("say-range", Llsd::Integer(20)),
                ("shout-range", Llsd::Integer(100)),
                ("whisper-range", Llsd::Integer(10)),
            ]),
        ),
    ])
}

/// `?ids=ID&ids=ID…`: names of accounts, logged in or not; other ids come back as bad.
fn display_names(shared: &Shared, request: &Request) -> Llsd {
    let world = shared.world();
    let mut agents = Vec::new();
    let mut bad = Vec::new();
    for id in request.query.split('&').filter_map(|pair| pair.strip_prefix("ids=")) {
        let parsed = Uuid::try_parse(id).ok();
        let Some((id, (first, last))) = parsed.and_then(|id| Some((id, world.name_of(id)?))) else {
            bad.push(Llsd::string(id));
            continue;
        };
        agents.push(Llsd::map([
            ("id", Llsd::Uuid(id)),
            ("username", Llsd::String(format!("{first}.{last}").to_lowercase())),
            ("display_name", Llsd::String(format!("{first} {last}"))),
            ("display_name_next_update", Llsd::Date(0)),
            ("legacy_first_name", Llsd::String(first)),
            ("legacy_last_name", Llsd::String(last)),
            ("is_display_name_default", Llsd::Boolean(true)),
        ]));
    }
    Llsd::map([("agents", Llsd::Array(agents)), ("bad_ids", Llsd::Array(bad))])
}

/// Settings are accepted and told back; what is no map is refused.
fn echo(name: &str, request: &Request) -> Answer {
    let Ok(map @ Llsd::Map(_)) = from_xml(&request.body) else { return Answer::status(400) };
    let body = match name {
        "HomeLocation" => {
            let location = map.get("HomeLocation").cloned().unwrap_or_default();
            Llsd::map([("success", Llsd::Boolean(true)), ("HomeLocation", location)])
        }
        "AgentPreferences" => map,
        _ => Llsd::map([("success", Llsd::Boolean(true))]),
    };
    Answer::ok(LLSD, to_xml(&body))
}

/// Every folder asked for, and under `bad_folders` those that are not the agent's.
fn descendents(agent: Uuid, request: &Request) -> Answer {
    let asked = from_xml(&request.body).ok();
    let Some(Llsd::Array(asked)) = asked.as_ref().and_then(|map| map.get("folders")) else {
        return Answer::status(400);
    };
    let mut folders = Vec::new();
    let mut bad = Vec::new();
    for folder in asked {
        let id = folder.get("folder_id").and_then(Llsd::as_uuid).unwrap_or_default();
        match inventory::descendents(agent, id) {
            Some(folder) => folders.push(folder),
            None => bad.push(Llsd::map([
                ("folder_id", Llsd::Uuid(id)),
                ("error", Llsd::string("no such folder")),
            ])),
        }
    }
    let mut reply = vec![("folders", Llsd::Array(folders))];
    if !bad.is_empty() {
        reply.push(("bad_folders", Llsd::Array(bad)));
    }
    Answer::ok(LLSD, to_xml(&Llsd::map(reply)))
}
