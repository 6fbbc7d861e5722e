//! RSA keys: the identity that signs, and the key that decrypts.
//!
//! One key never does both: whoever can ask for PKCS#1 v1.5 decryptions of a key can also forge its signatures.

use std::fmt;

use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private, Public};
use openssl::rsa::Rsa;
use openssl::sign::{Signer, Verifier};
use zeroize::Zeroizing;

use super::{digest, pkcs8};
use crate::limits::{RSA_BITS_DEFAULT, RSA_BITS_MAX, RSA_BITS_MIN, SPKI_MAX};
use crate::wire::Fingerprint;

/// The one public exponent: large enough against the attacks on small ones, and what every tool makes.
const EXPONENT: u32 = 65537;

/// Why a key can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The public exponent is another one.
    #[error("an RSA key whose public exponent is not {EXPONENT}")]
    Exponent,
    /// Not the one canonical encoding of a key, or no key at all.
    #[error("not a well-formed key")]
    Malformed,
    /// A private key that lies open, or is encrypted in another way than PKCS#8.
    #[error("not an encrypted PKCS#8 private key")]
    NotEncrypted,
    /// A key of another kind.
    #[error("not an RSA key")]
    NotRsa,
    /// OpenSSL could not do its part, for lack of memory or of an algorithm.
    #[error("OpenSSL failed while {doing}")]
    OpenSsl {
        /// What it was asked for.
        doing: &'static str,
    },
    /// The passphrase is wrong, or the file was damaged.
    #[error("the passphrase does not open the key")]
    Passphrase,
    /// A modulus over [`RSA_BITS_MAX`].
    #[error("an RSA key of {bits} bits, at most {RSA_BITS_MAX} are allowed")]
    TooLarge {
        /// Its modulus, in bits.
        bits: u32,
    },
    /// An encoding over [`SPKI_MAX`]: refused before anything looks into it.
    #[error("a public key of {bytes} bytes, at most {SPKI_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A modulus under [`RSA_BITS_MIN`].
    #[error("an RSA key of {bits} bits, at least {RSA_BITS_MIN} are needed")]
    TooSmall {
        /// Its modulus, in bits.
        bits: u32,
    },
}

impl KeyError {
    /// Turns OpenSSL's errors into one that says what was being done; the stack is empty by then.
    pub(super) fn while_doing(doing: &'static str) -> impl Fn(ErrorStack) -> Self {
        move |_| Self::OpenSsl { doing }
    }
}

/// An RSA private key. OpenSSL wipes it when it is dropped; it has no `Debug`.
pub struct PrivateKey {
    key: PKey<Private>,
    public: PublicKey,
}

impl PrivateKey {
    /// A new key with a modulus of `bits` bits and exponent 65537.
    pub fn generate(bits: u32) -> Result<Self, KeyError> {
        check_size(bits)?;
        let key = Rsa::generate(bits).and_then(PKey::from_rsa).map_err(KeyError::while_doing("making a key"))?;
        Self::new(key)
    }

    /// The key as encrypted PKCS#8 PEM, the way `openssl pkcs8 -topk8 -scrypt` writes it.
    pub fn to_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        let der =
            self.key.private_key_to_pkcs8().map(Zeroizing::new).map_err(KeyError::while_doing("encoding a key"))?;
        pkcs8::encrypt(&der, passphrase)
    }

    /// Opens encrypted PKCS#8 PEM, in every encryption that this OpenSSL knows. Never asks anybody anything.
    pub fn from_pem(pem: &[u8], passphrase: &[u8]) -> Result<Self, KeyError> {
        let private = Self::new(pkcs8::decrypt(pem, passphrase)?)?;
        private.check_pair()?;
        Ok(private)
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 8017, section 8.2).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Signer::new(MessageDigest::sha256(), &self.key)
            .and_then(|mut signer| signer.sign_oneshot_to_vec(message))
            .map_err(KeyError::while_doing("signing"))
    }

    pub(super) fn pkey(&self) -> &PKeyRef<Private> {
        &self.key
    }

    fn new(key: PKey<Private>) -> Result<Self, KeyError> {
        check(&key)?;
        let der = key.public_key_to_der().map_err(KeyError::while_doing("encoding a key"))?;
        Ok(Self { key, public: PublicKey::from_der(&der)? })
    }

    /// Whether both halves belong together: CBC lets a thief of the file change bits of it without the passphrase.
    fn check_pair(&self) -> Result<(), KeyError> {
        let message = b"TopChat-self-test-v1\0";
        match self.sign(message) {
            Ok(signature) if self.public.verify(message, &signature) => Ok(()),
            _ => Err(KeyError::Malformed),
        }
    }
}

/// An RSA public key within the limits, with its one encoding and fingerprint.
#[derive(Clone)]
pub struct PublicKey {
    key: PKey<Public>,
    der: Vec<u8>,
    fingerprint: Fingerprint,
}

impl PublicKey {
    /// Reads DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7), strictly: what it gives encodes to the same bytes.
    ///
    /// Fast for whatever a stranger sends: the length is compared first, and nothing here is worse than linear.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > SPKI_MAX {
            return Err(KeyError::TooLong { bytes: der.len() });
        }
        let key = PKey::public_key_from_der(der).map_err(|_| KeyError::Malformed)?;
        check(&key)?;
        let canonical = key.public_key_to_der().map_err(KeyError::while_doing("encoding a key"))?;
        if canonical != der {
            return Err(KeyError::Malformed);
        }
        Ok(Self { key, fingerprint: Fingerprint(digest::sha256(&canonical)), der: canonical })
    }

    /// DER SubjectPublicKeyInfo.
    pub fn to_der(&self) -> &[u8] {
        &self.der
    }

    /// The same as PEM, for the `openssl` command.
    pub fn to_pem(&self) -> String {
        pkcs8::pem("PUBLIC KEY", &self.der)
    }

    /// SHA-256 of the DER SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Size of the modulus, in bits.
    pub fn bits(&self) -> u32 {
        self.key.bits()
    }

    /// Whether `signature` is this key's over `message`: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Verifier::new(MessageDigest::sha256(), &self.key)
            .and_then(|mut verifier| verifier.verify_oneshot(signature, message))
            .unwrap_or(false)
    }

    /// A key that nobody holds, so that refusing an unknown name takes the time of refusing a known one.
    ///
    /// Its modulus is a random odd number of the default size, whose factors nobody knows.
    pub fn decoy() -> Result<Self, KeyError> {
        let der = random_modulus_der().map_err(KeyError::while_doing("making a decoy"))?;
        Self::from_der(&der)
    }

    pub(super) fn pkey(&self) -> &PKeyRef<Public> {
        &self.key
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("bits", &self.bits()).field("fingerprint", &self.fingerprint).finish()
    }
}

fn random_modulus_der() -> Result<Vec<u8>, ErrorStack> {
    let bits = RSA_BITS_DEFAULT.try_into().expect("a key's size in bits fits an i32");
    let mut modulus = BigNum::new()?;
    modulus.rand(bits, MsbOption::TWO_ONES, true)?;
    Rsa::from_public_components(modulus, BigNum::from_u32(EXPONENT)?)?.public_key_to_der()
}

/// Kind, size, exponent; an even modulus is no product of two large primes, and OpenSSL's arithmetic refuses it late.
fn check<T: HasPublic>(key: &PKeyRef<T>) -> Result<(), KeyError> {
    if key.id() != Id::RSA {
        return Err(KeyError::NotRsa);
    }
    let rsa = key.rsa().map_err(|_| KeyError::NotRsa)?;
    check_size(rsa.n().num_bits().unsigned_abs())?;
    let exponent = BigNum::from_u32(EXPONENT).map_err(KeyError::while_doing("checking a key"))?;
    if *rsa.e() != *exponent {
        return Err(KeyError::Exponent);
    }
    if !rsa.n().is_bit_set(0) {
        return Err(KeyError::Malformed);
    }
    Ok(())
}

fn check_size(bits: u32) -> Result<(), KeyError> {
    match bits {
        ..RSA_BITS_MIN => Err(KeyError::TooSmall { bits }),
        RSA_BITS_MIN..=RSA_BITS_MAX => Ok(()),
        _ => Err(KeyError::TooLarge { bits }),
    }
}
