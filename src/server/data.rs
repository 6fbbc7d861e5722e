//! A data folder: what is read of it at the start, in its order.

use std::path::Path;
use std::sync::Arc;

use super::accounts::{self, Ledger};
use super::clock::RunClock;
use super::error::ServerError;
use super::folder;
use super::log;
use super::net::send_queue::Outbox;
use super::settings::Settings;
use crate::machine::fs;
use crate::storage::disk::{Disk, RealDisk};
use crate::storage::folder::ensure_folder;

/// Accounts and messages of a data folder, whose writers do not work yet.
pub(super) struct Data {
    pub(super) accounts: accounts::Idle,
    pub(super) log: log::Idle<Outbox>,
}

impl Data {
    /// Reads what is there, and makes what never was. A segment of the log is so long.
    pub(super) fn read(folder: &Path, settings: &Settings, segment_bytes: u64) -> Result<Self, ServerError> {
        let clock = Arc::new(RunClock::after(log::run_ms(folder)?));
        let accounts = accounts::Idle::open(folder, settings.max_accounts, Arc::clone(&clock))?;
        let parts = folder::parts(folder);
        parts.ready(folder::MESSAGES, |path| {
            ensure_folder(path)?;
            // Its owner said that it is lost, if this is not the first start.
            let is_first = !fs::exists(&path.with_file_name(folder::CURSORS));
            if is_first { Ok(()) } else { log::give_up(path).map_err(ServerError::from) }
        })?;
        parts.is_there(folder::CURSORS)?;
        let (all, quotas, disk) =
            (accounts.accounts().every(), settings.quotas.clone(), || Box::new(RealDisk) as Box<dyn Disk>);
        let log = log::Idle::open(folder, all, quotas, settings.durability, clock, segment_bytes, disk)?;
        parts.made(folder::CURSORS)?;
        Ok(Self { accounts, log })
    }
}
