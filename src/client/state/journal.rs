//! The journals of this client: what it must not lose in a crash.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::client::error::Error;
use crate::client::model::state_folder;
use crate::storage::disk::{Disk, RealDisk};
use crate::storage::journal::{Format, Journal, JournalError, Stored};

/// Reads the journal with this name in `folder`, made if it never was; each record goes to `each`, which may refuse it.
pub(crate) fn open<R: DeserializeOwned>(
    folder: &Path,
    format: &'static Format,
    disk: Box<dyn Disk>,
    each: impl FnMut(R) -> Result<(), String>,
) -> Result<Journal, Error> {
    state_folder::parts(folder).ready(format.name, |path| {
        Journal::create::<()>(path, format, Box::new(RealDisk), &[]).map(drop).map_err(JournalError::from)?;
        Ok::<_, Error>(())
    })?;
    let mut stored = Stored::open(&folder.join(format.name), format)?;
    stored.replay(each)?;
    let (journal, cut) = stored.settle(disk)?;
    if let Some(cut) = cut {
        log::warn!("{cut}. If it was on disk before, what it says is lost; this file holds {}", format.stake);
    }
    Ok(journal)
}

#[cfg(test)]
pub(crate) mod tests;
