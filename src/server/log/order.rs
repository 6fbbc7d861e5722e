//! All that must happen in one order: numbers, who is connected, who has what, who is told.
//!
//! Everything here runs under one lock, in memory only.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

use smallvec::smallvec;

use super::Durability;
use super::batch::{Submission, Submissions};
use super::files::record::Meta;
use super::files::segment::Place;
use super::mailboxes::{Index, New, Next, Owner};
use super::memory::cache::Memory;
use super::memory::dedup::{Ids, Key, Known};
use super::memory::frames::Frames;
use super::quotas::Quotas;
use super::receipts::{Effects, Receipts, Sent, Told};
use crate::limits::{
    self, LOG_BATCH, RECEIPTS, RECENT_BYTES, REMEMBERED_IDS, SERVED_BY_SENDER, UNACKNOWLEDGED, WRITE_BATCH,
};
use crate::names::{Recipient, UserName};
use crate::server::net::SessionId;
use crate::server::net::send_queue::{Outbox, Saying};
use crate::wire::to_client::{State, ToClient};
use crate::wire::{Code, DeliveryId, Envelope, Fingerprint, Header, MessageId, deliver};

/// A message on its way to the disk.
pub(super) struct Unwritten {
    pub(super) meta: Meta,
    pub(super) frame: Frames,
    pub(super) to: Option<Arc<UserName>>,
}

/// A message that has its number and is not in memory yet.
struct Entered {
    meta: Meta,
    key: Key,
    to: Option<Arc<UserName>>,
    /// Where its frame is among those that came with it.
    frame: Range<usize>,
}

/// A session that gets its account's messages.
struct Attached {
    id: SessionId,
    outbox: Arc<Outbox>,
    /// Messages after this one came while the account was connected.
    from: u64,
    /// This session needs nothing up to here.
    done: u64,
}

/// What a session has got so far.
pub(crate) struct Position {
    pub(super) number: u64,
    /// How many group messages there were up to there.
    pub(super) group: u64,
    /// What came up to here waited for the session.
    pub(super) backlog_until: u64,
}

/// Messages for a session.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) numbers: Vec<u64>,
    pub(super) sources: Vec<Source>,
    /// There is nothing more for now.
    pub(super) are_all: bool,
}

/// Where their bytes are, and whether they waited for the session.
pub(super) enum Source {
    /// One message.
    Disk { number: u64, place: Place, has_waited: bool },
    /// One, or if they did not wait, several.
    Memory { frames: Frames, has_waited: bool },
}

/// Outboxes whose owners sleep, to be seen to without a lock.
#[derive(Default)]
pub(super) struct Wakes(Vec<Arc<Outbox>>);

impl Wakes {
    fn say(&mut self, outbox: &Arc<Outbox>, frame: &[u8], saying: Saying) {
        if outbox.say(frame, saying).0 {
            self.0.push(Arc::clone(outbox));
        }
    }

    fn announce_mail(&mut self, to: &Attached) {
        if to.outbox.announce_mail().0 {
            self.0.push(Arc::clone(&to.outbox));
        }
    }

    /// One or two are served by this thread, which is faster than waking theirs; more share the work.
    pub(super) fn wake(self) {
        let are_few = self.0.len() <= SERVED_BY_SENDER;
        self.0.iter().for_each(|outbox| if are_few { outbox.send_or_wake() } else { outbox.wake() });
    }
}

pub(super) struct Order {
    index: Index,
    receipts: Receipts<Weak<Outbox>>,
    ids: Ids,
    memory: Memory,
    attached: BTreeMap<UserName, Attached>,
    unwritten: Vec<Unwritten>,
    unwritten_bytes: usize,
    /// What the thread that writes does meanwhile.
    pub(super) writer: WriterState,
    epoch: u64,
    durability: Durability,
    /// The last number that was given.
    last: u64,
    /// The last number that is on disk.
    pub(super) safe: u64,
    /// The last message that is: a number that only an account begins with may come again after a crash.
    pub(super) kept: u64,
    /// The last number that the disk refused.
    refused: u64,
    pub(super) is_stopping: bool,
    /// Memory that is used again.
    effects: Effects<Weak<Outbox>>,
    frame: Vec<u8>,
}

impl Order {
    pub(super) fn new(quotas: Quotas, durability: Durability, epoch: u64) -> Self {
        Self {
            index: Index::new(quotas),
            receipts: Receipts::new(RECEIPTS),
            ids: Ids::new(REMEMBERED_IDS),
            memory: Memory::default(),
            attached: BTreeMap::new(),
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            writer: WriterState::default(),
            epoch,
            durability,
            last: 0,
            safe: 0,
            kept: 0,
            refused: 0,
            is_stopping: false,
            effects: Effects::default(),
            frame: Vec::new(),
        }
    }

    pub(super) fn index(&mut self) -> &mut Index {
        &mut self.index
    }

    /// The log was read: numbers go on behind it.
    pub(super) fn restored(&mut self, last: u64, kept: u64) {
        self.last = last;
        self.safe = last;
        self.kept = kept;
    }

    /// Takes messages of one session, and gives those that are refused.
    pub(super) fn submit(
        &mut self,
        submissions: &mut Submissions,
        run_ms: u64,
        origin: &Arc<Outbox>,
        wakes: &mut Wakes,
    ) -> Vec<(MessageId, Code)> {
        let Submissions { frames, messages } = submissions;
        let (mut entered, mut refused) = (Vec::with_capacity(messages.len()), Vec::new());
        let Some(first) = messages.first() else { return refused };
        for message in messages.iter() {
            match self.enter(message, run_ms, origin, wakes) {
                Ok(None) => {}
                Ok(Some(new)) => {
                    let delivery = DeliveryId { epoch: self.epoch, number: new.meta.number };
                    deliver::set_delivery(&mut frames[new.frame.clone()], delivery);
                    entered.push(new);
                }
                Err(code) => refused.push((message.header.msg_id, code)),
            }
        }
        self.announce(&entered, &first.header.sender, wakes);
        self.hold(entered, frames);
        refused
    }

    /// Takes a message: gives it a number and lets it wait for its recipients. None if it was taken before.
    fn enter(
        &mut self,
        message: &Submission,
        run_ms: u64,
        origin: &Arc<Outbox>,
        wakes: &mut Wakes,
    ) -> Result<Option<Entered>, Code> {
        let header = &message.header;
        let key = self.ids.key(header.sender_fp, header.msg_id);
        if let Some(known) = self.ids.find(&key) {
            return self.enter_again(known, message, origin, wakes).map(|()| None);
        }
        let size = message.size;
        let (to, recipient, joined) = self.check(header, size)?;
        let number = self.last + 1;
        self.last = number;
        let total = match &to {
            Some(_) => 1,
            None => u32::try_from(self.index.members(&header.sender)).unwrap_or(u32::MAX),
        };
        let new = New { number, sender: &header.sender, size, run_ms, place: None };
        match &to {
            Some(name) => self.index.add_direct(name, new),
            None => self.index.add_group(new),
        }
        let awaited = self.connected(&header.sender, to.as_deref());
        let sender = self.index.shared_name(&header.sender);
        let sent = Sent { sender, to: to.clone(), msg_id: header.msg_id, total, awaited };
        origin.expect_answer();
        self.receipts.begin(number, Arc::downgrade(origin), sent);
        self.ids.add(key, Known { number, digest: message.digest, total });
        // When the disk does not keep up, the answer waits for it, and with the answers the senders.
        if self.durability == Durability::Memory && self.memory.held_bytes() <= limits::HELD_BYTES / 2 {
            self.with_effects(wakes, |order, effects| order.receipts.kept(number, effects));
        }
        let (group, digest) = (self.index.ordinal(), message.digest);
        let meta = Meta { number, safe: 0, run_ms, group, total, recipient, joined, digest };
        if to.is_none() && self.index.is_trim_due() {
            self.trim();
        }
        Ok(Some(Entered { meta, key, to, frame: message.frame.clone() }))
    }

    /// Keeps the frames of messages that were taken until they are on disk; those of others take no memory.
    fn hold(&mut self, mut entered: Vec<Entered>, frames: &mut [u8]) {
        let mut end = 0;
        for Entered { frame, .. } in &mut entered {
            frames.copy_within(frame.clone(), end);
            *frame = end..end + frame.len();
            end = frame.end;
        }
        let memory: Arc<[u8]> = frames[..end].into();
        for Entered { meta, key, to, frame } in entered {
            let frame = Frames::new(&memory, frame);
            self.memory.hold(meta.number, frame.clone(), key);
            self.unwritten_bytes += frame.len();
            self.unwritten.push(Unwritten { meta, frame, to });
        }
    }

    /// A session of this account gets its messages from now on; one that did before gets no more.
    ///
    /// One that is being closed gets none: it was replaced meanwhile. Nor does one whose account was deleted meanwhile,
    /// whoever has its name now.
    pub(super) fn attach(&mut self, owner: &Owner, id: SessionId, outbox: &Arc<Outbox>) -> (Position, u64) {
        let name = &owner.name;
        let start = self.index.begin(name);
        let position = Position { number: start.number, group: start.group, backlog_until: self.last };
        if outbox.closing().is_some() || !self.index.owner(name).is_some_and(|present| present.is(owner)) {
            return (position, 0);
        }
        // Those who wait for an acknowledgement of the replaced session wait for the new one's.
        let from = self.attached.get(name).map_or(self.last, |old| old.from);
        let attached = Attached { id, outbox: Arc::clone(outbox), from, done: start.number };
        self.attached.insert(name.clone(), attached);
        (position, start.skipped)
    }

    /// The session gets no more messages, if another did not take its place before.
    pub(super) fn detach(&mut self, name: &UserName, id: SessionId, wakes: &mut Wakes) {
        let Some(attached) = self.attached.get(name).filter(|attached| attached.id == id) else { return };
        let from = attached.from;
        self.attached.remove(name);
        let unacknowledged = self.index.unacknowledged(name, from);
        self.with_effects(wakes, |order, effects| {
            unacknowledged.iter().for_each(|number| order.receipts.left(*number, effects));
        });
    }

    /// The next messages for a session, and how many it will not get any more.
    pub(super) fn take(&self, name: &UserName, id: SessionId, at: &mut Position, room: usize) -> (Taken, u64) {
        let (mut taken, mut bytes) = (Taken::default(), 0);
        if self.attached.get(name).is_none_or(|attached| attached.id != id) {
            return (taken, 0);
        }
        let skipped = self.index.passed_group().saturating_sub(at.group);
        at.group += skipped;
        let mut waiting = self.index.after(name, at.number, at.group);
        while taken.numbers.len() < room.min(UNACKNOWLEDGED) && bytes < WRITE_BATCH {
            let Some(next) = waiting.next() else {
                at.number = self.last;
                at.group = self.index.ordinal();
                taken.are_all = true;
                break;
            };
            at.number = next.number;
            at.group = at.group.max(next.ordinal.unwrap_or_else(|| self.index.group_until(next.number)));
            let Some(size) = self.source(&next, next.number <= at.backlog_until, &mut taken.sources) else {
                log::error!("message {} is neither in memory nor on disk; please report this", next.number);
                continue;
            };
            bytes += size;
            taken.numbers.push(next.number);
        }
        (taken, skipped)
    }

    /// Adds where a message is taken from, and gives how long it is about.
    fn source(&self, next: &Next<'_>, has_waited: bool, sources: &mut Vec<Source>) -> Option<usize> {
        match (self.memory.find(next.number), next.place) {
            (Some(frame), _) => {
                let joins = match sources.last_mut() {
                    Some(Source::Memory { frames, has_waited: false }) if !has_waited => frames.join(frame),
                    _ => false,
                };
                if !joins {
                    sources.push(Source::Memory { frames: frame.clone(), has_waited });
                }
                Some(frame.len())
            }
            (None, Some(place)) => {
                sources.push(Source::Disk { number: next.number, place: place.clone(), has_waited });
                Some(place.length())
            }
            (None, None) => None,
        }
    }

    /// The account has everything up to `number`.
    pub(super) fn acknowledge(&mut self, name: &UserName, number: u64, wakes: &mut Wakes) {
        let covered = self.index.acknowledge(name, number);
        let from = self.attached.get(name).map(|attached| attached.from);
        self.with_effects(wakes, |order, effects| {
            for number in covered {
                order.receipts.reached(number, from.is_some_and(|from| number > from), effects);
            }
        });
    }

    /// Where the next account begins: a number of its own, which no message has.
    pub(super) fn next_start(&mut self) -> u64 {
        let is_settled = self.safe == self.last;
        self.last += 1;
        if is_settled {
            self.safe = self.last;
        }
        self.last
    }

    /// An account begins where it joined. What waits for an earlier one of that name, whose deletion is still to
    /// be told, goes first.
    pub(super) fn join(&mut self, owner: Owner, wakes: &mut Wakes) {
        match self.index.owner(&owner.name).cloned() {
            Some(present) if present.is(&owner) || present.joined > owner.joined => return,
            Some(earlier) => self.remove(&earlier, wakes),
            None => {}
        }
        self.index.join(owner);
    }

    /// An account is gone. If its name has a new owner by now, that one keeps what is his.
    pub(super) fn remove(&mut self, owner: &Owner, wakes: &mut Wakes) {
        let name = &owner.name;
        if !self.index.owner(name).is_some_and(|present| present.is(owner)) {
            return;
        }
        if let Some(id) = self.attached.get(name).map(|attached| attached.id) {
            self.detach(name, id, wakes);
        }
        for number in self.index.remove(name) {
            self.receipts.forget(number);
        }
    }

    /// Takes what is to be written next.
    pub(super) fn take_unwritten(&mut self) -> Vec<Unwritten> {
        let mut bytes = 0;
        let fits = |unwritten: &&Unwritten| {
            bytes += unwritten.frame.len();
            bytes <= LOG_BATCH
        };
        let count = self.unwritten.iter().take_while(fits).count();
        let later = self.unwritten.split_off(count);
        let now = std::mem::replace(&mut self.unwritten, later);
        self.unwritten_bytes -= now.iter().map(|unwritten| unwritten.frame.len()).sum::<usize>();
        now
    }

    /// Whether what waits is worth a write: what a sender waits for always is, else a whole batch.
    pub(super) fn is_write_due(&self) -> bool {
        match self.durability {
            Durability::Disk => self.has_unwritten(),
            Durability::Memory => self.unwritten_bytes >= LOG_BATCH,
        }
    }

    /// Whether the thread that writes must be woken, which the caller does once it holds the lock no more.
    pub(super) fn needs_writer(&mut self) -> bool {
        let needs = match self.writer {
            WriterState::Working => false,
            WriterState::Resting => self.is_stopping || self.is_write_due(),
            WriterState::Idle => true,
        };
        if needs {
            self.writer = WriterState::Working;
        }
        needs
    }

    pub(super) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// All messages up to this number are on disk; numbers behind it that no message waits with are as good.
    pub(super) fn settled(&mut self, safe: u64, is_all: bool) {
        self.kept = safe;
        let before_next = self.unwritten.first().map_or(self.last, |next| next.meta.number - 1);
        // Whoever has one that was never kept has not acknowledged more than is on disk.
        self.safe = if is_all && self.refused <= safe { safe.max(before_next) } else { safe };
    }

    /// These messages are written.
    pub(super) fn written(&mut self, batch: Vec<Unwritten>, places: Vec<Place>, wakes: &mut Wakes) {
        for (unwritten, place) in batch.iter().zip(places) {
            self.index.set_place(unwritten.meta.number, unwritten.to.as_deref(), place);
            self.memory.written(unwritten.meta.number, RECENT_BYTES);
        }
        self.with_effects(wakes, |order, effects| {
            batch.iter().for_each(|unwritten| order.receipts.kept(unwritten.meta.number, effects));
        });
    }

    /// The disk took none of these messages.
    pub(super) fn failed(&mut self, mut batch: Vec<Unwritten>, wakes: &mut Wakes) {
        if self.durability == Durability::Memory {
            // They were accepted: tried again until the disk takes them.
            self.unwritten_bytes += batch.iter().map(|unwritten| unwritten.frame.len()).sum::<usize>();
            batch.append(&mut self.unwritten);
            self.unwritten = batch;
            return;
        }
        self.refused = batch.last().map_or(self.refused, |last| last.meta.number);
        self.with_effects(wakes, |order, effects| {
            batch.iter().for_each(|unwritten| order.receipts.failed(unwritten.meta.number, effects));
        });
    }

    /// Nothing more will be written.
    pub(super) fn give_up(&mut self) {
        self.unwritten.clear();
        self.unwritten_bytes = 0;
    }

    /// The last number that was given.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn durability(&self) -> Durability {
        self.durability
    }

    /// Lets direct messages go that came before the server had run for `before_ms`.
    pub(super) fn expire(&mut self, before_ms: u64) {
        for number in self.index.expire(before_ms) {
            self.receipts.forget(number);
        }
    }

    /// A message of an earlier run, from the log.
    pub(super) fn restore(&mut self, meta: &Meta, header: &Header, size: usize, place: Place) {
        let Meta { number, run_ms, total, digest, .. } = *meta;
        self.ids.add(self.ids.key(header.sender_fp, header.msg_id), Known { number, digest, total });
        let new = New { number, sender: &header.sender, size, run_ms, place: Some(place) };
        match &header.recipient {
            Recipient::All => self.index.restore_group(meta.group, new),
            Recipient::User(name) => {
                if self.index.restore_direct(name, meta.recipient, meta.joined, new) {
                    let (sender, to) = (self.index.shared_name(&header.sender), Some(self.index.shared_name(name)));
                    let sent = Sent { sender, to, msg_id: header.msg_id, total, awaited: 0 };
                    self.receipts.restore(number, sent);
                }
            }
        }
    }

    /// Whom a message is for, with that account's first identity and where it began; none and zeros for the group.
    fn check(&self, header: &Header, size: usize) -> Result<(Option<Arc<UserName>>, Fingerprint, u64), Code> {
        if self.memory.held_bytes() > limits::HELD_BYTES {
            return Err(Code::Storage);
        }
        let Recipient::User(name) = &header.recipient else { return Ok((None, Fingerprint([0; 32]), 0)) };
        let owner = self.index.owner(name).ok_or(Code::NoSuchUser)?;
        let (identity, joined) = (owner.identity, owner.joined);
        let is_connected = self.attached.contains_key(name);
        match self.index.admits(name, &header.sender, size, is_connected) {
            true => Ok((Some(self.index.shared_name(name)), identity, joined)),
            false => Err(Code::MailboxFull),
        }
    }

    /// The same id came before.
    fn enter_again(
        &mut self,
        known: Known,
        message: &Submission,
        origin: &Arc<Outbox>,
        wakes: &mut Wakes,
    ) -> Result<(), Code> {
        if known.digest != message.digest {
            return Err(Code::IdReused);
        }
        origin.expect_answer();
        let origin = Arc::downgrade(origin);
        self.with_effects(wakes, |order, effects| {
            if !order.receipts.again(known.number, origin.clone(), effects) {
                forgotten(&message.header, known, &origin, effects);
            }
        });
        Ok(())
    }

    /// How many are connected of those whom a message is for.
    fn connected(&self, sender: &UserName, to: Option<&UserName>) -> u32 {
        let count = match to {
            Some(name) => usize::from(self.attached.contains_key(name)),
            None => self.attached.len() - usize::from(self.attached.contains_key(sender)),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Tells those who are connected that there is mail: for messages in a row to the same ones once.
    fn announce(&self, entered: &[Entered], sender: &UserName, wakes: &mut Wakes) {
        for row in entered.chunk_by(|one, next| one.to == next.to) {
            match row.first().and_then(|message| message.to.as_deref()) {
                Some(name) => self.attached.get(name).into_iter().for_each(|attached| wakes.announce_mail(attached)),
                None => self.others(sender).for_each(|attached| wakes.announce_mail(attached)),
            }
        }
    }

    fn others(&self, sender: &UserName) -> impl Iterator<Item = &Attached> {
        self.attached.iter().filter(move |(name, _)| *name != sender).map(|(_, attached)| attached)
    }

    /// Lets group messages go that those who are connected have, beyond those that wait for everybody.
    fn trim(&mut self) {
        for (name, attached) in &mut self.attached {
            let next = self.index.after(name, attached.done, 0).next();
            attached.done = next.map_or(self.last, |next| next.number.saturating_sub(1));
        }
        let done = self.attached.values().map(|attached| attached.done).min().unwrap_or(self.last);
        self.index.trim(|number| number <= done);
    }

    fn with_effects(&mut self, wakes: &mut Wakes, change: impl FnOnce(&mut Self, &mut Effects<Weak<Outbox>>)) {
        let mut effects = std::mem::take(&mut self.effects);
        change(self, &mut effects);
        for told in effects.told.drain(..) {
            self.tell(&told, wakes);
        }
        for lost in effects.lost.drain(..) {
            self.index.withdraw(lost.number, lost.to.as_deref());
            let held = self.memory.release(lost.number);
            if let Some(held) = held.filter(|_| lost.is_open) {
                self.ids.withdraw(&held.key, lost.number);
            }
        }
        self.effects = effects;
    }

    /// To the sessions that sent it, or if they are gone to the one that the sender has now.
    fn tell(&mut self, told: &Told<Weak<Outbox>>, wakes: &mut Wakes) {
        self.frame.clear();
        told.frame.append_to(&mut self.frame);
        // What waited for the disk waits no longer: there a recipient who has not acknowledged by now is a slow one.
        let may_linger = told.is_open && self.durability == Durability::Memory;
        let saying = match (told.is_first, may_linger) {
            (true, true) => Saying::Accepted,
            (true, false) => Saying::Answer,
            (false, _) => Saying::News,
        };
        let mut is_told = false;
        for origin in told.origins.iter().filter_map(Weak::upgrade).filter(|origin| origin.closing().is_none()) {
            is_told = true;
            wakes.say(&origin, &self.frame, saying);
        }
        // To that one it is no answer, since it has not asked.
        if let Some(attached) = self.attached.get(&*told.sender).filter(|_| !is_told) {
            wakes.say(&attached.outbox, &self.frame, Saying::News);
        }
    }
}

/// What the thread that writes does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WriterState {
    /// It will look for more by itself.
    #[default]
    Working,
    /// It will in a moment, unless something can't wait so long.
    Resting,
    /// It waits for anything.
    Idle,
}

/// The header of a message from the log. It was parsed when it came, so a failure is damage.
pub(super) fn header_of(envelope: &[u8]) -> Option<Header> {
    Envelope::peek(envelope).ok()
}

/// Answers a resend of which no receipt is left: a direct message was delivered then.
fn forgotten(header: &Header, known: Known, origin: &Weak<Outbox>, effects: &mut Effects<Weak<Outbox>>) {
    let mut tell = |state, reached, is_first| {
        effects.told.push(Told {
            origins: smallvec![origin.clone()],
            sender: Arc::new(header.sender.clone()),
            frame: ToClient::Status { msg_id: header.msg_id, state, reached, total: known.total },
            is_first,
            is_open: false,
        });
    };
    tell(State::Accepted, 0, true);
    if header.recipient != Recipient::All {
        tell(State::Delivered, 1, false);
    }
}

/// Accounts without a line in the file of cursors, by where they began: they are told as the log is read past it.
pub(super) struct Starts {
    /// Latest first.
    by_number: Vec<(u64, UserName)>,
}

impl Starts {
    pub(super) fn new(mut by_number: Vec<(u64, UserName)>) -> Self {
        by_number.sort_unstable_by(|a, b| b.cmp(a));
        Self { by_number }
    }

    /// Those who began before this message, and were not told before.
    pub(super) fn due(&mut self, number: u64) -> Option<UserName> {
        self.by_number.pop_if(|(joined, _)| *joined < number).map(|(_, name)| name)
    }
}
