use data_encoding::HEXLOWER;

use super::*;
use crate::crypto::keys::PrivateKey;
use crate::crypto::test_keys::{self, ALICE, BOB, BOB_ENCRYPTION, CAROL_ENCRYPTION};
use crate::storage::private;
use crate::wire::Prefers;

fn found(identity: &PrivateKey) -> Found {
    numbered(identity, 1)
}

fn numbered(identity: &PrivateKey, number: u64) -> Found {
    let bundle = test_keys::verified("bob", identity.public(), BOB_ENCRYPTION.public(), number);
    Found { bundle, lineage: Vec::new() }
}

fn bob() -> UserName {
    "bob".parse().unwrap()
}

fn open(place: &tempfile::TempDir) -> Contacts {
    Contacts::open(place.path(), NewKeys::First).unwrap()
}

fn mark(contacts: &Contacts) -> Option<Mark> {
    contacts.pinned(&bob()).unwrap().map(|pin| pin.mark)
}

#[track_caller]
fn stops(result: Result<Met, Error>, was: &PrivateKey, is: &PrivateKey) {
    let (was, is) = (was.public().fingerprint(), is.public().fingerprint());
    match result {
        Err(Error::Trust(TrustError::KeyChanged(change))) => assert_eq!((change.pinned, change.now), (was, is)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_key_is_pinned_and_another_one_is_a_change() {
    let place = tempfile::tempdir().unwrap();
    let contacts = open(&place);
    assert_eq!(mark(&contacts), None);
    assert_eq!(contacts.check(&found(&BOB)).unwrap(), Met::First);
    assert_eq!(mark(&contacts), Some(Mark::New));
    stops(contacts.check(&found(&ALICE)), &BOB, &ALICE);
}

/// A thread that reads while another one chooses must not put back what it read before.
#[test]
fn what_was_chosen_is_seen_at_once_however_many_read() {
    let place = tempfile::tempdir().unwrap();
    let contacts = open(&place);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    contacts.pinned(&bob()).unwrap();
                }
            });
        }
        let mut seen = Vec::new();
        for key in [&BOB, &ALICE].into_iter().cycle().take(40) {
            contacts.choose(&found(key).bundle, Choice::Trusted).unwrap();
            let pin = contacts.pinned(&bob()).unwrap();
            seen.push(pin.is_some_and(|pin| pin.key.fingerprint() == key.public().fingerprint()));
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(seen, [true; 40]);
    });
}

#[test]
fn a_later_run_knows_the_key_and_a_chosen_one_takes_its_place() {
    let place = tempfile::tempdir().unwrap();
    open(&place).check(&found(&BOB)).unwrap();
    let contacts = open(&place);
    assert_eq!(contacts.check(&found(&BOB)).unwrap(), Met::Stays);
    assert_eq!(mark(&contacts), Some(Mark::Known));
    contacts.choose(&found(&ALICE).bundle, Choice::Trusted).unwrap();
    assert_eq!(contacts.check(&found(&ALICE)).unwrap(), Met::Stays);
    assert_eq!(mark(&contacts), Some(Mark::New), "nobody has compared it");
    assert_eq!(mark(&open(&place)), Some(Mark::Known));
    contacts.choose(&found(&CAROL_ENCRYPTION).bundle, Choice::Named).unwrap();
    assert_eq!(mark(&contacts), Some(Mark::Known), "its fingerprint was given");
    assert!(contacts.check(&found(&BOB)).is_err());
}

#[test]
fn an_open_change_outlives_restarts_and_the_way_back_to_the_old_key() {
    let place = tempfile::tempdir().unwrap();
    let contacts = open(&place);
    contacts.check(&found(&BOB)).unwrap();
    stops(contacts.check(&found(&ALICE)), &BOB, &ALICE);
    for contacts in [contacts, open(&place)] {
        stops(contacts.check(&found(&BOB)), &BOB, &ALICE);
        stops(contacts.check(&found(&ALICE)), &BOB, &ALICE);
        assert!(contacts.settled(&bob()).is_err());
        assert!(matches!(contacts.forget(&bob()), Err(Error::Trust(TrustError::NotChosen { .. }))));
    }
    // A third key takes the second one's place in what is told.
    stops(open(&place).check(&found(&CAROL_ENCRYPTION)), &BOB, &CAROL_ENCRYPTION);
    stops(open(&place).check(&found(&BOB)), &BOB, &CAROL_ENCRYPTION);
    let contacts = open(&place);
    contacts.choose(&found(&BOB).bundle, Choice::Trusted).unwrap();
    contacts.settled(&bob()).unwrap();
    assert_eq!(contacts.check(&found(&BOB)).unwrap(), Met::Stays);
    let others = contacts.pinned(&bob()).unwrap().unwrap().others;
    assert_eq!(others, [ALICE.public().fingerprint(), CAROL_ENCRYPTION.public().fingerprint()]);
}

#[test]
fn a_compared_key_is_verified_until_it_is_taken_back() {
    let place = tempfile::tempdir().unwrap();
    let contacts = open(&place);
    contacts.choose(&found(&BOB).bundle, Choice::Verified).unwrap();
    assert_eq!(mark(&contacts), Some(Mark::Verified));
    contacts.choose(&found(&BOB).bundle, Choice::Trusted).unwrap();
    assert_eq!(mark(&open(&place)), Some(Mark::Verified), "the same key stays compared");
    assert!(contacts.unverify(&bob()).unwrap());
    assert!(!contacts.unverify(&bob()).unwrap());
    assert_eq!(mark(&contacts), Some(Mark::Known));
    contacts.choose(&found(&BOB).bundle, Choice::Verified).unwrap();
    contacts.choose(&found(&ALICE).bundle, Choice::Trusted).unwrap();
    assert_eq!(mark(&contacts), Some(Mark::New), "another key was never compared");
    contacts.forget(&bob()).unwrap();
    assert_eq!(mark(&contacts), None);
    assert!(matches!(contacts.unverify(&bob()), Err(Error::Trust(TrustError::NoContact { .. }))));
    assert!(matches!(contacts.forget(&bob()), Err(Error::Trust(TrustError::NoContact { .. }))));
}

#[test]
fn new_keys_are_taken_by_nobody_who_does_not_want_them() {
    let place = tempfile::tempdir().unwrap();
    let contacts = Contacts::open(place.path(), NewKeys::Never).unwrap();
    let refused = contacts.check(&found(&BOB));
    assert!(
        matches!(refused, Err(Error::Trust(TrustError::NotPinned { now, .. })) if now == BOB.public().fingerprint())
    );
    assert_eq!(mark(&contacts), None);
    contacts.choose(&found(&BOB).bundle, Choice::Trusted).unwrap();
    assert_eq!(contacts.check(&found(&BOB)).unwrap(), Met::Stays);
}

#[test]
fn what_another_process_pins_is_seen() {
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (open(&place), open(&place));
    one.check(&found(&BOB)).unwrap();
    assert!(other.check(&found(&ALICE)).is_err());
    assert!(one.settled(&bob()).is_err());
    one.choose(&found(&ALICE).bundle, Choice::Trusted).unwrap();
    other.check(&found(&ALICE)).unwrap();
}

#[test]
fn what_another_process_pins_is_as_new_as_what_this_one_does() {
    let place = tempfile::tempdir().unwrap();
    let running = open(&place);
    open(&place).check(&found(&BOB)).unwrap();
    assert_eq!(mark(&running), Some(Mark::New), "seen for the first time");
    let running = open(&place);
    assert_eq!(mark(&running), Some(Mark::Known));
    assert!(open(&place).check(&found(&ALICE)).is_err());
    assert_eq!(mark(&running), Some(Mark::Known), "the pinned one is still the same");
    open(&place).choose(&found(&ALICE).bundle, Choice::Trusted).unwrap();
    assert_eq!(mark(&running), Some(Mark::New), "nobody has compared it");
    open(&place).choose(&found(&ALICE).bundle, Choice::Verified).unwrap();
    assert_eq!(mark(&running), Some(Mark::Verified));
    open(&place).unverify(&bob()).unwrap();
    assert_eq!(mark(&running), Some(Mark::Known), "it was compared once");
    open(&place).choose(&found(&CAROL_ENCRYPTION).bundle, Choice::Trusted).unwrap();
    assert_eq!((mark(&running), mark(&open(&place))), (Some(Mark::New), Some(Mark::Known)));
    open(&place).choose(&found(&CAROL_ENCRYPTION).bundle, Choice::Named).unwrap();
    assert_eq!(mark(&running), Some(Mark::Known), "its fingerprint was given");
}

/// The longest keys of as many contacts as there may be, with the longest names and all that may be known of them.
#[test]
fn a_full_list_of_contacts_can_be_read_and_takes_no_more() {
    let place = tempfile::tempdir().unwrap();
    let contacts = open(&place);
    let key = PrivateKey::generate(crate::limits::RSA_BITS_MAX).unwrap();
    let named = |number: usize| {
        let mut found = found(&key);
        found.bundle.name = format!("{number:a>32}").parse().unwrap();
        found
    };
    let full = Contact::full(&named(0).bundle);
    let full = serde_json::to_string(&full).unwrap();
    let fill = |pins: &mut Pins| {
        pins.contacts.extend(
            (0..CONTACTS_MAX)
                .map(|number| (named(number).bundle.name.to_string(), serde_json::from_str(&full).unwrap())),
        );
        Ok(())
    };
    contacts.file.change(fill).unwrap();
    for refused in [contacts.meet(&found(&BOB)).map(|_| ()), contacts.choose(&found(&BOB).bundle, Choice::Trusted)] {
        assert!(matches!(refused, Err(Error::Trust(TrustError::ContactsFull { .. }))));
    }
    let contacts = open(&place);
    assert!(contacts.pinned(&named(7).bundle.name).unwrap().is_some());
    contacts.choose(&named(7).bundle, Choice::Verified).unwrap();
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let place = tempfile::tempdir().unwrap();
    let contacts = open(&place);
    contacts.check(&found(&BOB)).unwrap();
    let too_long = contacts.file.change(|pins: &mut Pins| {
        let contact = pins.contacts.remove("bob").unwrap();
        pins.contacts.insert("x".repeat(5 << 20), contact);
        Ok(())
    });
    assert!(matches!(too_long, Err(Error::File(crate::storage::FileError::TooLarge { .. }))));
    open(&place).check(&found(&BOB)).unwrap();
}

#[test]
fn a_file_that_is_gone_stops_whoever_needs_the_pins() {
    let place = tempfile::tempdir().unwrap();
    open(&place).check(&found(&BOB)).unwrap();
    std::fs::remove_file(place.path().join("contacts.json")).unwrap();
    let Err(error) = Contacts::open(place.path(), NewKeys::First) else { panic!("every contact would be new") };
    assert!(error.to_string().ends_with("contacts.json is gone"), "{error}");
    assert!(
        crate::error::Explain::hint(&error).unwrap().to_string().contains("every contact counts as new"),
        "{error}"
    );
}

#[test]
fn a_damaged_file_is_refused_by_name() {
    let fingerprint = BOB.public().fingerprint().to_hex();
    let (own, other) = (HEXLOWER.encode(BOB.public().to_der()), HEXLOWER.encode(ALICE.public().to_der()));
    let file = |identity: &str, rest: &str| {
        format!(
            r#"{{"v":4,"contacts":{{"bob":{{"fingerprint":"{fingerprint}","identity":"{identity}","first_seen":{rest}}}}}}}"#
        )
    };
    let seen = "\"2026-11-23T12:04:11Z\"";
    let junk = [
        "{\"v\":4}".to_owned(),
        "{\"v\":5,\"contacts\":{}}".to_owned(),
        file(&other, seen),
        file(&own, "\"\\u001b[2J\""),
        file(&own, &format!("{seen},\"verified\":\"yes\"")),
        file(&own, &format!("{seen},\"others\":[\"00\"]")),
        file(&own, &format!("{seen},\"changed\":{{\"fingerprint\":\"00\",\"seen\":\"\"}}")),
        file(&own, &format!("{seen},\"former\":[{{\"identity\":\"00\",\"since\":\"\"}}]")),
        file(&own, &format!("{seen},\"else\":1")),
    ];
    for junk in junk {
        let place = tempfile::tempdir().unwrap();
        crate::client::model::state_folder::parts(place.path()).begin().unwrap();
        let value: serde_json::Value = serde_json::from_str(&junk).unwrap();
        let text = crate::client::state::state_file::sealed(&value).unwrap();
        private::create_new(&place.path().join("contacts.json"), text.as_bytes()).unwrap();
        let Err(error) = Contacts::open(place.path(), NewKeys::First) else { panic!("{junk} was taken") };
        let told = error.to_string();
        assert!(told.contains("contacts.json") && !told.contains('\u{1b}'), "{told}");
    }
}

/// Bob's keys under this number, with what they ask for.
fn asking(identity: &PrivateKey, number: u64, prefers: Prefers) -> Found {
    let mut found = numbered(identity, number);
    found.bundle.prefers = prefers;
    found
}

#[test]
fn a_wish_for_modern_is_remembered_for_the_name_whoever_holds_it_later() {
    let place = tempfile::tempdir().unwrap();
    let contacts = open(&place);
    let is_modern = |contacts: &Contacts| contacts.pinned(&bob()).unwrap().unwrap().modern;
    contacts.meet(&asking(&BOB, 1, Prefers::Classic)).unwrap();
    assert!(!is_modern(&contacts));
    contacts.meet(&asking(&BOB, 2, Prefers::Modern)).unwrap();
    assert!(is_modern(&contacts));
    assert!(is_modern(&open(&place)), "a restart");
    assert!(contacts.meet(&asking(&BOB, 1, Prefers::Classic)).is_err(), "an older one takes nothing back");
    assert!(is_modern(&contacts));
    contacts.choose(&asking(&ALICE, 1, Prefers::Classic).bundle, Choice::Trusted).unwrap();
    assert!(is_modern(&contacts), "another key of the name");
    let exported = exported(place.path()).unwrap().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(put(elsewhere.path(), imported(&exported).unwrap()).unwrap());
    assert!(is_modern(&open(&elsewhere)), "another machine");
}

#[test]
fn a_wish_that_is_taken_back_is_told_once_and_of_a_verified_contact_asked_for() {
    for (choice, stays) in [(Choice::Trusted, false), (Choice::Verified, true)] {
        let place = tempfile::tempdir().unwrap();
        let contacts = open(&place);
        contacts.choose(&asking(&BOB, 1, Prefers::Modern).bundle, choice).unwrap();
        let back = asking(&BOB, 2, Prefers::Classic);
        assert_eq!(contacts.meet(&back).unwrap(), Met::TookBack { stays });
        assert_eq!(contacts.meet(&back).unwrap(), Met::Stays);
        let pin = || contacts.pinned(&bob()).unwrap().unwrap();
        assert_eq!(pin().least(&back.bundle), if stays { Prefers::Modern } else { Prefers::Classic });
        assert!(!contacts.accept(&bob()).unwrap());
        assert_eq!(pin().least(&back.bundle), Prefers::Classic);
    }
}

#[test]
fn nothing_classic_goes_to_whom_a_newer_bundle_was_announced_of_until_it_is_shown() {
    let place = tempfile::tempdir().unwrap();
    let contacts = open(&place);
    let old = asking(&BOB, 1, Prefers::Classic);
    contacts.meet(&old).unwrap();
    let least = |found: &Found| contacts.pinned(&bob()).unwrap().unwrap().least(&found.bundle);
    contacts.announced(&bob(), ALICE.public().fingerprint(), 9).unwrap();
    assert_eq!(least(&old), Prefers::Classic, "another identity announces nothing");
    contacts.announced(&bob(), BOB.public().fingerprint(), 3).unwrap();
    contacts.announced(&bob(), BOB.public().fingerprint(), 2).unwrap();
    assert_eq!(least(&old), Prefers::Modern);
    let between = asking(&BOB, 2, Prefers::Classic);
    contacts.meet(&between).unwrap();
    assert_eq!(least(&between), Prefers::Modern);
    let shown = asking(&BOB, 3, Prefers::Classic);
    contacts.meet(&shown).unwrap();
    assert_eq!(least(&shown), Prefers::Classic);
}
