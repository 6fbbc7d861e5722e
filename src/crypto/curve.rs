//! Keys of Curve25519: Ed25519 (RFC 8032), which signs modern messages, and X25519 (RFC 7748), which opens them.
//!
//! OpenSSL takes points that no honest program makes; those are refused here, wherever a key comes from.

use std::fmt;
use std::marker::PhantomData;

use openssl::derive::Deriver;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::sign::{Signer, Verifier};
use zeroize::Zeroizing;

use super::keys::{KeyError, KeyPair, PublicHalf};
use super::{digest, pkcs8};
use crate::wire::Fingerprint;

/// Bytes of a point.
pub const POINT: usize = 32;
/// Bytes of a signature by Ed25519.
pub const SIGNATURE: usize = 64;
/// Bytes of a DER SubjectPublicKeyInfo of either kind (RFC 8410, section 4).
pub const SPKI: usize = PREFIX + POINT;
/// What comes before the point in it.
const PREFIX: usize = 12;

/// Ed25519 or X25519.
pub trait Kind {
    /// The kind's name in the field.
    const NAME: &'static str;
    /// What comes before the point in DER.
    const PREFIX: [u8; PREFIX];
    /// The kind in OpenSSL.
    const ID: Id;
    /// Whether an honest program can have made this point.
    fn check(point: &[u8; POINT]) -> Result<(), KeyError>;
}

/// The kind that signs.
#[derive(Clone, Copy)]
pub enum Ed25519 {}

/// The kind that decrypts.
#[derive(Clone, Copy)]
pub enum X25519 {}

impl Kind for Ed25519 {
    const NAME: &'static str = "Ed25519";
    const PREFIX: [u8; PREFIX] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    const ID: Id = Id::ED25519;

    /// The highest bit is the sign of x; y has one form, below the prime. A y of small order is one with either sign.
    fn check(point: &[u8; POINT]) -> Result<(), KeyError> {
        let y = unsigned(*point);
        check_canonical(&y)?;
        if SMALL_ORDER_Y.contains(&y) { Err(KeyError::SmallOrder) } else { Ok(()) }
    }
}

impl Kind for X25519 {
    const NAME: &'static str = "X25519";
    const PREFIX: [u8; PREFIX] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
    const ID: Id = Id::X25519;

    fn check(point: &[u8; POINT]) -> Result<(), KeyError> {
        check_canonical(point)?;
        if LOW_ORDER_U.contains(point) { Err(KeyError::SmallOrder) } else { Ok(()) }
    }
}

/// The prime of the field, 2^255 - 19, as all numbers here with the lowest byte first.
const PRIME: [u8; POINT] = number(0xed, 0xff, 0x7f);
/// The number of points that a signature's S counts (RFC 8032, section 5.1).
const GROUP_ORDER: [u8; POINT] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// The y of the eight points of Ed25519 whose order divides 8: of order 1, 2, 4, and 8.
const SMALL_ORDER_Y: [[u8; POINT]; 5] = [
    number(1, 0, 0),
    number(0xec, 0xff, 0x7f),
    number(0, 0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];
/// The u of the points of X25519 and of its twist whose order divides 8: with each the shared secret is zero.
const LOW_ORDER_U: [[u8; POINT]; 5] = [
    number(0, 0, 0),
    number(1, 0, 0),
    number(0xec, 0xff, 0x7f),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
];

/// A number of which all bytes but the lowest and the highest are the same.
const fn number(lowest: u8, middle: u8, highest: u8) -> [u8; POINT] {
    let mut bytes = [middle; POINT];
    bytes[0] = lowest;
    bytes[POINT - 1] = highest;
    bytes
}

fn unsigned(mut point: [u8; POINT]) -> [u8; POINT] {
    point[POINT - 1] &= 0x7f;
    point
}

fn check_canonical(number: &[u8; POINT]) -> Result<(), KeyError> {
    if is_below(number, &PRIME) { Ok(()) } else { Err(KeyError::Malformed) }
}

fn is_below(number: &[u8; POINT], limit: &[u8; POINT]) -> bool {
    number.iter().rev().lt(limit.iter().rev())
}

/// A private key. OpenSSL wipes it when it is dropped; it has no `Debug`.
pub struct CurvePrivateKey<K> {
    key: PKey<Private>,
    public: CurvePublicKey<K>,
}

/// A private key that signs.
pub type SigningKey = CurvePrivateKey<Ed25519>;
/// A public key that checks signatures.
pub type VerifyingKey = CurvePublicKey<Ed25519>;
/// A private key that opens messages.
pub type OpeningKey = CurvePrivateKey<X25519>;
/// A public key that seals messages.
pub type SealingKey = CurvePublicKey<X25519>;

impl<K: Kind> CurvePrivateKey<K> {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        let key = match K::ID {
            Id::ED25519 => PKey::generate_ed25519(),
            _ => PKey::generate_x25519(),
        };
        Self::new(key.map_err(KeyError::while_doing("making a key"))?)
    }

    /// The key as encrypted PKCS#8 PEM, the way `openssl pkcs8 -topk8 -scrypt` writes it.
    pub fn to_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        let der =
            self.key.private_key_to_pkcs8().map(Zeroizing::new).map_err(KeyError::while_doing("encoding a key"))?;
        pkcs8::encrypt(&der, passphrase)
    }

    /// Opens encrypted PKCS#8 PEM, in every encryption that this OpenSSL knows. Never asks anybody anything.
    ///
    /// Whoever can write to the file can make another key of it, so the caller compares the public half with what it expects.
    pub fn from_pem(pem: &[u8], passphrase: &[u8]) -> Result<Self, KeyError> {
        Self::new(pkcs8::decrypt(pem, passphrase)?)
    }

    /// The public half.
    pub fn public(&self) -> &CurvePublicKey<K> {
        &self.public
    }

    fn new(key: PKey<Private>) -> Result<Self, KeyError> {
        if key.id() != K::ID {
            return Err(KeyError::WrongKind { wanted: K::NAME });
        }
        let point = key.raw_public_key().map_err(KeyError::while_doing("encoding a key"))?;
        Ok(Self { key, public: CurvePublicKey::from_point(&point)? })
    }

    #[cfg(test)]
    pub(super) fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        Self::new(PKey::private_key_from_raw_bytes(secret, K::ID).map_err(KeyError::while_doing("reading a key"))?)
    }
}

impl<K: Kind> KeyPair for CurvePrivateKey<K> {
    type Public = CurvePublicKey<K>;

    fn from_pem(pem: &[u8], passphrase: &[u8]) -> Result<Self, KeyError> {
        Self::from_pem(pem, passphrase)
    }

    fn to_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        self.to_pem(passphrase)
    }

    fn public(&self) -> &CurvePublicKey<K> {
        &self.public
    }
}

impl<K: Kind> PublicHalf for CurvePublicKey<K> {
    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_der(der)
    }

    fn to_pem(&self) -> String {
        self.to_pem()
    }
}

impl SigningKey {
    /// Signs with Ed25519, pure (RFC 8032, section 5.1.6).
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE], KeyError> {
        let mut signature = [0; SIGNATURE];
        Signer::new_without_digest(&self.key)
            .and_then(|mut signer| signer.sign_oneshot(&mut signature, message))
            .map_err(KeyError::while_doing("signing"))?;
        Ok(signature)
    }
}

impl OpeningKey {
    /// The secret that this key shares with another (RFC 7748, section 6.1).
    pub(super) fn agree(&self, with: &SealingKey) -> Result<Zeroizing<[u8; POINT]>, KeyError> {
        let mut secret = Zeroizing::new([0; POINT]);
        let derive = |secret: &mut [u8]| {
            let mut deriver = Deriver::new(&self.key)?;
            deriver.set_peer(&with.key)?;
            deriver.derive(secret)
        };
        derive(secret.as_mut()).map_err(KeyError::while_doing("agreeing on a key"))?;
        Ok(secret)
    }
}

/// A public key that is canonical and not of small order, with its one encoding and fingerprint.
pub struct CurvePublicKey<K> {
    key: PKey<Public>,
    der: [u8; SPKI],
    fingerprint: Fingerprint,
    kind: PhantomData<K>,
}

impl<K: Kind> CurvePublicKey<K> {
    /// Reads DER SubjectPublicKeyInfo (RFC 8410, section 4), of which each key has one.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let wrong_kind = [Ed25519::PREFIX, X25519::PREFIX].iter().any(|prefix| der.starts_with(prefix))
            || super::keys::PublicKey::from_der(der).is_ok();
        match der.strip_prefix(&K::PREFIX) {
            Some(point) => Self::from_point(point),
            None if wrong_kind => Err(KeyError::WrongKind { wanted: K::NAME }),
            None => Err(KeyError::Malformed),
        }
    }

    pub(super) fn from_point(point: &[u8]) -> Result<Self, KeyError> {
        let point: &[u8; POINT] = point.try_into().map_err(|_| KeyError::Malformed)?;
        K::check(point)?;
        let key = PKey::public_key_from_raw_bytes(point, K::ID).map_err(KeyError::while_doing("reading a key"))?;
        let mut der = [0; SPKI];
        der.iter_mut().zip(K::PREFIX.iter().chain(point)).for_each(|(to, from)| *to = *from);
        Ok(Self { key, fingerprint: Fingerprint(digest::sha256(&der)), der, kind: PhantomData })
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

    pub(super) fn point(&self) -> &[u8; POINT] {
        self.der.last_chunk().expect("a point ends it")
    }
}

impl VerifyingKey {
    /// Whether `signature` is this key's over `message`: Ed25519, pure (RFC 8032, section 5.1.7), with S below the group's order.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let s = signature.last_chunk().filter(|_| signature.len() == SIGNATURE);
        s.is_some_and(|s| is_below(s, &GROUP_ORDER))
            && Verifier::new_without_digest(&self.key)
                .and_then(|mut verifier| verifier.verify_oneshot(signature, message))
                .unwrap_or(false)
    }
}

impl<K> Clone for CurvePublicKey<K> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), der: self.der, fingerprint: self.fingerprint, kind: PhantomData }
    }
}

impl<K> PartialEq for CurvePublicKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl<K> Eq for CurvePublicKey<K> {}

impl<K: Kind> fmt::Debug for CurvePublicKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(K::NAME).field(&self.fingerprint).finish()
    }
}

#[cfg(test)]
mod tests;
