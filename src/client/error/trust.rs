//! Why a contact's key is not used, or not chosen.

use std::path::PathBuf;

use crate::client::model::event::KeyChange;
use crate::crypto::bundle::BundleError;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::limits::CONTACTS_MAX;
use crate::names::UserName;
use crate::text::visible;
use crate::wire::Fingerprint;

/// Why a contact's key is not used, or not chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A key bundle that is not what its name promises.
    #[error("the server gave a key for {name} that does not hold: {why}")]
    Bundle {
        /// Whose it should be.
        name: UserName,
        /// What is wrong with it.
        why: BundleError,
    },
    /// The server gave somebody else's bundle.
    #[error("the server gave another account's keys for {name}")]
    BundleOfAnother {
        /// Whose it should be.
        name: UserName,
    },
    /// Two bundles of one identity with the same number.
    #[error("the server gave other keys of {name} under the number {number} of those seen before.")]
    BundleReused {
        /// Whose.
        name: UserName,
        /// The number.
        number: u64,
    },
    /// As many contacts as there may be.
    #[error("{}: {CONTACTS_MAX} contacts already, none was added", visible(&.path.to_string_lossy()))]
    ContactsFull {
        /// Where they stand.
        path: PathBuf,
    },
    /// A fingerprint that can't be one.
    #[error("\"{}\" is no fingerprint", visible(.text))]
    Fingerprint {
        /// How many digits it must have.
        least: usize,
        /// As typed.
        text: String,
    },
    /// The server no longer gives the key that the person was told of.
    #[error("the server gives another key of {name} now than the one you were told of. Nothing was changed.\n  told {}\n  now  {}", .told.grouped(), .now.grouped())]
    Gone {
        /// Whose.
        name: UserName,
        /// The key that was told.
        told: Fingerprint,
        /// The key that the server gives now.
        now: Fingerprint,
    },
    /// A contact's key is not the one that was pinned.
    #[error("{}", key_change(.0))]
    KeyChanged(Box<KeyChange>),
    /// The fingerprint given is not that of the contact's key.
    #[error("that is not the fingerprint of {name}'s key: it is\n  {}", .now.grouped())]
    Mismatch {
        /// Whose.
        name: UserName,
        /// The key that the server gives now.
        now: Fingerprint,
    },
    /// Nobody of that name among the contacts.
    #[error("{name} is not one of your contacts")]
    NoContact {
        /// As typed.
        name: UserName,
    },
    /// There is no other key of this contact to be trusted.
    #[error("no other key of {name} was seen: there is nothing to choose")]
    NotChanged {
        /// Whose.
        name: UserName,
    },
    /// Something that can wait until the person has chosen a contact's key.
    #[error("{name}'s key has changed, and you have not chosen yet")]
    NotChosen {
        /// Whose.
        name: UserName,
    },
    /// A contact's key is not pinned, and none is taken as the server gives it.
    #[error("no key of {name} is pinned, and --accept-new-keys never takes none by itself.\n  the server gives {}", .now.grouped())]
    NotPinned {
        /// Whose.
        name: UserName,
        /// The key that the server gives.
        now: Fingerprint,
    },
    /// The changed key that a contact has by now was not shown to whoever would trust it.
    #[error("{}'s key has changed again since you were shown one. Nothing was changed.\n  now {}", .0.name, .0.now.grouped())]
    NotShown(Box<KeyChange>),
    /// The server gave a bundle older than one that was seen.
    #[error("the server gave old keys of {name}: bundle {given}, but {known} was seen before.")]
    OldBundle {
        /// Whose.
        name: UserName,
        /// Its number.
        given: u64,
        /// The highest number seen.
        known: u64,
    },
    /// A message would be weaker than what its recipient asks for.
    #[error("{name} asks for modern messages: nothing classic is sent to {name}.")]
    Weaker {
        /// To whom.
        name: UserName,
    },
}

impl Explain for TrustError {
    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Bundle { .. } | Self::BundleOfAnother { .. } | Self::BundleReused { .. } => {
                "don't trust this server with that contact; ask its owner".into()
            }
            Self::ContactsFull { .. } => Hint::from("take out those whom you don't know: ")
                .topchat(&["contacts"])
                .then(", ")
                .topchat(&["forget", "NAME"]),
            Self::Fingerprint { least, .. } => {
                format!("give at least its first {least} hex digits, as topchat fingerprint shows them").into()
            }
            Self::Gone { name, .. } => Hint::from("compare it by voice, with: ")
                .topchat(&["verify", name.as_str()])
                .then("    or name the key: ")
                .topchat(&["trust", name.as_str(), "FINGERPRINT"]),
            Self::KeyChanged(change) | Self::NotShown(change) => Hint::from(
                "they made new keys, or someone (the server's owner could) stands in their place. \
                 Compare by voice, with: ",
            )
            .and(choosing(&change.name)),
            Self::Mismatch { .. } => {
                "compare it with the contact by voice: it may be somebody else's key. Nothing was changed".into()
            }
            Self::NoContact { .. } => Hint::from("see them: ").topchat(&["contacts"]),
            Self::NotChanged { name } => {
                Hint::from("to pin the key that the server gives, compare it and give its fingerprint: ").topchat(&[
                    "trust",
                    name.as_str(),
                    "FINGERPRINT",
                ])
            }
            Self::NotChosen { name } => Hint::from("choose first: ").and(choosing(name)),
            Self::NotPinned { name, now } => {
                let name = name.as_str();
                Hint::from(format!("compare it with {name} by voice, then: ")).topchat(&["trust", name, &now.to_hex()])
            }
            Self::OldBundle { .. } => {
                "the server may have lost its newest data, or it lies; ask its owner, and tell the contact".into()
            }
            Self::Weaker { .. } => "leave --suite out: what goes to a contact is as strong as they ask for".into(),
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Fingerprint { .. } | Self::NoContact { .. } | Self::NotChanged { .. } => Exit::Usage,
            Self::ContactsFull { .. } => Exit::Local,
            Self::Bundle { .. }
            | Self::BundleOfAnother { .. }
            | Self::BundleReused { .. }
            | Self::Gone { .. }
            | Self::KeyChanged(_)
            | Self::Mismatch { .. }
            | Self::NotChosen { .. }
            | Self::NotPinned { .. }
            | Self::NotShown(_)
            | Self::OldBundle { .. }
            | Self::Weaker { .. } => Exit::Identity,
        }
    }
}

/// The two ways on from a changed key.
fn choosing(name: &UserName) -> Hint {
    Hint::default()
        .topchat(&["verify", name.as_str()])
        .then("    or go on unverified: ")
        .topchat(&["trust", name.as_str()])
}

/// The alarm as a command's error: both keys, and what is known of the old one.
fn key_change(change: &KeyChange) -> String {
    format!(
        "{}'S KEY HAS CHANGED.\n  was {}\n  now {}\n  the old one was {}",
        change.name.as_str().to_uppercase(),
        change.pinned.grouped(),
        change.now.grouped(),
        change.was_known()
    )
}
