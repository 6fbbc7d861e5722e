//! How far each account has acknowledged, on disk: a line for each change, the last one of an account counts.
//!
//! ```text
//! {"v":1,"name":"bob","identity":"…64 hex digits…","number":17,"group":5,"passed":0}
//! ```
//!
//! Written now and then, not for every acknowledgement: what a crash takes back is delivered again, and the recipient
//! knows it by its id.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::mailboxes::Cursor;
use crate::limits::CURSORS_OUTDATED;
use crate::names::UserName;
use crate::storage::FileError;
use crate::storage::append::{AppendFile, Medium, ReadError, Records};
use crate::storage::disk::Disk;
use crate::wire::Fingerprint;

/// An account's name, whose it is, and its cursor.
pub(super) type Line = (UserName, Fingerprint, Cursor);

/// The last line of each name.
pub(super) type Latest = HashMap<UserName, (Fingerprint, Cursor)>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    v: u8,
    name: String,
    identity: String,
    number: u64,
    group: u64,
    passed: i64,
}

/// The file, open for more lines. It comes into being with the first ones.
pub(super) struct Cursors {
    path: PathBuf,
    disk: Box<dyn Disk>,
    exists: bool,
    file: Option<AppendFile<Box<dyn Medium + Send>>>,
    lines: u64,
    /// The file as it was read; nothing of it was changed yet.
    unsettled: Option<Records>,
}

impl Cursors {
    /// Reads the last line of every account. Nothing is changed before [`Self::settle`].
    pub(super) fn open(path: PathBuf, disk: Box<dyn Disk>) -> Result<(Self, Latest), StoreError> {
        let mut found = Latest::new();
        let mut records = match Records::open(&path) {
            Ok(records) => records,
            Err(FileError::Missing { .. }) => {
                return Ok((Self { path, disk, exists: false, file: None, lines: 0, unsettled: None }, found));
            }
            Err(error) => return Err(error.into()),
        };
        loop {
            let line = records.count() + 1;
            let damaged = || StoreError::Cursors { path: path.clone(), line };
            match records.read_next() {
                Ok(Some(bytes)) => {
                    let (name, identity, cursor) = parse(bytes).ok_or_else(damaged)?;
                    found.insert(name, (identity, cursor));
                }
                Ok(None) => break,
                Err(ReadError::TooLong { .. }) => return Err(damaged()),
                Err(ReadError::File(error)) => return Err(error.into()),
            }
        }
        let lines = records.count();
        Ok((Self { path, disk, exists: true, file: None, lines, unsettled: Some(records) }, found))
    }

    /// Cuts a torn last line off and puts the rest on disk, once all else was found good: a start that is refused
    /// changes nothing. The file is opened anew for the first line that is added.
    pub(super) fn settle(&mut self) -> Result<(), FileError> {
        let Some(records) = self.unsettled.take() else { return Ok(()) };
        if let Some(torn) = records.torn() {
            log::warn!("cursors: cut off a torn last line, {} bytes at byte {}", torn.bytes, torn.offset);
        }
        records.finish().map(drop)
    }

    /// Adds lines; when this returns `Ok`, all of them are on disk, else none counts.
    pub(super) fn append(&mut self, changed: &[Line]) -> Result<(), FileError> {
        let lines = text(changed);
        if !self.exists {
            self.disk.create(&self.path, &lines)?;
            self.exists = true;
        } else {
            self.open_file()?.append(&lines)?;
        }
        self.lines += changed.len() as u64;
        Ok(())
    }

    /// Whether most lines are outdated, if there are so many accounts.
    pub(super) fn is_long(&self, accounts: usize) -> bool {
        self.lines > CURSORS_OUTDATED + 2 * accounts as u64
    }

    /// Rewrites the file with one line for each account.
    pub(super) fn rewrite(&mut self, all: &[Line]) -> Result<(), FileError> {
        if let Some(file) = &mut self.file {
            file.mend()?;
        }
        // The name may stand for the new file even after a failure, so it is opened anew in any case.
        self.file = None;
        self.disk.replace(&self.path, &text(all))?;
        self.lines = all.len() as u64;
        Ok(())
    }

    fn open_file(&mut self) -> Result<&mut AppendFile<Box<dyn Medium + Send>>, FileError> {
        match &mut self.file {
            Some(file) => Ok(file),
            closed => {
                let medium = self.disk.open(&self.path)?;
                let length = length(&self.path)?;
                Ok(closed.insert(AppendFile::new(&self.path, medium, length)))
            }
        }
    }
}

fn length(path: &Path) -> Result<u64, FileError> {
    std::fs::metadata(path).map(|found| found.len()).map_err(FileError::io("looking at", path))
}

fn text(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, identity, cursor) in lines {
        let fields = Fields {
            v: 1,
            name: name.as_str().to_owned(),
            identity: identity.to_hex(),
            number: cursor.number,
            group: cursor.group,
            passed: cursor.passed,
        };
        serde_json::to_writer(&mut text, &fields).expect("plain fields, and a Vec takes every byte");
        text.push(b'\n');
    }
    text
}

fn parse(line: &[u8]) -> Option<Line> {
    let Fields { v: 1, name, identity, number, group, passed } = serde_json::from_slice(line).ok()? else {
        return None;
    };
    Some((name.parse().ok()?, Fingerprint::from_hex(&identity)?, Cursor { number, group, passed }))
}
