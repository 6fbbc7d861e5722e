//! A file that grows by records and never loses one that it acknowledged.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{FileError, private};
use crate::machine::fs::{File, OpenOptions};

/// What an append-only file does to the disk; tests put a failing one in a file's place.
pub trait Medium {
    /// Writes all of it at the end. On an error any part of it may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written and cut before is on disk.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts everything after the first `length` bytes.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }
}

impl Medium for Box<dyn Medium + Send> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        (**self).set_len(length)
    }
}

/// An open append-only file of records.
#[derive(Debug)]
pub struct AppendFile<M = File> {
    path: PathBuf,
    medium: M,
    /// Bytes that were acknowledged: all of them whole records.
    length: u64,
    /// Something may stand after `length`: a failed write that could not be taken back at once.
    dirty: bool,
}

impl AppendFile {
    /// Opens an existing file whose content is known and good.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = open(path)?;
        let length = file.metadata().map_err(FileError::io("looking at", path))?.len();
        Ok(Self::new(path, file, length))
    }
}

impl<M: Medium> AppendFile<M> {
    /// A file on this medium, which holds `length` good bytes.
    pub fn new(path: &Path, medium: M, length: u64) -> Self {
        Self { path: path.to_owned(), medium, length, dirty: false }
    }

    /// How many bytes were acknowledged.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds whole records with one write; when this returns `Ok`, all of them are on disk.
    ///
    /// On an error none of them counts: what was written of them is cut off again, now or, if the disk
    /// refuses even that, before the next append. So the file works again as soon as the disk does.
    pub fn append(&mut self, records: &[u8]) -> Result<(), FileError> {
        self.add(records, |medium| medium.write_all(records).and_then(|()| medium.sync()))
    }

    /// The same, but the records are on disk only after the next [`sync`](Self::sync) or [`append`](Self::append).
    pub fn write(&mut self, records: &[u8]) -> Result<(), FileError> {
        self.add(records, |medium| medium.write_all(records))
    }

    /// Returns when all that was written is on disk.
    pub fn sync(&mut self) -> Result<(), FileError> {
        self.medium.sync().map_err(FileError::io("syncing", &self.path))
    }

    fn add(&mut self, records: &[u8], add: impl FnOnce(&mut M) -> io::Result<()>) -> Result<(), FileError> {
        self.mend()?;
        match add(&mut self.medium) {
            Ok(()) => {
                self.length += records.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.dirty = true;
                if let Err(repair) = self.repair() {
                    log::warn!("{repair}; trying again before the next write");
                }
                Err(FileError::io("writing", &self.path)(error))
            }
        }
    }

    /// Cuts off what a failed write may have left, if it could not be taken back at once.
    pub fn mend(&mut self) -> Result<(), FileError> {
        if self.dirty { self.repair() } else { Ok(()) }
    }

    /// Cuts off whatever stands behind the good end, and waits until the rest is on disk.
    pub(super) fn cut(&mut self) -> Result<(), FileError> {
        self.repair()
    }

    fn repair(&mut self) -> Result<(), FileError> {
        let cut = self.medium.set_len(self.length).and_then(|()| self.medium.sync());
        cut.map_err(FileError::io("cutting a failed write off", &self.path))?;
        self.dirty = false;
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, FileError> {
    private::open(path, OpenOptions::new().read(true).append(true))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::failing::FailingMedium;

    #[test]
    fn records_are_added_at_the_end() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("records");
        private::create_new(&path, b"one\n").unwrap();
        AppendFile::open(&path).unwrap().append(b"two\nthree\n").unwrap();
        AppendFile::open(&path).unwrap().append(b"four\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("records");
        private::create_new(&path, b"one\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(AppendFile::open(&path), Err(FileError::LooseMode { .. })));
    }

    #[test]
    fn whatever_fails_nothing_acknowledged_is_lost_and_nothing_refused_is_kept() {
        for first in 0..12 {
            for count in 1..8 {
                let mut file = AppendFile::new(Path::new("records"), FailingMedium::new(first, count), 0);
                let mut acknowledged = Vec::new();
                for number in 0..12 {
                    let line = format!("record {number}\n");
                    if file.append(line.as_bytes()).is_ok() {
                        acknowledged.extend(line.into_bytes());
                    }
                    assert!(file.medium.synced.starts_with(&acknowledged), "power failure, {first}+{count}");
                    assert!(file.medium.written.starts_with(&acknowledged), "kill, {first}+{count}");
                }
                assert_eq!(file.medium.written, acknowledged, "works again, {first}+{count}");
                assert_eq!(file.medium.synced, acknowledged, "works again, {first}+{count}");
            }
        }
    }
}
