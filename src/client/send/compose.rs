//! From a text to a sealed and signed envelope.

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::keys::member::Member;
use crate::client::state::sequence::Numbers;
use crate::crypto::envelope::{self, SealError, SealWith, group_fingerprint};
use crate::crypto::group_key::GroupKey;
use crate::crypto::keys::PublicKey;
use crate::crypto::random;
use crate::names::{Recipient, UserName};
use crate::wire::{Envelope, Header, MessageId, Suite};

/// Who a message is sealed for.
pub(crate) enum SealFor<'a> {
    /// Everybody, with the group key. `ecb` by explicit wish only.
    Group {
        /// DES-ECB instead of CBC.
        ecb: bool,
        /// The key; the member's own if none is given.
        key: Option<&'a GroupKey>,
    },
    /// One account, with the key of its checked bundle.
    User(&'a UserName, &'a PublicKey),
}

/// Seals and signs a text.
pub(crate) fn compose(
    config: &Config,
    member: &Member,
    to: &SealFor<'_>,
    text: &str,
    numbers: Numbers,
    now_ms: i64,
) -> Result<Envelope, Error> {
    let own;
    let (suite, recipient, with) = match to {
        SealFor::User(name, key) => (Suite::Direct, Recipient::User((*name).clone()), SealWith::Direct(key)),
        SealFor::Group { ecb, key } => {
            let suite = if *ecb { Suite::GroupEcb } else { Suite::GroupCbc };
            let key = match key {
                Some(key) => key,
                None => {
                    own = member.group_keys(config)?;
                    own.writer()
                }
            };
            (suite, Recipient::All, SealWith::Group(key))
        }
    };
    let header = Header {
        suite,
        sender: member.name.clone(),
        sender_fp: member.identity.public().fingerprint(),
        recipient,
        recipient_fp: match with {
            SealWith::Direct(key) => key.fingerprint(),
            SealWith::Group(key) => group_fingerprint(&key.id),
        },
        msg_id: MessageId(random::bytes()),
        seq: numbers.seq,
        prev: numbers.prev,
        sent_ms: u64::try_from(now_ms).unwrap_or(0),
    };
    envelope::seal(header, text, with, &member.identity).map_err(refused)
}

fn refused(error: SealError) -> Error {
    match error {
        SealError::TooLong { .. } => Error::TextTooLong,
        why => Error::Seal { why },
    }
}
