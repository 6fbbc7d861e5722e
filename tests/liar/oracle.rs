//! The decryption oracle (Bleichenbacher 1998): whatever is inside a message, the server sees the same bytes in the same
//! order; and how long they take tells no more than whoever made the message knows.

use std::time::{Duration, Instant};

use topchat::crypto::digest::sha256;
use topchat::crypto::envelope;
use topchat::wire::{Envelope, MessageId, signed};

use super::lies::{header, signed_by_bob};
use super::stage::Stage;
use crate::support::people::{ALICE, BOB};
use crate::support::{about_the_same, storm_rounds};

/// What is inside; all of it signed by Bob, who is in league with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    /// A text that opens.
    Good,
    /// No PKCS#1 v1.5 padding.
    BadPadding,
    /// Good padding around a text that the commitment is not of.
    BadCommitment,
}

fn message(inside: Inside, number: u32) -> Vec<u8> {
    let mut header = header("alice", 0);
    header.msg_id = MessageId(u128::from(number).to_be_bytes());
    let good = || {
        let with = envelope::SealWith::Direct(ALICE.encryption.public());
        envelope::seal(header.clone(), "hello", with, &BOB.identity).unwrap()
    };
    let sealed: Envelope = match inside {
        Inside::Good => good(),
        Inside::BadPadding => {
            let block = [&[0][..], &sha256(&number.to_be_bytes()).repeat(8)[1..]].concat();
            signed_by_bob(header, [0; 32], block)
        }
        Inside::BadCommitment => {
            let ciphertext = good().ciphertext;
            signed_by_bob(header, sha256(&signed::commitment(b"", b"")), ciphertext)
        }
    };
    sealed.encode()
}

/// From Deliver to its Ack, and from a second Deliver right behind that Ack to the second Ack: in between the first message is
/// opened, so if anything shows, it shows there.
fn times(rounds: u32) -> [[Duration; 2]; 3] {
    let stage = Stage::new();
    stage.play(&[]);
    let (mut line, listening) = stage.listen();
    let mut samples: [[Vec<Duration>; 2]; 3] = Default::default();
    // Made before anything is measured: making one takes longer than another.
    let script: Vec<_> = (0..rounds * 3)
        .map(|round| {
            let which = usize::try_from(round % 3).unwrap();
            let inside = [Inside::Good, Inside::BadPadding, Inside::BadCommitment][which];
            (which, [message(inside, 2 * round), message(Inside::BadPadding, 2 * round + 1)])
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

/// The two kinds of failure that only decryption can tell apart take the same time. Wide bounds: the machine is busy.
#[test]
fn bad_padding_and_a_bad_commitment_take_the_same_time() {
    let [good, padding, commitment] = times(storm_rounds(40));
    eprintln!("Deliver to Ack, and to the next: good {good:?}, bad padding {padding:?}, bad commitment {commitment:?}");
    for (one, other) in padding.into_iter().zip(commitment) {
        assert!(about_the_same(one, other), "bad padding {padding:?}, bad commitment {commitment:?}");
    }
    // The acknowledgement comes before the decryption.
    assert!(about_the_same(good[0], padding[0]), "{good:?} and {padding:?}");
}
