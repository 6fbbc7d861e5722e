//! Suite 0x01: a text sealed for one RSA key, in chunks of RSAES-PKCS1-v1_5 (RFC 8017, section 7.2).
//!
//! Every chunk but the last holds exactly k−11 bytes, where k is the modulus in bytes, and the last is not empty:
//! so one plaintext length has one number of chunks, and the order of chunks is held by the commitment over all of them.

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
    encrypt_chunks(key, plaintext).map_err(KeyError::while_doing("encrypting for the recipient"))
}

/// Opens what [`encrypt`] sealed; `None` if its length alone shows that it is nothing of the kind.
///
/// An answer that depends on whether the padding was right would be Bleichenbacher's oracle. So all chunks are decrypted
/// whatever became of the earlier ones, and the caller decides once, at the end. That is not constant time: OpenSSL
/// compares the padding so, but before its version 3.2 it then reports bad padding as an error, which costs a little
/// more than success; from 3.2 on it gives random bytes instead, which fail at the commitment. What protects is that
/// nothing is sent because of a message once its signature was checked, and that a bad signature ends before this.
pub(super) fn decrypt(key: &PrivateKey, ciphertext: &[u8]) -> Option<Opened> {
    let k = key.pkey().size();
    let room = k.checked_sub(OVERHEAD)?;
    let chunks = ciphertext.len() / k;
    if !ciphertext.len().is_multiple_of(k) || !(1..=PLAINTEXT_MAX.div_ceil(room)).contains(&chunks) {
        return None;
    }
    let mut context = decryption(key).ok()?;
    let mut opened = Opened { plaintext: Zeroizing::new(Vec::with_capacity(chunks * k)), whole: true };
    for (number, sealed) in ciphertext.chunks_exact(k).enumerate() {
        let mut chunk = Zeroizing::new(vec![0; k]);
        let length = context.decrypt(sealed, Some(&mut chunk)).unwrap_or(0);
        let is_last = number + 1 == chunks;
        opened.whole &= length == room || (is_last && (1..room).contains(&length));
        chunk.truncate(if opened.whole { length } else { room });
        opened.plaintext.extend_from_slice(&chunk);
    }
    Some(opened)
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
