//! Why the group key file can't be used or changed.

use std::path::{Path, PathBuf};

use crate::crypto::group_key::GroupKeyError;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
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
}

impl Explain for GroupFileError {
    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Bad { why: GroupKeyError::Full, .. } => {
                Hint::from("take an old one out first: ").topchat(&["group", "forget", "ID"])
            }
            Self::Bad { path, .. } => {
                let shown = quoted(&path.to_string_lossy());
                Hint::from(
                    "ask a member for the right file. If nobody has it, make another key, which everybody needs and under which what \
                     was sealed before can't be read: ",
                )
                .typed(format!("mv -i {shown} {shown}.old && "))
                .and(making(path))
            }
            Self::Missing { path } => {
                Hint::from("get the file from a member, who has the group's key, and put it there. Only a new group needs a new key: ")
                    .and(making(path))
            }
        })
    }

    fn exit(&self) -> Exit {
        Exit::Local
    }
}

/// The program is wherever these words are read; the script that makes such files is not.
fn making(path: &Path) -> Hint {
    Hint::default().topchat(&["group", "rekey", "--group-key", &path.to_string_lossy()])
}
