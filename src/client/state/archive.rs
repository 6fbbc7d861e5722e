//! What an earlier account of the same name has left on this machine: nothing of it is the new account's.

use std::fs;
use std::path::{Path, PathBuf};

use super::inbox::LOCK_NAME;
use crate::client::error::Error;
use crate::client::ui::json;
use crate::client::ui::output::now_ms;
use crate::storage::FileError;
use crate::storage::lock::Lock;
use crate::storage::private;

/// The state folder of an account that is no more, under another name.
pub(crate) struct Earlier {
    was: PathBuf,
    is: PathBuf,
}

impl Earlier {
    /// Moves what this folder holds aside, all at once; `None` if it holds nothing. Not while somebody receives into it.
    pub(crate) fn set_aside(folder: &Path) -> Result<Option<Self>, Error> {
        if !holds_something(folder) {
            return Ok(None);
        }
        let _lock = Lock::try_acquire(&folder.join(LOCK_NAME))?;
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        // No account's name has a dot.
        name.push(format!(".before-{}", json::time(now_ms()).replace(':', "-")));
        let earlier = Self { was: folder.to_owned(), is: folder.with_file_name(name) };
        rename(&earlier.was, &earlier.is)?;
        Ok(Some(earlier))
    }

    /// No new account came of it: all is as it was.
    pub(crate) fn put_back(self) -> Result<(), Error> {
        rename(&self.is, &self.was)
    }

    /// Where it is now.
    pub(crate) fn path(&self) -> &Path {
        &self.is
    }
}

fn holds_something(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_none_or(|ending| ending != "lock"))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(FileError::io("moving aside", from))?;
    Ok(to.parent().map_or(Ok(()), private::sync_folder)?)
}
