//! Sending and receiving from scripts: what is printed, what the exit code says, what the openssl command says.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;

use serde_json::Value;
use topchat::limits::TEXT_MAX;
use topchat::wire::ToClient;
use topchat::wire::to_server::Mode;

use super::home::{Home, Listening, printed, refused, without_contact, without_time};
use crate::support::people::{ALICE, BOB, GROUP};
use crate::support::process::{self, Running};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// Alice's and Bob's machines.
fn pair() -> (TestServer, Home, Home) {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    (server, alice, bob)
}

/// The JSON of the next message, whole: only id and time are not known before.
#[track_caller]
fn expect_json(listening: &Listening, to: &str, text: &str) -> Value {
    let line = listening.line();
    let message: Value = serde_json::from_str(&line).unwrap();
    let (id, time) = (message["id"].as_str().unwrap(), message["time"].as_str().unwrap());
    let text = serde_json::to_string(text).unwrap();
    assert_eq!(
        line,
        format!(
            r#"{{"v":1,"type":"message","id":"{id}","from":"alice","to":"{to}","time":"{time}","text":{text},"signature":"ok","key":"new","suite":"classic","backlog":false}}"#
        )
    );
    assert_eq!((id.len(), time.len(), time.get(10..11), time.get(19..)), (32, 20, Some("T"), Some("Z")), "{line}");
    message
}

fn short_id(message: &Value) -> &str {
    &message["id"].as_str().unwrap()[..4]
}

#[test]
fn messages_reach_a_script_word_for_word() {
    let (_server, alice, bob) = pair();
    let listening = bob.listen(&["--json", "--count", "5"]);
    let most = "\u{17c}".repeat(TEXT_MAX / 2);
    for (finished, to, text) in [
        (alice.run_in(&["send", "bob", "lunch?"]), "bob", "lunch?"),
        (alice.run_with(&["send", "bob"], "two\nlines \u{1f600}\n".as_bytes()), "bob", "two\nlines \u{1f600}"),
        (alice.run_with(&["send", "bob", "-"], most.as_bytes()), "bob", &most),
    ] {
        let id = short_id(&expect_json(&listening, to, text)).to_owned();
        assert_eq!((finished.code, without_contact(&finished.stderr)), (Some(0), ""));
        assert_eq!(finished.stdout, format!("{id} delivered\n"));
    }
    let finished = alice.run_in(&["send", "ALL", "build is green"]);
    let id = short_id(&expect_json(&listening, "ALL", "build is green")).to_owned();
    printed(&finished, &format!("{id} sent to 1\n"));

    let finished = alice.run_in(&["send", "--json", "bob", "the last"]);
    let message = expect_json(&listening, "bob", "the last");
    let id = message["id"].as_str().unwrap();
    let sent = format!(r#"{{"v":1,"type":"sent","id":"{id}","to":"bob","state":"delivered"}}"#);
    printed(&finished, &format!("{sent}\n"));
    let rest = listening.finish();
    assert_eq!((rest.code, rest.stdout.as_str()), (Some(0), ""), "exactly so many");
}

#[test]
fn people_read_who_wrote_to_whom_and_what_is_known_of_the_key() {
    let (_server, alice, bob) = pair();
    let listening = bob.listen(&["--count", "3"]);
    for words in [
        ["send", "bob", "hi"],
        ["send", "ALL", "one\ntwo\r\n12:00 bob   > ALL  three"],
        ["send", "bob", "\u{1b}[2J\u{202e}"],
    ] {
        assert_eq!(alice.run_in(&words).code, Some(0));
    }
    let head = |text: &str| format!("{text:<57}[signed, new key]");
    for expected in [
        head("HH:MM alice > you  hi"),
        head("HH:MM alice > ALL  one"),
        "               | two".to_owned(),
        "               | 12:00 bob   > ALL  three".to_owned(),
        head("HH:MM alice > you  ^[[2J<U+202E>"),
    ] {
        assert_eq!(without_time(&listening.line()), expected);
    }
    let rest = listening.finish();
    assert_eq!(rest.code, Some(0));
    // The key was pinned in that run; the next one knows it.
    let listening = bob.listen(&["--count", "1"]);
    assert_eq!(alice.run_in(&["send", "bob", "hi"]).code, Some(0));
    let expected = format!("{:<57}[signed, known key]", "HH:MM alice > you  hi");
    assert_eq!(without_time(&listening.line()), expected);
}

#[test]
fn each_message_is_called_what_it_became_and_no_more() {
    let (server, alice, bob) = pair();
    let _on_an_errand = RawClient::connect(server.address).login(&BOB, Mode::Errand);
    let queued = alice.run_in(&["send", "bob", "hi"]);
    assert_eq!((queued.code, queued.stdout.get(4..)), (Some(0), Some(" queued\n")));
    // A recipient whose client never acknowledges: the server has the message, and no more is said.
    let _silent = {
        let mut bob = RawClient::connect(server.address);
        bob.login(&BOB, Mode::Receiving);
        bob
    };
    let sent = alice.run_in(&["send", "bob", "hi", "--timeout", "5"]);
    assert_eq!((sent.code, sent.stdout.get(4..)), (Some(0), Some(" sent\n")));
    drop(bob);
}

#[test]
fn a_message_to_all_with_nobody_there_is_sent_and_says_so() {
    let server = TestServer::start();
    let alice = Home::of_member(server.address, &ALICE);
    let finished = alice.run_in(&["send", "ALL", "anybody?"]);
    assert_eq!((finished.code, without_contact(&finished.stderr)), (Some(0), "nobody else is here\n"));
    assert_eq!(finished.stdout.get(4..), Some(" sent to 0\n"));
    let finished = alice.run_in(&["send", "ALL", "anybody?", "--quiet"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_message_to_all_of_whom_nobody_is_here_is_queued_and_says_so() {
    let (_server, alice, _bob) = pair();
    let finished = alice.run_in(&["send", "ALL", "anybody?"]);
    let told = (finished.code, without_contact(&finished.stderr));
    assert_eq!(told, (Some(0), "nobody else is here now: it waits for them\n"));
    assert_eq!(finished.stdout.get(4..), Some(" queued for 1\n"));
    let finished = alice.run_in(&["send", "ALL", "anybody?", "--json"]);
    let expected = r#"","to":"ALL","state":"queued","recipients":1}"#;
    assert!(finished.stdout.trim_end().ends_with(expected), "{}", finished.stdout);
}

#[test]
fn listening_ends_when_the_time_is_over_and_tells_whether_enough_came() {
    let (server, _alice, bob) = pair();
    let connected = |first: &str| {
        let identity = identity(&bob, server.address);
        format!("connected to {}   identity SHA256:{identity}{first}\nlistening as bob\n", server.address)
    };
    let finished = bob.run_in(&["listen", "--timeout", "1"]);
    refused(&finished, 0, &connected(" seen for the first time, pinned"));
    let missing = format!("{}error: 0 of 1 messages came in 1 s\n", connected(""));
    refused(&bob.run_in(&["listen", "--timeout", "1", "--count", "1"]), 3, &missing);
    refused(&bob.run_in(&["listen", "--timeout", "1", "--quiet"]), 0, "");
}

fn identity(home: &Home, server: SocketAddr) -> String {
    let pins: Value = serde_json::from_str(&home.read("state/servers.json")).unwrap();
    pins["servers"][server.to_string()]["identity"].as_str().unwrap().to_owned()
}

#[test]
fn a_listener_started_to_outlive_its_terminal_does() {
    let (_server, alice, bob) = pair();
    let command = bob.topchat(&["listen", "--password-file", "password"]);
    let mut shell = process::command("/bin/sh", bob.folder.path());
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut running = Running::start(&mut shell);
    running.wait_for("listening as ");
    running.signal("HUP");
    assert_eq!(alice.run_in(&["send", "bob", "still there?"]).code, Some(0));
    let mut line = String::new();
    BufReader::new(running.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("still there?"), "{line}");
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn signals_end_listening_in_order() {
    let (_server, _alice, bob) = pair();
    for (signal, words, code) in [("INT", &[][..], 130), ("TERM", &[], 0), ("TERM", &["--count", "1"], 130)] {
        let mut listening = bob.listen(words);
        listening.running.signal(signal);
        assert_eq!(listening.running.wait().code(), Some(code), "{signal} {words:?}");
        assert!(!listening.running.seen.iter().any(|line| line.contains("error")), "{:?}", listening.running.seen);
    }
}

#[test]
fn nobody_who_reads_the_output_any_more_is_no_failure() {
    let (_server, alice, bob) = pair();
    let mut command = bob.topchat(&["listen", "--password-file", "password"]);
    let mut running = Running::start(&mut command);
    running.wait_for("listening as bob");
    drop(running.child().stdout.take());
    assert_eq!(alice.run_in(&["send", "bob", "hi"]).code, Some(0));
    assert_eq!(running.wait().code(), Some(0));
    assert!(!running.seen.iter().any(|line| line.contains("error") || line.contains("panicked")), "{:?}", running.seen);
}

/// The folder of the exported message of this suite.
fn exported(home: &Home, suite: u8) -> String {
    let names = fs::read_dir(home.path("out")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut folders = names.map(|name| format!("out/{}", name.to_str().unwrap()));
    let is_wanted = |folder: &String| fs::read(home.path(folder).join("hdr.bin")).unwrap()[4] == suite;
    folders.find(is_wanted).expect("a message of that suite")
}

/// Signature and commitment by the command alone; the plaintext is what the command decrypted.
#[track_caller]
fn check(home: &Home, folder: &str, plaintext: &[u8], text: &str) {
    let verdict = home
        .openssl(&format!("dgst -sha256 -verify {folder}/sender.pub.pem -signature {folder}/sig.bin {folder}/tbs.bin"));
    assert_eq!(verdict, b"Verified OK\n");
    assert_eq!(plaintext.get(16..), Some(&[b"\x01", text.as_bytes()].concat()[..]));
    let header = fs::read(home.path(folder).join("hdr.bin")).unwrap();
    home.file("committed.bin", &[b"TopChat-commit-v1\0", &header[..], plaintext].concat());
    let commitment = home.openssl("dgst -sha256 -binary committed.bin");
    assert_eq!(commitment, fs::read(home.path(folder).join("h.bin")).unwrap());
    assert_eq!(fs::read_to_string(home.path(folder).join("sender.pub.pem")).unwrap(), ALICE.identity.public().to_pem());
}

/// The group key three times over: EDE3 under it is single DES.
fn group_key_hex() -> String {
    let text = GROUP.to_text();
    let key = text.lines().last().and_then(|entry| entry.split(' ').nth(1)).unwrap();
    key.repeat(3)
}

#[test]
fn exported_messages_hold_before_the_openssl_command() {
    let (_server, alice, bob) = pair();
    let listening = bob.listen(&["--count", "3", "--export", "out"]);
    for words in [
        &["send", "bob", "direct"][..],
        &["send", "ALL", "chained"],
        &["send", "ALL", "--ecb", "same-block-same-block-same-block-"],
    ] {
        assert_eq!(alice.run_in(words).code, Some(0));
    }
    assert_eq!(listening.finish().code, Some(0));

    let direct = exported(&bob, 0x01);
    let key = "-inkey keys/users/bob/encryption.pem -passin file:password";
    let plaintext = bob.openssl(&format!("pkeyutl -decrypt {key} -pkeyopt rsa_padding_mode:pkcs1 -in {direct}/ct.bin"));
    check(&bob, &direct, &plaintext, "direct");

    let chained = exported(&bob, 0x11);
    let sealed = fs::read(bob.path(&chained).join("ct.bin")).unwrap();
    bob.file("body.bin", &sealed[8..]);
    let (key, iv) = (group_key_hex(), data_encoding::HEXLOWER.encode(&sealed[..8]));
    let plaintext = bob.openssl(&format!("enc -d -des-ede3-cbc -K {key} -iv {iv} -in body.bin"));
    check(&bob, &chained, &plaintext, "chained");

    let ecb = exported(&bob, 0x12);
    let plaintext = bob.openssl(&format!("enc -d -des-ede3 -K {key} -in {ecb}/ct.bin"));
    check(&bob, &ecb, &plaintext, "same-block-same-block-same-block-");
}

/// The server does not verify signatures: it would protect nobody. Who reads the message does.
#[test]
fn a_signature_that_does_not_hold_passes_the_server_and_not_the_recipient() {
    let server = TestServer::start();
    let alice = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
    let listening = alice.listen(&["--count", "2"]);
    let mut forged = BOB.seal_to(&ALICE, "forged", 2);
    forged.signature = BOB.seal_to(&ALICE, "another", 3).signature;
    for envelope in [BOB.seal_to(&ALICE, "first", 1), forged, BOB.seal_to(&ALICE, "last", 4)] {
        let answer = bob.send_envelope(&envelope);
        assert!(matches!(answer, ToClient::Status { .. }), "{answer:?}");
    }
    let finished = listening.finish();
    assert_eq!(finished.code, Some(0));
    assert!(!finished.stdout.contains("forged") && finished.stdout.contains("last"), "{finished:?}");
    let rejected =
        "REJECTED a message marked from bob (#0202): the signature does not match bob's key. It was not shown.";
    assert!(finished.stderr.contains(rejected), "{finished:?}");
}
