//! `topchat passwd`: what a crash at any of its steps leaves, with keys of earlier renewals there.

use std::fs;

use topchat::crypto::envelope::{SealWith, seal};
use topchat::crypto::keys::KeyPair;
use topchat::crypto::scram::{Password, verifier};
use topchat::wire::to_server::Mode;
use topchat::wire::{ToClient, ToServer};

use super::home::{Home, lightly_locked, printed};
use crate::liar::server::Liar;
use crate::support::people::{ALICE, BOB, CAROL, PASSWORD, VERIFIER};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const FOLDER: &str = "keys/users/alice";
const NEW: &str = "another horse";

/// The files of one key: the one that counts, and the second one beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    /// Under the old password alone.
    Old,
    /// Under the old one, and beside it under the new one.
    Both,
    /// Under the new one alone.
    New,
}

/// Retired, identity, encryption; and whether the server has the new password.
const CRASHES: [(&str, [Files; 3], bool); 9] = [
    ("before anything", [Files::Old, Files::Old, Files::Old], false),
    ("the retired key is written anew", [Files::Both, Files::Old, Files::Old], false),
    ("and the identity", [Files::Both, Files::Both, Files::Old], false),
    ("all are, before the request", [Files::Both, Files::Both, Files::Both], false),
    ("the server has taken it, the answer is lost", [Files::Both, Files::Both, Files::Both], true),
    ("the retired key has its place", [Files::New, Files::Both, Files::Both], true),
    ("and the identity", [Files::New, Files::New, Files::Both], true),
    ("all have", [Files::New, Files::New, Files::New], true),
    ("a retired key that nobody could lock anew", [Files::Old, Files::New, Files::New], true),
];

fn leave(home: &Home, part: &str, key: &impl KeyPair, files: Files) {
    let path = format!("{FOLDER}/{part}.pem");
    home.file(&path, &lightly_locked(key, if files == Files::New { NEW } else { PASSWORD }));
    if files == Files::Both {
        home.file(&format!("{path}.new"), &lightly_locked(key, NEW));
    }
}

#[test]
fn a_crash_at_any_step_of_a_new_password_leaves_a_login_and_old_messages_open() {
    let hex = CAROL.encryption.public().fingerprint().to_hex();
    let retired = format!("retired/0000000001-{}", &hex[..16]);
    for (why, files, is_taken) in CRASHES {
        let server = TestServer::start();
        let home = Home::of_member(server.address, &ALICE);
        let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
        let header = BOB.header("alice", CAROL.encryption.public().fingerprint(), 1);
        bob.send_envelope(&seal(header, "old", SealWith::Direct(CAROL.encryption.public()), &BOB.identity).unwrap());
        bob.send_envelope(&BOB.seal_to(&ALICE, "present", 2));
        if is_taken {
            let verifier = verifier(&Password::new(NEW).unwrap()).unwrap();
            let mut errand = RawClient::again(server.address, &ALICE, Mode::Errand);
            let done = errand.ask(&ToServer::SetPassword { request: 1, verifier });
            assert_eq!(done, ToClient::Done { request: 1 });
        }
        fs::create_dir(home.path(&format!("{FOLDER}/retired"))).unwrap();
        let parts = [(&*retired, &CAROL.encryption), ("identity", &ALICE.identity), ("encryption", &ALICE.encryption)];
        for ((part, key), files) in parts.into_iter().zip(files) {
            leave(&home, part, key, files);
        }
        // They are written before the keys that log in, and get their places behind them.
        leave(&home, "ed25519", &ALICE.ed25519, files[2]);
        leave(&home, "x25519", &ALICE.x25519, files[2]);
        home.file("new", format!("{NEW}\n").as_bytes());
        let (counts, other) = if is_taken { ("new", "password") } else { ("password", "new") };
        assert_eq!(home.run(&["users", "--password-file", other]).code, Some(6), "{why}");
        printed(&home.run(&["users", "--online", "--password-file", counts]), "");
        let is_left = |part: &str| home.path(&format!("{FOLDER}/{part}.pem.new")).exists();
        assert!(!parts.iter().any(|(part, _)| is_left(part)), "{why}");
        let stays = if files[0] == Files::Old && is_taken { "password" } else { counts };
        for (part, _) in parts {
            let password = if part == retired { stays } else { counts };
            home.openssl(&format!("pkey -in {FOLDER}/{part}.pem -passin file:{password} -noout"));
        }
        let expected: &[&str] = if stays == counts { &["old", "present"] } else { &["present"] };
        let count = expected.len().to_string();
        let heard = home.run(&["listen", "--count", &count, "--json", "--password-file", counts]);
        let lines = heard.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let texts: Vec<_> = lines.filter_map(|line| line["text"].as_str().map(str::to_owned)).collect();
        assert_eq!(texts, expected, "{why}: {heard:?}");
    }
}

/// A login with the old password that began before proves nothing about a change that was interrupted meanwhile.
#[test]
fn a_login_beside_a_change_that_is_interrupted_takes_no_file_away() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let beside = home.start(&["users"]);
    let mut line = liar.accept();
    let challenge = line.challenge(&VERIFIER);
    // The server has the new password, and whoever set it was killed before the files had their places.
    for (part, key) in [("identity", &ALICE.identity), ("encryption", &ALICE.encryption)] {
        home.file(&format!("{FOLDER}/{part}.pem.new"), &lightly_locked(key, NEW));
    }
    let server_final = line.server_final(&challenge);
    line.welcome(server_final);
    let ToServer::List { request, .. } = line.take() else { panic!("no List") };
    line.send(&ToClient::Page { request, entries: Vec::new(), more: false });
    line.drain();
    printed(&beside.finish(), "");
    home.file("new", format!("{NEW}\n").as_bytes());
    for part in ["identity", "encryption"] {
        home.openssl(&format!("pkey -in {FOLDER}/{part}.pem.new -passin file:new -noout"));
    }
}
