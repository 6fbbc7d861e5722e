//! `topchat keys renew`: new keys, and what a crash at any of its steps leaves.

use std::fs;

use topchat::crypto::keys::PrivateKey;
use topchat::storage::lock::Lock;
use topchat::wire::to_client::Reason;
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, ToClient, ToServer};

use super::home::{Home, lightly_locked, printed, refused, without_contact};
use crate::liar::server::Liar;
use crate::renewal::{alice_renewed, next_encryption, update};
use crate::support::people::{ALICE, BOB, CAROL, PASSWORD, VERIFIER};
use crate::support::process::Finished;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const FOLDER: &str = "keys/users/alice";
const SMALL: [&str; 4] = ["keys", "renew", "--key-bits", "2048"];
const STAY: &str = "messages that are under way still open: the last 8 encryption keys stay on this machine\n";

/// Takes away the line about the keys being made, which must be the first, and whom one is connected to.
#[track_caller]
fn made<'a>(finished: &'a Finished, what: &str) -> &'a str {
    let (first, rest) = finished.stderr.split_once('\n').expect("a first line");
    assert!(first.starts_with(&format!("making {what} (RSA 2048)... done in ")) && first.ends_with(" s"), "{first}");
    without_contact(rest)
}

/// Names of the files in the account's folder and in `retired`, apart from the lock, the last bundle and what is kept for a server that is set back.
fn files(home: &Home) -> (Vec<String>, Vec<String>) {
    let list = |folder: &str| {
        let entries = fs::read_dir(home.path(folder)).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !matches!(name.as_str(), "before.json" | "bundle" | "lock" | "retired" | "former"));
        names.sort();
        names
    };
    (list(FOLDER), list(&format!("{FOLDER}/retired")))
}

fn retired_name(number: u64, key: &PrivateKey) -> String {
    format!("{number:010}-{}.pem", &key.public().fingerprint().to_hex()[..16])
}

fn is_settled(home: &Home) {
    let parts = ["ed25519", "encryption", "identity", "x25519"];
    let expected = parts.map(|part| [format!("{part}.pem"), format!("{part}.pub.pem")]);
    assert_eq!(files(home).0, expected.concat());
    for part in ["encryption", "identity"] {
        let public = home.openssl(&format!("pkey -in {FOLDER}/{part}.pem -passin file:password -pubout"));
        assert_eq!(home.read(&format!("{FOLDER}/{part}.pub.pem")).as_bytes(), public, "{part}");
    }
}

#[track_caller]
fn holds(home: &Home, part: &str, key: &PrivateKey) {
    let public = home.openssl(&format!("pkey -in {FOLDER}/{part}.pem -passin file:password -pubout"));
    assert_eq!(String::from_utf8(public).unwrap(), key.public().to_pem(), "{part}");
}

/// What somebody wrote before the renewal, and what the new key gets, is read with one program.
#[test]
fn a_new_encryption_key_opens_what_comes_and_the_old_one_what_waited() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
    bob.send_envelope(&BOB.seal_to(&ALICE, "before", 1));
    let finished = home.run_in(&SMALL);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{}", finished.stderr);
    let told = "alice has a new encryption key (bundle 2). Other programs of alice were signed out.\n";
    assert_eq!(made(&finished, "a new encryption key"), format!("{told}{STAY}"));
    is_settled(&home);
    holds(&home, "identity", &ALICE.identity);
    assert_eq!(files(&home).1, [retired_name(1, &ALICE.encryption)]);
    // Sealed for the old key after the new one was known: Bob had looked it up before.
    bob.send_envelope(&BOB.seal_to(&ALICE, "under way", 2));
    let writer = Home::of_member(server.address, &CAROL);
    assert_eq!(writer.run_in(&["send", "alice", "after"]).code, Some(0));
    let heard = home.run_in(&["listen", "--count", "3", "--quiet", "--json"]);
    let texts: Vec<_> = heard.stdout.lines().map(|line| json(line)["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, ["before", "under way", "after"], "{heard:?}");
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_new_identity_is_handed_over_and_told() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let finished = home.run_in(&[&SMALL[..], &["--identity", "--json"]].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let (told, hex) = (made(&finished, "two new keys"), fingerprint(&home));
    assert_eq!(
        finished.stdout,
        format!("{{\"v\":1,\"type\":\"renewed\",\"name\":\"alice\",\"bundle\":2,\"fingerprint\":\"{hex}\"}}\n")
    );
    assert!(
        told.starts_with(&format!(
            "alice has a new identity (bundle 2), signed by the old one. Other programs of alice were signed out.\n\
             {STAY}your fingerprint    "
        )),
        "{told}"
    );
    is_settled(&home);
    assert_ne!(hex, ALICE.identity.public().fingerprint().to_hex());
    let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
    let old = ALICE.identity.public().fingerprint();
    let found = bob.ask(&ToServer::Lookup { request: 1, name: ALICE.name.clone(), fingerprint: Some(old) });
    let ToClient::Found { bundle, lineage, .. } = found else { panic!("{found:?}") };
    let bundle = topchat::crypto::bundle::verify(&bundle).unwrap();
    let former = topchat::crypto::bundle::succession(&bundle, &lineage, old).unwrap();
    assert_eq!((bundle.number, bundle.identity.fingerprint().to_hex(), former.len()), (2, hex, 1));
    assert_eq!(home.run_in(&["users"]).code, Some(0));
    assert_eq!(home.run_in(&SMALL).code, Some(0), "again");
    assert_eq!(files(&home).1.len(), 2);
}

fn fingerprint(home: &Home) -> String {
    json(&home.run(&["fingerprint", "--json"]).stdout)["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn a_running_chat_is_told_and_ends() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let chat = home.chat();
    assert_eq!(home.run_in(&SMALL).code, Some(0));
    let finished = chat.finish();
    assert_eq!(finished.code, Some(4), "{finished:?}");
    let last = "error: your keys were replaced by another program of yours\nhint: start again: topchat";
    assert!(finished.stderr.ends_with(last), "{}", finished.stderr);
}

#[test]
fn eight_retired_keys_stay_and_follow_a_new_password() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    // Nine are there already, from nine renewals.
    let retired = home.path(&format!("{FOLDER}/retired"));
    fs::create_dir(&retired).unwrap();
    for number in 1..=9 {
        let key = if number == 9 { &CAROL.encryption } else { &BOB.encryption };
        let name = format!("{FOLDER}/retired/{}", retired_name(number, key));
        home.file(&name, &lightly_locked(key, PASSWORD));
    }
    home.file("new", b"another horse\n");
    assert_eq!(home.run_in(&["passwd", "--new-password-file", "new"]).code, Some(0));
    for name in files(&home).1 {
        home.openssl(&format!("pkey -in {FOLDER}/retired/{name} -passin file:new -noout"));
    }
    let mut carol = RawClient::member(server.address, &CAROL, Mode::Errand);
    let header = CAROL.header("alice", CAROL.encryption.public().fingerprint(), 1);
    let with = topchat::crypto::envelope::SealWith::Direct(CAROL.encryption.public());
    let envelope = topchat::crypto::envelope::seal(header, "an old one", with, &CAROL.identity).unwrap();
    carol.send_envelope(&envelope);
    let listen = ["listen", "--count", "1", "--json", "--quiet", "--password-file", "new"];
    assert_eq!(json(&home.run(&listen).stdout)["text"], "an old one");
    assert_eq!(home.run(&[&SMALL[..], &["--password-file", "new"]].concat()).code, Some(0));
    let left = files(&home).1;
    assert_eq!(left.len(), 8);
    assert_eq!(left[7].split_once('-').unwrap().0, "0000000009");
}

/// Sent before the renewal, still waiting after it: nobody else holds the old identity, and this machine remembers it.
#[test]
fn a_note_to_oneself_signed_by_the_old_identity_opens_after_the_renewal() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    assert_eq!(home.run_in(&["send", "alice", "milk"]).code, Some(0));
    assert_eq!(home.run_in(&[&SMALL[..], &["--identity"]].concat()).code, Some(0));
    assert_eq!(home.run_in(&["send", "alice", "bread"]).code, Some(0));
    let heard = home.run_in(&["listen", "--count", "2", "--json", "--quiet"]);
    let marked =
        |line| (json(line)["text"].as_str().unwrap().to_owned(), json(line)["key"].as_str().unwrap().to_owned());
    let expected = [("milk", "former"), ("bread", "verified")].map(|(text, key)| (text.to_owned(), key.to_owned()));
    assert_eq!(heard.stdout.lines().map(marked).collect::<Vec<_>>(), expected, "{heard:?}");
    // Without that memory it is one that somebody else signed: what the server says of former keys proves nothing here.
    assert_eq!(home.run_in(&["send", "alice", "eggs"]).code, Some(0));
    assert_eq!(home.run_in(&[&SMALL[..], &["--identity"]].concat()).code, Some(0));
    let former = home.path(&format!("{FOLDER}/former"));
    let names: Vec<_> = fs::read_dir(&former).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let publics = names.iter().filter(|name| name.to_string_lossy().ends_with(".pub.pem")).count();
    assert_eq!((publics, names.len()), (2, 4), "{names:?}");
    fs::remove_dir_all(former).unwrap();
    let heard = home.run_in(&["listen", "--timeout", "1", "--json", "--quiet"]);
    let notice = json(heard.stdout.trim_end());
    assert_eq!((&notice["notice"], &notice["from"]), (&"rejected".into(), &"alice".into()));
}

/// The account's folder as a crash leaves it: which key each file holds, if it is there.
struct Crash {
    why: &'static str,
    /// Whether the server has the new keys.
    taken: bool,
    encryption: &'static PrivateKey,
    encryption_public: Option<&'static PrivateKey>,
    encryption_next: bool,
    retired: bool,
    identity: &'static PrivateKey,
    identity_public: Option<&'static PrivateKey>,
    identity_next: bool,
}

/// Every moment of a renewal with a new identity, in order.
fn crashes() -> Vec<Crash> {
    let (old, new) = (&ALICE.encryption, next_encryption());
    let (old_identity, new_identity) = (&ALICE.identity, &CAROL.identity);
    let crash = |why, taken| Crash {
        why,
        taken,
        encryption: old,
        encryption_public: Some(old),
        encryption_next: true,
        retired: false,
        identity: old_identity,
        identity_public: Some(old_identity),
        identity_next: true,
    };
    let retired = |why| Crash { retired: true, ..crash(why, true) };
    let without_public = |why| Crash { encryption_public: None, ..retired(why) };
    let renamed = |why| Crash { encryption: new, encryption_next: false, ..without_public(why) };
    let half = |why| Crash { encryption_public: Some(new), ..renamed(why) };
    let without_identity = |why| Crash { identity_public: None, ..half(why) };
    let last = |why| Crash { identity: new_identity, identity_next: false, ..without_identity(why) };
    vec![
        Crash { encryption_next: false, ..crash("one new file, before the request", false) },
        crash("both new files, before the request", false),
        crash("the server has taken them, the answer is lost", true),
        retired("the old encryption key is copied"),
        Crash { encryption_public: Some(new), ..retired("the public half of the new one is there") },
        without_public("its public half is gone"),
        renamed("the new encryption key is there"),
        half("and its public half"),
        Crash { identity_public: Some(new_identity), ..half("and that of the new identity") },
        without_identity("the public half of the identity is gone"),
        last("the new identity is there"),
        Crash { identity_public: Some(new_identity), ..last("all is done") },
    ]
}

impl Crash {
    fn leaves(&self, home: &Home) {
        let put = |name: &str, key: Option<&PrivateKey>| {
            let path = format!("{FOLDER}/{name}");
            let _ = fs::remove_file(home.path(&path));
            if let Some(key) = key {
                let bytes = match name.contains(".pub.") {
                    true => key.public().to_pem().into_bytes(),
                    false => lightly_locked(key, PASSWORD),
                };
                home.file(&path, &bytes);
            }
        };
        fs::create_dir(home.path(&format!("{FOLDER}/retired"))).unwrap();
        put("encryption.pem", Some(self.encryption));
        put("encryption.pub.pem", self.encryption_public);
        put("encryption.pem.next", self.encryption_next.then(next_encryption));
        put(&format!("retired/{}", retired_name(1, &ALICE.encryption)), self.retired.then_some(&ALICE.encryption));
        put("identity.pem", Some(self.identity));
        put("identity.pub.pem", self.identity_public);
        put("identity.pem.next", self.identity_next.then_some(&CAROL.identity));
    }
}

#[test]
fn a_crash_at_any_step_leaves_keys_that_log_in_and_open_what_waits() {
    for crash in crashes() {
        let server = TestServer::start();
        let home = Home::of_member(server.address, &ALICE);
        let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
        bob.send_envelope(&BOB.seal_to(&ALICE, "before", 1));
        if crash.taken {
            let mut errand = RawClient::again(server.address, &ALICE, Mode::Errand);
            let update = update(&errand, &CAROL.identity, 2);
            assert_eq!(errand.ask(&update), ToClient::Done { request: 5 });
            bob.send_envelope(&BOB.seal_to(&alice_renewed(), "after", 2));
        }
        crash.leaves(&home);
        let why = crash.why;
        printed(&home.run_in(&["users", "--online"]), "");
        is_settled(&home);
        let (identity, encryption) = match crash.taken {
            true => (&CAROL.identity, next_encryption()),
            false => (&ALICE.identity, &ALICE.encryption),
        };
        holds(&home, "identity", identity);
        holds(&home, "encryption", encryption);
        let wanted: &[&str] = if crash.taken { &["before", "after"] } else { &["before"] };
        let count = wanted.len().to_string();
        let heard = home.run_in(&["listen", "--count", &count, "--json", "--quiet"]);
        let texts: Vec<_> = heard.stdout.lines().map(|line| json(line)["text"].as_str().unwrap().to_owned()).collect();
        assert_eq!(texts, wanted, "{why}: {heard:?}");
    }
}

#[test]
fn a_lost_answer_is_told_and_both_keys_stay() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let client = home.start(&SMALL);
    let mut line = liar.member();
    line.answer_lookup(ALICE.bundle());
    let ToServer::UpdateKeys { .. } = line.take() else { panic!("no UpdateKeys") };
    let next = files(&home).0;
    line.close();
    let finished = client.finish();
    assert_eq!(finished.code, Some(3));
    assert_eq!(
        made(&finished, "a new encryption key"),
        "error: it is not known whether the server has taken the new keys: connection lost (the connection was closed)\n\
         hint: both the old and the new ones stay here; the next command that logs in asks the server which ones count\n"
    );
    assert!(next.contains(&"encryption.pem.next".to_owned()), "on disk before the request: {next:?}");
    assert_eq!(files(&home).0, next);
}

#[test]
fn refused_keys_are_removed() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let client = home.start(&SMALL);
    let mut line = liar.member();
    line.answer_lookup(ALICE.bundle());
    let ToServer::UpdateKeys { request, .. } = line.take() else { panic!("no UpdateKeys") };
    line.send(&ToClient::Error { request, reason: Reason::new(Code::StaleBundle) });
    line.drain();
    let finished = client.finish();
    assert_eq!(finished.code, Some(6));
    assert_eq!(made(&finished, "a new encryption key"), "error: the server knows newer keys of this account\n");
    is_settled(&home);
    assert!(files(&home).1.is_empty());
}

#[test]
fn a_server_that_gives_other_keys_for_ones_own_name_gets_no_new_ones() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let client = home.start(&SMALL);
    let mut line = liar.member();
    line.answer_lookup(BOB.bundle_as(&ALICE.name));
    assert_eq!(crate::liar::server::talk(&line.drain()).len(), 1);
    let finished = client.finish();
    assert_eq!(finished.code, Some(4));
    assert!(finished.stderr.contains("error: the server gave another account's keys for alice\n"));
    is_settled(&home);
}

#[test]
fn mistakes_are_told_before_any_key_is_made() {
    let home = Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE);
    refused(
        &home.run_in(&["keys", "renew", "--key-bits", "1024"]),
        2,
        "error: keys of 1024 bits are not possible, 2048 to 4096 are\nhint: leave the size out for keys of 3072 bits\n",
    );
    home.file("wrong", b"wrong horse\n");
    refused(
        &home.run(&["keys", "renew", "--password-file", "wrong"]),
        6,
        &format!(
            "error: wrong name or password: it does not open {FOLDER}/identity.pem\n\
             hint: the password of the account also locks its key files\n"
        ),
    );
    let stderr = "error: no keys of bob on this machine (looked in keys/users/bob)\n\
                  hint: make the account with: topchat register bob    \
                  or name the folder of its keys with --keys-dir\n";
    refused(&home.run_in(&["keys", "renew", "--user", "bob"]), 3, stderr);
    is_settled(&home);
}

/// The account's folder as a renewal leaves it whose answer was lost, with the files beside the old ones.
fn unknown(home: &Home) -> Vec<String> {
    for (part, key) in [("identity", &CAROL.identity), ("encryption", next_encryption())] {
        home.file(&format!("{FOLDER}/{part}.pem.next"), &lightly_locked(key, PASSWORD));
    }
    files(home).0
}

/// The server takes the new identity for the login, and then shows the bundle from before.
#[test]
fn an_old_bundle_of_ones_own_takes_no_key_away() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let before = unknown(&home);
    let client = home.start(&["users"]);
    let mut line = liar.accept();
    line.challenge(&VERIFIER);
    let ToServer::LoginProof { .. } = line.take() else { panic!("no LoginProof") };
    line.send(&ToClient::Error { request: 0, reason: Reason::new(Code::LoginRefused) });
    line.drain();
    let mut line = liar.member();
    line.answer_lookup(ALICE.bundle());
    line.drain();
    let finished = client.finish();
    assert_eq!(finished.code, Some(4));
    assert!(finished.stderr.contains("error: the server gave another account's keys for alice\n"), "{finished:?}");
    assert_eq!(files(&home), (before, Vec::new()));
    holds(&home, "identity", &ALICE.identity);
}

#[test]
fn a_failure_of_the_servers_disk_leaves_it_open_which_keys_and_which_password_count() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let storage = |request| ToClient::Error { request, reason: Reason::new(Code::Storage) };
    home.file("new", b"another horse\n");
    let client = home.start(&["passwd", "--new-password-file", "new"]);
    let mut line = liar.member();
    let ToServer::SetPassword { request, .. } = line.take() else { panic!("no SetPassword") };
    line.send(&storage(request));
    line.drain();
    assert_eq!(client.finish().code, Some(3));
    assert!(files(&home).0.contains(&"identity.pem.new".to_owned()), "either password opens it");
    let client = home.start(&SMALL);
    let mut line = liar.member();
    line.answer_lookup(ALICE.bundle());
    let ToServer::UpdateKeys { request, .. } = line.take() else { panic!("no UpdateKeys") };
    line.send(&storage(request));
    line.drain();
    let finished = client.finish();
    assert_eq!(finished.code, Some(3));
    let unknown = "error: it is not known whether the server has taken the new keys: the server can't store that now\n";
    assert!(finished.stderr.contains(unknown), "{}", finished.stderr);
    assert!(files(&home).0.contains(&"encryption.pem.next".to_owned()));
}

#[test]
fn keys_that_wait_are_not_left_behind_under_an_old_password() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    home.file("new", b"another horse\n");
    let before = unknown(&home);
    // Somebody else is at it, so the login does not ask the server which ones count.
    let other = Lock::try_acquire(&home.path(&format!("{FOLDER}/lock"))).unwrap();
    let client = home.start(&["passwd", "--new-password-file", "new"]);
    let line = liar.member();
    drop(other);
    line.drain();
    let finished = client.finish();
    assert_eq!(finished.code, Some(3));
    assert!(finished.stderr.contains("hint: try again\n"), "{}", finished.stderr);
    assert_eq!(files(&home).0, before, "no key is locked with the new one");
}
