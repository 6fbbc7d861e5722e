//! Messages whose sender's key is not at hand: the server is asked for it, and they wait for the answer.

use std::time::Instant;

use super::kept::{Standing, Until};
use super::{Action, Receiver, Signed, done};
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::model::event::{KeyChange, Notice};
use crate::client::model::pin::{Found, Met, Pin};
use crate::client::state::inbox::Entry;
use crate::crypto::bundle;
use crate::crypto::envelope;
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
pub(super) struct Held {
    request: u32,
    fingerprint: Fingerprint,
    standing: Standing,
    /// When the answer is given up.
    deadline: Instant,
    messages: Vec<Entry>,
}

impl Held {
    /// The keys from the one that was asked for up to the one before that of `found`, which vouches for them, if one of the
    /// messages is signed.
    fn signed_under(&self, found: &Found) -> Option<Vec<PublicKey>> {
        let former = bundle::succession(&found.bundle, &found.lineage, self.fingerprint).ok()?;
        self.is_signed_by(former.last().unwrap_or(&found.bundle.identity)).then_some(former)
    }

    /// Whether one of the messages is signed by this key.
    fn is_signed_by(&self, key: &PublicKey) -> bool {
        let mut asked = self.messages.iter().filter(|message| message.envelope.header.sender_fp == self.fingerprint);
        asked.any(|message| envelope::verify(&message.envelope, key))
    }
}

impl Receiver<'_> {
    /// Whether an answer with this number is for the receiver.
    pub fn asked(request: u32) -> bool {
        request > REQUESTS_FROM
    }

    /// The bundle that was asked for has come. A name seen for the first time is pinned if its key has signed something; for
    /// a contact it tells whether the pinned key has handed over to the one in the messages.
    pub fn found(
        &mut self,
        request: u32,
        bundle: &[u8],
        lineage: Vec<Predecessor>,
        now: Instant,
    ) -> Result<Vec<Action>, Error> {
        let Some((name, held)) = self.take_held(request) else { return Ok(Vec::new()) };
        let found = bundle::verify(bundle).ok().filter(|bundle| bundle.name == name);
        let found = found.map(|bundle| Found { bundle, lineage });
        let mut actions = Vec::new();
        match self.keyring.pinned(&name)? {
            None => self.found_first(held, found, now, &mut actions)?,
            Some(_) => self.found_other(&name, held, found.ok_or(Absent::Key), now, &mut actions)?,
        }
        Ok(actions)
    }

    /// The server has no such bundle.
    pub fn not_found(&mut self, request: u32, absent: Absent, now: Instant) -> Result<Vec<Action>, Error> {
        let mut actions = Vec::new();
        if let Some((name, held)) = self.take_held(request) {
            match self.keyring.pinned(&name)? {
                None => self.give_up(held, absent.notice(), now, &mut actions)?,
                Some(_) => self.found_other(&name, held, Err(absent), now, &mut actions)?,
            }
        }
        Ok(actions)
    }

    /// The server answered that it can't tell now, which says nothing about anybody's key.
    pub fn not_told(&mut self, request: u32, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some((name, held)) = self.take_held(request) {
            self.wait_for_the_next_start(&name, held, now, &mut actions);
        }
        actions
    }

    /// When [`Self::due`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.held.values().map(|held| held.deadline).min()
    }

    /// Gives up the messages whose sender's key did not come in time, with one line for each sender. The next message
    /// of that sender asks again, and so does the next start. A server that is slow says nothing about anybody's key.
    pub fn due(&mut self, now: Instant) -> Vec<Action> {
        let mut late: Vec<_> = self.held.iter().filter(|(_, held)| held.deadline <= now).collect();
        late.sort_by_key(|(_, held)| held.request);
        let late: Vec<UserName> = late.into_iter().map(|(name, _)| name.clone()).collect();
        let mut actions = Vec::new();
        for (name, held) in late.iter().filter_map(|name| self.held.remove_entry(name)).collect::<Vec<_>>() {
            self.wait_for_the_next_start(&name, held, now, &mut actions);
        }
        actions
    }

    /// The keys of a name of which nothing was known.
    fn found_first(
        &mut self,
        held: Held,
        found: Option<Found>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Result<(), Error> {
        match found.and_then(|found| Some((held.signed_under(&found)?, found))) {
            Some((former, found)) => match self.keyring.meet(&found) {
                Ok(_) => {
                    let Found { bundle, .. } = &found;
                    self.keyring.vouched(&bundle.name, bundle.identity.fingerprint(), &former)?;
                    self.go_on(held.messages, now, actions)
                }
                Err(Error::Trust(TrustError::ContactsFull { .. })) => self.give_up(held, no_room, now, actions),
                Err(error) => Err(error),
            },
            None => self.give_up(held, unknown_sender, now, actions),
        }
    }

    /// What the server gave, or did not give, when it was asked for a key that is not the one held for this name. Unless
    /// the pinned key has handed over, a key that was shown has changed; one that nobody shows tells nothing about anybody.
    fn found_other(
        &mut self,
        name: &UserName,
        held: Held,
        found: Result<Found, Absent>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Result<(), Error> {
        let fingerprint = held.fingerprint;
        let (asked, others): (Vec<_>, Vec<_>) =
            held.messages.into_iter().partition(|message| message.envelope.header.sender_fp == fingerprint);
        // An answer that does not hold tells no more than none.
        if let Ok(found) = &found {
            match self.keyring.meet(found).or_else(unless_outdated)? {
                Met::Moved => {
                    let now_key = found.bundle.identity.fingerprint();
                    self.tell(name, Notice::NewKeys { name: name.clone(), now: now_key }, now, actions);
                }
                Met::Changed(change) => self.tell(name, Notice::KeyChanged(change), now, actions),
                Met::First | Met::Stays => {}
            }
        }
        let by = self.vouched(name, fingerprint, found.as_ref().ok())?;
        let Some(pin) = self.keyring.pinned(name)? else {
            // Somebody has just taken the contact out: everything begins anew.
            return self.go_on([asked, others].concat(), now, actions);
        };
        for message in asked {
            match pin.signer(fingerprint, message.received_ms) {
                Some((key, mark)) => self.verify(message, &key, mark, now, actions),
                None if by == Some(pin.key.fingerprint()) => {
                    let notice = Notice::GivenUp { from: name.clone(), id: message.envelope.header.msg_id };
                    self.fail(&message, notice, Signed::No, now, actions);
                }
                None if by.is_none() && !pin.others.contains(&fingerprint) => {
                    let why = found.as_ref().err().map_or(unknown_sender as Why, |absent| absent.notice());
                    let notice = why(name.clone(), message.envelope.header.msg_id);
                    self.fail(&message, notice, Signed::No, now, actions);
                }
                None => {
                    let change = self.stopped(name, &pin, fingerprint)?;
                    self.tell(name, Notice::KeyChanged(change), now, actions);
                    self.keep_until_chosen(&message, Standing::Contact, actions);
                }
            }
        }
        self.go_on(others, now, actions)
    }

    /// The key that vouches for the one that was asked for, if there is one: it has replaced it.
    fn vouched(
        &self,
        name: &UserName,
        asked: Fingerprint,
        found: Option<&Found>,
    ) -> Result<Option<Fingerprint>, Error> {
        let Some(Found { bundle, lineage }) = found else { return Ok(None) };
        let Ok(former) = bundle::succession(bundle, lineage, asked) else { return Ok(None) };
        let by = bundle.identity.fingerprint();
        self.keyring.vouched(name, by, &former)?;
        Ok(Some(by))
    }

    /// The change of this name's key, recorded if it was not.
    fn stopped(&self, name: &UserName, pin: &Pin, now: Fingerprint) -> Result<KeyChange, Error> {
        let recorded = if pin.others.contains(&now) { pin.change(name) } else { None };
        recorded.map_or_else(|| self.keyring.changed(name, now), Ok)
    }

    pub(super) fn ask(&mut self, message: Entry, standing: Standing, now: Instant, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (name, fingerprint) = (header.sender.clone(), header.sender_fp);
        if self.held_messages() >= HELD_MESSAGES {
            let notice = Notice::UnknownSender { from: name, id: header.msg_id };
            return self.fail(&message, notice, Signed::No, now, actions);
        }
        self.last_request = self.last_request.checked_add(1).unwrap_or(REQUESTS_FROM + 1);
        let request = self.last_request;
        let deadline = now + ANSWER_WITHIN;
        self.held.insert(name.clone(), Held { request, fingerprint, standing, deadline, messages: vec![message] });
        actions.push(Action::Lookup { request, name, fingerprint });
    }

    pub(super) fn hold(&mut self, message: Entry, now: Instant, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let room = self.held_messages() < HELD_MESSAGES;
        match self.held.get_mut(&header.sender) {
            Some(held) if room => held.messages.push(message),
            _ => {
                let notice = Notice::UnknownSender { from: header.sender.clone(), id: header.msg_id };
                self.fail(&message, notice, Signed::No, now, actions);
            }
        }
    }

    pub(super) fn held_messages(&self) -> usize {
        self.held.values().map(|held| held.messages.len()).sum()
    }

    fn take_held(&mut self, request: u32) -> Option<(UserName, Held)> {
        let name = self.held.iter().find(|(_, held)| held.request == request).map(|(name, _)| name.clone())?;
        self.held.remove_entry(&name)
    }

    /// Nothing more can be done about the messages under the key that was asked for. Those under another one for the same
    /// name have waited for nothing so far: they ask for theirs.
    fn give_up(&mut self, held: Held, why: Why, now: Instant, actions: &mut Vec<Action>) -> Result<(), Error> {
        let is_asked = |message: &Entry| message.envelope.header.sender_fp == held.fingerprint;
        let (asked, others): (Vec<_>, Vec<_>) = held.messages.into_iter().partition(is_asked);
        for message in asked {
            let header = &message.envelope.header;
            let notice = why(header.sender.clone(), header.msg_id);
            self.fail(&message, notice, Signed::No, now, actions);
        }
        self.go_on(others, now, actions)
    }

    /// Keeps messages whose sender's key the server did not tell, as far as there is room.
    fn wait_for_the_next_start(&mut self, name: &UserName, held: Held, now: Instant, actions: &mut Vec<Action>) {
        let notice = Notice::KeyNotGiven { from: name.clone(), count: held.messages.len() };
        self.tell(name, notice, now, actions);
        for message in held.messages {
            if !self.kept.keep(message.entry, Until::NextStart(name.clone()), held.standing) {
                actions.push(done(&message, Signed::No));
            }
        }
    }
}

/// Keys older than those seen before change nothing.
fn unless_outdated(error: Error) -> Result<Met, Error> {
    match error {
        Error::Trust(TrustError::OldBundle { .. }) | Error::Trust(TrustError::BundleReused { .. }) => Ok(Met::Stays),
        error => Err(error),
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
