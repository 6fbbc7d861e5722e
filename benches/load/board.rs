//! Who has which messages: what all threads of the load generator know together.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

/// A number on a cache line of its own: every thread writes its own all the time.
#[derive(Default)]
#[repr(align(128))]
struct Count(AtomicU64);

/// Counts of one run.
pub struct Board {
    senders: usize,
    /// Per receiver and sender, how many came. They come in order, so that says which.
    delivered: Vec<Count>,
    /// Per sender, how many were sent.
    sent: Vec<Count>,
    /// Per sender, how many the server has answered.
    answered: Vec<Count>,
    /// Per sender, whose arrival it waits for.
    audience: Vec<Vec<usize>>,
    /// Messages that were not the next of their sender, or of another run.
    pub disorder: AtomicU64,
    /// A sender waits for the server's answers, too.
    pub awaits_answers: bool,
    /// No more is sent.
    pub is_closed: AtomicBool,
    /// All threads end.
    pub is_over: AtomicBool,
    /// How many threads have failed.
    pub failures: AtomicUsize,
}

impl Board {
    /// `audience`: per sender, the receivers of its messages.
    pub fn new(receivers: usize, audience: Vec<Vec<usize>>, awaits_answers: bool) -> Self {
        let senders = audience.len();
        let counts = |count: usize| std::iter::repeat_with(Count::default).take(count).collect::<Vec<_>>();
        Self {
            senders,
            delivered: counts(receivers * senders),
            sent: counts(senders),
            answered: counts(senders),
            audience,
            disorder: AtomicU64::new(0),
            awaits_answers,
            is_closed: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            failures: AtomicUsize::new(0),
        }
    }

    /// How many send.
    pub fn senders(&self) -> usize {
        self.senders
    }

    /// The first of those that a sender writes to.
    pub fn neighbour(&self, sender: usize) -> usize {
        self.audience[sender].first().copied().unwrap_or_default()
    }

    /// A message came. False if it was not the next.
    pub fn deliver(&self, receiver: usize, sender: usize, number: u64) -> bool {
        let Some(Count(count)) = self.delivered.get(receiver * self.senders + sender) else { return false };
        // Only the receiver's thread writes here.
        let is_next = count.load(SeqCst) + 1 == number;
        count.store(number, SeqCst);
        is_next
    }

    /// How many of a sender's messages a receiver has.
    pub fn delivered(&self, receiver: usize, sender: usize) -> u64 {
        self.delivered[receiver * self.senders + sender].0.load(SeqCst)
    }

    /// The server answered. One that does not send in this run has an answer of an earlier one.
    pub fn answer(&self, sender: usize) {
        if let Some(Count(count)) = self.answered.get(sender) {
            count.fetch_add(1, SeqCst);
        }
    }

    /// A sender has sent so many.
    pub fn send(&self, sender: usize, count: u64) {
        self.sent[sender].0.store(count, SeqCst);
    }

    /// How many of a sender's messages are done: everybody has them, and the server has answered if that counts.
    pub fn done(&self, sender: usize) -> u64 {
        let arrived = |receiver: &usize| self.delivered[receiver * self.senders + sender].0.load(SeqCst);
        let arrived = self.audience[sender].iter().map(arrived).min().unwrap_or(u64::MAX);
        match self.awaits_answers {
            true => arrived.min(self.answered[sender].0.load(SeqCst)),
            false => arrived,
        }
    }

    /// How many deliveries there were.
    pub fn deliveries(&self) -> u64 {
        self.delivered.iter().map(|count| count.0.load(SeqCst)).sum()
    }

    /// How many deliveries are missing.
    pub fn missing(&self) -> u64 {
        let of = |(sender, audience): (usize, &Vec<usize>)| {
            let sent = self.sent[sender].0.load(SeqCst);
            let came = |receiver: &usize| self.delivered[receiver * self.senders + sender].0.load(SeqCst);
            let missing: u64 = audience.iter().map(|receiver| sent.saturating_sub(came(receiver))).sum();
            let answers = if self.awaits_answers { self.answered[sender].0.load(SeqCst) } else { sent };
            missing + sent.saturating_sub(answers)
        };
        self.audience.iter().enumerate().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_done_when_the_last_has_it_and_none_is_missing_then() {
        let board = Board::new(3, vec![vec![1, 2], vec![0]], false);
        board.send(0, 2);
        assert!(board.deliver(1, 0, 1) && board.deliver(1, 0, 2) && board.deliver(2, 0, 1));
        assert_eq!((board.done(0), board.deliveries(), board.missing()), (1, 3, 1));
        assert!(board.deliver(2, 0, 2));
        assert_eq!((board.done(0), board.missing()), (2, 0));
    }

    #[test]
    fn doubled_skipped_and_swapped_messages_are_noticed() {
        let board = Board::new(1, vec![vec![0]], false);
        assert!(board.deliver(0, 0, 1));
        assert!(!board.deliver(0, 0, 1), "doubled");
        assert!(!board.deliver(0, 0, 3), "skipped");
        assert!(!board.deliver(0, 0, 2), "swapped");
    }

    #[test]
    fn answers_count_where_they_are_asked_for() {
        let board = Board::new(1, vec![vec![0]], true);
        board.send(0, 1);
        board.deliver(0, 0, 1);
        assert_eq!((board.done(0), board.missing()), (0, 1));
        board.answer(0);
        board.answer(1);
        assert_eq!((board.done(0), board.missing()), (1, 0));
    }
}
