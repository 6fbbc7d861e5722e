use super::*;
use crate::crypto::bundle::hand_over;
use crate::crypto::keys::PrivateKey;
use crate::crypto::test_keys::{self, ALICE, BOB, BOB_ENCRYPTION, CAROL_ENCRYPTION};
use crate::wire::Predecessor;

impl Contact {
    /// With all that may be known of a contact.
    pub(crate) fn full(bundle: &VerifiedBundle) -> Self {
        let (identity, time) = (HEXLOWER.encode(bundle.identity.to_der()), json::time(NOW));
        let former = |_| FormerKey { identity: identity.clone(), since: time.clone(), ed25519: Vec::new() };
        Self {
            verified: Some(time.clone()),
            verified_before: Some(time.clone()),
            named: true,
            bundle: u64::MAX,
            former: (0..FORMER_KEYS).map(former).collect(),
            changed: Some(Changed { fingerprint: "0".repeat(64), seen: time.clone() }),
            others: vec!["0".repeat(64); OTHER_KEYS],
            ..Self::new(bundle, NOW)
        }
    }
}

const NOW: i64 = 1_795_435_452_000;
const DAY: i64 = 24 * 3600 * 1000;

fn bob() -> UserName {
    "bob".parse().unwrap()
}

fn found(identity: &PrivateKey, number: u64, encryption: &PrivateKey, lineage: Vec<Predecessor>) -> Found {
    Found { bundle: test_keys::verified("bob", identity.public(), encryption.public(), number), lineage }
}

fn link(old: &PrivateKey, new: &PrivateKey) -> Predecessor {
    Predecessor { identity: old.public().to_der().to_vec(), handover: hand_over(&bob(), old, new).unwrap() }
}

fn meet(contact: &mut Contact, found: &Found) -> Result<Met, Error> {
    let held = contact.pin().unwrap();
    contact.meet(&held, found, NOW)
}

/// Bob, verified, with his first bundle.
fn contact() -> Contact {
    let mut contact = Contact::new(&found(&BOB, 1, &BOB_ENCRYPTION, vec![]).bundle, NOW - DAY);
    contact.choose(&found(&BOB, 1, &BOB_ENCRYPTION, vec![]).bundle, Choice::Verified, NOW - DAY);
    contact
}

#[test]
fn encryption_keys_may_change_under_a_growing_number_and_never_back() {
    let mut contact = contact();
    assert_eq!(meet(&mut contact, &found(&BOB, 1, &BOB_ENCRYPTION, vec![])).unwrap(), Met::Stays);
    let reused = meet(&mut contact, &found(&BOB, 1, &CAROL_ENCRYPTION, vec![]));
    assert!(matches!(reused, Err(Error::Trust(TrustError::BundleReused { number: 1, .. }))));
    assert_eq!(meet(&mut contact, &found(&BOB, 5, &CAROL_ENCRYPTION, vec![])).unwrap(), Met::Stays);
    let old = meet(&mut contact, &found(&BOB, 4, &BOB_ENCRYPTION, vec![]));
    assert!(matches!(old, Err(Error::Trust(TrustError::OldBundle { given: 4, known: 5, .. }))));
    assert_eq!(contact.pin().unwrap().mark, Mark::Verified, "the identity is the same");
}

#[test]
fn a_handover_moves_the_pin_and_leaves_the_comparing_to_the_person() {
    let mut contact = contact();
    let new = found(&ALICE, 2, &BOB_ENCRYPTION, vec![link(&CAROL_ENCRYPTION, &ALICE), link(&BOB, &CAROL_ENCRYPTION)]);
    assert_eq!(meet(&mut contact, &new).unwrap(), Met::Moved);
    let pin = contact.pin().unwrap();
    assert_eq!((pin.key.fingerprint(), pin.mark), (ALICE.public().fingerprint(), Mark::Known));
    for former in [&BOB, &CAROL_ENCRYPTION] {
        let fingerprint = former.public().fingerprint();
        assert!(matches!(pin.signer(fingerprint, NOW + 29 * DAY), Some((_, Mark::Former))));
        assert!(pin.signer(fingerprint, NOW + 31 * DAY).is_none());
    }
    assert!(pin.changed.is_none() && pin.others.is_empty());
}

#[test]
fn a_key_that_has_handed_over_is_an_old_one_and_no_change() {
    let mut contact = contact();
    meet(&mut contact, &found(&ALICE, 6, &BOB_ENCRYPTION, vec![link(&BOB, &ALICE)])).unwrap();
    let old = meet(&mut contact, &found(&BOB, 5, &BOB_ENCRYPTION, vec![]));
    assert!(matches!(old, Err(Error::Trust(TrustError::OldBundle { given: 5, known: 6, .. }))));
    assert!(contact.pin().unwrap().changed.is_none());
    assert_eq!(meet(&mut contact, &found(&ALICE, 6, &BOB_ENCRYPTION, vec![])).unwrap(), Met::Stays);
}

#[test]
fn what_was_compared_before_keys_were_handed_over_is_taken_back_too() {
    let mut contact = contact();
    let new = found(&ALICE, 2, &BOB_ENCRYPTION, vec![link(&BOB, &ALICE)]);
    assert_eq!(meet(&mut contact, &new).unwrap(), Met::Moved);
    assert!(contact.verified_before.is_some());
    assert_eq!((contact.unverify(), contact.unverify()), (true, false));
    assert_eq!((&contact.verified, &contact.verified_before), (&None, &None));
}

#[test]
fn a_key_vouches_for_those_that_it_has_replaced_from_the_day_on_which_it_was_pinned() {
    let former = [ALICE.public().clone()];
    let mut contact = contact();
    contact.vouched(CAROL_ENCRYPTION.public().fingerprint(), &former);
    assert!(contact.pin().unwrap().former.is_empty(), "it is not pinned");
    for _ in 0..2 {
        contact.vouched(BOB.public().fingerprint(), &former);
        let pin = contact.pin().unwrap();
        assert_eq!((pin.former.len(), pin.mark), (1, Mark::Verified));
        assert!(pin.signer(former[0].fingerprint(), NOW + 28 * DAY).is_some());
        assert!(pin.signer(former[0].fingerprint(), NOW + 30 * DAY).is_none());
    }
}

#[test]
fn a_lineage_that_does_not_begin_with_the_pinned_key_is_a_change() {
    let mut forged = link(&BOB, &ALICE);
    forged.handover[5] ^= 1;
    for lineage in [vec![], vec![forged], vec![link(&CAROL_ENCRYPTION, &ALICE)]] {
        let mut contact = contact();
        let met = meet(&mut contact, &found(&ALICE, 2, &BOB_ENCRYPTION, lineage)).unwrap();
        let Met::Changed(change) = met else { panic!("{met:?}") };
        assert_eq!((change.pinned, change.now), (BOB.public().fingerprint(), ALICE.public().fingerprint()));
        assert_eq!((change.since_ms, change.verified_ms), (NOW - DAY, Some(NOW - DAY)));
    }
}

#[test]
fn once_a_change_is_open_no_handover_closes_it() {
    let mut contact = contact();
    meet(&mut contact, &found(&ALICE, 2, &BOB_ENCRYPTION, vec![])).unwrap();
    let later = found(&ALICE, 2, &BOB_ENCRYPTION, vec![link(&BOB, &ALICE)]);
    assert!(matches!(meet(&mut contact, &later).unwrap(), Met::Changed(_)));
    assert!(contact.has_met(&later.bundle));
}

#[test]
fn who_was_not_chosen_is_remembered_and_the_chosen_one_is_not_among_them() {
    let mut contact = contact();
    let held = contact.pin().unwrap();
    let [bob, second, third] = [&BOB, &ALICE, &CAROL_ENCRYPTION].map(|key| key.public().fingerprint());
    contact.other(&self::bob(), &held, second, NOW);
    contact.other(&self::bob(), &held, third, NOW);
    contact.choose(&found(&ALICE, 1, &BOB_ENCRYPTION, vec![]).bundle, Choice::Trusted, NOW);
    let pin = contact.pin().unwrap();
    assert_eq!((pin.key.fingerprint(), pin.mark, pin.changed), (second, Mark::Known, None));
    assert_eq!(pin.others, [third, bob]);
    let made_up = (0..100).map(|number| Fingerprint([number; 32]));
    made_up.for_each(|made_up| drop(contact.other(&self::bob(), &pin, made_up, NOW)));
    assert_eq!(contact.pin().unwrap().others.len(), OTHER_KEYS);
}

/// Bob hands over twice, the second time while this machine's clock is years ahead.
#[test]
fn a_clock_that_is_far_ahead_drops_no_former_key_for_good() {
    let mut contact = contact();
    let second = PrivateKey::generate(2048).unwrap();
    let to_second = found(&second, 2, &BOB_ENCRYPTION, vec![link(&BOB, &second)]);
    assert_eq!(meet(&mut contact, &to_second).unwrap(), Met::Moved);
    let third = PrivateKey::generate(2048).unwrap();
    let to_third = found(&third, 3, &BOB_ENCRYPTION, vec![link(&second, &third), link(&BOB, &second)]);
    let held = contact.pin().unwrap();
    assert_eq!(contact.meet(&held, &to_third, NOW + 3650 * DAY).unwrap(), Met::Moved);
    let former: Vec<_> = contact.pin().unwrap().former.iter().map(|former| former.key.fingerprint()).collect();
    assert_eq!(former, [second.public().fingerprint(), BOB.public().fingerprint()]);
}
