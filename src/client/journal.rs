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
#[path = "journal_tests.rs"]
pub(super) mod tests;
