//! Contacts and their keys: what each command prints, and each mistake.

use topchat::crypto::safety::SafetyNumber;

use super::home::{Home, printed, refused, without_contact};
use crate::support::people::{ALICE, BOB, Person};
use crate::support::pty::Terminal;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const NO_CONTACT: &str = "error: bob is not one of your contacts\nhint: see them: topchat contacts\n";

fn key(person: &Person) -> String {
    person.identity.public().fingerprint().grouped()
}

/// Alice's and Bob's.
fn number() -> SafetyNumber {
    let [alice, bob] = [&ALICE, &BOB].map(|person| (&person.name, person.identity.public().fingerprint()));
    SafetyNumber::of(alice, bob)
}

fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// What a camera reads off these lines of half blocks.
fn scanned(lines: &[&str]) -> String {
    let rows = lines.iter().flat_map(|line| {
        let half = |ink: [char; 2]| line.chars().map(|c| ink.contains(&c)).collect::<Vec<_>>();
        [half(['\u{2588}', '\u{2580}']), half(['\u{2588}', '\u{2584}'])]
    });
    let rows: Vec<_> = rows.collect();
    let pixel = |x: usize, y: usize| if rows[y / 4][x / 4] { 255 } else { 0 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(rows[0].len() * 4, rows.len() * 4, pixel);
    image.detect_grids()[0].decode().unwrap().1
}

#[test]
fn a_fingerprint_and_the_safety_number_are_the_same_on_both_sides_and_need_no_server_later() {
    let server = TestServer::start();
    let alice = Home::of_member(server.address, &ALICE);
    let bob = Home::of_member(server.address, &BOB);
    let shown = |name: &str, key: &str| format!("{name}  {key}\nsafety number with {name}  {}\n", number().grouped());
    let first = alice.run_in(&["fingerprint", "bob"]);
    printed(&first, &shown("bob", &key(&BOB)));
    assert_eq!(without_contact(&first.stderr), "bob was seen for the first time and pinned. Compare, by voice:\n");
    printed(&bob.run_in(&["fingerprint", "alice"]), &shown("alice", &key(&ALICE)));
    drop(server);
    let again = alice.run(&["fingerprint", "bob"]);
    printed(&again, &shown("bob", &key(&BOB)));
    assert_eq!(again.stderr, "");
    let object = format!(
        r#"{{"v":1,"type":"fingerprint","name":"bob","fingerprint":"{}","safety":"{}"}}"#,
        BOB.identity.public().fingerprint().to_hex(),
        number().digits()
    );
    printed(&alice.run(&["fingerprint", "bob", "--json"]), &(object + "\n"));
    let with_code = alice.run(&["fingerprint", "bob", "--qr"]).stdout;
    let below = with_code.find("bob ").unwrap();
    let (code, below) = with_code.split_at(below);
    assert_eq!(below, shown("bob", &key(&BOB)));
    assert_eq!(scanned(&code.lines().collect::<Vec<_>>()), format!("TOPCHAT1:{}", number().digits()));
}

#[test]
fn a_contact_is_verified_listed_taken_back_and_forgotten() {
    let server = TestServer::start();
    let alice = Home::of_member(server.address, &ALICE);
    RawClient::connect(server.address).register(&BOB);
    let none = alice.run(&["contacts"]);
    printed(&none, "");
    assert_eq!(none.stderr, "no contacts yet: a key is pinned when you first write to somebody, or they to you\n");
    let fingerprint = BOB.identity.public().fingerprint();
    let verified = alice.run_in(&["verify", "bob", "--fingerprint", &fingerprint.to_hex()[..32]]);
    printed(&verified, &format!("bob  {}\n", key(&BOB)));
    assert_eq!(without_contact(&verified.stderr), "bob's key is verified from now on:\n");
    let line = |mark: &str, rest: &str| {
        format!("{:<32} {mark:<8} {}  pinned {}{rest}, prefers classic\n", "bob", key(&BOB), today())
    };
    printed(&alice.run(&["contacts"]), &line("verified", &format!(", verified {}", today())));
    let object: serde_json::Value = serde_json::from_str(&alice.run(&["contacts", "--json"]).stdout).unwrap();
    assert_eq!(
        (&object["type"], &object["name"], &object["key"]),
        (&"contact".into(), &"bob".into(), &"verified".into())
    );
    assert_eq!(object["fingerprint"], fingerprint.to_hex());

    refused(&alice.run(&["unverify", "bob"]), 0, "bob's key is no longer verified. It stays pinned.\n");
    refused(&alice.run(&["untrust", "bob"]), 0, "bob's key was not verified. Nothing was changed.\n");
    printed(&alice.run(&["contacts"]), &line("known", ""));
    let forgotten = "bob is forgotten: the next key of that name is one seen for the first time\n";
    refused(&alice.run(&["forget", "bob"]), 0, forgotten);
    refused(&alice.run(&["forget", "bob"]), 2, NO_CONTACT);
    refused(&alice.run(&["unverify", "bob"]), 2, NO_CONTACT);
}

#[test]
fn mistakes_with_keys_are_named_with_the_remedy() {
    let server = TestServer::start();
    let alice = Home::of_member(server.address, &ALICE);
    RawClient::connect(server.address).register(&BOB);
    assert_eq!(alice.run_in(&["fingerprint", "bob"]).code, Some(0));
    let [alices, bobs] = [&ALICE, &BOB].map(|person| person.identity.public().fingerprint().to_hex());
    let too_short = format!(
        "error: \"{}\" is no fingerprint\n\
         hint: give at least its first 32 hex digits, as topchat fingerprint shows them\n",
        &bobs[..31]
    );
    let mismatch = format!(
        "error: that is not the fingerprint of bob's key: it is\n  {}\n\
         hint: compare it with the contact by voice: it may be somebody else's key. Nothing was changed\n",
        key(&BOB)
    );
    let short = "error: \"4f2a\" is no fingerprint\nhint: give at least its first 16 hex digits, as topchat fingerprint shows them\n";
    for (words, code, stderr) in [
        (
            &["verify", "bob"][..],
            2,
            "error: a comparison is needed and there is no terminal to ask for it\n\
             hint: give it with --fingerprint FINGERPRINT\n",
        ),
        (&["verify", "bob", "--fingerprint", &bobs[..31]], 2, &too_short),
        (&["verify", "bob", "--fingerprint", &alices], 4, &mismatch),
        (&["trust", "bob", "4f2a"], 2, short),
        (&["trust", "bob", &alices], 4, &mismatch),
        (
            &["trust", "bob"],
            2,
            "error: no other key of bob was seen: there is nothing to choose\n\
             hint: to pin the key that the server gives, compare it and give its fingerprint: topchat trust bob FINGERPRINT\n",
        ),
    ] {
        refused(&alice.run_in(words), code, stderr);
    }
    let bad = alice.run(&["contacts", "--accept-new-keys", "sometimes"]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("first, never"), "{}", bad.stderr);
    assert_eq!(alice.run(&["fingerprint", "--qr"]).code, Some(2));
}

#[test]
fn the_question_of_verify_takes_nothing_but_a_yes() {
    let server = TestServer::start();
    let alice = Home::of_member(server.address, &ALICE);
    RawClient::connect(server.address).register(&BOB);
    let verify = |answer: &str| {
        let command = alice.topchat(&["verify", "bob", "--password-file", "password"]);
        let mut terminal = Terminal::start(&command);
        terminal.wait_for_row("Is it the same for bob? (y)es marks the key as verified, (n)o does not");
        // The code takes the rest of the terminal.
        let rows = terminal.rows().concat().replace(' ', "");
        assert!(rows.contains(&format!("bob{}", key(&BOB).replace(' ', ""))), "{rows}");
        assert!(rows.contains(&format!("safetynumberwithbob{}", number().digits())), "{rows}");
        terminal.types(answer);
        (terminal.end().code(), terminal.rows().pop().unwrap_or_default())
    };
    for answer in ["n\r", "\r", "maybe\r", "yy\r", "\x04", "\x03"] {
        let (code, _) = verify(answer);
        let expected = if answer == "\x03" { 130 } else { 2 };
        assert_eq!(code, Some(expected), "{answer:?}");
        let contacts = alice.run(&["contacts"]).stdout;
        assert!(contacts.starts_with("bob ") && !contacts.contains("verified"), "{answer:?}: {contacts}");
    }
    assert_eq!(verify("y\r").0, Some(0));
    assert!(alice.run(&["contacts"]).stdout.contains(" verified "));
    let (code, last) = verify("Yes\r");
    assert_eq!(code, Some(0), "{last}");
}
