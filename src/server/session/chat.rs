//! The Chat API: passes sealed envelopes on, byte for byte. Nothing here could open one.

use std::time::Instant;

use super::{Session, State};
use crate::server::accounts::Account;
use crate::server::log::{Mail, NotDelivered, Receiver};
use crate::server::net::end::End;
use crate::wire::to_client::Reason;
use crate::wire::{Code, DeliveryId, Envelope, Header, MessageId, ToClient};

impl Session<'_> {
    /// `Send`: checks who sends. What came together goes to the log together, by [`Self::submit`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        let State::Member(seat) = &self.state else { return Err(End::because(Code::NotNow)) };
        let header = Envelope::check(bytes)?;
        match is_own(&seat.account, &header) {
            true => self.submissions.add(header, bytes),
            false => {
                self.submit();
                self.refuse_message(header.msg_id, Code::NotYours);
            }
        }
        Ok(())
    }

    /// Hands the messages that came to the log, which passes them on and answers, and tells it what was acknowledged.
    pub(crate) fn submit(&mut self) {
        if self.submissions.len() == 0 && !self.line.receiver.as_ref().is_some_and(Receiver::has_acknowledged) {
            return;
        }
        let acknowledged = self.line.receiver.as_mut().and_then(Receiver::settle);
        for (id, code) in self.shared.mail.settle(&mut self.submissions, acknowledged, &self.outbox) {
            self.refuse_message(id, code);
        }
    }

    fn refuse_message(&mut self, msg_id: MessageId, code: Code) {
        self.reply(&ToClient::Refused { msg_id, reason: Reason::new(code) });
    }

    /// `Ack`: the client has this delivery and all before it. Those of a turn are told to the log together.
    pub(crate) fn acknowledge(&mut self, delivery: DeliveryId) {
        let acknowledged = self.line.receiver.as_mut().map(|receiver| receiver.acknowledge(delivery));
        if acknowledged.unwrap_or(Err(NotDelivered)).is_err() {
            self.pace.take(Instant::now());
            self.refuse(0, Reason::new(Code::BadAck));
        }
    }
}

/// What a client says about itself is compared with what its login proved. A former identity of the account counts, too: a
/// message that waited for its answer while the keys were changed is sent again as it is.
pub(crate) fn is_own(account: &Account, header: &Header) -> bool {
    header.sender == *account.name() && account.is_known_by(header.sender_fp)
}
