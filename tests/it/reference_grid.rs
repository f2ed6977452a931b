//! The reference grid, asked directly.

use gridproof::client::{Common, Credentials, Form, Viewer};
use gridproof::grid::{Account, Grid, GridConfig};
use gridproof::net::tap::{Fact, Passed, Tap};
use gridproof::net::{Path, Timeline, http};
use gridproof::proto::id::Sequence;
use gridproof::proto::llsd::Llsd;
use gridproof::proto::login::{METHOD, Reply, Request, Session, hash_password};
use gridproof::proto::message::{Datagram, Field, Flags, Header, Message};
use gridproof::proto::template::Template;
use gridproof::runner::{on_simulated_grid, reference_config};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;

const WITHIN: Duration = Duration::from_secs(10);

async fn grid(config: GridConfig) -> Grid {
    let accounts = vec![Account::new("Jane", "Doe", "pw"), Account::new("John", "Doe", "pw")];
    Grid::start(GridConfig { accounts, time_factor: 40, ..config }).await.unwrap()
}

fn viewer(grid: &Grid, first: &str) -> Viewer {
    viewer_at(grid, first, Tap::default())
}

fn viewer_at(grid: &Grid, first: &str, tap: Tap) -> Viewer {
    let common = Common {
        login_uri: grid.login_uri.clone(),
        http: http::Client::new(gridproof::net::Network::System),
        template: Template::shipped().clone(),
        time_factor: grid.time_factor,
        time_scale: 1.0,
        most_patience: std::time::Duration::MAX,
        login_form: None,
        agreed: Default::default(),
        login_turns: std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
        departures: Default::default(),
    };
    let credentials =
        Credentials { first: first.into(), last: "Doe".into(), password: "pw".into() };
    Viewer::new(first, credentials, common, tap)
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_asked_for_where_the_grid_wants_them_agreed_to() {
    let grid = grid(GridConfig { require_tos: true, ..GridConfig::default() }).await;
    let mut jane = viewer(&grid, "Jane");
    let mut request = Request::new("Jane", "Doe", &hash_password("pw"), "last", Default::default());
    request.remove("agree_to_tos");
    let uri = grid.login_uri.clone();
    for (agreed, granted) in [(None, false), (Some(false), false), (Some(true), true)] {
        if let Some(agreed) = agreed {
            request.set("agree_to_tos", Llsd::Boolean(agreed));
        }
        let exchange = jane.login_call(&uri, METHOD, Form::XmlRpc, &request, WITHIN).await.unwrap();
        match Reply::parse(&exchange.members.unwrap()).unwrap() {
            Reply::Success(_) => assert!(granted),
            Reply::Failure { reason, .. } => assert_eq!((reason.as_str(), granted), ("tos", false)),
            Reply::Indeterminate { .. } => panic!("never sent"),
        }
    }
    jane.log_out().await;
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_enters_and_leaves_leaves_nothing_behind() {
    let grid = grid(GridConfig::default()).await;
    let (mut jane, mut john) = (viewer(&grid, "Jane"), viewer(&grid, "John"));
    jane.enter("last", WITHIN).await.unwrap();
    john.enter("uri:Gamma&1&2&30", WITHIN).await.unwrap();
    assert_eq!(grid.population(), 2);
    assert!(jane.log_out().await);
    assert!(john.log_out().await);
    assert_eq!(grid.population(), 0);
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_presence_is_ended_and_the_login_tried_once_more() {
    let grid = grid(GridConfig::default()).await;
    let timeline = Timeline::start();
    let mut first = viewer(&grid, "Jane");
    let mut second = viewer_at(&grid, "Jane", timeline.tap());
    first.enter("last", WITHIN).await.unwrap();
    second.enter("last", WITHIN).await.unwrap();
    assert!(first.wait_for("root", "KickUser", WITHIN).await.is_some());
    let rows = timeline.rows();
    assert!(rows.iter().any(|row| row.text.contains("stale session")));
    assert_eq!(grid.population(), 1);
    assert!(second.log_out().await);
    assert_eq!(grid.population(), 0);
    grid.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_cut_short_leaves_no_session_behind() {
    let grid = grid(GridConfig::default()).await;
    for _ in 0..20 {
        let mut jane = viewer(&grid, "Jane");
        let cut = Duration::from_micros(rand::random_range(0..4000));
        let _ = tokio::time::timeout(cut, jane.enter("last", WITHIN)).await;
        jane.log_out().await;
        assert_eq!(grid.population(), 0);
    }
    grid.shutdown().await;
}

/// What a new viewer on a port says first, and one who leaves there says last.
fn datagram(sequence: Sequence, message: Message) -> Vec<u8> {
    let header = Header { flags: Flags::RELIABLE, sequence };
    Datagram { header, acks: Vec::new(), extra: Vec::new(), message }.encode().unwrap()
}

fn use_circuit_code(session: &Session) -> Message {
    Message::named(Template::shipped(), "UseCircuitCode")
        .with("CircuitCode", "Code", Field::U32(session.circuit_code.0))
        .with("CircuitCode", "SessionID", Field::Uuid(session.session_id.0))
        .with("CircuitCode", "ID", Field::Uuid(session.agent_id.0))
}

/// Waits for a message of this name to this agent.
async fn heard(socket: &UdpSocket, name: &str, agent: uuid::Uuid) {
    let mut buffer = vec![0; 65507];
    let wait = async {
        loop {
            let len = socket.recv(&mut buffer).await.unwrap();
            let datagram = Datagram::decode(Template::shipped(), &buffer[..len]).unwrap();
            let to = datagram.message.uuid("AgentData", "AgentID");
            if datagram.message.name() == name && to == Some(agent) {
                return;
            }
        }
    };
    tokio::time::timeout(WITHIN, wait).await.unwrap()
}

/// The system gives a port that was closed to the next who asks, while the grid still waits for the
/// last acks of the one who had it.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_may_have_a_new_owner_before_the_old_one_is_forgotten() {
    let grid = grid(GridConfig::default()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for first in ["Jane", "John"] {
        let mut viewer = viewer(&grid, first);
        let request = Request::new(first, "Doe", &hash_password("pw"), "home", Default::default());
        let uri = grid.login_uri.clone();
        let exchange =
            viewer.login_call(&uri, METHOD, Form::XmlRpc, &request, WITHIN).await.unwrap();
        let session = Session::salvage(&exchange.members.unwrap()).unwrap();
        socket.connect(session.simulator).await.unwrap();
        socket.send(&datagram(Sequence(1), use_circuit_code(&session))).await.unwrap();
        let movement = Message::named(Template::shipped(), "CompleteAgentMovement")
            .with("AgentData", "AgentID", Field::Uuid(session.agent_id.0))
            .with("AgentData", "SessionID", Field::Uuid(session.session_id.0))
            .with("AgentData", "CircuitCode", Field::U32(session.circuit_code.0));
        socket.send(&datagram(Sequence(2), movement)).await.unwrap();
        heard(&socket, "AgentMovementComplete", session.agent_id.0).await;
        // Leaves without acknowledging anything: the grid goes on sending to this port.
        let leave = Message::named(Template::shipped(), "LogoutRequest")
            .with("AgentData", "AgentID", Field::Uuid(session.agent_id.0))
            .with("AgentData", "SessionID", Field::Uuid(session.session_id.0));
        socket.send(&datagram(Sequence(3), leave)).await.unwrap();
        heard(&socket, "LogoutReply", session.agent_id.0).await;
    }
    grid.shutdown().await;
}

/// Some grids keep a session until they know that its LogoutReply was read.
#[test]
fn the_last_packet_is_acknowledged_before_the_socket_closes() {
    let facts = Arc::new(Mutex::new(Vec::new()));
    let heard = facts.clone();
    let tap = Tap::of(Arc::new(move |fact: Fact| heard.lock().unwrap().push(fact.what)));
    let config = GridConfig { tap, ..reference_config(1) };
    let left = on_simulated_grid(1, Path::default(), config, async |target| {
        let common = target.common(Template::shipped().clone());
        let account = target.accounts[0].clone();
        let mut viewer = Viewer::new("first", account, common, Tap::default());
        viewer.enter("last", WITHIN).await.unwrap();
        let left = viewer.log_out().await;
        // What was sent last is still on its way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        left
    });
    assert!(left.unwrap());
    let facts = facts.lock().unwrap();
    let reply = facts.iter().find_map(|what| match what {
        Passed::Sent(_, sent) if sent.message.name() == "LogoutReply" => Some(sent.header.sequence),
        _ => None,
    });
    let reply = reply.expect("the grid replied");
    let acked = |what: &Passed| matches!(what, Passed::Received(r) if r.acks.contains(&reply));
    assert!(facts.iter().any(acked), "LogoutReply #{reply} was never acknowledged");
}
