//! RSA-2048 keys that the tests share: making one takes a tenth of a second.

use std::sync::LazyLock;

use super::keys::PrivateKey;

/// Alice's identity.
pub(crate) static ALICE: LazyLock<PrivateKey> = LazyLock::new(small);
/// Bob's identity.
pub(crate) static BOB: LazyLock<PrivateKey> = LazyLock::new(small);
/// Bob's key that decrypts.
pub(crate) static BOB_ENCRYPTION: LazyLock<PrivateKey> = LazyLock::new(small);
/// Carol's key that decrypts.
pub(crate) static CAROL_ENCRYPTION: LazyLock<PrivateKey> = LazyLock::new(small);

fn small() -> PrivateKey {
    PrivateKey::generate(2048).unwrap()
}
