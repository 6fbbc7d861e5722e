//! Who has which messages: what all threads of the load generator know together.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A number on a cache line of its own: every thread writes its own all the time.
#[derive(Default)]
#[repr(align(128))]
struct Count(AtomicU64);

impl Count {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// By its only writer.
    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }
}

/// Counts of one run.
pub(crate) struct Board {
    senders: usize,
    /// Per receiver and sender, the highest number that came.
    delivered: Vec<Count>,
    /// Receiver, sender and number of those that were skipped and have not come yet.
    skipped: Mutex<HashSet<(usize, usize, u64)>>,
    /// Per sender, how many were sent.
    sent: Vec<Count>,
    /// Per sender, how many the server has answered.
    answered: Vec<Count>,
    /// Per sender, whose arrival it waits for.
    audience: Vec<Vec<usize>>,
    /// Per sender, when its last timed messages were sent: nanoseconds since the beginning.
    times: Vec<AtomicU64>,
    began: Instant,
    /// Messages that came twice or late, or are of another run.
    pub disorder: AtomicU64,
    /// A sender waits for the server's answers, too.
    pub awaits_answers: bool,
    /// Delays are noted.
    pub is_timed: AtomicBool,
    /// No more is sent.
    pub is_closed: AtomicBool,
    /// All threads end.
    pub is_over: AtomicBool,
    /// How many threads have failed.
    pub failures: AtomicUsize,
}

impl Board {
    /// `audience`: per sender, the receivers of its messages. Those from `receivers` on are not counted.
    pub(crate) fn new(receivers: usize, audience: Vec<Vec<usize>>, awaits_answers: bool) -> Self {
        let senders = audience.len();
        let counts = |count: usize| std::iter::repeat_with(Count::default).take(count).collect::<Vec<_>>();
        Self {
            senders,
            delivered: counts(receivers * senders),
            skipped: Mutex::default(),
            sent: counts(senders),
            answered: counts(senders),
            audience,
            times: std::iter::repeat_with(AtomicU64::default).take(senders * TIMES).collect(),
            began: Instant::now(),
            disorder: AtomicU64::new(0),
            awaits_answers,
            is_timed: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            failures: AtomicUsize::new(0),
        }
    }

    /// How many send.
    pub(crate) fn senders(&self) -> usize {
        self.senders
    }

    /// Whether what this one receives counts.
    pub(crate) fn counts(&self, receiver: usize) -> bool {
        receiver * self.senders < self.delivered.len()
    }

    /// The first of those that a sender writes to.
    pub(crate) fn neighbour(&self, sender: usize) -> usize {
        self.audience[sender].first().copied().unwrap_or_default()
    }

    /// A message came. False if it came before, or behind a later one, or was never sent.
    pub(crate) fn deliver(&self, receiver: usize, sender: usize, number: u64) -> bool {
        let Some(count) = self.delivered.get(receiver * self.senders + sender) else { return false };
        let last = count.get();
        if number == last + 1 {
            count.set(number);
            return true;
        }
        if number > self.sent[sender].get() {
            return false;
        }
        if number <= last {
            // If it was skipped, it is late but not lost.
            self.skipped().remove(&(receiver, sender, number));
            return false;
        }
        self.skipped().extend((last + 1..number).map(|skipped| (receiver, sender, skipped)));
        count.set(number);
        true
    }

    /// The highest of a sender's messages that a receiver has.
    pub(crate) fn delivered(&self, receiver: usize, sender: usize) -> u64 {
        self.delivered[receiver * self.senders + sender].get()
    }

    /// The server answered. One that does not send in this run has an answer of an earlier one.
    pub(crate) fn answer(&self, sender: usize) {
        if let Some(Count(count)) = self.answered.get(sender) {
            count.fetch_add(1, Ordering::Release);
        }
    }

    /// A sender has sent so many.
    pub(crate) fn send(&self, sender: usize, count: u64) {
        self.sent[sender].set(count);
    }

    /// How many of a sender's messages are done: everybody has them, and the server has answered if that counts.
    ///
    /// It is not more than `known` as long as the receiver at `slowest` of the audience is no further, so that one is looked
    /// at first.
    pub(crate) fn done(&self, sender: usize, known: u64, slowest: &mut usize) -> u64 {
        let audience = &self.audience[sender];
        let answered = if self.awaits_answers { self.answered[sender].get() } else { u64::MAX };
        let mut least = answered;
        for step in 0..audience.len() {
            let place = (*slowest + step) % audience.len();
            let arrived = self.delivered(audience[place], sender);
            least = least.min(arrived);
            if arrived <= known {
                *slowest = place;
                break;
            }
        }
        least
    }

    /// A message is sent now. Only some are timed: see `since`.
    pub(crate) fn stamp_time(&self, sender: usize, place: u64) {
        let nanos = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.times[sender * TIMES + (place % TIMES as u64) as usize].store(nanos, Ordering::Relaxed);
    }

    /// How long ago a timed message was sent: the `place`th of the sender's timed ones, and one of the last.
    pub(crate) fn since(&self, sender: usize, place: u64) -> Duration {
        let nanos = self.times[sender * TIMES + (place % TIMES as u64) as usize].load(Ordering::Relaxed);
        self.began.elapsed().saturating_sub(Duration::from_nanos(nanos))
    }

    /// Time since the beginning of the run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How many deliveries there were.
    pub(crate) fn deliveries(&self) -> u64 {
        self.delivered.iter().map(Count::get).sum::<u64>() - self.skipped().len() as u64
    }

    /// How many deliveries and answers may still come: they are behind the last that did.
    pub(crate) fn outstanding(&self) -> u64 {
        let of = |(sender, audience): (usize, &Vec<usize>)| {
            let sent = self.sent[sender].get();
            let behind = |receiver: &usize| sent.saturating_sub(self.delivered(*receiver, sender));
            let missing: u64 = audience.iter().map(behind).sum();
            let answers = if self.awaits_answers { self.answered[sender].get() } else { sent };
            missing + sent.saturating_sub(answers)
        };
        self.audience.iter().enumerate().map(of).sum()
    }

    /// How many deliveries and answers have not come, skipped ones included.
    pub(crate) fn missing(&self) -> u64 {
        self.outstanding() + self.skipped().len() as u64
    }

    fn skipped(&self) -> MutexGuard<'_, HashSet<(usize, usize, u64)>> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Timed messages of one sender that are remembered: more than the greatest window has.
const TIMES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn done(board: &Board, sender: usize) -> u64 {
        board.done(sender, 0, &mut 0)
    }

    #[test]
    fn a_message_is_done_when_the_last_has_it_and_none_is_missing_then() {
        let board = Board::new(3, vec![vec![1, 2], vec![0]], false);
        board.send(0, 2);
        assert!(board.deliver(1, 0, 1) && board.deliver(1, 0, 2) && board.deliver(2, 0, 1));
        assert_eq!((done(&board, 0), board.deliveries(), board.missing()), (1, 3, 1));
        assert!(board.deliver(2, 0, 2));
        assert_eq!((done(&board, 0), board.missing()), (2, 0));
    }

    #[test]
    fn who_is_slowest_is_found_wherever_the_search_begins() {
        let board = Board::new(4, vec![vec![1, 2, 3]], false);
        board.send(0, 3);
        for (receiver, count) in [(1, 3), (2, 1), (3, 2)] {
            (1..=count).for_each(|number| assert!(board.deliver(receiver, 0, number)));
        }
        for begin in 0..3 {
            assert_eq!(board.done(0, 0, &mut { begin }), 1);
        }
        let mut slowest = 0;
        assert_eq!((board.done(0, 1, &mut slowest), slowest), (1, 1));
    }

    #[test]
    fn doubled_swapped_and_invented_messages_are_noticed() {
        let board = Board::new(1, vec![vec![0]], false);
        board.send(0, 3);
        assert!(board.deliver(0, 0, 1));
        assert!(!board.deliver(0, 0, 1), "doubled");
        assert!(board.deliver(0, 0, 3));
        assert!(!board.deliver(0, 0, 2), "swapped");
        assert!(!board.deliver(0, 0, 5), "never sent");
        assert_eq!((board.missing(), board.deliveries()), (0, 3));
    }

    #[test]
    fn a_skipped_message_is_missing_until_it_comes() {
        let board = Board::new(1, vec![vec![0]], false);
        board.send(0, 4);
        assert!(board.deliver(0, 0, 4));
        assert_eq!((board.outstanding(), board.missing(), board.deliveries()), (0, 3, 1));
        assert!(!board.deliver(0, 0, 2), "late");
        assert_eq!(board.missing(), 2);
    }

    #[test]
    fn answers_count_where_they_are_asked_for() {
        let board = Board::new(1, vec![vec![0]], true);
        board.send(0, 1);
        board.deliver(0, 0, 1);
        assert_eq!((done(&board, 0), board.missing()), (0, 1));
        board.answer(0);
        board.answer(1);
        assert_eq!((done(&board, 0), board.missing()), (1, 0));
    }

    #[test]
    fn only_the_first_so_many_receivers_count() {
        let board = Board::new(2, vec![vec![1], vec![0]], false);
        assert!(board.counts(1) && !board.counts(2));
    }
}
