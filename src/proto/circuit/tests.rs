//! Two ends, a bad wire and virtual time.

use super::*;
use crate::proto::message::Decoder;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, HashMap};

struct Wire {
    random: Pcg64,
    loss: f64,
    bad_until: Instant,
    /// Datagrams under way, by arrival time, with the end they go to.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
}

impl Wire {
    fn put(&mut self, now: Instant, to: usize, bytes: &[u8]) {
        let bad = now < self.bad_until;
        if bad && self.random.random_bool(self.loss) {
            return;
        }
        let copies = if bad && self.random.random_bool(0.1) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = if bad { self.random.random_range(1..400) } else { 10 };
            self.count += 1;
            let at = now + Duration::from_millis(delay);
            self.flying.insert((at, self.count), (to, bytes.to_vec()));
        }
    }
}

/// Runs two circuits over a bad wire; returns per end what was delivered, and what was given up.
fn converse(
    seed: u64,
    loss: f64,
    messages: u32,
) -> ([HashMap<u32, u32>; 2], [Vec<Sequence>; 2], bool) {
    let template = Template::shipped();
    let mut ends = [
        Circuit::new(Config::viewer(), template.clone(), Duration::ZERO),
        Circuit::new(Config::simulator(), template.clone(), Duration::ZERO),
    ];
    let mut wire = Wire {
        random: Pcg64::seed_from_u64(seed),
        loss,
        bad_until: Duration::from_secs(600),
        flying: BTreeMap::new(),
        count: 0,
    };
    let mut delivered = [HashMap::new(), HashMap::new()];
    let mut given_up = [Vec::new(), Vec::new()];
    let mut decoder = Decoder::new();
    let mut now = Duration::ZERO;
    for n in 0..messages {
        for end in &mut ends {
            let message = Message::named(template, "AgentPause").with(
                "AgentData",
                "SerialNum",
                Field::U32(n),
            );
            end.send(now, &message, SendOptions::RELIABLE).unwrap();
        }
    }
    for _ in 0..200_000 {
        for (me, end) in ends.iter_mut().enumerate() {
            end.handle_timeout(now);
            while let Some(transmit) = end.poll_transmit() {
                wire.put(now, 1 - me, &transmit.bytes);
            }
            while let Some(event) = end.poll_event() {
                if let Event::ResendsExhausted(sequence) = event {
                    given_up[me].push(sequence);
                }
            }
        }
        if ends.iter().all(Circuit::is_settled) {
            return (delivered, given_up, true);
        }
        let timers = ends.iter().filter_map(Circuit::poll_timeout).min();
        let arrival = wire.flying.keys().next().map(|(at, _)| *at);
        let Some(next) = timers.into_iter().chain(arrival).min() else { break };
        now = next.max(now);
        while let Some(entry) = wire.flying.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (to, bytes) = entry.remove();
            let packet = decoder.decode(template, &bytes).unwrap();
            if ends[to].handle(now, &packet) == Handled::Deliver && packet.name() == "AgentPause" {
                let serial = packet.u32("AgentData", "SerialNum").unwrap();
                *delivered[to].entry(serial).or_default() += 1;
            }
        }
    }
    (delivered, given_up, ends.iter().all(Circuit::is_closed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn under_loss_reordering_and_doubling_everything_arrives_once(seed: u64) {
        let (delivered, given_up, ended) = converse(seed, 0.3, 60);
        prop_assert!(ended, "the circuits neither settled nor closed");
        for end in 0..2 {
            prop_assert!(delivered[end].values().all(|n| *n == 1), "something arrived twice");
            let missing = 60 - delivered[end].len();
            prop_assert!(missing <= given_up[1 - end].len(), "lost without a word");
        }
    }
}

#[test]
fn a_dead_wire_ends_in_giving_up_and_closing() {
    let (delivered, given_up, ended) = converse(1, 1.0, 3);
    assert!(ended);
    assert!(delivered[0].is_empty() && delivered[1].is_empty());
    assert_eq!(given_up[0].len(), 3);
}

fn circuit(config: Config) -> Circuit {
    Circuit::new(config, Template::shipped().clone(), Duration::ZERO)
}

fn take(circuit: &mut Circuit) -> Vec<(String, Flags, Sequence)> {
    let mut decoder = Decoder::new();
    let mut all = Vec::new();
    while let Some(transmit) = circuit.poll_transmit() {
        let packet = decoder.decode(Template::shipped(), &transmit.bytes).unwrap();
        all.push((packet.name().to_owned(), packet.header.flags, packet.header.sequence));
    }
    all
}

#[test]
fn a_resend_keeps_its_number_and_says_so_at_one_two_and_four_seconds() {
    let mut end = circuit(Config { pings: false, ..Config::simulator() });
    let message = Message::named(Template::shipped(), "AgentPause");
    end.send(Duration::ZERO, &message, SendOptions::RELIABLE).unwrap();
    assert_eq!(take(&mut end)[0].1, Flags::RELIABLE);
    for due in [1, 3, 7, 15, 31] {
        assert_eq!(end.poll_timeout(), Some(Duration::from_secs(due)));
        end.handle_timeout(Duration::from_secs(due));
        let sent = take(&mut end);
        let resent = Flags::RELIABLE.with(Flags::RESENT);
        assert_eq!(sent, [("AgentPause".to_owned(), resent, Sequence(1))]);
    }
    end.config_mut().idle_timeout = None;
    end.handle_timeout(Duration::from_secs(63));
    assert!(take(&mut end).is_empty());
    assert_eq!(end.poll_event(), Some(Event::ResendsExhausted(Sequence(1))));
    assert_eq!(end.poll_timeout(), None);
}

#[test]
fn acks_ride_on_outgoing_packets_and_otherwise_wait_a_tenth_of_a_second() {
    let mut end = circuit(Config { pings: false, ..Config::simulator() });
    let mut peer = circuit(Config::viewer());
    let mut decoder = Decoder::new();
    let pause = Message::named(Template::shipped(), "AgentPause");
    for _ in 0..2 {
        peer.send(Duration::ZERO, &pause, SendOptions::RELIABLE).unwrap();
        let bytes = peer.poll_transmit().unwrap().bytes;
        let packet = decoder.decode(Template::shipped(), &bytes).unwrap();
        assert_eq!(end.handle(Duration::ZERO, &packet), Handled::Deliver);
        assert_eq!(end.handle(Duration::ZERO, &packet), Handled::Duplicate);
    }
    assert_eq!(end.poll_timeout(), Some(Duration::from_millis(100)));
    end.send(Duration::ZERO, &pause, SendOptions::UNRELIABLE).unwrap();
    let bytes = end.poll_transmit().unwrap().bytes;
    let packet = decoder.decode(Template::shipped(), &bytes).unwrap();
    assert_eq!(packet.acks.iter().collect::<Vec<_>>(), [1, 1, 2, 2].map(Sequence));
    peer.handle(Duration::ZERO, &packet);
    assert!(peer.is_settled());
}

#[test]
fn numbers_wrap_after_24_bits() {
    let mut end = circuit(Config { first_sequence: Sequence(0xFF_FFFF), ..Config::viewer() });
    let pause = Message::named(Template::shipped(), "AgentPause");
    assert_eq!(end.send(Duration::ZERO, &pause, SendOptions::UNRELIABLE), Ok(Sequence(0xFF_FFFF)));
    assert_eq!(end.send(Duration::ZERO, &pause, SendOptions::UNRELIABLE), Ok(Sequence(0)));
}

#[test]
fn a_ping_is_answered_with_its_own_id() {
    let mut viewer = circuit(Config::viewer());
    let mut simulator = circuit(Config::simulator());
    let mut decoder = Decoder::new();
    viewer.ping(Duration::ZERO);
    let bytes = viewer.poll_transmit().unwrap().bytes;
    let packet = decoder.decode(Template::shipped(), &bytes).unwrap();
    simulator.handle(Duration::ZERO, &packet);
    let bytes = simulator.poll_transmit().unwrap().bytes;
    let packet = decoder.decode(Template::shipped(), &bytes).unwrap();
    assert_eq!(packet.name(), "CompletePingCheck");
    viewer.handle(Duration::from_millis(30), &packet);
    assert_eq!(viewer.round_trip(), Some(Duration::from_millis(30)));
}
