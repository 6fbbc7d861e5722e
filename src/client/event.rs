//! What happened that a person or a script is to see.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::keys::PublicKey;
use crate::names::{Recipient, UserName};
use crate::wire::{Envelope, Fingerprint, MessageId};

/// What is known of the key that signed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Pinned in this run: nobody has compared it yet.
    New,
    /// Pinned before this run, or trusted by its fingerprint.
    Known,
}

/// A message whose signature and commitment hold.
pub struct Opened {
    /// As it was sent.
    pub envelope: Envelope,
    /// Who signed it.
    pub sender: Arc<PublicKey>,
    /// What is known of that key.
    pub mark: Mark,
    /// What was written.
    pub text: Zeroizing<String>,
    /// Whether it waited for this client.
    pub backlog: bool,
}

/// Something other than a message. Says nothing that came out of an envelope that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The very same message again.
    Copy {
        /// Who signed it.
        from: UserName,
        /// Which message.
        id: MessageId,
        /// When it was first received, as Unix time in milliseconds.
        first_ms: i64,
    },
    /// Lines about messages of this sender are not shown for a while: there were too many.
    HeldBack {
        /// Whose; of all senders that nothing is known of, if none is named.
        from: Option<UserName>,
    },
    /// A sender's key is not the one that was pinned.
    KeyChanged {
        /// Whose.
        name: UserName,
        /// The key pinned before.
        pinned: Fingerprint,
        /// The key in the message.
        now: Fingerprint,
    },
    /// The server did not answer when it was asked for a sender's key.
    KeyNotGiven {
        /// Whom the messages are marked from.
        from: UserName,
        /// How many messages waited for the key.
        count: usize,
    },
    /// Bytes that are no envelope: the server should not have passed them on.
    Malformed,
    /// The sender's counter tells of messages that never came.
    Missing {
        /// Whose.
        from: UserName,
        /// To whom they were sent.
        to: Recipient,
    },
    /// A sender seen for the first time whose key can't be pinned: there are too many contacts already.
    NoRoom {
        /// Who signed it.
        from: UserName,
        /// Which message.
        id: MessageId,
    },
    /// A message to somebody else, or of a suite that doesn't fit.
    NotForMe {
        /// Whom it is marked from.
        from: UserName,
        /// Which message.
        id: MessageId,
    },
    /// Decryption or commitment failed. One notice for all causes.
    NotOpened {
        /// Who signed it.
        from: UserName,
        /// Which message.
        id: MessageId,
    },
    /// The group message was sealed with a group key that is not in the file.
    OtherGroupKey {
        /// The first hex digits of its key's id.
        theirs: String,
        /// Those of one's own; none if there is no group key.
        ours: Option<String>,
    },
    /// The signature does not match the sender's key.
    Rejected {
        /// Whom it is marked from.
        from: UserName,
        /// Which message.
        id: MessageId,
    },
    /// The same message id with other bytes.
    Reused {
        /// Who signed it.
        from: UserName,
        /// Which message.
        id: MessageId,
    },
    /// The sender's key can't be had: the server gives none, or one that doesn't hold.
    UnknownSender {
        /// Whom it is marked from.
        from: UserName,
        /// Which message.
        id: MessageId,
    },
}

/// What a received message led to.
pub enum Event {
    /// A message.
    Message(Box<Opened>),
    /// Anything else.
    Notice(Notice),
}
