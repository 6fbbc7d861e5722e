//! What comes, as notifications: from the client of this account that receives on this machine, else by being that client.
//!
//! Nobody on this machine is put out by it: a chat or `listen` that is running goes on and gives its feed, and one that is
//! started later takes over. Only whoever holds the inbox logs in to receive. A client on another machine that takes
//! over ends the subscription, as it would end `listen`.

use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::protocol;
use super::stdout::Stdout;
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::keys::password::Secret;
use crate::client::model::event::{Notice, Opened};
use crate::client::model::invocation::Invocation;
use crate::client::model::refusal::{Asked, Refusal};
use crate::client::net::connection::Circuit;
use crate::client::net::reconnect::{Pauses, is_lost};
use crate::client::net::session::{self, Session};
use crate::client::receive::Receiver;
use crate::client::receive::feed::{Attached, status};
use crate::client::receive::follow::{Follower, listen_on};
use crate::client::receive::listen_loop::{Audience, Receiving};
use crate::client::state::inbox::Inbox;
use crate::client::state::seen::Ledger;
use crate::client::ui::{json, output};
use crate::limits::{FEED_PAUSE, INBOX_WITHIN, LOCK_PAUSE_MAX, OUTPUT_WITHIN};
use crate::names::UserName;
use crate::storage::lock::LockError;
use crate::sync::lock;
use crate::transport::{Stop, wait_input};
use crate::wire::to_client::Reason;
use crate::wire::to_server::Mode;
use crate::wire::{Code, ToClient};

/// A thread that tells what comes. Ended by [`Self::end`].
pub(super) struct Subscription {
    over: Stop,
    circuit: Arc<Circuit>,
    state: Arc<Reception>,
    thread: JoinHandle<()>,
}

/// How messages reach this program, in one word.
struct Reception(Mutex<&'static str>);

impl Reception {
    fn get(&self) -> &'static str {
        *lock(&self.0)
    }

    fn set(&self, state: &'static str) {
        *lock(&self.0) = state;
    }
}

impl Subscription {
    /// Begins one; it has found where messages come from when this returns. `closed` is asked if nobody reads stdout any more.
    pub(super) fn begin(
        config: &Config,
        name: UserName,
        secret: Arc<Secret>,
        closed: &Stop,
        stdout: &Arc<Stdout>,
    ) -> Result<Self, Error> {
        let over = Stop::new().map_err(Error::system("making a wake-up"))?;
        let (circuit, state) = (Arc::new(Circuit::default()), Arc::new(Reception(Mutex::new("none"))));
        let (began, begun) = mpsc::channel();
        let mut teller = Teller {
            folder: config.account_state(&name),
            config: config.clone(),
            name,
            secret,
            circuit: Arc::clone(&circuit),
            over: over.clone(),
            news: News {
                began: Some(began),
                state: Arc::clone(&state),
                stdout: Arc::clone(stdout),
                over: over.clone(),
                invocation: config.invocation.clone(),
            },
        };
        let closed = closed.clone();
        let thread = std::thread::Builder::new().name("listening".to_owned());
        let spawned = thread.spawn(move || {
            if let Err(Error::OutputClosed) = teller.run().or_else(|error| teller.news.ended(error)) {
                closed.ask();
            }
        });
        let thread = spawned.map_err(Error::system("starting a thread"))?;
        let subscription = Self { over, circuit, state, thread };
        match begun.recv() {
            Ok(Ok(())) => Ok(subscription),
            Ok(Err(error)) => {
                subscription.end();
                Err(error)
            }
            // It ended without a word because somebody ends the program.
            Err(_) => Err(Error::Interrupted),
        }
    }

    /// The answer to who asks how it is.
    pub(super) fn state(&self) -> String {
        status(self.state.get(), None)
    }

    /// Whether nothing comes any more. So it is from the moment on at which that is told.
    pub(super) fn has_ended(&self) -> bool {
        self.state.get() == ENDED || self.thread.is_finished()
    }

    /// Ends it, and waits for that.
    pub(super) fn end(self) {
        self.over.ask();
        self.circuit.wake();
        if self.thread.join().is_err() {
            log::error!("the listening thread ended by a panic; please report it");
        }
    }
}

/// Where messages come from.
enum Way {
    /// The client that receives.
    Feed(Attached),
    /// The server: this is that client.
    Own(Box<(Inbox, Ledger)>),
}

struct Teller {
    config: Config,
    name: UserName,
    secret: Arc<Secret>,
    folder: PathBuf,
    circuit: Arc<Circuit>,
    over: Stop,
    news: News,
}

impl Teller {
    /// Whoever is to read it may take their time, but nobody else waits for them: as long as they don't read, this is not the client
    /// that receives.
    fn run(&mut self) -> Result<(), Error> {
        loop {
            match self.tell_what_comes() {
                Err(Error::OutputUnread) if !self.over.is_asked() => {
                    self.news.state.set("offline");
                    output::words("nobody reads the output: messages wait until somebody does\n");
                    match self.news.stdout.flush(None, &self.over) {
                        Err(Error::OutputUnread) => return Ok(()),
                        result => result?,
                    }
                }
                // Nobody wants it any more.
                Err(Error::OutputUnread) => return Ok(()),
                result => return result,
            }
        }
    }

    fn tell_what_comes(&mut self) -> Result<(), Error> {
        let (mut before, mut pauses) = (None, Pauses::default());
        while let Some(source) = self.find()? {
            let begun = Instant::now();
            match source {
                Way::Feed(feed) => {
                    // The same client again: it has dropped this one, which was too slow, or is just ending.
                    let is_behind = before == Some(feed.process());
                    before = Some(feed.process());
                    if !is_behind {
                        self.news.state("attached", None)?;
                    }
                    self.follow(feed, is_behind)?;
                    if begun.elapsed() < FEED_PAUSE {
                        self.rest(begun + FEED_PAUSE)?;
                    }
                }
                Way::Own(inbox) => {
                    before = None;
                    match self.receive(*inbox) {
                        // Whoever has just subscribed is told; later on it may be better in a moment.
                        Err(why) if is_lost(&why) && self.news.began.is_none() => {
                            self.news.state("offline", Some(&why.to_string()))?;
                            self.rest(Instant::now() + pauses.next())?;
                        }
                        received => received?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Where messages come from now. Whoever is just beginning or ending gets some time for it.
    fn find(&self) -> Result<Option<Way>, Error> {
        let deadline = Instant::now() + INBOX_WITHIN;
        while !self.over.is_asked() {
            if let Some(feed) = Attached::to(&self.folder) {
                return Ok(Some(Way::Feed(feed)));
            }
            match Inbox::open_at_once(&self.folder) {
                Err(Error::Lock(LockError::Held { .. })) if Instant::now() < deadline => {}
                opened => return opened.map(|own| Some(Way::Own(Box::new(own)))),
            }
            self.rest(Instant::now() + LOCK_PAUSE_MAX)?;
        }
        Ok(None)
    }

    /// Passes on what another client tells, until it ends.
    fn follow(&mut self, mut feed: Attached, is_behind: bool) -> Result<(), Error> {
        let mut gap = is_behind.then_some("behind");
        let failed = |source| Error::System { doing: "reading the feed of another client", source };
        while let Some(lines) = feed.next(&self.over).map_err(failed)? {
            if let Some(state) = gap.take() {
                self.news.state(state, None)?;
            }
            lines
                .iter()
                .filter_map(|line| protocol::passed_on(line))
                .try_for_each(|told| self.news.stdout.line(&told, None, &self.over))?;
        }
        match feed.sent_away() {
            Some(why) => self.sent_away(Refusal { asked: Asked::Session, reason: Reason::new(why) }),
            None => Ok(()),
        }
    }

    /// Receives, until a newer client takes over.
    fn receive(&mut self, (inbox, ledger): (Inbox, Ledger)) -> Result<(), Error> {
        let secret = Arc::clone(&self.secret);
        let Session { dialogue, again, contacts, .. } =
            session::with_secret(&self.config, &self.name, secret, Mode::Receiving)?;
        let history = again.member.history(&self.config);
        let receiver = Receiver::new(&again.member, &contacts, ledger);
        let mut receiving = Receiving::new(&self.folder, inbox, receiver, history.as_ref());
        let (config, circuit, over) = (&self.config, &self.circuit, &self.over);
        let listened = listen_on(config, &again, dialogue, circuit, &mut receiving, &mut self.news, over);
        circuit.finish();
        circuit.set(None);
        drop(receiving);
        match listened {
            Err(Error::Refused(refusal)) => self.sent_away(refusal),
            result => result,
        }
    }

    /// Whoever replaced this client, or the one whose feed was read, is on this machine if it offers a feed soon; else it stays
    /// with the other machine.
    fn sent_away(&self, refusal: Refusal) -> Result<(), Error> {
        let deadline = Instant::now() + INBOX_WITHIN;
        while refusal.code() == Some(Code::Replaced) && Instant::now() < deadline {
            if self.over.is_asked() || Attached::to(&self.folder).is_some() {
                return Ok(());
            }
            self.rest(Instant::now() + LOCK_PAUSE_MAX)?;
        }
        Err(Error::Refused(refusal))
    }

    fn rest(&self, until: Instant) -> Result<(), Error> {
        let wakeup = self.over.wakeup();
        wait_input(wakeup, wakeup, Some(until)).map(drop).map_err(Error::system("waiting"))
    }
}

/// Tells what comes and how it comes.
struct News {
    /// Who waits for the beginning.
    began: Option<Sender<Result<(), Error>>>,
    state: Arc<Reception>,
    stdout: Arc<Stdout>,
    over: Stop,
    invocation: Invocation,
}

impl News {
    fn tell(&self, method: &str, line: &str) -> Result<(), Error> {
        let told = protocol::notification(method, line);
        self.stdout.line(&told, Some(Instant::now() + OUTPUT_WITHIN), &self.over)
    }

    /// The first state is the answer to who subscribed, each further one is told.
    fn state(&mut self, state: &'static str, why: Option<&str>) -> Result<(), Error> {
        self.state.set(state);
        match self.began.take() {
            Some(began) => {
                // Whoever subscribed waits for it.
                let _ = began.send(Ok(()));
                Ok(())
            }
            None => self.tell("status", &status(state, why)),
        }
    }

    fn ended(&mut self, error: Error) -> Result<(), Error> {
        self.state.set(ENDED);
        match self.began.take() {
            Some(began) => {
                let _ = began.send(Err(error));
                Ok(())
            }
            None => self.tell("status", &protocol::ended(&error, &self.invocation)),
        }
    }
}

/// The state of one that tells nothing any more.
const ENDED: &str = "ended";

impl Audience for News {
    fn room(&self) -> Option<u64> {
        None
    }

    fn message(&mut self, opened: &Opened) -> Result<(), Error> {
        self.tell("message", &json::message(opened))
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Error> {
        self.tell("notice", &json::notice(notice))
    }

    fn other(&mut self, _frame: ToClient) -> Result<(), Error> {
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn due(&mut self, _now: Instant) -> Result<bool, Error> {
        Ok(true)
    }
}

impl Follower for News {
    fn connected(&mut self, is_back: bool) -> Result<(), Error> {
        self.state(if is_back { "online" } else { "receiving" }, None)
    }

    fn lost(&mut self, words: &str) -> Result<(), Error> {
        self.state("offline", Some(words))
    }
}
