//! Uploads: a capability says where the bytes go, and the place it names takes them once.

use super::Own;
use super::http::Answer;
use crate::grid::core::{Asked, Body, Core, Owner};
use crate::grid::inventory::{MOST_BYTES, Refusal, own_item};
use crate::proto::id::AgentId;
use crate::proto::inventory::{Item, NOTECARD, SCRIPT, TYPE_NAMES};
use crate::proto::llsd::{Llsd, from_xml};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// What becomes of the bytes of one upload.
#[derive(Clone, Debug, PartialEq)]
enum Upload {
    /// A new item stands for them.
    New(Item),
    /// An item that is there stands for them from now on.
    Into { item: Uuid, kind: i8 },
}

/// So many uploaders of one agent wait at the same time.
const MOST_WAITING: usize = 32;

/// A request that begins an upload is no longer than this, names and all.
const MOST_ASKED: usize = 64 << 10;

/// An uploader that nobody uses is gone after this.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the place is called that takes the bytes of one upload.
pub(super) const UPLOADER: &str = "uploader";

/// Uploads that wait for their bytes, by the id of their uploader.
#[derive(Default)]
struct Waiting(BTreeMap<String, Upload>);

pub(super) fn new_item(core: &mut Core, asked: &Asked<'_>) -> Answer {
    begin(core, asked, new_item_of)
}

pub(super) fn into_notecard(core: &mut Core, asked: &Asked<'_>) -> Answer {
    begin(core, asked, |core, agent, asked| into(core, agent, asked, NOTECARD))
}

pub(super) fn into_script(core: &mut Core, asked: &Asked<'_>) -> Answer {
    begin(core, asked, |core, agent, asked| into(core, agent, asked, SCRIPT))
}

/// Begins an upload: a place is named that takes its bytes.
fn begin(
    core: &mut Core,
    asked: &Asked<'_>,
    wanted: fn(&mut Core, AgentId, &Llsd) -> Wanted,
) -> Answer {
    if asked.request.method != "POST" {
        return Err(405);
    }
    if asked.request.body.len() > MOST_ASKED {
        return Err(413);
    }
    let Ok(map @ Llsd::Map(_)) = from_xml(&asked.request.body) else { return Err(400) };
    let owner = Owner::Agent(asked.agent);
    let body = match wanted(core, asked.agent, &map) {
        Ok(_) if core.world.caps.of(owner).count() >= MOST_WAITING => {
            refusal("too many uploads wait for their bytes")
        }
        Ok(upload) => {
            let id = core.world.grant_own(owner, UPLOADER);
            let url = core.world.url(&id);
            core.states.of::<Waiting>().0.insert(id.clone(), upload);
            core.after(PATIENCE, "an uploader", move |core| {
                core.states.of::<Waiting>().0.remove(&id);
                core.world.caps.remove(&id);
            });
            Llsd::map([("state", Llsd::string("upload")), ("uploader", Llsd::String(url))])
        }
        Err(message) => refusal(message),
    };
    Ok((200, Body::Llsd(body)))
}

/// How uploads say no: with 200, and no uploader.
fn refusal(message: &str) -> Llsd {
    let error =
        Llsd::map([("message", Llsd::string(message)), ("identifier", Llsd::string("gridproof"))]);
    Llsd::map([("state", Llsd::string("error")), ("error", error)])
}

type Wanted = Result<Upload, &'static str>;

fn new_item_of(core: &mut Core, agent: AgentId, asked: &Llsd) -> Wanted {
    let text = |key: &str| asked.get(key).and_then(Llsd::as_str);
    let named = |key: &str| TYPE_NAMES.iter().find(|(known, _, _)| Some(*known) == text(key));
    let folder = asked.get("folder_id").and_then(Llsd::as_uuid).ok_or("no folder is named")?;
    let (_, kind, implied) = *named("asset_type").ok_or("no such type of asset")?;
    let inv_kind = named("inventory_type").map_or(implied, |(_, _, inv_kind)| *inv_kind);
    let name = text("name").filter(|name| !name.is_empty()).ok_or("the item has no name")?;
    let known = core.inventories.of(agent).is_ok_and(|own| own.folder(folder).is_some());
    if !known {
        return Err("there is no such folder");
    }
    let mut item = own_item(agent, folder, kind, inv_kind, name);
    item.description = text("description").unwrap_or_default().to_owned();
    let mask = |key| asked.get(key).and_then(Llsd::as_i32).unwrap_or_default().cast_unsigned();
    item.next_mask = mask("next_owner_mask") & item.base_mask;
    item.group_mask = mask("group_mask") & item.base_mask;
    item.everyone_mask = mask("everyone_mask") & item.base_mask;
    Ok(Upload::New(item))
}

fn into(core: &mut Core, agent: AgentId, asked: &Llsd, kind: i8) -> Wanted {
    let item = asked.get("item_id").and_then(Llsd::as_uuid);
    if core.breaks(Own::UploadsAnywhere) {
        return Ok(Upload::Into { item: item.unwrap_or_default(), kind });
    }
    let item = item.ok_or("no item is named")?;
    let own = core.inventories.of(agent).map_err(|_| "the inventory cannot be read")?;
    let found = own.item(item).map(|item| item.kind);
    match found {
        Some(found) if found == kind => Ok(Upload::Into { item, kind }),
        Some(_) => Err("the item is of another type"),
        None => Err("there is no such item"),
    }
}

/// Takes the bytes of an upload.
pub(super) fn finish(core: &mut Core, asked: &Asked<'_>) -> Answer {
    let bytes = &asked.request.body;
    if asked.request.method != "POST" {
        return Err(405);
    }
    if bytes.is_empty() {
        return Err(400);
    }
    if bytes.len() > MOST_BYTES {
        return Err(413);
    }
    // From here on it is used, whatever comes of it.
    let upload = match core.breaks(Own::UploadsTwice) {
        true => core.states.of::<Waiting>().0.get(asked.id).cloned(),
        false => {
            core.world.caps.remove(asked.id);
            core.states.of::<Waiting>().0.remove(asked.id)
        }
    };
    let body = match keep(core, asked.agent, upload.ok_or(404u16)?, bytes) {
        Ok(members) => Llsd::map(members),
        Err(refused) => refusal(&refused.to_string()),
    };
    Ok((200, Body::Llsd(body)))
}

/// Stores the bytes, then lets the item stand for them.
fn keep(
    core: &mut Core,
    agent: AgentId,
    upload: Upload,
    bytes: &[u8],
) -> Result<Vec<(&'static str, Llsd)>, Refusal> {
    let (asset, faults) = (core.chance.uuid(), core.faults.clone());
    let all = &mut core.inventories;
    let kind = match &upload {
        Upload::New(item) => item.kind,
        Upload::Into { kind, .. } => *kind,
    };
    let stored = match faults.breaks(Own::ForgetsUploads) {
        true => all.put_asset(asset, kind, b"something else"),
        false => all.put_asset(asset, kind, bytes),
    };
    if !stored {
        return Err(Refusal::Full);
    }
    let item = match upload {
        Upload::New(item) => all.change(agent, |own| own.create_item(Item { asset, ..item }))?,
        Upload::Into { item, .. } => {
            let anywhere = faults.breaks(Own::UploadsAnywhere);
            let owner = all.item_owner(item).filter(|_| anywhere).unwrap_or(agent.0);
            let forgets = faults.breaks(Own::ForgetsAssets);
            all.change(AgentId(owner), |own| {
                own.update_item(item, |item| item.asset = if forgets { item.asset } else { asset })
            })?
        }
    };
    let mask = |mask: u32| Llsd::Integer(mask.cast_signed());
    let mut members = vec![
        ("state", Llsd::string("complete")),
        ("new_asset", Llsd::Uuid(asset)),
        ("new_inventory_item", Llsd::Uuid(item.id)),
    ];
    if kind == SCRIPT {
        let errors = faulty_lines(bytes);
        members.push(("compiled", Llsd::Boolean(errors.is_empty())));
        members.push(("errors", Llsd::Array(errors.into_iter().map(Llsd::String).collect())));
    } else {
        members.push(("new_next_owner_mask", mask(item.next_mask)));
        members.push(("new_group_mask", mask(item.group_mask)));
        members.push(("new_everyone_mask", mask(item.everyone_mask)));
        members.push(("inventory_item_flags", mask(item.flags)));
    }
    Ok(members)
}

/// What is plainly wrong with a script: no compiler, but braces and a default state are asked for.
fn faulty_lines(bytes: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return vec!["(0, 0) : ERROR : not UTF-8".into()];
    };
    let (mut depth, mut errors) = (0i32, Vec::new());
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for sign in code.chars() {
            depth += i32::from(sign == '{') - i32::from(sign == '}');
        }
        if depth < 0 {
            errors.push(format!("({number}, 0) : ERROR : Syntax error"));
            depth = 0;
        }
    }
    if depth != 0 || !text.contains("default") {
        let last = text.lines().count();
        errors.push(format!("({last}, 0) : ERROR : Syntax error"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_faulty_where_braces_or_its_state_are() {
        assert_eq!(faulty_lines(b"default { state_entry() { } }"), [""; 0]);
        assert!(!faulty_lines(b"default { state_entry() { }").is_empty());
        assert!(!faulty_lines(b"// default {\n}").is_empty());
        assert!(!faulty_lines(b"\xff").is_empty());
    }

    #[test]
    fn so_many_uploaders_wait_and_no_more() {
        let mut bench = crate::grid::bench::Bench::new(&[]);
        let jane = bench.enter(0);
        let root = bench.core.inventories.of(bench.viewers[jane].agent).unwrap().root;
        let (seed, name) = (bench.viewers[jane].seed.clone(), "NewFileAgentInventory");
        let url = bench.caps(&seed, &[name])[name].clone();
        let asked = |name: &str| {
            Llsd::map([
                ("folder_id", Llsd::Uuid(root)),
                ("asset_type", Llsd::string("notecard")),
                ("name", Llsd::string(name)),
            ])
        };
        let mut state = |name: &str| {
            let (_, reply) = bench.post(&url, &asked(name));
            reply.get("state").and_then(Llsd::as_str).unwrap().to_owned()
        };
        assert_eq!(state(""), "error");
        for _ in 0..MOST_WAITING {
            assert_eq!(state("a note"), "upload");
        }
        assert_eq!(state("a note"), "error");
    }
}
