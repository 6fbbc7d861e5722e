//! Deferred messages: they wait in the inbox for a person, who chooses a key, or brings the group key file or a key of their own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use super::open::group_id;
use super::{Action, Signed, Steps, done};
use crate::client::model::event::Notice;
use crate::client::state::inbox::Entry;
use crate::client::state::seen::Place;
use crate::crypto::envelope::group_fingerprint;
use crate::limits::{KEPT_MESSAGES, KEPT_OF_SENDER, KEPT_OF_STRANGERS};
use crate::names::{Recipient, UserName};
use crate::wire::Fingerprint;

/// What a message waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Awaited {
    /// The person accepts what this sender sealed by a weaker suite than it asks for itself.
    Accepted(UserName),
    /// The person has chosen one of this sender's keys.
    Chosen(UserName),
    /// The program starts again without holding what this sender wrote to ALL under DES.
    ClassicGroup(UserName),
    /// The group key with this id, which this sender used, is in the file.
    GroupKey(UserName, [u8; 16]),
    /// The program starts again: this sender sealed for a key of one's own that is not here.
    OwnKey(UserName, Fingerprint),
    /// The program starts again: the server did not tell this sender's key.
    NextStart(UserName),
}

impl Awaited {
    fn sender(&self) -> &UserName {
        match self {
            Self::Accepted(name)
            | Self::ClassicGroup(name)
            | Self::Chosen(name)
            | Self::GroupKey(name, _)
            | Self::OwnKey(name, _)
            | Self::NextStart(name) => name,
        }
    }
}

/// Whether a sender's key is pinned, or whether anybody can have made up the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Contact,
    Stranger,
}

/// Which messages are deferred, for what, and what was told of them.
///
/// No sender can take the room of all others, and all strangers together can't take that of the contacts.
#[derive(Default)]
pub(super) struct Deferred {
    entries: HashMap<u64, (Awaited, Standing)>,
    counts: BTreeMap<Awaited, Count>,
}

/// Messages of one sender that wait for one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) held: usize,
    /// How many came for which there was no room.
    pub(super) lost: usize,
    /// How many of them it was told of.
    told: usize,
}

impl Deferred {
    /// Adds this entry of the inbox. False if there is no room for it.
    pub(super) fn add(&mut self, entry: u64, awaited: Awaited, standing: Standing) -> bool {
        let room = self.has_room_for(&awaited, standing);
        // What is deferred is always counted. Senders and keys of what is not can be made up without end.
        if room || self.counts.contains_key(&awaited) || self.counts.len() < KEPT_MESSAGES {
            let count = self.counts.entry(awaited.clone()).or_default();
            *(if room { &mut count.held } else { &mut count.lost }) += 1;
        }
        if room {
            self.entries.insert(entry, (awaited, standing));
        }
        room
    }

    fn has_room_for(&self, awaited: &Awaited, standing: Standing) -> bool {
        let count = |is: &dyn Fn(&(Awaited, Standing)) -> bool| self.entries.values().filter(|entry| is(entry)).count();
        let of_sender = count(&|(other, _)| other.sender() == awaited.sender());
        let of_strangers = count(&|(_, standing)| *standing == Standing::Stranger);
        let is_fair = standing == Standing::Contact || of_strangers < KEPT_OF_STRANGERS;
        is_fair && of_sender < KEPT_OF_SENDER && self.entries.len() < KEPT_MESSAGES
    }

    /// Whether this entry is among them.
    pub(super) fn has(&self, entry: u64) -> bool {
        self.entries.contains_key(&entry)
    }

    /// What messages wait for at this moment.
    pub(super) fn awaited(&self) -> BTreeSet<Awaited> {
        self.entries.values().map(|(awaited, _)| awaited.clone()).collect()
    }

    /// What they waited for has come: they are given back.
    pub(super) fn release(&mut self, awaited: &Awaited) -> Vec<u64> {
        self.counts.remove(awaited);
        let mut released: Vec<_> =
            self.entries.iter().filter(|(_, (other, _))| other == awaited).map(|(entry, _)| *entry).collect();
        released.sort_unstable();
        released.iter().for_each(|entry| drop(self.entries.remove(entry)));
        released
    }

    /// How many wait for this. Where so many wait for other things that nobody counts, one has come at least.
    pub(super) fn count(&self, awaited: &Awaited) -> Count {
        self.counts.get(awaited).copied().unwrap_or(Count { lost: 1, ..Count::default() })
    }

    /// The same, if there are twice as many as were told of; they count as told then.
    pub(super) fn news(&mut self, awaited: &Awaited) -> Option<Count> {
        let count = self.counts.get_mut(awaited)?;
        let all = count.held + count.lost;
        (all >= count.told.saturating_mul(2).max(1)).then(|| {
            count.told = all;
            *count
        })
    }
}

impl Steps {
    /// Whether this entry was told of already and waits for a person.
    pub(super) fn defers(&self, entry: u64) -> bool {
        self.deferred.has(entry)
    }

    /// Whether messages wait for a person, who may choose a key in another process, or bring the group key file.
    pub(super) fn waits_for_a_person(&self) -> bool {
        let is_a_persons =
            |awaited: &Awaited| matches!(awaited, Awaited::Accepted(_) | Awaited::Chosen(_) | Awaited::GroupKey(..));
        self.deferred.awaited().iter().any(is_a_persons)
    }

    /// Whether messages wait for the group key file.
    pub(super) fn waits_for_group_keys(&self) -> bool {
        self.deferred.awaited().iter().any(|awaited| matches!(awaited, Awaited::GroupKey(..)))
    }

    /// Senders of messages that wait for a choice.
    pub(super) fn undecided(&self) -> Vec<UserName> {
        let awaited = self.deferred.awaited().into_iter();
        awaited.filter_map(|awaited| if let Awaited::Chosen(name) = awaited { Some(name) } else { None }).collect()
    }

    /// Senders of messages that wait to be accepted, and when the last of them came.
    pub(super) fn unaccepted(&self) -> Vec<(UserName, i64)> {
        let waits =
            |(name, _): &(&UserName, &i64)| self.deferred.awaited().contains(&Awaited::Accepted((*name).clone()));
        let waiting = self.held.iter().filter(waits);
        waiting.map(|(name, last)| (name.clone(), *last)).collect()
    }

    /// Entries of senders of whom a key is `chosen` or whose weak messages are accepted now, or whose group key has come, the oldest first: they are to arrive once more.
    pub(super) fn released(&mut self, chosen: &BTreeSet<UserName>, accepted: &BTreeSet<UserName>) -> BTreeSet<u64> {
        let mut released = BTreeSet::new();
        for awaited in self.deferred.awaited() {
            let has_come = match &awaited {
                Awaited::Accepted(name) => accepted.contains(name),
                Awaited::Chosen(name) => chosen.contains(name),
                Awaited::GroupKey(_, id) => self.member.group.with(id).is_some(),
                Awaited::ClassicGroup(_) | Awaited::OwnKey(..) | Awaited::NextStart(_) => false,
            };
            if has_come {
                released.extend(self.deferred.release(&awaited));
            }
        }
        released
    }

    /// One line for each sender, and each key that is missing, of whose deferred messages there are more than were told of.
    pub(super) fn news(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for (awaited, (key, standing)) in std::mem::take(&mut self.news) {
            let (from, notice) = match &awaited {
                Awaited::NextStart(_) => continue,
                Awaited::Accepted(from) => {
                    let told =
                        |count: Count| Notice::Weaker { from: from.clone(), count: count.held, lost: count.lost };
                    (from, self.deferred.news(&awaited).map(told))
                }
                Awaited::Chosen(from) => {
                    let Count { held: count, lost, .. } = self.deferred.count(&awaited);
                    let notice = match standing {
                        Standing::Contact => Notice::Held { from: from.clone(), count, lost },
                        Standing::Stranger => Notice::HeldUnpinned { from: from.clone(), now: key, count, lost },
                    };
                    (from, Some(notice))
                }
                Awaited::ClassicGroup(from) => {
                    let told = |count: Count| {
                        let (count, lost) = (count.held, count.lost);
                        Notice::ClassicGroup { from: from.clone(), count, lost }
                    };
                    (from, self.deferred.news(&awaited).map(told))
                }
                Awaited::GroupKey(from, id) => (from, self.group_key_news(from, id, &awaited)),
                Awaited::OwnKey(from, key) => {
                    let told = |count: Count| {
                        let (count, lost) = (count.held, count.lost);
                        Notice::OwnKeyMissing { from: from.clone(), key: *key, count, lost }
                    };
                    (from, self.deferred.news(&awaited).map(told))
                }
            };
            if let Some(notice) = notice {
                self.tell(from, notice, now, &mut actions);
            }
        }
        actions
    }

    fn group_key_news(&mut self, from: &UserName, id: &[u8; 16], awaited: &Awaited) -> Option<Notice> {
        let Count { held: count, lost, .. } = self.deferred.news(awaited)?;
        let ours = self.member.group.keys().map(|keys| keys.writer().short_id());
        let theirs = group_fingerprint(id).short();
        Some(Notice::OtherGroupKey { from: from.clone(), theirs, ours, count, lost })
    }

    /// A key that a person can get keeps a message from being shown: it is tried again when that may be there, as far as
    /// there is room. Its signature holds, but nothing is sent because of it.
    pub(super) fn defer_for_key(&mut self, message: &Entry, place: Place, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let awaited = match header.recipient {
            Recipient::All => Awaited::GroupKey(header.sender.clone(), group_id(header)),
            Recipient::User(_) => Awaited::OwnKey(header.sender.clone(), header.recipient_fp),
        };
        self.defer_signed(message, awaited, place, actions);
    }

    /// Defers what was written to ALL under DES, though the group writes by AES.
    pub(super) fn defer_classic_group(&mut self, message: &Entry, place: Place, actions: &mut Vec<Action>) {
        let awaited = Awaited::ClassicGroup(message.envelope.header.sender.clone());
        self.defer_signed(message, awaited, place, actions);
    }

    fn defer_signed(&mut self, message: &Entry, awaited: Awaited, place: Place, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        self.news.insert(awaited.clone(), (header.sender_fp, Standing::Contact));
        match self.deferred.add(message.entry, awaited, Standing::Contact) {
            // What is missing before it is told once.
            true => drop(self.places.insert(message.entry, Place { gap: None, ..place })),
            false => actions.push(done(message, Signed::Yes)),
        }
    }

    /// Defers a message that is weaker than its sender's own choice until the person accepts it. Its signature holds.
    pub(super) fn defer_until_accepted(&mut self, message: &Entry, place: Place, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let last = self.held.entry(header.sender.clone()).or_insert(message.received_ms);
        *last = message.received_ms.max(*last);
        self.defer_signed(message, Awaited::Accepted(header.sender.clone()), place, actions);
    }

    /// Defers a message until the person has chosen one of its sender's keys, as far as there is room.
    pub(super) fn defer_until_chosen(&mut self, message: &Entry, standing: Standing, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let awaited = Awaited::Chosen(header.sender.clone());
        self.news.insert(awaited.clone(), (header.sender_fp, standing));
        if !self.deferred.add(message.entry, awaited, standing) {
            actions.push(done(message, Signed::No));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> Awaited {
        Awaited::Chosen("bob".parse().unwrap())
    }

    fn count(deferred: &Deferred) -> Count {
        deferred.count(&bob())
    }

    #[test]
    fn what_is_released_is_given_in_the_order_in_which_it_came() {
        let mut deferred = Deferred::default();
        for entry in [7, 3, 5] {
            assert!(deferred.add(entry, bob(), Standing::Contact));
        }
        let group_key = Awaited::GroupKey("bob".parse().unwrap(), [9; 16]);
        assert!(deferred.add(4, group_key.clone(), Standing::Contact));
        assert_eq!(count(&deferred), Count { held: 3, lost: 0, told: 0 });
        assert_eq!(deferred.awaited(), BTreeSet::from([bob(), group_key]));
        assert_eq!(deferred.release(&bob()), [3, 5, 7]);
        assert_eq!(count(&deferred).held, 0);
        assert!(deferred.has(4) && !deferred.has(3));
        assert_eq!(deferred.release(&bob()), [0; 0]);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_too() {
        let mut deferred = Deferred::default();
        let taken =
            (0..KEPT_OF_SENDER as u64 + 3).filter(|entry| deferred.add(*entry, bob(), Standing::Contact)).count();
        assert_eq!(taken, KEPT_OF_SENDER);
        assert_eq!(count(&deferred), Count { held: KEPT_OF_SENDER, lost: 3, told: 0 });
    }

    #[test]
    fn the_same_news_is_told_again_when_there_is_twice_as_much() {
        let mut deferred = Deferred::default();
        let told =
            (1..=20).filter(|entry| deferred.add(*entry, bob(), Standing::Contact) && deferred.news(&bob()).is_some());
        assert_eq!(told.collect::<Vec<_>>(), [1, 2, 4, 8, 16]);
    }

    #[test]
    fn made_up_senders_fill_neither_the_memory_nor_the_room_of_contacts() {
        let mut deferred = Deferred::default();
        for number in 0..KEPT_MESSAGES as u64 * 3 {
            deferred.add(number, Awaited::NextStart(format!("s{number}").parse().unwrap()), Standing::Stranger);
        }
        assert_eq!((deferred.counts.len(), deferred.entries.len()), (KEPT_MESSAGES, KEPT_OF_STRANGERS));
        assert!(deferred.add(u64::MAX, bob(), Standing::Contact));
        assert_eq!(count(&deferred), Count { held: 1, lost: 0, told: 0 }, "it is counted, however many others are");
        let of_nobody = deferred.count(&Awaited::Chosen("nobody".parse().unwrap()));
        assert_eq!((of_nobody.held, of_nobody.lost), (0, 1));
    }

    #[test]
    fn one_contact_with_ever_other_keys_leaves_room_for_the_others() {
        let mut deferred = Deferred::default();
        for number in 0..=255 {
            deferred.add(number.into(), Awaited::GroupKey("eve".parse().unwrap(), [number; 16]), Standing::Contact);
        }
        assert_eq!(deferred.entries.len(), KEPT_OF_SENDER);
        assert!(deferred.add(1000, bob(), Standing::Contact));
    }
}
