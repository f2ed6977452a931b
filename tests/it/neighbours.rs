//! A viewer calls on the regions that it is told of, as Second Life's do.

use gridproof::client::{Called, Journey, ROOT, Viewer, What, agent_message};
use gridproof::net::{Path, tap::Tap};
use gridproof::proto::llsd::Llsd;
use gridproof::proto::message::Field;
use gridproof::proto::teleport::handle;
use gridproof::proto::template::Template;
use gridproof::runner::{on_simulated_grid, reference_config};
use std::cell::RefCell;
use std::time::Duration;
use tokio::time::Instant;

const WITHIN: Duration = Duration::from_secs(20);

/// Somebody beside the border of the reference grid's first region, who follows or does not.
fn visit<T>(follows: bool, act: impl AsyncFnOnce(&mut Viewer) -> T) -> T {
    let acted = on_simulated_grid(1, Path::default(), reference_config(2), async |target| {
        let common = target.common(Template::shipped().clone());
        let mut viewer = Viewer::new("jane", target.accounts[0].clone(), common, Tap::default());
        viewer.follows = follows;
        let start = format!("uri:{}&250&128&30", target.regions[0]);
        viewer.enter(&start, WITHIN).await.unwrap();
        let acted = act(&mut viewer).await;
        assert!(viewer.log_out().await);
        acted
    });
    acted.unwrap()
}

/// The handle of the region east of where the viewer is.
fn east(viewer: &Viewer) -> u64 {
    let (x, y) = viewer.session().unwrap().region;
    handle(x + 256, y)
}

async fn event(viewer: &Viewer, name: &str) -> Option<Llsd> {
    let event = viewer.mailbox.wait(Instant::now() + WITHIN, |heard| {
        heard.iter().find_map(|observed| match &observed.what {
            What::Event(event) if event.message == name => Some(event.body.clone()),
            _ => None,
        })
    });
    event.await
}

#[test]
fn a_region_that_is_announced_is_called_on_and_its_seed_asked() {
    let (called, greeting) = visit(true, async |viewer| {
        let circuit = format!("neighbour {}", east(viewer));
        viewer.wait_for_neighbour(&circuit, WITHIN).await
    });
    assert!(called.address.is_some() && greeting.is_some());
    assert!(called.granted.unwrap().unwrap().contains(&"EventQueueGet".to_owned()));
}

#[test]
fn whoever_does_not_follow_opens_nothing() {
    let called = visit(false, async |viewer| {
        assert!(event(viewer, "EnableSimulator").await.is_some());
        let circuit = format!("neighbour {}", east(viewer));
        viewer.wait_for_neighbour(&circuit, Duration::from_secs(2)).await
    });
    assert_eq!(called, (Called::default(), None));
}

#[test]
fn a_teleport_goes_on_by_the_circuit_that_is_open() {
    visit(true, async |viewer| {
        let to = east(viewer);
        let circuit = format!("neighbour {to}");
        viewer.wait_for_neighbour(&circuit, WITHIN).await;
        let ports = RefCell::new(Vec::new());
        viewer.each_neighbour(|link| ports.borrow_mut().push(link.local()));
        let session = viewer.session().unwrap();
        let request = agent_message(Template::shipped(), "TeleportLocationRequest", session)
            .with("Info", "RegionHandle", Field::U64(to))
            .with("Info", "Position", Field::Vector3([128.0, 128.0, 30.0]));
        viewer.send(ROOT, request, true).await;
        let finish = event(viewer, "TeleportFinish").await.unwrap();
        let journey = Journey::parse(&finish, viewer).unwrap();
        let arrived = viewer.follow(journey, "there", WITHIN).await.unwrap();
        assert_eq!(arrived.field("Data", "RegionHandle"), Some(&Field::U64(to)));
        assert!(ports.borrow().contains(&viewer.link("there").unwrap().local()));
        // What was said on it before counts as said there.
        let now = Duration::ZERO;
        assert!(viewer.wait_for("there", "RegionHandshake", now).await.is_some());
        assert!(viewer.wait_for(&circuit, "RegionHandshake", now).await.is_none());
        assert!(viewer.place("there").unwrap().cap("EventQueueGet").is_some());
    });
}
