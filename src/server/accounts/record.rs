//! The lines of the account database.
//!
//! One JSON object a record, one record a change, in the order of the changes; bytes are in base64 (RFC 4648):
//!
//! ```text
//! {"op":"register","name":"alice","created_ms":1700000000000,"joined":0,"salt":…,"iterations":600000,"stored_key":…,"server_key":…,"bundle":…}
//! {"op":"password","name":"alice","salt":…,"iterations":600000,"stored_key":…,"server_key":…}
//! {"op":"keys","name":"alice","bundle":…,"handover":""}
//! {"op":"disable","name":"alice"}      also "enable" and "delete"
//! {"op":"invite","code":…,"created_ms":1700000000000,"expires_run_ms":604800000,"uses":1}
//! {"op":"revoke","code":…}
//! {"op":"lineage","name":"alice","origin":…,"former":[{"identity":…,"handover":…}]}
//! ```
//!
//! `code` is the hash of an invite code. A `register` record that has one (`"invite":…`) also uses that invite: they can't
//! come apart. An `invite` record of a rewritten file tells how often it was used (`"used":…`).
//!
//! The records that a rewritten file comes into being with are `invite`, `register`, `lineage` and `disable`. A `lineage` tells
//! which identities an account had before that of its `register` record, and stands nowhere else.

use serde::{Deserialize, Serialize};

use super::{Account, Invite, InviteHash, KeysError};
use crate::limits::{HANDOVER_MAX, SPKI_MAX};
use crate::names::UserName;
use crate::wire::{self, Fingerprint, Predecessor, Verifier};

/// One change, as it stands in the file. Not `Debug`: it holds a password verifier.
#[derive(Deserialize, Serialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Record {
    /// The account is gone.
    Delete {
        #[serde(with = "name")]
        name: UserName,
    },
    /// The account is closed.
    Disable {
        #[serde(with = "name")]
        name: UserName,
    },
    /// The account is open again.
    Enable {
        #[serde(with = "name")]
        name: UserName,
    },
    /// Somebody who is not there yet may make an account.
    Invite {
        code: InviteHash,
        created_ms: u64,
        expires_run_ms: u64,
        uses: u32,
        #[serde(default, skip_serializing_if = "is_none_yet")]
        used: u32,
    },
    /// The account has new keys.
    Keys {
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
    Register {
        #[serde(with = "name")]
        name: UserName,
        created_ms: u64,
        joined: u64,
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
    Revoke { code: InviteHash },
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

impl Record {
    /// A new account; with `by`, that invite's use, too.
    pub(super) fn register(account: &Account, by: Option<InviteHash>) -> Self {
        let Verifier { salt, iterations, stored_key, server_key } = account.verifier;
        Self::Register {
            name: account.name.clone(),
            created_ms: account.created_ms,
            joined: account.joined,
            salt,
            iterations,
            stored_key,
            server_key,
            bundle: account.bundle.clone(),
            invite: by,
        }
    }

    pub(super) fn invite(invite: &Invite) -> Self {
        let Invite { hash, created_ms, expires_run_ms, uses, used } = *invite;
        Self::Invite { code: hash, created_ms, expires_run_ms, uses, used }
    }

    pub(super) fn revoke(code: InviteHash) -> Self {
        Self::Revoke { code }
    }

    pub(super) fn password(name: UserName, verifier: &Verifier) -> Self {
        let Verifier { salt, iterations, stored_key, server_key } = *verifier;
        Self::Password { name, salt, iterations, stored_key, server_key }
    }

    pub(super) fn keys(name: UserName, bundle: Vec<u8>, handover: Vec<u8>) -> Self {
        Self::Keys { name, bundle, handover }
    }

    /// `None` for an account whose identity is its first one.
    pub(super) fn lineage(account: &Account) -> Option<Self> {
        let former: Vec<_> = account.lineage.iter().map(Former::from).collect();
        let Account { name, origin: Fingerprint(origin), .. } = account.clone();
        (!former.is_empty()).then_some(Self::Lineage { name, origin, former })
    }

    pub(super) fn disable(name: UserName, disabled: bool) -> Self {
        if disabled { Self::Disable { name } } else { Self::Enable { name } }
    }

    pub(super) fn delete(name: UserName) -> Self {
        Self::Delete { name }
    }
}

/// What is wrong with a record of the account database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Damage {
    /// The key bundle is none.
    #[error("{0}")]
    Bundle(wire::Error),
    /// A name that is registered already.
    #[error("{name} is registered a second time")]
    Duplicate { name: UserName },
    /// Keys that do not follow those of the account.
    #[error("new keys of {name}: {why}")]
    Keys {
        name: UserName,
        /// What is wrong with them.
        why: KeysError,
    },
    /// A lineage that no account can have, or elsewhere than behind its account in a rewritten file.
    #[error("a lineage of {name} does not belong here")]
    Lineage { name: UserName },
    /// An invite that is there already.
    #[error("invite {id} is made a second time")]
    DuplicateInvite { id: String },
    /// An invite that is used more often than it is good for.
    #[error("invite {id} is used more often than it may be")]
    InviteUsed { id: String },
    /// The bundle is for another name.
    #[error("the key bundle of {name} is for the name {bundle}")]
    OtherName { name: UserName, bundle: UserName },
    /// An invite that does not exist.
    #[error("there is no invite {id}")]
    UnknownInvite { id: String },
    /// A change of an account that does not exist.
    #[error("there is no account {name} to change")]
    Unknown { name: UserName },
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

    pub(in crate::server::accounts) fn serialize<S: Serializer>(
        bytes: &impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes.as_ref()))
    }

    pub(in crate::server::accounts) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<Vec<u8>>,
    {
        deserializer.deserialize_str(Bytes(PhantomData))
    }
}
