//! A small append-only file of JSON lines, each with a checksum: what this client must not lose in a crash.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::crypto::digest::sha256;
use crate::limits::JOURNAL_GROWTH;
use crate::storage::FileError;
use crate::storage::append::{AppendFile, Medium, ReadError, Records};
use crate::storage::disk::Disk;

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    title: String,
    disk: Box<dyn Disk>,
    file: AppendFile<Box<dyn Medium + Send>>,
    /// The length after which it is worth rewriting.
    grown: u64,
}

impl Journal {
    /// Reads the journal at `path`, made if it is missing; each record goes to `each`, which may refuse it.
    ///
    /// A torn last line is cut off: nobody was told that it is safe. Damage elsewhere is an error that names the line,
    /// and the file stays as it is.
    pub(super) fn open<R: DeserializeOwned>(
        path: PathBuf,
        title: &str,
        mut disk: Box<dyn Disk>,
        mut each: impl FnMut(R) -> Result<(), String>,
    ) -> Result<Self, Error> {
        let title = format!("topchat {title} v1");
        let mut records = match Records::open(&path) {
            Err(FileError::Missing { .. }) => {
                disk.create(&path, format!("{title}\n").as_bytes())?;
                Records::open(&path)?
            }
            opened => opened?,
        };
        let mut live = 0;
        loop {
            let line = match records.read_next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(ReadError::File(error)) => return Err(error.into()),
                Err(error) => return Err(Error::State { path, why: error.to_string() }),
            };
            let read = match live {
                0 if line == title.as_bytes() => Ok(()),
                0 => Err("this is no such file".to_owned()),
                _ => read(line).and_then(&mut each),
            };
            live += 1;
            if let Err(why) = read {
                return Err(Error::State { path, why: format!("line {live}: {why}") });
            }
        }
        if live == 0 {
            return Err(Error::State { path, why: "line 1: this is no such file".to_owned() });
        }
        let length = records.finish()?.length();
        let file = AppendFile::new(&path, disk.open(&path)?, length);
        Ok(Self { path, title, disk, file, grown: JOURNAL_GROWTH })
    }

    /// Adds records with one write; on disk when this returns. On an error none of them counts.
    pub(super) fn append<R: Serialize>(&mut self, records: &[R]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        Ok(self.file.append(&lines(records))?)
    }

    /// Whether so much was added that [`Self::rewrite`] is worth its cost.
    pub(super) fn has_grown(&self) -> bool {
        self.file.length() > self.grown
    }

    /// Puts these records in the place of all others. The work is paid for by what was added since the last time.
    pub(super) fn rewrite<R: Serialize>(&mut self, records: &[R]) -> Result<(), Error> {
        let mut bytes = format!("{}\n", self.title).into_bytes();
        bytes.extend(lines(records));
        self.disk.replace(&self.path, &bytes)?;
        let length = bytes.len() as u64;
        self.file = AppendFile::new(&self.path, self.disk.open(&self.path)?, length);
        self.grown = 2 * length + JOURNAL_GROWTH;
        Ok(())
    }
}

fn lines<R: Serialize>(records: &[R]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        let json = serde_json::to_string(record).expect("these records have text keys only");
        bytes.extend(format!("{} {json}\n", sum(json.as_bytes())).into_bytes());
    }
    bytes
}

fn read<R: DeserializeOwned>(line: &[u8]) -> Result<R, String> {
    let (given, json) = line.split_at_checked(SUM_DIGITS + 1).ok_or("too short")?;
    if given.strip_suffix(b" ") != Some(sum(json).as_bytes()) {
        return Err("the checksum does not hold".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

fn sum(json: &[u8]) -> String {
    let mut digits = HEXLOWER.encode(&sha256(json));
    digits.truncate(SUM_DIGITS);
    digits
}

/// 64 bits: damage is found, and people can still read the line.
const SUM_DIGITS: usize = 16;

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::storage::disk::RealDisk;

    /// A disk that fails at every operation whose number is a multiple of `every`, half way through a write.
    #[derive(Clone)]
    pub(crate) struct Failing {
        every: usize,
        done: Arc<AtomicUsize>,
    }

    impl Failing {
        pub(crate) fn every(every: usize) -> Self {
            Self { every, done: Arc::default() }
        }

        fn fails(&self) -> bool {
            (self.done.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.every)
        }

        fn check(&self, path: &Path) -> Result<(), FileError> {
            match self.fails() {
                true => Err(FileError::Io { doing: "writing", path: path.to_owned(), source: full() }),
                false => Ok(()),
            }
        }
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    impl Disk for Failing {
        fn open(&mut self, path: &Path) -> Result<Box<dyn Medium + Send>, FileError> {
            Ok(Box::new(FailingFile { disk: self.clone(), file: RealDisk.open(path)? }))
        }

        fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
            RealDisk.create(path, bytes)
        }

        fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
            self.check(path)?;
            RealDisk.replace(path, bytes)
        }

        fn remove(&mut self, path: &Path) -> Result<(), FileError> {
            RealDisk.remove(path)
        }
    }

    struct FailingFile {
        disk: Failing,
        file: Box<dyn Medium + Send>,
    }

    impl Medium for FailingFile {
        fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
            match self.disk.fails() {
                true => self.file.write_all(&bytes[..bytes.len() / 2]).and(Err(full())),
                false => self.file.write_all(bytes),
            }
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.disk.fails() { Err(full()) } else { Ok(()) }
        }

        fn set_len(&mut self, length: u64) -> io::Result<()> {
            if self.disk.fails() { Err(full()) } else { self.file.set_len(length) }
        }
    }

    fn open(path: &Path) -> Result<(Journal, Vec<String>), Error> {
        let mut all = Vec::new();
        let journal = Journal::open(path.to_owned(), "test", Box::new(RealDisk), |record: String| {
            all.push(record);
            Ok(())
        })?;
        Ok((journal, all))
    }

    #[test]
    fn records_come_back_also_after_a_rewrite() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal");
        let (mut journal, all) = open(&path).unwrap();
        assert!(all.is_empty());
        journal.append(&["one", "two"]).unwrap();
        drop(journal);
        let (mut journal, all) = open(&path).unwrap();
        assert_eq!(all, ["one", "two"]);
        journal.rewrite(&["two"]).unwrap();
        journal.append(&["three"]).unwrap();
        assert_eq!(open(&path).unwrap().1, ["two", "three"]);
    }

    #[test]
    fn whatever_byte_it_ends_at_it_gives_whole_records_or_refuses() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal");
        open(&path).unwrap().0.append(&["one", "two"]).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 1..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            match open(&path) {
                Ok((_, all)) => {
                    assert!(["one", "two"].starts_with(&all.iter().map(String::as_str).collect::<Vec<_>>()))
                }
                Err(error) => assert!(length < "topchat test v1\n".len(), "cut at {length}: {error}"),
            }
        }
    }

    #[test]
    fn damage_in_the_middle_is_refused_by_line_and_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal");
        open(&path).unwrap().0.append(&["one", "two"]).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.iter().position(|byte| *byte == b'"').unwrap() + 1;
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = open(&path).err().unwrap().to_string();
        assert!(error.contains("line 2: the checksum does not hold"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}
