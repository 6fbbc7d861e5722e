//! A server whose folder was put back from an older copy: whoever changed keys or password since then gets in with what they know, the server
//! has the change again, and both sides tell it once.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use topchat::crypto::bundle;
use topchat::wire::to_server::Mode;
use topchat::wire::{ToClient, ToServer};

use super::home::{Home, printed, refused};
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process::{Finished, SERVER, ServerProcess, command};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const FOLDER: &str = "keys/users/alice";
const RENEW: [&str; 4] = ["keys", "renew", "--key-bits", "2048"];
const NEW: &str = "another horse";

/// A server and the copy of its folder to which it can be set back.
pub struct Restorable {
    server: Option<TestServer>,
    copy: TempDir,
    pub address: SocketAddr,
}

impl Restorable {
    /// Its folder is copied as it is now.
    pub fn from(server: TestServer) -> Self {
        let address = server.address;
        let folder = server.stop();
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        Self { server: Some(TestServer::back(folder, &address.to_string())), copy, address }
    }

    /// Puts the copy back.
    pub fn set_back(&mut self) {
        drop(self.server.take().map(TestServer::stop));
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.copy.path(), folder.path());
        self.server = Some(TestServer::back(folder, &self.address.to_string()));
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_folder(&entry.path(), &to);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Alice's home, and a server whose copy knows her as she is now.
fn alice() -> (Restorable, Home) {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    home.file("new", format!("{NEW}\n").as_bytes());
    (Restorable::from(server), home)
}

#[track_caller]
fn done(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// Ends with 0 and tells these changes in this order, each in one line; and nothing at the next login.
#[track_caller]
fn brings_back(home: &Home, password: &str, changes: &[&str]) {
    let words = ["users", "--online", "--password-file", password];
    let finished = home.run(&words);
    done(&finished);
    let told: Vec<_> = finished.stderr.lines().collect();
    let expected: Vec<_> = changes.iter().map(|what| again(home, what)).collect();
    assert_eq!(told, expected);
    let silent = home.run(&words);
    assert_eq!((silent.code, silent.stderr.as_str()), (Some(0), ""));
}

fn again(home: &Home, what: &str) -> String {
    let server = &home.server;
    format!("{server} knew alice as before a change, as if set back to an older copy of its data: it has {what} again")
}

#[test]
fn a_new_password_logs_in_at_a_server_that_was_set_back_and_is_set_there_again() {
    let (mut server, home) = alice();
    done(&home.run_in(&["passwd", "--new-password-file", "new"]));
    server.set_back();
    brings_back(&home, "new", &["your present password"]);
    // The former one opens nothing here, and logs in nowhere.
    let wrong = format!(
        "error: wrong name or password: it does not open {FOLDER}/identity.pem\n\
         hint: the password of the account also locks its key files\n"
    );
    refused(&home.run_in(&["users"]), 6, &wrong);
    let answer = RawClient::connect(server.address).login(&ALICE, Mode::Errand);
    assert!(matches!(answer, ToClient::Error { .. }), "{answer:?}");
    // Again and again, also by the long commands.
    server.set_back();
    let heard = home.run(&["listen", "--timeout", "1", "--password-file", "new"]);
    assert_eq!(heard.code, Some(0));
    assert!(heard.stderr.contains(&again(&home, "your present password")), "{heard:?}");
}

#[test]
fn two_new_passwords_with_new_keys_in_between_are_brought_back_together() {
    let (mut server, home) = alice();
    home.file("newest", b"a third horse\n");
    done(&home.run_in(&["passwd", "--new-password-file", "new"]));
    done(&home.run(&[&RENEW[..], &["--identity", "--password-file", "new"]].concat()));
    done(&home.run(&["passwd", "--password-file", "new", "--new-password-file", "newest"]));
    done(&home.run(&[&RENEW[..], &["--password-file", "newest"]].concat()));
    done(&home.run(&[&RENEW[..], &["--identity", "--password-file", "newest"]].concat()));
    server.set_back();
    let keys = [2, 3, 4].map(|number| format!("your keys of bundle {number}"));
    let changes = [&["your present password"], &keys.each_ref().map(String::as_str)[..]].concat();
    brings_back(&home, "newest", &changes);
    let (bundle, lineage) = found(server.address);
    let former = bundle::succession(&bundle, &lineage, ALICE.identity.public().fingerprint()).unwrap();
    assert_eq!((bundle.number, former.len()), (4, 2), "contacts can follow from the first key to the last");
    assert_eq!(bundle.identity.to_pem(), home.read(&format!("{FOLDER}/identity.pub.pem")));
    assert_eq!(bundle.encryption.to_pem(), home.read(&format!("{FOLDER}/encryption.pub.pem")));
}

fn found(server: SocketAddr) -> (bundle::VerifiedBundle, Vec<topchat::wire::Predecessor>) {
    let mut bob = RawClient::member(server, &BOB, Mode::Errand);
    let found = bob.ask(&ToServer::Lookup { request: 1, name: ALICE.name.clone(), fingerprint: None });
    let ToClient::Found { bundle, lineage, .. } = found else { panic!("{found:?}") };
    (bundle::verify(&bundle).unwrap(), lineage)
}

#[test]
fn a_contact_who_has_seen_the_new_keys_goes_on_after_the_server_was_set_back() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let other = Home::of_member(server.address, &CAROL);
    done(&other.run_in(&["send", "alice", "one"]));
    let mut server = Restorable::from(server);
    done(&home.run_in(&RENEW));
    done(&other.run_in(&["send", "alice", "two"]));
    done(&home.run_in(&[&RENEW[..], &["--identity"]].concat()));
    done(&other.run_in(&["send", "alice", "three"]));
    server.set_back();
    let old = "error: the server gave old keys of alice: bundle 1, but 3 was seen before.";
    assert!(other.run_in(&["send", "alice", "four"]).stderr.contains(old));
    done(&home.run_in(&["users"]));
    done(&other.run_in(&["send", "alice", "five"]));
    let heard = home.run_in(&["listen", "--count", "2", "--json", "--quiet"]);
    let texts: Vec<_> = heard
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(texts, ["one", "five"], "what came in between is gone: {heard:?}");
}

#[test]
fn a_running_chat_gets_its_connection_back_where_the_server_was_set_back() {
    let (mut server, home) = alice();
    done(&home.run_in(&["passwd", "--new-password-file", "new"]));
    done(&home.run(&[&RENEW[..], &["--password-file", "new"]].concat()));
    fs::copy(home.path("new"), home.path("password")).unwrap();
    let mut chat = home.chat();
    server.set_back();
    while !chat.line().contains("back online") {}
    chat.running.wait_for("it has your keys of bundle 2 again");
    let told = chat.running.seen.join("\n");
    for what in ["your present password", "your keys of bundle 2"] {
        assert!(told.contains(&again(&home, what)), "{told}");
    }
    assert_eq!(chat.finish().code, Some(0));
}

#[test]
fn an_account_made_after_the_copy_is_told_and_made_again_with_the_same_keys() {
    let mut server = Restorable::from(TestServer::start());
    let home = Home::of_member(server.address, &ALICE);
    done(&home.run_in(&RENEW));
    server.set_back();
    let told = format!(
        "error: {} does not let alice in any more, with keys and a password that have logged in there\n\
         hint: if its data was set back to before the account, make it again with the same keys: topchat register alice    \
         If the password or the keys were changed on another machine: topchat keys export there, then topchat keys import FILE here\n",
        server.address
    );
    refused(&home.run_in(&["users"]), 6, &told);
    let identity = home.read(&format!("{FOLDER}/identity.pem"));
    let registered = home.run_in(&["register", "alice"]);
    done(&registered);
    assert!(registered.stderr.contains("registered alice."), "{registered:?}");
    assert_eq!(home.read(&format!("{FOLDER}/identity.pem")), identity);
    printed(&home.run_in(&["users"]), "alice                            away\n");
    assert_eq!(found(server.address).0.number, 2, "nobody who saw these keys is given older ones");
}

#[test]
fn a_log_that_was_set_back_is_told_by_both_sides_once() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let mut process = ServerProcess::start(folder.path());
    let home = Home::of_member(process.address, &ALICE);
    drop(RawClient::member(process.address, &BOB, Mode::Errand));
    // Each of the two accounts has a number of the log, too.
    done(&home.run_in(&["send", "bob", "one"]));
    process.running.signal("TERM");
    process.running.wait();
    copy_folder(folder.path(), copy.path());
    let listen = process.address.to_string();
    let start = |folder: &Path| {
        let mut server = command(SERVER, folder);
        ServerProcess::run(server.args(["--listen", &listen, "--data-dir"]).arg(folder.join("data")))
    };
    let mut process = start(folder.path());
    done(&home.run_in(&["send", "bob", "two"]));
    done(&home.run_in(&["users"]));
    process.running.signal("TERM");
    process.running.wait();
    let mut process = start(copy.path());
    let told = home.run_in(&["users", "--online"]);
    assert_eq!(
        (told.code, told.stderr),
        (
            Some(0),
            format!(
                "{} was set back to an older copy of its data: it is at message 3, and was at 4 when you were here. \
                 What came in between is gone there.\n",
                process.address
            )
        )
    );
    process.running.wait_for(
        "alice was here when the log went up to message 4, and now it ends at 3: the data folder is an older copy",
    );
    let silent = home.run_in(&["users", "--online"]);
    assert_eq!((silent.code, silent.stderr.as_str()), (Some(0), ""));
}
