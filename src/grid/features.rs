//! The simple capabilities: one request, one answer.

use super::reply::Body;
use super::{Shared, inventory};
use crate::net::server::Request;
use crate::proto::llsd::{Llsd, from_xml};
use uuid::Uuid;

/// Answers a simple capability; a status where it refuses.
pub(super) fn answer(
    shared: &Shared,
    name: &str,
    agent: Uuid,
    request: &Request,
) -> Result<Body, u16> {
    match (name, request.method.as_str()) {
        ("SimulatorFeatures", "GET") => Ok(Body::Llsd(simulator_features())),
        ("GetDisplayNames", "GET") => Ok(Body::Llsd(display_names(shared, request))),
        ("ServerReleaseNotes", "GET") => {
            let version = env!("CARGO_PKG_VERSION");
            let text = format!("gridproof reference grid {version}\n");
            Ok(Body::Plain("text/plain", text.into_bytes()))
        }
        ("FetchInventoryDescendents2", "POST") => descendents(agent, request),
        ("AgentPreferences" | "UpdateAgentLanguage" | "HomeLocation", "POST") => {
            echo(name, request)
        }
        _ => Err(405),
    }
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
fn echo(name: &str, request: &Request) -> Result<Body, u16> {
    let Ok(map @ Llsd::Map(_)) = from_xml(&request.body) else { return Err(400) };
    let body = match name {
        "HomeLocation" => {
            let location = map.get("HomeLocation").cloned().unwrap_or_default();
            Llsd::map([("success", Llsd::Boolean(true)), ("HomeLocation", location)])
        }
        "AgentPreferences" => map,
        _ => Llsd::map([("success", Llsd::Boolean(true))]),
    };
    Ok(Body::Llsd(body))
}

/// Every folder asked for, and under `bad_folders` those that are not the agent's.
fn descendents(agent: Uuid, request: &Request) -> Result<Body, u16> {
    let asked = from_xml(&request.body).ok();
    let Some(Llsd::Array(asked)) = asked.as_ref().and_then(|map| map.get("folders")) else {
        return Err(400);
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
    Ok(Body::Llsd(Llsd::map(reply)))
}
