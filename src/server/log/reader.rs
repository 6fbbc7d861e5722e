//! One session's way through the log.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use super::files::segment::{Place, Segment};
use super::order::{Order, Position, Source, Wakes};
use super::{ACKNOWLEDGE_WITHIN, Inner};
use crate::limits::UNACKNOWLEDGED;
use crate::names::UserName;
use crate::server::net::SessionId;
use crate::wire::{DeliveryId, ToClient, deliver};

/// Takes the messages of one account for one session, in order, each once. Dropping it ends that.
pub(crate) struct Receiver {
    inner: Arc<Inner>,
    name: UserName,
    id: SessionId,
    position: Position,
    /// To be told before the next message.
    skipped: u64,
    /// Delivered and not acknowledged, ascending.
    outstanding: VecDeque<u64>,
    /// The last one that was acknowledged, if the log does not know that yet.
    acknowledged: Option<u64>,
    /// The last acknowledgement, or when the first delivery after it went out.
    since: Instant,
    /// There may be more to take.
    is_behind: bool,
    is_finished: bool,
    opened: Option<(Arc<Segment>, File)>,
}

/// An acknowledgement of something that was not delivered in this session, or was acknowledged before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotDelivered;

/// A message can't be read from the disk; the log says which.
#[derive(Debug)]
pub(crate) struct Unreadable;

impl Receiver {
    pub(super) fn new(inner: Arc<Inner>, name: UserName, id: SessionId, position: Position, skipped: u64) -> Self {
        Self {
            inner,
            name,
            id,
            position,
            skipped,
            outstanding: VecDeque::new(),
            acknowledged: None,
            since: Instant::now(),
            is_behind: true,
            is_finished: false,
            opened: None,
        }
    }

    /// Whether [`Self::take`] may find something.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_behind && self.room() > 0
    }

    /// Takes no more; what was delivered may still be acknowledged, and what was not waits for the next session.
    pub(crate) fn finish(&mut self) {
        self.is_finished = true;
    }

    /// There is mail.
    pub(crate) fn announce(&mut self) {
        self.is_behind = true;
    }

    /// Adds the next frames to `frames`, about [`WRITE_BATCH`](crate::limits::WRITE_BATCH) bytes; none if there is nothing more for now, or if too
    /// many wait for an acknowledgement.
    pub(crate) fn take(&mut self, frames: &mut Vec<u8>) -> Result<(), Unreadable> {
        if !self.is_ready() {
            return Ok(());
        }
        let room = self.room();
        let (taken, skipped) = self.inner.lock().take(&self.name, self.id, &mut self.position, room);
        let skipped = skipped + std::mem::take(&mut self.skipped);
        if skipped > 0 {
            ToClient::Skipped { count: skipped }.append_to(frames);
        }
        // One that gets nothing although there is more is not attached any more.
        self.is_behind = !taken.are_all && !taken.numbers.is_empty();
        if taken.are_all {
            self.opened = None;
        }
        if self.outstanding.is_empty() && !taken.numbers.is_empty() {
            self.since = Instant::now();
        }
        for source in taken.sources {
            self.append(source, frames)?;
        }
        self.outstanding.extend(taken.numbers);
        Ok(())
    }

    /// The client has `delivery` and all that it got before. The log hears of it with [`Store::settle`](super::Store::settle).
    pub(crate) fn acknowledge(&mut self, delivery: DeliveryId) -> Result<(), NotDelivered> {
        let position = self.outstanding.binary_search(&delivery.number).map_err(|_| NotDelivered)?;
        if delivery.epoch != self.inner.epoch {
            return Err(NotDelivered);
        }
        self.outstanding.drain(..=position);
        self.since = Instant::now();
        self.acknowledged = Some(delivery.number);
        Ok(())
    }

    /// Whether there are acknowledgements that the log does not know.
    pub(crate) fn has_acknowledged(&self) -> bool {
        self.acknowledged.is_some()
    }

    /// Tells the log what was acknowledged.
    pub(super) fn settle(&mut self, order: &mut Order, wakes: &mut Wakes) {
        if let Some(number) = self.acknowledged.take() {
            order.acknowledge(&self.name, number, wakes);
        }
    }

    /// Until when the client must acknowledge something, if it let as many wait as it may.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.outstanding.len() >= UNACKNOWLEDGED).then(|| self.since + ACKNOWLEDGE_WITHIN)
    }

    fn room(&self) -> usize {
        if self.is_finished { 0 } else { UNACKNOWLEDGED.saturating_sub(self.outstanding.len()) }
    }

    /// The same by itself.
    #[cfg(test)]
    pub(super) fn settle_now(&mut self) {
        let inner = Arc::clone(&self.inner);
        inner.change(|order, wakes| self.settle(order, wakes));
    }

    /// What the last delivery is to be acknowledged with.
    #[cfg(test)]
    pub(super) fn last_delivered(&self) -> Option<DeliveryId> {
        self.outstanding.back().map(|number| DeliveryId { epoch: self.inner.epoch, number: *number })
    }

    fn append(&mut self, source: Source, frames: &mut Vec<u8>) -> Result<(), Unreadable> {
        match source {
            Source::Memory { frames: more, has_waited } => {
                let begin = frames.len();
                frames.extend_from_slice(more.bytes());
                if has_waited {
                    deliver::set_backlog(&mut frames[begin..]);
                }
            }
            Source::Disk { number, place, has_waited } => {
                let envelope = self.read(&place).map_err(|error| {
                    let path = place.segment.path().display();
                    log::error!("reading message {number} from {path}: {error}");
                    Unreadable
                })?;
                let delivery = DeliveryId { epoch: self.inner.epoch, number };
                deliver::append(frames, delivery, has_waited, &envelope);
            }
        }
        Ok(())
    }

    fn read(&mut self, place: &Place) -> std::io::Result<Vec<u8>> {
        let is_open = self.opened.as_ref().is_some_and(|(segment, _)| Arc::ptr_eq(segment, &place.segment));
        if !is_open {
            let file = place.segment.open().map_err(std::io::Error::other)?;
            self.opened = Some((Arc::clone(&place.segment), file));
        }
        match &self.opened {
            Some((_, file)) => place.read(file),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let inner = Arc::clone(&self.inner);
        inner.change(|order, wakes| {
            self.settle(order, wakes);
            order.detach(&self.name, self.id, wakes);
        });
    }
}
