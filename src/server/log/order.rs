//! All that must happen in one order: numbers, who is connected, who has what, who is told.
//!
//! Everything here runs under one lock, in memory only.

use std::ops::Range;
use std::sync::{Arc, Weak};

use smallvec::smallvec;

use super::Durability;
use super::batch::{Submission, Submissions};
use super::delivery::{Attachment, Source};
use super::files::record::Meta;
use super::files::segment::Place;
use super::mail::Taken;
use super::mailbox::Owner;
use super::mailboxes::{Mailboxes, New, Next, Start};
use super::memory::cache::Cache;
use super::memory::dedup::{Dedup, Key, Known};
use super::memory::frames::Frames;
use super::quotas::Quotas;
use super::receipts::{Effects, Receipts, Sent, Told};
use super::recipients::{Handle, Recipients, Saying, Wakes};
use super::unwritten::{Queue, Unwritten};
use crate::limits::{self, RECEIPTS, RECENT_BYTES, REMEMBERED_IDS, UNACKNOWLEDGED, WRITE_BATCH};
use crate::names::{Recipient, UserName};
use crate::wire::to_client::{State, ToClient};
use crate::wire::{Code, Envelope, Fingerprint, Header, MessageId, count};

/// A message that has its number and is not in memory yet.
struct Entered {
    meta: Meta,
    key: Key,
    to: Option<Arc<UserName>>,
    /// Where its frame is among those that came with it.
    frame: Range<usize>,
}

pub(super) struct Order<H> {
    index: Mailboxes,
    receipts: Receipts<Weak<H>>,
    ids: Dedup,
    memory: Cache,
    recipients: Recipients<H>,
    pub(super) queue: Queue,
    /// The last number that was given.
    last: u64,
    /// The last number that is on disk.
    pub(super) safe: u64,
    /// The last message that is: a number that only an account begins with may come again after a crash.
    pub(super) kept: u64,
    /// The last number that the disk refused.
    refused: u64,
    /// Memory that is used again.
    effects: Effects<Weak<H>>,
    frame: Vec<u8>,
}

impl<H: Handle> Order<H> {
    pub(super) fn new(quotas: Quotas, durability: Durability) -> Self {
        Self {
            index: Mailboxes::new(quotas),
            receipts: Receipts::new(RECEIPTS),
            ids: Dedup::new(REMEMBERED_IDS),
            memory: Cache::default(),
            recipients: Recipients::default(),
            queue: Queue::new(durability),
            last: 0,
            safe: 0,
            kept: 0,
            refused: 0,
            effects: Effects::default(),
            frame: Vec::new(),
        }
    }

    pub(super) fn index(&mut self) -> &mut Mailboxes {
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
        origin: &Arc<H>,
        wakes: &mut Wakes<H>,
    ) -> Vec<(MessageId, Code)> {
        let Submissions { frames, messages } = submissions;
        let (mut entered, mut refused) = (Vec::with_capacity(messages.len()), Vec::new());
        let Some(first) = messages.first() else { return refused };
        for message in messages.iter() {
            match self.enter(message, run_ms, origin, wakes) {
                Ok(None) => {}
                Ok(Some(new)) => entered.push(new),
                Err(code) => refused.push((message.header.msg_id, code)),
            }
        }
        // For messages in a row to the same ones once.
        for row in entered.chunk_by(|one, next| one.to == next.to) {
            self.recipients.announce(&first.header.sender, row[0].to.as_deref(), wakes);
        }
        self.hold(entered, frames);
        refused
    }

    /// Takes a message: gives it a number and lets it wait for its recipients. None if it was taken before.
    fn enter(
        &mut self,
        message: &Submission,
        run_ms: u64,
        origin: &Arc<H>,
        wakes: &mut Wakes<H>,
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
            None => count(self.index.members(&header.sender)),
        };
        let new = New { number, sender: &header.sender, size, run_ms, place: None };
        match &to {
            Some(name) => self.index.add_direct(name, new),
            None => self.index.add_group(new),
        }
        let awaited = count(self.recipients.count(&header.sender, to.as_deref()));
        let sender = self.index.shared_name(&header.sender);
        let sent = Sent { sender, to: to.clone(), msg_id: header.msg_id, total, awaited };
        origin.expect_answer();
        self.receipts.begin(number, Arc::downgrade(origin), sent);
        self.ids.add(key, Known { number, digest: message.digest, total });
        // When the disk does not keep up, the answer waits for it, and with the answers the senders.
        if self.queue.durability == Durability::Memory && self.memory.held_bytes() <= limits::HELD_BYTES / 2 {
            self.with_effects(wakes, |order, effects| order.receipts.kept(number, effects));
        }
        let (group, digest) = (self.index.group.ordinal(), message.digest);
        let meta = Meta { number, safe: 0, run_ms, group, total, recipient, joined, digest };
        if to.is_none() && self.index.group.is_trim_due() {
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
            self.queue.push(Unwritten { meta, frame, to });
        }
    }

    /// A session of this account gets its messages from now on; one that did before gets no more.
    ///
    /// One that is being closed gets none: it was replaced meanwhile. Nor does one whose account was deleted meanwhile,
    /// whoever has its name now.
    pub(super) fn attach(&mut self, owner: &Owner, handle: &Arc<H>) -> Attachment {
        let (name, term) = (owner.name.clone(), self.recipients.next_term());
        let Start { number, group, acknowledged, mut skipped } = self.index.begin(&name);
        if handle.is_closing() || !self.index.owner(&name).is_some_and(|present| present.is(owner)) {
            skipped = 0;
        } else {
            self.recipients.attach(&name, term, handle, number, self.last);
        }
        Attachment { name, term, number, group, backlog_until: self.last, acknowledged, skipped, opened: None }
    }

    /// The session gets no more messages, if another did not take its place before.
    pub(super) fn detach(&mut self, attachment: &Attachment, wakes: &mut Wakes<H>) {
        self.end(&attachment.name, attachment.term, wakes);
    }

    fn end(&mut self, name: &UserName, term: u64, wakes: &mut Wakes<H>) {
        let Some(from) = self.recipients.get_in(name, term).map(|recipient| recipient.from) else { return };
        self.recipients.remove(name);
        let unacknowledged = self.index.unacknowledged(name, from);
        self.with_effects(wakes, |order, effects| {
            unacknowledged.iter().for_each(|number| order.receipts.left(*number, effects));
        });
    }

    /// The next messages for a session, where their bytes are, and how many it will not get any more.
    pub(super) fn take(&self, at: &mut Attachment, room: usize) -> (Taken, Vec<Source>, u64) {
        let (mut taken, mut sources, mut bytes) = (Taken::default(), Vec::new(), 0);
        let mut skipped = std::mem::take(&mut at.skipped);
        if self.recipients.get_in(&at.name, at.term).is_none() {
            return (taken, sources, skipped);
        }
        let passed = self.index.group.passed().saturating_sub(at.group);
        at.group += passed;
        skipped += passed;
        let mut waiting = self.index.after(&at.name, at.number, at.group);
        while taken.numbers.len() < room.min(UNACKNOWLEDGED) && bytes < WRITE_BATCH {
            let Some(next) = waiting.next() else {
                at.number = self.last;
                at.group = self.index.group.ordinal();
                taken.are_all = true;
                break;
            };
            at.number = next.number;
            at.group = at.group.max(next.ordinal.unwrap_or_else(|| self.index.group.until(next.number)));
            let Some(size) = self.source(&next, next.number <= at.backlog_until, &mut sources) else {
                log::error!("message {} is neither in memory nor on disk; please report this", next.number);
                continue;
            };
            bytes += size;
            taken.numbers.push(next.number);
        }
        (taken, sources, skipped)
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

    /// The account has everything up to `number`. A session that was replaced says so in vain: the newer one gets what was not
    /// acknowledged when it came, and nothing behind its start is taken from it.
    pub(super) fn acknowledge(&mut self, of: &Attachment, number: u64, wakes: &mut Wakes<H>) {
        let Some(from) = self.recipients.get_in(&of.name, of.term).map(|recipient| recipient.from) else { return };
        let covered = self.index.acknowledge(&of.name, number);
        self.with_effects(wakes, |order, effects| {
            for number in covered {
                order.receipts.reached(number, number > from, effects);
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
    pub(super) fn join(&mut self, owner: Owner, wakes: &mut Wakes<H>) {
        match self.index.owner(&owner.name).cloned() {
            Some(present) if present.is(&owner) || present.joined > owner.joined => return,
            Some(earlier) => self.remove(&earlier, wakes),
            None => {}
        }
        self.index.join(owner);
    }

    /// An account is gone. If its name has a new owner by now, that one keeps what is his.
    pub(super) fn remove(&mut self, owner: &Owner, wakes: &mut Wakes<H>) {
        let name = &owner.name;
        if !self.index.owner(name).is_some_and(|present| present.is(owner)) {
            return;
        }
        if let Some(term) = self.recipients.get(name).map(|recipient| recipient.term) {
            self.end(name, term, wakes);
        }
        for number in self.index.remove(name) {
            self.receipts.forget(number);
        }
    }

    /// All messages up to this number are on disk; numbers behind it that no message waits with are as good.
    pub(super) fn settled(&mut self, safe: u64, is_all: bool) {
        self.kept = safe;
        let before_next = self.queue.first().map_or(self.last, |next| next - 1);
        // Whoever has one that was never kept has not acknowledged more than is on disk.
        self.safe = if is_all && self.refused <= safe { safe.max(before_next) } else { safe };
    }

    /// These messages are written.
    pub(super) fn written(&mut self, batch: Vec<Unwritten>, places: Vec<Place>, wakes: &mut Wakes<H>) {
        for (unwritten, place) in batch.iter().zip(places) {
            self.index.set_place(unwritten.meta.number, unwritten.to.as_deref(), place);
            self.memory.written(unwritten.meta.number, RECENT_BYTES);
        }
        self.with_effects(wakes, |order, effects| {
            batch.iter().for_each(|unwritten| order.receipts.kept(unwritten.meta.number, effects));
        });
    }

    /// The disk took none of these messages.
    pub(super) fn failed(&mut self, batch: Vec<Unwritten>, wakes: &mut Wakes<H>) {
        if self.queue.durability == Durability::Memory {
            // They were accepted: tried again until the disk takes them.
            self.queue.put_back(batch);
            return;
        }
        self.refused = batch.last().map_or(self.refused, |last| last.meta.number);
        self.with_effects(wakes, |order, effects| {
            batch.iter().for_each(|unwritten| order.receipts.failed(unwritten.meta.number, effects));
        });
    }

    /// The last number that was given.
    pub(super) fn last(&self) -> u64 {
        self.last
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
        let is_connected = self.recipients.is_connected(name);
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
        origin: &Arc<H>,
        wakes: &mut Wakes<H>,
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

    /// Lets group messages go that those who are connected have, beyond those that wait for everybody.
    fn trim(&mut self) {
        let Self { recipients, index, last, .. } = self;
        let done = recipients.done(*last, |name, done| {
            index.after(name, done, 0).next().map_or(*last, |next| next.number.saturating_sub(1))
        });
        self.index.trim(|number| number <= done);
    }

    fn with_effects(&mut self, wakes: &mut Wakes<H>, change: impl FnOnce(&mut Self, &mut Effects<Weak<H>>)) {
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
    fn tell(&mut self, told: &Told<Weak<H>>, wakes: &mut Wakes<H>) {
        self.frame.clear();
        told.frame.append_to(&mut self.frame);
        // What waited for the disk waits no longer: there a recipient who has not acknowledged by now is a slow one.
        let may_linger = told.is_open && self.queue.durability == Durability::Memory;
        let saying = match (told.is_first, may_linger) {
            (true, true) => Saying::Accepted,
            (true, false) => Saying::Answer,
            (false, _) => Saying::News,
        };
        let mut is_told = false;
        for origin in told.origins.iter().filter_map(Weak::upgrade).filter(|origin| !origin.is_closing()) {
            is_told = true;
            wakes.say(&origin, &self.frame, saying);
        }
        // To that one it is no answer, since it has not asked. What came before the account began, an earlier one of that name sent.
        let is_of_account = self.index.owner(&told.sender).is_some_and(|owner| owner.joined < told.number);
        if let Some(recipient) = self.recipients.get(&told.sender).filter(|_| !is_told && is_of_account) {
            wakes.say(&recipient.handle, &self.frame, Saying::News);
        }
    }
}

/// The header of a message from the log. It was parsed when it came, so a failure is damage.
pub(super) fn header_of(envelope: &[u8]) -> Option<Header> {
    Envelope::peek(envelope).ok()
}

/// Answers a resend of which no receipt is left: a direct message was delivered then.
fn forgotten<H>(header: &Header, known: Known, origin: &Weak<H>, effects: &mut Effects<Weak<H>>) {
    let mut tell = |state, reached, is_first| {
        effects.told.push(Told {
            number: known.number,
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
