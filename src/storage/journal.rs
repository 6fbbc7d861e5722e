//! An append-only file of records: JSON lines, each with a checksum, and bound to the line before it.
//!
//! ```text
//! topchat outbox v2 0 4a7fd2c09b16e853
//! 4a7fd2c0 91b0c4d35e7f6a28 {"is":"answered","id":"…"}
//! 91b0c4d3 07e6b5a4c3d2e1f0 {"is":"answered","id":"…"}
//! ```
//!
//! The title has the format's name and version, how many records the file came into being with, and a checksum: the first 16
//! hex digits of the SHA-256 of what stands before it. A record begins with the first 8 digits of the checksum in the line
//! before; its own is over these, a space and the JSON. So every flipped bit is noticed, and so is every line that is missing,
//! doubled or out of its order, unless it is the last one that is missing.
//!
//! A crash can damage the last record alone, the one that was being written. It is cut off, kept in a copy beside the file
//! (`NAME.torn-OFFSET`), and told. Any other damage is an error with its line and with what is at stake, and changes nothing.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::append::{AppendFile, Medium};
use super::disk::Disk;
use super::folder::{parent, sync_folder};
use super::{FileError, private};
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::limits::{JOURNAL_GROWTH, RECORD_MAX, TORN_COPIES, TORN_MAX};
use crate::machine::fs::{self, File, OpenOptions};
use crate::text::visible_path;

/// What sort of records a journal holds.
#[derive(Debug)]
pub struct Format {
    /// One word, as `accounts`.
    pub name: &'static str,
    /// The version of the title, the lines and the records together.
    pub version: u32,
    /// What people lose with the file, as `all accounts with their passwords`.
    pub stake: &'static str,
    /// SHA-256.
    pub digest: fn(&[u8]) -> [u8; 32],
}

/// An open journal.
pub struct Journal {
    path: PathBuf,
    format: &'static Format,
    disk: Box<dyn Disk>,
    /// `None` if the file has to be looked at anew.
    end: Option<End>,
    /// The length after which it is worth rewriting.
    grown: u64,
}

struct End {
    file: AppendFile<Box<dyn Medium + Send>>,
    place: Place,
}

impl Journal {
    /// Makes a journal, whole with these records and at once, where there is none.
    pub fn create<R: Serialize>(
        path: &Path,
        format: &'static Format,
        mut disk: Box<dyn Disk>,
        records: &[R],
    ) -> Result<Self, FileError> {
        let mut bytes = Vec::new();
        let mut place = Place::begin(format, records.len() as u64, &mut bytes);
        place.add_all(format, path, records, &mut bytes)?;
        disk.create(path, &bytes)?;
        let file = AppendFile::new(path, disk.open(path)?, place.offset);
        Ok(Self { path: path.to_owned(), format, disk, end: Some(End { file, place }), grown: JOURNAL_GROWTH })
    }

    /// Adds records with one write; on disk when this returns. On an error none of them counts.
    pub fn append<R: Serialize>(&mut self, records: &[R]) -> Result<(), JournalError> {
        if records.is_empty() {
            return Ok(());
        }
        let end = match &mut self.end {
            Some(end) => end,
            none => none.insert(look(&self.path, self.format, &mut *self.disk)?),
        };
        let (mut place, mut bytes) = (end.place.clone(), Vec::new());
        place.add_all(self.format, &self.path, records, &mut bytes)?;
        end.file.append(&bytes)?;
        end.place = place;
        Ok(())
    }

    /// How many records there are; 0 while the file has to be looked at anew.
    pub fn count(&self) -> u64 {
        self.end.as_ref().map_or(0, |end| end.place.lines - 1)
    }

    /// How long the file is, in bytes; 0 while it has to be looked at anew.
    pub fn length(&self) -> u64 {
        self.end.as_ref().map_or(0, |end| end.file.length())
    }

    /// Whether so much was added that [`Self::rewrite`] is worth its cost.
    pub fn has_grown(&self) -> bool {
        self.length() > self.grown
    }

    /// Puts these records, `count` of them, in the place of all others. On an error the old ones or the new ones count.
    pub fn rewrite<R: Serialize>(
        &mut self,
        count: u64,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(), JournalError> {
        // What a failed write left behind the good end would count as good when the file is looked at anew.
        if let Some(end) = &mut self.end {
            end.file.mend()?;
        }
        // The name may stand for the new file even after a failure, so it is looked at in that case.
        self.end = None;
        let mut title = Vec::new();
        let (mut place, mut records) = (Place::begin(self.format, count, &mut title), records.into_iter());
        let (path, format) = (&self.path, self.format);
        self.disk.replace_with(path, &mut |file| {
            file.write_all(&title)?;
            records.try_for_each(|record| {
                let mut line = Vec::new();
                place.add(format, path, &record, &mut line).map_err(io::Error::other)?;
                file.write_all(&line)
            })
        })?;
        debug_assert_eq!(place.lines, count + 1);
        let file = AppendFile::new(path, self.disk.open(path)?, place.offset);
        self.grown = 2 * place.offset + JOURNAL_GROWTH;
        self.end = Some(End { file, place });
        Ok(())
    }
}

fn look(path: &Path, format: &'static Format, disk: &mut dyn Disk) -> Result<End, JournalError> {
    let mut stored = Stored::open(path, format)?;
    stored.replay(|_: IgnoredAny| Ok::<_, String>(()))?;
    let (end, cut) = stored.settled(disk)?;
    if let Some(cut) = cut {
        log::warn!("{cut}");
    }
    Ok(end)
}

/// Where a whole line ends, and what the next one is bound to.
#[derive(Clone, Debug)]
struct Place {
    /// In bytes.
    offset: u64,
    /// The title included.
    lines: u64,
    /// The checksum of the line.
    sum: String,
}

impl Place {
    fn begin(format: &Format, count: u64, bytes: &mut Vec<u8>) -> Self {
        let title = format!("topchat {} v{} {count}", format.name, format.version);
        let sum = sum(format, title.as_bytes());
        bytes.extend(format!("{title} {sum}\n").into_bytes());
        Self { offset: bytes.len() as u64, lines: 1, sum }
    }

    fn add_all<R: Serialize>(
        &mut self,
        format: &Format,
        path: &Path,
        records: &[R],
        bytes: &mut Vec<u8>,
    ) -> Result<(), FileError> {
        records.iter().try_for_each(|record| self.add(format, path, record, bytes))
    }

    fn add<R: Serialize>(
        &mut self,
        format: &Format,
        path: &Path,
        record: &R,
        bytes: &mut Vec<u8>,
    ) -> Result<(), FileError> {
        let json = serde_json::to_string(record).expect("records have text keys only, and no field that can fail");
        let covered = format!("{} {json}", link(&self.sum));
        self.sum = sum(format, covered.as_bytes());
        let line = format!("{} {} {json}\n", link(&covered), self.sum);
        // What could not be read again must not be written.
        if line.len() > RECORD_MAX {
            return Err(FileError::TooLarge { path: path.to_owned(), limit: RECORD_MAX as u64 });
        }
        self.offset += line.len() as u64;
        self.lines += 1;
        bytes.extend(line.into_bytes());
        Ok(())
    }
}

/// A journal as it was found on disk. Nothing is changed until [`Self::settle`].
pub struct Stored {
    path: PathBuf,
    format: &'static Format,
    reader: BufReader<File>,
    /// Where the last good line ends.
    place: Place,
    /// How many records the file came into being with.
    founding: u64,
    /// What stands behind the last good line.
    tail: Vec<u8>,
}

impl Stored {
    /// Opens a journal and reads its title.
    pub fn open(path: &Path, format: &'static Format) -> Result<Self, JournalError> {
        let file = private::open(path, OpenOptions::new().read(true))?;
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let line = read_line(&mut reader, path)?;
        let damaged = |why: String| JournalError::Damaged { path: path.to_owned(), line: 1, why, stake: format.stake };
        let title = Title::parse(&line, format);
        let Title { version, founding, sum } = title.map_err(damaged)?;
        match (founding, sum) {
            (Some(founding), Some(sum)) if version == format.version => {
                let place = Place { offset: line.len() as u64, lines: 1, sum };
                Ok(Self { path: path.to_owned(), format, reader, place, founding, tail: Vec::new() })
            }
            _ => Err(JournalError::Version { path: path.to_owned(), found: version, known: format.version }),
        }
    }

    /// How many records the file came into being with. They came to disk together: none of them can be missing, or torn.
    pub fn founding(&self) -> u64 {
        self.founding
    }

    /// Puts on disk what was found, as it is: a killed process may have left it in memory only, and what is done because of it must not
    /// outlive it.
    pub fn make_safe(&self) -> Result<(), FileError> {
        self.reader.get_ref().sync_data().map_err(FileError::io("syncing", &self.path))?;
        sync_folder(parent(&self.path))
    }

    /// Whether something stands behind the last good record, known once all were replayed.
    pub fn is_torn(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Gives all records in their order. What `each` refuses is damage.
    pub fn replay<R: DeserializeOwned, E: ToString>(
        &mut self,
        mut each: impl FnMut(R) -> Result<(), E>,
    ) -> Result<(), JournalError> {
        loop {
            let line = read_line(&mut self.reader, &self.path)?;
            if line.is_empty() {
                return self.is_founded();
            }
            match Line::parse(&line, self.format) {
                Ok(Line { link, sum, json }) => {
                    if link != self::link(&self.place.sum) {
                        return Err(self.damaged("a line before it is missing, doubled or out of its order"));
                    }
                    let record = serde_json::from_slice(json).map_err(|error| self.damaged(json_words(&error)))?;
                    each(record).map_err(|why| self.damaged(why.to_string()))?;
                    let offset = self.place.offset + line.len() as u64;
                    self.place = Place { offset, lines: self.place.lines + 1, sum: sum.to_owned() };
                }
                Err(why) => {
                    self.tail = line;
                    return self.may_be_torn(why);
                }
            }
        }
    }

    /// Gives every line behind the title with its number, damaged or not: for what is worth showing as far as it holds, and
    /// bound to its place by other means. Gives the number of a last line without its end, which may be one that is being written.
    pub fn salvage<R: DeserializeOwned>(
        mut self,
        mut each: impl FnMut(u64, Option<R>),
    ) -> Result<Option<u64>, JournalError> {
        for number in 2.. {
            let line = read_line(&mut self.reader, &self.path)?;
            if line.is_empty() {
                break;
            }
            if !line.ends_with(b"\n") && line.len() <= TORN_MAX && !has_more_than_a_record(&line, self.format) {
                return Ok(Some(number));
            }
            let parsed = Line::parse(&line, self.format).ok();
            each(number, parsed.and_then(|line| serde_json::from_slice(line.json).ok()));
        }
        Ok(None)
    }

    /// Whether a crash can have left such a tail: it is the last line, and one record alone.
    fn may_be_torn(&mut self, why: &'static str) -> Result<(), JournalError> {
        let rest = self.reader.fill_buf().map_err(FileError::io("reading", &self.path))?;
        let longest = if self.tail.ends_with(b"\n") { RECORD_MAX } else { TORN_MAX };
        if !rest.is_empty() || self.tail.len() > longest || self.tail == b"\n" {
            return Err(self.damaged(why));
        }
        if has_more_than_a_record(&self.tail, self.format) {
            return Err(self.damaged("its line end is damaged"));
        }
        self.is_founded()
    }

    fn is_founded(&self) -> Result<(), JournalError> {
        let found = self.place.lines - 1;
        match found < self.founding {
            true => Err(self.damaged(format!("line 1 promises {} records, but only {found} follow", self.founding))),
            false => Ok(()),
        }
    }

    /// In the line behind the last good one.
    fn damaged(&self, why: impl Into<String>) -> JournalError {
        let line = self.place.lines + 1;
        JournalError::Damaged { path: self.path.clone(), line, why: why.into(), stake: self.format.stake }
    }

    /// Cuts a torn or damaged last record off, after it was put in a copy, and waits until all the rest is on disk: what a
    /// killed process wrote may still be in memory only. The caller tells what was [`Cut`], with what that can mean.
    pub fn settle(self, mut disk: Box<dyn Disk>) -> Result<(Journal, Option<Cut>), JournalError> {
        let (path, format) = (self.path.clone(), self.format);
        let (end, cut) = self.settled(&mut *disk)?;
        Ok((Journal { path, format, disk, end: Some(end), grown: JOURNAL_GROWTH }, cut))
    }

    fn settled(self, disk: &mut dyn Disk) -> Result<(End, Option<Cut>), JournalError> {
        let Self { path, place, tail, .. } = self;
        let cut = match tail.len() as u64 {
            0 => None,
            bytes => {
                let copy = keep_torn(&path, place.offset, &tail, disk)?;
                Some(Cut { path: path.clone(), offset: place.offset, bytes, copy })
            }
        };
        let mut file = AppendFile::new(&path, disk.open(&path)?, place.offset);
        match cut {
            Some(_) => file.cut()?,
            None => file.sync()?,
        }
        sync_folder(parent(&path))?;
        Ok((End { file, place }, cut))
    }
}

/// A last record that was cut off: torn by a crash, or damaged later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The journal.
    pub path: PathBuf,
    /// Where it began, in bytes.
    pub offset: u64,
    /// How much of it there was, in bytes.
    pub bytes: u64,
    /// Where it is kept.
    pub copy: PathBuf,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, offset, bytes, copy } = self;
        let (path, copy) = (visible_path(path), visible_path(copy));
        write!(f, "{path}: cut off a torn or damaged last record, {bytes} bytes at byte {offset}, kept in {copy}")
    }
}

/// Why a journal can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Something else stands there than what was written.
    #[error("{}, line {line}: {why}", visible_path(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
        /// What is lost with the file.
        stake: &'static str,
    },
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another program wrote it.
    #[error("{} is of version {found} of its format, and this program reads version {known}", visible_path(.path))]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The one that is read.
        known: u32,
    },
}

impl Explain for JournalError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Damaged { stake, .. } => {
                Some(format!("nothing was changed, and this file holds {stake}: put it back from a backup").into())
            }
            Self::File(error) => error.hint(),
            Self::Version { found, known, .. } => Some(version_hint(*found, *known)),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::File(error) => error.exit(),
            Self::Damaged { .. } | Self::Version { .. } => Exit::Local,
        }
    }
}

/// What to do about a file of another version of its format than the known one.
pub fn version_hint(found: u32, known: u32) -> Hint {
    let program = if found < known { "older" } else { "newer" };
    format!("nothing was changed: use the {program} program that wrote it, or begin in another folder").into()
}

/// What the first line says.
struct Title {
    version: u32,
    /// These are in this version only.
    founding: Option<u64>,
    sum: Option<String>,
}

impl Title {
    fn parse(line: &[u8], format: &Format) -> Result<Self, String> {
        let Format { name, .. } = format;
        // So began files before they had a title.
        if line.starts_with(b"{\"") {
            return Ok(Self { version: 1, founding: None, sum: None });
        }
        let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        let fields: Vec<_> = text.unwrap_or_default().split(' ').collect();
        let version = |text: &str| text.strip_prefix('v').and_then(|version| version.parse().ok());
        match fields.as_slice() {
            ["topchat", found, "v1"] if found == name => Ok(Self { version: 1, founding: None, sum: None }),
            ["topchat", found, of, .., given] => {
                let covered = &text.unwrap_or_default()[..line.len() - given.len() - 2];
                match (version(of), fields.get(3).and_then(|count| count.parse().ok())) {
                    _ if sum(format, covered.as_bytes()) != *given => Err("the checksum does not hold".to_owned()),
                    _ if found != name => {
                        Err(format!("this is a file of {}, not of {name}", visible_path(Path::new(found))))
                    }
                    (Some(version), founding) => Ok(Self { version, founding, sum: Some((*given).to_owned()) }),
                    (None, _) => Err(format!("this is no file of {name}")),
                }
            }
            _ => Err(format!("this is no file of {name}")),
        }
    }
}

/// A record's line whose own checksum holds.
struct Line<'a> {
    link: &'a str,
    sum: &'a str,
    json: &'a [u8],
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8], format: &Format) -> Result<Self, &'static str> {
        match line.strip_suffix(b"\n") {
            Some(b"") => Err("a blank line"),
            Some(line) if line.len() >= RECORD_MAX => Err("longer than any record"),
            Some(line) => Self::parse_content(line, format).ok_or("the checksum does not hold"),
            None => Err("its line end is missing"),
        }
    }

    fn parse_content(line: &'a [u8], format: &Format) -> Option<Self> {
        let (head, json) = line.split_at_checked(HEAD)?;
        let (link, given) = std::str::from_utf8(head).ok()?.strip_suffix(' ')?.split_once(' ')?;
        let covered = [link.as_bytes(), b" ", json].concat();
        (link.len() == LINK_DIGITS && sum(format, &covered) == given).then_some(Self { link, sum: given, json })
    }
}

/// Whether a line that is none begins with a whole record: the damage is in the line end behind that, and more follows.
fn has_more_than_a_record(tail: &[u8], format: &Format) -> bool {
    let mut values = serde_json::Deserializer::from_slice(tail.get(HEAD..).unwrap_or_default()).into_iter();
    let Some(Ok(IgnoredAny)) = values.next() else { return false };
    let (record, rest) = tail.split_at(HEAD + values.byte_offset());
    rest.len() > 1 && Line::parse_content(record, format).is_some()
}

fn sum(format: &Format, covered: &[u8]) -> String {
    let mut digits = HEXLOWER.encode(&(format.digest)(covered));
    digits.truncate(SUM_DIGITS);
    digits
}

/// What the next line begins with.
fn link(sum: &str) -> &str {
    &sum[..LINK_DIGITS]
}

/// With its line end, if there is one. Nothing at the end of the file.
fn read_line(reader: &mut BufReader<File>, path: &Path) -> Result<Vec<u8>, FileError> {
    let mut line = Vec::new();
    reader.take(TORN_MAX as u64 + 1).read_until(b'\n', &mut line).map_err(FileError::io("reading", path))?;
    Ok(line)
}

/// Without serde's own line number, which is always 1 here, and made safe: it may quote the file.
fn json_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let words = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    format!("{} (column {})", crate::text::visible(words), HEAD + error.column())
}

/// Puts what is about to be cut off a file in a copy beside it, and tells where.
pub fn keep_torn(path: &Path, offset: u64, tail: &[u8], disk: &mut dyn Disk) -> Result<PathBuf, FileError> {
    let copy = torn_copy(path, offset);
    disk.replace(&copy, tail)?;
    remove_old_copies(path, &copy, disk);
    Ok(copy)
}

fn torn_copy(path: &Path, offset: u64) -> PathBuf {
    let mut name = torn_prefix(path);
    name.push_str(&offset.to_string());
    path.with_file_name(name)
}

fn torn_prefix(path: &Path) -> String {
    format!("{}.torn-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Copies of records that were cut off this journal, the oldest first.
pub fn torn_copies(path: &Path) -> Vec<PathBuf> {
    let prefix = torn_prefix(path);
    let Ok(names) = fs::names(parent(path)) else { return Vec::new() };
    let mut copies: Vec<_> = names
        .into_iter()
        .filter(|name| name.to_string_lossy().starts_with(&prefix))
        .map(|name| path.with_file_name(name))
        .filter_map(|copy| Some((fs::symlink_metadata(&copy).ok()?.modified(), copy)))
        .collect();
    copies.sort();
    copies.into_iter().map(|(_, copy)| copy).collect()
}

/// Keeps the newest ones.
fn remove_old_copies(path: &Path, newest: &Path, disk: &mut dyn Disk) {
    let others = torn_copies(path).into_iter().rev().filter(|copy| copy != newest);
    for copy in others.skip(TORN_COPIES - 1) {
        // One too many takes room, but harms nothing.
        let _ = disk.remove(&copy);
    }
}

/// 64 bits: damage is found, and people can still read the line.
const SUM_DIGITS: usize = 16;
/// Enough to tell that a line belongs behind another one.
const LINK_DIGITS: usize = 8;
/// What stands before a record's JSON.
const HEAD: usize = LINK_DIGITS + 1 + SUM_DIGITS + 1;

#[cfg(test)]
mod tests;
