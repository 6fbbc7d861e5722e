//! Files and folders, by the names of `std::fs`.

use std::fs::{self, FileType, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
#[cfg(feature = "simulation")]
use std::path::PathBuf;

use tempfile::NamedTempFile;

#[cfg(feature = "simulation")]
use super::world::{self, Found, Opening};

/// An open file or folder.
#[derive(Debug)]
pub enum File {
    /// Of the machine.
    Real(fs::File),
    /// Of a world.
    #[cfg(feature = "simulation")]
    Simulated(Simulated),
}

/// An open file of a world, with the place that it is read and written at.
#[cfg(feature = "simulation")]
#[derive(Debug)]
pub struct Simulated {
    handle: world::Handle,
    place: u64,
    appends: bool,
}

#[cfg(feature = "simulation")]
impl Drop for Simulated {
    fn drop(&mut self) {
        world::ask(|world| world.close(self.handle));
    }
}

impl File {
    /// Opens a file or a folder to read.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path)
    }

    /// What is known of it.
    pub fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Real(file) => file.metadata().map(Metadata::Real),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => world::within(|world| world.look(file.handle)).map(Metadata::Simulated),
        }
    }

    /// Puts its content on disk.
    pub fn sync_data(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.sync_data(),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => world::within(|world| world.sync(file.handle)),
        }
    }

    /// Puts on disk what is known of it, too; of a folder its names.
    pub fn sync_all(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.sync_all(),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => world::within(|world| world.sync(file.handle)),
        }
    }

    /// Cuts it, or fills it with zeros.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        match self {
            Self::Real(file) => file.set_len(length),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => world::within(|world| world.set_length(file.handle, length)),
        }
    }

    /// Reads at a place, all of it.
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Real(file) => file.read_exact_at(bytes, offset),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => {
                let length = bytes.len();
                match world::within(|world| world.read(file.handle, offset, bytes))? {
                    read if read == length => Ok(()),
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
        }
    }

    /// Waits for the lock on it.
    pub fn lock(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.lock(),
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => self.try_lock().map_err(io::Error::from),
        }
    }

    /// Takes the lock on it, if nobody has it.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        match self {
            Self::Real(file) => file.try_lock(),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => file.lock(false),
        }
    }

    /// Takes a share of the lock on it, if nobody has it alone.
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        match self {
            Self::Real(file) => file.try_lock_shared(),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => file.lock(true),
        }
    }

    /// Lets go of the lock.
    pub fn unlock(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.unlock(),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => world::within(|world| world.unlock(file.handle)),
        }
    }
}

#[cfg(feature = "simulation")]
impl Simulated {
    fn lock(&self, shared: bool) -> Result<(), TryLockError> {
        match world::within(|world| world.lock(self.handle, shared)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(TryLockError::WouldBlock),
            Err(error) => Err(TryLockError::Error(error)),
        }
    }
}

impl Read for File {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Real(file) => file.read(bytes),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => {
                let read = world::within(|world| world.read(file.handle, file.place, bytes))?;
                file.place += read as u64;
                Ok(read)
            }
        }
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Real(file) => file.write(bytes),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => {
                let place = (!file.appends).then_some(file.place);
                let begin = world::within(|world| world.write(file.handle, place, bytes))?;
                file.place = begin + bytes.len() as u64;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Real(file) => file.seek(to),
            #[cfg(feature = "simulation")]
            Self::Simulated(file) => match to {
                SeekFrom::Start(place) => {
                    file.place = place;
                    Ok(place)
                }
                SeekFrom::Current(_) | SeekFrom::End(_) => Err(io::ErrorKind::Unsupported.into()),
            },
        }
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    create: bool,
    mode: Option<u32>,
    flags: i32,
}

impl OpenOptions {
    /// Neither to read nor to write.
    pub fn new() -> Self {
        Self::default()
    }

    /// To read.
    pub fn read(self, read: bool) -> Self {
        Self { read, ..self }
    }

    /// To write, anywhere.
    pub fn write(self, write: bool) -> Self {
        Self { write, ..self }
    }

    /// To write at the end only.
    pub fn append(self, append: bool) -> Self {
        Self { append, ..self }
    }

    /// Made where it is missing.
    pub fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Permission bits of one that is made.
    pub fn mode(self, mode: u32) -> Self {
        Self { mode: Some(mode), ..self }
    }

    /// Flags of `open(2)`.
    pub fn custom_flags(self, flags: i32) -> Self {
        Self { flags, ..self }
    }

    /// Opens it.
    pub fn open(self, path: &Path) -> io::Result<File> {
        let Self { read, write, append, create, mode, flags } = self;
        #[cfg(feature = "simulation")]
        if let Some(opened) =
            world::ask(|world| world.open(path, Opening { read, write, append, create, create_new: false }))
        {
            return Ok(File::Simulated(Simulated { handle: opened?, place: 0, appends: append }));
        }
        let mut options = fs::OpenOptions::new();
        options.read(read).write(write).append(append).create(create).custom_flags(flags);
        if let Some(mode) = mode {
            options.mode(mode);
        }
        options.open(path).map(File::Real)
    }
}

/// What is known of a file or folder.
#[derive(Clone, Debug)]
pub enum Metadata {
    /// Of the machine.
    Real(fs::Metadata),
    /// Of a world, whose files are this user's.
    #[cfg(feature = "simulation")]
    Simulated(Found),
}

impl Metadata {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        match self {
            Self::Real(found) => found.is_file(),
            #[cfg(feature = "simulation")]
            Self::Simulated(found) => !found.is_folder,
        }
    }

    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        match self {
            Self::Real(found) => found.is_dir(),
            #[cfg(feature = "simulation")]
            Self::Simulated(found) => found.is_folder,
        }
    }

    /// What it is otherwise. Worlds have files and folders only.
    pub fn other_type(&self) -> Option<FileType> {
        match self {
            Self::Real(found) => Some(found.file_type()),
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => None,
        }
    }

    /// Its length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "the name that it has in the standard library")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Real(found) => found.len(),
            #[cfg(feature = "simulation")]
            Self::Simulated(found) => found.length,
        }
    }

    /// Permission bits.
    pub fn mode(&self) -> u32 {
        match self {
            Self::Real(found) => found.mode(),
            #[cfg(feature = "simulation")]
            Self::Simulated(found) => found.mode,
        }
    }

    /// Its owner.
    pub fn uid(&self) -> u32 {
        match self {
            Self::Real(found) => found.uid(),
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => rustix::process::getuid().as_raw(),
        }
    }

    /// Its number.
    pub fn ino(&self) -> u64 {
        match self {
            Self::Real(found) => found.ino(),
            #[cfg(feature = "simulation")]
            Self::Simulated(found) => found.inode,
        }
    }

    /// How many names it has.
    pub fn nlink(&self) -> u64 {
        match self {
            Self::Real(found) => found.nlink(),
            #[cfg(feature = "simulation")]
            Self::Simulated(found) => found.links,
        }
    }

    /// When its content changed last, in seconds and nanoseconds.
    pub fn modified(&self) -> (i64, i64) {
        match self {
            Self::Real(found) => (found.mtime(), found.mtime_nsec()),
            #[cfg(feature = "simulation")]
            Self::Simulated(found) => (0, found.changed.cast_signed()),
        }
    }
}

/// What is known of what stands at a path; links are followed.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    #[cfg(feature = "simulation")]
    if let Some(found) = world::ask(|world| world.look_at(path)) {
        return found.map(Metadata::Simulated);
    }
    fs::metadata(path).map(Metadata::Real)
}

/// The same without following a link.
pub fn symlink_metadata(path: &Path) -> io::Result<Metadata> {
    #[cfg(feature = "simulation")]
    if let Some(found) = world::ask(|world| world.look_at(path)) {
        return found.map(Metadata::Simulated);
    }
    fs::symlink_metadata(path).map(Metadata::Real)
}

/// Whether something stands at a path.
pub fn exists(path: &Path) -> bool {
    metadata(path).is_ok()
}

/// The names in a folder; others may change it meanwhile.
pub fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    #[cfg(feature = "simulation")]
    if let Some(names) = world::ask(|world| world.list(folder)) {
        return Ok(names?.into_iter().map(Into::into).collect());
    }
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Makes a folder for this user alone.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    const MODE: u32 = 0o700;
    #[cfg(feature = "simulation")]
    if let Some(made) = world::ask(|world| world.make_folder(path, MODE)) {
        return made;
    }
    fs::DirBuilder::new().mode(MODE).create(path)
}

/// Takes a file's name away.
pub fn remove_file(path: &Path) -> io::Result<()> {
    #[cfg(feature = "simulation")]
    if let Some(removed) = world::ask(|world| world.remove(path)) {
        return removed;
    }
    fs::remove_file(path)
}

/// A file that has no name yet but a passing one; it goes when it is dropped before it gets another.
#[derive(Debug)]
pub enum Unfinished {
    /// Of the machine.
    Real(NamedTempFile),
    /// Of a world.
    #[cfg(feature = "simulation")]
    Simulated(Passing),
}

/// An unfinished file of a world.
#[cfg(feature = "simulation")]
#[derive(Debug)]
pub struct Passing {
    file: File,
    /// Its passing name, until it has another.
    path: Option<PathBuf>,
}

impl Unfinished {
    /// In this folder, under a name that begins and ends so.
    pub fn make(folder: &Path, (prefix, suffix): (&str, &str), mode: u32) -> io::Result<Self> {
        #[cfg(feature = "simulation")]
        {
            let mut tail = [0; 8];
            if world::ask(|world| world.random(&mut tail)).is_some() {
                let path = folder.join(format!("{prefix}{:016x}{suffix}", u64::from_be_bytes(tail)));
                let how = Opening { read: true, write: true, create_new: true, ..Opening::default() };
                let handle = world::within(|world| world.open(&path, how))?;
                let file = File::Simulated(Simulated { handle, place: 0, appends: false });
                return Ok(Self::Simulated(Passing { file, path: Some(path) }));
            }
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix).suffix(suffix).permissions(fs::Permissions::from_mode(mode));
        builder.tempfile_in(folder).map(Self::Real).map_err(|error| io::Error::from(error.kind()))
    }

    /// Takes the lock on it.
    pub fn lock(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.as_file().lock(),
            #[cfg(feature = "simulation")]
            Self::Simulated(passing) => passing.file.lock(),
        }
    }

    /// What is known of it.
    pub fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Real(file) => file.as_file().metadata().map(Metadata::Real),
            #[cfg(feature = "simulation")]
            Self::Simulated(passing) => passing.file.metadata(),
        }
    }

    /// Puts it on disk.
    pub fn sync_all(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.as_file().sync_all(),
            #[cfg(feature = "simulation")]
            Self::Simulated(passing) => passing.file.sync_all(),
        }
    }

    /// Gives it its name, in the place of what has that.
    pub fn persist(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Real(file) => file.persist(path).map(drop).map_err(|refused| refused.error),
            #[cfg(feature = "simulation")]
            Self::Simulated(passing) => passing.rename(path, true),
        }
    }

    /// Gives it its name, if nothing has that.
    pub fn persist_noclobber(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Real(file) => file.persist_noclobber(path).map(drop).map_err(|refused| refused.error),
            #[cfg(feature = "simulation")]
            Self::Simulated(passing) => passing.rename(path, false),
        }
    }
}

#[cfg(feature = "simulation")]
impl Passing {
    fn rename(mut self, to: &Path, replace: bool) -> io::Result<()> {
        let from = self.path.as_deref().unwrap_or(to);
        world::within(|world| world.rename(from, to, replace))?;
        self.path = None;
        Ok(())
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Real(file) => file.write(bytes),
            #[cfg(feature = "simulation")]
            Self::Simulated(passing) => passing.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "simulation")]
impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // As with a real one: what can't be taken away takes room.
            let _ = world::within(|world| world.remove(path));
        }
    }
}
