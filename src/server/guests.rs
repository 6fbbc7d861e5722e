//! The budget of connections that have not logged in, so that strangers can't take the seats.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::throttle::{Source, is_exempt};
use crate::limits::{GUESTS_MIN, GUESTS_PER_SOURCE};

/// Counts guests, in all and per source.
pub(super) struct Guests {
    room: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// A guest's place. Dropping it gives the place back.
pub(super) struct GuestPass {
    guests: Arc<Guests>,
    source: Source,
}

impl Guests {
    /// Room for as many guests as seats, and a few at least.
    pub(super) fn new(seats: usize) -> Self {
        Self { room: seats.max(GUESTS_MIN), counts: Mutex::default() }
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<GuestPass> {
        let source = Source::from(address);
        let mut counts = self.lock();
        let here = counts.by_source.get(&source).copied().unwrap_or_default();
        if counts.all >= self.room || (here >= GUESTS_PER_SOURCE && !is_exempt(address)) {
            return None;
        }
        counts.all += 1;
        counts.by_source.insert(source, here + 1);
        drop(counts);
        Some(GuestPass { guests: Arc::clone(self), source })
    }

    /// How many guests there are.
    pub(super) fn count(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // No code that can panic runs under this lock.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GuestPass {
    fn drop(&mut self) {
        let mut counts = self.guests.lock();
        counts.all -= 1;
        if let Some(here) = counts.by_source.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                counts.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(guests: &Arc<Guests>, address: &str, count: usize) -> Vec<GuestPass> {
        (0..count).filter_map(|_| guests.admit(address.parse().unwrap())).collect()
    }

    #[test]
    fn one_source_gets_its_share_only() {
        let guests = Arc::new(Guests::new(100));
        let held = admit(&guests, "192.0.2.1", 20);
        assert_eq!(held.len(), GUESTS_PER_SOURCE);
        assert_eq!(admit(&guests, "192.0.2.2", 1).len(), 1);
        drop(held);
        assert_eq!(admit(&guests, "192.0.2.1", 1).len(), 1);
    }

    #[test]
    fn this_machine_shares_the_whole_room() {
        let guests = Arc::new(Guests::new(10));
        assert_eq!(admit(&guests, "127.0.0.1", 99).len(), GUESTS_MIN);
        assert_eq!(admit(&guests, "::ffff:127.0.0.1", 20).len(), GUESTS_MIN);
        assert_eq!(admit(&guests, "127.0.0.2", 20).len(), GUESTS_PER_SOURCE);
    }

    #[test]
    fn a_whole_ipv6_network_is_one_source() {
        let guests = Arc::new(Guests::new(100));
        let held: Vec<_> = (0..20).filter_map(|n| guests.admit(format!("2001:db8::{n:x}").parse().unwrap())).collect();
        assert_eq!(held.len(), GUESTS_PER_SOURCE);
    }

    #[test]
    fn counts_return_to_nothing() {
        let guests = Arc::new(Guests::new(10));
        drop(admit(&guests, "192.0.2.1", 5));
        let counts = guests.lock();
        assert_eq!((counts.all, counts.by_source.len()), (0, 0));
    }
}
