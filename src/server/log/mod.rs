//! The message log: what was accepted waits here until its recipients have it, whatever happens to the server.
//!
//! One log for all, and for each account a cursor: the last message that it acknowledged. A message gets a number and
//! begins to wait, and those who are connected hear of it, in one step under one lock ([`order`]); so numbers only grow,
//! for everybody. Sessions take their messages from memory, or when they lag behind, from the disk ([`Receiver`]): a slow
//! client needs no more memory than a fast one. One thread writes ([`writer`]): it takes all messages that wait, with one
//! write and one fsync, and only then, unless [`Durability::Memory`] was asked for, is their senders' answer given.

mod batch;
mod delivery;
mod error;
mod files;
mod group;
mod mail;
mod mailbox;
mod mailboxes;
mod memory;
mod order;
mod quotas;
mod reader;
mod receipts;
mod recipients;
mod recovery;
mod unwritten;
mod writer;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

pub(crate) use batch::Submissions;
use delivery::Attachment;
pub use error::StoreError;
pub(crate) use files::cursors::run_ms;
pub(crate) use files::segment::give_up;
pub(crate) use mail::{Mail, Taken, Unreadable};
use mailbox::Owner;
use order::Order;
pub use quotas::Quotas;
pub(crate) use quotas::days;
pub(crate) use reader::{NotDelivered, Receiver};
use recipients::Wakes;
pub(crate) use recipients::{Handle, MustWake, Saying};
use recovery::Recovered;
#[cfg(feature = "simulation")]
pub(crate) use writer::Writer;
#[cfg(not(feature = "simulation"))]
use writer::Writer;

use super::accounts::{Account, Unavailable};
use super::clock::RunClock;
use crate::names::UserName;
use crate::storage::disk::Disk;
use crate::sync::lock;
use crate::wire::{Code, MessageId, ToClient};

/// What "accepted" waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// The disk: no crash takes an accepted message back.
    #[default]
    Disk,
    /// Nothing: a crash may take back what was accepted in the last moment.
    Memory,
}

/// The log of one data folder. Dropping it writes what is left and ends the thread that writes.
pub(crate) struct Store<H: Handle> {
    log: Arc<Log<H>>,
    /// `None` only while being dropped.
    writer: Option<JoinHandle<()>>,
}

/// What sessions and the writing thread share.
pub(crate) struct Log<H> {
    order: Mutex<Order<H>>,
    /// There is something to write.
    work: Condvar,
    clock: Arc<RunClock>,
}

/// A log that was read, whose thread does not write yet.
pub(crate) struct Idle<H: Handle> {
    log: Arc<Log<H>>,
    writer: Writer<H>,
}

impl<H: Handle> Idle<H> {
    /// Reads the log of a data folder.
    pub(crate) fn open(
        folder: &Path,
        accounts: impl Iterator<Item = Result<Arc<Account>, Unavailable>>,
        quotas: Quotas,
        durability: Durability,
        clock: Arc<RunClock>,
        segment_bytes: u64,
        disk: impl Fn() -> Box<dyn Disk>,
    ) -> Result<Self, StoreError> {
        let recovered = recovery::read(folder, accounts, quotas, durability, &clock, segment_bytes, disk)?;
        let Recovered { order, segments, cursors, reading } = recovered;
        let log = Arc::new(Log { order: Mutex::new(order), work: Condvar::new(), clock });
        let writer = Writer::new(Arc::clone(&log), segments, cursors, reading);
        Ok(Self { log, writer })
    }

    /// Its parts, for one who lets it write step by step.
    #[cfg(feature = "simulation")]
    pub(crate) fn into_parts(self) -> (Arc<Log<H>>, Writer<H>) {
        (self.log, self.writer)
    }

    /// Begins to write.
    pub(crate) fn start(self) -> Result<Store<H>, StoreError>
    where
        H: 'static,
    {
        let Self { log, writer } = self;
        let thread = std::thread::Builder::new().name("messages".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(StoreError::Thread)?;
        Ok(Store { log, writer: Some(thread) })
    }
}

impl<H: Handle> Store<H> {
    /// What sessions share of it.
    pub(crate) fn log(&self) -> &Arc<Log<H>> {
        &self.log
    }
}

/// Writes what is left and ends.
impl<H: Handle> Drop for Store<H> {
    fn drop(&mut self) {
        self.log.stop();
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            log::error!("the thread that writes messages ended by a panic; please report it");
        }
    }
}

impl<H: Handle> Log<H> {
    /// Every change under this lock is whole before anything can panic.
    fn lock(&self) -> MutexGuard<'_, Order<H>> {
        lock(&self.order)
    }

    /// Its writer is to write what is left, and end.
    fn stop(&self) {
        self.change(|order, _| order.queue.is_stopping = true);
    }

    /// Changes something, then wakes, without the lock, whom it concerns.
    fn change<T>(&self, change: impl FnOnce(&mut Order<H>, &mut Wakes<H>) -> T) -> T {
        let mut wakes = Wakes::default();
        let mut order = self.lock();
        let result = change(&mut order, &mut wakes);
        let needs_writer = order.queue.needs_writer();
        drop(order);
        if needs_writer {
            self.work.notify_one();
        }
        wakes.wake();
        result
    }
}

impl<H: Handle> Mail for Log<H> {
    type Handle = H;
    type Attachment = Attachment;

    fn settle(
        &self,
        messages: &mut Submissions,
        acknowledged: Option<(&Attachment, u64)>,
        origin: &Arc<H>,
    ) -> Vec<(MessageId, Code)> {
        let run_ms = self.clock.now_ms();
        let refused = self.change(|order, wakes| {
            acknowledged.into_iter().for_each(|(to, number)| order.acknowledge(to, number, wakes));
            order.submit(messages, run_ms, origin, wakes)
        });
        messages.clear();
        refused
    }

    fn attach(&self, account: &Account, handle: &Arc<H>) -> Attachment {
        self.lock().attach(&owner(account), handle)
    }

    fn acknowledged_before(&self, attachment: &Attachment) -> u64 {
        attachment.acknowledged
    }

    /// The disk is read without the lock.
    fn take(&self, attachment: &mut Attachment, room: usize, frames: &mut Vec<u8>) -> Result<Taken, Unreadable> {
        let (taken, sources, skipped) = self.lock().take(attachment, room);
        if skipped > 0 {
            ToClient::Skipped { count: skipped }.append_to(frames);
        }
        if taken.are_all {
            attachment.opened = None;
        }
        for source in sources {
            source.append(&mut attachment.opened, frames)?;
        }
        Ok(taken)
    }

    fn detach(&self, attachment: &Attachment, acknowledged: Option<u64>) {
        self.change(|order, wakes| {
            acknowledged.into_iter().for_each(|number| order.acknowledge(attachment, number, wakes));
            order.detach(attachment, wakes);
        });
    }

    fn kept(&self) -> u64 {
        self.lock().kept
    }

    fn next_start(&self) -> u64 {
        self.lock().next_start()
    }

    fn join(&self, account: &Account) {
        self.change(|order, wakes| order.join(owner(account), wakes));
    }

    fn remove(&self, account: &Account) {
        self.change(|order, wakes| order.remove(&owner(account), wakes));
    }

    fn set_disabled(&self, name: &UserName, disabled: bool) {
        self.lock().index().set_disabled(name, disabled);
    }

    fn waiting(&self) -> (usize, usize) {
        self.lock().index().waiting()
    }

    fn waiting_for(&self, name: &UserName) -> usize {
        self.lock().index().unacknowledged(name, 0).len()
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

#[cfg(test)]
mod tests;
