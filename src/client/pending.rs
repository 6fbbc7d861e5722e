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
    /// How many of the group it goes to.
    total: u32,
}

impl Pending {
    /// A message goes out.
    pub fn add(&mut self, id: MessageId, sent: Sent) {
        self.messages.insert(id, Message { sent, accepted: None, shown: false, total: 0 });
    }

    /// A message of an earlier run goes out: only its fate will be told.
    pub fn add_earlier(&mut self, id: MessageId, to: Recipient, sent_ms: i64) {
        let sent = Sent { to, text: String::new(), sent_ms };
        self.messages.insert(id, Message { sent, accepted: None, shown: true, total: 0 });
    }

    /// There is no connection: messages that the server has not answered are shown as waiting.
    pub fn waiting(&mut self) -> Vec<Sent> {
        let waits = |message: &&mut Message| message.accepted.is_none() && !message.shown;
        let mut waiting: Vec<_> = self.messages.values_mut().filter(waits).collect();
        waiting.sort_by_key(|message| message.sent.sent_ms);
        waiting
            .into_iter()
            .map(|message| {
                message.shown = true;
                message.sent.clone()
            })
            .collect()
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

    /// The server has a message.
    pub fn accepted(&mut self, id: MessageId, now: Instant) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.accepted.get_or_insert(now);
        }
    }

    /// What became of a message.
    pub fn status(&mut self, id: MessageId, state: State, reached: u32, total: u32) -> Option<Told> {
        let message = self.messages.get_mut(&id)?;
        let group = message.sent.to == Recipient::All;
        message.total = total;
        let (mark, last) = match (state, group) {
            (State::Accepted, true) if total == 0 || message.shown => (sent_to(total), total == 0),
            // A moment later it is delivered, most times: one line says both.
            (State::Accepted, _) => return None,
            (State::Queued, false) => ("queued".to_owned(), false),
            (State::Queued, true) => (format!("queued for {total}"), false),
            (State::Delivered, true) if reached < total => (format!("delivered to {reached} of {total}"), false),
            (State::Delivered, true) => (sent_to(total), true),
            (State::Delivered, false) => ("delivered".to_owned(), true),
            (State::Unconfirmed, true) => (format!("delivered to {reached} of {total}, not kept for the others"), true),
            (State::Unconfirmed, false) => ("sent, not confirmed".to_owned(), true),
        };
        let told = if message.shown {
            // A line for each member who comes back would be in the way of the talk.
            let silent = group && matches!(state, State::Delivered | State::Queued);
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

    /// The server refused a message: it is forgotten, and shown with the reason. Also tells whether it was shown before.
    pub fn refused(&mut self, id: MessageId) -> Option<(Sent, bool)> {
        self.messages.remove(&id).map(|message| (message.sent, message.shown))
    }

    /// Messages that the server has had for a while without news: shown as sent.
    pub fn due(&mut self, now: Instant) -> Vec<(Sent, String)> {
        let mut due: Vec<_> =
            self.messages.values_mut().filter(|message| message.is_due().is_some_and(|due| due <= now)).collect();
        due.sort_by_key(|message| message.accepted);
        due.into_iter()
            .map(|message| {
                message.shown = true;
                let group = message.sent.to == Recipient::All;
                (message.sent.clone(), if group { sent_to(message.total) } else { "sent".to_owned() })
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
        Sent { to: to.parse().unwrap(), text: "hi".into(), sent_ms: 0 }
    }

    fn pending(to: &str) -> Pending {
        let mut pending = Pending::default();
        pending.add(ID, sent(to));
        pending
    }

    #[test]
    fn a_direct_message_is_shown_once_when_it_is_delivered() {
        let mut pending = pending("bob");
        pending.accepted(ID, Instant::now());
        assert_eq!(pending.status(ID, State::Accepted, 0, 1), None);
        assert_eq!(pending.status(ID, State::Delivered, 1, 1), Some(Told::Show(sent("bob"), "delivered".into())));
        assert_eq!(pending.unsettled(), 0);
        assert_eq!(pending.status(ID, State::Delivered, 1, 1), None);
    }

    #[test]
    fn without_news_it_is_shown_as_sent_and_its_fate_told_later() {
        let mut pending = pending("bob");
        let now = Instant::now();
        pending.accepted(ID, now);
        assert_eq!(pending.deadline(), Some(now + DELIVERED_WITHIN));
        assert_eq!(pending.due(now), []);
        assert_eq!(pending.due(now + DELIVERED_WITHIN), [(sent("bob"), "sent".to_owned())]);
        assert_eq!(pending.deadline(), None);
        let later = pending.status(ID, State::Unconfirmed, 0, 1);
        assert_eq!(later, Some(Told::Later("#8f8f to bob: sent, not confirmed".into())));
    }

    #[test]
    fn a_group_message_tells_how_many_it_went_to_and_that_some_are_away() {
        for (reached, mark) in [(5, "sent to 5"), (3, "delivered to 3 of 5")] {
            let mut pending = pending("ALL");
            assert_eq!(pending.status(ID, State::Accepted, 0, 5), None);
            assert_eq!(pending.status(ID, State::Delivered, reached, 5), Some(Told::Show(sent("ALL"), mark.into())));
            assert_eq!(pending.status(ID, State::Delivered, 5, 5), None, "nobody waits for the last of them");
            assert!(pending.messages.is_empty());
        }
    }

    #[test]
    fn a_group_message_without_news_is_shown_with_the_number_of_those_it_is_for() {
        let mut pending = pending("ALL");
        let now = Instant::now();
        pending.accepted(ID, now);
        assert_eq!(pending.status(ID, State::Accepted, 0, 2), None);
        assert_eq!(pending.due(now + DELIVERED_WITHIN), [(sent("ALL"), "sent to 2".to_owned())]);
    }

    #[test]
    fn without_a_connection_it_is_shown_as_waiting_once_and_its_fate_told_later() {
        let mut pending = pending("bob");
        assert_eq!(pending.waiting(), [sent("bob")]);
        assert_eq!(pending.waiting(), []);
        assert_eq!(pending.unsettled(), 0);
        pending.accepted(ID, Instant::now());
        let later = pending.status(ID, State::Queued, 0, 1);
        assert_eq!(later, Some(Told::Later("#8f8f to bob: queued".into())));
    }

    #[test]
    fn a_refused_message_is_given_back_and_forgotten() {
        let mut pending = pending("bob");
        assert_eq!(pending.refused(ID), Some((sent("bob"), false)));
        assert_eq!(pending.refused(ID), None);
    }
}
