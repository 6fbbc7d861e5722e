//! What every error that reaches a person can tell: the words, the remedy, the exit code.

use std::error::Error;

use crate::hint::Hint;

/// Exit codes of both programs. Scripts rely on them, so a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for is done.
    Done = 0,
    /// Something that should not happen.
    Unexpected = 1,
    /// The command line, or the text to send, is not usable.
    Usage = 2,
    /// Network, time-out, local files, locks.
    Local = 3,
    /// A key or the server's identity is unknown or changed, or a signature is bad.
    Identity = 4,
    /// The server is full or busy: try again.
    Busy = 5,
    /// Login or registration refused; a wrong password or key passphrase included.
    Refused = 6,
    /// The message was not delivered.
    Undelivered = 7,
    /// The server's configuration is bad (`EX_CONFIG` of BSD's sysexits).
    Configuration = 78,
    /// Ended by Ctrl-C (128 + SIGINT).
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that can tell a person what to do.
pub trait Explain: Error {
    /// What the person can do about it, naming the flag, file or command.
    fn hint(&self) -> Option<Hint> {
        None
    }

    /// What happened, as the error's own words have it; some name a command.
    fn message(&self) -> Hint {
        self.to_string().into()
    }

    /// How the program ends because of it.
    fn exit(&self) -> Exit;
}

/// An error that no code decides on: what a person reads, and how the program ends, said where it arises.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    words: String,
    hint: Option<Hint>,
    exit: Exit,
}

impl Failure {
    pub(crate) fn new(exit: Exit, words: impl Into<String>) -> Self {
        Self { words: words.into(), hint: None, exit }
    }

    /// The same with what to do about it.
    pub(crate) fn hint(self, hint: impl Into<Hint>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Explain for Failure {
    fn hint(&self) -> Option<Hint> {
        self.hint.clone()
    }

    fn exit(&self) -> Exit {
        self.exit
    }
}

/// What happened in one line, then what to do in a second one.
///
/// ```text
/// error: the group key file keys/group.key: no such file
/// hint: make one with: topchat group rekey
/// ```
pub fn describe(message: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("error: {message}\nhint: {hint}"),
        None => format!("error: {message}"),
    }
}
