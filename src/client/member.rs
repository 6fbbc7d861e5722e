//! Who this client speaks for.

use crate::crypto::group_key::GroupKeys;
use crate::crypto::keys::PrivateKey;
use crate::names::UserName;

/// An account with its opened keys. No `Debug`: it would show them.
pub struct Member {
    /// The account's name.
    pub name: UserName,
    /// Signs.
    pub identity: PrivateKey,
    /// Opens direct messages.
    pub encryption: PrivateKey,
    /// Seals and opens group messages, if this member has the key file.
    pub group: Option<GroupKeys>,
}
