//! Suite 0x02: HPKE in base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM.
//!
//! One message per context, so that its first nonce is its only one.

use zeroize::Zeroizing;

use super::{aead, hkdf};
use crate::crypto::curve::{OpeningKey, POINT, SealingKey};
use crate::crypto::direct::Opened;
use crate::crypto::keys::KeyError;

/// What every label begins with (RFC 9180, section 4).
const VERSION: &[u8] = b"HPKE-v1";
/// `suite_id` of the key encapsulation: KEM 0x0020.
const KEM: &[u8] = b"KEM\x00\x20";
/// `suite_id` of the whole: KEM 0x0020, KDF 0x0001, AEAD 0x0002.
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x02";

/// `key_schedule_context` (section 5.1): base mode, `psk_id_hash` of nothing, `info_hash` of this protocol's label. The same for
/// every message, so it is not computed for each.
pub(super) struct Context([u8; 65]);

/// For the info `"TopChat-hpke-v1\0"`, as the test computes it.
const CONTEXT: Context = Context([
    0x00, 0x4c, 0xe5, 0x47, 0x2e, 0xcd, 0xd5, 0x09, 0x3b, 0xa0, 0xae, 0xcb, 0x8f, 0x87, 0x1f, 0xf1, 0x3f, 0x1f, 0xbc,
    0x90, 0xee, 0x76, 0xf0, 0xe1, 0x8a, 0xce, 0x1a, 0x1b, 0x7e, 0x56, 0x5b, 0xaf, 0xa3, 0x56, 0x02, 0x2c, 0xa3, 0x13,
    0xd5, 0x97, 0x1f, 0xb0, 0x3b, 0xa5, 0x70, 0xad, 0xc0, 0x09, 0xc8, 0xfc, 0xde, 0x70, 0x30, 0x5f, 0x64, 0x40, 0x00,
    0x1e, 0x35, 0x8f, 0xfe, 0xae, 0x48, 0x45, 0xf9,
]);

/// `enc`, then what is sealed, then the tag.
pub(super) fn seal(key: &SealingKey, bound: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
    seal_with(&OpeningKey::generate()?, &CONTEXT, key, bound, plaintext)
}

/// Opens what [`seal`] made for this key and bound to this; `None` if it is too short to be that, or OpenSSL could not do its part.
///
/// A point that is refused costs what another costs, and a bad tag gives zeros, which the caller's commitment is computed over: so the
/// time does not tell the ways to fail apart.
pub(super) fn open(key: &OpeningKey, bound: &[u8], sealed: &[u8]) -> Option<Opened> {
    open_with(&CONTEXT, key, bound, sealed)
}

fn seal_with(
    ephemeral: &OpeningKey,
    context: &Context,
    key: &SealingKey,
    bound: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let enc = ephemeral.public().point();
    let shared = shared_secret(&*ephemeral.agree(key)?, enc, key.point());
    let (key, nonce) = schedule(&shared, context);
    Ok([&enc[..], &aead::seal(&key, &nonce, bound, plaintext)?].concat())
}

fn open_with(context: &Context, key: &OpeningKey, bound: &[u8], sealed: &[u8]) -> Option<Opened> {
    let (enc, sealed) = sealed.split_first_chunk::<POINT>()?;
    let length = sealed.len().checked_sub(aead::TAG)?;
    let sender = SealingKey::from_point(enc);
    let is_good = sender.is_ok();
    let dh = key.agree(&sender.unwrap_or_else(|_| key.public().clone())).ok()?;
    let shared = shared_secret(&dh, enc, key.public().point());
    let (key, nonce) = schedule(&shared, context);
    let opened = aead::open(&key, &nonce, bound, sealed);
    let whole = is_good & opened.is_some();
    Some(Opened { plaintext: opened.unwrap_or_else(|| Zeroizing::new(vec![0; length])), whole })
}

/// `ExtractAndExpand` (section 4.1): the Diffie-Hellman value with both points in its derivation.
fn shared_secret(dh: &[u8; POINT], enc: &[u8; POINT], recipient: &[u8; POINT]) -> Zeroizing<[u8; 32]> {
    let key = labeled_extract(KEM, b"", b"eae_prk", dh);
    labeled_expand(KEM, &key, b"shared_secret", &[enc, recipient])
}

/// `KeySchedule` (section 5.1): key and first nonce.
fn schedule(shared: &[u8; 32], context: &Context) -> (Zeroizing<[u8; aead::KEY]>, Zeroizing<[u8; aead::NONCE]>) {
    let secret = labeled_extract(SUITE, shared, b"secret", b"");
    let context: &[&[u8]] = &[&context.0];
    (labeled_expand(SUITE, &secret, b"key", context), labeled_expand(SUITE, &secret, b"base_nonce", context))
}

/// `LabeledExtract` (section 4).
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], secret: &[u8]) -> Zeroizing<[u8; 32]> {
    hkdf::extract(salt, &[VERSION, suite, label, secret])
}

/// `LabeledExpand` (section 4).
fn labeled_expand<const N: usize>(suite: &[u8], key: &[u8; 32], label: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let length = u16::try_from(N).expect("keys are short").to_be_bytes();
    hkdf::expand(key, &[&[&length[..], VERSION, suite, label], info].concat())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::LazyLock;

    use data_encoding::HEXLOWER;

    use super::*;

    /// `name hex` a line.
    static KNOWN_ANSWERS: LazyLock<HashMap<&str, Vec<u8>>> = LazyLock::new(|| {
        let lines = include_str!("../../../tests/crypto/hpke-known-answers.txt").lines();
        let values = lines.filter(|line| !line.starts_with('#')).map(|line| line.split_once(' ').unwrap());
        values.map(|(name, digits)| (name, HEXLOWER.decode(digits.as_bytes()).unwrap())).collect()
    });

    fn known(name: &str) -> &'static [u8] {
        &KNOWN_ANSWERS[name]
    }

    fn context(info: &[u8]) -> Context {
        let [psk_id, info] = [(&b"psk_id_hash"[..], &b""[..]), (b"info_hash", info)]
            .map(|(label, secret)| labeled_extract(SUITE, b"", label, secret));
        Context([&[0][..], &psk_id[..], &info[..]].concat().try_into().unwrap())
    }

    /// `DeriveKeyPair` (section 7.1.3).
    fn derived(seed: &str) -> OpeningKey {
        let key = labeled_extract(KEM, b"", b"dkp_prk", known(seed));
        OpeningKey::from_secret(&labeled_expand::<32>(KEM, &key, b"sk", &[])[..]).unwrap()
    }

    fn key() -> OpeningKey {
        OpeningKey::generate().unwrap()
    }

    fn opened(key: &OpeningKey, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        open(key, bound, sealed).filter(|opened| opened.whole).map(|opened| opened.plaintext.to_vec())
    }

    #[test]
    fn every_value_is_that_of_rfc_9180() {
        let context = context(known("info"));
        assert_eq!(context.0, known("key_schedule_context"));
        let (ephemeral, recipient) = (derived("ikmE"), derived("ikmR"));
        assert_eq!(ephemeral.public().point(), known("pkEm"));
        assert_eq!(recipient.public().point(), known("pkRm"));
        let dh = ephemeral.agree(recipient.public()).unwrap();
        let shared = shared_secret(&dh, ephemeral.public().point(), recipient.public().point());
        assert_eq!(*shared, known("shared_secret"));
        let (key, nonce) = schedule(&shared, &context);
        assert_eq!((&key[..], &nonce[..]), (known("key"), known("base_nonce")));
        let sealed = seal_with(&ephemeral, &context, recipient.public(), known("aad"), known("pt")).unwrap();
        assert_eq!(sealed, [known("enc"), known("ct")].concat());
        let opened = open_with(&context, &recipient, known("aad"), &sealed).unwrap();
        assert!(opened.whole);
        assert_eq!(*opened.plaintext, known("pt"));
    }

    #[test]
    fn the_context_is_that_of_this_protocols_label() {
        assert_eq!(CONTEXT.0, context(b"TopChat-hpke-v1\0").0);
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_what_it_is_bound_to_alone() {
        let (bob, carol) = (key(), key());
        let sealed = seal(bob.public(), b"header", b"hello").unwrap();
        assert_eq!(sealed.len(), 32 + 5 + 16);
        assert_eq!(opened(&bob, b"header", &sealed).as_deref(), Some(&b"hello"[..]));
        assert_eq!(opened(&carol, b"header", &sealed), None);
        assert_eq!(opened(&bob, b"heather", &sealed), None);
        for position in 0..sealed.len() {
            for change in [0x01, 0x80] {
                let mut changed = sealed.clone();
                changed[position] ^= change;
                assert_eq!(opened(&bob, b"header", &changed), None, "byte {position}");
            }
            assert_eq!(opened(&bob, b"header", &sealed[..position]), None, "{position} bytes");
        }
        assert_ne!(sealed, seal(bob.public(), b"header", b"hello").unwrap(), "every message has a key of its own");
        assert!(openssl::error::ErrorStack::get().errors().is_empty());
    }

    #[test]
    fn a_failure_goes_as_far_as_a_success() {
        let bob = key();
        let mut sealed = seal(bob.public(), b"header", b"hello").unwrap();
        let zeros = |sealed: &[u8]| {
            let opened = open(&bob, b"header", sealed).unwrap();
            assert!(!opened.whole);
            assert_eq!(*opened.plaintext, [0; 5]);
        };
        *sealed.last_mut().unwrap() ^= 1;
        zeros(&sealed);
        for point in [[0; 32], [0xff; 32]] {
            sealed[..32].copy_from_slice(&point);
            zeros(&sealed);
        }
    }
}
