//! Messages that were taken lately, to know a resend. Pure.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::sequence_map::Ascending;
use crate::wire::{Fingerprint, MessageId};

/// Who sent what: the beginning of the sender's key, as far as it tells keys apart, and the message's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    bytes: [u8; 32],
    hash: u64,
}

/// A message that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) number: u64,
    pub(crate) digest: [u8; 16],
    pub(crate) total: u32,
}

/// The latest messages by id, the oldest forgotten first.
///
/// Dedup are random, so each is looked for where nothing is in a processor's cache. The table that is searched holds numbers only,
/// and each id is hashed once.
pub(crate) struct Dedup {
    numbers: HashTable<u64>,
    taken: Ascending<(Key, Known)>,
    hashes: RandomState,
    limit: usize,
}

impl Dedup {
    pub(crate) fn new(limit: usize) -> Self {
        Self { numbers: HashTable::new(), taken: Ascending::default(), hashes: RandomState::new(), limit }
    }

    pub(crate) fn key(&self, sender: Fingerprint, id: MessageId) -> Key {
        let mut bytes = sender.0;
        bytes[16..].copy_from_slice(&id.0);
        Key { bytes, hash: self.hashes.hash_one(bytes) }
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Known> {
        let number = self.numbers.find(key.hash, |number| has(&self.taken, *number, key))?;
        self.taken.get(*number).map(|(_, known)| *known)
    }

    /// Numbers only grow.
    pub(crate) fn add(&mut self, key: Key, known: Known) {
        self.taken.push(known.number, (key, known));
        let hash = |number: &u64| self.taken.get(*number).map_or(0, |(key, _)| key.hash);
        match self.numbers.entry(key.hash, |number| has(&self.taken, *number, &key), hash) {
            Entry::Occupied(mut before) => *before.get_mut() = known.number,
            Entry::Vacant(free) => drop(free.insert(known.number)),
        }
        while self.taken.len() > self.limit {
            let Some((oldest, &(key, _))) = self.taken.first() else { return };
            self.withdraw(&key, oldest);
            self.taken.remove(oldest);
        }
    }

    /// The message with this number was not kept after all; its id may have been taken again since.
    pub(crate) fn withdraw(&mut self, key: &Key, number: u64) {
        if let Ok(there) = self.numbers.find_entry(key.hash, |there| *there == number) {
            there.remove();
        }
    }
}

fn has(taken: &Ascending<(Key, Known)>, number: u64, key: &Key) -> bool {
    taken.get(number).is_some_and(|(there, _)| there.bytes == key.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message `number` of sender 1.
    fn add(ids: &mut Dedup, id: u8, number: u64) {
        ids.add(key(ids, 1, id), Known { number, digest: [0; 16], total: 1 });
    }

    fn number(ids: &Dedup, sender: u8, id: u8) -> Option<u64> {
        ids.find(&key(ids, sender, id)).map(|known| known.number)
    }

    fn key(ids: &Dedup, sender: u8, id: u8) -> Key {
        ids.key(Fingerprint([sender; 32]), MessageId([id; 16]))
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ids = Dedup::new(2);
        (1..=3).for_each(|id| add(&mut ids, id, id.into()));
        assert_eq!([1, 2, 3].map(|id| number(&ids, 1, id)), [None, Some(2), Some(3)]);
        assert_eq!(number(&ids, 2, 2), None);
    }

    #[test]
    fn a_withdrawn_id_may_be_taken_again() {
        let mut ids = Dedup::new(2);
        add(&mut ids, 1, 1);
        ids.withdraw(&key(&ids, 1, 1), 1);
        assert_eq!(number(&ids, 1, 1), None);
        add(&mut ids, 1, 2);
        add(&mut ids, 2, 3);
        assert_eq!([1, 2].map(|id| number(&ids, 1, id)), [Some(2), Some(3)]);
    }

    /// In a log that was read, an id stands twice if it was used again after it was forgotten.
    #[test]
    fn an_id_that_comes_again_counts_from_then_and_thousands_find_room() {
        let mut ids = Dedup::new(5000);
        add(&mut ids, 1, 1);
        for number in 2..=5000 {
            let id = ids.key(Fingerprint([2; 32]), MessageId(u128::from(number).to_be_bytes()));
            ids.add(id, Known { number, digest: [0; 16], total: 1 });
        }
        add(&mut ids, 1, 5001);
        assert_eq!(number(&ids, 1, 1), Some(5001));
        assert_eq!((ids.numbers.len(), ids.taken.len()), (5000, 5000));
    }
}
