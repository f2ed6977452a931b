//! Times decoding, with every field read, and encoding, over samples of one hex datagram a line.
//!
//! `GRIDPROOF_SAMPLES=DIR cargo bench --bench codec` times every `*.hex` file of a folder; without
//! it the datagrams of the shipped vectors are timed. Prints `FILE decode N msgs/s` and
//! `FILE encode N msgs/s`, each the best of several rounds on one core.

use gridproof::proto::id::Sequence;
use gridproof::proto::message::{Decoder, Encoder, FieldRef, Packet};
use gridproof::proto::template::Template;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn main() {
    let template = Template::shipped();
    for (name, datagrams) in samples() {
        if datagrams.is_empty() {
            println!("{name} is empty");
            continue;
        }
        let decode = best(datagrams.len(), || decode_all(template, &datagrams));
        println!("{name} decode {decode:.0} msgs/s");
        let encode = time_encode(template, &datagrams);
        println!("{name} encode {encode:.0} msgs/s");
    }
}

fn samples() -> Vec<(String, Vec<Vec<u8>>)> {
    let Some(folder) = std::env::var_os("GRIDPROOF_SAMPLES") else {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/vectors/udp-messages.jsonl");
        let text = std::fs::read_to_string(path).expect("the vectors are part of the project");
        let hex = text.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            line["hex"].as_str().unwrap_or_default().to_owned()
        });
        return vec![("vectors".into(), parse(hex))];
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "hex"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a sample file can be read");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, parse(text.lines().map(str::to_owned)))
    };
    files.into_iter().map(read).collect()
}

fn parse(lines: impl Iterator<Item = String>) -> Vec<Vec<u8>> {
    lines.map(|line| hex::decode(line.trim()).expect("a line is hex")).collect()
}

/// The best rate of rounds that together last about two seconds.
fn best(count: usize, mut round: impl FnMut()) -> f64 {
    round();
    let start = Instant::now();
    let mut fastest = Duration::MAX;
    while start.elapsed() < Duration::from_secs(2) {
        let begun = Instant::now();
        round();
        fastest = fastest.min(begun.elapsed());
    }
    count as f64 / fastest.as_secs_f64()
}

fn decode_all(template: &Template, datagrams: &[Vec<u8>]) {
    let mut decoder = Decoder::new();
    for datagram in datagrams {
        let packet = decoder.decode(template, datagram).expect("a sample decodes");
        read_fields(&packet);
    }
}

fn read_fields(packet: &Packet<'_>) {
    for block in packet.blocks() {
        for instance in block.instances() {
            for (_, value) in instance.fields() {
                black_box(value);
            }
        }
    }
}

/// Encodes from fields that were read beforehand, so that only encoding is timed.
fn time_encode(template: &Template, datagrams: &[Vec<u8>]) -> f64 {
    let mut decoders: Vec<Decoder> = datagrams.iter().map(|_| Decoder::new()).collect();
    let packets: Vec<Packet<'_>> = decoders
        .iter_mut()
        .zip(datagrams)
        .map(|(decoder, datagram)| decoder.decode(template, datagram).expect("a sample decodes"))
        .collect();
    let fields: Vec<Vec<FieldRef<'_>>> = packets
        .iter()
        .map(|packet| {
            let instances = packet.blocks().flat_map(|block| block.instances());
            instances.flat_map(|instance| instance.fields().map(|(_, value)| value)).collect()
        })
        .collect();
    let mut encoder = Encoder::new();
    best(datagrams.len(), || {
        for (packet, fields) in packets.iter().zip(&fields) {
            let acks: Vec<Sequence> = packet.acks.iter().collect();
            encoder.start(packet.header, packet.extra, packet.def).expect("it was decoded");
            let mut values = fields.iter();
            for block in packet.blocks().take(packet.present()) {
                let count = block.instances().len();
                encoder.block(block.def, count).expect("it was decoded");
                for _ in 0..count {
                    for (def, value) in block.def.fields.iter().zip(values.by_ref()) {
                        encoder.field(def, *value).expect("it was decoded");
                    }
                }
            }
            black_box(encoder.finish(&acks).expect("it was decoded"));
        }
    })
}
