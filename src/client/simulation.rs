//! The client without threads, sockets and TLS: what a chat keeps, sends and makes of what comes, driven step by step in one thread
//! (`sim/`).
//!
//! It is given what came on its connection and gives what it sends. Files, clocks and randomness are those of the
//! [world](crate::machine::world) that the thread has entered. Left out are the login, what is typed and how it looks.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::error::Error;
use super::keys::group_file::GroupFile;
use super::keys::member::Member;
use super::model::event::{Notice, Opened};
use super::model::pin::NewKeys;
use super::net::directory::look_up as look_up_keys;
use super::net::request::{Ask, refused};
use super::net::trust;
use super::receive::Receiver;
use super::receive::listen_loop::{Audience, Listening, Outward, Receiving};
use super::send::compose::{SealFor, compose, suite_for};
use super::state::inbox::Inbox;
use super::state::outbox::Outbox;
use super::state::seen::Reached;
use super::state::sequence::Sequence;
use super::trust::contacts::Contacts;
use super::trust::pins::Choice;
use super::ui::output::now_ms;
use crate::crypto::bundle::{self, Contents};
use crate::crypto::curve::{OpeningKey, SigningKey};
use crate::crypto::group_key::GroupKeys;
use crate::crypto::keys::{KeyError, KeyPair, PrivateKey};
use crate::limits::{RSA_BITS_MIN, UNANSWERED_MAX};
use crate::names::{Recipient, UserName};
use crate::wire::to_client::State;
use crate::wire::{Code, MessageId, Prefers, ToClient, ToServer};

/// The four key pairs of an account.
pub struct Keys {
    identity: PrivateKey,
    encryption: PrivateKey,
    ed25519: SigningKey,
    x25519: OpeningKey,
}

impl Keys {
    /// New ones; RSA's take a tenth of a second.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self {
            identity: PrivateKey::generate(RSA_BITS_MIN)?,
            encryption: PrivateKey::generate(RSA_BITS_MIN)?,
            ed25519: SigningKey::generate()?,
            x25519: OpeningKey::generate()?,
        })
    }

    /// The account's bundle with this number.
    pub fn bundle(&self, name: &UserName, number: u64, prefers: Prefers) -> Result<Vec<u8>, KeyError> {
        let Self { identity, encryption, ed25519, x25519 } = self;
        let (encryption, x25519) = (encryption.public(), x25519.public());
        let contents = Contents { name, identity, encryption, ed25519, x25519, former: &[], prefers, number };
        Ok(bundle::make(&contents)?.encode())
    }

    /// What hands an account over from these keys to others.
    pub fn hand_over(&self, name: &UserName, to: &Self) -> Result<Vec<u8>, KeyError> {
        bundle::hand_over(name, &self.identity, &to.identity)
    }

    /// The same once more.
    pub fn copy(&self) -> Result<Self, KeyError> {
        Ok(Self {
            identity: copy(&self.identity)?,
            encryption: copy(&self.encryption)?,
            ed25519: copy(&self.ed25519)?,
            x25519: copy(&self.x25519)?,
        })
    }
}

fn copy<K: KeyPair>(key: &K) -> Result<K, KeyError> {
    K::from_pem(key.to_pem(b"passphrase")?.as_bytes(), b"passphrase")
}

/// Who a client speaks for.
#[derive(Clone)]
pub struct Account(Arc<Member>);

impl Account {
    /// With these keys, of which the bundle has this number, and the keys of the group.
    pub fn new(name: &UserName, keys: Keys, bundle: u64, prefers: Prefers, group: GroupKeys) -> Self {
        let Keys { identity, encryption, ed25519, x25519 } = keys;
        Self(Arc::new(Member {
            name: name.clone(),
            identity,
            encryption,
            ed25519,
            x25519,
            bundle,
            prefers,
            retired: Vec::new(),
            former: Vec::new(),
            group: GroupFile::fixed(Some(group)),
        }))
    }
}

/// What a person sees.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Shown {
        /// Who wrote it.
        from: UserName,
        /// To whom.
        to: Recipient,
        /// Which one.
        id: MessageId,
        /// What it says.
        text: String,
        /// It may have been shown before.
        is_repeated: bool,
    },
    /// Something else.
    Told(Notice),
    /// What became of a message of one's own.
    Status {
        /// Which one.
        id: MessageId,
        /// What became of it.
        state: State,
        /// How many have it.
        reached: u32,
    },
    /// A message of one's own was not taken.
    Refused {
        /// Which one.
        id: MessageId,
        /// Why.
        code: Option<Code>,
    },
}

/// A running client of one account.
pub struct Client {
    member: Arc<Member>,
    contacts: Arc<Contacts>,
    receiving: Receiving<'static>,
    outbox: Outbox,
    sequence: Sequence,
    person: Person,
    /// What goes out on the connection.
    sent: Sent,
}

/// Who looks at it.
struct Person {
    hear: Box<dyn FnMut(Heard)>,
    /// Frames that are about messages of one's own.
    answers: Vec<ToClient>,
}

#[derive(Default)]
struct Sent(RefCell<Vec<ToServer>>);

impl Client {
    /// Reads the account's state in this folder, or makes it.
    pub fn open(folder: &Path, account: &Account, hear: Box<dyn FnMut(Heard)>) -> Result<Self, Error> {
        let member = Arc::clone(&account.0);
        let contacts = Arc::new(Contacts::open(folder, NewKeys::First)?);
        let (inbox, ledger) = Inbox::open_at_once(folder)?;
        let receiver = Receiver::new(&member, &contacts, ledger);
        Ok(Self {
            receiving: Receiving::alone(inbox, receiver, None),
            outbox: Outbox::open(folder)?,
            sequence: Sequence::open(folder, member.identity.public().fingerprint())?,
            person: Person { hear, answers: Vec::new() },
            sent: Sent::default(),
            member,
            contacts,
        })
    }

    /// A session has begun, whose server is so far.
    pub fn connected(&mut self, acknowledged: u64, kept: u64) -> Result<(), Error> {
        let reached = Reached { acknowledged, kept };
        self.receiving.inbox.logged_in(reached, self.receiving.receiver.ledger_mut());
        self.outbox.lost();
        self.listening().take_up()?;
        self.send_what_waits();
        Ok(())
    }

    /// The connection is lost.
    pub fn lost(&mut self) {
        self.sent.0.borrow_mut().clear();
        self.outbox.lost();
    }

    /// Frames that came together, and what is due.
    pub fn came(&mut self, frames: impl Iterator<Item = ToClient>) -> Result<(), Error> {
        self.listening().turn(frames)?;
        for answer in std::mem::take(&mut self.person.answers) {
            self.answered(answer);
        }
        self.send_what_waits();
        Ok(())
    }

    /// Writes a message: it is on disk when this returns. `look_up` asks the server for a bundle, if there is a connection.
    pub fn write(
        &mut self,
        to: &Recipient,
        text: &str,
        look_up: &dyn Fn(u32, &UserName) -> ToClient,
    ) -> Result<MessageId, Error> {
        let (bundle, group);
        let seal_for = match to {
            Recipient::All => {
                group = self.member.group.keys().ok_or_else(|| Error::output(std::io::ErrorKind::NotFound.into()))?;
                SealFor::Group { ecb: false, key: group.writer() }
            }
            Recipient::User(name) => {
                bundle = trust::contact(&mut Directory(look_up), &self.contacts, name)?.bundle;
                let least = self.contacts.pinned(name)?.map_or(bundle.prefers, |pin| pin.least(&bundle));
                SealFor::User(name, &bundle, suite_for(name, least, self.member.prefers, None)?)
            }
        };
        let sent_ms = now_ms();
        let numbers = self.sequence.next(to, sent_ms)?;
        let envelope = compose(&self.member, &seal_for, text, numbers, sent_ms)?;
        let id = envelope.header.msg_id;
        self.outbox.add(&envelope)?;
        Ok(id)
    }

    /// The person takes the key that the server gives for a name, whatever was known of it.
    pub fn trust(&mut self, name: &UserName, look_up: &dyn Fn(u32, &UserName) -> ToClient) -> Result<(), Error> {
        let found = look_up_keys(&mut Directory(look_up), name)?;
        self.contacts.choose(&found.bundle, Choice::Named)
    }

    /// Frames that go out now.
    pub fn sends(&mut self) -> Vec<ToServer> {
        self.send_what_waits();
        self.sent.0.take()
    }

    /// How many messages of one's own have no answer.
    pub fn unanswered(&self) -> usize {
        self.outbox.waiting().count()
    }

    /// How many messages came and are not done with, but for those that wait for a person.
    pub fn unfinished(&self) -> usize {
        let Receiving { inbox, receiver, .. } = &self.receiving;
        inbox.entries().iter().filter(|entry| !receiver.defers(entry.entry)).count()
    }

    fn listening(&mut self) -> Listening<'_, 'static> {
        Listening { link: &self.sent, receiving: &mut self.receiving, audience: &mut self.person }
    }

    fn send_what_waits(&mut self) {
        while let Some(envelope) = self.outbox.next(UNANSWERED_MAX) {
            self.sent.0.borrow_mut().push(ToServer::Send { envelope });
        }
    }

    fn answered(&mut self, answer: ToClient) {
        let (id, taken, heard) = match answer {
            ToClient::Status { msg_id: id, state, reached, .. } => (id, true, Heard::Status { id, state, reached }),
            ToClient::Refused { msg_id: id, reason } => (id, false, Heard::Refused { id, code: reason.code }),
            _ => return,
        };
        if let Some(header) = self.outbox.answered(id)
            && taken
            && let Err(error) = self.sequence.accepted(&header.recipient, header.seq)
        {
            log::warn!("{error}");
        }
        (self.person.hear)(heard);
    }
}

impl Outward for Sent {
    fn send(&self, frame: &ToServer) -> Result<(), Error> {
        self.0.borrow_mut().push(frame.clone());
        Ok(())
    }
}

impl Audience for Person {
    fn room(&self) -> Option<u64> {
        None
    }

    fn message(&mut self, opened: &Opened) -> Result<(), Error> {
        let header = &opened.envelope.header;
        (self.hear)(Heard::Shown {
            from: header.sender.clone(),
            to: header.recipient.clone(),
            id: header.msg_id,
            text: opened.text.to_string(),
            is_repeated: opened.is_repeated,
        });
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Error> {
        (self.hear)(Heard::Told(notice.clone()));
        Ok(())
    }

    fn other(&mut self, frame: ToClient) -> Result<(), Error> {
        self.answers.push(frame);
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn due(&mut self, _now: Instant) -> Result<bool, Error> {
        Ok(true)
    }
}

/// The server's directory, or none.
struct Directory<'a>(&'a dyn Fn(u32, &UserName) -> ToClient);

impl Ask for Directory<'_> {
    fn ask(&mut self, question: &dyn Fn(u32) -> ToServer) -> Result<ToClient, Error> {
        match question(1) {
            ToServer::Lookup { request, name, .. } => refused((self.0)(request, &name)),
            other => refused(ToClient::Page { request: answered_by(&other), more: false, entries: Vec::new() }),
        }
    }
}

fn answered_by(question: &ToServer) -> u32 {
    if let ToServer::List { request, .. } = question { *request } else { 0 }
}
