//! One account's mailbox: whose it is, how far it has acknowledged, and the direct messages that wait. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::files::segment::Place;
use crate::names::UserName;
use crate::wire::Fingerprint;

/// How far an account has acknowledged; what stands in the file of cursors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last message.
    pub(super) number: u64,
    /// How many group messages there were up to then.
    pub(super) group: u64,
    /// Passed over since: direct messages over their age, less group messages of its own.
    pub(super) passed: i64,
}

/// An account, as far as the index knows it.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) name: UserName,
    /// Its first one: an account that changes its keys stays the same account.
    pub(super) identity: Fingerprint,
    /// It gets messages behind this number: no other account of that name began there.
    pub(super) joined: u64,
    pub(super) disabled: bool,
}

impl Owner {
    /// Whether it is the same account: a name can be deleted and registered again, even with the same keys.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.is_whose(&other.name, other.identity, other.joined)
    }

    /// Whether it is this account, of those that had its name.
    pub(super) fn is_whose(&self, name: &UserName, identity: Fingerprint, joined: u64) -> bool {
        (&self.name, self.identity, self.joined) == (name, identity, joined)
    }
}

/// An account's name, what tells it from others of that name (its first identity, and where it began), and its cursor.
pub(super) type Line = (UserName, Fingerprint, u64, Cursor);

/// A message that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) sender: Arc<UserName>,
    pub(super) size: usize,
    pub(super) run_ms: u64,
    pub(super) place: Option<Place>,
}

/// What waits for one account.
pub(super) struct Mailbox {
    pub(super) owner: Owner,
    pub(super) name: Arc<UserName>,
    pub(super) cursor: Cursor,
    /// The cursor differs from the file's.
    pub(super) is_dirty: bool,
    pub(super) direct: VecDeque<Waiting>,
    pub(super) bytes: usize,
    pub(super) by_sender: HashMap<Arc<UserName>, usize>,
}

impl Mailbox {
    pub(super) fn new(owner: Owner, cursor: Cursor) -> Self {
        let (direct, by_sender) = (VecDeque::new(), HashMap::new());
        Self { name: Arc::new(owner.name.clone()), owner, cursor, is_dirty: false, direct, bytes: 0, by_sender }
    }

    /// Where a message is that waits.
    pub(super) fn place(&mut self, number: u64) -> Option<&mut Option<Place>> {
        let position = position(&self.direct, number, |waiting| waiting.number)?;
        Some(&mut self.direct[position].place)
    }

    pub(super) fn line(&self) -> Line {
        (self.owner.name.clone(), self.owner.identity, self.owner.joined, self.cursor)
    }

    pub(super) fn withdraw(&mut self, number: u64) {
        let position = position(&self.direct, number, |waiting| waiting.number);
        if let Some(waiting) = position.and_then(|position| self.direct.remove(position)) {
            self.release(&waiting);
        }
    }

    pub(super) fn release(&mut self, waiting: &Waiting) {
        self.bytes -= waiting.size;
        if let Some(count) = self.by_sender.get_mut(&waiting.sender) {
            *count -= 1;
            if *count == 0 {
                self.by_sender.remove(&waiting.sender);
            }
        }
    }

    /// A group message that is let go is none of those that were passed over.
    pub(super) fn discount(&mut self, number: u64, dirty: &mut Vec<Arc<UserName>>) {
        if self.cursor.number < number {
            self.cursor.passed -= 1;
            self.mark(dirty);
        }
    }

    pub(super) fn mark(&mut self, dirty: &mut Vec<Arc<UserName>>) {
        if !self.is_dirty {
            self.is_dirty = true;
            dirty.push(Arc::clone(&self.name));
        }
    }
}

pub(super) fn position<T>(sorted: &VecDeque<T>, number: u64, number_of: impl Fn(&T) -> u64) -> Option<usize> {
    sorted.binary_search_by_key(&number, number_of).ok()
}

pub(super) fn pop_if<T>(queue: &mut VecDeque<T>, may: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(may) { queue.pop_front() } else { None }
}
