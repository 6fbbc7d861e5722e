//! From a text to a sealed and signed envelope.

use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::keys::member::Member;
use crate::client::state::sequence::Numbers;
use crate::crypto::bundle::VerifiedBundle;
use crate::crypto::envelope::{self, SealError, SealWith};
use crate::crypto::group_key::{Cipher, GroupKey};
use crate::crypto::random;
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::names::{Recipient, UserName};
use crate::wire::{Envelope, Header, MessageId, Prefers, Suite};

/// Who a message is sealed for.
pub(crate) enum SealFor<'a> {
    /// Everybody, with the group key. `ecb` by explicit wish only.
    Group {
        /// DES-ECB instead of CBC.
        ecb: bool,
        key: &'a GroupKey,
    },
    /// One account, with the keys of its checked bundle, by this suite.
    User(&'a UserName, &'a VerifiedBundle, Prefers),
}

/// By what a direct message goes: at least by what `least` says and by what the sender asks for from others (who would hold what is
/// weaker), and by more if the sender wants it.
pub(crate) fn suite_for(
    name: &UserName,
    least: Prefers,
    own: Prefers,
    wanted: Option<Prefers>,
) -> Result<Prefers, Error> {
    match (least, own, wanted) {
        (Prefers::Modern, _, Some(Prefers::Classic)) => {
            Err(Error::Trust(TrustError::Weaker { name: name.clone() }).not_sent())
        }
        (_, Prefers::Modern, Some(Prefers::Classic)) => {
            let words = "your account asks for modern messages, and sends nothing classic. Nothing was sent.";
            Err(Failure::new(Exit::Identity, words).hint(Hint::default().topchat(&["suite", "classic"])).into())
        }
        (Prefers::Classic, Prefers::Classic, None | Some(Prefers::Classic)) => Ok(Prefers::Classic),
        _ => Ok(Prefers::Modern),
    }
}

/// Seals and signs a text.
pub(crate) fn compose(
    member: &Member,
    to: &SealFor<'_>,
    text: &str,
    numbers: Numbers,
    now_ms: i64,
) -> Result<Envelope, Error> {
    let (suite, recipient, with) = match to {
        SealFor::User(name, bundle, Prefers::Classic) => {
            (Suite::Direct, Recipient::User((*name).clone()), SealWith::Direct(&bundle.encryption))
        }
        SealFor::User(name, bundle, Prefers::Modern) => {
            (Suite::DirectModern, Recipient::User((*name).clone()), SealWith::DirectModern(&bundle.x25519))
        }
        SealFor::Group { ecb, key } => {
            let suite = match (key.cipher(), *ecb) {
                (Cipher::Aes, false) => Suite::GroupModern,
                (Cipher::Aes, true) => {
                    let words = "--ecb is for keys of DES: the group's key is one of AES-256";
                    return Err(Failure::new(Exit::Usage, words).hint("leave it out").into());
                }
                (Cipher::Des, false) => Suite::GroupCbc,
                (Cipher::Des, true) => Suite::GroupEcb,
            };
            (suite, Recipient::All, SealWith::Group(key))
        }
    };
    let header = Header {
        suite,
        sender: member.name.clone(),
        sender_fp: member.identity.public().fingerprint(),
        sender_bundle: member.bundle,
        recipient,
        recipient_fp: with.fingerprint(),
        msg_id: MessageId(random::bytes()),
        seq: numbers.seq,
        prev: numbers.prev,
        sent_ms: u64::try_from(now_ms).unwrap_or(0),
    };
    match suite.is_modern() {
        true => envelope::seal_modern(header, text, with, &member.ed25519),
        false => envelope::seal(header, text, with, &member.identity),
    }
    .map_err(refused)
}

fn refused(error: SealError) -> Error {
    match error {
        SealError::TooLong { .. } => Error::TextTooLong,
        why => Error::Seal { why },
    }
}
