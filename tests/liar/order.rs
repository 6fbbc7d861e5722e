//! Lies about when and how often: copies, messages in another order, messages that never come, clocks that are wrong.

use topchat::crypto::envelope::{self, SealWith};
use topchat::wire::{Envelope, MessageId};

use super::stage::{Stage, THE_END, shown, told};
use crate::support::people::{ALICE, BOB};

/// Bob's messages to Alice, each of which tells of the one before.
fn numbered(seq: u64, sent_ms: u64) -> Envelope {
    let key = ALICE.encryption.public();
    let mut header = BOB.header("alice", key.fingerprint(), 0);
    (header.seq, header.prev, header.sent_ms) = (seq, seq - 1, sent_ms);
    header.msg_id = MessageId(u128::from(seq).to_be_bytes());
    envelope::seal(header, &format!("number {seq}"), SealWith::Direct(key), &BOB.identity).unwrap()
}

fn now(seq: u64) -> Vec<u8> {
    numbered(seq, 1_795_000_000_000).encode()
}

/// T25: on a new connection of the same run, the same bytes under other numbers are what they were.
#[test]
fn a_copy_in_another_session_is_shown_once() {
    let stage = Stage::new();
    let message = now(1);
    let (mut line, listening) = stage.listen();
    stage.deliver(&mut line, &message);
    while !stage.knows_bob.get() {
        assert_eq!(stage.next_ack(&mut line), None);
    }
    line.close();
    for _ in 0..2 {
        let mut line = stage.liar.member();
        for filler in 10..12 {
            stage.deliver(&mut line, &now(filler));
        }
        stage.deliver(&mut line, &message);
        line.close();
    }
    let line = stage.liar.member();
    line.end();
    let finished = listening.finish();
    let shown = shown(&finished);
    assert_eq!(shown.iter().filter(|line| line.ends_with("number 1")).count(), 1, "{shown:?}");
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(told(&finished).iter().any(|line| line.starts_with("ignored a copy of bob's message #0000")));
}

#[test]
fn a_frame_that_can_not_be_read_costs_the_connection_and_no_more() {
    let stage = Stage::new();
    let (mut line, listening) = stage.listen();
    stage.deliver(&mut line, &now(1));
    while !stage.knows_bob.get() {
        assert_eq!(stage.next_ack(&mut line), None);
    }
    // No frame at all, and one whose body ends too soon.
    for (number, junk) in [(2, &[0, 0, 0, 0][..]), (3, &[0, 0, 0, 2, 0x86, 1])] {
        line.send_bytes(junk);
        assert!(line.try_take().is_err(), "the client closes");
        line = stage.liar.member();
        stage.deliver(&mut line, &now(number));
    }
    line.end();
    let finished = listening.finish();
    assert_eq!(shown(&finished).len(), 3, "{finished:?}");
    for told in [
        "connection lost (a frame of length zero). Trying again in 1 s...",
        "the server sent what it must not: the bytes end within epoch. Trying again in 2 s...",
    ] {
        assert!(finished.stderr.contains(told), "{told}: {}", finished.stderr);
    }
}

#[test]
fn swapped_messages_are_shown_with_a_notice_and_a_dropped_one_is_told() {
    let stage = Stage::new();
    stage.play(&[]);
    let (_, finished) = stage.play(&[now(2), now(4), now(3), now(6)]);
    let lines: Vec<_> = finished.stdout.lines().filter(|line| line.contains("number ")).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].contains("number 3") && lines[2].contains("out of order"), "{lines:?}");
    assert!([0, 1, 3].iter().all(|at| !lines[*at].contains("out of order")), "{lines:?}");
    let missing = "a message from bob to you is missing";
    assert_eq!(told(&finished).iter().filter(|line| *line == missing).count(), 2, "of 3 before 4, and of 5 for good");
}

/// A server can say that another session took what it dropped: that is told as its word, and holds for one message of each sender.
#[test]
fn a_message_dropped_under_the_pretext_of_another_session_is_told_as_the_servers_word() {
    let mut stage = Stage::new();
    stage.play(&[now(2)]);
    stage.liar.taken = 100;
    let (_, finished) = stage.play(&[now(5), now(8)]);
    let pretext =
        "messages from bob to you did not come here: the server says that another session of this account took them";
    assert_eq!(told(&finished), [pretext, "a message from bob to you is missing"], "{finished:?}");
}

/// T45: no clock of a sender loses a message or lets a copy through.
#[test]
fn messages_of_1970_and_2100_are_shown_with_a_mark_and_their_copies_are_not() {
    let stage = Stage::new();
    stage.play(&[]);
    let day = 24 * 3600 * 1000;
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    let clocks = [0, 1, 4_102_444_800_000, u64::MAX, now - day, now + day];
    let messages: Vec<_> = (2..).zip(clocks).map(|(seq, clock)| numbered(seq, clock).encode()).collect();
    let (_, finished) = stage.play(&messages);
    let lines: Vec<_> = finished.stdout.lines().filter(|line| line.contains("number ")).collect();
    assert_eq!(lines.len(), clocks.len(), "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("sender's clock differs")), "{lines:?}");
    let (_, finished) = stage.play(&[messages.clone(), messages].concat());
    assert_eq!(shown(&finished), [THE_END], "{}", finished.stdout);
}
