//! Sealing and opening envelopes (`docs/PROTOCOL.md`, "The envelope").
//!
//! Three things hold a message together. The salt in `P` keeps the server from testing guesses of a short text against
//! the signature. The commitment `H` binds the text to this sender and recipient: nobody can strip the signature and sign
//! a copy as their own, or seal it anew for somebody else as if it had been meant for them. The signature `S` covers
//! everything before it, so that no field can be forgotten.

use zeroize::Zeroizing;

use super::direct::Opened;
use super::group_key::GroupKey;
use super::keys::{KeyError, PrivateKey, PublicKey};
use super::{digest, direct, group, random};
use crate::limits::{PLAINTEXT_MAX, TEXT_MAX};
use crate::wire::{self, Envelope, Fingerprint, Header, Suite, signed};

/// The only type of content so far.
const TYPE_TEXT: u8 = 1;
const SALT: usize = 16;

/// Why a text was not sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A field of the header names another key or suite than those that are used.
    #[error("the header's {field} does not fit the key")]
    Header {
        /// Which field.
        field: &'static str,
    },
    /// A key could not be used.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The header contradicts itself: no receiver would take it.
    #[error("the header: {0}")]
    Layout(#[from] wire::Error),
    /// A text over [`TEXT_MAX`].
    #[error("a text has at most {TEXT_MAX} bytes, this one has {bytes}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// Opening failed: one and the same error, whatever the cause, so that nobody learns which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not be opened")]
pub struct OpenError;

/// What a message is sealed with.
#[derive(Clone, Copy)]
pub enum SealWith<'a> {
    /// The recipient's encryption key.
    Direct(&'a PublicKey),
    /// The group key that writes.
    Group(&'a GroupKey),
}

/// What a message is opened with.
#[derive(Clone, Copy)]
pub enum OpenWith<'a> {
    /// One's own encryption key.
    Direct(&'a PrivateKey),
    /// The group key that the header names.
    Group(&'a GroupKey),
}

/// The group key's id as it stands in a header: 16 bytes, then 16 zero bytes.
pub fn group_fingerprint(id: &[u8; 16]) -> Fingerprint {
    let mut padded = [0; 32];
    padded.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    Fingerprint(padded)
}

/// Seals and signs `text`. What it gives parses, verifies and opens again.
pub fn seal(header: Header, text: &str, with: SealWith<'_>, identity: &PrivateKey) -> Result<Envelope, SealError> {
    if text.len() > TEXT_MAX {
        return Err(SealError::TooLong { bytes: text.len() });
    }
    if header.sender_fp != identity.public().fingerprint() {
        return Err(SealError::Header { field: "sender_fp" });
    }
    if header.recipient_fp != with.fingerprint() {
        return Err(SealError::Header { field: "recipient_fp" });
    }
    let header_bytes = header.encode();
    let plaintext = plaintext(text);
    let commitment = commit(&header_bytes, &plaintext);
    let ciphertext = encrypt(header.suite, with, &plaintext)?;
    let signature = identity.sign(&signed::envelope(&header_bytes, &commitment, &ciphertext))?;
    let envelope = Envelope { header, header_bytes, commitment, ciphertext, signature };
    // The layout's own rules (kind, suite and recipient agree; numbers count upwards) stand in one place only.
    Ok(Envelope::parse(&envelope.encode())?)
}

/// Step 5 of the receiver: whether `sender` signed this envelope, and is the key that it names.
pub fn verify(envelope: &Envelope, sender: &PublicKey) -> bool {
    envelope.header.sender_fp == sender.fingerprint() && sender.verify(&envelope.signed_bytes(), &envelope.signature)
}

/// Steps 7 and 8 of the receiver: decrypts, recomputes `H`, compares it in constant time.
///
/// To be called after [`verify`] only: whoever can have unsigned envelopes opened can ask an oracle.
pub fn open(envelope: &Envelope, with: OpenWith<'_>) -> Result<Zeroizing<String>, OpenError> {
    if envelope.header.recipient_fp != with.fingerprint() {
        return Err(OpenError);
    }
    let opened = decrypt(envelope.header.suite, with, &envelope.ciphertext).ok_or(OpenError)?;
    let commitment = commit(&envelope.header_bytes, &opened.plaintext);
    let same = digest::equal(&commitment, &envelope.commitment);
    if !(same & opened.whole) {
        return Err(OpenError);
    }
    text(&opened.plaintext).ok_or(OpenError)
}

impl SealWith<'_> {
    fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Direct(key) => key.fingerprint(),
            Self::Group(key) => group_fingerprint(&key.id),
        }
    }
}

impl OpenWith<'_> {
    fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Direct(key) => key.public().fingerprint(),
            Self::Group(key) => group_fingerprint(&key.id),
        }
    }
}

fn encrypt(suite: Suite, with: SealWith<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    Ok(match (suite, with) {
        (Suite::Direct, SealWith::Direct(key)) => direct::encrypt(key, plaintext)?,
        (Suite::GroupCbc, SealWith::Group(key)) => group::encrypt_cbc(key, plaintext)?,
        (Suite::GroupEcb, SealWith::Group(key)) => group::encrypt_ecb(key, plaintext)?,
        (Suite::Direct, SealWith::Group(_)) | (Suite::GroupCbc | Suite::GroupEcb, SealWith::Direct(_)) => {
            return Err(SealError::Header { field: "suite" });
        }
    })
}

fn decrypt(suite: Suite, with: OpenWith<'_>, ciphertext: &[u8]) -> Option<Opened> {
    let whole = |plaintext| Opened { plaintext, whole: true };
    match (suite, with) {
        (Suite::Direct, OpenWith::Direct(key)) => direct::decrypt(key, ciphertext),
        (Suite::GroupCbc, OpenWith::Group(key)) => group::decrypt_cbc(key, ciphertext).map(whole),
        (Suite::GroupEcb, OpenWith::Group(key)) => group::decrypt_ecb(key, ciphertext).map(whole),
        (Suite::Direct, OpenWith::Group(_)) | (Suite::GroupCbc | Suite::GroupEcb, OpenWith::Direct(_)) => None,
    }
}

/// `P`: salt, type, text.
fn plaintext(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&random::bytes::<SALT>()[..], &[TYPE_TEXT], text.as_bytes()].concat())
}

/// The text in `P`, if it is one.
fn text(plaintext: &[u8]) -> Option<Zeroizing<String>> {
    if plaintext.len() > PLAINTEXT_MAX {
        return None;
    }
    let (_salt, content) = plaintext.split_at_checked(SALT)?;
    let (TYPE_TEXT, text) = content.split_first().map(|(kind, text)| (*kind, text))? else { return None };
    std::str::from_utf8(text).ok().map(|text| Zeroizing::new(text.to_owned()))
}

/// `H`.
fn commit(header: &[u8], plaintext: &[u8]) -> [u8; 32] {
    digest::sha256(&Zeroizing::new(signed::commitment(header, plaintext)))
}
