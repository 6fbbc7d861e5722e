//! Servers as processes: started on a folder of their own, ended by their id, and what they take of the machine.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use data_encoding::BASE64;
use tempfile::TempDir;
use topchat::server::{accounts, folder};
use topchat::storage::disk::RealDisk;
use topchat::storage::folder::LockedFolder;
use topchat::storage::journal::Journal;
use topchat::wire::Verifier;

use super::topchat::{Keys, name};

/// A process that ends with this value.
pub(crate) struct Running {
    child: Child,
    /// Its files; they go with it.
    folder: Option<TempDir>,
}

impl Running {
    /// Starts a program whose files are in `folder`.
    pub(crate) fn start(command: &mut Command, folder: TempDir) -> io::Result<Self> {
        Ok(Self { child: command.spawn()?, folder: Some(folder) })
    }

    /// Asks it to end, waits for that, and gives its files back.
    pub(crate) fn stop(&mut self) -> io::Result<TempDir> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        self.folder.take().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of TopChat with so many accounts.
pub(crate) struct TopChatServer {
    /// The process.
    pub running: Running,
    /// Where it listens.
    pub address: SocketAddr,
}

impl TopChatServer {
    /// Starts `program` on a new folder.
    pub(crate) fn start(program: &Path, keys: &Keys, members: usize, arguments: &[&str]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        register(&data(&folder), keys, members)?;
        Self::on(program, folder, arguments)
    }

    /// Starts it on a folder that has its accounts.
    pub(crate) fn on(program: &Path, folder: TempDir, arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data(&folder)).args(arguments);
        command.env_clear().env("RUST_LOG", "warn").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command, folder)?;
        let words = running.child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(words).lines();
        let mut address = None;
        for line in lines.by_ref() {
            let line = line?;
            if let Some(rest) = line.strip_prefix("listening") {
                address = rest.split_whitespace().next().and_then(|word| word.parse().ok());
            } else if line.starts_with("ready") {
                break;
            } else if line.starts_with("error") {
                eprintln!("{line}");
            }
        }
        let address = address.ok_or_else(|| io::Error::other("the server did not start"))?;
        // What it says later is a warning, and a full pipe would stop it.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).filter(|line| line != "stopped").for_each(|line| eprintln!("server: {line}"))
        });
        Ok(Self { running, address })
    }
}

/// The data folder of a server.
pub(crate) fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// Writes an account for each member, as the server itself would.
pub(crate) fn register(folder: &Path, keys: &Keys, members: usize) -> io::Result<()> {
    let locked = LockedFolder::open(folder).map_err(io::Error::other)?;
    let Verifier { salt, iterations, stored_key, server_key } = keys.verifier();
    let mut records = Vec::new();
    for member in 0..members {
        let bundle = keys.bundle(&name(member)).encode();
        records.push(serde_json::json!({
            "op": "register", "name": name(member).as_str(), "created_ms": 1_795_000_000_000_u64, "joined": 0,
            "salt": BASE64.encode(&salt), "iterations": iterations, "stored_key": BASE64.encode(&stored_key),
            "server_key": BASE64.encode(&server_key), "bundle": BASE64.encode(&bundle),
        }));
    }
    folder::parts(locked.path()).begin().map_err(io::Error::other)?;
    let path = locked.path().join(accounts::FILE_NAME);
    Journal::create(&path, &accounts::FORMAT, Box::new(RealDisk), &records).map(drop).map_err(io::Error::other)
}

/// Seconds of CPU that a process has taken (proc(5): fields 14 and 15 of `stat`).
pub(crate) fn cpu(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        behind_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}
