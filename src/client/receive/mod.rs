//! The receiver's ten steps (`docs/PROTOCOL.md`, "Receiving"), as a state machine without input or output.
//!
//! 1 strict parse, 2 acknowledge (`listen_loop` does these two before it asks the receiver, so that the acknowledgement
//! knows nothing of keys), 3 addressed to me, 4 the sender's key is the one I hold, 5 signature, 6 seen before?,
//! 7 decrypt, 8 commitment, 9 record the id, 10 show. From step 7 on nothing is ever sent because of a message: an
//! answer that depends on decryption would be an oracle (Bleichenbacher 1998), so [`Action::Show`] and
//! [`Action::Tell`] are all that is left.
//!
//! A sender seen for the first time is pinned when a signature holds under the key that the server gave, not before:
//! made-up names leave nothing behind.
//!
//! `Steps` decides by values alone: pins are given to it, and what is to be pinned comes back from it. [`Receiver`] carries that
//! out on the contacts and the group key file.

mod deferred;
pub(crate) mod feed;
pub(crate) mod follow;
mod key_lookup;
pub(crate) mod listen_loop;
mod open;
mod receiver;
pub(crate) mod skip_backlog;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::keys::member::Member;
use super::model::event::{Mark, Notice, Opened};
use super::model::pin::{Pin, Signer};
use super::state::inbox::Entry;
use super::state::seen::{Failures, Ledger, Place, Verdict};
use crate::names::{Recipient, UserName};
use crate::wire::{Fingerprint, Header};
use deferred::{Awaited, Deferred, Standing};
pub use key_lookup::Absent;
use key_lookup::Lookup;
pub use receiver::Receiver;

/// What the receiver wants done, in this order.
pub enum Action {
    /// Nothing more will come of this entry of the inbox. `counted`: its signature held.
    Done {
        entry: u64,
        /// Whether its counter is true.
        counted: bool,
    },
    /// Ask the server for the bundle of this name with this identity key.
    Lookup {
        /// Comes back with the answer.
        request: u32,
        name: UserName,
        fingerprint: Fingerprint,
    },
    /// Record that this entry of the inbox holds, show it, and then it is done.
    Show(u64, Box<Opened>),
    Tell(Notice),
    /// Remember that this identity has named a bundle of its own that was not seen.
    Announced {
        name: UserName,
        by: Fingerprint,
        number: u64,
    },
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

/// The ten steps of one run.
struct Steps {
    member: Arc<Member>,
    /// Whether the key of a name seen for the first time is taken as the server gives it.
    takes_new: bool,
    /// One's own key: nobody else's counts for one's own name.
    own: Pin,
    /// Messages whose sender's key was asked for.
    lookups: HashMap<UserName, Lookup>,
    last_request: u32,
    ledger: Ledger,
    failures: Failures,
    /// Entries that stay in the inbox until a person has put something right.
    deferred: Deferred,
    /// When the last of those came that are weaker than their sender's own choice.
    held: HashMap<UserName, i64>,
    /// There was no room for what the server did not tell the keys of.
    overflows: bool,
    /// What those tell whose counter was counted before they were deferred.
    places: HashMap<u64, Place>,
    /// For what there are deferred messages to be told of, with the sender's key that the last one names, and its standing.
    news: BTreeMap<Awaited, (Fingerprint, Standing)>,
}

impl Steps {
    /// For messages to `member`, with what is known of earlier messages.
    fn new(member: Arc<Member>, takes_new: bool, ledger: Ledger) -> Self {
        Self {
            takes_new,
            own: Pin {
                former: member.former.clone(),
                signers: vec![Signer { key: Arc::new(member.ed25519.public().clone()), until_ms: None }],
                ..Pin::new(member.identity.public().clone(), Mark::Verified)
            },
            lookups: HashMap::new(),
            last_request: key_lookup::REQUESTS_FROM,
            ledger,
            failures: Failures::default(),
            deferred: Deferred::default(),
            held: HashMap::new(),
            overflows: false,
            places: HashMap::new(),
            news: BTreeMap::new(),
            member,
        }
    }

    /// A new connection: what was asked for on the old one will not be answered.
    fn restart(&mut self) {
        self.overflows = false;
        self.lookups.clear();
    }

    /// Step 3 of a message that was parsed and acknowledged, then the rest as far as keys are at hand. `pin` is what is held for its
    /// sender.
    fn arrived(&mut self, message: Entry, pin: Option<&Pin>, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match self.is_for_me(&message.envelope.header) {
            true => self.with_key(message, pin, now, &mut actions),
            false => {
                let header = &message.envelope.header;
                let notice = Notice::NotForMe { from: header.sender.clone(), id: header.msg_id };
                self.fail(&message, notice, Signed::No, now, &mut actions);
            }
        }
        actions
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
    fn with_key(&mut self, message: Entry, pin: Option<&Pin>, now: Instant, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (from, id, key) = (header.sender.clone(), header.msg_id, header.sender_fp);
        let is_own = from == self.member.name;
        // Though the key may be at hand by now: what it signed is shown in order.
        if let Some(lookup) = self.lookups.get_mut(&from)
            && lookup.has_one_under(key)
        {
            return lookup.wait(message);
        }
        let pin = if is_own { Some(&self.own) } else { pin };
        if let Some(keys) = pin.and_then(|pin| pin.signed_by(&message.envelope, message.received_ms)) {
            return self.verify(message, &keys, now, actions);
        }
        match pin {
            // There is nothing to compare by voice: whoever signed it, it was not this account.
            Some(_) if is_own => self.fail(&message, Notice::Rejected { from, id }, Signed::No, now, actions),
            Some(pin) if pin.others.contains(&key) => match pin.change(&from) {
                Some(change) => {
                    self.tell(&from, Notice::KeyChanged(change), now, actions);
                    self.defer_until_chosen(&message, Standing::Contact, actions);
                }
                None => self.fail(&message, Notice::NotChosen { from, id }, Signed::No, now, actions),
            },
            None if !self.takes_new => self.defer_until_chosen(&message, Standing::Stranger, actions),
            pin => match self.lookups.get_mut(&from) {
                Some(lookup) => lookup.wait(message),
                None => self.ask(message, pin.map_or(Standing::Stranger, |_| Standing::Contact), now, actions),
            },
        }
    }

    /// Step 4 of messages of one sender.
    fn go_on(&mut self, messages: Vec<Entry>, pin: Option<&Pin>, now: Instant, actions: &mut Vec<Action>) {
        messages.into_iter().for_each(|message| self.with_key(message, pin, now, actions));
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
