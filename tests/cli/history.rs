//! The history: kept only if wanted, read by nobody without the password, and shown as asked for.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::home::{Home, printed, refused, without_contact, without_time};
use crate::support::people::{ALICE, BOB};
use crate::support::process;
use crate::support::server::TestServer;

/// Alice's and Bob's machines.
fn pair() -> (TestServer, Home, Home) {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    (server, alice, bob)
}

/// Lines of `topchat history`, the times of which are of today.
#[track_caller]
fn shown(home: &Home, words: &[&str]) -> Vec<String> {
    let finished = home.run_in(&[&["history"], words].concat());
    let nothing = finished.stdout.is_empty();
    let told = if nothing { without_last_line(&finished.stderr) } else { &finished.stderr };
    assert_eq!((finished.code, told), (Some(0), ""), "{words:?}");
    finished.stdout.lines().map(without_time).collect()
}

/// Apart from the last line, in which it is told that nothing fits.
fn without_last_line(stderr: &str) -> &str {
    stderr.strip_suffix('\n').map_or(stderr, |lines| lines.rsplit_once('\n').map_or("", |(before, _)| before))
}

/// Alice writes to bob, who listens.
#[track_caller]
fn alice_writes(alice: &Home, bob: &Home, text: &str) {
    let listening = bob.listen(&["--count", "1"]);
    assert_eq!(alice.run_in(&["send", "bob", text]).code, Some(0));
    assert_eq!(listening.finish().code, Some(0));
}

#[test]
fn without_the_option_nothing_is_kept() {
    let (server, alice, bob) = pair();
    alice_writes(&alice, &bob, "a word in passing");
    for home in [&alice, &bob] {
        for (path, bytes) in files(home.folder.path()) {
            assert!(!path.contains("history"), "{path}");
            assert!(!holds(&bytes, "a word in passing"), "{path}");
        }
    }
    refused(
        &bob.run_in(&["history"]),
        3,
        "error: there is no history of bob\nhint: keep one from now on: topchat history on\n",
    );
    // What the hint says works, and the history begins then.
    let finished = bob.run(&["history", "on"]);
    let file = format!("state/{}/bob/history.sealed", server.address);
    assert_eq!(
        (finished.code, finished.stdout.as_str(), finished.stderr),
        (
            Some(0),
            "",
            format!(
                "a history of bob on {} is kept from now on, encrypted under the account's keys, in {file}\n\
                 programs of the account that run already keep none until they are started again\n",
                server.address
            )
        )
    );
    assert_eq!(shown(&bob, &[]), [""; 0]);
}

#[test]
fn what_came_and_went_is_kept_encrypted_and_shown_with_the_password() {
    let (_server, alice, bob) = pair();
    for home in [&alice, &bob] {
        assert_eq!(home.run(&["history", "on", "--quiet"]).code, Some(0));
    }
    alice_writes(&alice, &bob, "lunch at the harbour?\nor not");
    let mut chat = bob.chat();
    chat.types("@alice of course");
    assert_eq!(chat.line(), format!("{:<57}[queued]", "HH:MM bob   > alice  of course"));
    assert_eq!(chat.finish().code, Some(0));
    printed_to_all(&alice, "Harbour for all");

    let line = |text: &str, mark: &str| format!("{text:<57}[{mark}]");
    assert_eq!(
        shown(&bob, &[]),
        [
            line("HH:MM alice > you  lunch at the harbour?", "signed, new key"),
            "               | or not".to_owned(),
            line("HH:MM bob   > alice  of course", "yours"),
        ]
    );
    assert_eq!(shown(&alice, &["--search", "harbour"]).len(), 3);
    assert_eq!(
        shown(&alice, &["--search", "harbour", "--with", "ALL"]),
        [line("HH:MM alice > ALL  Harbour for all", "yours")]
    );
    assert_eq!(shown(&alice, &["--with", "bob", "--since", "1h"]).len(), 2);
    assert_eq!(shown(&alice, &["--with", "carol"]), [""; 0]);
    for (words, told) in [
        (["--with", "carol"], "there is nothing with carol in the history"),
        (["--with", "bbo"], "there is nothing with bbo in the history. Did you mean bob?"),
        (["--search", "nonsense"], "nothing in the history fits"),
    ] {
        let finished = alice.run_in(&[&["history"], &words[..]].concat());
        refused(&finished, 0, &format!("{told}\n"));
    }
    assert_eq!(shown(&alice, &["--since", "2999-01-01"]), [""; 0]);

    let finished = bob.run_in(&["history", "--json", "--with", "alice"]);
    let objects: Vec<Value> = finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2, "{finished:?}");
    let (id, time) = (objects[0]["id"].as_str().unwrap(), objects[0]["time"].as_str().unwrap());
    assert_eq!(
        finished.stdout.lines().next().unwrap(),
        format!(
            r#"{{"v":1,"type":"history","id":"{id}","from":"alice","to":"bob","time":"{time}","text":"lunch at the harbour?\nor not","key":"new","suite":"classic"}}"#
        )
    );

    for home in [&alice, &bob] {
        for (path, bytes) in files(home.folder.path()) {
            for part in ["harbour", "Harbour", "of course"] {
                assert!(!holds(&bytes, part), "{path} holds {part}");
            }
        }
    }
    bob.file("wrong", b"wrong horse\n");
    let finished = bob.run(&["history", "--password-file", "wrong"]);
    refused(
        &finished,
        6,
        "error: wrong name or password: it does not open keys/users/bob/identity.pem\n\
         hint: the password of the account also locks its key files\n",
    );
}

#[test]
fn a_new_password_and_new_keys_still_open_it() {
    let (_server, alice, bob) = pair();
    assert_eq!(bob.run(&["history", "on"]).code, Some(0));
    alice_writes(&alice, &bob, "before");
    assert_eq!(bob.run_in(&["keys", "renew", "--key-bits", "2048"]).code, Some(0));
    // Without the retired keys, which are dropped some day.
    fs::remove_dir_all(bob.path("keys/users/bob/retired")).unwrap();
    bob.file("new", b"another horse\n");
    assert_eq!(bob.run_in(&["passwd", "--new-password-file", "new"]).code, Some(0));
    let finished = bob.run(&["history", "--password-file", "new"]);
    assert_eq!(finished.stdout.lines().count(), 1, "{finished:?}");
    let finished = bob.run(&["keys", "export", "-", "--password-file", "new"]);
    assert!(finished.stderr.contains("the history is not part of it: it stays on this machine\n"), "{finished:?}");
}

#[test]
fn one_run_alone_keeps_it_by_a_flag_or_a_variable() {
    let (_server, alice, bob) = pair();
    let listening = bob.listen(&["--count", "3"]);
    for (words, variable) in [(&["send", "bob", "kept", "--history"][..], ""), (&["send", "bob", "not kept"], "")] {
        let finished = process::run(
            alice.topchat(words).args(["--password-file", "password"]).env("TOPCHAT_HISTORY", variable),
            b"",
        );
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
    let mut command = alice.topchat(&["send", "bob", "kept as well", "--password-file", "password"]);
    assert_eq!(process::run(command.env("TOPCHAT_HISTORY", "1"), b"").code, Some(0));
    assert_eq!(listening.finish().code, Some(0));
    let texts: Vec<_> = shown(&alice, &[]);
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("  kept  ") && texts[1].contains("  kept as well  "), "{texts:?}");
}

#[test]
fn it_is_turned_off_and_erased() {
    let (server, alice, bob) = pair();
    assert_eq!(alice.run(&["history", "on"]).code, Some(0));
    alice_writes(&alice, &bob, "first");
    let off = "no history of alice is kept from now on; what is there stays (topchat history erase deletes it)\n";
    refused(&alice.run(&["history", "off"]), 0, off);
    alice_writes(&alice, &bob, "second");
    assert_eq!(shown(&alice, &[]).len(), 1);

    refused(
        &alice.run(&["history", "erase"]),
        2,
        "error: a confirmation is needed and there is no terminal to ask for it\nhint: give it with --yes\n",
    );
    assert_eq!(shown(&alice, &[]).len(), 1);
    // What was cut off the file is of the history, too.
    let torn = format!("state/{}/alice/history.sealed.torn-29", server.address);
    alice.file(&torn, b"a torn entry");
    refused(&alice.run(&["history", "erase", "--yes"]), 0, "the history of alice is deleted\n");
    assert!(!alice.path(&torn).exists());
    refused(&alice.run_in(&["history"]), 0, "the history is empty\n");
    refused(
        &alice.run(&["history", "erase", "--yes"]),
        3,
        "error: there is no history of alice\nhint: keep one from now on: topchat history on\n",
    );
}

#[test]
fn a_changed_history_is_told_and_the_rest_is_shown() {
    let (server, alice, bob) = pair();
    assert_eq!(alice.run(&["history", "on"]).code, Some(0));
    for text in ["first", "second", "third"] {
        alice_writes(&alice, &bob, text);
    }
    let path = format!("state/{}/alice/history.sealed", server.address);
    let text = alice.read(&path);
    let lines: Vec<&str> = text.lines().collect();
    alice.file(&path, format!("{}\n{}\n{}\n{}\n", lines[0], lines[1], lines[1], lines[3]).as_bytes());
    let finished = alice.run_in(&["history"]);
    assert_eq!(finished.code, Some(3));
    let shown: Vec<_> = finished.stdout.lines().map(|line| &line[19..25]).collect();
    assert_eq!(shown, ["first ", "third "]);
    assert_eq!(
        finished.stderr,
        format!(
            "error: {path}: line 3 can't be opened; the others are shown\n\
             hint: take history.sealed from a backup; what is not damaged stays in it, and is shown\n"
        )
    );
}

#[test]
fn mistakes_are_told_before_the_password_is_asked_for() {
    let home = Home::at("127.0.0.1:1");
    refused(
        &home.run(&["history", "--since", "yesterday"]),
        2,
        "error: \"yesterday\" is no time\nhint: write it as 2026-11-23, \"2026-11-23 12:00\", or how long ago: 2d, 3h\n",
    );
    for words in [&["history"][..], &["history", "on"]] {
        refused(
            &home.run(words),
            3,
            "error: no account on this machine yet (looked in keys/users)\nhint: make one with: topchat register NAME\n",
        );
    }
}

#[track_caller]
fn printed_to_all(home: &Home, text: &str) {
    let finished = home.run_in(&["send", "ALL", text]);
    assert_eq!(finished.code, Some(0), "{}", without_contact(&finished.stderr));
    let id = finished.stdout.split(' ').next().unwrap_or_default().to_owned();
    printed(&finished, &format!("{id} queued for 1\n"));
}

/// Every file below a folder, by its path.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![(path.to_string_lossy().into_owned(), fs::read(&path).unwrap())],
        })
        .collect()
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}
