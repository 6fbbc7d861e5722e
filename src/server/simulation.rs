//! The server without threads, sockets and TLS: its accounts, log and seats, driven step by step in one thread (`sim/`).
//!
//! A session is given frames and gives frames back; the thread that writes the log works when it is told to. Files, clocks and
//! randomness are those of the [world](crate::machine::world) that the thread has entered. Left out is the login, for whose proofs
//! a world has no use, and with it what a stranger may do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::accounts::{Account, Accounts, Change, ChangeError, Ledger, Outcome};
use super::data::Data;
use super::error::ServerError;
use super::log::{Durability, Log, Mail, Quotas, Receiver, Submissions, Writer};
use super::net::SessionId;
use super::net::send_queue::Outbox;
use super::registry::hub::Hub;
use super::session::chat::is_own;
use super::session::directory::found;
use super::session::register::code_of;
use super::settings::Settings;
use crate::limits::{RECORDS_AT_ONCE, SCRAM_ITERATIONS};
use crate::names::UserName;
use crate::storage::folder::LockedFolder;
use crate::wire::to_client::Reason;
use crate::wire::to_server::Mode;
use crate::wire::{Code, Envelope, ToClient, ToServer, Verifier};

/// A running server.
pub struct Server {
    accounts: Accounts,
    change: Box<dyn FnMut(Change) -> Result<Outcome, ChangeError>>,
    log: Arc<Log<Outbox>>,
    writer: Writer<Outbox>,
    hub: Hub<Arc<Outbox>>,
    sessions: BTreeMap<SessionId, Session>,
    last: SessionId,
    /// Held as long as the server lives.
    _folder: LockedFolder,
}

struct Session {
    account: Arc<Account>,
    outbox: Arc<Outbox>,
    receiver: Receiver<Log<Outbox>>,
    submissions: Submissions,
    /// Answers that are no business of the log.
    replies: Vec<u8>,
}

/// What a session learns when it begins.
#[derive(Clone, Copy, Debug)]
pub struct Welcome {
    /// Which session it is.
    pub session: SessionId,
    /// The last message that is safe on disk.
    pub kept: u64,
    /// The last one that the account had acknowledged.
    pub acknowledged: u64,
}

impl Server {
    /// Reads a data folder, or makes it. A segment of its log is so long.
    pub fn open(
        folder: &Path,
        quotas: Quotas,
        durability: Durability,
        segment_bytes: u64,
    ) -> Result<Self, ServerError> {
        let folder = LockedFolder::open(folder)?;
        let settings = Settings { quotas, durability, ..Settings::default() };
        let Data { accounts, log } = Data::read(folder.path(), &settings, segment_bytes)?;
        let ((accounts, change), (log, writer)) = (accounts.stepped(), log.into_parts());
        let (hub, sessions) = (Hub::new(usize::MAX), BTreeMap::new());
        Ok(Self { accounts, change: Box::new(change), log, writer, hub, sessions, last: 0, _folder: folder })
    }

    /// Makes an account with the name and keys of this bundle.
    pub fn register(&mut self, bundle: Vec<u8>, created_ms: u64) -> Result<(), Code> {
        let verifier =
            Verifier { salt: [1; 16], iterations: SCRAM_ITERATIONS, stored_key: [2; 32], server_key: [3; 32] };
        let account = Account::new(bundle, verifier, created_ms).map_err(|_| Code::Malformed)?;
        let account = account.joining(self.log.next_start());
        if (self.change)(Change::Register(account.clone())).map_err(code_of)? == Outcome::Changed {
            self.log.join(&account);
        }
        Ok(())
    }

    /// Takes an account out.
    pub fn delete(&mut self, name: &UserName) -> Result<(), Code> {
        let account = self.find(name)?;
        (self.change)(Change::Delete(Account::clone(&account))).map_err(code_of)?;
        self.log.remove(&account);
        self.end_sessions(name, Code::Deleted);
        Ok(())
    }

    /// Closes an account, or opens it again.
    pub fn set_disabled(&mut self, name: &UserName, disabled: bool) -> Result<(), Code> {
        let account = self.find(name)?;
        (self.change)(Change::SetDisabled(Account::clone(&account), disabled)).map_err(code_of)?;
        self.log.set_disabled(name, disabled);
        if disabled {
            self.end_sessions(name, Code::Disabled);
        }
        Ok(())
    }

    /// Gives an account the keys of a newer bundle.
    pub fn set_keys(&mut self, name: &UserName, bundle: Vec<u8>, handover: Vec<u8>) -> Result<(), Code> {
        let owner = Account::clone(&*self.find(name)?);
        (self.change)(Change::SetKeys { owner, bundle, handover }).map_err(code_of)?;
        self.end_sessions(name, Code::KeysReplaced);
        Ok(())
    }

    /// Begins a receiving session of an account, in place of an older one.
    pub fn connect(&mut self, name: &UserName) -> Result<Welcome, Code> {
        let account = self.find(name)?;
        if account.is_disabled() {
            return Err(Code::Disabled);
        }
        self.last += 1;
        let (id, outbox) = (self.last, Arc::new(Outbox::new().map_err(|_| Code::Storage)?));
        let seated = self.hub.enter(id, name, Mode::Receiving, Arc::clone(&outbox)).map_err(|_| Code::Full)?;
        if let Some(replaced) = seated.replaced {
            replaced.close(Code::Replaced);
        }
        let receiver = Receiver::attach(&self.log, &account, &outbox);
        let welcome = Welcome { session: id, kept: self.log.kept(), acknowledged: receiver.acknowledged_before() };
        let (submissions, replies) = (Submissions::default(), Vec::new());
        self.sessions.insert(id, Session { account, outbox, receiver, submissions, replies });
        Ok(welcome)
    }

    /// Frames of a session that came together.
    pub fn take(&mut self, id: SessionId, frames: impl Iterator<Item = ToServer>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for frame in frames {
            session.handle(frame, &self.accounts);
            // What comes behind waits for answers, as it would in the socket.
            if !session.outbox.may_take(session.submissions.len()) {
                session.submit(&self.log);
            }
        }
        session.submit(&self.log);
    }

    /// Whether more frames of this session may be taken: it does not wait for too many answers.
    pub fn may_take(&self, id: SessionId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.outbox.may_take(0))
    }

    /// The frames that wait for a session's client, some at a time, one behind the other; and why it is to end, if it is.
    pub fn give(&mut self, id: SessionId) -> (Vec<u8>, Option<Code>) {
        let Some(session) = self.sessions.get_mut(&id) else { return (Vec::new(), None) };
        let mut frames = std::mem::take(&mut session.replies);
        for _ in 0..RECORDS_AT_ONCE {
            let before = frames.len();
            session.outbox.take(&mut frames);
            if session.outbox.take_mail() {
                session.receiver.announce();
            }
            if session.receiver.take(&mut frames).is_err() {
                return (frames, Some(Code::Storage));
            }
            if frames.len() == before {
                break;
            }
        }
        let closing = session.outbox.closing();
        (frames, closing)
    }

    /// A session is over.
    pub fn leave(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            session.outbox.close(Code::ShuttingDown);
            self.hub.leave(id);
        }
    }

    /// The bundle of an account with its lineage, as it is looked up.
    pub fn look_up(&self, request: u32, name: &UserName) -> ToClient {
        found(&self.accounts, request, name, None)
    }

    /// Lets the log's writer do what there is to do now. Gives how long it may rest after that.
    pub fn write(&mut self) -> Duration {
        self.writer.step()
    }

    /// Writes what is left, and ends.
    pub fn stop(mut self) {
        self.sessions.clear();
        self.writer.stop();
    }

    /// How many direct messages wait, and how many group messages are kept.
    pub fn waiting(&self) -> (usize, usize) {
        self.log.waiting()
    }

    /// How many messages this account has not acknowledged.
    pub fn waiting_for(&self, name: &UserName) -> usize {
        self.log.waiting_for(name)
    }

    /// Names of all accounts.
    pub fn names(&self) -> Vec<UserName> {
        self.accounts.every().flatten().map(|account| account.name().clone()).collect()
    }

    fn find(&self, name: &UserName) -> Result<Arc<Account>, Code> {
        self.accounts.find(name).map_err(|_| Code::Storage)?.ok_or(Code::NoSuchUser)
    }

    fn end_sessions(&mut self, name: &UserName, why: Code) {
        self.hub.evict(name).iter().for_each(|outbox| outbox.close(why));
    }
}

impl Session {
    /// As the session's thread does it, for the frames of a chat.
    fn handle(&mut self, frame: ToServer, accounts: &Accounts) {
        match frame {
            ToServer::Send { envelope } => match Envelope::check(&envelope) {
                Ok(header) if is_own(&self.account, &header) => self.submissions.add(header, &envelope),
                Ok(header) => {
                    let reason = Reason::new(Code::NotYours);
                    ToClient::Refused { msg_id: header.msg_id, reason }.append_to(&mut self.replies);
                }
                Err(_) => self.outbox.close(Code::Malformed),
            },
            ToServer::Ack(delivery) if self.receiver.acknowledge(delivery).is_err() => {
                ToClient::Error { request: 0, reason: Reason::new(Code::BadAck) }.append_to(&mut self.replies);
            }
            ToServer::Lookup { request, name, fingerprint } => {
                found(accounts, request, &name, fingerprint).append_to(&mut self.replies);
            }
            ToServer::Bye => self.outbox.close(Code::ShuttingDown),
            _ => {}
        }
    }

    fn submit(&mut self, log: &Log<Outbox>) {
        if self.submissions.len() == 0 && !self.receiver.has_acknowledged() {
            return;
        }
        let acknowledged = self.receiver.settle();
        for (msg_id, code) in log.settle(&mut self.submissions, acknowledged, &self.outbox) {
            ToClient::Refused { msg_id, reason: Reason::new(code) }.append_to(&mut self.replies);
        }
    }
}
