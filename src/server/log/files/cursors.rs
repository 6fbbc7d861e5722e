//! How far each account has acknowledged, and how far the log went: a journal whose last record of each counts.
//!
//! ```text
//! {"is":"cursor","name":"bob","identity":"…64 hex digits…","joined":4,"number":17,"group":5,"passed":0}
//! {"is":"log","first":1,"safe":21,"run_ms":86400000,"unix_ms":1700000000000}
//! ```
//!
//! Cursors are written now and then, not for every acknowledgement: what a crash takes back is delivered again, and the
//! recipient knows it by its id. What is told of the log proves later that nothing is missing at either end of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::crypto::digest;
use crate::names::UserName;
use crate::server::clock::Reading;
use crate::server::folder::CURSORS;
use crate::server::log::StoreError;
use crate::server::log::mailbox::{Cursor, Line};
use crate::storage::FileError;
use crate::storage::disk::Disk;
use crate::storage::journal::{Format, Journal, JournalError, Stored};
use crate::wire::Fingerprint;

/// How far the log went when this was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The first number that the oldest segment may hold.
    pub(crate) first: u64,
    /// The last message that was on disk.
    pub(crate) safe: u64,
    /// What the clocks showed.
    pub(crate) reading: Reading,
}

/// What the file held.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The last cursor of each name.
    pub(crate) cursors: HashMap<UserName, Line>,
    pub(crate) mark: Option<Mark>,
    /// The last record is damaged: it may have been a newer mark.
    pub(crate) is_torn: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase", deny_unknown_fields)]
enum Record {
    Cursor { name: String, identity: String, joined: u64, number: u64, group: u64, passed: i64 },
    Log { first: u64, safe: u64, run_ms: u64, unix_ms: u64 },
}

/// The file: as it was read, and open for more once it is settled.
pub(crate) struct Cursors {
    path: PathBuf,
    stored: Option<Stored>,
    journal: Option<Journal>,
}

/// How long the server on this data folder ran, as far as the file of cursors tells.
pub(crate) fn run_ms(folder: &Path) -> Result<u64, StoreError> {
    let (_, found) = Cursors::read(folder.join(CURSORS))?;
    Ok(found.mark.map_or(0, |mark| mark.reading.run_ms))
}

impl Cursors {
    /// Reads the file, if there is one. Nothing is changed before [`Self::settle`].
    pub(crate) fn read(path: PathBuf) -> Result<(Self, Found), JournalError> {
        let mut found = Found::default();
        let mut stored = match Stored::open(&path, &FORMAT) {
            Ok(stored) => stored,
            Err(JournalError::File(FileError::Missing { .. })) => {
                return Ok((Self { path, stored: None, journal: None }, found));
            }
            Err(error) => return Err(error),
        };
        stored.replay(|record| found.take(record).ok_or("not a cursor"))?;
        found.is_torn = stored.is_torn();
        Ok((Self { path, stored: Some(stored), journal: None }, found))
    }

    /// Puts on disk what was read: segments before the beginning of the log are deleted because of it.
    pub(crate) fn make_safe(&self) -> Result<(), JournalError> {
        Ok(self.stored.iter().try_for_each(Stored::make_safe)?)
    }

    /// Makes the file, or cuts a torn last record off and puts the rest on disk, once all else was found good: a start that is
    /// refused changes nothing.
    pub(crate) fn settle(&mut self, disk: Box<dyn Disk>, mark: Mark) -> Result<(), JournalError> {
        self.journal = Some(match self.stored.take() {
            None => Journal::create(&self.path, &FORMAT, disk, &[Record::from(&mark)])?,
            Some(stored) => {
                let (journal, cut) = stored.settle(disk)?;
                if let Some(cut) = cut {
                    log::warn!("{cut}: some messages may be delivered again, and their recipients know them");
                }
                journal
            }
        });
        Ok(())
    }

    /// Adds cursors, and how far the log went; when this returns `Ok`, all of it is on disk, else none counts.
    pub(crate) fn append(&mut self, changed: &[Line], mark: Option<&Mark>) -> Result<(), JournalError> {
        let records: Vec<_> = changed.iter().map(Record::from).chain(mark.map(Record::from)).collect();
        self.journal().append(&records)
    }

    /// Whether most records are outdated.
    pub(crate) fn is_long(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::has_grown)
    }

    /// Rewrites the file with one cursor for each account.
    pub(crate) fn rewrite(&mut self, all: &[Line], mark: &Mark) -> Result<(), JournalError> {
        let records = all.iter().map(Record::from).chain([Record::from(mark)]);
        self.journal().rewrite(all.len() as u64 + 1, records)
    }

    fn journal(&mut self) -> &mut Journal {
        self.journal.as_mut().expect("nothing is written before the file is settled")
    }
}

impl Found {
    fn take(&mut self, record: Record) -> Option<()> {
        match record {
            Record::Cursor { name, identity, joined, number, group, passed } => {
                let (name, identity): (UserName, _) = (name.parse().ok()?, Fingerprint::from_hex(&identity)?);
                self.cursors.insert(name.clone(), (name, identity, joined, Cursor { number, group, passed }));
            }
            Record::Log { first, safe, run_ms, unix_ms } => {
                self.mark = Some(Mark { first, safe, reading: Reading { run_ms, unix_ms } });
            }
        }
        Some(())
    }
}

impl From<&Line> for Record {
    fn from((name, identity, joined, cursor): &Line) -> Self {
        let Cursor { number, group, passed } = *cursor;
        let (name, identity) = (name.as_str().to_owned(), identity.to_hex());
        Self::Cursor { name, identity, joined: *joined, number, group, passed }
    }
}

impl From<&Mark> for Record {
    fn from(mark: &Mark) -> Self {
        let Mark { first, safe, reading: Reading { run_ms, unix_ms } } = *mark;
        Self::Log { first, safe, run_ms, unix_ms }
    }
}

const FORMAT: Format = Format {
    name: "cursors",
    version: 2,
    stake: "how far everybody has read, without which messages are delivered again",
    digest: digest::sha256,
};
