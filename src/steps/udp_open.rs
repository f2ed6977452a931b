//! `udp.open`: opens a circuit's socket.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, key};
use crate::proto::circuit::Config;
use crate::value::Value;
use std::net::SocketAddr;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.open",
    doc: "Opens a UDP socket towards a simulator: that of the login unless `to` names another. \
          Nothing is sent; UseCircuitCode is the case's to send.",
    keys: &[
        key("circuit", Kind::Text, "the circuit's name; `root` if left out"),
        key("to", Kind::Text, "address and port of another simulator"),
        key("acks", Kind::Flag, "acknowledge reliable packets; true if left out"),
        key("pongs", Kind::Flag, "answer pings; true if left out"),
        key("pings", Kind::Flag, "send pings; true if left out"),
        key("resends", Kind::Flag, "resend what is not acknowledged; true if left out"),
        key("handshake", Kind::Flag, "answer RegionHandshake by itself; false if left out"),
        key("first_sequence", Kind::Integer, "the first sequence number; 1 if left out"),
    ],
    returns: Returns::Members(&[("local_port", "our port"), ("remote", "the simulator's address")]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let circuit = call.circuit();
            let (viewer, args) = (call.viewer, call.args);
            let remote: SocketAddr = match (args.text("to"), viewer.session()) {
                (Some(text), _) => text.parse().map_err(|_| {
                    let received = format!("`{text}`");
                    Failure::missing("opening a circuit", "an address and port", received)
                })?,
                (None, Some(session)) => session.simulator.into(),
                (None, None) => {
                    let received = "no login gave one";
                    return Err(Failure::missing("opening a circuit", "a session", received));
                }
            };
            let own = viewer.common.circuit_config();
            let resends = args.flag("resends").unwrap_or(true);
            let config = Config {
                acks: args.flag("acks").unwrap_or(true),
                pongs: args.flag("pongs").unwrap_or(true),
                pings: args.flag("pings").unwrap_or(true),
                resend_tries: if resends { own.resend_tries } else { 0 },
                first_sequence: args.int("first_sequence").unwrap_or(own.first_sequence),
                ..own
            };
            let handshake = args.flag("handshake").unwrap_or(false);
            let opened = viewer.open(&circuit, remote, config, handshake).await;
            opened.map_err(|error| Failure::Error(format!("cannot open a socket: {error}")))?;
            if args.flag("acks") == Some(false) || args.flag("pongs") == Some(false) {
                viewer.give_up(&circuit);
            }
            let port = viewer.link(&circuit).map_or(0, |link| link.local().port());
            let remote = Value::String(remote.to_string());
            Ok(Value::map([("local_port", Value::integer(port)), ("remote", remote)]))
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::bench::{hearing, inside, said, silent, unasked};

    #[test]
    fn it_opens_towards_the_simulator_of_the_login_or_another() {
        let remote = |line: &str| {
            let opened = inside(unasked, silent, line).0.unwrap();
            opened.get("remote").and_then(Value::as_text).unwrap()
        };
        assert_eq!(remote(r#"do = "udp.open", circuit = "second""#), "127.0.0.1:9000");
        let other = r#"do = "udp.open", circuit = "second", to = "127.0.0.1:9001""#;
        assert_eq!(remote(other), "127.0.0.1:9001");
        let nowhere = hearing(|_| {}, r#"do = "udp.open""#);
        assert_eq!(said(nowhere), "a session: no login gave one");
        let nonsense = hearing(|_| {}, r#"do = "udp.open", to = "there""#);
        assert_eq!(said(nonsense), "an address and port: `there`");
    }
}
