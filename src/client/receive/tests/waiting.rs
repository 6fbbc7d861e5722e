use super::*;
use crate::crypto::envelope::group_fingerprint;
use crate::limits::KEPT_OF_SENDER;
use crate::storage::private;
use crate::wire::Suite;

/// A group message of Alice's.
fn to_all(keys: &GroupKeys, seq: u64) -> Vec<u8> {
    let header = Header {
        suite: Suite::GroupCbc,
        recipient: Recipient::All,
        recipient_fp: group_fingerprint(&keys.writer().id),
        ..header(seq)
    };
    envelope::seal(header, &format!("number {seq}"), SealWith::Group(keys.writer()), &ALICE).unwrap().encode()
}

#[test]
fn a_group_message_under_another_group_key_is_told_after_its_signature_held() {
    let (ours, theirs) = (GroupKeys::generate().unwrap(), GroupKeys::generate().unwrap());
    let to_all = |keys: &GroupKeys| Header {
        suite: Suite::GroupCbc,
        recipient: Recipient::All,
        recipient_fp: group_fingerprint(&keys.writer().id),
        ..header(1)
    };
    let good = envelope::seal(to_all(&ours), "hi", SealWith::Group(ours.writer()), &ALICE).unwrap();
    let other = envelope::seal(to_all(&theirs), "hi", SealWith::Group(theirs.writer()), &ALICE).unwrap();
    let (member, keyring) = (bob(Some(ours)), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    assert_eq!(told(&deliver(&mut receiver, &good.encode())), ["alice: hi (Known)"]);
    assert_eq!(told(&deliver(&mut receiver, &other.encode())), [""; 0]);
    assert_eq!(told(&receiver.news(Instant::now())), ["OtherGroupKey"]);
    let unsigned = Envelope { signature: vec![0; 256], ..other };
    assert_eq!(told(&deliver(&mut receiver, &unsigned.encode())), ["Rejected"]);
}

/// What waits for the file is told with a count, tried again when it has changed, and shown as it came.
#[test]
fn messages_under_a_new_group_key_wait_for_the_file_and_are_then_shown_in_order() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("group.key");
    let mut keys = GroupKeys::generate().unwrap();
    private::create_new(&path, keys.to_text().as_bytes()).unwrap();
    let (old, file) = (GroupKeys::parse(&keys.to_text()).unwrap(), GroupFile::at(&path).unwrap());
    keys.rekey().unwrap();
    let (member, keyring) = (bob_with(file), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let new_ones: Vec<_> = (1..=3).map(|seq| entry(&to_all(&keys, seq))).collect();
    for entry in &new_ones {
        assert!(receiver.arrived(entry.clone(), Instant::now()).unwrap().is_empty());
    }
    let news = receiver.news(Instant::now());
    let [Action::Tell(Notice::OtherGroupKey { from, theirs, ours, count: 3, lost: 0 })] = &news[..] else {
        panic!("{:?}", told(&news))
    };
    let ids = (keys.writer().short_id(), Some(old.writer().short_id()));
    assert_eq!((from.as_str(), theirs, ours), ("alice", &ids.0, &ids.1));
    assert_eq!(told(&deliver(&mut receiver, &to_all(&old, 4))), ["alice: number 4 (Known)"]);
    assert!(receiver.waits_for_a_person() && receiver.released().unwrap().0.is_empty());
    // Damaged: told once, and what was read before stays.
    private::replace(&path, b"topchat-group-key v1\n").unwrap();
    let (released, actions) = receiver.released().unwrap();
    assert_eq!((released.len(), told(&actions)), (0, vec!["GroupKeyBad".to_owned()]));
    assert!(receiver.released().unwrap().1.is_empty());
    assert_eq!(told(&deliver(&mut receiver, &to_all(&old, 5))), ["alice: number 5 (Known)"]);
    private::replace(&path, keys.to_text().as_bytes()).unwrap();
    let (released, actions) = receiver.released().unwrap();
    assert_eq!(told(&actions), ["GroupKeyRead"]);
    assert!(released.iter().copied().eq(new_ones.iter().map(|entry| entry.entry)));
    for (seq, entry) in (1..).zip(new_ones) {
        let actions = receiver.arrived(entry, Instant::now()).unwrap();
        let [Action::Show(_, opened)] = &actions[..] else { panic!("{:?}", told(&actions)) };
        assert_eq!((&**opened.text, opened.is_late), (format!("number {seq}").as_str(), false));
    }
    assert!(!receiver.waits_for_a_person() && receiver.steps.places.is_empty());
}

/// The new file may be there before the first message: nothing is told of a missing key then.
#[test]
fn a_new_group_key_file_is_read_when_the_first_message_under_it_comes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("group.key");
    let (member, keyring) = (bob_with(GroupFile::at(&path).unwrap()), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let keys = GroupKeys::generate().unwrap();
    private::create_new(&path, keys.to_text().as_bytes()).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &to_all(&keys, 1))), ["GroupKeyRead", "alice: number 1 (Known)"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &to_all(&keys, 2))), ["alice: number 2 (Known)"]);
    let other = GroupKeys::generate().unwrap();
    assert_eq!(told(&deliver(&mut receiver, &to_all(&other, 3))), ["GroupKeyBad"]);
    assert_eq!(told(&deliver(&mut receiver, &to_all(&keys, 4))), ["alice: number 4 (Known)"]);
}

/// Kept without a word to the server once the signature holds; anything else in that name is refused as ever.
#[test]
fn a_message_sealed_for_a_key_of_ones_own_that_is_not_here_is_kept_and_told() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let key = CAROL_ENCRYPTION.public();
    let sealed = |seq| {
        let header = Header { recipient_fp: key.fingerprint(), ..header(seq) };
        envelope::seal(header, "hi", SealWith::Direct(key), &ALICE).unwrap()
    };
    for seq in 1..=2 {
        assert!(deliver(&mut receiver, &sealed(seq).encode()).is_empty(), "neither done nor sent");
    }
    let news = receiver.news(Instant::now());
    let [Action::Tell(Notice::OwnKeyMissing { key: named, count: 2, lost: 0, .. })] = &news[..] else {
        panic!("{:?}", told(&news))
    };
    assert_eq!(*named, key.fingerprint());
    assert!(!receiver.waits_for_a_person(), "keys are opened at the start only");
    let forged = Envelope { signature: vec![0; 256], ..sealed(3) };
    assert_eq!(told(&deliver(&mut receiver, &forged.encode())), ["Rejected"]);
    for seq in 4..4 + KEPT_OF_SENDER as u64 {
        deliver(&mut receiver, &sealed(seq).encode());
    }
    let done = deliver(&mut receiver, &sealed(4 + KEPT_OF_SENDER as u64).encode());
    assert!(matches!(done[..], [Action::Done { counted: true, .. }]), "no more room");
}

#[test]
fn after_the_choice_what_was_held_is_shown_and_nothing_of_other_keys() {
    for (chosen, expected) in [(&BOB, ["alice: one (Known)", "NotChosen"]), (&ALICE, ["NotChosen", "NotChosen"])] {
        let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
        let mut receiver = new(&member, &keyring);
        let keys = [&BOB, &BOB_ENCRYPTION];
        let entries = [by(keys[0], 1, "one"), by(keys[1], 2, "two")].map(|envelope| entry(&envelope.encode()));
        for (entry, key) in entries.iter().zip(keys) {
            let asked = request(&receiver.arrived(entry.clone(), Instant::now()).unwrap());
            let actions = receiver.found(asked, &bundle_of("alice", key), Vec::new(), Instant::now()).unwrap();
            assert_eq!(told(&actions), ["KeyChanged"]);
            assert!(receiver.defers(entry.entry));
        }
        keyring.choose("alice", chosen);
        let released = receiver.released().unwrap().0;
        assert!(released.iter().copied().eq(entries.iter().map(|entry| entry.entry)));
        let arrived = entries.iter().flat_map(|entry| receiver.arrived(entry.clone(), Instant::now()).unwrap());
        assert_eq!(told(&arrived.collect::<Vec<_>>()), expected);
        assert!(!receiver.waits_for_a_person());
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
    }
}

#[test]
fn what_was_held_waits_in_the_next_run_too_and_a_choice_in_between_counts() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let message = entry(&by(&BOB, 1, "one").encode());
    let mut receiver = new(&member, &keyring);
    let asked = request(&receiver.arrived(message.clone(), Instant::now()).unwrap());
    receiver.found(asked, &bundle_of("alice", &BOB), Vec::new(), Instant::now()).unwrap();
    let mut receiver = new(&member, &keyring);
    let actions = receiver.arrived(message.clone(), Instant::now()).unwrap();
    assert_eq!(with_news(&mut receiver, actions), ["KeyChanged", "Held"]);
    Contacts::open(keyring.place.path(), NewKeys::First)
        .unwrap()
        .choose(&bundle::verify(&bundle_of("alice", &BOB)).unwrap(), Choice::Verified)
        .unwrap();
    let mut receiver = new(&member, &keyring);
    assert_eq!(told(&receiver.arrived(message, Instant::now()).unwrap()), ["alice: one (Verified)"]);
}

#[test]
fn a_held_message_that_the_chosen_key_did_not_sign_is_rejected() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let forged = entry(&Envelope { signature: vec![0; 256], ..by(&BOB, 1, "forged") }.encode());
    let asked = request(&receiver.arrived(forged.clone(), Instant::now()).unwrap());
    receiver.found(asked, &bundle_of("alice", &BOB), Vec::new(), Instant::now()).unwrap();
    keyring.choose("alice", &BOB);
    receiver.released().unwrap();
    assert_eq!(told(&receiver.arrived(forged, Instant::now()).unwrap()), ["Rejected"]);
}

#[test]
fn where_no_new_key_is_taken_messages_wait_for_one_to_be_trusted() {
    let (member, keyring) = (bob(None), Memory::taking(NewKeys::Never));
    let mut receiver = new(&member, &keyring);
    let message = entry(&by(&ALICE, 1, "hi").encode());
    let actions = receiver.arrived(message.clone(), Instant::now()).unwrap();
    assert_eq!(with_news(&mut receiver, actions), ["HeldUnpinned"]);
    assert!(receiver.released().unwrap().0.is_empty() && keyring.is_empty());
    keyring.choose("alice", &ALICE);
    assert_eq!(receiver.released().unwrap().0.len(), 1);
    assert_eq!(told(&receiver.arrived(message, Instant::now()).unwrap()), ["alice: hi (Known)"]);
}

#[test]
fn what_a_person_can_put_right_stays_in_the_inbox_as_far_as_there_is_room() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    keyring.pins.changed(&"alice".parse().unwrap(), BOB.public().fingerprint()).unwrap();
    let mut receiver = new(&member, &keyring);
    let bytes = by(&BOB, 1, "hi").encode();
    let gone = |actions: Vec<Action>| actions.iter().any(|action| matches!(action, Action::Done { .. }));
    let dropped = (0..KEPT_OF_SENDER + 9).filter(|_| gone(deliver(&mut receiver, &bytes))).count();
    assert_eq!(dropped, 9);
    let news = receiver.news(Instant::now());
    let [Action::Tell(Notice::Held { count: KEPT_OF_SENDER, lost: 9, .. })] = news.as_slice() else {
        panic!("{:?}", told(&news))
    };
}
