//! What an account has, asked of the reference grid directly: nothing acknowledged is lost, and
//! whatever is refused changes nothing.

use gridproof::client::{Common, Credentials, Journey, Over, Via, Viewer, Wanted, agent_message};
use gridproof::grid::{Account, Grid, GridConfig};
use gridproof::net::http::{self, Request};
use gridproof::net::{Timeline, http::Client};
use gridproof::proto::llsd::{Llsd, from_xml, to_xml};
use gridproof::proto::message::{Field, FieldValue, Message};
use gridproof::proto::template::Template;
use gridproof::proto::{seed::CONTENT_TYPE, teleport::handle};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(20);

fn viewer(login_uri: &str, time_factor: u32) -> Viewer {
    let common = Common {
        login_uri: login_uri.to_owned(),
        http: Client::new(gridproof::net::Network::System),
        template: Template::shipped().clone(),
        time_factor,
        time_scale: 1.0,
        most_patience: Duration::MAX,
        login_form: None,
        agreed: Default::default(),
        login_turns: Arc::new(tokio::sync::Semaphore::new(1)),
        departures: Default::default(),
    };
    let credentials =
        Credentials { first: "Jane".into(), last: "Doe".into(), password: "pw".into() };
    Viewer::new("Jane", credentials, common, Timeline::start().tap())
}

async fn grid(config: GridConfig) -> Grid {
    let accounts = vec![Account::new("Jane", "Doe", "pw")];
    Grid::start(GridConfig { accounts, time_factor: 40, ..config }).await.unwrap()
}

/// Enters; the root folder of the inventory.
async fn enter(jane: &mut Viewer) -> Uuid {
    let members = jane.enter("home", WITHIN).await.unwrap();
    let root = members.get("inventory-root").and_then(Llsd::as_array).unwrap();
    root[0].get("folder_id").and_then(Llsd::as_uuid).unwrap()
}

async fn post(client: &http::Client, url: &str, body: &Llsd) -> Result<(u16, Llsd), ()> {
    let request = Request::post(url, CONTENT_TYPE, to_xml(body));
    let reply = client.ask(request, WITHIN).await.map_err(drop)?;
    Ok((reply.status, from_xml(&reply.body).unwrap_or_default()))
}

fn new_folder(id: Uuid, parent: Uuid) -> Llsd {
    Llsd::map([
        ("folder_id", Llsd::Uuid(id)),
        ("parent_id", Llsd::Uuid(parent)),
        ("type", Llsd::Integer(-1)),
        ("name", Llsd::String(format!("folder {id}"))),
    ])
}

fn make_by_udp(jane: &Viewer, id: Uuid, parent: Uuid) -> Message {
    let session = jane.session().unwrap();
    agent_message(&jane.common.template, "CreateInventoryFolder", session)
        .with("FolderData", "FolderID", Field::Uuid(id))
        .with("FolderData", "ParentID", Field::Uuid(parent))
        .with("FolderData", "Type", Field::S8(-1))
        .with("FolderData", "Name", FieldValue::text("by udp"))
}

/// A grid in a process of its own, and where to log in.
fn serve(data: &std::path::Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gridproof"))
        .args(["serve", "--json", "--time-factor", "40", "--account", "Jane Doe:pw", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
    (child, announced["login_uri"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_hundred_kills() {
    let data = tempfile::tempdir().unwrap();
    let acknowledged: Arc<Mutex<BTreeSet<Uuid>>> = Arc::default();
    for round in 0..=100 {
        let (mut child, login_uri) = serve(data.path());
        let mut jane = viewer(&login_uri, 40);
        let root = enter(&mut jane).await;
        let there = jane.fetch_folder(Wanted::own(root), Over::Any, WITHIN).await.unwrap();
        let there: BTreeSet<Uuid> = there.folders.iter().map(|folder| folder.id).collect();
        let lost: Vec<Uuid> =
            acknowledged.lock().unwrap().iter().filter(|id| !there.contains(id)).copied().collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} were acknowledged and are lost");
        if round == 100 {
            child.kill().unwrap();
            child.wait().unwrap();
            break;
        }
        // Writers by HTTP and by UDP, until the grid dies under them.
        let (told, mut acks) = mpsc::unbounded_channel();
        let url = jane.cap("CreateInventoryCategory").unwrap().to_owned();
        for _ in 0..3 {
            let (told, url, all) = (told.clone(), url.clone(), acknowledged.clone());
            let client = jane.common.http.clone();
            tokio::spawn(async move {
                loop {
                    let id = Uuid::new_v4();
                    match post(&client, &url, &new_folder(id, root)).await {
                        Ok((200, _)) => drop(all.lock().unwrap().insert(id)),
                        _ => return,
                    }
                    let _ = told.send(());
                }
            });
        }
        let enough = rand::random_range(0..8);
        for _ in 0..enough {
            let id = Uuid::new_v4();
            let sent = jane.send("root", make_by_udp(&jane, id, root), true).await;
            if jane.acked("root", sent, WITHIN).await {
                acknowledged.lock().unwrap().insert(id);
            }
            let _ = acks.recv().await;
        }
        // Whatever was on its way is lost or not, as it happens; nothing is cleaned up.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(acknowledged.lock().unwrap().len() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_capability_is_granted_folders_come_by_udp() {
    let without = ["FetchInventoryDescendents2", "InventoryAPIv3"].map(str::to_owned).to_vec();
    let grid = grid(GridConfig { without, ..GridConfig::default() }).await;
    let mut jane = viewer(&grid.login_uri, grid.time_factor);
    let root = enter(&mut jane).await;
    assert_eq!(jane.cap("FetchInventoryDescendents2"), None);
    let fetched = jane.fetch_folder(Wanted::own(root), Over::Any, WITHIN).await.unwrap();
    assert!(fetched.via == Via::Udp && fetched.folders.len() == 18 && fetched.consistent);
    // The library's capability is still there, and used.
    let library = Wanted {
        owner: uuid::uuid!("11111111-1111-0000-0000-000100bba000"),
        ..Wanted::own(uuid::uuid!("00000112-000f-0000-0000-000100bba000"))
    };
    let fetched = jane.fetch_folder(library, Over::Any, WITHIN).await.unwrap();
    assert!(fetched.via == Via::Http && fetched.folders.len() == 4);
    jane.log_out().await;
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_way_to_tell_of_a_teleport_is_followed_too() {
    let config = GridConfig { announces_destinations: true, ..GridConfig::default() };
    let grid = grid(config).await;
    let mut jane = viewer(&grid.login_uri, grid.time_factor);
    enter(&mut jane).await;
    let session = jane.session().cloned().unwrap();
    let gamma = handle(1010 * 256, 1010 * 256);
    let request = agent_message(&jane.common.template, "TeleportLocationRequest", &session)
        .with("Info", "RegionHandle", Field::U64(gamma))
        .with("Info", "Position", Field::Vector3([10.0, 20.0, 30.0]));
    jane.send("root", request, true).await;
    let deadline = tokio::time::Instant::now() + WITHIN;
    let events = jane.mailbox.wait(deadline, |heard| {
        let events: Vec<_> = heard
            .iter()
            .filter_map(|observed| match &observed.what {
                gridproof::client::What::Event(event) => Some(event.clone()),
                _ => None,
            })
            .collect();
        events.iter().any(|event| event.message == "TeleportFinish").then_some(events)
    });
    let events = events.await.unwrap();
    let names: Vec<&str> = events.iter().map(|event| event.message.as_str()).collect();
    let last: Vec<&str> = names[names.len() - 3..].to_vec();
    assert_eq!(last, ["EnableSimulator", "EstablishAgentCommunication", "TeleportFinish"]);
    let journey = Journey::parse(&events[events.len() - 1].body, &jane).unwrap();
    let arrived = jane.follow(journey, "gamma", WITHIN).await.unwrap();
    assert_eq!(arrived.field("Data", "RegionHandle"), Some(&Field::U64(gamma)));
    assert!(jane.log_out().await);
    assert_eq!(grid.population(), 0);
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_folders_in_one_request_are_answered_and_more_are_refused() {
    let grid = grid(GridConfig::default()).await;
    let mut jane = viewer(&grid.login_uri, grid.time_factor);
    let root = enter(&mut jane).await;
    let url = jane.cap("FetchInventoryDescendents2").unwrap().to_owned();
    let ask = |n: usize| {
        let other = |_| Llsd::map([("folder_id", Llsd::Uuid(Uuid::new_v4()))]);
        let own = Llsd::map([("folder_id", Llsd::Uuid(root))]);
        let folders = (1..n).map(other).chain([own]).collect();
        Llsd::map([("folders", Llsd::Array(folders))])
    };
    let client = jane.common.http.clone();
    let (status, answer) = post(&client, &url, &ask(10_000)).await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(answer.get("folders").and_then(Llsd::as_array).unwrap().len(), 1);
    assert_eq!(answer.get("bad_folders").and_then(Llsd::as_array).unwrap().len(), 9_999);
    assert_eq!(post(&client, &url, &ask(10_001)).await.unwrap().0, 403);
    assert_eq!(post(&client, &url, &ask(1)).await.unwrap().0, 200);
    jane.log_out().await;
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ways_into_one_folder_lose_nothing_of_each_other() {
    const EACH: usize = 40;
    let grid = grid(GridConfig::default()).await;
    let mut jane = viewer(&grid.login_uri, grid.time_factor);
    let root = enter(&mut jane).await;
    let before = jane.fetch_folder(Wanted::own(root), Over::Any, WITHIN).await.unwrap();
    let url = jane.cap("CreateInventoryCategory").unwrap().to_owned();
    let client = jane.common.http.clone();
    let by_http = tokio::spawn(async move {
        for _ in 0..EACH {
            let made = post(&client, &url, &new_folder(Uuid::new_v4(), root)).await.unwrap();
            assert_eq!(made.0, 200);
        }
    });
    for _ in 0..EACH {
        let sent = jane.send("root", make_by_udp(&jane, Uuid::new_v4(), root), true).await;
        assert!(jane.acked("root", sent, WITHIN).await);
    }
    by_http.await.unwrap();
    for over in [Over::Http, Over::Udp] {
        let after = jane.fetch_folder(Wanted::own(root), over, WITHIN).await.unwrap();
        assert_eq!(after.folders.len(), before.folders.len() + 2 * EACH);
        let made = i32::try_from(2 * EACH).unwrap();
        assert_eq!(after.version, before.version + made);
    }
    jane.log_out().await;
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_changes_nothing_and_can_be_made_again() {
    let grid = grid(GridConfig::default()).await;
    let mut jane = viewer(&grid.login_uri, grid.time_factor);
    let root = enter(&mut jane).await;
    let url = jane.cap("NewFileAgentInventory").unwrap().to_owned();
    let text = |text: &str| Llsd::string(text);
    let asked = Llsd::map([
        ("folder_id", Llsd::Uuid(root)),
        ("asset_type", text("texture")),
        ("inventory_type", text("texture")),
        ("name", text("a picture")),
    ]);
    let client = jane.common.http.clone();
    let (_, begun) = post(&client, &url, &asked).await.unwrap();
    let uploader = begun.get("uploader").and_then(Llsd::as_str).unwrap().to_owned();
    let (host, path) = uploader.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut cut = std::net::TcpStream::connect(host).unwrap();
    let head = format!("POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\nhalf");
    cut.write_all(head.as_bytes()).unwrap();
    drop(cut);
    let fetched = jane.fetch_folder(Wanted::own(root), Over::Http, WITHIN).await.unwrap();
    assert_eq!(fetched.items, []);
    let whole = Request::post(uploader, "application/octet-stream", "all of it");
    let reply = client.ask(whole, WITHIN).await.unwrap();
    let done = from_xml(&reply.body).unwrap();
    assert_eq!(done.get("state").and_then(Llsd::as_str), Some("complete"));
    let fetched = jane.fetch_folder(Wanted::own(root), Over::Http, WITHIN).await.unwrap();
    assert_eq!(fetched.items.len(), 1);
    jane.log_out().await;
    grid.shutdown().await;
}
