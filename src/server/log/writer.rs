//! The one thread that writes messages and cursors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::cursors::{Cursors, Mark};
use super::files::segment::{Segments, Stored};
use super::mailbox::Line;
use super::order::{Order, header_of};
use super::recipients::{Handle, Wakes};
use super::unwritten::{Unwritten, WriterState};
use super::{Durability, Log};
use crate::limits::{CLOCK_EVERY, CURSORS_WITHIN, EXPIRE_EVERY, SYNC_WITHIN};
use crate::machine::time;
use crate::names::{Recipient, UserName};
use crate::server::clock::{Reading, Step, milliseconds, unix_ms};

pub(crate) struct Writer<H> {
    log: Arc<Log<H>>,
    durability: Durability,
    segments: Segments,
    cursors: Cursors,
    /// When cursors were written last, or tried to be.
    flushed: Instant,
    /// When it was written last how far the log goes, or tried.
    marked: Option<Instant>,
    /// What the clocks showed last.
    reading: Reading,
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
}

/// What the thread does next.
enum Next {
    Work(Work),
    /// Sleep until it is woken, or so long.
    Wait(Duration),
    /// Write the cursors, and end.
    Stop,
}

impl<H: Handle> Writer<H> {
    pub(super) fn new(log: Arc<Log<H>>, segments: Segments, cursors: Cursors, reading: Reading) -> Self {
        let (now, durability) = (time::now(), log.lock().queue.durability);
        Self {
            log,
            durability,
            segments,
            cursors,
            flushed: now,
            marked: None,
            reading,
            written: now,
            expired: None,
            failed: None,
        }
    }

    /// Works until the store is closed.
    pub(super) fn run(mut self) {
        self.expire();
        while let Some(work) = self.wait() {
            self.turn(work);
        }
        self.finish();
    }

    /// Does what there is to do, and what is due besides.
    fn turn(&mut self, work: Work) {
        match work {
            Work::Messages(batch) => self.write(batch),
            Work::Rest => {}
        }
        if time::since(self.flushed) >= self.flush_within() {
            self.flush();
        }
        if self.expired.is_none_or(|expired| time::since(expired) >= EXPIRE_EVERY) {
            self.expire();
        }
    }

    /// The store is closed, and all is written.
    fn finish(&mut self) {
        self.marked = None;
        self.flush();
    }

    /// Does what there is to do now, and gives how long it may rest after that.
    #[cfg(feature = "simulation")]
    pub(crate) fn step(&mut self) -> Duration {
        let next = self.next(&mut self.log.lock());
        match next {
            Next::Work(work) => self.turn(work),
            Next::Wait(patience) if patience.is_zero() => self.turn(Work::Rest),
            Next::Wait(patience) => return patience,
            Next::Stop => {}
        }
        Duration::ZERO
    }

    /// Writes what is left.
    #[cfg(feature = "simulation")]
    pub(crate) fn stop(mut self) {
        self.log.stop();
        loop {
            let next = self.next(&mut self.log.lock());
            let Next::Work(work) = next else { break };
            self.turn(work);
        }
        self.finish();
    }

    /// `None` when the store is closed.
    fn wait(&self) -> Option<Work> {
        let mut order = self.log.lock();
        loop {
            let patience = match self.next(&mut order) {
                Next::Work(work) => return Some(work),
                Next::Wait(patience) => patience,
                Next::Stop => return None,
            };
            let (guard, timeout) =
                self.log.work.wait_timeout(order, patience).unwrap_or_else(std::sync::PoisonError::into_inner);
            order = guard;
            order.queue.writer = WriterState::Working;
            if timeout.timed_out() {
                return Some(Work::Rest);
            }
        }
    }

    /// What is next by the look of the queue.
    fn next(&self, order: &mut Order<H>) -> Next {
        let is_failing = self.failed.is_some_and(|failed| time::since(failed) < CURSORS_WITHIN);
        let is_due = order.queue.is_due() || time::since(self.written) >= CURSORS_WITHIN;
        if !order.queue.is_empty() && (order.queue.is_stopping || (is_due && !is_failing)) {
            return Next::Work(Work::Messages(order.queue.take()));
        }
        if order.queue.is_stopping {
            return Next::Stop;
        }
        let has_unsettled = order.index().has_changed() || !self.segments.is_settled();
        let (state, patience) = match (!order.queue.is_empty(), has_unsettled) {
            (true, _) => (WriterState::Resting, CURSORS_WITHIN.saturating_sub(time::since(self.tried()))),
            (false, true) => (WriterState::Resting, self.flush_within().saturating_sub(time::since(self.flushed))),
            (false, false) => (WriterState::Idle, CLOCK_EVERY),
        };
        order.queue.writer = state;
        Next::Wait(patience)
    }

    fn write(&mut self, mut batch: Vec<Unwritten>) {
        self.written = time::now();
        let messages = batch.iter_mut().map(|unwritten| (&mut unwritten.meta, unwritten.frame.envelope()));
        let written = self.segments.append(messages, self.durability);
        let mut wakes = Wakes::default();
        match written {
            Ok(places) => {
                self.failed = None;
                let mut order = self.log.lock();
                order.settled(self.segments.safe(), self.segments.is_settled());
                order.written(batch, places, &mut wakes);
            }
            Err(error) => {
                log::error!("messages: {} could not be kept: {error}", batch.len());
                let mut order = self.log.lock();
                order.failed(batch, &mut wakes);
                if order.queue.is_stopping {
                    // There is no later.
                    order.queue.give_up();
                }
                self.failed = (self.durability == Durability::Memory).then(time::now);
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
        self.flushed = time::now();
        self.look_at_the_clock();
        let (changed, all, until) = self.changed_cursors();
        if !self.settle(until) {
            self.log.lock().index().put_back(&changed);
            return;
        }
        // Where the log begins is on disk before the segments before that are gone.
        let unneeded = self.segments.unneeded();
        let is_due = unneeded > 0 || self.marked.is_none_or(|marked| time::since(marked) >= CLOCK_EVERY);
        let mark = Mark { first: self.segments.first(unneeded), safe: self.segments.safe(), reading: self.reading };
        let written = match all {
            Some(all) => self.cursors.rewrite(&all, &mark),
            None if is_due => self.cursors.append(&changed, Some(&mark)),
            None => self.cursors.append(&changed, None),
        };
        match written {
            Ok(()) => self.segments.sweep(unneeded),
            Err(error) => {
                log::warn!("acknowledgements could not be written, so after a crash messages come again: {error}");
                self.log.lock().index().put_back(&changed);
            }
        }
        if is_due {
            self.marked = Some(self.flushed);
        }
        if self.segments.are_many() {
            self.compact();
        }
    }

    /// Warns, once for each step.
    fn look_at_the_clock(&mut self) {
        let now = Reading { run_ms: self.log.clock.now_ms(), unix_ms: unix_ms() };
        if let Some(step) = Step::between(self.reading, now) {
            log::warn!("{step}");
        }
        self.reading = now;
    }

    /// Puts together what is needed of old segments, so that one old message does not keep all that came with it.
    fn compact(&mut self) {
        let (log, mut recipients) = (&self.log, HashMap::new());
        let moved = self.segments.compact(|messages, segment| {
            let to: Vec<Option<Recipient>> =
                messages.iter().map(|message| Some(header_of(message.envelope)?.recipient)).collect();
            let mut order = log.lock();
            let is_needed = |(message, to): (&Stored<'_>, Option<Recipient>)| {
                let Some(to) = to else { return false };
                let place = order.index().place(message.number, name_in(&to)).and_then(|place| place.as_ref());
                let is_needed = place.is_some_and(|place| Arc::ptr_eq(&place.segment, segment));
                if is_needed {
                    recipients.insert(message.number, to);
                }
                is_needed
            };
            messages.iter().zip(to).map(is_needed).collect()
        });
        match moved {
            Ok(moved) => {
                for some in moved.chunks(MOVED_AT_ONCE) {
                    let mut order = self.log.lock();
                    for (number, place) in some {
                        let to = recipients.get(number).and_then(name_in);
                        order.index().set_place(*number, to, place.clone());
                    }
                }
                drop(moved);
                self.segments.sweep(0);
            }
            Err(error) => log::warn!("old segments take more room than what is needed of them: {error}"),
        }
    }

    /// The cursors to be written, all of them if it is time for that, and up to which message they go: no cursor may be on disk
    /// before the messages up to it.
    fn changed_cursors(&self) -> (Vec<Line>, Option<Vec<Line>>, u64) {
        let mut order = self.log.lock();
        let until = match self.durability {
            Durability::Disk => order.safe,
            Durability::Memory => order.last(),
        };
        let changed = order.index().take_changed(until);
        let is_long = self.cursors.is_long();
        let all = if is_long { order.index().cursors(until) } else { None };
        (changed, all, until)
    }

    /// Puts all messages up to this one on disk. False if the disk refuses.
    fn settle(&mut self, until: u64) -> bool {
        while self.segments.written() < until && self.failed.is_none() {
            let batch = self.log.lock().queue.take();
            if batch.is_empty() {
                break;
            }
            self.write(batch);
        }
        let synced =
            self.segments.sync().inspect_err(|error| log::warn!("messages are not safe from a crash yet: {error}"));
        self.log.lock().settled(self.segments.safe(), self.segments.is_settled());
        synced.is_ok() && self.failed.is_none()
    }

    fn expire(&mut self) {
        self.compact();
        self.expired = Some(time::now());
        let mut order = self.log.lock();
        let age = milliseconds(order.index().quotas().age);
        order.expire(self.log.clock.now_ms().saturating_sub(age));
    }
}

fn name_in(recipient: &Recipient) -> Option<&UserName> {
    match recipient {
        Recipient::All => None,
        Recipient::User(name) => Some(name),
    }
}

/// Messages whose new place is noted under one lock.
const MOVED_AT_ONCE: usize = 256;
