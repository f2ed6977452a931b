//! Conversations with a server of a few lines, on a simulated network: no port, no sleep.

use super::agent_message;
use super::bench::{NEVER, URL, answer, converse, converse_there, rpc, session, welcome};
use super::{Dead, EnterError, Form, Journey, LoginError, ROOT, Source, State, Viewer, What};
use crate::net::server::{Answer, Request};
use crate::proto::event_queue::{EnableSimulator, Event, PollReply};
use crate::proto::id::AgentId;
use crate::proto::llsd::{self, Llsd};
use crate::proto::message::{Field, Message};
use crate::proto::teleport::{Destination, TeleportFinish};
use crate::proto::template::Template;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

const WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_stale_session_is_waited_for_and_a_wrong_password_is_not() {
    let stale = |_: &Request, n: usize| match n {
        0 | 1 => rpc(&[("login", "false"), ("reason", "presence"), ("message", "again")]),
        _ => rpc(&session()),
    };
    let (entered, asked) = converse(stale, async |viewer| viewer.log_in("last", WITHIN).await);
    assert!(entered.is_ok());
    let times: Vec<u64> = asked.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(times, [0, 5, 10]);
    let wrong = |_: &Request, _| rpc(&[("login", "false"), ("reason", "key"), ("message", "no")]);
    let (refused, asked) = converse(wrong, async |viewer| viewer.log_in("last", WITHIN).await);
    assert!(matches!(refused, Err(LoginError::Refused { reason, .. }) if reason == "key"));
    assert_eq!(asked.len(), 1);
}

#[test]
fn a_grid_that_does_not_speak_xmlrpc_is_asked_in_llsd_unless_a_form_was_asked_for() {
    let llsd_only = |request: &Request, _| match request.is_of_type(llsd::CONTENT_TYPE) {
        true => {
            let members = session().into_iter().map(|(name, text)| (name, Llsd::string(text)));
            Answer::ok(llsd::CONTENT_TYPE, llsd::to_xml(&Llsd::map(members)))
        }
        false => Answer::status(404),
    };
    let (entered, _) = converse(llsd_only, async |viewer| {
        let entered = viewer.log_in("last", WITHIN).await.is_ok();
        (entered, matches!(viewer.state, State::LoggedIn(_)))
    });
    assert_eq!(entered, (true, true));
    let (entered, asked) = converse(llsd_only, async |viewer| {
        viewer.login_form = Some(Form::XmlRpc);
        viewer.log_in("last", WITHIN).await.is_ok()
    });
    assert_eq!((entered, asked.len()), (false, 1));
}

#[test]
fn a_call_that_is_never_answered_may_have_begun_a_session() {
    let (state, _) = converse(
        |_, _| Answer::status(NEVER),
        async |viewer| {
            viewer.common.login_uri = "http://127.0.0.1:8003/".into();
            let refused = viewer.log_in("last", WITHIN).await;
            assert!(refused.is_err());
            // Nobody took the call: there is no session.
            let unreached = matches!(viewer.state, State::LoggedOut);
            viewer.common.login_uri = "http://127.0.0.1:8002/".into();
            let silent = viewer.log_in("last", WITHIN).await;
            (unreached, silent.is_err(), matches!(viewer.state, State::Unanswered))
        },
    );
    assert_eq!(state, (true, true, true));
}

fn events(viewer: &Viewer) -> Vec<String> {
    viewer.mailbox.with(|heard| {
        let told = heard.iter().map(|observed| match (&observed.source, &observed.what) {
            (Source::Events(place), What::Event(event)) => format!("{place} {}", event.message),
            (_, What::Trouble(what)) => what.clone(),
            (_, What::Early(what)) => format!("early: {what}"),
            other => format!("{other:?}"),
        });
        told.collect()
    })
}

/// A viewer that polls the queue of the region where it stands, for some time.
fn poll(
    answers: impl Fn(usize) -> Answer + Send + Sync + 'static,
    time: Duration,
) -> (Vec<String>, Vec<(Duration, Request)>) {
    converse(
        move |_, n| answers(n),
        async |viewer| {
            let queue = ("EventQueueGet".to_owned(), "http://127.0.0.1:8002/queue".into());
            viewer.here().caps.push(queue);
            assert!(viewer.start_events());
            tokio::time::sleep(time).await;
            events(viewer)
        },
    )
}

#[test]
fn events_are_told_with_their_region_and_acknowledged_by_the_next_poll() {
    let event = Event { message: "EnableSimulator".into(), body: Llsd::Undef };
    let (told, asked) = poll(
        move |n| match n {
            0 => {
                let reply = PollReply { id: 42, events: vec![event.clone()] };
                Answer::ok(llsd::CONTENT_TYPE, llsd::to_xml(&reply.to_llsd()))
            }
            _ => Answer::status(404),
        },
        WITHIN,
    );
    assert_eq!(told, ["root EnableSimulator", "it ended: status 404"]);
    // Nothing is polled after the end.
    assert_eq!(asked.len(), 2);
    let second = String::from_utf8_lossy(&asked[1].1.body).into_owned();
    assert!(second.contains("<integer>42</integer>"), "{second}");
}

#[test]
fn a_queue_that_fails_for_some_seconds_goes_on() {
    let (told, asked) = poll(
        |n| match n {
            0..=6 => Answer::status(502),
            _ => Answer::status(404),
        },
        Duration::from_secs(60),
    );
    assert_eq!(asked.len(), 8);
    // One that goes on so is not one that is going: its answers come too early.
    assert_eq!(told[..7], ["early: status 502 after 0.0 s"; 7]);
    assert_eq!(told[7..], ["it ended: status 404"]);
    // Longer each time: a server that is in trouble is not stormed.
    let pauses: Vec<Duration> = asked.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(pauses.windows(2).all(|two| two[0] <= two[1]), "{pauses:?}");
    assert!(asked[7].0 > Duration::from_secs(15), "{pauses:?}");
}

/// Whatever goes wrong, what is told afterwards is heard.
#[test]
fn a_queue_that_refuses_or_answers_nonsense_is_asked_again() {
    let event = Event { message: "EnableSimulator".into(), body: Llsd::Undef };
    let (told, asked) = poll(
        move |n| match n {
            0 => Answer::status(403),
            1 => Answer::ok("text/html", "<html><body>not here</body></html>"),
            2 => {
                let reply = PollReply { id: 1, events: vec![event.clone()] };
                Answer::ok(llsd::CONTENT_TYPE, llsd::to_xml(&reply.to_llsd()))
            }
            _ => Answer::status(404),
        },
        Duration::from_secs(60),
    );
    assert_eq!(asked.len(), 4);
    assert_eq!(told[0], "status 403");
    assert_eq!(told[2..], ["root EnableSimulator", "it ended: status 404"]);
}

#[test]
fn a_poll_that_ends_early_counts_where_the_queue_lives_on() {
    let told = |then: fn() -> Answer| {
        let answers = move |n| match n {
            0 => Answer::status(502),
            1 => then(),
            _ => Answer::status(404),
        };
        poll(answers, Duration::from_secs(60)).0
    };
    // The queue of a region that the agent leaves says so before it is gone.
    assert_eq!(told(|| Answer::status(404)), ["it ended: status 404"]);
    let nothing = || answer(&PollReply { id: 1, events: Vec::new() }.to_llsd());
    assert_eq!(told(nothing), ["early: status 502 after 0.0 s", "it ended: status 404"]);
}

#[test]
fn a_queue_that_fails_ten_times_in_a_row_is_none() {
    let (alive, asked) = converse(
        |_, _| Answer::status(500),
        async |viewer| {
            let queue = ("EventQueueGet".to_owned(), "http://127.0.0.1:8002/queue".into());
            viewer.here().caps.push(queue);
            viewer.start_events();
            tokio::time::sleep(Duration::from_secs(5)).await;
            let early = viewer.queue_lives();
            tokio::time::sleep(Duration::from_secs(300)).await;
            (early, viewer.queue_lives())
        },
    );
    assert_eq!(alive.0, Ok(true));
    assert!(matches!(alive.1, Err(Dead::Queue(_))), "{alive:?}");
    // A pause grows to ten seconds and no further.
    assert!((30..60).contains(&asked.len()), "{} polls", asked.len());
}

/// A session has ended when its seed gives nothing more, whatever the status.
#[test]
fn gone_is_a_meaning_not_a_status() {
    let gives = |answer: fn() -> Answer| {
        converse(
            move |request, _| match request.is_of_type("text/xml") {
                true => rpc(&session()),
                false => answer(),
            },
            async |viewer| {
                viewer.log_in("last", WITHIN).await.unwrap();
                let session = viewer.session().unwrap();
                viewer.seed_gives(session, &["EventQueueGet"], WITHIN).await.unwrap()
            },
        )
        .0
    };
    fn map(members: &[(&str, &str)]) -> Answer {
        let members = members.iter().map(|(name, url)| (*name, Llsd::string(*url)));
        Answer::ok(llsd::CONTENT_TYPE, llsd::to_xml(&Llsd::map(members)))
    }
    assert_eq!(gives(|| Answer::status(404)), Some(false));
    assert_eq!(gives(|| Answer::ok("text/html", "<html>gone</html>")), Some(false));
    assert_eq!(gives(|| Answer::status(500)), None);
    assert_eq!(gives(|| map(&[("error", "no such session")])), Some(false));
    assert_eq!(gives(|| map(&[])), Some(false));
    assert_eq!(gives(|| map(&[("EventQueueGet", "http://127.0.0.1/q")])), Some(true));
}

#[test]
fn more_capabilities_than_any_grid_grants_are_not_kept() {
    let many = |_: &Request, _| {
        let all = (0..3000).map(|n| (format!("Cap{n}"), Llsd::string("http://127.0.0.1/x")));
        Answer::ok(llsd::CONTENT_TYPE, llsd::to_xml(&Llsd::map(all)))
    };
    let (kept, _) = converse(many, async |viewer| {
        viewer.ask_seed_at("http://127.0.0.1:8002/seed", &["Cap1"], WITHIN).await.unwrap();
        (viewer.here().caps.len(), viewer.cap("Cap1").is_some())
    });
    assert_eq!(kept, (1024, true));
}

#[test]
fn who_announces_thousands_is_called_on_for_a_few() {
    let (called, _) = converse(
        |_, _| rpc(&session()),
        async |viewer| {
            viewer.log_in("last", Duration::from_secs(5)).await.unwrap();
            let follower = viewer.follower().unwrap();
            for port in 3000..6000 {
                let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
                let enable = EnableSimulator { handle: port.into(), address, size: (256, 256) };
                follower.heed(&enable.to_event());
            }
            // Nobody answers there: the wait is over when its time is, and is not made again.
            let before = Instant::now();
            viewer.calls_answered(Duration::from_secs(3)).await;
            assert_eq!(before.elapsed(), Duration::from_secs(3));
            viewer.calls_answered(Duration::from_secs(3)).await;
            assert_eq!(before.elapsed(), Duration::from_secs(3));
            let called = std::cell::Cell::new(0);
            viewer.each_neighbour(|_| called.set(called.get() + 1));
            called.get()
        },
    );
    assert_eq!(called, 32);
}

/// A grid that lets everybody in and grants one capability at every seed.
fn lets_in(request: &Request, _: usize) -> Answer {
    match request.is_of_type("text/xml") {
        true => rpc(&session()),
        false => answer(&Llsd::map([("Cap", Llsd::string(URL))])),
    }
}

/// A viewer in its world.
fn in_the_world<T>(
    says: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static,
    talk: impl AsyncFnOnce(&mut Viewer) -> T,
) -> (T, Vec<String>) {
    let (said, asked) = converse_there(lets_in, says, async |viewer| {
        viewer.enter("last", WITHIN).await.unwrap();
        talk(viewer).await
    });
    (said, asked.into_iter().map(|(_, request)| request.path).collect())
}

fn to_port(port: u16, agent: u128, viewer: &Viewer) -> Option<Journey> {
    let to = Destination {
        agent_id: AgentId(uuid::Uuid::from_u128(agent)),
        address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
        handle: (256_000 << 32) | 512_000,
        seed: format!("{URL}there").into(),
    };
    Journey::parse(&TeleportFinish { to, flags: 16 }.to_event().body, viewer)
}

#[test]
fn a_teleport_goes_where_its_event_leads() {
    let ((root, old), asked) = in_the_world(welcome, async |viewer| {
        assert!(to_port(9001, 9, viewer).is_none(), "it is another agent's");
        let journey = to_port(9001, 1, viewer).unwrap();
        viewer.follow(journey, "there", WITHIN).await.unwrap();
        (viewer.root.clone(), viewer.circuit_lives(ROOT).await)
    });
    assert_eq!(root, "there");
    // A region out of view may close the circuit: nobody expects anything of it.
    assert_eq!(old, Ok(false));
    assert_eq!(asked, ["/", "/seed", "/there"]);
}

/// A grid may know an agent by the port that it came from at first, and hear it on no other.
#[test]
fn whoever_comes_back_does_so_on_the_circuit_that_is_still_open() {
    let (ports, _) = in_the_world(welcome, async |viewer| {
        let home = viewer.link(ROOT).unwrap();
        let (first, port) = (home.local(), home.remote().port());
        let there = to_port(9001, 1, viewer).unwrap();
        viewer.follow(there, "there", WITHIN).await.unwrap();
        let back = to_port(port, 1, viewer).unwrap();
        viewer.follow(back, "back", WITHIN).await.unwrap();
        assert_eq!(viewer.root, "back");
        assert!(viewer.link(ROOT).is_none(), "it has the new name");
        let heard = viewer.mailbox.with(|heard| {
            let back = Source::Circuit("back".to_owned());
            heard.iter().filter(|o| o.source == back && !o.taken).count()
        });
        assert!(heard > 0, "what it says now goes by the new name");
        (first, viewer.link("back").unwrap().local())
    });
    assert_eq!(ports.0, ports.1);
}

#[test]
fn whoever_is_cut_short_leaves_by_the_circuits_that_are_open() {
    let codes = Arc::new(AtomicUsize::new(0));
    let (counted, moves) = (codes.clone(), AtomicUsize::new(0));
    let says = move |message: &Message| match message.name() {
        // The second region never says that the avatar has come.
        "CompleteAgentMovement" if moves.fetch_add(1, Ordering::Relaxed) > 0 => Vec::new(),
        name => {
            counted.fetch_add(usize::from(name == "UseCircuitCode"), Ordering::Relaxed);
            welcome(message)
        }
    };
    let (left, _) = in_the_world(says, async |viewer| {
        let there = to_port(9001, 1, viewer).unwrap();
        assert!(viewer.follow(there, "there", Duration::from_secs(5)).await.is_err());
        viewer.log_out().await
    });
    assert!(left);
    assert_eq!(codes.load(Ordering::Relaxed), 2, "no circuit was opened to log out");
}

#[test]
fn a_queue_is_polled_until_its_region_is_left_for_good() {
    let polls = |dismissed: bool| {
        let says = move |message: &Message| match message.name() {
            "CompleteAgentMovement" if dismissed => {
                let farewell = Message::named(Template::shipped(), "DisableSimulator");
                [welcome(message), vec![farewell]].concat()
            }
            _ => welcome(message),
        };
        let answers = |request: &Request, n: usize| match request.path.as_str() {
            "/cap/queue" => answer(&PollReply { id: 1, events: Vec::new() }.to_llsd()),
            "/seed" => {
                let queue = Llsd::string(format!("{URL}cap/queue"));
                answer(&Llsd::map([("EventQueueGet", queue)]))
            }
            _ => lets_in(request, n),
        };
        let (_, asked) = converse_there(answers, says, async |viewer| {
            viewer.enter("last", WITHIN).await.unwrap();
            let there = to_port(9001, 1, viewer).unwrap();
            viewer.follow(there, "there", WITHIN).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        asked.iter().filter(|(_, request)| request.path == "/cap/queue").count()
    };
    assert!(polls(false) > 40, "{}", polls(false));
    assert!(polls(true) < 10, "{}", polls(true));
}

#[test]
fn a_teleport_to_where_nobody_is_does_not_arrive() {
    let (arrived, _) = in_the_world(welcome, async |viewer| {
        let journey = to_port(9002, 1, viewer).unwrap();
        viewer.follow(journey, "there", WITHIN).await
    });
    assert!(matches!(arrived, Err(EnterError::Silence("AgentMovementComplete"))));
}

#[test]
fn who_is_never_greeted_does_not_arrive() {
    let mute = |message: &Message| match message.name() {
        "UseCircuitCode" => Vec::new(),
        _ => welcome(message),
    };
    let enter = async |viewer: &mut Viewer| viewer.enter("last", WITHIN).await;
    let (arrived, _) = converse_there(lets_in, mute, enter);
    assert!(matches!(arrived, Err(EnterError::Silence("RegionHandshake"))));
}

/// What a simulator was told of an avatar: when, and with which control flags.
fn updates_told(talk: impl AsyncFnOnce(&mut Viewer)) -> Vec<(u64, u32)> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (began, hears) = (Arc::new(OnceLock::new()), told.clone());
    let says = move |message: &Message| {
        let began = began.get_or_init(Instant::now);
        if message.name() == "AgentUpdate" {
            let flags = message.u32("AgentData", "ControlFlags").unwrap();
            hears.lock().unwrap().push((began.elapsed().as_secs(), flags));
        }
        welcome(message)
    };
    in_the_world(says, talk);
    let told = told.lock().unwrap();
    told.clone()
}

fn walking(viewer: &Viewer, flags: u32) -> Message {
    let update = agent_message(Template::shipped(), "AgentUpdate", viewer.session().unwrap());
    update.with("AgentData", "ControlFlags", Field::U32(flags))
}

#[test]
fn an_avatar_that_stands_still_says_so_every_second() {
    let told = updates_told(async |_| tokio::time::sleep(Duration::from_millis(3500)).await);
    assert_eq!(told, [(0, 0), (1, 0), (2, 0), (3, 0)]);
}

#[test]
fn it_walks_on_until_told_otherwise_and_sits_down_once() {
    const FORWARD: u32 = 1;
    const SIT_ON_GROUND: u32 = 0x20000;
    let told = updates_told(async |viewer| {
        let update = walking(viewer, FORWARD | SIT_ON_GROUND);
        viewer.send(ROOT, update, true).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
    });
    assert_eq!(told, [(0, 0), (0, FORWARD | SIT_ON_GROUND), (1, FORWARD), (2, FORWARD)]);
}

#[test]
fn nothing_is_updated_on_the_way_elsewhere_nor_after_a_farewell() {
    let asks = |name: &'static str| {
        updates_told(async move |viewer| {
            let session = viewer.session().unwrap();
            let request = agent_message(Template::shipped(), name, session);
            viewer.send(ROOT, request, true).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        })
    };
    // Nobody has answered the one; as a viewer gives it up after 15 s, it goes on.
    assert_eq!(asks("TeleportLocationRequest")[..3], [(0, 0), (15, 0), (16, 0)]);
    assert_eq!(asks("LogoutRequest"), [(0, 0)]);
}

#[test]
fn what_is_said_in_a_foreign_name_makes_no_difference() {
    let told = updates_told(async |viewer| {
        let foreign = Field::Uuid(uuid::Uuid::from_u128(99));
        for mut said in [walking(viewer, 1), Message::named(Template::shipped(), "LogoutRequest")] {
            said = said.with("AgentData", "SessionID", foreign.clone());
            viewer.send(ROOT, said, false).await;
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
    });
    assert_eq!(told, [(0, 0), (0, 1), (1, 0)]);
}

#[test]
fn updates_go_where_the_avatar_stands_and_nowhere_once_it_is_silent() {
    let ((there, silent), _) = in_the_world(welcome, async |viewer| {
        let journey = to_port(9001, 1, viewer).unwrap();
        viewer.follow(journey, "there", WITHIN).await.unwrap();
        let there = !viewer.place(ROOT).unwrap().has_avatar()
            && viewer.place("there").unwrap().has_avatar();
        let next = async |viewer: &Viewer| viewer.link("there").unwrap().next_sequence(None).await;
        viewer.end_updates("there");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = next(viewer).await;
        // A ping goes out every five seconds, an ack or two.
        tokio::time::sleep(Duration::from_secs(20)).await;
        (there, next(viewer).await.0 - before.0)
    });
    assert!(there && silent < 12, "{silent} datagrams in 20 s");
}

#[test]
fn a_circuit_lives_while_its_pings_are_answered() {
    let (lives, _) = in_the_world(welcome, async |viewer| {
        let lives = viewer.circuit_lives(ROOT).await;
        (lives, viewer.circuit_lives("another").await)
    });
    assert_eq!(lives, (Ok(true), Ok(false)));
}
