//! What a store of several files does to the disk, behind one door.

use std::io::{self, Write};
use std::path::Path;

use super::append::Medium;
use super::{FileError, private};
use crate::machine::fs::OpenOptions;

/// Changes files; tests put a failing one in the disk's place.
pub trait Disk: Send {
    /// Opens an existing file for appending.
    fn open(&mut self, path: &Path) -> Result<Box<dyn Medium + Send>, FileError>;

    /// Makes a file that does not exist yet, whole or not at all.
    fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<(), FileError>;

    /// Puts new content in a file's place, or makes it, whole or not at all.
    fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        self.replace_with(path, &mut |file| file.write_all(bytes))
    }

    /// The same for content that is too long to be held in memory; it is asked for once.
    fn replace_with(
        &mut self,
        path: &Path,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FileError>;

    /// Deletes a file for good.
    fn remove(&mut self, path: &Path) -> Result<(), FileError>;
}

/// The disk itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&mut self, path: &Path) -> Result<Box<dyn Medium + Send>, FileError> {
        Ok(Box::new(private::open(path, OpenOptions::new().read(true).append(true))?))
    }

    fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        private::create_new(path, bytes)
    }

    fn replace_with(
        &mut self,
        path: &Path,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FileError> {
        private::replace_with(path, write)
    }

    fn remove(&mut self, path: &Path) -> Result<(), FileError> {
        private::remove(path)
    }
}
