//! Messages that were taken lately, to know a resend. Pure.

use std::collections::{HashMap, VecDeque};

use crate::wire::{Fingerprint, MessageId};

/// Who sent what: the sender's key, as far as it tells keys apart, and the message's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16], MessageId);

impl Key {
    pub(super) fn new(sender: Fingerprint, id: MessageId) -> Self {
        let mut short = [0; 16];
        short.iter_mut().zip(sender.0).for_each(|(to, from)| *to = from);
        Self(short, id)
    }
}

/// A message that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) number: u64,
    pub(super) digest: [u8; 16],
    pub(super) total: u32,
}

/// The latest messages by id, the oldest forgotten first.
pub(super) struct Ids {
    known: HashMap<Key, Known>,
    order: VecDeque<(Key, u64)>,
    limit: usize,
}

impl Ids {
    pub(super) fn new(limit: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn find(&self, key: &Key) -> Option<Known> {
        self.known.get(key).copied()
    }

    pub(super) fn add(&mut self, key: Key, known: Known) {
        self.order.push_back((key, known.number));
        self.known.insert(key, known);
        while self.order.len() > self.limit {
            let Some((oldest, number)) = self.order.pop_front() else { return };
            // It may have been withdrawn and taken again since.
            if self.known.get(&oldest).is_some_and(|known| known.number == number) {
                self.known.remove(&oldest);
            }
        }
    }

    /// The message with this number was not kept after all.
    pub(super) fn withdraw(&mut self, key: &Key, number: u64) {
        if self.known.get(key).is_some_and(|known| known.number == number) {
            self.known.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(sender: u8, id: u8) -> Key {
        Key::new(Fingerprint([sender; 32]), MessageId([id; 16]))
    }

    fn known(number: u64) -> Known {
        Known { number, digest: [0; 16], total: 1 }
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ids = Ids::new(2);
        for number in 1..=3 {
            ids.add(key(1, number), known(number.into()));
        }
        assert_eq!([1, 2, 3].map(|id| ids.find(&key(1, id)).map(|known| known.number)), [None, Some(2), Some(3)]);
        assert_eq!(ids.find(&key(2, 2)), None);
    }

    #[test]
    fn a_withdrawn_id_may_be_taken_again() {
        let mut ids = Ids::new(2);
        ids.add(key(1, 1), known(1));
        ids.withdraw(&key(1, 1), 1);
        assert_eq!(ids.find(&key(1, 1)), None);
        ids.add(key(1, 1), known(2));
        ids.add(key(1, 2), known(3));
        assert_eq!(ids.find(&key(1, 1)), Some(known(2)));
    }
}
