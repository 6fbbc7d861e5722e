//! A disk in memory that fails where a test wants it to.

use std::io;
use std::ops::Range;

use super::append::Medium;

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
