//! The simple capabilities: one request, one answer.

use super::Shared;
use super::reply::Body;
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
        ("ViewerAsset", "GET") => asset(shared, request),
        ("HomeLocation", "POST") => home(shared, agent, request),
        ("AgentPreferences" | "UpdateAgentLanguage", "POST") => echo(name, request),
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
    Ok(Body::Llsd(match name {
        "AgentPreferences" => map,
        _ => Llsd::map([("success", Llsd::Boolean(true))]),
    }))
}

/// Makes a place home; what is no place leaves the home where it was, and is told back all the same.
fn home(shared: &Shared, agent: Uuid, request: &Request) -> Result<Body, u16> {
    let Ok(map @ Llsd::Map(_)) = from_xml(&request.body) else { return Err(400) };
    if let Some(position) = home_of(&map) {
        shared.world().set_home(agent, position);
    }
    let location = map.get("HomeLocation").cloned().unwrap_or_default();
    Ok(Body::Llsd(Llsd::map([("success", Llsd::Boolean(true)), ("HomeLocation", location)])))
}

/// `?TYPE_id=ID`: an asset as it is, of whatever type.
fn asset(shared: &Shared, request: &Request) -> Result<Body, u16> {
    let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, id) = pairs.find(|(name, _)| name.ends_with("_id")).ok_or(400u16)?;
    let id = Uuid::try_parse(id).map_err(|_| 400u16)?;
    let asset = shared.inventories().asset(id).ok_or(404u16)?;
    Ok(Body::Plain("application/octet-stream", asset.bytes.to_vec()))
}

/// The place that a viewer makes its home, where its avatar is.
fn home_of(map: &Llsd) -> Option<[f32; 3]> {
    let position = map.get("HomeLocation")?.get("LocationPos")?;
    let at = |name| match position.get(name) {
        Some(Llsd::Real(x)) => Some(*x as f32),
        Some(Llsd::Integer(x)) => Some(*x as f32),
        _ => None,
    };
    Some([at("X")?.clamp(0.5, 255.5), at("Y")?.clamp(0.5, 255.5), at("Z")?.clamp(0.0, 4096.0)])
}
