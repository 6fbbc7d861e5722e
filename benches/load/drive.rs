//! Drives a server with messages and counts what comes of them.
//!
//! Each thread has its share of the connections and one epoll. A sender has at most a window of messages in flight: sent,
//! and not yet come to everybody they are for. Writes gather in one buffer per connection, reads take what has come.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::{AsFd, OwnedFd};

use super::board::Board;
use super::dialect::{Conn, Seen, To, stamp, unstamp};
use super::process;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// So many senders, each to everybody.
    Group {
        /// How many of the members send.
        senders: usize,
    },
    /// Each sender to its neighbour.
    Direct {
        /// How many of the members send.
        senders: usize,
    },
    /// Pairs of members, each answering the other's message: the times are round trips.
    PingPong,
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What is sent.
    pub pattern: Pattern,
    /// Messages in flight per sender.
    pub window: u64,
    /// A message is in flight until the server has answered, too.
    pub awaits_answers: bool,
    /// Before the measurement.
    pub warm_up: Duration,
    /// Of the measurement.
    pub time: Duration,
    /// Threads of the generator.
    pub threads: usize,
}

/// What came of a case.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Deliveries a second.
    pub rate: f64,
    /// Seconds of CPU that the server took for a million deliveries.
    pub server_cpu: f64,
    /// The same of the generator.
    pub generator_cpu: f64,
    /// Round trips in microseconds, ascending.
    pub round_trips: Vec<f64>,
    /// Deliveries that never came.
    pub missing: u64,
    /// Deliveries that came twice or in the wrong order.
    pub disorder: u64,
}

impl Outcome {
    /// The round trip that this part of all is faster than.
    pub fn round_trip(&self, part: f64) -> f64 {
        let last = self.round_trips.len().saturating_sub(1);
        self.round_trips.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Runs a case over connections of `members` members. `run` makes its stamps differ from those of others.
pub fn run(connections: &mut [Conn], members: usize, case: &Case, run: u64, server: u32) -> io::Result<Outcome> {
    let echoes = connections.iter().any(|conn| conn.echoes);
    let board = Board::new(members, audience(case.pattern, members, echoes), case.awaits_answers);
    let mut shares: Vec<Vec<&mut Conn>> = (0..case.threads).map(|_| Vec::new()).collect();
    for (index, conn) in connections.iter_mut().enumerate() {
        shares[index % case.threads].push(conn);
    }
    let sleepers = Sleeper::several(case.threads)?;
    std::thread::scope(|scope| {
        let workers: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(own, share)| {
                let (board, sleepers) = (&board, sleepers.as_slice());
                scope.spawn(move || {
                    Worker { case, run, board, sleepers, own, since: HashMap::new(), round_trips: Vec::new() }
                        .work(share)
                })
            })
            .collect();
        let mut outcome = measure(case, &board, &sleepers, server);
        for worker in workers {
            outcome.round_trips.extend(worker.join().map_err(|_| io::Error::other("a thread panicked"))??);
        }
        outcome.round_trips.sort_by(f64::total_cmp);
        outcome.disorder = board.disorder.load(SeqCst);
        Ok(outcome)
    })
}

/// Waits for warm-up, measurement and the last deliveries.
fn measure(case: &Case, board: &Board, sleepers: &[Sleeper], server: u32) -> Outcome {
    std::thread::sleep(case.warm_up);
    let look = || (Instant::now(), board.deliveries(), process::cpu(server), process::cpu(std::process::id()));
    let (began, before, server_before, own_before) = look();
    std::thread::sleep(case.time);
    let (ended, after, server_after, own_after) = look();
    board.is_closed.store(true, SeqCst);
    let until = Instant::now() + DRAIN;
    while board.missing() > 0 && Instant::now() < until && board.failures.load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    // What comes twice comes later.
    std::thread::sleep(Duration::from_millis(20));
    board.is_over.store(true, SeqCst);
    sleepers.iter().for_each(Sleeper::wake);
    let deliveries = (after - before) as f64;
    Outcome {
        rate: deliveries / (ended - began).as_secs_f64(),
        server_cpu: (server_after - server_before) / deliveries * 1e6,
        generator_cpu: (own_after - own_before) / deliveries * 1e6,
        missing: board.missing(),
        ..Outcome::default()
    }
}

/// Per sender, who gets its messages.
fn audience(pattern: Pattern, members: usize, echoes: bool) -> Vec<Vec<usize>> {
    let everybody = |sender| (0..members).filter(|member| echoes || *member != sender).collect();
    match pattern {
        Pattern::Group { senders } => (0..senders).map(everybody).collect(),
        Pattern::Direct { senders } => (0..senders).map(|sender| vec![(sender + 1) % members]).collect(),
        Pattern::PingPong => (0..members).map(|sender| vec![sender ^ 1]).collect(),
    }
}

/// Wakes a thread of the generator, if it sleeps.
struct Sleeper {
    sleeps: AtomicBool,
    event: OwnedFd,
}

impl Sleeper {
    fn several(count: usize) -> io::Result<Vec<Self>> {
        let one = || Ok(Self { sleeps: AtomicBool::new(false), event: eventfd(0, EventfdFlags::NONBLOCK)? });
        (0..count).map(|_| one()).collect()
    }

    fn wake(&self) {
        if self.sleeps.swap(false, SeqCst) {
            // A full counter wakes as well.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    fn woken(&self) {
        self.sleeps.store(false, SeqCst);
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
    }
}

/// One thread.
struct Worker<'a> {
    case: &'a Case,
    run: u64,
    board: &'a Board,
    sleepers: &'a [Sleeper],
    own: usize,
    /// When each sender of a ping-pong sent last.
    since: HashMap<usize, Instant>,
    round_trips: Vec<f64>,
}

/// A connection and how far it is.
struct Lane<'a> {
    conn: &'a mut Conn,
    sent: u64,
    done: u64,
    wants_write: bool,
    has_more: bool,
}

impl Worker<'_> {
    fn work(mut self, share: Vec<&mut Conn>) -> io::Result<Vec<f64>> {
        let worked = self.exchange(share);
        if worked.is_err() {
            self.board.failures.fetch_add(1, SeqCst);
        }
        worked.map(|()| self.round_trips)
    }

    fn exchange(&mut self, share: Vec<&mut Conn>) -> io::Result<()> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let me = &self.sleepers[self.own];
        epoll::add(&poll, &me.event, epoll::EventData::new_u64(u64::MAX), epoll::EventFlags::IN)?;
        let mut lanes = Vec::new();
        for (index, conn) in share.into_iter().enumerate() {
            epoll::add(&poll, &conn.pipe, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
            lanes.push(Lane::new(conn));
        }
        let mut events = Vec::with_capacity(lanes.len() + 1);
        let mut seen = Vec::new();
        while !self.board.is_over.load(SeqCst) {
            let mut is_busy = false;
            for (index, lane) in lanes.iter_mut().enumerate() {
                self.offer(lane);
                lane.flush(&poll, index)?;
                is_busy |= lane.has_more;
            }
            me.sleeps.store(true, SeqCst);
            // Whatever came from other threads meanwhile must not be slept over.
            is_busy |= lanes.iter_mut().any(|lane| self.may_send(lane));
            let patience = Timespec { tv_sec: 0, tv_nsec: if is_busy { 0 } else { 100_000_000 } };
            events.clear();
            epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&patience))?;
            me.woken();
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                if let Some(lane) = lanes.get_mut(data.u64() as usize) {
                    lane.has_more |= flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP);
                }
            }
            for lane in lanes.iter_mut().filter(|lane| lane.has_more) {
                self.receive(lane, &mut seen)?;
            }
        }
        Ok(())
    }

    /// Sends what the window has room for.
    fn offer(&mut self, lane: &mut Lane<'_>) {
        let Some(sender) = lane.conn.sender else { return };
        while self.may_send(lane) && lane.conn.pipe.outgoing.len() < GATHER {
            if self.case.pattern == Pattern::PingPong {
                self.since.insert(sender, Instant::now());
            }
            lane.sent += 1;
            let to = match self.case.pattern {
                Pattern::Group { .. } => To::Group,
                Pattern::Direct { .. } | Pattern::PingPong => To::Member(self.board.neighbour(sender)),
            };
            let stamp = stamp(sender, self.run, lane.sent);
            lane.conn.dialect.publish(to, &stamp, &mut lane.conn.pipe.outgoing);
            self.board.send(sender, lane.sent);
        }
    }

    fn may_send(&self, lane: &mut Lane<'_>) -> bool {
        let Some(sender) = lane.conn.sender.filter(|sender| *sender < self.board.senders()) else { return false };
        if self.board.is_closed.load(SeqCst) {
            return false;
        }
        match self.case.pattern {
            // The even ones begin.
            Pattern::PingPong => {
                let came = self.board.delivered(sender, sender ^ 1);
                lane.sent < came + u64::from(sender.is_multiple_of(2))
            }
            Pattern::Group { .. } | Pattern::Direct { .. } => {
                if lane.sent - lane.done >= self.case.window {
                    lane.done = self.board.done(sender);
                }
                lane.sent - lane.done.min(lane.sent) < self.case.window
            }
        }
    }

    fn receive(&mut self, lane: &mut Lane<'_>, seen: &mut Vec<Seen>) -> io::Result<()> {
        seen.clear();
        let Conn { pipe, dialect, .. } = &mut *lane.conn;
        lane.has_more = pipe.read_turn(|pipe| {
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
        Ok(())
    }

    /// A message came. False if it was none of the generator's.
    fn came(&mut self, receiver: usize, stamp: &[u8]) -> bool {
        let Some((sender, run, number)) = unstamp(stamp) else { return false };
        // Late ones of another run count as disorder of this one: that other one has ended with some missing.
        if run != self.run || !self.board.deliver(receiver, sender, number) {
            self.board.disorder.fetch_add(1, SeqCst);
        }
        if self.case.pattern == Pattern::PingPong && receiver.is_multiple_of(2) {
            let since = self.since.get(&receiver).map_or(0.0, |since| since.elapsed().as_secs_f64());
            self.round_trips.push(since * 1e6);
        }
        true
    }
}

impl<'a> Lane<'a> {
    fn new(conn: &'a mut Conn) -> Self {
        // TLS may hold bytes that the socket does not show any more.
        Self { conn, sent: 0, done: 0, wants_write: false, has_more: true }
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

/// How long the last deliveries of a run may take.
const DRAIN: Duration = Duration::from_secs(20);
/// Bytes that a sender gathers before it writes.
const GATHER: usize = 64 * 1024;
