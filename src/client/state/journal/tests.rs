use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::storage::FileError;
use crate::storage::append::Medium;
use crate::storage::disk::{Disk, RealDisk};

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
