//! The keys and sealed texts of the modern suites, made and checked with the `openssl` command alone.
//!
//! It checks signature and commitment and decrypts the text; GCM's tag it can't check.

use std::fs;

use data_encoding::HEXLOWER;

use topchat::crypto::curve::{OpeningKey, SigningKey};
use topchat::crypto::modern::{self, ForGroup, SealFor, Sealed};
use topchat::wire::signed;

use super::stock_tool::{Folder, PASSPHRASE};

const HEADER: &[u8] = b"a header";

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// HKDF's halves; an empty salt is none.
fn extract(folder: &Folder, salt: &[u8], secret: &[u8]) -> Vec<u8> {
    let salt = if salt.is_empty() { String::new() } else { format!("-kdfopt hexsalt:{} ", hex(salt)) };
    let mode = "-kdfopt digest:SHA256 -kdfopt mode:EXTRACT_ONLY";
    folder.openssl(&format!("kdf -binary -keylen 32 {mode} {salt}-kdfopt hexkey:{} HKDF", hex(secret)))
}

fn expand(folder: &Folder, key: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let mode = "-kdfopt digest:SHA256 -kdfopt mode:EXPAND_ONLY";
    folder.openssl(&format!(
        "kdf -binary -keylen {length} {mode} -kdfopt hexkey:{} -kdfopt hexinfo:{} HKDF",
        hex(key),
        hex(info)
    ))
}

/// HPKE's key and nonce for an `enc` (RFC 9180, sections 4 and 5).
fn hpke_key(folder: &Folder, bob: &OpeningKey, enc: &[u8]) -> (Vec<u8>, Vec<u8>) {
    const KEM: &[u8] = b"KEM\x00\x20";
    const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x02";
    let labeled_extract = |suite: &[u8], salt: &[u8], label: &[u8], secret: &[u8]| {
        extract(folder, salt, &[b"HPKE-v1", suite, label, secret].concat())
    };
    let labeled_expand = |suite: &[u8], key: &[u8], label: &[u8], info: &[u8], length: u8| {
        expand(folder, key, &[&[0, length], &b"HPKE-v1"[..], suite, label, info].concat(), length.into())
    };
    // A point's DER is twelve bytes, then the point.
    let spki = bob.public().to_der();
    folder.file("enc.der", &[&spki[..12], enc].concat());
    folder.file("bob.pem", bob.to_pem(PASSPHRASE.as_bytes()).unwrap().as_bytes());
    let dh = folder.openssl("pkeyutl -derive -inkey bob.pem -passin file:passphrase -peerkey enc.der -peerform DER");
    let shared = labeled_extract(KEM, b"", b"eae_prk", &dh);
    let shared = labeled_expand(KEM, &shared, b"shared_secret", &[enc, &spki[12..]].concat(), 32);
    let psk_id_hash = labeled_extract(SUITE, b"", b"psk_id_hash", b"");
    let info_hash = labeled_extract(SUITE, b"", b"info_hash", b"TopChat-hpke-v1\0");
    let context = [&[0][..], &psk_id_hash, &info_hash].concat();
    let secret = labeled_extract(SUITE, &shared, b"secret", b"");
    let [key, nonce] = [(&b"key"[..], 32), (b"base_nonce", 12)]
        .map(|(label, length)| labeled_expand(SUITE, &secret, label, &context, length));
    (key, nonce)
}

/// GCM encrypts as counter mode does from 2 on.
fn decrypt(folder: &Folder, key: &[u8], nonce: &[u8], sealed: &[u8]) -> Vec<u8> {
    folder.file("sealed.bin", &sealed[..sealed.len() - 16]);
    let iv = [nonce, &[0, 0, 0, 2]].concat();
    folder.openssl(&format!("enc -d -aes-256-ctr -K {} -iv {} -in sealed.bin", hex(key), hex(&iv)))
}

#[track_caller]
fn check_signature_and_commitment(folder: &Folder, alice: &SigningKey, sealed: &Sealed, plaintext: &[u8]) {
    let fingerprint = alice.public().fingerprint();
    let (named, signature) = sealed.signature.split_at(32);
    assert_eq!(named, fingerprint.0);
    folder.file("alice.pub.pem", alice.public().to_pem().as_bytes());
    folder.file("sig.bin", signature);
    folder.file("tbs.bin", &signed::modern_envelope(fingerprint, HEADER, &sealed.commitment, &sealed.ciphertext));
    let verdict =
        folder.openssl_text("pkeyutl -verify -pubin -inkey alice.pub.pem -rawin -in tbs.bin -sigfile sig.bin");
    assert_eq!(verdict, "Signature Verified Successfully\n");
    folder.file("committed.bin", &[b"TopChat-commit-v2\0", HEADER, plaintext].concat());
    assert_eq!(folder.openssl("dgst -sha256 -binary committed.bin"), sealed.commitment);
}

fn plaintext(salt: &[u8], text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    let mut plaintext = [salt, &[1], &length, text.as_bytes()].concat();
    plaintext.resize(plaintext.len().next_multiple_of(64), 0);
    plaintext
}

#[test]
fn modern_messages_check_out_with_the_command_alone() {
    let folder = Folder::new();
    folder.file("passphrase", PASSPHRASE.as_bytes());
    let (alice, bob) = (SigningKey::generate().unwrap(), OpeningKey::generate().unwrap());
    for text in ["hi", "żółć 日本語 👩\u{200d}👧, and a text that takes more than one step of padding"] {
        let sealed = modern::seal(HEADER, text, SealFor::Direct(bob.public()), &alice).unwrap();
        let (enc, body) = sealed.ciphertext.split_at(32);
        let (key, nonce) = hpke_key(&folder, &bob, enc);
        let found = decrypt(&folder, &key, &nonce, body);
        assert_eq!(found, plaintext(&found[..16], text));
        check_signature_and_commitment(&folder, &alice, &sealed, &found);

        let group = ForGroup { key: &[7; 32], message: &[8; 16] };
        let sealed = modern::seal(HEADER, text, SealFor::Group(group), &alice).unwrap();
        let (nonce, body) = sealed.ciphertext.split_at(12);
        let key = expand(&folder, &extract(&folder, group.message, group.key), b"TopChat-group-v1\0", 32);
        let found = decrypt(&folder, &key, nonce, body);
        assert_eq!(found, plaintext(&found[..16], text));
        check_signature_and_commitment(&folder, &alice, &sealed, &found);
    }
}

#[test]
fn keys_of_curve25519_go_to_the_command_and_back() {
    let folder = Folder::new();
    folder.file("passphrase", PASSPHRASE.as_bytes());
    for name in ["ED25519", "X25519"] {
        folder.openssl(&format!("genpkey -algorithm {name} -out clear.pem"));
        folder.openssl("pkcs8 -topk8 -scrypt -in clear.pem -out theirs.pem -passout file:passphrase");
        let theirs = fs::read(folder.path("theirs.pem")).unwrap();
        let (public, ours) = match name {
            "ED25519" => {
                let key = SigningKey::from_pem(&theirs, PASSPHRASE.as_bytes()).unwrap();
                (key.public().to_pem(), key.to_pem(PASSPHRASE.as_bytes()).unwrap())
            }
            _ => {
                let key = OpeningKey::from_pem(&theirs, PASSPHRASE.as_bytes()).unwrap();
                (key.public().to_pem(), key.to_pem(PASSPHRASE.as_bytes()).unwrap())
            }
        };
        assert_eq!(folder.openssl_text("pkey -in clear.pem -pubout"), public);
        folder.file("ours.pem", ours.as_bytes());
        let clear = fs::read(folder.path("clear.pem")).unwrap();
        assert_eq!(folder.openssl("pkey -in ours.pem -passin file:passphrase"), clear, "{name}");
    }
}
