//! What must hold, whatever happens: every message that was accepted is shown, once, in order, and nothing else is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use topchat::client::model::event::{KeyChange, Notice};
use topchat::client::simulation::Heard;
use topchat::names::Recipient;
use topchat::wire::to_client::State;
use topchat::wire::{Code, MessageId};

/// A person in one of their lives: an account that was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Life {
    pub(crate) person: usize,
    pub(crate) life: usize,
}

/// What is known of one message.
#[derive(Debug)]
struct Message {
    from: Life,
    /// For whom it is sealed; `None` for the group.
    to: Option<Life>,
    /// Its place among all that were written.
    order: u64,
    /// What it says, if writing it was answered.
    text: Option<String>,
    /// How often the server took it.
    taken: u32,
    /// Those who were members every time that the server took it, and any time.
    must: Option<BTreeSet<Life>>,
    may: BTreeSet<Life>,
    accepted: Option<Duration>,
    refused: Option<Option<Code>>,
    delivered: bool,
    /// It may be lost after all, for this reason.
    excused: Option<&'static str>,
    /// How often it was shown to whom, and how often of these as one that may have been shown before.
    shown: BTreeMap<Life, (u32, u32)>,
}

/// All that was seen so far.
#[derive(Default)]
pub(crate) struct Oracle {
    messages: Vec<Message>,
    by_id: HashMap<MessageId, usize>,
    /// Texts of messages of which it is not known whether they were written.
    unsure: HashMap<String, (Life, Option<Life>, u64)>,
    /// Names of the people.
    names: Vec<String>,
    written: u64,
    /// The last message of one sender that was shown to somebody.
    last_shown: HashMap<(Life, Life), u64>,
    /// The server refused some of what one sent and took what came behind it.
    pub(crate) is_disordered: bool,
    /// Lives whose own disk refused something: what was to be told may not have been.
    pub(crate) had_faults: BTreeSet<Life>,
    pub(crate) was_disabled: BTreeSet<Life>,
    /// Whose messages were told as lost.
    given_up: BTreeSet<(Life, String)>,
    /// Whose messages waited for a key.
    waited: BTreeSet<(Life, String)>,
    /// How many messages a life was told that it will not get.
    passed: BTreeMap<Life, u64>,
    /// How often a life's client was started anew.
    starts: BTreeMap<Life, u32>,
    pub(crate) sends: u64,
    pub(crate) shows: u64,
    finding: Option<String>,
}

impl Oracle {
    /// Of these people.
    pub(crate) fn of(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// The first thing that must not be.
    pub(crate) fn finding(&self) -> Option<&str> {
        self.finding.as_deref()
    }

    /// Something must not be.
    pub(crate) fn report(&mut self, words: String) {
        self.finding.get_or_insert(words);
    }

    /// A client begins.
    pub(crate) fn started(&mut self, who: Life) {
        *self.starts.entry(who).or_default() += 1;
    }

    /// A message was written: it is on its client's disk. Without an id nobody knows.
    pub(crate) fn wrote(&mut self, from: Life, to: Option<Life>, text: String, id: Option<MessageId>) {
        self.written += 1;
        self.sends += 1;
        match id {
            Some(id) => {
                let message = self.message(id, from, to);
                if self.messages[message].text.replace(text).is_some() {
                    self.report(format!("the id {} was given twice", id.short()));
                }
            }
            None => drop(self.unsure.insert(text, (from, to, self.written))),
        }
    }

    /// The server takes a message, while these are its recipients.
    pub(crate) fn taken(
        &mut self,
        id: MessageId,
        from: Life,
        to: Option<Life>,
        members: BTreeSet<Life>,
        more: BTreeSet<Life>,
    ) {
        let at = self.message(id, from, to);
        let message = &mut self.messages[at];
        // What is sealed for an account that is gone, its successor gets and can't open.
        let is_for = |life: &Life| message.to.is_none_or(|to| to == *life);
        // Nor is it known which one it is for, if nobody knows whether it was written.
        let is_sure = message.to.is_none() || message.text.is_some();
        let more = &more | &members;
        let members: BTreeSet<_> = members.into_iter().filter(|life| is_sure && is_for(life)).collect();
        message.taken += 1;
        message.may.extend(members.union(&more));
        message.must = Some(match &message.must {
            Some(before) => before & &members,
            None => members,
        });
    }

    /// What was accepted until now may be lost: the server's disk is not what it was.
    pub(crate) fn excuse(&mut self, since: Duration, why: &'static str) {
        let accepted =
            self.messages.iter_mut().filter(|message| message.accepted.is_none_or(|accepted| accepted >= since));
        // What was not accepted may be on its way with an answer.
        accepted.for_each(|message| message.excused = Some(why));
    }

    /// What waits for a life that is over is nobody's, and what it wrote need not be believed any more.
    pub(crate) fn ended(&mut self, life: Life) {
        for message in &mut self.messages {
            if message.from == life {
                message.excused = Some("its sender's account is gone");
            }
            if let Some(must) = &mut message.must {
                must.remove(&life);
            }
        }
    }

    /// What a client showed or told.
    pub(crate) fn heard(&mut self, who: Life, now: Duration, heard: &Heard, is_calm: bool) {
        match heard {
            Heard::Shown { from, to, id, text, is_repeated } => {
                let has_waited = self.waited.contains(&(who, from.to_string()));
                self.shown(who, to, *id, text, *is_repeated, has_waited);
            }
            Heard::Status { id, state, .. } => {
                let Some(at) = self.by_id.get(id).copied() else {
                    return self.report(format!("{who:?} hears of {}, which nobody wrote", id.short()));
                };
                let message = &mut self.messages[at];
                if message.from != who {
                    let from = message.from;
                    return self.report(format!("{who:?} hears of a message of {from:?}"));
                }
                if *state != State::Unconfirmed {
                    message.accepted.get_or_insert(now);
                }
                message.delivered |= *state == State::Delivered && message.to.is_some();
            }
            Heard::Refused { id, code } => {
                if let Some(at) = self.by_id.get(id).copied() {
                    self.messages[at].refused = Some(*code);
                }
            }
            Heard::Told(notice) => {
                match notice {
                    Notice::Passed { count } => *self.passed.entry(who).or_default() += count,
                    // What waits for a key is shown when that is there, whatever came since.
                    Notice::KeyNotGiven { from, .. } | Notice::KeyChanged(KeyChange { name: from, .. }) => {
                        self.waited.insert((who, from.to_string()));
                    }
                    // Perhaps that was to be told, among other things.
                    Notice::HeldBack { from: Some(from) } => {
                        self.waited.insert((who, from.to_string()));
                    }
                    // More than are kept until the person has chosen.
                    Notice::Held { from, lost, .. } if *lost > 0 => {
                        self.given_up.insert((who, from.to_string()));
                    }
                    Notice::Missing { to: Recipient::All, .. } if self.lacks_group(who) => {}
                    // A server that has lost the id takes it again.
                    Notice::Copy { id, .. } if self.was_taken_again(id) => {}
                    Notice::Copy { .. }
                    | Notice::Malformed
                    | Notice::NotForMe { .. }
                    | Notice::NotOpened { .. }
                    | Notice::Rejected { .. }
                    | Notice::Reused { .. }
                    | Notice::Missing { .. }
                        if is_calm =>
                    {
                        self.report(format!("{who:?} is told {notice:?}, though all are honest"));
                    }
                    _ => {}
                }
            }
        }
    }

    fn was_taken_again(&self, id: &MessageId) -> bool {
        self.by_id.get(id).is_some_and(|at| self.messages[*at].taken > 1)
    }

    /// Whether there are group messages that a life is not to get.
    fn lacks_group(&self, who: Life) -> bool {
        self.passed.contains_key(&who) || self.was_disabled.contains(&who)
    }

    fn shown(&mut self, who: Life, to: &Recipient, id: MessageId, text: &str, is_repeated: bool, has_waited: bool) {
        self.shows += 1;
        let Some(at) = self.by_id.get(&id).copied() else {
            return self.report(format!("{who:?} is shown {text:?}, which the server never took"));
        };
        let unsure = self.unsure.remove(text);
        let message = &mut self.messages[at];
        if let Some((from, to, order)) = unsure
            && message.text.is_none()
            && (from, to) == (message.from, message.to)
        {
            message.text = Some(text.to_owned());
            message.order = order;
        }
        if message.text.as_deref() != Some(text) || (*to == Recipient::All) != message.to.is_none() {
            let words = format!("{who:?} is shown {text:?} to {to:?} for {message:?}");
            return self.report(words);
        }
        if !message.may.contains(&who) {
            let words = format!("{who:?} is shown {text:?}, whose recipients are {:?}", message.may);
            return self.report(words);
        }
        let (shown, repeated) = message.shown.entry(who).or_default();
        *shown += 1;
        *repeated += u32::from(is_repeated);
        let (shown, repeated) = (*shown, *repeated);
        let starts = self.starts.get(&who).copied().unwrap_or(0);
        if shown - repeated > 1 || shown > starts.max(1) {
            let words =
                format!("{who:?} is shown {text:?} {shown} times, {repeated} of these as repeated, by {starts} runs");
            return self.report(words);
        }
        let (from, order) = (self.messages[at].from, self.messages[at].order);
        let last = self.last_shown.entry((who, from)).or_default();
        let is_loose =
            has_waited || self.is_disordered || self.had_faults.contains(&who) || self.messages[at].taken > 1;
        if !is_repeated && !is_loose && order <= *last {
            let words = format!("{who:?} is shown {text:?} of {from:?} after a later one");
            return self.report(words);
        }
        *last = order.max(*last);
    }

    /// The end, after all is well again and everything had its time: these accounts are there.
    pub(crate) fn close(&mut self, alive: &BTreeSet<Life>) {
        let mut missing: BTreeMap<Life, u64> = BTreeMap::new();
        let mut found = None;
        for message in &self.messages {
            let (Some(_), Some(must), None) = (message.accepted, &message.must, message.excused) else { continue };
            for who in must.intersection(alive) {
                let is_given_up = self.given_up.contains(&(*who, self.names[message.from.person].clone()));
                if message.shown.contains_key(who) || is_given_up {
                    continue;
                }
                match message.to {
                    None => *missing.entry(*who).or_default() += 1,
                    Some(_) => {
                        found.get_or_insert(format!("{who:?} never gets {message:?}"));
                    }
                }
                if message.delivered {
                    found.get_or_insert(format!("{message:?} was told as delivered"));
                }
            }
        }
        for (who, missing) in missing {
            let passed = self.passed.get(&who).copied().unwrap_or(0);
            if missing > passed {
                found.get_or_insert(format!("{who:?} lacks {missing} messages to ALL, and was told of {passed}"));
            }
        }
        if let Some(found) = found {
            self.report(found);
        }
    }

    fn message(&mut self, id: MessageId, from: Life, to: Option<Life>) -> usize {
        if let Some(at) = self.by_id.get(&id) {
            return *at;
        }
        self.by_id.insert(id, self.messages.len());
        self.messages.push(Message {
            from,
            to,
            order: self.written,
            text: None,
            taken: 0,
            must: None,
            may: BTreeSet::new(),
            accepted: None,
            refused: None,
            delivered: false,
            excused: None,
            shown: BTreeMap::new(),
        });
        self.messages.len() - 1
    }
}
