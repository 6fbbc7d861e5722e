//! The budget of connections that have not logged in, so that strangers can't take the seats.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hub::SessionId;
use super::outbox::Outbox;
use super::throttle::{Source, is_exempt};
use crate::limits::{GUESTS_MIN, GUESTS_PER_SOURCE};
use crate::wire::Code;

/// Counts guests, in all and per source.
pub(super) struct Guests {
    room: usize,
    here: Mutex<Here>,
}

#[derive(Default)]
struct Here {
    all: usize,
    /// Oldest first; no source without guests.
    by_source: HashMap<Source, VecDeque<Guest>>,
    /// Guests whose place was taken and whose threads have not ended yet.
    leaving: usize,
}

struct Guest {
    id: SessionId,
    outbox: Arc<Outbox>,
}

/// A guest's place. Dropping it gives the place back.
pub(super) struct GuestPass {
    guests: Arc<Guests>,
    source: Source,
    id: SessionId,
}

impl Guests {
    /// Room for as many guests as seats, and a few at least.
    pub(super) fn new(seats: usize) -> Self {
        Self { room: seats.max(GUESTS_MIN), here: Mutex::default() }
    }

    /// A place for the connection `id` from `address`, if there is one.
    ///
    /// When the room is full, one from a source with fewer guests takes the place of the oldest guest of the source with
    /// the most: so one source, or a few, can't keep the others out.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, id: SessionId, outbox: &Arc<Outbox>) -> Option<GuestPass> {
        let source = Source::from(address);
        let mut here = self.lock();
        let own = here.of(source);
        if own >= GUESTS_PER_SOURCE && !is_exempt(address) {
            return None;
        }
        let mut displaced = None;
        if here.all >= self.room {
            displaced = Some(here.displace(own, self.room)?);
        }
        here.all += 1;
        here.by_source.entry(source).or_default().push_back(Guest { id, outbox: Arc::clone(outbox) });
        drop(here);
        if let Some(displaced) = displaced {
            displaced.outbox.close(Code::Full);
        }
        Some(GuestPass { guests: Arc::clone(self), source, id })
    }

    /// How many guests there are.
    pub(super) fn count(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Here> {
        // No code that can panic runs under this lock.
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Here {
    fn of(&self, source: Source) -> usize {
        self.by_source.get(&source).map_or(0, VecDeque::len)
    }

    /// Takes the place of the oldest guest of the source that has the most, if those are more than `own`.
    ///
    /// Its thread takes a moment to end, so no more than another room full of them may be about to.
    fn displace(&mut self, own: usize, room: usize) -> Option<Guest> {
        let oldest = |guests: &VecDeque<Guest>| guests.front().map(|guest| guest.id);
        let most = self.by_source.iter().max_by_key(|(_, guests)| (guests.len(), std::cmp::Reverse(oldest(guests))));
        let source = most.filter(|(_, guests)| guests.len() > own).map(|(source, _)| *source)?;
        if self.leaving >= room {
            return None;
        }
        let displaced = self.take(source, |guests| guests.pop_front())?;
        self.leaving += 1;
        Some(displaced)
    }

    fn take(&mut self, source: Source, which: impl FnOnce(&mut VecDeque<Guest>) -> Option<Guest>) -> Option<Guest> {
        let guests = self.by_source.get_mut(&source)?;
        let taken = which(guests)?;
        if guests.is_empty() {
            self.by_source.remove(&source);
        }
        self.all -= 1;
        Some(taken)
    }
}

impl Drop for GuestPass {
    fn drop(&mut self) {
        let mut here = self.guests.lock();
        let id = self.id;
        let own = |guests: &mut VecDeque<Guest>| {
            let position = guests.iter().position(|guest| guest.id == id)?;
            guests.remove(position)
        };
        if here.take(self.source, own).is_none() {
            here.leaving -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room and those who asked for a place in it.
    struct World {
        guests: Arc<Guests>,
        last_id: SessionId,
    }

    impl World {
        fn new(seats: usize) -> Self {
            Self { guests: Arc::new(Guests::new(seats)), last_id: 0 }
        }

        fn admit(&mut self, address: &str) -> Option<(GuestPass, Arc<Outbox>)> {
            let outbox = Arc::new(Outbox::new().unwrap());
            self.last_id += 1;
            let pass = self.guests.admit(address.parse().unwrap(), self.last_id, &outbox)?;
            Some((pass, outbox))
        }

        fn admit_many(&mut self, address: &str, count: usize) -> Vec<(GuestPass, Arc<Outbox>)> {
            (0..count).filter_map(|_| self.admit(address)).collect()
        }

        fn counts(&self) -> (usize, usize, usize) {
            let here = self.guests.lock();
            (here.all, here.by_source.len(), here.leaving)
        }
    }

    #[test]
    fn one_source_gets_its_share_only() {
        let mut world = World::new(100);
        let held = world.admit_many("192.0.2.1", 20);
        assert_eq!(held.len(), GUESTS_PER_SOURCE);
        assert_eq!(world.admit_many("192.0.2.2", 1).len(), 1);
        drop(held);
        assert_eq!(world.admit_many("192.0.2.1", 1).len(), 1);
    }

    #[test]
    fn this_machine_shares_the_whole_room() {
        let mut world = World::new(10);
        let held = world.admit_many("127.0.0.1", 99);
        assert_eq!(held.len(), GUESTS_MIN);
        assert_eq!(world.admit_many("::ffff:127.0.0.1", 20).len(), 0);
        drop(held);
        assert_eq!(world.admit_many("127.0.0.2", 20).len(), GUESTS_PER_SOURCE);
    }

    #[test]
    fn a_whole_ipv6_network_is_one_source() {
        let mut world = World::new(100);
        let held: Vec<_> = (0..20).filter_map(|n| world.admit(&format!("2001:db8::{n:x}"))).collect();
        assert_eq!(held.len(), GUESTS_PER_SOURCE);
    }

    #[test]
    fn in_a_full_room_a_newcomer_takes_the_place_of_the_oldest_of_the_most() {
        let mut world = World::new(16);
        let (few, many) = (world.admit_many("192.0.2.1", 7), world.admit_many("192.0.2.2", 8));
        let last = world.admit("192.0.2.3").unwrap();
        let newcomer = world.admit("192.0.2.4").unwrap();
        let closed: Vec<bool> = many.iter().map(|(_, outbox)| outbox.closing().is_some()).collect();
        assert_eq!(closed, [true, false, false, false, false, false, false, false]);
        assert!([&last, &newcomer].iter().chain(&few.iter().collect::<Vec<_>>()).all(|(_, o)| o.closing().is_none()));
        // Now two have seven: the older one of the two oldest goes, and a source with as many gets nothing.
        assert!(world.admit("192.0.2.2").is_none());
        let another = world.admit("192.0.2.5").unwrap();
        assert_eq!(few[0].1.closing(), Some(Code::Full));
        assert_eq!(world.counts(), (16, 5, 2));
        drop((few, many, last, newcomer, another));
        assert_eq!(world.counts(), (0, 0, 0));
    }

    #[test]
    fn no_more_are_displaced_than_can_leave() {
        let mut world = World::new(16);
        let held = world.admit_many("127.0.0.1", 16);
        let newcomers: Vec<_> = (1..=99).filter_map(|n| world.admit(&format!("192.0.2.{n}"))).collect();
        assert_eq!(newcomers.len(), 16, "one for each who was there");
        assert!(newcomers.iter().all(|(_, outbox)| outbox.closing().is_none()));
        assert_eq!(world.counts(), (16, 16, 16));
        drop(held);
        assert_eq!(world.counts(), (16, 16, 0));
        assert!(world.admit("198.51.100.1").is_some(), "who has none takes the place of the oldest");
    }

    #[test]
    fn counts_return_to_nothing() {
        let mut world = World::new(10);
        drop(world.admit_many("192.0.2.1", 5));
        assert_eq!(world.counts(), (0, 0, 0));
    }
}
