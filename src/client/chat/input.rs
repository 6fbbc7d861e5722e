//! The sending thread: reads what is typed, seals, signs and sends.

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use super::Chat;
use super::commands::parse::{self, Typed, TypedError};
use super::outgoing::pending::Sent;
use super::terminal::{Editor, Input, with_editor};
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::error::trust::TrustError;
use crate::client::model::event::{KeyChange, Notice};
use crate::client::net::reconnect::is_lost;
use crate::client::net::request::{Ask, refused};
use crate::client::net::trust::{self, Contacted, Verification};
use crate::client::send::compose::{SealFor, compose, suite_for};
use crate::client::ui::lines::{Line, Lines};
use crate::client::ui::output::now_ms;
use crate::crypto::bundle::VerifiedBundle;
use crate::error::Explain;
use crate::hint::Hint;
use crate::limits::{ANSWER_WITHIN, INPUT_LINE_MAX, INPUT_READ, UNSETTLED_MAX};
use crate::names::{Recipient, UserName};
use crate::transport::{Stop, wait_input};
use crate::wire::{ToClient, ToServer};

/// The state of the one who types.
pub(crate) struct Sending<'a> {
    pub(crate) chat: &'a Chat<'a>,
    to: Recipient,
    last_request: u32,
    /// Keys that were checked in this run, to seal with while there is no connection.
    keys: HashMap<UserName, VerifiedBundle>,
    /// Keys that the person was asked to compare: the next line is the answer.
    pub(crate) asked: Option<Verification>,
}

/// Whether the chat goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// With the next line.
    GoOn,
    /// The line stays to be edited, where that is possible.
    Edit,
    Leave,
}

impl<'a> Sending<'a> {
    /// Begins by writing to everybody.
    pub(crate) fn new(chat: &'a Chat<'a>) -> Self {
        Self { chat, to: Recipient::All, last_request: 0, keys: HashMap::new(), asked: None }
    }

    /// Reads and sends until the input ends, the person leaves, or `over` is asked.
    pub(crate) fn run(mut self, over: &Stop) -> Result<(), Error> {
        let chat = self.chat;
        match chat.screen.edits() {
            true => with_editor(&chat.screen, &|| chat.names(), |editor| self.edit(editor, over)),
            false => self.read(over),
        }
    }

    /// The same on a terminal, where the line can be edited. It ends with the listening thread.
    fn edit(&mut self, editor: &mut Editor<'_>, over: &Stop) -> Result<(), Error> {
        loop {
            let input = match self.question() {
                Some(question) => editor.ask(&question)?,
                None => editor.read(self.to.as_str())?,
            };
            let line = match input {
                Input::Line(text) => Line::Text(text),
                Input::NotUtf8 => Line::NotUtf8,
                Input::Leave => return self.leave(),
                Input::Interrupted => return Err(Error::Interrupted),
                Input::Over => return wait_until_over(over),
            };
            match self.line(&line)? {
                Then::Leave => return self.leave(),
                Then::Edit if let Line::Text(text) = &line => editor.keep(text),
                Then::Edit | Then::GoOn => {}
            }
        }
    }

    fn read(&mut self, over: &Stop) -> Result<(), Error> {
        let stdin = std::io::stdin();
        let mut lines = Lines::default();
        let mut buffer = vec![0; INPUT_READ];
        self.ask_on()?;
        loop {
            let ready = wait_input(&stdin, over.wakeup(), None).map_err(input)?;
            if ready.woken {
                return Ok(());
            }
            let typed = match rustix::io::read(&stdin, &mut buffer) {
                Ok(0) => break,
                Ok(count) => lines.push(&buffer[..count]),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(error) => return Err(input(error.into())),
            };
            for line in typed {
                self.chat.screen.answered();
                if self.line(&line)? == Then::Leave {
                    return self.leave();
                }
                self.ask_on()?;
                if over.is_asked() {
                    return Ok(());
                }
            }
        }
        if let Some(line) = lines.finish() {
            self.chat.screen.answered();
            self.line(&line)?;
        }
        self.leave()
    }

    /// Every message's fate is told before the end, if the server tells it soon.
    fn leave(&self) -> Result<(), Error> {
        self.chat.wait_for_the_last();
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<Then, Error> {
        let result = match line {
            Line::Text(text) => self.typed(text),
            Line::TooLong => self.say(format!("that line is longer than {INPUT_LINE_MAX} bytes. Nothing was sent.")),
            Line::NotUtf8 => self.say("that line is not UTF-8. Nothing was sent."),
        };
        match result {
            Err(Error::Server(ServerError::Lost { .. }) | Error::Server(ServerError::Silent { .. })) => {
                self.tell(&Error::Server(ServerError::Offline))
            }
            Err(error) if !ends_the_chat(&error) => self.tell(&error),
            result => result,
        }
    }

    fn typed(&mut self, line: &str) -> Result<Then, Error> {
        if let Some(verification) = self.asked.take() {
            return self.answered(&verification, line);
        }
        match parse::parse(line) {
            Err(error @ TypedError::TooLong { .. }) => self.say(error.to_string()).map(|_| Then::Edit),
            Err(error) => self.say(error.to_string()),
            Ok(Typed::Nothing) => Ok(Then::GoOn),
            Ok(Typed::Quit) => Ok(Then::Leave),
            Ok(Typed::Help(command)) => self.help(command),
            Ok(Typed::Passwd) => {
                self.say(Hint::from("to change your password, leave with /quit and run: ").topchat(&["passwd"]))
            }
            Ok(Typed::Switch(to)) => self.switch(to),
            Ok(Typed::Who) => self.who(),
            Ok(Typed::Keys) => self.keys(),
            Ok(Typed::Block(name)) => self.block(&name),
            Ok(Typed::Unblock(name)) => self.unblock(&name),
            Ok(Typed::Blocked) => self.blocked(),
            Ok(Typed::Ring(bell)) => self.ring(bell),
            Ok(Typed::Bell) => self.bell(),
            Ok(Typed::Answer(text)) => self.answer(text),
            Ok(Typed::Fingerprint(name)) => self.fingerprint(name.as_ref()),
            Ok(Typed::Trust { name, fingerprint }) => self.trust(&name, fingerprint.as_deref()),
            Ok(Typed::Accept(name)) => self.accept(&name),
            Ok(Typed::Untrust(name)) => self.untrust(&name),
            Ok(Typed::Verify(name)) => self.verify(&name),
            Ok(Typed::Send { to, text }) => self.send(to.unwrap_or_else(|| self.to.clone()), text),
        }
    }

    pub(crate) fn send(&mut self, to: Recipient, text: String) -> Result<Then, Error> {
        self.chat.wait_until_settled(UNSETTLED_MAX, ANSWER_WITHIN);
        let chat = self.chat;
        let (group, bundle);
        let seal_for = match &to {
            Recipient::All => {
                group = chat.group_key()?;
                SealFor::Group { ecb: false, key: group.writer() }
            }
            Recipient::User(name) => {
                bundle = self.key_of(name).map_err(Error::not_sent)?;
                let pin = chat.contacts.pinned(name)?;
                let least = pin.map_or(bundle.prefers, |pin| pin.least(&bundle));
                SealFor::User(name, &bundle, suite_for(name, least, chat.member.prefers, None)?)
            }
        };
        let sent_ms = now_ms();
        let numbers = chat.sequence.next(&to, sent_ms)?;
        let envelope = compose(chat.member, &seal_for, &text, numbers, sent_ms)?;
        let id = envelope.header.msg_id;
        // Before it can go out: the other thread may send it and hear of it at once.
        chat.history.iter().for_each(|history| history.sent(&envelope, &text));
        chat.pending().add(id, Sent { to, text, sent_ms }, Instant::now());
        if let Err(error) = chat.outbox().add(&envelope) {
            chat.pending().refused(id, |_| String::new());
            chat.history.iter().for_each(|history| history.refused(id));
            return Err(error);
        }
        chat.screen.take_typed()?;
        chat.send_what_waits()?;
        // It shows the message if the answer is slow.
        chat.circuit.wake();
        Ok(Then::GoOn)
    }

    /// The keys to seal with, checked now; without a connection, as they were checked in this run.
    pub(crate) fn key_of(&mut self, name: &UserName) -> Result<VerifiedBundle, Error> {
        let chat = self.chat;
        match trust::contact(self, chat.contacts, name) {
            Ok(Contacted { bundle, notice }) => {
                if let Some(notice) = notice {
                    chat.notice(&notice)?;
                }
                self.keys.insert(name.clone(), bundle.clone());
                Ok(bundle)
            }
            Err(error) if is_lost(&error) => self.key_seen_before(name),
            Err(error) => {
                self.keys.remove(name);
                Err(error)
            }
        }
    }

    /// Only as long as the same identity is pinned, and no other one was seen.
    fn key_seen_before(&self, name: &UserName) -> Result<VerifiedBundle, Error> {
        self.chat.contacts.settled(name)?;
        let pinned = self.chat.contacts.pinned(name)?.map(|pin| pin.key.fingerprint());
        let seen = self.keys.get(name).filter(|seen| Some(seen.identity.fingerprint()) == pinned);
        seen.cloned().ok_or(Error::Server(ServerError::Offline))
    }

    /// Whoever is chosen for all that follows must exist and have the key that is pinned.
    fn switch(&mut self, to: Recipient) -> Result<Then, Error> {
        if let Recipient::User(name) = &to {
            self.key_of(name)?;
        }
        self.to = to;
        Ok(Then::GoOn)
    }

    fn tell(&self, error: &Error) -> Result<Then, Error> {
        match error {
            Error::Trust(TrustError::KeyChanged(change)) => {
                self.chat.notice(&Notice::KeyChanged(KeyChange::clone(change)))?;
                Ok(Then::GoOn)
            }
            Error::NotSent(why) if matches!(**why, Error::Trust(TrustError::KeyChanged(_))) => {
                self.tell(why)?;
                self.say("Nothing was sent.")
            }
            // Whoever types it again has seen the key by then.
            Error::Trust(TrustError::NotShown(change)) => {
                self.chat.notice(&Notice::KeyChanged(KeyChange::clone(change)))?;
                self.say(format!("Nothing was changed: {}'s key is another one by now.", change.name))
            }
            error => {
                let why = if let Error::NotSent(why) = error { why } else { error };
                let hint = Explain::hint(error).filter(|_| !matches!(why, Error::NoSuchUser { .. }));
                let told = Explain::message(error);
                self.say(hint.map_or(told.clone(), |hint| told.then("\n").and(hint)))
            }
        }
    }

    pub(crate) fn say(&self, words: impl Into<Hint>) -> Result<Then, Error> {
        self.chat.remark(words)?;
        Ok(Then::GoOn)
    }

    fn ask_on(&self) -> Result<(), Error> {
        match self.question() {
            Some(question) => self.chat.screen.prompt(&question, true),
            None => self.chat.screen.prompt(&format!("{}> ", self.to), false),
        }
    }

    /// What the next line is the answer to.
    fn question(&self) -> Option<String> {
        self.asked.as_ref().map(|verification| format!("the same for {}? (y)es or (n)o ", verification.name()))
    }
}

impl Ask for Sending<'_> {
    fn ask(&mut self, question: &dyn Fn(u32) -> ToServer) -> Result<ToClient, Error> {
        self.last_request += 1;
        let request = self.last_request;
        let (answer, answers) = mpsc::channel();
        let Some(link) = self.chat.circuit.link() else { return Err(Error::Server(ServerError::Offline)) };
        if !self.chat.expect_answer(request, answer) {
            return Err(Error::Server(ServerError::Offline));
        }
        link.send(&question(request))?;
        match answers.recv_timeout(ANSWER_WITHIN) {
            Ok(answer) => refused(answer),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Server(ServerError::Offline)),
            Err(RecvTimeoutError::Timeout) => {
                self.chat.forget_answer(request);
                Err(Error::Server(ServerError::TimedOut {
                    address: self.chat.config.server.to_string(),
                    secs: ANSWER_WITHIN.as_secs(),
                }))
            }
        }
    }
}

/// How the chat ended is for the listening thread to tell, which is about to.
fn wait_until_over(over: &Stop) -> Result<(), Error> {
    while !over.is_asked() {
        wait_input(over.wakeup(), over.wakeup(), None).map_err(Error::system("waiting"))?;
    }
    Ok(())
}

/// Errors of one line are told and the chat goes on; these are errors of the whole.
fn ends_the_chat(error: &Error) -> bool {
    matches!(
        error,
        Error::Server(ServerError::Protocol(_)) | Error::Output { .. } | Error::OutputClosed | Error::Input { .. }
    )
}

fn input(source: std::io::Error) -> Error {
    Error::Input { what: "stdin", source }
}
