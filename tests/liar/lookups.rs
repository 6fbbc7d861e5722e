//! Lies about keys: nothing is ever sealed for a key that is not the contact's.

use topchat::wire::ToServer;

use super::server::{Liar, talk};
use crate::cli::home::{Home, printed, refused};
use crate::support::people::{ALICE, BOB, CAROL};

/// Alice, who has written to Bob before.
fn alice_who_knows_bob(liar: &Liar) -> Home {
    let home = Home::with_keys(liar.address(), &ALICE);
    let client = home.start(&["send", "bob", "hi"]);
    let mut line = liar.member();
    line.answer_lookup(BOB.bundle());
    let envelope = line.take_message();
    assert_eq!(BOB.open(&envelope), "hi");
    line.drain();
    printed(&client.finish(), &format!("{} delivered\n", envelope.header.msg_id.short()));
    home
}

fn no_message_left(received: &[Vec<u8>]) {
    let frames = talk(received);
    assert!(matches!(frames[..], [ToServer::Lookup { .. }]), "{frames:?}");
}

#[test]
fn the_same_identity_with_another_encryption_key_is_believed_only_if_it_signed_that() {
    let liar = Liar::start();
    let home = alice_who_knows_bob(&liar);
    let mut forged = BOB.bundle_with(CAROL.encryption.public(), 2);
    forged.signature = CAROL.identity.sign(b"something else").unwrap();
    let client = home.start(&["send", "bob", "secret"]);
    let mut line = liar.member();
    line.answer_lookup(forged.encode());
    no_message_left(&line.drain());
    refused(
        &client.finish(),
        4,
        "error: the server gave a key for bob that does not hold: the bundle's signature does not hold\n\
         hint: don't trust this server with that contact; ask its owner\n",
    );
}

#[test]
fn a_bundle_that_does_not_hold_is_refused_at_first_contact_too() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let hint = "hint: don't trust this server with that contact; ask its owner\n";
    // The identity's signature, and behind it the 64 bytes of the Ed25519 key's.
    let (mut bad_signature, mut not_possessed) = (BOB.bundle(), BOB.bundle());
    *bad_signature.iter_mut().rev().nth(64).unwrap() ^= 1;
    *not_possessed.last_mut().unwrap() ^= 1;
    let same_key = BOB.bundle_with(BOB.identity.public(), 1).encode();
    let mut longer = BOB.bundle();
    longer.push(0);
    for (bytes, why) in [
        (CAROL.bundle(), "the server gave another account's keys for bob".to_owned()),
        (
            bad_signature,
            "the server gave a key for bob that does not hold: the bundle's signature does not hold".to_owned(),
        ),
        (
            not_possessed,
            "the server gave a key for bob that does not hold: the bundle is not signed by its Ed25519 key".to_owned(),
        ),
        (
            same_key,
            "the server gave a key for bob that does not hold: one key for both signing and decrypting".to_owned(),
        ),
        (longer, "the server gave a key for bob that does not hold: 1 bytes too many after bundle".to_owned()),
    ] {
        let client = home.start(&["send", "bob", "secret"]);
        let mut line = liar.member();
        line.answer_lookup(bytes);
        no_message_left(&line.drain());
        refused(&client.finish(), 4, &format!("error: {why}\n{hint}"));
    }
    // Nothing of it was pinned: the true key is welcome.
    let client = home.start(&["send", "bob", "hi"]);
    let mut line = liar.member();
    line.answer_lookup(BOB.bundle());
    assert_eq!(BOB.open(&line.take_message()), "hi");
    line.drain();
    assert_eq!(client.finish().code, Some(0));
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let client = home.start(&["send", "bob", "hi", "--timeout", "5"]);
    let mut line = liar.member();
    line.answer_lookup(BOB.bundle());
    let ToServer::Send { .. } = line.take() else { panic!("no Send") };
    let received = line.drain();
    assert_eq!(talk(&received).len(), 2, "it is sent once");
    refused(
        &client.finish(),
        3,
        "error: no answer within 5 s: nothing is known to be delivered\n\
         hint: it may have arrived; send it again, or wait longer with --timeout SECONDS\n",
    );
}
