//! Messages for tests: Alice writes, Bob receives.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::keys::group_file::GroupFile;
use super::keys::member::Member;
use super::model::event::{Mark, Opened};
use crate::client::model::pin::SignedBy;
use crate::crypto::envelope::{self, SealWith};
use crate::crypto::test_keys::{ALICE, BOB, BOB_ENCRYPTION, BOB_OPENING, BOB_SIGNING, copy};
use crate::wire::{Envelope, Header, MessageId, Prefers, Suite};

/// By Alice's identity.
pub(crate) fn signed_by(mark: Mark) -> SignedBy {
    SignedBy {
        identity: Arc::new(ALICE.public().clone()),
        ed25519: None,
        mark,
        bundle: 1,
        is_weaker: false,
        is_held: false,
    }
}

/// Bob, who receives, with this group key file.
pub(crate) fn bob(group: GroupFile) -> Member {
    Member {
        name: "bob".parse().unwrap(),
        identity: copy(&*BOB),
        encryption: copy(&*BOB_ENCRYPTION),
        ed25519: copy(&*BOB_SIGNING),
        x25519: copy(&*BOB_OPENING),
        bundle: 1,
        prefers: Prefers::Classic,
        retired: Vec::new(),
        former: Vec::new(),
        group,
    }
}

/// What Alice writes to Bob.
pub(crate) fn header(seq: u64) -> Header {
    Header {
        suite: Suite::Direct,
        sender: "alice".parse().unwrap(),
        sender_fp: ALICE.public().fingerprint(),
        sender_bundle: 1,
        recipient: "bob".parse().unwrap(),
        recipient_fp: BOB_ENCRYPTION.public().fingerprint(),
        msg_id: MessageId(crate::crypto::random::bytes()),
        seq,
        prev: seq - 1,
        sent_ms: 1_700_000_000_000,
    }
}

/// The same with a text, sealed for Bob and signed by Alice.
pub(crate) fn sealed(header: Header, text: &str) -> Envelope {
    envelope::seal(header, text, SealWith::Direct(BOB_ENCRYPTION.public()), &ALICE).unwrap()
}

/// The same as Bob sees it, who knows Alice's key.
pub(crate) fn opened(header: Header, text: &str) -> Opened {
    let received_ms = i64::try_from(header.sent_ms).unwrap();
    let envelope = Envelope {
        header_bytes: Vec::new(),
        header,
        commitment: [0; 32],
        ciphertext: Vec::new(),
        signature: Vec::new(),
    };
    Opened {
        envelope,
        signed_by: signed_by(Mark::Known),
        text: Zeroizing::new(text.to_owned()),
        backlog: false,
        received_ms,
        is_weaker: false,
        is_late: false,
        is_repeated: false,
    }
}
