//! The interactive chat: what its two threads share, and how they begin and end.

pub(crate) mod commands;
pub(crate) mod input;
mod listener;
mod outgoing;
mod peers;
pub(crate) mod screen;
pub(crate) mod terminal;

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::config::Config;
use super::error::Error;
use super::keys::member::Member;
use super::model::event::Notice;
use super::net::connection::Circuit;
use super::net::session::Session;
use super::net::threads::{Part, conduct};
use super::receive::Receiver;
use super::receive::follow::listen_on;
use super::receive::listen_loop::Receiving;
use super::state::chat_settings::{Bell, Blocked};
use super::state::history::History;
use super::state::inbox::Inbox;
use super::state::outbox::Outbox;
use super::state::sequence::Sequence;
use super::trust::contacts::Contacts;
use super::ui::output::now_ms;
use super::ui::prompt;
use crate::crypto::group_key::GroupKeys;
use crate::hint::Hint;
use crate::limits::{STOP_WITHIN, TYPING_ENDED};
use crate::logging::{self, Elsewhere};
use crate::names::UserName;
use crate::sync::lock;
use crate::transport::Stop;
use crate::wire::{Fingerprint, ToClient};
use input::Sending;
use listener::{Listener, ListeningEnded};
use outgoing::Outgoing;
use outgoing::pending::Pending;
use peers::Manners;
use screen::Screen;

/// What the listening and the sending thread share. No lock of it is held over the network; over the terminal only the screen's.
pub(crate) struct Chat<'a> {
    pub(crate) config: &'a Config,
    pub(crate) member: &'a Member,
    pub(crate) contacts: &'a Contacts,
    pub(crate) sequence: Sequence,
    pub(crate) history: Option<History>,
    pub(crate) circuit: &'a Circuit,
    pub(crate) screen: Arc<Screen>,
    pub(crate) blocked: Blocked,
    manners: Mutex<Manners>,
    outbox: Mutex<Outgoing>,
    pending: Mutex<Pending>,
    /// The listening thread has heard of a message, or has ended.
    heard: Condvar,
    answers: Mutex<Answers>,
    shown: Mutex<HashMap<UserName, Fingerprint>>,
}

/// Who waits for which answer. Nobody can while there is no connection.
#[derive(Default)]
struct Answers {
    waiting: HashMap<u32, Sender<ToClient>>,
    ended: bool,
}

/// Chats until the person leaves, the server ends it for good, or a signal comes. A lost connection is got back.
pub(super) fn chat(config: &Config, session: Session, stop: &Stop) -> Result<(), Error> {
    let Session { dialogue, again, contacts, .. } = session;
    let member = &*again.member;
    let folder = config.account_state(&member.name);
    let (inbox, ledger) = Inbox::open(&folder)?;
    let circuit = Circuit::default();
    let screen = Arc::new(Screen::new(&config.invocation));
    let chat = Chat {
        config,
        member,
        contacts: &contacts,
        sequence: Sequence::open(&folder, member.identity.public().fingerprint())?,
        history: member.history(config),
        circuit: &circuit,
        screen: Arc::clone(&screen),
        blocked: Blocked::open(&folder)?,
        manners: Mutex::new(Manners::new(Bell::of(&folder)?)),
        outbox: Mutex::new(Outgoing::new(Outbox::open(&folder)?)),
        pending: Mutex::new(Pending::new(screen.is_looked_at())),
        heard: Condvar::new(),
        answers: Mutex::default(),
        shown: Mutex::default(),
    };
    let _log = chat.log_shown();
    chat.take_up()?;
    // Whoever types at once is not told that there is no connection.
    circuit.set(Some(dialogue.shared_link()));
    let receiver = Receiver::new(&again.member, &contacts, ledger);
    let mut receiving = Receiving::new(&folder, inbox, receiver, chat.history.as_ref());
    let listening = |over: &Stop| {
        let _ended = ListeningEnded(&chat);
        let mut listener = Listener::new(&chat);
        listen_on(config, &again, dialogue, &circuit, &mut receiving, &mut listener, over)
    };
    let sending = |over: &Stop| Sending::new(&chat).run(over);
    let result = conduct(
        &circuit,
        stop,
        vec![Part { name: "listening", run: Box::new(listening) }, Part { name: "sending", run: Box::new(sending) }],
    );
    chat.screen.end();
    chat.let_typing_end(&result, stop)?;
    chat.tell_what_waits();
    result
}

impl Chat<'_> {
    /// Where stderr is the terminal on which a line is typed, the log stands above that line, too.
    fn log_shown(&self) -> Option<Elsewhere> {
        let screen = Arc::clone(&self.screen);
        let is_mixed = screen.edits() && std::io::stderr().is_terminal();
        is_mixed.then(|| logging::shown_by(move |line| screen.log(line)))
    }

    /// Whoever is typing when the chat is over for a reason that is not theirs does not type on into the shell.
    fn let_typing_end(&self, result: &Result<(), Error>, stop: &Stop) -> Result<(), Error> {
        let Err(error @ (Error::Refused(_) | Error::Server(_))) = result else { return Ok(()) };
        if self.screen.is_looked_at() {
            // The server need not wait for it.
            self.circuit.set(None);
            let secs = TYPING_ENDED.as_secs();
            prompt::take_what_is_typed(stop, || {
                self.remark(format!(
                    "the chat is over: {error}\nwhat is typed now goes nowhere. Enter leaves; so do {secs} s without a key"
                ))
            })?;
        }
        Ok(())
    }

    /// Says something of the program itself.
    pub(crate) fn remark(&self, words: impl Into<Hint>) -> Result<(), Error> {
        self.screen.line(&self.screen.page().remark(words, now_ms()))
    }

    /// Says that something is wrong.
    pub(crate) fn notice(&self, notice: &Notice) -> Result<(), Error> {
        self.screen.line(&self.screen.page().notice(notice, now_ms()))?;
        if let Notice::KeyChanged(change) = notice {
            self.shown().insert(change.name.clone(), change.now);
        }
        Ok(())
    }

    /// The changed keys whose fingerprints the person has seen in this chat: the last one of each name.
    pub(crate) fn shown(&self) -> MutexGuard<'_, HashMap<UserName, Fingerprint>> {
        lock(&self.shown)
    }

    /// Before something goes to ALL: the group key file may have changed, and without one nothing can.
    pub(crate) fn group_key(&self) -> Result<Arc<GroupKeys>, Error> {
        if let Some(notice) = self.member.group.look_again() {
            self.notice(&notice)?;
        }
        self.member.group_keys(self.config)
    }

    /// Sends the answer to the request with this number to `answer`. False if no answer will come.
    pub(crate) fn expect_answer(&self, request: u32, answer: Sender<ToClient>) -> bool {
        let mut answers = self.answers();
        let open = !answers.ended;
        if open {
            answers.waiting.insert(request, answer);
        }
        open
    }

    /// Nobody waits for that answer any more.
    pub(crate) fn forget_answer(&self, request: u32) {
        self.answers().waiting.remove(&request);
    }

    /// The messages on their way.
    pub(crate) fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    /// Waits until at most `most` messages are without an answer, for `time` at most.
    pub(crate) fn wait_until_settled(&self, most: usize, time: Duration) {
        let awaited = |pending: &mut Pending| pending.awaited() > most;
        drop(self.heard.wait_timeout_while(self.pending(), time, awaited).unwrap_or_else(PoisonError::into_inner));
    }

    /// Every message's fate is told before the end, if the server tells it soon.
    pub(crate) fn wait_for_the_last(&self) {
        if self.circuit.link().is_some() {
            self.wait_until_settled(0, STOP_WITHIN);
        }
    }

    /// Whoever waits for an answer on a connection that is no more gets none.
    fn nobody_answers(&self, ended: bool) {
        let mut answers = self.answers();
        answers.ended = ended;
        answers.waiting.clear();
        drop(answers);
        // Under the lock that the waiting thread looks at it with, so that it never misses this.
        self.pending().end();
        self.heard.notify_all();
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        lock(&self.answers)
    }
}
