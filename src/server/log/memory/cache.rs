//! Messages in memory: those that are not on disk (yet), and the latest of the others. Pure.

use super::dedup::Key;
use super::frames::Frames;
use super::sequence_map::Ascending;

/// A message that is in memory only.
pub(crate) struct Cached {
    frame: Frames,
    /// To forget its id if it is not kept.
    pub(crate) key: Key,
}

/// Frames by number.
#[derive(Default)]
pub(crate) struct Cache {
    held: Ascending<Cached>,
    held_bytes: usize,
    recent: Ascending<Frames>,
    recent_bytes: usize,
}

impl Cache {
    /// A message that is not on disk yet.
    pub(crate) fn hold(&mut self, number: u64, frame: Frames, key: Key) {
        self.held_bytes += frame.len();
        self.held.push(number, Cached { frame, key });
    }

    /// It is on disk: from now on it may be forgotten, the oldest first, so that `limit` bytes are kept.
    pub(crate) fn written(&mut self, number: u64, limit: usize) {
        let Some(held) = self.release(number) else { return };
        self.recent_bytes += held.frame.len();
        self.recent.push(number, held.frame);
        while self.recent_bytes > limit {
            let Some((oldest, frame)) = self.recent.first() else { return };
            self.recent_bytes -= frame.len();
            self.recent.remove(oldest);
        }
    }

    /// It is needed no more.
    pub(crate) fn release(&mut self, number: u64) -> Option<Cached> {
        let held = self.held.remove(number)?;
        self.held_bytes -= held.frame.len();
        Some(held)
    }

    /// The frame of a message, if it is here.
    pub(crate) fn find(&self, number: u64) -> Option<&Frames> {
        self.held.get(number).map(|held| &held.frame).or_else(|| self.recent.get(number))
    }

    /// How many bytes are here only.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::log::memory::dedup::Dedup;
    use crate::wire::{Fingerprint, MessageId};

    #[test]
    fn what_is_not_on_disk_stays_and_the_rest_is_bounded() {
        let mut memory = Cache::default();
        let key = Dedup::new(1).key(Fingerprint([0; 32]), MessageId([0; 16]));
        for number in 1..=5 {
            memory.hold(number, Frames::new(&vec![0; 10].into(), 0..10), key);
        }
        assert_eq!(memory.held_bytes(), 50);
        for number in [1, 2, 4, 5] {
            memory.written(number, 25);
        }
        let here: Vec<u64> = (1..=5).filter(|number| memory.find(*number).is_some()).collect();
        assert_eq!((here, memory.held_bytes()), (vec![3, 4, 5], 10));
        memory.release(3);
        assert_eq!((memory.find(3).is_some(), memory.held_bytes()), (false, 0));
    }
}
