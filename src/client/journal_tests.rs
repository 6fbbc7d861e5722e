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

    fn replace_with(
        &mut self,
        path: &Path,
        write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<(), FileError> {
        self.check(path)?;
        RealDisk.replace_with(path, write)
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
