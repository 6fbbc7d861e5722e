//! A server that says what nobody asked, and a great deal of it.

use topchat::wire::to_client::{Entry, Reason, State};
use topchat::wire::{Code, Header, MessageId, ToClient};

use super::lies::{header, relabelled, signed_by_bob};
use super::stage::{Stage, THE_END, shown, told};
use crate::support::people::{ALICE, BOB, CAROL};

/// Answers to no question of this client, with numbers that it could have used.
fn unasked() -> Vec<ToClient> {
    let reason = || Reason::new(Code::NoSuchUser);
    let mut frames = Vec::new();
    for request in [0, 1, 2, 0x8000_0000, 0x8000_0001, 0x8000_0002, u32::MAX] {
        let bundle = CAROL.bundle_as(&BOB.name);
        frames.push(ToClient::Found { request, bundle, lineage: Vec::new() });
        frames.push(ToClient::Done { request });
        frames.push(ToClient::Error { request, reason: reason() });
        let entries = vec![Entry { name: BOB.name.clone(), online: true }];
        frames.push(ToClient::Page { request, more: true, entries });
    }
    let msg_id = MessageId([7; 16]);
    frames.push(ToClient::Status { msg_id, state: State::Delivered, reached: u32::MAX, total: 0 });
    frames.push(ToClient::Refused { msg_id, reason: reason() });
    frames.push(ToClient::Pong { token: 9 });
    let entries = vec![Entry { name: BOB.name.clone(), online: true }];
    frames.push(ToClient::Presence { more_came: u32::MAX, more_left: 1, entries });
    frames
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let stage = Stage::new();
    let (mut line, listening) = stage.listen();
    unasked().iter().for_each(|frame| line.send(frame));
    // Bob is met only now, so a key that was pushed before would be his.
    stage.deliver(&mut line, &BOB.seal_to(&ALICE, "it is me", 0x41).encode());
    while !stage.knows_bob.get() {
        assert_eq!(stage.next_ack(&mut line), None);
    }
    unasked().iter().for_each(|frame| line.send(frame));
    stage.deliver(&mut line, &BOB.seal_to(&ALICE, "and still", 0x42).encode());
    line.end();
    let finished = listening.finish();
    assert_eq!(shown(&finished), ["bob   > you  it is me", "bob   > you  and still"]);
    assert_eq!(told(&finished), [""; 0]);
}

/// The right number, the wrong keys: the question of a waiting message is answered by somebody else's bundle.
#[test]
fn a_question_is_answered_only_by_what_was_asked_for() {
    let stage = Stage::new();
    let (mut line, listening) = stage.listen();
    line.deliver(BOB.seal_to(&ALICE, "it is me", 0x43).encode());
    line.take();
    let topchat::wire::ToServer::Lookup { request, .. } = line.take() else { panic!("no Lookup") };
    for number in [request.wrapping_sub(1), request.wrapping_add(1), request & 0x7fff_ffff] {
        line.send(&ToClient::Found { request: number, bundle: CAROL.bundle_as(&BOB.name), lineage: Vec::new() });
    }
    line.send(&ToClient::Found { request, bundle: BOB.bundle(), lineage: Vec::new() });
    // A second answer to the same question is none.
    line.send(&ToClient::Found { request, bundle: CAROL.bundle_as(&BOB.name), lineage: Vec::new() });
    stage.deliver(&mut line, &BOB.seal_to(&ALICE, "and still", 0x44).encode());
    line.end();
    let finished = listening.finish();
    assert_eq!(shown(&finished), ["bob   > you  it is me", "bob   > you  and still"]);
}

#[test]
fn a_flood_of_junk_hides_no_message_and_fills_neither_screen_nor_memory() {
    let stage = Stage::new();
    stage.play(&[]);
    let (mut line, listening) = stage.listen();
    let unsigned = BOB.seal_to(&ALICE, "hello", 0x45);
    let before = resident_kib(listening.running.id());
    let unknown = CAROL.seal_to_all("no contact of hers", 0x47);
    for number in 0..5000_u32 {
        let id = MessageId(u128::from(number).to_be_bytes());
        let junk = match number % 50 {
            // These hold, and don't open.
            0 => signed_by_bob(Header { msg_id: id, ..header("alice", 0) }, [0; 32], vec![0x55; 256]),
            1..25 => relabelled(&unsigned, |header| header.msg_id = id),
            _ => relabelled(&unknown, |header| header.msg_id = id),
        };
        // No more are unacknowledged than may be.
        match number % 500 {
            499 => stage.deliver(&mut line, &junk.encode()),
            _ => drop(line.deliver(junk.encode())),
        }
    }
    stage.deliver(&mut line, &BOB.seal_to(&ALICE, "the end", 0x48).encode());
    let grown = resident_kib(listening.running.id()).saturating_sub(before);
    line.end();
    let finished = listening.finish();
    assert_eq!(shown(&finished), [THE_END]);
    let told = told(&finished);
    assert!(told.len() < 100, "{} lines", told.len());
    assert!(grown < 40_000, "memory grew by {grown} KiB");
}

/// Keys that are not told keep messages waiting. They are acknowledged as far as they find room, and behind 1024 that are not, the server
/// sends what it must not.
#[test]
fn a_server_that_tells_no_keys_and_delivers_on_and_on_is_left() {
    let stage = Stage::new();
    let (mut line, listening) = stage.listen();
    let unknown = CAROL.seal_to_all("no contact of hers", 0x47);
    for number in 0..3000_u32 {
        let id = MessageId(u128::from(number).to_be_bytes());
        line.deliver(relabelled(&unknown, |header| header.msg_id = id).encode());
    }
    let finished = listening.finish();
    let told = "error: the server sent what it must not: a further Deliver instead of an answer to Lookup";
    assert!(finished.stderr.contains(told), "{}", finished.stderr);
}

/// The most memory that the process ever had.
fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
