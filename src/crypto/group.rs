//! Suites 0x11 and 0x12: DES (FIPS 46-3) in CBC or ECB (FIPS 81) with PKCS#7 padding (RFC 5652, section 6.3).
//!
//! OpenSSL 3 has single DES in its `legacy` provider only, which many systems leave out. Triple DES, in the default
//! provider, encrypts with K1, decrypts with K2 and encrypts with K3; with one key for all three the first two steps
//! undo each other, and what is left *is* single DES, bit for bit. So EDE3 with K‖K‖K is the one path here,
//! which the known answers below and `openssl enc -des-cbc` confirm.

use openssl::error::ErrorStack;
use openssl::symm::{Cipher, Crypter, Mode};
use zeroize::Zeroizing;

use super::direct::Opened;
use super::keys::KeyError;
use super::random;

const BLOCK: usize = 8;

/// Random IV, then DES-CBC.
pub(super) fn encrypt_cbc(key: &[u8; BLOCK], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
    let iv = random::bytes::<BLOCK>();
    let sealed = des(Mode::Encrypt, key, Some(&iv), plaintext, PADDED).map_err(failed())?;
    Ok([&iv[..], &sealed].concat())
}

/// Opens IV and DES-CBC; `None` if no length like this can come of sealing.
pub(super) fn decrypt_cbc(key: &[u8; BLOCK], ciphertext: &[u8]) -> Option<Opened> {
    let (iv, sealed) = ciphertext.split_at_checked(BLOCK)?;
    des(Mode::Decrypt, key, Some(iv), sealed, BARE).ok().and_then(unpadded)
}

/// DES-ECB: equal blocks of text give equal blocks of ciphertext.
pub(super) fn encrypt_ecb(key: &[u8; BLOCK], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
    des(Mode::Encrypt, key, None, plaintext, PADDED).map(|sealed| sealed.to_vec()).map_err(failed())
}

/// Opens DES-ECB; `None` if no length like this can come of sealing.
pub(super) fn decrypt_ecb(key: &[u8; BLOCK], ciphertext: &[u8]) -> Option<Opened> {
    des(Mode::Decrypt, key, None, ciphertext, BARE).ok().and_then(unpadded)
}

/// Without the padding, which OpenSSL adds and this takes away: OpenSSL ends at bad padding without the text, earlier than at good one.
/// Here bad padding is no end: the caller compares the commitment in any case, and decides once, so that the time does not tell the ways
/// to fail apart.
fn unpadded(mut padded: Zeroizing<Vec<u8>>) -> Option<Opened> {
    let padding = *padded.last()?;
    let length = usize::from(padding);
    let is_good = (1..=BLOCK).contains(&length)
        && padded.iter().rev().take(length).fold(0, |differs, byte| differs | (byte ^ padding)) == 0;
    let kept = padded.len() - if is_good { length } else { 0 };
    padded.truncate(kept);
    Some(Opened { plaintext: padded, whole: is_good })
}

/// OpenSSL fills up the last block, or takes what filled it away.
const PADDED: bool = true;
/// Whole blocks, as they are.
const BARE: bool = false;

/// CBC with an IV, ECB without.
fn des(
    mode: Mode,
    key: &[u8; BLOCK],
    iv: Option<&[u8]>,
    input: &[u8],
    padded: bool,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let cipher = if iv.is_some() { Cipher::des_ede3_cbc() } else { Cipher::des_ede3() };
    let triple = Zeroizing::new([*key, *key, *key].concat());
    let mut crypter = Crypter::new(cipher, mode, &triple, iv)?;
    crypter.pad(padded);
    let mut output = Zeroizing::new(vec![0; input.len() + 2 * BLOCK]);
    let mut length = crypter.update(input, &mut output)?;
    length += crypter.finalize(&mut output[length..])?;
    output.truncate(length);
    Ok(output)
}

fn failed() -> impl Fn(ErrorStack) -> KeyError {
    KeyError::while_doing("encrypting for the group")
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::crypto::group_key::GroupKeys;

    /// `key plaintext ciphertext` a line.
    const KNOWN_ANSWERS: &str = include_str!("../../tests/crypto/des-known-answers.txt");

    fn hex(digits: &str) -> Vec<u8> {
        HEXLOWER.decode(digits.as_bytes()).unwrap()
    }

    fn block(digits: &str) -> [u8; BLOCK] {
        hex(digits).try_into().unwrap()
    }

    fn key() -> GroupKeys {
        GroupKeys::parse("topchat-group-key v1\n000102030405060708090a0b0c0d0e0f 0123456789abcdef\n").unwrap()
    }

    #[test]
    fn one_block_gives_the_known_answers_of_nbs_500_20() {
        let mut count = 0;
        for line in KNOWN_ANSWERS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let [key, plain, sealed] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(*des(Mode::Encrypt, &block(key), None, &hex(plain), BARE).unwrap(), hex(sealed), "{line}");
            assert_eq!(*des(Mode::Decrypt, &block(key), None, &hex(sealed), BARE).unwrap(), hex(plain), "{line}");
            count += 1;
        }
        assert_eq!(count, 64 + 56 + 19);
    }

    #[test]
    fn ecb_gives_the_example_of_fips_81() {
        let key = block("0123456789abcdef");
        let sealed = des(Mode::Encrypt, &key, None, b"Now is the time for all ", BARE).unwrap();
        assert_eq!(*sealed, hex("3fa40e8a984d48156a271787ab8883f9893d51ec4b563b53"));
        assert_eq!(*des(Mode::Decrypt, &key, None, &sealed, BARE).unwrap(), b"Now is the time for all ");
    }

    #[test]
    fn cbc_gives_the_example_of_fips_81() {
        let (key, iv) = (block("0123456789abcdef"), hex("1234567890abcdef"));
        let sealed = des(Mode::Encrypt, &key, Some(&iv), b"Now is the time for all ", BARE).unwrap();
        assert_eq!(*sealed, hex("e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6"));
        assert_eq!(*des(Mode::Decrypt, &key, Some(&iv), &sealed, BARE).unwrap(), b"Now is the time for all ");
    }

    #[test]
    fn padding_fills_up_to_the_next_block_and_never_nothing() {
        let keys = key();
        for length in 0..=3 * BLOCK {
            let plain = vec![b'x'; length];
            let padded = (length / BLOCK + 1) * BLOCK;
            let cbc = encrypt_cbc(keys.writer().des_secret().unwrap(), &plain).unwrap();
            let ecb = encrypt_ecb(keys.writer().des_secret().unwrap(), &plain).unwrap();
            assert_eq!((cbc.len(), ecb.len()), (BLOCK + padded, padded));
            for opened in [
                decrypt_cbc(keys.writer().des_secret().unwrap(), &cbc),
                decrypt_ecb(keys.writer().des_secret().unwrap(), &ecb),
            ]
            .map(Option::unwrap)
            {
                assert!(opened.whole);
                assert_eq!(*opened.plaintext, plain);
            }
        }
    }

    #[test]
    fn bad_padding_goes_as_far_as_good_padding() {
        let keys = key();
        let sealed =
            |padded: &[u8]| des(Mode::Encrypt, keys.writer().des_secret().unwrap(), None, padded, BARE).unwrap();
        let block = |end: &[u8]| [&[b'x'; 2 * BLOCK][end.len()..], end].concat();
        for good in [&[1][..], &[2; 2], &[8; 8]] {
            let opened = decrypt_ecb(keys.writer().des_secret().unwrap(), &sealed(&block(good))).unwrap();
            assert!(opened.whole);
            assert_eq!(opened.plaintext.len(), 2 * BLOCK - good.len());
        }
        for bad in [&[0][..], &[9; 9], &[1, 2], &[2, 3, 3], &[0xff; 8]] {
            let opened = decrypt_ecb(keys.writer().des_secret().unwrap(), &sealed(&block(bad))).unwrap();
            assert!(!opened.whole, "{bad:?}");
            assert_eq!(*opened.plaintext, block(bad), "the commitment is compared with all of it");
        }
    }

    #[test]
    fn ciphertexts_of_impossible_lengths_do_not_open() {
        let keys = key();
        for length in (0..40).filter(|length| length % BLOCK != 0 || *length == 0) {
            assert!(
                decrypt_ecb(keys.writer().des_secret().unwrap(), &vec![7; length]).is_none(),
                "ECB of {length} bytes"
            );
            assert!(
                decrypt_cbc(keys.writer().des_secret().unwrap(), &vec![7; length]).is_none(),
                "CBC of {length} bytes"
            );
        }
        assert!(decrypt_cbc(keys.writer().des_secret().unwrap(), &[7; BLOCK]).is_none(), "an IV alone");
    }

    #[test]
    fn ecb_shows_equal_blocks_and_cbc_does_not() {
        let keys = key();
        let ecb = encrypt_ecb(keys.writer().des_secret().unwrap(), &[0; 64]).unwrap();
        assert_eq!(ecb[..BLOCK], ecb[BLOCK..2 * BLOCK]);
        let cbc = encrypt_cbc(keys.writer().des_secret().unwrap(), &[0; 64]).unwrap();
        assert_ne!(cbc[BLOCK..2 * BLOCK], cbc[2 * BLOCK..3 * BLOCK]);
    }
}
