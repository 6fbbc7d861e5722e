//! Messages by the modern suites: the key that signs must stand in a bundle of exactly the sender's name and identity.

use super::*;
use crate::crypto::bundle::Contents;
use crate::crypto::bundle::Former;
use crate::crypto::curve::SigningKey;
use crate::crypto::envelope::seal_modern;
use crate::crypto::group_key::Cipher;
use crate::crypto::test_keys::{BOB_OPENING, BOB_SIGNING};
use crate::limits::FORMER_MS;
use crate::wire::{Prefers, Suite};

/// When all these messages come.
const NOW: i64 = 1_700_000_000_000;

/// From Alice to Bob, signed with this key.
fn direct(seq: u64, text: &str, by: &SigningKey) -> Envelope {
    let header = Header { suite: Suite::DirectModern, recipient_fp: BOB_OPENING.public().fingerprint(), ..header(seq) };
    seal_modern(header, text, SealWith::DirectModern(BOB_OPENING.public()), by).unwrap()
}

/// Alice's bundle with this key, and those before it.
fn bundle_with(by: &SigningKey, former: &[Former], number: u64) -> Vec<u8> {
    let name = "alice".parse().unwrap();
    let make = |contents: Contents<'_>| bundle::make(&Contents { ed25519: by, former, ..contents }).unwrap().encode();
    test_keys::contents(&name, &ALICE, CAROL_ENCRYPTION.public(), number, make)
}

fn other() -> SigningKey {
    SigningKey::generate().unwrap()
}

#[test]
fn a_modern_message_is_shown_if_its_key_stands_in_the_senders_bundle() {
    let mut keys = GroupKeys::generate_for(Cipher::Aes);
    let to_all = |keys: &GroupKeys| {
        let fingerprint = envelope::group_fingerprint(&keys.writer().id);
        let header =
            Header { suite: Suite::GroupModern, recipient: Recipient::All, recipient_fp: fingerprint, ..header(2) };
        seal_modern(header, "hi all", SealWith::Group(keys.writer()), &BOB_SIGNING).unwrap()
    };
    let group = to_all(&keys);
    keys.rekey_for(Cipher::Des).unwrap();
    let (member, keyring) = (bob(Some(keys)), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let shown = deliver(&mut receiver, &direct(1, "hi", &BOB_SIGNING).encode());
    assert_eq!(told(&shown), ["alice: hi (Known)"]);
    assert_eq!(told(&deliver(&mut receiver, &group.encode())), ["alice: hi all (Known)"]);
    assert_eq!(told(&deliver(&mut receiver, &group.encode())), ["Copy"]);
}

#[test]
fn a_key_that_is_not_known_is_looked_up_and_counts_for_its_name_and_identity_alone() {
    let new_key = other();
    let message = direct(1, "hi", &new_key).encode();
    for (bundle, expected) in [
        (bundle_with(&new_key, &[], 2), "alice: hi (Known)"),
        (bundle_with(&other(), &[], 2), "Rejected"),
        // One that is older than what is known.
        (bundle_of("alice", &ALICE), "Rejected"),
        // Of another's name, with that key: this is no bundle of Alice's.
        (test_keys::bundle("mallory", &ALICE, CAROL_ENCRYPTION.public(), 2).encode(), "Rejected"),
    ] {
        let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
        let mut receiver = new(&member, &keyring);
        let request = request(&deliver(&mut receiver, &message));
        let shown = receiver.found(request, &bundle, Vec::new(), Instant::now()).unwrap();
        assert_eq!(told(&shown), [expected]);
    }
}

#[test]
fn a_key_of_one_contact_signs_for_no_other() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE).knows("carol", &BOB));
    let mut receiver = new(&member, &keyring);
    // Carol's key is the same as Alice's here: still it must be hers under her identity.
    let stolen = Header {
        suite: Suite::DirectModern,
        sender: "carol".parse().unwrap(),
        sender_fp: ALICE.public().fingerprint(),
        recipient_fp: BOB_OPENING.public().fingerprint(),
        ..header(1)
    };
    let stolen = seal_modern(stolen, "hi", SealWith::DirectModern(BOB_OPENING.public()), &BOB_SIGNING).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &stolen.encode())), ["look up carol"]);
}

#[test]
fn a_sender_seen_for_the_first_time_is_pinned_by_a_modern_message_too() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    let key = other();
    let first = request(&deliver(&mut receiver, &direct(1, "hi", &key).encode()));
    let shown = receiver.found(first, &bundle_with(&other(), &[], 1), Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&shown), ["UnknownSender"]);
    assert!(keyring.is_empty(), "its key stands in no bundle that was shown");
    let second = request(&deliver(&mut receiver, &direct(2, "ho", &key).encode()));
    let shown = receiver.found(second, &bundle_with(&key, &[], 1), Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&shown), ["alice: ho (New)"]);
}

#[test]
fn a_replaced_key_counts_for_thirty_days_and_is_marked() {
    for (retired_ms, expected) in [(NOW - FORMER_MS, "alice: hi (Former)"), (NOW - FORMER_MS - 1, "Rejected")] {
        let old = other();
        let former = [Former { key: old.public().clone(), retired_ms: u64::try_from(retired_ms).unwrap() }];
        let (member, keyring) = (bob(None), Memory::default());
        let verified = bundle::verify(&bundle_with(&other(), &former, 2)).unwrap();
        keyring.pins.choose(&verified, Choice::Named).unwrap();
        let mut receiver = new(&member, &keyring);
        let mut actions = deliver(&mut receiver, &direct(1, "hi", &old).encode());
        if let Some(Action::Lookup { request, .. }) = actions.last() {
            let bundle = bundle_with(&BOB_SIGNING, &former, 3);
            actions = receiver.found(*request, &bundle, Vec::new(), Instant::now()).unwrap();
        }
        assert_eq!(told(&actions), [expected]);
    }
}

#[test]
fn a_suite_that_does_not_fit_its_key_could_not_be_opened() {
    let keys = GroupKeys::generate_for(Cipher::Aes);
    let fingerprint = envelope::group_fingerprint(&keys.writer().id);
    let des = GroupKeys::generate().unwrap();
    let header = Header {
        suite: Suite::GroupCbc,
        recipient: Recipient::All,
        recipient_fp: envelope::group_fingerprint(&des.writer().id),
        ..header(1)
    };
    let sealed = envelope::seal(header, "hi", SealWith::Group(des.writer()), &ALICE).unwrap();
    let mut forged = Envelope { header: Header { recipient_fp: fingerprint, ..sealed.header.clone() }, ..sealed };
    forged.header_bytes = forged.header.encode();
    forged.signature = ALICE.sign(&forged.signed_bytes()).unwrap();
    let (member, keyring) = (bob(Some(keys)), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    assert_eq!(told(&deliver(&mut receiver, &forged.encode())), ["NotOpened"]);
}

/// A bad tag, a bad point, another's key, a bad commitment and bad zeros are one and the same to everybody.
#[test]
fn every_way_to_fail_after_the_signature_looks_alike() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let changes: [fn(&mut Envelope); 5] = [
        |envelope| *envelope.ciphertext.last_mut().unwrap() ^= 1,
        |envelope| envelope.ciphertext[..32].fill(0),
        |envelope| envelope.ciphertext[..32].fill(0xff),
        |envelope| envelope.ciphertext[40] ^= 1,
        |envelope| envelope.commitment[0] ^= 1,
    ];
    for (seq, change) in (1..).zip(changes) {
        let mut envelope = direct(seq, "hi", &BOB_SIGNING);
        change(&mut envelope);
        let signature = BOB_SIGNING.sign(&envelope.signed_bytes()).unwrap();
        envelope.signature = [&BOB_SIGNING.public().fingerprint().0[..], &signature].concat();
        assert_eq!(told(&deliver(&mut receiver, &envelope.encode())), ["NotOpened"], "change {seq}");
    }
}

/// Contacts where Alice was seen to ask for modern messages.
fn asking_for_modern() -> Memory {
    let keyring = Memory::default();
    let name = "alice".parse().unwrap();
    let make =
        |contents: Contents<'_>| bundle::make(&Contents { prefers: Prefers::Modern, ..contents }).unwrap().encode();
    let bytes = test_keys::contents(&name, &ALICE, CAROL_ENCRYPTION.public(), 1, make);
    keyring.pins.choose(&bundle::verify(&bytes).unwrap(), Choice::Named).unwrap();
    keyring
}

#[test]
fn a_classic_message_of_whom_asks_for_modern_waits_until_it_is_accepted_and_is_marked() {
    let (member, keyring) = (bob(None), asking_for_modern());
    let mut receiver = new(&member, &keyring);
    let classic = entry(&sealed(header(1), "classic").encode());
    let again = |receiver: &mut Receiver| {
        let copy = Entry { envelope: classic.envelope.clone(), ..classic };
        let mut actions = receiver.arrived(copy, Instant::now()).unwrap();
        actions.extend(receiver.news(Instant::now()));
        actions
    };
    assert_eq!(told(&again(&mut receiver)), ["Weaker"]);
    assert_eq!(told(&deliver(&mut receiver, &direct(2, "modern", &BOB_SIGNING).encode())), ["alice: modern (Known)"]);
    assert!(receiver.released().unwrap().0.is_empty());
    assert!(keyring.pins.accept(&"alice".parse().unwrap()).unwrap());
    assert_eq!(receiver.released().unwrap().0.into_iter().collect::<Vec<_>>(), [classic.entry]);
    let shown = again(&mut receiver);
    assert_eq!(told(&shown), ["alice: classic (Known)"]);
    assert!(shown[0].shown().unwrap().is_weaker);
}

#[test]
fn a_newer_bundle_that_a_message_names_is_remembered_once_its_signature_holds() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let newer = sealed(Header { sender_bundle: 7, ..header(1) }, "hi");
    let unsigned = Envelope { signature: vec![0; 256], ..newer.clone() };
    assert_eq!(told(&deliver(&mut receiver, &unsigned.encode())), ["Rejected"]);
    assert_eq!(told(&deliver(&mut receiver, &newer.encode())), ["alice has bundle 7", "alice: hi (Known)"]);
}
