//! The one thread that changes accounts.

use std::collections::BTreeMap;
use std::iter;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, RwLock};

use super::record::Record;
use super::table::Table;
use super::{Account, Change, ChangeError, Invite, InviteHash, InviteState, Outcome};
use crate::limits::ACCOUNT_BATCH;
use crate::names::UserName;
use crate::server::clock::RunClock;
use crate::storage::journal::JournalError;
use crate::sync::{read, write};

/// Where records are kept; tests put a failing one in the file's place.
pub(super) trait Store: Send {
    /// Adds records; when this returns `Ok`, all of them are safe, else none counts.
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError>;

    /// Makes room if most of what was added is outdated. A failure changes nothing.
    fn tidy(&mut self, _table: &RwLock<Table>, _clock: &RunClock) {}
}

/// A change, and who waits for its outcome.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) change: Change,
    pub(super) answer: SyncSender<Result<Outcome, ChangeError>>,
}

pub(super) struct Writer<S> {
    table: Arc<RwLock<Table>>,
    store: S,
    max_accounts: usize,
    clock: Arc<RunClock>,
}

impl<S: Store> Writer<S> {
    pub(super) fn new(table: Arc<RwLock<Table>>, store: S, max_accounts: usize, clock: Arc<RunClock>) -> Self {
        Self { table, store, max_accounts, clock }
    }

    /// Works until nobody can send any more.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let batch: Vec<_> = iter::once(first).chain(requests.try_iter()).take(ACCOUNT_BATCH).collect();
            let (changes, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|request| (request.change, request.answer)).unzip();
            for (answer, outcome) in answers.iter().zip(self.settle(changes)) {
                // Whoever asked may be gone; the change stands all the same.
                let _ = answer.send(outcome);
            }
            self.store.tidy(&self.table, &self.clock);
        }
    }

    /// Makes one change.
    #[cfg(feature = "simulation")]
    pub(super) fn step(&mut self, change: Change) -> Result<Outcome, ChangeError> {
        let outcome = self.settle(vec![change]).remove(0);
        self.store.tidy(&self.table, &self.clock);
        outcome
    }

    /// Decides each change as if those before it were done, writes all, and only then shows them to everybody.
    pub(super) fn settle(&mut self, changes: Vec<Change>) -> Vec<Result<Outcome, ChangeError>> {
        let mut draft = Draft::new(&self.table, self.max_accounts, self.clock.now_ms());
        let outcomes: Vec<_> = changes.into_iter().map(|change| draft.change(change)).collect();
        let Draft { changed, changed_invites, records, .. } = draft;
        if records.is_empty() {
            return outcomes;
        }
        if let Err(error) = self.store.append(&records) {
            log::error!("accounts: nothing was changed: {error}");
            return vec![Err(ChangeError::Storage); outcomes.len()];
        }
        let mut table = write(&self.table);
        for (name, account) in changed {
            table.set(name, account);
        }
        for (hash, invite) in changed_invites {
            table.set_invite(hash, invite);
        }
        outcomes
    }
}

/// A batch of changes on top of the accounts, not yet written.
struct Draft<'a> {
    table: &'a RwLock<Table>,
    max_accounts: usize,
    /// How long the server has run.
    run_ms: u64,
    /// How many accounts there will be.
    count: usize,
    /// What the names of this batch will have.
    changed: BTreeMap<UserName, Option<Arc<Account>>>,
    /// What the invites of this batch will be.
    changed_invites: BTreeMap<InviteHash, Option<Invite>>,
    records: Vec<Record>,
}

impl<'a> Draft<'a> {
    fn new(table: &'a RwLock<Table>, max_accounts: usize, run_ms: u64) -> Self {
        let count = read(table).len();
        let (changed, changed_invites) = (BTreeMap::new(), BTreeMap::new());
        Self { table, max_accounts, run_ms, count, changed, changed_invites, records: Vec::new() }
    }

    fn change(&mut self, change: Change) -> Result<Outcome, ChangeError> {
        match change {
            Change::AddInvite(invite) => Ok(self.write_invite(Record::invite(&invite), invite.hash, Some(invite))),
            Change::Delete(owner) => {
                self.present(&owner)?;
                self.count = self.count.saturating_sub(1);
                Ok(self.write(Record::delete(owner.name.clone()), owner.name, None))
            }
            Change::Register(account) => self.register(account, None),
            Change::RegisterByInvite(account, code) => self.register_by_invite(account, code),
            Change::Revoke(code) => {
                self.find_invite(&code).ok_or(ChangeError::NoSuchInvite)?;
                Ok(self.write_invite(Record::revoke(code), code, None))
            }
            Change::SetDisabled(owner, disabled) => {
                let account = self.present(&owner)?;
                if account.disabled == disabled {
                    return Ok(Outcome::Unchanged);
                }
                let record = Record::disable(owner.name.clone(), disabled);
                Ok(self.write(record, owner.name, Some(Account { disabled, ..(*account).clone() })))
            }
            Change::SetKeys { owner, bundle, handover } => self.set_keys(&owner, bundle, handover),
            Change::SetVerifier(owner, verifier) => {
                let account = self.present(&owner)?;
                let record = Record::password(owner.name.clone(), &verifier);
                Ok(self.write(record, owner.name, Some(Account { verifier, ..(*account).clone() })))
            }
        }
    }

    /// Without a good invite nobody learns whether a name is taken.
    fn register_by_invite(&mut self, account: Account, code: Option<InviteHash>) -> Result<Outcome, ChangeError> {
        if self.find(&account.name).is_some_and(|holder| holder.has_same_keys(&account)) {
            return Ok(Outcome::Unchanged);
        }
        let is_open = |invite: &Invite| invite.state(self.run_ms) == InviteState::Open;
        let invite = code.and_then(|code| self.find_invite(&code)).filter(is_open);
        let invite = invite.ok_or(ChangeError::InviteRefused)?;
        let registered = self.register(account, Some(invite.hash))?;
        self.changed_invites.insert(invite.hash, Some(Invite { used: invite.used + 1, ..invite }));
        Ok(registered)
    }

    fn register(&mut self, account: Account, by: Option<InviteHash>) -> Result<Outcome, ChangeError> {
        match self.find(&account.name) {
            Some(holder) if holder.has_same_keys(&account) => Ok(Outcome::Unchanged),
            Some(_) => Err(ChangeError::NameTaken),
            None if self.count >= self.max_accounts => Err(ChangeError::Full),
            None => {
                self.count += 1;
                Ok(self.write(Record::register(&account, by), account.name.clone(), Some(account)))
            }
        }
    }

    fn set_keys(&mut self, owner: &Account, bundle: Vec<u8>, handover: Vec<u8>) -> Result<Outcome, ChangeError> {
        let account = self.present(owner)?;
        if account.has_same_bundle(&bundle) {
            return Ok(Outcome::Unchanged);
        }
        let record = Record::keys(owner.name.clone(), bundle.clone(), handover.clone());
        let renewed = account.with_keys(bundle, handover).map_err(|why| {
            log::debug!("new keys of {} were refused: {why}", owner.name);
            ChangeError::Stale
        })?;
        Ok(self.write(record, owner.name.clone(), Some(renewed)))
    }

    /// The account as it is by now, if it is still the same person's.
    fn present(&self, owner: &Account) -> Result<Arc<Account>, ChangeError> {
        self.find(&owner.name).filter(|account| account.identity == owner.identity).ok_or(ChangeError::NoSuchUser)
    }

    fn find(&self, name: &UserName) -> Option<Arc<Account>> {
        match self.changed.get(name) {
            Some(account) => account.clone(),
            None => read(self.table).find(name).cloned(),
        }
    }

    fn find_invite(&self, hash: &InviteHash) -> Option<Invite> {
        match self.changed_invites.get(hash) {
            Some(invite) => *invite,
            None => read(self.table).find_invite(hash).copied(),
        }
    }

    fn write_invite(&mut self, record: Record, hash: InviteHash, invite: Option<Invite>) -> Outcome {
        self.records.push(record);
        self.changed_invites.insert(hash, invite);
        Outcome::Changed
    }

    fn write(&mut self, record: Record, name: UserName, account: Option<Account>) -> Outcome {
        self.records.push(record);
        self.changed.insert(name, account.map(Arc::new));
        Outcome::Changed
    }
}
