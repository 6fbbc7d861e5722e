//! Slows down whoever guesses passwords or makes accounts in bulk.
//!
//! Pure: the time is passed in, as [`Instant`], so that setting the system's clock changes nothing.
//! What is counted belongs to a *source*, so nobody can lock an account's owner out from elsewhere,
//! and names count alike whether they exist or not, so that a lock-out tells nothing about them.
//!
//! Guesses that arrive together can't slip past a limit: [`Throttle::attempt`] asks, checks and counts
//! under one exclusive borrow, so with the throttle in a mutex each guess sees all failures before it.
//! What runs under that mutex is a signature check, well under a millisecond, and no input or output.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::limits::{
    FAILURES_BEFORE_LOCK, FAILURES_PER_HOUR, LOCK_FIRST, LOCK_MAX, REGISTRATIONS_PER_HOUR, THROTTLE_ENTRIES,
    THROTTLE_WINDOW,
};
use crate::names::UserName;

/// Not now, but after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

impl RetryAfter {
    /// Whole seconds, rounded up: who waits so long is not told to wait again.
    pub fn seconds(self) -> u32 {
        let whole = self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0);
        u32::try_from(whole).unwrap_or(u32::MAX)
    }
}

/// Where a connection comes from, as far as one person can't easily have many: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// One address; an IPv4-mapped IPv6 address is the IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6(u64),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// Whether an address is exempt from the limits for strangers: exactly 127.0.0.1 and ::1.
pub fn is_exempt(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address == IpAddr::V4(Ipv4Addr::LOCALHOST) || address == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

/// Counts failures and registrations, in bounded memory.
#[derive(Debug)]
pub struct Throttle {
    pairs: Recent<(Source, UserName), Failures>,
    failures: Recent<Source, Window>,
    registrations: Recent<Source, Window>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::with_entries(THROTTLE_ENTRIES)
    }
}

impl Throttle {
    fn with_entries(entries: usize) -> Self {
        Self { pairs: Recent::new(entries), failures: Recent::new(entries), registrations: Recent::new(entries) }
    }

    /// Checks a login and counts the outcome: `check` gives `None` for a wrong password or key.
    ///
    /// It is not called, and nothing is counted, while this name is locked for this source.
    pub fn attempt<T>(
        &mut self,
        source: IpAddr,
        name: &UserName,
        now: Instant,
        check: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, RetryAfter> {
        self.may_login(source, name, now)?;
        let outcome = check();
        match outcome {
            Some(_) => self.succeeded(source, name),
            None => self.failed(source, name, now),
        }
        Ok(outcome)
    }

    /// Whether a login may be tried at all: an early answer, which [`Self::attempt`] asks again.
    pub fn may_login(&self, source: IpAddr, name: &UserName, now: Instant) -> Result<(), RetryAfter> {
        let source = Source::from(source);
        if let Some(until) = self.pairs.find(&(source, name.clone())).and_then(|pair| pair.locked_until(now)) {
            return Err(RetryAfter(until.saturating_duration_since(now)));
        }
        match self.failures.find(&source) {
            Some(window) => window.has_room(now, FAILURES_PER_HOUR),
            None => Ok(()),
        }
    }

    /// Counts a failure.
    pub fn failed(&mut self, source: IpAddr, name: &UserName, now: Instant) {
        let source = Source::from(source);
        self.failures.touch(source, now).add(now, FAILURES_PER_HOUR);
        self.pairs.touch((source, name.clone()), now).add(now);
    }

    /// Forgets the failures of this name from this source; the source's own hour stays counted.
    pub fn succeeded(&mut self, source: IpAddr, name: &UserName) {
        self.pairs.forget(&(Source::from(source), name.clone()));
    }

    /// Whether an account may be registered, and counts it if so, whatever becomes of it.
    pub fn may_register(&mut self, source: IpAddr, now: Instant) -> Result<(), RetryAfter> {
        if is_exempt(source) {
            return Ok(());
        }
        let window = self.registrations.touch(Source::from(source), now);
        window.has_room(now, REGISTRATIONS_PER_HOUR)?;
        window.add(now, REGISTRATIONS_PER_HOUR);
        Ok(())
    }
}

/// Failures of one name from one source.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
}

impl Failures {
    fn add(&mut self, now: Instant) {
        if self.last.is_some_and(|last| is_past(last, now)) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }

    /// The end of the lock-out, if it lasts.
    fn locked_until(&self, now: Instant) -> Option<Instant> {
        let doublings = self.count.checked_sub(FAILURES_BEFORE_LOCK)?;
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let until = self.last?.checked_add(LOCK_FIRST.saturating_mul(factor).min(LOCK_MAX))?;
        (until > now).then_some(until)
    }
}

/// When the last few things of one kind happened.
#[derive(Debug, Default)]
struct Window {
    times: VecDeque<Instant>,
}

impl Window {
    /// Whether fewer than `limit` happened within the last [`THROTTLE_WINDOW`].
    fn has_room(&self, now: Instant, limit: u32) -> Result<(), RetryAfter> {
        let oldest = self.times.len().checked_sub(limit as usize).and_then(|index| self.times.get(index));
        match oldest {
            Some(oldest) if !is_past(*oldest, now) => {
                Err(RetryAfter(THROTTLE_WINDOW.saturating_sub(now.saturating_duration_since(*oldest))))
            }
            _ => Ok(()),
        }
    }

    /// Only the last `limit` decide, so no more are kept.
    fn add(&mut self, now: Instant, limit: u32) {
        if self.times.len() >= limit as usize {
            self.times.pop_front();
        }
        self.times.push_back(now);
    }
}

/// A bounded map that forgets what was touched least recently, and first of all what no longer counts.
///
/// An attacker with more sources than entries can push his own failures out; so many sources have
/// as many tries anyway.
#[derive(Debug)]
struct Recent<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys by the turn at which they were touched last.
    order: BTreeMap<u64, K>,
    turn: u64,
    limit: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    touched: Instant,
    turn: u64,
}

impl<K: Clone + Eq + Hash, V: Default> Recent<K, V> {
    fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), turn: 0, limit }
    }

    fn find(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.turn);
        }
    }

    /// The value of this key, as one that was just used; makes room for it if it is new.
    fn touch(&mut self, key: K, now: Instant) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        self.turn += 1;
        let turn = self.turn;
        let entry =
            self.entries.entry(key.clone()).or_insert_with(|| Entry { value: V::default(), touched: now, turn });
        self.order.remove(&entry.turn);
        self.order.insert(turn, key);
        entry.turn = turn;
        entry.touched = now;
        &mut entry.value
    }

    fn make_room(&mut self, now: Instant) {
        while let Some((_, oldest)) = self.order.first_key_value() {
            let stale = self.entries.get(oldest).is_none_or(|entry| is_past(entry.touched, now));
            if !stale && self.entries.len() < self.limit {
                return;
            }
            if let Some((_, oldest)) = self.order.pop_first() {
                self.entries.remove(&oldest);
            }
        }
    }
}

fn is_past(time: Instant, now: Instant) -> bool {
    now.saturating_duration_since(time) >= THROTTLE_WINDOW
}

#[cfg(test)]
mod tests;
