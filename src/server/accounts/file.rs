//! The account database on disk: reading it at start, rewriting it when it has grown old, adding to it.

use std::path::{Path, PathBuf};

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
}

impl Store for Journal {
    fn append(&mut self, lines: &[u8]) -> Result<(), FileError> {
        if !self.exists {
            private::create_new(&self.path, lines)?;
            self.exists = true;
            return Ok(());
        }
        match &mut self.file {
            Some(file) => file.append(lines),
            None => self.file.insert(AppendFile::open(&self.path)?).append(lines),
        }
    }
}

/// All accounts of the file, and the file. Changes it only if all of it is good.
pub(super) fn load(path: &Path) -> Result<(Table, Journal), AccountsError> {
    let mut records = match Records::open(path) {
        Ok(records) => records,
        Err(FileError::Missing { .. }) => {
            return Ok((Table::default(), Journal { path: path.to_owned(), exists: false, file: None }));
        }
        Err(error) => return Err(error.into()),
    };
    let mut table = replay(path, &mut records)?;
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
    let mut journal = Journal { path: path.to_owned(), exists: true, file };
    compact(&mut journal, &mut table, count);
    Ok((table, journal))
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

/// Rewrites the file with what still counts, if that is less than half of it.
///
/// A failure is no reason not to start: the old file is as good as before.
fn compact(journal: &mut Journal, table: &mut Table, count: u64) {
    let needed = table.records().count() as u64;
    let outdated = count.saturating_sub(needed + 1);
    if outdated <= OUTDATED_MIN || outdated <= count / 2 {
        return;
    }
    table.forget_spent_invites(unix_ms());
    let needed = table.records().count() as u64;
    let rewritten = private::replace_with(&journal.path, |file| {
        Record::checkpoint(needed).write(file)?;
        table.records().try_for_each(|record| record.write(file))
    });
    // The name may stand for the new file even after a failure, so it is opened anew in any case.
    journal.file = None;
    match rewritten {
        Ok(()) => log::info!("rewrote {FILE_NAME}: {outdated} of {count} records were outdated"),
        Err(error) => log::warn!("could not rewrite {FILE_NAME}, going on with the old one: {error}"),
    }
}
