//! Steps 5 to 10: from a message whose sender's key is at hand to what is shown of it.

use std::sync::Arc;
use std::time::Instant;

use super::{Action, Signed, Steps, done};
use crate::client::model::event::{Notice, Opened};
use crate::client::model::pin::SignedBy;
use crate::client::state::inbox::Entry;
use crate::client::state::seen::{Gap, Seen};
use crate::crypto::digest::sha256;
use crate::crypto::envelope::{self, OpenWith};
use crate::crypto::group_key::{Cipher, GroupKeys};
use crate::names::Recipient;
use crate::wire::Header;

impl Steps {
    /// Steps 5 and 6.
    pub(super) fn verify(&mut self, message: Entry, keys: &SignedBy, now: Instant, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (from, id) = (header.sender.clone(), header.msg_id);
        if !keys.holds(&message.envelope) {
            return self.fail(&message, Notice::Rejected { from, id }, Signed::No, now, actions);
        }
        if header.sender_bundle > keys.bundle && from != self.member.name {
            let (name, by, number) = (from.clone(), header.sender_fp, header.sender_bundle);
            actions.push(Action::Announced { name, by, number });
        }
        let digest = sha256(&message.envelope.encode());
        match self.ledger.seen.get(header) {
            // Itself, after a crash or a failed write before it was shown.
            Some(seen) if seen.entry == message.entry => self.open(message, keys, seen, now, actions),
            Some(seen) if seen.digest != digest => {
                self.fail(&message, Notice::Reused { from, id }, Signed::Yes, now, actions);
            }
            // The server did not hear that it came, or has lost that: nobody's fault.
            Some(seen) if seen.number == message.number || seen.number == 0 => {
                actions.push(done(&message, Signed::Yes))
            }
            Some(seen) => {
                let notice = Notice::Copy { from, id, first_ms: seen.first_ms };
                self.fail(&message, notice, Signed::Yes, now, actions);
            }
            None => {
                let counted = self.places.remove(&message.entry);
                let place = counted.unwrap_or_else(|| self.ledger.counters.count(header, message.number));
                let (first_ms, number, entry) = (message.received_ms, message.number, message.entry);
                self.open(message, keys, Seen { digest, first_ms, number, entry, place }, now, actions);
            }
        }
    }

    /// Steps 7 to 10.
    fn open(&mut self, message: Entry, keys: &SignedBy, seen: Seen, now: Instant, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (from, id) = (header.sender.clone(), header.msg_id);
        if let Some(gap) = seen.place.gap {
            let (from, to) = (from.clone(), header.recipient.clone());
            actions.push(Action::Tell(match gap {
                Gap::Elsewhere => Notice::Elsewhere { from, to },
                Gap::Missing => Notice::Missing { from, to },
            }));
        }
        if keys.is_held {
            return self.defer_until_accepted(&message, seen.place, actions);
        }
        if self.member.group.holds_classic && self.is_weaker_than_the_group(header) {
            return self.defer_classic_group(&message, seen.place, actions);
        }
        let group = self.group_keys_for(header);
        let Some(with) = self.key_for(header, group.as_deref()) else {
            return self.defer_for_key(&message, seen.place, actions);
        };
        let Ok(text) = envelope::open(&message.envelope, with) else {
            return self.fail(&message, Notice::NotOpened { from, id }, Signed::Yes, now, actions);
        };
        self.ledger.seen.record(header.sender_fp, header.msg_id, seen);
        let Entry { entry, backlog, received_ms, is_repeated, envelope, .. } = message;
        let is_weaker = keys.is_weaker || self.is_weaker_than_the_group(&envelope.header);
        let opened = Opened {
            envelope,
            signed_by: keys.clone(),
            text,
            backlog,
            received_ms,
            is_weaker,
            is_late: seen.place.late,
            is_repeated,
        };
        actions.push(Action::Show(entry, Box::new(opened)));
    }

    /// By DES, though the group writes by AES: whoever wrote it has not taken the new key.
    fn is_weaker_than_the_group(&self, header: &Header) -> bool {
        let writes_modern = || self.member.group.keys().is_some_and(|keys| keys.writer().cipher() == Cipher::Aes);
        header.recipient == Recipient::All && !header.suite.is_modern() && writes_modern()
    }

    /// The keys with the one that a group message names, if they are at hand.
    fn group_keys_for(&self, header: &Header) -> Option<Arc<GroupKeys>> {
        let id = (header.recipient == Recipient::All).then(|| group_id(header))?;
        self.member.group.with(&id)
    }

    /// `None` if it is not on this machine.
    fn key_for<'k>(&'k self, header: &Header, group: Option<&'k GroupKeys>) -> Option<OpenWith<'k>> {
        match header.recipient {
            Recipient::User(_) if header.suite.is_modern() => {
                let own = &self.member.x25519;
                (own.public().fingerprint() == header.recipient_fp).then_some(OpenWith::DirectModern(own))
            }
            Recipient::User(_) => self.member.decryption_key(header.recipient_fp).map(OpenWith::Direct),
            Recipient::All => group?.find(&group_id(header)).map(OpenWith::Group),
        }
    }
}

/// Which group key a message to ALL names.
pub(super) fn group_id(header: &Header) -> [u8; 16] {
    let mut id = [0; 16];
    id.iter_mut().zip(header.recipient_fp.0).for_each(|(to, from)| *to = from);
    id
}
