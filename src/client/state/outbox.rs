//! Messages of one's own that the server has not answered: on disk, sealed, before they go out.
//!
//! They are sent again with the same bytes after a reconnect or a restart; the server knows them by their id.

use std::collections::VecDeque;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::journal;
use crate::client::error::Error;
use crate::crypto::digest;
use crate::limits::WAITING_MESSAGES;
use crate::names::{Recipient, UserName};
use crate::storage::disk::{Disk, RealDisk};
use crate::storage::journal::{Format, Journal};
use crate::wire::{Envelope, Header, MessageId};

/// The outbox of one account on one server. Whoever has the account's inbox may have it.
pub(crate) struct Outbox {
    journal: Journal,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    header: Header,
    envelope: Vec<u8>,
    /// It went out on the connection that there is now.
    is_sent: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "is", rename_all = "lowercase", deny_unknown_fields)]
enum Record {
    Waiting { envelope: String },
    Answered { id: String },
}

impl Outbox {
    /// The outbox in this folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        Self::on(folder, Box::new(RealDisk))
    }

    /// The same on any disk.
    pub(crate) fn on(folder: &Path, disk: Box<dyn Disk>) -> Result<Self, Error> {
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let journal = journal::open(folder, &FORMAT, disk, |record| {
            match record {
                Record::Waiting { envelope } => {
                    let envelope = BASE64.decode(envelope.as_bytes()).map_err(|error| error.to_string())?;
                    let header = Envelope::parse(&envelope).map_err(|error| error.to_string())?.header;
                    waiting.push_back(Waiting { header, envelope, is_sent: false });
                }
                Record::Answered { id } => waiting.retain(|message| message.header.msg_id.to_hex() != id),
            }
            Ok(())
        })?;
        Ok(Self { journal, waiting })
    }

    /// Whether one more may wait.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MESSAGES
    }

    /// A message that is to go out; it is on disk when this returns.
    pub(crate) fn add(&mut self, envelope: &Envelope) -> Result<(), Error> {
        let bytes = envelope.encode();
        self.journal.append(&[record(&bytes)])?;
        self.waiting.push_back(Waiting { header: envelope.header.clone(), envelope: bytes, is_sent: false });
        Ok(())
    }

    /// The next one to send on this connection, as long as at most `most` are on their way. Order is kept.
    pub(crate) fn next(&mut self, most: usize) -> Option<Vec<u8>> {
        if self.waiting.iter().filter(|message| message.is_sent).count() >= most {
            return None;
        }
        let message = self.waiting.iter_mut().find(|message| !message.is_sent)?;
        message.is_sent = true;
        Some(message.envelope.clone())
    }

    /// Direct messages that have not gone out on this connection: which, and for whom.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = (MessageId, &UserName)> {
        self.waiting.iter().filter(|message| !message.is_sent).filter_map(|message| match &message.header.recipient {
            Recipient::User(name) => Some((message.header.msg_id, name)),
            Recipient::All => None,
        })
    }

    /// The connection is lost: all that is unanswered has to go out again.
    pub(crate) fn lost(&mut self) {
        self.waiting.iter_mut().for_each(|message| message.is_sent = false);
    }

    /// The server has answered. Gives the message's header the first time.
    pub(crate) fn answered(&mut self, id: MessageId) -> Option<Header> {
        let at = self.waiting.iter().position(|message| message.header.msg_id == id)?;
        let answered = self.waiting.remove(at)?;
        let written = match self.waiting.is_empty() && self.journal.has_grown() {
            true => self.journal.rewrite::<Record>(0, []),
            false => self.journal.append(&[Record::Answered { id: HEXLOWER.encode(&id.0) }]),
        };
        if let Err(error) = written {
            // It is sent once more after a restart, and the server knows it.
            log::warn!("{error}");
        }
        Some(answered.header)
    }

    /// Those that wait: which, for whom, when, and its number.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (MessageId, &Recipient, u64)> {
        self.waiting.iter().map(|message| {
            let header = &message.header;
            (header.msg_id, &header.recipient, header.sent_ms)
        })
    }
}

fn record(envelope: &[u8]) -> Record {
    Record::Waiting { envelope: BASE64.encode(envelope) }
}

const FORMAT: Format =
    Format { name: "outbox", version: 2, stake: "messages of yours that were not sent yet", digest: digest::sha256 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::state::journal::tests::Failing;
    use crate::wire::{Fingerprint, Suite};

    fn message(seq: u64) -> Envelope {
        let header = Header {
            suite: Suite::GroupCbc,
            sender: "alice".parse().unwrap(),
            sender_fp: Fingerprint([1; 32]),
            sender_bundle: 1,
            recipient: Recipient::All,
            recipient_fp: Fingerprint([0; 32]),
            msg_id: MessageId([seq as u8; 16]),
            seq,
            prev: 0,
            sent_ms: 5,
        };
        let header_bytes = header.encode();
        Envelope { header, header_bytes, commitment: [4; 32], ciphertext: vec![5; 32], signature: vec![6; 256] }
    }

    #[test]
    fn what_is_unanswered_goes_out_again_in_order_with_the_same_bytes() {
        let place = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(place.path()).unwrap();
        (1..=3).for_each(|seq| outbox.add(&message(seq)).unwrap());
        assert_eq!(outbox.next(2), Some(message(1).encode()));
        assert_eq!(outbox.next(2), Some(message(2).encode()));
        assert_eq!(outbox.next(2), None, "two are on their way");
        assert_eq!(outbox.answered(MessageId([2; 16])).map(|header| header.seq), Some(2));
        assert!(outbox.answered(MessageId([2; 16])).is_none());
        outbox.lost();
        assert_eq!(outbox.next(9), Some(message(1).encode()));
        drop(outbox);
        let mut outbox = Outbox::open(place.path()).unwrap();
        assert_eq!([(); 3].map(|()| outbox.next(9)), [Some(message(1).encode()), Some(message(3).encode()), None]);
    }

    #[test]
    fn whatever_fails_a_message_that_was_taken_waits_until_it_is_answered() {
        for every in 2..12 {
            let place = tempfile::tempdir().unwrap();
            drop(Outbox::open(place.path()).unwrap());
            let mut outbox = Outbox::on(place.path(), Box::new(Failing::every(every))).unwrap();
            let taken: Vec<_> = (1..=20).filter(|seq| outbox.add(&message(*seq)).is_ok()).collect();
            drop(outbox);
            let outbox = Outbox::open(place.path()).unwrap();
            let waiting: Vec<_> = outbox.waiting.iter().map(|message| message.header.seq).collect();
            assert!(taken.iter().all(|seq| waiting.contains(seq)), "every {every}: {taken:?} of {waiting:?}");
        }
    }
}
