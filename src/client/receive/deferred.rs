//! Messages that wait for a person: to choose a key, to bring the group key file, or a key of their own.

use std::collections::BTreeSet;
use std::time::Instant;

use super::kept::{Count, Standing, Until};
use super::open::group_id;
use super::{Action, Receiver, Signed, done};
use crate::client::error::Error;
use crate::client::model::event::Notice;
use crate::client::state::inbox::Entry;
use crate::client::state::seen::Place;
use crate::crypto::envelope::group_fingerprint;
use crate::names::{Recipient, UserName};
use crate::wire::Fingerprint;

impl Receiver<'_> {
    /// Whether this entry was told of already and waits for a person.
    pub fn keeps(&self, entry: u64) -> bool {
        self.kept.has(entry)
    }

    /// Whether messages wait for a person, who may choose a key in another process, or bring the group key file.
    pub fn waits_for_a_person(&self) -> bool {
        self.kept.awaited().iter().any(|until| matches!(until, Until::Chosen(_) | Until::GroupKey(..)))
    }

    /// Entries whose sender's key the person has chosen meanwhile, or whose group key has come, the oldest first: they are to
    /// arrive once more. With what is to be told of the group key file.
    pub fn released(&mut self) -> Result<(BTreeSet<u64>, Vec<Action>), Error> {
        let awaited = self.kept.awaited();
        let is_looked_for = awaited.iter().any(|until| matches!(until, Until::GroupKey(..)));
        let told = if is_looked_for { self.look_for_group_keys() } else { Vec::new() };
        let mut released = BTreeSet::new();
        for until in awaited {
            let has_come = match &until {
                Until::Chosen(name) => self.keyring.pinned(name)?.is_some_and(|pin| pin.changed.is_none()),
                Until::GroupKey(_, id) => self.member.group.with(id).is_some(),
                Until::OwnKey(..) | Until::NextStart(_) => false,
            };
            if has_come {
                released.extend(self.kept.release(&until));
            }
        }
        Ok((released, told))
    }

    /// One line for each sender, and each key that is missing, of whose kept messages there are more than were told of.
    pub fn news(&mut self, now: Instant) -> Result<Vec<Action>, Error> {
        let mut actions = Vec::new();
        for (until, key) in std::mem::take(&mut self.news) {
            let (from, notice) = match &until {
                Until::NextStart(_) => continue,
                Until::Chosen(from) => (from, Some(self.held_news(from, &until, key)?)),
                Until::GroupKey(from, id) => (from, self.group_key_news(from, id, &until)),
                Until::OwnKey(from, key) => {
                    let told = |count: Count| {
                        let (count, lost) = (count.held, count.lost);
                        Notice::OwnKeyMissing { from: from.clone(), key: *key, count, lost }
                    };
                    (from, self.kept.news(&until).map(told))
                }
            };
            if let Some(notice) = notice {
                self.tell(from, notice, now, &mut actions);
            }
        }
        Ok(actions)
    }

    fn held_news(&self, from: &UserName, until: &Until, now: Fingerprint) -> Result<Notice, Error> {
        let Count { held: count, lost, .. } = self.kept.count(until);
        Ok(match self.keyring.pinned(from)? {
            Some(_) => Notice::Held { from: from.clone(), count, lost },
            None => Notice::HeldUnpinned { from: from.clone(), now, count, lost },
        })
    }

    fn group_key_news(&mut self, from: &UserName, id: &[u8; 16], until: &Until) -> Option<Notice> {
        let Count { held: count, lost, .. } = self.kept.news(until)?;
        let ours = self.member.group.keys().map(|keys| keys.writer().short_id());
        let theirs = group_fingerprint(id).short();
        Some(Notice::OtherGroupKey { from: from.clone(), theirs, ours, count, lost })
    }

    /// The group key file may have changed.
    pub(super) fn look_for_group_keys(&self) -> Vec<Action> {
        self.member.group.look_again().map(Action::Tell).into_iter().collect()
    }

    /// A key that a person can get keeps a message from being shown: it is tried again when that may be there, as far as
    /// there is room. Its signature holds, but nothing is sent because of it.
    pub(super) fn keep_for_key(&mut self, message: &Entry, place: Place, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let until = match header.recipient {
            Recipient::All => Until::GroupKey(header.sender.clone(), group_id(header)),
            Recipient::User(_) => Until::OwnKey(header.sender.clone(), header.recipient_fp),
        };
        self.news.insert(until.clone(), header.sender_fp);
        match self.kept.keep(message.entry, until, Standing::Contact) {
            // What is missing before it is told once.
            true => drop(self.places.insert(message.entry, Place { missing: false, ..place })),
            false => actions.push(done(message, Signed::Yes)),
        }
    }

    /// Keeps a message until the person has chosen one of its sender's keys, as far as there is room.
    pub(super) fn keep_until_chosen(&mut self, message: &Entry, standing: Standing, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let until = Until::Chosen(header.sender.clone());
        self.news.insert(until.clone(), header.sender_fp);
        if !self.kept.keep(message.entry, until, standing) {
            actions.push(done(message, Signed::No));
        }
    }
}
