//! An account's keys and what it knows, as one document: how it is written, and when it is believed.
//!
//! The private keys are in it as locked as they are in their files. It is signed by the identity key, so that nobody who
//! holds the document can change a pin in it, and it has one spelling only: a changed byte is always found.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::password::Secret;
use crate::client::error::Error;
use crate::crypto::bundle;
use crate::crypto::digest;
use crate::crypto::keys::{KeyError, KeyPair, PrivateKey, PublicKey};
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::names::UserName;
use crate::text::{visible, visible_path};
use crate::wire::{Fingerprint, signed};

/// What stands in the document.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payload {
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
    /// The server's pinned identity: 64 hex digits.
    pub server_identity: Option<String>,
    /// When it was made: RFC 3339.
    pub created: String,
    /// The public half of the identity: DER SubjectPublicKeyInfo in base64.
    pub identity: String,
    /// The account's key bundle as this machine made it last, in base64.
    pub bundle: Option<String>,
    /// Private keys in locked PEM, by their file's name below the account's folder.
    pub keys: BTreeMap<String, String>,
    /// Public halves of identities that were replaced, by their file's name there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub former: BTreeMap<String, String>,
    /// The file of contacts with their pins, as it is.
    pub contacts: Option<serde_json::Value>,
    /// The group key file, if it was asked for.
    pub group_key: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    v: u32,
    r#type: String,
    payload: Payload,
    /// By the identity key, in base64.
    signature: String,
}

/// The document, signed.
pub(crate) fn write(payload: Payload, identity: &PrivateKey) -> Result<Vec<u8>, KeyError> {
    let signature = BASE64.encode(&identity.sign(&signed_bytes(&payload))?);
    Ok(text(&Document { v: VERSION, r#type: TYPE.to_owned(), payload, signature }))
}

/// The document in these bytes, with its identity key, if the password opens that and it has signed all of it.
pub(crate) fn read(bytes: &[u8], secret: &Secret) -> Result<(Payload, PrivateKey), BackupError> {
    let document: Document = serde_json::from_slice(bytes).map_err(|_| BackupError::Layout)?;
    if document.r#type != TYPE {
        return Err(BackupError::Layout);
    }
    if document.v != VERSION {
        return Err(BackupError::Version { found: document.v, known: VERSION });
    }
    if text(&document) != bytes {
        return Err(BackupError::Changed);
    }
    let decode = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| BackupError::Changed);
    let public = PublicKey::from_der(&decode(&document.payload.identity)?).map_err(|_| BackupError::Changed)?;
    if !public.verify(&signed_bytes(&document.payload), &decode(&document.signature)?) {
        return Err(BackupError::Changed);
    }
    // Anybody can sign with a key of their own, but not lock it with this password.
    let identity: PrivateKey = document.payload.open(IDENTITY, secret)?;
    if *identity.public() == public { Ok((document.payload, identity)) } else { Err(BackupError::Changed) }
}

impl Payload {
    /// A key of it, opened.
    pub(crate) fn open<K: KeyPair>(&self, name: &str, secret: &Secret) -> Result<K, BackupError> {
        let pem = self.keys.get(name).ok_or_else(|| BackupError::Files { name: name.to_owned() })?;
        secret.unlock(pem.as_bytes()).map_err(|why| match why {
            KeyError::Passphrase => BackupError::Passphrase,
            why => BackupError::Key { name: name.to_owned(), why },
        })
    }

    /// The key that opens messages. One that signs, too, is refused: to open what a stranger made would be to sign for them.
    pub(crate) fn encryption(&self, identity: &PrivateKey, secret: &Secret) -> Result<PrivateKey, BackupError> {
        let key: PrivateKey = self.open(ENCRYPTION, secret)?;
        if key.public() == identity.public() { Err(BackupError::SameKey) } else { Ok(key) }
    }

    /// Whose it is.
    pub(crate) fn name(&self) -> Result<UserName, BackupError> {
        self.name.parse().map_err(|_| BackupError::Layout)
    }

    /// The account's bundle, if it is one that this identity has signed.
    pub(crate) fn own_bundle(&self, identity: &PublicKey) -> Result<Option<Vec<u8>>, BackupError> {
        let read = |text: &String| {
            let bytes = BASE64.decode(text.as_bytes()).ok()?;
            bundle::verify(&bytes).is_ok_and(|own| own.identity == *identity).then_some(bytes)
        };
        self.bundle.as_ref().map(|text| read(text).ok_or(BackupError::Layout)).transpose()
    }

    /// The server's identity.
    pub(crate) fn server_identity(&self) -> Result<Option<Fingerprint>, BackupError> {
        let parse = |text: &String| Fingerprint::from_hex(text).ok_or(BackupError::Layout);
        self.server_identity.as_ref().map(parse).transpose()
    }
}

/// Why a document is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// It is not as its identity key signed it.
    #[error("it was changed since it was made")]
    Changed,
    /// A key file that has no business in it, or one that is missing.
    #[error("its key files are not those of an account: {}", visible(.name))]
    Files {
        /// Which one.
        name: String,
    },
    /// A key in it can't be used.
    #[error("{name}: {why}")]
    Key {
        /// Which one.
        name: String,
        /// What is wrong with it.
        why: KeyError,
    },
    /// Not such a document at all.
    #[error("it is no document that topchat keys export makes")]
    Layout,
    /// The password does not open it.
    #[error("the password does not open it")]
    Passphrase,
    /// One key for both purposes.
    #[error("the key that signs in it is also the one that opens messages")]
    SameKey,
    /// A newer format.
    #[error("its format is {found}, this program knows {known}")]
    Version {
        /// Which one.
        found: u32,
        /// The one that is written here.
        known: u32,
    },
}

impl BackupError {
    /// For `map_err`: which document.
    pub(crate) fn of(from: &Path) -> impl Fn(Self) -> Error + Copy {
        move |why| {
            let exit = match &why {
                Self::Passphrase => Exit::Refused,
                Self::Changed => Exit::Identity,
                _ => Exit::Local,
            };
            let hint = match &why {
                Self::Passphrase => {
                    Hint::from("it is locked with the password that the account had when it was exported")
                }
                _ => Hint::from("take another copy, or export it again: ").topchat(&["keys", "export"]),
            };
            let words = format!("{} can't be imported: {why}. Nothing was changed.", visible_path(from));
            Failure::new(exit, words).hint(hint).into()
        }
    }
}

fn signed_bytes(payload: &Payload) -> Vec<u8> {
    let bytes = serde_json::to_vec(payload).expect("these objects have text keys only");
    signed::export(&digest::sha256(&bytes))
}

fn text(document: &Document) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(document).expect("these objects have text keys only");
    text.push(b'\n');
    text
}

/// Name of the key file without which there is no account.
pub(crate) const IDENTITY: &str = "identity.pem";
/// Name of the key file that opens direct messages.
pub(crate) const ENCRYPTION: &str = "encryption.pem";
/// Name of the key file that signs modern messages.
pub(crate) const ED25519: &str = "ed25519.pem";
/// Name of the key file that opens them.
pub(crate) const X25519: &str = "x25519.pem";
const TYPE: &str = "topchat-keys";

/// The version of the document. The first one had no keys of Curve25519.
const VERSION: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::test_keys::{ALICE, BOB};

    fn secret() -> Secret {
        Secret::new("password1").unwrap()
    }

    fn payload() -> Payload {
        let pem = ALICE.to_pem(b"password1").unwrap().to_string();
        Payload {
            name: "alice".to_owned(),
            server: "127.0.0.1:7777".to_owned(),
            server_identity: Some("ab".repeat(32)),
            identity: BASE64.encode(ALICE.public().to_der()),
            created: "2026-11-23T12:00:00Z".to_owned(),
            bundle: None,
            keys: [(IDENTITY.to_owned(), pem)].into(),
            former: BTreeMap::new(),
            contacts: Some(serde_json::json!({"v": 1, "contacts": {"bob": {"fingerprint": "00"}}})),
            group_key: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = payload();
        let (read, identity) = read(&write(written.clone(), &ALICE).unwrap(), &secret()).unwrap();
        assert!(read == written && identity.public() == ALICE.public());
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let bytes = write(payload(), &ALICE).unwrap();
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 0x01;
            assert!(read(&changed, &secret()).is_err(), "byte {position}");
        }
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(read(&bytes[..cut], &secret()).is_err(), "cut at {cut}");
        }
        assert!(matches!(read(&[&bytes[..], b"\n"].concat(), &secret()), Err(BackupError::Changed)));
    }

    #[test]
    fn one_key_for_both_purposes_is_refused() {
        let mut payload = payload();
        payload.keys.insert(ENCRYPTION.to_owned(), BOB.to_pem(b"password1").unwrap().to_string());
        assert!(payload.encryption(&ALICE, &secret()).unwrap().public() == BOB.public());
        payload.keys.insert(ENCRYPTION.to_owned(), payload.keys[IDENTITY].clone());
        assert!(matches!(payload.encryption(&ALICE, &secret()), Err(BackupError::SameKey)));
    }

    #[test]
    fn another_identity_another_format_and_another_password_are_refused() {
        let by_bob = write(payload(), &BOB).unwrap();
        assert!(matches!(read(&by_bob, &secret()), Err(BackupError::Changed)));
        let as_bob = Payload { identity: BASE64.encode(BOB.public().to_der()), ..payload() };
        assert!(matches!(read(&write(as_bob, &BOB).unwrap(), &secret()), Err(BackupError::Changed)));
        let good = String::from_utf8(write(payload(), &ALICE).unwrap()).unwrap();
        let newer = good.replacen("\"v\": 2", "\"v\": 3", 1);
        assert!(matches!(read(newer.as_bytes(), &secret()), Err(BackupError::Version { found: 3, .. })));
        let other = Secret::new("password2").unwrap();
        assert!(matches!(read(good.as_bytes(), &other), Err(BackupError::Passphrase)));
        assert!(matches!(read(b"{}", &secret()), Err(BackupError::Layout)));
    }
}
