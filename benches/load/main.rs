//! The load generator behind `make bench` and `make bench-peers` (`docs/BENCHMARKS.md`).

mod bare;
mod bare_relay;
mod board;
mod crypto;
mod dialect;
mod drive;
mod irc;
mod mqtt;
mod nats;
mod peers;
mod pipe;
mod plot;
mod process;
mod relay;
mod resp;
mod scale;
mod systems;
mod table;
mod topchat;
mod worker;

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

/// Measures servers under load.
#[derive(Parser)]
#[command(name = "topchat-load")]
struct Options {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// TopChat alone: streams and round trips, in memory and on disk
    Relay(Common),
    /// Sealing and opening beside the bare operations of OpenSSL
    Crypto(Common),
    /// Many sessions, many accounts, many messages
    Scale(Common),
    /// TopChat beside other servers, which must be installed
    Peers {
        #[command(flatten)]
        common: Common,
        /// Where the picture goes
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// A relay that passes bytes on and does nothing else, for the comparison with others
    Bare(bare_relay::Options),
}

/// What all parts take.
#[derive(Args, Clone)]
pub struct Common {
    /// The server's program; a second one is measured in turn with it
    #[arg(long, value_name = "PATH", default_value = "target/release/topchat-server")]
    server: Vec<PathBuf>,
    /// Seconds that each case is measured in each round
    #[arg(long, value_name = "S", default_value_t = 2.0, env = "BENCH_SECONDS")]
    seconds: f64,
    /// Rounds; the medians count
    #[arg(long, value_name = "N", default_value_t = 3, env = "BENCH_ROUNDS")]
    rounds: usize,
    /// Bytes of text in each message
    #[arg(long, value_name = "BYTES", default_value_t = 64, env = "BENCH_TEXT")]
    text: usize,
    /// Members
    #[arg(long, value_name = "N", default_value_t = 10)]
    members: usize,
    /// Threads of the load generator
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// Sessions, accounts and waiting messages up to which the growth of costs is measured
    #[arg(long, value_name = "N", default_value_t = 10_000, env = "BENCH_SESSIONS")]
    most_sessions: usize,
    /// See there
    #[arg(long, value_name = "N", default_value_t = 100_000, env = "BENCH_ACCOUNTS")]
    most_accounts: usize,
    /// See there
    #[arg(long, value_name = "N", default_value_t = 1_000_000, env = "BENCH_MESSAGES")]
    most_messages: usize,
    /// Where the numbers go as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Markdown file with a place for the table
    #[arg(long, value_name = "FILE")]
    doc: Option<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "WORD", default_value = "")]
    only: String,
}

impl Common {
    /// The program that is compared with others.
    fn program(&self) -> &Path {
        self.server.first().map_or(Path::new(""), PathBuf::as_path)
    }
}

fn main() -> io::Result<()> {
    match Options::parse().part {
        Part::Relay(common) => relay::run(&common),
        Part::Crypto(common) => crypto::run(&common),
        Part::Scale(common) => scale::run(&common),
        Part::Peers { common, svg } => peers::run(&common, svg.as_deref()),
        Part::Bare(options) => bare_relay::run(&options),
    }
}

#[cfg(test)]
mod tests;
