//! `topchat group`: the file that the members share.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::home::{Home, printed, refused, without_contact};
use crate::support::people::{ALICE, BOB, GROUP};
use crate::support::server::TestServer;

const FILE: &str = "keys/group.key";

fn home() -> Home {
    Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE)
}

/// The ids in the file, in order.
fn ids(home: &Home) -> Vec<String> {
    let entries = home.read(FILE);
    entries.lines().skip(2).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_new_key_writes_and_those_before_it_still_read() {
    let home = home();
    let old = GROUP.writer().id_hex();
    let finished = home.run(&["group", "rekey"]);
    let new = ids(&home).swap_remove(0);
    let give = "give keys/group.key to every member by a safe way: without it they can't read what you write to ALL\n";
    let told =
        format!("group key {} in keys/group.key writes from now on; the one before still reads\n{give}", &new[..4]);
    refused(&finished, 0, &told);
    assert_eq!(fs::metadata(home.path(FILE)).unwrap().mode() & 0o7777, 0o600);
    printed(&home.run(&["group", "list"]), &format!("{new}  writes\n{old}  reads\n"));
    let json = |id: &str, writes| format!("{{\"v\":1,\"type\":\"group-key\",\"id\":\"{id}\",\"writes\":{writes}}}\n");
    printed(&home.run(&["group", "list", "--json"]), &(json(&new, true) + &json(&old, false)));
    let finished = home.run(&["group", "rekey", "--json", "--quiet"]);
    let newest = ids(&home).swap_remove(0);
    printed(&finished, &(json(&newest, true) + &json(&new, false) + &json(&old, false)));
    for _ in 3..16 {
        assert_eq!(home.run(&["group", "rekey"]).code, Some(0));
    }
    let before = home.read(FILE);
    let stderr = "error: the group key file keys/group.key: 16 keys already\n\
                  hint: take an old one out first: topchat group forget ID\n";
    refused(&home.run(&["group", "rekey"]), 3, stderr);
    assert_eq!(home.read(FILE), before);
}

#[test]
fn the_first_key_makes_the_file() {
    let home = Home::at("127.0.0.1:1");
    let finished = home.run(&["group", "rekey", "--group-key", "made/for.all"]);
    let id = home.read("made/for.all").lines().nth(2).unwrap()[..4].to_owned();
    let told = format!(
        "there was no group key in made/for.all: this is a first one. If the group has one already, take a member's file instead\n\
         group key {id} in made/for.all writes from now on\n\
         give made/for.all to every member by a safe way: without it they can't read what you write to ALL\n"
    );
    refused(&finished, 0, &told);
    let missing = "error: the group key file keys/group.key: no such file\n\
                   hint: get the file from a member, who has the group's key, and put it there. Only a new group needs a new key: topchat group rekey --group-key keys/group.key\n";
    refused(&home.run(&["group", "list"]), 3, missing);
}

#[test]
fn a_key_is_forgotten_but_not_by_accident() {
    let home = home();
    let old = GROUP.writer().id_hex();
    let only = format!(
        "error: group key {} is the only one in keys/group.key. Nothing was changed.\n\
         hint: --force removes the whole file; make a new key first: topchat group rekey\n",
        &old[..4]
    );
    refused(&home.run(&["group", "forget", &old]), 2, &only);
    assert_eq!(home.run(&["group", "rekey"]).code, Some(0));
    let new = ids(&home).swap_remove(0);
    let writes = format!(
        "error: group key {} is the one that writes in keys/group.key. Nothing was changed.\n\
         hint: --force lets the next one write; make a new key first: topchat group rekey\n",
        &new[..4]
    );
    refused(&home.run(&["group", "forget", &new]), 2, &writes);
    for typed in ["", &old[..3], "zzzz", &format!("{old}0")] {
        let stderr = format!(
            "error: \"{typed}\" is not the beginning of one key's id in keys/group.key\n\
             hint: give at least 4 digits; see topchat group list\n"
        );
        refused(&home.run(&["group", "forget", typed]), 2, &stderr);
    }
    assert_eq!(ids(&home), [new.clone(), old.clone()]);
    let told = format!("group key {} is gone from keys/group.key; {} writes\n", &new[..4], &old[..4]);
    refused(&home.run(&["group", "forget", &new.to_uppercase(), "--force"]), 0, &told);
    assert_eq!(ids(&home), std::slice::from_ref(&old));
    let told = format!("group key {} is gone, and with it keys/group.key\n", &old[..4]);
    refused(&home.run(&["group", "forget", &old[..6], "--force"]), 0, &told);
    assert!(!home.path(FILE).exists());
}

/// As a member who was given the file meanwhile reads and writes: no restart, nothing lost, nothing told twice.
#[test]
fn a_running_chat_and_a_listener_take_the_new_file_and_show_what_waited_for_it() {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    let (mut chat, listener) = (bob.chat(), alice.listen(&["--json"]));
    chat.types("before");
    assert!(chat.line().contains("bob   > ALL  before"));
    assert!(listener.line().contains("\"text\":\"before\""));
    assert_eq!(alice.run(&["group", "rekey"]).code, Some(0));
    let (new, old) = (ids(&alice).swap_remove(0)[..4].to_owned(), GROUP.writer().short_id());
    for text in ["one", "two", "three"] {
        assert_eq!(alice.run_in(&["send", "ALL", text]).code, Some(0));
    }
    let asked = |messages: &str, use_it: &str| {
        format!(
            "HH:MM !! {messages} to ALL from alice {use_it} group key {new}; yours is {old}. Ask alice for the new key file."
        )
    };
    assert_eq!(chat.line(), asked("a message", "uses"));
    assert_eq!(chat.line(), asked("2 messages", "use"));
    bob.file(FILE, b"topchat-group-key v1\n# half a file");
    let bad = "the group key file keys/group.key: no key in it";
    assert_eq!(chat.line(), format!("HH:MM !! {bad}. The keys read before stay in use: {old} writes."));
    bob.file(FILE, alice.read(FILE).as_bytes());
    assert_eq!(chat.line(), format!("HH:MM   the group key file was read again: key {new} writes"));
    for text in ["one", "two", "three"] {
        let line = chat.line();
        assert!(line.starts_with(&format!("HH:MM alice > ALL  {text} ")) && line.ends_with(" key]"), "{line}");
    }
    chat.types("after");
    assert!(chat.line().contains("bob   > ALL  after"));
    assert!(listener.line().contains(&format!("\"notice\":\"group-key-read\",\"ours\":\"{new}\"")));
    assert!(listener.line().contains("\"text\":\"after\""));
    // The next one is noticed before anything is sent under the old one.
    assert_eq!(bob.run(&["group", "rekey"]).code, Some(0));
    let newest = ids(&bob).swap_remove(0);
    chat.types("newest");
    assert_eq!(chat.line(), format!("HH:MM   the group key file was read again: key {} writes", &newest[..4]));
    assert!(chat.line().contains("bob   > ALL  newest"));
    let unread: serde_json::Value = serde_json::from_str(&listener.line()).unwrap();
    assert_eq!((&unread["notice"], &unread["theirs"]), (&"other-group-key".into(), &newest[..4].into()));
}

/// A new key and the file handed on: who has it reads both, who hasn't is told whom to ask.
#[test]
fn a_message_under_the_new_key_is_read_by_whoever_has_the_new_file() {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    assert_eq!(alice.run_in(&["send", "ALL", "old"]).code, Some(0));
    assert_eq!(alice.run(&["group", "rekey"]).code, Some(0));
    assert_eq!(alice.run_in(&["send", "ALL", "new"]).code, Some(0));
    let waiting = bob.run_in(&["listen", "--timeout", "1", "--json"]);
    assert!(waiting.stdout.contains("\"text\":\"old\"") && !waiting.stdout.contains("\"text\":\"new\""), "{waiting:?}");
    bob.file(FILE, alice.read(FILE).as_bytes());
    let heard = bob.run_in(&["listen", "--count", "1", "--json", "--quiet"]);
    assert!(heard.stdout.contains("\"text\":\"new\""), "{}", without_contact(&heard.stderr));
}
