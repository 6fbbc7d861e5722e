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
        "group key {id} in made/for.all writes from now on\n\
         give made/for.all to every member by a safe way: without it they can't read what you write to ALL\n"
    );
    refused(&finished, 0, &told);
    let missing = "error: the group key file keys/group.key: no such file\n\
                   hint: get it from a member, or make one for everybody: scripts/gen-des-key.sh keys/group.key\n";
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
