//! The one thread that writes messages and cursors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cursors::{Cursors, Line};
use super::order::{Unwritten, Wakes, WriterState};
use super::segment::Segments;
use super::{Durability, Inner};
use crate::limits::{CURSORS_WITHIN, EXPIRE_EVERY, SYNC_WITHIN};
use crate::server::shared::unix_ms;

pub(super) struct Writer {
    inner: Arc<Inner>,
    durability: Durability,
    segments: Segments,
    cursors: Cursors,
    /// When cursors were written last, or tried to be.
    flushed: Instant,
    /// When messages were written last, or tried to be.
    written: Instant,
    /// When messages over their age were looked for last.
    expired: Option<Instant>,
    /// When the disk refused messages that were accepted already: they are tried again after a while.
    failed: Option<Instant>,
}

/// What there is to do.
enum Work {
    Messages(Vec<Unwritten>),
    /// Cursors, and old messages.
    Rest,
    /// The end.
    Stop,
}

impl Writer {
    pub(super) fn new(inner: Arc<Inner>, segments: Segments, cursors: Cursors) -> Self {
        let (now, durability) = (Instant::now(), inner.lock().durability());
        Self { inner, durability, segments, cursors, flushed: now, written: now, expired: None, failed: None }
    }

    /// Works until the store is closed.
    pub(super) fn run(mut self) {
        self.expire();
        loop {
            match self.wait() {
                Work::Messages(batch) => self.write(batch),
                Work::Rest => {}
                Work::Stop => break,
            }
            if self.flushed.elapsed() >= self.flush_within() {
                self.flush();
            }
            if self.expired.is_none_or(|expired| expired.elapsed() >= EXPIRE_EVERY) {
                self.expire();
            }
        }
        self.flush();
    }

    fn wait(&self) -> Work {
        let mut order = self.inner.lock();
        loop {
            let is_failing = self.failed.is_some_and(|failed| failed.elapsed() < CURSORS_WITHIN);
            let is_due = order.is_write_due() || self.written.elapsed() >= CURSORS_WITHIN;
            if order.has_unwritten() && (order.is_stopping || (is_due && !is_failing)) {
                return Work::Messages(order.take_unwritten());
            }
            if order.is_stopping {
                return Work::Stop;
            }
            let has_unsettled = order.index().has_changed() || !self.segments.is_settled();
            let (state, patience) = match (order.has_unwritten(), has_unsettled) {
                (true, _) => (WriterState::Resting, CURSORS_WITHIN.saturating_sub(self.tried().elapsed())),
                (false, true) => (WriterState::Resting, self.flush_within().saturating_sub(self.flushed.elapsed())),
                (false, false) => (WriterState::Idle, EXPIRE_EVERY),
            };
            order.writer = state;
            let (guard, timeout) =
                self.inner.work.wait_timeout(order, patience).unwrap_or_else(std::sync::PoisonError::into_inner);
            order = guard;
            order.writer = WriterState::Working;
            if timeout.timed_out() {
                return Work::Rest;
            }
        }
    }

    fn write(&mut self, mut batch: Vec<Unwritten>) {
        self.written = Instant::now();
        let messages = batch.iter_mut().map(|unwritten| (&mut unwritten.meta, unwritten.frame.envelope()));
        let written = self.segments.append(messages, self.durability);
        let mut wakes = Wakes::default();
        match written {
            Ok(places) => {
                self.failed = None;
                self.inner.lock().written(batch, places, self.segments.safe(), &mut wakes);
            }
            Err(error) => {
                log::error!("messages: {} could not be kept: {error}", batch.len());
                let mut order = self.inner.lock();
                order.failed(batch, &mut wakes);
                if order.is_stopping {
                    // There is no later.
                    order.give_up();
                }
                self.failed = (self.durability == Durability::Memory).then(Instant::now);
            }
        }
        wakes.wake();
    }

    /// When the disk last took or refused messages.
    fn tried(&self) -> Instant {
        self.failed.unwrap_or(self.written)
    }

    /// How long cursors wait, and with them messages that were accepted before they are on disk.
    fn flush_within(&self) -> Duration {
        match self.durability {
            Durability::Disk => CURSORS_WITHIN,
            Durability::Memory => SYNC_WITHIN,
        }
    }

    fn flush(&mut self) {
        self.flushed = Instant::now();
        self.segments.sweep();
        let (changed, all, until) = self.changed_cursors();
        if !self.settle(until) {
            self.inner.lock().index().put_back(&changed);
            return;
        }
        let written = match all {
            _ if changed.is_empty() => Ok(()),
            Some(all) => self.cursors.rewrite(&all),
            None => self.cursors.append(&changed),
        };
        if let Err(error) = written {
            log::warn!("acknowledgements could not be written, so after a crash messages come again: {error}");
            self.inner.lock().index().put_back(&changed);
        }
    }

    /// The cursors to be written, all of them if it is time for that, and up to which message they go: no cursor may be on disk
    /// before the messages up to it.
    fn changed_cursors(&self) -> (Vec<Line>, Option<Vec<Line>>, u64) {
        let mut order = self.inner.lock();
        let until = match self.durability {
            Durability::Disk => order.safe,
            Durability::Memory => order.last(),
        };
        let changed = order.index().take_changed(until);
        let is_long = self.cursors.is_long(order.index().len());
        let all = if is_long { order.index().cursors(until) } else { None };
        (changed, all, until)
    }

    /// Puts all messages up to this one on disk. False if the disk refuses.
    fn settle(&mut self, until: u64) -> bool {
        while self.segments.written() < until && self.failed.is_none() {
            let batch = self.inner.lock().take_unwritten();
            if batch.is_empty() {
                break;
            }
            self.write(batch);
        }
        let synced =
            self.segments.sync().inspect_err(|error| log::warn!("messages are not safe from a crash yet: {error}"));
        self.inner.lock().safe = self.segments.safe();
        synced.is_ok() && self.failed.is_none()
    }

    fn expire(&mut self) {
        self.expired = Some(Instant::now());
        let mut order = self.inner.lock();
        let age = u64::try_from(order.index().quotas().age.as_millis()).unwrap_or(u64::MAX);
        order.expire(unix_ms().saturating_sub(age));
    }
}
