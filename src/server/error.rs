//! Why a server can't start or go on.

use std::io;
use std::path::PathBuf;

use super::accounts::{AccountsError, ChangeError};
use super::store::StoreError;
use crate::crypto::keys::KeyError;
use crate::error::{Exit, Explain};
use crate::names::UserName;
use crate::storage::FileError;
use crate::storage::lock::LockError;
use crate::transport::TransportError;

/// Why a server can't start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Waiting for connections failed.
    #[error("can't wait for connections: {source}")]
    Accept {
        /// The operating system's reason.
        source: io::Error,
    },
    /// The account database.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// An account could not be changed.
    #[error("{}", change_reason(.name, *.why))]
    Change {
        /// Whose.
        name: UserName,
        /// Why not.
        why: ChangeError,
    },
    /// The certificate file is not what this program made.
    #[error("{} holds no usable certificate and key: {why}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What OpenSSL says.
        why: TransportError,
    },
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// Making a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {}", listen_reason(.source))]
    Listen {
        /// As it was given.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Another server uses the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The message log.
    #[error(transparent)]
    Messages(#[from] StoreError),
    /// Standard output.
    #[error("can't write to standard output: {source}")]
    Output {
        /// The operating system's reason.
        source: io::Error,
    },
    /// The secret file is not what this program made.
    #[error("{} does not hold 32 bytes", .path.display())]
    Secret {
        /// The file.
        path: PathBuf,
    },
}

impl Explain for ServerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Accounts(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Lock(error) => error.hint().map(|hint| format!("{hint}; --data-dir DIR names another folder")),
            Self::Messages(error) => error.hint(),
            Self::Listen { source, .. } => Some(listen_hint(source)),
            Self::Certificate { path, .. } => Some(format!(
                "restore {} from a backup, or move it away: a new one is made, and every client will warn that the server changed",
                path.display()
            )),
            Self::Secret { path } => Some(format!("move {} away: a new one is made at the next start", path.display())),
            Self::Change { why: ChangeError::NoSuchUser, .. } => {
                Some("the names are in: topchat-server user list".to_owned())
            }
            Self::Accept { .. } | Self::Change { .. } | Self::Key(_) | Self::Output { .. } => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Accept { .. } | Self::Key(_) => Exit::Unexpected,
            Self::Accounts(error) => error.exit(),
            Self::File(error) => error.exit(),
            Self::Lock(error) => error.exit(),
            Self::Messages(error) => error.exit(),
            Self::Change { why: ChangeError::NoSuchUser, .. } => Exit::Usage,
            Self::Change { .. } | Self::Listen { .. } | Self::Output { .. } => Exit::Local,
            Self::Certificate { .. } | Self::Secret { .. } => Exit::Configuration,
        }
    }
}

fn change_reason(name: &UserName, why: ChangeError) -> String {
    match why {
        ChangeError::NoSuchUser => format!("no user \"{name}\" here. Nothing was changed."),
        ChangeError::Storage => "the disk refused the change. Nothing was changed.".to_owned(),
        ChangeError::Full
        | ChangeError::InviteRefused
        | ChangeError::NameTaken
        | ChangeError::NoSuchInvite
        | ChangeError::Stale => {
            format!("the account \"{name}\" can't be changed so")
        }
    }
}

fn listen_reason(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => "another program uses that port".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 are for root".to_owned(),
        _ => source.to_string(),
    }
}

fn listen_hint(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => "give another one, for example --listen 127.0.0.1:7778".to_owned(),
        _ => "give an address of this machine as --listen HOST:PORT, for example --listen 127.0.0.1:7777".to_owned(),
    }
}
