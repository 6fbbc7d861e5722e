//! The identity keys that this client holds for names.

use std::sync::Arc;

use super::event::{KeyChange, Mark};
use crate::crypto::bundle::VerifiedBundle;
use crate::crypto::keys::PublicKey;
use crate::names::UserName;
use crate::wire::{Fingerprint, Predecessor};

/// The keys of a name as a server gave them, checked.
pub struct Found {
    /// The keys.
    pub bundle: VerifiedBundle,
    /// The identity keys that came before, the newest first. Says nothing until it is checked.
    pub lineage: Vec<Predecessor>,
}

/// How the keys that a server gave compare with what was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// Nothing was; now they are.
    First,
    /// What is pinned stays: the server gave that identity, or keys that are older than those seen before.
    Stays,
    /// A new identity that the pinned one has handed over to: it is pinned in its place.
    Moved,
    /// Another identity, now or before, and the person has not yet chosen.
    Changed(KeyChange),
}

/// What is held for a name.
#[derive(Clone)]
pub struct Pin {
    /// The identity key.
    pub key: Arc<PublicKey>,
    /// What is known of it.
    pub mark: Mark,
    /// When it was pinned, as Unix time in milliseconds.
    pub since_ms: i64,
    /// When the person compared it.
    pub verified_ms: Option<i64>,
    /// When the person compared one that has led to it by handovers.
    pub verified_before_ms: Option<i64>,
    /// Keys that have handed over to it.
    pub former: Vec<Former>,
    /// Another key that was seen in this name, about which the person has not yet chosen.
    pub changed: Option<Fingerprint>,
    /// Other keys that were seen in this name and not chosen.
    pub others: Vec<Fingerprint>,
}

/// A key that has handed over to the next one.
#[derive(Clone)]
pub struct Former {
    /// The key.
    pub key: Arc<PublicKey>,
    /// Until when messages under it count.
    pub until_ms: i64,
}

impl Pin {
    /// A key of which nothing more is to be known.
    pub fn new(key: PublicKey, mark: Mark) -> Self {
        let (former, others) = (Vec::new(), Vec::new());
        let (verified_ms, verified_before_ms) = (None, None);
        Self { key: Arc::new(key), mark, since_ms: 0, verified_ms, verified_before_ms, former, changed: None, others }
    }

    /// The key with this fingerprint, if a message under it counts that came at this time.
    pub fn signer(&self, fingerprint: Fingerprint, received_ms: i64) -> Option<(Arc<PublicKey>, Mark)> {
        if self.key.fingerprint() == fingerprint {
            return Some((Arc::clone(&self.key), self.mark));
        }
        let counts = |former: &&Former| former.key.fingerprint() == fingerprint && received_ms <= former.until_ms;
        self.former.iter().find(counts).map(|former| (Arc::clone(&former.key), Mark::Former))
    }

    /// What is to be told while the person has not chosen.
    pub fn change(&self, name: &UserName) -> Option<KeyChange> {
        self.changed.map(|now| self.change_to(name, now))
    }

    /// What is to be told of this key in its place.
    pub fn change_to(&self, name: &UserName, now: Fingerprint) -> KeyChange {
        KeyChange {
            name: name.clone(),
            pinned: self.key.fingerprint(),
            now,
            since_ms: self.since_ms,
            verified_ms: self.verified_ms,
            verified_before_ms: self.verified_before_ms,
        }
    }
}

/// What becomes of the key of a name seen for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum NewKeys {
    /// It is pinned as the server gives it.
    #[default]
    First,
    /// Nothing, until its fingerprint is trusted by hand.
    Never,
}
