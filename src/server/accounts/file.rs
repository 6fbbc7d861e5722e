//! The account database on disk: reading it at start, rewriting it when it has grown old, adding to it.

use std::path::Path;
use std::sync::{PoisonError, RwLock};

use super::AccountsError;
use super::record::{Damage, Record};
use super::table::Table;
use super::writer::Store;
use crate::crypto::digest;
use crate::limits::OUTDATED_MIN;
use crate::server::clock::RunClock;
use crate::server::folder;
use crate::storage::disk::RealDisk;
use crate::storage::journal::{Format, Journal, JournalError, Stored};
use crate::sync::write;

/// Name of the database within the data folder.
pub const FILE_NAME: &str = folder::ACCOUNTS;

/// The format of the database; its records are in `record.rs`.
pub const FORMAT: Format = Format {
    name: "accounts",
    version: 2,
    stake: "all accounts, without which everybody's name is free for whoever comes first",
    digest: digest::sha256,
};

/// The database, open for more records.
pub(super) struct Database {
    journal: Journal,
    /// With so many it is looked whether the file has grown old: so seldom that a change's part in it stays the same.
    look_at: u64,
}

impl Store for Database {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.journal.append(records)
    }

    fn tidy(&mut self, table: &RwLock<Table>, clock: &RunClock) {
        if self.journal.count() < self.look_at {
            return;
        }
        let mut table = write(table);
        if self.has_grown_old(&table) {
            table.forget_spent_invites(clock.now_ms());
            // Accounts are shared: this copies names and pointers, and the disk is waited for without the lock.
            let snapshot = table.clone();
            drop(table);
            self.rewrite(&snapshot);
        }
    }
}

impl Database {
    /// Whether less than half of the file still counts. If not, it is looked again when that can be so.
    fn has_grown_old(&mut self, table: &Table) -> bool {
        let needed = table.records().count() as u64;
        self.look_at = 1 + (2 * needed).max(needed + OUTDATED_MIN);
        self.journal.count() >= self.look_at
    }

    /// Replaces the file with one that holds what still counts. After a failure the old one is as good as before.
    fn rewrite(&mut self, table: &Table) {
        let (before, needed) = (self.journal.count(), table.records().count() as u64);
        match self.journal.rewrite(needed, table.records()) {
            Ok(()) => log::info!("rewrote {FILE_NAME}: {needed} of {before} records still count"),
            Err(error) => {
                log::warn!("could not rewrite {FILE_NAME}, going on with the old one: {error}");
                self.look_at = before + OUTDATED_MIN;
            }
        }
    }
}

/// Makes a database without accounts.
pub(super) fn create(path: &Path) -> Result<(), AccountsError> {
    Journal::create::<Record>(path, &FORMAT, Box::new(RealDisk), &[]).map(drop).map_err(JournalError::from)?;
    Ok(())
}

/// All accounts of the file, and the file. Changes it only if all of it is good.
pub(super) fn load(path: &Path, clock: &RunClock) -> Result<(Table, Database), AccountsError> {
    let (table, stored) = replay(path)?;
    let table = RwLock::new(table);
    let (journal, cut) = stored.settle(Box::new(RealDisk))?;
    if let Some(cut) = cut {
        log::warn!("{cut}. If it was on disk before, what it did to an account is lost, though it was answered");
    }
    let mut database = Database { journal, look_at: OUTDATED_MIN };
    database.tidy(&table, clock);
    Ok((table.into_inner().unwrap_or_else(PoisonError::into_inner), database))
}

/// Repeats all changes of the file.
pub(super) fn replay(path: &Path) -> Result<(Table, Stored), JournalError> {
    let mut stored = Stored::open(path, &FORMAT)?;
    let (mut table, mut count, founding) = (Table::default(), 0, stored.founding());
    stored.replay(|record| {
        count += 1;
        match record {
            Record::Lineage { name, .. } if count > founding => Err(Damage::Lineage { name }),
            record => table.apply(record),
        }
    })?;
    Ok((table, stored))
}
