//! What was received before: guards against copies, and notices what never came.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::client::model::event::Notice;
use crate::limits::{CLAIMED_SENDERS, HOUR, OPEN_FAILURES_PER_HOUR, SEEN_IDS};
use crate::names::{Recipient, UserName};
use crate::wire::{Fingerprint, Header, MessageId};

/// What must be known of all messages so far, to tell what is new: the inbox keeps it on disk.
#[derive(Default)]
pub struct Ledger {
    pub(crate) seen: SeenIds,
    pub(crate) counters: Counters,
    /// The last message that was safe with the server at the last login.
    kept: u64,
}

impl Ledger {
    /// A login, where messages up to `received` had come. Gives up to where it is known now who has them.
    ///
    /// What was not safe with the server when the connection began over which it came, a crash may have taken back, and an older copy of
    /// the server's data still more: its sender sends it again, so that it comes under another number, and is no copy that
    /// anybody made.
    pub(crate) fn logged_in(&mut self, received: u64, at: Reached) -> u64 {
        self.seen.take_back(self.kept.min(at.end()));
        self.kept = at.kept;
        self.counters.logged_in(received, at)
    }

    /// The last message that was safe with the server at the last login.
    pub(crate) fn kept(&self) -> u64 {
        self.kept
    }

    /// The same of an earlier run.
    pub(crate) fn restore_kept(&mut self, number: u64) {
        self.kept = number;
    }
}

/// The ids of messages that were opened; the oldest of [`SEEN_IDS`] are forgotten.
#[derive(Default)]
pub(crate) struct SeenIds {
    seen: HashMap<(Fingerprint, MessageId), Seen>,
    order: VecDeque<(Fingerprint, MessageId)>,
}

/// A message that was opened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// SHA-256 of the whole envelope.
    pub(crate) digest: [u8; 32],
    /// When it came, as Unix time in milliseconds.
    pub(crate) first_ms: i64,
    /// The server's number of the delivery that it came with; 0 if the server may have lost that.
    pub(crate) number: u64,
    /// Its entry in the inbox; 0 if that is done.
    pub(crate) entry: u64,
    /// What its number told.
    pub(crate) place: Place,
}

impl SeenIds {
    /// The message of this sender with this id, if one was opened.
    pub(crate) fn get(&self, header: &Header) -> Option<Seen> {
        self.seen.get(&(header.sender_fp, header.msg_id)).copied()
    }

    /// A message was opened.
    pub(crate) fn record(&mut self, sender: Fingerprint, id: MessageId, seen: Seen) {
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

    /// The server may know nothing behind this number any more.
    fn take_back(&mut self, end: u64) {
        self.seen.values_mut().filter(|seen| seen.number > end).for_each(|seen| seen.number = 0);
    }

    /// All of them, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fingerprint, MessageId, Seen)> {
        self.order.iter().filter_map(|key| Some((key.0, key.1, *self.seen.get(key)?)))
    }
}

/// Where a message stands among its sender's to the same recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// It tells of an earlier one that never came here.
    pub(crate) gap: Option<Gap>,
    /// A later one told that this one was sent before.
    pub(crate) late: bool,
}

/// Why an earlier message may never have come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Another session of the account may have it: the server said that one acknowledged messages since the last one of the pair.
    Elsewhere,
    /// For no reason that is known.
    Missing,
}

/// What a server said at a login of how far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Number of the last message that a session of the account acknowledged; 0 if none did.
    pub(crate) acknowledged: u64,
    /// Number of the last message that is safe on its disk.
    pub(crate) kept: u64,
}

impl Reached {
    /// The last number that it can know of.
    fn end(self) -> u64 {
        self.kept.max(self.acknowledged)
    }
}

/// The counters seen, per sender's key and recipient.
#[derive(Default)]
pub(crate) struct Counters {
    counters: HashMap<(Fingerprint, Recipient), Counter>,
    /// Number of the last message that another session of the account took, as the server said.
    elsewhere: u64,
}

/// The counters of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// The highest one seen.
    pub(crate) highest: u64,
    /// The highest one that is known to have been accepted before another that was seen.
    pub(crate) known: u64,
    /// The server's number of the last message that was counted.
    pub(crate) number: u64,
}

impl Counters {
    /// What the counter of a message tells, which came with this number of the server's; it counts as seen from now on. The first one
    /// of a pair has nothing to compare with. Gaps are normal, and so is an order in which two processes of one account sent at once:
    /// only `prev` tells what was accepted before.
    pub(crate) fn count(&mut self, header: &Header, number: u64) -> Place {
        let first = Counter { highest: header.seq, known: header.prev, number };
        let key = (header.sender_fp, header.recipient.clone());
        let counter = self.counters.entry(key).or_insert(first);
        let reason = if counter.number < self.elsewhere { Gap::Elsewhere } else { Gap::Missing };
        let gap = (header.prev > counter.highest).then_some(reason);
        let late = header.seq < counter.highest && header.seq <= counter.known;
        counter.highest = header.seq.max(counter.highest);
        counter.known = header.prev.max(counter.known);
        counter.number = number.max(counter.number);
        Place { gap, late }
    }

    /// A login, where messages up to `received` had come. Gives up to where it is known now who has them.
    ///
    /// What the server has acknowledgements for behind that, another session took. Where its log ends before that, a crash or an older
    /// copy of its data has taken the end back, and the numbers after it come again, for other messages.
    fn logged_in(&mut self, received: u64, at: Reached) -> u64 {
        let end = at.end();
        if end < received {
            self.elsewhere = self.elsewhere.min(end);
            self.counters.values_mut().for_each(|counter| counter.number = counter.number.min(end));
        }
        if at.acknowledged > received {
            self.elsewhere = at.acknowledged;
        }
        received.min(end).max(at.acknowledged)
    }

    /// Number of the last message that another session took.
    pub(crate) fn elsewhere(&self) -> u64 {
        self.elsewhere
    }

    /// The same of an earlier run.
    pub(crate) fn restore_elsewhere(&mut self, number: u64) {
        self.elsewhere = number;
    }

    /// A counter of an earlier run.
    pub(crate) fn restore(&mut self, sender: Fingerprint, to: Recipient, counter: Counter) {
        self.counters.insert((sender, to), counter);
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fingerprint, &Recipient, Counter)> {
        self.counters.iter().map(|((sender, to), counter)| (*sender, to, *counter))
    }
}

/// Keeps failures from flooding the screen, and an oracle's questions from being answered.
///
/// What anybody can cause in a name has a budget of its own: it never uses up that of what a pinned key proves, and
/// never hides that a key has changed.
#[derive(Default)]
pub(crate) struct Failures {
    budgets: HashMap<(UserName, Ground), Budget>,
    /// The change that was told last, as the key before and after, by name. Only contacts have any.
    changes: HashMap<UserName, Change>,
    /// It was told that there are too many unknown senders.
    crowded: bool,
}

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Show,
    /// In its place it is said that lines of this sender, or of all unknown ones, are held back.
    HoldBackFrom(Option<UserName>),
    /// Nothing is shown: that was said already.
    Silent,
}

/// What stands behind a sender's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ground {
    /// Nothing.
    Claim,
    /// A contact's name, under a key about which the person has not chosen.
    Change,
    /// A contact's name, over a signature that is not theirs.
    Forgery,
    Signature,
}

/// What was told of a contact's changed key.
#[derive(Default)]
struct Change {
    told: Option<(Fingerprint, Fingerprint)>,
    budget: Budget,
}

#[derive(Default)]
struct Budget {
    shown: VecDeque<Instant>,
    /// It was told that the rest is held back.
    told: bool,
}

impl Failures {
    /// Whether this line about a message of this sender is shown now.
    pub(crate) fn judge(&mut self, sender: &UserName, notice: &Notice, now: Instant) -> Verdict {
        let ground = match notice {
            Notice::KeyChanged(change) => return self.judge_change(sender, (change.pinned, change.now), now),
            // It comes with a new pin, once.
            Notice::NewKeys { .. } | Notice::TookBack { .. } => return Verdict::Show,
            Notice::Held { .. } => Ground::Change,
            Notice::GivenUp { .. } | Notice::NotChosen { .. } | Notice::Rejected { .. } => Ground::Forgery,
            Notice::Copy { .. }
            | Notice::NotOpened { .. }
            | Notice::OtherGroupKey { .. }
            | Notice::OwnKeyMissing { .. }
            | Notice::Reused { .. } => Ground::Signature,
            _ => Ground::Claim,
        };
        self.forget_before(now);
        let key = (sender.clone(), ground);
        if ground == Ground::Claim && !self.budgets.contains_key(&key) && self.claimed() >= CLAIMED_SENDERS {
            return first_time(&mut self.crowded, None);
        }
        self.budgets.entry(key).or_default().judge(sender, now)
    }

    /// A change is told until another one is, and as many of one name as there are lines in an hour: a server can make up keys.
    /// What is held back is told as soon as there is room again.
    fn judge_change(&mut self, name: &UserName, change: (Fingerprint, Fingerprint), now: Instant) -> Verdict {
        let Change { told, budget } = self.changes.entry(name.clone()).or_default();
        if *told == Some(change) {
            return Verdict::Silent;
        }
        budget.forget_before(now);
        let verdict = budget.judge(name, now);
        if verdict == Verdict::Show {
            *told = Some(change);
        }
        verdict
    }

    fn claimed(&self) -> usize {
        self.budgets.keys().filter(|(_, ground)| *ground == Ground::Claim).count()
    }

    fn forget_before(&mut self, now: Instant) {
        self.budgets.retain(|_, budget| {
            budget.forget_before(now);
            !budget.shown.is_empty()
        });
        self.crowded &= self.claimed() >= CLAIMED_SENDERS;
    }
}

impl Budget {
    fn judge(&mut self, sender: &UserName, now: Instant) -> Verdict {
        if self.shown.len() >= per_hour() {
            return first_time(&mut self.told, Some(sender));
        }
        self.shown.push_back(now);
        Verdict::Show
    }

    /// What was shown an hour ago no longer counts; when nothing does, it may be told again that lines are held back.
    fn forget_before(&mut self, now: Instant) {
        while self.shown.front().is_some_and(|first| now.saturating_duration_since(*first) >= HOUR) {
            self.shown.pop_front();
        }
        self.told &= !self.shown.is_empty();
    }
}

fn first_time(told: &mut bool, from: Option<&UserName>) -> Verdict {
    match std::mem::replace(told, true) {
        false => Verdict::HoldBackFrom(from.cloned()),
        true => Verdict::Silent,
    }
}

fn per_hour() -> usize {
    usize::try_from(OPEN_FAILURES_PER_HOUR).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::event::KeyChange;
    use crate::wire::Suite;

    fn header(seq: u64, prev: u64) -> Header {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&seq.to_be_bytes());
        Header {
            suite: Suite::GroupCbc,
            sender: "alice".parse().unwrap(),
            sender_fp: Fingerprint([1; 32]),
            sender_bundle: 1,
            recipient: Recipient::All,
            recipient_fp: Fingerprint([0; 32]),
            msg_id: MessageId(id),
            seq,
            prev,
            sent_ms: 0,
        }
    }

    /// What a message tells that came with its counter as the server's number.
    fn count(counters: &mut Counters, seq: u64, prev: u64) -> Option<Gap> {
        counters.count(&header(seq, prev), seq).gap
    }

    #[test]
    fn a_gap_is_told_once_and_a_fresh_start_is_none() {
        let mut counters = Counters::default();
        assert_eq!(count(&mut counters, 7, 6), None, "nothing to compare with");
        assert_eq!(count(&mut counters, 9, 7), None, "8 was refused by the server");
        assert_eq!(count(&mut counters, 12, 11), Some(Gap::Missing));
        assert_eq!(count(&mut counters, 13, 12), None);
        let late = counters.count(&header(11, 9), 14);
        assert_eq!(late, Place { gap: None, late: true }, "the one that was missing");
    }

    #[test]
    fn two_processes_that_send_at_once_raise_no_alarm() {
        let mut counters = Counters::default();
        let quiet = Place::default();
        for (seq, prev) in [(4, 3), (6, 4), (5, 4), (7, 6)] {
            assert_eq!(counters.count(&header(seq, prev), seq), quiet);
        }
    }

    #[test]
    fn a_gap_is_laid_to_another_session_once_for_each_sender_after_the_login_that_told_of_it() {
        let mut counters = Counters::default();
        assert_eq!(count(&mut counters, 7, 6), None);
        assert_eq!(counters.logged_in(7, Reached { acknowledged: 7, kept: 9 }), 7, "nobody took anything");
        assert_eq!(count(&mut counters, 9, 8), Some(Gap::Missing));
        assert_eq!(counters.logged_in(9, Reached { acknowledged: 20, kept: 20 }), 20);
        // Behind a login that tells no more, as the sender was silent meanwhile.
        assert_eq!(counters.logged_in(25, Reached { acknowledged: 25, kept: 25 }), 25);
        assert_eq!(count(&mut counters, 30, 29), Some(Gap::Elsewhere));
        assert_eq!(count(&mut counters, 33, 32), Some(Gap::Missing), "it had its excuse");
    }

    #[test]
    fn the_numbers_of_a_server_that_was_set_back_begin_anew() {
        let mut counters = Counters::default();
        assert_eq!(count(&mut counters, 90, 89), None);
        assert_eq!(counters.logged_in(90, Reached { acknowledged: 40, kept: 50 }), 50);
        assert_eq!(counters.count(&header(92, 91), 51).gap, Some(Gap::Missing), "nobody took what the server lost");
        assert_eq!(counters.logged_in(51, Reached { acknowledged: 60, kept: 60 }), 60);
        assert_eq!(counters.count(&header(95, 94), 61).gap, Some(Gap::Elsewhere));
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

    fn name(text: &str) -> UserName {
        text.parse().unwrap()
    }

    fn unknown(from: &UserName) -> Notice {
        Notice::UnknownSender { from: from.clone(), id: MessageId([0; 16]) }
    }

    #[test]
    fn failures_are_shown_twenty_times_an_hour_for_each_sender_and_the_rest_is_told_once() {
        let (alice, bob) = (name("alice"), name("bob"));
        let start = Instant::now();
        let mut failures = Failures::default();
        let told: Vec<_> = (0..100).map(|_| failures.judge(&alice, &unknown(&alice), start)).collect();
        assert!(told[..20].iter().all(|verdict| *verdict == Verdict::Show));
        assert_eq!(told[20], Verdict::HoldBackFrom(Some(alice.clone())));
        assert!(told[21..].iter().all(|verdict| *verdict == Verdict::Silent));
        assert_eq!(failures.judge(&bob, &unknown(&bob), start), Verdict::Show);
        assert_eq!(failures.judge(&alice, &unknown(&alice), start + HOUR), Verdict::Show);
    }

    #[test]
    fn junk_in_a_name_hides_nothing_that_a_key_proves() {
        let (bob, id, now) = (name("bob"), MessageId([0; 16]), Instant::now());
        let mut failures = Failures::default();
        for number in 0..CLAIMED_SENDERS + 100 {
            let stranger = name(&format!("stranger{number}"));
            failures.judge(&stranger, &unknown(&stranger), now);
        }
        for _ in 0..100 {
            failures.judge(&bob, &Notice::NotForMe { from: bob.clone(), id }, now);
        }
        for _ in 0..2 {
            assert_eq!(failures.judge(&bob, &Notice::Rejected { from: bob.clone(), id }, now), Verdict::Show);
            assert_eq!(failures.judge(&bob, &Notice::Reused { from: bob.clone(), id }, now), Verdict::Show);
        }
        assert!(failures.budgets.len() <= CLAIMED_SENDERS + 2);
    }

    #[test]
    fn a_changed_key_is_told_once_whatever_was_told_before() {
        let (bob, id, now) = (name("bob"), MessageId([0; 16]), Instant::now());
        let mut failures = Failures::default();
        for _ in 0..100 {
            failures.judge(&bob, &Notice::Rejected { from: bob.clone(), id }, now);
        }
        let changed = |to: u8| {
            let (pinned, now) = (Fingerprint([0; 32]), Fingerprint([to; 32]));
            Notice::KeyChanged(KeyChange {
                name: "bob".parse().unwrap(),
                pinned,
                now,
                since_ms: 0,
                verified_ms: None,
                verified_before_ms: None,
            })
        };
        assert_eq!(failures.judge(&bob, &changed(1), now), Verdict::Show);
        assert_eq!(failures.judge(&bob, &changed(1), now), Verdict::Silent);
        let shown = (1..=250).filter(|to| failures.judge(&bob, &changed(*to), now) == Verdict::Show).count();
        assert_eq!(shown, 19, "keys can be made up without end");
        assert_eq!(failures.judge(&bob, &changed(250), now + HOUR), Verdict::Show, "the one that counts is told");
    }

    #[test]
    fn a_key_that_comes_back_after_another_one_is_told_again() {
        let (bob, now) = (name("bob"), Instant::now());
        let mut failures = Failures::default();
        for to in [1, 2, 1] {
            let (pinned, to) = (Fingerprint([0; 32]), Fingerprint([to; 32]));
            let change = KeyChange {
                name: bob.clone(),
                pinned,
                now: to,
                since_ms: 0,
                verified_ms: None,
                verified_before_ms: None,
            };
            assert_eq!(failures.judge(&bob, &Notice::KeyChanged(change), now), Verdict::Show);
        }
    }

    #[test]
    fn too_many_unknown_senders_are_told_once() {
        let now = Instant::now();
        let mut failures = Failures::default();
        let strangers: Vec<_> = (0..CLAIMED_SENDERS + 9).map(|number| name(&format!("s{number}"))).collect();
        let told: Vec<_> = strangers.iter().map(|from| failures.judge(from, &unknown(from), now)).collect();
        assert_eq!(told[CLAIMED_SENDERS], Verdict::HoldBackFrom(None));
        assert!(told[CLAIMED_SENDERS + 1..].iter().all(|verdict| *verdict == Verdict::Silent));
    }
}
