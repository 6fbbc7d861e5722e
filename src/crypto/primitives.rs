//! Whether OpenSSL does here what TopChat needs: openssl.cnf may leave algorithms out, for every program of the machine.

use std::path::PathBuf;

use openssl::derive::Deriver;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{Signer, Verifier};
use openssl::symm::{self, Cipher};

use super::certificate;
use super::keys::PublicKey;
use crate::limits::RSA_BITS_DEFAULT;

/// What OpenSSL does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The algorithm, in the field's words.
    pub what: &'static str,
    /// OpenSSL's own words.
    pub reason: String,
}

/// The first of all algorithms in use that is not there. Takes under a millisecond: long computations are tried with their least cost.
pub fn lacking() -> Option<Lacking> {
    EACH.iter().find_map(|(what, works)| lacks(what, *works))
}

/// The same of what takes up to seconds: a new RSA key that signs and decrypts.
pub fn lacking_with_a_new_key() -> Option<Lacking> {
    lacking().or_else(|| lacks("RSA keys that sign and decrypt (PKCS #1 v1.5)", sign_and_decrypt))
}

/// The file that tells OpenSSL what it may do: `OPENSSL_CONF`, or the one of the system.
pub fn configuration() -> PathBuf {
    std::env::var_os("OPENSSL_CONF").filter(|path| !path.is_empty()).map_or_else(
        || {
            let folder = openssl::version::dir().trim_start_matches("OPENSSLDIR: ").trim_matches('"');
            PathBuf::from(folder).join("openssl.cnf")
        },
        PathBuf::from,
    )
}

type Works = fn() -> Result<(), ErrorStack>;

const EACH: [(&str, Works); 10] = [
    ("random numbers", || {
        openssl::rand::rand_bytes(&mut [0; 16]).and_then(|()| openssl::rand::rand_priv_bytes(&mut [0; 16]))
    }),
    ("SHA-256", || openssl::hash::hash(MessageDigest::sha256(), b"").map(drop)),
    ("HMAC-SHA-256", || {
        let key = PKey::hmac(&[1; 32])?;
        Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(b"").map(drop)
    }),
    ("PBKDF2", || openssl::pkcs5::pbkdf2_hmac(&[1; 16], &[2; 16], 1000, MessageDigest::sha256(), &mut [0; 32])),
    ("scrypt", || openssl::pkcs5::scrypt(&[1; 16], &[2; 16], 16, 8, 1, SCRYPT_MEMORY, &mut [0; 32])),
    ("AES-256", || {
        symm::encrypt(Cipher::aes_256_cbc(), &[1; 32], Some(&[2; 16]), b"")?;
        symm::encrypt_aead(Cipher::aes_256_gcm(), &[1; 32], Some(&[2; 12]), b"", b"", &mut [0; 16]).map(drop)
    }),
    ("DES (as DES-EDE3)", || {
        // One key three times, as for the group: a library that refuses that refuses every message to ALL.
        symm::encrypt(Cipher::des_ede3_cbc(), &DES.repeat(3), Some(&[2; 8]), b"").map(drop)
    }),
    ("RSA encryption (PKCS #1 v1.5)", || {
        let key = PublicKey::decoy().map_err(|_| ErrorStack::get())?;
        let rsa = key.pkey().rsa()?;
        rsa.public_encrypt(b"text", &mut vec![0; rsa.size() as usize], Padding::PKCS1)?;
        Verifier::new(MessageDigest::sha256(), key.pkey())?.verify_oneshot(&[1; 384], b"text").map(drop)
    }),
    ("Ed25519 and X25519", || {
        Signer::new_without_digest(&*PKey::generate_ed25519()?)?.sign_oneshot_to_vec(b"text")?;
        let (one, other) = (PKey::generate_x25519()?, PKey::generate_x25519()?);
        let mut deriver = Deriver::new(&one)?;
        deriver.set_peer(&other)?;
        deriver.derive_to_vec().map(drop)
    }),
    ("ECDSA over P-256", || certificate::make().map(drop)),
];

/// Enough for the least cost of scrypt.
const SCRYPT_MEMORY: u64 = 1024 * 1024;
/// The example of FIPS 81: a key that is not weak.
const DES: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

fn lacks(what: &'static str, works: Works) -> Option<Lacking> {
    let stack = works().err()?;
    let reason = stack.errors().iter().find_map(openssl::error::Error::reason);
    Some(Lacking { what, reason: reason.unwrap_or("no reason given").to_owned() })
}

fn sign_and_decrypt() -> Result<(), ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(RSA_BITS_DEFAULT)?)?;
    let signature = Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(b"text")?;
    Verifier::new(MessageDigest::sha256(), &key)?.verify_oneshot(&signature, b"text")?;
    let rsa = key.rsa()?;
    let (mut sealed, mut opened) = (vec![0; rsa.size() as usize], vec![0; rsa.size() as usize]);
    rsa.public_encrypt(b"text", &mut sealed, Padding::PKCS1)?;
    rsa.private_decrypt(&sealed, &mut opened, Padding::PKCS1).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lacking_where_the_tests_run() {
        assert_eq!(lacking_with_a_new_key(), None);
    }

    #[test]
    fn what_is_lacking_is_named_with_the_reason() {
        let lacking = lacks("scrypt", || openssl::pkcs5::scrypt(b"", b"", 3, 8, 1, 1, &mut [0; 32])).unwrap();
        assert_eq!(lacking.what, "scrypt");
        assert!(!lacking.reason.is_empty());
        assert!(ErrorStack::get().errors().is_empty());
    }
}
