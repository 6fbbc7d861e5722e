//! What was received before: guards against copies, and notices what never came.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::limits::{HOUR, OPEN_FAILURES_PER_HOUR, SEEN_IDS};
use crate::names::{Recipient, UserName};
use crate::wire::{Fingerprint, Header, MessageId};

/// What must be known of all messages so far, to tell what is new: the inbox keeps it on disk.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) seen: SeenIds,
    pub(super) counters: Counters,
}

/// The ids of messages that were opened; the oldest of [`SEEN_IDS`] are forgotten.
#[derive(Default)]
pub(super) struct SeenIds {
    seen: HashMap<(Fingerprint, MessageId), Seen>,
    order: VecDeque<(Fingerprint, MessageId)>,
}

/// A message that was opened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// SHA-256 of the whole envelope.
    pub(super) digest: [u8; 32],
    /// When it came, as Unix time in milliseconds.
    pub(super) first_ms: i64,
    /// The server's number of the delivery that it came with.
    pub(super) number: u64,
    /// Its entry in the inbox; 0 if that is done.
    pub(super) entry: u64,
    /// What its number told.
    pub(super) place: Place,
}

impl SeenIds {
    /// The message of this sender with this id, if one was opened.
    pub(super) fn get(&self, header: &Header) -> Option<Seen> {
        self.seen.get(&(header.sender_fp, header.msg_id)).copied()
    }

    /// A message was opened.
    pub(super) fn record(&mut self, sender: Fingerprint, id: MessageId, seen: Seen) {
        let key = (sender, id);
        if self.seen.insert(key, seen).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > SEEN_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Fingerprint, MessageId, Seen)> {
        self.order.iter().filter_map(|key| Some((key.0, key.1, *self.seen.get(key)?)))
    }
}

/// Where a message stands among its sender's to the same recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// It tells of an earlier one that never came.
    pub(super) missing: bool,
    /// A later one told that this one was sent before.
    pub(super) late: bool,
}

/// The counters seen, per sender's key and recipient.
#[derive(Default)]
pub(super) struct Counters {
    counters: HashMap<(Fingerprint, Recipient), Counter>,
}

/// The counters of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    /// The highest one seen.
    pub(super) highest: u64,
    /// The highest one that is known to have been accepted before another that was seen.
    pub(super) known: u64,
}

impl Counters {
    /// What the counter of a message tells; it counts as seen from now on. The first one of a pair has nothing to
    /// compare with. Gaps are normal, and so is an order in which two processes of one account sent at once: only
    /// `prev` tells what was accepted before.
    pub(super) fn count(&mut self, header: &Header) -> Place {
        let first = Counter { highest: header.seq, known: header.prev };
        let key = (header.sender_fp, header.recipient.clone());
        let counter = self.counters.entry(key).or_insert(first);
        let missing = header.prev > counter.highest;
        let late = header.seq < counter.highest && header.seq <= counter.known;
        counter.highest = header.seq.max(counter.highest);
        counter.known = header.prev.max(counter.known);
        Place { missing, late }
    }

    /// A counter of an earlier run.
    pub(super) fn restore(&mut self, sender: Fingerprint, to: Recipient, counter: Counter) {
        self.counters.insert((sender, to), counter);
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Fingerprint, &Recipient, Counter)> {
        self.counters.iter().map(|((sender, to), counter)| (*sender, to, *counter))
    }
}

/// Keeps one sender's failures from flooding the screen, and an oracle's questions from being answered.
#[derive(Default)]
pub(super) struct Failures {
    senders: HashMap<UserName, VecDeque<Instant>>,
}

impl Failures {
    /// Whether one more failure of this sender may be shown now.
    pub(super) fn may_show(&mut self, sender: &UserName, now: Instant) -> bool {
        self.forget_before(now);
        let most = usize::try_from(OPEN_FAILURES_PER_HOUR).unwrap_or(usize::MAX);
        if !self.senders.contains_key(sender) && self.senders.len() >= SENDERS_MAX {
            return false;
        }
        let shown = self.senders.entry(sender.clone()).or_default();
        if shown.len() >= most {
            return false;
        }
        shown.push_back(now);
        true
    }

    fn forget_before(&mut self, now: Instant) {
        self.senders.retain(|_, shown| {
            while shown.front().is_some_and(|first| now.saturating_duration_since(*first) >= HOUR) {
                shown.pop_front();
            }
            !shown.is_empty()
        });
    }
}

/// Names whose failures are counted at a time: a server could make up any number of them.
const SENDERS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Suite;

    fn header(seq: u64, prev: u64) -> Header {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&seq.to_be_bytes());
        Header {
            suite: Suite::GroupCbc,
            sender: "alice".parse().unwrap(),
            sender_fp: Fingerprint([1; 32]),
            recipient: Recipient::All,
            recipient_fp: Fingerprint([0; 32]),
            msg_id: MessageId(id),
            seq,
            prev,
            sent_ms: 0,
        }
    }

    #[test]
    fn a_gap_is_told_once_and_a_fresh_start_is_none() {
        let mut counters = Counters::default();
        assert!(!counters.count(&header(7, 6)).missing, "nothing to compare with");
        assert!(!counters.count(&header(9, 7)).missing, "8 was refused by the server");
        assert!(counters.count(&header(12, 11)).missing);
        assert!(!counters.count(&header(13, 12)).missing);
        assert_eq!(counters.count(&header(11, 9)), Place { missing: false, late: true }, "the one that was missing");
    }

    #[test]
    fn two_processes_that_send_at_once_raise_no_alarm() {
        let mut counters = Counters::default();
        let quiet = Place::default();
        assert_eq!(counters.count(&header(4, 3)), quiet);
        assert_eq!(counters.count(&header(6, 4)), quiet);
        assert_eq!(counters.count(&header(5, 4)), quiet);
        assert_eq!(counters.count(&header(7, 6)), quiet);
    }

    #[test]
    fn the_oldest_ids_are_forgotten_first() {
        let mut seen = SeenIds::default();
        for seq in 1..=SEEN_IDS as u64 + 1 {
            let header = header(seq, 0);
            let place = Place::default();
            let one = Seen { digest: [0; 32], first_ms: 5, number: seq, entry: 0, place };
            seen.record(header.sender_fp, header.msg_id, one);
        }
        assert_eq!(seen.get(&header(1, 0)), None);
        assert_eq!(seen.get(&header(2, 0)).map(|seen| seen.first_ms), Some(5));
        assert_eq!(seen.seen.len(), SEEN_IDS);
    }

    #[test]
    fn failures_are_shown_twenty_times_an_hour_for_each_sender() {
        let (alice, bob) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        let start = Instant::now();
        let mut failures = Failures::default();
        let shown = (0..100).filter(|_| failures.may_show(&alice, start)).count();
        assert_eq!(shown, 20);
        assert!(failures.may_show(&bob, start));
        assert!(failures.may_show(&alice, start + HOUR));
    }
}
