//! Who this client speaks for.

use std::sync::Arc;

use super::group_file::{GroupFile, usual_missing};
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::model::pin::Former;
use crate::client::state::history::History;
use crate::client::state::history::key::Settings;
use crate::crypto::curve::{OpeningKey, SigningKey};
use crate::crypto::group_key::GroupKeys;
use crate::crypto::keys::PrivateKey;
use crate::names::UserName;
use crate::wire::{Fingerprint, Prefers};

/// An account with its opened keys. No `Debug`: it would show them.
pub struct Member {
    pub name: UserName,
    pub identity: PrivateKey,
    pub encryption: PrivateKey,
    /// Signs modern messages.
    pub ed25519: SigningKey,
    /// Opens modern direct messages.
    pub x25519: OpeningKey,
    /// Number of the account's key bundle.
    pub bundle: u64,
    /// What it asks others to send; who asks for modern sends nothing weaker either.
    pub prefers: Prefers,
    /// Those before it, for messages that were sealed before it was made known.
    pub retired: Vec<PrivateKey>,
    /// Identity keys of one's own that were replaced, while what they signed still counts.
    pub former: Vec<Former>,
    /// Seals and opens group messages, as far as this member has the key file.
    pub group: GroupFile,
}

impl Member {
    /// The key that opens direct messages which were sealed for this one.
    pub fn decryption_key(&self, sealed_for: Fingerprint) -> Option<&PrivateKey> {
        let mut keys = std::iter::once(&self.encryption).chain(&self.retired);
        keys.find(|key| key.public().fingerprint() == sealed_for)
    }

    /// The keys of which one writes new group messages; without a key file nothing can be sent to ALL.
    pub fn group_keys(&self, config: &Config) -> Result<Arc<GroupKeys>, Error> {
        self.group.keys().ok_or_else(|| usual_missing(config))
    }

    /// The history that a session of this account adds to, if one is wanted. A session goes on without one that can't be had, and says so.
    pub(crate) fn history(&self, config: &Config) -> Option<History> {
        let folder = config.account_state(&self.name);
        let own: Vec<_> = std::iter::once(&self.encryption).chain(&self.retired).collect();
        let wanted = Settings::of(&folder).and_then(|settings| Ok(config.history || settings.is_on()?));
        let open = || History::open(&folder, &own).and_then(|history| history.checked());
        match wanted.and_then(|wanted| wanted.then(open).transpose()) {
            Ok(history) => history,
            Err(error) => {
                log::warn!("no history is kept now: {error}");
                None
            }
        }
    }
}
