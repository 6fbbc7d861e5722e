//! Who uses which suite: what an account prefers, what a sender may ask for, and what the group's key decides.

use serde_json::Value;
use topchat::wire::to_server::Mode;

use super::home::{Home, printed, refused};
use crate::support::people::{ALICE, BOB};
use crate::support::pty::Terminal;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

fn pair() -> (TestServer, Home, Home) {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    (server, alice, bob)
}

/// Sender, text and suite of every message that waits.
fn heard(home: &Home, count: usize) -> Vec<(String, String, String)> {
    let count = count.to_string();
    let finished = home.run_in(&["listen", "--json", "--quiet", "--count", &count, "--timeout", "20"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines = finished.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let field = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let messages = lines.filter(|line| line["type"] == "message");
    messages.map(|line| (field(&line, "from"), field(&line, "text"), field(&line, "suite"))).collect()
}

fn message(from: &str, text: &str, suite: &str) -> (String, String, String) {
    (from.to_owned(), text.to_owned(), suite.to_owned())
}

#[test]
fn an_account_that_prefers_modern_gets_nothing_else_and_others_what_they_ask_for() {
    let (_server, alice, bob) = pair();
    printed(&bob.run_in(&["suite"]), "bob prefers classic\n");
    assert_eq!(alice.run_in(&["send", "bob", "one"]).code, Some(0));
    assert_eq!(alice.run_in(&["send", "bob", "two", "--suite", "modern"]).code, Some(0));
    assert_eq!(bob.run_in(&["suite", "modern"]).code, Some(0));
    printed(&bob.run_in(&["suite", "--json"]), "{\"v\":1,\"type\":\"suite\",\"name\":\"bob\",\"suite\":\"modern\"}\n");
    assert_eq!(alice.run_in(&["send", "bob", "three"]).code, Some(0));
    let weaker = "error: bob asks for modern messages: nothing classic is sent to bob. Nothing was sent.\n\
                  hint: leave --suite out: what goes to a contact is as strong as they ask for\n";
    refused(&alice.run_in(&["send", "bob", "four", "--suite", "classic", "--quiet"]), 4, weaker);
    let expected =
        [message("alice", "one", "classic"), message("alice", "two", "modern"), message("alice", "three", "modern")];
    assert_eq!(heard(&bob, 3), expected);
    // Alice would hold what is weaker than what Bob asks for himself.
    assert_eq!(bob.run_in(&["send", "alice", "back"]).code, Some(0));
    assert_eq!(heard(&alice, 1), [message("bob", "back", "modern")]);
    let weaker = "error: your account asks for modern messages, and sends nothing classic. Nothing was sent.\n\
                  hint: topchat suite classic\n";
    refused(&bob.run_in(&["send", "alice", "no", "--suite", "classic", "--quiet"]), 4, weaker);
}

#[test]
fn a_suite_that_is_none_is_told_with_those_that_are() {
    let home = Home::at("127.0.0.1:1");
    for (words, place) in [
        (&["send", "bob", "hi", "--suite"][..], "--suite <SUITE>"),
        (&["register", "bob", "--suite"], "--suite <SUITE>"),
        (&["group", "rekey", "--suite"], "--suite <SUITE>"),
        (&["suite"], "[SUITE]"),
    ] {
        for (word, tip) in [("rsa", ""), ("Modern", "  tip: a similar value exists: 'modern'\n\n"), ("0x02", "")] {
            let stderr = format!(
                "error: invalid value '{word}' for '{place}'\n  [possible values: classic, modern]\n\n{tip}\
                 For more information, try '--help'.\n"
            );
            refused(&home.run(&[words, &[word]].concat()), 2, &stderr);
        }
        let stderr = format!(
            "error: a value is required for '{place}' but none was supplied\n  [possible values: classic, modern]\n\n\
             For more information, try '--help'.\n"
        );
        refused(&home.run(&[words, &[""]].concat()), 2, &stderr);
    }
}

#[test]
fn another_wish_closes_nobodys_session_and_counts_at_once() {
    let (_server, alice, bob) = pair();
    let listening = bob.listen(&["--json", "--count", "2"]);
    let suite = |line: &str| serde_json::from_str::<Value>(line).unwrap()["suite"].as_str().unwrap().to_owned();
    assert_eq!(alice.run_in(&["send", "bob", "one"]).code, Some(0));
    assert_eq!(suite(&listening.line()), "classic");
    assert_eq!(bob.run_in(&["suite", "modern"]).code, Some(0));
    assert_eq!(alice.run_in(&["send", "bob", "two"]).code, Some(0));
    assert_eq!(suite(&listening.line()), "modern");
    assert_eq!(listening.finish().code, Some(0));
}

#[test]
fn a_wish_that_is_taken_back_is_told_and_of_a_verified_contact_changes_nothing() {
    let (_server, alice, bob) = pair();
    assert_eq!(bob.run_in(&["suite", "modern"]).code, Some(0));
    assert_eq!(alice.run_in(&["send", "bob", "one"]).code, Some(0));
    assert_eq!(bob.run_in(&["suite", "classic"]).code, Some(0));
    let told = alice.run_in(&["send", "bob", "two"]);
    assert!(told.stderr.contains("bob asked for modern messages, and asks for classic ones now"), "{}", told.stderr);
    assert_eq!(heard(&bob, 2), [message("alice", "one", "modern"), message("alice", "two", "classic")]);

    assert_eq!(bob.run_in(&["suite", "modern"]).code, Some(0));
    let bobs = BOB.identity.public().fingerprint().to_hex();
    assert_eq!(alice.run_in(&["verify", "bob", "--fingerprint", &bobs]).code, Some(0));
    assert_eq!(bob.run_in(&["suite", "classic"]).code, Some(0));
    let told = alice.run_in(&["send", "bob", "three"]);
    assert!(told.stderr.contains("what you send stays modern until you say  topchat accept bob"), "{}", told.stderr);
    assert_eq!(alice.run_in(&["send", "bob", "four"]).code, Some(0));
    refused(
        &alice.run(&["accept", "bob"]),
        0,
        "what bob has sent classic is shown, and what you send goes as bob asks for now\n",
    );
    assert_eq!(alice.run_in(&["send", "bob", "five"]).code, Some(0));
    let three = [message("alice", "three", "modern"), message("alice", "four", "modern")];
    assert_eq!(heard(&bob, 3), [&three[..], &[message("alice", "five", "classic")]].concat());
}

#[test]
fn what_a_contact_prefers_is_listed_and_that_a_verified_one_gets_modern_until_it_is_accepted() {
    let (_server, alice, bob) = pair();
    let bobs = BOB.identity.public().fingerprint();
    assert_eq!(alice.run_in(&["verify", "bob", "--fingerprint", &bobs.to_hex()]).code, Some(0));
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let listed = |words: &str, prefers: &str, suite: &str| {
        let fingerprint = bobs.grouped();
        let line = format!("{:<32} verified {fingerprint}  pinned {today}, verified {today}, {words}\n", "bob");
        printed(&alice.run(&["contacts"]), &line);
        let object: Value = serde_json::from_str(&alice.run(&["contacts", "--json"]).stdout).unwrap();
        assert_eq!((object["prefers"].as_str(), object["suite"].as_str()), (Some(prefers), Some(suite)), "{object}");
        let mut terminal = Terminal::with_size(&alice.topchat(&["--password-file", "password", "--quiet"]), 24, 160);
        terminal.wait_for_line("ALL> ");
        terminal.types("/keys\r");
        let own = format!(
            "HH:MM   identity      yours     {}  prefers classic",
            ALICE.identity.public().fingerprint().grouped()
        );
        terminal.wait_for_row(&own);
        terminal.wait_for_row(&format!("        bob           verified  {fingerprint}  {words}"));
        terminal.types("\x04");
        assert_eq!(terminal.end().code(), Some(0));
    };
    listed("prefers classic", "classic", "classic");
    assert_eq!(bob.run_in(&["suite", "modern"]).code, Some(0));
    assert_eq!(alice.run_in(&["send", "bob", "one"]).code, Some(0));
    listed("prefers modern", "modern", "modern");
    assert_eq!(bob.run_in(&["suite", "classic"]).code, Some(0));
    assert_eq!(alice.run_in(&["send", "bob", "two"]).code, Some(0));
    listed("prefers classic, gets modern", "classic", "modern");
    assert_eq!(alice.run(&["accept", "bob"]).code, Some(0));
    listed("prefers classic", "classic", "classic");
}

#[test]
fn what_comes_weaker_than_its_sender_asks_for_waits_until_it_is_accepted() {
    let (server, alice, bob) = pair();
    assert_eq!(bob.run_in(&["suite", "modern"]).code, Some(0));
    assert_eq!(alice.run_in(&["send", "bob", "hi"]).code, Some(0));
    // Validly signed by Bob's identity, as somebody who has that key alone could make it.
    let mut raw = RawClient::again(server.address, &BOB, Mode::Errand);
    raw.send_envelope(&BOB.seal_to(&ALICE, "classic", 1));
    let listening = alice.listen(&["--json", "--count", "1"]);
    let held: Value = serde_json::from_str(&listening.line()).unwrap();
    assert_eq!((held["notice"].as_str(), held["from"].as_str()), (Some("weaker"), Some("bob")), "{held}");
    refused(
        &alice.run(&["accept", "bob"]),
        0,
        "what bob has sent classic so far is shown, marked. What you send stays modern\n",
    );
    let shown: Value = serde_json::from_str(&listening.line()).unwrap();
    assert_eq!((shown["text"].as_str(), shown["weaker"].as_bool()), (Some("classic"), Some(true)), "{shown}");
    assert_eq!(listening.finish().code, Some(0));
    assert_eq!(alice.run(&["accept", "carol"]).code, Some(2), "no contact");
}

#[test]
fn the_groups_first_key_decides() {
    let (_server, alice, bob) = pair();
    assert_eq!(alice.run(&["group", "rekey", "--suite", "modern"]).code, Some(0));
    let key = alice.read("keys/group.key").lines().nth(2).unwrap().split(' ').nth(1).unwrap().len();
    assert_eq!(key, 64, "a key of AES-256");
    bob.file("keys/group.key", alice.read("keys/group.key").as_bytes());
    assert_eq!(alice.run_in(&["send", "ALL", "modern"]).code, Some(0));
    let ecb = "error: --ecb is for keys of DES: the group's key is one of AES-256\nhint: leave it out\n";
    refused(&alice.run_in(&["send", "ALL", "no", "--ecb", "--quiet"]), 2, ecb);
    assert_eq!(alice.run(&["group", "rekey", "--suite", "classic"]).code, Some(0));
    bob.file("keys/group.key", alice.read("keys/group.key").as_bytes());
    assert_eq!(alice.run_in(&["send", "ALL", "classic"]).code, Some(0));
    assert_eq!(heard(&bob, 2), [message("alice", "modern", "modern"), message("alice", "classic", "classic")]);
}

#[test]
fn what_comes_under_des_after_a_key_of_aes_is_marked_and_held_by_wish() {
    let (_server, alice, bob) = pair();
    assert_eq!(bob.run(&["group", "rekey", "--suite", "modern"]).code, Some(0));
    assert_eq!(alice.run_in(&["send", "ALL", "old key"]).code, Some(0));
    let words = ["listen", "--json", "--quiet", "--count", "1"];
    let held = bob.run_in(&[&words[..], &["--timeout", "3", "--no-classic-group"]].concat());
    let line: Value = serde_json::from_str(held.stdout.lines().next().expect("a notice")).unwrap();
    assert_eq!((line["notice"].as_str(), line["count"].as_u64()), (Some("classic-group"), Some(1)), "{held:?}");
    assert!(!held.stdout.contains("old key"));
    let shown = bob.run_in(&[&words[..], &["--timeout", "20"]].concat());
    assert!(shown.stdout.contains("\"text\":\"old key\"") && shown.stdout.contains("\"weaker\":true"), "{shown:?}");
}

#[test]
fn an_account_can_begin_with_modern_and_renewing_its_keys_keeps_that() {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::new(server.address));
    let made = bob.run_in(&["register", "bob", "--bits", "2048", "--suite", "modern"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    printed(&bob.run_in(&["suite"]), "bob prefers modern\n");
    assert_eq!(alice.run_in(&["send", "bob", "one"]).code, Some(0));
    assert_eq!(bob.run_in(&["keys", "renew", "--identity", "--key-bits", "2048"]).code, Some(0));
    printed(&bob.run_in(&["suite"]), "bob prefers modern\n");
    assert_eq!(alice.run_in(&["send", "bob", "two"]).code, Some(0));
    assert_eq!(heard(&bob, 2), [message("alice", "one", "modern"), message("alice", "two", "modern")]);
}
