//! `topchat keys export` and `import`: the same account on a second machine, and a backup that comes back.

use std::fs;
use std::os::unix::fs::MetadataExt;

use data_encoding::BASE64;
use topchat::crypto::digest::sha256;
use topchat::crypto::envelope::{self, SealWith};
use topchat::names::UserName;
use topchat::wire::to_server::Mode;
use topchat::wire::{Header, MessageId, signed};

use super::home::{Home, refused};
use crate::support::people::{ALICE, BOB};
use crate::support::process;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const FILE: &str = "alice.topchat-keys";
const FOLDER: &str = "keys/users/alice";

/// Alice at home, who has written to Bob, and an empty second machine with what she exported.
fn two_machines(server: &TestServer, words: &[&str]) -> (Home, Home) {
    let first = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let sent = first.start(&["send", "bob", "hi"]);
    assert_eq!(BOB.open(&bob.take_delivery()), "hi");
    assert_eq!(sent.finish().code, Some(0));
    assert_eq!(first.run_in(&[&["keys", "export"], words].concat()).code, Some(0));
    let second = Home::at(&server.address.to_string());
    second.file(FILE, first.read(FILE).as_bytes());
    (first, second)
}

/// The document with Alice's signature over what stands in it now.
fn signed_anew(document: &str) -> String {
    let compact = document.lines().map(str::trim).collect::<String>().replace("\": ", "\":");
    let (_, rest) = compact.split_once("\"payload\":").unwrap();
    let (payload, _) = rest.rsplit_once(",\"signature\":").unwrap();
    let signature = ALICE.identity.sign(&signed::export(&sha256(payload.as_bytes()))).unwrap();
    let (before, _) = document.rsplit_once("\"signature\": ").unwrap();
    format!("{before}\"signature\": \"{}\"\n}}\n", BASE64.encode(&signature))
}

fn has_nothing(home: &Home) {
    assert!(!home.path("keys").exists() && !home.path("state").exists());
}

#[test]
fn a_second_machine_reads_is_read_and_knows_whom_the_first_one_knew() {
    let server = TestServer::start();
    let (first, second) = two_machines(&server, &[]);
    let finished = second.run_in(&["keys", "import", FILE]);
    let pinned = finished.stderr.lines().next().unwrap().to_owned();
    assert!(pinned.starts_with(&format!("{}   identity SHA256:", server.address)), "{pinned}");
    assert!(pinned.ends_with(" pinned as it was there"), "{pinned}");
    let fingerprint = ALICE.identity.public().fingerprint().grouped();
    let told = format!(
        "{pinned}\nimported alice of {}: keys in keys/users/alice, your contacts with their pins\n\
         your fingerprint    {fingerprint}\n                    \
         (friends can compare it; shown again by: topchat fingerprint)\n\
         next: topchat --server {} login alice\n",
        server.address, server.address
    );
    refused(&finished, 0, &told);
    for name in ["identity.pem", "identity.pub.pem", "encryption.pem", "ed25519.pem", "x25519.pub.pem"] {
        let path = format!("{FOLDER}/{name}");
        assert_eq!(first.read(&path), second.read(&path));
        assert_eq!(fs::metadata(second.path(&path)).unwrap().mode() & 0o7777, 0o600);
    }
    assert_eq!(first.read("state/servers.json").lines().count(), second.read("state/servers.json").lines().count());
    let bob_key = BOB.identity.public().fingerprint().grouped();
    let shown = second.run(&["fingerprint", "bob", "--no-input"]).stdout;
    assert!(shown.starts_with(&format!("bob  {bob_key}\n")), "{shown}");

    // It reads, and Bob is no newcomer to it.
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    bob.send_envelope(&BOB.seal_to(&ALICE, "for the second", 7));
    let heard = second.run_in(&["listen", "--count", "1", "--json", "--quiet"]);
    assert!(
        heard.stdout.contains("\"text\":\"for the second\"") && heard.stdout.contains("\"key\":\"known\""),
        "{heard:?}"
    );

    // It is read, and its numbers go on behind the first machine's, whose own go on behind these.
    let mut before = 0;
    for (home, text) in [(&second, "one"), (&first, "two"), (&second, "three")] {
        let sent = home.start(&["send", "bob", text]);
        let envelope = std::iter::repeat_with(|| bob.next()).find_map(delivered).unwrap();
        assert_eq!(BOB.open(&envelope.1), text);
        bob.send(&topchat::wire::ToServer::Ack(envelope.0));
        assert!(envelope.1.header.seq > before, "{text}");
        before = envelope.1.header.seq;
        assert_eq!(sent.finish().code, Some(0));
    }
}

/// Who listens here and there is not alarmed about what came to the other machine; what came to neither is still told.
#[test]
fn machines_that_take_turns_are_not_told_that_messages_are_missing_and_a_lost_one_is() {
    let server = TestServer::start();
    let (first, second) = two_machines(&server, &[]);
    assert_eq!(second.run_in(&["keys", "import", FILE]).code, Some(0));
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    let mut seq = 0;
    let mut says = |lost: u64| {
        seq += 1 + lost;
        let key = ALICE.encryption.public();
        let header = Header {
            msg_id: MessageId([seq as u8; 16]),
            seq,
            prev: seq - 1,
            ..BOB.header("alice", key.fingerprint(), 0)
        };
        bob.send_envelope(&envelope::seal(header, &seq.to_string(), SealWith::Direct(key), &BOB.identity).unwrap());
    };
    let listen = |home: &Home| -> Vec<String> {
        let heard = home.run_in(&["listen", "--count", "2", "--json", "--quiet", "--timeout", "30"]);
        assert_eq!(heard.code, Some(0), "{heard:?}");
        let lines = heard.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["notice"].as_str().or(line["text"].as_str()).unwrap().to_owned()).collect()
    };
    let mut heard = |home: &Home, lost: u64| {
        says(lost);
        says(0);
        listen(home)
    };
    assert_eq!(heard(&first, 0), ["1", "2"]);
    assert_eq!(heard(&second, 0), ["3", "4"], "the first of all tells nothing");
    assert_eq!(heard(&first, 0), ["elsewhere", "5", "6"]);
    assert_eq!(heard(&first, 0), ["7", "8"]);
    assert_eq!(heard(&first, 1), ["missing", "10", "11"]);
    assert_eq!(heard(&second, 0), ["elsewhere", "12", "13"]);
    assert_eq!(heard(&second, 1), ["missing", "15", "16"]);
}

fn delivered(frame: topchat::wire::ToClient) -> Option<(topchat::wire::DeliveryId, topchat::wire::Envelope)> {
    match frame {
        topchat::wire::ToClient::Deliver { delivery, envelope, .. } => {
            Some((delivery, topchat::wire::Envelope::parse(&envelope).unwrap()))
        }
        _ => None,
    }
}

#[test]
fn an_export_is_private_and_replaces_nothing_and_holds_the_group_key_by_wish_only() {
    let home = Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE);
    let told = |to: &str, group: &str| {
        format!("exported alice to {to}: keys locked with your password, no contacts yet, {group}\n")
    };
    refused(&home.run_in(&["keys", "export"]), 0, &told(FILE, "no group key (--with-group-key)"));
    assert_eq!(fs::metadata(home.path(FILE)).unwrap().mode() & 0o7777, 0o600);
    let first = home.read(FILE);
    assert!(!first.contains("topchat-group-key") && first.contains("ENCRYPTED PRIVATE KEY"));
    let finished = home.run_in(&["keys", "export"]);
    assert_eq!(finished.code, Some(3));
    assert!(finished.stderr.starts_with(&format!("error: {FILE} ")), "{}", finished.stderr);
    assert_eq!(home.read(FILE), first);
    let again = home.run_in(&["keys", "export", "--force", "--with-group-key"]);
    refused(&again, 0, &told(FILE, "the group key"));
    assert!(home.read(FILE).contains("topchat-group-key v1"));
    let piped = home.run_in(&["keys", "export", "-", "--quiet"]);
    assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""));
    let other = Home::at("127.0.0.1:1");
    assert_eq!(other.run_with(&["keys", "import", "-", "--quiet"], piped.stdout.as_bytes()).code, Some(0));
    let key = format!("{FOLDER}/identity.pem");
    assert_eq!(home.read(&key), other.read(&key));
    let group = Home::at("127.0.0.1:1");
    group.file(FILE, home.read(FILE).as_bytes());
    assert_eq!(group.run_in(&["keys", "import", FILE]).code, Some(0));
    assert_eq!(group.read("keys/group.key"), home.read("keys/group.key"));
}

#[test]
fn what_was_changed_or_is_locked_otherwise_is_refused_and_leaves_nothing() {
    let server = TestServer::start();
    let (_, second) = two_machines(&server, &[]);
    let good = second.read(FILE);
    let refuses = |text: &str, password: &str, code: i32, stderr: &str| {
        second.file(FILE, text.as_bytes());
        let finished = second.run(&["keys", "import", FILE, "--password-file", password]);
        refused(&finished, code, stderr);
        has_nothing(&second);
    };
    let again = "hint: take another copy, or export it again: topchat keys export\n";
    let changed =
        format!("error: {FILE} can't be imported: it was changed since it was made. Nothing was changed.\n{again}");
    let bob = BOB.identity.public().fingerprint().to_hex();
    assert!(good.contains(&bob));
    for (from, to) in [
        (bob.as_str(), "00".repeat(32).as_str()),
        ("\"name\": \"alice\"", "\"name\": \"alicf\""),
        ("-----BEGIN", "----- BEGIN"),
        ("\"group_key\": null", "\"group_key\": \"x\""),
        ("\"v\": 2,\n  \"type\"", "\"v\":  2,\n  \"type\""),
    ] {
        assert!(good.contains(from), "{from}");
        refuses(&good.replacen(from, to, 1), "password", 4, &changed);
    }
    refuses(&format!("{good} "), "password", 4, &changed);
    second.file("wrong", b"wrong horse\n");
    let locked = format!(
        "error: {FILE} can't be imported: the password does not open it. Nothing was changed.\n\
         hint: it is locked with the password that the account had when it was exported\n"
    );
    refuses(&good, "wrong", 6, &locked);
    let other = format!(
        "error: {FILE} can't be imported: it is no document that topchat keys export makes. Nothing was changed.\n{again}"
    );
    for junk in ["", "{}", "hello", &good[..good.len() - 9]] {
        refuses(junk, "password", 3, &other);
    }
    let missing = second.run_in(&["keys", "import", "nowhere"]);
    refused(&missing, 3, "error: nowhere: no such file or folder\n");
}

#[test]
fn an_import_is_private_under_every_umask() {
    let server = TestServer::start();
    let (_, second) = two_machines(&server, &["--with-group-key"]);
    for umask in ["000", "002", "022"] {
        let import = second.topchat(&["keys", "import", FILE, "--password-file", "password"]);
        let mut command = process::command("sh", second.folder.path());
        command.envs(import.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.args(["-c", &format!(r#"umask {umask}; exec "$@""#), "sh"]).arg(import.get_program());
        let finished = process::run(command.args(import.get_args()), b"");
        assert_eq!(finished.code, Some(0), "umask {umask}: {}", finished.stderr);
        for folder in ["keys", "keys/users", FOLDER] {
            assert_eq!(fs::metadata(second.path(folder)).unwrap().mode() & 0o7777, 0o700, "umask {umask}: {folder}");
        }
        fs::remove_dir_all(second.path("keys")).unwrap();
        fs::remove_dir_all(second.path("state")).unwrap();
    }
}

#[test]
fn an_account_that_is_here_already_stays_as_it_is() {
    let server = TestServer::start();
    let (first, second) = two_machines(&server, &[]);
    let same = "alice is on this machine already, with the same keys: nothing was changed\n";
    refused(&first.run_in(&["keys", "import", FILE]), 0, same);
    // Another identity under that name.
    let name: UserName = "alice".parse().unwrap();
    let other = Home::with_keys(server.address, &crate::support::people::Person::new(name.as_str()));
    other.file(FILE, second.read(FILE).as_bytes());
    let before = other.read(&format!("{FOLDER}/identity.pem"));
    let stderr = "error: alice has other keys on this machine, in keys/users/alice. Nothing was changed.\n\
                  hint: import it under another --keys-dir; the keys in keys/users/alice stay as they are\n";
    refused(&other.run_in(&["keys", "import", FILE]), 3, stderr);
    assert_eq!(other.read(&format!("{FOLDER}/identity.pem")), before);
    // Another server than the one that is known here.
    let identity = second.read(FILE).lines().find(|line| line.contains("server_identity")).unwrap().to_owned();
    let pin = identity.split('"').nth(3).unwrap();
    fs::create_dir(second.path("state")).unwrap();
    let servers = serde_json::json!({ server.address.to_string(): { "identity": "11".repeat(32), "first_seen": "" } });
    second.state("state/servers.json", &serde_json::json!({ "v": 2, "servers": servers }));
    let finished = second.run_in(&["keys", "import", FILE]);
    assert_eq!(finished.code, Some(4));
    assert!(
        finished.stderr.contains("THE SERVER'S IDENTITY HAS CHANGED") && finished.stderr.contains(pin),
        "{finished:?}"
    );
    assert!(!second.path("keys/users/alice").exists());
}

/// What a failed try may leave is in nobody's way; keys are, of whatever kind.
#[test]
fn a_lock_that_was_left_behind_is_in_nobodys_way_and_a_retired_key_is_named() {
    let server = TestServer::start();
    let (_first, second) = two_machines(&server, &[]);
    fs::create_dir_all(second.path(&format!("{FOLDER}/retired"))).unwrap();
    second.file(&format!("{FOLDER}/lock"), b"");
    second.file(&format!("{FOLDER}/retired/0000000001-91cc04d1e5f6a7b8.pem"), b"a key");
    let others = format!(
        "error: alice has other keys on this machine, in {FOLDER}. Nothing was changed.\n\
         hint: import it under another --keys-dir; the keys in {FOLDER} stay as they are\n"
    );
    let finished = second.run_in(&["keys", "import", FILE]);
    assert_eq!(finished.stderr, others);
    assert!(!second.path("state").exists());
    fs::remove_dir_all(second.path(&format!("{FOLDER}/retired"))).unwrap();
    assert_eq!(second.run_in(&["keys", "import", FILE]).code, Some(0));
    assert_eq!(second.run_in(&["users"]).code, Some(0));
}

/// Signed as it should be, but by a program that writes contacts in another way.
#[test]
fn contacts_that_can_not_be_read_are_refused_before_anything_is_written() {
    let server = TestServer::start();
    let (_first, second) = two_machines(&server, &[]);
    let bob = BOB.identity.public().fingerprint().to_hex();
    let good = second.read(FILE);
    assert_eq!(signed_anew(&good), good, "the same signature");
    second.file("bad", signed_anew(&second.read(FILE).replace(&bob, &"0".repeat(64))).as_bytes());
    let finished = second.run_in(&["keys", "import", "bad"]);
    assert_ne!(finished.code, Some(0));
    assert!(finished.stderr.contains("it is no document that topchat keys export makes"), "{}", finished.stderr);
    has_nothing(&second);
}

#[test]
fn a_second_machine_takes_over_an_encryption_key_that_was_renewed_on_the_first() {
    let server = TestServer::start();
    let (first, second) = two_machines(&server, &[]);
    assert_eq!(second.run_in(&["keys", "import", FILE]).code, Some(0));
    assert_eq!(first.run_in(&["keys", "renew", "--key-bits", "2048"]).code, Some(0));
    assert_eq!(first.run_in(&["keys", "export", "--force"]).code, Some(0));
    second.file(FILE, first.read(FILE).as_bytes());
    let told = "alice is on this machine already; \
                the other encryption key is taken over if the server knows it, at the next login\n";
    refused(&second.run_in(&["keys", "import", FILE]), 0, told);
    let unsettled = "error: a change of the keys in keys/users/alice was interrupted\n\
                     hint: any command that logs in puts that in order, for example: topchat users\n";
    refused(&second.run_in(&["keys", "export", "elsewhere"]), 3, unsettled);
    assert_eq!(second.run_in(&["users"]).code, Some(0));
    let key = format!("{FOLDER}/encryption.pem");
    assert_eq!(first.read(&key), second.read(&key));
    let again = second.run_in(&["keys", "import", FILE]);
    refused(&again, 0, "alice is on this machine already, with the same keys: nothing was changed\n");
}

/// A note to oneself that the identity before signed opens wherever the account is.
#[test]
fn a_second_machine_knows_the_identities_that_were_replaced_on_the_first() {
    let server = TestServer::start();
    let first = Home::of_member(server.address, &ALICE);
    assert_eq!(first.run_in(&["send", "alice", "milk"]).code, Some(0));
    assert_eq!(first.run_in(&["keys", "renew", "--key-bits", "2048", "--identity"]).code, Some(0));
    assert_eq!(first.run_in(&["keys", "export"]).code, Some(0));
    let second = Home::at(&server.address.to_string());
    second.file(FILE, first.read(FILE).as_bytes());
    assert_eq!(second.run_in(&["keys", "import", FILE]).code, Some(0));
    let heard = second.run_in(&["listen", "--count", "1", "--timeout", "20", "--json", "--quiet"]);
    assert!(heard.stdout.contains("\"text\":\"milk\"") && heard.stdout.contains("\"key\":\"former\""), "{heard:?}");
    let former = |home: &Home| {
        let entries = fs::read_dir(home.path(&format!("{FOLDER}/former"))).unwrap().map(|entry| entry.unwrap());
        let is_public = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".pub.pem");
        let public: Vec<_> = entries.filter(is_public).collect();
        assert_eq!(public.len(), 1, "{public:?}");
        (public[0].file_name(), fs::read(public[0].path()).unwrap())
    };
    assert_eq!(former(&first), former(&second));
}
