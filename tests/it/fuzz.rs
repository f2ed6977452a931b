//! The properties that `fuzz/run` searches breaches of, on their seeds, on everything that once
//! broke one, and on some thousand mutations of these.

#[path = "../../fuzz/properties.rs"]
mod properties;

use properties::{TARGETS, seeds};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// One to eight bytes changed, left out, doubled or moved, or the end cut off.
fn mutate(random: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..=8) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = random.random_range(0..bytes.len());
        let other = random.random_range(0..bytes.len());
        match random.random_range(0..7) {
            0 => bytes[at] = random.random(),
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, bytes[other]),
            4 => bytes.swap(at, other),
            5 => bytes.truncate(at + 1),
            _ => {
                let end = (other + random.random_range(1..40)).min(bytes.len());
                let piece = bytes[other.min(end)..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Writes the seeds of every target below a folder, for the fuzzer.
fn write_seeds(folder: &std::path::Path) {
    for (target, _) in TARGETS {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        for (n, seed) in seeds(target).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n:05}")), seed).expect("it is writable");
        }
    }
}

#[test]
fn every_property_holds_for_its_seeds_and_for_mutations_of_them() {
    if let Some(folder) = std::env::var_os("GRIDPROOF_SEEDS") {
        return write_seeds(folder.as_ref());
    }
    for (name, property) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name}");
        // As many as a second or two allow in a debug build.
        let mutations = match *name {
            "suite" => 300,
            "circuit" => 500,
            _ => 5_000,
        };
        seeds.iter().for_each(|seed| property(seed));
        let mut random = StdRng::seed_from_u64(20_081_121);
        for _ in 0..mutations {
            let seed = &seeds[random.random_range(0..seeds.len())];
            let input = mutate(&mut random, seed);
            if std::panic::catch_unwind(|| property(&input)).is_err() {
                panic!("{name} does not hold for {}", hex::encode(&input));
            }
        }
    }
}

#[test]
fn no_property_minds_noise() {
    let mut random = StdRng::seed_from_u64(1);
    for (_, property) in TARGETS {
        for _ in 0..500 {
            let mut noise = vec![0; random.random_range(0..300)];
            random.fill_bytes(&mut noise);
            property(&noise);
        }
    }
}
