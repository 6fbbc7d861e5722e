//! The one thread that writes messages and cursors.

use std::sync::Arc;
use std::time::Instant;

use super::cursors::{Cursors, Line};
use super::order::{Unwritten, Wakes, WriterState};
use super::segment::Segments;
use super::{Durability, Inner};
use crate::limits::{CURSORS_WITHIN, EXPIRE_EVERY};
use crate::server::shared::unix_ms;

pub(super) struct Writer {
    inner: Arc<Inner>,
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
        let now = Instant::now();
        Self { inner, segments, cursors, flushed: now, written: now, expired: None, failed: None }
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
            if self.flushed.elapsed() >= CURSORS_WITHIN {
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
            let is_soon = order.index().has_changed() || order.has_unwritten() || self.failed.is_some();
            let (state, patience) = match is_soon {
                true => (WriterState::Resting, CURSORS_WITHIN.saturating_sub(self.flushed.elapsed())),
                false => (WriterState::Idle, EXPIRE_EVERY),
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
        let written = self.segments.append(messages);
        let mut wakes = Wakes::default();
        match written {
            Ok(places) => {
                self.failed = None;
                self.inner.lock().written(batch, places, &mut wakes);
            }
            Err(error) => {
                log::error!("messages: {} could not be kept: {error}", batch.len());
                let mut order = self.inner.lock();
                order.failed(batch, &mut wakes);
                if order.is_stopping {
                    // There is no later.
                    order.give_up();
                }
                self.failed = (order.durability() == Durability::Memory).then(Instant::now);
            }
        }
        wakes.wake();
    }

    fn flush(&mut self) {
        self.flushed = Instant::now();
        self.segments.sweep();
        let (changed, accounts) = {
            let mut order = self.inner.lock();
            let safe = order.safe;
            (order.index().take_changed(safe), order.index().len())
        };
        if changed.is_empty() {
            return;
        }
        let all = if self.cursors.is_long(accounts) { self.all_cursors() } else { None };
        let written = match all {
            Some(all) => self.cursors.rewrite(&all),
            None => self.cursors.append(&changed),
        };
        if let Err(error) = written {
            log::warn!("acknowledgements could not be written, so after a crash messages come again: {error}");
            self.inner.lock().index().put_back(&changed);
        }
    }

    fn all_cursors(&self) -> Option<Vec<Line>> {
        let mut order = self.inner.lock();
        let safe = order.safe;
        order.index().cursors(safe)
    }

    fn expire(&mut self) {
        self.expired = Some(Instant::now());
        let mut order = self.inner.lock();
        let age = u64::try_from(order.index().quotas().age.as_millis()).unwrap_or(u64::MAX);
        order.expire(unix_ms().saturating_sub(age));
    }
}
