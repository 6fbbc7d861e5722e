//! `topchat send`: one message, and the truth about what became of it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::compose::{SealFor, compose, suite_for};
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::keys::group_file;
use crate::client::model::refusal::{Asked, Refusal};
use crate::client::net::reconnect::{Again, Pauses, attempt, is_lost};
use crate::client::net::request::Dialogue;
use crate::client::net::session::Session;
use crate::client::net::trust::Contacted;
use crate::client::net::{session, trust};
use crate::client::state::sequence::Sequence;
use crate::client::trust::contacts::Contacts;
use crate::client::ui::output::now_ms;
use crate::client::ui::page;
use crate::client::ui::{json, output};
use crate::crypto::bundle::VerifiedBundle;
use crate::crypto::group_key::GroupKeys;
use crate::error::{Exit, Failure};
use crate::limits::ANSWER_WITHIN;
use crate::names::{Recipient, UserName};
use crate::transport::Stop;
use crate::wire::to_client::{Reason, State};
use crate::wire::to_server::Mode;
use crate::wire::{Code, Envelope, MessageId, Prefers, ToClient, ToServer};

/// What is to be sent.
pub(crate) struct Message {
    pub to: Recipient,
    /// At most [`crate::limits::TEXT_MAX`] bytes, not empty.
    pub text: String,
    pub ecb: bool,
    /// Direct messages: by this suite, if that is not weaker than what the recipient prefers.
    pub suite: Option<Prefers>,
}

/// A message that was not refused.
pub(crate) struct Sent {
    id: MessageId,
    outcome: Outcome,
}

/// Sends, waits for the delivery, tells what is known.
pub(crate) fn command(config: &Config, message: &Message) -> Result<(), Error> {
    let group = if message.to == Recipient::All { Some(group_file::need(config)?) } else { None };
    let name = session::choose(config)?;
    let secret = session::secret_of(&config.begun(), &name)?;
    // Whoever types a password, or the program that gives it, has all the time.
    let config = &config.begun();
    let mut session = session::with_secret(config, &name, secret, Mode::Errand)?;
    let limit = config.timeout.unwrap_or(ANSWER_WITHIN);
    let sent = loop {
        match deliver(config, &mut session, message, group.as_ref(), limit) {
            Err(error @ Error::NotSent(_)) if session::are_replaced(&error) => {
                session = session::renewed(config, &session, error)?;
            }
            sent => break sent,
        }
    };
    session.dialogue.link().finish();
    report(config, &message.to, &sent?)
}

/// Sends over a session, whose connection is another one afterwards if it was lost on the way, and waits for the delivery,
/// but no longer than `limit`, or than the whole command has time. An error of a lost connection means that nothing was sent.
pub(crate) fn deliver(
    config: &Config,
    session: &mut Session,
    message: &Message,
    group: Option<&GroupKeys>,
    limit: Duration,
) -> Result<Sent, Error> {
    let deadline = config.until.map_or_else(|| Instant::now() + limit, |until| until.at);
    let member = Arc::clone(&session.again.member);
    let sequence = Sequence::open(&config.account_state(&member.name), member.identity.public().fingerprint())?;
    let envelope = seal(config, session, group, &sequence, message)?;
    let id = envelope.header.msg_id;
    let history = member.history(config);
    history.iter().for_each(|history| history.sent(&envelope, &message.text));
    let mut progress = Progress { config, sequence, envelope, accepted: false, deadline, limit };
    let outcome = progress.send(session);
    if matches!(outcome, Err(Error::Refused(_) | Error::Away { .. } | Error::NotSent(_))) {
        history.iter().for_each(|history| history.refused(id));
    }
    Ok(Sent { id, outcome: outcome? })
}

impl Sent {
    /// An error if nobody knows whether it was delivered.
    pub(crate) fn confirmed(&self, to: &Recipient) -> Result<(), Error> {
        match (self.outcome, to) {
            (Outcome::Unconfirmed, Recipient::User(name)) => Err(Error::Unconfirmed { id: self.id, to: name.clone() }),
            _ => Ok(()),
        }
    }

    /// As a line of JSON.
    pub(crate) fn object(&self, to: &Recipient) -> String {
        object(to, self.id, self.outcome)
    }
}

/// What became of a message that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    Queued,
    /// The server has it and will deliver it; no more was heard in time.
    Sent,
    SentTo(u32),
    /// Nobody of so many is here: it waits for them.
    QueuedFor(u32),
    /// The server could not keep it, and the recipient may have it or not.
    Unconfirmed,
}

fn seal(
    config: &Config,
    session: &mut Session,
    group: Option<&GroupKeys>,
    sequence: &Sequence,
    message: &Message,
) -> Result<Envelope, Error> {
    let bundle;
    let seal_for = match &message.to {
        Recipient::All => {
            let key = group.map(GroupKeys::writer).ok_or_else(|| group_file::usual_missing(config))?;
            SealFor::Group { ecb: message.ecb, key }
        }
        Recipient::User(name) => {
            bundle = contact(config, session, name)?;
            let pin = session.contacts.pinned(name)?;
            let least = pin.map_or(bundle.prefers, |pin| pin.least(&bundle));
            let own = session.again.member.prefers;
            SealFor::User(name, &bundle, suite_for(name, least, own, message.suite)?)
        }
    };
    let now_ms = now_ms();
    let numbers = sequence.next(&message.to, now_ms)?;
    compose(&session.again.member, &seal_for, &message.text, numbers, now_ms)
}

/// The recipient's keys. That they are new is said, if the old ones signed it; otherwise nothing is sent.
fn contact(config: &Config, session: &mut Session, name: &UserName) -> Result<VerifiedBundle, Error> {
    let Contacted { bundle, notice } =
        trust::contact(&mut session.dialogue, &session.contacts, name).map_err(Error::not_sent)?;
    if let Some(notice) = notice {
        config.say(page::of(&config.invocation, &io::stderr()).notice(&notice, now_ms()));
    }
    Ok(bundle)
}

/// One message on its way, over as many connections as the time allows: always the same bytes, which the server knows.
struct Progress<'a> {
    config: &'a Config,
    sequence: Sequence,
    envelope: Envelope,
    accepted: bool,
    deadline: Instant,
    limit: Duration,
}

impl Progress<'_> {
    fn send(&mut self, session: &mut Session) -> Result<Outcome, Error> {
        let (mut pauses, mut tried) = (Pauses::default(), false);
        loop {
            let settled = self.settled(&session.contacts);
            let settled = if tried { settled } else { settled.map_err(Error::not_sent) };
            tried = true;
            match settled.and_then(|()| self.on(&mut session.dialogue)) {
                // What the server has taken arrives without us.
                Err(error) if self.accepted && is_lost(&error) => return Ok(Outcome::Sent),
                Err(error) if is_lost(&error) => log::debug!("{error}"),
                // The server takes what the former key has signed.
                Err(error) if session::are_replaced(&error) => {
                    *session = session::renewed(self.config, session, error)?;
                    continue;
                }
                outcome => return outcome,
            }
            session.dialogue.link().finish();
            session.dialogue = self.reconnect(&session.again, &mut pauses)?;
        }
    }

    /// Another process may have noticed meanwhile that the recipient's key has changed.
    fn settled(&self, contacts: &Contacts) -> Result<(), Error> {
        match &self.envelope.header.recipient {
            Recipient::User(name) => contacts.settled(name),
            Recipient::All => Ok(()),
        }
    }

    /// Sends the message on this connection and waits for the last word.
    fn on(&mut self, dialogue: &mut Dialogue) -> Result<Outcome, Error> {
        dialogue.send(&ToServer::Send { envelope: self.envelope.encode() })?;
        let (to, id, seq) = {
            let header = &self.envelope.header;
            (header.recipient.clone(), header.msg_id, header.seq)
        };
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match dialogue.next_within(left)? {
                Some(ToClient::Status { msg_id, state, total, .. }) if msg_id == id => {
                    if !self.accepted {
                        self.accepted = true;
                        if let Err(error) = self.sequence.accepted(&to, seq) {
                            // Recipients then learn less about what is missing, no more.
                            log::warn!("{error}");
                        }
                    }
                    if let Some(outcome) = outcome(&to, state, total) {
                        return Ok(outcome);
                    }
                }
                Some(ToClient::Refused { msg_id, reason }) if msg_id == id => return Err(refused(&to, reason)),
                Some(_) => {}
                None if self.accepted => return Ok(Outcome::Sent),
                None => return Err(self.timed_out()),
            }
        }
    }

    fn reconnect(&self, again: &Again, pauses: &mut Pauses) -> Result<Dialogue, Error> {
        // A signal ends the program at once: there is no session to be ended.
        let never = Stop::new().map_err(Error::system("making a wake-up"))?;
        loop {
            let pause = pauses.next().min(self.deadline.saturating_duration_since(Instant::now()));
            std::thread::sleep(pause);
            match attempt(self.config, again, Some(self.deadline), &never)? {
                Some(Ok(dialogue)) => return Ok(dialogue),
                Some(Err(error)) if !is_lost(&error) => return Err(error),
                Some(Err(_)) => {}
                None => return Err(self.timed_out()),
            }
        }
    }

    fn timed_out(&self) -> Error {
        let secs = self.limit.as_secs();
        Failure::new(Exit::Local, format!("no answer within {secs} s: nothing is known to be delivered"))
            .hint("it may have arrived; send it again, or wait longer with --timeout SECONDS")
            .into()
    }
}

/// What a status means, if it is the last word. Nobody waits for all members of the group.
fn outcome(to: &Recipient, state: State, total: u32) -> Option<Outcome> {
    match (to, state) {
        (Recipient::All, State::Queued) => Some(Outcome::QueuedFor(total)),
        (Recipient::All, _) => Some(Outcome::SentTo(total)),
        (Recipient::User(_), State::Accepted) => None,
        (Recipient::User(_), State::Queued) => Some(Outcome::Queued),
        (Recipient::User(_), State::Delivered) => Some(Outcome::Delivered),
        (Recipient::User(_), State::Unconfirmed) => Some(Outcome::Unconfirmed),
    }
}

/// A refused message, in words that name the recipient.
pub(crate) fn refused(to: &Recipient, reason: Reason) -> Error {
    match (to, reason.code) {
        (Recipient::User(name), Some(Code::Away)) => Error::Away { name: name.clone() },
        (Recipient::User(name), Some(Code::NoSuchUser)) => {
            Error::NoSuchUser { name: name.clone(), nearest: None }.not_sent()
        }
        _ => Error::Refused(Refusal { asked: Asked::Session, reason }),
    }
}

fn report(config: &Config, to: &Recipient, sent: &Sent) -> Result<(), Error> {
    if config.json {
        output::line(&sent.object(to))?;
    } else if sent.outcome != Outcome::Unconfirmed {
        output::line(&words(sent.id, sent.outcome))?;
    }
    match sent.outcome {
        Outcome::SentTo(0) => config.say("nobody else is here"),
        Outcome::QueuedFor(_) => config.say("nobody else is here now: it waits for them"),
        _ => {}
    }
    sent.confirmed(to)
}

fn words(id: MessageId, outcome: Outcome) -> String {
    let id = id.short();
    match outcome {
        Outcome::Delivered => format!("{id} delivered"),
        Outcome::Queued => format!("{id} queued"),
        Outcome::Sent => format!("{id} sent"),
        Outcome::SentTo(total) => format!("{id} sent to {total}"),
        Outcome::QueuedFor(total) => format!("{id} queued for {total}"),
        Outcome::Unconfirmed => format!("{id} not confirmed"),
    }
}

fn object(to: &Recipient, id: MessageId, outcome: Outcome) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        r#type: &'static str,
        id: String,
        to: &'a str,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        recipients: Option<u32>,
    }
    let (state, recipients) = match outcome {
        Outcome::Delivered => ("delivered", None),
        Outcome::Queued => ("queued", None),
        Outcome::Sent => ("sent", None),
        Outcome::SentTo(total) => ("sent", Some(total)),
        Outcome::QueuedFor(total) => ("queued", Some(total)),
        Outcome::Unconfirmed => ("unconfirmed", None),
    };
    json::line(&Object { r#type: "sent", id: id.to_hex(), to: to.as_str(), state, recipients })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_confirmed_direct_message_is_delivered() {
        let bob = "bob".parse().unwrap();
        assert_eq!(outcome(&bob, State::Accepted, 1), None);
        assert_eq!(outcome(&bob, State::Delivered, 1), Some(Outcome::Delivered));
        assert_eq!(outcome(&bob, State::Unconfirmed, 1), Some(Outcome::Unconfirmed));
        assert_eq!(outcome(&Recipient::All, State::Accepted, 3), Some(Outcome::SentTo(3)));
        assert_eq!(outcome(&Recipient::All, State::Queued, 3), Some(Outcome::QueuedFor(3)));
    }

    #[test]
    fn what_is_printed_begins_with_the_id() {
        let id = MessageId([0x8f; 16]);
        assert_eq!(words(id, Outcome::Delivered), "8f8f delivered");
        assert_eq!(words(id, Outcome::SentTo(3)), "8f8f sent to 3");
        let json = object(&Recipient::All, id, Outcome::SentTo(3));
        assert!(
            json.starts_with(r#"{"v":1,"type":"sent","id":"8f8f"#) && json.ends_with(r#""recipients":3}"#),
            "{json}"
        );
    }
}
