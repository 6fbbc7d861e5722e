//! The counters of sent messages, per own key and recipient: a number is on disk before a message with it goes out.
//!
//! A number is the time, unless one that is as high was used already. So numbers go on growing where the counters are not at
//! hand: on a second machine, or after the state folder was lost.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::state_file::{Document, StateFile, VERSION};
use crate::client::error::Error;
use crate::names::Recipient;
use crate::wire::Fingerprint;

/// The counters of one account on one server. Two processes at once never get the same number.
pub(crate) struct Sequence {
    file: StateFile,
    key: String,
}

/// The numbers of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Higher than all before.
    pub seq: u64,
    /// That of the last message which the server took, 0 if none; lower than `seq`.
    pub prev: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Counters {
    v: u32,
    /// By fingerprint of the own identity key, then by recipient.
    counters: BTreeMap<String, BTreeMap<String, Counter>>,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Counter {
    used: u64,
    accepted: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { v: VERSION, counters: BTreeMap::new() }
    }
}

impl Document for Counters {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Sequence {
    /// The counters in this folder, which is made if it is missing, for messages signed by `identity`.
    pub(crate) fn open(folder: &Path, identity: Fingerprint) -> Result<Self, Error> {
        let sequence = Self { file: StateFile::new(folder, "sequence.json")?, key: identity.to_hex() };
        sequence.file.read::<Counters>()?;
        Ok(sequence)
    }

    /// The numbers of the next message, at this Unix time in milliseconds.
    pub(crate) fn next(&self, to: &Recipient, now_ms: i64) -> Result<Numbers, Error> {
        self.file.change(|counters: &mut Counters| {
            let counter = self.counter(counters, to);
            let exhausted = || self.file.malformed(format!("the counter for {to} is at its end"));
            let next = counter.used.max(counter.accepted).checked_add(1).ok_or_else(exhausted)?;
            counter.used = next.max(u64::try_from(now_ms).unwrap_or(0));
            Ok(Numbers { seq: counter.used, prev: counter.accepted })
        })
    }

    /// The server took the message with this number.
    pub(crate) fn accepted(&self, to: &Recipient, seq: u64) -> Result<(), Error> {
        self.file.change(|counters: &mut Counters| {
            let counter = self.counter(counters, to);
            counter.accepted = counter.accepted.max(seq);
            Ok(())
        })
    }

    fn counter<'a>(&self, counters: &'a mut Counters, to: &Recipient) -> &'a mut Counter {
        counters.counters.entry(self.key.clone()).or_default().entry(to.to_string()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(place: &tempfile::TempDir) -> Sequence {
        Sequence::open(place.path(), Fingerprint([7; 32])).unwrap()
    }

    #[test]
    fn numbers_grow_and_tell_the_last_accepted() {
        let place = tempfile::tempdir().unwrap();
        let (bob, sequence) = ("bob".parse().unwrap(), open(&place));
        assert_eq!(sequence.next(&bob, 0).unwrap(), Numbers { seq: 1, prev: 0 });
        sequence.accepted(&bob, 1).unwrap();
        assert_eq!(sequence.next(&bob, 0).unwrap(), Numbers { seq: 2, prev: 1 });
        assert_eq!(open(&place).next(&bob, 0).unwrap(), Numbers { seq: 3, prev: 1 });
        assert_eq!(sequence.next(&Recipient::All, 0).unwrap(), Numbers { seq: 1, prev: 0 });
    }

    #[test]
    fn numbers_follow_the_clock_and_never_go_back_with_it() {
        let place = tempfile::tempdir().unwrap();
        let sequence = open(&place);
        assert_eq!(sequence.next(&Recipient::All, 5000).unwrap(), Numbers { seq: 5000, prev: 0 });
        sequence.accepted(&Recipient::All, 5000).unwrap();
        for (now_ms, seq) in [(5000, 5001), (4000, 5002), (-9, 5003), (6000, 6000)] {
            assert_eq!(sequence.next(&Recipient::All, now_ms).unwrap(), Numbers { seq, prev: 5000 });
        }
    }

    #[test]
    fn another_key_counts_by_itself() {
        let place = tempfile::tempdir().unwrap();
        open(&place).next(&Recipient::All, 0).unwrap();
        let other = Sequence::open(place.path(), Fingerprint([8; 32])).unwrap();
        assert_eq!(other.next(&Recipient::All, 0).unwrap(), Numbers { seq: 1, prev: 0 });
    }

    #[test]
    fn two_at_once_never_get_the_same_number() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (open(&place), open(&place));
        let take = |sequence: &Sequence| -> Vec<u64> {
            (0..20).map(|_| sequence.next(&Recipient::All, 0).unwrap().seq).collect()
        };
        let mut numbers = std::thread::scope(|scope| {
            let other = scope.spawn(|| take(&other));
            let mut numbers = take(&one);
            numbers.extend(other.join().unwrap());
            numbers
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    }
}
