use super::*;
use crate::client::state::seen::Reached;
use crate::limits::OPEN_FAILURES_PER_HOUR;

#[test]
fn a_changed_signature_text_or_field_is_rejected() {
    for change in [
        |envelope: &mut Envelope| envelope.signature[9] ^= 1,
        |envelope: &mut Envelope| envelope.ciphertext[9] ^= 1,
        |envelope: &mut Envelope| envelope.commitment[9] ^= 1,
        |envelope: &mut Envelope| {
            envelope.header.sent_ms += 1;
            envelope.header_bytes = envelope.header.encode();
        },
    ] {
        let mut envelope = sealed(header(1), "hi");
        change(&mut envelope);
        leads_to(&envelope, &["Rejected"]);
    }
}

#[test]
fn a_copied_text_signed_anew_does_not_open() {
    // Alice's ciphertext and commitment under a signature of Bob's, who claims it as his own: the commitment names Alice.
    let original = sealed(header(1), "hi");
    let stolen = Header { sender: "mallory".parse().unwrap(), sender_fp: BOB.public().fingerprint(), ..header(1) };
    let mut copy = Envelope { header_bytes: stolen.encode(), header: stolen, ..original };
    copy.signature = BOB.sign(&copy.signed_bytes()).unwrap();
    let (member, keyring) = (bob(None), Memory::default().knows("mallory", &BOB));
    let mut receiver = new(&member, &keyring);
    assert_eq!(told(&deliver(&mut receiver, &copy.encode())), ["NotOpened"]);
}

#[test]
fn a_copy_is_shown_once_and_named_a_copy_after_that() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let header = header(1);
    let bytes = sealed(header.clone(), "hi").encode();
    assert_eq!(told(&deliver(&mut receiver, &bytes)), ["alice: hi (Known)"]);
    assert_eq!(told(&deliver(&mut receiver, &bytes)), ["Copy"]);
    let reused = sealed(header.clone(), "something else").encode();
    assert_eq!(told(&deliver(&mut receiver, &reused)), ["Reused"]);
}

/// Found by the simulator: after a crash of the server its sender sends again what was not safe there.
#[test]
fn what_the_server_may_have_lost_comes_again_without_a_word() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let safe = entry(&sealed(header(1), "safe").encode()).number;
    receiver.ledger_mut().logged_in(0, Reached { acknowledged: 0, kept: safe });
    let live = sealed(header(2), "live").encode();
    assert_eq!(told(&deliver(&mut receiver, &live)), ["alice: live (Known)"]);
    assert_eq!(told(&deliver(&mut receiver, &live)), ["Copy"], "over the same connection nothing was lost");
    // Others were there before: the log goes on behind its number.
    receiver.ledger_mut().logged_in(safe + 1, Reached { acknowledged: safe, kept: safe + 9 });
    assert_eq!(told(&deliver(&mut receiver, &live)), [""; 0]);
    let since = sealed(header(3), "since").encode();
    assert_eq!(told(&deliver(&mut receiver, &since)), ["alice: since (Known)"]);
    assert_eq!(told(&deliver(&mut receiver, &since)), ["Copy"]);
}

#[test]
fn junk_with_the_id_of_a_message_does_not_hide_it() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let header = header(1);
    let mut junk = sealed(header.clone(), "hi");
    junk.ciphertext[0] ^= 1;
    junk.signature = ALICE.sign(&junk.signed_bytes()).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &junk.encode())), ["NotOpened"]);
    assert_eq!(told(&deliver(&mut receiver, &sealed(header, "hi").encode())), ["alice: hi (Known)"]);
}

#[test]
fn failures_to_open_are_shown_twenty_times_only() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let mut shown = 0;
    for seq in 1..=OPEN_FAILURES_PER_HOUR as u64 + 5 {
        let mut junk = sealed(header(seq), "hi");
        junk.ciphertext[0] ^= 1;
        junk.signature = ALICE.sign(&junk.signed_bytes()).unwrap();
        let actions = deliver(&mut receiver, &junk.encode());
        shown += actions.iter().filter(|action| matches!(action, Action::Tell(_))).count();
    }
    assert_eq!(shown, OPEN_FAILURES_PER_HOUR as usize + 1, "and one line about all others");
}

#[test]
fn a_gap_in_the_senders_counter_is_told_before_the_message() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    deliver(&mut receiver, &sealed(header(1), "one").encode());
    let told = told(&deliver(&mut receiver, &sealed(header(3), "three").encode()));
    assert_eq!(told, ["Missing", "alice: three (Known)"]);
}

#[test]
fn a_message_that_could_not_be_recorded_is_no_copy_of_itself() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    deliver(&mut receiver, &sealed(header(1), "one").encode());
    let entry = entry(&sealed(header(3), "three").encode());
    for _ in 0..2 {
        let actions = receiver.arrived(entry.clone(), Instant::now()).unwrap();
        assert_eq!(told(&actions), ["Missing", "alice: three (Known)"]);
        receiver.restart();
    }
}
