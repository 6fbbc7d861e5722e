//! Key bundles: made, signed and checked; and the proof that whoever registers one holds its identity key.

use super::digest;
use super::keys::{KeyError, PrivateKey, PublicKey};
use crate::names::UserName;
use crate::wire::{self, signed};

/// Why a bundle is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// One of its keys is out of bounds.
    #[error("the {which} key: {why}")]
    Key {
        /// "identity" or "encryption".
        which: &'static str,
        /// What is wrong with it.
        why: KeyError,
    },
    /// Its bytes are not those of a bundle.
    #[error("{0}")]
    Layout(#[from] wire::Error),
    /// One key would both sign and decrypt, which makes its decryptions forge its signatures.
    #[error("one key for both signing and decrypting")]
    SameKey,
    /// It is not signed by its identity key.
    #[error("the bundle's signature does not hold")]
    Signature,
}

/// A bundle whose keys and signature were checked.
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    /// Whose keys these are.
    pub name: UserName,
    /// Grows with every new bundle of the same identity, from 1.
    pub number: u64,
    /// The key that signs.
    pub identity: PublicKey,
    /// The key that decrypts.
    pub encryption: PublicKey,
}

/// Makes and signs a bundle.
pub fn make(
    name: &UserName,
    identity: &PrivateKey,
    encryption: &PublicKey,
    number: u64,
) -> Result<wire::Bundle, KeyError> {
    let mut bundle = wire::Bundle {
        name: name.clone(),
        identity: identity.public().to_der().to_vec(),
        encryption: encryption.to_der().to_vec(),
        number,
        signature: Vec::new(),
    };
    bundle.signature = identity.sign(&signed::bundle(&bundle))?;
    Ok(bundle)
}

/// Checks a bundle's bytes, keys and signature, the cheap parts first.
pub fn verify(bytes: &[u8]) -> Result<VerifiedBundle, BundleError> {
    let bundle = wire::Bundle::parse(bytes)?;
    let identity = public_key("identity", &bundle.identity)?;
    let encryption = public_key("encryption", &bundle.encryption)?;
    // The modulus alone counts: the exponent is the same for all, and so is the encoding.
    if identity == encryption {
        return Err(BundleError::SameKey);
    }
    if !identity.verify(&signed::bundle(&bundle), &bundle.signature) {
        return Err(BundleError::Signature);
    }
    Ok(VerifiedBundle { name: bundle.name, number: bundle.number, identity, encryption })
}

/// Proof of possession for a registration on the connection with this TLS exporter value.
pub fn prove(identity: &PrivateKey, exporter: &[u8; 32], bundle: &[u8]) -> Result<Vec<u8>, KeyError> {
    identity.sign(&signed::register(exporter, &digest::sha256(bundle)))
}

/// Whether `proof` is what [`prove`] makes for this key, connection and bundle.
pub fn check_proof(identity: &PublicKey, exporter: &[u8; 32], bundle: &[u8], proof: &[u8]) -> bool {
    identity.verify(&signed::register(exporter, &digest::sha256(bundle)), proof)
}

fn public_key(which: &'static str, der: &[u8]) -> Result<PublicKey, BundleError> {
    PublicKey::from_der(der).map_err(|why| BundleError::Key { which, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::test_keys::{ALICE, BOB, BOB_ENCRYPTION};

    fn sample() -> wire::Bundle {
        make(&"bob".parse().unwrap(), &BOB, BOB_ENCRYPTION.public(), 1).unwrap()
    }

    #[test]
    fn what_is_made_is_accepted_and_gives_the_same_keys() {
        let bundle = verify(&sample().encode()).unwrap();
        assert_eq!((bundle.name.as_str(), bundle.number), ("bob", 1));
        assert_eq!(bundle.identity, *BOB.public());
        assert_eq!(bundle.encryption, *BOB_ENCRYPTION.public());
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let bytes = sample().encode();
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 0x04;
            assert!(verify(&changed).is_err(), "byte {position}");
        }
    }

    #[test]
    fn one_key_for_both_is_refused() {
        let bundle = make(&"bob".parse().unwrap(), &BOB, BOB.public(), 1).unwrap();
        assert_eq!(verify(&bundle.encode()).unwrap_err(), BundleError::SameKey);
    }

    #[test]
    fn someone_elses_identity_can_not_be_claimed() {
        let mut bundle = make(&"mallory".parse().unwrap(), &ALICE, BOB_ENCRYPTION.public(), 1).unwrap();
        bundle.identity = BOB.public().to_der().to_vec();
        assert_eq!(verify(&bundle.encode()).unwrap_err(), BundleError::Signature);
    }

    #[test]
    fn a_refused_key_is_named() {
        let mut bundle = sample();
        bundle.encryption.push(0);
        let error = verify(&bundle.encode()).unwrap_err();
        assert_eq!(error, BundleError::Key { which: "encryption", why: KeyError::Malformed });
    }

    #[test]
    fn a_proof_holds_for_its_key_connection_and_bundle_only() {
        let proof = prove(&BOB, &[7; 32], b"bundle").unwrap();
        assert!(check_proof(BOB.public(), &[7; 32], b"bundle", &proof));
        assert!(!check_proof(ALICE.public(), &[7; 32], b"bundle", &proof));
        assert!(!check_proof(BOB.public(), &[8; 32], b"bundle", &proof));
        assert!(!check_proof(BOB.public(), &[7; 32], b"bundles", &proof));
    }
}
