//! `topchat send`: one message, and the truth about what became of it.

use std::io::{self, IsTerminal, Read};
use std::time::Instant;

use serde::Serialize;

use super::compose::{SealFor, compose};
use super::config::Config;
use super::output::now_ms;
use super::reason::{Asked, Refusal};
use super::sequence::Sequence;
use super::session::Session;
use super::{Error, directory, json, output, session};
use crate::limits::{ANSWER_WITHIN, TEXT_MAX};
use crate::names::Recipient;
use crate::wire::to_client::{Reason, State};
use crate::wire::{Code, MessageId, ToClient, ToServer};

/// What is to be sent.
pub struct Message {
    /// To whom.
    pub to: Recipient,
    /// At most [`TEXT_MAX`] bytes, not empty.
    pub text: String,
    /// Group messages: DES-ECB.
    pub ecb: bool,
}

/// Sends, waits for the delivery, tells what is known.
pub fn command(config: &Config, message: &Message) -> Result<(), Error> {
    let group = if message.to == Recipient::All { Some(session::need_group_key(config)?) } else { None };
    let mut session = session::for_errand(config)?;
    session.member.group = group;
    let sequence =
        Sequence::open(&config.account_state(&session.member.name), session.member.identity.public().fingerprint())?;
    let sent = send(config, &mut session, &sequence, message)?;
    let outcome = wait(config, &mut session, &sequence, message, sent);
    session.dialogue.link().finish();
    report(config, &message.to, sent.id, outcome)
}

/// The text from the command line, or from stdin, which is never a terminal.
pub fn text(argument: Option<String>) -> Result<String, Error> {
    let text = match argument {
        Some(text) if text != "-" => text,
        _ if io::stdin().is_terminal() => return Err(Error::TextMissing),
        _ => {
            let most = u64::try_from(TEXT_MAX + LINE_END_MAX + 1).unwrap_or(u64::MAX);
            read_text(&mut io::stdin().lock().take(most))?
        }
    };
    match text.len() {
        0 => Err(Error::TextEmpty),
        1..=TEXT_MAX => Ok(text),
        _ => Err(Error::TextTooLong),
    }
}

#[derive(Clone, Copy)]
struct Sent {
    id: MessageId,
    seq: u64,
}

/// What became of a message that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    Queued,
    SentTo(u32),
    Unconfirmed,
}

fn send(config: &Config, session: &mut Session, sequence: &Sequence, message: &Message) -> Result<Sent, Error> {
    let key = match &message.to {
        Recipient::All => None,
        Recipient::User(name) => Some((name, directory::contact(&mut session.dialogue, &session.contacts, name)?)),
    };
    let seal_for = match &key {
        None => SealFor::Group { ecb: message.ecb },
        Some((name, bundle)) => SealFor::User(name, &bundle.encryption),
    };
    let numbers = sequence.next(&message.to)?;
    let envelope = compose(config, &session.member, &seal_for, &message.text, numbers, now_ms())?;
    session.dialogue.send(&ToServer::Send { envelope: envelope.encode() })?;
    Ok(Sent { id: envelope.header.msg_id, seq: numbers.seq })
}

fn wait(
    config: &Config,
    session: &mut Session,
    sequence: &Sequence,
    message: &Message,
    sent: Sent,
) -> Result<Outcome, Error> {
    let limit = config.timeout.unwrap_or(ANSWER_WITHIN);
    let deadline = Instant::now() + limit;
    let mut accepted = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match session.dialogue.next_within(left) {
            Ok(Some(ToClient::Status { msg_id, state, total, .. })) if msg_id == sent.id => {
                if !accepted {
                    sequence.accepted(&message.to, sent.seq)?;
                    accepted = true;
                }
                if let Some(outcome) = outcome(&message.to, state, total) {
                    return Ok(outcome);
                }
            }
            Ok(Some(ToClient::Refused { msg_id, reason })) if msg_id == sent.id => {
                return Err(refused(&message.to, reason));
            }
            Ok(Some(_)) => {}
            // What the server has taken may arrive without us.
            Ok(None) | Err(_) if accepted => return Ok(Outcome::Unconfirmed),
            Ok(None) => {
                return Err(Error::TimedOut { address: config.server.to_string(), secs: limit.as_secs() });
            }
            Err(error) => return Err(error),
        }
    }
}

/// What a status means, if it is the last word. Nobody waits for all members of the group.
fn outcome(to: &Recipient, state: State, total: u32) -> Option<Outcome> {
    match (to, state) {
        (Recipient::All, _) => Some(Outcome::SentTo(total)),
        (Recipient::User(_), State::Accepted) => None,
        (Recipient::User(_), State::Queued) => Some(Outcome::Queued),
        (Recipient::User(_), State::Delivered) => Some(Outcome::Delivered),
        (Recipient::User(_), State::Unconfirmed) => Some(Outcome::Unconfirmed),
    }
}

/// A refused message, in words that name the recipient.
pub fn refused(to: &Recipient, reason: Reason) -> Error {
    match (to, reason.code) {
        (Recipient::User(name), Some(Code::Away)) => Error::Away { name: name.clone() },
        (Recipient::User(name), Some(Code::NoSuchUser)) => Error::NoSuchUser { name: name.clone(), nearest: None },
        _ => Error::Refused(Refusal { asked: Asked::Session, reason }),
    }
}

fn report(config: &Config, to: &Recipient, id: MessageId, outcome: Result<Outcome, Error>) -> Result<(), Error> {
    let outcome = outcome?;
    if config.json {
        output::line(&object(to, id, outcome))?;
    } else if outcome != Outcome::Unconfirmed {
        output::line(&words(id, outcome))?;
    }
    match (outcome, to) {
        (Outcome::Unconfirmed, Recipient::User(name)) => Err(Error::Unconfirmed { id, to: name.clone() }),
        (Outcome::SentTo(0), _) => {
            config.say("nobody else is here");
            Ok(())
        }
        _ => Ok(()),
    }
}

fn words(id: MessageId, outcome: Outcome) -> String {
    let id = id.short();
    match outcome {
        Outcome::Delivered => format!("{id} delivered"),
        Outcome::Queued => format!("{id} queued"),
        Outcome::SentTo(total) => format!("{id} sent to {total}"),
        Outcome::Unconfirmed => format!("{id} not confirmed"),
    }
}

fn object(to: &Recipient, id: MessageId, outcome: Outcome) -> String {
    #[derive(Serialize)]
    struct Sent<'a> {
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
        Outcome::SentTo(total) => ("sent", Some(total)),
        Outcome::Unconfirmed => ("unconfirmed", None),
    };
    json::line(&Sent { r#type: "sent", id: id.to_hex(), to: to.as_str(), state, recipients })
}

/// All of the input as text, without the one line end that `echo` and its like put behind it.
fn read_text(input: &mut impl Read) -> Result<String, Error> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(|source| Error::Input { what: "stdin", source })?;
    if bytes.len() > TEXT_MAX + LINE_END_MAX {
        return Err(Error::TextTooLong);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| Error::TextNotUtf8)?;
    let without_end = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).map(str::len);
    text.truncate(without_end.unwrap_or(text.len()));
    Ok(text)
}

/// CR LF.
const LINE_END_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, Error> {
        read_text(&mut &bytes[..])
    }

    #[test]
    fn text_from_stdin_loses_one_line_end_and_nothing_else() {
        assert_eq!(read(b"a\n").unwrap(), "a");
        assert_eq!(read(b"a\r\n").unwrap(), "a");
        assert_eq!(read(b" a\n\n").unwrap(), " a\n");
        assert!(matches!(read(&[0xff]), Err(Error::TextNotUtf8)));
        assert!(matches!(read(&[b'x'; TEXT_MAX + 3]), Err(Error::TextTooLong)));
    }

    #[test]
    fn texts_have_one_byte_at_least_and_4096_at_most() {
        assert!(matches!(text(Some(String::new())), Err(Error::TextEmpty)));
        assert!(text(Some("x".repeat(TEXT_MAX))).is_ok());
        assert!(matches!(text(Some("x".repeat(TEXT_MAX + 1))), Err(Error::TextTooLong)));
    }

    #[test]
    fn only_a_confirmed_direct_message_is_delivered() {
        let bob = "bob".parse().unwrap();
        assert_eq!(outcome(&bob, State::Accepted, 1), None);
        assert_eq!(outcome(&bob, State::Delivered, 1), Some(Outcome::Delivered));
        assert_eq!(outcome(&bob, State::Unconfirmed, 1), Some(Outcome::Unconfirmed));
        assert_eq!(outcome(&Recipient::All, State::Accepted, 3), Some(Outcome::SentTo(3)));
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
