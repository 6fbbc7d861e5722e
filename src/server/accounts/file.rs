//! The account database on disk: reading it at start, rewriting it when it has grown old, adding to it.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use super::AccountsError;
use super::record::{Damage, Record};
use super::table::Table;
use super::writer::Store;
use crate::limits::OUTDATED_MIN;
use crate::server::shared::unix_ms;
use crate::storage::append::{AppendFile, ReadError, Records};
use crate::storage::{FileError, private};
use crate::text::visible;

/// Name of the database within the data folder.
pub const FILE_NAME: &str = "accounts.jsonl";

/// The file, open for more records. It comes into being with the first one, whole and at once,
/// so that an empty file is never taken for an empty database.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    exists: bool,
    file: Option<AppendFile>,
    /// Records in the file.
    count: u64,
    /// With so many it is looked whether the file has grown old: so seldom that a change's part in it stays the same.
    look_at: u64,
}

impl Store for Journal {
    fn append(&mut self, lines: &[u8]) -> Result<(), FileError> {
        match &mut self.file {
            _ if !self.exists => {
                private::create_new(&self.path, lines)?;
                self.exists = true;
            }
            Some(file) => file.append(lines)?,
            None => self.file.insert(AppendFile::open(&self.path)?).append(lines)?,
        }
        self.count += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(())
    }

    fn tidy(&mut self, table: &RwLock<Table>) {
        if self.count < self.look_at {
            return;
        }
        // What a failed write left behind the good end would count as good when the file is opened anew.
        if let Some(Err(error)) = self.file.as_mut().map(AppendFile::mend) {
            log::warn!("{error}; not rewriting {FILE_NAME} now");
            return;
        }
        let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
        if self.has_grown_old(&table) {
            table.forget_spent_invites(unix_ms());
            // Accounts are shared: this copies names and pointers, and the disk is waited for without the lock.
            let snapshot = table.clone();
            drop(table);
            self.rewrite(&snapshot);
        }
    }
}

impl Journal {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), exists: false, file: None, count: 0, look_at: OUTDATED_MIN }
    }

    /// Whether less than half of the file still counts. If not, it is looked again when that can be so.
    fn has_grown_old(&mut self, table: &Table) -> bool {
        let needed = table.records().count() as u64 + 1;
        self.look_at = 1 + (2 * needed).max(needed + OUTDATED_MIN);
        self.count >= self.look_at
    }

    /// Replaces the file with one that holds what still counts. After a failure the old one is as good as before.
    fn rewrite(&mut self, table: &Table) {
        let needed = table.records().count() as u64;
        let rewritten = private::replace_with(&self.path, |file| {
            Record::checkpoint(needed).write(file)?;
            table.records().try_for_each(|record| record.write(file))
        });
        // The name may stand for the new file even after a failure, so it is opened anew in any case.
        self.file = None;
        match rewritten {
            Ok(()) => {
                log::info!("rewrote {FILE_NAME}: {} of {} records still count", needed + 1, self.count);
                self.count = needed + 1;
            }
            Err(error) => {
                log::warn!("could not rewrite {FILE_NAME}, going on with the old one: {error}");
                self.look_at = self.count + OUTDATED_MIN;
            }
        }
    }
}

/// All accounts of the file, and the file. Changes it only if all of it is good.
pub(super) fn load(path: &Path) -> Result<(Table, Journal), AccountsError> {
    let mut records = match Records::open(path) {
        Ok(records) => records,
        Err(FileError::Missing { .. }) => {
            return Ok((Table::default(), Journal::new(path)));
        }
        Err(error) => return Err(error.into()),
    };
    let table = RwLock::new(replay(path, &mut records)?);
    let count = records.count();
    if let Some(torn) = records.torn() {
        log::warn!(
            "{}: cut off a torn last record, {} bytes at byte {}: a crash came before it was acknowledged",
            visible(&path.to_string_lossy()),
            torn.bytes,
            torn.offset
        );
    }
    let file = Some(records.finish()?);
    let mut journal = Journal { exists: true, file, count, ..Journal::new(path) };
    journal.tidy(&table);
    Ok((table.into_inner().unwrap_or_else(PoisonError::into_inner), journal))
}

/// Repeats all changes of the file.
pub(super) fn replay(path: &Path, records: &mut Records) -> Result<Table, AccountsError> {
    let mut replay = Replay::default();
    loop {
        let line = records.count() + 1;
        let damaged = |why| AccountsError::Damaged { path: path.to_owned(), line, why };
        match records.read_next() {
            Ok(Some(record)) => replay.record(record).map_err(damaged)?,
            Ok(None) => return replay.finish().map_err(damaged),
            Err(ReadError::TooLong { .. }) => return Err(damaged(Damage::TooLong)),
            Err(ReadError::File(error)) => return Err(error.into()),
        }
    }
}

#[derive(Default)]
struct Replay {
    table: Table,
    /// Records so far, the checkpoint included.
    count: u64,
    /// How many records the checkpoint promises.
    promised: u64,
}

impl Replay {
    fn record(&mut self, line: &[u8]) -> Result<(), Damage> {
        let record = Record::parse(line)?;
        if self.is_within_checkpoint() && !belongs_to_checkpoint(&record) {
            return Err(self.incomplete());
        }
        match record {
            Record::Lineage { name, .. } if !self.is_within_checkpoint() => return Err(Damage::Lineage { name }),
            Record::Checkpoint { records, .. } if self.count == 0 => self.promised = records,
            record => self.table.apply(record)?,
        }
        self.count += 1;
        Ok(())
    }

    fn finish(self) -> Result<Table, Damage> {
        match self.count {
            0 => Err(Damage::NoRecord),
            _ if self.is_within_checkpoint() => Err(self.incomplete()),
            _ => Ok(self.table),
        }
    }

    fn is_within_checkpoint(&self) -> bool {
        // The checkpoint itself counts as a record, so that it is past when `count` is one more than promised.
        self.count > 0 && self.count <= self.promised
    }

    fn incomplete(&self) -> Damage {
        Damage::Incomplete { promised: self.promised, found: self.count.saturating_sub(1) }
    }
}

fn belongs_to_checkpoint(record: &Record) -> bool {
    use Record::{Disable, Invite, Lineage, Register};
    matches!(record, Disable { .. } | Invite { .. } | Lineage { .. } | Register { .. })
}
