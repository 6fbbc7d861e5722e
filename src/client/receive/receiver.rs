//! The receiver: the ten steps over the contacts and the group key file.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::key_lookup::{Absent, Answer, Compared, REQUESTS_FROM, Unanswered};
use super::open::group_id;
use super::{Action, Steps};
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::keys::member::Member;
use crate::client::model::event::Notice;
use crate::client::model::pin::{Met, Pin};
use crate::client::state::inbox::Entry;
use crate::client::state::seen::Ledger;
use crate::client::trust::contacts::Contacts;
use crate::names::{Recipient, UserName};
use crate::wire::{Fingerprint, Predecessor};

/// The receiving side of one run: reads for the ten steps what they decide by, and makes durable what they decide.
pub struct Receiver {
    pub(super) steps: Steps,
    member: Arc<Member>,
    contacts: Arc<Contacts>,
}

impl Receiver {
    /// For messages to `member`, with these contacts and what is known of earlier messages.
    pub fn new(member: &Arc<Member>, contacts: &Arc<Contacts>, ledger: Ledger) -> Self {
        let (member, contacts) = (Arc::clone(member), Arc::clone(contacts));
        Self { steps: Steps::new(Arc::clone(&member), contacts.takes_new(), ledger), member, contacts }
    }

    /// What is known of the messages so far.
    pub fn ledger(&self) -> &Ledger {
        &self.steps.ledger
    }

    /// The same, to be told of a login.
    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.steps.ledger
    }

    /// A new connection: what was asked for on the old one will not be answered.
    pub fn restart(&mut self) {
        self.steps.restart();
    }

    /// Bytes that are no envelope. The server parsed them before it took the message, so this is the server's fault.
    pub fn malformed(&self) -> Action {
        Action::Tell(Notice::Malformed)
    }

    /// Whether another message may [arrive](Self::arrived). It may not while many wait for their senders' keys.
    pub fn has_room(&self) -> bool {
        self.steps.has_room()
    }

    /// A message that was parsed and is on disk.
    pub fn arrived(&mut self, message: Entry, now: Instant) -> Result<Vec<Action>, Error> {
        let mut actions = self.look_for_group_keys_of(std::slice::from_ref(&message));
        let pin = self.contacts.pinned(&message.envelope.header.sender)?;
        actions.extend(self.steps.arrived(message, pin.as_ref(), now));
        Ok(actions)
    }

    /// Whether an answer with this number is for the receiver.
    pub fn asked(request: u32) -> bool {
        request > REQUESTS_FROM
    }

    /// The bundle that was asked for has come.
    pub fn found(
        &mut self,
        request: u32,
        bundle: &[u8],
        lineage: Vec<Predecessor>,
        now: Instant,
    ) -> Result<Vec<Action>, Error> {
        let answer = self.steps.found(request, bundle, lineage);
        answer.map_or(Ok(Vec::new()), |answer| self.answered(answer, now))
    }

    /// The server has no such bundle.
    pub fn not_found(&mut self, request: u32, absent: Absent, now: Instant) -> Result<Vec<Action>, Error> {
        let answer = self.steps.not_found(request, absent);
        answer.map_or(Ok(Vec::new()), |answer| self.answered(answer, now))
    }

    /// The server answered that it can't tell now.
    pub fn not_told(&mut self, request: u32, now: Instant) -> Result<Vec<Action>, Error> {
        let unanswered = self.steps.not_told(request);
        self.go_on_unanswered(unanswered, now)
    }

    /// When [`Self::due`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.steps.deadline()
    }

    /// Gives up the messages whose sender's key did not come in time.
    pub fn due(&mut self, now: Instant) -> Result<Vec<Action>, Error> {
        let unanswered = self.steps.due(now);
        self.go_on_unanswered(unanswered, now)
    }

    fn go_on_unanswered(
        &mut self,
        unanswered: impl IntoIterator<Item = Unanswered>,
        now: Instant,
    ) -> Result<Vec<Action>, Error> {
        let mut actions = Vec::new();
        for unanswered in unanswered {
            let pin = self.contacts.pinned(unanswered.name())?;
            actions.extend(self.steps.go_on_unanswered(unanswered, pin.as_ref(), now));
        }
        Ok(actions)
    }

    /// Whether there are messages for which the server did not tell the keys, beyond those that wait for the next start: only another
    /// connection may help them.
    pub fn overflows(&self) -> bool {
        self.steps.overflows
    }

    /// Whether this entry was told of already and waits for a person.
    pub fn defers(&self, entry: u64) -> bool {
        self.steps.defers(entry)
    }

    /// Whether messages wait for a person, who may choose a key in another process, or bring the group key file.
    pub fn waits_for_a_person(&self) -> bool {
        self.steps.waits_for_a_person()
    }

    /// Entries that need wait no longer, the oldest first: they are to arrive once more. With what is to be told of the group key
    /// file.
    pub fn released(&mut self) -> Result<(BTreeSet<u64>, Vec<Action>), Error> {
        let told = if self.steps.waits_for_group_keys() { self.look_for_group_keys() } else { None };
        let mut chosen = BTreeSet::new();
        for name in self.steps.undecided() {
            if self.contacts.pinned(&name)?.is_some_and(|pin| pin.changed.is_none()) {
                chosen.insert(name);
            }
        }
        let mut accepted = BTreeSet::new();
        for (name, last_ms) in self.steps.unaccepted() {
            let has_accepted = |pin: Pin| !pin.modern || pin.accepted_ms.is_some_and(|accepted| accepted >= last_ms);
            if self.contacts.pinned(&name)?.is_none_or(has_accepted) {
                accepted.insert(name);
            }
        }
        Ok((self.steps.released(&chosen, &accepted), told.into_iter().collect()))
    }

    /// What is to be told of deferred messages.
    pub fn news(&mut self, now: Instant) -> Vec<Action> {
        self.steps.news(now)
    }

    /// What the server answered is compared with the contacts, durably, before the messages that waited for it go on.
    fn answered(&mut self, answer: Answer, now: Instant) -> Result<Vec<Action>, Error> {
        let (name, contacts) = (answer.name(), &self.contacts);
        let before = contacts.pinned(name)?;
        let found = answer.to_compare(before.as_ref());
        let compared = match (&before, found.map(|found| contacts.meet(found))) {
            (None, None) => Compared::Unknown,
            (None, Some(Ok(_))) => Compared::Pinned,
            (None, Some(Err(Error::Trust(TrustError::ContactsFull { .. })))) => Compared::NoRoom,
            (None, Some(Err(error))) => return Err(error),
            (Some(_), met) => Compared::Known(met.unwrap_or(Ok(Met::Stays)).or_else(unless_outdated)?),
        };
        if found.is_some()
            && compared != Compared::NoRoom
            && let Some((by, former)) = answer.vouching()
        {
            contacts.vouched(name, by, &former)?;
        }
        let mut pin = contacts.pinned(name)?;
        if let (Some(held), Compared::Known(_)) = (&pin, &compared)
            && let Some(other) = answer.stops(held)
        {
            contacts.changed(name, other)?;
            pin = contacts.pinned(name)?;
        }
        let mut actions = self.look_for_group_keys_of(answer.messages());
        actions.extend(self.steps.settle(answer, compared, pin.as_ref(), now));
        Ok(actions)
    }

    /// Carries out [`Action::Announced`].
    pub fn announced(&self, name: &UserName, by: Fingerprint, number: u64) -> Result<(), Error> {
        self.contacts.announced(name, by, number)
    }

    /// The group key file may have changed, if the key that one of these messages names is not at hand.
    fn look_for_group_keys_of(&self, messages: &[Entry]) -> Vec<Action> {
        let is_missing = |message: &&Entry| {
            let header = &message.envelope.header;
            header.recipient == Recipient::All && self.member.group.with(&group_id(header)).is_none()
        };
        messages.iter().find(is_missing).and_then(|_| self.look_for_group_keys()).into_iter().collect()
    }

    fn look_for_group_keys(&self) -> Option<Action> {
        self.member.group.look_again().map(Action::Tell)
    }
}

/// Keys older than those seen before change nothing.
fn unless_outdated(error: Error) -> Result<Met, Error> {
    match error {
        Error::Trust(TrustError::OldBundle { .. }) | Error::Trust(TrustError::BundleReused { .. }) => Ok(Met::Stays),
        error => Err(error),
    }
}
