//! What must hold for any bytes whatever: one function a fuzz target, and the seeds it starts from.
//! The fuzzer calls them, and so does `tests/fuzz.rs`, which is why they live in a file of their own.

use gridproof::proof::Mutants;
use gridproof::proto::circuit::{Circuit, Config, Handled, SendOptions};
use gridproof::proto::id::Sequence;
use gridproof::proto::llsd::{self, Llsd};
use gridproof::proto::message::{Datagram, Decoder, Field, Flags, Message};
use gridproof::proto::template::Template;
use gridproof::proto::xmlrpc;
use gridproof::suite::{Diagnostic, Files, Library, Profile, Source};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A property: it panics where it does not hold.
pub(crate) type Property = fn(&[u8]);

/// Every fuzz target by name.
pub(crate) const TARGETS: &[(&str, Property)] = &[
    ("datagram", datagram),
    ("template", template),
    ("llsd_xml", llsd_xml),
    ("llsd_binary", llsd_binary),
    ("llsd_notation", llsd_notation),
    ("xml_rpc", xml_rpc),
    ("suite", suite),
    ("circuit", circuit),
];

/// What decodes has fields that can be read, and says the same when encoded and decoded again.
pub(crate) fn datagram(bytes: &[u8]) {
    let template = Template::shipped();
    let mut decoder = Decoder::tolerant();
    if let Ok(packet) = decoder.decode(template, bytes) {
        for block in packet.blocks() {
            for instance in block.instances() {
                for (_, value) in instance.fields() {
                    std::hint::black_box(value.to_value());
                }
            }
        }
        packet.has_empty_run(bytes);
        std::hint::black_box(packet.acknowledged().count());
    }
    let Ok(first) = Datagram::decode(template, bytes) else { return };
    let encoded = first.encode().expect("what was decoded can be encoded");
    let again = Datagram::decode(template, &encoded).expect("what was encoded can be decoded");
    // By bytes, for a NaN is not itself.
    assert_eq!(again.encode().expect("twice"), encoded);
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
}

/// Every message of a template that parses can be encoded and decoded.
pub(crate) fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for def in template.messages() {
        // A block without fields takes no byte: nobody can tell whether it is there.
        if def.blocks.iter().any(|block| block.fields.is_empty()) {
            continue;
        }
        let message = Message::zero(def);
        let datagram =
            Datagram { header: Default::default(), acks: vec![], extra: vec![], message };
        let Ok(encoded) = datagram.encode() else { continue };
        let again = Datagram::decode(&template, &encoded).expect("what was encoded can be decoded");
        assert_eq!(again.message.name(), &*def.name);
    }
}

/// LLSD as XML.
pub(crate) fn llsd_xml(bytes: &[u8]) {
    in_every_form(llsd::from_xml(bytes).ok());
}

/// LLSD in binary.
pub(crate) fn llsd_binary(bytes: &[u8]) {
    in_every_form(llsd::from_binary(bytes).ok());
}

/// LLSD in notation.
pub(crate) fn llsd_notation(bytes: &[u8]) {
    in_every_form(llsd::from_notation(bytes).ok());
}

/// A value keeps its meaning in each of the three forms, but for what XML cannot say.
fn in_every_form(value: Option<Llsd>) {
    let Some(value) = value else { return };
    let binary = llsd::to_binary(&value);
    let back = llsd::from_binary(&binary).expect("our own binary is read");
    assert_eq!(llsd::to_binary(&back), binary);
    let notation = llsd::to_notation(&value);
    let back = llsd::from_notation(notation.as_bytes()).expect("our own notation is read");
    assert_eq!(llsd::to_notation(&back), notation);
    let xml = llsd::to_xml(&value);
    let back = llsd::from_xml(xml.as_bytes()).expect("our own XML is read");
    let again = llsd::to_xml(&back);
    if sayable(&value) {
        assert_eq!(again, xml);
    }
    // What XML cannot say is lost, two keys may become one; but only once.
    let back = llsd::from_xml(again.as_bytes()).expect("our own XML is read");
    assert_eq!(llsd::to_xml(&back), again);
}

/// Whether XML can carry every text of a value.
fn sayable(value: &Llsd) -> bool {
    let carried = |text: &str| {
        text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..))
    };
    match value {
        Llsd::String(text) | Llsd::Uri(text) => carried(text),
        Llsd::Array(items) => items.iter().all(sayable),
        Llsd::Map(members) => members.iter().all(|(key, value)| carried(key) && sayable(value)),
        _ => true,
    }
}

/// XML-RPC documents: calls, responses and faults.
pub(crate) fn xml_rpc(bytes: &[u8]) {
    let document = match xmlrpc::parse(bytes) {
        Ok(document) => document,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let xml = xmlrpc::to_xml(&document);
    let back = xmlrpc::parse(xml.as_bytes()).expect("our own XML-RPC is read");
    assert_eq!(xmlrpc::to_xml(&back), xml);
}

/// A file of users, of whatever kind: each mistake is told with its place.
pub(crate) fn suite(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let told = |mistakes: Vec<Diagnostic>| {
        for mistake in mistakes {
            assert!(mistake.source.text.get(mistake.span.clone()).is_some(), "{mistake:?}");
            assert!(!mistake.render(false).is_empty());
            std::hint::black_box(mistake.render(true));
        }
    };
    for folder in ["", "procedures/", "requirements/"] {
        let mut files = Files::default();
        files.add(format!("{folder}fuzz.toml"), text);
        if let Err(mistakes) = Library::load(&files, Template::shipped()) {
            told(mistakes);
        }
    }
    let source = Arc::new(Source { path: "fuzz.toml".into(), text: text.to_owned() });
    let library = Library::default();
    if let Err(mistakes) = Profile::read(&source, &library) {
        told(mistakes);
    }
    if let Err(mistakes) = Mutants::read(&[source], &library.catalogue, Template::shipped()) {
        told(mistakes);
    }
}

/// Two circuits and the wire between them.
struct World {
    ends: [Circuit; 2],
    /// What is under way to each end.
    wires: [VecDeque<Vec<u8>>; 2],
    now: Duration,
    sent: u32,
    /// How often each end was given a message of the other's, by its content.
    given: [BTreeMap<u32, u32>; 2],
    /// Something was done that breaks the promise of once and only once.
    forged: bool,
}

impl World {
    fn new() -> Self {
        let end = |config| Circuit::new(config, Template::shipped().clone(), Duration::ZERO);
        Self {
            ends: [end(Config::viewer()), end(Config::simulator())],
            wires: Default::default(),
            now: Duration::ZERO,
            sent: 0,
            given: Default::default(),
            forged: false,
        }
    }

    fn send(&mut self, me: usize, options: SendOptions) {
        self.sent += 1;
        let message = Message::named(Template::shipped(), "AgentPause").with(
            "AgentData",
            "SerialNum",
            Field::U32(self.sent),
        );
        let _ = self.ends[me].send(self.now, &message, options);
    }

    fn arrive(&mut self, me: usize, bytes: &[u8]) {
        let mut decoder = Decoder::tolerant();
        let Ok(packet) = decoder.decode(Template::shipped(), bytes) else { return };
        if self.ends[me].handle(self.now, &packet) == Handled::Deliver
            && packet.name() == "AgentPause"
            && packet.header.flags.has(Flags::RELIABLE)
        {
            let serial = packet.u32("AgentData", "SerialNum").expect("AgentPause has a serial");
            *self.given[me].entry(serial).or_default() += 1;
        }
    }

    /// Lets time pass, and takes what the circuits have to say.
    fn settle(&mut self, time: Duration) {
        self.now += time;
        for me in 0..2 {
            self.ends[me].handle_timeout(self.now);
            while let Some(transmit) = self.ends[me].poll_transmit() {
                self.wires[1 - me].push_back(transmit.bytes);
            }
            while self.ends[me].poll_event().is_some() {}
            let due = self.ends[me].poll_timeout();
            assert!(due.is_none_or(|due| due > self.now), "a timer that is due again at once");
        }
    }

    /// Does what a byte says, to the end that its lowest bit says; further bytes say the rest.
    fn act(&mut self, op: u8, bytes: &mut impl Iterator<Item = u8>) {
        let me = usize::from(op & 1);
        match (op >> 1) % 14 {
            0 | 1 => self.send(me, SendOptions::RELIABLE),
            2 => self.send(me, SendOptions::UNRELIABLE),
            3 | 4 => {
                if let Some(datagram) = self.wires[me].pop_front() {
                    self.arrive(me, &datagram);
                }
            }
            5 => drop(self.wires[me].pop_front()),
            6 => {
                if let Some(datagram) = self.wires[me].front().cloned() {
                    self.wires[me].push_back(datagram);
                }
            }
            7 => self.wires[me].rotate_left(usize::from(!self.wires[me].is_empty())),
            8 => {
                if let Some(mut datagram) = self.wires[me].pop_front() {
                    let at = usize::from(bytes.next().unwrap_or(0)) % datagram.len().max(1);
                    datagram[at] ^= bytes.next().unwrap_or(1);
                    self.forged = true;
                    self.wires[me].push_back(datagram);
                }
            }
            9 => {
                // Acks for what was never sent, in a number of their own.
                let number: Vec<u8> = bytes.by_ref().take(4).collect();
                let mut datagram = vec![0x40, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfb, 1];
                datagram[2] = number.first().copied().unwrap_or(0);
                datagram.extend(number.iter().chain([0; 4].iter()).take(4));
                self.forged = true;
                self.arrive(me, &datagram);
            }
            10 => {
                let next = u32::MAX - u32::from(bytes.next().unwrap_or(0));
                self.ends[me].set_next_sequence(Sequence(next));
                self.forged = true;
            }
            11 => match bytes.next().unwrap_or(0) % 3 {
                0 => self.ends[me].ping(self.now),
                1 => self.ends[me].flush_acks(self.now),
                _ => {
                    self.ends[me].close();
                    assert!(self.ends[me].is_closed());
                }
            },
            12 => {
                let sequence = Some(u32::from(bytes.next().unwrap_or(0)));
                self.forged = true;
                self.send(
                    me,
                    SendOptions { sequence: sequence.map(Sequence), ..SendOptions::RELIABLE },
                );
            }
            _ => {
                let time = u64::from(bytes.next().unwrap_or(0));
                self.settle(Duration::from_millis(time * time));
            }
        }
    }
}

/// Any order of sends, losses, delays, doublings, forgeries and waits: no panic, no timer that
/// spins, nothing given twice; and on a wire that has become good everything comes to an end.
pub(crate) fn circuit(bytes: &[u8]) {
    let mut world = World::new();
    let mut bytes = bytes.iter().copied();
    for _ in 0..2000 {
        let Some(op) = bytes.next() else { break };
        world.act(op, &mut bytes);
        world.settle(Duration::ZERO);
        world.wires.iter_mut().for_each(|wire| wire.truncate(4096));
    }
    // From now on the wire is good; resends and silence both end within some minutes.
    for _ in 0..20_000 {
        for me in 0..2 {
            while let Some(datagram) = world.wires[me].pop_front() {
                world.arrive(me, &datagram);
            }
        }
        world.settle(Duration::from_millis(20));
        if world.ends.iter().all(|end| end.is_settled() || end.is_closed()) {
            break;
        }
    }
    for (end, given) in world.ends.iter().zip(&world.given) {
        assert!(end.is_settled() || end.is_closed(), "a circuit that never comes to rest");
        assert!(world.forged || given.values().all(|n| *n == 1), "something was given twice");
    }
}

/// The inputs a target starts from: what other implementations wrote, and what once went wrong.
pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = if root.join("fixtures").is_dir() { root } else { root.parent().unwrap_or(root) };
    let lines = |file: &str| -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(root.join("fixtures/vectors").join(file));
        let text = text.expect("the vectors are part of the project");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    };
    let hex = |lines: Vec<serde_json::Value>, key: &str| -> Vec<Vec<u8>> {
        let all = lines.iter().filter_map(|line| line[key].as_str());
        all.map(|text| hex::decode(text).expect("hex")).collect()
    };
    let text = |lines: Vec<serde_json::Value>, key: &str| -> Vec<Vec<u8>> {
        let all = lines.iter().filter_map(|line| line[key].as_str());
        all.map(|text| text.as_bytes().to_vec()).collect()
    };
    let form = |name: &str, key: &str| {
        let all = lines("llsd.jsonl").into_iter();
        let malformed = all.filter(|line| line["format"] == name).collect();
        hex(malformed, "hex").into_iter().chain(match key {
            "binary" => hex(lines("llsd.jsonl"), key),
            _ => text(lines("llsd.jsonl"), key),
        })
    };
    let mut all: Vec<Vec<u8>> = match target {
        "datagram" => {
            let malformed = hex(lines("udp-malformed.jsonl"), "hex");
            hex(lines("udp-messages.jsonl"), "hex").into_iter().chain(malformed).collect()
        }
        // A few messages: a whole template is slow to get anywhere with.
        "template" => vec![
            b"version 2.0\n{\nTestMessage Low 1 NotTrusted Zerocoded\n{\nTestBlock1 Single\n\
              { Test1 U32 }\n}\n{\nNeighborBlock Multiple 4\n{ Test0 U32 }\n{ Test1 Fixed 5 }\n}\n}\n"
                .to_vec(),
            b"// words\nversion 2.0\n{ PacketAck Fixed 0xFFFFFFFB NotTrusted Unencoded { Packets \
              Variable { ID U32 } } }\n{ A High 1 Trusted Unencoded UDPDeprecated { B Single \
              { C Variable 2 } { D LLVector3 } } }\n"
                .to_vec(),
        ],
        "llsd_xml" => form("xml", "xml").collect(),
        "llsd_binary" => form("binary", "binary").collect(),
        "llsd_notation" => form("notation", "notation").collect(),
        "xml_rpc" => text(lines("xmlrpc.jsonl"), "xml"),
        "suite" => texts(&root.join("suites")).into_iter().chain(texts(&root.join("fixtures/mutants"))).collect(),
        "circuit" => (0..=255u8).map(|n| (0..200).map(|i: u8| i.wrapping_mul(n)).collect()).collect(),
        other => panic!("no fuzz target {other}"),
    };
    let found = root.join("fuzz/regressions").join(target);
    let mut found: Vec<PathBuf> = match std::fs::read_dir(found) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => Vec::new(),
    };
    found.sort();
    all.extend(found.iter().map(|path| std::fs::read(path).expect("a regression can be read")));
    all
}

fn texts(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let of = |path: PathBuf| match path.is_dir() {
        true => texts(&path),
        false => vec![std::fs::read(path).expect("a file can be read")],
    };
    paths.into_iter().flat_map(of).collect()
}
