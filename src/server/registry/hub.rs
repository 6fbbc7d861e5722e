//! The sessions of this server and their seats. Pure: no socket, no thread, no clock, no cryptography.
//!
//! A *seat* is a logged-in session. Handles are whatever the caller reaches a session by.

use std::collections::{BTreeMap, BTreeSet};

use super::online::Online;
use crate::limits::SESSIONS_PER_ACCOUNT;
use crate::names::UserName;
use crate::server::net::SessionId;
use crate::wire::to_server::Mode;

/// All seats and who sits in them.
pub(crate) struct Hub<H> {
    seats: usize,
    sessions: BTreeMap<SessionId, Session<H>>,
    /// Those who are told who comes and who leaves.
    watching: BTreeSet<SessionId>,
    online: Online<SessionId>,
}

/// Who came and who left, by name, and who is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct News<H> {
    /// Each with whether they are here now.
    pub(crate) names: Vec<(UserName, bool)>,
    /// The sessions that watch.
    pub(crate) watchers: Vec<H>,
}

struct Session<H> {
    name: UserName,
    handle: H,
}

/// A seat was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seated<H> {
    /// A session that had to go for it.
    pub(crate) replaced: Option<H>,
    pub(crate) taken: usize,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// None is free, and this account has none that it could take over.
    Full,
    /// This account has enough of them.
    TooMany,
}

impl<H: Clone> Hub<H> {
    /// An empty room.
    pub(crate) fn new(seats: usize) -> Self {
        Self { seats, sessions: BTreeMap::new(), watching: BTreeSet::new(), online: Online::default() }
    }

    /// Gives a session a seat.
    ///
    /// A receiving session replaces the account's older one. When all seats are taken, an account that holds one
    /// takes over its own: a ghost never locks its owner out. An errand takes over errands only, and finds no seat while
    /// its account has [`SESSIONS_PER_ACCOUNT`].
    pub(crate) fn enter(&mut self, id: SessionId, name: &UserName, mode: Mode, handle: H) -> Result<Seated<H>, NoSeat> {
        if mode == Mode::Errand && self.own(name).count() >= SESSIONS_PER_ACCOUNT {
            return Err(NoSeat::TooMany);
        }
        let replaced = self.seat_to_take_over(name, mode);
        if replaced.is_none() && self.taken() >= self.seats {
            return Err(NoSeat::Full);
        }
        let replaced = replaced.and_then(|old| self.remove(old));
        self.sessions.insert(id, Session { name: name.clone(), handle });
        if mode == Mode::Receiving {
            self.online.came(name, id);
        }
        Ok(Seated { replaced, taken: self.taken() })
    }

    /// Frees a seat. Nothing happens if it was taken over before.
    pub(crate) fn leave(&mut self, id: SessionId) {
        self.remove(id);
    }

    /// Whether a session is told who comes and who leaves.
    pub(crate) fn watch(&mut self, id: SessionId, on: bool) {
        match on && self.sessions.contains_key(&id) {
            true => drop(self.watching.insert(id)),
            false => drop(self.watching.remove(&id)),
        }
    }

    /// What changed in the end for names that came or left before the last call: whoever left and is back by then did not. What
    /// happened since is for the next call. None if nobody is to be told of anything.
    pub(crate) fn news(&mut self) -> Option<News<H>> {
        let names = self.online.changes();
        let watchers = || self.watching.iter().filter_map(|id| Some(self.sessions.get(id)?.handle.clone())).collect();
        (!names.is_empty() && !self.watching.is_empty()).then(|| News { names, watchers: watchers() })
    }

    /// Handles of every session of an account.
    pub(crate) fn sessions_of(&self, name: &UserName) -> Vec<H> {
        self.own(name).map(|(_, session)| session.handle.clone()).collect()
    }

    /// Handles of every session of an account, whose seats are free from now on.
    pub(crate) fn evict(&mut self, name: &UserName) -> Vec<H> {
        let own = self.sessions.iter().filter(|(_, session)| session.name == *name);
        let own: Vec<_> = own.map(|(id, _)| *id).collect();
        own.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// All sessions.
    pub(crate) fn sessions(&self) -> Vec<(UserName, H)> {
        self.sessions.values().map(|session| (session.name.clone(), session.handle.clone())).collect()
    }

    /// Names with a receiving session, alphabetically after `after`, at most `count`.
    pub(crate) fn online(&self, after: Option<&UserName>, count: usize) -> Vec<UserName> {
        self.online.page(after, count)
    }

    /// Whether the account has a receiving session.
    pub(crate) fn is_online(&self, name: &UserName) -> bool {
        self.online.session(name).is_some()
    }

    /// Seats taken.
    pub(crate) fn taken(&self) -> usize {
        self.sessions.len()
    }

    fn seat_to_take_over(&self, name: &UserName, mode: Mode) -> Option<SessionId> {
        let receiving = self.online.session(name);
        if mode == Mode::Receiving && receiving.is_some() {
            return receiving;
        }
        if self.taken() < self.seats {
            return None;
        }
        self.own(name).map(|(id, _)| id).find(|id| Some(*id) != receiving)
    }

    /// Oldest first.
    fn own<'a>(&'a self, name: &'a UserName) -> impl Iterator<Item = (SessionId, &'a Session<H>)> {
        self.sessions.iter().filter(move |(_, session)| session.name == *name).map(|(id, session)| (*id, session))
    }

    fn remove(&mut self, id: SessionId) -> Option<H> {
        let session = self.sessions.remove(&id)?;
        self.watching.remove(&id);
        self.online.left(&session.name, id);
        Some(session.handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        text.parse().unwrap()
    }

    /// A hub of `seats` whose sessions are given as `(id, name, mode)`; each session's handle is its id.
    fn hub(seats: usize, sessions: &[(SessionId, &str, Mode)]) -> Hub<SessionId> {
        let mut hub = Hub::new(seats);
        for (id, who, mode) in sessions {
            hub.enter(*id, &name(who), *mode, *id).unwrap();
        }
        hub
    }

    #[test]
    fn a_newer_receiving_session_replaces_the_older_even_when_full() {
        let mut hub = hub(2, &[(1, "alice", Mode::Receiving), (2, "bob", Mode::Receiving)]);
        let seated = hub.enter(3, &name("alice"), Mode::Receiving, 3).unwrap();
        assert_eq!(seated, Seated { replaced: Some(1), taken: 2 });
        hub.leave(1);
        assert!(hub.is_online(&name("alice")));
        assert_eq!(hub.taken(), 2);
    }

    #[test]
    fn errands_replace_nobody_while_seats_are_free() {
        let mut hub = hub(9, &[(1, "alice", Mode::Receiving), (2, "alice", Mode::Errand)]);
        assert_eq!(hub.enter(3, &name("alice"), Mode::Errand, 3).unwrap(), Seated { replaced: None, taken: 3 });
    }

    #[test]
    fn when_full_an_account_takes_over_its_own_ghost_and_nobody_elses() {
        let mut hub = hub(2, &[(1, "alice", Mode::Receiving), (2, "bob", Mode::Errand)]);
        assert_eq!(hub.enter(3, &name("carol"), Mode::Receiving, 3), Err(NoSeat::Full));
        assert_eq!(hub.enter(4, &name("alice"), Mode::Errand, 4), Err(NoSeat::Full));
        assert_eq!(hub.enter(5, &name("bob"), Mode::Errand, 5).unwrap().replaced, Some(2));
        assert_eq!(hub.enter(6, &name("bob"), Mode::Receiving, 6).unwrap().replaced, Some(5));
    }

    #[test]
    fn one_account_has_so_many_sessions_but_always_its_chat() {
        let errands = [1, 2, 3, 4].map(|id| (id, "alice", Mode::Errand));
        let mut hub = hub(9, &errands);
        assert_eq!(hub.enter(5, &name("alice"), Mode::Errand, 5), Err(NoSeat::TooMany));
        assert_eq!(hub.enter(6, &name("bob"), Mode::Errand, 6).unwrap().taken, 5);
        assert_eq!(hub.enter(7, &name("alice"), Mode::Receiving, 7).unwrap(), Seated { replaced: None, taken: 6 });
        hub.leave(1);
        assert_eq!(hub.enter(8, &name("alice"), Mode::Errand, 8), Err(NoSeat::TooMany));
        hub.leave(2);
        assert_eq!(hub.enter(9, &name("alice"), Mode::Errand, 9).unwrap().replaced, None);
    }

    #[test]
    fn a_leaver_frees_the_seat() {
        let mut hub = hub(1, &[(1, "alice", Mode::Receiving)]);
        hub.leave(1);
        assert!(!hub.is_online(&name("alice")));
        assert_eq!(hub.enter(2, &name("bob"), Mode::Receiving, 2).unwrap(), Seated { replaced: None, taken: 1 });
    }

    #[test]
    fn an_evicted_account_holds_no_seat() {
        let mut hub = hub(3, &[(1, "alice", Mode::Receiving), (2, "alice", Mode::Errand), (3, "bob", Mode::Receiving)]);
        assert_eq!(hub.evict(&name("alice")), [1, 2]);
        assert!(hub.evict(&name("alice")).is_empty() && !hub.is_online(&name("alice")));
        hub.leave(1);
        assert_eq!(hub.sessions(), [(name("bob"), 3)]);
    }

    #[test]
    fn those_who_watch_are_told_what_changed_in_the_end_after_a_whole_round() {
        let mut hub = hub(9, &[(1, "alice", Mode::Receiving), (2, "bob", Mode::Receiving)]);
        assert_eq!((hub.news(), hub.news()), (None, None), "nobody watches");
        hub.watch(1, true);
        hub.watch(7, true);
        hub.enter(3, &name("carol"), Mode::Receiving, 3).unwrap();
        hub.enter(4, &name("dave"), Mode::Errand, 4).unwrap();
        hub.leave(2);
        assert_eq!(hub.news(), None, "they may be back at once");
        hub.leave(3);
        hub.enter(5, &name("carol"), Mode::Receiving, 5).unwrap();
        hub.enter(6, &name("eve"), Mode::Receiving, 6).unwrap();
        assert_eq!(
            hub.news(),
            Some(News { names: vec![(name("bob"), false), (name("carol"), true)], watchers: vec![1] })
        );
        hub.leave(6);
        assert_eq!((hub.news(), hub.news()), (None, None), "eve came and left");
        hub.watch(1, false);
        hub.leave(5);
        assert_eq!((hub.news(), hub.news()), (None, None), "nobody watches any more");
    }

    /// The same name again and again takes the room of one.
    #[test]
    fn a_name_that_comes_and_leaves_all_the_time_is_told_of_once_a_round() {
        let mut hub = hub(9, &[(1, "alice", Mode::Receiving)]);
        hub.watch(1, true);
        for id in 2..1000 {
            hub.enter(id, &name("bob"), Mode::Receiving, id).unwrap();
            assert!(hub.online.changed_count() <= 2);
        }
        assert!(hub.news().is_none());
        assert_eq!(hub.news().unwrap().names, [(name("alice"), true), (name("bob"), true)]);
    }

    #[test]
    fn who_is_online_comes_in_pages_by_name() {
        let hub = hub(9, &[(1, "carol", Mode::Receiving), (2, "alice", Mode::Receiving), (3, "bob", Mode::Errand)]);
        assert_eq!(hub.online(None, 1), [name("alice")]);
        assert_eq!(hub.online(Some(&name("alice")), 9), [name("carol")]);
    }
}
