//! The identity keys that this client holds for names.

use std::sync::Arc;

use super::event::{KeyChange, Mark};
use crate::crypto::bundle::{self, VerifiedBundle};
use crate::crypto::curve::VerifyingKey;
use crate::crypto::envelope;
use crate::crypto::keys::PublicKey;
use crate::limits::FORMER_MS;
use crate::names::UserName;
use crate::wire::{Envelope, Fingerprint, Kind, Predecessor, Prefers};

/// The keys of a name as a server gave them, checked.
pub struct Found {
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
    /// The same identity asks for classic messages now, where it asked for modern ones before.
    TookBack {
        /// What goes to it stays modern until the person agrees.
        stays: bool,
    },
    /// Another identity, now or before, and the person has not yet chosen.
    Changed(KeyChange),
}

/// What is held for a name.
#[derive(Clone)]
pub struct Pin {
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
    /// Ed25519 keys in the last bundle of this identity.
    pub signers: Vec<Signer>,
    /// A bundle that prefers modern was seen of this name: nothing weaker goes to it.
    pub modern: bool,
    /// What the last bundle of this identity asks for.
    pub prefers: Prefers,
    /// What came classic until then was accepted by the person.
    pub accepted_ms: Option<i64>,
    /// The highest bundle number that was seen of the identity.
    pub bundle: u64,
    /// The highest one that it has named in a message.
    pub announced: u64,
}

/// An Ed25519 key that stands in a checked bundle of one name and identity, and counts under these alone.
#[derive(Clone)]
pub struct Signer {
    pub key: Arc<VerifyingKey>,
    /// Deadline when messages under it count; for ever, if it is the present one.
    pub until_ms: Option<i64>,
}

impl Signer {
    /// Those of a bundle, the present one first.
    pub fn of(bundle: &VerifiedBundle) -> Vec<Self> {
        let former = |former: &bundle::Former| {
            let retired_ms = i64::try_from(former.retired_ms).unwrap_or(i64::MAX);
            Self { key: Arc::new(former.key.clone()), until_ms: Some(retired_ms.saturating_add(FORMER_MS)) }
        };
        let present = Self { key: Arc::new(bundle.ed25519.clone()), until_ms: None };
        std::iter::once(present).chain(bundle.former.iter().map(former)).collect()
    }
}

/// The keys that a message is to be signed with.
#[derive(Clone)]
pub struct SignedBy {
    /// The sender's identity, which signs by the classic suites.
    pub identity: Arc<PublicKey>,
    /// The key under it, which signs by the modern ones.
    pub ed25519: Option<Arc<VerifyingKey>>,
    /// What is known of them.
    pub mark: Mark,
    /// The highest bundle number that was seen of this identity, or named by it.
    pub bundle: u64,
    /// By the suite that the name asks not to be written by.
    pub is_weaker: bool,
    /// For that, it waits until the person accepts it.
    pub is_held: bool,
}

impl SignedBy {
    /// Step 5: whether they have signed this.
    pub fn holds(&self, envelope: &Envelope) -> bool {
        match &self.ed25519 {
            Some(key) => {
                let is_its = envelope.header.sender_fp == self.identity.fingerprint();
                is_its && envelope::verify_modern(envelope, key)
            }
            None => envelope::verify(envelope, &self.identity),
        }
    }
}

/// A key that has handed over to the next one.
#[derive(Clone)]
pub struct Former {
    pub key: Arc<PublicKey>,
    /// Deadline when messages under it count.
    pub until_ms: i64,
    /// Ed25519 keys in the last bundle that was seen of it.
    pub signers: Vec<Signer>,
}

impl Pin {
    /// A key of which nothing more is to be known.
    pub fn new(key: PublicKey, mark: Mark) -> Self {
        let (former, others) = (Vec::new(), Vec::new());
        let (verified_ms, verified_before_ms) = (None, None);
        let (key, signers) = (Arc::new(key), Vec::new());
        let (modern, accepted_ms, bundle, announced) = (false, None, 0, 0);
        Self {
            key,
            mark,
            since_ms: 0,
            verified_ms,
            verified_before_ms,
            former,
            changed: None,
            others,
            signers,
            modern,
            prefers: Prefers::Classic,
            accepted_ms,
            bundle,
            announced,
        }
    }

    /// The key with this fingerprint, if a message under it counts that came at this time.
    pub fn signer(&self, fingerprint: Fingerprint, received_ms: i64) -> Option<(Arc<PublicKey>, Mark)> {
        if self.key.fingerprint() == fingerprint {
            return Some((Arc::clone(&self.key), self.mark));
        }
        let counts = |former: &&Former| former.key.fingerprint() == fingerprint && received_ms <= former.until_ms;
        self.former.iter().find(counts).map(|former| (Arc::clone(&former.key), Mark::Former))
    }

    /// The keys that a message which came at this time is to be signed with, if they are known.
    pub fn signed_by(&self, envelope: &Envelope, received_ms: i64) -> Option<SignedBy> {
        let (identity, mark) = self.signer(envelope.header.sender_fp, received_ms)?;
        let bundle = if self.key == identity { self.bundle.max(self.announced) } else { u64::MAX };
        let Some(named) = envelope.signer() else {
            let is_weaker = self.modern && envelope.header.suite.kind() == Kind::Direct;
            let is_held = is_weaker && self.accepted_ms.is_none_or(|accepted| received_ms > accepted);
            return Some(SignedBy { identity, ed25519: None, mark, bundle, is_weaker, is_held });
        };
        let of_former = |former: &Former| former.key.fingerprint() == identity.fingerprint();
        let signers = match self.key == identity {
            true => &self.signers,
            false => &self.former.iter().find(|former| of_former(former))?.signers,
        };
        let counts = |signer: &&Signer| {
            signer.key.fingerprint() == named && signer.until_ms.is_none_or(|until| received_ms <= until)
        };
        let signer = signers.iter().find(counts)?;
        let mark = if signer.until_ms.is_some() { Mark::Former } else { mark };
        let ed25519 = Some(Arc::clone(&signer.key));
        Some(SignedBy { identity, ed25519, mark, bundle, is_weaker: false, is_held: false })
    }

    /// By what a direct message to this name goes at least, with the bundle that the server shows now.
    pub fn least(&self, shown: &VerifiedBundle) -> Prefers {
        self.least_by(shown.number, shown.prefers)
    }

    /// The same with the last bundle that was seen.
    pub fn least_known(&self) -> Prefers {
        self.least_by(self.bundle, self.prefers)
    }

    fn least_by(&self, number: u64, prefers: Prefers) -> Prefers {
        match self.modern || self.announced > number {
            true => Prefers::Modern,
            false => prefers,
        }
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
