//! Slows down whoever guesses passwords, and whoever makes accounts in bulk.
//!
//! Pure: the time is passed in, as [`Instant`], so that setting the system's clock changes nothing.
//!
//! A login needs the identity key *and* the password, so guessing without the key is hopeless, and nobody who proves the key may
//! pay for others. So two things are counted: logins without a proof of the key, by *source*, whatever the names, which thus
//! tells nothing about them; and wrong passwords of those who proved an account's key, by that account and source. Nobody is
//! refused for it: the next answers of the same kind come later, by some seconds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::limits::{REGISTRATIONS_PER_HOUR, SLOW_FIRST, SLOW_MOST, THROTTLE_ENTRIES, THROTTLE_WINDOW};
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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(network) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*network) << 64)),
        }
    }
}

/// What is slowed or held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Logins without a proof of the key.
    Logins,
    /// Those of somebody who proves the key and has typed wrong passwords.
    Passwords,
    Registrations,
}

/// One thing that is slowed or held back now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slowed {
    pub kind: Kind,
    pub source: Source,
    pub name: Option<UserName>,
    pub count: u32,
    /// After what time the next one is answered, or may come.
    pub wait: Duration,
}

/// Whose failures are to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All that were counted from there.
    Source(Source),
    /// The wrong passwords of this account, from wherever.
    Name(UserName),
}

/// A text that is neither an address nor a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is an address or an account's name, as status shows them")]
pub struct WhoseError;

impl FromStr for Whose {
    type Err = WhoseError;

    fn from_str(text: &str) -> Result<Self, WhoseError> {
        let address = text.strip_suffix("/64").filter(|address| address.contains(':')).unwrap_or(text);
        match address.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Source(address.into())),
            Err(_) => text.parse().map(Self::Name).map_err(|_| WhoseError),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => source.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// How much later answers come: after one failure by `first`, after each further one by twice as much, up to `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slowness {
    pub first: Duration,
    pub most: Duration,
}

impl Slowness {
    /// Nothing is slowed.
    pub const NONE: Self = Self { first: Duration::ZERO, most: Duration::ZERO };

    fn after(self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                self.first.saturating_mul(factor).min(self.most)
            }
        }
    }
}

impl Default for Slowness {
    fn default() -> Self {
        Self { first: SLOW_FIRST, most: SLOW_MOST }
    }
}

/// Counts failures and registrations, in bounded memory.
#[derive(Debug)]
pub struct Throttle {
    slowness: Slowness,
    /// Whether this machine itself may make accounts without a limit.
    exempts_loopback: bool,
    /// Logins without a proof of the identity key.
    strangers: Recent<Source, Failures>,
    /// Wrong passwords of those who proved it.
    guesses: Recent<(UserName, Source), Failures>,
    registrations: Recent<Source, Window>,
}

impl Throttle {
    /// One that has counted nothing yet.
    pub fn new(slowness: Slowness, exempts_loopback: bool) -> Self {
        Self::with_entries(slowness, exempts_loopback, THROTTLE_ENTRIES)
    }

    fn with_entries(slowness: Slowness, exempts_loopback: bool, entries: usize) -> Self {
        let (strangers, guesses) = (Recent::new(entries), Recent::new(entries));
        Self { slowness, exempts_loopback, strangers, guesses, registrations: Recent::new(entries) }
    }

    /// Counts a login without a proof of the key, which can't succeed, and tells after what time it is answered.
    pub fn stranger(&mut self, source: IpAddr, now: Instant) -> Duration {
        let failures = self.strangers.touch(Source::from(source), now);
        failures.add(now);
        self.slowness.after(failures.count)
    }

    /// After what time the login of somebody is answered who proved the account's key.
    pub fn owner(&self, source: IpAddr, name: &UserName, now: Instant) -> Duration {
        let failures = self.guesses.find(&(name.clone(), Source::from(source)));
        failures.map_or(Duration::ZERO, |failures| self.slowness.after(failures.counting(now)))
    }

    /// Counts a wrong password of somebody who proved the account's key.
    pub fn guessed(&mut self, source: IpAddr, name: &UserName, now: Instant) {
        self.guesses.touch((name.clone(), Source::from(source)), now).add(now);
    }

    /// Forgets the wrong passwords of this account from this source: the owner typed them.
    pub fn succeeded(&mut self, source: IpAddr, name: &UserName) {
        self.guesses.forget(&(name.clone(), Source::from(source)));
    }

    /// Whether an account may be registered now.
    pub fn has_room_to_register(&self, source: IpAddr, now: Instant) -> Result<(), RetryAfter> {
        match self.registrations.find(&Source::from(source)).filter(|_| !is_exempt(source)) {
            Some(window) => window.has_room(now, REGISTRATIONS_PER_HOUR),
            None => Ok(()),
        }
    }

    /// Whether an account may be registered, and counts it if so, whatever becomes of it.
    pub fn may_register(&mut self, source: IpAddr, now: Instant) -> Result<(), RetryAfter> {
        if self.exempts_loopback && is_exempt(source) {
            return Ok(());
        }
        let window = self.registrations.touch(Source::from(source), now);
        window.has_room(now, REGISTRATIONS_PER_HOUR)?;
        window.add(now, REGISTRATIONS_PER_HOUR);
        Ok(())
    }

    /// All that is slowed or held back, the most frequent first.
    pub fn slowed(&self, now: Instant) -> Vec<Slowed> {
        let logins = self.strangers.iter().map(|(source, failures)| {
            let count = failures.counting(now);
            Slowed { kind: Kind::Logins, source: *source, name: None, count, wait: self.slowness.after(count + 1) }
        });
        let passwords = self.guesses.iter().map(|((name, source), failures)| {
            let count = failures.counting(now);
            let name = Some(name.clone());
            Slowed { kind: Kind::Passwords, source: *source, name, count, wait: self.slowness.after(count) }
        });
        let registrations = self.registrations.iter().filter_map(|(source, window)| {
            let RetryAfter(wait) = window.has_room(now, REGISTRATIONS_PER_HOUR).err()?;
            let count = REGISTRATIONS_PER_HOUR;
            Some(Slowed { kind: Kind::Registrations, source: *source, name: None, count, wait })
        });
        let mut all: Vec<_> = logins.chain(passwords).filter(|slowed| slowed.count > 0).chain(registrations).collect();
        all.sort_by_key(|slowed| {
            (std::cmp::Reverse(slowed.count), slowed.kind, slowed.source.to_string(), slowed.name.clone())
        });
        all
    }

    /// Forgets what was counted, all of it or somebody's, and tells how much of it slowed or held back anything.
    pub fn unlock(&mut self, whose: Option<&Whose>, now: Instant) -> usize {
        let before = self.slowed(now).len();
        let is_from = |source: &Source| match whose {
            None => true,
            Some(Whose::Source(from)) => source == from,
            Some(Whose::Name(_)) => false,
        };
        self.strangers.retain(|source| !is_from(source));
        self.registrations.retain(|source| !is_from(source));
        self.guesses.retain(|(name, source)| match whose {
            Some(Whose::Name(forgiven)) => name != forgiven,
            _ => !is_from(source),
        });
        before - self.slowed(now).len()
    }
}

/// Failures of one kind that came with less than [`THROTTLE_WINDOW`] between them.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
}

impl Failures {
    fn add(&mut self, now: Instant) {
        self.count = self.counting(now).saturating_add(1);
        self.last = Some(now);
    }

    /// How many count still.
    fn counting(&self, now: Instant) -> u32 {
        self.last.filter(|last| !is_past(*last, now)).map_or(0, |_| self.count)
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

    fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| keep(key));
        self.order.retain(|_, key| keep(key));
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
