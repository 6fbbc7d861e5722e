//! From register to delete-account, with the key files that belong to it.

use std::fs;
use std::os::unix::fs::MetadataExt;

use topchat::wire::to_server::Mode;

use super::home::{Home, keys_made, lightly_locked, printed, refused, without_contact, without_time};
use crate::support::people::{ALICE, BOB, PASSWORD};
use crate::support::process::{self, Finished};
use crate::support::pty::Terminal;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const IDENTITY: &str = "keys/users/alice/identity.pem";
const NEW_PASSWORD: &str = "another horse";

fn users(home: &Home, password_file: &str) -> Finished {
    home.run(&["users", "--password-file", password_file])
}

#[track_caller]
fn logs_in(home: &Home, password_file: &str) {
    printed(&users(home, password_file), &format!("{:<32} away\n", "alice"));
}

/// Grouped as people compare it, from the public key file, by the openssl command.
fn fingerprint(home: &Home, name: &str) -> String {
    home.openssl(&format!("pkey -pubin -in keys/users/{name}/identity.pub.pem -outform DER -out spki.der"));
    let digest = home.openssl("dgst -sha256 -r spki.der");
    let hex = String::from_utf8(digest[..64].to_vec()).unwrap();
    let groups: Vec<_> = hex.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.chunks(4).map(|quarter| quarter.join(" ")).collect::<Vec<_>>().join("  ")
}

#[test]
fn registering_makes_locked_keys_and_tells_the_fingerprint() {
    let server = TestServer::start();
    let home = Home::new(server.address);
    let finished = keys_made(home.run_in(&["register", "alice", "--bits", "2048"]));
    let fingerprint = fingerprint(&home, "alice");
    refused(
        &finished,
        0,
        &format!(
            "registered alice.   keys in keys/users/alice, locked with your password\n\
             your fingerprint    {fingerprint}\n                    \
             (friends can compare it; shown again by: topchat fingerprint)\n\
             group ALL           no key: get the file from a member and put it at keys/group.key\n\
             next: topchat login alice\n"
        ),
    );
    for part in ["identity", "encryption", "ed25519", "x25519"] {
        let path = format!("keys/users/alice/{part}.pem");
        assert_eq!(fs::metadata(home.path(&path)).unwrap().mode() & 0o7777, 0o600);
        home.openssl(&format!("pkey -in {path} -passin file:password -noout"));
        let scheme = home.openssl(&format!("asn1parse -in {path}"));
        assert!(String::from_utf8_lossy(&scheme).contains("scrypt"), "not locked by scrypt");
    }
    // A lost answer locks nobody out: the same keys are registered again.
    let again = home.run_in(&["register", "alice", "--json", "--quiet"]);
    let hex = fingerprint.replace(' ', "");
    let object = |kind: &str, more: &str| {
        format!(r#"{{"v":1,"type":"{kind}","name":"alice","fingerprint":"{hex}"{more}}}"#) + "\n"
    };
    printed(&again, &object("registered", r#","already":true"#));
    assert_eq!(again.stderr, "");

    printed(&home.run(&["fingerprint"]), &format!("alice  {fingerprint}\n"));
    printed(&home.run(&["fingerprint", "--json"]), &object("fingerprint", ""));
}

#[test]
fn the_list_tells_who_is_here() {
    let server = TestServer::start();
    let alice = Home::of_member(server.address, &ALICE);
    let _bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    printed(&alice.run_in(&["users"]), &format!("{:<32} away\n{:<32} here\n", "alice", "bob"));
    printed(&alice.run_in(&["users", "--online"]), &format!("{:<32} here\n", "bob"));
    printed(
        &alice.run_in(&["users", "--json"]),
        "{\"v\":1,\"type\":\"user\",\"name\":\"alice\",\"online\":false}\n\
         {\"v\":1,\"type\":\"user\",\"name\":\"bob\",\"online\":true}\n",
    );
}

#[test]
fn a_new_password_opens_the_account_and_its_keys_and_the_old_one_does_not() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    home.file("new", format!("{NEW_PASSWORD}\n").as_bytes());
    let finished = home.run_in(&["passwd", "--new-password-file", "new"]);
    refused(&finished, 0, "the password of alice is changed, for the login and the key files\n");

    refused(
        &users(&home, "password"),
        6,
        &format!(
            "error: wrong name or password: it does not open {IDENTITY}\n\
             hint: the password of the account also locks its key files\n"
        ),
    );
    logs_in(&home, "new");
    for part in ["identity", "encryption", "ed25519", "x25519"] {
        home.openssl(&format!("pkey -in keys/users/alice/{part}.pem -passin file:new -noout"));
    }
    assert!(!left_overs(&home));
    // The right keys under the old password: it is the server that refuses.
    let copy = Home::with_keys(server.address, &ALICE);
    refused(&users(&copy, "password"), 6, WRONG);
}

/// What the server refuses, in the client's words.
const WRONG: &str = "error: wrong name or password.\n\
                     hint: is alice an account of this server? If not: topchat register alice    \
                     If its keys were renewed on another machine: topchat keys export there, then topchat keys import FILE here\n";

/// Whether a key file under a second password is still there.
fn left_overs(home: &Home) -> bool {
    let names = fs::read_dir(home.path("keys/users/alice")).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.to_str().is_some_and(|name| name.ends_with(".new")))
}

/// Places Alice's keys as a crash in the middle of `passwd` leaves them: under which password each file is.
fn crashed(home: &Home, identity: &str, encryption: &str, new: [bool; 2]) {
    home.file(IDENTITY, &lightly_locked(&ALICE.identity, identity));
    home.file("keys/users/alice/encryption.pem", &lightly_locked(&ALICE.encryption, encryption));
    for (part, key, there) in [("identity", &ALICE.identity, new[0]), ("encryption", &ALICE.encryption, new[1])] {
        if there {
            home.file(&format!("keys/users/alice/{part}.pem.new"), &lightly_locked(key, NEW_PASSWORD));
        }
    }
}

#[test]
fn a_crash_at_any_step_of_a_change_leaves_a_password_that_logs_in() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    home.file("new", NEW_PASSWORD.as_bytes());
    // Before the server heard of it: one new file, both, and then the old password still counts.
    for new in [[true, false], [true, true]] {
        crashed(&home, PASSWORD, PASSWORD, new);
        logs_in(&home, "password");
        assert!(!left_overs(&home), "{new:?}");
        home.openssl(&format!("pkey -in {IDENTITY} -passin file:password -noout"));
    }
    refused(
        &home.run_in(&["passwd", "--new-password-file", "new"]),
        0,
        "the password of alice is changed, for the login and the key files\n",
    );
    // After it: nothing, one, or both of the files have taken their place.
    for (identity, new) in [(PASSWORD, [true, true]), (NEW_PASSWORD, [false, true])] {
        crashed(&home, identity, PASSWORD, new);
        logs_in(&home, "new");
        assert!(!left_overs(&home), "{new:?}");
        for part in ["identity", "encryption"] {
            home.openssl(&format!("pkey -in keys/users/alice/{part}.pem -passin file:new -noout"));
        }
    }
}

#[test]
fn a_deleted_account_is_gone_and_its_key_files_stay() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let finished = home.run_in(&["delete-account", "--yes"]);
    refused(&finished, 0, &format!("deleted alice on {}. The key files stay in keys/users/alice\n", server.address));
    assert!(home.path(IDENTITY).exists());
    refused(&users(&home, "password"), 6, WRONG);
    assert_eq!(home.run_in(&["register", "alice"]).code, Some(0));
}

#[test]
fn the_question_before_an_account_is_deleted_tells_what_becomes_of_messages_that_wait() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut command = home.topchat(&["delete-account", "--password-file", "password"]);
    let mut terminal = Terminal::with_size(command.env("TERM", "xterm").env("NO_COLOR", "1"), 24, 140);
    let question = format!("delete the account alice on {}? Type its name to confirm: ", server.address);
    terminal.wait_for(&question);
    let shown: Vec<_> = terminal.rows().into_iter().take_while(|row| !row.starts_with("delete ")).collect();
    assert_eq!(
        shown.join("\n"),
        "what alice wrote and still waits for others can't be verified any more by those who have never seen alice's key: \
         they won't see it"
    );
    terminal.types("alice\r");
    terminal.wait_for("deleted alice on ");
    assert!(terminal.end().success());
}

/// Bob, who never saw a key of hers, reads in calm words why her message is not shown.
#[test]
fn a_message_whose_sender_deleted_the_account_is_told_as_what_it_is() {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    let id = alice.run_in(&["send", "bob", "bye"]).stdout[..4].to_owned();
    assert_eq!(alice.run_in(&["delete-account", "--yes"]).code, Some(0));
    let listening = bob.run_in(&["listen", "--timeout", "2"]);
    let words = without_contact(&listening.stderr);
    assert_eq!(
        words.lines().map(without_time).collect::<Vec<_>>(),
        [
            "listening as bob".to_owned(),
            format!(
                "HH:MM   a message marked from alice (#{id}) was not shown: the server has no account alice any more, \
                 so it could not be verified"
            )
        ]
    );
}

#[test]
fn registering_an_account_again_says_that_it_was_there() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let already = format!(
        "alice was registered on {} already, with the keys in keys/users/alice. Nothing was changed there, its password included",
        server.address
    );
    let finished = home.run_in(&["register", "alice"]);
    assert_eq!((finished.code, without_contact(&finished.stderr).lines().next()), (Some(0), Some(already.as_str())));
    let json = home.run_in(&["register", "alice", "--json"]).stdout;
    let fingerprint = ALICE.identity.public().fingerprint().to_hex();
    assert_eq!(
        json,
        format!(
            "{{\"v\":1,\"type\":\"registered\",\"name\":\"alice\",\"fingerprint\":\"{fingerprint}\",\"already\":true}}\n"
        )
    );
}

#[test]
fn keys_made_by_the_script_are_taken() {
    let server = TestServer::start();
    let home = Home::new(server.address);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/gen-user-keys.sh");
    let mut command = process::command("sh", home.folder.path());
    command.args([script, "--bits", "2048", "--password-file", "password", "alice"]);
    assert_eq!(process::run(&mut command, b"").code, Some(0));
    let made = home.read(IDENTITY);
    let finished = home.run_in(&["register", "alice"]);
    let fingerprint = fingerprint(&home, "alice");
    refused(
        &finished,
        0,
        &format!(
            "registered alice.   keys in keys/users/alice, locked with your password\n\
             your fingerprint    {fingerprint}\n                    \
             (friends can compare it; shown again by: topchat fingerprint)\n\
             group ALL           no key: get the file from a member and put it at keys/group.key\n\
             next: topchat login alice\n"
        ),
    );
    assert_eq!(home.read(IDENTITY), made);
    logs_in(&home, "password");
}

#[test]
fn the_version_names_openssl_and_the_help_has_examples_and_honest_words() {
    let home = Home::at("127.0.0.1:1");
    let openssl = topchat::crypto::openssl_version();
    printed(&home.run(&["--version"]), &format!("topchat {} ({openssl})\n", env!("CARGO_PKG_VERSION")));
    let help = home.run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for part in [
        "Examples:\n  topchat                                  the chat",
        "sealed with DES under a key that the members share: 56 bits, good against a curious look, not\n  against a lab.",
        "There is no forward secrecy",
        "it sees who writes to whom, when, and how much",
        "Exit codes:\n  0 done",
    ] {
        assert!(help.stdout.contains(part), "no {part:?} in:\n{}", help.stdout);
    }
}

#[test]
fn no_colour_reaches_what_is_no_terminal() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    for words in [&["--help"][..], &["regster"], &["users"], &["send", "bob", "hi"], &["listen", "--timeout", "0"]] {
        let mut command = home.topchat(words);
        command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor").args(["--password-file", "password"]);
        let finished = process::run(&mut command, b"");
        assert!(!finished.stdout.contains('\u{1b}') && !finished.stderr.contains('\u{1b}'), "{words:?}: {finished:?}");
    }
}
