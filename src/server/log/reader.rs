//! A receiving session's way through its mailbox: what it was given, and what it has to acknowledge.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::mail::{Mail, Unreadable};
use crate::crypto::random;
use crate::limits::{ACKNOWLEDGE_WITHIN, UNACKNOWLEDGED};
use crate::machine::time;
use crate::server::accounts::Account;
use crate::wire::{DeliveryId, deliver};

/// Takes the messages of one account for one session, in order, each once. Dropping it ends that.
pub(crate) struct Receiver<M: Mail> {
    mail: Arc<M>,
    attachment: M::Attachment,
    /// Tells this session's deliveries from those of others.
    epoch: u64,
    /// The numbers of those that were not acknowledged, ascending.
    outstanding: VecDeque<u64>,
    /// The last one that was acknowledged, if the mailbox does not know that yet.
    acknowledged: Option<u64>,
    /// The last acknowledgement, or when the first delivery after it went out.
    since: Instant,
    /// There may be more to take.
    is_behind: bool,
    is_finished: bool,
}

/// An acknowledgement of something that was not delivered in this session, or was acknowledged before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotDelivered;

impl<M: Mail> Receiver<M> {
    /// For a session of this account, in place of an older one.
    pub(crate) fn attach(mail: &Arc<M>, account: &Account, handle: &Arc<M::Handle>) -> Self {
        Self {
            attachment: mail.attach(account, handle),
            mail: Arc::clone(mail),
            epoch: u64::from_be_bytes(random::bytes()),
            outstanding: VecDeque::new(),
            acknowledged: None,
            since: time::now(),
            is_behind: true,
            is_finished: false,
        }
    }

    /// The last message that the account had acknowledged before this session, 0 if there is none.
    pub(crate) fn acknowledged_before(&self) -> u64 {
        self.mail.acknowledged_before(&self.attachment)
    }

    /// Whether [`Self::take`] may find something.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_behind && self.room() > 0
    }

    /// Takes no more; what was delivered may still be acknowledged, and what was not waits for the next session.
    pub(crate) fn finish(&mut self) {
        self.is_finished = true;
    }

    /// There is mail.
    pub(crate) fn announce(&mut self) {
        self.is_behind = true;
    }

    /// Adds the next frames to `frames`; none if there is nothing more for now, or if too many wait for an acknowledgement.
    pub(crate) fn take(&mut self, frames: &mut Vec<u8>) -> Result<(), Unreadable> {
        if !self.is_ready() {
            return Ok(());
        }
        let (begin, room) = (frames.len(), self.room());
        let taken = self.mail.take(&mut self.attachment, room, frames)?;
        deliver::number(&mut frames[begin..], self.epoch, &taken.numbers);
        // One that gets nothing although there is more is not attached any more.
        self.is_behind = !taken.are_all && !taken.numbers.is_empty();
        if self.outstanding.is_empty() && !taken.numbers.is_empty() {
            self.since = time::now();
        }
        self.outstanding.extend(taken.numbers);
        Ok(())
    }

    /// The client has `delivery` and all that it got before. The mailbox hears of it with [`Mail::settle`].
    pub(crate) fn acknowledge(&mut self, delivery: DeliveryId) -> Result<(), NotDelivered> {
        let last = self.outstanding.binary_search(&delivery.number).map_err(|_| NotDelivered)?;
        if delivery.epoch != self.epoch {
            return Err(NotDelivered);
        }
        self.acknowledged = self.outstanding.drain(..=last).next_back();
        self.since = time::now();
        Ok(())
    }

    /// Whether there are acknowledgements that the mailbox does not know.
    pub(crate) fn has_acknowledged(&self) -> bool {
        self.acknowledged.is_some()
    }

    /// What the mailbox is to be told of acknowledgements.
    pub(crate) fn settle(&mut self) -> Option<(&M::Attachment, u64)> {
        let number = self.acknowledged.take()?;
        Some((&self.attachment, number))
    }

    /// Until when the client must acknowledge something, if it let as many wait as it may.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.outstanding.len() >= UNACKNOWLEDGED).then(|| self.since + ACKNOWLEDGE_WITHIN)
    }

    fn room(&self) -> usize {
        if self.is_finished { 0 } else { UNACKNOWLEDGED.saturating_sub(self.outstanding.len()) }
    }

    /// Tells the mailbox by itself.
    #[cfg(test)]
    pub(super) fn settle_now(&mut self, handle: &Arc<M::Handle>) {
        let acknowledged = self.acknowledged.take().map(|number| (&self.attachment, number));
        self.mail.settle(&mut super::Submissions::default(), acknowledged, handle);
    }

    /// What the last delivery is to be acknowledged with.
    #[cfg(test)]
    pub(super) fn last_delivered(&self) -> Option<DeliveryId> {
        self.outstanding.back().map(|number| DeliveryId { epoch: self.epoch, number: *number })
    }
}

impl<M: Mail> Drop for Receiver<M> {
    fn drop(&mut self) {
        self.mail.detach(&self.attachment, self.acknowledged);
    }
}
