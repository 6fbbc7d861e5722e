//! What the suites 0x02 and 0x13 put into an envelope: a plaintext that hides its length, sealed with AES-256-GCM for an X25519 key
//! or under the group's key, and signed with Ed25519.
//!
//! GCM does not commit to its key: somebody who knows two can make what opens with both, to two texts. The commitment `H` does.

pub(super) mod aead;
mod hkdf;
mod hpke;

use zeroize::Zeroizing;

use super::curve::{OpeningKey, SealingKey, SigningKey, VerifyingKey};
use super::direct::Opened;
use super::keys::KeyError;
use super::{curve, digest, random};
use crate::limits::{PADDING_STEP, TEXT_MAX};
use crate::wire::{Fingerprint, signed};

/// The only type of content so far.
const TYPE_TEXT: u8 = 1;
const SALT: usize = 16;
/// Salt, type and length: what comes before the content.
const BEFORE: usize = SALT + 3;
/// A key's fingerprint, then its signature.
const SIGNATURE: usize = 32 + curve::SIGNATURE;
const GROUP: &[u8] = b"TopChat-group-v1\0";

/// The group's key, and the id of the message that is sealed with it.
#[derive(Clone, Copy)]
pub struct ForGroup<'a> {
    /// The key of the group.
    pub key: &'a [u8; aead::KEY],
    /// The message's id.
    pub message: &'a [u8; 16],
}

/// Who can open a message.
#[derive(Clone, Copy)]
pub enum SealFor<'a> {
    /// Suite 0x02: whoever has this key's private half.
    Direct(&'a SealingKey),
    /// Suite 0x13: whoever has the group's key.
    Group(ForGroup<'a>),
}

/// What a message is opened with.
#[derive(Clone, Copy)]
pub enum OpenBy<'a> {
    /// Suite 0x02: one's own key.
    Direct(&'a OpeningKey),
    /// Suite 0x13: the group's key.
    Group(ForGroup<'a>),
}

/// An envelope's fields behind its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// `H`.
    pub commitment: [u8; 32],
    /// `C`.
    pub ciphertext: Vec<u8>,
    /// `S`.
    pub signature: Vec<u8>,
}

/// Seals and signs `text`, of at most [`TEXT_MAX`] bytes, behind the header `hdr`.
pub fn seal(header: &[u8], text: &str, with: SealFor<'_>, by: &SigningKey) -> Result<Sealed, KeyError> {
    seal_padded(header, &pad(TYPE_TEXT, text.as_bytes()), with, by)
}

fn seal_padded(header: &[u8], padded: &[u8], with: SealFor<'_>, by: &SigningKey) -> Result<Sealed, KeyError> {
    let commitment = commit(header, padded);
    let bound = [header, &commitment].concat();
    let ciphertext = match with {
        SealFor::Direct(key) => hpke::seal(key, &bound, padded)?,
        SealFor::Group(group) => seal_group(group, &bound, padded)?,
    };
    let fingerprint = by.public().fingerprint();
    let signature = by.sign(&signed::modern_envelope(fingerprint, header, &commitment, &ciphertext))?;
    Ok(Sealed { commitment, ciphertext, signature: [&fingerprint.0[..], &signature].concat() })
}

/// The key that a signature says is its own: the first half of `S`, if that is of the one length.
pub fn signer(signature: &[u8]) -> Option<Fingerprint> {
    signature.first_chunk().filter(|_| signature.len() == SIGNATURE).map(|bytes| Fingerprint(*bytes))
}

/// Step 5 of the receiver: whether `by` signed this behind the header, and is the key that the signature names.
pub fn verify(header: &[u8], sealed: &Sealed, by: &VerifyingKey) -> bool {
    let Some((named, signature)) = sealed.signature.split_first_chunk::<32>() else { return false };
    let fingerprint = by.fingerprint();
    *named == fingerprint.0
        && by.verify(&signed::modern_envelope(fingerprint, header, &sealed.commitment, &sealed.ciphertext), signature)
}

/// Steps 7 and 8 of the receiver: decrypts, recomputes `H`, compares it in constant time. To be called after [`verify`] only.
///
/// Every way to fail costs what opening costs: whoever could tell them apart could ask an oracle.
pub fn open(header: &[u8], sealed: &Sealed, with: OpenBy<'_>) -> Option<Zeroizing<String>> {
    let bound = [header, &sealed.commitment].concat();
    let opened = match with {
        OpenBy::Direct(key) => hpke::open(key, &bound, &sealed.ciphertext)?,
        OpenBy::Group(group) => open_group(group, &bound, &sealed.ciphertext)?,
    };
    let same = digest::equal(&commit(header, &opened.plaintext), &sealed.commitment);
    let content = unpad(&opened.plaintext);
    if !(same & opened.whole) {
        return None;
    }
    let (TYPE_TEXT, text) = content? else { return None };
    std::str::from_utf8(text).ok().map(|text| Zeroizing::new(text.to_owned()))
}

/// `P`: salt, type, length, content, zeros up to the next multiple of [`PADDING_STEP`].
fn pad(kind: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u16::try_from(content.len()).expect("a text is limited to 4096 bytes");
    let mut padded = Zeroizing::new(Vec::with_capacity((BEFORE + content.len()).next_multiple_of(PADDING_STEP)));
    padded.extend(random::bytes::<SALT>());
    padded.push(kind);
    padded.extend(length.to_be_bytes());
    padded.extend(content);
    let whole = padded.len().next_multiple_of(PADDING_STEP);
    padded.resize(whole, 0);
    padded
}

/// The type and the content in `P`, if this is their one form: no other length, and zeros behind.
fn unpad(padded: &[u8]) -> Option<(u8, &[u8])> {
    let (_salt, rest) = padded.split_first_chunk::<SALT>()?;
    let ([kind, high, low], rest) = rest.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let (content, zeros) = rest.split_at_checked(length)?;
    let is_canonical = length <= TEXT_MAX && padded.len() == (BEFORE + length).next_multiple_of(PADDING_STEP);
    let is_zero = zeros.iter().fold(0, |any, byte| any | byte) == 0;
    (is_canonical & is_zero).then_some((*kind, content))
}

/// `H`.
fn commit(header: &[u8], padded: &[u8]) -> [u8; 32] {
    digest::sha256(&Zeroizing::new(signed::modern_commitment(header, padded)))
}

/// Nonce, what is sealed, tag.
fn seal_group(group: ForGroup<'_>, bound: &[u8], padded: &[u8]) -> Result<Vec<u8>, KeyError> {
    let nonce = random::bytes();
    Ok([&nonce[..], &aead::seal(&message_key(group), &nonce, bound, padded)?].concat())
}

/// Opens what [`seal_group`] made; `None` if it is too short to be that. A bad tag gives zeros, which the commitment is computed over.
fn open_group(group: ForGroup<'_>, bound: &[u8], sealed: &[u8]) -> Option<Opened> {
    let (nonce, sealed) = sealed.split_first_chunk()?;
    let length = sealed.len().checked_sub(aead::TAG)?;
    let opened = aead::open(&message_key(group), nonce, bound, sealed);
    let whole = opened.is_some();
    Some(Opened { plaintext: opened.unwrap_or_else(|| Zeroizing::new(vec![0; length])), whole })
}

/// Each message has a key of its own, so that no nonce counts for two.
fn message_key(ForGroup { key, message }: ForGroup<'_>) -> Zeroizing<[u8; aead::KEY]> {
    hkdf::expand(&hkdf::extract(message, &[key])[..], &[GROUP])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const HEADER: &[u8] = b"a header";
    const GROUP_KEY: [u8; 32] = [7; 32];
    const MESSAGE: [u8; 16] = [8; 16];

    fn to_group() -> ForGroup<'static> {
        ForGroup { key: &GROUP_KEY, message: &MESSAGE }
    }

    /// Verified and opened.
    fn received(header: &[u8], sealed: &Sealed, by: &VerifyingKey, with: OpenBy<'_>) -> Option<String> {
        verify(header, sealed, by).then(|| open(header, sealed, with)).flatten().map(|text| text.to_string())
    }

    struct People {
        alice: SigningKey,
        bob: OpeningKey,
    }

    fn people() -> People {
        People { alice: SigningKey::generate().unwrap(), bob: OpeningKey::generate().unwrap() }
    }

    #[test]
    fn what_is_sealed_opens_with_the_right_key_alone() {
        let People { alice, bob } = people();
        let (mallory, carol) = (SigningKey::generate().unwrap(), OpeningKey::generate().unwrap());
        for (with, by) in [
            (SealFor::Direct(bob.public()), OpenBy::Direct(&bob)),
            (SealFor::Group(to_group()), OpenBy::Group(to_group())),
        ] {
            for text in ["", "hi", "naïve \u{1f600}"] {
                let sealed = seal(HEADER, text, with, &alice).unwrap();
                assert_eq!(received(HEADER, &sealed, alice.public(), by).as_deref(), Some(text));
                assert_eq!(received(HEADER, &sealed, mallory.public(), by), None);
                assert_eq!(received(b"another", &sealed, alice.public(), by), None);
                assert_eq!(open(b"another", &sealed, by), None);
                assert_eq!(signer(&sealed.signature), Some(alice.public().fingerprint()));
                for other in [
                    OpenBy::Direct(&carol),
                    OpenBy::Group(ForGroup { key: &[9; 32], ..to_group() }),
                    OpenBy::Group(ForGroup { message: &[9; 16], ..to_group() }),
                ] {
                    assert_eq!(received(HEADER, &sealed, alice.public(), other), None);
                }
            }
        }
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let People { alice, bob } = people();
        for (with, by) in [
            (SealFor::Direct(bob.public()), OpenBy::Direct(&bob)),
            (SealFor::Group(to_group()), OpenBy::Group(to_group())),
        ] {
            let good = seal(HEADER, "hi", with, &alice).unwrap();
            let fields: [fn(&mut Sealed) -> &mut [u8]; 3] =
                [|sealed| &mut sealed.commitment, |sealed| &mut sealed.ciphertext, |sealed| &mut sealed.signature];
            for (number, field) in fields.into_iter().enumerate() {
                for position in 0..field(&mut good.clone()).len() {
                    let mut changed = good.clone();
                    field(&mut changed)[position] ^= 0x40;
                    assert!(!verify(HEADER, &changed, alice.public()), "field {number}, byte {position}");
                    let opens = number == 2;
                    assert_eq!(open(HEADER, &changed, by).is_some(), opens, "field {number}, byte {position}");
                }
            }
        }
        assert!(openssl::error::ErrorStack::get().errors().is_empty());
    }

    #[test]
    fn a_signature_names_its_key_and_has_one_length() {
        let People { alice, bob } = people();
        let sealed = seal(HEADER, "hi", SealFor::Direct(bob.public()), &alice).unwrap();
        let mallory = SigningKey::generate().unwrap();
        let mut renamed = sealed.clone();
        renamed.signature[..32].copy_from_slice(&mallory.public().fingerprint().0);
        assert!(!verify(HEADER, &renamed, alice.public()));
        assert!(!verify(HEADER, &renamed, mallory.public()));
        for length in (0..SIGNATURE).chain([SIGNATURE + 1]) {
            let mut other = sealed.clone();
            other.signature.resize(length, 0);
            assert_eq!(signer(&other.signature), None);
            assert!(!verify(HEADER, &other, alice.public()), "{length} bytes");
        }
    }

    #[test]
    fn the_length_of_a_text_shows_in_steps_of_64_bytes_only() {
        let People { alice, bob } = people();
        for length in [0, 1, 44, 45, 46, 109, 110, TEXT_MAX] {
            let text = "x".repeat(length);
            let sealed = seal(HEADER, &text, SealFor::Direct(bob.public()), &alice).unwrap();
            let padded = (19 + length).next_multiple_of(64);
            assert_eq!(sealed.ciphertext.len(), 32 + padded + 16);
            assert_eq!(open(HEADER, &sealed, OpenBy::Direct(&bob)).as_deref(), Some(&text));
            let sealed = seal(HEADER, &text, SealFor::Group(to_group()), &alice).unwrap();
            assert_eq!(sealed.ciphertext.len(), 12 + padded + 16);
            assert_eq!(open(HEADER, &sealed, OpenBy::Group(to_group())).as_deref(), Some(&text));
        }
    }

    #[test]
    fn a_plaintext_in_any_other_form_does_not_open() {
        let People { alice, bob } = people();
        let opens = |padded: &[u8]| {
            let sealed = seal_padded(HEADER, padded, SealFor::Direct(bob.public()), &alice).unwrap();
            let by_group = seal_padded(HEADER, padded, SealFor::Group(to_group()), &alice).unwrap();
            let found = open(HEADER, &sealed, OpenBy::Direct(&bob));
            assert_eq!(found, open(HEADER, &by_group, OpenBy::Group(to_group())));
            found.is_some()
        };
        let form = |kind: u8, length: u16, content: &[u8], whole: usize| {
            let mut padded = [&[5; SALT], &[kind][..], &length.to_be_bytes(), content].concat();
            padded.resize(whole, 0);
            padded
        };
        assert!(opens(&form(1, 2, b"hi", 64)));
        assert!(!opens(&form(2, 2, b"hi", 64)), "a type that is none");
        assert!(!opens(&form(1, 2, b"\xff\xff", 64)), "no UTF-8");
        assert!(!opens(&form(1, 2, b"hi", 128)), "more zeros than the next multiple takes");
        assert!(!opens(&form(1, 2, b"hi", 21)), "no zeros");
        assert!(!opens(&form(1, 2, b"hi", 63)), "too few zeros");
        assert!(!opens(&form(1, 2, b"hi", 65)), "too many zeros");
        assert!(!opens(&form(1, 46, b"hi", 64)), "longer than what there is");
        assert!(!opens(&form(1, 1, b"hi", 64)), "not only zeros behind");
        for position in 21..64 {
            let mut padded = form(1, 2, b"hi", 64);
            padded[position] = 1;
            assert!(!opens(&padded), "byte {position}");
        }
        let long = u16::try_from(TEXT_MAX + 1).unwrap();
        let most = (BEFORE + TEXT_MAX + 1).next_multiple_of(64);
        assert!(!opens(&form(1, long, &[b'x'; TEXT_MAX + 1], most)), "too long");
        for length in 0..BEFORE {
            assert!(!opens(&vec![0; length]), "{length} bytes");
        }
    }

    #[test]
    fn a_text_that_is_sealed_for_two_keys_opens_with_none_of_them() {
        // Whoever knows both keys can make one ciphertext with a good tag under each. H holds for one plaintext alone.
        let People { alice, .. } = people();
        let mut sealed = seal(HEADER, "to the one", SealFor::Group(to_group()), &alice).unwrap();
        let other = ForGroup { key: &[9; 32], ..to_group() };
        let bound = [HEADER, &sealed.commitment].concat();
        sealed.ciphertext = seal_group(other, &bound, &pad(TYPE_TEXT, b"to the other")).unwrap();
        assert_eq!(open(HEADER, &sealed, OpenBy::Group(other)), None);
    }

    #[test]
    fn a_text_sealed_often_never_looks_the_same() {
        let People { alice, bob } = people();
        let mut seen = HashSet::new();
        for _ in 0..100 {
            for with in [SealFor::Direct(bob.public()), SealFor::Group(to_group())] {
                let sealed = seal(HEADER, "the same words", with, &alice).unwrap();
                assert!(seen.insert(sealed.commitment.to_vec()));
                assert!(seen.insert(sealed.signature));
                for block in sealed.ciphertext.chunks(16) {
                    assert!(seen.insert(block.to_vec()));
                }
            }
        }
    }
}
