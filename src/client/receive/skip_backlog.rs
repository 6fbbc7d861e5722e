//! What waited before a run that does not want it: it is taken from the server, and stays in the inbox for the next run.
//!
//! It can't stay on the server: messages are acknowledged in their order, all up to one, and what is not acknowledged
//! keeps later ones from coming. So it is put on disk as everything else, and not marked as opened.

use std::collections::BTreeMap;

use crate::client::error::Error;
use crate::limits::LEFT_MESSAGES;

/// Which entries of the inbox are left.
pub(crate) struct Left {
    wanted: bool,
    connections: u32,
    /// Each with whether it was opened in this run.
    entries: BTreeMap<u64, bool>,
    most: usize,
}

impl Left {
    /// Nothing, or what is there at the beginning of the run.
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, connections: 0, entries: BTreeMap::new(), most: LEFT_MESSAGES }
    }

    /// A connection begins, with these entries in the inbox. Those of the first one are from earlier runs.
    pub(crate) fn connected(&mut self, entries: impl Iterator<Item = u64>) {
        self.connections += 1;
        if self.wanted && self.connections == 1 {
            self.entries.extend(entries.map(|entry| (entry, false)));
        }
    }

    /// Whether this entry is left. What waits for a later connection came while this run was on.
    pub(crate) fn takes(&mut self, entry: u64, backlog: bool) -> bool {
        if self.wanted && self.connections == 1 && backlog {
            self.entries.insert(entry, true);
        }
        self.entries.get_mut(&entry).map(|is_opened| *is_opened = true).is_some()
    }

    /// Whether there is nothing more to do about this entry in this run: all of it was told when it was left, and opening it
    /// again for each connection would only cost time.
    pub(crate) fn is_settled(&self, entry: u64) -> bool {
        self.entries.get(&entry) == Some(&true)
    }

    /// An error when there are too many: what is left again and again must not fill the disk.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.entries.len() {
            count if count > self.most => Err(Error::BacklogFull { count }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_at_the_beginning_is_left_and_what_came_since_is_not() {
        let mut left = Left::new(true);
        left.connected([3, 4, 5].into_iter());
        assert!(left.takes(3, false) && left.takes(5, true) && left.takes(6, true));
        assert!(!left.takes(7, false));
        assert_eq!([3, 4, 6, 7].map(|entry| left.is_settled(entry)), [true, false, true, false]);
        left.connected([3, 5, 6, 8].into_iter());
        assert!(left.takes(6, true), "left once, left for the whole run");
        assert!(!left.takes(8, true), "it came while the connection was away");
    }

    #[test]
    fn nothing_is_left_by_a_run_that_wants_all() {
        let mut left = Left::new(false);
        left.connected([3].into_iter());
        assert!(!left.takes(3, true) && !left.takes(4, true));
    }

    #[test]
    fn no_run_leaves_without_end() {
        let mut left = Left { most: 2, ..Left::new(true) };
        left.connected([1].into_iter());
        assert!(left.takes(2, true) && left.check().is_ok());
        assert!(left.takes(3, true));
        assert!(matches!(left.check(), Err(Error::BacklogFull { count: 3 })));
    }
}
