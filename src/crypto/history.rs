//! The key of an account's history, and what is sealed with it: AES-256 in GCM.
//!
//! This never leaves the machine, so it is no part of the protocol and free of its old ciphers. The key is random; on disk it
//! is sealed for the account's encryption key, whose file the password locks.

use zeroize::Zeroizing;

use super::digest::sha256;
use super::keys::{KeyError, PrivateKey, PublicKey};
use super::modern::aead::{self, KEY};
use super::{direct, random};

/// A key that seals and opens the entries of one history. No `Debug`: it would show it.
pub struct HistoryKey {
    key: Zeroizing<[u8; KEY]>,
}

impl HistoryKey {
    /// A new one.
    pub fn generate() -> Self {
        Self { key: random::secret() }
    }

    /// Tells keys apart, and that the right one came out of [`Self::unlock`].
    pub fn id(&self) -> [u8; ID] {
        let digest = sha256(&Zeroizing::new([ID_CONTEXT, &self.key[..]].concat()));
        std::array::from_fn(|at| digest[at])
    }

    /// As it may lie on disk: whoever has the private half of `key` can open it.
    pub fn lock(&self, key: &PublicKey) -> Result<Vec<u8>, KeyError> {
        direct::encrypt(key, &self.key[..])
    }

    /// Opens what [`Self::lock`] made; `None` if it is something else or the key with this id did not come out.
    pub fn unlock(key: &PrivateKey, locked: &[u8], id: &[u8]) -> Option<Self> {
        let opened = direct::decrypt(key, locked).filter(|opened| opened.whole)?;
        let key = Self { key: Zeroizing::new(opened.plaintext.as_slice().try_into().ok()?) };
        (key.id() == id).then_some(key)
    }

    /// Seals the entry at `place`: elsewhere, or changed, it does not open.
    pub fn seal(&self, place: u64, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let nonce = random::bytes();
        Ok([&nonce[..], &aead::seal(&self.key, &nonce, &bound(place), plaintext)?].concat())
    }

    /// Opens the entry at `place`.
    pub fn open(&self, place: u64, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk()?;
        aead::open(&self.key, nonce, &bound(place), sealed)
    }
}

/// What every entry is bound to.
fn bound(place: u64) -> Vec<u8> {
    [ENTRY_CONTEXT, &place.to_be_bytes()].concat()
}

const ID: usize = 8;
const ID_CONTEXT: &[u8] = b"TopChat-history-key-v1\0";
const ENTRY_CONTEXT: &[u8] = b"TopChat-history-v1\0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::test_keys::{BOB_ENCRYPTION, CAROL_ENCRYPTION};

    #[test]
    fn an_entry_opens_at_its_place_alone_and_only_unchanged() {
        let key = HistoryKey::generate();
        let sealed = key.seal(7, b"hello").unwrap();
        assert_eq!(key.open(7, &sealed).unwrap().as_slice(), b"hello");
        assert!(key.open(8, &sealed).is_none());
        assert!(HistoryKey::generate().open(7, &sealed).is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(7, &changed).is_none(), "byte {at}");
            assert!(key.open(7, &sealed[..at]).is_none(), "{at} bytes");
        }
        assert_ne!(sealed, key.seal(7, b"hello").unwrap(), "no nonce twice");
    }

    #[test]
    fn the_key_opens_with_the_private_half_it_was_locked_for() {
        let key = HistoryKey::generate();
        let locked = key.lock(BOB_ENCRYPTION.public()).unwrap();
        let again = HistoryKey::unlock(&BOB_ENCRYPTION, &locked, &key.id()).unwrap();
        assert_eq!(again.key, key.key);
        assert!(HistoryKey::unlock(&CAROL_ENCRYPTION, &locked, &key.id()).is_none());
        assert!(HistoryKey::unlock(&BOB_ENCRYPTION, &locked, &HistoryKey::generate().id()).is_none());
        assert!(HistoryKey::unlock(&BOB_ENCRYPTION, b"", &key.id()).is_none());
        assert!(!locked.windows(KEY).any(|part| part == &key.key[..]));
    }
}
