//! The decryption oracle (Bleichenbacher 1998): whatever is inside a message, the server sees the same bytes in the same
//! order; and how long they take tells no more than whoever made the message knows.

use std::time::{Duration, Instant};

use topchat::crypto::digest::sha256;
use topchat::crypto::envelope;
use topchat::wire::{MessageId, signed};

use super::lies::{header, signed_by_bob};
use super::stage::Stage;
use crate::support::people::{ALICE, BOB};
use crate::support::{about_the_same, storm_rounds};

/// What is inside; all of it signed by Bob, who is in league with the server. Everything but a text has the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    /// A text that opens.
    Good,
    /// No PKCS#1 v1.5 padding.
    BadPadding,
    /// Good padding around a text that the commitment is not of.
    BadCommitment,
    /// The number 0, which is its own decryption.
    Zero,
    /// The number 1, too.
    One,
    /// The largest number that could be a ciphertext.
    Largest,
    /// No ciphertext: the modulus itself.
    Modulus,
    /// No ciphertext either, by far.
    Huge,
}

const ALL: [Inside; 8] = [
    Inside::Good,
    Inside::BadPadding,
    Inside::BadCommitment,
    Inside::Zero,
    Inside::One,
    Inside::Largest,
    Inside::Modulus,
    Inside::Huge,
];

fn message(inside: Inside, number: u32) -> Vec<u8> {
    let mut header = header("alice", 0);
    header.msg_id = MessageId(u128::from(number).to_be_bytes());
    let good = || {
        let with = envelope::SealWith::Direct(ALICE.encryption.public());
        envelope::seal(header.clone(), "hello", with, &BOB.identity).unwrap()
    };
    let small = |value: u8| [&[0; 255][..], &[value]].concat();
    let block = match inside {
        Inside::Good => return good().encode(),
        Inside::BadPadding => [&[0][..], &sha256(&number.to_be_bytes()).repeat(8)[1..]].concat(),
        Inside::BadCommitment => good().ciphertext,
        Inside::Zero => small(0),
        Inside::One => small(1),
        // An odd number, so only its last bit changes.
        Inside::Largest => modulus()
            .into_iter()
            .rev()
            .enumerate()
            .map(|(at, byte)| byte & if at == 0 { 0xfe } else { 0xff })
            .rev()
            .collect(),
        Inside::Modulus => modulus(),
        Inside::Huge => vec![0xff; 256],
    };
    signed_by_bob(header, sha256(&signed::commitment(b"", b"")), block).encode()
}

/// That of Alice's encryption key: the first number behind the head of its DER (RFC 8017, section A.1.1).
fn modulus() -> Vec<u8> {
    let der = ALICE.encryption.public().to_der();
    let start = der.windows(5).position(|bytes| bytes == [2, 0x82, 1, 1, 0]).unwrap() + 5;
    der[start..start + 256].to_vec()
}

/// From Deliver to its Ack, and from a second Deliver right behind that Ack to the second Ack: in between the first message is
/// opened, so if anything shows, it shows there.
fn times(rounds: u32) -> [[Duration; 2]; ALL.len()] {
    let stage = Stage::new();
    stage.play(&[]);
    let (mut line, listening) = stage.listen();
    let mut samples: [[Vec<Duration>; 2]; ALL.len()] = Default::default();
    // Made before anything is measured: making one takes longer than another.
    let script: Vec<_> = (0..rounds)
        .flat_map(|round| {
            ALL.iter().enumerate().map(move |(which, inside)| {
                let number = 2 * (round * u32::try_from(ALL.len()).unwrap() + u32::try_from(which).unwrap());
                (which, [message(*inside, number), message(Inside::BadPadding, number + 1)])
            })
        })
        .collect();
    for (which, pair) in script {
        for (sample, bytes) in samples[which].iter_mut().zip(pair) {
            let begun = Instant::now();
            stage.deliver(&mut line, &bytes);
            sample.push(begun.elapsed());
        }
    }
    line.end();
    listening.finish();
    samples.map(|sample| sample.map(usual))
}

/// The lower quartile: what else runs on the machine only makes times longer.
fn usual(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 4]
}

/// The kinds of failure that only decryption can tell apart take the same time. Wide bounds: the machine is busy.
#[test]
fn bad_padding_a_bad_commitment_and_no_ciphertext_at_all_take_the_same_time() {
    let times = times(storm_rounds(20));
    for (inside, times) in ALL.iter().zip(times) {
        eprintln!("Deliver to Ack, and to the next: {inside:?} {times:?}");
    }
    let [good, failures @ ..] = times;
    for one in failures {
        for other in failures {
            assert!(one.into_iter().zip(other).all(|(one, other)| about_the_same(one, other)), "{failures:?}");
        }
    }
    // The acknowledgement comes before the decryption.
    assert!(about_the_same(good[0], failures[0][0]), "{good:?} and {failures:?}");
}
