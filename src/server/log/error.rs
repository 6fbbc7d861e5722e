//! Why the log can't be used.

use std::io;
use std::path::{Path, PathBuf};

use super::files;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::server::accounts::Unavailable;
use crate::storage::FileError;
use crate::storage::journal::{JournalError, version_hint};
use crate::text::{quoted, visible_path};

/// Why the log can't be used. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// For whom messages wait is not known.
    #[error(transparent)]
    Accounts(#[from] Unavailable),
    /// The file of cursors is not what this program wrote.
    #[error(transparent)]
    Cursors(#[from] JournalError),
    /// A segment is not what this program wrote.
    #[error("{}, byte {offset}: the message log is damaged", visible_path(path))]
    Damaged {
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
    },
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A segment is gone.
    #[error("{}: messages {first} to {last} are missing", visible_path(path))]
    Missing {
        /// The file, or its place.
        path: PathBuf,
        /// The first number that is missing.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// The last segment ends too early.
    #[error(
        "{}, byte {offset}: the message log ends with message {found}, but {proven} was on disk",
        visible_path(path)
    )]
    Short {
        path: PathBuf,
        offset: u64,
        /// The last message there.
        found: u64,
        /// The last message that is known to have been there.
        proven: u64,
    },
    /// Another program wrote it.
    #[error("{} is of version 1 of its format, and this program reads version 2", visible_path(path))]
    Version { path: PathBuf },
    /// No thread for writing.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

impl Explain for StoreError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Accounts(_) => None,
            Self::Cursors(error) => error.hint(),
            Self::Damaged { path, .. } => Some(without(path, "all messages in it that wait for somebody are lost")),
            Self::Missing { path, .. } => Some(without(path, "those of them that wait for somebody are lost")),
            Self::Short { path, .. } => Some(without(path, "all messages in it that wait for somebody are lost")),
            Self::Version { .. } => Some(version_hint(1, 2)),
            Self::File(error) => error.hint(),
            Self::Thread(_) => Some(Hint::from("raise the limit of processes: ").typed("ulimit -u")),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Cursors(JournalError::File(error)) => error.exit(),
            Self::Cursors(_)
            | Self::Damaged { .. }
            | Self::Missing { .. }
            | Self::Short { .. }
            | Self::Version { .. } => Exit::Configuration,
            Self::File(error) => error.exit(),
            Self::Accounts(_) | Self::Thread(_) => Exit::Local,
        }
    }
}

/// What to do about a segment, and what it costs to do without.
fn without(path: &Path, lost: &str) -> Hint {
    let marker = files::segment::lost(path);
    Hint::from("nothing was changed: put it back from a backup, or if there is none: ")
        .typed(format!("touch {}", quoted(&marker.to_string_lossy())))
        .then(format!(" (then {lost})"))
}
