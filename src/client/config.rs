//! The settings of one run, checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;

use super::Error;
use super::chat::screen;
use super::cli::options::Global;
use super::error::server::ServerError;
use super::model::address::ServerAddress;
use super::model::deadline::Until;
use super::trust::contacts::NewKeys;
use super::trust::servers;
use super::ui::hint::Invocation;
use super::ui::output;
use super::ui::render::fitted;
use crate::hint::Hint;
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
    /// The server.
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
    pub until: Option<Until>,
    /// Silence after which the server is pinged.
    pub ping_after: Duration,
    /// Wait for a seat.
    pub wait: bool,
    /// Keep a history in this run, whatever the account's setting.
    pub history: bool,
    /// What becomes of the key of a contact seen for the first time.
    pub new_keys: NewKeys,
    /// How the program was started.
    pub invocation: Invocation,
}

impl Config {
    /// Checks the settings and finds the folders.
    pub fn new(global: Global, invocation: Invocation) -> Result<Self, Error> {
        let password = match (global.password_command, global.password_file) {
            (Some(command), _) => PasswordSource::Command(command),
            (None, Some(file)) => PasswordSource::File(file),
            (None, None) => PasswordSource::Terminal,
        };
        let server = global.server.as_deref().unwrap_or(SERVER);
        Ok(Self {
            server: server
                .parse()
                .map_err(|why| Error::Server(ServerError::Address { text: server.to_owned(), why }))?,
            server_named: global.server.is_some(),
            account: None,
            expected: global.server_fingerprint.as_deref().map(fingerprint).transpose()?,
            user: global.user.as_deref().map(name).transpose()?,
            keys_dir: global.keys_dir.map_or_else(default_keys, Ok)?,
            state_dir: global.state_dir.map_or_else(default_state, Ok)?,
            group_key: global.group_key,
            password,
            may_ask: !global.no_input,
            json: global.json,
            quiet: global.quiet,
            timeout: global.timeout.map(Duration::from_secs),
            until: None,
            ping_after: Duration::from_secs(global.ping),
            wait: global.wait,
            history: global.history,
            new_keys: global.accept_new_keys,
            invocation,
        })
    }

    /// The same for what this account does: at its own server, if no other one was named.
    pub fn of(&self, name: &UserName) -> Result<Self, Error> {
        let own = if self.server_named { None } else { servers::server_of(&self.state_dir, name)? };
        let server = own.unwrap_or_else(|| self.server.clone());
        Ok(Self { server, account: Some(name.clone()), ..self.clone() })
    }

    /// The same for a command that must be done within the time that was given, if one was, from now on.
    pub fn begun(&self) -> Self {
        Self { until: self.timeout.map(Until::within), ..self.clone() }
    }

    /// Folder of the key files of all accounts.
    pub fn users_dir(&self) -> PathBuf {
        self.keys_dir.join("users")
    }

    /// Folder of what an account knows about others on this server.
    pub fn account_state(&self, name: &UserName) -> PathBuf {
        self.state_dir.join(self.server.to_string()).join(name.as_str())
    }

    /// Words for the person, unless they want none.
    pub fn say(&self, words: impl Into<Hint>) {
        let width = screen::width(&std::io::stderr());
        self.say_begun(&format!("{}\n", fitted(&self.invocation.shown(&words.into()), width)));
    }

    /// The beginning of a line of such words.
    pub fn say_begun(&self, words: &str) {
        if !self.quiet {
            output::words(words);
        }
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

fn fingerprint(text: &str) -> Result<Fingerprint, Error> {
    Fingerprint::from_hex(text.trim()).ok_or_else(|| Error::Server(ServerError::Fingerprint { text: text.to_owned() }))
}

fn default_keys() -> Result<PathBuf, Error> {
    let base = etcetera::choose_base_strategy().map_err(|_| Error::NoHome { what: "keys" })?;
    Ok(base.data_dir().join(FOLDER).join("keys"))
}

fn default_state() -> Result<PathBuf, Error> {
    let base = etcetera::choose_base_strategy().map_err(|_| Error::NoHome { what: "pins" })?;
    Ok(base.state_dir().unwrap_or_else(|| base.data_dir()).join(FOLDER))
}

/// The group key file of a keys folder.
pub(super) fn default_group_key(keys_dir: &Path) -> PathBuf {
    keys_dir.join("group.key")
}

/// Where an account is made if nothing is said.
const SERVER: &str = "127.0.0.1:7777";

/// This program's folder within the folders of XDG.
const FOLDER: &str = "topchat";
