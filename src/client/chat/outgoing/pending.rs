//! Messages of one's own on their way: when they are shown, and with which mark. Pure.

use std::collections::HashMap;
use std::time::Instant;

use crate::limits::{DELIVERED_WITHIN, SENDING_AFTER};
use crate::names::Recipient;
use crate::wire::MessageId;
use crate::wire::to_client::State;

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Who it is for.
    pub to: Recipient,
    pub text: String,
    /// When, as Unix time in milliseconds.
    pub sent_ms: i64,
}

/// What to do about a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// Show the message with this mark.
    Show(Sent, String),
    /// The message was shown as on its way: show it with this mark in that one's place, or else say these words.
    Instead(Sent, String, String),
    /// The message was shown before: say what became of it since.
    Later(String),
}

/// All messages of this run whose fate is open.
#[derive(Default)]
pub(crate) struct Pending {
    messages: HashMap<MessageId, Message>,
    has_ended: bool,
    /// Somebody looks at it: what is on its way is shown.
    shows_sending: bool,
}

struct Message {
    sent: Sent,
    /// It went out then.
    begun: Instant,
    /// It was shown as on its way, and nothing else yet.
    sending: bool,
    /// The server has it, since then.
    accepted: Option<Instant>,
    shown: bool,
    /// How many of the group it goes to.
    total: u32,
}

impl Pending {
    /// Where somebody looks at it, messages are shown that are on their way for a while.
    pub(crate) fn new(shows_sending: bool) -> Self {
        Self { shows_sending, ..Self::default() }
    }

    /// A message goes out.
    pub(crate) fn add(&mut self, id: MessageId, sent: Sent, now: Instant) {
        let message = Message { sent, begun: now, sending: false, accepted: None, shown: false, total: 0 };
        self.messages.insert(id, message);
    }

    /// A message of an earlier run goes out: only its fate will be told.
    pub(crate) fn add_earlier(&mut self, id: MessageId, to: Recipient, sent_ms: i64, now: Instant) {
        let sent = Sent { to, text: String::new(), sent_ms };
        let message = Message { sent, begun: now, sending: false, accepted: None, shown: true, total: 0 };
        self.messages.insert(id, message);
    }

    /// There is no connection: messages that the server has not answered are shown as waiting.
    pub(crate) fn waiting(&mut self) -> Vec<(MessageId, Update)> {
        let waits = |message: &Message| message.accepted.is_none() && (!message.shown || message.sending);
        let mut waiting: Vec<_> = self.messages.iter_mut().filter(|(_, message)| waits(message)).collect();
        waiting.sort_by_key(|(_, message)| message.sent.sent_ms);
        waiting.into_iter().map(|(id, message)| (*id, message.told(*id, "waiting".to_owned()))).collect()
    }

    /// The oldest message without an answer went out then, on this connection.
    pub(crate) fn unanswered(&self) -> Option<Instant> {
        self.messages.values().filter(|message| message.accepted.is_none()).map(|message| message.begun).min()
    }

    /// What waited goes out once more.
    pub(crate) fn again(&mut self, now: Instant) {
        self.messages.values_mut().for_each(|message| message.begun = now);
    }

    /// No answer will come any more.
    pub(crate) fn end(&mut self) {
        self.has_ended = true;
    }

    /// How many may still be shown with their fate: none once [`Self::end`] was called.
    pub(crate) fn awaited(&self) -> usize {
        if self.has_ended { 0 } else { self.unsettled() }
    }

    /// How many have not been shown with their fate.
    pub(crate) fn unsettled(&self) -> usize {
        self.messages.values().filter(|message| !message.shown || message.sending).count()
    }

    /// The server has a message.
    pub(crate) fn accepted(&mut self, id: MessageId, now: Instant) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.accepted.get_or_insert(now);
        }
    }

    /// What became of a message.
    pub(crate) fn status(&mut self, id: MessageId, state: State, reached: u32, total: u32) -> Option<Update> {
        let message = self.messages.get_mut(&id)?;
        let group = message.sent.to == Recipient::All;
        message.total = total;
        let (mark, last) = match (state, group) {
            (State::Accepted, true) if total == 0 || (message.shown && !message.sending) => {
                (sent_to(total), total == 0)
            }
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
        let told = if message.shown && !message.sending {
            // A line for each member who comes back would be in the way of the talk.
            let silent = group && matches!(state, State::Delivered | State::Queued);
            (!silent).then(|| Update::Later(message.words(id, &mark)))
        } else {
            Some(message.told(id, mark))
        };
        if last {
            self.messages.remove(&id);
        }
        told
    }

    /// The server refused a message, or it was taken back: it is forgotten, and shown with the reason.
    pub(crate) fn refused(&mut self, id: MessageId, why: impl FnOnce(&Recipient) -> String) -> Option<Update> {
        let mut message = self.messages.remove(&id)?;
        let why = why(&message.sent.to);
        Some(match message.shown && !message.sending {
            true => Update::Later(message.words(id, &why)),
            false => message.told(id, why),
        })
    }

    /// Messages whose answer is slow, shown as on their way; and those that the server has had for a while without news, shown
    /// as sent.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(MessageId, Update)> {
        let shows_sending = self.shows_sending;
        let is_due = |message: &Message| message.due(shows_sending).is_some_and(|due| due <= now);
        let mut due: Vec<_> = self.messages.iter_mut().filter(|(_, message)| is_due(message)).collect();
        due.sort_by_key(|(_, message)| (message.accepted, message.begun));
        due.into_iter()
            .map(|(id, message)| {
                if message.accepted.is_none() {
                    (message.shown, message.sending) = (true, true);
                    return (*id, Update::Show(message.sent.clone(), "sending".to_owned()));
                }
                let group = message.sent.to == Recipient::All;
                let mark = if group { sent_to(message.total) } else { "sent".to_owned() };
                (*id, message.told(*id, mark))
            })
            .collect()
    }

    /// When [`Self::due`] gives something next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.messages.values().filter_map(|message| message.due(self.shows_sending)).min()
    }
}

impl Message {
    fn due(&self, shows_sending: bool) -> Option<Instant> {
        match self.accepted {
            Some(accepted) => (!self.shown || self.sending).then(|| accepted + DELIVERED_WITHIN),
            None => (shows_sending && !self.shown).then(|| self.begun + SENDING_AFTER),
        }
    }

    /// It is shown now.
    fn told(&mut self, id: MessageId, mark: String) -> Update {
        self.shown = true;
        match std::mem::take(&mut self.sending) {
            true => Update::Instead(self.sent.clone(), mark.clone(), self.words(id, &mark)),
            false => Update::Show(self.sent.clone(), mark),
        }
    }

    fn words(&self, id: MessageId, mark: &str) -> String {
        format!("#{} to {}: {mark}", id.short(), self.sent.to)
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
    use crate::limits::{DELIVERED_WITHIN, SENDING_AFTER};

    const ID: MessageId = MessageId([0x8f; 16]);

    fn sent(to: &str) -> Sent {
        Sent { to: to.parse().unwrap(), text: "hi".into(), sent_ms: 0 }
    }

    fn pending(to: &str) -> Pending {
        let mut pending = Pending::default();
        pending.add(ID, sent(to), Instant::now());
        pending
    }

    #[test]
    fn a_direct_message_is_shown_once_when_it_is_delivered() {
        let mut pending = pending("bob");
        pending.accepted(ID, Instant::now());
        assert_eq!(pending.status(ID, State::Accepted, 0, 1), None);
        assert_eq!(pending.status(ID, State::Delivered, 1, 1), Some(Update::Show(sent("bob"), "delivered".into())));
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
        assert_eq!(pending.due(now + DELIVERED_WITHIN), [(ID, Update::Show(sent("bob"), "sent".to_owned()))]);
        assert_eq!(pending.deadline(), None);
        let later = pending.status(ID, State::Unconfirmed, 0, 1);
        assert_eq!(later, Some(Update::Later("#8f8f to bob: sent, not confirmed".into())));
    }

    #[test]
    fn a_group_message_tells_how_many_it_went_to_and_that_some_are_away() {
        for (reached, mark) in [(5, "sent to 5"), (3, "delivered to 3 of 5")] {
            let mut pending = pending("ALL");
            assert_eq!(pending.status(ID, State::Accepted, 0, 5), None);
            assert_eq!(pending.status(ID, State::Delivered, reached, 5), Some(Update::Show(sent("ALL"), mark.into())));
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
        assert_eq!(pending.due(now + DELIVERED_WITHIN), [(ID, Update::Show(sent("ALL"), "sent to 2".to_owned()))]);
    }

    #[test]
    fn without_a_connection_it_is_shown_as_waiting_once_and_its_fate_told_later() {
        let mut pending = pending("bob");
        assert_eq!(pending.waiting(), [(ID, Update::Show(sent("bob"), "waiting".to_owned()))]);
        assert_eq!(pending.waiting(), []);
        assert_eq!(pending.unsettled(), 0);
        pending.accepted(ID, Instant::now());
        let later = pending.status(ID, State::Queued, 0, 1);
        assert_eq!(later, Some(Update::Later("#8f8f to bob: queued".into())));
    }

    #[test]
    fn a_refused_message_is_given_back_and_forgotten() {
        let mut pending = pending("bob");
        assert_eq!(pending.refused(ID, |_| "full".into()), Some(Update::Show(sent("bob"), "full".into())));
        assert_eq!(pending.refused(ID, |_| "full".into()), None);
    }

    /// A dead link shows in the message itself, and not only when it is given up.
    #[test]
    fn a_message_whose_answer_is_slow_is_shown_as_on_its_way_and_its_fate_in_that_ones_place() {
        let now = Instant::now();
        let instead =
            |to: &str, mark: &str| Update::Instead(sent(to), mark.to_owned(), format!("#8f8f to {to}: {mark}"));
        for to in ["bob", "ALL"] {
            let mut slow = Pending::new(true);
            slow.add(ID, sent(to), now);
            assert_eq!((slow.due(now), slow.deadline()), (vec![], Some(now + SENDING_AFTER)));
            assert_eq!(slow.due(now + SENDING_AFTER), [(ID, Update::Show(sent(to), "sending".to_owned()))]);
            assert_eq!((slow.deadline(), slow.unsettled(), slow.unanswered()), (None, 1, Some(now)));
            assert_eq!(slow.waiting(), [(ID, instead(to, "waiting"))]);
            assert_eq!((slow.waiting(), slow.unsettled()), (vec![], 0));
        }
        let mut slow = Pending::new(true);
        slow.add(ID, sent("ALL"), now);
        slow.due(now + SENDING_AFTER);
        slow.accepted(ID, now);
        assert_eq!(slow.status(ID, State::Delivered, 2, 2), Some(instead("ALL", "sent to 2")));
        let mut slow = Pending::new(true);
        slow.add(ID, sent("bob"), now);
        slow.due(now + SENDING_AFTER);
        slow.accepted(ID, now);
        assert_eq!(slow.due(now + DELIVERED_WITHIN), [(ID, instead("bob", "sent"))]);
        let mut unseen = Pending::default();
        unseen.add(ID, sent("bob"), now);
        assert_eq!(unseen.deadline(), None, "where nobody looks, a line is not shown twice");
    }
}
