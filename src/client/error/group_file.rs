//! Why the group key file can't be used or changed.

use std::path::PathBuf;

use crate::crypto::group_key::GroupKeyError;
use crate::error::{Exit, Explain};
use crate::text::{quoted, visible};

/// Why the group key file can't be used or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupFileError {
    /// The group key file.
    #[error("the group key file {}: {why}", visible(&.path.to_string_lossy()))]
    Bad {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: GroupKeyError,
    },
    /// No group key file.
    #[error("the group key file {}: no such file", visible(&.path.to_string_lossy()))]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A group key without which nothing could be written to ALL as before.
    #[error(
        "group key {id} is the {} in {}. Nothing was changed.",
        if *.is_only { "only one" } else { "one that writes" }, visible(&.path.to_string_lossy())
    )]
    Needed {
        /// The first digits of its id.
        id: String,
        /// Where.
        path: PathBuf,
        /// Whether there is no other.
        is_only: bool,
    },
    /// Digits that are not the beginning of one group key's id.
    #[error("\"{}\" is not the beginning of one key's id in {}", visible(.text), visible(&.path.to_string_lossy()))]
    NoSuchKey {
        /// As typed.
        text: String,
        /// Where.
        path: PathBuf,
    },
}

impl Explain for GroupFileError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Bad { why: GroupKeyError::Full, .. } => {
                "take an old one out first: topchat group forget ID".to_owned()
            }
            Self::Bad { path, .. } => {
                let path = quoted(&path.to_string_lossy());
                format!(
                    "ask a member for the right file. If nobody has it, make another key, which everybody needs and under which what \
                     was sealed before can't be read: mv -i {path} {path}.old && {}",
                    making(&path)
                )
            }
            Self::Missing { path } => {
                format!(
                    "get the file from a member, who has the group's key, and put it there. Only a new group needs a new key: {}",
                    making(&quoted(&path.to_string_lossy()))
                )
            }
            Self::Needed { is_only: true, .. } => {
                "--force removes the whole file; make a new key first: topchat group rekey".to_owned()
            }
            Self::Needed { is_only: false, .. } => {
                "--force lets the next one write; make a new key first: topchat group rekey".to_owned()
            }
            Self::NoSuchKey { .. } => "give at least 4 digits; see topchat group list".to_owned(),
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Needed { .. } | Self::NoSuchKey { .. } => Exit::Usage,
            Self::Bad { .. } | Self::Missing { .. } => Exit::Local,
        }
    }
}

/// The program is wherever these words are read; the script that makes such files is not.
fn making(path: &str) -> String {
    format!("topchat group rekey --group-key {path}")
}
