//! What the sender of a message learns about those who got it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use super::outbox::{Outbox, Outgoing};
use crate::wire::to_client::{State, ToClient};
use crate::wire::{DeliveryId, MessageId};

/// Collects the acknowledgements of one message and tells its sender once, when none is outstanding.
pub(super) struct Receipt {
    sender: Weak<Outbox>,
    msg_id: MessageId,
    total: u32,
    outstanding: AtomicU32,
    acknowledged: AtomicU32,
}

impl Receipt {
    /// For a message that goes to `total` recipients.
    pub(super) fn new(sender: &Arc<Outbox>, msg_id: MessageId, total: u32) -> Self {
        let sender = Arc::downgrade(sender);
        Self { sender, msg_id, total, outstanding: AtomicU32::new(total), acknowledged: AtomicU32::new(0) }
    }

    /// One recipient's client has it.
    pub(super) fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::AcqRel);
        self.settle();
    }

    /// One recipient left without acknowledging.
    pub(super) fn lost(&self) {
        self.settle();
    }

    fn settle(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let reached = self.acknowledged.load(Ordering::Acquire);
        let state = if reached == self.total { State::Delivered } else { State::Unconfirmed };
        let status = ToClient::Status { msg_id: self.msg_id, state, reached, total: self.total };
        if let Some(sender) = self.sender.upgrade() {
            // A sender that is being cut can't be told any more.
            let _ = sender.push(Outgoing { frame: status.encode().into(), delivery: None });
        }
    }
}

/// Deliveries that one session got and has not acknowledged, in the order in which it got them.
#[derive(Default)]
pub(super) struct Unacknowledged {
    waiting: VecDeque<(DeliveryId, Arc<Receipt>)>,
}

/// An acknowledgement of something that does not wait for one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotWaiting;

impl Unacknowledged {
    /// A delivery goes out.
    pub(super) fn add(&mut self, delivery: DeliveryId, receipt: Arc<Receipt>) {
        self.waiting.push_back((delivery, receipt));
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The client has `delivery` and all that it got before.
    pub(super) fn acknowledge(&mut self, delivery: DeliveryId) -> Result<(), NotWaiting> {
        let position = self.waiting.iter().position(|(waiting, _)| *waiting == delivery).ok_or(NotWaiting)?;
        for (_, receipt) in self.waiting.drain(..=position) {
            receipt.acknowledged();
        }
        Ok(())
    }
}

/// A session that ends leaves its deliveries unconfirmed.
impl Drop for Unacknowledged {
    fn drop(&mut self) {
        for (_, receipt) in self.waiting.drain(..) {
            receipt.lost();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outbox::Bounds;
    use super::*;
    use crate::wire::frame::FrameBuffer;

    const ID: MessageId = MessageId([7; 16]);

    fn delivery(number: u64) -> DeliveryId {
        DeliveryId { epoch: 1, number }
    }

    fn outbox() -> Arc<Outbox> {
        Arc::new(Outbox::new(Bounds { deliveries: 9, bytes: 1000 }).unwrap())
    }

    fn told(outbox: &Outbox) -> Vec<ToClient> {
        let mut batch = Vec::new();
        outbox.take(&mut batch);
        batch.iter().map(|outgoing| decode(&outgoing.frame)).collect()
    }

    fn decode(frame: &[u8]) -> ToClient {
        let mut buffer = FrameBuffer::default();
        buffer.room(frame.len())[..frame.len()].copy_from_slice(frame);
        buffer.filled(frame.len());
        let (kind, body) = buffer.next_frame(1000).unwrap().unwrap();
        ToClient::decode(kind, body).unwrap()
    }

    #[test]
    fn the_sender_hears_once_when_all_have_it() {
        let sender = outbox();
        let receipt = Arc::new(Receipt::new(&sender, ID, 2));
        let (mut bob, mut carol) = (Unacknowledged::default(), Unacknowledged::default());
        bob.add(delivery(1), receipt.clone());
        carol.add(delivery(1), receipt);
        bob.acknowledge(delivery(1)).unwrap();
        assert_eq!(told(&sender), []);
        carol.acknowledge(delivery(1)).unwrap();
        let expected = ToClient::Status { msg_id: ID, state: State::Delivered, reached: 2, total: 2 };
        assert_eq!(told(&sender), [expected]);
    }

    #[test]
    fn a_recipient_that_leaves_makes_it_unconfirmed() {
        let sender = outbox();
        let mut bob = Unacknowledged::default();
        bob.add(delivery(1), Arc::new(Receipt::new(&sender, ID, 1)));
        drop(bob);
        let expected = ToClient::Status { msg_id: ID, state: State::Unconfirmed, reached: 0, total: 1 };
        assert_eq!(told(&sender), [expected]);
    }

    #[test]
    fn an_acknowledgement_covers_all_that_came_before() {
        let sender = outbox();
        let mut bob = Unacknowledged::default();
        for number in [5, 3, 4] {
            bob.add(delivery(number), Arc::new(Receipt::new(&sender, ID, 1)));
        }
        bob.acknowledge(delivery(3)).unwrap();
        assert_eq!((told(&sender).len(), bob.len()), (2, 1));
        assert_eq!(bob.acknowledge(delivery(3)), Err(NotWaiting));
        assert_eq!(bob.acknowledge(DeliveryId { epoch: 2, number: 4 }), Err(NotWaiting));
        assert_eq!(bob.len(), 1);
    }

    #[test]
    fn a_sender_that_left_is_not_told() {
        let sender = outbox();
        let receipt = Receipt::new(&sender, ID, 1);
        drop(sender);
        receipt.acknowledged();
    }
}
