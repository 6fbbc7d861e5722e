//! Clients that send faster than the server reads: slower for them, and for nobody else.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use topchat::server::{Quotas, Settings};
use topchat::wire::to_client::{State, ToClient};
use topchat::wire::to_server::{Mode, Scope, ToServer};
use topchat::wire::{Envelope, MessageId};

use crate::cli::home::Home;
use crate::durability::rounds;
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process::ServerProcess;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

fn server(rate: u32) -> TestServer {
    TestServer::with(settings(rate))
}

/// Mailboxes that are no hindrance.
fn settings(rate: u32) -> Settings {
    let quotas = Quotas { messages: 100_000, per_sender: 100_000, bytes: 100_000_000, ..Quotas::default() };
    Settings { rate, quotas, ..Settings::default() }
}

/// Copies of one message, as many different ones as the server is concerned.
fn flood(envelope: &Envelope, count: u32) -> Vec<u8> {
    let mut envelope = envelope.clone();
    let one = |number: u32| {
        envelope.header.msg_id = MessageId(u128::from(number).to_be_bytes());
        envelope.header_bytes = envelope.header.encode();
        ToServer::Send { envelope: envelope.encode() }.encode()
    };
    (1..=count).flat_map(one).collect()
}

#[test]
fn a_flood_passes_at_the_rate_whole_and_in_order_and_harms_nobody_else() {
    let server = server(100);
    let mut flooder = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut carol = RawClient::member(server.address, &CAROL, Mode::Receiving);
    let begin = Instant::now();
    let ping = ToServer::Ping { token: 5 }.encode();
    flooder.send_bytes(&[flood(&ALICE.seal_to(&BOB, "flood", 1), 500), ping].concat());
    let mut slowest = Duration::ZERO;
    for number in 1..=500_u32 {
        assert_eq!(bob.take_delivery().header.msg_id, MessageId(u128::from(number).to_be_bytes()));
        if number % 50 == 0 {
            let asked = Instant::now();
            carol.expect_nothing();
            slowest = slowest.max(asked.elapsed());
        }
    }
    // 200 at once, 300 in three seconds.
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(2900), "the rate does not hold: {took:?}");
    assert!(slowest < Duration::from_secs(1), "another client waited {slowest:?}");
    let (mut accepted, mut pongs) = (0, 0);
    while accepted < 500 || pongs < 1 {
        match flooder.next() {
            ToClient::Status { state, .. } => accepted += u32::from(state == State::Accepted),
            ToClient::Pong { token: 5 } => pongs += 1,
            other => panic!("nothing is refused: {other:?}"),
        }
    }
    assert_eq!((accepted, pongs), (500, 1), "each is answered");
}

#[test]
fn without_a_rate_nothing_waits() {
    let server = server(0);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let begin = Instant::now();
    alice.send_bytes(&flood(&ALICE.seal_to(&BOB, "flood", 1), 2000));
    (0..2000).for_each(|_| drop(bob.take_delivery()));
    assert!(begin.elapsed() < Duration::from_secs(15), "at a rate of 100 it would take 18 s: {:?}", begin.elapsed());
}

/// Requests of every kind are under the rate.
#[test]
fn every_request_takes_its_turn() {
    let server = server(10);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    let list = ToServer::List { request: 1, scope: Scope::All, after: None };
    let lookup = ToServer::Lookup { request: 1, name: ALICE.name.clone(), fingerprint: None };
    let nobodys = ToServer::Lookup { request: 1, name: BOB.name.clone(), fingerprint: None };
    let begin = Instant::now();
    for frame in [list, lookup, nobodys, ToServer::Ping { token: 1 }] {
        alice.send_bytes(&frame.encode().repeat(10));
    }
    (0..40).for_each(|_| drop(alice.next()));
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(1900), "40 requests, 20 of them at once: {took:?}");
}

/// A hundred and twenty, and a question behind them: if they were requests, its answer would come after ten seconds.
#[test]
fn acknowledgements_take_nobodys_turn() {
    let server = server(0);
    RawClient::connect(server.address).register(&ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
    bob.send_bytes(&flood(&BOB.seal_to(&ALICE, "hi", 1), 120));
    (0..120).for_each(|_| drop(bob.next()));
    let server = TestServer::again(server.stop(), settings(10));
    let mut alice = RawClient::again(server.address, &ALICE, Mode::Receiving);
    let begin = Instant::now();
    (0..120).for_each(|_| drop(alice.take_delivery()));
    alice.send(&ToServer::Ping { token: 2 });
    while alice.next() != (ToClient::Pong { token: 2 }) {}
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

/// One who is held back can't answer pings in time: the answers stand behind what is not read.
#[test]
fn whoever_is_held_back_is_not_taken_for_dead() {
    // Made before anybody is pinged.
    let messages = flood(&ALICE.seal_to_all("flood", 1), 40);
    LazyLock::force(&BOB);
    let (ping_after, pong_within) = (Duration::from_secs(1), Duration::from_secs(2));
    let server = TestServer::with(Settings { ping_after, pong_within, ..settings(5) });
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
    alice.send_bytes(&messages);
    let mut queued = 0;
    while queued < 40 {
        match alice.next() {
            ToClient::Status { state, .. } => queued += u32::from(state == State::Queued),
            // Asked while Bob came; the answer stands behind the flood.
            ToClient::Ping { token } => alice.send(&ToServer::Pong { token }),
            other => panic!("nothing else is told: {other:?}"),
        }
        while let Some(ToClient::Ping { token }) = bob.poll() {
            bob.send(&ToServer::Pong { token });
        }
    }
}

/// The server sleeps while it holds somebody back, also when that one is gone already.
#[test]
fn holding_back_takes_no_processor_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::with(folder.path(), &["--rate", "1"]);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let before = server.processor_time();
    alice.send_bytes(&flood(&ALICE.seal_to(&BOB, "flood", 1), 30));
    (0..2).for_each(|_| drop(bob.take_delivery()));
    alice.reset();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        let _ = bob.poll_for(Duration::from_millis(500));
    }
    let used = server.processor_time() - before;
    assert!(used < Duration::from_millis(700), "{used:?} of processor time in three seconds");
}

/// Nothing of this is seen by a person who pastes a long text, except that it takes its time.
#[test]
fn pasted_lines_all_arrive() {
    let (rate, lines) = if rounds() > 10 { (100, 1000) } else { (20, 120) };
    let server = server(rate);
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut chat = home.chat();
    for number in 1..=lines {
        chat.types(&format!("line {number}"));
    }
    for number in 1..=lines {
        assert_eq!(BOB.open(&bob.take_delivery()), format!("line {number}"));
    }
    let finished = chat.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(!finished.stdout.contains("not "), "{}", finished.stdout);
}
