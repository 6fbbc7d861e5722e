//! Key bundles: made, signed, checked, and handed from one identity key to the next.
//!
//! Whoever registers or updates one proves that they hold its identity key.

use super::curve::{SealingKey, SigningKey, VerifyingKey};
use super::digest;
use super::keys::{KeyError, PrivateKey, PublicKey};
use crate::names::UserName;
use crate::wire::{self, Fingerprint, FormerSigner, Predecessor, Prefers, signed};

/// Why a bundle is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// One of its keys is out of bounds.
    #[error("the {which} key: {why}")]
    Key {
        /// "identity", "encryption", "Ed25519", "X25519", or "former Ed25519".
        which: &'static str,
        /// What is wrong with it.
        why: KeyError,
    },
    /// Its bytes are not those of a bundle.
    #[error("{0}")]
    Layout(#[from] wire::Error),
    /// It is not signed by its own Ed25519 key, which then may be anybody's.
    #[error("the bundle is not signed by its Ed25519 key")]
    Possession,
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
    /// What others are to send to it.
    pub prefers: Prefers,
    /// The key that signs, and that the others stand under.
    pub identity: PublicKey,
    /// The key that decrypts.
    pub encryption: PublicKey,
    /// The key that signs modern messages.
    pub ed25519: VerifyingKey,
    /// The key that opens them.
    pub x25519: SealingKey,
    /// Keys that signed them before.
    pub former: Vec<Former>,
    /// SHA-256 of all that was signed: tells it from another bundle with the same number.
    pub digest: [u8; 32],
}

/// A key that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// The key.
    pub key: VerifyingKey,
    /// When, as Unix time in milliseconds.
    pub retired_ms: u64,
}

/// What a bundle is made of, and the two keys that sign it.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    /// Whose keys these are.
    pub name: &'a UserName,
    /// The key that signs, and that the others stand under.
    pub identity: &'a PrivateKey,
    /// The key that decrypts.
    pub encryption: &'a PublicKey,
    /// The key that signs modern messages.
    pub ed25519: &'a SigningKey,
    /// The key that opens them.
    pub x25519: &'a SealingKey,
    /// Keys that signed them before, the newest first.
    pub former: &'a [Former],
    /// What others are to send.
    pub prefers: Prefers,
    /// Grows with every new bundle of the same identity, from 1.
    pub number: u64,
}

/// Makes and signs a bundle.
pub fn make(contents: &Contents<'_>) -> Result<wire::Bundle, KeyError> {
    let former = |former: &Former| FormerSigner { key: former.key.to_der().to_vec(), retired_ms: former.retired_ms };
    let mut bundle = wire::Bundle {
        name: contents.name.clone(),
        identity: contents.identity.public().to_der().to_vec(),
        encryption: contents.encryption.to_der().to_vec(),
        ed25519: contents.ed25519.public().to_der().to_vec(),
        x25519: contents.x25519.to_der().to_vec(),
        former: contents.former.iter().map(former).collect(),
        prefers: contents.prefers,
        number: contents.number,
        signature: Vec::new(),
        possession: [0; 64],
    };
    let words = signed::bundle(&bundle);
    bundle.signature = contents.identity.sign(&words)?;
    bundle.possession = contents.ed25519.sign(&words)?;
    Ok(bundle)
}

/// The same bundle once more, by the keys that signed it: its bytes are the same, too.
pub fn again(bundle: &VerifiedBundle, identity: &PrivateKey, ed25519: &SigningKey) -> Result<wire::Bundle, KeyError> {
    let VerifiedBundle { name, number, prefers, encryption, x25519, former, .. } = bundle;
    let (prefers, number) = (*prefers, *number);
    make(&Contents { name, identity, encryption, ed25519, x25519, former, prefers, number })
}

/// Checks a bundle's bytes, keys and signatures, the cheap parts first.
pub fn verify(bytes: &[u8]) -> Result<VerifiedBundle, BundleError> {
    let bundle = wire::Bundle::parse(bytes)?;
    let identity = public_key("identity", &bundle.identity)?;
    let encryption = public_key("encryption", &bundle.encryption)?;
    // The modulus alone counts: the exponent is the same for all, and so is the encoding.
    if identity == encryption {
        return Err(BundleError::SameKey);
    }
    let curve = |which| move |why| BundleError::Key { which, why };
    let ed25519 = VerifyingKey::from_der(&bundle.ed25519).map_err(curve("Ed25519"))?;
    let x25519 = SealingKey::from_der(&bundle.x25519).map_err(curve("X25519"))?;
    let former = |former: &FormerSigner| {
        let key = VerifyingKey::from_der(&former.key).map_err(curve("former Ed25519"))?;
        Ok(Former { key, retired_ms: former.retired_ms })
    };
    let former = bundle.former.iter().map(former).collect::<Result<_, BundleError>>()?;
    let words = signed::bundle(&bundle);
    if !identity.verify(&words, &bundle.signature) {
        return Err(BundleError::Signature);
    }
    if !ed25519.verify(&words, &bundle.possession) {
        return Err(BundleError::Possession);
    }
    let wire::Bundle { name, number, prefers, .. } = bundle;
    let digest = digest::sha256(&words);
    Ok(VerifiedBundle { name, number, prefers, identity, encryption, ed25519, x25519, former, digest })
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
    use crate::crypto::curve::OpeningKey;
    use crate::crypto::test_keys::{self, ALICE, BOB, BOB_ENCRYPTION, BOB_SIGNING, CAROL_ENCRYPTION};

    fn sample() -> wire::Bundle {
        test_keys::bundle("bob", &BOB, BOB_ENCRYPTION.public(), 1)
    }

    #[test]
    fn what_is_made_is_accepted_and_gives_the_same_keys() {
        let bundle = verify(&sample().encode()).unwrap();
        assert_eq!((bundle.name.as_str(), bundle.number), ("bob", 1));
        assert_eq!(bundle.identity, *BOB.public());
        assert_eq!(bundle.encryption, *BOB_ENCRYPTION.public());
        assert_eq!(bundle.ed25519, *BOB_SIGNING.public());
        assert_eq!(bundle.x25519, *test_keys::BOB_OPENING.public());
        assert_eq!((bundle.prefers, bundle.former), (Prefers::Classic, Vec::new()));
    }

    #[test]
    fn former_keys_and_the_wish_come_back_too() {
        let key = SigningKey::generate().unwrap().public().clone();
        let former = [Former { key: key.clone(), retired_ms: 7 }, Former { key, retired_ms: 8 }];
        let contents = test_keys::contents(&bob_name(), &BOB, BOB_ENCRYPTION.public(), 2, |contents| {
            make(&Contents { former: &former, prefers: Prefers::Modern, ..contents }).unwrap()
        });
        let bundle = verify(&contents.encode()).unwrap();
        assert_eq!((bundle.prefers, bundle.former), (Prefers::Modern, former.to_vec()));
    }

    #[test]
    fn both_keys_sign_the_same_words_and_neither_signs_for_the_other() {
        let mut bundle = sample();
        bundle.possession = [0; 64];
        assert_eq!(verify(&bundle.encode()).unwrap_err(), BundleError::Possession);
        let other = SigningKey::generate().unwrap();
        bundle.possession = other.sign(&signed::bundle(&bundle)).unwrap();
        assert_eq!(verify(&bundle.encode()).unwrap_err(), BundleError::Possession, "another's");
        // Whoever swaps the Ed25519 key for their own can sign with it, but not as the identity.
        bundle.ed25519 = other.public().to_der().to_vec();
        bundle.possession = other.sign(&signed::bundle(&bundle)).unwrap();
        assert_eq!(verify(&bundle.encode()).unwrap_err(), BundleError::Signature);
    }

    #[test]
    fn a_key_of_the_wrong_kind_or_of_small_order_is_named() {
        let opening = OpeningKey::generate().unwrap();
        let error = |change: &dyn Fn(&mut wire::Bundle)| {
            let mut bundle = sample();
            change(&mut bundle);
            verify(&bundle.encode()).unwrap_err()
        };
        let key = |which, why| BundleError::Key { which, why };
        let wrong = |wanted| KeyError::WrongKind { wanted };
        let x25519 = opening.public().to_der().to_vec();
        assert_eq!(error(&|bundle| bundle.ed25519.clone_from(&x25519)), key("Ed25519", wrong("Ed25519")));
        assert_eq!(error(&|bundle| bundle.x25519 = bundle.ed25519.clone()), key("X25519", wrong("X25519")));
        let former = |bundle: &mut wire::Bundle| {
            bundle.former.push(FormerSigner { key: x25519.clone(), retired_ms: 1 });
        };
        assert_eq!(error(&former), key("former Ed25519", wrong("Ed25519")));
        let zero = |der: &mut Vec<u8>| der[12..].fill(0);
        assert_eq!(error(&|bundle| zero(&mut bundle.x25519)), key("X25519", KeyError::SmallOrder));
        assert_eq!(error(&|bundle| zero(&mut bundle.ed25519)), key("Ed25519", KeyError::SmallOrder));
        assert_eq!(error(&|bundle| bundle.x25519[12..].fill(0xff)), key("X25519", KeyError::Malformed));
    }

    fn bob_name() -> UserName {
        "bob".parse().unwrap()
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
        let bundle = test_keys::bundle("bob", &BOB, BOB.public(), 1);
        assert_eq!(verify(&bundle.encode()).unwrap_err(), BundleError::SameKey);
    }

    #[test]
    fn someone_elses_identity_can_not_be_claimed() {
        let mut bundle = test_keys::bundle("mallory", &ALICE, BOB_ENCRYPTION.public(), 1);
        bundle.identity = BOB.public().to_der().to_vec();
        bundle.possession = BOB_SIGNING.sign(&signed::bundle(&bundle)).unwrap();
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

    /// Bob's third identity is `ALICE`, after `CAROL_ENCRYPTION`, after `BOB`.
    fn lineage() -> Vec<Predecessor> {
        let link = |old: &PrivateKey, new: &PrivateKey| Predecessor {
            identity: old.public().to_der().to_vec(),
            handover: hand_over(&bob_name(), old, new).unwrap(),
        };
        vec![link(&CAROL_ENCRYPTION, &ALICE), link(&BOB, &CAROL_ENCRYPTION)]
    }

    fn third() -> VerifiedBundle {
        verify(&test_keys::bundle("bob", &ALICE, BOB_ENCRYPTION.public(), 3).encode()).unwrap()
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
        let handover = hand_over(&bob_name(), &BOB, &ALICE).unwrap();
        let [old, new] = [&BOB, &ALICE].map(|key| key.public());
        assert!(check_handover(&bob_name(), old, new, &handover));
        assert!(!check_handover(&"rob".parse().unwrap(), old, new, &handover));
        assert!(!check_handover(&bob_name(), old, old, &handover));
        assert!(!check_handover(&bob_name(), new, old, &handover));
    }

    #[test]
    fn one_of_two_keys_alone_hands_nothing_over() {
        let whole = hand_over(&bob_name(), &BOB, &ALICE).unwrap();
        let (by_old, by_new) = whole.split_at(256);
        let [old, new] = [&BOB, &ALICE].map(|key| key.public());
        for half in [[by_old, by_old], [by_new, by_new], [by_new, by_old], [by_old, b""], [b"", by_new]] {
            assert!(!check_handover(&bob_name(), old, new, &half.concat()));
        }
        assert!(!check_handover(&bob_name(), old, new, &[&whole[..], b"\0"].concat()), "nothing stands behind it");
    }
}
