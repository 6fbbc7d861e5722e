//! The last messages to the group, which wait for all accounts together. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::files::segment::Place;
use super::mailbox::{pop_if, position};
use crate::names::UserName;

/// A group message that is kept.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) number: u64,
    pub(super) sender: Arc<UserName>,
    /// How many group messages there were, this one included.
    pub(super) ordinal: u64,
    pub(super) place: Option<Place>,
    /// It could not be kept: nobody gets it, and nobody misses it.
    pub(super) is_withdrawn: bool,
}

impl Shared {
    fn is_for(&self, name: &UserName) -> bool {
        !self.is_withdrawn && *self.sender != *name
    }
}

/// All that are kept, in order.
#[derive(Default)]
pub(super) struct Group {
    kept: VecDeque<Shared>,
    /// How many there were in all.
    ordinal: u64,
}

impl Group {
    /// One more. Numbers only grow.
    pub(super) fn add(&mut self, number: u64, sender: Arc<UserName>, place: Option<Place>) {
        self.ordinal += 1;
        self.kept.push_back(Shared { number, sender, ordinal: self.ordinal, place, is_withdrawn: false });
    }

    /// One of an earlier run, from the log. Those that are counted between the last one there and this one, were never kept.
    pub(super) fn restore(&mut self, ordinal: u64, number: u64, sender: Arc<UserName>, place: Option<Place>) {
        self.ordinal = ordinal.saturating_sub(1);
        if let Some((last, counted)) = self.kept.back().map(|last| (last.number, last.ordinal)) {
            let count = self.ordinal.saturating_sub(counted);
            if count <= WITHDRAWN && count < number.saturating_sub(last) {
                self.kept.extend((1..=count).map(|behind| Shared {
                    number: last + behind,
                    sender: Arc::clone(&sender),
                    ordinal: counted + behind,
                    place: None,
                    is_withdrawn: true,
                }));
            }
        }
        self.add(number, sender, place);
    }

    /// Forgets all but the last.
    pub(super) fn keep_last(&mut self, count: usize) {
        self.kept.drain(..self.kept.len().saturating_sub(count));
    }

    /// The log may have lost its end, cursors then count messages that are gone: new ones count on behind them,
    /// or those who had the lost ones would be taken to have these.
    pub(super) fn count_on_from(&mut self, ordinal: u64) {
        self.ordinal = self.ordinal.max(ordinal);
    }

    /// How many there were.
    pub(super) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// How many are kept.
    pub(super) fn count(&self) -> usize {
        self.kept.iter().filter(|shared| !shared.is_withdrawn).count()
    }

    /// Where a message is.
    pub(super) fn place(&mut self, number: u64) -> Option<&mut Option<Place>> {
        let position = position(&self.kept, number, |shared| shared.number)?;
        Some(&mut self.kept[position].place)
    }

    /// A message could not be kept. It stays counted, since those behind it are counted already.
    pub(super) fn withdraw(&mut self, number: u64) {
        if let Some(position) = position(&self.kept, number, |shared| shared.number) {
            self.kept[position].is_withdrawn = true;
        }
    }

    /// How many there were before the last `count`, and how many of those that are kept, after `number`, are none for this account.
    pub(super) fn before_last(&self, count: usize, name: &UserName, number: u64) -> (u64, usize) {
        let first = self.kept.len().saturating_sub(count);
        let before = self.kept.get(first).map_or(self.ordinal, |shared| shared.ordinal - 1);
        let own = |shared: &&Shared| shared.number > number && !shared.is_for(name);
        (before, self.kept.iter().take(first).filter(own).count())
    }

    /// Those for this account after `number` and after the `ordinal`-th, in order.
    pub(super) fn after<'a>(
        &'a self,
        name: &'a UserName,
        number: u64,
        ordinal: u64,
    ) -> impl Iterator<Item = &'a Shared> {
        let first = self.kept.partition_point(|shared| shared.number <= number || shared.ordinal <= ordinal);
        self.kept.range(first..).filter(|shared| shared.is_for(name))
    }

    /// Those for this account after one number up to another, in order.
    pub(super) fn between<'a>(
        &'a self,
        name: &'a UserName,
        after: u64,
        until: u64,
    ) -> impl Iterator<Item = &'a Shared> {
        let [first, end] = [after, until].map(|number| self.kept.partition_point(|shared| shared.number <= number));
        self.kept.range(first..end).filter(|shared| shared.is_for(name))
    }

    /// How many there were before the oldest that is kept.
    pub(super) fn passed(&self) -> u64 {
        self.kept.front().map_or(self.ordinal, |shared| shared.ordinal - 1)
    }

    /// How many there were up to this number.
    pub(super) fn until(&self, number: u64) -> u64 {
        let next = self.kept.partition_point(|shared| shared.number <= number);
        self.kept.get(next).map_or(self.ordinal, |shared| shared.ordinal - 1)
    }

    /// Whether it is time to let old ones go: now and then only, which spreads the cost.
    pub(super) fn is_trim_due(&self) -> bool {
        self.ordinal.is_multiple_of(TRIM_EVERY)
    }

    /// Lets the oldest go if there are more than `kept` and all who are connected have it, or if there are more than `most`.
    pub(super) fn let_go(&mut self, kept: usize, most: usize, is_done: impl Fn(u64) -> bool) -> Option<Shared> {
        let (is_more, is_over) = (self.kept.len() > kept, self.kept.len() > most);
        pop_if(&mut self.kept, |old| is_more && (is_over || is_done(old.number)))
    }
}

/// How many group messages may come before old ones are let go.
const TRIM_EVERY: u64 = 64;
/// More group messages in a row than a disk refuses before somebody looks: more are missing for another reason.
const WITHDRAWN: u64 = 1024;
