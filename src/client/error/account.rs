//! Why an account's own keys can't be used, changed or moved.

use std::path::{Path, PathBuf};

use crate::client::error::Error;
use crate::crypto::keys::KeyError;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::names::UserName;
use crate::text::visible;

/// Why an account's own keys can't be used, changed or moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// An exported account that is not believed.
    #[error("{} can't be imported: {why}. Nothing was changed.", visible(&.path.to_string_lossy()))]
    Backup {
        /// Where it came from.
        path: PathBuf,
        /// What is wrong with it.
        why: BackupError,
    },
    /// A key file.
    #[error("the key file {}: {why}", visible(&.path.to_string_lossy()))]
    Key {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: KeyError,
    },
    /// Another process has changed the account's keys meanwhile.
    #[error("the keys in {} were changed by another program meanwhile. Nothing was changed by this one.", visible(&.folder.to_string_lossy()))]
    KeysBusy {
        /// Where.
        folder: PathBuf,
    },
    /// What an account on this machine must have is not there any more.
    #[error("{} is gone, of the keys of {name}", visible(&.path.to_string_lossy()))]
    KeyGone {
        /// Whose.
        name: UserName,
        /// The file, or the folder of all.
        path: PathBuf,
    },
    /// The files of an account that is not on this machine.
    #[error("no keys of {name} on this machine (looked in {})", visible(&.folder.to_string_lossy()))]
    KeysMissing {
        /// Whose.
        name: UserName,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A change of the keys or of the password was interrupted, so it is not known which files count.
    #[error("a change of the keys in {} was interrupted", visible(&.folder.to_string_lossy()))]
    KeysUnsettled {
        /// Where.
        folder: PathBuf,
    },
    /// An account of that name with another identity is here.
    #[error("{name} has other keys on this machine, in {}. Nothing was changed.", visible(&.folder.to_string_lossy()))]
    OtherKeys {
        /// Whose.
        name: UserName,
        /// Where.
        folder: PathBuf,
    },
    /// The password opens no key file.
    #[error("wrong name or password: it does not open {}", visible(&.path.to_string_lossy()))]
    WrongPassphrase {
        /// Which one.
        path: PathBuf,
    },
}

/// Why a document is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// It is not as its identity key signed it.
    #[error("it was changed since it was made")]
    Changed,
    /// A key file that has no business in it, or one that is missing.
    #[error("its key files are not those of an account: {}", visible(.name))]
    Files {
        /// Which one.
        name: String,
    },
    /// A key in it can't be used.
    #[error("{name}: {why}")]
    Key {
        /// Which one.
        name: String,
        /// What is wrong with it.
        why: KeyError,
    },
    /// Not such a document at all.
    #[error("it is no document that topchat keys export makes")]
    Layout,
    /// The password does not open it.
    #[error("the password does not open it")]
    Passphrase,
    /// One key for both purposes.
    #[error("the key that signs in it is also the one that opens messages")]
    SameKey,
    /// A newer format.
    #[error("its format is {found}, this program knows {known}")]
    Version {
        /// Which one.
        found: u32,
        /// The one that is written here.
        known: u32,
    },
}

impl BackupError {
    /// For `map_err`: which document.
    pub fn of(from: PathBuf) -> impl Fn(Self) -> Error {
        move |why| Error::Account(AccountError::Backup { path: from.clone(), why })
    }
}

impl Explain for AccountError {
    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Backup { why: BackupError::Passphrase, .. } => {
                "it is locked with the password that the account had when it was exported".into()
            }
            Self::Backup { .. } => Hint::from("take another copy, or export it again: ").topchat(&["keys", "export"]),
            Self::Key { why, path } => key_remedy(why, path),
            Self::KeyGone { name, .. } => format!(
                "nothing was changed: put it back from a backup, or name the folder of its keys with --keys-dir; without it \
                 nobody can log in as {name}, and the name stays taken on its server"
            )
            .into(),
            Self::KeysBusy { .. } => "try again".into(),
            Self::KeysMissing { name, .. } => Hint::from("make the account with: ")
                .topchat(&["register", name.as_str()])
                .then("    or name the folder of its keys with --keys-dir"),
            Self::KeysUnsettled { .. } => {
                Hint::from("any command that logs in puts that in order, for example: ").topchat(&["users"])
            }
            Self::OtherKeys { folder, .. } => format!(
                "import it under another --keys-dir; the keys in {} stay as they are",
                visible(&folder.to_string_lossy())
            )
            .into(),
            Self::WrongPassphrase { .. } => "the password of the account also locks its key files".into(),
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Backup { why: BackupError::Passphrase, .. } | Self::WrongPassphrase { .. } => Exit::Refused,
            Self::Backup { why: BackupError::Changed, .. } => Exit::Identity,
            Self::Backup { .. }
            | Self::Key { .. }
            | Self::KeyGone { .. }
            | Self::KeysBusy { .. }
            | Self::KeysMissing { .. }
            | Self::KeysUnsettled { .. }
            | Self::OtherKeys { .. } => Exit::Local,
        }
    }
}

fn key_remedy(why: &KeyError, path: &Path) -> Hint {
    let path = visible(&path.to_string_lossy()).into_owned();
    match why {
        KeyError::TooSmall { .. }
        | KeyError::TooLarge { .. }
        | KeyError::WrongKind { .. }
        | KeyError::SmallOrder
        | KeyError::Exponent => {
            format!("make new keys in another folder (--keys-dir); {path} was left as it is").into()
        }
        _ => format!("it should be as scripts/gen-user-keys.sh or topchat register make it; {path} was left as it is")
            .into(),
    }
}
