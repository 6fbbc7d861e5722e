//! Administration by the server's owner: asked of the running server by a socket, or done on the files of a stopped one.
//!
//! The lock of the data folder decides which: whoever holds it may change the files. Both ways lead to the same handler,
//! so both have the same effects and the same output.

mod client;
mod deadlined;
mod handler;
mod protocol;
mod server;
mod text;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

pub(crate) use protocol::line as json_line;
pub(crate) use server::{Administration, Socket};

use super::accounts::Accounts;
use super::clock::RunClock;
use super::error::ServerError;
use super::options::{Command, UserTask};
use crate::limits::{ACCOUNTS_MAX, ADMIN_FOUND_WITHIN, ADMIN_PAUSE};
use crate::names::UserName;
use crate::storage::folder::LockedFolder;
use crate::storage::lock::LockError;
use handler::Handler;
use protocol::{Request, Row, VERSION, Versioned};

/// Name of the socket within the data folder.
pub const SOCKET_NAME: &str = "admin.sock";

/// Carries out a command on the data folder; data goes to `out`, words for people to `words`.
pub fn run(folder: &Path, command: &Command, out: &mut dyn Write, words: &mut dyn Write) -> Result<(), ServerError> {
    // `doctor` asks nobody, and runs by itself.
    let Some((request, json)) = requested(command) else { return Ok(()) };
    let mut printed = |row: Row| print(row, json, out, words);
    let (mut holder, mut since) = (None, Instant::now());
    loop {
        let held = match LockedFolder::open_existing(folder) {
            Ok(folder) => return on_files(&folder, &request, &mut printed),
            Err(error) => error,
        };
        let LockError::Held { pid, .. } = held else { return Err(held.into()) };
        if let Some(socket) = client::connect(&folder.join(SOCKET_NAME))? {
            return client::ask(socket, folder, &request, &mut printed);
        }
        // Its holder starts or stops at this moment, or is another task that works on the files: many of them take turns.
        if pid != holder {
            (holder, since) = (pid, Instant::now());
        }
        if since.elapsed() >= ADMIN_FOUND_WITHIN {
            return Err(held.into());
        }
        thread::sleep(ADMIN_PAUSE);
    }
}

fn on_files(
    folder: &LockedFolder,
    request: &Request,
    printed: &mut dyn FnMut(Row) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let clock = Arc::new(RunClock::after(super::log::run_ms(folder.path())?));
    let accounts = Accounts::open(folder, ACCOUNTS_MAX, clock)?;
    let handler = Handler { folder: folder.path(), accounts: &accounts, live: None };
    handler.carry_out(request)?.into_iter().try_for_each(printed)?;
    match request {
        Request::Status => Err(ServerError::NotRunning { folder: folder.path().to_owned() }),
        _ => Ok(()),
    }
}

fn requested(command: &Command) -> Option<(Request, bool)> {
    let named = |name: &UserName| name.to_string();
    let task = match command {
        Command::Doctor { .. } => return None,
        Command::Kick { name, json } => return Some((Request::Kick { name: named(name) }, *json)),
        Command::Status { json } => return Some((Request::Status, *json)),
        Command::Unlock { whose, json } => {
            return Some((Request::Unlock { whose: whose.as_ref().map(ToString::to_string) }, *json));
        }
        Command::User { task } => task,
    };
    Some(match task {
        UserTask::Delete { name, json } => (Request::Delete { name: named(name) }, *json),
        UserTask::Disable { name, json } => (Request::Disable { name: named(name) }, *json),
        UserTask::Enable { name, json } => (Request::Enable { name: named(name) }, *json),
        UserTask::Invite { days, uses, json } => (Request::Invite { days: *days, uses: *uses }, *json),
        UserTask::Invites { json } => (Request::Invites, *json),
        UserTask::List { json } => (Request::List, *json),
        UserTask::Revoke { id, json } => (Request::Revoke { id: id.clone() }, *json),
    })
}

fn print(row: Row, json: bool, out: &mut dyn Write, words: &mut dyn Write) -> Result<(), ServerError> {
    let written = if json {
        out.write_all(&protocol::line(&Versioned { v: VERSION, row }))
    } else {
        let shown = text::show(&row);
        // Whoever closed stderr wants no words.
        let _ = words.write_all(shown.words.as_bytes());
        out.write_all(shown.data.as_bytes())
    };
    written.and_then(|()| out.flush()).map_err(|source| ServerError::Output { source })
}

/// A time in UTC (RFC 3339).
fn when(unix_ms: u64) -> String {
    let millisecond = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millisecond)
        .map_or_else(|_| "unknown".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
