//! Small files of what this client knows, shared by all of its processes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::limits::{LOCK_WITHIN, SMALL_FILE_MAX};
use crate::storage::FileError;
use crate::storage::lock::Lock;
use crate::storage::private;

/// What such a file holds.
pub trait Document: Default + DeserializeOwned + Serialize {
    /// The version that is written; this and all before it are read.
    const NEWEST: u32 = VERSION;
    /// The longest such file, in bytes.
    const LONGEST: u64 = SMALL_FILE_MAX;

    /// The format's version that stands in the file.
    fn version(&self) -> u32;

    /// Makes the document one of the newest version.
    fn renew(&mut self) {}
}

/// The first version, and for most files the only one so far.
pub const VERSION: u32 = 1;

/// One file and its lock.
pub struct StateFile {
    path: PathBuf,
}

/// Tells two contents of a file apart without reading it: every change makes a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    /// Inodes are used again, and two changes may fall into one tick of the clock.
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// That of the file at `path`; `None` if there is none.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { inode: found.ino(), length: found.len(), changed: (found.mtime(), found.mtime_nsec()) })
    }
}

impl StateFile {
    /// The file with this name in `folder`, which is made if it is missing.
    pub fn new(folder: &Path, name: &str) -> Result<Self, Error> {
        private::ensure_folder(folder)?;
        Ok(Self { path: folder.join(name) })
    }

    /// What the file holds; a missing one holds nothing. One that holds something else is an error and stays as it is.
    pub fn read<D: Document>(&self) -> Result<D, Error> {
        let bytes = match private::read(&self.path, D::LONGEST) {
            Ok(bytes) => bytes,
            Err(FileError::Missing { .. }) => return Ok(D::default()),
            Err(error) => return Err(error.into()),
        };
        let document: D = serde_json::from_slice(&bytes).map_err(|error| self.malformed(error.to_string()))?;
        match document.version() {
            version if (VERSION..=D::NEWEST).contains(&version) => Ok(document),
            version => Err(self.malformed(format!("version {version}, this program knows {}", D::NEWEST))),
        }
    }

    /// Changes what the file holds, as one step for all processes, on disk when this returns.
    pub fn change<D: Document, R>(&self, change: impl FnOnce(&mut D) -> Result<R, Error>) -> Result<R, Error> {
        let _lock = Lock::acquire_within(&self.path.with_extension("lock"), LOCK_WITHIN)?;
        let mut document = self.read()?;
        let result = change(&mut document)?;
        document.renew();
        let mut text = serde_json::to_vec_pretty(&document).map_err(|error| self.malformed(error.to_string()))?;
        text.push(b'\n');
        // What could not be read again must not be written.
        if text.len() as u64 > D::LONGEST {
            return Err(FileError::TooLarge { path: self.path.clone(), limit: D::LONGEST }.into());
        }
        private::replace(&self.path, &text)?;
        Ok(result)
    }

    /// Which content the file has now; `None` if there is no file.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.path)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file holds something that it must not.
    pub fn malformed(&self, why: String) -> Error {
        Error::State { path: self.path.clone(), why }
    }
}
