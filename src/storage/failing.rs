//! Disks that fail where a test wants them to.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::FileError;
use super::append::Medium;
use super::disk::{Disk, RealDisk};
use crate::sync::lock;

/// What is written, what is on disk, and which operations fail.
#[derive(Debug, Default)]
pub(crate) struct FailingMedium {
    /// As a reader sees it while the machine is up.
    pub(crate) written: Vec<u8>,
    /// As it is after a power failure.
    pub(crate) synced: Vec<u8>,
    /// Operations so far.
    pub(crate) operations: usize,
    /// The operations that fail, counted from 0.
    pub(crate) failing: Range<usize>,
}

impl FailingMedium {
    /// Fails `count` operations from the `first` on.
    pub(crate) fn new(first: usize, count: usize) -> Self {
        Self { failing: first..first + count, ..Self::default() }
    }

    fn fails(&mut self) -> bool {
        self.operations += 1;
        self.failing.contains(&(self.operations - 1))
    }
}

impl Medium for FailingMedium {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fails = self.fails();
        let kept = if fails { bytes.len() * 2 / 3 } else { bytes.len() };
        self.written.extend(&bytes[..kept]);
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.fails() {
            return Err(io::Error::other("input/output error"));
        }
        self.synced.clone_from(&self.written);
        Ok(())
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        if self.fails() {
            return Err(io::Error::other("input/output error"));
        }
        self.written.truncate(length as usize);
        Ok(())
    }
}

/// The real disk, whose operations fail from one on, for a while or for ever.
#[derive(Clone, Default)]
pub(crate) struct FailingDisk {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    /// Operations so far.
    operations: usize,
    /// The operations that fail, counted from 0.
    failing: Range<usize>,
}

impl FailingDisk {
    /// Fails `count` operations from the `first` on.
    pub(crate) fn new(first: usize, count: usize) -> Self {
        let failing = first..first.saturating_add(count);
        Self { plan: Arc::new(Mutex::new(Plan { operations: 0, failing })) }
    }

    /// How many operations there were.
    pub(crate) fn operations(&self) -> usize {
        self.plan().operations
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        self.plan().failing = 0..0;
    }

    /// Everything fails from now on.
    pub(crate) fn break_down(&self) {
        self.plan().failing = 0..usize::MAX;
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    fn fails(&self) -> bool {
        let mut plan = self.plan();
        plan.operations += 1;
        plan.failing.contains(&(plan.operations - 1))
    }

    fn error(path: &Path) -> FileError {
        FileError::Io { doing: "failing on", path: path.to_owned(), source: io::ErrorKind::StorageFull.into() }
    }
}

impl Disk for FailingDisk {
    fn open(&mut self, path: &Path) -> Result<Box<dyn Medium + Send>, FileError> {
        let medium = RealDisk.open(path)?;
        if self.fails() { Err(Self::error(path)) } else { Ok(Box::new(FailingFile { medium, disk: self.clone() })) }
    }

    fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        if self.fails() { Err(Self::error(path)) } else { RealDisk.create(path, bytes) }
    }

    fn replace_with(
        &mut self,
        path: &Path,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FileError> {
        if self.fails() { Err(Self::error(path)) } else { RealDisk.replace_with(path, write) }
    }

    fn remove(&mut self, path: &Path) -> Result<(), FileError> {
        if self.fails() { Err(Self::error(path)) } else { RealDisk.remove(path) }
    }
}

struct FailingFile {
    medium: Box<dyn Medium + Send>,
    disk: FailingDisk,
}

impl Medium for FailingFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.disk.fails() {
            self.medium.write_all(&bytes[..bytes.len() * 2 / 3])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.medium.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.disk.fails() { Err(io::Error::other("input/output error")) } else { self.medium.sync() }
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        if self.disk.fails() { Err(io::Error::other("input/output error")) } else { self.medium.set_len(length) }
    }
}
