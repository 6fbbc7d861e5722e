//! What was received before: guards against copies, and notices what never came.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::limits::{HOUR, OPEN_FAILURES_PER_HOUR, SEEN_IDS};
use crate::names::{Recipient, UserName};
use crate::wire::{Fingerprint, Header, MessageId};

/// The ids of messages that were opened in this run; the oldest are forgotten.
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
}

impl SeenIds {
    /// The message of this sender with this id, if one was opened.
    pub(super) fn get(&self, header: &Header) -> Option<Seen> {
        self.seen.get(&(header.sender_fp, header.msg_id)).copied()
    }

    /// A message was opened.
    pub(super) fn record(&mut self, header: &Header, seen: Seen) {
        let key = (header.sender_fp, header.msg_id);
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
}

/// The highest counter seen in this run, per sender's key and recipient.
#[derive(Default)]
pub(super) struct Counters {
    highest: HashMap<(Fingerprint, Recipient), u64>,
}

impl Counters {
    /// Whether a message tells of an earlier one that never came. The first one of a run has nothing to compare with.
    pub(super) fn tells_of_missing(&mut self, header: &Header) -> bool {
        let highest = self.highest.entry((header.sender_fp, header.recipient.clone())).or_insert(header.seq);
        let missing = header.prev > *highest;
        *highest = header.seq.max(*highest);
        missing
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
        assert!(!counters.tells_of_missing(&header(7, 6)), "nothing to compare with");
        assert!(!counters.tells_of_missing(&header(9, 7)), "8 was refused by the server");
        assert!(counters.tells_of_missing(&header(12, 11)));
        assert!(!counters.tells_of_missing(&header(13, 12)));
    }

    #[test]
    fn the_oldest_ids_are_forgotten_first() {
        let mut seen = SeenIds::default();
        for seq in 1..=SEEN_IDS as u64 + 1 {
            seen.record(&header(seq, 0), Seen { digest: [0; 32], first_ms: 5 });
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
