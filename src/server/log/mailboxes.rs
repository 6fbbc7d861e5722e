//! All mailboxes and the group's messages: what waits for whom. Pure: no file, no thread, no clock.
//!
//! Per account the direct messages that it has not acknowledged, in all the last group messages; so its size is bounded
//! by the quotas, whatever the log holds.

use std::collections::HashMap;
use std::sync::Arc;

use super::files::segment::Place;
use super::group::Group;
use super::mailbox::{Cursor, Line, Mailbox, Owner, Waiting, pop_if};
use super::quotas::{Held, Quotas};
use crate::names::UserName;
use crate::wire::Fingerprint;

/// The next message for somebody.
#[derive(Clone, Debug)]
pub(super) struct Next<'a> {
    pub(super) number: u64,
    /// `None`: in memory only.
    pub(super) place: Option<&'a Place>,
    /// Of a group message: how many there were, this one included.
    pub(super) ordinal: Option<u64>,
}

/// All mailboxes and the group's messages.
pub(super) struct Mailboxes {
    quotas: Quotas,
    mailboxes: HashMap<UserName, Mailbox>,
    /// Accounts that are not disabled.
    active: usize,
    pub(super) group: Group,
    /// Whose cursor is to be written.
    dirty: Vec<Arc<UserName>>,
}

impl Mailboxes {
    pub(super) fn new(quotas: Quotas) -> Self {
        Self { quotas, mailboxes: HashMap::new(), active: 0, group: Group::default(), dirty: Vec::new() }
    }

    /// An account with what the file of cursors says of it, if anything; else it begins where it joined.
    pub(super) fn add(&mut self, owner: Owner, cursor: Option<Cursor>) {
        self.active += usize::from(!owner.disabled);
        let cursor = cursor.unwrap_or(Cursor { number: owner.joined, ..Cursor::default() });
        self.mailboxes.insert(owner.name.clone(), Mailbox::new(owner, cursor));
    }

    /// A new account begins where it joined, which is the end of the log or was it a moment ago.
    pub(super) fn join(&mut self, owner: Owner) {
        let (name, number) = (owner.name.clone(), owner.joined);
        self.add(owner, Some(Cursor { number, group: self.group.until(number), passed: 0 }));
        if let Some(mailbox) = self.mailboxes.get_mut(&name) {
            mailbox.mark(&mut self.dirty);
        }
    }

    /// An account is gone, and its mailbox with it. Gives the numbers that waited there.
    pub(super) fn remove(&mut self, name: &UserName) -> Vec<u64> {
        let Some(mailbox) = self.mailboxes.remove(name) else { return Vec::new() };
        self.active -= usize::from(!mailbox.owner.disabled);
        mailbox.direct.iter().map(|waiting| waiting.number).collect()
    }

    /// Whether an account is closed.
    pub(super) fn set_disabled(&mut self, name: &UserName, disabled: bool) {
        if let Some(mailbox) = self.mailboxes.get_mut(name) {
            let was = std::mem::replace(&mut mailbox.owner.disabled, disabled);
            self.active = self.active + usize::from(was) - usize::from(disabled);
        }
    }

    /// How many direct messages wait for their recipients, and how many group messages are kept.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.mailboxes.values().map(|mailbox| mailbox.direct.len()).sum(), self.group.count())
    }

    /// Which account has that name.
    pub(super) fn owner(&self, name: &UserName) -> Option<&Owner> {
        self.mailboxes.get(name).map(|mailbox| &mailbox.owner)
    }

    /// How many get a group message: all accounts that are not disabled, but the sender's.
    pub(super) fn members(&self, sender: &UserName) -> usize {
        let own = self.mailboxes.get(sender).is_some_and(|mailbox| !mailbox.owner.disabled);
        self.active - usize::from(own)
    }

    /// Whether a mailbox has room for one more.
    pub(super) fn admits(&self, to: &UserName, sender: &UserName, size: usize, is_connected: bool) -> bool {
        self.mailboxes.get(to).is_some_and(|mailbox| {
            let of_sender = mailbox.by_sender.get(sender).copied().unwrap_or_default();
            let held = Held { messages: mailbox.direct.len(), of_sender, bytes: mailbox.bytes };
            self.quotas.admit(held, size, is_connected)
        })
    }

    /// A direct message begins to wait. Numbers only grow.
    pub(super) fn add_direct(&mut self, to: &UserName, new: New<'_>) {
        let sender = self.shared_name(new.sender);
        if let Some(mailbox) = self.mailboxes.get_mut(to) {
            mailbox.bytes += new.size;
            *mailbox.by_sender.entry(Arc::clone(&sender)).or_default() += 1;
            let New { number, size, run_ms, place, .. } = new;
            mailbox.direct.push_back(Waiting { number, sender, size, run_ms, place });
        }
    }

    /// A group message begins to wait. Numbers only grow.
    pub(super) fn add_group(&mut self, new: New<'_>) {
        let sender = self.shared_name(new.sender);
        self.group.add(new.number, sender, new.place);
    }

    /// A message of an earlier run, from the log. True if it waits for the account it names.
    pub(super) fn restore_direct(&mut self, to: &UserName, identity: Fingerprint, joined: u64, new: New<'_>) -> bool {
        let waits = self.mailboxes.get(to).is_some_and(|mailbox| {
            // The name may have a new owner since: with other keys, or with the same ones but later.
            mailbox.owner.is_whose(to, identity, joined) && mailbox.cursor.number < new.number
        });
        if waits {
            self.add_direct(to, new);
        }
        waits
    }

    /// A group message of an earlier run, from the log.
    pub(super) fn restore_group(&mut self, ordinal: u64, new: New<'_>) {
        let sender = self.shared_name(new.sender);
        self.group.restore(ordinal, new.number, sender, new.place);
        // As in the earlier run, whose cursors count already what was let go then.
        if self.group.is_trim_due() {
            self.group.keep_last(self.quotas.group);
        }
    }

    /// An account without a line in the file of cursors begins where it joined: so many group messages there were by then.
    pub(super) fn restore_start(&mut self, name: &UserName) {
        if let Some(mailbox) = self.mailboxes.get_mut(name) {
            mailbox.cursor.group = self.group.ordinal();
            mailbox.mark(&mut self.dirty);
        }
    }

    /// A message is on disk now, or elsewhere on it. Nothing happens if nobody waits for it any more.
    pub(super) fn set_place(&mut self, number: u64, to: Option<&UserName>, place: Place) {
        if let Some(slot) = self.place(number, to) {
            *slot = Some(place);
        }
    }

    /// Where a message is that somebody waits for.
    pub(super) fn place(&mut self, number: u64, to: Option<&UserName>) -> Option<&mut Option<Place>> {
        match to {
            None => self.group.place(number),
            Some(name) => {
                let mailbox = self.mailboxes.get_mut(name)?;
                mailbox.place(number)
            }
        }
    }

    /// A message could not be kept: it waits no more.
    pub(super) fn withdraw(&mut self, number: u64, to: Option<&UserName>) {
        match to {
            None => self.group.withdraw(number),
            Some(name) => {
                let mailbox = self.mailboxes.get_mut(name);
                mailbox.into_iter().for_each(|mailbox| mailbox.withdraw(number));
            }
        }
    }

    /// Where a session of this account begins to read, how many group messages there were up to there, and how many
    /// messages it will not get any more.
    pub(super) fn begin(&self, name: &UserName) -> Start {
        let Some(mailbox) = self.mailboxes.get(name) else { return Start::default() };
        let Cursor { number, group, passed } = mailbox.cursor;
        let (before, own) = self.group.before_last(self.quotas.group, name, number);
        let over = i128::from(before.saturating_sub(group)) + i128::from(passed) - own as i128;
        // It may not have acknowledged anything yet.
        let acknowledged = if number == mailbox.owner.joined { 0 } else { number };
        Start { number, group: before.max(group), acknowledged, skipped: u64::try_from(over).unwrap_or_default() }
    }

    /// The messages for this account after `number`, in order; of the group's those after the `group`-th.
    pub(super) fn after<'a>(&'a self, name: &'a UserName, number: u64, group: u64) -> impl Iterator<Item = Next<'a>> {
        let direct = self.mailboxes.get(name).into_iter().flat_map(move |mailbox| {
            mailbox.direct.range(mailbox.direct.partition_point(|waiting| waiting.number <= number)..)
        });
        let mut shared = self.group.after(name, number, group).peekable();
        let mut direct = direct.peekable();
        std::iter::from_fn(move || {
            let is_direct = match (direct.peek(), shared.peek()) {
                (Some(direct), Some(shared)) => direct.number < shared.number,
                (direct, _) => direct.is_some(),
            };
            match is_direct {
                true => direct.next().map(|direct| Next {
                    number: direct.number,
                    place: direct.place.as_ref(),
                    ordinal: None,
                }),
                false => shared.next().map(|shared| Next {
                    number: shared.number,
                    place: shared.place.as_ref(),
                    ordinal: Some(shared.ordinal),
                }),
            }
        })
    }

    /// The account has everything up to `number`. Gives what it had not acknowledged before.
    pub(super) fn acknowledge(&mut self, name: &UserName, number: u64) -> Vec<u64> {
        let group_until = self.group.until(number);
        let Some(mailbox) = self.mailboxes.get_mut(name) else { return Vec::new() };
        let before = mailbox.cursor.number;
        if number <= before {
            return Vec::new();
        }
        let mut covered = Vec::new();
        while let Some(waiting) = pop_if(&mut mailbox.direct, |waiting| waiting.number <= number) {
            mailbox.release(&waiting);
            covered.push(waiting.number);
        }
        covered.extend(self.group.between(name, before, number).map(|shared| shared.number));
        mailbox.cursor = Cursor { number, group: group_until.max(mailbox.cursor.group), passed: 0 };
        mailbox.mark(&mut self.dirty);
        covered
    }

    /// What this account has not acknowledged, after `number`.
    pub(super) fn unacknowledged(&self, name: &UserName, number: u64) -> Vec<u64> {
        let Some(mailbox) = self.mailboxes.get(name) else { return Vec::new() };
        let after = number.max(mailbox.cursor.number);
        let direct = mailbox.direct.iter().map(|waiting| waiting.number).filter(|number| *number > after);
        let shared = self.group.after(name, after, 0).map(|shared| shared.number);
        direct.chain(shared).collect()
    }

    /// Lets old group messages go, as far as `is_done` says that those who are connected have them.
    pub(super) fn trim(&mut self, is_done: impl Fn(u64) -> bool) {
        let (kept, most) = (self.quotas.group, self.quotas.group_lag.max(self.quotas.group));
        while let Some(old) = self.group.let_go(kept, most, &is_done) {
            // Its own messages don't count as passed over for their sender, nor for anybody those that were never kept.
            if old.is_withdrawn {
                self.mailboxes.values_mut().for_each(|mailbox| mailbox.discount(old.number, &mut self.dirty));
            } else if let Some(mailbox) = self.mailboxes.get_mut(&*old.sender) {
                mailbox.discount(old.number, &mut self.dirty);
            }
        }
    }

    /// Lets direct messages go that came before the server had run for `before_ms`.
    pub(super) fn expire(&mut self, before_ms: u64) -> Vec<u64> {
        let mut expired = Vec::new();
        for mailbox in self.mailboxes.values_mut() {
            while let Some(waiting) = pop_if(&mut mailbox.direct, |waiting| waiting.run_ms < before_ms) {
                mailbox.release(&waiting);
                mailbox.cursor.passed += 1;
                mailbox.mark(&mut self.dirty);
                expired.push(waiting.number);
            }
        }
        expired
    }

    /// Takes the cursors that changed, as far as everything up to them is on disk.
    pub(super) fn take_changed(&mut self, safe: u64) -> Vec<Line> {
        let mut changed = Vec::new();
        let mailboxes = &mut self.mailboxes;
        self.dirty.retain(|name| {
            let Some(mailbox) = mailboxes.get_mut(&**name) else { return false };
            let waits = mailbox.cursor.number > safe;
            if !waits && mailbox.is_dirty {
                mailbox.is_dirty = false;
                changed.push(mailbox.line());
            }
            waits
        });
        changed
    }

    /// These could not be written: they are to be taken again.
    pub(super) fn put_back(&mut self, changed: &[Line]) {
        for (name, ..) in changed {
            if let Some(mailbox) = self.mailboxes.get_mut(name) {
                mailbox.mark(&mut self.dirty);
            }
        }
    }

    /// Whether a cursor waits to be written.
    pub(super) fn has_changed(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The cursors of all accounts, if everything up to them is on disk.
    pub(super) fn cursors(&self, safe: u64) -> Option<Vec<Line>> {
        self.mailboxes.values().map(|mailbox| (mailbox.cursor.number <= safe).then(|| mailbox.line())).collect()
    }

    pub(super) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// One copy of each account's name.
    pub(super) fn shared_name(&self, name: &UserName) -> Arc<UserName> {
        self.mailboxes.get(name).map_or_else(|| Arc::new(name.clone()), |mailbox| Arc::clone(&mailbox.name))
    }
}

/// A message that begins to wait.
#[derive(Debug)]
pub(super) struct New<'a> {
    pub(super) number: u64,
    pub(super) sender: &'a UserName,
    pub(super) size: usize,
    /// How long the server had run when it came, in milliseconds.
    pub(super) run_ms: u64,
    pub(super) place: Option<Place>,
}

/// Where a session begins to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) number: u64,
    pub(super) group: u64,
    /// The last message that the account has acknowledged, 0 if there is none.
    pub(super) acknowledged: u64,
    pub(super) skipped: u64,
}
