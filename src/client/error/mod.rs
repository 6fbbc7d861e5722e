//! Everything that can end a command of the client, in words for the person who typed it.

pub(crate) mod cause;
pub(crate) mod remedy;
pub(crate) mod server;
pub(crate) mod trust;

use std::io;
use std::path::{Path, PathBuf};

use super::model::refusal::Refusal;
use crate::crypto::envelope::SealError;
use crate::crypto::keys::KeyError;
use crate::crypto::scram::PasswordError;
use crate::environment::EnvironmentError;
use crate::error::{Exit, Explain, Failure};
use crate::hint::Hint;
use crate::limits::TEXT_MAX;
use crate::names::{NameError, UserName};
use crate::storage::FileError;
use crate::storage::journal::JournalError;
use crate::storage::lock::LockError;
use crate::storage::manifest::ManifestError;
use crate::text::{visible, visible_path};
use crate::transport::TransportError;
use crate::wire::{self, MessageId};
use cause::ProtocolError;
use server::ServerError;
use trust::TrustError;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipient is not connected and nothing is stored.
    #[error("not delivered: {name} is away")]
    Away {
        /// The recipient.
        name: UserName,
    },
    /// So many messages were left for later that no more are taken.
    #[error("{count} messages were left for later already")]
    BacklogFull {
        /// How many.
        count: usize,
    },
    /// The person said no.
    #[error("nothing was done")]
    Declined,
    /// What the machine does not give.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Anything that no code decides on.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// A part of the state folder is gone.
    #[error(transparent)]
    Folder(#[from] ManifestError),
    /// What came can't be put on disk, so it is not taken.
    #[error("what comes can't be kept: {0}")]
    Inbox(FileError),
    /// Reading stdin failed.
    #[error("reading {what}: {source}")]
    Input {
        /// What was read.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Ctrl-C, or a request to end before the work was done.
    #[error("interrupted")]
    Interrupted,
    /// The files of an account that is not on this machine.
    #[error("no keys of {name} on this machine (looked in {})", visible_path(.folder))]
    KeysMissing {
        /// Whose.
        name: UserName,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// Another process holds a lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A text that can't be a name.
    #[error("\"{}\" can't be a name: {why}{}", visible(.text), lower(.text))]
    Name {
        /// As typed.
        text: String,
        /// What is wrong with it.
        why: NameError,
    },
    /// The home folder is not known.
    #[error("no home folder, so no place for {what}")]
    NoHome {
        /// What should be there.
        what: &'static str,
    },
    /// Nobody has that name.
    #[error("no user \"{name}\" here.{}", did_you_mean(.nearest.as_ref()))]
    NoSuchUser {
        /// As typed.
        name: UserName,
        /// An account whose name is nearly the same.
        nearest: Option<UserName>,
    },
    /// Something has to be asked, and there is nobody to ask.
    #[error("{what} is needed and there is no terminal to ask for it")]
    NoTerminal {
        /// What is needed.
        what: &'static str,
        /// The flag, or the command, that gives it.
        flag: Hint,
    },
    /// A message was not sent because of this.
    #[error("{}", not_sent(.0))]
    NotSent(Box<Error>),
    /// Writing to stdout failed.
    #[error("writing the output: {source}")]
    Output {
        /// Why it failed.
        source: io::Error,
    },
    /// Whoever read stdout has gone. Nobody is left to be told.
    #[error("nobody reads the output any more")]
    OutputClosed,
    /// Whoever should read stdout does not, so far.
    #[error("nobody reads the output")]
    OutputUnread,
    /// A text that can't be a password.
    #[error("{why}")]
    Password {
        /// What is wrong with it.
        why: PasswordError,
    },
    /// A password command that failed.
    #[error("the password command failed{}", .status.map_or(String::new(), |status| format!(" with exit code {status}")))]
    PasswordCommand {
        /// Its exit code.
        status: Option<i32>,
    },
    /// A file or command whose output holds no password.
    #[error("{from} holds no password")]
    PasswordEmpty {
        /// Which one.
        from: String,
    },
    /// An open pipe or device by its name, where a file was asked for.
    #[error("{} is no file that holds a password", visible_path(.path))]
    PasswordNotFile {
        /// As it was given.
        path: PathBuf,
        /// Whether it should hold the new password of `passwd`.
        as_new: bool,
    },
    /// The two passwords typed are different.
    #[error("the two passwords are not the same")]
    PasswordsDiffer,
    /// The server refused or said goodbye.
    #[error("{0}")]
    Refused(Refusal),
    /// A text that could not be sealed.
    #[error("the message could not be sealed: {why}")]
    Seal {
        /// Why.
        why: SealError,
    },
    /// Too much waits for the connection to come back.
    #[error("{count} messages wait for the connection already. Nothing was sent.")]
    OutboxFull {
        /// How many.
        count: usize,
    },
    /// The server, or the way to it.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A journal.
    #[error(transparent)]
    Journal(JournalError),
    /// A file of this program holds something else.
    #[error("{}: {why}", visible_path(.path))]
    State {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something of the operating system that should not fail.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Nothing to send.
    #[error("the text is empty")]
    TextEmpty,
    /// No text, and stdin is a terminal.
    #[error("no text to send")]
    TextMissing,
    /// Not UTF-8.
    #[error("the text is not UTF-8. Nothing was sent.")]
    TextNotUtf8,
    /// More than [`TEXT_MAX`] bytes.
    #[error("the text is longer than {TEXT_MAX} bytes. Nothing was sent.")]
    TextTooLong,
    /// A contact's key.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The server took the message, but nobody confirmed it.
    #[error("{} not confirmed: the server could not keep the message, and {to}'s client has not confirmed it", .id.short())]
    Unconfirmed {
        /// Which message.
        id: MessageId,
        /// For whom.
        to: UserName,
    },
    /// The password opens no key file.
    #[error("wrong name or password: it does not open {}", visible_path(.path))]
    WrongPassphrase {
        /// Which one.
        path: PathBuf,
    },
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self::Server(error.into())
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Server(error.into())
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::Server(error.into())
    }
}

impl Error {
    /// For `map_err`: a refusal of the operating system, with what was tried.
    pub fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }

    /// For `map_err`: what is wrong with the key file at this path.
    pub(crate) fn key(path: impl AsRef<Path> + Copy) -> impl Fn(KeyError) -> Self + Copy {
        move |why| {
            let shown = visible_path(path);
            let hint = match why {
                KeyError::TooSmall { .. }
                | KeyError::TooLarge { .. }
                | KeyError::WrongKind { .. }
                | KeyError::SmallOrder
                | KeyError::Exponent => {
                    format!("make new keys in another folder (--keys-dir); {shown} was left as it is")
                }
                _ => format!(
                    "it should be as scripts/gen-user-keys.sh or topchat register make it; {shown} was left as it is"
                ),
            };
            Failure::new(Exit::Local, format!("the key file {shown}: {why}")).hint(hint).into()
        }
    }

    /// For `map_err` on writes to stdout.
    pub fn output(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output { source },
        }
    }
}

impl Error {
    /// For `map_err` where a message was to be sent: what the person was not told about a key, or a name, says so.
    pub fn not_sent(self) -> Self {
        match self {
            Self::NoSuchUser { .. }
            | Self::Server(ServerError::Offline)
            | Self::Trust(
                TrustError::BundleReused { .. }
                | TrustError::KeyChanged(_)
                | TrustError::NotPinned { .. }
                | TrustError::OldBundle { .. }
                | TrustError::Weaker { .. },
            ) => Self::NotSent(Box::new(self)),
            error => error,
        }
    }
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::File(error) => Self::File(error),
            error => Self::Journal(error),
        }
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<Hint> {
        remedy::remedy(self)
    }

    fn message(&self) -> Hint {
        match self {
            Self::Refused(refusal) => refusal.message(),
            error => error.to_string().into(),
        }
    }

    fn exit(&self) -> Exit {
        remedy::exit(self)
    }
}

/// What went wrong, and at the end of its first line what did not happen because of it.
fn not_sent(error: &Error) -> String {
    let text = error.to_string();
    match text.split_once('\n') {
        Some((first, rest)) => format!("{first} Nothing was sent.\n{rest}"),
        None => format!("{text} Nothing was sent."),
    }
}

/// What a text with capitals was probably meant to be.
pub(crate) fn lower(text: &str) -> String {
    UserName::without_capitals(text).map_or(String::new(), |name| format!(". Did you mean {name}?"))
}

fn did_you_mean(nearest: Option<&UserName>) -> String {
    nearest.map_or(String::new(), |name| format!(" Did you mean {name}?"))
}

#[cfg(test)]
mod tests;
