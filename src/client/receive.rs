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

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::Error;
use super::event::{KeyChange, Mark, Notice, Opened};
use super::inbox::Entry;
use super::kept::{Count, Kept, Standing, Until};
use super::keyring::{Found, Keyring, Met, Pin};
use super::member::Member;
use super::replay::{Failures, Ledger, Place, Seen, Verdict};
use crate::crypto::bundle;
use crate::crypto::digest::sha256;
use crate::crypto::envelope::{self, OpenWith, group_fingerprint};
use crate::crypto::group_key::GroupKeys;
use crate::crypto::keys::PublicKey;
use crate::limits::{ANSWER_WITHIN, HELD_MESSAGES};
use crate::names::{Recipient, UserName};
use crate::wire::{Fingerprint, Header, MessageId, Predecessor};

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

/// Messages whose sender's key was asked for.
struct Held {
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

impl<'a> Receiver<'a> {
    /// For messages to `member`, with the keys of `keyring` and what is known of earlier messages.
    pub fn new(member: &'a Member, keyring: &'a dyn Keyring, ledger: Ledger) -> Self {
        Self {
            member,
            keyring,
            own: Pin { former: member.former.clone(), ..Pin::new(member.identity.public().clone(), Mark::Verified) },
            held: HashMap::new(),
            last_request: REQUESTS_FROM,
            ledger,
            failures: Failures::default(),
            kept: Kept::default(),
            places: HashMap::new(),
            news: BTreeMap::new(),
        }
    }

    /// Whether an answer with this number is for the receiver.
    pub fn asked(request: u32) -> bool {
        request > REQUESTS_FROM
    }

    /// What is known of the messages so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A new connection: what was asked for on the old one will not be answered.
    pub fn restart(&mut self) {
        self.held.clear();
    }

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
    fn look_for_group_keys(&self) -> Vec<Action> {
        self.member.group.look_again().map(Action::Tell).into_iter().collect()
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
            Some(_) => self.found_other(&name, held, found, now, &mut actions)?,
        }
        Ok(actions)
    }

    /// The server has no such bundle.
    pub fn not_found(&mut self, request: u32, now: Instant) -> Result<Vec<Action>, Error> {
        let mut actions = Vec::new();
        if let Some((name, held)) = self.take_held(request) {
            match self.keyring.pinned(&name)? {
                None => self.give_up(held, unknown_sender, now, &mut actions)?,
                Some(_) => self.found_other(&name, held, None, now, &mut actions)?,
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
                Err(Error::ContactsFull { .. }) => self.give_up(held, no_room, now, actions),
                Err(error) => Err(error),
            },
            None => self.give_up(held, unknown_sender, now, actions),
        }
    }

    /// What the server gave, or did not give, when it was asked for a key that is not the one held for this name. Unless
    /// the pinned key has handed over, the key has changed.
    fn found_other(
        &mut self,
        name: &UserName,
        held: Held,
        found: Option<Found>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Result<(), Error> {
        let fingerprint = held.fingerprint;
        let (asked, others): (Vec<_>, Vec<_>) =
            held.messages.into_iter().partition(|message| message.envelope.header.sender_fp == fingerprint);
        // An answer that does not hold tells no more than none.
        if let Some(found) = &found
            && let Met::Moved = self.keyring.meet(found).or_else(unless_outdated)?
        {
            let now_key = found.bundle.identity.fingerprint();
            self.tell(name, Notice::NewKeys { name: name.clone(), now: now_key }, now, actions);
        }
        let by = self.vouched(name, fingerprint, found.as_ref())?;
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

    /// Steps 5 and 6.
    fn verify(&mut self, message: Entry, key: &Arc<PublicKey>, mark: Mark, now: Instant, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let (from, id) = (header.sender.clone(), header.msg_id);
        if !envelope::verify(&message.envelope, key) {
            return self.fail(&message, Notice::Rejected { from, id }, Signed::No, now, actions);
        }
        let digest = sha256(&message.envelope.encode());
        match self.ledger.seen.get(header) {
            // Itself, after a crash or a failed write before it was shown.
            Some(seen) if seen.entry == message.entry => self.open(message, (key, mark), seen, now, actions),
            Some(seen) if seen.digest != digest => {
                self.fail(&message, Notice::Reused { from, id }, Signed::Yes, now, actions);
            }
            // The server did not hear that it came: nobody's fault.
            Some(seen) if seen.number == message.number => actions.push(done(&message, Signed::Yes)),
            Some(seen) => {
                let notice = Notice::Copy { from, id, first_ms: seen.first_ms };
                self.fail(&message, notice, Signed::Yes, now, actions);
            }
            None => {
                let counted = self.places.remove(&message.entry);
                let place = counted.unwrap_or_else(|| self.ledger.counters.count(header));
                let (first_ms, number, entry) = (message.received_ms, message.number, message.entry);
                self.open(message, (key, mark), Seen { digest, first_ms, number, entry, place }, now, actions);
            }
        }
    }

    /// Steps 7 to 10.
    fn open(
        &mut self,
        message: Entry,
        (key, mark): (&Arc<PublicKey>, Mark),
        seen: Seen,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let header = &message.envelope.header;
        let (from, id) = (header.sender.clone(), header.msg_id);
        if seen.place.missing {
            let to = header.recipient.clone();
            actions.push(Action::Tell(Notice::Missing { from: from.clone(), to }));
        }
        let group = self.group_keys_for(header, actions);
        let Some(with) = self.key_for(header, group.as_deref()) else {
            return self.keep_for_key(&message, seen.place, actions);
        };
        let Ok(text) = envelope::open(&message.envelope, with) else {
            return self.fail(&message, Notice::NotOpened { from, id }, Signed::Yes, now, actions);
        };
        self.ledger.seen.record(header.sender_fp, header.msg_id, seen);
        let Entry { entry, backlog, received_ms, is_repeated, envelope, .. } = message;
        let opened = Opened {
            envelope,
            sender: Arc::clone(key),
            mark,
            text,
            backlog,
            received_ms,
            is_late: seen.place.late,
            is_repeated,
        };
        actions.push(Action::Show(entry, Box::new(opened)));
    }

    /// The keys with the one that a group message names. If it is not among them, the file may have changed.
    fn group_keys_for(&self, header: &Header, actions: &mut Vec<Action>) -> Option<Arc<GroupKeys>> {
        let id = (header.recipient == Recipient::All).then(|| group_id(header))?;
        self.member.group.with(&id).or_else(|| {
            actions.extend(self.look_for_group_keys());
            self.member.group.with(&id)
        })
    }

    /// `None` if it is not on this machine.
    fn key_for<'k>(&self, header: &Header, group: Option<&'k GroupKeys>) -> Option<OpenWith<'k>>
    where
        'a: 'k,
    {
        match header.recipient {
            Recipient::User(_) => self.member.decryption_key(header.recipient_fp).map(OpenWith::Direct),
            Recipient::All => group?.find(&group_id(header)).map(OpenWith::Group),
        }
    }

    fn ask(&mut self, message: Entry, standing: Standing, now: Instant, actions: &mut Vec<Action>) {
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

    fn hold(&mut self, message: Entry, now: Instant, actions: &mut Vec<Action>) {
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

    fn held_messages(&self) -> usize {
        self.held.values().map(|held| held.messages.len()).sum()
    }

    fn take_held(&mut self, request: u32) -> Option<(UserName, Held)> {
        let name = self.held.iter().find(|(_, held)| held.request == request).map(|(name, _)| name.clone())?;
        self.held.remove_entry(&name)
    }

    fn go_on(&mut self, messages: Vec<Entry>, now: Instant, actions: &mut Vec<Action>) -> Result<(), Error> {
        messages.into_iter().try_for_each(|message| self.with_key(message, now, actions))
    }

    /// Nothing more can be done about the messages under the key that was asked for. Those under another one for the same
    /// name have waited for nothing so far: they ask for theirs.
    fn give_up(
        &mut self,
        held: Held,
        why: fn(UserName, MessageId) -> Notice,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Result<(), Error> {
        let is_asked = |message: &Entry| message.envelope.header.sender_fp == held.fingerprint;
        let (asked, others): (Vec<_>, Vec<_>) = held.messages.into_iter().partition(is_asked);
        for message in asked {
            let header = &message.envelope.header;
            let notice = why(header.sender.clone(), header.msg_id);
            self.fail(&message, notice, Signed::No, now, actions);
        }
        self.go_on(others, now, actions)
    }

    /// A key that a person can get keeps a message from being shown: it is tried again when that may be there, as far as
    /// there is room. Its signature holds, but nothing is sent because of it.
    fn keep_for_key(&mut self, message: &Entry, place: Place, actions: &mut Vec<Action>) {
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
    fn keep_until_chosen(&mut self, message: &Entry, standing: Standing, actions: &mut Vec<Action>) {
        let header = &message.envelope.header;
        let until = Until::Chosen(header.sender.clone());
        self.news.insert(until.clone(), header.sender_fp);
        if !self.kept.keep(message.entry, until, standing) {
            actions.push(done(message, Signed::No));
        }
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

/// Keys older than those seen before change nothing.
fn unless_outdated(error: Error) -> Result<Met, Error> {
    match error {
        Error::OldBundle { .. } | Error::BundleReused { .. } => Ok(Met::Same),
        error => Err(error),
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
