//! What scripts rely on besides single messages: texts from files, and listening without what waited.

use std::process::Command;

use serde_json::Value;
use topchat::limits::TEXT_MAX;
use topchat::server::Settings;

use super::home::{Home, refused, without_contact};
use crate::support::people::{ALICE, BOB};
use crate::support::server::TestServer;

/// Nobody listens there: what is tested there ends before a connection is tried.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn the_text_can_be_a_file_or_stdin_by_its_flag() {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    let listening = bob.listen(&["--json", "--count", "3"]);
    let most = "\u{17c}".repeat(TEXT_MAX / 2);
    for (name, bytes) in [("note.txt", "two\nlines \u{1f600}\n".to_owned()), ("longest", most.clone() + "\r\n")] {
        std::fs::write(alice.path(name), bytes).unwrap();
    }
    std::os::unix::fs::symlink(alice.path("note.txt"), alice.path("link")).unwrap();
    for (finished, text) in [
        (alice.run_in(&["send", "bob", "--file", "link"]), "two\nlines \u{1f600}"),
        (alice.run_in(&["send", "bob", "--file", "longest"]), &most),
        (alice.run_with(&["send", "bob", "--file", "-"], b"from stdin\n"), "from stdin"),
    ] {
        assert_eq!((finished.code, without_contact(&finished.stderr)), (Some(0), ""), "{finished:?}");
        assert_eq!(json(&listening.line())["text"], text);
    }
    assert_eq!(listening.finish().code, Some(0));
}

#[test]
fn a_file_that_can_not_be_sent_is_refused_before_anything_else() {
    let home = Home::at(NOWHERE);
    std::fs::create_dir(home.path("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(home.path("pipe")).status().unwrap().success());
    home.file("empty", b"\n");
    home.file("latin", b"caf\xe9\n");
    home.file("long", &[b'x'; TEXT_MAX + 1]);
    std::fs::File::create(home.path("huge")).unwrap().set_len(10_000_000).unwrap();
    let too_long = "error: the text is longer than 4096 bytes. Nothing was sent.\n\
                    hint: split it, or send a file some other way\n";
    for (file, code, stderr) in [
        ("nowhere", 3, "error: nowhere: no such file or folder\n"),
        ("folder", 2, "error: folder is a folder, not a regular file. Nothing was sent.\nhint: name a file in it\n"),
        (
            "pipe",
            2,
            "error: pipe is a named pipe, not a regular file. Nothing was sent.\n\
             hint: read it as input: topchat send NAME < pipe\n",
        ),
        ("empty", 2, "error: the text is empty\nhint: topchat send NAME TEXT, or: echo TEXT | topchat send NAME\n"),
        ("latin", 2, "error: the text is not UTF-8. Nothing was sent.\n"),
        ("long", 2, too_long),
        ("huge", 2, too_long),
    ] {
        refused(&home.run(&["send", "bob", "--file", file]), code, stderr);
    }
    let both = home.run(&["send", "bob", "hi", "--file", "long"]);
    assert_eq!(both.code, Some(2));
    assert!(both.stderr.starts_with("error: the argument '[TEXT]' cannot be used with '--file <FILE>'\n"), "{both:?}");
}

/// Left, and left again; nothing is lost, nothing doubled, and nothing that was left makes a later message look as if one
/// were missing.
#[test]
fn what_waited_is_left_for_the_next_one_who_wants_it() {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    let says = |text: &str| assert_eq!(alice.run_in(&["send", "bob", text]).code, Some(0), "{text}");
    says("waited on the server");
    for text in ["live", "live again"] {
        let listening = bob.listen(&["--json", "--no-backlog", "--count", "1"]);
        says(text);
        let message = json(&listening.line());
        assert_eq!((&message["text"], &message["backlog"]), (&text.into(), &false.into()));
        assert_eq!(listening.finish().stdout, "", "nothing else, and no word of a missing message");
        says(&format!("waited after {text}"));
    }
    assert_eq!(alice.run_in(&["send", "bob", "the last"]).code, Some(0));
    let rest = bob.run_in(&["listen", "--json", "--count", "4", "--timeout", "30"]);
    let texts: Vec<_> = rest.stdout.lines().map(|line| json(line)["text"].as_str().unwrap().to_owned()).collect();
    let expected = ["waited on the server", "waited after live", "waited after live again", "the last"];
    assert_eq!(texts, expected, "{rest:?}");
    assert!(rest.stdout.lines().all(|line| json(line)["repeated"].is_null()), "{rest:?}");
    refused(&bob.run_in(&["listen", "--timeout", "1", "--quiet"]), 0, "");
}

#[track_caller]
fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// A script that sends line by line: each run has its seat, gives it back, and nothing is lost or out of order.
#[test]
fn sending_in_a_loop_takes_one_seat_at_a_time_and_loses_nothing() {
    let server = TestServer::with(Settings { max_clients: 4, ..Settings::default() });
    let bob = Home::of_member(server.address, &BOB);
    let alice = Home::of_member(server.address, &ALICE);
    let listening = bob.listen(&["--json"]);
    for number in 0..30 {
        let finished = alice.run_in(&["send", "bob", &number.to_string()]);
        assert_eq!(finished.code, Some(0), "{number}: {finished:?}");
        assert!(finished.stdout.ends_with(" delivered\n"), "{}", finished.stdout);
        assert!(listening.line().contains(&format!("\"text\":\"{number}\"")), "{number}");
    }
}
