//! Why a server can't start or go on.

use std::path::PathBuf;
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use super::accounts::{AccountsError, Unavailable};
use super::folder;
use super::log::StoreError;
use crate::crypto::keys::KeyError;
use crate::environment::EnvironmentError;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::limits::SOCKET_PATH_MAX;
use crate::storage::journal::version_hint;
use crate::storage::lock::LockError;
use crate::storage::manifest::ManifestError;
use crate::storage::{FileError, FileKind};
use crate::text::{quoted, visible, visible_path};
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
    /// What should be listened on is not `HOST:PORT`.
    #[error("can't listen on \"{}\": it has no {lacks}", visible(.address))]
    Address {
        /// As it was given.
        address: String,
        /// What is missing.
        lacks: Lacks,
        /// How it was probably meant.
        better: String,
    },
    /// The certificate file is not what this program made.
    #[error("{} holds no usable certificate and key: {why}", visible_path(.path))]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What OpenSSL says.
        why: TransportError,
    },
    /// What the machine does not give.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A file of the server's identity is not what this program made.
    #[error("{}, line 1: the checksum does not hold", visible_path(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// A part of the data folder is gone.
    #[error(transparent)]
    Folder(#[from] ManifestError),
    /// Making a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The address can't be listened on.
    #[error("can't listen on {}: {}", visible(.address), listen_reason(.source))]
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
    /// What answers the owner is not this version of the server.
    #[error("the server that runs on {} answers what this program does not understand", visible_path(.folder))]
    Misunderstood {
        /// The data folder.
        folder: PathBuf,
    },
    /// Asked how it is, and it does not run.
    #[error("no server runs on {}", visible_path(.folder))]
    NotRunning {
        /// The data folder.
        folder: PathBuf,
    },
    /// Something else stands where the admin socket should be.
    #[error("{} is {found}, not a socket", visible_path(.path))]
    NotSocket {
        /// The place.
        path: PathBuf,
        /// What stands there.
        found: FileKind,
    },
    /// A file of the server's identity is of an older version.
    #[error("{} is of version 1 of its format, and this program reads version 2", visible_path(.path))]
    OldFile {
        /// The file.
        path: PathBuf,
    },
    /// Standard output.
    #[error("can't write to standard output: {source}")]
    Output {
        /// The operating system's reason.
        source: io::Error,
    },
    /// What the owner asked for was not done.
    #[error("{}", refusal_words(.0))]
    Refused(Refusal),
    /// The path of the admin socket is longer than the operating system takes.
    #[error("the path {} has {length} bytes, and a socket's can have {SOCKET_PATH_MAX}", visible_path(.path))]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// How long it is.
        length: usize,
    },
    /// More clients than the machine can hold.
    #[error("{clients} clients are more than this machine can hold: {} are enough for {most}", scarce_words(.scarce))]
    TooManyClients {
        /// As many were asked for.
        clients: usize,
        /// The most that can be.
        most: u64,
        /// Because of what.
        scarce: Scarce,
    },
    /// The running server did not answer to the end.
    #[error("the server that runs on {} did not answer: {}", visible_path(.folder), silence(.source))]
    Unanswered {
        /// The data folder.
        folder: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Not all is well, as `doctor` has told.
    #[error("{failed} of {of} checks failed")]
    Unwell {
        /// How many.
        failed: usize,
        /// Of how many.
        of: usize,
        /// That of the first.
        exit: Exit,
    },
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Not a request that this version knows.
    Malformed,
    /// There is no such invite.
    NoSuchInvite {
        /// As it was asked for.
        id: String,
    },
    /// There is no such account.
    NoSuchUser {
        /// As it was asked for.
        name: String,
    },
    /// The disk failed.
    Storage,
}

/// What an address lacks that should be `HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// Nothing stands before the colon.
    Host,
    /// Nothing stands behind the colon, or something that is no port, or there is no colon.
    Port,
}

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Port => "port from 0 to 65535",
        })
    }
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scarce {
    /// Descriptors of open files, of this process.
    Descriptors,
    /// Mappings of memory, of any process: a thread's stack takes some.
    Mappings,
}

impl From<Unavailable> for Refusal {
    fn from(_: Unavailable) -> Self {
        Self::Storage
    }
}

impl From<Refusal> for ServerError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Explain for ServerError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Accounts(error) => error.hint(),
            Self::Address { better, .. } => Some(Hint::from("give both: ").topchat_server(&["--listen", better])),
            Self::Environment(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Folder(error) => error.hint(),
            Self::Lock(LockError::File(FileError::Missing { .. })) => {
                Some("name the server's folder with --data-dir DIR".into())
            }
            Self::Lock(error) => error.hint().map(|hint| hint.then("; --data-dir DIR names another folder")),
            Self::Messages(error) => error.hint(),
            Self::Listen { source, .. } => Some(listen_hint(source)),
            Self::Certificate { .. } => Some(
                "nothing was changed, and the file is whole: see what OpenSSL is told to refuse, in openssl.cnf".into(),
            ),
            Self::Damaged { path } => {
                let (path, without) = (visible_path(path), folder::without(path));
                Some(format!("nothing was changed: put {path} back from a backup; without it {without}").into())
            }
            Self::OldFile { .. } => Some(version_hint(1, 2)),
            Self::Misunderstood { .. } => Some("use the topchat-server of the same version".into()),
            Self::NotRunning { .. } => Some("start it with the same --data-dir".into()),
            Self::NotSocket { path, .. } => {
                let path = quoted(&path.to_string_lossy());
                Some(Hint::from("keep it under another name: ").typed(format!("mv -i {path} {path}.old")))
            }
            Self::Refused(refusal) => refusal_hint(refusal),
            Self::SocketPath { .. } => {
                Some("name the folder by a shorter path, for example from within: --data-dir .".into())
            }
            Self::TooManyClients { most, scarce, .. } => Some(match scarce {
                Scarce::Descriptors => format!("raise the limit (ulimit -n), or --max-clients {most}").into(),
                Scarce::Mappings => {
                    format!("raise the limit (sysctl vm.max_map_count), or --max-clients {most}").into()
                }
            }),
            Self::Unanswered { .. } => Some(
                Hint::from("whether it was done is not known; look: ")
                    .topchat_server(&["user", "list"])
                    .then(", or status"),
            ),
            Self::Accept { .. } | Self::Key(_) | Self::Output { .. } | Self::Unwell { .. } => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Accept { .. } | Self::Key(_) => Exit::Unexpected,
            Self::Accounts(error) => error.exit(),
            Self::File(error) => error.exit(),
            Self::Folder(error) => folder::exit(error),
            Self::Lock(error) => error.exit(),
            Self::Unwell { exit, .. } => *exit,
            Self::Messages(error) => error.exit(),
            Self::Refused(Refusal::NoSuchUser { .. } | Refusal::NoSuchInvite { .. }) => Exit::Undelivered,
            Self::Listen { source, .. } if !may_pass(source) => Exit::Configuration,
            Self::Listen { .. }
            | Self::Misunderstood { .. }
            | Self::NotRunning { .. }
            | Self::NotSocket { .. }
            | Self::Output { .. }
            | Self::Refused(_)
            | Self::SocketPath { .. }
            | Self::Unanswered { .. } => Exit::Local,
            Self::Address { .. }
            | Self::Certificate { .. }
            | Self::Environment(_)
            | Self::Damaged { .. }
            | Self::OldFile { .. }
            | Self::TooManyClients { .. } => Exit::Configuration,
        }
    }
}

fn refusal_words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Malformed => "the server does not know that request. Nothing was changed.".to_owned(),
        Refusal::NoSuchInvite { id } => format!("no invite \"{}\" here. Nothing was changed.", visible(id)),
        Refusal::NoSuchUser { name } => format!("no user \"{}\" here. Nothing was changed.", visible(name)),
        Refusal::Storage => "the disk refused the change. Nothing was changed.".to_owned(),
    }
}

fn refusal_hint(refusal: &Refusal) -> Option<Hint> {
    match refusal {
        Refusal::Malformed => Some("use the topchat-server of the same version".into()),
        Refusal::NoSuchInvite { .. } => Some(Hint::from("they are in: ").topchat_server(&["user", "invites"])),
        Refusal::NoSuchUser { .. } => Some(Hint::from("the names are in: ").topchat_server(&["user", "list"])),
        Refusal::Storage => None,
    }
}

fn scarce_words(scarce: &Scarce) -> &'static str {
    match scarce {
        Scarce::Descriptors => "the files that a process may open",
        Scarce::Mappings => "the mappings of memory that a process may have (vm.max_map_count)",
    }
}

fn silence(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::TimedOut => "it took too long".to_owned(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            "it ended before".to_owned()
        }
        _ => source.to_string(),
    }
}

/// Whether another try may help: the port is in use, or the address or the host's name is not there yet. A name that can't be looked up is an
/// error without a number.
fn may_pass(source: &io::Error) -> bool {
    match source.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => true,
        io::ErrorKind::InvalidInput => false,
        _ => source.raw_os_error().is_none(),
    }
}

fn listen_reason(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => "another program uses that port".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 are for root".to_owned(),
        _ => source.to_string(),
    }
}

fn listen_hint(source: &io::Error) -> Hint {
    match source.kind() {
        io::ErrorKind::AddrInUse => "give another one, for example --listen 127.0.0.1:7778".into(),
        _ => "give an address of this machine as --listen HOST:PORT, for example --listen 127.0.0.1:7777".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_looked_up_in_a_list() {
        let error = ServerError::Refused(Refusal::NoSuchUser { name: "zoe".to_owned() });
        assert_eq!(error.hint().unwrap().to_string(), "the names are in: topchat-server user list");
        let error = ServerError::Refused(Refusal::NoSuchInvite { id: "7".to_owned() });
        assert_eq!(error.hint().unwrap().to_string(), "they are in: topchat-server user invites");
        let (address, better) = ("0.0.0.0".to_owned(), "0.0.0.0:7777".to_owned());
        let error = ServerError::Address { address, lacks: Lacks::Port, better };
        assert_eq!(error.hint().unwrap().to_string(), "give both: topchat-server --listen 0.0.0.0:7777");
        let error = ServerError::Unanswered { folder: "data".into(), source: io::ErrorKind::TimedOut.into() };
        let hint = "whether it was done is not known; look: topchat-server user list, or status";
        assert_eq!(error.hint().unwrap().to_string(), hint);
    }

    #[test]
    fn a_whole_certificate_that_is_refused_is_no_reason_to_move_it_away() {
        let error = ServerError::Certificate { path: "tls.pem".into(), why: TransportError::Closed };
        let hint = "nothing was changed, and the file is whole: see what OpenSSL is told to refuse, in openssl.cnf";
        assert_eq!(error.hint().unwrap().to_string(), hint);
    }

    #[test]
    fn an_address_that_may_come_is_tried_again_and_a_wrong_one_is_not() {
        let codes = |source: io::Error| ServerError::Listen { address: String::new(), source }.exit();
        let number = io::Error::from_raw_os_error;
        // EADDRINUSE and EADDRNOTAVAIL; then EACCES, EAFNOSUPPORT and EINVAL.
        assert_eq!([98, 99].map(|errno| codes(number(errno))), [Exit::Local; 2]);
        assert_eq!([13, 97, 22].map(|errno| codes(number(errno))), [Exit::Configuration; 3]);
        let unknown = std::net::ToSocketAddrs::to_socket_addrs("no-such-host.invalid:1").unwrap_err();
        assert_eq!(codes(unknown), Exit::Local);
    }

    #[test]
    fn more_clients_than_mappings_are_refused_with_both_remedies() {
        let error = ServerError::TooManyClients { clients: 40_000, most: 16_000, scarce: Scarce::Mappings };
        let words = "40000 clients are more than this machine can hold: \
                     the mappings of memory that a process may have (vm.max_map_count) are enough for 16000";
        assert_eq!(error.to_string(), words);
        let hint = "raise the limit (sysctl vm.max_map_count), or --max-clients ";
        assert_eq!(error.hint().unwrap().to_string(), format!("{hint}16000"));
    }
}
