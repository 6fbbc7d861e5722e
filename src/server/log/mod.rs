//! The message log: what was accepted waits here until its recipients have it, whatever happens to the server.
//!
//! One log for all, and for each account a cursor: the last message that it acknowledged. A message gets a number and
//! begins to wait, and those who are connected hear of it, in one step under one lock ([`order`]); so numbers only grow,
//! for everybody. Sessions take their messages from memory, or when they lag behind, from the disk ([`Receiver`]): a slow
//! client needs no more memory than a fast one. One thread writes ([`writer`]): it takes all messages that wait, with one
//! write and one fsync, and only then, unless [`Durability::Memory`] was asked for, is their senders' answer given.

mod batch;
mod files;
mod mailboxes;
mod memory;
mod order;
mod quotas;
mod reader;
mod receipts;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

pub(crate) use batch::Submissions;
pub(crate) use files::cursors::run_ms;
use files::cursors::{Cursors, Mark};
pub(crate) use files::segment::give_up;
use files::segment::{Proof, Segments};
use mailboxes::Owner;
use order::{Order, Starts, Wakes};
pub use quotas::Quotas;
pub(crate) use quotas::days;
pub(crate) use reader::{NotDelivered, Receiver};
use writer::Writer;

use super::accounts::Account;
use super::clock::{Reading, RunClock, Step, unix_ms};
use super::folder::{CURSORS, MESSAGES};
use super::net::SessionId;
use super::net::send_queue::Outbox;
use crate::crypto::random;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::limits::{ACKNOWLEDGE_WITHIN, SEGMENT_BYTES};
use crate::names::{Recipient, UserName};
use crate::storage::FileError;
use crate::storage::disk::{Disk, RealDisk};
use crate::storage::journal::{JournalError, version_hint};
use crate::sync::lock;
use crate::text::{quoted, visible_path};
use crate::wire::{Code, MessageId};

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
    /// Tells this run's deliveries from those of others.
    epoch: u64,
    clock: Arc<RunClock>,
}

impl Store {
    /// Reads the log of a data folder and begins to write.
    pub(crate) fn open(
        folder: &Path,
        accounts: impl Iterator<Item = Arc<Account>>,
        quotas: Quotas,
        durability: Durability,
        clock: Arc<RunClock>,
    ) -> Result<Self, StoreError> {
        Self::on(folder, accounts, quotas, durability, clock, SEGMENT_BYTES, || Box::new(RealDisk))
    }

    /// The same on any disk.
    fn on(
        folder: &Path,
        accounts: impl Iterator<Item = Arc<Account>>,
        quotas: Quotas,
        durability: Durability,
        clock: Arc<RunClock>,
        segment_bytes: u64,
        disk: impl Fn() -> Box<dyn Disk>,
    ) -> Result<Self, StoreError> {
        let epoch = u64::from_be_bytes(random::bytes());
        let (mut cursors, found) = Cursors::read(folder.join(CURSORS))?;
        let before = found.mark.map(|mark| mark.reading).unwrap_or_default();
        clock.raise(before.run_ms);
        let mut order = Order::new(quotas, durability, epoch);
        let mut unknown = Vec::new();
        // Of accounts that are gone, too: numbers go on behind all that were ever used.
        let ends = found.cursors.values().map(|(.., joined, cursor)| (cursor.number, *joined, cursor.group));
        let (acknowledged, mut last, group) = ends.fold((0, 0, 0), |(number, last, group), (at, joined, of_group)| {
            let message = if at == joined { 0 } else { at };
            (message.max(number), at.max(joined).max(last), of_group.max(group))
        });
        for account in accounts {
            let owner = owner(&account);
            last = last.max(owner.joined);
            let line = found.cursors.get(&owner.name);
            let line = line.filter(|(name, identity, joined, _)| owner.is_whose(name, *identity, *joined));
            if line.is_none() {
                unknown.push((owner.joined, owner.name.clone()));
            }
            order.index().add(owner, line.map(|(.., cursor)| *cursor));
        }
        let mut starts = Starts::new(unknown);
        let proof = Proof {
            // One that is torn may have told that some are deleted since.
            first: found.mark.filter(|_| !found.is_torn).map(|mark| mark.first),
            safe: found.mark.map_or(0, |mark| mark.safe).max(acknowledged),
        };
        let path = folder.join(MESSAGES);
        let segments = Segments::open(path, disk(), segment_bytes, proof, |meta, envelope, place| {
            clock.raise(meta.run_ms);
            let header = order::header_of(envelope);
            let is_group = header.as_ref().is_some_and(|header| header.recipient == Recipient::All);
            order.index().count_on_from(meta.group.saturating_sub(is_group.into()));
            while let Some(name) = starts.due(meta.number) {
                order.index().restore_start(&name);
            }
            match header {
                Some(header) => order.restore(&meta, &header, envelope.len(), place),
                None => log::error!("message {} of the log is no envelope; nobody will get it", meta.number),
            }
        })?;
        let reading = Reading { run_ms: clock.now_ms(), unix_ms: unix_ms() };
        if let Some(step) = Step::since_last_run(before, reading) {
            log::warn!("{step}");
        }
        cursors.settle(disk(), Mark { first: segments.first(0), safe: segments.safe(), reading })?;
        last = last.max(segments.safe());
        order.index().count_on_from(group);
        while let Some(name) = starts.due(u64::MAX) {
            order.index().restore_start(&name);
        }
        order.restored(last, segments.safe());
        let inner = Arc::new(Inner { order: Mutex::new(order), work: Condvar::new(), epoch, clock });
        let writer = Writer::new(Arc::clone(&inner), segments, cursors, reading);
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
        let run_ms = self.inner.clock.now_ms();
        let refused = self.inner.change(|order, wakes| {
            receiver.into_iter().for_each(|receiver| receiver.settle(order, wakes));
            order.submit(messages, run_ms, origin, wakes)
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
        self.inner.lock().kept
    }

    /// Where a new account begins, which is not in the log yet.
    pub(crate) fn next_start(&self) -> u64 {
        self.inner.lock().next_start()
    }

    /// A new account: it gets what comes behind its start.
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
        let writer = lock(&self.writer).take();
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
        lock(&self.order)
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
        joined: account.joined(),
        disabled: account.is_disabled(),
    }
}

/// Why the log can't be used. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file of cursors is not what this program wrote.
    #[error(transparent)]
    Cursors(#[from] JournalError),
    /// A segment is not what this program wrote.
    #[error("{}, byte {offset}: the message log is damaged", visible_path(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
    },
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A segment is gone.
    #[error("{}: messages {first} to {last} are missing", visible_path(path))]
    Missing {
        /// The file, or its place.
        path: PathBuf,
        /// The first number that is missing.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// The last segment ends too early.
    #[error(
        "{}, byte {offset}: the message log ends with message {found}, but {proven} was on disk",
        visible_path(path)
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// Where it ends.
        offset: u64,
        /// The last message there.
        found: u64,
        /// The last message that is known to have been there.
        proven: u64,
    },
    /// Another program wrote it.
    #[error("{} is of version 1 of its format, and this program reads version 2", visible_path(path))]
    Version {
        /// The file.
        path: PathBuf,
    },
    /// No thread for writing.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

impl Explain for StoreError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Cursors(error) => error.hint(),
            Self::Damaged { path, .. } => Some(without(path, "all messages in it that wait for somebody are lost")),
            Self::Missing { path, .. } => Some(without(path, "those of them that wait for somebody are lost")),
            Self::Short { path, .. } => Some(without(path, "all messages in it that wait for somebody are lost")),
            Self::Version { .. } => Some(version_hint(1, 2)),
            Self::File(error) => error.hint(),
            Self::Thread(_) => Some(Hint::from("raise the limit of processes: ").typed("ulimit -u")),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Cursors(JournalError::File(error)) => error.exit(),
            Self::Cursors(_)
            | Self::Damaged { .. }
            | Self::Missing { .. }
            | Self::Short { .. }
            | Self::Version { .. } => Exit::Configuration,
            Self::File(error) => error.exit(),
            Self::Thread(_) => Exit::Local,
        }
    }
}

/// What to do about a segment, and what it costs to do without.
fn without(path: &Path, lost: &str) -> Hint {
    let marker = files::segment::lost(path);
    Hint::from("nothing was changed: put it back from a backup, or if there is none: ")
        .typed(format!("touch {}", quoted(&marker.to_string_lossy())))
        .then(format!(" (then {lost})"))
}

#[cfg(test)]
mod tests;
