//! The interactive chat: what its two threads share, and how they begin and end.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::blocked::Blocked;
use super::circuit::Circuit;
use super::conduct::{Part, conduct};
use super::config::Config;
use super::contacts::Contacts;
use super::dialogue::answered;
use super::event::{Notice, Opened};
use super::history::History;
use super::inbox::Inbox;
use super::left::Left;
use super::listening::{Audience, Receiving};
use super::member::Member;
use super::outbox::Outbox;
use super::output::now_ms;
use super::pending::{Pending, Sent, Told};
use super::receive::Receiver;
use super::reconnect::{Follower, listen_on};
use super::render::{Own, Page, named};
use super::screen::Screen;
use super::sending::Sending;
use super::sequence::Sequence;
use super::session::Session;
use super::typed::Bell;
use super::{Error, send};
use crate::limits::{CONTACTS_MAX, STOP_WITHIN, UNANSWERED_MAX};
use crate::names::{Recipient, UserName};
use crate::transport::Stop;
use crate::wire::{Fingerprint, MessageId, ToClient, ToServer};

/// What the listening and the sending thread share. No lock of it is held over the network; over the terminal only the screen's.
pub(super) struct Chat<'a> {
    pub(super) config: &'a Config,
    pub(super) member: &'a Member,
    pub(super) contacts: &'a Contacts,
    pub(super) sequence: Sequence,
    pub(super) history: Option<History>,
    pub(super) circuit: &'a Circuit,
    pub(super) screen: Screen,
    pub(super) blocked: Blocked,
    manners: Mutex<Manners>,
    outbox: Mutex<Outgoing>,
    pending: Mutex<Pending>,
    /// The listening thread has heard of a message, or has ended.
    heard: Condvar,
    answers: Mutex<Answers>,
    shown: Mutex<HashMap<UserName, Fingerprint>>,
}

/// What the one thread tells the other about people.
#[derive(Default)]
struct Manners {
    bell: Bell,
    /// Who wrote to oneself alone last.
    wrote_last: Option<UserName>,
    /// Who was seen here.
    met: BTreeSet<UserName>,
}

/// What waits for the server, and whether a thread is sending it.
struct Outgoing {
    outbox: Outbox,
    is_sending: bool,
}

/// Who waits for which answer. Nobody can while there is no connection.
#[derive(Default)]
struct Answers {
    waiting: HashMap<u32, Sender<ToClient>>,
    ended: bool,
}

/// Chats until the person leaves, the server ends it for good, or a signal comes. A lost connection is got back.
pub fn chat(config: &Config, session: Session, stop: &Stop) -> Result<(), Error> {
    let Session { dialogue, again, contacts, .. } = session;
    let member = &*again.member;
    let folder = config.account_state(&member.name);
    let (inbox, ledger) = Inbox::open(&folder)?;
    let circuit = Circuit::default();
    let chat = Chat {
        config,
        member,
        contacts: &contacts,
        sequence: Sequence::open(&folder, member.identity.public().fingerprint())?,
        history: History::for_session(config, member),
        circuit: &circuit,
        screen: Screen::new(),
        blocked: Blocked::open(&folder)?,
        manners: Mutex::default(),
        outbox: Mutex::new(Outgoing { outbox: Outbox::open(&folder)?, is_sending: false }),
        pending: Mutex::default(),
        heard: Condvar::new(),
        answers: Mutex::default(),
        shown: Mutex::default(),
    };
    chat.take_up()?;
    // Whoever types at once is not told that there is no connection.
    circuit.set(Some(dialogue.shared_link()));
    let mut receiving = Receiving {
        inbox,
        receiver: Receiver::new(member, &contacts, ledger),
        history: chat.history.as_ref(),
        left: Left::new(false),
    };
    let listening = |over: &Stop| {
        let _ended = ListeningEnded(&chat);
        let mut listener = Listener { chat: &chat };
        listen_on(config, &again, dialogue, &circuit, &mut receiving, &mut listener, over)
    };
    let sending = |over: &Stop| Sending::new(&chat).run(over);
    let result = conduct(
        &circuit,
        stop,
        vec![Part { name: "listening", run: Box::new(listening) }, Part { name: "sending", run: Box::new(sending) }],
    );
    chat.screen.end();
    chat.tell_what_waits();
    result
}

impl Chat<'_> {
    /// Says something of the program itself.
    pub(super) fn remark(&self, words: &str) -> Result<(), Error> {
        self.screen.line(&self.screen.page().remark(words, now_ms()))
    }

    /// Says that something is wrong.
    pub(super) fn notice(&self, notice: &Notice) -> Result<(), Error> {
        self.screen.line(&self.screen.page().notice(notice, now_ms()))?;
        if let Notice::KeyChanged(change) = notice {
            self.shown().insert(change.name.clone(), change.now);
        }
        Ok(())
    }

    /// The changed keys whose fingerprints the person has seen in this chat: the last one of each name.
    pub(super) fn shown(&self) -> MutexGuard<'_, HashMap<UserName, Fingerprint>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before something goes to ALL: the group key file may have changed, and without one nothing can.
    pub(super) fn have_group_key(&self) -> Result<(), Error> {
        if let Some(notice) = self.member.group.look_again() {
            self.notice(&notice)?;
        }
        self.member.group_keys(self.config).map(drop)
    }

    /// Who wrote to oneself alone last.
    pub(super) fn wrote_last(&self) -> Option<UserName> {
        self.manners().wrote_last.clone()
    }

    /// Names that are known here, to be completed: contacts, and those that were met in this run.
    pub(super) fn names(&self) -> Vec<UserName> {
        let mut names = self.manners().met.clone();
        // Without the contacts there is less to complete, no more.
        names.extend(self.contacts.list().unwrap_or_default().into_iter().map(|(name, _)| name));
        names.into_iter().filter(|name| *name != self.member.name).collect()
    }

    /// These people are there.
    pub(super) fn met(&self, names: impl IntoIterator<Item = UserName>) {
        let mut manners = self.manners();
        manners.met.extend(names);
        while manners.met.len() > CONTACTS_MAX {
            manners.met.pop_last();
        }
    }

    /// When the terminal rings from now on.
    pub(super) fn ring(&self, bell: Bell) {
        self.manners().bell = bell;
    }

    /// Whether the terminal rings for this message, which is shown now.
    fn rings_for(&self, opened: &Opened) -> bool {
        let header = &opened.envelope.header;
        let is_direct = header.recipient != Recipient::All;
        let mut manners = self.manners();
        if is_direct {
            manners.wrote_last = Some(header.sender.clone());
        }
        match manners.bell {
            Bell::Off => false,
            Bell::Direct => is_direct || !named(&opened.text, self.member.name.as_str()).is_empty(),
            Bell::All => true,
        }
    }

    fn manners(&self) -> MutexGuard<'_, Manners> {
        self.manners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the answer to the request with this number to `answer`. False if no answer will come.
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

    /// What waits for the server. The lock covers the outbox's file, too.
    pub(super) fn outbox(&self) -> OutboxGuard<'_> {
        OutboxGuard(self.outbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends what waits, in order. If the other thread is doing that, it takes along what came since.
    /// Without a connection all of it stays, and is shown as waiting.
    pub(super) fn send_what_waits(&self) -> Result<(), Error> {
        self.take_back()?;
        while let Some(link) = self.circuit.link() {
            let mut outbox = self.outbox();
            if !self.circuit.is(&link) {
                continue;
            }
            let Some(envelope) = outbox.begin() else { return Ok(()) };
            drop(outbox);
            let sent = link.send(&ToServer::Send { envelope });
            self.outbox().end();
            if sent.is_err() && self.circuit.is(&link) {
                // The listening thread finds out by itself, and sends it again on the next connection.
                break;
            }
        }
        self.show_waiting()
    }

    /// Nothing goes out to somebody whose key has changed, though it was sealed for the old one.
    fn take_back(&self) -> Result<(), Error> {
        let unsent = self.outbox().unsent();
        let mut to: Vec<_> = unsent.iter().map(|(_, to)| to).collect();
        to.sort_unstable();
        to.dedup();
        for name in to {
            match self.contacts.settled(name) {
                Ok(()) => continue,
                Err(Error::KeyChanged(_)) => {}
                Err(error) => return Err(error),
            }
            for (id, _) in unsent.iter().filter(|(_, to)| to == name) {
                self.outbox().answered(*id);
                self.history.iter().for_each(|history| history.refused(*id));
                let why = format!("stopped: {name}'s key has changed");
                match self.pending().refused(*id) {
                    Some((sent, false)) => self.show_own(&sent, &why)?,
                    _ => self.remark(&format!("#{} to {name}: {why}", id.short()))?,
                }
            }
        }
        Ok(())
    }

    /// Waits until at most `most` messages are without an answer, for `time` at most.
    pub(super) fn wait_until_settled(&self, most: usize, time: Duration) {
        let awaited = |pending: &mut Pending| pending.awaited() > most;
        drop(self.heard.wait_timeout_while(self.pending(), time, awaited).unwrap_or_else(PoisonError::into_inner));
    }

    /// Every message's fate is told before the end, if the server tells it soon.
    pub(super) fn wait_for_the_last(&self) {
        if self.circuit.link().is_some() {
            self.wait_until_settled(0, STOP_WITHIN);
        }
    }

    /// What an earlier run has not got rid of.
    fn take_up(&self) -> Result<(), Error> {
        let earlier: Vec<_> = self.outbox().waiting();
        if !earlier.is_empty() {
            self.remark(&format!("{} sent now", of_earlier(earlier.len())))?;
        }
        for (id, to, sent_ms) in earlier {
            self.pending().add_earlier(id, to, i64::try_from(sent_ms).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    fn tell_what_waits(&self) {
        match self.outbox().waiting().len() {
            0 => {}
            1 => self.config.say("1 message was not sent: it waits here, and is sent when you chat the next time"),
            count => self.config.say(&format!(
                "{count} messages were not sent: they wait here, and are sent when you chat the next time"
            )),
        }
    }

    fn show_waiting(&self) -> Result<(), Error> {
        let waiting = self.pending().waiting();
        waiting.iter().try_for_each(|sent| self.show_own(sent, "waiting"))
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
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_own(&self, sent: &Sent, state: &str) -> Result<(), Error> {
        let own = Own { from: &self.member.name, to: &sent.to, text: &sent.text, sent_ms: sent.sent_ms, state };
        self.screen.line(&self.screen.page().own(&own))
    }

    /// The server has answered a message: it need not go out again. `taken`: it has it.
    fn answered(&self, id: MessageId, taken: bool) -> Result<(), Error> {
        let first = self.outbox().answered(id);
        if let Some((to, seq)) = first {
            if taken && let Err(error) = self.sequence.accepted(&to, seq) {
                // Recipients then learn less about what is missing, no more.
                log::warn!("{error}");
            }
            self.send_what_waits()?;
        }
        if taken {
            self.pending().accepted(id, Instant::now());
        }
        Ok(())
    }
}

/// The outbox, while nobody else has it.
pub(super) struct OutboxGuard<'a>(MutexGuard<'a, Outgoing>);

impl OutboxGuard<'_> {
    /// A new message; it is on disk when this returns.
    pub(super) fn add(&mut self, envelope: &crate::wire::Envelope) -> Result<(), Error> {
        match self.0.outbox.has_room() {
            true => self.0.outbox.add(envelope),
            false => Err(Error::OutboxFull { count: crate::limits::WAITING_MESSAGES }),
        }
    }

    fn begin(&mut self) -> Option<Vec<u8>> {
        let next = if self.0.is_sending { None } else { self.0.outbox.next(UNANSWERED_MAX) };
        self.0.is_sending |= next.is_some();
        next
    }

    fn end(&mut self) {
        self.0.is_sending = false;
    }

    fn lost(&mut self) {
        self.0.outbox.lost();
    }

    fn answered(&mut self, id: MessageId) -> Option<(crate::names::Recipient, u64)> {
        self.0.outbox.answered(id).map(|header| (header.recipient, header.seq))
    }

    /// Direct messages that are to go out.
    fn unsent(&self) -> Vec<(MessageId, UserName)> {
        self.0.outbox.unsent().map(|(id, to)| (id, to.clone())).collect()
    }

    fn waiting(&self) -> Vec<(MessageId, crate::names::Recipient, u64)> {
        self.0.outbox.waiting().map(|(id, to, sent_ms)| (id, to.clone(), sent_ms)).collect()
    }
}

fn of_earlier(count: usize) -> String {
    match count {
        1 => "1 message of an earlier run is".to_owned(),
        count => format!("{count} messages of an earlier run are"),
    }
}

/// When the listening thread ends, also by a panic, nobody waits for an answer or for the person any more.
struct ListeningEnded<'a>(&'a Chat<'a>);

impl Drop for ListeningEnded<'_> {
    fn drop(&mut self) {
        self.0.nobody_answers(true);
        self.0.screen.close();
    }
}

/// The chat as the listening thread's audience.
struct Listener<'a> {
    chat: &'a Chat<'a>,
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
