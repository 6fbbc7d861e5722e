//! Key bundles: made, signed, checked, and handed from one identity key to the next.
//!
//! Whoever registers or updates one proves that they hold its identity key.

use super::digest;
use super::keys::{KeyError, PrivateKey, PublicKey};
use crate::names::UserName;
use crate::wire::{self, Fingerprint, Predecessor, signed};

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

/// Why a lineage does not lead from one identity key to another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineageError {
    /// Two keys do not vouch for each other.
    #[error("not both keys signed that {} comes after {}", .new.short(), .old.short())]
    Handover {
        /// The older key.
        old: Fingerprint,
        /// The one that is said to come after it.
        new: Fingerprint,
    },
    /// One of its keys is out of bounds.
    #[error("a former identity key: {0}")]
    Key(#[from] KeyError),
    /// The older key is not in it.
    #[error("it does not lead back to the key {}", .from.short())]
    Unrelated {
        /// Where it should have begun.
        from: Fingerprint,
    },
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

/// Proof for new keys of an account, on the connection with this TLS exporter value, by the bundle's identity.
pub fn prove_update(identity: &PrivateKey, exporter: &[u8; 32], bundle: &[u8]) -> Result<Vec<u8>, KeyError> {
    identity.sign(&signed::update(exporter, &digest::sha256(bundle)))
}

/// Whether `proof` is what [`prove_update`] makes for this key, connection and bundle.
pub fn check_update_proof(identity: &PublicKey, exporter: &[u8; 32], bundle: &[u8], proof: &[u8]) -> bool {
    identity.verify(&signed::update(exporter, &digest::sha256(bundle)), proof)
}

/// Two identity keys of the account `name` vouch for each other: the old one names its successor, the new one its
/// predecessor. Both sign the same words; the signature of the old one comes first.
pub fn hand_over(name: &UserName, old: &PrivateKey, new: &PrivateKey) -> Result<Vec<u8>, KeyError> {
    let words = signed::handover(name, old.public().fingerprint(), new.public().fingerprint());
    Ok([old.sign(&words)?, new.sign(&words)?].concat())
}

/// Whether `handover` is what [`hand_over`] makes for this name and these two keys.
pub fn check_handover(name: &UserName, old: &PublicKey, new: &PublicKey, handover: &[u8]) -> bool {
    let words = signed::handover(name, old.fingerprint(), new.fingerprint());
    // A signature is as long as its key's modulus.
    let first = usize::try_from(old.bits().div_ceil(8)).unwrap_or(usize::MAX);
    let both = handover.split_at_checked(first);
    both.is_some_and(|(by_old, by_new)| old.verify(&words, by_old) && new.verify(&words, by_new))
}

/// The identity keys that the account had from `known` up to the one before the bundle's, the newest first, if each of them and
/// the next one vouch for each other; none if the bundle's identity is the known one itself.
///
/// So whoever trusts `known` may trust the bundle's identity, and whoever trusts that one knows that the others were this
/// account's. What stands in `lineage` behind the known key is not looked at.
pub fn succession(
    bundle: &VerifiedBundle,
    lineage: &[Predecessor],
    known: Fingerprint,
) -> Result<Vec<PublicKey>, LineageError> {
    let mut former: Vec<PublicKey> = Vec::new();
    let mut new = bundle.identity.clone();
    for predecessor in lineage {
        if new.fingerprint() == known {
            break;
        }
        let old = PublicKey::from_der(&predecessor.identity)?;
        if !check_handover(&bundle.name, &old, &new, &predecessor.handover) {
            return Err(LineageError::Handover { old: old.fingerprint(), new: new.fingerprint() });
        }
        new = old.clone();
        former.push(old);
    }
    if new.fingerprint() == known { Ok(former) } else { Err(LineageError::Unrelated { from: known }) }
}

fn public_key(which: &'static str, der: &[u8]) -> Result<PublicKey, BundleError> {
    PublicKey::from_der(der).map_err(|why| BundleError::Key { which, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::test_keys::{ALICE, BOB, BOB_ENCRYPTION, CAROL_ENCRYPTION};

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

    #[test]
    fn a_proof_of_an_update_is_none_of_a_registration() {
        let proof = prove_update(&BOB, &[7; 32], b"bundle").unwrap();
        assert!(check_update_proof(BOB.public(), &[7; 32], b"bundle", &proof));
        assert!(!check_update_proof(ALICE.public(), &[7; 32], b"bundle", &proof));
        assert!(!check_update_proof(BOB.public(), &[8; 32], b"bundle", &proof));
        assert!(!check_update_proof(BOB.public(), &[7; 32], b"bundles", &proof));
        assert!(!check_proof(BOB.public(), &[7; 32], b"bundle", &proof));
    }

    fn bob() -> UserName {
        "bob".parse().unwrap()
    }

    /// Bob's third identity is `ALICE`, after `CAROL_ENCRYPTION`, after `BOB`.
    fn lineage() -> Vec<Predecessor> {
        let link = |old: &PrivateKey, new: &PrivateKey| Predecessor {
            identity: old.public().to_der().to_vec(),
            handover: hand_over(&bob(), old, new).unwrap(),
        };
        vec![link(&CAROL_ENCRYPTION, &ALICE), link(&BOB, &CAROL_ENCRYPTION)]
    }

    fn third() -> VerifiedBundle {
        verify(&make(&bob(), &ALICE, BOB_ENCRYPTION.public(), 3).unwrap().encode()).unwrap()
    }

    fn found(lineage: &[Predecessor], pinned: &PrivateKey) -> Result<Vec<Fingerprint>, LineageError> {
        let keys = succession(&third(), lineage, pinned.public().fingerprint())?;
        Ok(keys.iter().map(PublicKey::fingerprint).collect())
    }

    #[test]
    fn a_lineage_leads_from_any_of_its_keys_to_the_bundles() {
        let [second, first] = [&CAROL_ENCRYPTION, &BOB].map(|key| key.public().fingerprint());
        assert_eq!(found(&lineage(), &ALICE), Ok(vec![]));
        assert_eq!(found(&lineage(), &CAROL_ENCRYPTION), Ok(vec![second]));
        assert_eq!(found(&lineage(), &BOB), Ok(vec![second, first]));
        assert_eq!(found(&[], &ALICE), Ok(vec![]));
        let from = BOB.public().fingerprint();
        assert_eq!(found(&[], &BOB), Err(LineageError::Unrelated { from }));
        assert_eq!(found(&lineage()[..1], &BOB), Err(LineageError::Unrelated { from }));
    }

    #[test]
    fn every_link_must_hold_up_to_the_pinned_key() {
        let [third, second, first] = [&ALICE, &CAROL_ENCRYPTION, &BOB].map(|key| key.public().fingerprint());
        let mut broken = lineage();
        broken[1].handover[9] ^= 1;
        assert_eq!(found(&broken, &BOB), Err(LineageError::Handover { old: first, new: second }));
        assert!(found(&broken, &CAROL_ENCRYPTION).is_ok(), "what comes before the pinned key proves nothing");
        let mut swapped = lineage();
        swapped.swap(0, 1);
        assert_eq!(found(&swapped, &BOB), Err(LineageError::Handover { old: first, new: third }));
        let mut forged = lineage();
        forged[0].identity = BOB_ENCRYPTION.public().to_der().to_vec();
        assert!(matches!(found(&forged, &BOB), Err(LineageError::Handover { .. })));
        forged[0].identity.truncate(9);
        assert_eq!(found(&forged, &BOB), Err(LineageError::Key(KeyError::Malformed)));
    }

    #[test]
    fn a_handover_holds_for_its_name_and_both_keys_only() {
        let handover = hand_over(&bob(), &BOB, &ALICE).unwrap();
        let [old, new] = [&BOB, &ALICE].map(|key| key.public());
        assert!(check_handover(&bob(), old, new, &handover));
        assert!(!check_handover(&"rob".parse().unwrap(), old, new, &handover));
        assert!(!check_handover(&bob(), old, old, &handover));
        assert!(!check_handover(&bob(), new, old, &handover));
    }

    #[test]
    fn one_of_two_keys_alone_hands_nothing_over() {
        let whole = hand_over(&bob(), &BOB, &ALICE).unwrap();
        let (by_old, by_new) = whole.split_at(256);
        let [old, new] = [&BOB, &ALICE].map(|key| key.public());
        for half in [[by_old, by_old], [by_new, by_new], [by_new, by_old], [by_old, b""], [b"", by_new]] {
            assert!(!check_handover(&bob(), old, new, &half.concat()));
        }
        assert!(!check_handover(&bob(), old, new, &[&whole[..], b"\0"].concat()), "nothing stands behind it");
    }
}
