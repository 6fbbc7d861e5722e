//! The command line of `topchat-server`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::log::{Durability, Quotas, days};
use super::net::proxies::Network;
use super::net::surroundings;
use super::net::throttle::Whose;
use super::settings::{Registration, Settings};
use crate::environment;
use crate::limits;
use crate::names::UserName;

/// The server of TopChat: passes sealed messages between its accounts and cannot read them.
#[derive(Clone, Debug, Parser)]
#[command(name = "topchat-server", version = crate::version::long(), long_about = LONG, after_help = SHORT_EXAMPLES, after_long_help = HONEST)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7777", env = "TOPCHAT_LISTEN", global = true)]
    pub listen: String,
    /// Folder for accounts and the server's key
    #[arg(long, value_name = "DIR", default_value = "/var/lib/topchat", env = "TOPCHAT_DATA_DIR", global = true)]
    pub data_dir: PathBuf,
    #[command(flatten)]
    serving: Serving,
    /// What to do; without it, serve
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Args, Clone, Debug)]
struct Serving {
    /// Seats for logged-in clients
    #[arg(long, value_name = "N", default_value_t = limits::CLIENTS_DEFAULT as u32, env = "TOPCHAT_MAX_CLIENTS",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_clients: u32,
    /// Most accounts
    #[arg(long, value_name = "N", default_value_t = limits::ACCOUNTS_MAX as u32, env = "TOPCHAT_MAX_ACCOUNTS")]
    max_accounts: u32,
    /// Messages and requests a second of one client beyond which it is read more slowly (twice as many at once pass); 0 for no limit
    #[arg(long, value_name = "N", default_value_t = limits::RATE_DEFAULT, env = "TOPCHAT_RATE",
        value_parser = clap::value_parser!(u32).range(0..=i64::from(limits::RATE_MAX)))]
    rate: u32,
    /// Seconds of silence after which a client is asked whether it is there; 20 more without an answer, and its session ends
    #[arg(long, value_name = "SECONDS", default_value_t = limits::PING_AFTER.as_secs(), env = "TOPCHAT_PING",
        value_parser = clap::value_parser!(u64).range(1..=limits::PING_SECS_MAX))]
    ping: u64,
    /// What "accepted" waits for: disk loses nothing, memory may lose the last second in a crash
    #[arg(long, value_name = "WHERE", default_value = "disk", env = "TOPCHAT_DURABILITY")]
    durability: Durability,
    /// Direct messages that may wait for one account
    #[arg(long, value_name = "N", default_value_t = limits::MAILBOX_MESSAGES as u32, env = "TOPCHAT_MAILBOX_MESSAGES",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    mailbox_messages: u32,
    /// Direct messages of one sender that may wait for one account
    #[arg(long, value_name = "N", default_value_t = limits::MAILBOX_PER_SENDER as u32, env = "TOPCHAT_MAILBOX_PER_SENDER",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    mailbox_per_sender: u32,
    /// KiB of direct messages that may wait for one account
    #[arg(long, value_name = "N", default_value_t = (limits::MAILBOX_BYTES / 1024) as u32, env = "TOPCHAT_MAILBOX_KIB",
        value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    mailbox_kib: u32,
    /// Days that a direct message waits
    #[arg(long, value_name = "N", default_value_t = limits::MAILBOX_DAYS, env = "TOPCHAT_MAILBOX_DAYS",
        value_parser = clap::value_parser!(u32).range(1..=36_500))]
    mailbox_days: u32,
    /// Group messages that wait for those who are away
    #[arg(long, value_name = "N", default_value_t = limits::GROUP_MESSAGES as u32, env = "TOPCHAT_GROUP_MESSAGES",
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    group_messages: u32,
    /// Who may make an account [default: open if only this machine can connect, without a trusted proxy, and neither systemd nor a
    /// container runs the server; else closed]
    #[arg(long, value_name = "WHO", env = "TOPCHAT_REGISTRATION")]
    registration: Option<Registration>,
    /// Proxies, by address or network, who must say for whom they connect (PROXY protocol, version 2) and are believed; may be given
    /// several times
    #[arg(long, value_name = "ADDRESS[/BITS]", env = "TOPCHAT_TRUST_PROXY", value_delimiter = ',')]
    trust_proxy: Vec<Network>,
}

/// What else the program does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Look after the accounts, of a running server or a stopped one
    User {
        /// What to do.
        #[command(subcommand)]
        task: UserTask,
    },
    /// Tell how the server is and who is connected
    Status {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Check this machine, the data folder and the address; nothing is changed
    Doctor {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Lift what is slowed or held back because of failed logins, or of many registrations
    Unlock {
        /// Only of this address or account, as `status` shows them.
        #[arg(value_name = "ADDRESS|NAME")]
        whose: Option<Whose>,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// End the sessions of an account; it can log in again
    Kick {
        /// Whose.
        name: UserName,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
}

/// Account administration.
#[derive(Clone, Debug, Subcommand)]
pub enum UserTask {
    /// List the accounts
    List {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Refuse the logins of an account and end its sessions
    Disable {
        /// Whose.
        name: UserName,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Allow the logins of an account again
    Enable {
        /// Whose.
        name: UserName,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Delete an account; its name becomes free
    Delete {
        /// Whose.
        name: UserName,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Make an invite code and print it, once
    Invite {
        /// Days that it is good for
        #[arg(long, value_name = "N", default_value_t = limits::INVITE_DAYS,
            value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::INVITE_DAYS_MAX)))]
        days: u32,
        /// Accounts that it is good for
        #[arg(long, value_name = "N", default_value_t = 1,
            value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::INVITE_USES_MAX)))]
        uses: u32,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// List the invites, without their codes
    Invites {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Take an invite back
    Revoke {
        /// Which one, as `user invites` shows it.
        id: String,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
}

impl Serving {
    fn quotas(&self) -> Quotas {
        Quotas {
            messages: self.mailbox_messages as usize,
            bytes: self.mailbox_kib as usize * 1024,
            per_sender: self.mailbox_per_sender as usize,
            age: days(self.mailbox_days),
            group: self.group_messages as usize,
            ..Quotas::default()
        }
    }
}

impl Options {
    /// As they were typed behind the program's name; `words` begin with that.
    pub fn typed<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Self, clap::Error> {
        let mut command = environment::without_empty_variables(Self::command());
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let matches = command.try_get_matches_from_mut(&words);
        let matches = matches.map_err(|error| environment::usage_error(&command, &words, error))?;
        environment::remember_variables(&command, &matches);
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    /// What they say about serving.
    pub fn settings(&self) -> Settings {
        Settings {
            max_clients: self.serving.max_clients as usize,
            max_accounts: self.serving.max_accounts as usize,
            rate: self.serving.rate,
            registration: self.serving.registration,
            surroundings: surroundings::look(),
            trust_proxy: self.serving.trust_proxy.clone(),
            ping_after: Duration::from_secs(self.serving.ping),
            durability: self.serving.durability,
            quotas: self.serving.quotas(),
            ..Settings::default()
        }
    }
}

const LONG: &str = "\
The server of TopChat: passes sealed messages between its accounts and cannot read them.

Examples:
  topchat-server --data-dir data/server              for this machine only
  topchat-server --listen 0.0.0.0:7777               open to others
  topchat-server --registration invite               new accounts with a code (user invite)
  topchat-server --data-dir data/server status       who is connected
  topchat-server --data-dir data/server user invite  a code for a new account";

const SHORT_EXAMPLES: &str = "Examples and what the server can see: topchat-server --help";

const HONEST: &str = "\
The server sees who writes to whom, when, and how much. Group messages are sealed with
DES (56 bits): good against a curious look, not against a lab.
Logs go to stderr; RUST_LOG=debug shows more.
Exit codes: 0 stopped by a signal, 2 usage, 3 files, lock or network, 7 no such user or
invite, 78 bad configuration or damaged data.";
