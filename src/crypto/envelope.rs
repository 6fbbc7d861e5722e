//! Sealing and opening envelopes (`docs/PROTOCOL.md`, "The envelope").
//!
//! Three things hold a message together. The salt in `P` keeps the server from testing guesses of a short text against
//! the signature. The commitment `H` binds the text to this sender and recipient: nobody can strip the signature and sign
//! a copy as their own, or seal it anew for somebody else as if it had been meant for them. The signature `S` covers
//! everything before it, so that no field can be forgotten.

use zeroize::Zeroizing;

use super::curve::{OpeningKey, SealingKey, SigningKey, VerifyingKey};
use super::direct::Opened;
use super::group_key::GroupKey;
use super::keys::{KeyError, PrivateKey, PublicKey};
use super::modern::{self, ForGroup, OpenBy, SealFor, Sealed};
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
    /// The recipient's X25519 key.
    DirectModern(&'a SealingKey),
    /// The group key that writes.
    Group(&'a GroupKey),
}

/// What a message is opened with.
#[derive(Clone, Copy)]
pub enum OpenWith<'a> {
    /// One's own encryption key.
    Direct(&'a PrivateKey),
    /// One's own X25519 key.
    DirectModern(&'a OpeningKey),
    /// The group key that the header names.
    Group(&'a GroupKey),
}

/// The group key's id as it stands in a header: 16 bytes, then 16 zero bytes.
pub fn group_fingerprint(id: &[u8; 16]) -> Fingerprint {
    let mut padded = [0; 32];
    padded.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    Fingerprint(padded)
}

/// Seals `text` by a classic suite and signs it with the identity key. What it gives parses, verifies and opens again.
pub fn seal(header: Header, text: &str, with: SealWith<'_>, identity: &PrivateKey) -> Result<Envelope, SealError> {
    if header.sender_fp != identity.public().fingerprint() {
        return Err(SealError::Header { field: "sender_fp" });
    }
    check(&header, text, with)?;
    let header_bytes = header.encode();
    let plaintext = plaintext(text);
    let commitment = commit(&header_bytes, &plaintext);
    let ciphertext = encrypt(header.suite, with, &plaintext)?;
    let signature = identity.sign(&signed::envelope(&header_bytes, &commitment, &ciphertext))?;
    let envelope = Envelope { header, header_bytes, commitment, ciphertext, signature };
    // The layout's own rules (kind, suite and recipient agree; numbers count upwards) stand in one place only.
    Ok(Envelope::parse(&envelope.encode())?)
}

/// The same by a modern suite, signed with the Ed25519 key that stands in the bundle of the identity `sender_fp`.
pub fn seal_modern(header: Header, text: &str, with: SealWith<'_>, by: &SigningKey) -> Result<Envelope, SealError> {
    check(&header, text, with)?;
    let header_bytes = header.encode();
    let seal_for = match (header.suite, with) {
        (Suite::DirectModern, SealWith::DirectModern(key)) => SealFor::Direct(key),
        (Suite::GroupModern, SealWith::Group(group)) => {
            SealFor::Group(for_group(group, &header).ok_or(SealError::Header { field: "suite" })?)
        }
        _ => return Err(SealError::Header { field: "suite" }),
    };
    let Sealed { commitment, ciphertext, signature } = modern::seal(&header_bytes, text, seal_for, by)?;
    let envelope = Envelope { header, header_bytes, commitment, ciphertext, signature };
    Ok(Envelope::parse(&envelope.encode())?)
}

fn check(header: &Header, text: &str, with: SealWith<'_>) -> Result<(), SealError> {
    if text.len() > TEXT_MAX {
        return Err(SealError::TooLong { bytes: text.len() });
    }
    if header.recipient_fp != with.fingerprint() {
        return Err(SealError::Header { field: "recipient_fp" });
    }
    Ok(())
}

/// Step 5 of the receiver, modern suites: whether `by` signed this envelope, and is the key that it names. That this is a key of
/// the sender, its bundle says.
pub fn verify_modern(envelope: &Envelope, by: &VerifyingKey) -> bool {
    envelope.header.suite.is_modern() && modern::verify(&envelope.header_bytes, &sealed(envelope), by)
}

fn sealed(envelope: &Envelope) -> Sealed {
    let Envelope { commitment, ciphertext, signature, .. } = envelope;
    Sealed { commitment: *commitment, ciphertext: ciphertext.clone(), signature: signature.clone() }
}

/// The group's key for one message, if it is one of AES.
fn for_group<'a>(key: &'a GroupKey, header: &'a Header) -> Option<ForGroup<'a>> {
    Some(ForGroup { key: key.aes_secret()?, message: &header.msg_id.0 })
}

/// Step 5 of the receiver, classic suites: whether `sender` signed this envelope, and is the key that it names.
pub fn verify(envelope: &Envelope, sender: &PublicKey) -> bool {
    let is_its = envelope.header.sender_fp == sender.fingerprint() && !envelope.header.suite.is_modern();
    is_its && sender.verify(&envelope.signed_bytes(), &envelope.signature)
}

/// Steps 7 and 8 of the receiver: decrypts, recomputes `H`, compares it in constant time.
///
/// To be called after [`verify`] only: whoever can have unsigned envelopes opened can ask an oracle.
pub fn open(envelope: &Envelope, with: OpenWith<'_>) -> Result<Zeroizing<String>, OpenError> {
    if envelope.header.recipient_fp != with.fingerprint() {
        return Err(OpenError);
    }
    if envelope.header.suite.is_modern() {
        let by = match (envelope.header.suite, with) {
            (Suite::DirectModern, OpenWith::DirectModern(key)) => Some(OpenBy::Direct(key)),
            (Suite::GroupModern, OpenWith::Group(key)) => for_group(key, &envelope.header).map(OpenBy::Group),
            _ => None,
        };
        return by.and_then(|by| modern::open(&envelope.header_bytes, &sealed(envelope), by)).ok_or(OpenError);
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
    /// What stands in the header as `recipient_fp`.
    pub fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Direct(key) => key.fingerprint(),
            Self::DirectModern(key) => key.fingerprint(),
            Self::Group(key) => group_fingerprint(&key.id),
        }
    }
}

impl OpenWith<'_> {
    fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Direct(key) => key.public().fingerprint(),
            Self::DirectModern(key) => key.public().fingerprint(),
            Self::Group(key) => group_fingerprint(&key.id),
        }
    }
}

fn encrypt(suite: Suite, with: SealWith<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let misfit = SealError::Header { field: "suite" };
    Ok(match (suite, with) {
        (Suite::Direct, SealWith::Direct(key)) => direct::encrypt(key, plaintext)?,
        (Suite::GroupCbc, SealWith::Group(key)) => group::encrypt_cbc(key.des_secret().ok_or(misfit)?, plaintext)?,
        (Suite::GroupEcb, SealWith::Group(key)) => group::encrypt_ecb(key.des_secret().ok_or(misfit)?, plaintext)?,
        _ => return Err(misfit),
    })
}

fn decrypt(suite: Suite, with: OpenWith<'_>, ciphertext: &[u8]) -> Option<Opened> {
    match (suite, with) {
        (Suite::Direct, OpenWith::Direct(key)) => direct::decrypt(key, ciphertext),
        (Suite::GroupCbc, OpenWith::Group(key)) => group::decrypt_cbc(key.des_secret()?, ciphertext),
        (Suite::GroupEcb, OpenWith::Group(key)) => group::decrypt_ecb(key.des_secret()?, ciphertext),
        _ => None,
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::crypto::group_key::Cipher;
    use crate::crypto::group_key::GroupKeys;
    use crate::crypto::test_keys::{ALICE, BOB, BOB_ENCRYPTION, BOB_OPENING, BOB_SIGNING, CAROL_ENCRYPTION};
    use crate::names::Recipient;
    use crate::wire::MessageId;

    fn header(suite: Suite, recipient: &str, recipient_fp: Fingerprint) -> Header {
        Header {
            suite,
            sender: "alice".parse().unwrap(),
            sender_fp: ALICE.public().fingerprint(),
            sender_bundle: 1,
            recipient: recipient.parse().unwrap(),
            recipient_fp,
            msg_id: MessageId([3; 16]),
            seq: 7,
            prev: 6,
            sent_ms: 1_700_000_000_000,
        }
    }

    fn to_bob() -> Header {
        header(Suite::Direct, "bob", BOB_ENCRYPTION.public().fingerprint())
    }

    fn to_all(suite: Suite, key: &GroupKey) -> Header {
        header(suite, "ALL", group_fingerprint(&key.id))
    }

    fn direct(text: &str) -> Envelope {
        seal(to_bob(), text, SealWith::Direct(BOB_ENCRYPTION.public()), &ALICE).unwrap()
    }

    /// All that a receiver checks of bytes from the network.
    fn received(bytes: &[u8], with: OpenWith<'_>) -> Option<String> {
        let envelope = Envelope::parse(bytes).ok()?;
        let opened = verify(&envelope, ALICE.public()).then(|| open(&envelope, with))?;
        opened.ok().map(|text| text.to_string())
    }

    /// Signs again after a change, as only Alice could.
    fn signed_again(mut envelope: Envelope) -> Envelope {
        envelope.header_bytes = envelope.header.encode();
        envelope.signature = ALICE.sign(&envelope.signed_bytes()).unwrap();
        envelope
    }

    #[test]
    fn a_direct_message_opens_for_its_recipient_only() {
        for text in ["", "hi bob", "żółć 日本語 👩\u{200d}👧", "two\nlines"] {
            let bytes = direct(text).encode();
            assert_eq!(received(&bytes, OpenWith::Direct(&BOB_ENCRYPTION)).as_deref(), Some(text));
            assert_eq!(received(&bytes, OpenWith::Direct(&CAROL_ENCRYPTION)), None);
        }
    }

    #[test]
    fn a_group_message_opens_with_its_group_key_only() {
        let (keys, others) = (GroupKeys::generate().unwrap(), GroupKeys::generate().unwrap());
        for suite in [Suite::GroupCbc, Suite::GroupEcb] {
            let sealed = seal(to_all(suite, keys.writer()), "hi all", SealWith::Group(keys.writer()), &ALICE).unwrap();
            let bytes = sealed.encode();
            assert_eq!(received(&bytes, OpenWith::Group(keys.writer())).as_deref(), Some("hi all"));
            assert_eq!(received(&bytes, OpenWith::Group(others.writer())), None);
            assert_eq!(received(&bytes, OpenWith::Direct(&BOB_ENCRYPTION)), None);
        }
    }

    /// Both modern suites, signed with Bob's key.
    fn modern(keys: &GroupKeys) -> [(Envelope, OpenWith<'_>); 2] {
        let header = header(Suite::DirectModern, "bob", BOB_OPENING.public().fingerprint());
        let direct = seal_modern(header, "hi", SealWith::DirectModern(BOB_OPENING.public()), &BOB_SIGNING).unwrap();
        let header = to_all(Suite::GroupModern, keys.writer());
        let group = seal_modern(header, "hi", SealWith::Group(keys.writer()), &BOB_SIGNING).unwrap();
        [(direct, OpenWith::DirectModern(&BOB_OPENING)), (group, OpenWith::Group(keys.writer()))]
    }

    #[test]
    fn a_modern_message_opens_with_its_key_only_and_by_its_suite() {
        let (keys, others) = (GroupKeys::generate_for(Cipher::Aes), GroupKeys::generate_for(Cipher::Aes));
        let opening = OpeningKey::generate().unwrap();
        for (envelope, with) in modern(&keys) {
            let read = Envelope::parse(&envelope.encode()).unwrap();
            assert!(verify_modern(&read, BOB_SIGNING.public()));
            assert!(!verify_modern(&read, SigningKey::generate().unwrap().public()));
            assert!(!verify(&read, ALICE.public()), "no identity signs it");
            assert_eq!(open(&read, with).unwrap().as_str(), "hi");
            let wrong =
                [OpenWith::DirectModern(&opening), OpenWith::Group(others.writer()), OpenWith::Direct(&BOB_ENCRYPTION)];
            assert!(wrong.into_iter().all(|with| open(&read, with).is_err()));
        }
        assert!(!verify_modern(&direct("hi"), BOB_SIGNING.public()));
    }

    #[test]
    fn every_changed_byte_of_a_modern_message_is_refused() {
        let keys = GroupKeys::generate_for(Cipher::Aes);
        for (envelope, with) in modern(&keys) {
            let bytes = envelope.encode();
            for position in 0..bytes.len() {
                for change in [0x01, 0x80] {
                    let mut changed = bytes.clone();
                    changed[position] ^= change;
                    let opened = Envelope::parse(&changed)
                        .ok()
                        .filter(|read| verify_modern(read, BOB_SIGNING.public()))
                        .is_some_and(|read| open(&read, with).is_ok());
                    assert!(!opened, "byte {position}");
                }
            }
        }
    }

    #[test]
    fn a_suite_seals_with_keys_of_its_kind_alone() {
        let (des, aes) = (GroupKeys::generate().unwrap(), GroupKeys::generate_for(Cipher::Aes));
        let sealed = |suite, with: SealWith<'_>| {
            let header =
                header(suite, if suite.kind() == wire::Kind::Group { "ALL" } else { "bob" }, with.fingerprint());
            let by_suite = if suite.is_modern() {
                seal_modern(header, "hi", with, &BOB_SIGNING)
            } else {
                seal(header, "hi", with, &ALICE)
            };
            by_suite.is_ok()
        };
        let [direct, x25519] =
            [SealWith::Direct(BOB_ENCRYPTION.public()), SealWith::DirectModern(BOB_OPENING.public())];
        let [des, aes] = [&des, &aes].map(|keys| SealWith::Group(keys.writer()));
        for (suite, fits) in [
            (Suite::Direct, [true, false, false, false]),
            (Suite::DirectModern, [false, true, false, false]),
            (Suite::GroupCbc, [false, false, true, false]),
            (Suite::GroupEcb, [false, false, true, false]),
            (Suite::GroupModern, [false, false, false, true]),
        ] {
            assert_eq!([direct, x25519, des, aes].map(|with| sealed(suite, with)), fits, "{suite:?}");
        }
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let keys = GroupKeys::generate().unwrap();
        let group = |suite| seal(to_all(suite, keys.writer()), "hi", SealWith::Group(keys.writer()), &ALICE).unwrap();
        let with_group = OpenWith::Group(keys.writer());
        for (envelope, with) in [
            (direct("hi"), OpenWith::Direct(&BOB_ENCRYPTION)),
            (group(Suite::GroupCbc), with_group),
            (group(Suite::GroupEcb), with_group),
        ] {
            let bytes = envelope.encode();
            assert!(received(&bytes, with).is_some());
            for position in 0..bytes.len() {
                for change in [0x01, 0x80] {
                    let mut changed = bytes.clone();
                    changed[position] ^= change;
                    assert_eq!(received(&changed, with), None, "byte {position}");
                }
            }
        }
    }

    #[test]
    fn a_copy_signed_by_somebody_else_does_not_open() {
        let mut envelope = direct("from alice");
        envelope.header.sender = "bob".parse().unwrap();
        envelope.header.sender_fp = BOB.public().fingerprint();
        envelope.header_bytes = envelope.header.encode();
        envelope.signature = BOB.sign(&envelope.signed_bytes()).unwrap();
        assert!(verify(&envelope, BOB.public()));
        assert_eq!(open(&envelope, OpenWith::Direct(&BOB_ENCRYPTION)), Err(OpenError));
    }

    #[test]
    fn a_message_sealed_anew_for_somebody_else_is_refused() {
        let envelope = direct("for bob only");
        let plaintext = direct::decrypt(&BOB_ENCRYPTION, &envelope.ciphertext).unwrap().plaintext;
        let mut forwarded = envelope.clone();
        forwarded.ciphertext = direct::encrypt(CAROL_ENCRYPTION.public(), &plaintext).unwrap();
        assert!(!verify(&forwarded, ALICE.public()), "the signature covers the ciphertext");
        assert_eq!(open(&forwarded, OpenWith::Direct(&CAROL_ENCRYPTION)), Err(OpenError), "recipient kept");

        forwarded.header.recipient = "carol".parse().unwrap();
        forwarded.header.recipient_fp = CAROL_ENCRYPTION.public().fingerprint();
        assert!(!verify(&forwarded, ALICE.public()), "the signature covers the recipient");
        forwarded.header_bytes = forwarded.header.encode();
        assert!(!verify(&forwarded, ALICE.public()), "the signature covers the recipient");
        assert_eq!(open(&forwarded, OpenWith::Direct(&CAROL_ENCRYPTION)), Err(OpenError), "H covers the recipient");
    }

    #[test]
    fn the_sender_named_must_be_the_one_who_signed() {
        let envelope = direct("hi");
        assert!(!verify(&envelope, BOB.public()));
        let mut claimed = envelope;
        claimed.header.sender_fp = BOB.public().fingerprint();
        let claimed = signed_again(claimed);
        assert!(!verify(&claimed, ALICE.public()));
        assert!(!verify(&claimed, BOB.public()));
    }

    #[test]
    fn a_text_sealed_often_never_looks_the_same() {
        let keys = GroupKeys::generate().unwrap();
        let (mut seen, mut blocks) = (HashSet::new(), HashSet::new());
        let text = "the same words over and over, the same words over and over";
        let mut count = 0;
        for _ in 0..300 {
            let sealed =
                seal(to_all(Suite::GroupCbc, keys.writer()), text, SealWith::Group(keys.writer()), &ALICE).unwrap();
            assert!(seen.insert(sealed.commitment.to_vec()));
            assert!(seen.insert(sealed.signature));
            count += sealed.ciphertext.len() / 8;
            blocks.extend(sealed.ciphertext.chunks(8).map(<[u8]>::to_vec));
            let sealed = direct(text);
            assert!(seen.insert(sealed.ciphertext));
            assert!(seen.insert(sealed.commitment.to_vec()));
            assert!(seen.insert(sealed.signature));
        }
        assert_eq!(blocks.len(), count, "a block came twice");
    }

    #[test]
    fn a_text_has_at_most_4096_bytes() {
        let keys = GroupKeys::generate().unwrap();
        let longest = "x".repeat(TEXT_MAX);
        let bytes = direct(&longest).encode();
        assert_eq!(received(&bytes, OpenWith::Direct(&BOB_ENCRYPTION)).as_deref(), Some(&longest[..]));
        let header = to_all(Suite::GroupCbc, keys.writer());
        let bytes = seal(header, &longest, SealWith::Group(keys.writer()), &ALICE).unwrap().encode();
        assert_eq!(received(&bytes, OpenWith::Group(keys.writer())).as_deref(), Some(&longest[..]));

        let too_long = format!("{longest}x");
        let error = seal(to_bob(), &too_long, SealWith::Direct(BOB_ENCRYPTION.public()), &ALICE).unwrap_err();
        assert_eq!(error, SealError::TooLong { bytes: 4097 });
    }

    #[test]
    fn a_plaintext_that_is_no_text_does_not_open() {
        let keys = GroupKeys::generate().unwrap();
        let opened = |plaintext: &[u8]| {
            let header = to_all(Suite::GroupCbc, keys.writer());
            let header_bytes = header.encode();
            let commitment = commit(&header_bytes, plaintext);
            let ciphertext = group::encrypt_cbc(keys.writer().des_secret().unwrap(), plaintext).unwrap();
            let envelope = Envelope { header, header_bytes, commitment, ciphertext, signature: Vec::new() };
            open(&signed_again(envelope), OpenWith::Group(keys.writer())).map(|text| text.to_string())
        };
        let salted = |content: &[u8]| [&[7; SALT], content].concat();
        assert_eq!(opened(&salted(b"\x01hi")).as_deref(), Ok("hi"));
        assert_eq!(opened(&salted(b"\x02hi")), Err(OpenError), "an unknown type");
        assert_eq!(opened(&salted(b"\x01\xff")), Err(OpenError), "not UTF-8");
        assert_eq!(opened(&salted(b"")), Err(OpenError), "no type");
        assert_eq!(opened(b"short"), Err(OpenError), "no salt");
        assert_eq!(opened(b""), Err(OpenError), "nothing");
        let long = [&[1], &[b'x'; TEXT_MAX + 1][..]].concat();
        assert_eq!(opened(&salted(&long)), Err(OpenError), "too long");
    }

    #[track_caller]
    fn refused(header: Header, with: SealWith<'_>, field: &str) {
        let error = seal(header, "hi", with, &ALICE).unwrap_err();
        assert!(error.to_string().contains(field), "{error} does not name {field}");
    }

    #[test]
    fn a_header_that_does_not_fit_the_keys_is_not_sealed() {
        let keys = GroupKeys::generate().unwrap();
        let bob = SealWith::Direct(BOB_ENCRYPTION.public());
        let all = SealWith::Group(keys.writer());
        refused(Header { sender_fp: BOB.public().fingerprint(), ..to_bob() }, bob, "sender_fp");
        refused(to_bob(), SealWith::Direct(CAROL_ENCRYPTION.public()), "recipient_fp");
        refused(to_bob(), all, "recipient_fp");
        refused(Header { suite: Suite::GroupCbc, ..to_bob() }, bob, "suite");
        refused(Header { suite: Suite::Direct, ..to_all(Suite::GroupCbc, keys.writer()) }, all, "suite");
        refused(Header { recipient: Recipient::All, ..to_bob() }, bob, "suite");
        refused(Header { seq: 0, prev: 0, ..to_bob() }, bob, "seq");
        refused(Header { prev: 7, ..to_bob() }, bob, "prev");
    }

    #[test]
    fn no_failure_leaves_an_error_behind() {
        let mut envelope = direct("hi");
        envelope.ciphertext = vec![7; 256];
        assert_eq!(open(&envelope, OpenWith::Direct(&BOB_ENCRYPTION)), Err(OpenError));
        assert!(!verify(&envelope, ALICE.public()));
        assert!(openssl::error::ErrorStack::get().errors().is_empty());
    }
}
