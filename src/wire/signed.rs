//! The exact bytes under every kind of signature and hash.
//!
//! Each begins with a label of its own, so that nothing signed for one purpose serves another,
//! and none is ever made over bytes that a server chose alone.

use super::writer::Writer;
use super::{Bundle, Fingerprint};
use crate::names::UserName;

const BUNDLE: &[u8] = b"TopChat-bundle-v2\0";
const COMMIT: &[u8] = b"TopChat-commit-v1\0";
const COMMIT_MODERN: &[u8] = b"TopChat-commit-v2\0";
const EXPORT: &[u8] = b"TopChat-export-v1\0";
const HANDOVER: &[u8] = b"TopChat-handover-v1\0";
const LOGIN: &[u8] = b"TopChat-login-v1\0";
const LOGIN_START: &[u8] = b"TopChat-login-start-v1\0";
const REGISTER: &[u8] = b"TopChat-register-v1\0";
const SAFETY: &[u8] = b"TopChat-safety-v1\0";
const SIGN: &[u8] = b"TopChat-sign-v1\0";
const SIGN_MODERN: &[u8] = b"TopChat-sign-v2\0";
const UPDATE: &[u8] = b"TopChat-update-v1\0";

/// Under both of a bundle's signatures.
pub fn bundle(bundle: &Bundle) -> Vec<u8> {
    let mut writer = Writer::with_capacity(1400);
    writer.bytes(BUNDLE);
    bundle.write_unsigned(&mut writer);
    writer.into_bytes()
}

/// Under the proof that whoever registers holds the identity key on this very connection:
/// the TLS exporter value, then SHA-256 of the whole bundle.
pub fn register(exporter: &[u8; 32], bundle_digest: &[u8; 32]) -> Vec<u8> {
    [REGISTER, exporter, bundle_digest].concat()
}

/// Under the proof that whoever replaces an account's keys holds the (new) identity key on this very connection.
pub fn update(exporter: &[u8; 32], bundle_digest: &[u8; 32]) -> Vec<u8> {
    [UPDATE, exporter, bundle_digest].concat()
}

/// Under the signature of an exported account: SHA-256 of what is exported.
pub fn export(payload_digest: &[u8; 32]) -> Vec<u8> {
    [EXPORT, payload_digest].concat()
}

/// Under the signatures of an old identity key and its successor, which name each other.
pub fn handover(name: &UserName, old: Fingerprint, new: Fingerprint) -> Vec<u8> {
    let mut writer = Writer::with_capacity(HANDOVER.len() + 97);
    writer.bytes(HANDOVER);
    writer.bytes8(name.as_str().as_bytes());
    writer.bytes(&old.0);
    writer.bytes(&new.0);
    writer.into_bytes()
}

/// Hashed to one side's half of a safety number.
pub fn safety(name: &UserName, identity: Fingerprint) -> Vec<u8> {
    let mut writer = Writer::with_capacity(SAFETY.len() + 65);
    writer.bytes(SAFETY);
    writer.bytes8(name.as_str().as_bytes());
    writer.bytes(&identity.0);
    writer.into_bytes()
}

/// Under the proof that whoever begins a login holds the account's identity key on this very connection.
pub fn login_start(exporter: &[u8; 32], name: &UserName) -> Vec<u8> {
    let mut writer = Writer::with_capacity(LOGIN_START.len() + 65);
    writer.bytes(LOGIN_START);
    writer.bytes(exporter);
    writer.bytes8(name.as_str().as_bytes());
    writer.into_bytes()
}

/// Under the identity signature of a login: SCRAM's AuthMessage, which holds both nonces and the TLS exporter value.
pub fn login(auth_message: &str) -> Vec<u8> {
    [LOGIN, auth_message.as_bytes()].concat()
}

/// Hashed to the commitment `H`: binds the text to this sender and this recipient.
pub fn commitment(header: &[u8], plaintext: &[u8]) -> Vec<u8> {
    [COMMIT, header, plaintext].concat()
}

/// The same of the modern suites, over the padded plaintext: GCM alone does not say which key it was sealed with.
pub fn modern_commitment(header: &[u8], padded: &[u8]) -> Vec<u8> {
    [COMMIT_MODERN, header, padded].concat()
}

/// Under an envelope's signature: everything that comes before it, so that no field can be forgotten.
pub fn envelope(header: &[u8], commitment: &[u8; 32], ciphertext: &[u8]) -> Vec<u8> {
    sealed(SIGN, header, commitment, ciphertext)
}

/// The same of the modern suites, where the key that signs is named, too: no signature is ever another key's.
pub fn modern_envelope(key: Fingerprint, header: &[u8], commitment: &[u8; 32], ciphertext: &[u8]) -> Vec<u8> {
    sealed(&[SIGN_MODERN, &key.0].concat(), header, commitment, ciphertext)
}

fn sealed(before: &[u8], header: &[u8], commitment: &[u8; 32], ciphertext: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(before.len() + header.len() + 36 + ciphertext.len());
    writer.bytes(before);
    writer.bytes(header);
    writer.bytes(commitment);
    writer.bytes32(ciphertext);
    writer.into_bytes()
}
