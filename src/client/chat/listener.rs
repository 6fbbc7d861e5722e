//! The chat as the listening thread's audience, and what it makes of the connection's coming and going.

use std::time::Instant;

use super::Chat;
use crate::client::Error;
use crate::client::dialogue::answered;
use crate::client::event::{Notice, Opened};
use crate::client::listening::Audience;
use crate::client::output::now_ms;
use crate::client::pending::Told;
use crate::client::reconnect::Follower;
use crate::client::render::Page;
use crate::client::send;
use crate::wire::ToClient;

/// When the listening thread ends, also by a panic, nobody waits for an answer or for the person any more.
pub(super) struct ListeningEnded<'a>(pub(super) &'a Chat<'a>);

impl Drop for ListeningEnded<'_> {
    fn drop(&mut self) {
        self.0.nobody_answers(true);
        self.0.screen.close();
    }
}

/// The chat as the listening thread's audience.
pub(super) struct Listener<'a> {
    pub(super) chat: &'a Chat<'a>,
}

impl Audience for Listener<'_> {
    fn room(&self) -> Option<u64> {
        None
    }

    fn message(&mut self, opened: &Opened) -> Result<(), Error> {
        let chat = self.chat;
        let sender = &opened.envelope.header.sender;
        match chat.blocked.holds_back(sender) {
            None => {}
            Some(1) => return chat.remark(&format!("{sender} is blocked: nothing of theirs is shown (/blocked)")),
            Some(_) => return Ok(()),
        }
        let page = Page { named: Some(chat.member.name.clone()), ..chat.screen.page() };
        match chat.rings_for(opened) {
            true => chat.screen.ringing(&page.message(opened, now_ms())),
            false => chat.screen.line(&page.message(opened, now_ms())),
        }
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Error> {
        self.chat.notice(notice)
    }

    fn other(&mut self, frame: ToClient) -> Result<(), Error> {
        let chat = self.chat;
        match frame {
            ToClient::Status { msg_id, state, reached, total } => {
                chat.answered(msg_id, true)?;
                let told = chat.pending().status(msg_id, state, reached, total);
                chat.heard.notify_all();
                match told {
                    None => Ok(()),
                    Some(Told::Show(sent, mark)) => chat.show_own(&sent, &mark),
                    Some(Told::Later(words)) => chat.remark(&words),
                }
            }
            ToClient::Refused { msg_id, reason } => {
                chat.answered(msg_id, false)?;
                chat.history.iter().for_each(|history| history.refused(msg_id));
                let refused = chat.pending().refused(msg_id);
                chat.heard.notify_all();
                match refused {
                    None => Ok(()),
                    Some((sent, false)) => chat.show_own(&sent, &send::refused(&sent.to, reason).to_string()),
                    Some((sent, true)) => {
                        let why = send::refused(&sent.to, reason);
                        chat.remark(&format!("#{} to {}: {why}", msg_id.short(), sent.to))
                    }
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
        due.iter().try_for_each(|(sent, mark)| self.chat.show_own(sent, mark))?;
        Ok(true)
    }
}

impl Follower for Listener<'_> {
    fn connected(&mut self, is_back: bool) -> Result<(), Error> {
        let chat = self.chat;
        if is_back {
            chat.screen.offline(false);
            chat.nobody_answers(false);
            chat.outbox().lost();
            chat.remark("back online")?;
        }
        chat.send_what_waits()
    }

    fn lost(&mut self, words: &str) -> Result<(), Error> {
        let chat = self.chat;
        chat.screen.offline(true);
        chat.nobody_answers(true);
        chat.show_waiting()?;
        chat.remark(words)
    }
}
