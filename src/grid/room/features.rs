//! The simple capabilities: one request, one answer.

use crate::grid::core::{Asked, Body, Core, RoomDef};
use crate::net::server::Request;
use crate::proto::id::AgentId;
use crate::proto::llsd::{Llsd, from_xml};
use crate::proto::number::nearest_f32;
use uuid::Uuid;

pub(super) const ROOM: RoomDef = RoomDef {
    caps: &[
        ("SimulatorFeatures", |_, asked| get(asked, || Ok(Body::Llsd(simulator_features())))),
        ("GetDisplayNames", |core, asked| {
            get(asked, || Ok(Body::Llsd(display_names(core, asked.request))))
        }),
        ("ViewerAsset", |core, asked| get(asked, || asset(core, asked.request))),
        ("AgentPreferences", |_, asked| post(asked, |settings| Ok(Body::Llsd(settings)))),
        ("UpdateAgentLanguage", |_, asked| {
            post(asked, |_| Ok(Body::Llsd(Llsd::map([("success", Llsd::Boolean(true))]))))
        }),
        ("HomeLocation", |core, asked| post(asked, |map| Ok(home(core, asked.agent, &map)))),
        ("ServerReleaseNotes", |_, asked| get(asked, release_notes)),
    ],
    ..RoomDef::named("features")
};

type Answer = Result<(u16, Body), u16>;

/// Answers what is only read.
fn get(asked: &Asked<'_>, answer: impl FnOnce() -> Result<Body, u16>) -> Answer {
    match asked.request.method.as_str() {
        "GET" => answer().map(|body| (200, body)),
        _ => Err(405),
    }
}

/// Answers what is said in a map; what is no map is refused.
fn post(asked: &Asked<'_>, answer: impl FnOnce(Llsd) -> Result<Body, u16>) -> Answer {
    if asked.request.method != "POST" {
        return Err(405);
    }
    let Ok(map @ Llsd::Map(_)) = from_xml(&asked.request.body) else { return Err(400) };
    answer(map).map(|body| (200, body))
}

fn release_notes() -> Result<Body, u16> {
    let text = format!("gridproof reference grid {}\n", env!("CARGO_PKG_VERSION"));
    Ok(Body::Plain("text/plain", text.into_bytes()))
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
fn display_names(core: &Core, request: &Request) -> Llsd {
    let world = &core.world;
    let mut agents = Vec::new();
    let mut bad = Vec::new();
    for id in request.query.split('&').filter_map(|pair| pair.strip_prefix("ids=")) {
        let parsed = Uuid::try_parse(id).ok();
        let Some((id, (first, last))) =
            parsed.and_then(|id| Some((id, world.name_of(AgentId(id))?)))
        else {
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

/// Makes a place home; what is no place leaves the home where it was, and is told back all the same.
fn home(core: &mut Core, agent: AgentId, map: &Llsd) -> Body {
    if let Some(position) = home_of(map) {
        core.world.set_home(agent, position);
    }
    let location = map.get("HomeLocation").cloned().unwrap_or_default();
    Body::Llsd(Llsd::map([("success", Llsd::Boolean(true)), ("HomeLocation", location)]))
}

/// `?TYPE_id=ID`: an asset as it is, of whatever type.
fn asset(core: &Core, request: &Request) -> Result<Body, u16> {
    let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, id) = pairs.find(|(name, _)| name.ends_with("_id")).ok_or(400u16)?;
    let id = Uuid::try_parse(id).map_err(|_| 400u16)?;
    let asset = core.inventories.asset(id).ok_or(404u16)?;
    Ok(Body::Plain("application/octet-stream", asset.bytes.to_vec()))
}

/// The place that a viewer makes its home, where its avatar is.
fn home_of(map: &Llsd) -> Option<[f32; 3]> {
    let position = map.get("HomeLocation")?.get("LocationPos")?;
    let at = |name| position.get(name).and_then(Llsd::as_f64).map(nearest_f32);
    Some([at("X")?.clamp(0.5, 255.5), at("Y")?.clamp(0.5, 255.5), at("Z")?.clamp(0.0, 4096.0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;

    /// A viewer in the world, and the URL of a capability.
    fn granted(name: &str) -> (Bench, usize, String) {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        let seed = bench.viewers[jane].seed.clone();
        let url = bench.caps(&seed, &[name])[name].clone();
        (bench, jane, url)
    }

    fn get(bench: &mut Bench, url: &str) -> (u16, Llsd) {
        let asked = bench.ask("GET", url, "", b"");
        bench.answer(asked).unwrap()
    }

    #[test]
    fn names_of_accounts_are_told_and_other_ids_are_bad() {
        let (mut bench, jane, url) = granted("GetDisplayNames");
        let own = bench.viewers[jane].agent.0;
        let (status, reply) = get(&mut bench, &format!("{url}?ids={own}&ids=nobody"));
        let told = |key: &str| reply.get(key).and_then(Llsd::as_array).unwrap().to_vec();
        assert_eq!((status, told("bad_ids")), (200, vec![Llsd::string("nobody")]));
        assert_eq!(told("agents")[0].get("id").and_then(Llsd::as_uuid), Some(own));
    }

    #[test]
    fn what_is_no_map_or_asked_by_another_method_is_refused() {
        let (mut bench, _, url) = granted("AgentPreferences");
        assert_eq!(get(&mut bench, &url).0, 405);
        assert_eq!(bench.post(&url, &Llsd::Array(Vec::new())).0, 400);
        let settings = Llsd::map([("hover_height", Llsd::Real(0.5))]);
        assert_eq!(bench.post(&url, &settings), (200, settings));
    }

    #[test]
    fn home_is_where_it_is_set_within_the_region() {
        let (mut bench, jane, url) = granted("HomeLocation");
        let place = [("X", 900.0), ("Y", 10.0), ("Z", 30.0)].map(|(at, n)| (at, Llsd::Real(n)));
        let home = Llsd::map([("LocationPos", Llsd::map(place))]);
        let (status, _) = bench.post(&url, &Llsd::map([("HomeLocation", home)]));
        assert_eq!(status, 200);
        let agent = bench.viewers[jane].agent;
        assert_eq!(bench.core.world.home(agent).1, [255.5, 10.0, 30.0]);
    }

    #[test]
    fn an_asset_that_is_not_there_is_not_found() {
        let (mut bench, _, url) = granted("ViewerAsset");
        let none = format!("{url}?notecard_id={}", Uuid::from_u128(1));
        assert_eq!(get(&mut bench, &none).0, 404);
        assert_eq!(get(&mut bench, &format!("{url}?notecard_id=x")).0, 400);
    }
}
