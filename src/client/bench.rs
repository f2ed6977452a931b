//! What conversations are tried with: a viewer, a server of a few lines and simulators of one
//! circuit each, on a simulated network. No port, no sleep.

use super::{Common, Credentials, Departures, Viewer};
use crate::net::server::{self, Answer, Answering, Handler, Request};
use crate::net::udp::CircuitEvent;
use crate::net::{Clock, Network, Path, Timeline, http, simulate};
use crate::proto::circuit::{Circuit, Config, Handled, SendOptions};
use crate::proto::llsd::{self, Llsd};
use crate::proto::login::Agreed;
use crate::proto::message::{Decoder, Header, Message};
use crate::proto::template::Template;
use crate::proto::xmlrpc::{self, Document, RpcValue};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// Where the server is.
pub(crate) const URL: &str = "http://127.0.0.1:8002/";

/// Where the simulators are: that of the login, and another.
const SIMULATORS: [u16; 2] = [9000, 9001];

/// The status of an answer that does not come.
pub(crate) const NEVER: u16 = 0;

/// Answers by what it is asked and how often it was asked before.
type Answers = Arc<dyn Fn(&Request, usize) -> Answer + Send + Sync>;

struct Server {
    answers: Answers,
    asked: Mutex<Vec<(Duration, Request)>>,
    began: Instant,
}

impl Handler for Server {
    fn answer(&self, request: Request) -> Answering {
        let mut asked = self.asked.lock().unwrap();
        let answer = (self.answers)(&request, asked.len());
        asked.push((self.began.elapsed(), request));
        Box::pin(async move {
            match answer.status {
                NEVER => std::future::pending().await,
                _ => answer,
            }
        })
    }
}

/// A message as a circuit hears it, one that came before if `duplicate`.
pub(crate) fn heard(message: Message, header: Header, duplicate: bool) -> CircuitEvent {
    let body = format!("{message:?}").into_bytes();
    let (size, extra, empty_run, trailing) = (body.len(), 0, false, 0);
    CircuitEvent::Message { message, header, size, duplicate, body, extra, empty_run, trailing }
}

/// Runs a conversation of a viewer with a server, and tells what the server was asked, and when.
pub(crate) fn converse<T>(
    answers: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    talk: impl AsyncFnOnce(&mut Viewer) -> T,
) -> (T, Vec<(Duration, Request)>) {
    converse_there(answers, |_| Vec::new(), talk)
}

/// The same where there are simulators too, which acknowledge what they get and say what `says`
/// makes of it.
pub(crate) fn converse_there<T>(
    answers: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    says: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static,
    talk: impl AsyncFnOnce(&mut Viewer) -> T,
) -> (T, Vec<(Duration, Request)>) {
    let talked = simulate(7, Path::default(), async |network: Network| {
        let listener = network.listen(([127, 0, 0, 1], 8002).into()).await.unwrap();
        let (_stop, stopped) = watch::channel(false);
        let answers: Answers = Arc::new(answers);
        let began = Instant::now();
        let server = Arc::new(Server { answers, asked: Mutex::default(), began });
        tokio::spawn(server::serve(listener, server.clone(), stopped));
        let says = Arc::new(says);
        for port in SIMULATORS {
            let says = says.clone();
            tokio::spawn(region(network.clone(), port, move |message: &Message| says(message)));
        }
        tokio::task::yield_now().await;
        let common = Common {
            login_uri: URL.into(),
            http: http::Client::new(network),
            template: Template::shipped().clone(),
            time_factor: 1,
            time_scale: 1.0,
            most_patience: Duration::MAX,
            login_form: None,
            agreed: Agreed::default(),
            login_turns: Arc::new(Semaphore::new(1)),
            departures: Departures::default(),
        };
        let credentials =
            Credentials { first: "Jane".into(), last: "Doe".into(), password: "pw".into() };
        let mut viewer = Viewer::new("jane", credentials, common, Timeline::start().tap());
        let said = talk(&mut viewer).await;
        let asked = std::mem::take(&mut *server.asked.lock().unwrap());
        (said, asked)
    });
    talked.unwrap()
}

/// One end of a circuit: whoever speaks to it last is whom it answers.
async fn region(
    network: Network,
    port: u16,
    says: impl Fn(&Message) -> Vec<Message> + Send + 'static,
) {
    let port = network.bind(([127, 0, 0, 1], port).into()).await.unwrap();
    let (template, clock) = (Template::shipped(), Clock::start());
    let mut circuit = Circuit::new(Config::simulator(), template.clone(), clock.now());
    let mut decoder = Decoder::tolerant();
    let mut peer: Option<SocketAddr> = None;
    loop {
        let due = circuit.poll_timeout().filter(|_| peer.is_some());
        tokio::select! {
            (bytes, from) = async { port.receive().await.unwrap() } => {
                peer = Some(from);
                let Ok(packet) = decoder.decode(template, &bytes) else { continue };
                if circuit.handle(clock.now(), &packet) == Handled::Deliver {
                    for message in says(&packet.to_message()) {
                        circuit.send(clock.now(), &message, SendOptions::RELIABLE).unwrap();
                    }
                }
            }
            () = until(clock, due) => circuit.handle_timeout(clock.now()),
        }
        while let (Some(transmit), Some(to)) = (circuit.poll_transmit(), peer) {
            port.send(&transmit.bytes, to).await;
        }
        while circuit.poll_event().is_some() {}
    }
}

async fn until(clock: Clock, due: Option<Duration>) {
    match due {
        Some(due) => tokio::time::sleep_until(clock.instant(due)).await,
        None => std::future::pending().await,
    }
}

/// What a simulator says to whoever arrives and leaves.
pub(crate) fn welcome(message: &Message) -> Vec<Message> {
    let said = match message.name() {
        "UseCircuitCode" => "RegionHandshake",
        "CompleteAgentMovement" => "AgentMovementComplete",
        "LogoutRequest" => "LogoutReply",
        _ => return Vec::new(),
    };
    let reply = Message::named(Template::shipped(), said);
    let ids = ["AgentID", "SessionID"].into_iter();
    let own = ids.filter_map(|id| Some((id, message.field("AgentData", id)?.clone())));
    let given = own.filter(|(id, _)| reply.field("AgentData", id).is_some()).collect::<Vec<_>>();
    vec![given.into_iter().fold(reply, |reply, (id, own)| reply.with("AgentData", id, own))]
}

/// A login reply.
pub(crate) fn rpc(members: &[(&str, &str)]) -> Answer {
    let members = members.iter().map(|(name, value)| (*name, Llsd::string(*value)));
    let document = Document::Response(RpcValue::from_llsd(&Llsd::map(members)));
    Answer::ok("text/xml", xmlrpc::to_xml(&document))
}

/// An answer as LLSD.
pub(crate) fn answer(value: &Llsd) -> Answer {
    Answer::ok(llsd::CONTENT_TYPE, llsd::to_xml(value))
}

/// The members of a login that succeeds: the simulator and the seed are those of the bench.
pub(crate) fn session() -> Vec<(&'static str, &'static str)> {
    vec![
        ("login", "true"),
        ("agent_id", "00000000-0000-0000-0000-000000000001"),
        ("session_id", "00000000-0000-0000-0000-000000000002"),
        ("secure_session_id", "00000000-0000-0000-0000-000000000003"),
        ("circuit_code", "7"),
        ("sim_ip", "127.0.0.1"),
        ("sim_port", "9000"),
        ("seed_capability", "http://127.0.0.1:8002/seed"),
    ]
}
