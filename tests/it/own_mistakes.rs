//! What the reference grid says of itself: its own mistakes, and what it does not serve.

use gridproof::client::{Credentials, ROOT, Viewer, agent_message};
use gridproof::grid::{Grid, GridConfig};
use gridproof::net::tap::{Passed, Tap};
use gridproof::net::{Path, simulate};
use gridproof::proto::message::Message;
use gridproof::proto::template::Template;
use gridproof::runner::{Target, reference_target};
use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(10);

async fn entered(target: &Target, n: usize) -> Viewer {
    let common = target.common(Template::shipped().clone());
    let account = target.accounts[n].clone();
    let mut viewer = Viewer::new(&format!("{n}"), account, common, Tap::default());
    viewer.enter("uri:Alpha&128&128&30", WITHIN).await.unwrap();
    viewer
}

fn chat(viewer: &Viewer) -> Message {
    let session = viewer.session().unwrap();
    agent_message(Template::shipped(), "ChatFromViewer", session)
}

/// Whatever handles one message takes nobody else along.
#[test]
fn a_handler_that_panics_is_told_and_its_region_lives() {
    // Whoever is told of what passes is called while a message is handled.
    let witness = Arc::new(|heard: gridproof::net::tap::Fact| {
        if let Passed::Received(received) = &heard.what
            && received.message.as_ref().is_ok_and(|message| message.name() == "ChatFromViewer")
        {
            panic!("a slip of the pen");
        }
    });
    let ran = simulate(1, Path::default(), async |network| {
        let config = GridConfig { network, tap: Tap::of(witness), ..GridConfig::default() };
        let grid = Grid::start(config).await.unwrap();
        let target = reference_target(&grid);
        let mut jane = entered(&target, 0).await;
        jane.send(ROOT, chat(&jane), true).await;
        assert_eq!(jane.circuit_lives(ROOT).await, Ok(true));
        let mut john = entered(&target, 1).await;
        assert!(jane.log_out().await && john.log_out().await);
        let mistakes = grid.mistakes();
        grid.shutdown().await;
        mistakes
    });
    let mistakes = ran.unwrap();
    assert_eq!(mistakes, ["the handler of ChatFromViewer panicked (a slip of the pen)"]);
}

/// A bot's author is told what the grid does not have, once, without asking for it.
#[tokio::test(flavor = "multi_thread")]
async fn serve_says_once_what_it_does_not_serve() {
    let mut command = crate::served::gridproof();
    command.args(["serve", "--json", "--account", "Jane Doe:pw"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
    let credentials =
        Credentials { first: "Jane".into(), last: "Doe".into(), password: "pw".into() };
    let uri = announced["login_uri"].as_str().unwrap();
    let target = Target::new("served", uri, vec![credentials]);
    let mut jane = entered(&target, 0).await;
    let session = jane.session().cloned().unwrap();
    for _ in 0..3 {
        let ask = agent_message(Template::shipped(), "MuteListRequest", &session);
        jane.send(ROOT, ask, true).await;
        jane.ask_seed(&["NoSuchThing", "EventQueueGet"], WITHIN).await.unwrap();
    }
    assert!(jane.circuit_lives(ROOT).await.unwrap());
    assert!(jane.log_out().await);
    crate::served::interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    for name in ["message MuteListRequest", "capability NoSuchThing"] {
        let line = format!("{name} is not served here");
        assert_eq!(told.matches(&line).count(), 1, "{name}:\n{told}");
    }
    assert!(!told.contains("logged in"), "only with --log info:\n{told}");
}
