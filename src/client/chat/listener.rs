//! The chat as the listening thread's audience, and what it makes of the connection's coming and going.

use std::time::Instant;

use super::Chat;
use crate::client::error::Error;
use crate::client::model::event::{Notice, Opened};
use crate::client::net::request::answered;
use crate::client::receive::follow::Follower;
use crate::client::receive::listen_loop::Audience;
use crate::client::send::deliver;
use crate::client::ui::output::now_ms;
use crate::client::ui::render::Page;
use crate::client::ui::words;
use crate::limits::PRESENCE_EVERY;
use crate::names::UserName;
use crate::wire::to_client::Entry;
use crate::wire::{ToClient, ToServer};

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
    /// When it was last told who came and who left.
    told: Option<Instant>,
}

impl<'a> Listener<'a> {
    pub(super) fn new(chat: &'a Chat<'a>) -> Self {
        Self { chat, told: None }
    }

    /// A server that tells this all the time, or unasked, is not listened to.
    fn presence(&mut self, entries: &[Entry], more: (u32, u32)) -> Result<(), Error> {
        let (chat, now) = (self.chat, Instant::now());
        let is_soon = self.told.is_some_and(|told| now < told + PRESENCE_EVERY / 2);
        if is_soon || !chat.screen.is_looked_at() {
            return Ok(());
        }
        self.told = Some(now);
        let blocked = chat.blocked.list();
        let is_blocked = |name: &UserName| blocked.iter().any(|(blocked, _)| blocked == name);
        let line = words::presence(entries, more, |name| *name != chat.member.name && !is_blocked(name));
        chat.met(entries.iter().filter(|entry| entry.online).map(|entry| entry.name.clone()));
        line.map_or(Ok(()), |line| chat.remark(&line))
    }
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
            Some(1) => return chat.remark(format!("{sender} is blocked: nothing of theirs is shown (/blocked)")),
            Some(_) => return Ok(()),
        }
        chat.met([sender.clone()]);
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
                told.map_or(Ok(()), |told| chat.tell_of(msg_id, told))
            }
            ToClient::Refused { msg_id, reason } => {
                chat.answered(msg_id, false)?;
                chat.history.iter().for_each(|history| history.refused(msg_id));
                let told = chat.pending().refused(msg_id, |to| deliver::refused(to, reason).to_string());
                chat.heard.notify_all();
                told.map_or(Ok(()), |told| chat.tell_of(msg_id, told))
            }
            ToClient::Presence { more_came, more_left, entries } => self.presence(&entries, (more_came, more_left)),
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

    fn unanswered(&self) -> Option<Instant> {
        self.chat.pending().unanswered()
    }

    fn due(&mut self, now: Instant) -> Result<bool, Error> {
        let due = self.chat.pending().due(now);
        if !due.is_empty() {
            self.chat.heard.notify_all();
        }
        due.into_iter().try_for_each(|(id, told)| self.chat.tell_of(id, told))?;
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
            chat.pending().again(Instant::now());
            chat.remark("back online")?;
        }
        if let Some(link) = chat.circuit.link().filter(|_| chat.screen.is_looked_at()) {
            // If this fails, the connection is lost, which is found out soon enough.
            let _ = link.send(&ToServer::Watch { on: true });
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
