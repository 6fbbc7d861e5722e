//! The budget of connections that have not logged in, so that strangers can't take the seats.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::send_queue::Outbox;
use super::throttle::{Source, is_exempt};
use crate::limits::{GUEST_SILENT, GUESTS_MIN, GUESTS_PER_SOURCE};
use crate::server::net::SessionId;
use crate::sync::lock;
use crate::wire::Code;

/// Counts guests, in all and per source.
pub(crate) struct Guests {
    room: usize,
    /// How many of one source there may be, and whether that holds for this machine itself, too.
    per_source: usize,
    exempts_loopback: bool,
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
    since: Instant,
    standing: Standing,
}

/// What a guest has shown so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    Unknown,
    /// It holds the key of the account that it wants to log in to.
    Proved,
    /// It does not: it makes room for whoever else comes.
    GivesWay,
}

/// A guest's place. Dropping it gives the place back.
pub(crate) struct GuestPass {
    guests: Arc<Guests>,
    source: Source,
    id: SessionId,
}

impl Guests {
    /// Room for as many guests as seats, and a few at least.
    pub(crate) fn new(seats: usize, exempts_loopback: bool) -> Self {
        let room = seats.max(GUESTS_MIN);
        Self { room, per_source: GUESTS_PER_SOURCE, exempts_loopback, here: Mutex::default() }
    }

    /// As much room for connections of proxies that have not said yet for whom.
    pub(crate) fn of_proxies(seats: usize) -> Self {
        Self { per_source: usize::MAX, ..Self::new(seats, false) }
    }

    /// A place for the connection `id` from `address`, if there is one.
    ///
    /// When the room is full, or a source's part of it, a newcomer takes the place of the oldest guest who has to give way, else of
    /// the oldest guest of the source with the most, if its own source has fewer: so one source, or a few, can't keep the others out,
    /// nor can those whose logins are slowed. Else one of its own source gives way that has shown nothing for a while: so those who
    /// only stay can't keep out who shares their address.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, id: SessionId, outbox: &Arc<Outbox>) -> Option<GuestPass> {
        self.admit_at(Instant::now(), address, id, outbox)
    }

    fn admit_at(
        self: &Arc<Self>,
        now: Instant,
        address: IpAddr,
        id: SessionId,
        outbox: &Arc<Outbox>,
    ) -> Option<GuestPass> {
        let source = Source::from(address);
        let mut here = self.lock();
        let own = here.of(source);
        let victim = if own >= self.per_source && !(self.exempts_loopback && is_exempt(address)) {
            Some(here.oldest_to_give_way(|other| other == source).or_else(|| here.oldest_silent(source, now))?)
        } else if here.all >= self.room {
            let other = here.oldest_to_give_way(|_| true).or_else(|| here.oldest_of_the_most(own));
            Some(other.or_else(|| here.oldest_silent(source, now))?)
        } else {
            None
        };
        let displaced = match victim {
            Some(victim) => Some(here.displace(victim, self.room)?),
            None => None,
        };
        here.all += 1;
        let guest = Guest { id, outbox: Arc::clone(outbox), since: now, standing: Standing::Unknown };
        here.by_source.entry(source).or_default().push_back(guest);
        drop(here);
        if let Some(displaced) = displaced {
            displaced.outbox.close(Code::Full);
        }
        Some(GuestPass { guests: Arc::clone(self), source, id })
    }

    /// How many guests there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Here> {
        // No code that can panic runs under this lock.
        lock(&self.here)
    }
}

impl Here {
    fn of(&self, source: Source) -> usize {
        self.by_source.get(&source).map_or(0, VecDeque::len)
    }

    /// The oldest guest who has to give way, of these sources.
    fn oldest_to_give_way(&self, of: impl Fn(Source) -> bool) -> Option<(Source, SessionId)> {
        let sources = self.by_source.iter().filter(|(source, _)| of(**source));
        let givers = sources.filter_map(|(source, guests)| {
            let oldest = guests.iter().find(|guest| guest.standing == Standing::GivesWay)?;
            Some((*source, oldest.id))
        });
        givers.min_by_key(|(_, id)| *id)
    }

    /// The oldest guest of the source that has the most, if those are more than `own`.
    fn oldest_of_the_most(&self, own: usize) -> Option<(Source, SessionId)> {
        let oldest = |guests: &VecDeque<Guest>| guests.front().map(|guest| guest.id);
        let most = self.by_source.iter().max_by_key(|(_, guests)| (guests.len(), std::cmp::Reverse(oldest(guests))));
        let (source, guests) = most.filter(|(_, guests)| guests.len() > own)?;
        Some((*source, oldest(guests)?))
    }

    /// The oldest guest of a source that has shown nothing for so long that a login would be done.
    fn oldest_silent(&self, source: Source, now: Instant) -> Option<(Source, SessionId)> {
        let is_silent = |guest: &&Guest| {
            guest.standing == Standing::Unknown && now.saturating_duration_since(guest.since) >= GUEST_SILENT
        };
        let silent = self.by_source.get(&source)?.iter().find(is_silent)?;
        Some((source, silent.id))
    }

    /// Takes a guest's place. Its thread takes a moment to end, so no more than another room full of them may be about to.
    fn displace(&mut self, (source, id): (Source, SessionId), room: usize) -> Option<Guest> {
        if self.leaving >= room {
            return None;
        }
        let displaced = self.take(source, id)?;
        self.leaving += 1;
        Some(displaced)
    }

    fn take(&mut self, source: Source, id: SessionId) -> Option<Guest> {
        let guests = self.by_source.get_mut(&source)?;
        let position = guests.iter().position(|guest| guest.id == id)?;
        let taken = guests.remove(position);
        if guests.is_empty() {
            self.by_source.remove(&source);
        }
        self.all -= 1;
        taken
    }
}

impl GuestPass {
    /// Whether its holder has proved the key that it wants to log in with. If not, whoever else comes may have this place from now on,
    /// if there is no other.
    pub(crate) fn tell(&self, is_proved: bool) {
        let standing = if is_proved { Standing::Proved } else { Standing::GivesWay };
        let mut here = self.guests.lock();
        let guests = here.by_source.get_mut(&self.source).into_iter().flatten();
        guests.filter(|guest| guest.id == self.id).for_each(|guest| guest.standing = standing);
    }
}

impl Drop for GuestPass {
    fn drop(&mut self) {
        let mut here = self.guests.lock();
        if here.take(self.source, self.id).is_none() {
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
            Self { guests: Arc::new(Guests::new(seats, true)), last_id: 0 }
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
    fn where_a_proxy_is_trusted_this_machine_gets_its_share_only() {
        let mut world = World { guests: Arc::new(Guests::new(100, false)), last_id: 0 };
        assert_eq!(world.admit_many("127.0.0.1", 20).len(), GUESTS_PER_SOURCE);
        let mut proxies = World { guests: Arc::new(Guests::of_proxies(100)), last_id: 0 };
        assert_eq!(proxies.admit_many("127.0.0.1", 120).len(), 100, "who has not said for whom it connects");
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

    /// Whoever guesses without a key waits for seconds, and must not keep others out meanwhile.
    #[test]
    fn who_has_to_give_way_keeps_nobody_out_of_the_room_or_of_a_sources_part_of_it() {
        let mut world = World::new(16);
        let guessers = world.admit_many("192.0.2.1", GUESTS_PER_SOURCE);
        assert!(world.admit("192.0.2.1").is_none());
        guessers[3..].iter().for_each(|(pass, _)| pass.tell(false));
        let neighbour = world.admit("192.0.2.1").unwrap();
        let closed = |guests: &[(GuestPass, Arc<Outbox>)]| guests.iter().filter(|(_, o)| o.closing().is_some()).count();
        assert_eq!((closed(&guessers), guessers[3].1.closing()), (1, Some(Code::Full)));
        let honest = world.admit_many("192.0.2.2", GUESTS_PER_SOURCE);
        assert_eq!((honest.len(), world.counts().0), (GUESTS_PER_SOURCE, 16));
        // From a source that has as many as any: still, those who have to give way do.
        let newcomers = world.admit_many("127.0.0.1", 20);
        assert_eq!((newcomers.len(), closed(&guessers), closed(&honest)), (6, 5, 2), "then the old rule holds");
        assert!(neighbour.1.closing().is_none());
        drop((guessers, honest, newcomers, neighbour));
        assert_eq!(world.counts(), (0, 0, 0));
    }

    /// Whoever only connects and stays must not keep out who shares the address, as all do behind a forwarder.
    #[test]
    fn who_shows_nothing_for_a_while_gives_way_to_others_of_its_source() {
        for (address, most) in [("192.0.2.1", GUESTS_PER_SOURCE), ("127.0.0.1", GUESTS_MIN)] {
            let mut world = World::new(10);
            let silent = world.admit_many(address, most);
            assert_eq!(silent.len(), most);
            silent[0].0.tell(true);
            let outbox = Arc::new(Outbox::new().unwrap());
            let admit = |address: &str, later| {
                let (now, address) = (Instant::now() + later, address.parse().unwrap());
                world.guests.admit_at(now, address, 99, &outbox)
            };
            assert!(admit(address, GUEST_SILENT / 2).is_none(), "a login may take so long");
            let newcomer = admit(address, GUEST_SILENT).unwrap();
            let closed: Vec<_> = silent.iter().map(|(_, outbox)| outbox.closing().is_some()).collect();
            assert_eq!(
                closed.iter().position(|closed| *closed),
                Some(1),
                "the oldest, but who has proved the key stays"
            );
            assert_eq!(closed.iter().filter(|closed| **closed).count(), 1);
            drop(newcomer);
        }
    }

    #[test]
    fn counts_return_to_nothing() {
        let mut world = World::new(10);
        drop(world.admit_many("192.0.2.1", 5));
        assert_eq!(world.counts(), (0, 0, 0));
    }
}
