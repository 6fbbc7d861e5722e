//! The lines of the account database.
//!
//! One JSON object a line, one line a change, in the order of the changes; bytes are in base64 (RFC 4648):
//!
//! ```text
//! {"op":"register","v":1,"name":"alice","created_ms":1700000000000,"salt":…,"iterations":600000,"stored_key":…,"server_key":…,"bundle":…}
//! {"op":"password","v":1,"name":"alice","salt":…,"iterations":600000,"stored_key":…,"server_key":…}
//! {"op":"keys","v":1,"name":"alice","bundle":…,"handover":""}
//! {"op":"disable","v":1,"name":"alice"}      also "enable" and "delete"
//! {"op":"invite","v":1,"code":…,"created_ms":1700000000000,"expires_ms":1700604800000,"uses":1}
//! {"op":"revoke","v":1,"code":…}
//! {"op":"checkpoint","v":1,"records":2}
//! {"op":"lineage","v":1,"name":"alice","origin":…,"former":[{"identity":…,"handover":…}]}
//! ```
//!
//! `code` is the hash of an invite code. A `register` record that has one (`"invite":…`) also uses that invite: they can't
//! come apart. An `invite` record of a rewritten file tells how often it was used (`"used":…`).
//!
//! A rewritten file begins with a checkpoint: so many `invite`, `register`, `lineage` and `disable` records must follow at
//! once. A `lineage` tells which identities an account had before that of its `register` record, and stands nowhere else.
//! They came to disk together, so if some are missing the file was damaged later, and is no torn write.

use serde::{Deserialize, Serialize};

use super::{Account, Invite, InviteHash, KeysError};
use crate::limits::{HANDOVER_MAX, SPKI_MAX};
use crate::names::UserName;
use crate::wire::{self, Fingerprint, Predecessor, Verifier};

/// One change, as it stands in the file. Not `Debug`: it holds a password verifier.
#[derive(Deserialize, Serialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Record {
    /// The first line of a rewritten file.
    Checkpoint { v: Version, records: u64 },
    /// The account is gone.
    Delete {
        v: Version,
        #[serde(with = "name")]
        name: UserName,
    },
    /// The account is closed.
    Disable {
        v: Version,
        #[serde(with = "name")]
        name: UserName,
    },
    /// The account is open again.
    Enable {
        v: Version,
        #[serde(with = "name")]
        name: UserName,
    },
    /// Somebody who is not there yet may make an account.
    Invite {
        v: Version,
        code: InviteHash,
        created_ms: u64,
        expires_ms: u64,
        uses: u32,
        #[serde(default, skip_serializing_if = "is_none_yet")]
        used: u32,
    },
    /// The account has new keys.
    Keys {
        v: Version,
        #[serde(with = "name")]
        name: UserName,
        #[serde(with = "base64")]
        bundle: Vec<u8>,
        /// Empty if the identity stays.
        #[serde(with = "base64")]
        handover: Vec<u8>,
    },
    /// The identities that an account had before.
    Lineage {
        v: Version,
        #[serde(with = "name")]
        name: UserName,
        /// SHA-256 of the first one.
        #[serde(with = "base64")]
        origin: [u8; 32],
        /// The newest first.
        former: Vec<Former>,
    },
    /// The account has a new password.
    Password {
        v: Version,
        #[serde(with = "name")]
        name: UserName,
        #[serde(with = "base64")]
        salt: [u8; 16],
        iterations: u32,
        #[serde(with = "base64")]
        stored_key: [u8; 32],
        #[serde(with = "base64")]
        server_key: [u8; 32],
    },
    /// A new account.
    Register {
        v: Version,
        #[serde(with = "name")]
        name: UserName,
        created_ms: u64,
        #[serde(with = "base64")]
        salt: [u8; 16],
        iterations: u32,
        #[serde(with = "base64")]
        stored_key: [u8; 32],
        #[serde(with = "base64")]
        server_key: [u8; 32],
        #[serde(with = "base64")]
        bundle: Vec<u8>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invite: Option<InviteHash>,
    },
    /// The invite makes no more accounts.
    Revoke { v: Version, code: InviteHash },
}

/// One key of a lineage.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Former {
    #[serde(with = "base64")]
    identity: Vec<u8>,
    #[serde(with = "base64")]
    handover: Vec<u8>,
}

impl Former {
    /// Whether both parts are within the protocol's limits.
    pub(super) fn fits(&self) -> bool {
        (1..=SPKI_MAX).contains(&self.identity.len()) && (1..=HANDOVER_MAX).contains(&self.handover.len())
    }
}

impl From<&Predecessor> for Former {
    fn from(of: &Predecessor) -> Self {
        Self { identity: of.identity.clone(), handover: of.handover.clone() }
    }
}

impl From<Former> for Predecessor {
    fn from(of: Former) -> Self {
        Self { identity: of.identity, handover: of.handover }
    }
}

/// The version of a record's layout, which must be known.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(try_from = "u64", into = "u64")]
pub(super) struct Version;

impl Record {
    /// A new account; with `by`, that invite's use, too.
    pub(super) fn register(account: &Account, by: Option<InviteHash>) -> Self {
        let Verifier { salt, iterations, stored_key, server_key } = account.verifier;
        Self::Register {
            v: Version,
            name: account.name.clone(),
            created_ms: account.created_ms,
            salt,
            iterations,
            stored_key,
            server_key,
            bundle: account.bundle.clone(),
            invite: by,
        }
    }

    pub(super) fn invite(invite: &Invite) -> Self {
        let Invite { hash, created_ms, expires_ms, uses, used } = *invite;
        Self::Invite { v: Version, code: hash, created_ms, expires_ms, uses, used }
    }

    pub(super) fn revoke(code: InviteHash) -> Self {
        Self::Revoke { v: Version, code }
    }

    pub(super) fn password(name: UserName, verifier: &Verifier) -> Self {
        let Verifier { salt, iterations, stored_key, server_key } = *verifier;
        Self::Password { v: Version, name, salt, iterations, stored_key, server_key }
    }

    pub(super) fn keys(name: UserName, bundle: Vec<u8>, handover: Vec<u8>) -> Self {
        Self::Keys { v: Version, name, bundle, handover }
    }

    /// `None` for an account whose identity is its first one.
    pub(super) fn lineage(account: &Account) -> Option<Self> {
        let former: Vec<_> = account.lineage.iter().map(Former::from).collect();
        let Account { name, origin: Fingerprint(origin), .. } = account.clone();
        (!former.is_empty()).then_some(Self::Lineage { v: Version, name, origin, former })
    }

    pub(super) fn disable(name: UserName, disabled: bool) -> Self {
        if disabled { Self::Disable { v: Version, name } } else { Self::Enable { v: Version, name } }
    }

    pub(super) fn delete(name: UserName) -> Self {
        Self::Delete { v: Version, name }
    }

    pub(super) fn checkpoint(records: u64) -> Self {
        Self::Checkpoint { v: Version, records }
    }

    /// Strict: exactly one JSON object with exactly the fields of its kind.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Damage> {
        let text = std::str::from_utf8(line).map_err(|_| Damage::NotUtf8)?;
        if text.trim().is_empty() {
            return Err(Damage::Blank);
        }
        if !text.starts_with('{') {
            return Err(Damage::NotAnObject);
        }
        serde_json::from_str(text).map_err(Damage::Json)
    }

    /// Adds the record's line, line end included.
    pub(super) fn write(&self, lines: &mut (impl std::io::Write + ?Sized)) -> std::io::Result<()> {
        serde_json::to_writer(&mut *lines, self)?;
        lines.write_all(b"\n")
    }
}

/// What is wrong with a line of the account database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It is empty.
    #[error("a blank line")]
    Blank,
    /// The key bundle is none.
    #[error("{0}")]
    Bundle(wire::Error),
    /// A checkpoint that is not the first line.
    #[error("a checkpoint belongs into the first line only")]
    Checkpoint,
    /// A name that is registered already.
    #[error("{name} is registered a second time")]
    Duplicate {
        /// The name.
        name: UserName,
    },
    /// The file ends, or goes on otherwise, before all records of its checkpoint came.
    #[error("the checkpoint in line 1 promises {promised} records, but only {found} follow")]
    Incomplete {
        /// How many it promises.
        promised: u64,
        /// How many there are.
        found: u64,
    },
    /// Keys that do not follow those of the account.
    #[error("new keys of {name}: {why}")]
    Keys {
        /// The name.
        name: UserName,
        /// What is wrong with them.
        why: KeysError,
    },
    /// A lineage that no account can have, or elsewhere than behind its account in a rewritten file.
    #[error("a lineage of {name} does not belong here")]
    Lineage {
        /// The name.
        name: UserName,
    },
    /// Not JSON, or not the fields of a record.
    #[error("{}", json_words(.0))]
    Json(serde_json::Error),
    /// The first line is torn or missing. A new file comes into being with its first line whole.
    #[error("the file holds no whole record")]
    NoRecord,
    /// An invite that is there already.
    #[error("invite {id} is made a second time")]
    DuplicateInvite {
        /// Its id.
        id: String,
    },
    /// An invite that is used more often than it is good for.
    #[error("invite {id} is used more often than it may be")]
    InviteUsed {
        /// Its id.
        id: String,
    },
    /// Something else than `{...}`.
    #[error("not a JSON object")]
    NotAnObject,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The bundle is for another name.
    #[error("the key bundle of {name} is for the name {bundle}")]
    OtherName {
        /// The record's name.
        name: UserName,
        /// The bundle's.
        bundle: UserName,
    },
    /// Longer than any record.
    #[error("longer than {} bytes", crate::limits::RECORD_MAX)]
    TooLong,
    /// An invite that does not exist.
    #[error("there is no invite {id}")]
    UnknownInvite {
        /// Its id.
        id: String,
    },
    /// A change of an account that does not exist.
    #[error("there is no account {name} to change")]
    Unknown {
        /// The name.
        name: UserName,
    },
}

/// Without serde's own line number, which is always 1 here, and made safe: it may quote the file.
fn json_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let words = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    match error.column() {
        0 => crate::text::visible(words).into_owned(),
        column => format!("{} (column {column})", crate::text::visible(words)),
    }
}

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        if number == 1 { Ok(Self) } else { Err(format!("record version {number} is not known to this program")) }
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> Self {
        1
    }
}

fn is_none_yet(used: &u32) -> bool {
    *used == 0
}

/// Names as JSON strings, checked when read.
mod name {
    use serde::{Deserializer, Serializer, de};

    use super::UserName;

    struct Name;

    impl de::Visitor<'_> for Name {
        type Value = UserName;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an account name")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<UserName, E> {
            text.parse().map_err(E::custom)
        }
    }

    pub(super) fn serialize<S: Serializer>(name: &UserName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UserName, D::Error> {
        deserializer.deserialize_str(Name)
    }
}

/// Bytes as JSON strings in base64, with exactly as many bytes as the field takes.
pub(super) mod base64 {
    use std::marker::PhantomData;

    use data_encoding::BASE64;
    use serde::{Deserializer, Serializer, de};

    struct Bytes<T>(PhantomData<T>);

    impl<T: TryFrom<Vec<u8>>> de::Visitor<'_> for Bytes<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bytes in base64")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            let bytes = BASE64.decode(text.as_bytes()).map_err(E::custom)?;
            let length = bytes.len();
            bytes.try_into().map_err(|_| E::custom(format_args!("{length} bytes are not as many as belong here")))
        }
    }

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes.as_ref()))
    }

    pub(in super::super) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<Vec<u8>>,
    {
        deserializer.deserialize_str(Bytes(PhantomData))
    }
}
