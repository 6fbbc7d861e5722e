//! Keys that the tests share: making one of RSA-2048 takes a tenth of a second.

use std::sync::LazyLock;

use super::bundle::{self, Contents, VerifiedBundle};
use super::curve::{OpeningKey, SigningKey};
use super::digest;
use super::keys::{KeyPair, PrivateKey, PublicKey};
use crate::names::UserName;
use crate::wire::{self, Prefers};

/// Alice's identity.
pub(crate) static ALICE: LazyLock<PrivateKey> = LazyLock::new(small);
/// Bob's identity.
pub(crate) static BOB: LazyLock<PrivateKey> = LazyLock::new(small);
/// Bob's key that decrypts.
pub(crate) static BOB_ENCRYPTION: LazyLock<PrivateKey> = LazyLock::new(small);
/// Carol's key that decrypts.
pub(crate) static CAROL_ENCRYPTION: LazyLock<PrivateKey> = LazyLock::new(small);

/// Bob's key that signs modern messages; that of every [`bundle`] here.
pub(crate) static BOB_SIGNING: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());
/// Bob's key that opens them; that of every [`bundle`] here.
pub(crate) static BOB_OPENING: LazyLock<OpeningKey> = LazyLock::new(|| OpeningKey::generate().unwrap());

/// A bundle with these RSA keys.
pub(crate) fn bundle(name: &str, identity: &PrivateKey, encryption: &PublicKey, number: u64) -> wire::Bundle {
    let make = |contents: Contents<'_>| bundle::make(&contents).unwrap();
    contents(&name.parse().unwrap(), identity, encryption, number, make)
}

/// What is to be in a bundle with these RSA keys.
pub(crate) fn contents<T>(
    name: &UserName,
    identity: &PrivateKey,
    encryption: &PublicKey,
    number: u64,
    take: impl FnOnce(Contents<'_>) -> T,
) -> T {
    let (ed25519, x25519) = (&BOB_SIGNING, BOB_OPENING.public());
    let prefers = Prefers::Classic;
    take(Contents { name, identity, encryption, ed25519, x25519, former: &[], prefers, number })
}

/// The same key once more.
pub(crate) fn copy<K: KeyPair>(key: &K) -> K {
    K::from_pem(key.to_pem(b"x").unwrap().as_bytes(), b"x").unwrap()
}

/// What becomes of a [`bundle`] with these RSA keys that was checked, whoever signed it.
pub(crate) fn verified(name: &str, identity: &PublicKey, encryption: &PublicKey, number: u64) -> VerifiedBundle {
    VerifiedBundle {
        name: name.parse().unwrap(),
        number,
        prefers: Prefers::Classic,
        identity: identity.clone(),
        encryption: encryption.clone(),
        ed25519: BOB_SIGNING.public().clone(),
        x25519: BOB_OPENING.public().clone(),
        former: Vec::new(),
        digest: digest::sha256(&[&number.to_be_bytes(), identity.to_der(), encryption.to_der()].concat()),
    }
}

fn small() -> PrivateKey {
    PrivateKey::generate(2048).unwrap()
}
