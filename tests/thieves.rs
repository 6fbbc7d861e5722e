//! What those find who listen on the network, or take a disk away.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use topchat::crypto::scram::ClientFirst;
use topchat::server::Settings;
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, ToClient, ToServer, signed};

use crate::cli::home::{Home, lightly_locked};
use crate::support::people::{ALICE, BOB, PASSWORD, VERIFIER};
use crate::support::proxy::Proxy;
use crate::support::raw::{RawClient, error_code};
use crate::support::server::TestServer;

const TEXT: &str = "the treasure lies under the old oak";

/// Whether any of these stands in `bytes`, plainly or in the encodings that files and frames use.
#[track_caller]
fn holds_none(bytes: &[u8], what: &str, secrets: &[&[u8]]) {
    for secret in secrets {
        for form in [secret.to_vec(), BASE64.encode(secret).into_bytes(), HEXLOWER.encode(secret).into_bytes()] {
            // The last characters of base64 depend on what follows.
            let form = form.get(..form.len() - 4).unwrap();
            let found = bytes.windows(form.len()).position(|part| part == form);
            assert_eq!(found, None, "{what} holds {:?}", String::from_utf8_lossy(form));
        }
    }
}

/// The bytes of all files below, each with its path.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found
}

/// Threat 1: a registration, a login and messages, as somebody on the network sees them.
#[test]
fn nothing_readable_goes_over_the_network() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.address);
    let mut bob = RawClient::member(proxy.address, &BOB, Mode::Receiving);
    let home = Home::of_member(proxy.address, &ALICE);
    let finished = home.run_in(&["send", "bob", TEXT]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(BOB.open(&bob.take_delivery()), TEXT);
    assert_eq!(home.run_in(&["send", "ALL", TEXT]).code, Some(0));
    assert_eq!(BOB.open(&bob.take_delivery()), TEXT);
    let overheard = proxy.overheard.lock().unwrap();
    assert!(overheard.len() > 5000, "the proxy heard {} bytes", overheard.len());
    let key = ALICE.identity.public().to_der();
    let fingerprint = BOB.identity.public().fingerprint();
    holds_none(&overheard, "the network", &[TEXT.as_bytes(), PASSWORD.as_bytes(), &key[40..80], &fingerprint.0]);
    for name in ["alice", "n=alice", "TopChat", "TCE2"] {
        assert!(!overheard.windows(name.len()).any(|part| part == name.as_bytes()), "{name}");
    }
}

/// Threats 13 and 14: neither texts nor passwords lie on the server's disk, nor what computes a login.
#[test]
fn a_stolen_server_disk_holds_no_text_and_no_password() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    assert_eq!(RawClient::connect(server.address).register(&BOB), ToClient::Registered);
    for envelope in [ALICE.seal_to(&BOB, TEXT, 1), ALICE.seal_to_all(TEXT, 2)] {
        assert!(matches!(alice.send_envelope(&envelope), ToClient::Status { .. }));
    }
    let folder = server.stop();
    let files = files(folder.path());
    assert!(files.iter().any(|(_, bytes)| bytes.windows(4).any(|part| part == b"TCE2")), "the messages wait here");
    for (path, bytes) in files {
        holds_none(&bytes, &path.to_string_lossy(), &[TEXT.as_bytes(), PASSWORD.as_bytes()]);
    }
}

/// Threat 13: with the stored keys and even the identity key there is no login without a password.
#[test]
fn what_the_server_stores_logs_nobody_in() {
    let server = TestServer::with(Settings::default());
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    for stolen in [VERIFIER.stored_key, VERIFIER.server_key, [0; 32]] {
        let mut thief = RawClient::connect(server.address);
        let first = ClientFirst::new(&ALICE.name, &thief.exporter());
        let start = thief.login_start(&ALICE, &ALICE.name, Mode::Errand, first.message());
        let ToClient::Challenge { server_first } = thief.ask(&start) else { panic!("no challenge") };
        // The proof is ClientKey XOR HMAC(StoredKey, AuthMessage): a thief puts what was stolen in ClientKey's place.
        let nonce = server_first.split(',').next().unwrap().to_owned();
        let binding = BASE64.encode(&[&b"p=tls-exporter,,"[..], &thief.exporter()].concat());
        let without_proof = format!("c={binding},{nonce}");
        let bare = first.message().strip_prefix("p=tls-exporter,,").unwrap();
        let auth_message = format!("{bare},{server_first},{without_proof}");
        let mut proof = hmac(&VERIFIER.stored_key, auth_message.as_bytes());
        proof.iter_mut().zip(stolen).for_each(|(byte, key)| *byte ^= key);
        let client_final = format!("{without_proof},p={}", BASE64.encode(&proof));
        let signature = ALICE.identity.sign(&signed::login(&auth_message)).unwrap();
        let answer = thief.ask(&ToServer::LoginProof { client_final, signature });
        assert_eq!(error_code(&answer), Code::LoginRefused);
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
    let key = PKey::hmac(key).unwrap();
    Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(message).unwrap()
}

/// Threat 17: what a client leaves on its disk, messages that wait and messages that were shown included.
#[test]
fn a_stolen_client_disk_holds_no_text_no_password_and_no_open_key() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    assert_eq!(home.run_in(&["send", "bob", TEXT]).code, Some(0));
    bob.take_delivery();
    assert!(matches!(bob.send_envelope(&BOB.seal_to(&ALICE, TEXT, 3)), ToClient::Status { .. }));
    let finished = home.run_in(&["listen", "--count", "1"]);
    assert!(finished.stdout.contains(TEXT), "{finished:?}");
    let secret = {
        let pem = lightly_locked(&ALICE.encryption, PASSWORD);
        let key = openssl::pkey::PKey::private_key_from_pem_passphrase(&pem, PASSWORD.as_bytes()).unwrap();
        key.rsa().unwrap().d().to_vec()
    };
    for (path, bytes) in files(home.folder.path()) {
        if path.ends_with("password") {
            continue;
        }
        holds_none(&bytes, &path.to_string_lossy(), &[TEXT.as_bytes(), PASSWORD.as_bytes(), &secret[..40]]);
    }
}
