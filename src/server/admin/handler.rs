//! Carries out what is asked for: on the accounts, and in a running server so that it holds at once.
//!
//! One thread does so for all who ask, so that two changes of one account can't cross.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::protocol::{Change, Request, Row, Running, Slow, Status};
use super::when;
use crate::limits::{INVITE_DAYS_MAX, INVITE_USES_MAX, SLOWED_SHOWN};
use crate::names::UserName;
use crate::server::accounts::{Account, Accounts, ChangeError, Invite, InviteCode, InviteState, Ledger};
use crate::server::clock::{milliseconds, unix_ms};
use crate::server::error::Refusal;
use crate::server::folder::MESSAGES;
use crate::server::log::{Mail, days};
use crate::server::net::throttle::{Kind, RetryAfter, Whose};
use crate::server::settings::Registration;
use crate::server::shared::Shared;
use crate::wire::Code;
use crate::wire::to_server::Mode;

/// The accounts of a data folder, and the server that runs on it, if one does.
pub(super) struct Handler<'a> {
    pub(super) folder: &'a Path,
    pub(super) accounts: &'a Accounts,
    pub(super) live: Option<&'a Shared>,
}

impl Handler<'_> {
    /// What comes of a request. When this returns, all of it is done and on disk.
    pub(super) fn carry_out(&self, request: &Request) -> Result<Vec<Row>, Refusal> {
        match request {
            Request::Delete { name } => self.delete(&self.account(name)?),
            Request::Disable { name } => self.set_disabled(&self.account(name)?, true),
            Request::Enable { name } => self.set_disabled(&self.account(name)?, false),
            Request::Invite { days, uses } => self.invite(*days, *uses),
            Request::Invites => Ok(self.accounts.invites()?.iter().map(|invite| self.invite_row(invite)).collect()),
            Request::Kick { name } => {
                let account = self.account(name)?;
                Ok(vec![self.changed(account.name(), Change::Kicked, Some(Code::Kicked))])
            }
            Request::List => self.accounts.every().map(|account| Ok(account_row(&*account?))).collect(),
            Request::Revoke { id } => self.revoke(id),
            Request::Status => self.status(),
            Request::Unlock { whose } => self.unlock(whose.as_deref()),
        }
    }

    fn account(&self, name: &str) -> Result<Account, Refusal> {
        let known: UserName = name.parse().map_err(|_| no_such_user(name))?;
        self.accounts.find(&known)?.map(|account| (*account).clone()).ok_or_else(|| no_such_user(name))
    }

    fn delete(&self, account: &Account) -> Result<Vec<Row>, Refusal> {
        let name = account.name();
        self.accounts.delete(account).map_err(|why| refusal(name, why))?;
        if let Some(live) = self.live {
            live.mail.remove(account);
        }
        Ok(vec![self.changed(name, Change::Deleted, Some(Code::Deleted))])
    }

    fn set_disabled(&self, account: &Account, disabled: bool) -> Result<Vec<Row>, Refusal> {
        let name = account.name();
        self.accounts.set_disabled(account, disabled).map_err(|why| refusal(name, why))?;
        if let Some(live) = self.live {
            live.mail.set_disabled(name, disabled);
        }
        Ok(vec![match disabled {
            true => self.changed(name, Change::Disabled, Some(Code::Disabled)),
            false => self.changed(name, Change::Enabled, None),
        }])
    }

    /// Ends the sessions of an account, if there is a reason for it, and tells what was done. Their seats are free at once.
    fn changed(&self, name: &UserName, change: Change, end: Option<Code>) -> Row {
        let sessions = match (self.live, end) {
            (Some(live), Some(code)) => {
                let evicted = live.hub().evict(name);
                evicted.iter().for_each(|session| session.close(code));
                evicted.len()
            }
            _ => 0,
        };
        if self.live.is_some() {
            log::info!("the owner: {name} {}", word_for(change));
        }
        Row::Changed { name: name.to_string(), change, sessions }
    }

    fn invite(&self, for_days: u32, uses: u32) -> Result<Vec<Row>, Refusal> {
        if !(1..=INVITE_DAYS_MAX).contains(&for_days) || !(1..=INVITE_USES_MAX).contains(&uses) {
            return Err(Refusal::Malformed);
        }
        let expires = self.accounts.run_ms().saturating_add(milliseconds(days(for_days)));
        let code = self.new_code()?;
        let invite = Invite::new(&code, uses, unix_ms(), expires);
        self.accounts.add_invite(invite).map_err(|_| Refusal::Storage)?;
        let mut row = self.invite_row(&invite);
        if let Row::Invite { code: shown, registration, .. } = &mut row {
            *shown = Some(code.to_string());
            *registration = self.live.map(|live| word(live.registration).to_owned());
        }
        Ok(vec![row])
    }

    /// One whose id is free: the owner calls invites by it.
    fn new_code(&self) -> Result<InviteCode, Refusal> {
        let taken: Vec<_> = self.accounts.invites()?.iter().map(|invite| invite.hash().id()).collect();
        loop {
            let code = InviteCode::new();
            if !taken.contains(&code.hash().id()) {
                return Ok(code);
            }
        }
    }

    /// It expires at the day that is told if the server runs until then.
    fn invite_row(&self, invite: &Invite) -> Row {
        let (now, run_ms) = (unix_ms(), self.accounts.run_ms());
        let expires = now.saturating_add(invite.expires_run_ms()).saturating_sub(run_ms);
        let state = match invite.state(run_ms) {
            InviteState::Open => "open",
            InviteState::Used => "used",
            InviteState::Expired => "expired",
        };
        Row::Invite {
            id: invite.hash().id(),
            state: state.to_owned(),
            created: when(invite.created_ms()),
            expires: when(expires),
            uses: invite.uses(),
            used: invite.used(),
            code: None,
            registration: None,
        }
    }

    fn revoke(&self, id: &str) -> Result<Vec<Row>, Refusal> {
        let no_such = || Refusal::NoSuchInvite { id: id.to_owned() };
        let found = self.accounts.invites()?.into_iter().find(|invite| invite.hash().id() == id).ok_or_else(no_such)?;
        match self.accounts.revoke(found.hash()) {
            Ok(_) => Ok(vec![Row::Revoked { id: id.to_owned() }]),
            Err(ChangeError::NoSuchInvite) => Err(no_such()),
            Err(_) => Err(Refusal::Storage),
        }
    }

    /// A server that doesn't run remembers no failures.
    fn unlock(&self, whose: Option<&str>) -> Result<Vec<Row>, Refusal> {
        let only: Option<Whose> = whose.map(str::parse).transpose().map_err(|_| Refusal::Malformed)?;
        let lifted = self.live.map_or(0, |live| live.throttle().unlock(only.as_ref(), Instant::now()));
        let whose = only.map(|whose| whose.to_string());
        if lifted > 0 {
            log::info!("the owner: unlocked {}", whose.as_deref().unwrap_or("all"));
        }
        Ok(vec![Row::Unlocked { lifted, whose }])
    }

    fn status(&self) -> Result<Vec<Row>, Refusal> {
        let (now, figures) = (unix_ms(), self.accounts.figures()?);
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            running: self.live.map(|live| running(live, now)),
            accounts: figures.accounts,
            disabled: figures.disabled,
            invites: figures.invites,
            log_bytes: bytes_in(&self.folder.join(MESSAGES)),
        };
        let mut rows = vec![Row::Status(Box::new(status))];
        rows.extend(self.live.into_iter().flat_map(sessions));
        rows.extend(self.live.into_iter().flat_map(slowed));
        Ok(rows)
    }
}

fn running(live: &Shared, now: u64) -> Running {
    let (waiting_direct, waiting_group) = live.mail.waiting();
    Running {
        pid: std::process::id(),
        addresses: live.addresses.iter().map(ToString::to_string).collect(),
        identity: live.tls.identity().to_string(),
        since: when(live.began_ms),
        uptime_secs: now.saturating_sub(live.began_ms) / 1000,
        clients: live.hub().taken(),
        seats: live.settings.max_clients,
        guests: live.guests.count(),
        registration: word(live.registration).to_owned(),
        slowed: live.throttle().slowed(Instant::now()).len(),
        waiting_direct,
        waiting_group,
    }
}

/// Those who are here, by name and time.
fn sessions(live: &Shared) -> Vec<Row> {
    let mut here = live.hub().sessions();
    here.sort_by(|(name, one), (other_name, other)| (name, one.since_ms).cmp(&(other_name, other.since_ms)));
    let rows = here.into_iter().map(|(name, session)| Row::Session {
        mode: if session.mode == Mode::Receiving { "receiving" } else { "errand" }.to_owned(),
        since: when(session.since_ms),
        source: session.source.to_string(),
        waiting: (session.mode == Mode::Receiving).then(|| live.mail.waiting_for(&name)),
        name: name.to_string(),
    });
    rows.collect()
}

/// What is slowed, the most frequent first.
fn slowed(live: &Shared) -> Vec<Row> {
    let slowed = live.throttle().slowed(Instant::now());
    let rows = slowed.into_iter().take(SLOWED_SHOWN).map(|slowed| Row::Slowed {
        what: match slowed.kind {
            Kind::Logins => Slow::Logins,
            Kind::Passwords => Slow::Passwords,
            Kind::Registrations => Slow::Registrations,
        },
        source: slowed.source.to_string(),
        name: slowed.name.map(|name| name.to_string()),
        count: slowed.count,
        secs: RetryAfter(slowed.wait).seconds().into(),
    });
    rows.collect()
}

fn account_row(account: &Account) -> Row {
    Row::Account {
        name: account.name().to_string(),
        created: when(account.created_ms()),
        disabled: account.is_disabled(),
        fingerprint: account.identity().to_hex(),
    }
}

fn refusal(name: &UserName, why: ChangeError) -> Refusal {
    match why {
        ChangeError::NoSuchUser => no_such_user(name.as_str()),
        _ => Refusal::Storage,
    }
}

fn no_such_user(name: &str) -> Refusal {
    Refusal::NoSuchUser { name: name.to_owned() }
}

fn word(registration: Registration) -> &'static str {
    match registration {
        Registration::Open => "open",
        Registration::Invite => "invite",
        Registration::Closed => "closed",
    }
}

/// What was done, as text.
pub(super) fn word_for(change: Change) -> &'static str {
    match change {
        Change::Deleted => "deleted",
        Change::Disabled => "disabled",
        Change::Enabled => "enabled",
        Change::Kicked => "kicked",
    }
}

/// What the files of a folder hold. One that goes meanwhile holds nothing.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}
