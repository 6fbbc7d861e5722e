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
    // A connection with a login and a message takes about 2900 bytes to the server and 2200 to the client.
    for round in 0..rounds() {
        let far = round * 3000 / rounds();
        let kind = [Kind::Cut, Kind::Cut, Kind::Duplicate, Kind::Delay, Kind::Cut][round % 5];
        let side = if round % 2 == 0 { Side::ToServer } else { Side::ToClient };
        proxy.plan(Fault { side, after: far, kind });
        let text = format!("message {round}");
        let words = ["send", "bob", &text, "--timeout", "20", "--server"];
        let finished = alice.run_in(&[&words[..], &[&proxy.address.to_string()]].concat());
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
    for number in 0..(rounds() / 2).min(6) {
        // Behind the login, somewhere within what is delivered.
        proxy.plan(Fault { side: Side::ToClient, after: 2000 + number * 131, kind: Kind::Cut });
    }
    let listening = bob.listen(&["--json", "--server", &proxy.address.to_string()]);
    let mut sent = 0;
    let mut shown = Vec::new();
    while !(proxy.is_done() && sent >= 20) {
        let text = sent.to_string();
        let finished = alice.run_in(&["send", "bob", &text]);
        assert!(matches!(finished.code, Some(0 | 7)), "{finished:?}");
        sent += 1;
    }
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
