//! The settings of one run, checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;
use super::model::address::ServerAddress;
use super::model::deadline::Deadline;
use super::model::invocation::Invocation;
use super::model::pin::NewKeys;
use crate::names::{Recipient, UserName};
use crate::wire::Fingerprint;

/// Where the password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// The output of a command.
    Command(String),
    /// A file; `-` is stdin.
    File(PathBuf),
    /// The person at the terminal.
    Terminal,
}

/// The settings of one run.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerAddress,
    /// Whether it was named, and is not only where accounts are made if nothing is said.
    pub server_named: bool,
    /// Whose password may be proved, and only to a server of that account.
    pub account: Option<UserName>,
    /// The identity that the server must have.
    pub expected: Option<Fingerprint>,
    /// The account, if one was named.
    pub user: Option<UserName>,
    /// Folder of key files.
    pub keys_dir: PathBuf,
    /// Folder of pins and counters.
    pub state_dir: PathBuf,
    /// The group key file, if one was named; that one must be there.
    pub group_key: Option<PathBuf>,
    /// Where the password comes from.
    pub password: PasswordSource,
    /// Whether a person may be asked.
    pub may_ask: bool,
    /// JSON on stdout.
    pub json: bool,
    /// Only what went wrong.
    pub quiet: bool,
    /// How long to wait for what the command waits for.
    pub timeout: Option<Duration>,
    /// When all of the command must be done, connecting and logging in included.
    pub until: Option<Deadline>,
    /// Silence after which the server is pinged.
    pub ping_after: Duration,
    /// Wait for a seat.
    pub wait: bool,
    /// Keep a history in this run, whatever the account's setting.
    pub history: bool,
    /// What becomes of the key of a contact seen for the first time.
    pub new_keys: NewKeys,
    /// Messages to ALL under DES are held once the group's key is one of AES-256.
    pub no_classic_group: bool,
    /// How the program was started.
    pub invocation: Invocation,
}

impl Config {
    /// The same for a command that must be done within the time that was given, if one was, from now on.
    pub fn begun(&self) -> Self {
        Self { until: self.timeout.map(Deadline::within), ..self.clone() }
    }

    /// Folder of the key files of all accounts.
    pub fn users_dir(&self) -> PathBuf {
        self.keys_dir.join("users")
    }

    /// Folder of what an account knows about others on this server.
    pub fn account_state(&self, name: &UserName) -> PathBuf {
        self.state_dir.join(self.server.to_string()).join(name.as_str())
    }
}

/// A name as typed.
pub(super) fn name(text: &str) -> Result<UserName, Error> {
    text.parse().map_err(|why| Error::Name { text: text.to_owned(), why })
}

/// A recipient as typed.
pub(super) fn recipient(text: &str) -> Result<Recipient, Error> {
    text.parse().map_err(|why| Error::Name { text: text.to_owned(), why })
}

/// The group key file of a keys folder.
pub(super) fn default_group_key(keys_dir: &Path) -> PathBuf {
    keys_dir.join("group.key")
}
