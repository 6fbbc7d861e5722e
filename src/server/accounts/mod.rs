//! Accounts: who exists, by which key and password verifier.
//!
//! All of them are in memory, for any session thread to look up, and in one append-only file
//! (`record.rs` tells its lines). Every change goes through one thread, the only one that touches the file:
//! it takes all changes that wait, writes their lines at once, waits until they are on disk, then shows them
//! to everybody and answers. So an answer "ok" is never taken back, many registrations share one fsync,
//! no lock is held over input or output, and two changes of one name can't cross.

mod file;
mod invite;
mod ledger;
mod record;
mod table;
mod writer;

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::thread::{self, JoinHandle};

pub use file::{FILE_NAME, FORMAT};
pub use invite::{Invite, InviteCode, InviteHash, InviteState};
pub use ledger::{Change, Figures, Ledger, Unavailable};
use table::Table;
use writer::Request;

use super::folder;
use crate::crypto::digest;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::limits::{ACCOUNT_BATCH, LINEAGE_MAX};
use crate::names::UserName;
use crate::server::clock::RunClock;
use crate::storage::folder::LockedFolder;
use crate::storage::journal::JournalError;
use crate::storage::manifest::ManifestError;
use crate::sync::read;
use crate::wire::{self, Bundle, Fingerprint, Predecessor, Verifier};

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    name: UserName,
    created_ms: u64,
    /// Where it began in the log of messages.
    joined: u64,
    verifier: Verifier,
    bundle: Vec<u8>,
    identity: Fingerprint,
    /// Its first identity.
    origin: Fingerprint,
    /// The identity keys before that of the bundle, the newest first.
    lineage: Vec<Predecessor>,
    disabled: bool,
}

impl Account {
    /// A new account with the name and keys of this encoded [`Bundle`].
    ///
    /// Only the encoding is checked here: that the keys are acceptable and the signature holds is the caller's
    /// to know, as is that `verifier` is strong enough. `created_ms` is Unix time in milliseconds.
    pub fn new(bundle: Vec<u8>, verifier: Verifier, created_ms: u64) -> Result<Self, wire::Error> {
        let keys = Bundle::parse(&bundle)?;
        let identity = Fingerprint(digest::sha256(&keys.identity));
        let (origin, lineage) = (identity, Vec::new());
        let (joined, disabled) = (0, false);
        Ok(Self { name: keys.name, created_ms, joined, verifier, bundle, identity, origin, lineage, disabled })
    }

    /// The same, which begins behind this number of the log of messages. No two accounts of one name begin at the same.
    pub(super) fn joining(self, joined: u64) -> Self {
        Self { joined, ..self }
    }

    /// The same account with the keys of a newer bundle. `handover` is the old identity's signature that names the new one,
    /// and empty if the identity stays.
    ///
    /// That the keys are acceptable and the signatures hold is the caller's to know.
    fn with_keys(&self, bundle: Vec<u8>, handover: Vec<u8>) -> Result<Self, KeysError> {
        let (old, keys) = (self.keys(), Bundle::parse(&bundle)?);
        if keys.name != self.name {
            return Err(KeysError::OtherName { bundle: keys.name });
        }
        if keys.number <= old.number {
            return Err(KeysError::Stale { number: keys.number, known: old.number });
        }
        if handover.is_empty() != (keys.identity == old.identity) {
            return Err(KeysError::Handover);
        }
        let mut lineage = self.lineage.clone();
        if !handover.is_empty() {
            lineage.insert(0, Predecessor { identity: old.identity, handover });
            lineage.truncate(LINEAGE_MAX);
        }
        let identity = Fingerprint(digest::sha256(&keys.identity));
        Ok(Self { bundle, identity, lineage, ..self.clone() })
    }

    /// Its name.
    pub fn name(&self) -> &UserName {
        &self.name
    }

    /// When it was registered, as Unix time in milliseconds: to be shown, nothing depends on it.
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// It gets messages behind this number of the log. With the name it tells the account from earlier and later ones.
    pub fn joined(&self) -> u64 {
        self.joined
    }

    /// What is kept of its password.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The encoded bundle, byte for byte as its owner sent it.
    pub fn bundle(&self) -> &[u8] {
        &self.bundle
    }

    /// The bundle as values.
    pub fn keys(&self) -> Bundle {
        Bundle::parse(&self.bundle).expect("the bundle parsed when the account got it")
    }

    /// SHA-256 of its identity key.
    pub fn identity(&self) -> Fingerprint {
        self.identity
    }

    /// SHA-256 of its first identity key: tells it from other accounts that had or will have its name, whatever keys it has now.
    pub fn origin(&self) -> Fingerprint {
        self.origin
    }

    /// The identity keys that it had before, the newest first.
    pub fn lineage(&self) -> &[Predecessor] {
        &self.lineage
    }

    /// Whether this is its identity, or was in its lineage.
    pub fn is_known_by(&self, identity: Fingerprint) -> bool {
        let is_former = |former: &Predecessor| digest::sha256(&former.identity) == identity.0;
        identity == self.identity || self.lineage.iter().any(is_former)
    }

    /// Whether the server's owner closed it.
    pub fn is_disabled(&self) -> bool {
        self.disabled
    }

    fn has_same_bundle(&self, bundle: &[u8]) -> bool {
        Bundle::parse(bundle).is_ok_and(|other| other.says_the_same(&self.keys()))
    }

    /// Whether all four keys are the same.
    pub fn has_same_keys(&self, other: &Self) -> bool {
        let (own, others) = (self.keys(), other.keys());
        own.identity == others.identity
            && own.encryption == others.encryption
            && own.ed25519 == others.ed25519
            && own.x25519 == others.x25519
    }
}

/// The accounts of one data folder, shared by all threads. Dropping it ends and joins the thread that writes.
#[derive(Debug)]
pub struct Accounts {
    table: Arc<RwLock<Table>>,
    clock: Arc<RunClock>,
    /// `None` before its writer runs, and while being dropped.
    requests: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl Accounts {
    /// Reads all accounts of a folder; a new one has none.
    ///
    /// Anything but whole, known and consistent records is refused with its line, and the file left as it is.
    /// Only a torn or damaged last record is cut off, kept in a copy, and logged.
    pub fn open(folder: &LockedFolder, max_accounts: usize, clock: Arc<RunClock>) -> Result<Self, AccountsError> {
        Idle::open(folder.path(), max_accounts, clock)?.start()
    }

    /// What nobody writes to.
    fn over(table: Table, clock: Arc<RunClock>) -> Self {
        Self { table: Arc::new(RwLock::new(table)), clock, requests: None, writer: None }
    }

    /// Begins to write.
    fn start(mut self, store: impl writer::Store + 'static, max_accounts: usize) -> Result<Self, AccountsError> {
        // Every session waits for its answer, so no more requests wait than there are sessions.
        let (requests, received) = mpsc::sync_channel(ACCOUNT_BATCH);
        let writer = self.writer(store, max_accounts);
        let writer = thread::Builder::new()
            .name("accounts".to_owned())
            .spawn(move || writer.run(&received))
            .map_err(AccountsError::Thread)?;
        (self.requests, self.writer) = (Some(requests), Some(writer));
        Ok(self)
    }

    fn writer<S: writer::Store>(&self, store: S, max_accounts: usize) -> writer::Writer<S> {
        writer::Writer::new(Arc::clone(&self.table), store, max_accounts, Arc::clone(&self.clock))
    }

    /// The table is changed by single insertions and removals, so it is whole even if a thread panicked with it.
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        read(&self.table)
    }
}

/// Accounts that were read, and whose thread does not write yet.
pub(super) struct Idle {
    accounts: Accounts,
    database: file::Database,
    max_accounts: usize,
}

impl Idle {
    /// Reads all accounts of a folder.
    pub(super) fn open(folder: &Path, max_accounts: usize, clock: Arc<RunClock>) -> Result<Self, AccountsError> {
        folder::parts(folder).ready(FILE_NAME, file::create)?;
        let (table, database) = file::load(&folder.join(FILE_NAME), &clock)?;
        Ok(Self { accounts: Accounts::over(table, clock), database, max_accounts })
    }

    /// What was read.
    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Begins to write.
    pub(super) fn start(self) -> Result<Accounts, AccountsError> {
        self.accounts.start(self.database, self.max_accounts)
    }

    /// Lets this thread write: it makes a change when it is asked to.
    #[cfg(feature = "simulation")]
    pub(super) fn stepped(self) -> (Accounts, impl FnMut(Change) -> Result<Outcome, ChangeError>) {
        let mut writer = self.accounts.writer(self.database, self.max_accounts);
        (self.accounts, move |change| writer.step(change))
    }
}

impl Ledger for Accounts {
    fn run_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn find(&self, name: &UserName) -> Result<Option<Arc<Account>>, Unavailable> {
        Ok(self.read().find(name).cloned())
    }

    fn page(&self, after: Option<&UserName>, count: usize) -> Result<Vec<Arc<Account>>, Unavailable> {
        Ok(self.read().page(after, count))
    }

    fn invites(&self) -> Result<Vec<Invite>, Unavailable> {
        let mut invites: Vec<_> = self.read().invites().copied().collect();
        invites.sort_by_key(|invite| (invite.created_ms, invite.hash));
        Ok(invites)
    }

    fn find_invite(&self, hash: InviteHash) -> Result<Option<Invite>, Unavailable> {
        Ok(self.read().find_invite(&hash).copied())
    }

    fn figures(&self) -> Result<Figures, Unavailable> {
        let (table, run_ms) = (self.read(), self.run_ms());
        Ok(Figures {
            accounts: table.len(),
            disabled: table.all().filter(|account| account.disabled).count(),
            invites: table.invites().filter(|invite| invite.state(run_ms) == InviteState::Open).count(),
        })
    }

    fn change(&self, change: Change) -> Result<Outcome, ChangeError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let requests = self.requests.as_ref().ok_or(ChangeError::Storage)?;
        requests.send(Request { change, answer }).map_err(|_| ChangeError::Storage)?;
        answered.recv().map_err(|_| ChangeError::Storage)?
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        drop(self.requests.take());
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            log::error!("the thread that writes accounts panicked");
        }
    }
}

/// What an accepted change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and on disk.
    Changed,
    /// It was so already, and is on disk.
    Unchanged,
}

/// Why a change was not made. Nothing changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// No more accounts fit.
    #[error("this server takes no more accounts")]
    Full,
    /// The invite is missing, unknown, used or too old.
    #[error("registration needs an invite code that is good")]
    InviteRefused,
    /// The name belongs to other keys.
    #[error("that name is taken")]
    NameTaken,
    /// There is no such invite.
    #[error("no such invite")]
    NoSuchInvite,
    /// There is no such account, or not any more.
    #[error("no such user")]
    NoSuchUser,
    /// The account has newer keys.
    #[error("newer keys are known already")]
    Stale,
    /// The disk failed; the log says how.
    #[error("the server can't store that now")]
    Storage,
}

/// Why keys do not follow those of an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A new identity without a handover, or a handover to the same one.
    #[error("a handover belongs to a new identity key, and to no other")]
    Handover,
    /// The bundle is none.
    #[error("{0}")]
    Layout(#[from] wire::Error),
    /// The bundle is another account's.
    #[error("the key bundle is for the name {bundle}")]
    OtherName { bundle: UserName },
    /// The bundle is not newer.
    #[error("the key bundle has number {number}, after {known}")]
    Stale {
        number: u64,
        /// The number of the one before.
        known: u64,
    },
}

/// Why the accounts of a folder can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// The file is gone.
    #[error(transparent)]
    Folder(#[from] ManifestError),
    /// The file can't be read or written, or is not what this program wrote.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No thread for writing.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
    /// What keeps them is away.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Explain for AccountsError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Folder(error) => error.hint(),
            Self::Journal(error) => error.hint(),
            Self::Unavailable(_) => None,
            Self::Thread(_) => Some(Hint::from("raise the limit of processes: ").typed("ulimit -u")),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Journal(JournalError::Damaged { .. } | JournalError::Version { .. }) => Exit::Configuration,
            Self::Folder(error) => folder::exit(error),
            Self::Journal(error) => error.exit(),
            Self::Thread(_) | Self::Unavailable(_) => Exit::Local,
        }
    }
}

#[cfg(test)]
mod tests;
