//! The identity keys that this client holds for names.

use std::sync::Arc;

use super::Error;
use super::event::Mark;
use crate::crypto::bundle::VerifiedBundle;
use crate::crypto::keys::PublicKey;
use crate::names::UserName;

/// Where these keys are kept.
pub trait Keyring: Sync {
    /// The key pinned for this name.
    fn pinned(&self, name: &UserName) -> Result<Option<Pin>, Error>;

    /// Pins the key of a name seen for the first time, durably. Gives the pin that stands then,
    /// which is another key if somebody was faster.
    fn pin(&self, bundle: &VerifiedBundle) -> Result<Pin, Error>;
}

/// A key held for a name.
#[derive(Clone)]
pub struct Pin {
    /// The identity key.
    pub key: Arc<PublicKey>,
    /// What is known of it.
    pub mark: Mark,
}
