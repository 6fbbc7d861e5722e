//! Who receives: names that are here, and which of them came or left. Pure.
//!
//! It knows no seat: by whatever tells sessions apart, one may be at another server.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::names::UserName;

/// Accounts with a receiving session, at most one each.
pub(super) struct Online<S> {
    receiving: BTreeMap<UserName, S>,
    /// Names that came or left lately.
    changed: BTreeMap<UserName, Changed>,
}

/// What was so before a name first came or left.
struct Changed {
    was_online: bool,
    /// It was gathered for a whole round.
    is_due: bool,
}

impl<S> Default for Online<S> {
    fn default() -> Self {
        Self { receiving: BTreeMap::new(), changed: BTreeMap::new() }
    }
}

impl<S: Copy + PartialEq> Online<S> {
    /// This session receives for the account, in place of any other.
    pub(super) fn came(&mut self, name: &UserName, session: S) {
        self.note(name);
        self.receiving.insert(name.clone(), session);
    }

    /// This session does not receive any more. Nothing happens if another does since.
    pub(super) fn left(&mut self, name: &UserName, session: S) {
        if self.session(name) == Some(session) {
            self.note(name);
            self.receiving.remove(name);
        }
    }

    /// The session that receives for the account.
    pub(super) fn session(&self, name: &UserName) -> Option<S> {
        self.receiving.get(name).copied()
    }

    /// Names alphabetically after `after`, at most `count`.
    pub(super) fn page(&self, after: Option<&UserName>, count: usize) -> Vec<UserName> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let names = self.receiving.range::<UserName, _>((start, Bound::Unbounded));
        names.take(count).map(|(name, _)| name.clone()).collect()
    }

    /// What changed in the end for names that came or left before the last call, with whether they are here now: whoever left and is
    /// back by then did not. What happened since is for the next call.
    pub(super) fn changes(&mut self) -> Vec<(UserName, bool)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let (due, waiting): (BTreeMap<_, _>, _) = changed.partition(|(_, changed)| changed.is_due);
        self.changed = waiting;
        self.changed.values_mut().for_each(|changed| changed.is_due = true);
        let names = due.into_iter().map(|(name, changed)| (self.session(&name).is_some(), name, changed.was_online));
        names.filter(|(is, _, was)| is != was).map(|(is, name, _)| (name, is)).collect()
    }

    /// This name is about to come or to leave.
    fn note(&mut self, name: &UserName) {
        let was_online = self.session(name).is_some();
        self.changed.entry(name.clone()).or_insert(Changed { was_online, is_due: false });
    }

    #[cfg(test)]
    pub(super) fn changed_count(&self) -> usize {
        self.changed.len()
    }
}
