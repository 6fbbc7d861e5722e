//! Account administration on the files of a stopped server.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::ServerError;
use super::accounts::{Account, Accounts, ChangeError, Outcome};
use super::options::UserCommand;
use crate::limits::{ACCOUNTS_MAX, PAGE_NAMES};
use crate::names::UserName;
use crate::storage::folder::LockedFolder;

/// Carries out `command` on the data folder; data goes to `out`, words to stderr by the caller's log.
pub fn run(folder: &Path, command: &UserCommand, out: &mut impl Write) -> Result<(), ServerError> {
    let folder = LockedFolder::open_existing(folder)?;
    let accounts = Accounts::open(&folder, ACCOUNTS_MAX)?;
    match command {
        UserCommand::List { json } => list(&accounts, *json, out).map_err(|source| ServerError::Output { source }),
        UserCommand::Disable { name } => change(&accounts, name, |account| accounts.set_disabled(account, true)),
        UserCommand::Enable { name } => change(&accounts, name, |account| accounts.set_disabled(account, false)),
        UserCommand::Delete { name } => change(&accounts, name, |account| accounts.delete(account)),
    }
}

fn change(
    accounts: &Accounts,
    name: &UserName,
    how: impl FnOnce(&Account) -> Result<Outcome, ChangeError>,
) -> Result<(), ServerError> {
    let changed = accounts.find(name).ok_or(ChangeError::NoSuchUser).and_then(|account| how(&account));
    changed.map(|_| ()).map_err(|why| ServerError::Change { name: name.clone(), why })
}

fn list(accounts: &Accounts, json: bool, out: &mut impl Write) -> io::Result<()> {
    let mut after = None;
    loop {
        let page = accounts.page(after.as_ref(), PAGE_NAMES);
        for account in page.iter().filter_map(|name| accounts.find(name)) {
            if json { write_json(&account, out)? } else { write_line(&account, out)? }
        }
        match page.last() {
            Some(last) => after = Some(last.clone()),
            None => return out.flush(),
        }
    }
}

/// One account as a line of `user list --json`.
#[derive(Serialize)]
struct Row<'a> {
    v: u32,
    r#type: &'static str,
    name: &'a str,
    created: String,
    disabled: bool,
    fingerprint: String,
}

fn write_json(account: &Account, out: &mut impl Write) -> io::Result<()> {
    let row = Row {
        v: 1,
        r#type: "account",
        name: account.name().as_str(),
        created: created(account),
        disabled: account.is_disabled(),
        fingerprint: account.identity().to_hex(),
    };
    serde_json::to_writer(&mut *out, &row)?;
    writeln!(out)
}

fn write_line(account: &Account, out: &mut impl Write) -> io::Result<()> {
    let state = if account.is_disabled() { "disabled" } else { "enabled" };
    writeln!(out, "{:<32}  {state:<8}  {}  {}", account.name().as_str(), created(account), account.identity().grouped())
}

/// When the account was made, in UTC (RFC 3339).
fn created(account: &Account) -> String {
    let millisecond = i64::try_from(account.created_ms()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millisecond)
        .map_or_else(|_| "unknown".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
