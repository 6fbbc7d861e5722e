//! The receiver's ten steps (`docs/PROTOCOL.md`, "Receiving"), as a state machine without input or output.
//!
//! 1 strict parse, 2 acknowledge (`listening` does these two before it asks the receiver, so that the acknowledgement
//! knows nothing of keys), 3 addressed to me, 4 the sender's key is the one I hold, 5 signature, 6 seen before?,
//! 7 decrypt, 8 commitment, 9 record the id, 10 show. From step 7 on nothing is ever sent because of a message: an
//! answer that depends on decryption would be an oracle (Bleichenbacher 1998), so [`Action::Show`] is all that is left.
//!
//! A sender seen for the first time is pinned when a signature holds under the key that the server gave, not before:
//! made-up names leave nothing behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Error;
use super::event::{Event, Mark, Notice, Opened};
use super::keyring::{Keyring, Pin};
use super::member::Member;
use super::replay::{Counters, Failures, Seen, SeenIds, Verdict};
use crate::crypto::bundle::{self, VerifiedBundle};
use crate::crypto::digest::sha256;
use crate::crypto::envelope::{self, OpenWith};
use crate::crypto::keys::PublicKey;
use crate::limits::{ANSWER_WITHIN, HELD_MESSAGES};
use crate::names::{Recipient, UserName};
use crate::wire::{Envelope, Fingerprint, Header, MessageId};

/// What the receiver wants done, in this order.
pub enum Action {
    /// Ask the server for the bundle of this name with this identity key.
    Lookup {
        /// Comes back with the answer.
        request: u32,
        /// Whose.
        name: UserName,
        /// Which key.
        fingerprint: Fingerprint,
    },
    /// Show something.
    Show(Event),
}

/// The time at which something came.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For intervals.
    pub instant: Instant,
    /// Unix time in milliseconds.
    pub unix_ms: i64,
}

/// The receiving side of one session.
pub struct Receiver<'a> {
    member: &'a Member,
    keyring: &'a dyn Keyring,
    /// One's own key: nobody else's counts for one's own name.
    own: Pin,
    held: HashMap<UserName, Held>,
    last_request: u32,
    seen: SeenIds,
    counters: Counters,
    failures: Failures,
}

/// Messages whose sender's key was asked for.
struct Held {
    request: u32,
    fingerprint: Fingerprint,
    /// When the answer is given up.
    deadline: Instant,
    messages: Vec<Delivered>,
}

impl Held {
    /// Whether one of the messages is signed by this key.
    fn is_signed_by(&self, key: &PublicKey) -> bool {
        let mut asked = self.messages.iter().filter(|message| message.envelope.header.sender_fp == self.fingerprint);
        asked.any(|message| envelope::verify(&message.envelope, key))
    }
}

/// A message that has passed step 1.
pub struct Delivered {
    /// As it was sent.
    pub envelope: Envelope,
    /// Whether it waited for this client.
    pub backlog: bool,
}

impl<'a> Receiver<'a> {
    /// For messages to `member`, with the keys of `keyring`.
    pub fn new(member: &'a Member, keyring: &'a dyn Keyring) -> Self {
        Self {
            member,
            keyring,
            own: Pin { key: Arc::new(member.identity.public().clone()), mark: Mark::Known },
            held: HashMap::new(),
            last_request: REQUESTS_FROM,
            seen: SeenIds::default(),
            counters: Counters::default(),
            failures: Failures::default(),
        }
    }

    /// Whether an answer with this number is for the receiver.
    pub fn asked(request: u32) -> bool {
        request > REQUESTS_FROM
    }

    /// Bytes that are no envelope. The server parsed them before it took the message, so this is the server's fault.
    pub fn malformed(&self) -> Action {
        Action::Show(Event::Notice(Notice::Malformed))
    }

    /// Step 3 of a message that was parsed and acknowledged, then the rest as far as keys are at hand.
    pub fn arrived(&mut self, message: Delivered, now: Now) -> Result<Vec<Action>, Error> {
        let mut actions = Vec::new();
        match self.is_for_me(&message.envelope.header) {
            true => self.with_key(message, now, &mut actions)?,
            false => {
                let header = &message.envelope.header;
                let notice = Notice::NotForMe { from: header.sender.clone(), id: header.msg_id };
                self.fail(&header.sender, notice, now, &mut actions);
            }
        }
        Ok(actions)
    }

    /// The bundle that was asked for has come: pins its key if that has signed something, and goes on with what was held.
    pub fn found(&mut self, request: u32, bundle: &[u8], now: Now) -> Result<Vec<Action>, Error> {
        let Some((name, held)) = self.take_held(request) else { return Ok(Vec::new()) };
        let mut actions = Vec::new();
        let asked = |bundle: &VerifiedBundle| bundle.name == name && bundle.identity.fingerprint() == held.fingerprint;
        match bundle::verify(bundle).ok().filter(asked).filter(|bundle| held.is_signed_by(&bundle.identity)) {
            Some(bundle) => match self.keyring.pin(&bundle) {
                Ok(_) => self.go_on(held.messages, now, &mut actions)?,
                Err(Error::ContactsFull { .. }) => self.give_up(held, no_room, now, &mut actions)?,
                Err(error) => return Err(error),
            },
            None => self.give_up(held, unknown_sender, now, &mut actions)?,
        }
        Ok(actions)
    }

    /// The server has no such bundle.
    pub fn not_found(&mut self, request: u32, now: Now) -> Result<Vec<Action>, Error> {
        let mut actions = Vec::new();
        if let Some((_, held)) = self.take_held(request) {
            self.give_up(held, unknown_sender, now, &mut actions)?;
        }
        Ok(actions)
    }

    /// When [`Self::due`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.held.values().map(|held| held.deadline).min()
    }

    /// Gives up the messages whose sender's key did not come in time, with one line for each sender. The next message
    /// of that sender asks again.
    pub fn due(&mut self, now: Now) -> Vec<Action> {
        let mut late: Vec<_> = self.held.iter().filter(|(_, held)| held.deadline <= now.instant).collect();
        late.sort_by_key(|(_, held)| held.request);
        let late: Vec<UserName> = late.into_iter().map(|(name, _)| name.clone()).collect();
        let mut actions = Vec::new();
        for (name, held) in late.iter().filter_map(|name| self.held.remove_entry(name)).collect::<Vec<_>>() {
            let notice = Notice::KeyNotGiven { from: name.clone(), count: held.messages.len() };
            self.fail(&name, notice, now, &mut actions);
        }
        actions
    }

    /// Step 3. That kind and suite fit each other was checked by parsing.
    fn is_for_me(&self, header: &Header) -> bool {
        match &header.recipient {
            Recipient::All => true,
            Recipient::User(name) => {
                *name == self.member.name && header.recipient_fp == self.member.encryption.public().fingerprint()
            }
        }
    }

    /// Step 4.
    fn with_key(&mut self, message: Delivered, now: Now, actions: &mut Vec<Action>) -> Result<(), Error> {
        let header = &message.envelope.header;
        if self.held.contains_key(&header.sender) {
            self.hold(message, now, actions);
            return Ok(());
        }
        let is_own = header.sender == self.member.name;
        let pin = if is_own { Some(self.own.clone()) } else { self.keyring.pinned(&header.sender)? };
        match pin {
            None => self.ask(message, now, actions),
            Some(pin) if pin.key.fingerprint() == header.sender_fp => self.verify(message, &pin, now, actions),
            // There is nothing to compare by voice: whoever signed it, it was not this account.
            Some(_) if is_own => {
                let notice = Notice::Rejected { from: header.sender.clone(), id: header.msg_id };
                self.fail(&header.sender, notice, now, actions);
            }
            Some(pin) => {
                let (pinned, sent) = (pin.key.fingerprint(), header.sender_fp);
                let notice = Notice::KeyChanged { name: header.sender.clone(), pinned, now: sent };
                self.fail(&header.sender, notice, now, actions);
            }
        }
        Ok(())
    }

    /// Steps 5 and 6.
    fn verify(&mut self, message: Delivered, pin: &Pin, now: Now, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (from, id) = (header.sender.clone(), header.msg_id);
        if !envelope::verify(&message.envelope, &pin.key) {
            return self.fail(&from, Notice::Rejected { from: from.clone(), id }, now, actions);
        }
        let digest = sha256(&message.envelope.encode());
        match self.seen.get(header) {
            Some(seen) if seen.digest == digest => {
                let notice = Notice::Copy { from: from.clone(), id, first_ms: seen.first_ms };
                self.fail(&from, notice, now, actions);
            }
            Some(_) => self.fail(&from, Notice::Reused { from: from.clone(), id }, now, actions),
            None => {
                if self.counters.tells_of_missing(header) {
                    let to = header.recipient.clone();
                    actions.push(Action::Show(Event::Notice(Notice::Missing { from, to })));
                }
                self.open(message, pin, Seen { digest, first_ms: now.unix_ms }, now, actions);
            }
        }
    }

    /// Steps 7 to 10.
    fn open(&mut self, message: Delivered, pin: &Pin, seen: Seen, now: Now, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (from, id) = (header.sender.clone(), header.msg_id);
        let Some(with) = self.key_for(header) else {
            let notice = self.other_group_key(header);
            return self.fail(&from, notice, now, actions);
        };
        let Ok(text) = envelope::open(&message.envelope, with) else {
            return self.fail(&from, Notice::NotOpened { from: from.clone(), id }, now, actions);
        };
        self.seen.record(header, seen);
        let Delivered { envelope, backlog } = message;
        let opened = Opened { envelope, sender: Arc::clone(&pin.key), mark: pin.mark, text, backlog };
        actions.push(Action::Show(Event::Message(Box::new(opened))));
    }

    /// `None` for a group message under a key that is not in the file.
    fn key_for(&self, header: &Header) -> Option<OpenWith<'a>> {
        match header.recipient {
            Recipient::User(_) => Some(OpenWith::Direct(&self.member.encryption)),
            Recipient::All => {
                let group = self.member.group.as_ref()?;
                group.find(&group_id(header)).map(OpenWith::Group)
            }
        }
    }

    fn other_group_key(&self, header: &Header) -> Notice {
        let ours = self.member.group.as_ref().map(|group| group.writer().short_id());
        Notice::OtherGroupKey { theirs: header.recipient_fp.short(), ours }
    }

    fn ask(&mut self, message: Delivered, now: Now, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (name, fingerprint) = (header.sender.clone(), header.sender_fp);
        if self.held_messages() >= HELD_MESSAGES {
            let notice = Notice::UnknownSender { from: name.clone(), id: header.msg_id };
            return self.fail(&name, notice, now, actions);
        }
        self.last_request = self.last_request.checked_add(1).unwrap_or(REQUESTS_FROM + 1);
        let request = self.last_request;
        let deadline = now.instant + ANSWER_WITHIN;
        self.held.insert(name.clone(), Held { request, fingerprint, deadline, messages: vec![message] });
        actions.push(Action::Lookup { request, name, fingerprint });
    }

    fn hold(&mut self, message: Delivered, now: Now, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let room = self.held_messages() < HELD_MESSAGES;
        match self.held.get_mut(&header.sender) {
            Some(held) if room => held.messages.push(message),
            _ => {
                let notice = Notice::UnknownSender { from: header.sender.clone(), id: header.msg_id };
                self.fail(&header.sender, notice, now, actions);
            }
        }
    }

    fn held_messages(&self) -> usize {
        self.held.values().map(|held| held.messages.len()).sum()
    }

    fn take_held(&mut self, request: u32) -> Option<(UserName, Held)> {
        let name = self.held.iter().find(|(_, held)| held.request == request).map(|(name, _)| name.clone())?;
        self.held.remove_entry(&name)
    }

    fn go_on(&mut self, messages: Vec<Delivered>, now: Now, actions: &mut Vec<Action>) -> Result<(), Error> {
        messages.into_iter().try_for_each(|message| self.with_key(message, now, actions))
    }

    /// Nothing more can be done about the messages under the key that was asked for. Those under another one for the same
    /// name have waited for nothing so far: they ask for theirs.
    fn give_up(
        &mut self,
        held: Held,
        why: fn(UserName, MessageId) -> Notice,
        now: Now,
        actions: &mut Vec<Action>,
    ) -> Result<(), Error> {
        let is_asked = |message: &Delivered| message.envelope.header.sender_fp == held.fingerprint;
        let (asked, others): (Vec<_>, Vec<_>) = held.messages.into_iter().partition(is_asked);
        for message in asked {
            let header = &message.envelope.header;
            self.fail(&header.sender, why(header.sender.clone(), header.msg_id), now, actions);
        }
        self.go_on(others, now, actions)
    }

    fn fail(&mut self, sender: &UserName, notice: Notice, now: Now, actions: &mut Vec<Action>) {
        let told = match self.failures.judge(sender, &notice, now.instant) {
            Verdict::Show => notice,
            Verdict::HoldBackFrom(from) => Notice::HeldBack { from },
            Verdict::Silent => return,
        };
        actions.push(Action::Show(Event::Notice(told)));
    }
}

fn unknown_sender(from: UserName, id: MessageId) -> Notice {
    Notice::UnknownSender { from, id }
}

fn no_room(from: UserName, id: MessageId) -> Notice {
    Notice::NoRoom { from, id }
}

fn group_id(header: &Header) -> [u8; 16] {
    let mut id = [0; 16];
    id.iter_mut().zip(header.recipient_fp.0).for_each(|(to, from)| *to = from);
    id
}

/// Requests of the receiver have numbers above this one, those of the person who types below it.
const REQUESTS_FROM: u32 = 0x8000_0000;

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
