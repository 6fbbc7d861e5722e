use super::*;
use crate::client::model::pin::Met;
use crate::client::receive::key_lookup::Compared;
use crate::limits::{ANSWER_WITHIN, HELD_MESSAGES, KEPT_OF_SENDER};

#[test]
fn an_unknown_senders_messages_wait_for_the_key_in_order_while_others_go_on() {
    let (member, keyring) = (bob(None), Memory::default().knows("carol", &BOB));
    let mut receiver = new(&member, &keyring);
    let actions = deliver(&mut receiver, &sealed(header(1), "one").encode());
    assert_eq!(told(&actions), ["look up alice"]);
    let Some(Action::Lookup { request, .. }) = actions.last() else { panic!("no lookup") };
    assert_eq!(told(&deliver(&mut receiver, &sealed(header(2), "two").encode())), [] as [&str; 0]);
    let from_carol = Header { sender: "carol".parse().unwrap(), sender_fp: BOB.public().fingerprint(), ..header(1) };
    let from_carol = envelope::seal(from_carol, "me too", SealWith::Direct(BOB_ENCRYPTION.public()), &BOB).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &from_carol.encode())), ["carol: me too (Known)"]);

    assert!(Receiver::asked(*request));
    let bundle = test_keys::bundle("alice", &ALICE, CAROL_ENCRYPTION.public(), 1).encode();
    let shown = receiver.found(*request, &bundle, Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&shown), ["alice: one (New)", "alice: two (New)"]);
    assert!(receiver.found(*request, &bundle, Vec::new(), Instant::now()).unwrap().is_empty(), "an answer counts once");
}

#[test]
fn a_key_of_another_name_or_another_key_opens_nothing() {
    for (name, key) in [("mallory", &ALICE), ("alice", &BOB)] {
        let (member, keyring) = (bob(None), Memory::default());
        let mut receiver = new(&member, &keyring);
        let actions = deliver(&mut receiver, &sealed(header(1), "hi").encode());
        let Some(Action::Lookup { request, .. }) = actions.last() else { panic!("no lookup") };
        let bundle = test_keys::bundle(name, key, CAROL_ENCRYPTION.public(), 1).encode();
        assert_eq!(
            told(&receiver.found(*request, &bundle, Vec::new(), Instant::now()).unwrap()),
            ["UnknownSender"],
            "{name}"
        );
        assert!(keyring.is_empty(), "{name} was pinned");
    }
}

#[test]
fn a_name_is_not_pinned_before_a_signature_holds() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    let unsigned = Envelope { signature: vec![0; 256], ..sealed(header(1), "hi") };
    let request = request(&deliver(&mut receiver, &unsigned.encode()));
    let shown = receiver.found(request, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&shown), ["UnknownSender"]);
    assert!(keyring.is_empty());
}

#[test]
fn junk_under_another_key_does_not_take_a_true_message_with_it() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    let header_of_junk = Header { sender_fp: BOB.public().fingerprint(), ..header(1) };
    let junk = envelope::seal(header_of_junk, "junk", SealWith::Direct(BOB_ENCRYPTION.public()), &BOB).unwrap();
    let first = request(&deliver(&mut receiver, &junk.encode()));
    deliver(&mut receiver, &sealed(header(2), "true").encode());
    let actions = receiver.not_found(first, Absent::Key, Instant::now()).unwrap();
    assert_eq!(told(&actions), ["UnknownSender", "look up alice"]);
    let shown = receiver.found(request(&actions), &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&shown), ["alice: true (New)"]);
}

#[test]
fn without_room_for_a_contact_one_line_is_shown_and_the_rest_goes_on() {
    let (member, keyring) = (bob(None), Memory::full_of("carol", &BOB));
    let mut receiver = new(&member, &keyring);
    let request = request(&deliver(&mut receiver, &sealed(header(1), "hi").encode()));
    assert_eq!(
        told(&receiver.found(request, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap()),
        ["NoRoom"]
    );
    let from_carol = Header { sender: "carol".parse().unwrap(), sender_fp: BOB.public().fingerprint(), ..header(1) };
    let from_carol = envelope::seal(from_carol, "hi", SealWith::Direct(BOB_ENCRYPTION.public()), &BOB).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &from_carol.encode())), ["carol: hi (Known)"]);
}

/// What is to become durable comes back as a value, and only once.
#[test]
fn the_steps_name_the_change_that_is_to_be_recorded_and_record_nothing() {
    let member = bob(None);
    let (mut steps, pin) = (alone(&member), Pin::new(ALICE.public().clone(), Mark::Known));
    let message = entry(&by(&BOB, 1, "one").encode());
    let request = request(&steps.arrived(message.clone(), Some(&pin), Instant::now()));
    let answer = steps.found(request, &bundle_of("alice", &BOB), Vec::new()).unwrap();
    let other = BOB.public().fingerprint();
    assert_eq!(answer.stops(&pin), Some(other));
    let recorded = Pin { changed: Some(other), others: vec![other], ..pin.clone() };
    assert_eq!(answer.stops(&recorded), None);
    let met = Met::Changed(pin.change_to(answer.name(), other));
    let told_now = told(&steps.settle(answer, Compared::Known(met), Some(&recorded), Instant::now()));
    assert_eq!(told_now, ["KeyChanged"]);
    assert!(steps.defers(message.entry) && pin.changed.is_none());
}

/// Nothing is pinned for a name whose key has signed nothing, and nothing is recorded against a contact for a key that nobody shows.
#[test]
fn an_answer_that_proves_nothing_leads_to_no_record() {
    let member = bob(None);
    let mut steps = alone(&member);
    let unsigned = Envelope { signature: vec![0; 256], ..sealed(header(1), "hi") };
    let asked = request(&steps.arrived(entry(&unsigned.encode()), None, Instant::now()));
    let answer = steps.found(asked, &bundle_of("alice", &ALICE), Vec::new()).unwrap();
    assert!(answer.to_compare(None).is_none());
    assert_eq!(told(&steps.settle(answer, Compared::Unknown, None, Instant::now())), ["UnknownSender"]);
    let pin = Pin::new(ALICE.public().clone(), Mark::Known);
    let asked = request(&steps.arrived(entry(&by(&BOB, 2, "two").encode()), Some(&pin), Instant::now()));
    let answer = steps.not_found(asked, Absent::Key).unwrap();
    assert!(answer.to_compare(Some(&pin)).is_none() && answer.stops(&pin).is_none());
}

#[test]
fn a_key_that_never_comes_is_given_up_with_one_line_and_asked_for_again() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    assert_eq!(receiver.deadline(), None);
    let first = request(&deliver(&mut receiver, &sealed(header(1), "one").encode()));
    deliver(&mut receiver, &sealed(header(2), "two").encode());
    let deadline = receiver.deadline().unwrap();
    assert!(receiver.due(deadline - std::time::Duration::from_millis(1)).unwrap().is_empty());
    let actions = receiver.due(deadline).unwrap();
    let [Action::Tell(Notice::KeyNotGiven { count: 2, .. })] = actions.as_slice() else {
        panic!("{:?}", told(&actions))
    };
    assert_eq!(receiver.deadline(), None);
    assert!(
        receiver.found(first, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap().is_empty(),
        "too late"
    );
    assert_ne!(request(&deliver(&mut receiver, &sealed(header(3), "three").encode())), first);
}

#[test]
fn what_the_server_tells_no_key_of_is_never_given_up_for_want_of_room() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    for number in 1..=KEPT_OF_SENDER as u64 + 1 {
        deliver(&mut receiver, &sealed(header(number), "hi").encode());
    }
    let actions = receiver.due(receiver.deadline().unwrap()).unwrap();
    assert!(!actions.iter().any(|action| matches!(action, Action::Done { .. })), "all stay in the inbox");
    assert!(receiver.overflows(), "a connection over which no key comes is left");
    receiver.restart();
    assert!(!receiver.overflows());
    request(&deliver(&mut receiver, &sealed(header(99), "hi").encode()));
}

#[test]
fn strangers_can_not_fill_the_memory() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    for number in 1..=HELD_MESSAGES as u64 {
        assert!(receiver.has_room(), "{number}");
        deliver(&mut receiver, &sealed(header(number), "hi").encode());
    }
    assert!(!receiver.has_room());
    let deadline = receiver.deadline().unwrap();
    receiver.due(deadline).unwrap();
    assert!(receiver.has_room());
}

#[test]
fn another_key_is_asked_for_and_without_a_handover_its_messages_wait_for_a_choice() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let asked = request(&deliver(&mut receiver, &by(&BOB, 1, "one").encode()));
    deliver(&mut receiver, &by(&BOB, 2, "two").encode());
    // What the pinned key signed is not held up.
    assert_eq!(told(&deliver(&mut receiver, &by(&ALICE, 1, "old").encode())), ["alice: old (Known)"]);
    let actions = receiver.found(asked, &bundle_of("alice", &BOB), Vec::new(), Instant::now()).unwrap();
    assert_eq!(with_news(&mut receiver, actions), ["KeyChanged", "Held"]);
    assert!(keyring.pins.settled(&"alice".parse().unwrap()).is_err(), "it stops what goes there");
    let actions = deliver(&mut receiver, &by(&BOB, 3, "three").encode());
    assert_eq!(with_news(&mut receiver, actions), ["Held"], "nobody is asked again");
    assert!(receiver.waits_for_a_person() && receiver.released().unwrap().0.is_empty());
}

/// Who writes to a name pins its key, while messages under it wait for the server's answer.
#[test]
fn what_waits_for_a_key_is_shown_before_what_comes_when_the_key_is_there() {
    let answers: [fn(&mut Receiver, u32) -> Vec<Action>; 3] = [
        |receiver, request| receiver.found(request, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap(),
        |receiver, request| receiver.not_told(request, Instant::now()).unwrap(),
        |receiver, _| receiver.due(Instant::now() + ANSWER_WITHIN * 2).unwrap(),
    ];
    for answer in answers {
        let (member, keyring) = (bob(None), Memory::default());
        let mut receiver = new(&member, &keyring);
        let asked = request(&deliver(&mut receiver, &by(&ALICE, 1, "one").encode()));
        keyring.choose("alice", &ALICE);
        assert_eq!(told(&deliver(&mut receiver, &by(&ALICE, 2, "two").encode())), [""; 0]);
        let shown = told(&answer(&mut receiver, asked));
        assert_eq!(shown, ["alice: one (Known)", "alice: two (Known)"]);
    }
}

/// Any 32 bytes can be a sender's fingerprint: without a key that stands behind them nothing is known of anybody's key.
#[test]
fn a_key_that_nobody_shows_alarms_nobody_and_what_it_marks_is_not_shown() {
    let answers: [fn(&mut Receiver, u32) -> Vec<Action>; 3] = [
        |receiver, request| receiver.not_found(request, Absent::Key, Instant::now()).unwrap(),
        |receiver, request| receiver.found(request, b"junk", Vec::new(), Instant::now()).unwrap(),
        // The server sticks to the old key.
        |receiver, request| receiver.found(request, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap(),
    ];
    for answer in answers {
        let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
        let mut receiver = new(&member, &keyring);
        let asked = request(&deliver(&mut receiver, &by(&BOB, 1, "one").encode()));
        let actions = answer(&mut receiver, asked);
        assert_eq!(with_news(&mut receiver, actions), ["UnknownSender"]);
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
        assert!(!receiver.waits_for_a_person());
    }
    // The server shows another key than the one that is asked for: that one has changed, and nothing is known of the other.
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let asked = request(&deliver(&mut receiver, &by(&BOB_ENCRYPTION, 1, "one").encode()));
    let actions = receiver.found(asked, &bundle_of("alice", &BOB), Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&actions), ["KeyChanged", "UnknownSender"]);
    let change = keyring.pins.pinned(&"alice".parse().unwrap()).unwrap().unwrap().changed;
    assert_eq!(change, Some(BOB.public().fingerprint()));
}

#[test]
fn an_account_that_is_gone_is_told_as_such_whether_its_owner_was_known_or_not() {
    for known in [None, Some(&ALICE)] {
        let (member, mut keyring) = (bob(None), Memory::default());
        if let Some(key) = known {
            keyring = keyring.knows("alice", key);
        }
        let mut receiver = new(&member, &keyring);
        let asked = request(&deliver(&mut receiver, &by(&BOB, 1, "one").encode()));
        let actions = receiver.not_found(asked, Absent::Account, Instant::now()).unwrap();
        assert_eq!(told(&actions), ["NoAccount"]);
        assert!(actions.iter().any(|action| matches!(action, Action::Done { counted: false, .. })), "it is over");
    }
}

#[test]
fn a_server_that_can_not_tell_now_has_changed_nobodys_key() {
    let answers: [fn(&mut Receiver, u32) -> Vec<Action>; 2] = [
        |receiver, request| receiver.not_told(request, Instant::now()).unwrap(),
        |receiver, _| receiver.due(Instant::now() + ANSWER_WITHIN * 2).unwrap(),
    ];
    for answer in answers {
        let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
        let mut receiver = new(&member, &keyring);
        let message = entry(&by(&BOB, 1, "one").encode());
        let asked = request(&receiver.arrived(message.clone(), Instant::now()).unwrap());
        let actions = answer(&mut receiver, asked);
        assert!(!actions.iter().any(|action| matches!(action, Action::Done { .. })), "it is still there");
        assert_eq!(with_news(&mut receiver, actions), ["KeyNotGiven"]);
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
        assert!(receiver.defers(message.entry), "the next start asks again");
    }
}

#[test]
fn new_keys_that_the_old_ones_signed_are_told_calmly_and_messages_go_on() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let asked = request(&deliver(&mut receiver, &by(&BOB, 1, "one").encode()));
    let lineage = vec![handed_over(&ALICE, &BOB)];
    let actions = receiver.found(asked, &bundle_of("alice", &BOB), lineage, Instant::now()).unwrap();
    assert_eq!(told(&actions), ["NewKeys", "alice: one (Known)"]);
    // What was on its way under the old key still counts, for a while.
    let mut late = entry(&by(&ALICE, 9, "late").encode());
    late.received_ms = crate::client::ui::output::now_ms();
    assert_eq!(told(&receiver.arrived(late, Instant::now()).unwrap()), ["alice: late (Former)"]);
    let mut too_late = entry(&by(&ALICE, 10, "too late").encode());
    too_late.received_ms = crate::client::ui::output::now_ms() + 31 * 24 * 3600 * 1000;
    assert_eq!(told(&receiver.arrived(too_late, Instant::now()).unwrap()), ["look up alice"]);
}

#[test]
fn a_made_up_predecessor_of_a_key_speaks_for_nobody() {
    // The server makes up a key that hands over to Alice's true one, for somebody who has not met her, and for somebody who has.
    for known in [None, Some(&ALICE)] {
        let (member, mut keyring) = (bob(None), Memory::default());
        if let Some(key) = known {
            keyring = keyring.knows("alice", key);
        }
        let mut receiver = new(&member, &keyring);
        let asked = request(&deliver(&mut receiver, &by(&BOB, 1, "forged").encode()));
        // It can sign for that one in its own name only.
        let mut made_up = handed_over(&BOB, &ALICE);
        made_up.handover.truncate(256);
        made_up.handover = made_up.handover.repeat(2);
        let actions = receiver.found(asked, &bundle_of("alice", &ALICE), vec![made_up], Instant::now()).unwrap();
        assert_eq!(told(&actions), ["UnknownSender"]);
    }
}

/// Alice wrote under her old key, and then took a new one that signed for the old one.
#[test]
fn what_was_written_before_new_keys_were_taken_is_shown_to_whoever_never_saw_the_old_ones() {
    for known in [None, Some(&BOB)] {
        let (member, mut keyring) = (bob(None), Memory::default());
        if let Some(key) = known {
            keyring = keyring.knows("alice", key);
        }
        let mut receiver = new(&member, &keyring);
        let asked = request(&deliver(&mut receiver, &by(&ALICE, 1, "before").encode()));
        deliver(&mut receiver, &by(&ALICE, 2, "too").encode());
        let lineage = vec![handed_over(&ALICE, &BOB)];
        let actions = receiver.found(asked, &bundle_of("alice", &BOB), lineage.clone(), Instant::now()).unwrap();
        assert_eq!(told(&actions), ["alice: before (Former)", "alice: too (Former)"]);
        let mark = if known.is_some() { "Known" } else { "New" };
        let after = deliver(&mut receiver, &by(&BOB, 3, "after").encode());
        assert_eq!(told(&after), [format!("alice: after ({mark})")]);
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
        // Long after, it is no alarm either; nor does it begin to count again, though the server shows it once more.
        for seq in 4..6 {
            let mut late = entry(&by(&ALICE, seq, "late").encode());
            late.received_ms = crate::client::ui::output::now_ms() + 31 * 24 * 3600 * 1000;
            let asked = request(&receiver.arrived(late, Instant::now()).unwrap());
            let actions = receiver.found(asked, &bundle_of("alice", &BOB), lineage.clone(), Instant::now()).unwrap();
            assert_eq!(told(&actions), ["GivenUp"]);
        }
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
    }
}
