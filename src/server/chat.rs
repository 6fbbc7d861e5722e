//! The Chat API: passes sealed envelopes on, byte for byte. Nothing here could open one.

use std::sync::Arc;

use super::accounts::Account;
use super::login::count;
use super::outbox::Outgoing;
use super::receipt::{NotWaiting, Receipt};
use super::session::{End, Session, State};
use crate::names::Recipient;
use crate::wire::to_client::{Reason, State as Reached};
use crate::wire::{Code, DeliveryId, Envelope, Header, MessageId, ToClient};

impl Session<'_> {
    /// `Send`: checks who sends and to whom, then fans out one encoding to all.
    pub(super) fn send(&mut self, bytes: Vec<u8>) -> Result<(), End> {
        let State::Member(seat) = &self.state else { return Err(End::because(Code::NotNow)) };
        let header = Envelope::parse(&bytes)?.header;
        let refused =
            if is_own(&seat.account, &header) { self.missing(&header.recipient) } else { Some(Code::NotYours) };
        match refused {
            Some(code) => self.refuse_message(header.msg_id, code),
            None => self.pass_on(&header, bytes),
        }
        Ok(())
    }

    /// `Ack`: the client has this delivery and all before it.
    pub(super) fn acknowledge(&mut self, delivery: DeliveryId) {
        if let Err(NotWaiting) = self.unacknowledged.acknowledge(delivery) {
            self.refuse(0, Reason::new(Code::BadAck));
        }
    }

    fn pass_on(&mut self, header: &Header, envelope: Vec<u8>) {
        let mut recipients = std::mem::take(&mut self.recipients);
        self.shared.hub().recipients(&header.sender, &header.recipient, &mut recipients);
        if recipients.is_empty() && header.recipient != Recipient::All {
            self.recipients = recipients;
            return self.refuse_message(header.msg_id, Code::Away);
        }
        let total = count(recipients.len());
        self.reply(&ToClient::Status { msg_id: header.msg_id, state: Reached::Accepted, reached: 0, total });
        let receipt = Arc::new(Receipt::new(&self.outbox, header.msg_id, total));
        let delivery = self.shared.next_delivery();
        let frame: Arc<[u8]> = ToClient::Deliver { delivery, backlog: false, envelope }.encode().into();
        for recipient in recipients.drain(..) {
            let outgoing = Outgoing { frame: Arc::clone(&frame), delivery: Some((delivery, Arc::clone(&receipt))) };
            if recipient.push(outgoing).is_err() {
                receipt.lost();
            }
        }
        self.recipients = recipients;
    }

    fn missing(&self, recipient: &Recipient) -> Option<Code> {
        match recipient {
            Recipient::All => None,
            Recipient::User(name) if self.shared.accounts.find(name).is_some() => None,
            Recipient::User(_) => Some(Code::NoSuchUser),
        }
    }

    fn refuse_message(&mut self, msg_id: MessageId, code: Code) {
        self.reply(&ToClient::Refused { msg_id, reason: Reason::new(code) });
    }
}

/// What a client says about itself is compared with what its login proved.
fn is_own(account: &Account, header: &Header) -> bool {
    header.sender == *account.name() && header.sender_fp == account.identity()
}
