//! Messages that stay in the inbox until a person has chosen a key or got a key file. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::limits::{KEPT_MESSAGES, KEPT_OF_SENDER, KEPT_OF_STRANGERS};
use crate::names::UserName;
use crate::wire::Fingerprint;

/// What a message waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// The person has chosen one of this sender's keys.
    Chosen(UserName),
    /// The group key with this id, which this sender used, is in the file.
    GroupKey(UserName, [u8; 16]),
    /// The program starts again: this sender sealed for a key of one's own that is not here.
    OwnKey(UserName, Fingerprint),
    /// The program starts again: the server did not tell this sender's key.
    NextStart(UserName),
}

impl Until {
    fn sender(&self) -> &UserName {
        match self {
            Self::Chosen(name) | Self::GroupKey(name, _) | Self::OwnKey(name, _) | Self::NextStart(name) => name,
        }
    }
}

/// Whether a sender's key is pinned, or whether anybody can have made up the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Contact,
    Stranger,
}

/// Which messages are kept, for what, and what was told of them.
///
/// No sender can take the room of all others, and all strangers together can't take that of the contacts.
#[derive(Default)]
pub(crate) struct Kept {
    entries: HashMap<u64, (Until, Standing)>,
    counts: BTreeMap<Until, Count>,
}

/// Messages of one sender that wait for one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// How many wait.
    pub(crate) held: usize,
    /// How many came for which there was no room.
    pub(crate) lost: usize,
    /// How many of them it was told of.
    told: usize,
}

impl Kept {
    /// Keeps this entry of the inbox. False if there is no room for it.
    pub(crate) fn keep(&mut self, entry: u64, until: Until, standing: Standing) -> bool {
        let room = self.has_room_for(&until, standing);
        // What is kept is always counted. Senders and keys of what is not can be made up without end.
        if room || self.counts.contains_key(&until) || self.counts.len() < KEPT_MESSAGES {
            let count = self.counts.entry(until.clone()).or_default();
            *(if room { &mut count.held } else { &mut count.lost }) += 1;
        }
        if room {
            self.entries.insert(entry, (until, standing));
        }
        room
    }

    fn has_room_for(&self, until: &Until, standing: Standing) -> bool {
        let count = |is: &dyn Fn(&(Until, Standing)) -> bool| self.entries.values().filter(|kept| is(kept)).count();
        let of_sender = count(&|(kept, _)| kept.sender() == until.sender());
        let of_strangers = count(&|(_, standing)| *standing == Standing::Stranger);
        let is_fair = standing == Standing::Contact || of_strangers < KEPT_OF_STRANGERS;
        is_fair && of_sender < KEPT_OF_SENDER && self.entries.len() < KEPT_MESSAGES
    }

    /// Whether this entry is kept.
    pub(crate) fn has(&self, entry: u64) -> bool {
        self.entries.contains_key(&entry)
    }

    /// What messages wait for at this moment.
    pub(crate) fn awaited(&self) -> BTreeSet<Until> {
        self.entries.values().map(|(until, _)| until.clone()).collect()
    }

    /// What they waited for has come: they are kept no longer. Gives them.
    pub(crate) fn release(&mut self, until: &Until) -> Vec<u64> {
        self.counts.remove(until);
        let mut released: Vec<_> =
            self.entries.iter().filter(|(_, (kept, _))| kept == until).map(|(entry, _)| *entry).collect();
        released.sort_unstable();
        released.iter().for_each(|entry| drop(self.entries.remove(entry)));
        released
    }

    /// How many wait for this. Where so many wait for other things that nobody counts, one has come at least.
    pub(crate) fn count(&self, until: &Until) -> Count {
        self.counts.get(until).copied().unwrap_or(Count { lost: 1, ..Count::default() })
    }

    /// The same, if there are twice as many as were told of; they count as told then.
    pub(crate) fn news(&mut self, until: &Until) -> Option<Count> {
        let count = self.counts.get_mut(until)?;
        let all = count.held + count.lost;
        (all >= count.told.saturating_mul(2).max(1)).then(|| {
            count.told = all;
            *count
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> Until {
        Until::Chosen("bob".parse().unwrap())
    }

    fn count(kept: &Kept) -> Count {
        kept.count(&bob())
    }

    #[test]
    fn what_is_released_is_given_in_the_order_in_which_it_came() {
        let mut kept = Kept::default();
        for entry in [7, 3, 5] {
            assert!(kept.keep(entry, bob(), Standing::Contact));
        }
        let group_key = Until::GroupKey("bob".parse().unwrap(), [9; 16]);
        assert!(kept.keep(4, group_key.clone(), Standing::Contact));
        assert_eq!(count(&kept), Count { held: 3, lost: 0, told: 0 });
        assert_eq!(kept.awaited(), BTreeSet::from([bob(), group_key]));
        assert_eq!(kept.release(&bob()), [3, 5, 7]);
        assert_eq!(count(&kept).held, 0);
        assert!(kept.has(4) && !kept.has(3));
        assert_eq!(kept.release(&bob()), [0; 0]);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_too() {
        let mut kept = Kept::default();
        let taken = (0..KEPT_OF_SENDER as u64 + 3).filter(|entry| kept.keep(*entry, bob(), Standing::Contact)).count();
        assert_eq!(taken, KEPT_OF_SENDER);
        assert_eq!(count(&kept), Count { held: KEPT_OF_SENDER, lost: 3, told: 0 });
    }

    #[test]
    fn the_same_news_is_told_again_when_there_is_twice_as_much() {
        let mut kept = Kept::default();
        let told = (1..=20).filter(|entry| kept.keep(*entry, bob(), Standing::Contact) && kept.news(&bob()).is_some());
        assert_eq!(told.collect::<Vec<_>>(), [1, 2, 4, 8, 16]);
    }

    #[test]
    fn made_up_senders_fill_neither_the_memory_nor_the_room_of_contacts() {
        let mut kept = Kept::default();
        for number in 0..KEPT_MESSAGES as u64 * 3 {
            kept.keep(number, Until::NextStart(format!("s{number}").parse().unwrap()), Standing::Stranger);
        }
        assert_eq!((kept.counts.len(), kept.entries.len()), (KEPT_MESSAGES, KEPT_OF_STRANGERS));
        assert!(kept.keep(u64::MAX, bob(), Standing::Contact));
        assert_eq!(count(&kept), Count { held: 1, lost: 0, told: 0 }, "it is counted, however many others are");
        let of_nobody = kept.count(&Until::Chosen("nobody".parse().unwrap()));
        assert_eq!((of_nobody.held, of_nobody.lost), (0, 1));
    }

    #[test]
    fn one_contact_with_ever_other_keys_leaves_room_for_the_others() {
        let mut kept = Kept::default();
        for number in 0..=255 {
            kept.keep(number.into(), Until::GroupKey("eve".parse().unwrap(), [number; 16]), Standing::Contact);
        }
        assert_eq!(kept.entries.len(), KEPT_OF_SENDER);
        assert!(kept.keep(1000, bob(), Standing::Contact));
    }
}
