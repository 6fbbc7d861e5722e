//! What waits to go to one client: bounded, filled by any thread, drained by the client's own.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::receipt::Receipt;
use crate::limits::WRITE_BATCH;
use crate::transport::Wakeup;
use crate::wire::{Code, DeliveryId};

/// One encoded frame, shared by all who get it.
#[derive(Clone)]
pub(super) struct Outgoing {
    /// The whole frame as bytes.
    pub(super) frame: Arc<[u8]>,
    /// For deliveries: their number, and who wants to know what became of them.
    pub(super) delivery: Option<(DeliveryId, Arc<Receipt>)>,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) deliveries: usize,
    pub(super) bytes: usize,
}

/// A client's queue.
pub(super) struct Outbox {
    bounds: Bounds,
    queue: Mutex<Queue>,
    wakeup: Wakeup,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Outgoing>,
    /// How many of these are deliveries. What a client hears of its own messages is not held against it:
    /// one recipient's acknowledgement may settle hundreds at once. It is bounded by `bytes`.
    deliveries: usize,
    bytes: usize,
    closing: Option<Code>,
    sleep: Sleep,
}

/// What the owner waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It is busy and will look here by itself.
    #[default]
    Awake,
    /// For its socket to take bytes: new frames don't interest it now.
    Blocked,
    /// For anything.
    Idle,
}

/// The frame was not taken: the client is being cut, or is so from now on since too much waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTaken;

impl Outbox {
    pub(super) fn new(bounds: Bounds) -> io::Result<Self> {
        Ok(Self { bounds, queue: Mutex::default(), wakeup: Wakeup::new()? })
    }

    /// Adds a frame and wakes the owner if it sleeps. Never blocks: a full queue closes itself.
    pub(super) fn push(&self, outgoing: Outgoing) -> Result<(), NotTaken> {
        let mut queue = self.lock();
        if queue.closing.is_some() {
            return Err(NotTaken);
        }
        let bytes = queue.bytes + outgoing.frame.len();
        let deliveries = queue.deliveries + usize::from(outgoing.delivery.is_some());
        let fits = bytes <= self.bounds.bytes && deliveries <= self.bounds.deliveries;
        if fits {
            queue.bytes = bytes;
            queue.deliveries = deliveries;
            queue.waiting.push_back(outgoing);
            self.wake(queue, &[Sleep::Idle]);
        } else {
            queue.closing = Some(Code::TooSlow);
            self.wake(queue, &[Sleep::Blocked, Sleep::Idle]);
        }
        if fits { Ok(()) } else { Err(NotTaken) }
    }

    /// Asks the owner to send what waits, say why, and end. The first reason counts.
    pub(super) fn close(&self, why: Code) {
        let mut queue = self.lock();
        queue.closing.get_or_insert(why);
        self.wake(queue, &[Sleep::Blocked, Sleep::Idle]);
    }

    /// Moves frames to `batch`, up to one TLS record's worth.
    pub(super) fn take(&self, batch: &mut Vec<Outgoing>) {
        let mut queue = self.lock();
        let mut bytes = 0;
        while bytes < WRITE_BATCH {
            let Some(outgoing) = queue.waiting.pop_front() else { break };
            bytes += outgoing.frame.len();
            queue.deliveries -= usize::from(outgoing.delivery.is_some());
            batch.push(outgoing);
        }
        queue.bytes -= bytes;
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Why the owner should end, if it should.
    pub(super) fn closing(&self) -> Option<Code> {
        self.lock().closing
    }

    /// Announces what the owner is about to wait for. False if there is something to do first.
    pub(super) fn fall_asleep(&self, sleep: Sleep) -> bool {
        let mut queue = self.lock();
        let nothing_to_do = queue.waiting.is_empty() || sleep == Sleep::Blocked;
        let may_sleep = nothing_to_do && queue.closing.is_none();
        queue.sleep = if may_sleep { sleep } else { Sleep::Awake };
        may_sleep
    }

    /// The owner waits no more.
    pub(super) fn awake(&self) {
        self.lock().sleep = Sleep::Awake;
    }

    /// What the owner waits on.
    pub(super) fn wakeup(&self) -> &Wakeup {
        &self.wakeup
    }

    /// Wakes an owner in one of these sleeps, outside the lock: the woken thread would only run into it.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>, from: &[Sleep]) {
        let sleeps = from.contains(&queue.sleep);
        if sleeps {
            queue.sleep = Sleep::Awake;
        }
        drop(queue);
        if sleeps {
            self.wakeup.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was never sent is lost to its recipient, and its sender hears so.
impl Drop for Outbox {
    fn drop(&mut self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        for (_, receipt) in waiting.into_iter().filter_map(|outgoing| outgoing.delivery) {
            receipt.lost();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MessageId;

    fn status(length: usize) -> Outgoing {
        Outgoing { frame: vec![0; length].into(), delivery: None }
    }

    fn outgoing(length: usize) -> Outgoing {
        let nobody = Arc::new(outbox(1, 1));
        let receipt = Arc::new(Receipt::new(&nobody, MessageId([0; 16]), 1));
        Outgoing { delivery: Some((DeliveryId { epoch: 1, number: 1 }, receipt)), ..status(length) }
    }

    fn outbox(deliveries: usize, bytes: usize) -> Outbox {
        Outbox::new(Bounds { deliveries, bytes }).unwrap()
    }

    #[test]
    fn what_a_sender_hears_of_its_messages_is_bounded_by_bytes_alone() {
        let outbox = outbox(2, 1000);
        for _ in 0..10 {
            assert_eq!(outbox.push(status(50)), Ok(()));
        }
        assert_eq!(outbox.push(outgoing(50)), Ok(()));
        assert_eq!(outbox.push(status(500)), Err(NotTaken));
    }

    #[test]
    fn too_many_deliveries_cut_the_client() {
        let outbox = outbox(2, 1000);
        assert_eq!(outbox.push(outgoing(1)), Ok(()));
        assert_eq!(outbox.push(outgoing(1)), Ok(()));
        assert_eq!(outbox.push(outgoing(1)), Err(NotTaken));
        assert_eq!(outbox.closing(), Some(Code::TooSlow));
    }

    #[test]
    fn too_many_bytes_cut_the_client() {
        let outbox = outbox(100, 1000);
        assert_eq!(outbox.push(outgoing(600)), Ok(()));
        assert_eq!(outbox.push(outgoing(600)), Err(NotTaken));
        assert_eq!(outbox.closing(), Some(Code::TooSlow));
    }

    #[test]
    fn a_closing_client_takes_nothing_but_keeps_what_waits() {
        let outbox = outbox(100, 1000);
        outbox.push(outgoing(5)).unwrap();
        outbox.close(Code::Replaced);
        outbox.close(Code::ShuttingDown);
        assert_eq!(outbox.push(outgoing(5)), Err(NotTaken));
        assert_eq!(outbox.closing(), Some(Code::Replaced));
        let mut batch = Vec::new();
        outbox.take(&mut batch);
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn a_batch_is_one_record_and_frees_its_room() {
        let outbox = outbox(100, 40_000);
        for _ in 0..4 {
            outbox.push(outgoing(10_000)).unwrap();
        }
        let mut batch = Vec::new();
        outbox.take(&mut batch);
        assert_eq!(batch.len(), 2);
        assert_eq!(outbox.push(outgoing(20_000)), Ok(()));
    }

    #[test]
    fn what_waits_when_the_client_is_gone_is_told_to_its_sender() {
        let sender = Arc::new(outbox(9, 1000));
        let receipt = Arc::new(Receipt::new(&sender, MessageId([0; 16]), 1));
        let recipient = outbox(9, 1000);
        let delivery = Some((DeliveryId { epoch: 1, number: 1 }, receipt));
        recipient.push(Outgoing { delivery, ..status(5) }).unwrap();
        assert!(sender.is_empty());
        drop(recipient);
        assert!(!sender.is_empty());
    }

    #[test]
    fn only_an_idle_owner_falls_asleep() {
        let outbox = outbox(9, 1000);
        assert!(outbox.fall_asleep(Sleep::Idle));
        outbox.push(outgoing(1)).unwrap();
        assert!(!outbox.fall_asleep(Sleep::Idle));
        assert!(outbox.fall_asleep(Sleep::Blocked));
        outbox.take(&mut Vec::new());
        assert!(outbox.fall_asleep(Sleep::Idle));
        outbox.close(Code::Deleted);
        assert!(!outbox.fall_asleep(Sleep::Idle));
        assert!(!outbox.fall_asleep(Sleep::Blocked));
    }
}
