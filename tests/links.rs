//! Bad links between the real client and the real server: nothing is lost, nothing comes twice.

use std::collections::HashSet;

use crate::cli::home::Home;
use crate::durability::rounds;
use crate::support::people::{ALICE, BOB};
use crate::support::proxy::{Fault, Kind, Proxy, Side};
use crate::support::server::TestServer;

#[test]
fn a_send_whose_link_breaks_anywhere_tells_the_truth() {
    let server = TestServer::start();
    let bob = Home::of_member(server.address, &BOB);
    let listening = bob.listen(&["--json"]);
    let proxy = Proxy::start(server.address);
    let alice = Home::of_member(server.address, &ALICE);
    let (mut delivered, mut attempted) = (HashSet::new(), 0);
    let through =
        |text: &str| alice.run_in(&["send", "bob", text, "--timeout", "20", "--server", &proxy.address.to_string()]);
    // The faults are spread over all that a connection with a login and a message takes.
    assert_eq!(through("how long is this?").code, Some(0));
    let [to_server, to_client] = [Side::ToServer, Side::ToClient].map(|side| proxy.passed(side));
    for round in 0..rounds() {
        let kind = [Kind::Cut, Kind::Cut, Kind::Duplicate, Kind::Delay, Kind::Cut][round % 5];
        let (side, all) = if round % 2 == 0 { (Side::ToServer, to_server) } else { (Side::ToClient, to_client) };
        proxy.plan(Fault { side, after: round * all / rounds(), kind });
        let text = format!("message {round}");
        let finished = through(&text);
        attempted += 1;
        match finished.code {
            Some(0) => drop(delivered.insert(text)),
            Some(3) => {}
            other => panic!("round {round} ended with {other:?}: {finished:?}"),
        }
    }
    let sentinel = alice.run_in(&["send", "bob", "the end", "--timeout", "20"]);
    assert_eq!(sentinel.code, Some(0), "{sentinel:?}");
    let mut shown: Vec<String> = Vec::new();
    while shown.last().is_none_or(|text| text != "the end") {
        let line: serde_json::Value = serde_json::from_str(&listening.line()).unwrap();
        if line["type"] == "message" {
            shown.push(line["text"].as_str().unwrap().to_owned());
        }
    }
    let different: HashSet<&String> = shown.iter().collect();
    assert_eq!(different.len(), shown.len(), "shown twice: {shown:?}");
    assert!(delivered.iter().all(|text| different.contains(text)), "{delivered:?} but {shown:?}");
    assert!(delivered.len() * 2 >= attempted, "most sends survive one broken link: {delivered:?}");
}

#[test]
fn a_listener_whose_link_breaks_again_and_again_misses_nothing_and_repeats_nothing() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.address);
    let bob = Home::of_member(server.address, &BOB);
    let alice = Home::of_member(server.address, &ALICE);
    let mut listening = bob.listen(&["--json", "--server", &proxy.address.to_string()]);
    let mut sent = 0;
    let mut send = || {
        let finished = alice.run_in(&["send", "bob", &sent.to_string()]);
        assert!(matches!(finished.code, Some(0 | 7)), "{finished:?}");
        sent += 1;
    };
    for number in 0..(rounds() / 2).min(6) {
        // Somewhere within what is delivered: the login is over.
        proxy.strike(Fault { side: Side::ToClient, after: number * 131, kind: Kind::Cut });
        while !proxy.has_struck() {
            send();
        }
        // Some come while there is no connection.
        (0..2).for_each(|_| send());
        listening.running.wait_for("connected again");
    }
    (0..3).for_each(|_| send());
    let mut shown = Vec::new();
    while shown.len() < sent {
        let line: serde_json::Value = serde_json::from_str(&listening.line()).unwrap();
        assert_eq!(line["type"], "message", "{line}");
        assert!(!line["repeated"].as_bool().unwrap_or(false), "{line}");
        shown.push(line["text"].as_str().unwrap().parse::<usize>().unwrap());
    }
    assert_eq!(shown, (0..sent).collect::<Vec<_>>());
}

#[test]
fn a_link_that_passes_single_bytes_changes_nothing() {
    let server = TestServer::start();
    let proxy = Proxy::with_pieces(server.address, 1);
    let bob = Home::of_member(server.address, &BOB);
    let alice = Home::of_member(server.address, &ALICE);
    let listening = bob.listen(&["--json", "--server", &proxy.address.to_string()]);
    let sent = alice.run_in(&["send", "bob", "drop by drop", "--server", &proxy.address.to_string()]);
    assert_eq!((sent.code, sent.stdout.ends_with(" delivered\n")), (Some(0), true), "{sent:?}");
    assert!(listening.line().contains("drop by drop"));
}
