//! A file that grows by records and never loses one that it acknowledged; and reading one whose records are lines.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::error::shown;
use super::folder::{parent, sync_folder};
use super::{FileError, private};
use crate::limits::RECORD_MAX;

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
    /// Opens an existing file whose content is known and good; [`Records`] opens one to be read first.
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

/// Reads an append-only file record by record, in bounded memory. Nothing is changed until [`Self::finish`].
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    /// Whole lines read.
    count: u64,
    /// Where the last whole line ends.
    end: u64,
    torn: Option<Torn>,
}

/// A last line without its line end: a crash came in the middle of writing it, so it was never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How much of it there is, in bytes.
    pub bytes: u64,
}

impl Records {
    /// Opens a file for reading and appending.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let reader = BufReader::with_capacity(256 * 1024, open(path)?);
        Ok(Self { path: path.to_owned(), reader, line: Vec::new(), count: 0, end: 0, torn: None })
    }

    /// The next record without its line end, or `None` after the last whole one.
    pub fn read_next(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.line.clear();
        let limit = RECORD_MAX as u64 + 1;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line);
        let bytes = read.map_err(FileError::io("reading", &self.path))? as u64;
        if self.line.pop_if(|last| *last == b'\n').is_some() {
            self.count += 1;
            self.end += bytes;
            return Ok(Some(&self.line));
        }
        if bytes == limit {
            return Err(ReadError::TooLong { path: self.path.clone(), line: self.count + 1 });
        }
        self.torn = (bytes > 0).then_some(Torn { offset: self.end, bytes });
        Ok(None)
    }

    /// How many whole records were read.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The torn last line, known once [`Self::read_next`] gave `None`.
    pub fn torn(&self) -> Option<Torn> {
        self.torn
    }

    /// Cuts a torn last line off, and puts the rest and its name on disk before anybody relies on it:
    /// what a killed process wrote may still be in memory only.
    pub fn finish(self) -> Result<AppendFile, FileError> {
        let mut file = AppendFile::new(&self.path, self.reader.into_inner(), self.end);
        if self.torn.is_some() {
            file.repair()?;
        } else {
            file.medium.sync().map_err(FileError::io("syncing", &self.path))?;
        }
        sync_folder(parent(&self.path))?;
        Ok(file)
    }
}

/// Why a file of records can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line longer than any record.
    #[error("{}, line {line}: longer than {RECORD_MAX} bytes", shown(.path))]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
}

fn open(path: &Path) -> Result<File, FileError> {
    private::open(path, OpenOptions::new().read(true).append(true))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::failing::FailingMedium;

    fn file_with(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("records");
        private::create_new(&path, content).unwrap();
        (place, path)
    }

    fn read_all(path: &Path) -> (Vec<Vec<u8>>, Records) {
        let mut records = Records::open(path).unwrap();
        let mut all = Vec::new();
        while let Some(record) = records.read_next().unwrap() {
            all.push(record.to_vec());
        }
        (all, records)
    }

    #[test]
    fn records_come_back_in_order() {
        let (_place, path) = file_with(b"one\n\n");
        let (all, records) = read_all(&path);
        assert_eq!(all, [&b"one"[..], b""]);
        assert_eq!((records.count(), records.torn()), (2, None));
        let mut file = records.finish().unwrap();
        file.append(b"two\nthree\n").unwrap();
        AppendFile::open(&path).unwrap().append(b"four\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\n\ntwo\nthree\nfour\n");
    }

    #[test]
    fn a_torn_last_line_is_cut_at_finish_and_not_before() {
        let (_place, path) = file_with(b"one\ntw");
        let (all, records) = read_all(&path);
        assert_eq!(all, [b"one"]);
        assert_eq!(records.torn(), Some(Torn { offset: 4, bytes: 2 }));
        assert_eq!(fs::read(&path).unwrap(), b"one\ntw");
        records.finish().unwrap().append(b"three\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\nthree\n");
    }

    #[test]
    fn lines_are_read_up_to_their_limit() {
        let longest = [&[b'x'; RECORD_MAX][..], b"\n"].concat();
        let (_place, path) = file_with(&longest);
        assert_eq!(read_all(&path).0, [[b'x'; RECORD_MAX]]);

        let (_place, path) = file_with(&[b"one\nx", &longest[..]].concat());
        let mut records = Records::open(&path).unwrap();
        records.read_next().unwrap();
        assert!(matches!(records.read_next(), Err(ReadError::TooLong { line: 2, .. })));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_place, path) = file_with(b"one\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Records::open(&path), Err(FileError::LooseMode { .. })));
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
