//! The message log: what was accepted waits here until its recipients have it, whatever happens to the server.
//!
//! One log for all, and for each account a cursor: the last message that it acknowledged. A message gets a number and
//! begins to wait, and those who are connected hear of it, in one step under one lock ([`order`]); so numbers only grow,
//! for everybody. Sessions take their messages from memory, or when they lag behind, from the disk ([`Receiver`]): a slow
//! client needs no more memory than a fast one. One thread writes ([`writer`]): it takes all messages that wait, with one
//! write and one fsync, and only then, unless [`Durability::Memory`] was asked for, is their senders' answer given.

mod batch;
mod cache;
mod cursors;
mod dedup;
mod frames;
mod mailboxes;
mod order;
mod quotas;
mod reader;
mod receipts;
mod record;
mod segment;
mod sequence_map;
mod writer;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub(crate) use batch::Submissions;
use mailboxes::Owner;
use order::{Order, Starts, Wakes};
pub use quotas::Quotas;
pub(crate) use quotas::days;
pub(crate) use reader::{NotDelivered, Receiver};
use writer::Writer;

use super::accounts::Account;
use super::net::send_queue::Outbox;
use super::registry::hub::SessionId;
use super::shared::unix_ms;
use crate::error::{Exit, Explain};
use crate::limits::{ACKNOWLEDGE_WITHIN, SEGMENT_BYTES};
use crate::names::UserName;
use crate::storage::FileError;
use crate::storage::disk::{Disk, RealDisk};
use crate::text::visible;
use crate::wire::{Code, MessageId};

/// Folder of the segments within the data folder.
pub const FOLDER_NAME: &str = "messages";
/// File of the cursors within the data folder.
pub const CURSORS_NAME: &str = "cursors.jsonl";

/// What "accepted" waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// The disk: no crash takes an accepted message back.
    #[default]
    Disk,
    /// Nothing: a crash may take back what was accepted in the last moment.
    Memory,
}

/// The log and all that is known of what waits in it. Dropping it writes what is left and ends the thread that writes.
pub(crate) struct Store {
    inner: Arc<Inner>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What sessions and the writing thread share.
struct Inner {
    order: Mutex<Order>,
    /// There is something to write.
    work: Condvar,
    epoch: u64,
}

impl Store {
    /// Reads the log of a data folder and begins to write.
    pub(crate) fn open(
        folder: &Path,
        accounts: impl Iterator<Item = Arc<Account>>,
        quotas: Quotas,
        durability: Durability,
    ) -> Result<Self, StoreError> {
        Self::on(folder, accounts, quotas, durability, SEGMENT_BYTES, || Box::new(RealDisk))
    }

    /// The same on any disk.
    fn on(
        folder: &Path,
        accounts: impl Iterator<Item = Arc<Account>>,
        quotas: Quotas,
        durability: Durability,
        segment_bytes: u64,
        disk: impl Fn() -> Box<dyn Disk>,
    ) -> Result<Self, StoreError> {
        let epoch = unix_ms();
        let (mut cursors, found) = cursors::Cursors::open(folder.join(CURSORS_NAME), disk())?;
        let mut order = Order::new(quotas, durability, epoch);
        let mut unknown = HashMap::new();
        let (mut last, mut group) = (0, 0);
        for account in accounts {
            let owner = owner(&account);
            let cursor = found.get(&owner.name).filter(|(identity, _)| *identity == owner.identity);
            match cursor {
                Some((_, cursor)) => {
                    last = last.max(cursor.number);
                    group = group.max(cursor.group);
                }
                None => drop(unknown.insert(owner.name.clone(), owner.created_ms)),
            }
            order.index().add(owner, cursor.map(|(_, cursor)| *cursor));
        }
        let acknowledged = last;
        let mut starts = Starts::new(&unknown);
        let segments =
            segment::Segments::open(folder.join(FOLDER_NAME), disk(), segment_bytes, |meta, envelope, place| {
                while let Some(name) = starts.due(meta.stored_ms) {
                    order.restore_start(&name, meta.number.saturating_sub(1));
                }
                match order::header_of(envelope) {
                    Some(header) => order.restore(&meta, &header, envelope.len(), place),
                    None => log::error!("message {} of the log is no envelope; nobody will get it", meta.number),
                }
            })?;
        cursors.settle()?;
        let safe = segments.safe();
        if acknowledged > safe {
            log::warn!(
                "the log ends at message {safe}, but {acknowledged} was acknowledged: part of it was taken away"
            );
        }
        last = last.max(safe);
        order.index().count_on_from(group);
        while let Some(name) = starts.due(u64::MAX) {
            order.restore_start(&name, last);
        }
        order.restored(last, last);
        let inner = Arc::new(Inner { order: Mutex::new(order), work: Condvar::new(), epoch });
        let writer = Writer::new(Arc::clone(&inner), segments, cursors);
        let thread = std::thread::Builder::new().name("messages".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(StoreError::Thread)?;
        Ok(Self { inner, writer: Mutex::new(Some(thread)) })
    }

    /// Takes messages of one session, and what it acknowledged: one lock for both, and whoever hears of both is woken once.
    /// Answers come by `origin`, but refusals come from here.
    pub(crate) fn settle(
        &self,
        messages: &mut Submissions,
        receiver: Option<&mut Receiver>,
        origin: &Arc<Outbox>,
    ) -> Vec<(MessageId, Code)> {
        let now_ms = unix_ms();
        let refused = self.inner.change(|order, wakes| {
            receiver.into_iter().for_each(|receiver| receiver.settle(order, wakes));
            order.submit(messages, now_ms, origin, wakes)
        });
        messages.clear();
        refused
    }

    /// Lets a session get its account's messages, in place of an older one.
    pub(crate) fn attach(&self, account: &Account, id: SessionId, outbox: &Arc<Outbox>) -> Receiver {
        let (position, skipped) = self.inner.lock().attach(&owner(account), id, outbox);
        Receiver::new(Arc::clone(&self.inner), account.name().clone(), id, position, skipped)
    }

    /// Number of the last message that is safe on disk: no crash takes it back, but an older copy of the folder does.
    pub(crate) fn kept(&self) -> u64 {
        self.inner.lock().safe
    }

    /// A new account: it gets what comes from now on.
    pub(crate) fn join(&self, account: &Account) {
        self.inner.change(|order, wakes| order.join(owner(account), wakes));
    }

    /// An account is gone, and with it what waits for it.
    pub(crate) fn remove(&self, account: &Account) {
        self.inner.change(|order, wakes| order.remove(&owner(account), wakes));
    }

    /// An account is closed, or open again: while it is closed it is none of those who get group messages.
    pub(crate) fn set_disabled(&self, name: &UserName, disabled: bool) {
        self.inner.lock().index().set_disabled(name, disabled);
    }

    /// How many direct messages were not acknowledged, and how many group messages are kept.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.inner.lock().index().waiting()
    }

    /// How many messages this account has not acknowledged.
    pub(crate) fn waiting_for(&self, name: &UserName) -> usize {
        self.inner.lock().index().unacknowledged(name, 0).len()
    }

    /// Writes what is left and ends.
    pub(crate) fn close(&self) {
        self.inner.change(|order, _| order.is_stopping = true);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            log::error!("the thread that writes messages ended by a panic; please report it");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    /// Every change under this lock is whole before anything can panic.
    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, then wakes, without the lock, whom it concerns.
    fn change<T>(&self, change: impl FnOnce(&mut Order, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::default();
        let mut order = self.lock();
        let result = change(&mut order, &mut wakes);
        let needs_writer = order.needs_writer();
        drop(order);
        if needs_writer {
            self.work.notify_one();
        }
        wakes.wake();
        result
    }
}

fn owner(account: &Account) -> Owner {
    Owner {
        name: account.name().clone(),
        identity: account.origin(),
        created_ms: account.created_ms(),
        disabled: account.is_disabled(),
    }
}

/// Why the log can't be used. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A line of the file of cursors is not what this program wrote.
    #[error("{}, line {line}: not a cursor", visible(&path.to_string_lossy()))]
    Cursors {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A segment is not what this program wrote.
    #[error("{}, byte {offset}: the message log is damaged", visible(&path.to_string_lossy()))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
    },
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No thread for writing.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

impl Explain for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Cursors { path, .. } => Some(format!(
                "nothing was changed: restore the file from a backup, or move it away ({}): messages are delivered again then, \
                 and clients know those that they have",
                visible(&path.to_string_lossy())
            )),
            Self::Damaged { path, .. } => Some(format!(
                "nothing was changed: restore the file from a backup, or move it away ({}): its messages are lost then",
                visible(&path.to_string_lossy())
            )),
            Self::File(error) => error.hint(),
            Self::Thread(_) => Some("raise the limit of processes: ulimit -u".to_owned()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Cursors { .. } | Self::Damaged { .. } => Exit::Configuration,
            Self::File(error) => error.exit(),
            Self::Thread(_) => Exit::Local,
        }
    }
}

#[cfg(test)]
mod tests;
