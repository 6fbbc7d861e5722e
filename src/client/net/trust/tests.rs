use super::*;
use crate::client::model::pin::NewKeys;
use crate::client::net::directory::tests::Fake;
use crate::crypto::test_keys::{ALICE, BOB};

fn contacts() -> (tempfile::TempDir, Contacts) {
    let place = tempfile::tempdir().unwrap();
    let contacts = Contacts::open(place.path(), NewKeys::First).unwrap();
    (place, contacts)
}

#[test]
fn a_contact_is_pinned_at_first_sight_and_a_change_stops_everything() {
    let (_place, contacts) = contacts();
    let bob = "bob".parse().unwrap();
    contact(&mut Fake::with(&[("bob", &BOB)]), &contacts, &bob).unwrap();
    let changed = contact(&mut Fake::with(&[("bob", &ALICE)]), &contacts, &bob);
    assert!(matches!(changed, Err(Error::Trust(TrustError::KeyChanged(_)))));
}

#[test]
fn a_changed_key_is_trusted_by_its_own_fingerprint_only() {
    let (_place, contacts) = contacts();
    let bob: UserName = "bob".parse().unwrap();
    contact(&mut Fake::with(&[("bob", &BOB)]), &contacts, &bob).unwrap();
    let mut server = Fake::with(&[("bob", &ALICE)]);
    let now = ALICE.public().fingerprint();
    let old = BOB.public().fingerprint().to_hex();
    assert!(matches!(
        trust(&mut server, &contacts, &bob, Meant::typed(&old).unwrap()),
        Err(Error::Trust(TrustError::Mismatch { .. }))
    ));
    let hex = now.to_hex();
    assert!(matches!(Meant::typed(&hex[..15]), Err(Error::Trust(TrustError::Fingerprint { .. }))));
    assert!(contact(&mut server, &contacts, &bob).is_err(), "nothing was trusted so far");
    assert_eq!(trust(&mut server, &contacts, &bob, Meant::typed(&now.grouped()[..19]).unwrap()).unwrap(), now);
    contact(&mut server, &contacts, &bob).unwrap();
}

#[test]
fn without_a_fingerprint_only_the_key_that_was_shown_is_trusted() {
    let (_place, contacts) = contacts();
    let bob: UserName = "bob".parse().unwrap();
    let with = |key| Fake::with(&[("bob", key)]);
    let [old, other] = [&BOB, &ALICE].map(|key| key.public().fingerprint());
    let trust = |key, shown| trust(&mut with(key), &contacts, &bob, Meant::Shown(shown));
    assert!(
        matches!(trust(&BOB, Some(old)), Err(Error::Trust(TrustError::NotChanged { .. }))),
        "there is no such contact"
    );
    contact(&mut with(&BOB), &contacts, &bob).unwrap();
    assert!(matches!(trust(&ALICE, Some(other)), Err(Error::Trust(TrustError::NotChanged { .. }))));
    assert!(contact(&mut with(&ALICE), &contacts, &bob).is_err());
    let gone = trust(&BOB, Some(other));
    assert!(matches!(gone, Err(Error::Trust(TrustError::Gone { told, now, .. })) if told == other && now == old));
    assert!(contact(&mut with(&BOB), &contacts, &bob).is_err(), "the old key alone lifts nothing");
    for shown in [None, Some(old)] {
        assert!(matches!(trust(&ALICE, shown), Err(Error::Trust(TrustError::NotShown(change))) if change.now == other));
    }
    assert!(contact(&mut with(&ALICE), &contacts, &bob).is_err());
    assert_eq!(trust(&ALICE, Some(other)).unwrap(), other);
    contact(&mut with(&ALICE), &contacts, &bob).unwrap();
}

#[test]
fn a_change_that_shows_when_keys_are_compared_stays_open() {
    let (_place, contacts) = contacts();
    let bob: UserName = "bob".parse().unwrap();
    contact(&mut Fake::with(&[("bob", &BOB)]), &contacts, &bob).unwrap();
    let shown = Verification::begin(&mut Fake::with(&[("bob", &ALICE)]), &contacts, &bob).unwrap();
    assert!(matches!(shown.notice, Some(Notice::KeyChanged(_))));
    assert_eq!(shown.bundle.identity, *ALICE.public());
    assert!(contact(&mut Fake::with(&[("bob", &BOB)]), &contacts, &bob).is_err());
}
