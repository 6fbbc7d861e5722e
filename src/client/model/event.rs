//! What happened that a person or a script is to see.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::pin::SignedBy;
use crate::names::{Recipient, UserName};
use crate::wire::{Envelope, Fingerprint, MessageId};

/// What is known of the key that signed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Pinned or trusted in this run, by whichever process of the account: nobody has compared it yet.
    New,
    /// Pinned before this run, or trusted by its fingerprint.
    Known,
    /// The person has compared it, or it is their own.
    Verified,
    /// It has handed over to the one that is pinned now.
    Former,
}

impl Mark {
    /// In one word, for people and for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
            Self::Verified => "verified",
            Self::Former => "former",
        }
    }
}

/// A contact's key is not the one that was pinned, and the person has not yet chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// Whose.
    #[serde(rename = "from")]
    pub name: UserName,
    /// The key pinned before.
    pub pinned: Fingerprint,
    /// The other key that was seen.
    pub now: Fingerprint,
    /// When the first one was pinned, as Unix time in milliseconds.
    #[serde(rename = "since", serialize_with = "as_time")]
    pub since_ms: i64,
    /// When the person compared it.
    #[serde(rename = "verified", serialize_with = "as_time", skip_serializing_if = "Option::is_none")]
    pub verified_ms: Option<i64>,
    /// When the person compared a key that has handed over to it, as far as nobody has compared it itself.
    #[serde(rename = "verified_before", serialize_with = "as_time", skip_serializing_if = "Option::is_none")]
    pub verified_before_ms: Option<i64>,
}

/// A message whose signature and commitment hold.
pub struct Opened {
    /// As it was sent.
    pub envelope: Envelope,
    /// The keys that signed it, and what is known of them.
    pub signed_by: SignedBy,
    pub text: Zeroizing<String>,
    /// Whether it waited for this client.
    pub backlog: bool,
    /// When it came, as Unix time in milliseconds.
    pub received_ms: i64,
    /// By a weaker suite than its sender, or the group, asks for.
    pub is_weaker: bool,
    /// A later one told of it before it came.
    pub is_late: bool,
    /// It may have been shown before: a crash came between showing it and recording that.
    pub is_repeated: bool,
}

/// Something other than a message. Says nothing that came out of an envelope that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "notice", rename_all = "kebab-case")]
pub enum Notice {
    /// The very same message again.
    Copy {
        /// Who signed it.
        from: UserName,
        id: MessageId,
        /// When it was first received, as Unix time in milliseconds.
        #[serde(rename = "first", serialize_with = "as_time")]
        first_ms: i64,
    },
    /// Lines about messages of this sender are not shown for a while: there were too many.
    HeldBack {
        /// Whose; of all senders that nothing is known of, if none is named.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<UserName>,
    },
    /// The message is under a key that the sender's present one has replaced, too long ago to count.
    GivenUp {
        /// Whom it is marked from.
        from: UserName,
        id: MessageId,
    },
    /// Messages wait until the person has chosen one of the sender's keys.
    Held {
        /// Whom they are marked from.
        from: UserName,
        count: usize,
        /// How many more came for which there was no room.
        lost: usize,
    },
    /// Messages of a sender whose key is not pinned wait, since new keys are not taken.
    HeldUnpinned {
        /// Whom they are marked from.
        from: UserName,
        count: usize,
        /// The key that the last of them names.
        now: Fingerprint,
        /// How many more came for which there was no room.
        lost: usize,
    },
    /// A sender's key is not the one that was pinned.
    KeyChanged(KeyChange),
    /// The server did not answer when it was asked for a sender's key.
    KeyNotGiven {
        /// Whom the messages are marked from.
        from: UserName,
        /// How many messages waited for the key.
        count: usize,
    },
    /// Bytes that are no envelope: the server should not have passed them on.
    Malformed,
    /// The sender's counter tells of messages that never came here. The server said that another session of the account took some.
    Elsewhere {
        from: UserName,
        /// To whom they were sent.
        to: Recipient,
    },
    /// The sender's counter tells of messages that never came.
    Missing {
        from: UserName,
        /// To whom they were sent.
        to: Recipient,
    },
    /// The server has no account of the sender's any more, so there is no key to verify the message with.
    NoAccount {
        /// Whom it is marked from.
        from: UserName,
        id: MessageId,
    },
    /// A sender seen for the first time whose key can't be pinned: there are too many contacts already.
    NoRoom {
        /// Who signed it.
        from: UserName,
        id: MessageId,
    },
    /// A message to somebody else.
    NotForMe {
        /// Whom it is marked from.
        from: UserName,
        id: MessageId,
    },
    /// Decryption or commitment failed. One notice for all causes.
    NotOpened {
        /// Who signed it.
        from: UserName,
        id: MessageId,
    },
    /// A contact has a new identity key, which the pinned one has handed over to.
    NewKeys {
        /// Whose.
        #[serde(rename = "from")]
        name: UserName,
        now: Fingerprint,
    },
    /// Messages to ALL wait that are under DES, though the group's key is one of AES-256.
    ClassicGroup {
        /// Who signed them.
        from: UserName,
        /// How many wait.
        count: usize,
        /// How many more came for which there was no room.
        lost: usize,
    },
    /// Messages wait that are weaker than what their sender asks others for, until the person accepts them.
    Weaker {
        /// Who signed them.
        from: UserName,
        /// How many wait.
        count: usize,
        /// How many more came for which there was no room.
        lost: usize,
    },
    /// A contact asks for classic messages now, where it asked for modern ones before.
    TookBack {
        /// Who.
        #[serde(rename = "from")]
        name: UserName,
        /// What goes to them stays modern until the person agrees.
        stays: bool,
    },
    /// The message is under a key that the person has decided against.
    NotChosen {
        /// Whom it is marked from.
        from: UserName,
        id: MessageId,
    },
    /// The group key file has changed and can't be used: the keys read before stay.
    GroupKeyBad {
        /// The first hex digits of the id of the key that goes on writing, if there is one.
        #[serde(rename = "ours", skip_serializing_if = "Option::is_none")]
        writes: Option<String>,
        /// What is wrong with it.
        why: String,
    },
    /// The group key file has changed and was read again.
    GroupKeyRead {
        /// The first hex digits of the id of the key that writes now.
        #[serde(rename = "ours")]
        writes: String,
    },
    /// Messages of this sender are sealed for a key of one's own that is not on this machine. They wait.
    OwnKeyMissing {
        /// Who signed them.
        from: UserName,
        count: usize,
        /// The key that they are sealed for.
        key: Fingerprint,
        /// How many more came for which there was no room.
        lost: usize,
    },
    /// Messages to ALL were sealed with a group key that is not in the file. They wait.
    OtherGroupKey {
        /// Who signed them.
        from: UserName,
        count: usize,
        /// The first hex digits of its key's id.
        theirs: String,
        /// Those of one's own; none if there is no group key.
        #[serde(skip_serializing_if = "Option::is_none")]
        ours: Option<String>,
        /// How many more came for which there was no room.
        lost: usize,
    },
    /// The server keeps only so many messages for who is away: these won't come any more.
    #[serde(rename = "passed-over")]
    Passed { count: u64 },
    /// The signature does not match the sender's key.
    Rejected {
        /// Whom it is marked from.
        from: UserName,
        id: MessageId,
    },
    /// The same message id with other bytes.
    #[serde(rename = "id-reused")]
    Reused {
        /// Who signed it.
        from: UserName,
        id: MessageId,
    },
    /// The sender's key can't be had: the server gives none, or one that doesn't hold.
    UnknownSender {
        /// Whom it is marked from.
        from: UserName,
        id: MessageId,
    },
}

impl KeyChange {
    /// What was known of the key before.
    pub(crate) fn was_known(&self) -> String {
        let verified = match (self.verified_ms, self.verified_before_ms) {
            (Some(verified), _) => format!("verified {}", date(verified)),
            (None, Some(before)) => format!("signed by one that was verified {}", date(before)),
            (None, None) => "never verified".to_owned(),
        };
        format!("pinned {}, {verified}", date(self.since_ms))
    }
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn time(ms: i64) -> String {
    timestamp(ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Milliseconds that a stranger chose as a time: what lies outside of all calendars becomes their end.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    // A day before the last one: a time zone must not push it over the end.
    let (first, last) = (Timestamp::MIN.as_millisecond() + DAY_MS * 2, Timestamp::MAX.as_millisecond() - DAY_MS * 2);
    Timestamp::from_millisecond(ms.clamp(first, last)).unwrap_or_default()
}

fn as_time<S: Serializer>(ms: &(impl Copy + Into<Option<i64>>), serializer: S) -> Result<S::Ok, S::Error> {
    (*ms).into().map(time).serialize(serializer)
}

/// The day of a time in milliseconds, in UTC, which is the same for all readers.
pub(crate) fn date(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%Y-%m-%d").to_string()
}

impl Serialize for UserName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

/// A day in milliseconds.
pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;
