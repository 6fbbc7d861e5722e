//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use etcetera::BaseStrategy;

use crate::client::commands::history::HistoryTask;
use crate::client::config::{Config, PasswordSource, name};
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::model::invocation::{Invocation, Setting};
use crate::client::model::pin::NewKeys;
use crate::client::model::suite::Wanted;
use crate::environment;
use crate::limits::{PING_AFTER, PING_SECS_MAX, TIMEOUT_SECS_MAX};
use crate::wire::Fingerprint;

/// What was typed behind `topchat`.
#[derive(Debug, Parser)]
#[command(
    name = "topchat",
    version = crate::version::long(),
    about = "A small private chat: every message is encrypted and signed on your machine",
    long_about = LONG_ABOUT,
    after_long_help = HONEST_WORDS,
    max_term_width = 100,
    subcommand_help_heading = "Commands"
)]
pub struct Options {
    /// Settings of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do; the interactive chat if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How the program was started, for the commands in hints.
    #[arg(skip)]
    pub invocation: Invocation,
}

impl Options {
    /// As they were typed behind the program's name; `words` begin with that.
    pub fn typed<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Self, clap::Error> {
        let mut command = environment::without_empty_variables(Self::command());
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let matches = command.try_get_matches_from_mut(&words);
        let matches = matches.map_err(|error| environment::usage_error(&command, &words, error))?;
        environment::remember_variables(&command, &matches);
        let options = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let repeated = REPEATED.iter().filter(|(id, _)| matches.value_source(id) == Some(ValueSource::CommandLine));
        let repeated = repeated.filter_map(|(id, flag)| {
            let value = matches.get_raw(id)?.next()?.to_string_lossy().into_owned();
            Some(Setting { flag, value })
        });
        let command = std::env::var(COMMAND_VARIABLE).ok();
        Ok(Self { invocation: Invocation::new(command.as_deref(), repeated.collect()), ..options })
    }
}

/// Settings that stand before or after the command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Settings")]
pub struct Global {
    /// The server [default: the account's own; for a new account 127.0.0.1:7777].
    #[arg(long, global = true, value_name = "HOST:PORT", env = "TOPCHAT_SERVER")]
    pub server: Option<String>,
    /// The server's identity, as its owner tells it; replaces the one pinned before.
    #[arg(long, global = true, value_name = "SHA256:HEX", env = "TOPCHAT_SERVER_FINGERPRINT")]
    pub server_fingerprint: Option<String>,
    /// The account to use, if this machine has several.
    #[arg(long, global = true, value_name = "NAME", env = "TOPCHAT_USER")]
    pub user: Option<String>,
    /// Folder of key files [default: topchat/keys in the XDG data folder].
    #[arg(long, global = true, value_name = "DIR", env = "TOPCHAT_KEYS_DIR")]
    pub keys_dir: Option<PathBuf>,
    /// Folder of pins and counters [default: topchat in the XDG state folder].
    #[arg(long, global = true, value_name = "DIR", env = "TOPCHAT_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// The group's key file [default: group.key in the keys folder].
    #[arg(long, global = true, value_name = "FILE", env = "TOPCHAT_GROUP_KEY")]
    pub group_key: Option<PathBuf>,
    /// File whose first line is the password.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "password_command")]
    pub password_file: Option<PathBuf>,
    /// Command whose first line of output is the password, as of a password manager.
    #[arg(long, global = true, value_name = "COMMAND")]
    pub password_command: Option<String>,
    /// Never ask anything.
    #[arg(long, global = true)]
    pub no_input: bool,
    /// One JSON object per line on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what went wrong.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// How long to wait: for all of a send, connecting and logging in included (if nothing is said, 10 for each step); for
    /// messages (listen).
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=TIMEOUT_SECS_MAX))]
    pub timeout: Option<u64>,
    /// What becomes of the key of a contact seen for the first time.
    #[arg(long, global = true, value_name = "WHEN", env = "TOPCHAT_ACCEPT_NEW_KEYS", value_enum, default_value_t)]
    pub accept_new_keys: NewKeys,
    /// How long the server may be silent before it is asked whether it is there; 20 seconds more without an answer, and the connection is
    /// taken for lost.
    #[arg(long, global = true, value_name = "SECONDS", env = "TOPCHAT_PING", default_value_t = PING_AFTER.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=PING_SECS_MAX))]
    pub ping: u64,
    /// If the server is full, wait for a seat.
    #[arg(long, global = true)]
    pub wait: bool,
    /// Hold messages to ALL under DES once the group's key is one of AES-256; they are shown at the next start without this.
    #[arg(long, global = true)]
    pub no_classic_group: bool,
    /// Keep what comes and goes in this run, encrypted under the account's keys; see topchat history.
    #[arg(long, global = true, env = "TOPCHAT_HISTORY", value_parser = FalseyValueParser::new())]
    pub history: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an account: keys on this machine, the name on the server.
    Register {
        /// The new account's name: a-z, 0-9, _ and -, beginning with a letter.
        name: String,
        /// Size of the two new RSA keys, from 2048 to 4096.
        #[arg(long, value_name = "BITS", default_value_t = crate::limits::RSA_BITS_DEFAULT)]
        bits: u32,
        /// What others are to send to the account; topchat suite changes it later.
        #[arg(long, value_name = "SUITE", value_enum, default_value_t)]
        suite: Wanted,
        /// File whose first line is the invite code that the server's owner gave you; - reads stdin.
        #[arg(long, value_name = "FILE")]
        invite_file: Option<PathBuf>,
    },
    /// The interactive chat (the default).
    Login {
        /// The account to use.
        name: Option<String>,
    },
    /// Send one message and tell what became of it.
    Send {
        /// A name, or ALL.
        to: String,
        /// The text; without it, or as -, the text is read from stdin.
        text: Option<String>,
        /// File that holds the text: UTF-8, at most 4096 bytes; - reads stdin.
        #[arg(long, value_name = "FILE", conflicts_with = "text")]
        file: Option<PathBuf>,
        /// Group messages only: DES-ECB instead of CBC. It shows which blocks are equal; for comparison with the original.
        #[arg(long, conflicts_with = "suite")]
        ecb: bool,
        /// Direct messages only: seal by this suite; never by a weaker one than the recipient prefers.
        #[arg(long, value_name = "SUITE", value_enum)]
        suite: Option<Wanted>,
    },
    /// Print messages as they come.
    ///
    /// With --count the server sees when so many messages have opened, since the session ends then; with --export, also
    /// if one could not be written.
    Listen {
        /// End after so many messages.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// Write the parts of each message to a folder of its own, for checks with the openssl command.
        #[arg(long, value_name = "DIR")]
        export: Option<PathBuf>,
        /// Leave what waited already: only what comes from now on is shown. The next listen or chat shows the rest.
        #[arg(long)]
        no_backlog: bool,
    },
    /// Answer JSON-RPC 2.0 requests, one a line, on stdin and stdout; for bots and other programs.
    ///
    /// The methods are send, subscribe, unsubscribe, users, fingerprint, verify, trust and contacts; docs/JSON.md has them all. Works
    /// while the chat of the same account runs. Ends when stdin does.
    Rpc,
    /// List the accounts of this server.
    Users {
        /// Only those who are here now.
        #[arg(long)]
        online: bool,
    },
    /// Show the fingerprint of your key, or of a contact's with your safety number.
    Fingerprint {
        /// Whose; yours if nothing is said.
        name: Option<String>,
        /// The safety number as a QR code, too.
        #[arg(long, requires = "name")]
        qr: bool,
    },
    /// List your contacts: whose keys are pinned, and what is known of them.
    Contacts,
    /// Compare a contact's key with them, and mark it as verified.
    Verify {
        /// The contact.
        name: String,
        /// The key's fingerprint, as the contact tells it: its first 32 hex digits at least. Nothing is asked then.
        #[arg(long, value_name = "FINGERPRINT")]
        fingerprint: Option<String>,
    },
    /// Take back that a contact's key was compared. The key stays pinned.
    #[command(alias = "untrust")]
    Unverify {
        /// The contact.
        name: String,
    },
    /// Go on with a contact whose key has changed, unverified.
    Trust {
        /// The contact.
        name: String,
        /// The key's fingerprint: its first 16 hex digits at least. Without it, you are shown the changed key and asked.
        fingerprint: Option<String>,
    },
    /// Show what came of a contact by a weaker suite than the contact asks for; it was held.
    ///
    /// If the contact takes classic messages again, yours go so from now on.
    Accept {
        /// The contact.
        name: String,
    },
    /// Take somebody out of your contacts.
    Forget {
        /// The contact.
        name: String,
    },
    /// The keys of the group, in the file that its members share.
    #[command(subcommand)]
    Group(Group),
    /// Show or set what others are to send to your account: classic, or modern.
    ///
    /// classic is RSA PKCS#1 v1.5, as the original did it. modern is X25519 and AES-256, signed with Ed25519: what a person of today can trust.
    Suite {
        /// What it is to be.
        #[arg(value_name = "SUITE", value_enum)]
        wanted: Option<Wanted>,
    },
    /// Replace keys of the account, move them to another machine.
    #[command(subcommand)]
    Keys(Keys),
    /// Show the history, turn it on or off, or delete it.
    ///
    /// A history is kept only if you want one, on this machine alone, and encrypted under the account's keys. It is shown
    /// without the server; the account's password is needed.
    #[command(args_conflicts_with_subcommands = true)]
    History {
        /// What to do; show it if nothing is said.
        #[command(subcommand)]
        task: Option<HistoryTask>,
        /// Only what was written between you and this one; ALL for the group.
        #[arg(long, value_name = "NAME")]
        with: Option<String>,
        /// Only what came and went since then: a date, a date and time, or how long ago, as 2d or 3h.
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// Only texts that contain this, in capitals or not.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Check this machine, the files and the server; nothing is changed, and nobody is logged in.
    Doctor,
    /// Change the password of the account and of its key files together.
    Passwd {
        /// File whose first line is the new password.
        #[arg(long, value_name = "FILE")]
        new_password_file: Option<PathBuf>,
    },
    /// Delete the account on the server. The key files stay.
    DeleteAccount {
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

/// What to do with the group's keys.
#[derive(Debug, Subcommand)]
pub enum Group {
    /// Put a new key first in the group key file: it writes from now on, those before it still read.
    Rekey {
        /// What the new key is for: DES (classic) or AES-256 (modern) [default: as the one that writes now; classic for a new file].
        #[arg(long, value_name = "SUITE", value_enum)]
        suite: Option<Wanted>,
    },
    /// List the ids of the keys, the one that writes first.
    List,
    /// Take a key out of the file: what was sealed with it can't be read any more.
    Forget {
        /// The id, or its first digits, at least 4.
        id: String,
        /// Also the only one, or the one that writes.
        #[arg(long)]
        force: bool,
    },
}

/// What to do with one's own keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a new encryption key for the account, and with --identity a new signing key, too.
    ///
    /// Contacts follow by themselves: the old identity signs the new one, as long as they know the old one. Replaced
    /// encryption keys stay on this machine, locked with the same password, for messages that are under way.
    Renew {
        /// Also a new identity: the key that signs, whose fingerprint contacts compare.
        #[arg(long)]
        identity: bool,
        /// Size of the new RSA keys, from 2048 to 4096.
        #[arg(long, alias = "bits", value_name = "BITS", default_value_t = crate::limits::RSA_BITS_DEFAULT)]
        key_bits: u32,
    },
    /// Write the account as one document, for another machine or as a backup.
    ///
    /// The keys in it are locked with the account's password. Whoever has both can read what was written to you.
    Export {
        /// Where to; - is stdout [default: NAME.topchat-keys].
        file: Option<PathBuf>,
        /// Also the group key, which lies open in it.
        #[arg(long)]
        with_group_key: bool,
        /// Replace the file if it is there.
        #[arg(long)]
        force: bool,
    },
    /// Take an account over from such a document; its password is needed.
    Import {
        /// The document; - is stdin.
        file: PathBuf,
    },
}

/// What the environment sets holds for the next command by itself.
const REPEATED: [(&str, &str); 3] = [("server", "--server"), ("keys_dir", "--keys-dir"), ("state_dir", "--state-dir")];

/// Names the script that starts the client in a clone.
const COMMAND_VARIABLE: &str = "TOPCHAT_COMMAND";

const LONG_ABOUT: &str = "\
A small private chat: every message is encrypted and signed on your machine.

Examples:
  topchat                                  the chat; asks for what is missing
  topchat register alice                   make an account
  topchat send bob \"lunch?\"                prints: 8f21 delivered
  uname -a | topchat send ALL              the text from stdin, to everybody
  topchat listen --json --count 1          one message, for scripts
  topchat verify bob                       compare your keys with bob, by voice";

const HONEST_WORDS: &str = "\
What it gives, and what not:
  Messages to one person are sealed with RSA for that person and signed by you. Messages to ALL are
  sealed with DES under a key that the members share: 56 bits, good against a curious look, not
  against a lab. The server can read none of it, but it sees who writes to whom, when, and how much.
  There is no forward secrecy: whoever gets your key files and password can read what was recorded.
  At first contact a key is taken as the server gives it: compare fingerprints by another way.

Exit codes:
  0 done                       4 a key or the server's identity is unknown or changed
  1 unexpected                 5 the server is full or busy: try again
  2 usage                      6 login or registration refused
  3 network, time-out, files   7 not delivered                       130 Ctrl-C

Passwords never come as a flag's value; --password-file - reads stdin.";

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
            no_classic_group: global.no_classic_group,
            invocation,
        })
    }
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

/// Where an account is made if nothing is said.
const SERVER: &str = "127.0.0.1:7777";

/// This program's folder within the folders of XDG.
const FOLDER: &str = "topchat";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint;

    fn parse(line: &str) -> Options {
        Options::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn settings_stand_before_and_after_the_command() {
        for line in ["topchat --user alice --json send bob hi", "topchat send --json bob hi --user alice"] {
            let options = parse(line);
            assert_eq!(options.global.user.as_deref(), Some("alice"), "{line}");
            assert!(options.global.json, "{line}");
        }
    }

    #[test]
    fn what_hints_must_repeat_is_what_was_typed() {
        let typed = "topchat send --keys-dir k bob hi --server a:1 --user alice";
        let options = Options::typed(typed.split(' ')).unwrap();
        let users = |options: &Options| options.invocation.shown(&Hint::default().topchat(&["users"])).text;
        assert!(users(&options).ends_with(" --server a:1 --keys-dir k users"), "{}", users(&options));
        assert_eq!(options.global.user.as_deref(), Some("alice"));
        assert!(!users(&Options::typed(["topchat", "users"]).unwrap()).contains("--"));
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let error = Options::try_parse_from(["topchat", "regster", "alice"]).unwrap_err();
        assert!(error.to_string().contains("register"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn no_flag_takes_a_secret_as_its_value() {
        let command = Options::command();
        let names: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_long()).collect();
        assert!(!names.iter().any(|name| *name == "password" || name.contains("passphrase")), "{names:?}");
    }
}
