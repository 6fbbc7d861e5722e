//! The interactive chat: what its two threads share, and how they begin and end.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::conduct::{Part, conduct};
use super::config::Config;
use super::contacts::Contacts;
use super::dialogue::answered;
use super::event::{Event, Notice};
use super::link::Link;
use super::listening::{Audience, listen};
use super::member::Member;
use super::output::now_ms;
use super::pending::{Pending, Sent, Told};
use super::receive::Receiver;
use super::render::Own;
use super::screen::Screen;
use super::sending::Sending;
use super::sequence::Sequence;
use super::session::Session;
use super::{Error, send};
use crate::transport::Stop;
use crate::wire::ToClient;

/// What the listening and the sending thread share. No lock of it is held over input or output.
pub(super) struct Chat<'a> {
    pub(super) config: &'a Config,
    pub(super) member: &'a Member,
    pub(super) contacts: &'a Contacts,
    pub(super) sequence: Sequence,
    pub(super) link: &'a Link,
    pub(super) screen: Screen,
    pending: Mutex<Pending>,
    /// The listening thread has heard of a message, or has ended.
    heard: Condvar,
    answers: Mutex<Answers>,
}

/// Who waits for which answer. Nobody can once the listening thread has ended.
#[derive(Default)]
struct Answers {
    waiting: HashMap<u32, Sender<ToClient>>,
    ended: bool,
}

/// Chats until the person leaves, the server ends it, or a signal comes.
pub fn chat(config: &Config, session: Session, stop: &Stop) -> Result<(), Error> {
    let Session { dialogue, member, contacts, .. } = session;
    let (link, reading, waiting) = dialogue.into_parts();
    let chat = Chat {
        config,
        member: &member,
        contacts: &contacts,
        sequence: Sequence::open(&config.account_state(&member.name), member.identity.public().fingerprint())?,
        link: &link,
        screen: Screen::new(),
        pending: Mutex::default(),
        heard: Condvar::new(),
        answers: Mutex::default(),
    };
    let mut receiver = Receiver::new(&member, &contacts);
    let listening = |over: &Stop| {
        let result = listen(&link, reading, waiting, &mut receiver, &mut Listener { chat: &chat }, over);
        chat.listening_ended();
        result
    };
    let sending = |over: &Stop| Sending::new(&chat).run(over);
    let result = conduct(
        &link,
        stop,
        vec![Part { name: "listening", run: Box::new(listening) }, Part { name: "sending", run: Box::new(sending) }],
    );
    chat.screen.end();
    result
}

impl Chat<'_> {
    /// Says something of the program itself.
    pub(super) fn remark(&self, words: &str) -> Result<(), Error> {
        self.screen.line(&self.screen.page().remark(words, now_ms()))
    }

    /// Says that something is wrong.
    pub(super) fn notice(&self, notice: &Notice) -> Result<(), Error> {
        self.screen.line(&self.screen.page().notice(notice, now_ms()))
    }

    /// Sends the answer to the request with this number to `answer`. False if no answer will come any more.
    pub(super) fn expect_answer(&self, request: u32, answer: Sender<ToClient>) -> bool {
        let mut answers = self.answers();
        let open = !answers.ended;
        if open {
            answers.waiting.insert(request, answer);
        }
        open
    }

    /// Nobody waits for that answer any more.
    pub(super) fn forget_answer(&self, request: u32) {
        self.answers().waiting.remove(&request);
    }

    /// The messages on their way.
    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until at most `most` messages are without an answer, for `time` at most.
    pub(super) fn wait_until_settled(&self, most: usize, time: Duration) {
        let awaited = |pending: &mut Pending| pending.awaited() > most;
        drop(self.heard.wait_timeout_while(self.pending(), time, awaited).unwrap_or_else(PoisonError::into_inner));
    }

    fn listening_ended(&self) {
        let mut answers = self.answers();
        answers.ended = true;
        answers.waiting.clear();
        drop(answers);
        // Under the lock that the waiting thread looks at it with, so that it never misses this.
        self.pending().end();
        self.heard.notify_all();
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_own(&self, sent: &Sent, state: &str) -> Result<(), Error> {
        let own = Own { from: &self.member.name, to: &sent.to, text: &sent.text, sent_ms: sent.sent_ms, state };
        self.screen.line(&self.screen.page().own(&own))
    }
}

/// The chat as the listening thread's audience.
struct Listener<'a> {
    chat: &'a Chat<'a>,
}

impl Audience for Listener<'_> {
    fn show(&mut self, event: Event) -> Result<bool, Error> {
        match event {
            Event::Message(opened) => {
                self.chat.screen.line(&self.chat.screen.page().message(&opened, now_ms()))?;
            }
            Event::Notice(notice) => self.chat.notice(&notice)?,
        }
        Ok(true)
    }

    fn other(&mut self, frame: ToClient) -> Result<(), Error> {
        let chat = self.chat;
        match frame {
            ToClient::Status { msg_id, state, reached, total } => {
                let accepted = chat.pending().first_accepted(msg_id, Instant::now());
                if let Some((to, seq)) = accepted {
                    chat.sequence.accepted(&to, seq)?;
                }
                let told = chat.pending().status(msg_id, state, reached, total);
                chat.heard.notify_all();
                match told {
                    None => Ok(()),
                    Some(Told::Show(sent, mark)) => chat.show_own(&sent, &mark),
                    Some(Told::Later(words)) => chat.remark(&words),
                }
            }
            ToClient::Refused { msg_id, reason } => {
                let refused = chat.pending().refused(msg_id);
                chat.heard.notify_all();
                match refused {
                    None => Ok(()),
                    Some(sent) => chat.show_own(&sent, &send::refused(&sent.to, reason).to_string()),
                }
            }
            frame => {
                let waiting = answered(&frame).and_then(|request| chat.answers().waiting.remove(&request));
                if let Some(waiting) = waiting {
                    // Whoever asked may have stopped waiting.
                    let _ = waiting.send(frame);
                }
                Ok(())
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.chat.pending().deadline()
    }

    fn due(&mut self, now: Instant) -> Result<bool, Error> {
        let due = self.chat.pending().due(now);
        if !due.is_empty() {
            self.chat.heard.notify_all();
        }
        due.iter().try_for_each(|sent| self.chat.show_own(sent, "sent"))?;
        Ok(true)
    }
}
