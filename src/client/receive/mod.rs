//! The receiver's ten steps (`docs/PROTOCOL.md`, "Receiving"), as a state machine without input or output.
//!
//! 1 strict parse, 2 acknowledge (`listening` does these two before it asks the receiver, so that the acknowledgement
//! knows nothing of keys), 3 addressed to me, 4 the sender's key is the one I hold, 5 signature, 6 seen before?,
//! 7 decrypt, 8 commitment, 9 record the id, 10 show. From step 7 on nothing is ever sent because of a message: an
//! answer that depends on decryption would be an oracle (Bleichenbacher 1998), so [`Action::Show`] and
//! [`Action::Tell`] are all that is left.
//!
//! A sender seen for the first time is pinned when a signature holds under the key that the server gave, not before:
//! made-up names leave nothing behind.

mod deferred;
pub(crate) mod feed;
pub(crate) mod follow;
pub(crate) mod kept;
mod key_lookup;
pub(crate) mod listen_loop;
mod open;
pub(crate) mod skip_backlog;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use super::error::Error;
use super::keys::member::Member;
use super::model::event::{Mark, Notice, Opened};
use super::model::pin::{Keyring, Pin};
use super::state::inbox::Entry;
use super::state::seen::{Failures, Ledger, Place, Verdict};
use crate::names::{Recipient, UserName};
use crate::wire::{Fingerprint, Header};
use kept::{Kept, Standing, Until};
pub use key_lookup::Absent;
use key_lookup::Held;

/// What the receiver wants done, in this order.
pub enum Action {
    /// Nothing more will come of this entry of the inbox. `counted`: its signature held.
    Done {
        /// Which one.
        entry: u64,
        /// Whether its counter is true.
        counted: bool,
    },
    /// Ask the server for the bundle of this name with this identity key.
    Lookup {
        /// Comes back with the answer.
        request: u32,
        /// Whose.
        name: UserName,
        /// Which key.
        fingerprint: Fingerprint,
    },
    /// Record that this entry of the inbox holds, show it, and then it is done.
    Show(u64, Box<Opened>),
    /// Say something.
    Tell(Notice),
}

impl Action {
    /// The message that it shows.
    pub fn shown(&self) -> Option<&Opened> {
        match self {
            Self::Show(_, opened) => Some(opened),
            _ => None,
        }
    }
}

/// The receiving side of one run.
pub struct Receiver<'a> {
    member: &'a Member,
    keyring: &'a dyn Keyring,
    /// One's own key: nobody else's counts for one's own name.
    own: Pin,
    /// Messages whose sender's key was asked for.
    held: HashMap<UserName, Held>,
    last_request: u32,
    ledger: Ledger,
    failures: Failures,
    /// Entries that stay in the inbox until a person has put something right.
    kept: Kept,
    /// What those tell whose counter was counted before they were kept.
    places: HashMap<u64, Place>,
    /// For what there are kept messages to be told of, with the sender's key that the last one names.
    news: BTreeMap<Until, Fingerprint>,
}

impl<'a> Receiver<'a> {
    /// For messages to `member`, with the keys of `keyring` and what is known of earlier messages.
    pub fn new(member: &'a Member, keyring: &'a dyn Keyring, ledger: Ledger) -> Self {
        Self {
            member,
            keyring,
            own: Pin { former: member.former.clone(), ..Pin::new(member.identity.public().clone(), Mark::Verified) },
            held: HashMap::new(),
            last_request: key_lookup::REQUESTS_FROM,
            ledger,
            failures: Failures::default(),
            kept: Kept::default(),
            places: HashMap::new(),
            news: BTreeMap::new(),
        }
    }

    /// What is known of the messages so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A new connection: what was asked for on the old one will not be answered.
    pub fn restart(&mut self) {
        self.held.clear();
    }

    /// Bytes that are no envelope. The server parsed them before it took the message, so this is the server's fault.
    pub fn malformed(&self) -> Action {
        Action::Tell(Notice::Malformed)
    }

    /// Step 3 of a message that was parsed and acknowledged, then the rest as far as keys are at hand.
    pub fn arrived(&mut self, message: Entry, now: Instant) -> Result<Vec<Action>, Error> {
        let mut actions = Vec::new();
        match self.is_for_me(&message.envelope.header) {
            true => self.with_key(message, now, &mut actions)?,
            false => {
                let header = &message.envelope.header;
                let notice = Notice::NotForMe { from: header.sender.clone(), id: header.msg_id };
                self.fail(&message, notice, Signed::No, now, &mut actions);
            }
        }
        Ok(actions)
    }

    /// Step 3. That kind and suite fit each other was checked by parsing. Whether the key that it is sealed for is here,
    /// counts once the signature holds.
    fn is_for_me(&self, header: &Header) -> bool {
        match &header.recipient {
            Recipient::All => true,
            Recipient::User(name) => *name == self.member.name,
        }
    }

    /// Step 4.
    fn with_key(&mut self, message: Entry, now: Instant, actions: &mut Vec<Action>) -> Result<(), Error> {
        let header = &message.envelope.header;
        let (from, id, key) = (header.sender.clone(), header.msg_id, header.sender_fp);
        let is_own = from == self.member.name;
        let pin = if is_own { Some(self.own.clone()) } else { self.keyring.pinned(&from)? };
        if let Some((key, mark)) = pin.as_ref().and_then(|pin| pin.signer(key, message.received_ms)) {
            self.verify(message, &key, mark, now, actions);
            return Ok(());
        }
        match pin {
            // There is nothing to compare by voice: whoever signed it, it was not this account.
            Some(_) if is_own => self.fail(&message, Notice::Rejected { from, id }, Signed::No, now, actions),
            Some(pin) if pin.others.contains(&key) => match pin.change(&from) {
                Some(change) => {
                    self.tell(&from, Notice::KeyChanged(change), now, actions);
                    self.keep_until_chosen(&message, Standing::Contact, actions);
                }
                None => self.fail(&message, Notice::NotChosen { from, id }, Signed::No, now, actions),
            },
            None if !self.keyring.takes_new() => self.keep_until_chosen(&message, Standing::Stranger, actions),
            _ if self.held.contains_key(&from) => self.hold(message, now, actions),
            pin => self.ask(message, pin.map_or(Standing::Stranger, |_| Standing::Contact), now, actions),
        }
        Ok(())
    }

    fn go_on(&mut self, messages: Vec<Entry>, now: Instant, actions: &mut Vec<Action>) -> Result<(), Error> {
        messages.into_iter().try_for_each(|message| self.with_key(message, now, actions))
    }

    fn fail(&mut self, message: &Entry, notice: Notice, signed: Signed, now: Instant, actions: &mut Vec<Action>) {
        self.tell(&message.envelope.header.sender, notice, now, actions);
        actions.push(done(message, signed));
    }

    fn tell(&mut self, sender: &UserName, notice: Notice, now: Instant, actions: &mut Vec<Action>) {
        let told = match self.failures.judge(sender, &notice, now) {
            Verdict::Show => notice,
            Verdict::HoldBackFrom(from) => Notice::HeldBack { from },
            Verdict::Silent => return,
        };
        actions.push(Action::Tell(told));
    }
}

/// Whether step 5 was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    Yes,
    No,
}

fn done(message: &Entry, signed: Signed) -> Action {
    Action::Done { entry: message.entry, counted: signed == Signed::Yes }
}

#[cfg(test)]
mod tests;
