//! The files of the log: reading them at start, adding to the last one, beginning the next.
//!
//! A segment is named by the first number that it may hold, and begins where the one before it ends: so a missing one shows.
//! Only the last one grows; each earlier one ends with a mark, so that a cut shows. The oldest are deleted when nobody refers
//! to them any more. If little of them is still needed, that goes to one file in their place, named by the first and the last
//! number that it stands for, and by how often if that happens to one such file alone: it is whole before they are deleted, and counts as soon as it is there.
//!
//! Who has no copy of a damaged or missing segment says so by an empty file beside its place, `NAME.lost`.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Found, Meta};
use crate::limits::{COMPACT_AT_ONCE, SEGMENT_BYTES, SEGMENT_MAX, SEGMENTS_SEALED};
use crate::machine::fs::{self, File};
use crate::server::log::{Durability, StoreError};
use crate::storage::append::{AppendFile, Medium};
use crate::storage::disk::Disk;
use crate::storage::journal::keep_torn;
use crate::storage::{FileError, private};
use crate::text::visible;

/// One file of the log. As long as somebody holds one, the file stays.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    path: PathBuf,
}

impl Segment {
    /// For reading; the caller keeps it open for the next message.
    pub(crate) fn open(&self) -> Result<File, FileError> {
        private::open_to_read(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: Arc<Segment>,
    offset: u32,
    length: u32,
}

impl Place {
    /// Bytes of the whole record.
    pub(crate) fn length(&self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Reads the envelope from its segment, opened as `file`.
    pub(crate) fn read(&self, file: &File) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length()];
        file.read_exact_at(&mut bytes, self.offset.into())?;
        match record::read(&bytes) {
            Found::Record { envelope, .. } => Ok(envelope.to_vec()),
            Found::Nothing => Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum is wrong")),
        }
    }
}

/// A segment, and what is known of it.
struct Known {
    segment: Arc<Segment>,
    /// The first number that it may hold.
    first: u64,
    /// The last one.
    last: u64,
    messages: usize,
    bytes: u64,
    /// What was needed of older ones was put together here, so many times over; none for a segment as it was written.
    compactions: Option<u32>,
}

impl Known {
    fn new(path: PathBuf, first: u64) -> Self {
        let (last, bytes) = (first.saturating_sub(1), MAGIC.len() as u64);
        Self { segment: Arc::new(Segment { path }), first, last, messages: 0, bytes, compactions: None }
    }

    /// How many of its messages somebody refers to; somebody may do so more than once.
    fn needed(&self) -> usize {
        Arc::strong_count(&self.segment) - 1
    }
}

/// All segments, and the last one open for more.
pub(crate) struct Segments {
    folder: PathBuf,
    disk: Box<dyn Disk>,
    current: AppendFile<Box<dyn Medium + Send>>,
    /// Oldest first; the last one is `current`.
    all: Vec<Known>,
    /// What was needed of these stands elsewhere: they are deleted when nobody reads them any more.
    retired: Vec<Arc<Segment>>,
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

/// What is known from elsewhere of a log that is about to be read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Proof {
    /// The first number that the oldest segment may hold.
    pub(crate) first: Option<u64>,
    /// A message that was on disk: the log can't end before it.
    pub(crate) safe: u64,
}

impl Segments {
    /// Reads the whole log in order, one segment in memory at a time, and tells every message.
    ///
    /// A torn end is cut off, kept in a copy and logged, if nothing says that it was on disk when something was answered.
    /// Damage anywhere else is refused, and then nothing was changed.
    pub(crate) fn open(
        folder: PathBuf,
        mut disk: Box<dyn Disk>,
        limit: u64,
        proof: Proof,
        mut tell: impl FnMut(Meta, &[u8], Place),
    ) -> Result<Self, StoreError> {
        private::ensure_folder(&folder)?;
        let files = files(&folder)?;
        let oldest = files.iter().find(|file| !file.is_lost).map_or(1, |file| file.first);
        let mut safe = proof.first.unwrap_or(oldest).saturating_sub(1);
        let (mut all, mut leftover, mut tail) = (Vec::new(), Vec::new(), None);
        for (at, file) in files.iter().enumerate() {
            let next = files.iter().skip(at + 1).map(|next| next.first).find(|first| *first > file.first);
            let is_all_lost = file.is_lost && next.is_none() && all.is_empty();
            if file.first <= safe && !is_all_lost {
                leftover.extend((!file.is_lost && !fs::exists(&lost(&file.path))).then_some(&file.path));
                continue;
            }
            if file.first > safe.saturating_add(1) {
                return Err(missing(&folder, safe.saturating_add(1), file.first - 1));
            }
            if file.is_lost {
                let (first, name) = (safe.max(file.first), file.path.to_string_lossy());
                safe = next.map_or(proof.safe, |next| next - 1).max(first);
                log::error!("messages {first} to {safe} are given up: {}", visible(&name));
                tail = None;
                continue;
            }
            let mut known = Known::new(file.path.clone(), file.first);
            let is_last = next.is_none() && file.last.is_none();
            let end = read_segment(&mut known, is_last, proof.safe, &mut tell)?;
            safe = file.last.unwrap_or(known.last);
            known.last = safe;
            known.compactions = file.last.map(|_| file.compactions);
            tail = is_last.then_some(end);
            all.push(known);
        }
        if safe < proof.safe && !files.is_empty() && tail.is_none() || files.is_empty() && proof.safe > 0 {
            return Err(missing(&folder, safe.saturating_add(1), proof.safe));
        }
        let (path, end) = match (tail, all.last()) {
            (Some(end), Some(known)) => (known.segment.path.clone(), end),
            _ => {
                let path = path_of(&folder, safe.saturating_add(1));
                disk.create(&path, &MAGIC)?;
                all.push(Known::new(path.clone(), safe.saturating_add(1)));
                (path, MAGIC.len() as u64)
            }
        };
        cut(&path, &mut *disk, end)?;
        for path in leftover {
            // It takes room, but harms nothing; the next try is at the next start.
            let _ = disk.remove(path).inspect_err(|error| log::warn!("an old segment stays: {error}"));
        }
        let mut medium = disk.open(&path)?;
        medium.sync().map_err(FileError::io("syncing", &path))?;
        // A process that was killed may have left the name of its newest file in memory only.
        private::sync_folder(&folder)?;
        let current = AppendFile::new(&path, medium, end);
        let (retired, buffer) = (Vec::new(), Vec::new());
        Ok(Self { folder, disk, current, all, retired, safe, written: safe, limit, is_sealed: false, buffer })
    }

    /// The last number that is on disk.
    pub(crate) fn safe(&self) -> u64 {
        self.safe
    }

    /// The last number that was written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Whether all that was written is on disk.
    pub(crate) fn is_settled(&self) -> bool {
        self.safe == self.written
    }

    /// Adds messages with one write; when this returns `Ok`, all of them are on disk if `durability` asks for that, else none
    /// counts.
    pub(crate) fn append<'a>(
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
        let known = self.all.last_mut().expect("there is always a segment");
        known.last = last;
        known.messages += ends.len();
        known.bytes = self.current.length();
        let segment = &known.segment;
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let place = |(from, to): (usize, usize)| Place {
            segment: Arc::clone(segment),
            offset: position(begin.saturating_add(from as u64)),
            length: position((to - from) as u64),
        };
        Ok(begins.zip(ends.iter().copied()).map(place).collect())
    }

    /// Puts on disk what is written only.
    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        if self.safe < self.written {
            self.current.sync()?;
            self.safe = self.written;
        }
        Ok(())
    }

    /// How many of the oldest segments nobody refers to any more; never the last, and some at a time.
    pub(crate) fn unneeded(&self) -> usize {
        self.sealed().iter().take(SWEEP).take_while(|known| known.needed() == 0).count()
    }

    /// The first number of the log, without so many of the oldest segments.
    pub(crate) fn first(&self, without: usize) -> u64 {
        self.all.get(without).map_or(1, |known| known.first)
    }

    /// Deletes so many of the oldest segments, and what was retired.
    pub(crate) fn sweep(&mut self, unneeded: usize) {
        let Self { disk, all, retired, .. } = self;
        retired.extend(all.drain(..unneeded).map(|known| known.segment));
        retired.retain(|segment| {
            if Arc::strong_count(segment) > 1 {
                return true;
            }
            // What can't be deleted now takes room, but harms nothing; the next try is at the next sweep.
            disk.remove(segment.path()).inspect_err(|error| log::warn!("an old segment stays: {error}")).is_err()
        });
    }

    /// Whether there are more segments than stay for long.
    pub(crate) fn are_many(&self) -> bool {
        self.sealed().len() >= SEGMENTS_SEALED
    }

    /// Those that don't grow any more.
    fn sealed(&self) -> &[Known] {
        self.all.split_last().map_or(&[], |(_, sealed)| sealed)
    }

    /// Puts what is still needed of the oldest segments in one file in their place, if that is little. `is_needed` says of which
    /// messages of a segment somebody refers to it there. Gives where they stand from then on.
    ///
    /// Their order does not change, and no crash takes anything: the file is whole before it has its name, and they are deleted
    /// after it.
    pub(crate) fn compact(
        &mut self,
        mut is_needed: impl FnMut(&[Stored<'_>], &Arc<Segment>) -> Vec<bool>,
    ) -> Result<Vec<(u64, Place)>, FileError> {
        let run = self.worth_compacting();
        let (mut count, mut bytes, mut kept) = (0_usize, MAGIC.to_vec(), Vec::new());
        for known in self.all.iter().take(run) {
            let before = (bytes.len(), kept.len());
            if known.needed() > 0 {
                let whole = private::read(&known.segment.path, SEGMENT_MAX)?;
                let messages = messages(&whole);
                let needed = is_needed(&messages, &known.segment);
                for (message, _) in messages.iter().zip(needed).filter(|(_, is_needed)| *is_needed) {
                    kept.push((message.number, bytes.len(), message.record.len()));
                    bytes.extend_from_slice(message.record);
                }
            }
            if count > 0 && bytes.len() as u64 > SEGMENT_BYTES {
                bytes.truncate(before.0);
                kept.truncate(before.1);
                break;
            }
            count += 1;
        }
        let newest = count.checked_sub(1).and_then(|last| self.all.get(last));
        let (Some(oldest), Some(newest)) = (self.all.first(), newest) else { return Ok(Vec::new()) };
        let (first, last, length) = (oldest.first, newest.last, bytes.len() as u64);
        bytes.extend(END);
        // By itself, one that was put together before would get its own name again, and be deleted with it.
        let before = if count == 1 { oldest.compactions } else { None };
        let compactions = before.map_or(0, |before| before + 1);
        let again = if compactions > 0 { format!("-{compactions}") } else { String::new() };
        let path = self.folder.join(format!("{first:020}-{last:020}{again}{SUFFIX}"));
        match self.disk.create(&path, &bytes) {
            // A try that failed behind that: it may hold more than is needed by now.
            Err(FileError::Exists { .. }) => self.disk.replace(&path, &bytes)?,
            made => made?,
        }
        let segment = Arc::new(Segment { path });
        let place = |(number, offset, length): &(u64, usize, usize)| {
            let (offset, length) = (position(*offset as u64), position(*length as u64));
            (*number, Place { segment: Arc::clone(&segment), offset, length })
        };
        let places = kept.iter().map(place).collect();
        let compacted =
            Known { segment, first, last, messages: kept.len(), bytes: length, compactions: Some(compactions) };
        let old = self.all.splice(..count, [compacted]);
        self.retired.extend(old.map(|known| known.segment));
        Ok(places)
    }

    /// How many of the oldest segments have so little that is needed that it is worth the work to put it elsewhere.
    fn worth_compacting(&self) -> usize {
        let (mut messages, mut needed, mut run) = (0, 0, 0);
        for (at, known) in self.sealed().iter().take(COMPACT_AT_ONCE).enumerate() {
            messages += known.messages;
            needed += known.needed();
            if needed * WORTH <= messages {
                run = at + 1;
            }
        }
        run
    }

    fn begin_segment(&mut self) -> Result<(), FileError> {
        // Junk of a failed write is allowed at the end of the last segment only.
        self.current.mend()?;
        if !self.is_sealed {
            self.current.append(&END)?;
            self.is_sealed = true;
            self.safe = self.written;
        }
        let first = self.safe.saturating_add(1);
        let path = path_of(&self.folder, first);
        match self.disk.create(&path, &MAGIC) {
            Ok(()) => {}
            // Made by an earlier try that failed later on: nothing was written to it, and its name may not be on disk.
            Err(FileError::Exists { .. }) => private::sync_folder(&self.folder)?,
            Err(error) => return Err(error),
        }
        let medium = self.disk.open(&path)?;
        self.current = AppendFile::new(&path, medium, MAGIC.len() as u64);
        self.all.push(Known::new(path, first));
        self.is_sealed = false;
        Ok(())
    }
}

/// Tells the messages of one segment; gives where the last whole one ends.
fn read_segment(
    known: &mut Known,
    is_last: bool,
    proven: u64,
    tell: &mut impl FnMut(Meta, &[u8], Place),
) -> Result<u64, StoreError> {
    let path = known.segment.path.clone();
    let bytes = private::read(&path, SEGMENT_MAX)?;
    let damaged = |offset: usize| StoreError::Damaged { path: path.clone(), offset: offset as u64 };
    match bytes.split_first_chunk::<8>().map(|(magic, _)| magic) {
        Some(&MAGIC) => {}
        Some(&FORMER_MAGIC) => return Err(StoreError::Version { path }),
        _ => return Err(damaged(0)),
    }
    let mut offset = MAGIC.len();
    loop {
        let rest = &bytes[offset..];
        match record::read(rest) {
            Found::Record { meta, envelope, length } if meta.number > known.last => {
                known.last = meta.number;
                known.messages += 1;
                let segment = Arc::clone(&known.segment);
                let place = Place { segment, offset: position(offset as u64), length: position(length as u64) };
                tell(meta, envelope, place);
                offset += length;
                known.bytes = offset as u64;
            }
            Found::Nothing if rest == END || is_last && is_torn(rest, known.last) => {
                let (offset, found) = (offset as u64, known.last);
                return match is_last && found < proven {
                    // It is whole, so it was not the last one.
                    true if rest == END => {
                        Err(missing(path.parent().unwrap_or(&path), found.saturating_add(1), proven))
                    }
                    true => Err(StoreError::Short { path, offset, found, proven }),
                    false => Ok(offset),
                };
            }
            Found::Record { .. } | Found::Nothing => return Err(damaged(offset)),
        }
    }
}

/// A message as it stands in a segment.
pub(crate) struct Stored<'a> {
    pub(crate) number: u64,
    pub(crate) envelope: &'a [u8],
    record: &'a [u8],
}

/// The messages of a segment that is good.
fn messages(bytes: &[u8]) -> Vec<Stored<'_>> {
    let (mut found, mut rest) = (Vec::new(), &bytes[MAGIC.len()..]);
    while let Found::Record { meta, envelope, length } = record::read(rest) {
        let (record, behind) = rest.split_at(length);
        found.push(Stored { number: meta.number, envelope, record });
        rest = behind;
    }
    found
}

/// Whether what stands behind the last good record can be what a crash leaves: no record within says that it was on disk as a
/// whole.
fn is_torn(rest: &[u8], number: u64) -> bool {
    !(1..rest.len()).any(|offset| {
        let found = record::read(&rest[offset..]);
        matches!(found, Found::Record { meta, .. } if meta.safe > number)
    })
}

/// Cuts a torn end off, after it was put in a copy.
fn cut(path: &Path, disk: &mut dyn Disk, end: u64) -> Result<(), FileError> {
    let bytes = private::read(path, SEGMENT_MAX)?;
    let tail = bytes.get(usize::try_from(end).unwrap_or(usize::MAX)..).unwrap_or_default();
    if tail.is_empty() {
        return Ok(());
    }
    if tail != END {
        let copy = keep_torn(path, end, tail, disk)?;
        let what = match record::is_as_long_as_it_says(tail) {
            true => "a message that is damaged: it may have been answered",
            false => "what a crash leaves of a message that was not answered, unless the file was damaged later",
        };
        let (path, copy) = (path.to_string_lossy(), copy.to_string_lossy());
        let (path, copy) = (visible(&path), visible(&copy));
        log::warn!("{path}: cut off {} bytes at byte {end}, kept in {copy}: {what}", tail.len());
    }
    disk.open(path)?.set_len(end).map_err(FileError::io("cutting", path))
}

/// A segment's file, or the word that it is lost.
#[derive(Debug)]
struct Listed {
    first: u64,
    /// Of one that stands for several.
    last: Option<u64>,
    /// How often that was put together again by itself.
    compactions: u32,
    is_lost: bool,
    path: PathBuf,
}

/// The segments in a folder, ascending; of those that begin at the same number, the one that counts comes first. Other files are
/// not touched.
fn files(folder: &Path) -> Result<Vec<Listed>, FileError> {
    let names = fs::names(folder).map_err(FileError::io("reading", folder))?;
    let mut files: Vec<_> = names.iter().filter_map(|name| listed(name.to_str()?, folder.join(name))).collect();
    files.sort_by_key(|file| (file.first, !file.is_lost, Reverse(file.last), Reverse(file.compactions)));
    Ok(files)
}

fn listed(name: &str, path: PathBuf) -> Option<Listed> {
    let (name, is_lost) = name.strip_suffix(LOST).map_or((name, false), |name| (name, true));
    let name = name.strip_suffix(SUFFIX)?;
    let mut parts = name.split('-');
    let first = parts.next()?.parse().ok()?;
    let last = parts.next().map(str::parse).transpose().ok()?;
    let compactions = parts.next().map_or(Ok(0), str::parse).ok()?;
    parts.next().is_none().then_some(Listed { first, last, compactions, is_lost, path })
}

fn missing(folder: &Path, first: u64, last: u64) -> StoreError {
    StoreError::Missing { path: path_of(folder, first), first, last }
}

/// The name that says that a segment is lost.
pub(crate) fn lost(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(LOST);
    name.into()
}

fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

fn position(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("a segment is limited to a few MiB")
}

/// Says of a log that it is lost, whatever it held.
pub(crate) fn give_up(folder: &Path) -> Result<(), FileError> {
    private::create_new(&lost(&path_of(folder, 1)), b"")
}

/// What every segment begins with; the last byte is the version.
const MAGIC: [u8; 8] = *b"TCLOG\0\0\x02";
/// What those of the version before began with.
const FORMER_MAGIC: [u8; 8] = *b"TCLOG\0\0\x01";
/// What every segment but the last ends with.
const END: [u8; 8] = *b"TCLOGEND";
/// How many segments are deleted at once: messages wait meanwhile.
const SWEEP: usize = 32;
/// One message in so many may still be needed where the others are cleared away.
const WORTH: usize = 4;
const SUFFIX: &str = ".log";
const LOST: &str = ".lost";
