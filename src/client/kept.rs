//! Messages that stay in the inbox until a person has chosen a key or got a key file. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::limits::KEPT_MESSAGES;
use crate::names::UserName;

/// What a message waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Until {
    /// The person has chosen one of this sender's keys.
    Chosen(UserName),
    /// The group key is there.
    GroupKey,
    /// The program starts again: the server gave no key.
    NextStart,
}

/// Which messages are kept, for what, and what was told of them.
#[derive(Default)]
pub(super) struct Kept {
    entries: HashMap<u64, Until>,
    counts: BTreeMap<UserName, Count>,
}

/// Messages of one sender that wait for a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// How many wait.
    pub(super) held: usize,
    /// How many came for which there was no room.
    pub(super) lost: usize,
}

impl Kept {
    /// Keeps this entry of the inbox. False if there is no room for it.
    pub(super) fn keep(&mut self, entry: u64, until: Until) -> bool {
        let room = self.entries.len() < KEPT_MESSAGES;
        if let Until::Chosen(name) = &until {
            let count = self.counts.entry(name.clone()).or_default();
            *(if room { &mut count.held } else { &mut count.lost }) += 1;
        }
        if room {
            self.entries.insert(entry, until);
        }
        room
    }

    /// Whether this entry is kept.
    pub(super) fn has(&self, entry: u64) -> bool {
        self.entries.contains_key(&entry)
    }

    /// What messages wait for at this moment.
    pub(super) fn awaited(&self) -> BTreeSet<Until> {
        self.entries.values().cloned().collect()
    }

    /// What they waited for has come: they are kept no longer. Gives them.
    pub(super) fn release(&mut self, until: &Until) -> Vec<u64> {
        if let Until::Chosen(name) = until {
            self.counts.remove(name);
        }
        let mut released: Vec<_> =
            self.entries.iter().filter(|(_, kept)| *kept == until).map(|(entry, _)| *entry).collect();
        released.sort_unstable();
        released.iter().for_each(|entry| drop(self.entries.remove(entry)));
        released
    }

    /// How many of this sender's wait for a choice.
    pub(super) fn count(&self, name: &UserName) -> Count {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> Until {
        Until::Chosen("bob".parse().unwrap())
    }

    fn count(kept: &Kept) -> Count {
        kept.count(&"bob".parse().unwrap())
    }

    #[test]
    fn what_is_released_is_given_in_the_order_in_which_it_came() {
        let mut kept = Kept::default();
        for entry in [7, 3, 5] {
            assert!(kept.keep(entry, bob()));
        }
        assert!(kept.keep(4, Until::GroupKey));
        assert_eq!(count(&kept), Count { held: 3, lost: 0 });
        assert_eq!(kept.awaited(), BTreeSet::from([bob(), Until::GroupKey]));
        assert_eq!(kept.release(&bob()), [3, 5, 7]);
        assert_eq!(count(&kept), Count::default());
        assert!(kept.has(4) && !kept.has(3));
        assert_eq!(kept.release(&bob()), [0; 0]);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_too() {
        let mut kept = Kept::default();
        let taken = (0..KEPT_MESSAGES as u64 + 3).filter(|entry| kept.keep(*entry, bob())).count();
        assert_eq!(taken, KEPT_MESSAGES);
        assert_eq!(count(&kept), Count { held: KEPT_MESSAGES, lost: 3 });
    }
}
