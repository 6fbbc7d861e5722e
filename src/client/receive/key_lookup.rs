//! Messages whose sender's key is not at hand: the server is asked for it, and they wait for the answer.

use std::time::Instant;

use super::deferred::{Awaited, Standing};
use super::{Action, Signed, Steps};
use crate::client::model::event::{Mark, Notice};
use crate::client::model::pin::{Found, Met, Pin, Signer};
use crate::client::state::inbox::Entry;
use crate::crypto::bundle;
use crate::crypto::keys::PublicKey;
use crate::limits::{ANSWER_WITHIN, HELD_MESSAGES};
use crate::names::UserName;
use crate::wire::{Fingerprint, MessageId, Predecessor};

/// What the server does not have when it is asked for a sender's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The sender's account: it was deleted.
    Account,
    /// The key, or one that holds.
    Key,
}

impl Absent {
    /// What is told of a message that can't be verified for want of it.
    fn notice(self) -> Why {
        match self {
            Self::Account => no_account,
            Self::Key => unknown_sender,
        }
    }
}

/// Why a message can't be verified.
type Why = fn(UserName, MessageId) -> Notice;

/// Messages whose sender's key was asked for.
pub(super) struct Lookup {
    request: u32,
    fingerprint: Fingerprint,
    standing: Standing,
    /// When the answer is given up.
    deadline: Instant,
    messages: Vec<Entry>,
}

impl Lookup {
    /// One more message of the same sender.
    pub(super) fn wait(&mut self, message: Entry) {
        self.messages.push(message);
    }

    /// Whether a message under this key waits.
    pub(super) fn has_one_under(&self, key: Fingerprint) -> bool {
        self.messages.iter().any(|message| message.envelope.header.sender_fp == key)
    }

    /// The messages under the key that was asked for, and those under other keys.
    fn parted(self) -> (Vec<Entry>, Vec<Entry>) {
        let Self { fingerprint, messages, .. } = self;
        messages.into_iter().partition(|message| message.envelope.header.sender_fp == fingerprint)
    }
}

/// What the server answered when it was asked for a sender's key, and the messages that waited for it.
pub(super) struct Answer {
    name: UserName,
    lookup: Lookup,
    found: Result<Found, Absent>,
}

impl Answer {
    /// Whose key was asked for.
    pub(super) fn name(&self) -> &UserName {
        &self.name
    }

    /// The messages that waited.
    pub(super) fn messages(&self) -> &[Entry] {
        &self.lookup.messages
    }

    /// What is to be compared with the contacts, durably, before the messages go on. For a name of which nothing is held that
    /// is only what has signed one of the messages.
    pub(super) fn to_compare(&self, pin: Option<&Pin>) -> Option<&Found> {
        let found = self.found.as_ref().ok()?;
        (pin.is_some() || self.is_signed(found)).then_some(found)
    }

    /// The key that vouches for the one that was asked for, if there is one, with all that it has replaced.
    pub(super) fn vouching(&self) -> Option<(Fingerprint, Vec<PublicKey>)> {
        let Found { bundle, lineage } = self.found.as_ref().ok()?;
        let former = bundle::succession(bundle, lineage, self.lookup.fingerprint).ok()?;
        Some((bundle.identity.fingerprint(), former))
    }

    /// The key that was asked for, if nothing leads to it from the one that is held: it has changed, which is to be recorded before
    /// the messages go on, and stops what goes to that name. One that nobody shows tells nothing about anybody.
    pub(super) fn stops(&self, pin: &Pin) -> Option<Fingerprint> {
        let asked = self.lookup.fingerprint;
        let is_unsigned = |message: &Entry| {
            let header = &message.envelope.header;
            header.sender_fp == asked && pin.signer(asked, message.received_ms).is_none()
        };
        let is_new = !pin.others.contains(&asked) || pin.changed.is_none();
        (self.is_other(pin) && is_new && self.lookup.messages.iter().any(is_unsigned)).then_some(asked)
    }

    /// Whether the key that was asked for was shown, now or before, and is not one that the pinned key has replaced.
    fn is_other(&self, pin: &Pin) -> bool {
        match self.vouching() {
            Some((by, _)) => by != pin.key.fingerprint(),
            None => pin.others.contains(&self.lookup.fingerprint),
        }
    }

    /// Whether one of the messages is signed under the key that was asked for, which these keys lead to.
    fn is_signed(&self, found: &Found) -> bool {
        let Some((_, former)) = self.vouching() else { return false };
        let key = former.last().unwrap_or(&found.bundle.identity);
        let fingerprint = self.lookup.fingerprint;
        let mut asked = self.lookup.messages.iter().filter(|message| message.envelope.header.sender_fp == fingerprint);
        // What signs by the modern suites, the bundle says of its own identity alone.
        let signers = if former.is_empty() { Signer::of(&found.bundle) } else { Vec::new() };
        let pin = Pin { signers, ..Pin::new(key.clone(), Mark::New) };
        asked.any(|message| {
            let keys = pin.signed_by(&message.envelope, message.received_ms);
            keys.is_some_and(|keys| keys.holds(&message.envelope))
        })
    }
}

/// A question that the server did not answer, and the messages that waited for it.
pub(super) struct Unanswered {
    name: UserName,
    lookup: Lookup,
}

impl Unanswered {
    /// Whose key was asked for.
    pub(super) fn name(&self) -> &UserName {
        &self.name
    }
}

/// What the contacts say to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// Nothing was held for the name, and nothing is: no signature holds.
    Unknown,
    /// Nothing was held for the name, and there is no room for it.
    NoRoom,
    /// Nothing was held for the name; now these keys are.
    Pinned,
    /// There was a pin already. Keys that are older than those seen before change nothing.
    Known(Met),
}

impl Steps {
    /// The bundle that was asked for has come. A name seen for the first time is pinned if its key has signed something; for
    /// a contact it tells whether the pinned key has handed over to the one in the messages. `None` if nothing waits for it.
    pub(super) fn found(&mut self, request: u32, bundle: &[u8], lineage: Vec<Predecessor>) -> Option<Answer> {
        let (name, lookup) = self.take_lookup(request)?;
        let found = bundle::verify(bundle).ok().filter(|bundle| bundle.name == name);
        let found = found.map(|bundle| Found { bundle, lineage }).ok_or(Absent::Key);
        Some(Answer { name, lookup, found })
    }

    /// The server has no such bundle.
    pub(super) fn not_found(&mut self, request: u32, absent: Absent) -> Option<Answer> {
        let (name, lookup) = self.take_lookup(request)?;
        Some(Answer { name, lookup, found: Err(absent) })
    }

    /// The messages that waited for an answer go on, after it was compared with the contacts; `pin` is what is held now.
    pub(super) fn settle(
        &mut self,
        answer: Answer,
        compared: Compared,
        pin: Option<&Pin>,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let why = answer.found.as_ref().err().map_or(unknown_sender as Why, |absent| absent.notice());
        match compared {
            Compared::Unknown => self.give_up(answer.lookup, why, pin, now, &mut actions),
            Compared::NoRoom => self.give_up(answer.lookup, no_room, pin, now, &mut actions),
            Compared::Pinned => self.go_on(answer.lookup.messages, pin, now, &mut actions),
            Compared::Known(met) => self.settle_known(answer, met, pin, now, &mut actions),
        }
        actions
    }

    /// The server answered that it can't tell now.
    pub(super) fn not_told(&mut self, request: u32) -> Option<Unanswered> {
        self.take_lookup(request).map(|(name, lookup)| Unanswered { name, lookup })
    }

    /// When [`Self::due`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lookups.values().map(|lookup| lookup.deadline).min()
    }

    /// What was not answered in time.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Unanswered> {
        let mut late: Vec<_> = self.lookups.iter().filter(|(_, lookup)| lookup.deadline <= now).collect();
        late.sort_by_key(|(_, lookup)| lookup.request);
        let late: Vec<UserName> = late.into_iter().map(|(name, _)| name.clone()).collect();
        let taken = late.iter().filter_map(|name| self.lookups.remove_entry(name));
        taken.map(|(name, lookup)| Unanswered { name, lookup }).collect()
    }

    /// Gives up the messages whose sender's key did not come, with one line; those under a key that is held by now go on. The next
    /// message of that sender asks again, and so does the next start. A server that is slow says nothing about anybody's key.
    pub(super) fn go_on_unanswered(&mut self, unanswered: Unanswered, pin: Option<&Pin>, now: Instant) -> Vec<Action> {
        let Unanswered { name, mut lookup } = unanswered;
        let is_known =
            |entry: &mut Entry| pin.is_some_and(|pin| pin.signed_by(&entry.envelope, entry.received_ms).is_some());
        let known: Vec<_> = lookup.messages.extract_if(.., is_known).collect();
        let mut actions = Vec::new();
        if !lookup.messages.is_empty() {
            self.wait_for_the_next_start(&name, lookup, now, &mut actions);
        }
        self.go_on(known, pin, now, &mut actions);
        actions
    }

    /// What the server gave, or did not give, when it was asked for a key that is not the one held for this name.
    fn settle_known(&mut self, answer: Answer, met: Met, pin: Option<&Pin>, now: Instant, actions: &mut Vec<Action>) {
        let vouching = answer.vouching().map(|(by, _)| by);
        let is_other = pin.is_some_and(|pin| answer.is_other(pin));
        let Answer { name, lookup, found } = answer;
        match (met, &found) {
            (Met::Moved, Ok(found)) => {
                let now_key = found.bundle.identity.fingerprint();
                self.tell(&name, Notice::NewKeys { name: name.clone(), now: now_key }, now, actions);
            }
            (Met::TookBack { stays }, _) => {
                self.tell(&name, Notice::TookBack { name: name.clone(), stays }, now, actions);
            }
            (Met::Changed(change), _) => self.tell(&name, Notice::KeyChanged(change), now, actions),
            _ => {}
        }
        let Some(pin) = pin else {
            // The contact has just been taken out: everything begins anew.
            return self.go_on(lookup.messages, None, now, actions);
        };
        let fingerprint = lookup.fingerprint;
        let (asked, others) = lookup.parted();
        for message in asked {
            let id = message.envelope.header.msg_id;
            match pin.signed_by(&message.envelope, message.received_ms) {
                Some(keys) => self.verify(message, &keys, now, actions),
                // The identity that is held has no such key under it.
                None if pin.signer(fingerprint, message.received_ms).is_some() => {
                    let notice = Notice::Rejected { from: name.clone(), id };
                    self.fail(&message, notice, Signed::No, now, actions);
                }
                None if is_other => {
                    let change = pin.change(&name).unwrap_or_else(|| pin.change_to(&name, fingerprint));
                    self.tell(&name, Notice::KeyChanged(change), now, actions);
                    self.defer_until_chosen(&message, Standing::Contact, actions);
                }
                None if vouching.is_some() => {
                    let notice = Notice::GivenUp { from: name.clone(), id };
                    self.fail(&message, notice, Signed::No, now, actions);
                }
                None => {
                    let why = found.as_ref().err().map_or(unknown_sender as Why, |absent| absent.notice());
                    self.fail(&message, why(name.clone(), id), Signed::No, now, actions);
                }
            }
        }
        self.go_on(others, Some(pin), now, actions);
    }

    pub(super) fn ask(&mut self, message: Entry, standing: Standing, now: Instant, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (name, fingerprint) = (header.sender.clone(), header.sender_fp);
        self.last_request = self.last_request.checked_add(1).unwrap_or(REQUESTS_FROM + 1);
        let request = self.last_request;
        let deadline = now + ANSWER_WITHIN;
        self.lookups.insert(name.clone(), Lookup { request, fingerprint, standing, deadline, messages: vec![message] });
        actions.push(Action::Lookup { request, name, fingerprint });
    }

    /// Whether there is room for one more message that may have to wait for its sender's key. Nothing may arrive while there is none.
    pub(super) fn has_room(&self) -> bool {
        self.lookups.values().map(|lookup| lookup.messages.len()).sum::<usize>() < HELD_MESSAGES
    }

    fn take_lookup(&mut self, request: u32) -> Option<(UserName, Lookup)> {
        let name = self.lookups.iter().find(|(_, lookup)| lookup.request == request).map(|(name, _)| name.clone())?;
        self.lookups.remove_entry(&name)
    }

    /// Nothing more can be done about the messages under the key that was asked for. Those under another one for the same
    /// name have waited for nothing so far: they ask for theirs.
    fn give_up(&mut self, lookup: Lookup, why: Why, pin: Option<&Pin>, now: Instant, actions: &mut Vec<Action>) {
        let (asked, others) = lookup.parted();
        for message in asked {
            let header = &message.envelope.header;
            let notice = why(header.sender.clone(), header.msg_id);
            self.fail(&message, notice, Signed::No, now, actions);
        }
        self.go_on(others, pin, now, actions);
    }

    /// Defers messages whose sender's key the server did not tell, as far as there is room. The others stay in the inbox, too, and are
    /// asked for anew over the next connection.
    fn wait_for_the_next_start(&mut self, name: &UserName, lookup: Lookup, now: Instant, actions: &mut Vec<Action>) {
        let notice = Notice::KeyNotGiven { from: name.clone(), count: lookup.messages.len() };
        self.tell(name, notice, now, actions);
        for message in lookup.messages {
            self.overflows |= !self.deferred.add(message.entry, Awaited::NextStart(name.clone()), lookup.standing);
        }
    }
}

fn unknown_sender(from: UserName, id: MessageId) -> Notice {
    Notice::UnknownSender { from, id }
}

fn no_account(from: UserName, id: MessageId) -> Notice {
    Notice::NoAccount { from, id }
}

fn no_room(from: UserName, id: MessageId) -> Notice {
    Notice::NoRoom { from, id }
}

/// Requests of the receiver have numbers above this one, those of the person who types below it.
pub(super) const REQUESTS_FROM: u32 = 0x8000_0000;
