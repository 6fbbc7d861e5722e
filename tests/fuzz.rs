//! The fuzz targets' properties on stable Rust: their corpora are replayed, and a repeatable loop mutates them.

use std::fs;
use std::path::PathBuf;

use topchat::wire::{Bundle, Envelope, Suite};

use crate::support::Random;

#[path = "../fuzz/src/properties/mod.rs"]
mod properties;

use properties::{ALL, Property};

#[test]
fn every_property_has_a_target_and_a_corpus() {
    let listed: Vec<_> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut targets = names("fuzz/targets");
    targets.iter_mut().for_each(|name| *name = name.trim_end_matches(".rs").to_owned());
    assert_eq!(targets, listed);
    assert_eq!(names("fuzz/corpus"), listed);
}

/// Every input that was worth keeping, and every one that once broke a property.
#[test]
fn the_corpora_hold() {
    for (name, property) in ALL {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "no corpus for {name}");
        inputs.iter().for_each(|input| check(name, *property, input));
    }
}

/// Seeds of a format that is gone would be refused at their first bytes, and hold for ever.
#[test]
fn the_corpora_have_a_bundle_and_an_envelope_of_every_suite() {
    assert!(corpus("bundle_parse").iter().any(|input| Bundle::parse(input).is_ok()));
    let inputs = corpus("envelope_parse");
    for suite in [Suite::Direct, Suite::DirectModern, Suite::GroupCbc, Suite::GroupEcb, Suite::GroupModern] {
        let is_of = |input: &Vec<u8>| Envelope::parse(input).is_ok_and(|envelope| envelope.header.suite == suite);
        assert!(inputs.iter().any(is_of), "no envelope of {suite:?}");
    }
    assert!(inputs.iter().chain(&corpus("bundle_parse")).all(|input| input.len() <= 2048), "seeds are small");
}

#[test]
fn inputs_changed_at_random_hold() {
    for (seed, (name, property)) in (1_u64..).zip(ALL) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let inputs = corpus(name);
        (0..rounds(name)).for_each(|_| check(name, *property, &changed(&inputs, &mut random)));
    }
}

/// Some go through a whole server, or RSA.
fn rounds(name: &str) -> usize {
    match name {
        "envelope_open" | "interaction" | "mailbox_load" | "state_machine" | "unpad_v15" => 60,
        "bundle_parse" | "db_load" | "inbox_load" | "pins_load" => 150,
        _ => 3000,
    }
}

/// Says which input it was, in a form that can be put into the corpus.
fn check(name: &str, property: Property, input: &[u8]) {
    if std::panic::catch_unwind(|| property(input)).is_err() {
        panic!("{name} does not hold for {}", data_encoding::HEXLOWER.encode(input));
    }
}

/// Two inputs joined, and some bytes changed.
fn changed(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = inputs[random.below(inputs.len())].clone();
    if random.below(4) == 0 {
        bytes.truncate(random.below(bytes.len() + 1));
        let other = &inputs[random.below(inputs.len())];
        bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
    }
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(3) {
            0 => bytes.insert(at, random.below(256) as u8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.below(256) as u8),
        }
    }
    bytes
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = root().join("fuzz/corpus").join(name);
    names(&format!("fuzz/corpus/{name}")).iter().map(|file| fs::read(folder.join(file)).unwrap()).collect()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
