//! The group key file as a long session has it: read again when it has changed.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use zeroize::Zeroizing;

use crate::client::config::{Config, default_group_key};
use crate::client::error::Error;
use crate::client::model::event::Notice;
use crate::crypto::group_key::{GroupKeyError, GroupKeys};
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::limits::SMALL_FILE_MAX;
use crate::storage::FileError;
use crate::storage::private;
use crate::sync::lock;
use crate::text::{quoted, visible_path};

/// The keys that were read last, and whether the file still is the one that they were read from.
#[derive(Default)]
pub struct GroupFile {
    path: Option<PathBuf>,
    /// What comes under DES is held while the key that writes is one of AES.
    pub(crate) holds_classic: bool,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    keys: Option<Arc<GroupKeys>>,
    /// Of the file when it was last looked at.
    stamp: Option<Stamp>,
    /// It could not be used then.
    is_bad: bool,
}

/// What changes whenever a file is replaced or written to; or why there is none.
type Stamp = Result<(u64, u64, u64, [i64; 4]), ErrorKind>;

impl GroupFile {
    /// The file that the settings name, read; the usual one may be missing.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let path = config.group_key.clone().unwrap_or_else(|| default_group_key(&config.keys_dir));
        let file = Self { holds_classic: config.no_classic_group, ..Self::at(&path)? };
        match file.keys() {
            None if config.group_key.is_some() => Err(missing(&path)),
            _ => Ok(file),
        }
    }

    /// The file at this path, read; it may be missing.
    pub(crate) fn at(path: &Path) -> Result<Self, Error> {
        // Before it is read: whatever is written meanwhile is found the next time.
        let stamp = Some(stamp(path));
        let keys = match read(path) {
            Err(Error::File(FileError::Missing { .. })) => None,
            read => Some(Arc::new(read?)),
        };
        Ok(Self {
            path: Some(path.to_owned()),
            holds_classic: false,
            last: Mutex::new(Last { keys, stamp, is_bad: false }),
        })
    }

    /// Keys without a file.
    pub fn fixed(keys: Option<GroupKeys>) -> Self {
        Self {
            path: None,
            holds_classic: false,
            last: Mutex::new(Last { keys: keys.map(Arc::new), ..Last::default() }),
        }
    }

    /// The keys that were read last.
    pub fn keys(&self) -> Option<Arc<GroupKeys>> {
        self.last().keys.clone()
    }

    /// The same, if the key with this id is among them.
    pub fn with(&self, id: &[u8; 16]) -> Option<Arc<GroupKeys>> {
        self.keys().filter(|keys| keys.find(id).is_some())
    }

    /// Reads the file again if it has changed. One that can't be used changes nothing: the keys read before stay. Gives what
    /// is to be told, to one of those who look at the same time.
    pub fn look_again(&self) -> Option<Notice> {
        let path = self.path.as_ref()?;
        let stamp = Some(stamp(path));
        if self.last().stamp == stamp {
            return None;
        }
        let read = read(path);
        let mut last = self.last();
        if last.stamp == stamp {
            return None;
        }
        last.stamp = stamp;
        match read {
            Ok(keys) => last.take(keys),
            Err(error) => {
                last.is_bad = true;
                Some(Notice::GroupKeyBad { why: error.to_string(), writes: last.writer() })
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        lock(&self.last)
    }
}

impl Last {
    /// What is to be told, unless it is the same file written once more.
    fn take(&mut self, keys: GroupKeys) -> Option<Notice> {
        let ids = |keys: &GroupKeys| keys.entries().map(|key| key.id).collect::<Vec<_>>();
        let is_news = self.is_bad || self.keys.as_deref().map(ids) != Some(ids(&keys));
        self.is_bad = false;
        self.keys = Some(Arc::new(keys));
        is_news.then(|| self.writer().map(|writes| Notice::GroupKeyRead { writes })).flatten()
    }

    fn writer(&self) -> Option<String> {
        self.keys.as_ref().map(|keys| keys.writer().short_id())
    }
}

fn stamp(path: &Path) -> Stamp {
    let of = |file: fs::Metadata| {
        (file.dev(), file.ino(), file.size(), [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
    };
    fs::symlink_metadata(path).map(of).map_err(|error| error.kind())
}

/// The group key file: one that was named must be there, the usual one may be missing.
pub(crate) fn read_if_there(config: &Config) -> Result<Option<GroupKeys>, Error> {
    let path = config.group_key.clone().unwrap_or_else(|| default_group_key(&config.keys_dir));
    match read(&path) {
        Err(Error::File(FileError::Missing { .. })) if config.group_key.is_none() => Ok(None),
        Err(Error::File(FileError::Missing { .. })) => Err(missing(&path)),
        read => read.map(Some),
    }
}

/// The keys in this group key file.
pub(crate) fn read(path: &Path) -> Result<GroupKeys, Error> {
    read_text(path).map(|(keys, _)| keys)
}

/// The same with the file's text.
pub(crate) fn read_text(path: &Path) -> Result<(GroupKeys, Zeroizing<String>), Error> {
    let bytes = Zeroizing::new(private::read(path, SMALL_FILE_MAX)?);
    // Bytes that are no text are found as what they are: wrong characters in a line.
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    let keys = GroupKeys::parse(&text).map_err(bad(path))?;
    Ok((keys, text))
}

/// The group key file where nothing works without it.
pub(crate) fn need(config: &Config) -> Result<GroupKeys, Error> {
    read_if_there(config)?.ok_or_else(|| usual_missing(config))
}

/// There is none where it usually is.
pub(crate) fn usual_missing(config: &Config) -> Error {
    missing(&default_group_key(&config.keys_dir))
}

/// No group key file at this path.
pub(crate) fn missing(path: &Path) -> Error {
    let words = format!("the group key file {}: no such file", visible_path(path));
    let hint = Hint::from(
        "get the file from a member, who has the group's key, and put it there. Only a new group needs a new key: ",
    )
    .and(making(path));
    Failure::new(Exit::Local, words).hint(hint).into()
}

/// For `map_err`: what is wrong with the one at this path.
pub(crate) fn bad(path: &Path) -> impl Fn(GroupKeyError) -> Error + Copy {
    move |why| {
        let hint = match why {
            GroupKeyError::Full => Hint::from("take an old one out first: ").topchat(&["group", "forget", "ID"]),
            _ => {
                let shown = quoted(&path.to_string_lossy());
                Hint::from(
                    "ask a member for the right file. If nobody has it, make another key, which everybody needs and under which what \
                     was sealed before can't be read: ",
                )
                .typed(format!("mv -i {shown} {shown}.old && "))
                .and(making(path))
            }
        };
        let words = format!("the group key file {}: {why}", visible_path(path));
        Failure::new(Exit::Local, words).hint(hint).into()
    }
}

/// The program is wherever these words are read; the script that makes such files is not.
fn making(path: &Path) -> Hint {
    Hint::default().topchat(&["group", "rekey", "--group-key", &path.to_string_lossy()])
}
