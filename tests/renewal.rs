//! New keys for an account, as the server takes them.

use topchat::crypto::bundle;
use topchat::crypto::keys::PrivateKey;
use topchat::server::Settings;
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, Fingerprint, Predecessor, ToClient, ToServer};

use crate::support::people::{ALICE, BOB, CAROL, Person, copy};
use crate::support::raw::{RawClient, error_code};
use crate::support::server::TestServer;

/// Alice's next encryption key, which Bob lends her; her next identity is Carol's.
pub fn next_encryption() -> &'static PrivateKey {
    &BOB.encryption
}

/// `UpdateKeys` for Alice on this connection, all of it true.
pub fn update(client: &RawClient, identity: &PrivateKey, number: u64) -> ToServer {
    let bundle = ALICE.bundle_of(&ALICE.name, identity, next_encryption().public(), number).encode();
    let is_same = identity.public() == ALICE.identity.public();
    let handover = if is_same { Vec::new() } else { handover(identity) };
    let proof = bundle::prove_update(identity, &client.exporter(), &bundle).unwrap();
    ToServer::UpdateKeys { request: 5, bundle, handover, proof }
}

/// Bytes of a signature by one of these keys, which have 2048 bits.
const SIGNATURE: usize = 256;

fn handover(to: &PrivateKey) -> Vec<u8> {
    bundle::hand_over(&ALICE.name, &ALICE.identity, to).unwrap()
}

fn bundle_of(frame: &ToServer) -> Vec<u8> {
    match frame {
        ToServer::UpdateKeys { bundle, .. } => bundle.clone(),
        other => panic!("{other:?}"),
    }
}

/// Alice with Carol's identity key.
pub fn alice_renewed() -> Person {
    ALICE.with(&ALICE.name, copy(&CAROL.identity), copy(next_encryption()))
}

fn look_up(client: &mut RawClient, fingerprint: Option<Fingerprint>) -> ToClient {
    client.ask(&ToServer::Lookup { request: 3, name: ALICE.name.clone(), fingerprint })
}

#[test]
fn a_new_encryption_key_ends_the_other_sessions_and_is_what_others_get() {
    let server = TestServer::start();
    let mut chat = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut errand = RawClient::again(server.address, &ALICE, Mode::Errand);
    let update = update(&errand, &ALICE.identity, 2);
    assert_eq!(errand.ask(&update), ToClient::Done { request: 5 });
    chat.expect_bye(Code::KeysReplaced);
    assert_eq!(errand.ask(&update), ToClient::Done { request: 5 }, "a lost answer may be asked for again");
    let found = ToClient::Found { request: 3, bundle: bundle_of(&update), lineage: Vec::new() };
    assert_eq!(look_up(&mut errand, None), found);
    assert_eq!(look_up(&mut bob, Some(ALICE.identity.public().fingerprint())), found);
    RawClient::again(server.address, &ALICE, Mode::Receiving).expect_nothing();
}

#[test]
fn a_new_identity_logs_in_and_is_found_by_the_old_one() {
    let server = TestServer::start();
    let mut errand = RawClient::member(server.address, &ALICE, Mode::Errand);
    let update = update(&errand, &CAROL.identity, 2);
    assert_eq!(errand.ask(&update), ToClient::Done { request: 5 });
    assert_eq!(errand.ask(&update), ToClient::Done { request: 5 }, "a lost answer may be asked for again");
    let identity = ALICE.identity.public().to_der().to_vec();
    let lineage = vec![Predecessor { identity, handover: handover(&CAROL.identity) }];
    let found = ToClient::Found { request: 3, bundle: bundle_of(&update), lineage };
    for fingerprint in [&ALICE, &CAROL].map(|person| person.identity.public().fingerprint()) {
        assert_eq!(look_up(&mut errand, Some(fingerprint)), found);
    }
    assert_eq!(error_code(&look_up(&mut errand, Some(Fingerprint([1; 32])))), Code::NoSuchKey);
    let refused = RawClient::connect(server.address).login(&ALICE, Mode::Errand);
    assert_eq!(error_code(&refused), Code::LoginRefused);
    let mut renewed = RawClient::again(server.address, &alice_renewed(), Mode::Errand);
    // What was signed before and never answered is taken still.
    let envelope = ALICE.seal_to_all("hi", 9);
    assert!(matches!(renewed.send_envelope(&envelope), ToClient::Status { .. }));
    assert!(matches!(errand.send_envelope(&envelope), ToClient::Status { .. }), "this session goes on");
}

#[test]
fn what_waits_for_an_account_stays_its_own_through_a_new_identity_and_a_restart() {
    let server = TestServer::start();
    let mut errand = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
    let sent = [BOB.seal_to(&ALICE, "one", 1), BOB.seal_to(&ALICE, "two", 2)];
    assert!(matches!(bob.send_envelope(&sent[0]), ToClient::Status { .. }));
    let update = update(&errand, &CAROL.identity, 2);
    assert_eq!(errand.ask(&update), ToClient::Done { request: 5 });
    assert!(matches!(bob.send_envelope(&sent[1]), ToClient::Status { .. }));
    let folder = server.stop();
    let server = TestServer::again(folder, Settings::default());
    let mut alice = RawClient::again(server.address, &alice_renewed(), Mode::Receiving);
    assert_eq!(sent.each_ref().map(|_| alice.take_delivery()), sent);
    let folder = server.stop();
    let server = TestServer::again(folder, Settings::default());
    RawClient::again(server.address, &alice_renewed(), Mode::Receiving).expect_nothing();
}

#[test]
fn whatever_does_not_hold_is_refused_and_changes_nothing() {
    let server = TestServer::start();
    let mut errand = RawClient::member(server.address, &ALICE, Mode::Errand);
    let other = RawClient::connect(server.address);
    let ToServer::UpdateKeys { bundle: same, proof, .. } = update(&errand, &ALICE.identity, 2) else { unreachable!() };
    let ToServer::UpdateKeys { bundle: new, proof: new_proof, .. } = update(&errand, &CAROL.identity, 2) else {
        unreachable!()
    };
    let prove = |key: &PrivateKey, bundle: &[u8]| bundle::prove_update(key, &errand.exporter(), bundle).unwrap();
    let of_bob = ALICE.bundle_of(&BOB.name, &ALICE.identity, next_encryption().public(), 2).encode();
    let old = ALICE.bundle_with(next_encryption().public(), 1).encode();
    let one_key = ALICE.bundle_with(ALICE.identity.public(), 2).encode();
    let elsewhere = bundle::prove_update(&ALICE.identity, &other.exporter(), &same).unwrap();
    let registration = bundle::prove(&ALICE.identity, &errand.exporter(), &same).unwrap();
    let by_carol = bundle::hand_over(&ALICE.name, &CAROL.identity, &CAROL.identity).unwrap();
    let to_bob = bundle::hand_over(&ALICE.name, &ALICE.identity, &BOB.identity).unwrap();
    let half = |which: usize| handover(&CAROL.identity).chunks(SIGNATURE).nth(which).unwrap().to_vec();
    let swapped = [half(1), half(0)].concat();
    for (why, bundle, handover, proof, code) in [
        ("a handover that the new key did not sign", &new, half(0), new_proof.clone(), Code::BadSignature),
        ("a handover that the old key did not sign", &new, half(1), new_proof.clone(), Code::BadSignature),
        ("a handover the wrong way round", &new, swapped, new_proof.clone(), Code::BadSignature),
        ("a proof of another connection", &same, vec![], elsewhere, Code::BadSignature),
        ("a proof of a registration", &same, vec![], registration, Code::BadSignature),
        ("no proof", &same, vec![], vec![], Code::BadSignature),
        ("a handover to the same", &same, handover(&ALICE.identity), proof.clone(), Code::BadSignature),
        ("no handover", &new, vec![], new_proof.clone(), Code::BadSignature),
        ("the new key's own handover", &new, by_carol, new_proof.clone(), Code::BadSignature),
        ("a handover to another", &new, to_bob, new_proof, Code::BadSignature),
        ("the old key's proof", &new, handover(&CAROL.identity), prove(&ALICE.identity, &new), Code::BadSignature),
        ("another name", &of_bob, vec![], prove(&ALICE.identity, &of_bob), Code::BadSignature),
        ("an old number", &old, vec![], prove(&ALICE.identity, &old), Code::StaleBundle),
        ("one key for both", &one_key, vec![], prove(&ALICE.identity, &one_key), Code::BadKey),
    ] {
        let answer = errand.ask(&ToServer::UpdateKeys { request: 5, bundle: bundle.clone(), handover, proof });
        assert_eq!(error_code(&answer), code, "{why}");
    }
    let found = ToClient::Found { request: 3, bundle: ALICE.bundle(), lineage: Vec::new() };
    assert_eq!(look_up(&mut errand, None), found);
    errand.send(&ToServer::UpdateKeys { request: 5, bundle: same[..99].to_vec(), handover: vec![], proof });
    errand.expect_bye(Code::Malformed);
}
