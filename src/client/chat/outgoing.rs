//! What goes out: kept until the server has answered, sent in order, taken back when a key has changed.

pub(super) mod pending;

use std::sync::MutexGuard;
use std::time::Instant;

use super::Chat;
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::state::outbox::Outbox;
use crate::client::ui::render::Own;
use crate::limits::{UNANSWERED_MAX, WAITING_MESSAGES};
use crate::names::{Recipient, UserName};
use crate::sync::lock;
use crate::wire::{Envelope, MessageId, ToServer};
use pending::{Sent, Update};

/// What waits for the server, and whether a thread is sending it.
pub(super) struct Outgoing {
    outbox: Outbox,
    is_sending: bool,
}

impl Outgoing {
    /// Nothing is on its way yet.
    pub(super) fn new(outbox: Outbox) -> Self {
        Self { outbox, is_sending: false }
    }
}

impl Chat<'_> {
    /// What waits for the server. The lock covers the outbox's file, too.
    pub(crate) fn outbox(&self) -> OutboxGuard<'_> {
        OutboxGuard(lock(&self.outbox))
    }

    /// Sends what waits, in order. If the other thread is doing that, it takes along what came since.
    /// Without a connection all of it stays, and is shown as waiting.
    pub(crate) fn send_what_waits(&self) -> Result<(), Error> {
        self.take_back()?;
        while let Some(link) = self.circuit.link() {
            let mut outbox = self.outbox();
            if !self.circuit.is(&link) {
                continue;
            }
            let Some(envelope) = outbox.begin() else { return Ok(()) };
            drop(outbox);
            let sent = link.send(&ToServer::Send { envelope });
            self.outbox().end();
            if sent.is_err() && self.circuit.is(&link) {
                // The listening thread finds out by itself, and sends it again on the next connection.
                break;
            }
        }
        self.show_waiting()
    }

    /// Nothing goes out to somebody whose key has changed, though it was sealed for the old one.
    fn take_back(&self) -> Result<(), Error> {
        let unsent = self.outbox().unsent();
        let mut to: Vec<_> = unsent.iter().map(|(_, to)| to).collect();
        to.sort_unstable();
        to.dedup();
        for name in to {
            match self.contacts.settled(name) {
                Ok(()) => continue,
                Err(Error::Trust(TrustError::KeyChanged(_))) => {}
                Err(error) => return Err(error),
            }
            for (id, _) in unsent.iter().filter(|(_, to)| to == name) {
                self.outbox().answered(*id);
                self.history.iter().for_each(|history| history.refused(*id));
                let why = format!("stopped: {name}'s key has changed");
                let told = self.pending().refused(*id, |_| why.clone());
                match told {
                    Some(told) => self.tell_of(*id, told)?,
                    None => self.remark(format!("#{} to {name}: {why}", id.short()))?,
                }
            }
        }
        Ok(())
    }

    /// What an earlier run has not got rid of.
    pub(crate) fn take_up(&self) -> Result<(), Error> {
        let earlier: Vec<_> = self.outbox().waiting();
        if !earlier.is_empty() {
            self.remark(format!("{} sent now", of_earlier(earlier.len())))?;
        }
        for (id, to, sent_ms) in earlier {
            self.pending().add_earlier(id, to, i64::try_from(sent_ms).unwrap_or(i64::MAX), Instant::now());
        }
        Ok(())
    }

    pub(crate) fn tell_what_waits(&self) {
        match self.outbox().waiting().len() {
            0 => {}
            1 => self.config.say("1 message was not sent: it waits here, and is sent when you chat the next time"),
            count => self.config.say(format!(
                "{count} messages were not sent: they wait here, and are sent when you chat the next time"
            )),
        }
    }

    pub(crate) fn show_waiting(&self) -> Result<(), Error> {
        let waiting = self.pending().waiting();
        waiting.into_iter().try_for_each(|(id, told)| self.tell_of(id, told))
    }

    /// The server has answered a message: it need not go out again. `taken`: it has it.
    pub(crate) fn answered(&self, id: MessageId, taken: bool) -> Result<(), Error> {
        let first = self.outbox().answered(id);
        if let Some((to, seq)) = first {
            if taken && let Err(error) = self.sequence.accepted(&to, seq) {
                // Recipients then learn less about what is missing, no more.
                log::warn!("{error}");
            }
            self.send_what_waits()?;
        }
        if taken {
            self.pending().accepted(id, Instant::now());
        }
        Ok(())
    }

    /// Shows what became of a message of one's own.
    pub(crate) fn tell_of(&self, id: MessageId, told: Update) -> Result<(), Error> {
        let line = |sent: &Sent, state: &str| {
            let own = Own { from: &self.member.name, to: &sent.to, text: &sent.text, sent_ms: sent.sent_ms, state };
            self.screen.page().own(&own)
        };
        match told {
            Update::Show(sent, state) => self.screen.own(id, &line(&sent, &state)),
            Update::Instead(sent, state, words) => match self.screen.instead(id, &line(&sent, &state))? {
                true => Ok(()),
                false => self.remark(&words),
            },
            Update::Later(words) => self.remark(&words),
        }
    }
}

/// The outbox, while nobody else has it.
pub(crate) struct OutboxGuard<'a>(MutexGuard<'a, Outgoing>);

impl OutboxGuard<'_> {
    /// A new message; it is on disk when this returns.
    pub(crate) fn add(&mut self, envelope: &Envelope) -> Result<(), Error> {
        match self.0.outbox.has_room() {
            true => self.0.outbox.add(envelope),
            false => Err(Error::OutboxFull { count: WAITING_MESSAGES }),
        }
    }

    fn begin(&mut self) -> Option<Vec<u8>> {
        let next = if self.0.is_sending { None } else { self.0.outbox.next(UNANSWERED_MAX) };
        self.0.is_sending |= next.is_some();
        next
    }

    fn end(&mut self) {
        self.0.is_sending = false;
    }

    pub(crate) fn lost(&mut self) {
        self.0.outbox.lost();
    }

    fn answered(&mut self, id: MessageId) -> Option<(Recipient, u64)> {
        self.0.outbox.answered(id).map(|header| (header.recipient, header.seq))
    }

    /// Direct messages that are to go out.
    fn unsent(&self) -> Vec<(MessageId, UserName)> {
        self.0.outbox.unsent().map(|(id, to)| (id, to.clone())).collect()
    }

    fn waiting(&self) -> Vec<(MessageId, Recipient, u64)> {
        self.0.outbox.waiting().map(|(id, to, sent_ms)| (id, to.clone(), sent_ms)).collect()
    }
}

fn of_earlier(count: usize) -> String {
    match count {
        1 => "1 message of an earlier run is".to_owned(),
        count => format!("{count} messages of an earlier run are"),
    }
}
