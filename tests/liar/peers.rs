//! Peers in league with the server: forwarding what was meant for them, downgrading, taking somebody's words as their own.

use topchat::crypto::envelope::{self, SealWith};
use topchat::names::Recipient;
use topchat::wire::{Header, Suite};

use super::lies::{attributed_to, relabelled, resealed_for_alice, signed_by};
use super::stage::{Stage, THE_END, shown, told};
use crate::support::people::{ALICE, BOB, CAROL, GROUP};

/// T27: Carol wraps what Bob wrote to her for Alice, as if Bob had written it to Alice.
#[test]
fn what_was_written_to_carol_is_never_shown_as_written_to_alice() {
    let stage = Stage::new();
    stage.play(&[CAROL.seal_to(&ALICE, "hi", 1).encode()]);
    let to_carol = BOB.seal_to(&CAROL, "you are dismissed", 0x61);
    let resealed = resealed_for_alice(&stage.home, &to_carol, &CAROL);
    let to_alice = |header: &mut Header| {
        header.recipient = Recipient::User(ALICE.name.clone());
        header.recipient_fp = ALICE.encryption.public().fingerprint();
    };
    let carols = CAROL.identity.public().fingerprint();
    let readdressed = relabelled(&resealed, to_alice);
    let script = [
        // As it was; only sealed anew; the address changed, too.
        to_carol,
        resealed.clone(),
        readdressed.clone(),
        // Under Carol's signature and Bob's name; all of it as Carol's own.
        signed_by(&CAROL, readdressed.clone()),
        signed_by(&CAROL, attributed_to(&readdressed, &BOB.name, carols)),
        signed_by(&CAROL, attributed_to(&readdressed, &CAROL.name, carols)),
    ];
    let (_, finished) = stage.play(&script.map(|envelope| envelope.encode()));
    assert_eq!(shown(&finished), [THE_END]);
    assert!(!finished.stdout.contains("dismissed") && !finished.stderr.contains("dismissed"));
    let told = told(&finished);
    assert!(told.iter().any(|line| line == "a message from carol (#6161) could not be opened"), "{told:?}");
}

/// Nobody proves that they hold the encryption key of their bundle. Carol's has Alice's: what Bob writes to Carol is sealed for
/// Alice, and the server gives it to her.
#[test]
fn what_was_sealed_for_somebody_who_took_anothers_key_is_shown_to_nobody() {
    let stage = Stage::new();
    stage.play(&[CAROL.seal_to(&ALICE, "hi", 1).encode()]);
    let key = ALICE.encryption.public();
    let header = BOB.header(CAROL.name.as_str(), key.fingerprint(), 0x64);
    let for_carol = envelope::seal(header, "you are dismissed", SealWith::Direct(key), &BOB.identity).unwrap();
    let to_alice = |header: &mut Header| header.recipient = Recipient::User(ALICE.name.clone());
    let readdressed = relabelled(&for_carol, to_alice);
    let carols = CAROL.identity.public().fingerprint();
    let script = [
        // As it was; with Alice's name; in Carol's own name and under her signature.
        for_carol,
        readdressed.clone(),
        signed_by(&CAROL, attributed_to(&readdressed, &CAROL.name, carols)),
    ];
    let (_, finished) = stage.play(&script.map(|envelope| envelope.encode()));
    assert_eq!(shown(&finished), [THE_END]);
    assert!(!finished.stdout.contains("dismissed") && !finished.stderr.contains("dismissed"));
    let told = told(&finished);
    assert!(told.iter().any(|line| line == "a message from carol (#6464) could not be opened"), "{told:?}");
}

/// T31, as far as there are suites: no other one is taken, and the one that was signed can't be changed.
#[test]
fn a_suite_is_neither_invented_nor_changed_on_the_way() {
    let stage = Stage::new();
    let direct = BOB.seal_to(&ALICE, "direct", 0x62).encode();
    let group = BOB.seal_to_all("group", 0x63);
    let mut script = Vec::new();
    for suite in [0x00, 0x02, 0x03, 0x10, 0x12, 0x13, 0xff] {
        for bytes in [&direct, &group.encode()] {
            let mut changed = bytes.clone();
            changed[4] = suite;
            script.push(changed);
        }
    }
    // CBC taken for ECB: under the old signature, and under one of Carol's.
    let as_ecb = relabelled(&group, |header| header.suite = Suite::GroupEcb);
    script.push(as_ecb.encode());
    script.push(signed_by(&CAROL, as_ecb).encode());
    let (_, finished) = stage.play(&script);
    assert_eq!(shown(&finished), [THE_END]);
    assert!(told(&finished).iter().all(|line| !line.contains("could not be opened")), "refused before decryption");
}

#[test]
fn a_member_of_the_group_writes_nothing_in_another_members_name() {
    let stage = Stage::new();
    stage.play(&[CAROL.seal_to(&ALICE, "hi", 1).encode()]);
    // Carol has the group key, but not Bob's identity.
    let key = GROUP.writer();
    let forged = {
        let header = CAROL.header("ALL", envelope::group_fingerprint(&key.id), 0x64);
        let sealed = envelope::seal(header, "I, bob, agree", SealWith::Group(key), &CAROL.identity).unwrap();
        attributed_to(&sealed, &BOB.name, BOB.identity.public().fingerprint())
    };
    let script = [forged.clone(), signed_by(&CAROL, forged)];
    let (_, finished) = stage.play(&script.map(|envelope| envelope.encode()));
    assert_eq!(shown(&finished), [THE_END]);
    let rejected =
        "REJECTED a message marked from bob (#6464): the signature does not match bob's key. It was not shown.";
    assert_eq!(told(&finished), [rejected; 2]);
}
