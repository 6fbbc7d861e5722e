//! The files of the log: reading them at start, adding to the last one, beginning the next.
//!
//! A segment is named by the first number that it may hold. Only the last one grows; each earlier one ends with a mark, so
//! that a cut shows. A segment that nobody refers to any more is deleted.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Found, Meta};
use super::{Durability, StoreError};
use crate::limits::SEGMENT_MAX;
use crate::storage::append::{AppendFile, Medium};
use crate::storage::disk::Disk;
use crate::storage::{FileError, private};
use crate::text::visible;

/// One file of the log. As long as somebody holds one, the file stays.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    path: PathBuf,
}

impl Segment {
    /// For reading; the caller keeps it open for the next message.
    pub(super) fn open(&self) -> Result<File, FileError> {
        private::open_to_read(&self.path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: Arc<Segment>,
    offset: u32,
    length: u32,
}

impl Place {
    /// Bytes of the whole record.
    pub(super) fn length(&self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Reads the envelope from its segment, opened as `file`.
    pub(super) fn read(&self, file: &File) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length()];
        file.read_exact_at(&mut bytes, self.offset.into())?;
        match record::read(&bytes) {
            Found::Record { envelope, .. } => Ok(envelope.to_vec()),
            Found::Nothing => Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum is wrong")),
        }
    }
}

/// All segments, and the last one open for more.
pub(super) struct Segments {
    folder: PathBuf,
    disk: Box<dyn Disk>,
    current: AppendFile<Box<dyn Medium + Send>>,
    /// Oldest first; the last one is `current`.
    all: Vec<Arc<Segment>>,
    /// The last number that is on disk.
    safe: u64,
    /// The last number that was written, and will be on disk with the next sync.
    written: u64,
    /// After so many bytes the next segment begins.
    limit: u64,
    /// The last segment has its mark, and the next one is to be made.
    is_sealed: bool,
    buffer: Vec<u8>,
}

impl Segments {
    /// Reads the whole log in order, one segment in memory at a time, and tells every message.
    ///
    /// A torn end is cut off and logged: nothing in it was on disk when anything was answered. Damage anywhere else is
    /// refused, and then nothing was changed.
    pub(super) fn open(
        folder: PathBuf,
        mut disk: Box<dyn Disk>,
        limit: u64,
        mut tell: impl FnMut(Meta, &[u8], Place),
    ) -> Result<Self, StoreError> {
        private::ensure_folder(&folder)?;
        let mut names = names(&folder)?;
        if names.is_empty() {
            disk.create(&path_of(&folder, 1), &MAGIC)?;
            names.push(1);
        }
        let (mut safe, mut end, mut all) = (0, 0, Vec::new());
        let last = names.last().copied();
        for first in names {
            let segment = Arc::new(Segment { path: path_of(&folder, first) });
            safe = safe.max(first.saturating_sub(1));
            end = read_segment(&segment, Some(first) == last, &mut safe, &mut tell)?;
            all.push(segment);
        }
        let path = path_of(&folder, last.unwrap_or(1));
        let mut medium = disk.open(&path)?;
        cut(&path, medium.as_mut(), end)?;
        let current = AppendFile::new(&path, medium, end);
        Ok(Self { folder, disk, current, all, safe, written: safe, limit, is_sealed: false, buffer: Vec::new() })
    }

    /// The last number that is on disk.
    pub(super) fn safe(&self) -> u64 {
        self.safe
    }

    /// The last number that was written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether all that was written is on disk.
    pub(super) fn is_settled(&self) -> bool {
        self.safe == self.written
    }

    /// Adds messages with one write; when this returns `Ok`, all of them are on disk if `durability` asks for that, else none
    /// counts.
    pub(super) fn append<'a>(
        &mut self,
        messages: impl ExactSizeIterator<Item = (&'a mut Meta, &'a [u8])>,
        durability: Durability,
    ) -> Result<Vec<Place>, FileError> {
        if self.current.length() >= self.limit {
            self.begin_segment()?;
        }
        self.buffer.clear();
        let mut ends = Vec::with_capacity(messages.len());
        let mut last = self.written;
        for (meta, envelope) in messages {
            meta.safe = self.safe;
            last = meta.number;
            record::write(meta, envelope, &mut self.buffer);
            ends.push(self.buffer.len());
        }
        let begin = self.current.length();
        match durability {
            Durability::Disk => self.current.append(&self.buffer)?,
            Durability::Memory => self.current.write(&self.buffer)?,
        }
        self.written = last;
        if durability == Durability::Disk {
            self.safe = last;
        }
        let segment = self.all.last().expect("there is always a segment");
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let place = |(from, to): (usize, usize)| Place {
            segment: Arc::clone(segment),
            offset: position(begin.saturating_add(from as u64)),
            length: position((to - from) as u64),
        };
        Ok(begins.zip(ends.iter().copied()).map(place).collect())
    }

    /// Puts on disk what is written only.
    pub(super) fn sync(&mut self) -> Result<(), FileError> {
        if self.safe < self.written {
            self.current.sync()?;
            self.safe = self.written;
        }
        Ok(())
    }

    /// Deletes segments that nobody refers to any more, oldest first, some at a time; but never the last.
    pub(super) fn sweep(&mut self) {
        let Self { disk, all, .. } = self;
        let count = all.len();
        let (mut index, mut deleted) = (0, 0);
        all.retain(|segment| {
            index += 1;
            if index == count || Arc::strong_count(segment) > 1 || deleted == SWEEP {
                return true;
            }
            deleted += 1;
            // What can't be deleted now takes room, but harms nothing; the next try is at the next sweep.
            disk.remove(segment.path()).inspect_err(|error| log::warn!("an old segment stays: {error}")).is_err()
        });
    }

    fn begin_segment(&mut self) -> Result<(), FileError> {
        // Junk of a failed write is allowed at the end of the last segment only.
        self.current.mend()?;
        if !self.is_sealed {
            self.current.append(&END)?;
            self.is_sealed = true;
            self.safe = self.written;
        }
        let path = path_of(&self.folder, self.safe.saturating_add(1));
        match self.disk.create(&path, &MAGIC) {
            // Made by an earlier try that failed later on: nothing was written to it.
            Ok(()) | Err(FileError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        let medium = self.disk.open(&path)?;
        self.current = AppendFile::new(&path, medium, MAGIC.len() as u64);
        self.all.push(Arc::new(Segment { path }));
        self.is_sealed = false;
        Ok(())
    }
}

/// Tells the messages of one segment; gives where the last whole one ends.
fn read_segment(
    segment: &Arc<Segment>,
    is_last: bool,
    number: &mut u64,
    tell: &mut impl FnMut(Meta, &[u8], Place),
) -> Result<u64, StoreError> {
    let bytes = private::read(&segment.path, SEGMENT_MAX)?;
    let damaged = |offset: usize| StoreError::Damaged { path: segment.path.clone(), offset: offset as u64 };
    if !bytes.starts_with(&MAGIC) {
        return Err(damaged(0));
    }
    let mut offset = MAGIC.len();
    loop {
        let rest = bytes.get(offset..).unwrap_or_default();
        match record::read(rest) {
            Found::Record { meta, envelope, length } if meta.number > *number => {
                *number = meta.number;
                let segment = Arc::clone(segment);
                let place = Place { segment, offset: position(offset as u64), length: position(length as u64) };
                tell(meta, envelope, place);
                offset += length;
            }
            Found::Nothing if rest == END => return Ok(offset as u64),
            Found::Nothing if is_last && is_torn(rest, *number) => return Ok(offset as u64),
            Found::Record { .. } | Found::Nothing => return Err(damaged(offset)),
        }
    }
}

/// Whether what stands behind the last good record was never on disk as a whole: no record within says that it was.
fn is_torn(rest: &[u8], number: u64) -> bool {
    !(1..rest.len()).any(|offset| {
        let found = record::read(rest.get(offset..).unwrap_or_default());
        matches!(found, Found::Record { meta, .. } if meta.safe > number)
    })
}

/// Cuts a torn end off, and puts the rest on disk before anybody relies on it: what a killed process wrote may still be
/// in memory only.
fn cut(path: &Path, medium: &mut dyn Medium, end: u64) -> Result<(), FileError> {
    let length = fs::metadata(path).map_err(FileError::io("looking at", path))?.len();
    if length > end {
        log::warn!(
            "{}: cut off an unfinished or damaged end, {} bytes at byte {end}: what a crash leaves of a message that was not answered",
            visible(&path.to_string_lossy()),
            length - end
        );
        medium.set_len(end).map_err(FileError::io("cutting", path))?;
    }
    medium.sync().map_err(FileError::io("syncing", path))
}

/// First numbers of the segments in a folder, ascending. Other files are not touched.
fn names(folder: &Path) -> Result<Vec<u64>, FileError> {
    let entries = fs::read_dir(folder).map_err(FileError::io("reading", folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(FileError::io("reading", folder))?.file_name();
        names
            .extend(name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).and_then(|name| name.parse::<u64>().ok()));
    }
    names.sort_unstable();
    Ok(names)
}

fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

fn position(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("a segment is limited to a few MiB")
}

/// What every segment begins with; the last byte is the version.
const MAGIC: [u8; 8] = *b"TCLOG\0\0\x01";
/// What every segment but the last ends with.
const END: [u8; 8] = *b"TCLOGEND";
/// How many segments are deleted at once: messages wait meanwhile.
const SWEEP: usize = 32;
const SUFFIX: &str = ".log";
