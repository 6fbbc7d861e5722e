//! What came and was not yet shown, and what must be known of all that was: on disk before a delivery is acknowledged.
//!
//! A message is *received* (its envelope is on disk, as sealed as it came, and may be acknowledged), then *opened* (it
//! holds, its id counts as seen, it is about to be shown), then *done*. After a crash what is not done is taken up again:
//! nothing is lost, nothing opened is taken for a copy of itself, and what may have been shown before is marked as repeated.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::journal;
use super::seen::{Counter, Ledger, Place, Reached, Seen};
use crate::client::error::Error;
use crate::crypto::digest::sha256;
use crate::limits::INBOX_WITHIN;
use crate::names::Recipient;
use crate::storage::disk::{Disk, RealDisk};
use crate::storage::journal::{Format, Journal};
use crate::storage::lock::Lock;
use crate::storage::private;
use crate::wire::{DeliveryId, Envelope, Fingerprint, MessageId};

/// The inbox of one account on one server. Only one process at a time has it.
pub struct Inbox {
    journal: Journal,
    /// What is received and not done.
    open: BTreeMap<u64, Entry>,
    last: u64,
    /// Who has the server's messages up to this number is known: they came here, or went to another session.
    received: u64,
    /// What could not be written yet and may be written later: a crash before that only repeats what was shown.
    unwritten: Vec<Record>,
    _lock: Lock,
}

/// An envelope that came, to be received.
pub struct Incoming {
    /// Where it stands in the server's order.
    pub delivery: DeliveryId,
    /// Whether it waited for this client.
    pub backlog: bool,
    /// Parsed.
    pub envelope: Envelope,
}

/// A message that is on disk.
#[derive(Clone)]
pub struct Entry {
    /// Its number in the inbox, never 0.
    pub entry: u64,
    /// The server's number of the delivery that it came with.
    pub number: u64,
    /// Whether it waited for this client.
    pub backlog: bool,
    /// When it came, as Unix time in milliseconds.
    pub received_ms: i64,
    /// It was opened before and may have been shown.
    pub is_repeated: bool,
    /// As it was sent.
    pub envelope: Envelope,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(tag = "is", rename_all = "lowercase", deny_unknown_fields)]
enum Record {
    Received { entry: u64, number: u64, backlog: bool, ms: i64, envelope: String },
    Opened { entry: u64 },
    Done { entry: u64, counted: bool },
    Seen { sender: String, id: String, digest: String, ms: i64, number: u64 },
    Counter { sender: String, to: String, highest: u64, known: u64, number: u64 },
    Login { acknowledged: u64, kept: u64 },
    Numbers { received: u64, elsewhere: u64, kept: u64 },
}

impl Inbox {
    /// The inbox in this folder, which is made if it is missing, and what it knows of earlier messages. An older process
    /// of the same account gets some time to let go of it: the server tells it that it was replaced.
    pub fn open(folder: &Path) -> Result<(Self, Ledger), Error> {
        Self::on(folder, Box::new(RealDisk))
    }

    /// The same, but an error at once if another process has it.
    pub fn open_at_once(folder: &Path) -> Result<(Self, Ledger), Error> {
        private::ensure_folder(folder)?;
        let lock = Lock::try_acquire(&folder.join(LOCK_NAME))?;
        Self::read(folder, Box::new(RealDisk), lock)
    }

    /// The same on any disk.
    pub(crate) fn on(folder: &Path, disk: Box<dyn Disk>) -> Result<(Self, Ledger), Error> {
        private::ensure_folder(folder)?;
        let lock = Lock::acquire_within(&folder.join(LOCK_NAME), INBOX_WITHIN)?;
        Self::read(folder, disk, lock)
    }

    fn read(folder: &Path, disk: Box<dyn Disk>, lock: Lock) -> Result<(Self, Ledger), Error> {
        let mut reading = Reading::default();
        let journal = journal::open(folder, &FORMAT, disk, |record| reading.take(record))?;
        let Reading { open, ledger, last, received } = reading;
        let mut inbox = Self { journal, open, last, received, unwritten: Vec::new(), _lock: lock };
        inbox.tidy(&ledger)?;
        Ok((inbox, ledger))
    }

    /// Envelopes that came together; all of them are on disk when this returns, with one write.
    pub fn receive(&mut self, incoming: Vec<Incoming>, now_ms: i64) -> Result<Vec<Entry>, Error> {
        let first = self.last + 1;
        let entries: Vec<_> = (first..).zip(incoming).map(|(entry, incoming)| came(entry, incoming, now_ms)).collect();
        self.write(entries.iter().map(received).collect())?;
        self.last += entries.len() as u64;
        self.received = entries.iter().map(|entry| entry.number).fold(self.received, u64::max);
        self.open.extend(entries.iter().map(|entry| (entry.entry, entry.clone())));
        Ok(entries)
    }

    /// A login: tells what another session took meanwhile. It is written with what comes next, as the next login tells it, too.
    pub(crate) fn logged_in(&mut self, at: Reached, ledger: &mut Ledger) {
        let before = (self.received, ledger.counters.elsewhere(), ledger.kept());
        self.received = ledger.logged_in(self.received, at);
        if (self.received, ledger.counters.elsewhere(), ledger.kept()) != before {
            self.unwritten.push(Record::Login { acknowledged: at.acknowledged, kept: at.kept });
        }
    }

    /// These hold and are about to be shown.
    pub fn opened(&mut self, entries: &[u64]) -> Result<(), Error> {
        let new = |entry: &&u64| self.open.get(entry).is_some_and(|open| !open.is_repeated);
        let records = entries.iter().filter(new).map(|entry| Record::Opened { entry: *entry }).collect();
        self.write(records)?;
        for entry in entries {
            if let Some(open) = self.open.get_mut(entry) {
                open.is_repeated = true;
            }
        }
        Ok(())
    }

    /// Nothing more will come of these. `counted`: its signature held, so its counter is true.
    pub fn done(&mut self, entries: &[(u64, bool)], ledger: &Ledger) {
        for (entry, counted) in entries {
            if self.open.remove(entry).is_some() {
                self.unwritten.push(Record::Done { entry: *entry, counted: *counted });
            }
        }
        if let Err(error) = self.write(Vec::new()).and_then(|()| self.tidy(ledger)) {
            log::warn!("{error}; trying again with the next message");
        }
    }

    /// How many are received and not done.
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    /// What is received and not done, in the order in which it came.
    pub fn entries(&self) -> Vec<Entry> {
        self.open.values().cloned().collect()
    }

    fn write(&mut self, records: Vec<Record>) -> Result<(), Error> {
        let owed = self.unwritten.len();
        self.unwritten.extend(records);
        match self.journal.append(&self.unwritten).map_err(Error::from) {
            Ok(()) => {
                self.unwritten.clear();
                Ok(())
            }
            Err(error) => {
                self.unwritten.truncate(owed);
                Err(match error {
                    Error::File(why) => Error::Inbox(why),
                    error => error,
                })
            }
        }
    }

    /// Rewrites a file that has grown, without what is outdated.
    fn tidy(&mut self, ledger: &Ledger) -> Result<(), Error> {
        if !self.journal.has_grown() {
            return Ok(());
        }
        let counters = ledger.counters.iter().map(|(sender, to, counter)| Record::Counter {
            sender: sender.to_hex(),
            to: to.to_string(),
            highest: counter.highest,
            known: counter.known,
            number: counter.number,
        });
        let (elsewhere, kept) = (ledger.counters.elsewhere(), ledger.kept());
        let numbers = Record::Numbers { received: self.received, elsewhere, kept };
        let done = ledger.seen.iter().filter(|(_, _, seen)| !self.open.contains_key(&seen.entry));
        let seen = done.map(|(sender, id, seen)| Record::Seen {
            sender: sender.to_hex(),
            id: id.to_hex(),
            digest: HEXLOWER.encode(&seen.digest),
            ms: seen.first_ms,
            number: seen.number,
        });
        let open = self.open.values().flat_map(|entry| {
            let opened = entry.is_repeated.then_some(Record::Opened { entry: entry.entry });
            [received(entry)].into_iter().chain(opened)
        });
        let records: Vec<_> = counters.chain([numbers]).chain(seen).chain(open).collect();
        self.journal.rewrite(records.len() as u64, &records)?;
        self.unwritten.clear();
        Ok(())
    }
}

fn came(entry: u64, incoming: Incoming, now_ms: i64) -> Entry {
    let Incoming { delivery, backlog, envelope } = incoming;
    Entry { entry, number: delivery.number, backlog, received_ms: now_ms, is_repeated: false, envelope }
}

fn received(entry: &Entry) -> Record {
    Record::Received {
        entry: entry.entry,
        number: entry.number,
        backlog: entry.backlog,
        ms: entry.received_ms,
        envelope: BASE64.encode(&entry.envelope.encode()),
    }
}

/// What the records read so far add up to.
#[derive(Default)]
struct Reading {
    open: BTreeMap<u64, Entry>,
    ledger: Ledger,
    last: u64,
    received: u64,
}

impl Reading {
    fn take(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Received { entry, number, backlog, ms, envelope } => {
                let bytes = BASE64.decode(envelope.as_bytes()).map_err(|error| error.to_string())?;
                let envelope = Envelope::parse(&bytes).map_err(|error| error.to_string())?;
                let new = Entry { entry, number, backlog, received_ms: ms, is_repeated: false, envelope };
                self.last = self.last.max(entry);
                self.received = self.received.max(number);
                self.open.insert(entry, new);
            }
            Record::Opened { entry } => {
                let open = self.open.get_mut(&entry).ok_or("of an entry that is not there")?;
                open.is_repeated = true;
                let header = &open.envelope.header;
                let place = self.ledger.counters.count(header, open.number);
                let digest = sha256(&open.envelope.encode());
                let seen = Seen { digest, first_ms: open.received_ms, number: open.number, entry, place };
                self.ledger.seen.record(header.sender_fp, header.msg_id, seen);
            }
            Record::Done { entry, counted } => {
                let done = self.open.remove(&entry).ok_or("of an entry that is not there")?;
                if counted && !done.is_repeated {
                    self.ledger.counters.count(&done.envelope.header, done.number);
                }
            }
            Record::Seen { sender, id, digest, ms, number } => {
                let seen = Seen { digest: hex(&digest)?, first_ms: ms, number, entry: 0, place: Place::default() };
                self.ledger.seen.record(Fingerprint(hex(&sender)?), MessageId(hex(&id)?), seen);
            }
            Record::Counter { sender, to, highest, known, number } => {
                let to: Recipient = to.parse().map_err(|_| "that can't be a name")?;
                self.ledger.counters.restore(Fingerprint(hex(&sender)?), to, Counter { highest, known, number });
            }
            Record::Login { acknowledged, kept } => {
                self.received = self.ledger.logged_in(self.received, Reached { acknowledged, kept });
            }
            Record::Numbers { received, elsewhere, kept } => {
                self.received = received;
                self.ledger.restore_kept(kept);
                self.ledger.counters.restore_elsewhere(elsewhere);
            }
        }
        Ok(())
    }
}

fn hex<const N: usize>(digits: &str) -> Result<[u8; N], String> {
    let bytes = HEXLOWER.decode(digits.as_bytes()).map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| "a field of another length".to_owned())
}

const FORMAT: Format = Format {
    name: "inbox",
    version: 4,
    stake: "messages that were not shown yet, and what is known of those that were",
    digest: sha256,
};

/// Whoever has this lock receives.
pub(crate) const LOCK_NAME: &str = "inbox.lock";

#[cfg(test)]
mod tests;
