//! Who comes and who leaves, as the server tells those who watch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use topchat::wire::to_server::Mode;
use topchat::wire::{ToClient, ToServer};

use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// From here on a session watches, or no longer: the answer to a ping comes behind that.
fn watch(client: &mut RawClient, on: bool) {
    client.send(&ToServer::Watch { on });
    client.send(&ToServer::Ping { token: 1 });
    while client.next() != (ToClient::Pong { token: 1 }) {}
}

/// What a session is told of others until this holds: the latest word on each name.
fn told(client: &mut RawClient, own: &str, until: impl Fn(&BTreeMap<String, bool>) -> bool) -> BTreeMap<String, bool> {
    let mut told = BTreeMap::new();
    while !until(&told) {
        let ToClient::Presence { more_came: 0, more_left: 0, entries } = client.next() else { panic!("another frame") };
        assert!(!entries.is_empty() && entries.is_sorted_by(|one, other| one.name < other.name), "{entries:?}");
        told.extend(entries.into_iter().map(|entry| (entry.name.to_string(), entry.online)));
        told.remove(own);
    }
    told
}

#[test]
fn those_who_watch_and_no_others_are_told_who_comes_and_who_leaves() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut carol = RawClient::member(server.address, &CAROL, Mode::Receiving);
    watch(&mut alice, true);
    let bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let seen = told(&mut alice, "alice", |told| told.contains_key("bob"));
    assert!(seen["bob"]);
    // An errand is nobody's coming.
    drop(RawClient::again(server.address, &BOB, Mode::Errand));
    drop(bob);
    assert_eq!(told(&mut alice, "alice", |told| !told.is_empty()), BTreeMap::from([("bob".to_owned(), false)]));
    carol.expect_nothing();
    watch(&mut alice, false);
    watch(&mut carol, true);
    let _bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    told(&mut carol, "carol", |told| told.contains_key("bob"));
    alice.expect_nothing();
}

#[test]
fn who_is_back_at_once_has_not_left() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    watch(&mut alice, true);
    let bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    told(&mut alice, "alice", |told| told.contains_key("bob"));
    // However slow the machine is: only if he was away for less than that, nothing is to be told.
    let away = Instant::now();
    drop(bob);
    let bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    let was_short = away.elapsed() < Duration::from_secs(1);
    let _carol = RawClient::member(server.address, &CAROL, Mode::Receiving);
    let seen = told(&mut alice, "alice", |told| told.contains_key("carol"));
    assert!(!was_short || !seen.contains_key("bob"), "{seen:?}");
    drop(bob);
}

/// One that reads nothing holds nobody up: not the thread that tells, and not those who come.
#[test]
fn a_watcher_who_reads_nothing_keeps_nothing_from_the_others() {
    let server = TestServer::start();
    let mut stalled = RawClient::member(server.address, &BOB, Mode::Receiving);
    watch(&mut stalled, true);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    watch(&mut alice, true);
    RawClient::connect(server.address).register(&CAROL);
    for _ in 0..2 {
        let carol = RawClient::again(server.address, &CAROL, Mode::Receiving);
        told(&mut alice, "alice", |told| told.get("carol") == Some(&true));
        drop(carol);
        told(&mut alice, "alice", |told| told.get("carol") == Some(&false));
    }
    let seen = told(&mut stalled, "bob", |told| told.get("carol") == Some(&false));
    assert!(seen.contains_key("alice"), "{seen:?}");
}
