//! The account's key bundle as this machine made it last: `bundle` beside the key files.
//!
//! It is signed by the account itself. What a server shows may be an older one: a new one is made of this, so that nobody gets a newer
//! signature under an older wish.

use std::path::PathBuf;

use super::folder::{AccountKeys, KeyFolder};
use crate::client::error::Error;
use crate::crypto::bundle::{self, Contents, VerifiedBundle};
use crate::crypto::keys::{KeyError, PublicKey};
use crate::limits::SMALL_FILE_MAX;
use crate::names::UserName;
use crate::storage::{FileError, private};
use crate::wire::{Bundle, Prefers};

impl KeyFolder {
    /// The bundle, if one is here that this identity has signed. One that can't be read is told: the server's is taken then.
    pub(crate) fn own_bundle(&self, identity: &PublicKey) -> Option<VerifiedBundle> {
        let bytes = match private::read(&self.bundle_file(), SMALL_FILE_MAX) {
            Ok(bytes) => bytes,
            Err(FileError::Missing { .. }) => return None,
            Err(error) => {
                log::warn!("{error}");
                return None;
            }
        };
        let own = bundle::verify(&bytes).inspect_err(|why| log::warn!("{}: {why}", self.bundle_file().display()));
        own.ok().filter(|own| own.identity == *identity)
    }

    /// The same as bytes, for another machine.
    pub(crate) fn own_bundle_file(&self, identity: &PublicKey) -> Option<Vec<u8>> {
        self.own_bundle(identity)?;
        private::read(&self.bundle_file(), SMALL_FILE_MAX).ok()
    }

    /// On disk when this returns.
    pub(crate) fn keep_bundle(&self, bytes: &[u8]) -> Result<(), Error> {
        Ok(private::replace(&self.bundle_file(), bytes)?)
    }

    fn bundle_file(&self) -> PathBuf {
        self.path().join(BUNDLE)
    }
}

/// The file's name.
pub(crate) const BUNDLE: &str = "bundle";

/// What is to be in the next bundle of these keys, as far as this machine knows: `shown` is what the server has, whose number it must
/// exceed, and from which the wish comes if it is newer than what was made here.
pub(crate) fn next(
    folder: &KeyFolder,
    name: &UserName,
    keys: &AccountKeys,
    shown: &VerifiedBundle,
    known: u64,
    change: impl FnOnce(Contents<'_>) -> Result<Bundle, KeyError>,
) -> Result<Bundle, KeyError> {
    let own = folder.own_bundle(keys.identity.public());
    // One with a higher number, which the account has signed, too, was made on another machine.
    let last = own.as_ref().filter(|own| own.number >= shown.number).unwrap_or(shown);
    let number = last.number.max(shown.number).max(known).saturating_add(1);
    change(Contents {
        name,
        identity: &keys.identity,
        encryption: keys.encryption.public(),
        ed25519: &keys.ed25519,
        x25519: keys.x25519.public(),
        former: &last.former,
        prefers: last.prefers,
        number,
    })
}

/// The first bundle of an account.
pub(crate) fn first(name: &UserName, keys: &AccountKeys, number: u64, prefers: Prefers) -> Result<Bundle, KeyError> {
    bundle::make(&Contents {
        name,
        identity: &keys.identity,
        encryption: keys.encryption.public(),
        ed25519: &keys.ed25519,
        x25519: keys.x25519.public(),
        former: &[],
        prefers,
        number,
    })
}
