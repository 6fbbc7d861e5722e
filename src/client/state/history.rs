//! The history of an account: what it received and wrote, sealed entry by entry, if its owner wants one.
//!
//! An entry is on disk before its message is shown, and there once: what is shown again after a crash is looked for first.
//! Several programs of the account may add to the file; each takes the lock and looks at what is there now. Whatever of a
//! damaged history still opens is shown, and what does not is told by its line; but nothing is added to it any more.

pub(crate) mod key;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::error::Error;
use crate::client::model::event::Opened;
use crate::client::model::state_folder;
use crate::client::ui::output::now_ms;
use crate::crypto::digest::sha256;
use crate::crypto::history::HistoryKey;
use crate::crypto::keys::PrivateKey;
use crate::limits::LOCK_WITHIN;
use crate::machine::fs;
use crate::storage::FileError;
use crate::storage::disk::RealDisk;
use crate::storage::journal::{Format, Journal, JournalError, Stored};
use crate::storage::lock::Lock;
use crate::storage::manifest::Manifest;
use crate::sync::lock;
use crate::wire::{Envelope, MessageId};
use key::Settings;

/// An open history, to be added to by any thread.
pub(crate) struct History {
    path: PathBuf,
    key: HistoryKey,
    end: Mutex<Option<End>>,
}

/// Where the file ended when this program last looked, and what it was.
struct End {
    journal: Journal,
    inode: u64,
}

/// What stands before the text of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "is", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Head {
    /// A message, received or written.
    Message {
        /// Its id, in hex.
        id: String,
        /// Who signed it.
        from: String,
        /// A name, or ALL.
        to: String,
        /// When it came or was written, as Unix time in milliseconds.
        ms: i64,
        /// What was known of the key that signed it; nothing of one's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// How it was sealed.
        suite: String,
    },
    /// A message of one's own was not taken by the server, or never went out.
    Refused {
        /// Its id, in hex.
        id: String,
    },
}

/// One entry.
pub(crate) struct Past {
    /// What is known of it.
    pub head: Head,
    pub text: Zeroizing<String>,
}

/// All entries that open, and the lines of those that don't.
pub(crate) struct Read {
    /// In the order in which they were added.
    pub entries: Vec<Past>,
    /// From 1.
    pub damaged: Vec<u64>,
}

impl History {
    /// The history in this state folder; the first of `own` is the present encryption key.
    pub(crate) fn open(folder: &Path, own: &[&PrivateKey]) -> Result<Self, Error> {
        let key = Settings::of(folder)?.key(own)?;
        Ok(Self { path: file(folder), key, end: Mutex::default() })
    }

    /// These messages are about to be shown. That the history is not written keeps nobody from reading them.
    pub(crate) fn received<'a>(&self, messages: impl Iterator<Item = &'a Opened>) {
        let messages: Vec<_> = messages.collect();
        let known = match messages.iter().any(|message| message.is_repeated) {
            true => self.known(),
            false => HashSet::new(),
        };
        let entries: Vec<_> = messages.into_iter().map(received).collect();
        let new = entries.iter().filter(|(head, _)| !known.contains(&head.message()));
        self.add(&new.map(|(head, text)| (head, *text)).collect::<Vec<_>>());
    }

    /// This message of one's own goes out.
    pub(crate) fn sent(&self, envelope: &Envelope, text: &str) {
        let header = &envelope.header;
        let head = Head::Message {
            id: header.msg_id.to_hex(),
            from: header.sender.to_string(),
            to: header.recipient.as_str().to_owned(),
            ms: now_ms(),
            key: None,
            suite: header.suite.word().to_owned(),
        };
        self.add(&[(&head, text)]);
    }

    /// It was not taken.
    pub(crate) fn refused(&self, id: MessageId) {
        self.add(&[(&Head::Refused { id: id.to_hex() }, "")]);
    }

    /// What is there must be whole, before anybody relies on it.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        if parts(&self.path).is_there(FILE)? {
            self.append(&[])?;
        }
        Ok(self)
    }

    /// Everything in it; nothing if there is no file.
    pub(crate) fn read(&self) -> Result<Read, Error> {
        let mut read = Read { entries: Vec::new(), damaged: Vec::new() };
        if !parts(&self.path).is_there(FILE)? {
            return Ok(read);
        }
        let torn = Stored::open(&self.path, &FORMAT)?.salvage(|line, sealed: Option<String>| {
            let past = sealed.and_then(|sealed| self.opened(line - 1, &sealed));
            match past {
                Some(past) => read.entries.push(past),
                None => read.damaged.push(line),
            }
        })?;
        if let Some(line) = torn {
            log::warn!("{}, line {line}: not whole; it is being written, or a crash tore it", self.path.display());
        }
        Ok(read)
    }

    fn opened(&self, place: u64, sealed: &str) -> Option<Past> {
        let plaintext = self.key.open(place, &BASE64.decode(sealed.as_bytes()).ok()?)?;
        let (head, text) = std::str::from_utf8(&plaintext).ok()?.split_once('\n')?;
        Some(Past { head: serde_json::from_str(head).ok()?, text: Zeroizing::new(text.to_owned()) })
    }

    fn known(&self) -> HashSet<(String, String)> {
        let entries = self.read().map(|read| read.entries).unwrap_or_default();
        entries.into_iter().map(|past| past.head.message()).collect()
    }

    fn add(&self, entries: &[(&Head, &str)]) {
        if entries.is_empty() {
            return;
        }
        if let Err(error) = self.append(entries) {
            log::warn!("this is missing in the history: {error}");
        }
    }

    /// One write for all of them; on disk when this returns.
    fn append(&self, entries: &[(&Head, &str)]) -> Result<(), Error> {
        let mut end = lock(&self.end);
        let _lock = Lock::acquire_within(&self.path.with_extension("sealed.lock"), LOCK_WITHIN)?;
        let known = end.take().filter(|end| end.is_still(&self.path));
        let mut now = known.map_or_else(|| End::find(&self.path), Ok)?;
        let places = now.journal.count() + 1..;
        let sealed = places.zip(entries).map(|(place, (head, text))| self.sealed(place, head, text));
        now.journal.append(&sealed.collect::<Result<Vec<_>, _>>()?)?;
        *end = Some(now);
        Ok(())
    }

    fn sealed(&self, place: u64, head: &Head, text: &str) -> Result<String, Error> {
        let json = serde_json::to_string(head).expect("a head has text keys only");
        let plaintext = Zeroizing::new([json.as_bytes(), b"\n", text.as_bytes()].concat());
        let sealed = self.key.seal(place, &plaintext).map_err(Error::key(&self.path))?;
        Ok(BASE64.encode(&sealed))
    }
}

impl Head {
    /// Which message, and whose: ids are chosen by senders.
    fn message(&self) -> (String, String) {
        match self {
            Self::Message { id, from, .. } => (id.clone(), from.clone()),
            Self::Refused { id } => (id.clone(), String::new()),
        }
    }
}

impl End {
    /// Whether nobody has added to the file or removed it since.
    fn is_still(&self, path: &Path) -> bool {
        let found = fs::symlink_metadata(path);
        found.is_ok_and(|found| found.ino() == self.inode && found.len() == self.journal.length())
    }

    /// Looks at the file, which is made if it never was. What a crash left of an entry is cut off.
    fn find(path: &Path) -> Result<Self, Error> {
        parts(path).ready(FILE, |path| {
            Journal::create::<()>(path, &FORMAT, Box::new(RealDisk), &[]).map(drop).map_err(JournalError::from)?;
            Ok::<_, Error>(())
        })?;
        let mut stored = Stored::open(path, &FORMAT)?;
        stored.replay(|_: String| Ok::<_, String>(()))?;
        let (journal, cut) = stored.settle(Box::new(RealDisk))?;
        if let Some(cut) = cut {
            log::warn!("{cut}. If it was on disk before, this message is missing in the history");
        }
        let inode = fs::symlink_metadata(path).map_err(FileError::io("looking at", path))?.ino();
        Ok(Self { journal, inode })
    }
}

/// The file of the history in an account's state folder.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// What the folder of this history must hold.
pub(crate) fn parts(path: &Path) -> Manifest {
    state_folder::parts(path.parent().unwrap_or(path))
}

/// Its name.
pub(crate) const FILE: &str = "history.sealed";

fn received(opened: &Opened) -> (Head, &str) {
    let header = &opened.envelope.header;
    let head = Head::Message {
        id: header.msg_id.to_hex(),
        from: header.sender.to_string(),
        to: header.recipient.as_str().to_owned(),
        ms: opened.received_ms,
        key: Some(opened.signed_by.mark.word().to_owned()),
        suite: header.suite.word().to_owned(),
    };
    (head, &opened.text)
}

const FORMAT: Format = Format {
    name: "history",
    version: 3,
    stake: "the history of the account, whose entries that still open topchat history shows",
    digest: sha256,
};

#[cfg(test)]
mod tests;
