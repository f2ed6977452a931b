//! Uploads: a capability says where the bytes go, and the place it names takes them once.

use super::model::Refusal;
use super::{MOST_BYTES, own_item};
use crate::grid::capability::{Cap, Purpose};
use crate::grid::reply::{Body, Reply};
use crate::grid::{Policy, Shared};
use crate::net::server::Request;
use crate::proto::inventory::{Item, NOTECARD, SCRIPT, TYPE_NAMES};
use crate::proto::llsd::{Llsd, from_xml};
use crate::tamper::Channel;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What becomes of the bytes of one upload.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::grid) enum Upload {
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

/// Answers a capability that begins an upload; a status where it refuses, none where it is
/// another's.
pub(in crate::grid) fn begin(
    shared: &Arc<Shared>,
    name: &str,
    agent: Uuid,
    region: usize,
    request: &Request,
) -> Option<Result<Body, u16>> {
    let wanted = match name {
        "NewFileAgentInventory" => new_item,
        "UpdateNotecardAgentInventory" => into_notecard,
        "UpdateScriptAgent" => into_script,
        _ => return None,
    };
    if request.method != "POST" {
        return Some(Err(405));
    }
    if request.body.len() > MOST_ASKED {
        return Some(Err(413));
    }
    let Ok(asked @ Llsd::Map(_)) = from_xml(&request.body) else { return Some(Err(400)) };
    let body = match wanted(shared, agent, &asked) {
        Ok(upload) => {
            let id = shared.config.network.chance().uuid().to_string();
            let purpose = Purpose::Uploader(Box::new(upload));
            let mut world = shared.world();
            if world.uploaders(agent) >= MOST_WAITING {
                return Some(Ok(Body::Llsd(refusal("too many uploads wait for their bytes"))));
            }
            world.caps.insert(id.clone(), Cap { agent, region, purpose });
            let url = world.url(&id);
            drop(world);
            expire(shared.clone(), id);
            Llsd::map([("state", Llsd::string("upload")), ("uploader", Llsd::String(url))])
        }
        Err(message) => refusal(message),
    };
    Some(Ok(Body::Llsd(body)))
}

fn expire(shared: Arc<Shared>, id: String) {
    tokio::spawn(async move {
        tokio::time::sleep(PATIENCE / shared.config.time_factor.max(1)).await;
        shared.world().caps.remove(&id);
    });
}

/// How uploads say no: with 200, and no uploader.
fn refusal(message: &str) -> Llsd {
    let error =
        Llsd::map([("message", Llsd::string(message)), ("identifier", Llsd::string("gridproof"))]);
    Llsd::map([("state", Llsd::string("error")), ("error", error)])
}

type Wanted = Result<Upload, &'static str>;

fn new_item(shared: &Arc<Shared>, agent: Uuid, asked: &Llsd) -> Wanted {
    let text = |key: &str| asked.get(key).and_then(Llsd::as_str);
    let named = |key: &str| TYPE_NAMES.iter().find(|(known, _, _)| Some(*known) == text(key));
    let folder = asked.get("folder_id").and_then(Llsd::as_uuid).ok_or("no folder is named")?;
    let (_, kind, implied) = *named("asset_type").ok_or("no such type of asset")?;
    let inv_kind = named("inventory_type").map_or(implied, |(_, _, inv_kind)| *inv_kind);
    let name = text("name").filter(|name| !name.is_empty()).ok_or("the item has no name")?;
    let known = shared.inventories().of(agent).is_ok_and(|own| own.folder(folder).is_some());
    if !known {
        return Err("there is no such folder");
    }
    let mut item = own_item(agent, folder, kind, inv_kind, name);
    item.description = text("description").unwrap_or_default().to_owned();
    let mask = |key: &str| asked.get(key).and_then(Llsd::as_i32).unwrap_or_default() as u32;
    item.next_mask = mask("next_owner_mask") & item.base_mask;
    item.group_mask = mask("group_mask") & item.base_mask;
    item.everyone_mask = mask("everyone_mask") & item.base_mask;
    Ok(Upload::New(item))
}

fn into_notecard(shared: &Arc<Shared>, agent: Uuid, asked: &Llsd) -> Wanted {
    into(shared, agent, asked, NOTECARD)
}

fn into_script(shared: &Arc<Shared>, agent: Uuid, asked: &Llsd) -> Wanted {
    into(shared, agent, asked, SCRIPT)
}

fn into(shared: &Arc<Shared>, agent: Uuid, asked: &Llsd, kind: i8) -> Wanted {
    let item = asked.get("item_id").and_then(Llsd::as_uuid);
    if shared.config.faults.breaks(Policy::UploadsAnywhere) {
        return Ok(Upload::Into { item: item.unwrap_or_default(), kind });
    }
    let item = item.ok_or("no item is named")?;
    let mut all = shared.inventories();
    let own = all.of(agent).map_err(|_| "the inventory cannot be read")?;
    let found = own.item(item).map(|item| item.kind);
    match found {
        Some(found) if found == kind => Ok(Upload::Into { item, kind }),
        Some(_) => Err("the item is of another type"),
        None => Err("there is no such item"),
    }
}

/// Takes the bytes of an upload.
pub(in crate::grid) fn finish(
    shared: &Arc<Shared>,
    id: &str,
    agent: Uuid,
    upload: Upload,
    request: &Request,
) -> Reply {
    let status = |status| Reply::status(Channel::Caps, "uploader", status);
    if request.method != "POST" {
        return status(405);
    }
    if request.body.is_empty() {
        return status(400);
    }
    if request.body.len() > MOST_BYTES {
        return status(413);
    }
    // From here on it is used, whatever comes of it.
    if shared.world().caps.remove(id).is_none() && !shared.config.faults.breaks(Policy::CapsOutlive)
    {
        return status(404);
    }
    if shared.config.faults.breaks(Policy::UploadsTwice) {
        let purpose = Purpose::Uploader(Box::new(upload.clone()));
        shared.world().caps.insert(id.to_owned(), Cap { agent, region: 0, purpose });
    }
    let body = match keep(shared, agent, upload, &request.body) {
        Ok(members) => Llsd::map(members),
        Err(refused) => refusal(&refused.to_string()),
    };
    Reply::new(Channel::Caps, "uploader", Body::Llsd(body))
}

/// Stores the bytes, then lets the item stand for them.
fn keep(
    shared: &Shared,
    agent: Uuid,
    upload: Upload,
    bytes: &[u8],
) -> Result<Vec<(&'static str, Llsd)>, Refusal> {
    let asset = shared.config.network.chance().uuid();
    let mut all = shared.inventories();
    let kind = match &upload {
        Upload::New(item) => item.kind,
        Upload::Into { kind, .. } => *kind,
    };
    let stored = match shared.config.faults.breaks(Policy::ForgetsUploads) {
        true => all.put_asset(asset, kind, b"something else"),
        false => all.put_asset(asset, kind, bytes),
    };
    if !stored {
        return Err(Refusal::Full);
    }
    let item = match upload {
        Upload::New(item) => all.change(agent, |own| own.create_item(Item { asset, ..item }))?,
        Upload::Into { item, .. } => {
            let anywhere = shared.config.faults.breaks(Policy::UploadsAnywhere);
            let owner = all.item_owner(item).filter(|_| anywhere).unwrap_or(agent);
            let forgets = shared.config.faults.breaks(Policy::ForgetsAssets);
            all.change(owner, |own| {
                own.update_item(item, |item| item.asset = if forgets { item.asset } else { asset })
            })?
        }
    };
    let mask = |mask: u32| Llsd::Integer(mask as i32);
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
