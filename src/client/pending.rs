//! Messages of one's own on their way: when they are shown, and with which mark. Pure.

use std::collections::HashMap;
use std::time::Instant;

use crate::limits::DELIVERED_WITHIN;
use crate::names::Recipient;
use crate::wire::MessageId;
use crate::wire::to_client::State;

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who it is for.
    pub to: Recipient,
    /// What was written.
    pub text: String,
    /// When, as Unix time in milliseconds.
    pub sent_ms: i64,
    /// Its number.
    pub seq: u64,
}

/// What to do about a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Show the message with this mark.
    Show(Sent, String),
    /// The message was shown before: say what became of it since.
    Later(String),
}

/// All messages of this run whose fate is open.
#[derive(Default)]
pub struct Pending {
    messages: HashMap<MessageId, Message>,
    has_ended: bool,
}

struct Message {
    sent: Sent,
    /// The server has it, since then.
    accepted: Option<Instant>,
    shown: bool,
}

impl Pending {
    /// A message goes out.
    pub fn add(&mut self, id: MessageId, sent: Sent) {
        self.messages.insert(id, Message { sent, accepted: None, shown: false });
    }

    /// No answer will come any more.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// How many may still be shown with their fate: none once [`Self::end`] was called.
    pub fn awaited(&self) -> usize {
        if self.has_ended { 0 } else { self.unsettled() }
    }

    /// How many have not been shown with their fate.
    pub fn unsettled(&self) -> usize {
        self.messages.values().filter(|message| !message.shown).count()
    }

    /// The recipient and number of a message that the server takes with this status, the first time that it says so.
    pub fn first_accepted(&mut self, id: MessageId, now: Instant) -> Option<(Recipient, u64)> {
        let message = self.messages.get_mut(&id).filter(|message| message.accepted.is_none())?;
        message.accepted = Some(now);
        Some((message.sent.to.clone(), message.sent.seq))
    }

    /// What became of a message.
    pub fn status(&mut self, id: MessageId, state: State, reached: u32, total: u32) -> Option<Told> {
        let message = self.messages.get_mut(&id)?;
        let group = message.sent.to == Recipient::All;
        let (mark, last) = match (state, group) {
            (State::Accepted, true) => (sent_to(total), total == 0),
            // A moment later it is delivered, most times: one line says both.
            (State::Accepted, false) => return None,
            (State::Queued, _) => ("queued".to_owned(), false),
            (State::Delivered, _) => ("delivered".to_owned(), true),
            (State::Unconfirmed, true) => (format!("confirmed by {reached} of {total}"), true),
            (State::Unconfirmed, false) => ("sent, not confirmed".to_owned(), true),
        };
        let told = if message.shown {
            // That everybody has it is what people expect anyway.
            let silent = group && state == State::Delivered;
            (!silent).then(|| Told::Later(format!("#{} to {}: {mark}", id.short(), message.sent.to)))
        } else {
            message.shown = true;
            Some(Told::Show(message.sent.clone(), mark))
        };
        if last {
            self.messages.remove(&id);
        }
        told
    }

    /// The server refused a message: it is shown with the reason and forgotten.
    pub fn refused(&mut self, id: MessageId) -> Option<Sent> {
        self.messages.remove(&id).map(|message| message.sent)
    }

    /// Messages that the server has had for a while without news: shown as sent.
    pub fn due(&mut self, now: Instant) -> Vec<Sent> {
        let mut due: Vec<_> =
            self.messages.values_mut().filter(|message| message.is_due().is_some_and(|due| due <= now)).collect();
        due.sort_by_key(|message| message.accepted);
        due.into_iter()
            .map(|message| {
                message.shown = true;
                message.sent.clone()
            })
            .collect()
    }

    /// When [`Self::due`] gives something next.
    pub fn deadline(&self) -> Option<Instant> {
        self.messages.values().filter_map(Message::is_due).min()
    }
}

impl Message {
    fn is_due(&self) -> Option<Instant> {
        self.accepted.filter(|_| !self.shown).map(|accepted| accepted + DELIVERED_WITHIN)
    }
}

fn sent_to(total: u32) -> String {
    match total {
        0 => "sent to 0: nobody else is here".to_owned(),
        total => format!("sent to {total}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DELIVERED_WITHIN;

    const ID: MessageId = MessageId([0x8f; 16]);

    fn sent(to: &str) -> Sent {
        Sent { to: to.parse().unwrap(), text: "hi".into(), sent_ms: 0, seq: 4 }
    }

    fn pending(to: &str) -> Pending {
        let mut pending = Pending::default();
        pending.add(ID, sent(to));
        pending
    }

    #[test]
    fn a_direct_message_is_shown_once_when_it_is_delivered() {
        let mut pending = pending("bob");
        let now = Instant::now();
        assert_eq!(pending.first_accepted(ID, now), Some(("bob".parse().unwrap(), 4)));
        assert_eq!(pending.first_accepted(ID, now), None);
        assert_eq!(pending.status(ID, State::Accepted, 0, 1), None);
        assert_eq!(pending.status(ID, State::Delivered, 1, 1), Some(Told::Show(sent("bob"), "delivered".into())));
        assert_eq!(pending.unsettled(), 0);
        assert_eq!(pending.status(ID, State::Delivered, 1, 1), None);
    }

    #[test]
    fn without_news_it_is_shown_as_sent_and_its_fate_told_later() {
        let mut pending = pending("bob");
        let now = Instant::now();
        pending.first_accepted(ID, now);
        assert_eq!(pending.deadline(), Some(now + DELIVERED_WITHIN));
        assert_eq!(pending.due(now), []);
        assert_eq!(pending.due(now + DELIVERED_WITHIN), [sent("bob")]);
        assert_eq!(pending.deadline(), None);
        let later = pending.status(ID, State::Unconfirmed, 0, 1);
        assert_eq!(later, Some(Told::Later("#8f8f to bob: sent, not confirmed".into())));
    }

    #[test]
    fn a_group_message_tells_how_many_it_went_to() {
        let mut pending = pending("ALL");
        assert_eq!(pending.status(ID, State::Accepted, 0, 2), Some(Told::Show(sent("ALL"), "sent to 2".into())));
        assert_eq!(pending.status(ID, State::Delivered, 2, 2), None);
        assert!(pending.messages.is_empty());
    }

    #[test]
    fn a_refused_message_is_given_back_and_forgotten() {
        let mut pending = pending("bob");
        assert_eq!(pending.refused(ID), Some(sent("bob")));
        assert_eq!(pending.refused(ID), None);
    }
}
