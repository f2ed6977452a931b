//! Grids that mean harm. Each test stands between the tool and a good grid, answers one kind of
//! request or circuit with malice, and looks at what the tool does: it comes to an end, within
//! 256 MiB, names what it met, writes its reports whole, and leaves nobody logged in.
//!
//! The bound on memory is the system's own (`ulimit -d`): a process beyond it is ended, and the
//! test with it.

use crate::server::{
    Asked, Middle, Script, Wire, forever, gzip, says, script, silence, trap, unpacked,
};
use gridproof::grid::{Account, Grid, GridConfig};
use gridproof::proto::id::Sequence;
use gridproof::proto::message::{Datagram, Field, Flags, Header, Message};
use gridproof::proto::template::Template;
use gridproof::runner::{Outcome, RunRecord, Target, reference_target};
use libtest_mimic::{Failed, Trial};
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::UdpSocket;

/// How much faster than the protocol's figures the good grid's timers run. A debug build reads a
/// million values for seconds; no session of its may be over by then.
const TIME_FACTOR: u32 = 4;

/// What the tool may use, in KiB.
const MEMORY: usize = 256 << 10;

/// Longer than this, in seconds, is a hang.
const HANG: usize = 120;

/// What is expected of a run under attack.
struct Expect {
    /// What runs.
    select: &'static [&'static str],
    /// How it may exit.
    exit: &'static [i32],
    /// What its output says.
    says: &'static str,
}

const LOGIN: &[&str] = &["login/success/notation", "login/success/sessions-differ"];
const SEED: &[&str] = &["caps/seed/granted", "caps/seed/repeated"];
const EVENTS: &[&str] = &["caps/event_queue/reply", "caps/event_queue/together"];
const CIRCUIT: &[&str] = &["handshake/arrival/movement", "circuit/pings/answered"];

async fn good_grid() -> Grid {
    let config = GridConfig {
        accounts: Account::numbered(4),
        time_factor: TIME_FACTOR,
        ..GridConfig::default()
    };
    Grid::start(config).await.unwrap()
}

fn run(uri: &str, target: &Target, select: &[&str], folder: &std::path::Path) -> Output {
    let mut command = Command::new("sh");
    let limits = format!("ulimit -d {MEMORY}; exec timeout {HANG} \"$@\"");
    command.args(["-c", &limits, "sh", env!("CARGO_BIN_EXE_gridproof"), "run"]);
    // Where something is to come it comes; where nothing comes, a fifth of the wait will do.
    let scale = if select == CIRCUIT { "1" } else { "0.2" };
    command.args(select).args(["--login-uri", uri, "--time-scale", scale]);
    command.args(["--region", &target.regions[0], "--time-factor", &TIME_FACTOR.to_string()]);
    command.args(target.neighbour.iter().flat_map(|neighbour| ["--neighbour", neighbour]));
    // Stacks count as memory, and a big machine would have many.
    command.env("TOKIO_WORKER_THREADS", "2");
    command.arg("--json").arg(folder.join("run.json"));
    command.arg("--junit").arg(folder.join("junit.xml"));
    for (n, account) in target.accounts.iter().enumerate() {
        let name = format!("{} {}", account.first, account.last);
        command.env(format!("GRIDPROOF_ACCOUNT_{}", n + 1), name);
        command.env(format!("GRIDPROOF_PASSWORD_{}", n + 1), &account.password);
    }
    command.output().unwrap()
}

/// Runs the tool through a bad server and judges what it did.
async fn judge(expect: Expect, attack: Vec<(Asked, Script)>, wire: Option<Wire>) {
    let grid = good_grid().await;
    let middle = Middle::new(&grid.login_uri, attack, wire.clone());
    let uri = middle.clone().start().await;
    judge_at(&uri, grid, &expect).await;
    let attacks = middle.attacks.load(Ordering::Relaxed)
        + wire.map_or(0, |wire| wire.attacks.load(Ordering::Relaxed));
    assert!(attacks > 0, "the attack never happened");
}

async fn judge_at(uri: &str, grid: Grid, expect: &Expect) {
    let folder = tempfile::tempdir().unwrap();
    let (uri, path, select) = (uri.to_owned(), folder.path().to_owned(), expect.select);
    let target = reference_target(&grid);
    let output = tokio::task::spawn_blocking(move || run(&uri, &target, select, &path));
    let output = output.await.unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let code = output.status.code().expect("no signal ended it");
    assert!(expect.exit.contains(&code), "exit {code}:\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(text.contains(expect.says), "`{}` is not said:\n{text}", expect.says);
    let record = std::fs::read(folder.path().join("run.json")).unwrap();
    let record: RunRecord = serde_json::from_slice(&record).unwrap();
    assert_eq!(record.cases.len(), expect.select.len());
    assert!(record.cases.iter().all(|case| case.outcome != Outcome::Error), "{text}");
    let xml = std::fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    assert!(roxmltree::Document::parse(&xml).is_ok(), "{xml}");
    assert_eq!(grid.population(), 0, "somebody stays logged in:\n{text}");
    grid.shutdown().await;
}

const LLSD: &str = "200 OK\r\ncontent-type: application/llsd+xml";
const XML: &str = "200 OK\r\ncontent-type: text/xml";

/// An XML-RPC response around a value.
fn response(value: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?><methodResponse><params><param><value>{value}</value></param></params></methodResponse>")
        .into_bytes()
}

/// What no login reply is: by name, the script, and what the tool should say of it.
fn bad_replies() -> Vec<(&'static str, Script, &'static str)> {
    let deep = 100_000;
    let nested = |open: &str, close: &str| open.repeat(deep) + &close.repeat(deep);
    let members =
        |one: &str, n: usize| (0..n).map(|i| one.replace('#', &i.to_string())).collect::<String>();
    let entities: String =
        (1..30).map(|n| format!("<!ENTITY a{n} \"&a{0};&a{0};&a{0};&a{0};\">", n - 1)).collect();
    let zeros = vec![b' '; 1 << 16];
    vec![
        ("a-gigabyte", forever(&format!("{XML}\r\ncontent-length: 1073741824\r\n"), zeros.clone(), Duration::ZERO), "exceeds"),
        ("without-end", forever(&format!("{XML}\r\n"), zeros, Duration::ZERO), "exceeds"),
        ("drop-by-drop", forever(&format!("{XML}\r\n"), b" ".to_vec(), Duration::from_millis(50)), "no complete answer within"),
        ("gzip-bomb", bomb(XML), "exceeds"),
        ("broken-gzip", says(&format!("{XML}\r\ncontent-encoding: gzip"), b"no gzip at all".to_vec()), "gzip"),
        ("nested-xml-rpc", says(XML, response(&nested("<array><data><value>", "</value></data></array>"))), "nested too deep"),
        ("nested-elements", says(XML, nested("<a>", "</a>").into_bytes()), "the root is `a`"),
        ("entities", says(XML, format!("<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY a0 \"boom\">{entities}]><methodResponse>&a29;</methodResponse>").into_bytes()), "document type"),
        ("a-quarter-million-members", says(XML, response(&format!("<struct>{}</struct>", members("<member><name>n#</name><value/></member>", 250_000)))), "`login` is missing"),
        ("a-million-values", says(XML, response(&format!("<array><data>{}</data></array>", "<value/>".repeat(1_000_000)))), "more than"),
        ("not-utf-8", says(XML, vec![0xff; 1000]), "not UTF-8"),
        ("nothing", says(XML, Vec::new()), "empty document"),
        ("hangs-up", script(|stream| async move { drop(stream); Ok(()) }), "connection"),
        ("never-answers", silence(), "no complete answer within"),
        ("headers-without-end", forever("200 OK", b"x-more: and more and more and more\r\n".to_vec(), Duration::ZERO), "login"),
        ("one-header-without-end", forever("200 OK\r\nx-long: ", vec![b'x'; 1 << 16], Duration::ZERO), "login"),
        ("not-http", says_raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "login"),
        ("negative-length", says_raw(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), "login"),
        ("chunk-of-all-memory", says_raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n"), "login"),
    ]
}

fn says_raw(bytes: &'static [u8]) -> Script {
    use tokio::io::AsyncWriteExt;
    script(move |mut stream| async move {
        stream.write_all(bytes).await?;
        stream.shutdown().await
    })
}

/// A gigabyte of blanks, packed; made when it is first asked for.
fn bomb(head: &str) -> Script {
    static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let bomb = gzip(b' ', 1024);
        assert_eq!(unpacked(&bomb), 1 << 30);
        bomb
    });
    let head = format!("{head}\r\ncontent-encoding: gzip");
    // Packed before anybody asks for it: on a busy machine it takes longer than an answer may.
    let bomb: &'static Vec<u8> = &BOMB;
    script(move |stream| says(&head, bomb.clone())(stream))
}

/// What no seed or event queue says.
fn bad_documents() -> Vec<(&'static str, Script)> {
    let nested = "<array>".repeat(100_000) + &"</array>".repeat(100_000);
    let members: String = (0..400_000).map(|n| format!("<key>n{n}</key><integer/>")).collect();
    let llsd = |text: &str| format!("<llsd>{text}</llsd>").into_bytes();
    let events =
        "<map><key>message</key><string>X</string><key>body</key><map/></map>".repeat(100_000);
    let events = format!(
        "<map><key>id</key><integer>1</integer><key>events</key><array>{events}</array></map>"
    );
    vec![
        ("nested", says(LLSD, llsd(&nested))),
        ("a-million-members", says(LLSD, llsd(&format!("<map>{members}</map>")))),
        (
            "a-million-values",
            says(LLSD, llsd(&format!("<array>{}</array>", "<undef/>".repeat(1_000_000)))),
        ),
        ("a-hundred-thousand-events", says(LLSD, llsd(&events))),
        ("a-gigabyte", forever(&format!("{LLSD}\r\n"), vec![b' '; 1 << 16], Duration::ZERO)),
        ("gzip-bomb", bomb(LLSD)),
        (
            "wrong-types",
            says(
                LLSD,
                llsd(
                    "<map><key>EventQueueGet</key><map/><key>id</key><string>x</string><key>events</key><integer>7</integer></map>",
                ),
            ),
        ),
        (
            "hangs-up",
            script(|stream| async move {
                drop(stream);
                Ok(())
            }),
        ),
        (
            "at-once-and-empty",
            says(
                LLSD,
                llsd("<map><key>id</key><integer>1</integer><key>events</key><array/></map>"),
            ),
        ),
    ]
}

fn datagram(flags: Flags, sequence: Sequence, acks: Vec<Sequence>, message: Message) -> Vec<u8> {
    Datagram { header: Header { flags, sequence }, acks, extra: vec![], message }.encode().unwrap()
}

fn named(name: &str) -> Message {
    Message::named(Template::shipped(), name)
}

/// Sends the same things to the viewer again and again, so many a second, until the test ends.
fn flood(pieces: Vec<Vec<u8>>, a_second: u32) -> Wire {
    Wire::new(move |socket: std::sync::Arc<UdpSocket>, viewer: SocketAddr| {
        let pieces = pieces.clone();
        async move {
            let mut tick = tokio::time::interval(Duration::from_millis(2));
            // A machine that was busy elsewhere makes no storm of it afterwards.
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            let mut next = pieces.iter().cycle();
            for _ in 0..30_000 {
                tick.tick().await;
                for _ in 0..a_second / 500 {
                    let _ = socket.try_send_to(next.next().unwrap(), viewer);
                }
            }
            Ok(())
        }
    })
}

/// Circuits that mean harm, and what still holds of the cases that meet them.
fn bad_circuits() -> Vec<(&'static str, Wire, &'static [i32], &'static str)> {
    let noise: Vec<Vec<u8>> =
        (0..64u8).map(|n| vec![n.wrapping_mul(37); usize::from(n) * 20]).collect();
    let chat = |n: u32| {
        let text = Field::Variable(vec![b'x'; 1000]);
        datagram(
            Flags::RELIABLE,
            Sequence(n),
            vec![],
            named("ChatFromSimulator").with("ChatData", "Message", text),
        )
    };
    let reliable = (1_000_000..1_020_000).map(chat).collect();
    let acks = (0..500).map(|n| {
        let mut message = named("PacketAck");
        for i in 0..255 {
            message = message.with_block("Packets").with(
                "Packets",
                "ID",
                Field::U32(90_000 + n * 255 + i),
            );
        }
        datagram(Flags::default(), Sequence(2_000_000 + n), vec![], message)
    });
    // What only a viewer says, and what a viewer must not obey from whoever says it.
    let never = [
        "UseCircuitCode",
        "CompleteAgentMovement",
        "LogoutRequest",
        "AgentUpdate",
        "ChatFromViewer",
        "RegionHandshakeReply",
        "CompletePingCheck",
    ];
    let never = (3_000_000..)
        .zip(never)
        .map(|(n, name)| datagram(Flags::RELIABLE, Sequence(n), vec![], named(name)));
    let wrap = (0..2000u32).map(|n| chat(u32::MAX.wrapping_sub(1000).wrapping_add(n)));
    // The right address and the wrong circuit: what the simulator has for somebody else.
    let foreign = ["LogoutReply", "AgentMovementComplete", "KickUser", "AgentDataUpdate"];
    let foreign = (4_000_000..).zip(foreign).map(|(n, name)| {
        let id = uuid::Uuid::from_u128(7);
        let message = named(name);
        let block = if name == "KickUser" { "UserInfo" } else { "AgentData" };
        let message = message.with(block, "AgentID", Field::Uuid(id));
        datagram(Flags::RELIABLE, Sequence(n), vec![], message)
    });
    let foreign = foreign.collect();
    let zero_bomb = [&[0x80, 0, 0, 0, 9, 0][..], &[0, 255].repeat(700)].concat();
    vec![
        // What drowns may be missed, and that is told.
        ("noise-100000-a-second", flood(noise, 100_000), &[0, 1], "conformant"),
        ("reliable-chat-100000-a-second", flood(reliable, 100_000), &[0, 1], "conformant"),
        ("acks-never-due", flood(acks.collect(), 500), &[0], "2 pass"),
        ("what-only-viewers-say", flood(never.collect(), 500), &[0], "2 pass"),
        ("numbers-that-wrap", flood(wrap.collect(), 5_000), &[0, 1], "conformant"),
        ("zero-coded-bombs", flood(vec![zero_bomb], 500), &[1], "PKT-SERVER-DECODES-1"),
        ("of-another-avatar", flood(foreign, 500), &[0, 1], "conformant"),
        ("from-other-addresses", spoofed(), &[0], "2 pass"),
    ]
}

/// Sends what would end the session from ports that are not the simulator's.
fn spoofed() -> Wire {
    Wire::new(|_, viewer: SocketAddr| async move {
        let kick = datagram(Flags::RELIABLE, Sequence(1), vec![], named("KickUser"));
        let disable = datagram(Flags::RELIABLE, Sequence(2), vec![], named("DisableSimulator"));
        let close = datagram(Flags::RELIABLE, Sequence(3), vec![], named("CloseCircuit"));
        for _ in 0..2000 {
            let other = UdpSocket::bind("127.0.0.1:0").await?;
            for piece in [&kick, &disable, &close] {
                other.send_to(piece, viewer).await?;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
}

/// Every attack as a trial.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut trial = |name: String, test: futures::future::BoxFuture<'static, ()>| {
        trials.push(Trial::test(format!("hostile {name}"), move || {
            let runtime = tokio::runtime::Runtime::new()?;
            let ran =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(test)));
            runtime.shutdown_background();
            ran.map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                let word = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                Failed::from(text.or(word).unwrap_or_else(|| "it panicked".into()))
            })
        }));
    };
    for (name, reply, says) in bad_replies() {
        let expect = Expect { select: LOGIN, exit: &[3], says };
        trial(format!("login/{name}"), Box::pin(judge(expect, vec![(Asked::Login, reply)], None)));
    }
    for (name, document) in bad_documents() {
        let expect = Expect { select: SEED, exit: &[1], says: "caps/seed/granted" };
        let attack = vec![(Asked::Seed, document.clone())];
        trial(format!("seed/{name}"), Box::pin(judge(expect, attack, None)));
        // A hundred thousand events are events, where there is time to read them.
        let exit: &[i32] = if name == "a-hundred-thousand-events" { &[0, 1] } else { &[1] };
        let expect = Expect { select: EVENTS, exit, says: "caps/event_queue/reply" };
        let attack = vec![(Asked::Events, document)];
        trial(format!("events/{name}"), Box::pin(judge(expect, attack, None)));
    }
    for (name, wire, exit, says) in bad_circuits() {
        let expect = Expect { select: CIRCUIT, exit, says };
        trial(format!("circuit/{name}"), Box::pin(judge(expect, Vec::new(), Some(wire))));
    }
    trial("login/redirect-loop".into(), Box::pin(redirect_loop()));
    trial("login/redirect-elsewhere".into(), Box::pin(redirect_elsewhere()));
    trial("login/tls-that-is-none".into(), Box::pin(tls_that_is_none()));
    trial("nothing-bad".into(), Box::pin(nothing_bad()));
    trials
}

/// The same cases on the same way pass where nobody does harm: what fails elsewhere is the harm.
async fn nothing_bad() {
    let grid = good_grid().await;
    let relay = Wire::new(|_, _| async { Ok(()) });
    let uri = Middle::new(&grid.login_uri, Vec::new(), Some(relay)).start().await;
    const ALL: &[&str] =
        &[LOGIN[0], LOGIN[1], SEED[0], SEED[1], EVENTS[0], EVENTS[1], CIRCUIT[0], CIRCUIT[1]];
    judge_at(&uri, grid, &Expect { select: ALL, exit: &[0], says: "8 pass" }).await;
}

async fn redirect_loop() {
    let back = says("302 Found\r\nlocation: /", Vec::new());
    let expect = Expect { select: LOGIN, exit: &[3], says: "302" };
    judge(expect, vec![(Asked::Login, back)], None).await;
}

/// Nobody else is told a password, and a seed elsewhere is not asked.
async fn redirect_elsewhere() {
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let (address, visits) = trap().await;
        let away = says(&format!("{status}\r\nlocation: http://{address}/"), Vec::new());
        let expect = Expect { select: &LOGIN[..1], exit: &[3], says: &status[..3] };
        judge(expect, vec![(Asked::Login, away.clone())], None).await;
        let expect = Expect { select: &SEED[..1], exit: &[1], says: &status[..3] };
        judge(expect, vec![(Asked::Seed, away)], None).await;
        assert_eq!(visits.load(Ordering::Relaxed), 0, "a redirect was followed");
    }
}

async fn tls_that_is_none() {
    let grid = good_grid().await;
    let uri = grid.login_uri.replace("http://", "https://");
    judge_at(&uri, grid, &Expect { select: LOGIN, exit: &[3], says: "cannot connect" }).await;
}
