//! Sessions that get messages: how the log reaches them, and who is connected.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits::SERVED_BY_SENDER;
use crate::names::UserName;

/// A session as the log reaches it. Nothing of this blocks, and nothing but the last two wakes.
pub(crate) trait Handle: Send + Sync {
    /// Adds a frame.
    fn say(&self, frame: &[u8], saying: Saying) -> MustWake;

    /// There is a message for the session in the log.
    fn announce_mail(&self) -> MustWake;

    /// A message of this session was taken and will be answered.
    fn expect_answer(&self);

    /// Whether the session is to end: it counts as gone.
    fn is_closing(&self) -> bool;

    /// Sends what waits for the sleeping session, or wakes it. Outside of locks: the woken thread would only run into them.
    fn send_or_wake(&self);

    /// Wakes the session's thread.
    fn wake(&self);
}

/// What a frame is to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    /// The answer to a message that was announced with [`Handle::expect_answer`]: always taken.
    Answer,
    /// Such an answer behind which news will come: it may wait for them a moment.
    Accepted,
    /// More about a message: left out if the client lets too many wait.
    News,
}

/// The session sleeps: [`Handle::send_or_wake`] or [`Handle::wake`] must follow, once the caller holds no lock any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct MustWake(pub(crate) bool);

/// Sessions that sleep, to be seen to without a lock.
pub(super) struct Wakes<H>(Vec<Arc<H>>);

impl<H> Default for Wakes<H> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<H: Handle> Wakes<H> {
    pub(super) fn say(&mut self, to: &Arc<H>, frame: &[u8], saying: Saying) {
        if to.say(frame, saying).0 {
            self.0.push(Arc::clone(to));
        }
    }

    fn announce_mail(&mut self, to: &Arc<H>) {
        if to.announce_mail().0 {
            self.0.push(Arc::clone(to));
        }
    }

    /// One or two are served by this thread, which is faster than waking theirs; more share the work.
    pub(super) fn wake(self) {
        let are_few = self.0.len() <= SERVED_BY_SENDER;
        self.0.iter().for_each(|handle| if are_few { handle.send_or_wake() } else { handle.wake() });
    }
}

/// A session that gets its account's messages.
pub(super) struct Recipient<H> {
    /// Tells it from others of the account, earlier and later ones.
    pub(super) term: u64,
    pub(super) handle: Arc<H>,
    /// Messages after this one came while the account was connected.
    pub(super) from: u64,
    /// This session needs nothing up to here.
    pub(super) done: u64,
}

/// Who is connected, at most one session an account.
pub(super) struct Recipients<H> {
    by_name: BTreeMap<UserName, Recipient<H>>,
    terms: u64,
}

impl<H> Default for Recipients<H> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new(), terms: 0 }
    }
}

impl<H: Handle> Recipients<H> {
    /// A term that no session has.
    pub(super) fn next_term(&mut self) -> u64 {
        self.terms += 1;
        self.terms
    }

    /// This session gets the account's messages behind `done` from now on; the one before gets none any more. Those who wait for that
    /// one's acknowledgement, of messages after its `from`, wait for the new one's.
    pub(super) fn attach(&mut self, name: &UserName, term: u64, handle: &Arc<H>, done: u64, last: u64) {
        let from = self.by_name.get(name).map_or(last, |old| old.from);
        self.by_name.insert(name.clone(), Recipient { term, handle: Arc::clone(handle), from, done });
    }

    pub(super) fn remove(&mut self, name: &UserName) {
        self.by_name.remove(name);
    }

    pub(super) fn get(&self, name: &UserName) -> Option<&Recipient<H>> {
        self.by_name.get(name)
    }

    /// If it is still this session that gets the account's messages.
    pub(super) fn get_in(&self, name: &UserName, term: u64) -> Option<&Recipient<H>> {
        self.get(name).filter(|recipient| recipient.term == term)
    }

    pub(super) fn is_connected(&self, name: &UserName) -> bool {
        self.by_name.contains_key(name)
    }

    /// How many are connected of those whom a message is for.
    pub(super) fn count(&self, sender: &UserName, to: Option<&UserName>) -> usize {
        match to {
            Some(name) => usize::from(self.is_connected(name)),
            None => self.by_name.len() - usize::from(self.is_connected(sender)),
        }
    }

    /// Tells those who are connected that there is mail, for one or for all but its sender.
    pub(super) fn announce(&self, sender: &UserName, to: Option<&UserName>, wakes: &mut Wakes<H>) {
        match to {
            Some(name) => self.get(name).into_iter().for_each(|recipient| wakes.announce_mail(&recipient.handle)),
            None => {
                let others = self.by_name.iter().filter(|(name, _)| *name != sender);
                others.for_each(|(_, recipient)| wakes.announce_mail(&recipient.handle));
            }
        }
    }

    /// Up to which message nobody who is connected needs any, if `done` says so of each.
    pub(super) fn done(&mut self, last: u64, done: impl Fn(&UserName, u64) -> u64) -> u64 {
        self.by_name.iter_mut().for_each(|(name, recipient)| recipient.done = done(name, recipient.done));
        self.by_name.values().map(|recipient| recipient.done).min().unwrap_or(last)
    }
}
