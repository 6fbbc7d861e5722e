//! A thread of the load generator.
//!
//! Each has its share of the connections and one epoll. A sender has at most a window of messages in flight: sent, and not
//! yet come to everybody they are for. Writes gather in one buffer per connection, reads take what has come.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::{AsFd, OwnedFd};

use super::board::Board;
use super::dialect::{Conn, Seen, To, stamp, unstamp};
use super::drive::{Case, Pattern};
use super::pipe::{READ, TURN};

/// Wakes a thread of the generator, if it sleeps.
pub(crate) struct Sleeper {
    sleeps: AtomicBool,
    event: OwnedFd,
}

impl Sleeper {
    /// One for each thread.
    pub(crate) fn several(count: usize) -> io::Result<Vec<Self>> {
        let one = || Ok(Self { sleeps: AtomicBool::new(false), event: eventfd(0, EventfdFlags::NONBLOCK)? });
        (0..count).map(|_| one()).collect()
    }

    /// Whoever is about to sleep either sees what was written before this, or is woken.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.sleeps.load(Ordering::Relaxed) && self.sleeps.swap(false, Ordering::SeqCst) {
            // A full counter wakes as well.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    fn lie_down(&self) {
        self.sleeps.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn get_up(&self) {
        self.sleeps.store(false, Ordering::Relaxed);
    }
}

/// One thread.
pub(crate) struct Worker<'a> {
    case: &'a Case,
    run: u64,
    board: &'a Board,
    sleepers: &'a [Sleeper],
    own: usize,
    /// Of so many messages one is timed.
    timed_of: u64,
    delays: Vec<f64>,
}

/// A connection and how far it is.
struct Lane<'a> {
    conn: &'a mut Conn,
    sent: u64,
    done: u64,
    /// Where to look first for who has not got all.
    slowest: usize,
    wants_write: bool,
    has_more: bool,
}

impl<'a> Worker<'a> {
    /// The thread that sleeps as the `own`th.
    pub(crate) fn new(case: &'a Case, run: u64, board: &'a Board, sleepers: &'a [Sleeper], own: usize) -> Self {
        let timed_of = if case.window == 1 { 1 } else { TIMED_OF };
        Self { case, run, board, sleepers, own, timed_of, delays: Vec::new() }
    }

    /// Sends and receives until the run is over; gives the delays.
    pub(crate) fn work(mut self, share: Vec<&mut Conn>) -> io::Result<Vec<f64>> {
        let worked = self.exchange(share);
        if worked.is_err() {
            self.board.failures.fetch_add(1, Ordering::SeqCst);
        }
        worked.map(|()| self.delays)
    }

    fn exchange(&mut self, share: Vec<&mut Conn>) -> io::Result<()> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let me = &self.sleepers[self.own];
        epoll::add(&poll, &me.event, epoll::EventData::new_u64(u64::MAX), epoll::EventFlags::IN)?;
        let mut lanes: Vec<_> = share.into_iter().map(Lane::new).collect();
        let (mut senders, mut busy, mut slow) = (Vec::new(), Vec::new(), None);
        for (index, lane) in lanes.iter().enumerate() {
            if self.is_slow(lane) {
                slow = Some((index, Instant::now()));
                continue;
            }
            epoll::add(&poll, &lane.conn.pipe, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
            senders.extend(lane.conn.sender.filter(|sender| *sender < self.board.senders()).map(|_| index));
            busy.push(index);
        }
        let (mut events, mut seen) = (Vec::with_capacity(lanes.len() + 1), Vec::new());
        while !self.board.is_over.load(Ordering::Relaxed) {
            for index in &senders {
                self.offer(&mut lanes[*index]);
                lanes[*index].flush(&poll, *index)?;
            }
            me.lie_down();
            // Whatever came from other threads meanwhile must not be slept over.
            let is_busy = !busy.is_empty() || senders.iter().any(|index| self.may_send(&mut lanes[*index]));
            events.clear();
            let patience = Timespec::try_from(if is_busy { Duration::ZERO } else { self.patience() });
            epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), patience.ok().as_ref())?;
            me.get_up();
            for event in &events {
                self.note(event, &poll, &mut lanes, &mut busy)?;
            }
            for index in std::mem::take(&mut busy) {
                lanes[index].has_more = self.receive(&mut lanes[index], TURN, &mut seen)?;
                lanes[index].flush(&poll, index)?;
                busy.extend(lanes[index].has_more.then_some(index));
            }
            self.read_slowly(&mut slow, &mut lanes, &mut seen);
        }
        Ok(())
    }

    /// Reads a little if it is time to. What a server does to a slow reader is seen in the others.
    fn read_slowly(&mut self, slow: &mut Option<(usize, Instant)>, lanes: &mut [Lane<'_>], seen: &mut Vec<Seen>) {
        let Some((index, when)) = slow.as_mut().filter(|(_, when)| when.elapsed() > SLOW_EVERY) else { return };
        let lane = &mut lanes[*index];
        let taken = self.receive(lane, READ, seen).and_then(|_| lane.conn.pipe.flush());
        *when = Instant::now();
        if let Err(error) = taken {
            eprintln!("the slow reader: {error}");
            *slow = None;
        }
    }

    /// Does what an event asks for, or leaves it to those who read.
    fn note(
        &self,
        event: &epoll::Event,
        poll: &OwnedFd,
        lanes: &mut [Lane<'_>],
        busy: &mut Vec<usize>,
    ) -> io::Result<()> {
        let (data, flags) = (event.data, event.flags);
        let index = data.u64() as usize;
        let Some(lane) = lanes.get_mut(index) else {
            let _ = rustix::io::read(&self.sleepers[self.own].event, &mut [0; 8]);
            return Ok(());
        };
        if flags.contains(epoll::EventFlags::OUT) {
            lane.flush(poll, index)?;
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP) && !lane.has_more {
            lane.has_more = true;
            busy.push(index);
        }
        Ok(())
    }

    fn is_slow(&self, lane: &Lane<'_>) -> bool {
        self.case.pattern == Pattern::Beside { is_slow: true }
            && lane.conn.receiver.is_some_and(|receiver| !self.board.counts(receiver))
    }

    /// How long nothing may happen.
    fn patience(&self) -> Duration {
        let beat = BURST_EVERY.as_nanos();
        let into = if self.case.burst.is_some() { self.board.elapsed().as_nanos() % beat } else { 0 };
        Duration::from_nanos((beat - into) as u64)
    }

    /// Sends what the window has room for.
    fn offer(&mut self, lane: &mut Lane<'_>) {
        let Some(sender) = lane.conn.sender else { return };
        while self.may_send(lane) && lane.conn.pipe.outgoing.len() < GATHER {
            lane.sent += 1;
            if lane.sent.is_multiple_of(self.timed_of) {
                self.board.stamp_time(sender, lane.sent / self.timed_of);
            }
            let to = match self.case.pattern {
                Pattern::Group { .. } | Pattern::Beside { .. } => To::Group,
                Pattern::Direct { .. } | Pattern::PingPong => To::Member(self.board.neighbour(sender)),
            };
            let stamp = stamp(sender, self.run, lane.sent);
            lane.conn.dialect.publish(to, &stamp, &mut lane.conn.pipe.outgoing);
            self.board.send(sender, lane.sent);
        }
    }

    fn may_send(&self, lane: &mut Lane<'_>) -> bool {
        let Some(sender) = lane.conn.sender.filter(|sender| *sender < self.board.senders()) else { return false };
        if self.board.is_closed.load(Ordering::Relaxed) {
            return false;
        }
        if self.case.pattern == Pattern::PingPong {
            let came = self.board.delivered(sender, sender ^ 1);
            // The even ones begin.
            return lane.sent < came + u64::from(sender.is_multiple_of(2));
        }
        if let Some(burst) = self.case.burst {
            let beats = self.board.elapsed().as_nanos() / BURST_EVERY.as_nanos();
            if lane.sent >= burst * (beats as u64 + 1) {
                return false;
            }
        }
        if lane.sent - lane.done >= self.case.window {
            lane.done = self.board.done(sender, lane.done, &mut lane.slowest);
        }
        lane.sent - lane.done.min(lane.sent) < self.case.window
    }

    /// Takes what has come, up to about so many bytes. True if more may be left.
    fn receive(&mut self, lane: &mut Lane<'_>, most: usize, seen: &mut Vec<Seen>) -> io::Result<bool> {
        seen.clear();
        let Conn { pipe, dialect, .. } = &mut *lane.conn;
        let has_more = pipe.read_turn(most, |pipe| {
            let (bytes, out) = pipe.both();
            let count = dialect.take(bytes, out, seen);
            pipe.consume(count);
        })?;
        let mut has_news = false;
        for seen in seen.drain(..) {
            match (seen, lane.conn.receiver, lane.conn.sender) {
                (Seen::Message(stamp), Some(receiver), _) => {
                    has_news |= self.came(receiver, &stamp);
                }
                (Seen::Answer, _, Some(sender)) => self.board.answer(sender),
                _ => {}
            }
        }
        for (index, sleeper) in self.sleepers.iter().enumerate() {
            if index != self.own && has_news {
                sleeper.wake();
            }
        }
        Ok(has_more)
    }

    /// A message came. False if it tells nobody anything.
    fn came(&mut self, receiver: usize, stamp: &[u8]) -> bool {
        let Some((sender, run, number)) = unstamp(stamp).filter(|_| self.board.counts(receiver)) else { return false };
        // Late ones of another run count as disorder of this one: that other one has ended with some missing.
        if run != self.run || !self.board.deliver(receiver, sender, number) {
            self.board.disorder.fetch_add(1, Ordering::Relaxed);
        } else if number.is_multiple_of(self.timed_of) && self.board.is_timed.load(Ordering::Relaxed) {
            let is_ping_pong = self.case.pattern == Pattern::PingPong;
            let origin = if is_ping_pong { receiver } else { sender };
            if !is_ping_pong || receiver.is_multiple_of(2) {
                self.delays.push(self.board.since(origin, number / self.timed_of).as_secs_f64() * 1e6);
            }
        }
        true
    }
}

impl<'a> Lane<'a> {
    fn new(conn: &'a mut Conn) -> Self {
        // TLS may hold bytes that the socket does not show any more.
        Self { conn, sent: 0, done: 0, slowest: 0, wants_write: false, has_more: true }
    }

    fn flush(&mut self, poll: &OwnedFd, index: usize) -> io::Result<()> {
        if !self.conn.pipe.has_unsent() && !self.wants_write {
            return Ok(());
        }
        let wants_write = !self.conn.pipe.flush()?;
        if wants_write != self.wants_write {
            self.wants_write = wants_write;
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, wants_write);
            epoll::modify(poll, self.conn.pipe.as_fd(), epoll::EventData::new_u64(index as u64), flags)?;
        }
        Ok(())
    }
}

/// Bytes that a sender gathers before it writes.
const GATHER: usize = 64 * 1024;
/// Of so many messages of a greater window one is timed.
const TIMED_OF: u64 = 16;
/// How often a burst begins; without bursts, how long a thread sleeps at most.
const BURST_EVERY: Duration = Duration::from_millis(100);
/// How often a slow reader reads: a read's worth, so about 256 KiB a second.
const SLOW_EVERY: Duration = Duration::from_millis(250);
