//! The listening thread: receives frames, puts messages on disk, acknowledges, verifies, opens and shows.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use super::feed::Feed;
use super::skip_backlog::Left;
use super::{Absent, Action, Receiver};
use crate::client::error::Error;
use crate::client::error::cause::ProtocolError;
use crate::client::error::server::ServerError;
use crate::client::model::event::{Notice, Opened};
use crate::client::model::refusal::{Asked, Refusal};
use crate::client::net::connection::{Link, Reading};
use crate::client::net::request::answered;
use crate::client::state::history::History;
use crate::client::state::inbox::{Entry, Inbox, Incoming};
use crate::client::ui::json;
use crate::client::ui::output::now_ms;
use crate::limits::{ANSWER_WITHIN, CHOICE_LOOKED_FOR, HELD_MESSAGES, UNACKNOWLEDGED, UNFINISHED_MESSAGES};
use crate::machine::time;
use crate::transport::Stop;
use crate::wire::to_client::Reason;
use crate::wire::{Code, DeliveryId, Envelope, ToClient, ToServer};

/// Who looks at what comes.
pub(crate) trait Audience {
    /// How many more messages are wanted; `None` for all.
    fn room(&self) -> Option<u64>;

    /// A message.
    fn message(&mut self, opened: &Opened) -> Result<(), Error>;

    /// Something other than a message.
    fn notice(&mut self, notice: &Notice) -> Result<(), Error>;

    /// A frame that is no delivery and nothing that the receiver asked for.
    fn other(&mut self, frame: ToClient) -> Result<(), Error>;

    /// When [`Self::due`] is to be called, if nothing comes before.
    fn deadline(&self) -> Option<Instant>;

    /// Since when something waits for the server's answer that a person has sent.
    fn unanswered(&self) -> Option<Instant> {
        None
    }

    /// Called after everything that came, and at the deadline. False ends the listening.
    fn due(&mut self, now: Instant) -> Result<bool, Error>;
}

/// The way to the server.
pub(crate) trait Outward {
    /// Sends a frame.
    fn send(&self, frame: &ToServer) -> Result<(), Error>;
}

impl Outward for Link {
    fn send(&self, frame: &ToServer) -> Result<(), Error> {
        self.send(frame)
    }
}

/// What stays the same over all connections of a run.
pub(crate) struct Receiving<'a> {
    /// Who else is told. Before the inbox, so that it is gone when the next client has that.
    pub feed: Option<Feed>,
    /// What came, on disk.
    pub inbox: Inbox,
    /// What to make of it.
    pub receiver: Receiver,
    /// Where it is kept, if it is.
    pub history: Option<&'a History>,
    /// What of it is left for a later run.
    pub left: Left,
    /// What is on disk, and waits until the receiver has room for it.
    queue: VecDeque<Entry>,
    /// The last delivery that is on disk and was not acknowledged, and how many there are.
    owed: Option<DeliveryId>,
    unacknowledged: usize,
}

impl<'a> Receiving<'a> {
    /// In this folder of the account, with a feed of it, leaving nothing.
    pub(crate) fn new(folder: &Path, inbox: Inbox, receiver: Receiver, history: Option<&'a History>) -> Self {
        let feed = Feed::offer(folder, &inbox);
        Self { feed, ..Self::alone(inbox, receiver, history) }
    }

    /// The same without a feed.
    pub(crate) fn alone(inbox: Inbox, receiver: Receiver, history: Option<&'a History>) -> Self {
        let (left, queue) = (Left::new(false), VecDeque::new());
        Self { feed: None, inbox, receiver, history, left, queue, owed: None, unacknowledged: 0 }
    }

    /// Tells the other programs of this account's owner.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(feed) = &mut self.feed {
            feed.tell(line);
        }
    }
}

/// Listens until the audience has enough, the server says goodbye, or `over` is asked.
pub(crate) fn listen(
    link: &Link,
    mut reading: Reading,
    mut waiting: VecDeque<ToClient>,
    receiving: &mut Receiving<'_>,
    audience: &mut dyn Audience,
    over: &Stop,
) -> Result<(), Error> {
    let mut listening = Listening { link, receiving, audience };
    listening.take_up()?;
    loop {
        listening.turn(waiting.drain(..))?;
        listening.welcome();
        if over.is_asked() || !listening.audience.due(time::now())? {
            return Ok(());
        }
        let choice = listening.receiving.receiver.waits_for_a_person().then(|| time::now() + CHOICE_LOOKED_FOR);
        let welcome = listening.receiving.feed.as_ref().and_then(Feed::deadline);
        let receiver = listening.receiving.receiver.deadline();
        let deadlines = listening.audience.deadline().into_iter().chain(receiver).chain(choice).chain(welcome);
        reading.owed(listening.audience.unanswered());
        waiting.extend(link.receive(&mut reading, deadlines.min())?);
    }
}

/// A delivery as it came.
struct Delivered {
    delivery: DeliveryId,
    backlog: bool,
    envelope: Vec<u8>,
}

/// A connection that is listened on.
pub(crate) struct Listening<'a, 'r> {
    pub(crate) link: &'a dyn Outward,
    pub(crate) receiving: &'a mut Receiving<'r>,
    pub(crate) audience: &'a mut dyn Audience,
}

impl Listening<'_, '_> {
    /// What came, and what is due.
    pub(crate) fn turn(&mut self, frames: impl Iterator<Item = ToClient>) -> Result<(), Error> {
        self.take(frames)?;
        let given_up = self.receiving.receiver.due(time::now())?;
        self.go_on(given_up)?;
        self.look_again()?;
        match self.receiving.receiver.overflows() {
            true => Err(Error::Server(ServerError::Silent { secs: ANSWER_WITHIN.as_secs() })),
            false => Ok(()),
        }
    }

    /// What an earlier run, or an earlier connection, left in the inbox.
    pub(crate) fn take_up(&mut self) -> Result<(), Error> {
        let Receiving { inbox, receiver, left, queue, owed, unacknowledged, .. } = &mut *self.receiving;
        receiver.restart();
        (*owed, *unacknowledged) = (None, 0);
        let entries = inbox.entries();
        left.connected(entries.iter().map(|entry| entry.entry));
        let goes_on = |entry: &Entry| !receiver.defers(entry.entry) && !left.is_settled(entry.entry);
        *queue = entries.into_iter().filter(goes_on).collect();
        self.go_on(Vec::new())
    }

    /// What was kept until the person has chosen a key, in this process or another one, or brought the group key file.
    fn look_again(&mut self) -> Result<(), Error> {
        let Receiving { inbox, receiver, queue, .. } = &mut *self.receiving;
        let (released, actions) = receiver.released()?;
        if released.is_empty() && actions.is_empty() {
            return Ok(());
        }
        queue.extend(inbox.entries().into_iter().filter(|entry| released.contains(&entry.entry)));
        self.go_on(actions)
    }

    /// Performs these and what becomes of the messages in the queue, as far as the receiver has room for them.
    fn go_on(&mut self, mut actions: Vec<Action>) -> Result<(), Error> {
        let Receiving { receiver, queue, .. } = &mut *self.receiving;
        while receiver.has_room()
            && let Some(entry) = queue.pop_front()
        {
            actions.extend(receiver.arrived(entry, time::now())?);
        }
        let acknowledged = self.acknowledge();
        self.perform(actions).and(acknowledged)
    }

    /// Acknowledges what is on disk while the queue is short: messages that come faster than their senders' keys stay with the server,
    /// which sends no more than it may leave unacknowledged.
    fn acknowledge(&mut self) -> Result<(), Error> {
        let Receiving { queue, owed, unacknowledged, .. } = &mut *self.receiving;
        match owed.take_if(|_| queue.len() <= HELD_MESSAGES) {
            Some(last) => {
                *unacknowledged = 0;
                self.link.send(&ToServer::Ack(last))
            }
            None => Ok(()),
        }
    }

    /// Whoever wants to read the feed. A server that is pinged now and then makes sure that nobody waits for long.
    fn welcome(&mut self) {
        if let Some(feed) = &mut self.receiving.feed {
            feed.welcome();
        }
    }

    /// Frames that came together: messages that follow each other cost one write.
    fn take(&mut self, frames: impl Iterator<Item = ToClient>) -> Result<(), Error> {
        let mut deliveries = Vec::new();
        for frame in frames {
            match frame {
                ToClient::Deliver { delivery, backlog, envelope } => {
                    deliveries.push(Delivered { delivery, backlog, envelope });
                }
                frame => {
                    self.deliver(std::mem::take(&mut deliveries))?;
                    self.other(frame)?;
                }
            }
        }
        self.deliver(deliveries)
    }

    /// Steps 1 and 2, then the others.
    fn deliver(&mut self, deliveries: Vec<Delivered>) -> Result<(), Error> {
        let Some(last) = deliveries.last().map(|last| last.delivery) else { return Ok(()) };
        let Receiving { inbox, receiver, owed, unacknowledged, .. } = &mut *self.receiving;
        if inbox.count() >= UNFINISHED_MESSAGES {
            return Err(Error::BacklogFull { count: inbox.count() });
        }
        *unacknowledged += deliveries.len();
        if *unacknowledged > UNACKNOWLEDGED {
            let (found, expected) = ("a further Deliver", "an answer to Lookup");
            return Err(ProtocolError::Unexpected { found, expected }.into());
        }
        let (mut incoming, mut actions) = (Vec::new(), Vec::new());
        for Delivered { delivery, backlog, envelope } in deliveries {
            match Envelope::parse(&envelope) {
                Ok(envelope) => incoming.push(Incoming { delivery, backlog, envelope }),
                Err(_) => actions.push(receiver.malformed()),
            }
        }
        let arrived = inbox.receive(incoming, now_ms())?;
        *owed = Some(last);
        let acknowledged = self.acknowledge();
        self.receiving.queue.extend(arrived);
        // What is on disk is shown, whatever has become of the connection meanwhile.
        self.go_on(actions).and(acknowledged)
    }

    fn other(&mut self, frame: ToClient) -> Result<(), Error> {
        let receiver = &mut self.receiving.receiver;
        let actions = match frame {
            ToClient::Bye(reason) => return Err(Error::Refused(Refusal { asked: Asked::Session, reason })),
            ToClient::Skipped { count } => vec![Action::Tell(Notice::Passed { count })],
            frame if answered(&frame).is_some_and(Receiver::asked) => match frame {
                ToClient::Found { request, bundle, lineage } => {
                    receiver.found(request, &bundle, lineage, time::now())?
                }
                ToClient::Error { request, reason } => match absent(&reason) {
                    Some(absent) => receiver.not_found(request, absent, time::now())?,
                    None => receiver.not_told(request, time::now())?,
                },
                frame => receiver.not_told(answered(&frame).unwrap_or_default(), time::now())?,
            },
            frame => return self.audience.other(frame),
        };
        self.go_on(actions)
    }

    /// What is shown is recorded before; what the audience has no room for stays in the inbox.
    fn perform(&mut self, mut actions: Vec<Action>) -> Result<(), Error> {
        actions.extend(self.receiving.receiver.news(time::now()));
        let mut room = self.audience.room().map_or(usize::MAX, |room| usize::try_from(room).unwrap_or(usize::MAX));
        let left = &mut self.receiving.left;
        actions.retain(|action| !matches!(action, Action::Show(entry, opened) if left.takes(*entry, opened.backlog)));
        left.check()?;
        actions.retain(|action| {
            let stays = room > 0 || !matches!(action, Action::Show(..));
            room -= usize::from(stays && matches!(action, Action::Show(..)));
            stays
        });
        let shows = actions.iter().filter_map(|action| match action {
            Action::Show(entry, _) => Some(*entry),
            _ => None,
        });
        self.receiving.inbox.opened(&shows.collect::<Vec<_>>())?;
        if let Some(history) = self.receiving.history {
            history.received(actions.iter().filter_map(Action::shown));
        }
        let mut done = Vec::new();
        let result = actions.into_iter().try_for_each(|action| self.act(action, &mut done));
        self.receiving.inbox.done(&done, self.receiving.receiver.ledger());
        result
    }

    fn act(&mut self, action: Action, done: &mut Vec<(u64, bool)>) -> Result<(), Error> {
        match action {
            Action::Done { entry, counted } => done.push((entry, counted)),
            Action::Lookup { request, name, fingerprint } => {
                self.link.send(&ToServer::Lookup { request, name, fingerprint: Some(fingerprint) })?;
            }
            Action::Show(entry, opened) => {
                self.audience.message(&opened)?;
                self.receiving.tell(|| json::message(&opened));
                done.push((entry, true));
            }
            Action::Announced { name, by, number } => self.receiving.receiver.announced(&name, by, number)?,
            Action::Tell(notice) => {
                self.audience.notice(&notice)?;
                self.receiving.tell(|| json::notice(&notice));
            }
        }
        Ok(())
    }
}

/// What the server says that it does not have; nothing if it can't answer now.
fn absent(reason: &Reason) -> Option<Absent> {
    match reason.code? {
        Code::NoSuchKey => Some(Absent::Key),
        Code::NoSuchUser => Some(Absent::Account),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
